use std::process::{Command, Stdio};

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn told(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("{}: {}\n", p.path, p.message)).collect()
}

fn refused(text: &str, expected: Expect) {
    expected.assert_eq(&told(&parse_documents(text).expect_err("must be refused")));
}

fn one(text: &str) -> Value {
    let mut documents = parse_documents(text).unwrap_or_else(|problems| panic!("{text}: {}", told(&problems)));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

#[test]
fn a_key_twice_is_refused_with_both_lines() {
    let merged = "\
kind: Monitor
spec:
  filter:
    exclude: [ { column: goods, in: [test] } ]
    include: []
    exclude: []
  stats:
    - name: a
      name: b
";
    refused(
        merged,
        expect![[r#"
            spec.filter.exclude: `exclude` is there twice, in line 4 and in line 6: take one of them out
            spec.stats[0].name: `name` is there twice, in line 8 and in line 9: take one of them out
        "#]],
    );
    refused(
        "kind: A\n---\nkind: B\nspec: {}\nspec:\n  x: 1\n",
        expect![[r#"
            documents[1].spec: `spec` is there twice, in line 4 and in line 5: take one of them out
        "#]],
    );
    refused(
        "{\n  \"a\": 1,\n  \"b\": [ { \"c\": 1,\n \"c\": 2 } ],\n  \"\\u0061\": 3\n}",
        expect![[r#"
            b[0].c: `c` is there twice, in line 3 and in line 4: take one of them out
            a: `a` is there twice, in line 2 and in line 5: take one of them out
        "#]],
    );
    refused(
        "{ a: 1, a: 2 }",
        expect![[r#"
            a: `a` is there twice, in line 1 and in line 1: take one of them out
        "#]],
    );
    // However the key is written.
    refused(
        "labels:\n  team: a\n  \"team\": b\n  1: x\n  '1': y\n",
        expect![[r#"
            labels.team: `team` is there twice, in line 2 and in line 3: take one of them out
            labels.1: `1` is there twice, in line 4 and in line 5: take one of them out
        "#]],
    );
    let problems = parse_json(b"{\"a\": {},\n\"a\": {}}").expect_err("must be refused");
    assert_eq!(told(&problems), "a: `a` is there twice, in line 1 and in line 2: take one of them out\n");
}

#[test]
fn the_same_key_in_different_mappings_is_none_twice() {
    let text = "a: { x: 1, y: { x: 2 } }\nb: [ { x: 1 }, { x: 2 } ]\nx: 3\nX: 4\n";
    assert_eq!(one(text), json!({"a": {"x": 1, "y": {"x": 2}}, "b": [{"x": 1}, {"x": 2}], "x": 3, "X": 4}));
}

#[test]
fn anchors_stand_for_what_they_name_and_merges_for_what_is_not_said() {
    let text = "\
base: &base { a: 1, b: 2 }
more: &more { b: 3, c: 4 }
one: { <<: *base, b: 9 }
many: { <<: [ *more, *base ], d: 5 }
same: *base
";
    let value = one(text);
    assert_eq!(value["one"], json!({"b": 9, "a": 1}));
    assert_eq!(value["many"], json!({"d": 5, "b": 3, "c": 4, "a": 1}));
    assert_eq!(value["same"], value["base"]);
    refused(
        "a: &a { x: 1 }\nb:\n  <<: *a\n  <<: *a\n",
        expect![[r#"
            b.<<: `<<` is there twice, in line 3 and in line 4: take one of them out
        "#]],
    );
    // Told once, where it stands, and not for each alias.
    refused(
        "a: &a\n  x: 1\n  x: 2\nb: *a\nc: *a\n",
        expect![[r#"
            a.x: `x` is there twice, in line 2 and in line 3: take one of them out
        "#]],
    );
    refused(
        "a: { <<: 1 }\n",
        expect![[r#"
            document 1: a: `<<` merges a mapping, or a sequence of mappings at line 1 column 4
        "#]],
    );
    let bomb: String = (1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1)).collect();
    assert!(parse_yaml(&format!("a0: &a0 x\n{bomb}")).is_err());
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    for text in [
        "\u{feff}kind: A\n",
        "\u{feff}{\"kind\": \"A\"}",
        "\u{feff}---\nkind: A\n",
        "\u{feff}# x\r\nkind: A\r\n",
        "---\n\u{feff}# x\r\nkind: A\r\n",
    ] {
        assert_eq!(one(text), json!({"kind": "A"}), "{text:?}");
        let kept = text.strip_prefix('\u{feff}').unwrap_or(text);
        assert_eq!(text_of(text.as_bytes()).expect("UTF-8"), kept);
    }
    let together = "\u{feff}kind: A\n---\n\u{feff}kind: B\n\u{feff}---\nkind: C\n";
    assert_eq!(parse_yaml(together).expect("read"), [json!({"kind": "A"}), json!({"kind": "B"}), json!({"kind": "C"})]);
    assert_eq!(parse_json("\u{feff}[1]".as_bytes()).expect("read"), json!([1]));
    // Where it is text, it stays.
    assert_eq!(one("a: x\u{feff}y\n"), json!({"a": "x\u{feff}y"}));
}

#[test]
fn other_encodings_are_refused_with_a_remedy() {
    let wide = |mark: u16, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(mark).chain("kind: A".encode_utf16()).flat_map(order).collect()
    };
    for bytes in [wide(0xfeff, u16::to_le_bytes), wide(0xfeff, u16::to_be_bytes), b"k\0i\0n\0d\0".to_vec()] {
        let problem = text_of(&bytes).expect_err("not UTF-8");
        assert!(problem.message.contains("UTF-16") && problem.message.contains("save it as UTF-8"), "{problem:?}");
        assert!(parse_json(&bytes).is_err());
    }
    let problem = text_of(b"kind: A\nname: \xd2\xc2\n").expect_err("GBK");
    assert_eq!(problem.message, "line 2 is not UTF-8; save the file as UTF-8");
    assert_eq!(text_of(b"").expect("nothing"), "");
    assert_eq!(text_of(b"7").expect("one byte"), "7");
}

#[test]
fn json_is_read_as_json() {
    assert_eq!(one("{\"a\": \"\\ud83d\\ude00\", \"b\":\t1, \"c\": \"1e3\"}"), json!({"a": "😀", "b": 1, "c": "1e3"}));
    assert_eq!(one("{a: 1e3}"), json!({"a": "1e3"}));
    let problems = parse_json(b"{\"a\": 1,\n}").expect_err("malformed");
    assert_eq!(told(&problems), "line 2 column 1: trailing comma\n");
    assert!(parse_json(b"{} {}").is_err());
}

#[test]
fn strings_that_tools_disagree_about_stay_what_they_are() {
    // As PyYAML writes them: to it these are strings.
    assert_eq!(one("a: 1e3\nb: 0o17\nc: [1.5e3, 08]\n"), json!({"a": "1e3", "b": "0o17", "c": ["1.5e3", "08"]}));
    assert_eq!(one("a: 10\nb: 0.5\nc: 1.0e+3\nd: -7\n"), json!({"a": 10, "b": 0.5, "c": 1000.0, "d": -7}));
    assert!(parse_yaml("a: .inf\n").expect_err("no number")[0].message.contains("must be finite"));
}

/// Strings that some tool takes for something else, or that YAML has signs for.
const STRINGS: &[&str] = &[
    "",
    " ",
    "no",
    "No",
    "NO",
    "nO",
    "on",
    "Off",
    "y",
    "N",
    "yes",
    "true",
    "False",
    "null",
    "Null",
    "~",
    "=",
    "<<",
    "<",
    "1",
    "-1",
    "+1",
    "0",
    "017",
    "08",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
    "1e3",
    "1.5e3",
    "1.5e+3",
    ".5",
    "5.",
    "1.",
    "-.5",
    "+.5e-3",
    "12:30:45",
    "1:30",
    "12:30",
    "190:20:30.15",
    "2026-11-20",
    "2026-1-2",
    "2026-11-20 12:00:00",
    "2026-11-20T12:00:00Z",
    "2026-11-20t12:00:00.1+08:00",
    ".inf",
    "-.INF",
    "+.Inf",
    ".nan",
    ".NaN",
    "10.0.0.1",
    "1d",
    "2m",
    "1,2",
    "1,000",
    "12e03",
    "123e456",
    "01:23:45:67:89:01",
    " a",
    "a ",
    "a: b",
    "a:b",
    "a:",
    ":a",
    "a #b",
    "a#b",
    "#a",
    "- a",
    "-a",
    "-",
    "--",
    "---",
    "...",
    "? a",
    "?",
    "!a",
    "&a",
    "*a",
    "*",
    "@a",
    "`a",
    "%a",
    "|",
    ">",
    "[a]",
    "{a}",
    "{{ x }}",
    "'",
    "''",
    "it's",
    "\"",
    "a\"b",
    "\\",
    "\\d+",
    "^\\d{4}-",
    "$host",
    "a, b",
    "a]",
    "a}",
    "衣服",
    "交易: 创建",
    "é",
    "😀",
    "\u{feff}x",
    "x\u{feff}",
    "a\tb",
    "\ta",
    "a\t",
    "a\nb",
    "a\nb\n",
    "a\nb\n\n",
    "\na",
    "\n",
    "a\n",
    " a\nb",
    "a\n b\n  c",
    "a\r\nb",
    "a\rb",
    "a\n\nb",
    "# a\nb",
    "- a\n- b",
    "a: b\nc: d\n",
    "---\na",
    "...\na",
    "a \nb ",
    "a\n\u{2028}b",
    "\u{85}",
    "\u{2028}",
    "\u{a0}",
    "\u{7f}",
    "\u{0}",
    "\u{1b}[31m",
    "\u{9b}",
    "\u{fffe}",
    "\u{10ffff}",
    "GBK",
    "utf-8",
    "/var/log/*.log",
    "a*b",
    "http://x:80/?a=b#c",
];

fn all_strings() -> Value {
    let by_key: Map<String, Value> = STRINGS.iter().map(|text| ((*text).to_owned(), json!(text))).collect();
    let nested = json!([[STRINGS], { "deep": { "list": STRINGS, "more": [ { "a": STRINGS } ] } }]);
    json!({ "list": STRINGS, "by_key": by_key, "nested": nested, "numbers": numbers(), "none": null, "yes": true, "{}": {}, "[]": [[], {}] })
}

fn numbers() -> Value {
    json!([
        0,
        -1,
        1,
        u64::MAX,
        i64::MIN,
        0.1,
        100.0,
        -0.5,
        1e-7,
        1e300,
        1.5e-7,
        1e16,
        1.0e21,
        f64::MAX,
        f64::MIN_POSITIVE
    ])
}

#[test]
fn what_is_written_is_read_back_the_same() {
    let mut value = all_strings();
    // A mapping's own `<<` cannot be told from a merge.
    value["by_key"].as_object_mut().expect("a mapping").shift_remove("<<");
    let text = to_yaml(&value);
    let read = parse_yaml(&text).unwrap_or_else(|problems| panic!("{text}\n{}", told(&problems)));
    assert_eq!(read, [value], "{text}");
}

#[test]
fn is_written_as_a_person_would() {
    let document = json!({
        "kind": "Monitor",
        "metadata": { "name": "m", "labels": { "on": "no", "since": "2026-11-20", "team": "交易" } },
        "spec": {
            "columns": [ { "name": "a", "pick": { "regex": { "pattern": "^(\\d+) ", "group": 1 } } }, "x" ],
            "empty": [], "threshold": 0.5, "time": "12:30:45", "app": "0o17", "every": "1m",
            "text": "{{ rule }}\n  more\n", "tail": "a\n\n",
        },
    });
    expect![[r#"
        kind: Monitor
        metadata:
          name: m
          labels:
            'on': 'no'
            since: '2026-11-20'
            team: 交易
        spec:
          columns:
          - name: a
            pick:
              regex:
                pattern: '^(\d+) '
                group: 1
          - x
          empty: []
          threshold: 0.5
          time: '12:30:45'
          app: '0o17'
          every: 1m
          text: |
            {{ rule }}
              more
          tail: |+
            a

    "#]]
    .assert_eq(&to_yaml(&document));
}

proptest! {
    #[test]
    fn any_tree_is_read_back_the_same(value in trees()) {
        let text = to_yaml(&value);
        let read = parse_yaml(&text).map_err(|problems| TestCaseError::fail(format!("{text}\n{}", told(&problems))))?;
        prop_assert_eq!(read, if value.is_null() { vec![] } else { vec![value] }, "{}", text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[-{}\\[\\]:,&*<a1 \n\"'#|>\u{feff}]{0,40}") {
        let _either = parse_json(&bytes);
        let _either = text_of(&bytes).map(parse_documents);
        let _either = parse_documents(&text);
    }

    #[test]
    fn a_pair_repeated_anywhere_is_found(value in trees(), at: prop::sample::Index) {
        // In JSON, where writing it is simple: the text of a mapping with one of its pairs once more.
        let text = serde_json::to_string(&value).expect("JSON");
        prop_assert!(parse_json(text.as_bytes()).is_ok());
        let Value::Object(fields) = &value else { return Ok(()) };
        prop_assume!(!fields.is_empty());
        let key = fields.keys().nth(at.index(fields.len())).expect("a key");
        let twice = format!("{},{}:0}}", &text[..text.len() - 1], json!(key));
        prop_assert!(parse_json(twice.as_bytes()).is_err(), "{}", twice);
    }
}

fn trees() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        prop::sample::select(STRINGS).prop_map(Value::from),
        "[-+0-9_.:eExob]{1,8}".prop_map(Value::from),
        "[ -~\n\t衣é]{0,20}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let key = prop_oneof![prop::sample::select(STRINGS).prop_map(str::to_owned), "[a-z :#-]{0,9}".prop_map(|s| s)];
    scalar.prop_recursive(4, 40, 5, move |inner| {
        let key = key.clone().prop_filter("a merge", |key| key != "<<");
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Has PyYAML read `text`; its tree as JSON, and the YAML that it writes of it. `None` without PyYAML.
fn through_pyyaml(text: &str) -> Option<(Value, String)> {
    const PROGRAM: &str = "import json, sys, yaml; tree = yaml.safe_load(sys.stdin.buffer.read().decode())
json.dump([tree, yaml.safe_dump(tree)], sys.stdout)";
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let probe = Command::new(python).args(["-c", "import yaml"]).stderr(Stdio::null()).status();
        probe.is_ok_and(|status| status.success())
    })?;
    let mut child = Command::new(python)
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an answer");
    assert!(output.status.success(), "PyYAML refuses:\n{text}");
    let answer: (Value, String) = serde_json::from_slice(&output.stdout).expect("JSON");
    Some(answer)
}

#[test]
fn a_tool_of_yaml_1_1_reads_the_same_and_what_it_writes_is_the_same() {
    let mut value = all_strings();
    value["by_key"].as_object_mut().expect("a mapping").shift_remove("<<");
    let Some((read, written)) = through_pyyaml(&to_yaml(&value)) else {
        eprintln!("skipped: python3 has no PyYAML (python3-yaml)");
        return;
    };
    assert_eq!(first_difference(&read, &value), None);
    let back = parse_yaml(&written).unwrap_or_else(|problems| panic!("{written}\n{}", told(&problems)));
    assert_eq!(first_difference(&back[0], &value), None, "{written}");
}

/// Where two trees differ first, with both values.
fn first_difference(a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Object(left), Value::Object(right)) if left.len() == right.len() => {
            left.iter().find_map(|(key, value)| match right.get(key) {
                Some(other) => first_difference(value, other),
                None => Some(format!("{key:?} is not in both")),
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            left.iter().zip(right).find_map(|(a, b)| first_difference(a, b))
        }
        _ => (a != b).then(|| format!("{a:?} and {b:?}")),
    }
}
