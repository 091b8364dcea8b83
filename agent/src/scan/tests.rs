use std::process::Command;

use expect_test::expect;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn monitor(columns: &str, rest: &str) -> String {
    format!(
        "kind: Monitor\nmetadata: {{ name: m }}\nspec:\n  type: minute_multi_key\n  source: {{ log: {{ paths: [{{ path: \
         /x.log }}], time: {{ timezone: UTC }} }} }}\n  columns: [{columns}]\n  {rest}\n"
    )
}

fn split(name: &str, index: u32) -> String {
    format!("{{ name: {name}, pick: {{ split: {{ by: ',', index: {index} }} }} }}")
}

/// The columns that make a generated log's key, and its cost.
fn generated(kind: &str) -> String {
    let (columns, keys) = match kind {
        "trade" => (vec![split("key", 2), split("cost", 5)], "key"),
        "toll" => (
            vec![split("key", 2), "{ name: cost, pick: { between: { left: ',￥50,', right: ms } } }".to_owned()],
            "key",
        ),
        "rpc" => (vec![split("service", 3), split("method", 4), split("cost", 6)], "service, method"),
        "mvc" => (vec![split("key", 2), split("cost", 5)], "key"),
        other => panic!("unknown kind {other}"),
    };
    let stats = "stats: [{ name: count, fn: lines }, { name: sum, fn: sum, column: cost }]";
    monitor(&columns.join(", "), &format!("group_by: [{keys}]\n  {stats}"))
}

fn figures(yaml: &str, logs: &[PathBuf], threads: usize) -> Scanned {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("monitor.yaml");
    std::fs::write(&path, yaml).expect("a file");
    let spec = read_monitor(&path, None).expect("a monitor");
    scan(&spec, &HostFacts::of_this_machine(), logs, NonZeroUsize::new(threads)).expect("figures")
}

/// Minutes → key → [count, sum], as the generator tells its totals.
fn totals(scanned: &Scanned) -> Value {
    let mut minutes = Value::Object(serde_json::Map::new());
    for window in scanned.figures.iter().flat_map(|delta| &delta.windows) {
        let minute = window.start.to_utc().format("%Y-%m-%d %H:%M").to_string();
        let sum: i64 =
            window.partials[1].as_number().expect("a number").sum.to_string().parse().expect("a whole number");
        minutes[minute][window.keys.join("|")] = serde_json::json!([window.partials[0].count(), sum]);
    }
    minutes
}

#[test]
fn figures_equal_the_generators_totals_exactly() {
    let generator = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/genlog.py");
    if !generator.exists() {
        println!("skipped: there is no {}", generator.display());
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    for (kind, charset) in [("trade", "utf-8"), ("trade", "gbk"), ("toll", "gbk"), ("rpc", "utf-8"), ("mvc", "utf-8")] {
        let log = directory.path().join(format!("{kind}-{charset}.log"));
        let generated_log = Command::new("python3")
            .arg(&generator)
            .arg(kind)
            .arg(&log)
            .args(["--lines", "20000", "--per-minute", "3000", "--charset", charset])
            .output()
            .expect("python3 runs");
        let told: Value = serde_json::from_slice(&generated_log.stdout).expect("totals");
        for threads in [1, 3] {
            let scanned = figures(&generated(kind), std::slice::from_ref(&log), threads);
            assert_eq!(scanned.counters.faults.len(), 0, "{kind} {charset}: {:?}", scanned.counters);
            assert_eq!(scanned.counters.lines, 20_000);
            assert_eq!(totals(&scanned), told["minutes"], "{kind} in {charset} on {threads} threads");
        }
    }
}

#[test]
fn prints_rows() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("x.log");
    let lines = "2026-11-20 12:01:00,b,7\n2026-11-20 12:00:00,衣\"服,1.5\n2026-11-20 12:00:30,衣\"服,x\n2026-11-20 \
                 12:00:00,a,x\nnonsense\n";
    std::fs::write(&log, lines).expect("a file");
    let yaml = monitor(
        &[split("goods", 1), split("cost", 2)].join(", "),
        "group_by: [goods]\n  stats: [{ name: n, fn: lines }, { name: s, fn: sum, column: cost }, { name: a, fn: avg, \
         column: cost }, { name: lo, fn: min, column: cost }, { name: hi, fn: max, column: cost }]",
    );
    let path = directory.path().join("monitor.yaml");
    std::fs::write(&path, yaml).expect("a file");
    let print = |output| {
        let args = ScanArgs { monitor: path.clone(), name: None, logs: vec![log.clone()], output, threads: None };
        let mut out = Vec::new();
        run(args, &mut out).expect("rows");
        String::from_utf8(out).expect("UTF-8")
    };
    expect![[r#"
        {"time":"2026-11-20T12:00:00Z","goods":"a","n":1,"s":0,"a":null,"lo":null,"hi":null}
        {"time":"2026-11-20T12:00:00Z","goods":"衣\"服","n":2,"s":1.5,"a":1.5,"lo":1.5,"hi":1.5}
        {"time":"2026-11-20T12:01:00Z","goods":"b","n":1,"s":7,"a":7,"lo":7,"hi":7}
    "#]]
    .assert_eq(&print(ScanOutput::Json));
    expect![[r#"
        time                  goods  n    s    a   lo   hi
        2026-11-20T12:00:00Z  a      1    0    -    -    -
        2026-11-20T12:00:00Z  衣"服  2  1.5  1.5  1.5  1.5
        2026-11-20T12:01:00Z  b      1    7    7    7    7
    "#]]
    .assert_eq(&print(ScanOutput::Table));
    let scanned = figures(&std::fs::read_to_string(&path).expect("a file"), &[log], 1);
    let mut summary = Vec::new();
    print::summary(&scanned, 3, std::time::Duration::from_millis(500), &mut summary);
    let summary = String::from_utf8(summary).expect("UTF-8").replace(&*directory.path().to_string_lossy(), "");
    expect![[r#"
        5 lines, 0.0 MB in 0.500 s (0.0 million lines/s): 3 rows
        time format: normal
        time_unreadable: 1  e.g. /x.log: nonsense
        not_a_number: 2  e.g. /x.log: 2026-11-20 12:00:30,衣"服,x
    "#]]
    .assert_eq(&summary);
}

#[test]
fn warns_of_times_that_an_agent_would_not_count_and_says_what_to_do_of_a_shared_zone() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("x.log");
    let lines = "2026-11-18 12:00:00,a,1\n2026-11-19 12:00:30,a,1\n2026-11-19 12:01:00,a,1\n2026-11-20 12:10:59,a,1\n\
                 2026-11-20 20:00:00,a,1\n2026-11-20 20:00:00 CST,a,1\n";
    std::fs::write(&log, lines).expect("a file");
    let yaml = monitor(&split("k", 1), "group_by: [k]\n  stats: [{ name: n, fn: lines }]");
    let scanned = figures(&yaml, &[log], 1);
    let now = nightjar_model::Timestamp::parse_rfc3339("2026-11-20T12:01:00Z").expect("a time");
    expect![[r#"
        [
            "of the lines counted here 1 lie in the future, up to 2026-11-20T20:00:00Z: an agent does not count those that are more than 10 minutes ahead (time_in_future); are time.format and time.timezone right?",
            "of the lines counted here 2 are more than a day old, from 2026-11-18T12:00:00Z on: an agent does not count such lines (time_too_old)",
        ]
    "#]]
    .assert_debug_eq(&scanned.untimely(now));
    let mut summary = Vec::new();
    print::summary(&scanned, 1, std::time::Duration::from_millis(500), &mut summary);
    let summary = String::from_utf8(summary).expect("UTF-8");
    assert!(summary.contains(" 20:00:00 CST,a,1 (several zones share its zone's abbreviation"), "{summary}");
}

#[test]
fn says_what_it_cannot_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("monitor.yaml");
    let refused = |yaml: &str, logs: &[PathBuf]| {
        std::fs::write(&path, yaml).expect("a file");
        let args = ScanArgs {
            monitor: path.clone(),
            name: None,
            logs: logs.to_vec(),
            output: ScanOutput::Json,
            threads: None,
        };
        format!("{:#}", run(args, &mut Vec::new()).expect_err("refused"))
            .replace(&*directory.path().to_string_lossy(), "")
    };
    let good = generated("trade");
    let missing = directory.path().join("nothing.log");
    expect!["cannot open /nothing.log: No such file or directory (os error 2)"].assert_eq(&refused(&good, &[missing]));
    expect![" is a directory; name the files in it"].assert_eq(&refused(&good, &[directory.path().to_owned()]));
    expect![[r#"
        /monitor.yaml is not valid:
          spec.group_by[0]: there is no column `kye`; columns are: key, cost"#]]
    .assert_eq(&refused(&good.replace("group_by: [key]", "group_by: [kye]"), &[]));
    let contact = "kind: Contact\nmetadata: { name: c }\nspec: {}\n";
    expect!["/monitor.yaml holds no Monitor"].assert_eq(&refused(contact, &[]));
    // Documents of other kinds are passed over; several monitors need a choice.
    let rule = format!("{good}\n---\n{contact}");
    expect![" is a directory; name the files in it"].assert_eq(&refused(&rule, &[directory.path().to_owned()]));
    let two = format!("{good}\n---\n{}", good.replacen("name: ", "name: other-", 1));
    assert!(refused(&two, &[]).contains("several monitors; choose one with --name: "), "{}", refused(&two, &[]));
    expect![[r#"
        /monitor.yaml is not valid:
          document 1: did not find expected node content at line 2 column 1, while parsing a flow node"#]]
    .assert_eq(&refused("a: [", &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_on_many_threads_equal_one_read(
        lines in prop::collection::vec(("[0-3]", "[a-f]{0,2}", "[0-9x]{1,3}"), 0..80),
        chunk_bytes in 1usize..300,
        threads in 1usize..5,
        max_keys in 1usize..8,
    ) {
        let content: String =
            lines.iter().map(|(minute, key, cost)| format!("2026-11-20 12:0{minute}:00,{key},{cost}\n")).collect();
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("x.log");
        std::fs::write(&log, &content).expect("a file");
        let yaml = monitor(
            &[split("key", 1), split("cost", 2)].join(", "),
            &format!("group_by: [key]\n  limits: {{ max_keys: {max_keys} }}\n  stats: [{{ name: s, fn: sum, column: cost }}]"),
        );
        let path = directory.path().join("monitor.yaml");
        std::fs::write(&path, yaml).expect("a file");
        let spec = read_monitor(&path, None).expect("a monitor");
        let compile = || {
            let compiled = Pipeline::compile(MonitorKey::new("", "scan"), &spec, &HostFacts::of_this_machine());
            anyhow::Ok(compiled.expect("a valid monitor").of_any_age())
        };
        let mut one = compile().expect("a pipeline");
        content.lines().for_each(|line| one.feed(line.as_bytes(), false, &log, nightjar_model::Timestamp(0)));
        let reader = chunks::ChunkReader::new(vec![log.clone()], chunk_bytes);
        let (mut many, bytes) = crew::count(reader, compile, threads, nightjar_model::Timestamp(0)).expect("figures");
        prop_assert_eq!(many.drain(), one.drain());
        prop_assert_eq!(bytes, content.len() as u64);
        prop_assert_eq!(&many.counters().faults, &one.counters().faults);
        prop_assert_eq!(many.counters().lines, one.counters().lines);
    }
}

#[test]
fn one_standard_input_is_not_read_for_two() {
    let args =
        ScanArgs { monitor: "-".into(), name: None, logs: vec!["-".into()], output: ScanOutput::Table, threads: None };
    let error = run(args, &mut Vec::new()).expect_err("refused").to_string();
    assert!(error.contains("put one of them into a file"), "{error}");
}

/// Pieces counted on several threads and put together are one Top, its rows in the order of their rank.
#[test]
fn a_top_is_the_same_on_any_number_of_threads() {
    let yaml = monitor(
        &[split("key", 1), split("cost", 2)].join(", "),
        "group_by: [key]\n  stats: [{ name: count, fn: lines }, { name: s, fn: sum, column: cost }]\n  top: { n: 2, by: s }",
    )
    .replace("minute_multi_key", "minute_top");
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("x.log");
    let lines: String = (0..200_000)
        .map(|at| {
            format!("2026-11-20 12:0{}:00,{},{}\n", at / 100_000, if at % 10 == 0 { at / 10 % 3 } else { at }, at % 7)
        })
        .collect();
    std::fs::write(&log, lines).expect("a log");
    let path = directory.path().join("m.yaml");
    std::fs::write(&path, &yaml).expect("a file");
    let print = |threads| {
        let monitor = path.clone();
        let args = ScanArgs {
            monitor,
            name: None,
            logs: vec![log.clone()],
            output: ScanOutput::Json,
            threads: NonZeroUsize::new(threads),
        };
        let mut out = Vec::new();
        run(args, &mut out).expect("rows");
        String::from_utf8(out).expect("UTF-8")
    };
    let one = print(1);
    let rows: Vec<Value> = one.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 4, "{one}");
    for row in &rows {
        let (s, error) = (row["s"].as_f64().expect("a sum"), row["s_error"].as_f64().expect("an error"));
        let key: usize = row["key"].as_str().and_then(|key| key.parse().ok()).expect("a key");
        let minute = row["time"].as_str().and_then(|time| time[15..16].parse::<usize>().ok()).expect("a minute");
        let of_key = |at: &usize| if at.is_multiple_of(10) { at / 10 % 3 == key } else { *at == key };
        let truth: usize = (minute * 100_000..(minute + 1) * 100_000).filter(of_key).map(|at| at % 7).sum();
        assert!((s - error..=s).contains(&(truth as f64)), "{truth}: {row}");
        assert!(error < 200.0 && key < 3, "{row}");
    }
    assert_eq!(print(4), one);
}
