//! What the reconcilers drop, and what they leave.

use std::time::Duration;

use nightjar_model::identity::{NewApiToken, NewEnrolmentToken};
use nightjar_model::ports::{AgentRegistry, Identities, ResourceStore, WriteOptions};
use nightjar_model::{Kind, Secret};

use crate::bed::{Bed, START, alice, key, monitor};

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn the_old_goes_and_the_new_stays(bed: Bed) {
    let store = &bed.store;
    let activate = async || {
        for reconciler in store.reconcilers() {
            reconciler.activate().await.unwrap();
        }
    };
    // A document that is never touched again, and one that is deleted.
    bed.apply(&[monitor("kept", &["count"]), monitor("gone", &["count"]), monitor("late", &["count"])]).await.unwrap();
    store.delete(&alice(), &key(Kind::Monitor, "gone"), WriteOptions::default()).await.unwrap();
    bed.user("alice", "right password", true).await;
    bed.user("carol", "right password", false).await;
    let principal = store.login("carol", &Secret::new("right password"), None).await.unwrap();
    store.start_session(&principal).await.unwrap();
    let expires_at = Some(START.saturating_add(DAY));
    let new = |name: &str, expires_at| NewApiToken {
        name: name.into(),
        platform_admin: true,
        expires_at,
        ..NewApiToken::default()
    };
    store.create_api_token(&alice(), new("brief", expires_at)).await.unwrap();
    store.create_api_token(&alice(), new("lasting", None)).await.unwrap();
    let brief = NewEnrolmentToken { expires_at, ..NewEnrolmentToken::default() };
    store.create_enrolment_token(&alice(), "default", brief).await.unwrap();
    store.create_enrolment_token(&alice(), "default", NewEnrolmentToken::default()).await.unwrap();

    activate().await;
    let before = bed.audit().await.len();
    assert_eq!(store.api_tokens().await.unwrap().len(), 2);

    bed.clock.advance(DAY * 32);
    activate().await;
    let names: Vec<String> = store.api_tokens().await.unwrap().into_iter().map(|token| token.name).collect();
    assert_eq!(names, ["lasting"]);
    assert_eq!(store.enrolment_tokens("default").await.unwrap().len(), 1);
    assert_eq!(bed.audit().await.len(), before);

    bed.clock.advance(DAY * 350);
    store.delete(&alice(), &key(Kind::Monitor, "late"), WriteOptions::default()).await.unwrap();
    bed.clock.advance(DAY * 30);
    activate().await;
    assert_eq!(bed.told().await, ["delete Monitor late"]);
    store.versions(&key(Kind::Monitor, "kept")).await.unwrap();
    assert!(store.versions(&key(Kind::Monitor, "gone")).await.is_err());
    // Deleted a month ago, though written long before: it can still be brought back.
    store.restore(&alice(), &key(Kind::Monitor, "late"), 1).await.unwrap();
}
