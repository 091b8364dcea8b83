use expect_test::{Expect, expect};
use nightjar_model::delta::FaultReason;
use nightjar_model::names::stored_key;
use nightjar_model::protocol::MAX_KEY_BYTES;
use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-20T04:05:00Z";

fn spec(yaml: &str) -> MonitorSpec {
    let value = nightjar_model::syntax::parse_yaml(yaml).expect("YAML").remove(0);
    serde_json::from_value(value).expect("a monitor")
}

fn host() -> HostFacts {
    let labels = [("app", "trade"), ("idc", "hz-a")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    HostFacts {
        labels: labels.into(),
        hostname: "web-1".into(),
        ip: "10.0.0.1".into(),
        zone: HostZone::named("Asia/Shanghai"),
    }
}

fn compile(yaml: &str) -> Pipeline {
    Pipeline::compile(MonitorKey::new("default", "m"), &spec(yaml), &host()).expect("a valid monitor")
}

fn now() -> Timestamp {
    Timestamp::parse_rfc3339(NOW).expect("a time")
}

fn feed(pipeline: &mut Pipeline, lines: &[&[u8]]) {
    lines.iter().for_each(|line| pipeline.feed(line, false, Path::new("/x.log"), now()));
}

fn shown(pipeline: &mut Pipeline) -> String {
    let mut text = String::new();
    for window in pipeline.drain().into_iter().flat_map(|delta| delta.windows) {
        let keys = window.keys.join("/");
        text.push_str(&format!("{} {keys} lines={}", window.start, window.partials[0].count()));
        for partial in &window.partials[1..] {
            let number = partial.as_number().unwrap();
            match number.count {
                0 => text.push_str(" none"),
                count => text.push_str(&format!(" {count}:{}..{}={}", number.min, number.max, number.sum)),
            }
        }
        text.push('\n');
    }
    for (reason, count) in pipeline.drain_faults() {
        text.push_str(&format!("{} {count}\n", reason.name()));
    }
    text
}

fn check(yaml: &str, lines: &[&[u8]], expected: &Expect) {
    let mut pipeline = compile(yaml);
    feed(&mut pipeline, lines);
    let fed = shown(&mut pipeline);
    expected.assert_eq(&fed);
    let mut block = compile(yaml);
    let joined: Vec<u8> = lines.iter().flat_map(|line| [*line, b"\n"].concat()).collect();
    block.feed_block(&joined, Path::new("/x.log"), now());
    assert_eq!(shown(&mut block), fed, "as a block");
    assert_eq!(block.counters(), pipeline.counters());
    assert_eq!(block.take_last_event_time(), pipeline.take_last_event_time());
}

const TRADE: &str = r#"
    type: minute_multi_key
    source: { log: { paths: [{ path: /x.log }] } }
    columns:
      - { name: goods, pick: { split: { by: ",", index: 2 } } }
      - { name: cost, pick: { split: { by: ",", index: 5 } } }
      - { name: result, pick: { split: { by: ",", index: 6 } } }
    group_by: [goods]
    stats: [{ name: count, fn: lines }, { name: cost_sum, fn: sum, column: cost }]
"#;

#[test]
fn counts_by_minute_and_key() {
    check(
        TRADE,
        &[
            "2026-11-20 12:00:00.123,1,衣服,交易,创建,7,Y,".as_bytes(),
            "2026-11-20 12:00:59.999,2,衣服,交易,创建,2.5,Y,\r".as_bytes(),
            "2026-11-20 12:01:00.000,3,衣服,交易,创建,-1,N,".as_bytes(),
            b"2026-11-20 12:00:01,4,g1,a,b,12345678901234567890,Y,",
        ],
        &expect![[r#"
            2026-11-20T04:00:00Z 衣服 lines=2 2:2.5..7=9.5
            2026-11-20T04:00:00Z g1 lines=1 1:12345678901234567890..12345678901234567890=12345678901234567890
            2026-11-20T04:01:00Z 衣服 lines=1 1:-1..-1=-1
        "#]],
    );
}

#[test]
fn counts_what_is_wrong_by_reason() {
    let (gbk, ..) = encoding_rs::GBK.encode("2026-11-20 12:00:00,1,衣服,x,x,1,Y,");
    check(
        TRADE,
        &[
            b"no time",
            b"",
            b"2026-11-20 12:00:00,1,only two",
            b"2026-11-20 12:00:00,1,k,x,x,7ms,Y,",
            b"2026-11-20 12:00:00,1,k,x",
            b"2026-11-20 12:00:00,1,k,x,x,,Y,",
            b"2026-11-20 12:00:00,1,k\0k,x,x,1,Y,",
            b"2026-11-20 12:00:00,1,\xff\xfe,x,x,1,Y,",
            &gbk,
            b"2026-11-20 12:15:01,1,k,x,x,1,Y,",
            b"2026-11-20 12:15:00,1,k,x,x,1,Y,",
            b"2026-11-19 12:04:59,1,k,x,x,1,Y,",
            b"2026-11-19 12:05:00,1,k,x,x,1,Y,",
        ],
        &expect![[r#"
            2026-11-19T04:05:00Z k lines=1 1:1..1=1
            2026-11-20T04:00:00Z only two lines=1 none
            2026-11-20T04:00:00Z k lines=3 none
            2026-11-20T04:00:00Z kk lines=1 1:1..1=1
            2026-11-20T04:00:00Z �� lines=1 1:1..1=1
            2026-11-20T04:00:00Z 衣服 lines=1 1:1..1=1
            2026-11-20T04:15:00Z k lines=1 1:1..1=1
            time_unreadable 2
            time_in_future 1
            time_too_old 1
            not_a_number 4
            invalid_encoding 1
            nul_bytes 1
        "#]],
    );
}

#[test]
fn filters_before_it_counts() {
    let filtered = format!(
        "{TRADE}\n    filter: {{ include: [{{ column: result, in: [Y, N] }}, {{ column: goods, in: [a, b, 衣服] }}], \
         exclude: [{{ column: goods, in: [b] }}] }}"
    );
    check(
        &filtered,
        &[
            b"2026-11-20 12:00:00,1,a,x,x,1,Y,",
            b"2026-11-20 12:00:00,1,a,x,x,1,N,",
            b"2026-11-20 12:00:00,1,a,x,x,1,?,",
            b"2026-11-20 12:00:00,1,b,x,x,1,Y,",
            b"2026-11-20 12:00:00,1,c,x,x,1,Y,",
            "2026-11-20 12:00:00,1,衣服,x,x,1,Y,".as_bytes(),
            b"2026-11-20 12:00:00,1,a",
            b"\tat com.example.Main",
        ],
        &expect![[r#"
            2026-11-20T04:00:00Z a lines=2 2:1..1=2
            2026-11-20T04:00:00Z 衣服 lines=1 1:1..1=1
            time_unreadable 1
            column_missing 1
        "#]],
    );
}

#[test]
fn groups_by_several_columns_and_dimensions() {
    let grouped = TRADE.replace("[goods]", "[$host, goods, $app, result, $idc, $env, $ip]");
    check(
        &format!("{grouped}\n    limits: {{ max_keys: 2 }}"),
        &[
            b"2026-11-20 12:00:00,1,a,x,x,1,Y,",
            b"2026-11-20 12:00:00,1,,x,x,1,Y,",
            b"2026-11-20 12:00:00,1,b,x,x,1,Y,",
            b"2026-11-20 12:00:00,1,c,x,x,5,N,",
            b"2026-11-20 12:00:00,1,a,x,x,1,Y,",
            b"2026-11-20 12:00:00,1,a,x",
        ],
        &expect![[r#"
            2026-11-20T04:00:00Z web-1/a/trade/Y/hz-a//10.0.0.1 lines=2 2:1..1=2
            2026-11-20T04:00:00Z web-1//trade/Y/hz-a//10.0.0.1 lines=1 1:1..1=1
            2026-11-20T04:00:00Z web-1/(other)/trade/(other)/hz-a//10.0.0.1 lines=2 2:1..5=6
            column_missing 1
            key_over_limit 2
        "#]],
    );
    let only_dimension = TRADE.replace("[goods]", "[$host]");
    check(
        &only_dimension,
        &[b"2026-11-20 12:00:00,1,a,x,x,1,Y,"],
        &expect![[r#"
        2026-11-20T04:00:00Z web-1 lines=1 1:1..1=1
    "#]],
    );
}

#[test]
fn the_time_may_stand_in_a_column() {
    check(
        r#"
            type: minute
            source: { log: { paths: [{ path: /x.log }], time: { column: at, timezone: UTC } } }
            columns: [{ name: at, pick: { json: { pointer: /at } } }]
        "#,
        &[
            br#"{"seen":"2020-01-01 00:00:00","at":"2026-11-20 04:00:00"}"#,
            br#"{"at":"2026-11-20T12:00:00+08:00"}"#,
            br#"{"at":17}"#,
        ],
        &expect![[r#"
            2026-11-20T04:00:00Z  lines=2
            time_unreadable 1
        "#]],
    );
}

#[test]
fn long_keys_and_lines_are_cut() {
    let mut pipeline = compile(TRADE);
    let key = "衣".repeat(100);
    let line = format!("2026-11-20 12:00:00,1,{key},x,x,1,Y,{}", "z".repeat(10 << 20));
    feed(&mut pipeline, &[line.as_bytes()]);
    pipeline.feed(b"2026-11-20 12:00:00,1,k,x,x,1,Y", true, Path::new("/x.log"), now());
    let delta = pipeline.drain().expect("figures");
    assert_eq!(delta.windows[0].keys, [stored_key(&key)]);
    assert!(delta.windows[0].keys[0].starts_with(&"衣".repeat(MAX_KEY_BYTES / 4)));
    assert_eq!(pipeline.drain_faults(), [(FaultReason::LineTooLong, 2)]);
    let example = &pipeline.counters().examples[&FaultReason::LineTooLong];
    assert!(example.starts_with("/x.log: 2026-11-20") && example.len() <= 200, "{example}");
}

#[test]
fn keys_that_begin_alike_stay_apart() {
    let long = "a".repeat(MAX_KEY_BYTES);
    let line = |key: &str| format!("2026-11-20 12:00:00,1,{key},x,x,1,Y,").into_bytes();
    for (yaml, columns) in [(TRADE.to_owned(), 1), (TRADE.replace("group_by: [goods]", "group_by: [goods, result]"), 2)]
    {
        let mut pipeline = compile(&yaml);
        let keys = [long.clone(), format!("{long}1"), format!("{long}2"), format!("{long}衣"), format!("{long}1")];
        let lines: Vec<Vec<u8>> = keys.iter().map(|key| line(key)).collect();
        feed(&mut pipeline, &lines.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let delta = pipeline.drain().expect("figures");
        let counts: Vec<(&str, u64)> =
            delta.windows.iter().map(|w| (w.keys[0].as_str(), w.partials[0].count())).collect();
        let stored: Vec<String> = keys[..4].iter().map(|key| stored_key(key).into_owned()).collect();
        let expected: Vec<(&str, u64)> = stored.iter().map(String::as_str).zip([1, 2, 1, 1]).collect();
        assert_eq!((counts, delta.windows[0].keys.len()), (expected, columns));
    }
}

#[test]
fn partials_are_drained_once() {
    let mut pipeline = compile(TRADE);
    assert_eq!(pipeline.drain(), None);
    feed(&mut pipeline, &[b"2026-11-20 12:00:00,1,a,x,x,1,Y,"]);
    assert_eq!((pipeline.pending_keys(), pipeline.counters().lines), (1, 1));
    assert_eq!(pipeline.take_last_event_time(), Timestamp::parse_rfc3339("2026-11-20T04:00:00Z"));
    let delta = pipeline.drain().expect("figures");
    assert_eq!((delta.fields.join(","), delta.group_by.join(",")), ("*,cost".into(), "goods".into()));
    assert_eq!((pipeline.drain(), pipeline.pending_keys()), (None, 0));
}

#[test]
fn a_time_from_the_future_moves_nothing() {
    let mut pipeline = compile(TRADE);
    feed(&mut pipeline, &[b"2027-11-20 12:00:00,1,a,x,x,1,Y,"]);
    assert_eq!(pipeline.take_last_event_time(), None);
}

#[test]
fn says_all_that_is_wrong_with_a_monitor() {
    let wrong = spec(&TRADE.replace("index: 5", "index: 5000").replace("[goods]", "[nothing]"));
    let problems = Pipeline::compile(MonitorKey::new("default", "m"), &wrong, &host()).expect_err("problems");
    let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["spec.columns[1].pick.split.index", "spec.group_by[0]"]);
    let wrong = spec(&TRADE.replace("[{ path: /x.log }]", "[{ path: /x.log }], charset: klingon"));
    let problems = Pipeline::compile(MonitorKey::new("default", "m"), &wrong, &host()).expect_err("problems");
    assert_eq!(problems[0].path, "spec.source.log.charset");
}

/// Every kind of pick, filter and group at once.
const EVERYTHING: &str = r#"
    type: minute_multi_key
    source: { log: { paths: [{ path: /x.log }] } }
    columns:
      - { name: a, pick: { split: { by: ",", index: 1 } } }
      - { name: b, pick: { between: { left: "=", right: "", nth: 1 } } }
      - { name: c, pick: { regex: { pattern: '(\w*?)[0-9]', group: 1 } } }
      - { name: d, pick: { json: { pointer: /a/0 } } }
      - { name: e, pick: { split: { by: "，", index: 0 } } }
      - { name: f, pick: { regex: { pattern: '' , group: 0 } } }
    filter: { exclude: [{ column: e, in: [never written] }] }
    group_by: [c, e, f]
    stats: [{ name: s, fn: sum, column: a }, { name: m, fn: max, column: b }, { name: n, fn: min, column: d }]
"#;

/// Lines that come far more often than random bytes do.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"2026-11-20 12:00:00".to_vec()),
        Just(b"2026-11-20T04:03:09.5Z".to_vec()),
        Just("衣，".as_bytes().to_vec()),
        Just(b"{\"a\":[".to_vec()),
        Just(b",".to_vec()),
        Just(b"=12".to_vec()),
        Just(b"\0".to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_bytes_break_it_and_every_line_is_accounted_for(
        lines in prop::collection::vec(line(), 0..20),
        cut: bool,
        charset in prop::sample::select(vec!["auto", "utf-8", "gbk", "shift_jis"]),
    ) {
        let yaml = EVERYTHING.replace("}] } }", &format!("}}], charset: {charset} }} }}"));
        let mut pipeline = compile(&yaml);
        lines.iter().for_each(|line| pipeline.feed(line, cut, Path::new("/x.log"), now()));
        prop_assert_eq!(pipeline.counters().lines, lines.len() as u64);
        let pending = pipeline.pending_keys();
        let windows = pipeline.drain().map_or_else(Vec::new, |delta| delta.windows);
        prop_assert_eq!(windows.len(), pending);
        let counted: u64 = windows.iter().map(|window| window.partials[0].count()).sum();
        let faults = &pipeline.counters().faults;
        let dropping = [
            FaultReason::TimeUnreadable,
            FaultReason::ColumnMissing,
            FaultReason::TimeInFuture,
            FaultReason::TimeTooOld,
        ];
        let dropped: u64 = dropping.iter().filter_map(|reason| faults.get(reason)).sum();
        prop_assert_eq!(counted + dropped, lines.len() as u64);
        prop_assert!(windows.iter().flat_map(|w| &w.keys).all(|key| key.len() <= MAX_KEY_BYTES));
    }

    #[test]
    fn a_block_is_its_lines(lines in prop::collection::vec(line(), 0..20)) {
        let joined: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect();
        let mut one = compile(EVERYTHING);
        joined.split_inclusive(|b| *b == b'\n').for_each(|line| {
            one.feed(line.strip_suffix(b"\n").unwrap_or(line), false, Path::new("/x.log"), now());
        });
        let mut block = compile(EVERYTHING);
        block.feed_block(&joined, Path::new("/x.log"), now());
        prop_assert_eq!(block.drain(), one.drain());
        prop_assert_eq!(block.counters(), one.counters());
    }
}
