//! Sessions against a real gRPC client, with the rooms around the collector in memory.

#[expect(clippy::unwrap_used, reason = "doubles of a test")]
mod fakes;

use std::sync::atomic::Ordering;
use std::time::Duration;

use fakes::*;
use nightjar_collector::CollectorConfig;
use nightjar_model::agents::{AgentHealth, AgentTask, AgentTaskResult, FileListing};
use nightjar_model::names::AgentId;
use nightjar_model::ports::{AgentGap, AgentRegistry, Fleet};
use nightjar_model::protocol::wire;
use nightjar_model::protocol::wire::{from_agent, to_agent};
use nightjar_model::query::IncompleteReason;
use nightjar_model::time::Timestamp;
use nightjar_model::{ErrorKind, ResourceKey, Span};
use serde_json::json;
use tonic::Code;

fn list_files() -> AgentTask {
    AgentTask::ListFiles { root: "/".into(), limit: 1 }
}

async fn house() -> House {
    House::open(CollectorConfig::default()).await
}

/// A house with one agent that is connected, welcomed and configured.
async fn house_with_agent() -> (House, String, Agent) {
    let house = house().await;
    let id = house.enrol("default", "trade").await;
    let mut agent = house.connect(&id, hello("trade")).await;
    assert_eq!(agent.welcomed().await.taken_sequence, 0);
    assert_eq!(agent.configured().await, ["every", "trade"]);
    (house, id, agent)
}

#[tokio::test]
async fn enrolment_needs_a_good_token() {
    let house = house().await;
    let mut client = house.client().await;
    let refused = enrol(&mut client, "wrong", "trade").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("token"), "{refused}");
    let enrolled = enrol(&mut client, "join-default", "trade").await.unwrap();
    assert_eq!((enrolled.workspace.as_str(), enrolled.key.as_str()), ("default", "key-of-agent-1"));
}

#[tokio::test]
async fn a_session_needs_the_right_key_and_a_hello() {
    let house = house().await;
    let id = house.enrol("default", "trade").await;
    let refused = house.try_connect(&id, "wrong", hello("trade")).await.err().expect("refused");
    assert_eq!(refused.code(), Code::Unauthenticated);

    let mut agent = house.connect(&id, wire::Hello { incarnation: 0, ..hello("trade") }).await;
    assert_eq!(agent.ended().await.code(), Code::InvalidArgument);
    let mut agent = house.connect(&id, wire::Hello { facts: None, ..hello("trade") }).await;
    assert_eq!(agent.ended().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn records_are_acknowledged_in_order_once_taken() {
    let (house, id, mut agent) = house_with_agent().await;
    for sequence in 1..=3 {
        agent.send(sequence, "trade").await;
    }
    for sequence in 1..=3 {
        assert_eq!(agent.acked().await, sequence);
    }
    agent.send(2, "trade").await;
    assert_eq!(agent.acked().await, 2, "a repeat is acknowledged");
    {
        let batches = house.taker.batches.lock().unwrap();
        assert_eq!(batches.iter().map(|batch| batch.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        let delta = &batches[0].deltas[0];
        assert_eq!(delta.monitor.to_string(), "default/trade", "the workspace is the session's");
        assert_eq!(batches[0].watermarks[0].through, Timestamp(START - 1));
    }
    drop(agent);
    let mut again = house.connect(&id, wire::Hello { last_sequence: 5, ..hello("trade") }).await;
    assert_eq!(again.welcomed().await.taken_sequence, 3);
}

/// Who is waited for by a monitor, and who is away since when.
fn waited(house: &House, monitor: &str) -> (Vec<String>, Vec<(String, Option<Timestamp>)>) {
    let expected = house.taker.expected.lock().expect("no test panicked here");
    let one = expected.iter().find(|one| one.monitor.name == monitor).expect("expected");
    let there = one.agents.iter().map(|agent| agent.id.0.clone()).collect();
    (there, one.away.iter().map(|away| (away.id.0.clone(), away.left_at)).collect())
}

#[tokio::test]
async fn one_that_signs_off_is_waited_for_until_it_is_clear_that_it_was_no_restart() {
    let (house, id, mut agent) = house_with_agent().await;
    agent.say(from_agent::Body::Leave(wire::Leave { for_good: false })).await;
    assert!(matches!(agent.inbox.message().await, Ok(None)), "the session ends");
    let registered = || house.registry.agents.lock().unwrap()[0].clone();
    let noted = async || holds(registered().left_at == Some(Timestamp(START)));
    until("its leaving is noted", noted).await;
    let health = async || house.collector.agent("default", &AgentId(id.clone())).await.unwrap().health;
    until("its session has ended", async || holds(health().await == AgentHealth::Left)).await;
    house.reconcile().await;
    assert_eq!(waited(&house, "every"), (vec![id.clone()], vec![]));
    house.clock.advance(Duration::from_secs(30));
    house.reconcile().await;
    assert_eq!(waited(&house, "every"), (vec![], vec![(id.clone(), Some(Timestamp(START)))]));
    // It is back.
    let now_ms = START + 30_000;
    let mut agent = house.connect(&id, wire::Hello { now_ms, ..hello("trade") }).await;
    agent.welcomed().await;
    assert_eq!(waited(&house, "every"), (vec![id.clone()], vec![]));
    assert_eq!((registered().left_at, health().await), (None, AgentHealth::Healthy));
}

#[tokio::test]
async fn one_that_leaves_for_good_is_removed_at_once() {
    let (house, id, agent) = house_with_agent().await;
    agent.say(from_agent::Body::Leave(wire::Leave { for_good: true })).await;
    until("it is removed", async || holds(house.registry.agents.lock().unwrap().is_empty())).await;
    // What it had passed is told before it is gone.
    assert_eq!(waited(&house, "every"), (vec![], vec![(id, Some(Timestamp(START)))]));
    house.reconcile().await;
    assert_eq!(waited(&house, "every"), (vec![], vec![]));
}

#[tokio::test]
async fn one_that_vanishes_is_waited_for_until_it_expires() {
    let (house, id, agent) = house_with_agent().await;
    drop(agent);
    let health = async || house.collector.agent("default", &AgentId(id.clone())).await.unwrap().health;
    until("its session has ended", async || holds(health().await == AgentHealth::Abnormal)).await;
    house.clock.advance(Duration::from_secs(599));
    house.reconcile().await;
    assert_eq!(waited(&house, "every"), (vec![id.clone()], vec![]));
    house.clock.advance(Duration::from_secs(1));
    house.reconcile().await;
    assert_eq!(waited(&house, "every"), (vec![], vec![(id.clone(), None)]));
    let mut agent = house.connect(&id, hello("trade")).await;
    agent.welcomed().await;
    assert_eq!(waited(&house, "every"), (vec![id], vec![]));
}

#[tokio::test]
async fn what_an_agent_says_was_lost_is_noted_before_it_is_welcome() {
    let (house, id, mut agent) = house_with_agent().await;
    agent.send(1, "trade").await;
    agent.acked().await;
    let gaps = || house.taker.gaps.lock().unwrap().clone();
    let hello = |incarnation, gap: Option<(i64, i64)>, protocol| wire::Hello {
        incarnation,
        protocol,
        gap: gap.map(|(from_ms, until_ms)| wire::Gap { from_ms, until_ms }),
        ..hello("trade")
    };
    // The same incarnation again, with nothing to tell.
    let welcome = house.connect(&id, hello(1, None, 1)).await.welcomed().await;
    assert_eq!((welcome.taken_sequence, welcome.taken_digest != 0, welcome.protocol), (1, true, 1));
    assert_eq!(gaps(), []);
    // No further than to the server's now.
    house.connect(&id, hello(2, Some((0, START + 999_999)), 1)).await.welcomed().await;
    house.connect(&id, hello(2, Some((7, START - 5)), 1)).await.welcomed().await;
    let gap = |from: Option<i64>, until| AgentGap {
        agent: AgentId(id.clone()),
        monitor: None,
        from: from.map(Timestamp),
        until: Timestamp(until),
        reason: IncompleteReason::RolledBack,
    };
    assert_eq!(gaps(), [gap(None, START), gap(Some(7), START - 5)]);
    let view = house.collector.agent("default", &AgentId(id.clone())).await.unwrap();
    assert!(view.reasons.iter().any(|reason| reason.contains("different pasts")), "{view:?}");
    // One from before gaps were told begins another incarnation: that is all it says.
    house.connect(&id, hello(3, None, 0)).await.welcomed().await;
    assert_eq!(gaps().last(), Some(&gap(None, START)));
    assert_eq!(gaps().len(), 3);
}

#[tokio::test]
async fn a_copy_of_an_agent_that_is_running_is_refused() {
    let (house, id, _) = house_with_agent().await;
    let of = |run| wire::Hello { run, ..hello("trade") };
    let mut original = house.connect(&id, of(1)).await;
    original.welcomed().await;
    let refused = async { house.connect(&id, of(2)).await.ended().await };
    let heard = async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        loop {
            again.tick().await;
            original.say(from_agent::Body::Heartbeat(wire::Heartbeat::default())).await;
        }
    };
    // The original is heard of all the while that the copy waits.
    let status = tokio::select! {
        status = refused => status,
        () = heard => unreachable!("it says so for ever"),
    };
    assert_eq!(status.code(), Code::AlreadyExists, "{status}");
    assert!(status.message().contains("trade-host") && status.message().contains("enrol it anew"), "{status}");
    let view = house.collector.agent("default", &AgentId(id.clone())).await.unwrap();
    assert!(view.reasons.iter().any(|reason| reason.contains("came with its identity")), "{view:?}");
    // The same process that lost its connection, and another once the first is gone, are not.
    let mut again = house.connect(&id, of(1)).await;
    again.welcomed().await;
    drop((original, again));
    let mut restarted = house.connect(&id, of(3)).await;
    restarted.welcomed().await;
}

#[tokio::test]
async fn of_two_that_read_the_same_file_one_counts() {
    let house = house().await;
    let ids = [house.enrol("default", "trade").await, house.enrol("default", "trade").await];
    let hello = |boot: &str| wire::Hello { boot_id: boot.into(), mount_namespace: 7, ..hello("trade") };
    let reads = |inode| {
        let on_disk = vec![wire::FileOnDisk { device: 1, inode }];
        let report = wire::MonitorReport { monitor: "trade".into(), on_disk, ..Default::default() };
        let now_ms = START;
        from_agent::Body::Heartbeat(wire::Heartbeat { now_ms, monitors: vec![report], ..Default::default() })
    };
    let mut agents = Vec::new();
    for id in &ids {
        let mut agent = house.connect(id, hello("boot")).await;
        agent.welcomed().await;
        assert_eq!(agent.configured().await, ["every", "trade"]);
        agents.push(agent);
    }
    // Different files: nothing is amiss.
    agents[0].say(reads(7)).await;
    agents[1].say(reads(8)).await;
    agents[1].send(1, "trade").await;
    assert_eq!(agents[1].acked().await, 1);
    // The same: the one that came second is taken off, and what it still sends is not counted.
    agents[1].say(reads(7)).await;
    assert_eq!(agents[1].configured().await, ["every"]);
    agents[1].send(2, "trade").await;
    assert_eq!(agents[1].acked().await, 2);
    let taken = house.taker.batches.lock().unwrap().clone();
    // Nor has it passed the minutes whose figures are not counted.
    let sizes: Vec<_> = taken.iter().map(|batch| (batch.deltas.len(), batch.watermarks.len())).collect();
    assert_eq!(sizes, [(1, 1), (0, 0)]);
    let gaps = house.taker.gaps.lock().unwrap().clone();
    let told = gaps.iter().map(|gap| (gap.agent.0.clone(), gap.monitor.as_ref().map(|m| m.name.clone()), gap.reason));
    let wanted = (ids[1].clone(), Some("trade".to_owned()), IncompleteReason::CountedTwice);
    assert_eq!(told.collect::<Vec<_>>(), [wanted]);
    house.reconcile().await;
    assert_eq!(waited(&house, "trade").0, [ids[0].clone()]);
    assert_eq!(waited(&house, "every").0, ids);
    let view = house.collector.agent("default", &AgentId(ids[1].clone())).await.unwrap();
    assert!(view.reasons.iter().any(|reason| reason.contains("reads the same files")), "{view:?}");
    // The first leaves: the other takes its place.
    agents[0].say(from_agent::Body::Leave(wire::Leave { for_good: true })).await;
    until("it is removed", async || holds(house.registry.agents.lock().unwrap().len() == 1)).await;
    house.reconcile().await;
    assert_eq!(agents[1].configured().await, ["every", "trade"]);
    assert_eq!(waited(&house, "trade").0, [ids[1].clone()]);
}

/// Which is taken off is not the point: that its files are not read must not pass for complete.
#[tokio::test]
async fn where_each_reads_something_alone_the_monitor_is_waited_for() {
    let house = house().await;
    let ids = [house.enrol("default", "trade").await, house.enrol("default", "trade").await];
    let reads = |inodes: &[u64]| {
        let on_disk: Vec<_> = inodes.iter().map(|inode| wire::FileOnDisk { device: 1, inode: *inode }).collect();
        let files = on_disk.len() as u32;
        let report = wire::MonitorReport { monitor: "trade".into(), files, on_disk, ..Default::default() };
        from_agent::Body::Heartbeat(wire::Heartbeat { now_ms: START, monitors: vec![report], ..Default::default() })
    };
    let mut agents = Vec::new();
    for id in &ids {
        let mut agent = house.connect(id, wire::Hello { boot_id: "boot".into(), ..hello("trade") }).await;
        agent.welcomed().await;
        assert_eq!(agent.configured().await, ["every", "trade"]);
        agents.push(agent);
    }
    // A rotated file is found by one before the other: that is over by the next heartbeats.
    for (agent, inodes) in agents.iter_mut().zip([[1, 2], [2, 3]]) {
        agent.say(reads(&inodes)).await;
        agent.send(1, "trade").await;
        assert_eq!(agent.acked().await, 1);
    }
    assert_eq!(house.taker.gaps.lock().unwrap().len(), 0);
    house.clock.advance(Duration::from_secs(61));
    agents[1].say(reads(&[2, 3])).await;
    assert_eq!(agents[1].configured().await, ["every"]);
    house.reconcile().await;
    assert_eq!(waited(&house, "trade").0, ids, "its files are missing");
    let view = house.collector.agent("default", &AgentId(ids[1].clone())).await.unwrap();
    assert!(view.reasons.iter().any(|reason| reason.contains("monitor is not complete")), "{view:?}");
    // Somebody parts their files: it is judged anew.
    house.documents.put("default", "trade", json!({ "stats": [{ "name": "n", "fn": "lines" }] }));
    house.collector.resources_changed(&[ResourceKey::new(MONITOR, "default", "trade")]);
    house.reconcile().await;
    assert_eq!(agents[1].configured().await, ["every", "trade"]);
    let view = house.collector.agent("default", &AgentId(ids[1].clone())).await.unwrap();
    assert!(!view.reasons.iter().any(|reason| reason.contains("monitor is not complete")), "{view:?}");
}

#[tokio::test]
async fn of_two_the_one_that_reads_more_counts() {
    let house = house().await;
    let ids = [house.enrol("default", "trade").await, house.enrol("default", "trade").await];
    let mut agents = Vec::new();
    for (id, inodes) in ids.iter().zip([vec![1], vec![1, 2]]) {
        let mut agent = house.connect(id, wire::Hello { boot_id: "boot".into(), ..hello("trade") }).await;
        agent.welcomed().await;
        assert_eq!(agent.configured().await, ["every", "trade"]);
        let on_disk = inodes.into_iter().map(|inode| wire::FileOnDisk { device: 1, inode }).collect();
        let report = wire::MonitorReport { monitor: "trade".into(), on_disk, ..Default::default() };
        let now_ms = START;
        let heartbeat = wire::Heartbeat { now_ms, monitors: vec![report], ..Default::default() };
        agent.say(from_agent::Body::Heartbeat(heartbeat)).await;
        agents.push(agent);
    }
    assert_eq!(agents[0].configured().await, ["every"], "though it was enrolled first");
    house.reconcile().await;
    assert_eq!(waited(&house, "trade").0, ids, "who knows what else the first would see");
}

#[tokio::test]
async fn an_acknowledgement_waits_for_the_engine() {
    let (house, _, mut agent) = house_with_agent().await;
    let stuck = house.taker.stuck.write().await;
    agent.send(1, "trade").await;
    let early = tokio::time::timeout(Duration::from_millis(100), agent.inbox.message()).await;
    assert!(early.is_err(), "acknowledged before it was durable");
    drop(stuck);
    assert_eq!(agent.acked().await, 1);
}

#[tokio::test]
async fn a_full_disk_puts_records_off_and_loses_none() {
    let (house, _, mut agent) = house_with_agent().await;
    house.taker.full.store(true, Ordering::SeqCst);
    agent.send(1, "trade").await;
    agent.send(2, "trade").await;
    let to_agent::Body::Busy(busy) = agent.hear().await else { panic!("not busy") };
    assert_eq!(busy.sequence, 1);
    assert!(busy.retry_after_ms > 0 && busy.reason.contains("disk is full"), "{busy:?}");
    house.taker.full.store(false, Ordering::SeqCst);
    for sequence in 1..=2 {
        agent.send(sequence, "trade").await;
        assert_eq!(agent.acked().await, sequence);
    }
    assert_eq!(house.taker.batches.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_forged_sequence_ends_the_session() {
    for forged in [0, 2, u64::MAX] {
        let (house, _, mut agent) = house_with_agent().await;
        agent.send(forged, "trade").await;
        let status = agent.ended().await;
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains("where 1 is next"), "{status}");
        assert!(house.taker.batches.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn garbage_is_passed_over_and_told() {
    let (house, _, mut agent) = house_with_agent().await;
    let garbage = wire::Record { sequence: 1, payload: vec![9; 100] };
    agent.say(from_agent::Body::Record(garbage)).await;
    assert_eq!(agent.acked().await, 1);
    agent.send(2, "trade").await;
    assert_eq!(agent.acked().await, 2);
    let batches = house.taker.batches.lock().unwrap();
    let monitors = ["every", "trade"];
    let told: Vec<_> =
        batches[0].deltas.iter().flat_map(|delta| &delta.windows).map(|w| w.keys[..2].join(" ")).collect();
    assert_eq!(told, monitors.map(|monitor| format!("{monitor} record_refused")));
    let gaps: Vec<_> = batches[0].watermarks.iter().map(|w| (w.monitor.name.as_str(), w.through.0)).collect();
    assert_eq!(gaps, monitors.map(|monitor| (monitor, 0)));
    assert!(batches[0].watermarks.iter().all(|w| w.gap.is_some()));
    assert_eq!(batches[1].deltas.len(), 1);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_session() {
    let (house, _, mut agent) = house_with_agent().await;
    let huge = wire::Record { sequence: 1, payload: vec![9; nightjar_model::protocol::MAX_MESSAGE_BYTES + 1] };
    agent.say(from_agent::Body::Record(huge)).await;
    let status = agent.ended().await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(house.taker.batches.lock().unwrap().is_empty());
}

#[tokio::test]
async fn monitors_of_others_are_left_out_of_a_record() {
    let (house, _, mut agent) = house_with_agent().await;
    for (sequence, monitor) in [(1, "theirs"), (2, "unheard-of"), (3, "every")] {
        agent.send(sequence, monitor).await;
        assert_eq!(agent.acked().await, sequence);
    }
    let batches = house.taker.batches.lock().unwrap();
    let sizes: Vec<_> = batches.iter().map(|batch| (batch.deltas.len(), batch.watermarks.len())).collect();
    assert_eq!(sizes, [(0, 0), (0, 0), (1, 1)]);
}

/// Who contributes to a monitor, as the engine was told last.
fn expected_of(house: &House, monitor: &str) -> Vec<AgentId> {
    let expected = house.taker.expected.lock().expect("no test panicked here");
    let of = expected.iter().find(|expectation| expectation.monitor.name == monitor).expect("expected");
    of.agents.iter().map(|agent| agent.id.clone()).collect()
}

#[tokio::test]
async fn changed_documents_reach_agents_and_engine() {
    let (house, id, mut agent) = house_with_agent().await;
    house.reconcile().await;
    assert_eq!(expected_of(&house, "trade"), [AgentId(id.clone())]);
    assert_eq!(expected_of(&house, "theirs"), []);

    house.documents.put("default", "new", json!({}));
    house.documents.delete("default", "every");
    house.collector.resources_changed(&[ResourceKey::new(MONITOR, "default", "new")]);
    house.reconcile().await;
    assert_eq!(agent.configured().await, ["new", "trade"]);
    let mut monitors: Vec<String> =
        house.taker.expected.lock().unwrap().iter().map(|e| e.monitor.to_string()).collect();
    // Every workspace has the built-in ones.
    let built_in = ["default/_faults", "default/_intake", "other/_faults", "other/_intake"];
    assert!(built_in.iter().all(|name| monitors.iter().any(|known| known == name)), "{monitors:?}");
    monitors.retain(|name| !name.contains("/_"));
    assert_eq!(monitors, ["default/new", "default/trade", "other/theirs"]);

    // Nothing changed: nothing is sent, so the next thing heard is the acknowledgement.
    house.reconcile().await;
    agent.send(1, "new").await;
    assert_eq!(agent.acked().await, 1);
    let view = house.collector.agent("default", &AgentId(id)).await.unwrap();
    assert_eq!(view.config_applied, Some(view.config_wanted));
}

#[tokio::test]
async fn an_agent_is_expected_before_it_hears_of_its_monitors() {
    // It has its configuration, and no reconciler has run since it enrolled.
    let (house, id, _agent) = house_with_agent().await;
    let id = [AgentId(id)];
    assert_eq!((&expected_of(&house, "every")[..], &expected_of(&house, "trade")[..]), (&id[..], &id[..]));
}

#[tokio::test]
async fn an_agent_that_has_its_configuration_is_not_sent_it_again() {
    let (house, id, agent) = house_with_agent().await;
    drop(agent);
    let wanted = house.collector.agent("default", &AgentId(id.clone())).await.unwrap().config_wanted;
    let mut agent = house.connect(&id, wire::Hello { config_version: wanted, ..hello("trade") }).await;
    agent.welcomed().await;
    agent.send(1, "trade").await;
    assert_eq!(agent.acked().await, 1);
}

#[tokio::test]
async fn a_second_session_replaces_the_first_once_it_let_go() {
    let (house, id, mut first) = house_with_agent().await;
    let stuck = house.taker.stuck.write().await;
    first.send(1, "trade").await;
    let mut second = house.connect(&id, hello("trade")).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.inbox.message()).await;
    assert!(early.is_err(), "welcomed while the first session's record is still with the engine");
    drop(stuck);
    assert_eq!(second.welcomed().await.taken_sequence, 1);
    assert_eq!(first.ended().await.code(), Code::Aborted);
    let health = house.collector.agent("default", &AgentId(id)).await.unwrap().health;
    assert_eq!(health, AgentHealth::Healthy);
}

#[tokio::test]
async fn sessions_are_limited() {
    let house = House::open(CollectorConfig { max_sessions: 1, ..CollectorConfig::default() }).await;
    let (one, two) = (house.enrol("default", "a").await, house.enrol("default", "b").await);
    let mut first = house.connect(&one, hello("a")).await;
    first.welcomed().await;
    let refused = house.try_connect(&two, "key-of-agent-2", hello("b")).await.err().expect("refused");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(first);
    until("there is a place again", || async {
        house.try_connect(&two, "key-of-agent-2", hello("b")).await.map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn the_fleet_shows_what_agents_say() {
    let (house, id, mut agent) = house_with_agent().await;
    let id = AgentId(id);
    let report = wire::MonitorReport { monitor: "trade".into(), files: 2, lines: 7, ..Default::default() };
    let process = wire::SelfReport { resident_bytes: 5, ..Default::default() };
    let heartbeat = wire::Heartbeat { now_ms: START + 4_000, monitors: vec![report], process: Some(process) };
    agent.say(from_agent::Body::Heartbeat(heartbeat)).await;
    agent.send(1, "trade").await;
    agent.acked().await;
    let view = house.collector.agent("default", &id).await.unwrap();
    assert_eq!((view.health, view.clock_skew_ms), (AgentHealth::ClockSkew, 4_000));
    assert_eq!((view.monitors[0].lines, view.process.resident_bytes), (7, 5));
    assert_eq!(view.facts.hostname, "trade-host");
    assert_eq!(house.collector.agent("other", &id).await.unwrap_err().kind, ErrorKind::NotFound);

    house.clock.advance(Duration::from_secs(31));
    let health = house.collector.agents("default").await.unwrap()[0].health;
    assert_eq!(health, AgentHealth::Lost);
    agent.send(2, "trade").await;
    agent.acked().await;
    assert_ne!(house.collector.agents("default").await.unwrap()[0].health, AgentHealth::Lost);
    let seen = house.registry.seen.lock().unwrap().clone();
    assert_eq!(seen.last(), Some(&(id, Timestamp(START + 31_000))));
    assert_eq!(seen.len(), 2, "stored at the hello, and not again within 30 s");
}

#[tokio::test]
async fn tasks_are_answered_time_out_and_are_bounded() {
    let config = CollectorConfig { task_timeout: Span::from_secs(1), tasks_per_agent: 1, ..CollectorConfig::default() };
    let house = House::open(config).await;
    let id = AgentId(house.enrol("default", "trade").await);
    let away = house.collector.run("default", &id, list_files()).await.unwrap_err();
    assert_eq!(away.kind, ErrorKind::Unavailable);

    let mut agent = house.connect(&id.0, hello("trade")).await;
    agent.welcomed().await;
    agent.configured().await;
    let foreign = house.collector.run("other", &id, list_files()).await.unwrap_err();
    assert_eq!(foreign.kind, ErrorKind::NotFound);

    let listing = AgentTaskResult::Files(FileListing { root: "/".into(), ..FileListing::default() });
    let asked = house.collector.run("default", &id, list_files());
    let answering = async {
        let to_agent::Body::Task(task) = agent.hear().await else { panic!("not a task") };
        assert_eq!(task.task_json, r#"{"list_files":{"root":"/","limit":1}}"#);
        let busy = house.collector.run("default", &id, list_files()).await.unwrap_err();
        assert_eq!(busy.kind, ErrorKind::TooManyRequests);
        let result_json = serde_json::to_string(&listing).unwrap();
        let answer = wire::TaskAnswer { id: task.id, result_json, error: String::new() };
        agent.say(from_agent::Body::TaskAnswer(answer)).await;
    };
    let (answer, ()) = tokio::join!(asked, answering);
    assert_eq!(answer.unwrap(), listing);

    let late = house.collector.run("default", &id, list_files()).await.unwrap_err();
    assert_eq!(late.kind, ErrorKind::Timeout);

    let asked = house.collector.run("default", &id, list_files());
    let leaving = async {
        agent.hear().await;
        agent.hear().await;
        drop(agent);
    };
    let (gone, ()) = tokio::join!(asked, leaving);
    assert_eq!(gone.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_removed_agent_is_disconnected_and_not_expected() {
    let (house, id, mut agent) = house_with_agent().await;
    let id = AgentId(id);
    let actor = nightjar_model::identity::Actor::system();
    house.registry.delete_agent(&actor, "default", &id).await.unwrap();
    house.collector.disconnect(&id).await;
    assert_eq!(agent.ended().await.code(), Code::Unauthenticated);
    house.reconcile().await;
    assert!(house.taker.expected.lock().unwrap().iter().all(|e| e.agents.is_empty()));
    assert!(house.collector.agents("default").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_agent_that_is_removed_before_its_hello_is_not_let_in() {
    let (house, id, agent) = house_with_agent().await;
    // It was counted in already, so no hand-out stands in its way.
    drop(agent);
    let mut silent = house.knock(&id).await;
    let id = AgentId(id);
    let actor = nightjar_model::identity::Actor::system();
    house.registry.delete_agent(&actor, "default", &id).await.unwrap();
    house.collector.disconnect(&id).await;
    silent.say(from_agent::Body::Hello(hello("trade"))).await;
    let status = silent.hear_or_end().await.expect_err("not welcomed");
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    assert!(house.registry.agents(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn shutdown_lets_the_record_at_hand_finish() {
    let (house, _, mut agent) = house_with_agent().await;
    let stuck = house.taker.stuck.write().await;
    agent.send(1, "trade").await;
    until("the record has arrived", || async { holds(house.taker.arrived.load(Ordering::SeqCst) == 1) }).await;
    house.shutdown.cancel();
    drop(stuck);
    loop {
        match agent.hear_or_end().await {
            Ok(to_agent::Body::Ack(ack)) => assert_eq!(ack.sequence, 1),
            Ok(other) => panic!("{other:?}"),
            Err(status) => break assert_eq!(status.code(), Code::Unavailable),
        }
    }
    drop(agent);
    let served = tokio::time::timeout(Duration::from_secs(10), house.serving).await.expect("drained");
    served.unwrap().expect("a clean end");
    assert_eq!(house.taker.batches.lock().unwrap().len(), 1, "what was taken was acknowledged, and nothing else");
}
