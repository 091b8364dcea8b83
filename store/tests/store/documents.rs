//! Documents: writing, versions, references, listings.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightjar_model::identity::Actor;
use nightjar_model::ports::{ListQuery, Outcome, ResourceStore, WriteOptions};
use nightjar_model::{ErrorKind, Kind, ResourceKey};
use serde_json::json;

use crate::bed::{Bed, START, alice, check_problems, key, monitor, race, resource, rule};

const IF_NEW: WriteOptions = WriteOptions { dry_run: false, if_match: Some(0) };
const DRY: WriteOptions = WriteOptions { dry_run: true, if_match: None };

fn if_match(version: i64) -> WriteOptions {
    WriteOptions { if_match: Some(version), ..WriteOptions::default() }
}

fn listen(bed: &Bed) -> Arc<Mutex<Vec<ResourceKey>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    bed.store.on_change(Arc::new(move |keys| ear.lock().unwrap().extend_from_slice(keys)));
    heard
}

pub(crate) async fn writes_are_told_and_kept(bed: Bed) {
    let heard = listen(&bed);
    let mut document = monitor("a", &["count"]);
    let made = bed.apply(&[document.clone()]).await.unwrap().remove(0);
    assert_eq!(made.outcome, Outcome::Created);
    let metadata = &made.resource.metadata;
    assert_eq!((metadata.version, metadata.created_at, metadata.updated_at), (Some(1), Some(START), Some(START)));
    assert_eq!(metadata.created_by.as_deref(), Some("user:alice"));
    assert_eq!(bed.store.get(&key(Kind::Monitor, "a")).await.unwrap(), made.resource);

    // The same again, and what the server itself shows, change nothing.
    bed.clock.advance(Duration::from_secs(60));
    assert_eq!(bed.apply(&[document.clone()]).await.unwrap()[0].outcome, Outcome::Unchanged);
    let shown = made.resource.to_value();
    assert_eq!(bed.apply(&[shown]).await.unwrap()[0].outcome, Outcome::Unchanged);

    document["metadata"]["labels"] = json!({ "team": "trade" });
    let bob = Actor { name: "token:bob".into(), address: None };
    let changed = bed.store.apply(&bob, vec![resource(&document)], WriteOptions::default()).await.unwrap().remove(0);
    assert_eq!(changed.outcome, Outcome::Updated);
    let now = &changed.resource.metadata;
    assert_eq!((now.version, &now.uid, now.created_at), (Some(2), &metadata.uid, Some(START)));
    assert_eq!(now.updated_by.as_deref(), Some("token:bob"));
    assert_eq!(now.updated_at, Some(START.saturating_add(Duration::from_secs(60))));

    bed.store.delete(&alice(), &key(Kind::Monitor, "a"), WriteOptions::default()).await.unwrap();
    let gone = bed.store.get(&key(Kind::Monitor, "a")).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);

    assert_eq!(*heard.lock().unwrap(), vec![key(Kind::Monitor, "a"); 3]);
    assert_eq!(bed.told().await, ["create Monitor a", "update Monitor a", "delete Monitor a"]);
    let audit = bed.audit().await;
    let update = &audit[1];
    assert_eq!((update.actor.as_str(), update.workspace.as_deref()), ("token:bob", Some("default")));
    assert_eq!(update.before.as_ref().unwrap()["metadata"]["version"], 1);
    assert_eq!(update.after.as_ref().unwrap()["metadata"]["labels"]["team"], "trade");
    assert_eq!(audit[2].address.as_deref(), Some("192.0.2.7"));
    assert_eq!((&audit[2].before, &audit[0].after), (&None, &None));
}

pub(crate) async fn nothing_is_written_of_a_bad_request(bed: Bed) {
    let heard = listen(&bed);
    let refused = bed.apply(&[rule("r", "absent", "count")]).await;
    check_problems(refused, &[("spec.monitor", "there is no Monitor `absent` in this workspace")]);

    let mut odd = monitor("odd", &["count"]);
    odd["metadata"]["displayName"] = json!("nu\0l");
    check_problems(bed.apply(&[odd]).await, &[("metadata.displayName", "control character")]);

    let mut elsewhere = monitor("b", &["count"]);
    elsewhere["metadata"]["workspace"] = json!("nowhere");
    let good = monitor("a", &["count"]);
    let refused = bed.apply(&[good.clone(), rule("r", "a", "cost"), elsewhere, good]).await;
    check_problems(
        refused,
        &[
            ("documents[2].metadata.workspace", "there is no workspace `nowhere`"),
            ("documents[3].metadata.name", "documents[0] is the same Monitor already"),
            ("documents[1].spec.conditions[0].field", "has no statistic `cost`; it has count"),
        ],
    );
    let all = ListQuery::default();
    assert_eq!(bed.store.list(&all).await.unwrap().items, []);
    assert_eq!(bed.told().await, Vec::<String>::new());
    assert!(heard.lock().unwrap().is_empty());
}

pub(crate) async fn documents_of_one_request_see_each_other(bed: Bed) {
    let applied = bed.apply(&[rule("r", "a", "count"), monitor("a", &["count"])]).await.unwrap();
    assert!(applied.iter().all(|a| a.outcome == Outcome::Created));
    // Both change: each alone would be wrong.
    let applied = bed.apply(&[rule("r", "a", "cost"), monitor("a", &["cost"])]).await.unwrap();
    assert!(applied.iter().all(|a| a.outcome == Outcome::Updated));
}

pub(crate) async fn a_monitor_cannot_change_under_its_rules(bed: Bed) {
    bed.apply(&[monitor("a", &["count", "cost"]), rule("r", "a", "cost")]).await.unwrap();
    let refused = bed.apply(&[monitor("a", &["count"])]).await;
    check_problems(
        refused,
        &[("spec", "AlertRule `r` refers to it and would no longer be valid: spec.conditions[0].field")],
    );
    let kept = bed.store.get(&key(Kind::Monitor, "a")).await.unwrap();
    assert_eq!(kept.metadata.version, Some(1));
    bed.apply(&[monitor("a", &["cost", "more"])]).await.unwrap();
}

pub(crate) async fn what_is_referred_to_cannot_be_deleted(bed: Bed) {
    bed.apply(&[monitor("a", &["count"]), rule("r1", "a", "count"), rule("r2", "a", "count")]).await.unwrap();
    let (a, r1, r2) = (key(Kind::Monitor, "a"), key(Kind::AlertRule, "r1"), key(Kind::AlertRule, "r2"));
    let refused = bed.store.delete(&alice(), &a, WriteOptions::default()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    let named = "AlertRule `r1` (spec.monitor), AlertRule `r2` (spec.monitor)";
    assert!(refused.message.ends_with(named), "{}", refused.message);

    // One goes, the other turns to another monitor: nothing refers to it any more.
    bed.store.delete(&alice(), &r1, WriteOptions::default()).await.unwrap();
    bed.apply(&[monitor("b", &["count"]), rule("r2", "b", "count")]).await.unwrap();
    bed.store.delete(&alice(), &a, WriteOptions::default()).await.unwrap();
    let refused = bed.store.delete(&alice(), &key(Kind::Monitor, "b"), DRY).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    bed.store.delete(&alice(), &r2, DRY).await.unwrap();
    bed.store.get(&r2).await.unwrap();
}

pub(crate) async fn stale_writes_are_refused(bed: Bed) {
    let a = key(Kind::Monitor, "a");
    let stale = |error: nightjar_model::Error, part: &str| {
        assert_eq!(error.kind, ErrorKind::Stale);
        assert!(error.message.contains(part), "{}", error.message);
    };
    let document = |stat: &str| [monitor("a", &[stat])];
    stale(bed.apply_with(&document("x"), if_match(1)).await.unwrap_err(), "does not exist");
    bed.apply_with(&document("x"), IF_NEW).await.unwrap();
    stale(bed.apply_with(&document("y"), IF_NEW).await.unwrap_err(), "exists already, at version 1");
    bed.apply_with(&document("y"), if_match(1)).await.unwrap();
    stale(bed.apply_with(&document("z"), if_match(1)).await.unwrap_err(), "is at version 2, not 1");
    stale(bed.store.delete(&alice(), &a, if_match(1)).await.unwrap_err(), "is at version 2, not 1");
    bed.store.delete(&alice(), &a, if_match(2)).await.unwrap();
    let two = bed.apply_with(&[monitor("a", &["x"]), monitor("b", &["x"])], IF_NEW).await.unwrap_err();
    assert_eq!(two.kind, ErrorKind::InvalidInput);
}

pub(crate) async fn one_of_many_racing_writers_wins(bed: Bed) {
    bed.apply(&[monitor("a", &["s0"])]).await.unwrap();
    let writers = (1..=8).map(|n| {
        let (store, document) = (bed.store.clone(), resource(&monitor("a", &[&format!("s{n}")])));
        async move { store.apply(&alice(), vec![document], if_match(1)).await }
    });
    let mut won = Vec::new();
    for outcome in race(writers).await {
        match outcome {
            Ok(applied) => won.extend(applied),
            Err(error) => assert_eq!(error.kind, ErrorKind::Stale, "{error}"),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(bed.store.get(&key(Kind::Monitor, "a")).await.unwrap(), won[0].resource);
    assert_eq!(bed.store.versions(&key(Kind::Monitor, "a")).await.unwrap().len(), 2);
}

pub(crate) async fn racing_deletes_and_references_leave_none_dangling(bed: Bed) {
    for n in 0..10 {
        let (name, rule_name) = (format!("m{n}"), format!("r{n}"));
        bed.apply(&[monitor(&name, &["count"])]).await.unwrap();
        let (victim, actor) = (key(Kind::Monitor, &name), alice());
        let delete = bed.store.delete(&actor, &victim, WriteOptions::default());
        let documents = [rule(&rule_name, &name, "count")];
        let (deleted, referred) = tokio::join!(delete, bed.apply(&documents));
        assert!(deleted.is_ok() != referred.is_ok(), "{deleted:?} {referred:?}");
    }
}

pub(crate) async fn a_dry_run_changes_nothing(bed: Bed) {
    let heard = listen(&bed);
    let would = bed.apply_with(&[monitor("a", &["count"]), rule("r", "a", "count")], DRY).await.unwrap();
    assert_eq!(would.iter().map(|a| a.outcome).collect::<Vec<_>>(), [Outcome::Created; 2]);
    assert_eq!(would[0].resource.metadata.version, Some(1));
    check_problems(bed.apply_with(&[rule("r", "a", "count")], DRY).await, &[("spec.monitor", "there is no Monitor")]);
    assert_eq!(bed.store.list(&ListQuery::default()).await.unwrap().items, []);
    assert_eq!(bed.told().await, Vec::<String>::new());
    assert!(heard.lock().unwrap().is_empty());
}

pub(crate) async fn old_versions_come_back(bed: Bed) {
    let (a, r) = (key(Kind::Monitor, "a"), key(Kind::AlertRule, "r"));
    let first = bed.apply(&[monitor("a", &["count"])]).await.unwrap().remove(0).resource;
    bed.apply(&[monitor("a", &["cost"])]).await.unwrap();
    let restored = bed.store.restore(&alice(), &a, 1).await.unwrap();
    assert_eq!((restored.metadata.version, &restored.metadata.uid), (Some(3), &first.metadata.uid));
    assert_eq!(restored.spec, first.spec);
    let versions = bed.store.versions(&a).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.metadata.version).collect::<Vec<_>>(), [Some(3), Some(2), Some(1)]);
    assert_eq!(versions[2], first);

    // A deleted one comes back as another, and its versions go on.
    bed.apply(&[rule("r", "a", "count")]).await.unwrap();
    bed.store.delete(&alice(), &r, WriteOptions::default()).await.unwrap();
    bed.store.delete(&alice(), &a, WriteOptions::default()).await.unwrap();
    check_problems(bed.store.restore(&alice(), &r, 1).await, &[("spec.monitor", "there is no Monitor")]);
    let again = bed.store.restore(&alice(), &a, 2).await.unwrap();
    assert_eq!(again.metadata.version, Some(4));
    assert_ne!(again.metadata.uid, first.metadata.uid);
    // Version 2 has no `count`, so the rule still does not fit.
    check_problems(bed.store.restore(&alice(), &r, 1).await, &[("spec.conditions[0].field", "no statistic `count`")]);
    bed.store.restore(&alice(), &a, 1).await.unwrap();
    bed.store.restore(&alice(), &r, 1).await.unwrap();
    assert_eq!(bed.told().await.last().unwrap(), "restore AlertRule r");

    let none = bed.store.restore(&alice(), &a, 77).await.unwrap_err();
    assert_eq!(none.kind, ErrorKind::NotFound);
    let none = bed.store.versions(&key(Kind::Monitor, "never")).await.unwrap_err();
    assert_eq!(none.kind, ErrorKind::NotFound);
}

pub(crate) async fn versions_are_bounded(bed: Bed) {
    for n in 1..=103 {
        bed.apply(&[monitor("a", &[&format!("s{n}")])]).await.unwrap();
    }
    let versions = bed.store.versions(&key(Kind::Monitor, "a")).await.unwrap();
    let numbers: Vec<i64> = versions.iter().filter_map(|v| v.metadata.version).collect();
    assert_eq!(numbers, (4..=103).rev().collect::<Vec<_>>());
}

pub(crate) async fn listings_filter_and_page(bed: Bed) {
    let in_folder = |name: &str, folder: &str, team: &str| {
        let mut document = monitor(name, &["count"]);
        document["metadata"]["folder"] = json!(folder);
        document["metadata"]["labels"] = json!({ "team": team });
        document["metadata"]["displayName"] = json!(format!("交易 {name}"));
        document
    };
    bed.apply(&[
        in_folder("a-c", "trade/core", "x"),
        in_folder("a", "trade", "x"),
        in_folder("ab", "trade-other", "y"),
        in_folder("b", "", "y"),
        rule("r", "a", "count"),
    ])
    .await
    .unwrap();
    let list = async |query: ListQuery| {
        let page = bed.store.list(&query).await.unwrap();
        (page.items.into_iter().map(|r| r.metadata.name).collect::<Vec<_>>(), page.next)
    };
    let monitors = ListQuery { kind: Some(Kind::Monitor), ..ListQuery::default() };
    assert_eq!(list(monitors.clone()).await.0, ["a", "a-c", "ab", "b"]);
    assert_eq!(list(ListQuery::default()).await.0, ["r", "a", "a-c", "ab", "b"]);
    assert_eq!(list(ListQuery { folder: Some("trade/".into()), ..monitors.clone() }).await.0, ["a", "a-c"]);
    let labels = vec![("team".to_owned(), "y".to_owned())];
    assert_eq!(list(ListQuery { labels, ..monitors.clone() }).await.0, ["ab", "b"]);
    assert_eq!(list(ListQuery { q: Some("A-C".into()), ..monitors.clone() }).await.0, ["a-c"]);
    assert_eq!(list(ListQuery { q: Some("交易".into()), ..monitors.clone() }).await.0.len(), 4);
    assert_eq!(list(ListQuery { workspace: Some("other".into()), ..monitors }).await.0.len(), 0);

    let mut query = ListQuery { limit: 2, ..ListQuery::default() };
    let (mut pages, mut seen) = (0, Vec::new());
    loop {
        let (names, next) = list(query.clone()).await;
        pages += 1;
        seen.extend(names);
        query.cursor = next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen), (3, ["r", "a", "a-c", "ab", "b"].map(str::to_owned).to_vec()));
    let bad = ListQuery { cursor: Some("nonsense".into()), ..ListQuery::default() };
    check_problems(bed.store.list(&bad).await, &[("cursor", "is not one")]);
}

pub(crate) async fn workspaces_keep_apart(bed: Bed) {
    assert_eq!(bed.store.workspaces().await.unwrap(), ["default"]);
    bed.store.create_workspace(&alice(), "blue").await.unwrap();
    bed.store.create_workspace(&alice(), "blue").await.unwrap();
    check_problems(bed.store.create_workspace(&alice(), "Not Good").await, &[("name", "may hold only")]);
    assert_eq!(bed.store.workspaces().await.unwrap(), ["blue", "default"]);
    assert_eq!(bed.told().await, ["create Workspace blue"]);

    bed.apply(&[monitor("a", &["count"])]).await.unwrap();
    let mut stranger = rule("r", "a", "count");
    stranger["metadata"]["workspace"] = json!("blue");
    check_problems(bed.apply(&[stranger]).await, &[("spec.monitor", "there is no Monitor `a`")]);
    let mut own = monitor("a", &["cost"]);
    own["metadata"]["workspace"] = json!("blue");
    bed.apply(&[own]).await.unwrap();
    let of = async |workspace: &str| {
        let query = ListQuery { workspace: Some(workspace.into()), ..ListQuery::default() };
        let items = bed.store.list(&query).await.unwrap().items;
        items.into_iter().map(|r| r.metadata.uid).collect::<BTreeSet<_>>()
    };
    assert!(of("blue").await.is_disjoint(&of("default").await));
    let log = bed.store.audit_log(Some("blue"), 1, None).await.unwrap();
    assert_eq!((log.items.len(), log.items[0].name.as_str()), (1, "a"));
    let rest = bed.store.audit_log(Some("blue"), 5, log.next.as_deref()).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[0].name.as_str(), rest.next), (1, "blue", None));
}
