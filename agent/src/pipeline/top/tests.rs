use std::collections::HashMap;
use std::path::Path;

use nightjar_model::names::MonitorKey;
use proptest::prelude::*;

use super::*;
use crate::pipeline::{HostFacts, Pipeline};
use crate::zone::HostZone;

/// Lines are `key,cost`; the n is as small as can be, so that the summary is.
const TOP: &str = r#"
    type: minute_top
    source: { log: { paths: [{ path: /x.log }], time: { timezone: UTC } } }
    columns:
      - { name: url, pick: { split: { by: ",", index: 1 } } }
      - { name: cost, pick: { split: { by: ",", index: 2 } } }
    group_by: [url, $host]
    stats: [{ name: count, fn: lines }, { name: cost_sum, fn: sum, column: cost }]
    top: { n: 5, by: count }
"#;

fn compile(yaml: &str, hostname: &str) -> Pipeline {
    let value = nightjar_model::syntax::parse_yaml(yaml).expect("YAML").remove(0);
    let spec: MonitorSpec = serde_json::from_value(value).expect("a monitor");
    let host =
        HostFacts { labels: BTreeMap::new(), hostname: hostname.into(), ip: "".into(), zone: HostZone::named("UTC") };
    Pipeline::compile(MonitorKey::new("default", "m"), &spec, &host).expect("a valid monitor").of_any_age()
}

fn feed(pipeline: &mut Pipeline, minute: u32, key: u32, cost: u32) {
    let line = format!("2026-11-20 12:{minute:02}:00,/order/{key},{cost}");
    pipeline.feed(line.as_bytes(), false, Path::new("/x.log"), Timestamp(0));
}

/// By minute; every drain's states merged, as the server does.
fn states(into: &mut BTreeMap<Timestamp, TopState>, pipeline: &mut Pipeline) {
    let Some(delta) = pipeline.drain() else { return };
    assert_eq!((delta.group_by.len(), delta.fields.as_slice()), (0, pipeline.fields.as_slice()));
    for window in delta.windows {
        let state = window.partials[1].as_top().expect("a top");
        assert_eq!(window.partials[0].count(), state.count());
        into.entry(window.start).or_default().merge(state);
    }
}

#[test]
fn few_keys_are_exact_and_ranked() {
    let mut pipeline = compile(TOP, "web-1");
    for (minute, key, cost) in [(0, 1, 5), (0, 2, 9), (1, 1, 1), (0, 2, 1), (0, 3, 2)] {
        feed(&mut pipeline, minute, key, cost);
    }
    assert_eq!(pipeline.pending_keys(), 4);
    let mut found = BTreeMap::new();
    states(&mut found, &mut pipeline);
    let shown: Vec<String> = found
        .values()
        .flat_map(TopState::highest)
        .map(|entry| format!("{} {}={}", entry.key.join(" "), entry.count, entry.sum))
        .collect();
    assert_eq!(shown, ["/order/2 web-1 2=10", "/order/1 web-1 1=5", "/order/3 web-1 1=2", "/order/1 web-1 1=1"]);
    assert!(found.values().all(TopState::is_exact));
    assert_eq!((pipeline.pending_keys(), pipeline.drain()), (0, None));
}

#[test]
fn a_million_keys_a_minute_take_a_few_megabytes() {
    let mut pipeline = compile(TOP, "web-1");
    let (mut found, mut truth) = (BTreeMap::new(), HashMap::<u32, u64>::new());
    let mut most_held = 0;
    for at in 0..1_200_000u32 {
        // A million keys of one line each, and ten that come again and again.
        let key = if at % 6 == 5 { at / 6 % 10 } else { 1000 + at };
        *truth.entry(key).or_default() += 1;
        feed(&mut pipeline, 0, key, 1);
        most_held = most_held.max(pipeline.counter.windows.pending());
        assert!(pipeline.pending_keys() <= 2 * 1024, "few enough not to make a flush");
        // As often as the agent does.
        if at % 40_000 == 39_999 {
            states(&mut found, &mut pipeline);
        }
    }
    assert!(truth.len() > 1_000_000 && most_held <= EXACT_KEYS, "{most_held}");
    let state = found.values().next().expect("a minute");
    assert!(state.heap_bytes() < 200 << 10, "{}", state.heap_bytes());
    assert_eq!(state.count(), 1_200_000);
    for entry in state.highest().iter().take(10) {
        let key: u32 = entry.key[0].trim_start_matches("/order/").parse().expect("a key");
        let count = truth[&key];
        assert_eq!(count, 20_000, "{entry:?}");
        assert!((entry.count - entry.count_error..=entry.count).contains(&count), "{entry:?}");
        assert!(entry.count_error <= 60, "{entry:?}");
    }
}

#[test]
fn long_keys_are_bounded_too() {
    let mut pipeline = compile(TOP, "web-1");
    let mut most_held = 0;
    for key in 0..40_000 {
        let line = format!("2026-11-20 12:00:00,{key}{},1", "x".repeat(300));
        pipeline.feed(line.as_bytes(), false, Path::new("/x.log"), Timestamp(0));
        most_held = most_held.max(pipeline.counter.windows.key_bytes());
    }
    assert!(most_held < EXACT_BYTES + 1000, "{most_held}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Several agents, drained whenever: what the server merges holds the truth, and is exact below the cap.
    #[test]
    fn the_truth_is_within_the_bounds_across_agents(
        lines in prop::collection::vec((0usize..3, 0u32..2, 0u32..4000, 0u32..100), 1..6000),
        keys in prop::sample::select(vec![50u32, 1000, 4000]),
        drain_every in 1usize..3000,
        by in prop::sample::select(vec!["count", "cost_sum"]),
    ) {
        let yaml = TOP.replace("by: count", &format!("by: {by}")).replace(", $host", "");
        let mut agents: Vec<Pipeline> = (0..3).map(|at| compile(&yaml, &format!("web-{at}"))).collect();
        let (mut found, mut truth) = (BTreeMap::new(), BTreeMap::<Timestamp, HashMap<String, (u64, i64)>>::new());
        for (at, (agent, minute, key, cost)) in lines.iter().enumerate() {
            let key = key % keys;
            feed(&mut agents[*agent], *minute, key, *cost);
            let start = Timestamp(1_795_176_000_000 + i64::from(*minute) * 60_000);
            let of = truth.entry(start).or_default().entry(format!("/order/{key}")).or_default();
            *of = (of.0 + 1, of.1 + i64::from(*cost));
            if at % drain_every == 0 {
                states(&mut found, &mut agents[*agent]);
            }
        }
        agents.iter_mut().for_each(|agent| states(&mut found, agent));
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
        for (start, truth) in &truth {
            let state = &found[start];
            if truth.len() <= state.capacity() as usize {
                prop_assert!(state.is_exact());
                prop_assert_eq!(state.entries().len(), truth.len());
            }
            let (absent, absent_sum) = state.absent();
            let kept: HashMap<&str, _> = state.entries().iter().map(|entry| (&*entry.key[0], entry)).collect();
            for (key, (count, sum)) in truth {
                let sum = Decimal::from_int(*sum);
                match kept.get(key.as_str()) {
                    Some(entry) => {
                        prop_assert!((entry.count - entry.count_error..=entry.count).contains(count));
                        let low = Decimal(entry.sum.0 - entry.sum_error.0);
                        prop_assert!((low..=entry.sum).contains(&sum));
                        prop_assert!(!state.is_exact() || (entry.count_error, entry.sum_error) == (0, Decimal::ZERO));
                    }
                    None => prop_assert!(*count <= absent && absent_sum.contains(&sum)),
                }
            }
        }
    }
}
