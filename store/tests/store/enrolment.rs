//! Enrolment tokens and agents.

use std::time::Duration;

use nightjar_model::agents::AgentFacts;
use nightjar_model::identity::NewEnrolmentToken;
use nightjar_model::names::AgentId;
use nightjar_model::ports::{AgentRegistry, ResourceStore};
use nightjar_model::{Error, ErrorKind, Secret};

use crate::bed::{Bed, START, alice, check_problems, race};

fn facts(hostname: &str) -> AgentFacts {
    AgentFacts { hostname: hostname.into(), version: "0.1.0".into(), ..AgentFacts::default() }
}

async fn token(bed: &Bed, new: NewEnrolmentToken) -> (String, Secret) {
    let (token, value) = bed.store.create_enrolment_token(&alice(), "default", new).await.unwrap();
    (token.id, value)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>, kind: ErrorKind, part: &str) {
    let error = outcome.expect_err("should be refused");
    assert!(error.kind == kind && error.message.contains(part), "{:?}: {}", error.kind, error.message);
}

pub(crate) async fn agents_come_and_go(bed: Bed) {
    bed.user("alice", "right password", true).await;
    let (_, value) = token(&bed, NewEnrolmentToken::default()).await;
    assert!(value.expose().starts_with("nje_"));
    let one = bed.store.enrol(&value, &facts("one"), Some("10.0.0.1")).await.unwrap();
    let two = bed.store.enrol(&value, &facts("two"), None).await.unwrap();
    assert_eq!(one.workspace, "default");
    assert_ne!((&one.id, one.key.expose()), (&two.id, two.key.expose()));
    let record = bed.store.authenticate(&one.id, &one.key).await.unwrap();
    assert_eq!((record.facts, record.enrolled_at, record.last_seen_at), (facts("one"), START, None));
    refused(bed.store.authenticate(&one.id, &two.key).await, ErrorKind::Unauthenticated, "enrol it anew");
    let made_up = AgentId("made-up".into());
    refused(bed.store.authenticate(&made_up, &one.key).await, ErrorKind::Unauthenticated, "enrol it anew");

    // Sightings close to each other are one, unless the agent has changed.
    let seen = async |facts: AgentFacts, after: u64| {
        let at = START.saturating_add(Duration::from_secs(after));
        bed.store.seen(&one.id, &facts, at).await.unwrap();
        let record = bed.store.authenticate(&one.id, &one.key).await.unwrap();
        (record.facts.hostname, record.last_seen_at.unwrap().since(START).as_secs())
    };
    assert_eq!(seen(facts("one"), 1).await, ("one".into(), 1));
    assert_eq!(seen(facts("one"), 5).await, ("one".into(), 1));
    assert_eq!(seen(facts("renamed"), 6).await, ("renamed".into(), 6));
    assert_eq!(seen(facts("renamed"), 30).await, ("renamed".into(), 30));
    refused(bed.store.seen(&made_up, &facts("x"), START).await, ErrorKind::Unauthenticated, "enrol it anew");
    let endless = AgentFacts { hostname: "x".repeat(20_000), ..AgentFacts::default() };
    refused(bed.store.enrol(&value, &endless, None).await, ErrorKind::TooLarge, "fewer labels");

    bed.store.create_workspace(&alice(), "blue").await.unwrap();
    assert_eq!(bed.store.agents(Some("default")).await.unwrap().len(), 2);
    assert_eq!(bed.store.agents(None).await.unwrap().len(), 2);
    assert_eq!(bed.store.agents(Some("blue")).await.unwrap(), []);
    refused(bed.store.delete_agent(&alice(), "blue", &one.id).await, ErrorKind::NotFound, "there is no agent");
    bed.store.delete_agent(&alice(), "default", &one.id).await.unwrap();
    refused(bed.store.authenticate(&one.id, &one.key).await, ErrorKind::Unauthenticated, "enrol it anew");
    bed.store.authenticate(&two.id, &two.key).await.unwrap();

    let audit = bed.audit().await;
    let enrolled = audit.iter().find(|entry| entry.name == one.id.0 && entry.action == "enrol").unwrap();
    assert_eq!((&enrolled.actor, enrolled.address.as_deref()), (&format!("agent:{}", one.id), Some("10.0.0.1")));
    assert_eq!(audit[0].action, "revoke");
}

pub(crate) async fn tokens_run_out(bed: Bed) {
    bed.user("alice", "right password", true).await;
    let create = async |new| bed.store.create_enrolment_token(&alice(), "default", new).await;
    let none = NewEnrolmentToken { uses: Some(0), ..NewEnrolmentToken::default() };
    check_problems(create(none).await, &[("uses", "must be at least 1")]);
    let past = NewEnrolmentToken { expires_at: Some(START), ..NewEnrolmentToken::default() };
    check_problems(create(past).await, &[("expiresAt", "has passed")]);
    let nowhere = bed.store.create_enrolment_token(&alice(), "nowhere", NewEnrolmentToken::default()).await;
    refused(nowhere, ErrorKind::NotFound, "there is no workspace");

    let (id, single) = token(&bed, NewEnrolmentToken { uses: Some(1), ..NewEnrolmentToken::default() }).await;
    bed.store.check_enrolment_token(&single).await.unwrap();
    bed.store.check_enrolment_token(&single).await.unwrap();
    bed.store.enrol(&single, &facts("a"), None).await.unwrap();
    refused(bed.store.check_enrolment_token(&single).await, ErrorKind::Unauthenticated, "is used up");
    refused(bed.store.enrol(&single, &facts("b"), None).await, ErrorKind::Unauthenticated, "is used up");
    let shown = bed.store.enrolment_tokens("default").await.unwrap();
    assert_eq!((&shown[0].id, shown[0].uses_left, shown[0].used), (&id, Some(0), 1));

    let expires_at = Some(START.saturating_add(Duration::from_secs(60)));
    let (id, brief) = token(&bed, NewEnrolmentToken { expires_at, ..NewEnrolmentToken::default() }).await;
    bed.store.enrol(&brief, &facts("c"), None).await.unwrap();
    bed.clock.advance(Duration::from_secs(60));
    refused(bed.store.enrol(&brief, &facts("d"), None).await, ErrorKind::Unauthenticated, "has expired");

    refused(bed.store.delete_enrolment_token(&alice(), "blue", &id).await, ErrorKind::NotFound, "there is no");
    bed.store.delete_enrolment_token(&alice(), "default", &id).await.unwrap();
    refused(bed.store.enrol(&brief, &facts("e"), None).await, ErrorKind::Unauthenticated, "not known");
    refused(bed.store.enrol(&Secret::new("nje_x"), &facts("f"), None).await, ErrorKind::Unauthenticated, "not known");
    assert_eq!(bed.store.agents(None).await.unwrap().len(), 2);
}

pub(crate) async fn no_use_of_a_token_counts_twice(bed: Bed) {
    bed.user("alice", "right password", true).await;
    let (_, value) = token(&bed, NewEnrolmentToken { uses: Some(3), ..NewEnrolmentToken::default() }).await;
    let agents = (0..12).map(|n| {
        let (store, value) = (bed.store.clone(), value.clone());
        async move { store.enrol(&value, &facts(&format!("host{n}")), None).await }
    });
    let mut enrolled = 0;
    for outcome in race(agents).await {
        match outcome {
            Ok(agent) => {
                bed.store.authenticate(&agent.id, &agent.key).await.unwrap();
                enrolled += 1;
            }
            Err(error) => assert_eq!(error.kind, ErrorKind::Unauthenticated, "{error}"),
        }
    }
    assert_eq!(enrolled, 3);
    assert_eq!(bed.store.agents(None).await.unwrap().len(), 3);
    let shown = bed.store.enrolment_tokens("default").await.unwrap();
    assert_eq!((shown[0].uses_left, shown[0].used), (Some(0), 3));
}
