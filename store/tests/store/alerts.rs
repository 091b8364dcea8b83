//! Alert state, history and the notification queue.

use std::collections::{BTreeMap, HashMap};

use nightjar_model::alert::{
    Alert, AlertCommit, AlertEvent, AlertQuery, AlertState, AlertStatus, Channel, EventQuery, Found, Notification,
    NotificationQuery, NotificationStatus, Phase, Receiver, RuleState, rule_timeline,
};
use nightjar_model::kinds::alert_rule::Level;
use nightjar_model::ports::AlertStore;
use nightjar_model::{ErrorKind, Timestamp};
use serde_json::json;

use crate::bed::{Bed, race};

fn minute(n: i64) -> Timestamp {
    Timestamp(n * 60_000)
}

pub(crate) fn alert(id: &str, started: i64) -> Alert {
    Alert {
        id: id.into(),
        workspace: "default".into(),
        rule: "slow".into(),
        rule_title: "慢".into(),
        monitor: "trade".into(),
        folder: "trade/core".into(),
        keys: BTreeMap::from([("goods".into(), "苹果".into())]),
        level: Level::P1,
        status: AlertStatus::Firing,
        started_at: minute(started),
        ended_at: None,
        summary: "cost_avg now = 132.5 > 100".into(),
        values: BTreeMap::from([("cost_avg".into(), Some(132.5)), ("none".into(), None)]),
    }
}

fn event(alert: &str, stage: &str) -> AlertEvent {
    AlertEvent {
        at: minute(1),
        alert: alert.into(),
        stage: stage.into(),
        outcome: "passed".into(),
        reason: "because".into(),
        notification: None,
    }
}

pub(crate) fn notification(id: &str, alert: &str, dedup_key: &str, created: i64) -> Notification {
    Notification {
        id: id.into(),
        workspace: "default".into(),
        dedup_key: dedup_key.into(),
        alert: alert.into(),
        channel: Channel::Webhook,
        receiver: "w".into(),
        status: NotificationStatus::Pending,
        attempts: 0,
        created_at: minute(created),
        next_attempt_at: minute(created),
        sent_at: None,
        payload: json!({ "title": "慢", "z": 1, "a": [null, 2.5] }),
        last_answer: None,
    }
}

pub(crate) fn commit(alerts: Vec<Alert>, notifications: Vec<Notification>) -> AlertCommit {
    AlertCommit { workspace: "default".into(), alerts, notifications, ..AlertCommit::default() }
}

fn state(uid: &str) -> RuleState {
    let mut one = AlertState::new(BTreeMap::from([("goods".into(), "苹果".into())]));
    one.phase = Phase::Firing;
    one.found.insert(minute(3), Found { holds: true, recovers: Some(false) });
    one.found.insert(minute(4), Found { holds: false, recovers: Some(true) });
    (one.since, one.seen, one.alert) = (minute(2), minute(4), Some("a1".into()));
    RuleState { judged_through: Some(minute(5)), rule_uid: uid.into(), states: vec![one] }
}

async fn events(bed: &Bed, workspace: &str, alert: &str) -> Vec<AlertEvent> {
    let query = EventQuery { workspace: workspace.into(), alert: alert.into(), ..EventQuery::default() };
    bed.store.events(&query).await.unwrap().items
}

fn stages(events: &[AlertEvent]) -> Vec<&str> {
    events.iter().map(|event| event.stage.as_str()).collect()
}

pub(crate) async fn a_commit_comes_back_whole(bed: Bed) {
    let store = &bed.store;
    assert_eq!(store.rule_state("default", "slow").await.unwrap(), RuleState::default());
    let sent = notification("n1", "a1", "k1", 1);
    let whole = AlertCommit {
        rule: Some(("slow".into(), state("u1"))),
        events: vec![event("a1", "evaluate"), event("a1", "route")],
        ..commit(vec![alert("a1", 1), alert("a2", 2)], vec![sent.clone()])
    };
    store.commit(whole).await.unwrap();
    assert_eq!(store.rule_state("default", "slow").await.unwrap(), state("u1"));
    assert_eq!(store.alert("default", "a1").await.unwrap(), alert("a1", 1));
    assert_eq!(store.notification("default", "n1").await.unwrap(), sent);

    let ended = Alert { status: AlertStatus::Recovered, ended_at: Some(minute(9)), ..alert("a1", 1) };
    let next = AlertCommit {
        rule: Some(("slow".into(), RuleState { states: Vec::new(), ..state("u2") })),
        events: vec![AlertEvent { notification: Some("n1".into()), ..event("a1", "deliver") }],
        ..commit(vec![ended.clone()], Vec::new())
    };
    store.commit(next).await.unwrap();
    assert_eq!(store.alert("default", "a1").await.unwrap(), ended);
    assert_eq!(store.rule_state("default", "slow").await.unwrap().rule_uid, "u2");
    assert_eq!(stages(&events(&bed, "default", "a1").await), ["deliver", "route", "evaluate"]);

    assert_eq!(store.rules_with_state().await.unwrap(), [("default".to_owned(), "slow".to_owned())]);
    store.forget_rule("default", "slow").await.unwrap();
    assert_eq!(store.rules_with_state().await.unwrap(), []);
    let none = store.alert("default", "absent").await.unwrap_err();
    assert_eq!(none.kind, ErrorKind::NotFound);
}

pub(crate) async fn a_failing_commit_leaves_nothing(bed: Bed) {
    let store = &bed.store;
    store.commit(commit(vec![], vec![notification("n1", "a0", "k1", 1)])).await.unwrap();
    // The last notification takes an id that is another's.
    let bad = AlertCommit {
        rule: Some(("slow".into(), state("u1"))),
        events: vec![event("a1", "evaluate")],
        ..commit(vec![alert("a1", 1)], vec![notification("n2", "a1", "k2", 1), notification("n1", "a1", "k3", 1)])
    };
    store.commit(bad).await.unwrap_err();
    assert_eq!(store.rules_with_state().await.unwrap(), []);
    assert_eq!(
        store.alerts(&AlertQuery { workspace: "default".into(), ..AlertQuery::default() }).await.unwrap().items,
        []
    );
    assert_eq!(events(&bed, "default", "a1").await, []);
    assert!(store.notification("default", "n2").await.is_err());
}

pub(crate) async fn a_notification_is_made_once(bed: Bed) {
    let store = &bed.store;
    let first = notification("n1", "a1", "k1", 1);
    let again = notification("n2", "a1", "k1", 2);
    store.commit(commit(vec![], vec![first.clone(), again.clone()])).await.unwrap();
    store.commit(commit(vec![], vec![again])).await.unwrap();
    assert!(store.notification("default", "n2").await.is_err());
    assert_eq!(store.notification("default", "n1").await.unwrap(), first);

    let sent = Notification {
        status: NotificationStatus::Sent,
        attempts: 2,
        sent_at: Some(minute(3)),
        last_answer: Some("{\"errcode\":0}".into()),
        ..first
    };
    store.commit(commit(vec![], vec![sent.clone()])).await.unwrap();
    assert_eq!(store.notification("default", "n1").await.unwrap(), sent);
    assert_eq!(store.due_receivers(minute(99)).await.unwrap(), []);

    // Made by several at the same time: still once.
    let makers = (0..6).map(|n| {
        let (store, it) = (bed.store.clone(), notification(&format!("m{n}"), "a1", "raced", 5));
        async move { store.commit(commit(vec![], vec![it])).await }
    });
    for made in race(makers).await {
        made.unwrap();
    }
    let all = NotificationQuery { workspace: "default".into(), ..NotificationQuery::default() };
    let raced = store.notifications(&all).await.unwrap().items.into_iter().filter(|n| n.dedup_key == "raced");
    assert_eq!(raced.count(), 1);
}

pub(crate) async fn due_notifications_come_oldest_first(bed: Bed) {
    let store = &bed.store;
    let later = Notification { next_attempt_at: minute(50), ..notification("later", "a", "k0", 0) };
    let failed = Notification { status: NotificationStatus::Failed, ..notification("failed", "a", "k9", 0) };
    let some = vec![later, failed, notification("n3", "a", "k3", 3), notification("n1", "a", "k1", 1)];
    store.commit(commit(vec![], some)).await.unwrap();
    let to = notification("any", "a", "any", 0).to();
    let due = async |now: i64, limit: u32| store.due_notifications(&to, minute(now), limit).await.unwrap();
    assert_eq!(due(0, 10).await, Vec::<String>::new());
    assert_eq!(due(2, 10).await, ["n1"]);
    assert_eq!(due(3, 10).await, ["n1", "n3"]);
    assert_eq!(due(3, 1).await, ["n1"]);
    assert_eq!(due(50, 10).await, ["later", "n1", "n3"]);
}

pub(crate) async fn due_notifications_are_told_by_receiver(bed: Bed) {
    let store = &bed.store;
    let own = |id: &str, created: i64| notification(id, "a", id, created);
    let robot = Notification { channel: Channel::Dingtalk, ..own("robot", 2) };
    let named = Notification { receiver: "v".into(), ..own("named", 2) };
    let later = Notification { receiver: "later".into(), next_attempt_at: minute(9), ..own("later", 0) };
    let sent = Notification { receiver: "sent".into(), status: NotificationStatus::Sent, ..own("sent", 0) };
    let some = vec![own("n2", 2), own("n1", 1), robot.clone(), named.clone(), later, sent];
    store.commit(commit(vec![], some)).await.unwrap();
    let blue = Notification { workspace: "blue".into(), ..own("blue", 2) };
    store.commit(AlertCommit { workspace: "blue".into(), ..commit(vec![], vec![blue.clone()]) }).await.unwrap();

    let counted: HashMap<Receiver, u64> = store.due_receivers(minute(2)).await.unwrap().into_iter().collect();
    let expected = [(own("n1", 1).to(), 2), (robot.to(), 1), (named.to(), 1), (blue.to(), 1)];
    assert_eq!(counted, HashMap::from(expected));
    for (of, ids) in [(own("n1", 1), &["n1", "n2"][..]), (robot, &["robot"]), (named, &["named"]), (blue, &["blue"])] {
        assert_eq!(store.due_notifications(&of.to(), minute(2), 10).await.unwrap(), ids);
    }
}

pub(crate) async fn listings_filter_and_page_alerts(bed: Bed) {
    let store = &bed.store;
    let alerts = (0..5).map(|n| Alert {
        level: if n % 2 == 0 { Level::P0 } else { Level::P3 },
        status: if n == 4 { AlertStatus::Firing } else { AlertStatus::Recovered },
        rule: format!("rule{n}"),
        // Two at the same time: the cursor must not lose one of them.
        ..alert(&format!("a{n}"), n / 2)
    });
    let notifications = (0..3).map(|n| notification(&format!("n{n}"), &format!("a{n}"), &format!("k{n}"), n));
    store.commit(commit(alerts.collect(), notifications.collect())).await.unwrap();
    let all = AlertQuery { workspace: "default".into(), ..AlertQuery::default() };
    let ids = async |query: AlertQuery| {
        let page = store.alerts(&query).await.unwrap();
        (page.items.into_iter().map(|alert| alert.id).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(ids(all.clone()).await, (["a4", "a3", "a2", "a1", "a0"].map(str::to_owned).to_vec(), None));
    assert_eq!(ids(AlertQuery { level: Some(Level::P3), ..all.clone() }).await.0, ["a3", "a1"]);
    assert_eq!(ids(AlertQuery { status: Some(AlertStatus::Firing), ..all.clone() }).await.0, ["a4"]);
    assert_eq!(ids(AlertQuery { rule: Some("rule2".into()), ..all.clone() }).await.0, ["a2"]);
    assert_eq!(ids(AlertQuery { monitor: Some("other".into()), ..all.clone() }).await.0, Vec::<String>::new());
    assert_eq!(ids(AlertQuery { since: Some(minute(1)), ..all.clone() }).await.0, ["a4", "a3", "a2"]);
    let mut query = AlertQuery { limit: 2, ..all };
    let mut pages = Vec::new();
    loop {
        let (page, next) = ids(query.clone()).await;
        pages.push(page);
        query.cursor = next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["a4", "a3"], vec!["a2", "a1"], vec!["a0"]]);

    let query = NotificationQuery { workspace: "default".into(), limit: 2, ..NotificationQuery::default() };
    let page = store.notifications(&query).await.unwrap();
    assert_eq!(page.items.iter().map(|n| n.id.as_str()).collect::<Vec<_>>(), ["n2", "n1"]);
    let rest = store.notifications(&NotificationQuery { cursor: page.next, ..query.clone() }).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[0].id.as_str(), rest.next), (1, "n0", None));
    let of = NotificationQuery { alert: Some("a1".into()), ..query.clone() };
    assert_eq!(store.notifications(&of).await.unwrap().items.len(), 1);
    let sent = NotificationQuery { status: Some(NotificationStatus::Sent), ..query };
    assert_eq!(store.notifications(&sent).await.unwrap().items, []);
}

pub(crate) async fn events_are_paged(bed: Bed) {
    let store = &bed.store;
    let told = ["evaluate", "route", "render", "queue", "deliver"].map(|stage| event("a1", stage));
    store.commit(AlertCommit { events: told.to_vec(), ..commit(vec![alert("a1", 1)], vec![]) }).await.unwrap();
    store.commit(AlertCommit { events: vec![event("a2", "evaluate")], ..commit(vec![], vec![]) }).await.unwrap();
    let of = EventQuery { workspace: "default".into(), alert: "a1".into(), limit: 2, cursor: None };
    let mut seen = Vec::new();
    let mut cursor = None;
    for _ in 0..3 {
        let page = store.events(&EventQuery { cursor: cursor.take(), ..of.clone() }).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items);
        cursor = page.next;
    }
    assert_eq!(cursor, None);
    assert_eq!(stages(&seen), ["deliver", "queue", "render", "route", "evaluate"]);
    let made_up = EventQuery { cursor: Some("made-up".into()), ..of };
    assert_eq!(store.events(&made_up).await.unwrap_err().kind, ErrorKind::InvalidInput);
}

pub(crate) async fn workspaces_do_not_see_each_others_alerts(bed: Bed) {
    let store = &bed.store;
    store.commit(commit(vec![alert("a1", 1)], vec![notification("n1", "a1", "k1", 1)])).await.unwrap();
    assert!(store.alert("blue", "a1").await.is_err());
    assert!(store.notification("blue", "n1").await.is_err());
    assert_eq!(events(&bed, "blue", "a1").await, []);
    let theirs = AlertQuery { workspace: "blue".into(), ..AlertQuery::default() };
    assert_eq!(store.alerts(&theirs).await.unwrap().items, []);
    // The same key in another workspace is another notification; and nobody overwrites another's alert.
    let other = Notification { workspace: "blue".into(), ..notification("n2", "a1", "k1", 1) };
    let taken = Alert { summary: "taken over".into(), ..alert("a1", 1) };
    let commit = AlertCommit { workspace: "blue".into(), ..commit(vec![taken], vec![other]) };
    store.commit(commit).await.unwrap();
    store.notification("blue", "n2").await.unwrap();
    assert_eq!(store.alert("default", "a1").await.unwrap(), alert("a1", 1));
}

pub(crate) async fn history_is_pruned(bed: Bed) {
    let store = &bed.store;
    let ended =
        |id: &str, at: i64| Alert { ended_at: Some(minute(at)), status: AlertStatus::Recovered, ..alert(id, 0) };
    let alerts = vec![ended("old", 5), ended("new", 10), alert("firing", 0)];
    let of = |id: &str| notification(&format!("n-{id}"), id, id, 0);
    let whole = AlertCommit {
        events: vec![
            event("old", "evaluate"),
            event("new", "evaluate"),
            event("firing", "evaluate"),
            event(&rule_timeline("slow"), "evaluate"),
            AlertEvent { at: minute(10), ..event(&rule_timeline("slow"), "evaluate") },
        ],
        ..commit(alerts, vec![of("old"), of("new"), of("firing")])
    };
    store.commit(whole).await.unwrap();
    assert_eq!(store.prune(minute(10)).await.unwrap(), 1);
    assert!(store.alert("default", "old").await.is_err());
    assert!(store.notification("default", "n-old").await.is_err());
    assert_eq!(events(&bed, "default", "old").await, []);
    let told: Vec<Timestamp> =
        events(&bed, "default", &rule_timeline("slow")).await.into_iter().map(|event| event.at).collect();
    assert_eq!(told, [minute(10)], "no alert takes a rule's own timeline with it");
    for kept in ["new", "firing"] {
        store.alert("default", kept).await.unwrap();
        store.notification("default", &format!("n-{kept}")).await.unwrap();
        assert_eq!(events(&bed, "default", kept).await.len(), 1);
    }
    assert_eq!(store.prune(minute(10)).await.unwrap(), 0);
}
