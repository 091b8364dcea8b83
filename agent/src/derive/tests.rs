use super::*;

/// What the best suggestion for `word` (its `nth` occurrence, from 0) in the first line is, and what
/// it yields on the other lines.
fn check(lines: &[&str], word: &str, nth: usize, pick: &str, yields: &[Option<&str>]) {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let (at, _) = lines[0].match_indices(word).nth(nth).expect("the word is in the line");
    let from = lines[0][..at].chars().count();
    let selection = Selection { line: 0, from, to: from + word.chars().count() };
    let suggestions = derive(&lines, &selection).expect("suggestions");
    for suggestion in &suggestions {
        assert_eq!(suggestion.yields[0].as_deref(), Some(word), "{suggestion:?}");
    }
    let best = suggestions.first().expect("at least one");
    assert_eq!(serde_json::to_string(&best.pick).expect("JSON"), pick, "{suggestions:#?}");
    let others: Vec<Option<&str>> = best.yields[1..].iter().map(Option::as_deref).collect();
    assert_eq!(others, yields);
    assert_eq!(best.distinct, best.yields.iter().flatten().collect::<BTreeSet<_>>().len());
}

#[test]
fn a_field_of_a_trade_line() {
    let lines = [
        "2026-11-20 12:00:00.123,2950211004,衣服,交易,创建,7,Y,",
        "2026-11-20 12:00:00.200,2950211005,g012,交易,创建,15,N,",
        "2026-11-20 12:00:00.201,2950211006,7,交易,创建,0,Y,",
    ];
    check(&lines, "衣服", 0, r#"{"split":{"by":",","index":2}}"#, &[Some("g012"), Some("7")]);
    check(&lines, "7", 0, r#"{"split":{"by":",","index":5}}"#, &[Some("15"), Some("0")]);
    check(&lines, "Y", 0, r#"{"split":{"by":",","index":6}}"#, &[Some("N"), Some("Y")]);
    check(
        &lines,
        "2026-11-20 12:00:00.123",
        0,
        r#"{"split":{"by":",","index":0}}"#,
        &[Some("2026-11-20 12:00:00.200"), Some("2026-11-20 12:00:00.201")],
    );
}

#[test]
fn a_number_with_a_unit_and_a_sign() {
    let lines = [
        "2026-11-20 12:00:00,粤A12345,广州北收费站,G25,广州,￥50,2340ms,Y",
        "2026-11-20 12:00:01,粤A00001,东莞收费站,G26,广州,￥50,12ms,N",
    ];
    check(&lines, "2340", 0, r#"{"between":{"left":",","right":"ms,","nth":6}}"#, &[Some("12")]);
    check(&lines, "50", 0, r#"{"between":{"left":",￥","right":",","nth":1}}"#, &[Some("50")]);
    check(&lines, "广州北收费站", 0, r#"{"split":{"by":",","index":2}}"#, &[Some("东莞收费站")]);
    check(&lines, "Y", 0, r#"{"split":{"by":",","index":7}}"#, &[Some("N")]);
}

#[test]
fn a_method_of_an_rpc_line() {
    let lines = [
        "2026-11-20 12:00:00.000,client1,trade,com.example.trade.TradeFacade3:1.0,method2,3,42,Y,F,GZ00A",
        "2026-11-20 12:00:00.000,client0,trade,com.example.trade.TradeFacade0:1.0,method4,9,90,N,F,GZ00B",
    ];
    check(&lines, "method2", 0, r#"{"split":{"by":",","index":4}}"#, &[Some("method4")]);
    check(
        &lines,
        "com.example.trade.TradeFacade3:1.0",
        0,
        r#"{"split":{"by":",","index":3}}"#,
        &[Some("com.example.trade.TradeFacade0:1.0")],
    );
    check(&lines, "GZ00A", 0, r#"{"split":{"by":",","index":9}}"#, &[Some("GZ00B")]);
}

#[test]
fn a_value_of_a_json_line() {
    let lines = [
        r#"{"ts":"2026-11-20T12:00:00Z","req":{"path":"/pay","status":200},"tags":["a","b"]}"#,
        r#"{"tags":["c"],"req":{"status":500,"path":"/x\"y"},"ts":"2026-11-20T12:00:01Z"}"#,
    ];
    check(&lines, "200", 0, r#"{"json":{"pointer":"/req/status"}}"#, &[Some("500")]);
    check(&lines, "/pay", 0, r#"{"json":{"pointer":"/req/path"}}"#, &[Some("/x\"y")]);
    check(&lines, "a", 4, r#"{"json":{"pointer":"/tags/0"}}"#, &[Some("c")]);
}

#[test]
fn a_value_by_its_name() {
    let lines = [
        "2026-11-20 12:00:00 INFO pay user=u1 cost=12 result=ok",
        "2026-11-20 12:00:01 INFO pay cost=7 retry=1 user=u2 result=fail",
        "2026-11-20 12:00:02 INFO pay user=u3 result=ok extra cost=900",
    ];
    check(&lines, "12", 1, r#"{"regex":{"pattern":"\\bcost=([^\\s,;&]+)","group":1}}"#, &[Some("7"), Some("900")]);
    check(&lines, "ok", 0, r#"{"regex":{"pattern":"\\bresult=([^\\s,;&]+)","group":1}}"#, &[Some("fail"), Some("ok")]);
    let quoted = [r#"2026-11-20 12:00:00 name="a b" took=5ms"#, r#"2026-11-20 12:00:00 took=77ms name="c""#];
    check(&quoted, "a b", 0, r#"{"regex":{"pattern":"\\bname=\"([^\"]*)","group":1}}"#, &[Some("c")]);
    check(&quoted, "5", 0, r#"{"regex":{"pattern":"\\btook=(-?[0-9]+(?:\\.[0-9]+)?)","group":1}}"#, &[Some("77")]);
}

#[test]
fn a_field_of_an_access_log() {
    let lines = [
        r#"10.0.0.1 - - [08/May/2017:01:13:52 +0800] "GET /a/b HTTP/1.1" 200 1234 "-" "curl/8.0""#,
        r#"10.0.0.2 - bob [08/May/2017:01:13:53 +0800] "POST /c HTTP/1.1" 502 0 "http://x/" "Mozilla/5.0 (X11)""#,
    ];
    check(&lines, "200", 0, r#"{"split":{"by":" ","index":8}}"#, &[Some("502")]);
    check(&lines, "/a/b", 0, r#"{"split":{"by":" ","index":6}}"#, &[Some("/c")]);
    check(&lines, "10.0.0.1", 0, r#"{"split":{"by":" ","index":0}}"#, &[Some("10.0.0.2")]);
    check(&lines, "GET", 0, r#"{"between":{"left":"] \"","right":" ","nth":1}}"#, &[Some("POST")]);
}

#[test]
fn stack_traces_do_not_count_against_a_pick() {
    let lines = [
        "2026-11-20 12:00:00 ERROR [biz-1] c.e.Handler - failed order=17 java.io.IOException: refused",
        "\tat com.example.Service3.call(Service.java:3)",
        "2026-11-20 12:00:01 ERROR [biz-22] c.e.Handler - failed order=18 java.lang.Error: refused",
    ];
    check(&lines, "biz-1", 0, r#"{"between":{"left":" [","right":"]","nth":1}}"#, &[None, Some("biz-22")]);
}

#[test]
fn a_selection_outside_the_lines_is_refused() {
    let lines = ["衣服,1".to_owned()];
    for (line, from, to) in [(1, 0, 1), (0, 0, 0), (0, 3, 2), (0, 0, 5)] {
        assert!(derive(&lines, &Selection { line, from, to }).is_err(), "{line} {from} {to}");
    }
    assert_eq!(
        derive(&lines, &Selection { line: 0, from: 0, to: 2 }).expect("picks")[0].yields,
        [Some("衣服".to_owned(),)]
    );
}

proptest::proptest! {
    #[test]
    fn every_suggestion_yields_the_selection(
        lines in proptest::collection::vec("[a-z0-9=:,;| \"{}衣]{1,30}", 1..4),
        from in 0usize..30,
        length in 1usize..10,
    ) {
        let count = lines[0].chars().count();
        let (from, to) = (from.min(count - 1), (from + length).min(count));
        if from < to {
            let word: String = lines[0].chars().skip(from).take(to - from).collect();
            for suggestion in derive(&lines, &Selection { line: 0, from, to }).expect("suggestions") {
                proptest::prop_assert_eq!(suggestion.yields[0].as_deref(), Some(word.as_str()));
            }
        }
    }
}
