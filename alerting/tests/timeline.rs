//! Rules over time, as scripts: `timelines/NAME.script` is documents, then what happens; what alerting
//! made of it is in `timelines/NAME.golden` (`UPDATE_EXPECT=1 cargo test -p nightjar-alerting` writes it).
//!
//! Every script is also run with a restart before each of its steps; that must change nothing.
//!
//! A line of a script starts with the minute it is about:
//! - `10:03 a=5 b=2*100`  the minute that starts then: 5 lines of key a, 2 of b with cost 100. The minute is
//!   complete and rules are judged two seconds after it.
//! - `10:03 partial a=5`  the same, but an agent is missing.
//! - `10:03 late a=5`     data that comes later, or before the minute's own line; nothing is judged.
//! - `10:03 lost a=5`     an agent's data will be missing for good.
//! - `10:03 nobody 10:30`  nobody was expected to contribute to the minutes from 10:03 to 10:30.
//! - `10:03:30 deserted`  no agent has come so far, and none is expected.
//! - `10:03:30 broken`    windows cannot be read any more, until they are `mended`.
//! - `10:03:30 fleet broken`  agents cannot be asked for, until `fleet mended`.
//! - `10:03:30 complete`  every minute to now is complete.
//! - `10:03:30 through 10:01`  every minute to then is complete, and rules are judged now.
//! - `10:03:30 hosts a b`  from now on `goods` is fixed for an agent: one has `a`, another one `b`. `host-gone a`: it was
//!   taken out.
//! - `10:03 without a b=2`  the minute that starts then, complete but for the agent that has `a`.
//! - `10:03:30 restart`   the server is started again.
//! - `10:03:30 judge`     time passes, rules are judged.
//! - `10:03:30 disable RULE`, `enable`, `delete`, `renew` (deleted and made anew), `only RULE KEY` (judge that key
//!   alone), `text RULE TEXT` (the rule's own text, which may be one that would be refused today), `stop MONITOR`
//!   (disabled), `threshold RULE NUMBER` (of its first condition), `monitor RULE NAME` (that it watches), `agent HOST STATE` (`seen`, `skewed`, `ill`, `lost` or `removed`).

mod support;

use std::fmt::Write;

use expect_test::expect_file;
use nightjar_model::agents::AgentHealth;
use nightjar_model::kinds::Spec;
use nightjar_model::kinds::alert_rule::{AlertRuleSpec, KeyMatch};
use nightjar_model::{Clock, Kind, ResourceKey, Timestamp};
use support::windows::MINUTE;
use support::{House, WORKSPACE, time};

const MONITOR: &str = "
kind: Monitor
metadata: { name: trade }
spec:
  type: minute_multi_key
  app: shop
  source: { log: { paths: [ { path: /var/log/trade.log } ] } }
  columns:
    - { name: goods, pick: { split: { by: ',', index: 1 } } }
    - { name: cost, pick: { split: { by: ',', index: 2 } }, number: true }
  group_by: [ goods ]
  stats:
    - { name: count, fn: lines }
    - { name: cost_avg, fn: avg, column: cost }
    - { name: cost_sum, fn: sum, column: cost }
    - { name: cost_max, fn: max, column: cost }
    - { name: cost_min, fn: min, column: cost }
";

async fn check(name: &str) {
    let path = format!("{}/tests/timelines/{name}", env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(format!("{path}.script")).expect("the script");
    let golden = run(&script, false).await;
    expect_file![format!("{path}.golden")].assert_eq(&golden);
    if script.contains(" restart\n") {
        // Of those the script itself tells, and they do change something.
        return;
    }
    // How long an agent has been gone, and what a rule sees, is not known at once after a start.
    let alerts_alone = |text: &str| -> String {
        let is_of_a_rule = |line: &&str| ![" rule:", " _agent-", " _blind"].iter().any(|other| line.contains(other));
        text.lines().filter(is_of_a_rule).map(|line| format!("{line}\n")).collect()
    };
    assert_eq!(alerts_alone(&run(&script, true).await), alerts_alone(&golden), "{name} with restarts");
}

async fn run(script: &str, restarts: bool) -> String {
    let (documents, steps) = script.split_once("\n===\n").expect("documents, a line `===`, steps");
    let mut house = House::with(&format!("{MONITOR}---\n{documents}"), |config| config.max_states = 5);
    house.windows.complete(time("2026-01-05T10:00:00Z"));
    let mut told = String::new();
    let mut shown = 0;
    judge(&house, &mut told).await;
    for step in steps.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if restarts {
            house.restart();
        }
        if step.ends_with(" restart") {
            house.restart();
        }
        take(&house, step, &mut told).await;
        for event in &house.alerts.all_events()[shown..] {
            let at = event.at.to_utc().format("%d %H:%M:%S");
            let who = name_of(&house, &event.alert);
            writeln!(told, "{at} {who} {} {}: {}", event.stage, event.outcome, event.reason).expect("memory");
        }
        shown = house.alerts.all_events().len();
    }
    for alert in house.alerts.all_alerts() {
        let keys: Vec<_> = alert.keys.values().cloned().collect();
        let minute = |at: Timestamp| at.to_utc().format("%d %H:%M").to_string();
        let ended = alert.ended_at.map_or("".into(), minute);
        let system = if alert.rule.starts_with('_') { format!("{} ", alert.rule) } else { String::new() };
        let (status, began) = (alert.status, minute(alert.started_at));
        writeln!(told, "= {status:?} {system}{keys:?} {began}..{ended} {}", alert.summary).expect("memory");
    }
    writeln!(told, "= {} notifications", house.alerts.all_notifications().len()).expect("memory");
    told
}

/// Ids are no use to a reader.
fn name_of(house: &House, id: &str) -> String {
    let alert = house.alerts.all_alerts().into_iter().find(|alert| alert.id == id);
    alert.map_or_else(
        || id.to_owned(),
        |alert| format!("{}[{}]", alert.rule, alert.keys.values().cloned().collect::<Vec<_>>().join(",")),
    )
}

async fn take(house: &House, step: &str, told: &mut String) {
    let mut words = step.split_whitespace();
    let when = words.next().expect("a time");
    let (day, clock) = when.split_once('/').unwrap_or(("05", when));
    let seconds = if clock.len() == 5 { ":00" } else { "" };
    let at = time(&format!("2026-01-{day}T{clock}{seconds}Z"));
    let words: Vec<&str> = words.collect();
    let rule = |name: &str| ResourceKey::new(Kind::AlertRule, WORKSPACE, name);
    let end = at.saturating_add(MINUTE);
    let soon = end.saturating_add(std::time::Duration::from_secs(2));
    match words.as_slice() {
        ["late", data @ ..] => return add(house, at, data),
        ["nobody", until] => return house.windows.uncollected(at, time(&format!("2026-01-{day}T{until}:00Z"))),
        ["broken"] | ["mended"] => {
            house.clock.set(at);
            house.windows.break_down(words == ["broken"]);
        }
        ["fleet", state] => {
            house.clock.set(at);
            house.fleet.break_down(*state == "broken");
        }
        ["deserted"] => {
            house.clock.set(at);
            house.windows.desert();
        }
        ["complete"] => {
            house.clock.set(at);
            house.windows.complete(at.floor(MINUTE));
        }
        ["through", minute] => {
            house.clock.set(at);
            house.windows.complete(time(&format!("2026-01-{day}T{minute}:00Z")));
        }
        ["hosts", goods @ ..] => {
            house.clock.set(at);
            house.windows.hosts(goods);
        }
        ["without", lost, data @ ..] => {
            add(house, at, data);
            house.windows.complete_but(lost, end);
            house.clock.set(soon);
        }
        ["host-gone", goods] => {
            house.clock.set(at);
            house.windows.remove_host(goods);
        }
        ["judge" | "restart"] => house.clock.set(at),
        ["disable", name] => set_enabled(house, at, &rule(name), false),
        ["enable", name] => set_enabled(house, at, &rule(name), true),
        ["delete", name] => {
            house.clock.set(at);
            house.resources.remove(&rule(name));
            house.alerting.resources_changed(&[]);
        }
        ["renew", name] => {
            house.clock.set(at);
            house.resources.change(&rule(name), |resource| resource.metadata.uid = Some("another".into()));
            house.alerting.resources_changed(&[]);
        }
        ["only", name, wanted] => change_rule(house, at, &rule(name), |rule| {
            rule.where_ = [("goods".into(), KeyMatch::In(vec![(*wanted).to_owned()]))].into();
        }),
        ["text", name, text @ ..] => change_rule(house, at, &rule(name), |rule| rule.message.text = text.join(" ")),
        ["threshold", name, value] => change_rule(house, at, &rule(name), |rule| {
            rule.conditions[0].threshold = value.parse().expect("a number");
        }),
        ["monitor", name, monitor] => {
            change_rule(house, at, &rule(name), |rule| (*monitor).clone_into(&mut rule.monitor))
        }
        ["stop", name] => {
            house.clock.set(at);
            house.resources.change(&ResourceKey::new(Kind::Monitor, WORKSPACE, *name), |resource| {
                if let Spec::Monitor(monitor) = &mut resource.spec {
                    monitor.enabled = false;
                }
            });
            house.alerting.resources_changed(&[]);
        }
        ["agent", host, state] => {
            house.clock.set(at);
            match *state {
                "seen" => house.fleet.put(host, AgentHealth::Healthy, at),
                "skewed" => house.fleet.put(host, AgentHealth::ClockSkew, at),
                "ill" => house.fleet.put(host, AgentHealth::Abnormal, at),
                "lost" => house.fleet.lose(host),
                _ => house.fleet.remove(host),
            }
        }
        ["partial", data @ ..] => {
            add(house, at, data);
            house.clock.set(soon);
        }
        ["lost", data @ ..] => {
            add(house, at, data);
            house.windows.lose(at);
            house.windows.complete(end);
            house.clock.set(soon);
        }
        data => {
            add(house, at, data);
            house.windows.complete(end);
            house.clock.set(soon);
        }
    }
    judge(house, told).await;
}

fn set_enabled(house: &House, at: Timestamp, key: &ResourceKey, enabled: bool) {
    change_rule(house, at, key, |rule| rule.enabled = enabled);
}

fn change_rule(house: &House, at: Timestamp, key: &ResourceKey, change: impl FnOnce(&mut AlertRuleSpec)) {
    house.clock.set(at);
    house.resources.change(key, |resource| {
        if let Spec::AlertRule(rule) = &mut resource.spec {
            change(rule);
        }
    });
    house.alerting.resources_changed(&[]);
}

/// `a=3*120,80`: three lines of key `a`, with cost 120, 80 and 80; `a=3` without a cost.
fn add(house: &House, minute: Timestamp, data: &[&str]) {
    for word in data {
        let (goods, amount) = word.split_once('=').expect("key=lines*costs");
        let (lines, costs) = amount.split_once('*').unwrap_or((amount, ""));
        let costs: Vec<&str> = costs.split(',').filter(|cost| !cost.is_empty()).collect();
        for line in 0..lines.parse::<usize>().expect("lines") {
            house.windows.line(minute, goods, costs.get(line).or(costs.last()).copied());
        }
    }
}

async fn judge(house: &House, told: &mut String) {
    for reconciler in ["alerting.evaluate", "alerting.agents", "alerting.sight"] {
        if let Err(error) = house.activate(reconciler).await {
            writeln!(told, "! {error}").expect("memory");
        }
    }
}

/// While the server was away agents kept what they counted; on its return they need a moment to send it.
#[tokio::test]
async fn minutes_of_a_standstill_wait_for_what_agents_kept() {
    let rule = "
kind: AlertRule
metadata: { name: few }
spec:
  monitor: trade
  conditions: [ { field: count, op: '<', threshold: 3 } ]
";
    let documents = format!("{MONITOR}---{rule}");
    let mut house = House::with(&documents, |config| config.settle_in = nightjar_model::Span::from_secs(60));
    house.windows.complete(time("2026-01-05T10:00:00Z"));
    house.activate("alerting.evaluate").await.expect("judged");
    // Away from 10:00 to 10:05.
    add(&house, time("2026-01-05T10:01:00Z"), &["a=1"]);
    house.clock.set(time("2026-01-05T10:05:00Z"));
    house.restart();
    house.activate("alerting.evaluate").await.expect("judged");
    house.clock.set(time("2026-01-05T10:05:59Z"));
    house.activate("alerting.evaluate").await.expect("judged");
    assert_eq!(house.alerts.all_events(), [], "nothing is left unjudged yet");
    // The agent is back: 10:00 and 10:02 to 10:04 were busy, 10:01 was not.
    for minute in ["10:00", "10:02", "10:03", "10:04"] {
        add(&house, time(&format!("2026-01-05T{minute}:00Z")), &["a=5"]);
    }
    house.windows.complete(time("2026-01-05T10:05:00Z"));
    house.activate("alerting.evaluate").await.expect("judged");
    let alerts = house.alerts.all_alerts();
    let stretches: Vec<_> = alerts.iter().map(|alert| (alert.started_at, alert.ended_at)).collect();
    assert_eq!(stretches, [(time("2026-01-05T10:02:00Z"), Some(time("2026-01-05T10:03:00Z")))]);
    // Who stays away longer is not waited for.
    house.clock.set(time("2026-01-05T10:07:00Z"));
    house.activate("alerting.evaluate").await.expect("judged");
    assert!(house.alerts.all_events().iter().any(|event| event.reason.contains("is left unjudged")));
}

#[tokio::test]
async fn a_slow_rule_is_judged_beside_the_others() {
    let rule = |name: &str, goods: &str| {
        format!(
            "kind: AlertRule\nmetadata: {{ name: {name} }}\nspec:\n  monitor: trade\n  where: {{ goods: {{ in: [ {goods} ] }} }}\n  \
             conditions: [ {{ field: count, op: '>', threshold: 0 }} ]\n"
        )
    };
    let house = House::new(&format!("{MONITOR}---\n{}---\n{}", rule("heavy", "slow"), rule("quick", "a")));
    house.windows.delay("slow", house.clock.clone(), std::time::Duration::from_secs(20));
    let mut took = Vec::new();
    for minute in ["10:00", "10:01", "10:02"] {
        let minute = time(&format!("2026-01-05T{minute}:00Z"));
        add(&house, minute, &["a=1", "slow=1"]);
        let end = minute.saturating_add(MINUTE);
        house.windows.complete(end);
        house.clock.set(end);
        house.activate("alerting.evaluate").await.expect("judged");
        took.push(house.clock.now().since(end).as_secs());
    }
    // The first run only noted where to begin, the second found out.
    assert_eq!(took, [0, 20, 0]);
    let before = house.clock.now();
    house.activate("alerting.evaluate_slow").await.expect("judged");
    assert_eq!(house.clock.now().since(before).as_secs(), 20);
}

macro_rules! timelines {
    ($($name:ident)+) => {
        $(#[tokio::test]
        async fn $name() {
            check(stringify!($name)).await;
        })+

        #[test]
        fn every_script_is_run() {
            let known = [$(stringify!($name)),+];
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/timelines");
            for entry in std::fs::read_dir(folder).expect("the scripts") {
                let name = entry.expect("an entry").file_name().into_string().expect("a name");
                if let Some(name) = name.strip_suffix(".script") {
                    assert!(known.contains(&name), "{name} is not listed");
                }
            }
        }
    };
}

timelines! {
    absence
    absence_apart
    absence_is_low
    active_hours
    agents_lost
    agents_unwell
    all_and_any
    beginning
    blind
    blind_by_and_by
    catch_up
    clock_set_back
    key_limit
    keys_apart
    keys_changed
    hole_is_no_zero
    host_lost
    late_first
    lost_minute
    missing_agent
    rule_changed
    rule_fails
    lifecycle
    m_of_n
    no_data
    over_minutes
    partial_judge
    partial_wait
    recover_conditions
    routing
    slow_clock
    total
}
