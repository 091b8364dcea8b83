//! Secrets: kept, masked, revealed to those that must use them, and found nowhere else.

use std::path::Path;
use std::process::Command;

use nightjar_model::agents::AgentFacts;
use nightjar_model::identity::{NewApiToken, NewEnrolmentToken};
use nightjar_model::kinds::Spec;
use nightjar_model::ports::{AgentRegistry, Identities, ListQuery, Outcome, ResourceStore, WriteOptions};
use nightjar_model::{Kind, Resource, Secret};
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use crate::bed::{Bed, alice, check_problems, key, robot};

const URL: &str = "https://oapi.dingtalk.com/robot/send?access_token=";

fn url(token: &str) -> String {
    format!("{URL}{token}")
}

/// Address and secret as they are in the document.
fn secrets(resource: &Resource) -> (String, String) {
    match &resource.spec {
        Spec::DingtalkRobot(spec) => (spec.url.expose().to_owned(), spec.secret.expose().to_owned()),
        other => panic!("{other:?}"),
    }
}

async fn revealed(bed: &Bed) -> (String, String) {
    secrets(&bed.store.reveal(&key(Kind::DingtalkRobot, "d")).await.unwrap())
}

pub(crate) async fn the_mask_keeps_what_is_stored(bed: Bed) {
    let d = key(Kind::DingtalkRobot, "d");
    check_problems(
        bed.apply(&[robot("d", "***", "***")]).await,
        &[("spec.url", "none is stored; send the value"), ("spec.secret", "none is stored; send the value")],
    );
    bed.apply(&[robot("d", &url("one"), "s1")]).await.unwrap();
    assert_eq!(secrets(&bed.store.get(&d).await.unwrap()), ("***".into(), "***".into()));
    assert_eq!(revealed(&bed).await, (url("one"), "s1".into()));

    assert_eq!(bed.apply(&[robot("d", "***", "***")]).await.unwrap()[0].outcome, Outcome::Unchanged);
    assert_eq!(bed.apply(&[robot("d", &url("one"), "***")]).await.unwrap()[0].outcome, Outcome::Unchanged);
    assert_eq!(bed.apply(&[robot("d", "***", "s2")]).await.unwrap()[0].outcome, Outcome::Updated);
    assert_eq!(revealed(&bed).await, (url("one"), "s2".into()));

    // An empty secret takes it away, and then there is nothing to keep.
    bed.apply(&[robot("d", "***", "")]).await.unwrap();
    assert_eq!(revealed(&bed).await, (url("one"), String::new()));
    check_problems(bed.apply(&[robot("d", "***", "***")]).await, &[("spec.secret", "none is stored")]);

    // Another document of the same kind keeps nothing of this one.
    check_problems(bed.apply(&[robot("other", "***", "")]).await, &[("spec.url", "none is stored")]);
}

pub(crate) async fn a_kept_secret_goes_nowhere_else(bed: Bed) {
    let hook = |url: &str, key: &str, header: &str, global: bool| {
        json!({
            "kind": "Webhook",
            "metadata": { "name": "w" },
            "spec": { "url": url, "secret_key": key, "headers": { "Authorization": header }, "global": global },
        })
    };
    let mail = |host: &str, port: u16, password: &str| {
        json!({
            "kind": "EmailServer",
            "metadata": { "name": "m" },
            "spec": { "host": host, "port": port, "username": "u", "password": password, "from": "a@example.com" },
        })
    };
    bed.apply(&[hook("https://ours.example/in", "k1", "Bearer t1", false)]).await.unwrap();
    bed.apply(&[mail("smtp.ours.example", 587, "p1")]).await.unwrap();
    bed.apply(&[robot("d", &url("one"), "s1")]).await.unwrap();
    let before = bed.audit().await.len();

    let only = "only for the address it was stored with";
    check_problems(
        bed.apply(&[hook("https://theirs.example/in", "***", "***", false)]).await,
        &[("spec.secret_key", only), ("spec.headers.Authorization", only)],
    );
    check_problems(
        bed.apply(&[hook("https://theirs.example/in", "new", "***", false)]).await,
        &[("spec.headers.Authorization", only)],
    );
    check_problems(bed.apply(&[mail("smtp.theirs.example", 587, "***")]).await, &[("spec.password", only)]);
    check_problems(bed.apply(&[mail("smtp.ours.example", 2525, "***")]).await, &[("spec.password", only)]);
    check_problems(bed.apply(&[robot("d", &url("two"), "***")]).await, &[("spec.secret", only)]);
    assert_eq!(bed.audit().await.len(), before);

    // To the same place they go on, and with new ones the place may change.
    bed.apply(&[hook("https://ours.example/in", "***", "***", true)]).await.unwrap();
    bed.apply(&[hook("https://theirs.example/in", "k2", "Bearer t2", true)]).await.unwrap();
    bed.apply(&[mail("smtp.ours.example", 587, "***")]).await.unwrap();
    bed.apply(&[robot("d", "***", "***")]).await.unwrap();
}

pub(crate) async fn versions_keep_their_secrets(bed: Bed) {
    let d = key(Kind::DingtalkRobot, "d");
    bed.apply(&[robot("d", &url("one"), "s1")]).await.unwrap();
    bed.apply(&[robot("d", &url("two"), "s2")]).await.unwrap();
    for version in bed.store.versions(&d).await.unwrap() {
        assert_eq!(secrets(&version), ("***".into(), "***".into()));
    }
    bed.store.restore(&alice(), &d, 1).await.unwrap();
    assert_eq!(revealed(&bed).await, (url("one"), "s1".into()));
    bed.store.delete(&alice(), &d, WriteOptions::default()).await.unwrap();
    bed.store.restore(&alice(), &d, 2).await.unwrap();
    assert_eq!(revealed(&bed).await, (url("two"), "s2".into()));
}

pub(crate) async fn no_secret_lies_about(bed: Bed) {
    let mut known = ["hunter2-token", "hunter2-secret", "hunter2-header", "hunter2-key", "hunter2-password"]
        .map(str::to_owned)
        .to_vec();
    let webhook = json!({
        "kind": "Webhook",
        "metadata": { "name": "w" },
        "spec": {
            "url": "https://example.com/in",
            "headers": { "Authorization": "hunter2-header" },
            "secret_key": "hunter2-key",
        },
    });
    let applied = bed.apply(&[robot("d", &url("hunter2-token"), "hunter2-secret"), webhook]).await.unwrap();
    bed.apply(&[robot("d", "***", "another")]).await.unwrap();
    bed.user("alice", "hunter2-password", true).await;
    bed.user("carol", "hunter2-password", false).await;
    let carol = bed.store.login("carol", &Secret::new("hunter2-password"), None).await.unwrap();
    bed.store.login("carol", &Secret::new("hunter2-password-wrong"), None).await.unwrap_err();
    known.push(bed.store.start_session(&carol).await.unwrap().0.expose().to_owned());
    let new = NewApiToken { name: "ci".into(), platform_admin: true, ..NewApiToken::default() };
    known.push(bed.store.create_api_token(&alice(), new).await.unwrap().1.expose().to_owned());
    let enrolment = bed.store.create_enrolment_token(&alice(), "default", NewEnrolmentToken::default()).await.unwrap();
    let enrolled = bed.store.enrol(&enrolment.1, &AgentFacts::default(), None).await.unwrap();
    known.extend([enrolment.1.expose().to_owned(), enrolled.key.expose().to_owned()]);

    let shown = [
        format!("{applied:?}"),
        format!("{:?}", bed.store.list(&ListQuery::default()).await.unwrap()),
        format!("{:?}", bed.store.reveal(&key(Kind::DingtalkRobot, "d")).await.unwrap()),
        format!("{:?} {:?} {:?}", bed.audit().await, enrolment.1, enrolled),
        serde_json::to_string(&bed.audit().await).unwrap(),
        applied.iter().map(|a| a.resource.to_value().to_string()).collect(),
    ];
    for (text, secret) in shown.iter().flat_map(|text| known.iter().map(move |secret| (text, secret))) {
        assert!(!text.contains(secret), "{secret} in {text}");
    }

    if let Some(url) = &bed.config.url {
        let connection = Database::connect(url.expose()).await.unwrap();
        connection.execute_unprepared("CHECKPOINT").await.unwrap();
    }
    // That the files are where the data is, shows by what is no secret.
    assert!(found(&bed.files, "https://example.com/in"));
    for secret in &known {
        assert!(!found(&bed.files, secret), "{secret} in the database's files");
    }
}

fn found(directory: &Path, text: &str) -> bool {
    // Files of PostgreSQL come and go while it looks; what it finds is all that counts.
    let status = Command::new("grep").args(["-rasqF", "-e", text]).arg(directory).status().unwrap();
    status.success()
}
