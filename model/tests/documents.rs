//! What documents are accepted, and what is said of those that are not: whole documents in, problems out.

use expect_test::{Expect, expect};
use nightjar_model::kinds::Spec;
use nightjar_model::syntax::parse_yaml;
use nightjar_model::{Kind, Problems, Resource};

fn parse(yaml: &str) -> Result<Resource, String> {
    let documents = parse_yaml(yaml).expect("valid YAML");
    Resource::from_value(&documents[0], Some("default"))
        .map_err(|problems| problems.iter().map(|p| format!("{}: {}\n", p.path, p.message)).collect())
}

fn refused(yaml: &str, expected: Expect) {
    expected.assert_eq(&parse(yaml).expect_err("must be refused"));
}

const MONITOR: &str = r#"
kind: Monitor
metadata: { name: trade-create, folder: /trade/ }
spec:
  type: minute_multi_key
  source: { log: { paths: [ { path: /logs/trade.log } ] } }
  columns:
    - { name: goods, pick: { split: { by: ",", index: 2 } } }
    - { name: cost, pick: { split: { by: ",", index: 5 } }, number: true }
  group_by: [ goods, $idc ]
  stats: [ { name: count, fn: lines }, { name: cost_avg, fn: avg, column: cost }, { name: cost_max, fn: max, column: cost } ]
"#;

#[test]
fn a_monitor_is_read_and_shown_again() {
    let monitor = parse(MONITOR).expect("valid");
    assert_eq!(monitor.metadata.folder, "trade");
    assert_eq!(monitor.spec.as_monitor().map(|m| m.fields()), Some(vec!["*".to_owned(), "cost".to_owned()]));
    let shown = monitor.to_value();
    assert_eq!(Resource::from_value(&shown, None).expect("what is shown can be sent back"), monitor);
}

#[test]
fn a_monitor_names_every_problem() {
    refused(
        r#"
kind: Monitor
metadata: { name: Trade_Create, workspace: other, folder: "a//b", colour: red }
spec:
  type: minute
  source:
    log:
      paths: [ { path: trade.log }, { glob: /a/../b } ]
      time: { column: when, timezone: Mars/Base }
  columns:
    - { name: 1st, pick: { split: { by: "", index: 5000 } } }
    - { name: a, pick: { regex: { pattern: "(a" } } }
    - { name: a, pick: { regex: { pattern: "(a)", group: 2 } } }
    - { name: b, pick: { between: {} } }
    - { name: time, pick: { json: { pointer: x } } }
  filter: { include: [ { column: nope, in: [] } ] }
  group_by: [ a, a, $moon, nope ]
  stats: [ { name: a, fn: lines, column: b }, { name: x, fn: avg }, { name: x, fn: sum, column: nope } ]
  limits: { max_keys: 0 }
"#,
        expect![[r#"
            metadata.colour: unknown field `colour`, expected one of `name`, `workspace`, `displayName`, `folder`, `labels`, `uid`, `version`, `createdAt`, `createdBy`, `updatedAt`, `updatedBy`
            metadata.name: may hold only a-z, 0-9 and `-`, and must start and end with a letter or digit
            metadata.workspace: is `other`, but the document was sent to `default`
            metadata.folder: has an empty part, or one that starts or ends with a space
            spec.source.log.paths[0]: must be absolute: write the whole path, beginning with `/`
            spec.source.log.paths[1]: must not hold `..` or NUL
            spec.source.log.time.timezone: `Mars/Base` is not an IANA time zone such as Asia/Shanghai
            spec.columns[0].name: must be a letter or `_`, then letters, digits and `_`
            spec.columns[0].pick.split.by: must not be empty
            spec.columns[0].pick.split.index: must be at most 1000
            spec.columns[1].pick.regex.pattern: is not a regular expression: unclosed group
            spec.columns[2].name: `a` is there twice
            spec.columns[2].pick.regex.group: there is no group 2; the pattern has 1
            spec.columns[3].pick.between: needs `left`, `right` or both
            spec.columns[4].name: `time` is a column of every table
            spec.columns[4].pick.json.pointer: must start with `/`, e.g. /request/status
            spec.source.log.time.column: there is no column `when`; columns are: 1st, a, a, b, time
            spec.filter.include[0].column: there is no column `nope`; columns are: 1st, a, a, b, time
            spec.filter.include[0].in: needs at least one value
            spec.group_by: type `minute` has one figure a minute; use `minute_multi_key` to group
            spec.group_by[1]: `a` is there twice
            spec.group_by[2]: unknown dimension `$moon`; known are $app, $idc, $ldc, $host, $ip, $env
            spec.group_by[3]: there is no column `nope`; columns are: 1st, a, a, b, time
            spec.stats[0].name: `a` is already a column of the table
            spec.stats[0].column: `lines` counts lines and takes no column
            spec.stats[1].column: is required: which column to take it of
            spec.stats[2].name: `x` is there twice
            spec.stats[2].column: there is no column `nope`; columns are: 1st, a, a, b, time
            spec.limits.max_keys: must be from 1 to 100000
        "#]],
    );
}

#[test]
fn a_rule_names_every_problem() {
    refused(
        r#"
kind: AlertRule
metadata: { name: slow }
spec:
  monitor: trade-create
  every: 90s
  where: { goods: { any: false }, idc: { in: [] } }
  active: [ { from: "25:00", to: "7", timezone: Nowhere, days: [monday] } ]
  conditions: []
  for: { times: 3, of: 2 }
  max_wait: 2h
"#,
        expect![[r#"
            spec.active[0].days[0]: unknown variant `monday`, expected one of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`
            spec.every: must be whole minutes, from 1m to 1d
            spec.max_wait: must be at most 1h
            spec.for: needs 1 <= times <= of <= 60
            spec.where.goods.any: can only be true; leave the column out to merge its keys
            spec.active[0].from: `25:00` is not a time of day such as 09:00
            spec.active[0].to: `7` is not a time of day such as 21:00
            spec.active[0].timezone: is not an IANA time zone such as Asia/Shanghai
        "#]],
    );
    refused(
        r#"
kind: AlertRule
metadata: { name: slow }
spec: { conditions: [ { take: { avg: 5 }, threshold: high }, { field: x, op: "~", threshold: 1 } ] }
"#,
        expect![[r#"
            spec.conditions[0].take.avg: invalid type: integer `5`, expected a length of time such as 30s, 5m, 2h or 7d
            spec.conditions[0].threshold: invalid type: string "high", expected f64
            spec.conditions[0].field: is required
            spec.conditions[0].op: is required
            spec.conditions[1].op: unknown variant `~`, expected one of `>`, `>=`, `<`, `<=`, `==`, `!=`
            spec.monitor: is required
        "#]],
    );
}

#[test]
fn a_rule_whose_text_would_fail_is_refused() {
    refused(
        r#"
kind: AlertRule
metadata: { name: slow }
spec:
  monitor: trade-create
  conditions: [ { field: count, op: ">", threshold: 1 } ]
  message:
    text: |
      {{ keys.goods }} is slow:
      {{ values.cost_avg|rounded }} ms
"#,
        expect![[r#"
            spec.message.text: line 2, column 20: there is no filter `rounded`; known are abs, capitalize, count, d, default, first, float, int, items, last, length, lower, round, title, trim, upper
        "#]],
    );
}

#[test]
fn a_rule_is_checked_against_its_monitor() {
    let monitor = parse(MONITOR).expect("valid").spec;
    let rule = parse(
        r#"
kind: AlertRule
metadata: { name: slow }
spec:
  monitor: trade-create
  where: { method: { any: true } }
  conditions: [ { field: latency, op: ">", threshold: 1 } ]
"#,
    )
    .expect("valid in itself");
    let lookup = |kind: Kind, name: &str| -> Option<Spec> {
        (kind == Kind::Monitor && name == "trade-create").then(|| monitor.clone())
    };
    let mut problems = Problems::new();
    rule.spec.validate_with(&lookup, &mut problems);
    let found: String = problems.into_vec().iter().map(|p| format!("{}: {}\n", p.path, p.message)).collect();
    expect![[r#"
        spec.conditions[0].field: monitor `trade-create` has no statistic `latency`; it has count, cost_avg, cost_max
        spec.where.method: monitor `trade-create` does not group by it; it groups by goods, $idc
    "#]]
    .assert_eq(&found);
}

#[test]
fn a_rule_takes_what_makes_sense_of_its_monitor() {
    let told = |kind: &str, conditions: &str| {
        let monitor = format!(
            "{{ kind: Monitor, metadata: {{ name: m }}, spec: {{ type: {kind}, source: {{ log: {{ paths: [ {{ path: /x }} ] }} }}, \
             columns: [ {{ name: cost, pick: {{ split: {{ by: ',', index: 1 }} }} }} ], \
             stats: [ {{ name: count, fn: lines }}, {{ name: cost_avg, fn: avg, column: cost }} ] }} }}"
        );
        let monitor = parse(&monitor).expect("a monitor").spec;
        let rule = format!("{{ kind: AlertRule, metadata: {{ name: r }}, spec: {{ monitor: m, {conditions} }} }}");
        let mut problems = Problems::new();
        parse(&rule).expect("valid in itself").spec.validate_with(&|_, _| Some(monitor.clone()), &mut problems);
        problems.into_vec().iter().map(|p| format!("{}: {}\n", p.path, p.message)).collect::<String>()
    };
    let now = "conditions: [ { field: count, op: '<', threshold: 5 } ]";
    let recovering = "conditions: [ { field: count, take: { max: 1m }, op: '<', threshold: 5 } ], \
                      recover: { conditions: [ { field: count, take: { now: {} }, op: '>', threshold: 5 } ] }";
    expect![[r#"
        spec.conditions[0].take: monitor `m` counts by the second, and `now` is the last second of a minute alone: write `take: { max: 1m }` for the highest second of each minute, or `sum`, `avg` or `min`
        spec.recover.conditions[0].take: monitor `m` counts by the second, and `now` is the last second of a minute alone: write `take: { max: 1m }` for the highest second of each minute, or `sum`, `avg` or `min`
    "#]]
    .assert_eq(&(told("second", now) + &told("second", recovering)));
    assert_eq!(told("minute", now) + &told("minute", recovering), "");
    let sum = "conditions: [ { field: cost_avg, take: { sum: 5m }, op: '>', threshold: 5 } ]";
    expect![[r#"
        spec.conditions[0].take.sum: `cost_avg` is an average, and a sum of averages says nothing: write `take: { avg: 5m }`, the average of all lines
    "#]]
    .assert_eq(&told("minute", sum));
    assert_eq!(told("minute", &sum.replace("cost_avg", "count")), "");
}

#[test]
fn a_rule_may_judge_what_every_workspace_has() {
    let told = |spec: &str| {
        let rule =
            parse(&format!("{{ kind: AlertRule, metadata: {{ name: r }}, spec: {spec} }}")).expect("valid in itself");
        let mut problems = Problems::new();
        rule.spec.validate_with(&|_, _| None, &mut problems);
        problems.into_vec().iter().map(|p| format!("{}: {}\n", p.path, p.message)).collect::<String>()
    };
    let conditions = |field: &str| format!("conditions: [ {{ field: {field}, op: '<', threshold: 50 }} ]");
    let by_reason = "where: { monitor: { in: [orders] }, reason: { any: true }, host: { any: true } }";
    assert_eq!(told(&format!("{{ monitor: _faults, {by_reason}, {} }}", conditions("count"))), "");
    assert_eq!(told(&format!("{{ monitor: _intake, {} }}", conditions("understood"))), "");
    expect![[r#"
        spec.conditions[0].field: monitor `_intake` has no statistic `cost`; it has lines, understood, counted, files, files_least
        spec.where.reason: monitor `_intake` does not group by it; it groups by monitor
    "#]]
    .assert_eq(&told(&format!("{{ monitor: _intake, where: {{ reason: {{ any: true }} }}, {} }}", conditions("cost"))));
    assert!(told(&format!("{{ monitor: _other, {} }}", conditions("count"))).contains("there is no Monitor `_other`"));
}

#[test]
fn a_stored_monitor_goes_on_though_it_would_not_be_written_today() {
    let yaml = "{ type: minute, source: { log: { paths: [ { path: '/var/log/*.log' } ], charset: utf-16 } } }";
    let document = format!("{{ kind: Monitor, metadata: {{ name: m }}, spec: {yaml} }}");
    expect![[r#"
        spec.source.log.charset: UTF-16LE cannot be read line by line; convert the log to UTF-8
        spec.source.log.paths[0]: holds `*`, `?` or `[`, which only `glob` expands: write `glob: /var/log/*.log`; a file whose name has such a character is `glob` with it in brackets: `/var/log/[*].log`
    "#]]
    .assert_eq(&parse(&document).expect_err("refused"));
    let stored = parse_yaml(yaml).expect("YAML");
    let spec = Spec::decode(Kind::Monitor, &stored[0], &mut Problems::new()).expect("a monitor");
    let mut problems = Problems::new();
    spec.validate(&mut problems);
    assert!(problems.is_empty());
}

#[test]
fn channels_name_their_problems() {
    refused(
        "{ kind: DingtalkRobot, metadata: { name: r }, spec: { max_per_minute: 100, keywords: [''] } }",
        expect![[r#"
            spec.url: is required
        "#]],
    );
    refused(
        "{ kind: Webhook, metadata: { name: w }, spec: { url: 'ftp://x', headers: { Host: x, 'a b': y }, format: xml } }",
        expect![[r#"
            spec.format: unknown variant `xml`, expected one of `nightjar`, `alertmanager`, `text`
            spec.url: must be an address such as https://host/path
            spec.headers.Host: is set by the sender
            spec.headers.a b: is not the name of an HTTP header
        "#]],
    );
    refused(
        "{ kind: EmailServer, metadata: { name: e }, spec: { host: mail.example.com, tls: none, username: u, password: p, from: nobody, port: 0 } }",
        expect![[r#"
            spec.port: must be from 1 to 65535
            spec.from: must be an email address such as Nightjar <alerts@example.com>
            spec.tls: a password would travel in clear; use starttls or tls
        "#]],
    );
    refused(
        "{ kind: Subscription, metadata: { name: s }, spec: { to: [], target: { all: false }, levels: [P9] } }",
        expect![[r#"
            spec.levels[0]: unknown variant `P9`, expected one of `P0`, `P1`, `P2`, `P3`, `P4`
            spec.target.all: can only be true; name a monitor, rule, app or folder instead
        "#]],
    );
    refused(
        "{ kind: Subscription, metadata: { name: s }, spec: { to: [], levels: most } }",
        expect![[r#"
        spec.levels: invalid value: string "most", expected `all` or a list of P0, P1, P2, P3, P4
    "#]],
    );
    refused(
        "{ kind: Contact, metadata: { name: c }, spec: { email: 'a b@c', phone: 'x', timezone: X } }",
        expect![[r#"
            spec.email: `a b@c` is not an email address
            spec.phone: must be digits, `+` and `-`, at most 20
            spec.timezone: is not an IANA time zone such as Asia/Shanghai
        "#]],
    );
    refused(
        "{ kind: ContactGroup, metadata: { name: g } }",
        expect![[r#"
        spec: needs at least one contact, robot or webhook
    "#]],
    );
    refused(
        "{ kind: Dashboard, metadata: { name: g }, extra: 1 }",
        expect![[r#"
        extra: unknown field; a document has `kind`, `metadata` and `spec`
        kind: unknown kind; known are Monitor, AlertRule, Contact, ContactGroup, DingtalkRobot, Webhook, EmailServer, Subscription
    "#]],
    );
}

const SERVICE: &str = r#"
kind: Monitor
metadata: { name: toll }
spec:
  type: service_metrics
  source: { log: { paths: [ { path: /logs/toll.log } ] } }
  columns:
    - { name: result, pick: { split: { by: ",", index: 1 } } }
    - { name: cost, pick: { split: { by: ",", index: 2 } } }
    - { name: total, pick: { split: { by: ",", index: 3 } } }
  service: { result: result, success: [ Y, OK ], cost: cost }
"#;

#[test]
fn service_metrics_show_the_statistics_that_they_have() {
    let monitor = parse(SERVICE).expect("valid");
    let spec = monitor.spec.as_monitor().expect("a monitor");
    let stats: Vec<&str> = spec.stats.iter().map(|stat| stat.name.as_str()).collect();
    assert_eq!(stats, ["total", "success", "failure", "success_rate", "cost_avg"]);
    assert_eq!(spec.fields(), ["*", "*success", "cost"]);
    let shown = monitor.to_value();
    assert_eq!(Resource::from_value(&shown, None).expect("what is shown can be sent back"), monitor);
    // What was read back is edited as a whole, with the statistics that it had.
    let mut edited = shown.clone();
    edited["spec"]["service"].as_object_mut().expect("an object").remove("cost");
    let edited = Resource::from_value(&edited, None).expect("what is shown can be edited");
    assert_eq!(edited.spec.as_monitor().map(|spec| spec.stats.len()), Some(4));
    let costless = parse(&SERVICE.replace(", cost: cost }", " }")).expect("valid");
    assert_eq!(costless.spec.as_monitor().map(|spec| spec.stats.len()), Some(4));
}

#[test]
fn service_metrics_are_refused_for_what_they_lack_or_have_too_much() {
    let refused_with = |from: &str, to: &str, expected: Expect| {
        assert!(SERVICE.contains(from), "{from}");
        refused(&SERVICE.replace(from, to), expected);
    };
    let service = "service: { result: result, success: [ Y, OK ], cost: cost }";
    refused_with(
        service,
        "",
        expect![[r#"
        spec.service: is required by type `service_metrics`: { result: COLUMN, success: [Y], cost: COLUMN }
    "#]],
    );
    refused_with(
        service,
        "service: { success: [ Y ] }",
        expect![[r#"
        spec.service.result: is required
    "#]],
    );
    refused_with(
        service,
        "service: { result: outcome, success: [], cost: took }",
        expect![[r#"
        spec.service.result: there is no column `outcome`; columns are: result, cost, total
        spec.service.success: needs at least one value that means success
        spec.service.cost: there is no column `took`; columns are: result, cost, total
    "#]],
    );
    refused_with(
        service,
        "service: { result: result, failure: [ N ] }",
        expect![[r#"
        spec.service.failure: unknown field `failure`, expected one of `result`, `success`, `cost`
    "#]],
    );
    refused_with(
        service,
        &format!("{service}\n  group_by: [ total ]"),
        expect![[r#"
        spec.group_by: `total` is a statistic of service metrics
    "#]],
    );
    refused_with(
        service,
        &format!("{service}\n  stats: [ {{ name: n, fn: lines }}, {{ name: m, fn: max, column: cost }} ]"),
        expect![[r#"
            spec.stats: service metrics have statistics of their own (total, success, failure, success_rate, cost_avg): leave these out
        "#]],
    );
    refused_with(
        "type: service_metrics",
        "type: minute",
        expect![[r#"
        spec.service: is of monitors of type `service_metrics` alone
    "#]],
    );
    refused(
        &MONITOR.replace("fn: avg, column: cost", "fn: success_rate"),
        expect![[r#"
        spec.stats[1].fn: is of monitors of type `service_metrics` alone, which have it without being asked
    "#]],
    );
}

const TOP: &str = r#"
kind: Monitor
metadata: { name: urls }
spec:
  type: minute_top
  source: { log: { paths: [ { path: /logs/access.log } ] } }
  columns:
    - { name: url, pick: { split: { by: ",", index: 1 } } }
    - { name: cost, pick: { split: { by: ",", index: 2 } } }
    - { name: size, pick: { split: { by: ",", index: 3 } } }
  group_by: [ url, $idc ]
  stats: [ { name: count, fn: lines }, { name: cost_sum, fn: sum, column: cost }, { name: cost_avg, fn: avg, column: cost } ]
  top: { n: 100, by: cost_sum }
"#;

#[test]
fn a_top_is_one_series_and_names_what_it_is_of() {
    let spec = |text: &str| parse(text).expect("valid").spec.as_monitor().cloned().expect("a monitor");
    let top = spec(TOP);
    assert_eq!(top.fields(), ["*", "*top sum(cost) by url,$idc"]);
    assert_eq!((top.series_by().len(), top.instance_columns().len()), (0, 0));
    assert_eq!(top.needs(), ["minute_top"]);
    let by_count = spec(&TOP.replace("by: cost_sum", "by: count"));
    assert_eq!(by_count.fields()[1], "*top lines(cost) by url,$idc");
    let short = TOP.lines().filter(|line| !line.contains("stats:")).collect::<Vec<_>>().join("\n");
    let short = spec(&short.replace("top: { n: 100, by: cost_sum }", "top: { by: count }"));
    assert_eq!((short.top.map(|top| top.n), short.stats.len()), (Some(10), 1));
}

#[test]
fn a_top_is_refused_for_what_it_cannot_tell() {
    let refused_with = |from: &str, to: &str, expected: Expect| {
        assert!(TOP.contains(from), "{from}");
        refused(&TOP.replace(from, to), expected);
    };
    refused_with(
        "  top: { n: 100, by: cost_sum }\n",
        "",
        expect![[r#"
        spec.top: is required by type `minute_top`: { n: 10, by: STATISTIC }
    "#]],
    );
    refused_with(
        "  group_by: [ url, $idc ]\n",
        "",
        expect![[r#"
        spec.group_by: a Top needs at least one column: whose values are ranked
    "#]],
    );
    refused_with(
        "n: 100, by: cost_sum",
        "n: 0, by: slowest",
        expect![[r#"
        spec.top.n: must be from 1 to 1000
        spec.top.by: there is no statistic `slowest`; there are: count, cost_sum, cost_avg
    "#]],
    );
    refused_with(
        "n: 100, by: cost_sum",
        "n: 1001, by: cost_avg",
        expect![[r#"
        spec.top.n: must be from 1 to 1000
        spec.top.by: must be a statistic of `lines` or of a `sum`: which of very many keys are the greatest by another one cannot be known without keeping them all
    "#]],
    );
    refused_with(
        "fn: avg, column: cost",
        "fn: max, column: size",
        expect![[r#"
        spec.stats[2].fn: a Top has `lines`, `sum` and `avg`
    "#]],
    );
    refused_with(
        "fn: avg, column: cost",
        "fn: avg, column: size",
        expect![[r#"
        spec.stats[2].column: the statistics of a Top are of one column, and there is `cost` already
    "#]],
    );
    refused_with(
        "name: cost_avg, fn: avg",
        "name: count_error, fn: avg",
        expect![[r#"
        spec.stats[0].name: a Top has a column `count_error` of its own
    "#]],
    );
    refused_with(
        "by: cost_sum }",
        "by: cost_sum }\n  limits: { max_keys: 5 }",
        expect![[r#"
        spec.limits.max_keys: a Top takes any number of keys: leave it out
    "#]],
    );
    refused_with(
        "type: minute_top",
        "type: minute_multi_key",
        expect![[r#"
        spec.top: is of monitors of type `minute_top` alone
    "#]],
    );
}

#[test]
fn a_top_is_not_judged_yet() {
    let top = parse(TOP).expect("valid");
    let rule = "{ kind: AlertRule, metadata: { name: r }, spec: { monitor: urls, conditions: [ { field: count, op: '>', threshold: 5 } ] } }";
    let rule = parse(rule).expect("valid");
    let mut problems = Problems::new();
    rule.spec.validate_with(&|_, _| Some(top.spec.clone()), &mut problems);
    let shown: Vec<String> = problems.into_vec().into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    expect!["spec.monitor: monitor `urls` is a Top, whose keys no rule can judge yet; judge a monitor of type `minute` or `minute_multi_key` on the same log"].assert_eq(&shown.join("\n"));
}

#[test]
fn secrets_are_never_shown() {
    let robot = parse("{ kind: DingtalkRobot, metadata: { name: r }, spec: { url: 'https://d/robot?access_token=hunter2', secret: hunter2 } }")
        .expect("valid");
    let webhook = parse("{ kind: Webhook, metadata: { name: w }, spec: { url: 'https://h', secret_key: hunter2, headers: { A: hunter2 } } }")
        .expect("valid");
    for resource in [robot, webhook] {
        let shown = format!("{} {resource:?}", resource.to_value());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("***"));
    }
}
