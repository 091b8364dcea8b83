//! Users, logins, sessions and tokens.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nightjar_model::agents::AgentFacts;
use nightjar_model::identity::{Actor, NewApiToken, NewEnrolmentToken, Role, UserChange};
use nightjar_model::ports::{AgentRegistry, Identities, ResourceStore};
use nightjar_model::{Error, ErrorKind, Secret};
use nightjar_store::{Bootstrap, Bootstrapped};

use crate::bed::{Bed, START, alice, check_problems, race};

const HOUR: Duration = Duration::from_secs(3600);

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>, kind: ErrorKind, part: &str) {
    let error = outcome.expect_err("should be refused");
    assert!(error.kind == kind && error.message.contains(part), "{:?}: {}", error.kind, error.message);
}

pub(crate) async fn the_first_start_makes_an_administrator(bed: Bed) {
    let data_dir = bed.directory.path().to_owned();
    let bootstrap = Bootstrap { data_dir: data_dir.clone(), ..Bootstrap::default() };
    let too_short = Bootstrap { admin_password: Some(secret("short")), ..bootstrap.clone() };
    check_problems(bed.store.bootstrap(too_short).await, &[("password", "at least 8 characters")]);

    let file = data_dir.join("initial-admin-password");
    let made = bed.store.bootstrap(bootstrap.clone()).await.unwrap();
    assert_eq!(made, Bootstrapped { admin_created: true, password_file: Some(file.clone()) });
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let password = secret(std::fs::read_to_string(&file).unwrap().trim());
    let admin = bed.store.login("admin", &password, None).await.unwrap();
    assert!(admin.platform_admin);
    assert_eq!(admin.role_in("anything"), Some(Role::Admin));

    // The next start changes nothing, whatever it is given.
    let next = Bootstrap { admin_password: Some(secret("another password")), ..bootstrap };
    assert_eq!(bed.store.bootstrap(next).await.unwrap(), Bootstrapped::default());
    bed.store.login("admin", &password, None).await.unwrap();
    assert_eq!(bed.told().await, ["create User admin", "login User admin", "login User admin"]);
}

pub(crate) async fn the_bootstrap_token_is_an_administrator(bed: Bed) {
    let start = async |token: &str| {
        let bootstrap = Bootstrap {
            admin_password: Some(secret("hunter2-password")),
            bootstrap_token: Some(secret(token)),
            data_dir: bed.directory.path().to_owned(),
        };
        bed.store.bootstrap(bootstrap).await.unwrap();
    };
    start("first-bootstrap-token").await;
    start("first-bootstrap-token").await;
    let principal = bed.store.token(&secret("first-bootstrap-token")).await.unwrap();
    assert!(principal.platform_admin && principal.actor.name == "token:bootstrap");
    assert!(!bed.directory.path().join("initial-admin-password").exists());
    bed.store.login("admin", &secret("hunter2-password"), None).await.unwrap();

    // Another value takes the place of the first.
    start("second-bootstrap-token").await;
    bed.store.token(&secret("second-bootstrap-token")).await.unwrap();
    refused(bed.store.token(&secret("first-bootstrap-token")).await, ErrorKind::Unauthenticated, "not known");
    assert_eq!(bed.store.api_tokens().await.unwrap().len(), 1);
    let created = bed.told().await.iter().filter(|told| *told == "create ApiToken bootstrap").count();
    assert_eq!(created, 2);

    // Given no more, it ends, and so does what it made.
    let bootstrap = Actor { name: "token:bootstrap".into(), address: None };
    let new = NewApiToken { name: "made".into(), platform_admin: true, ..NewApiToken::default() };
    let (shown, made) = bed.store.create_api_token(&bootstrap, new).await.unwrap();
    assert_eq!(shown.owner.as_deref(), Some("system"));
    assert!(bed.store.token(&made).await.unwrap().platform_admin);
    let without = Bootstrap { data_dir: bed.directory.path().to_owned(), ..Bootstrap::default() };
    bed.store.bootstrap(without).await.unwrap();
    for token in [&secret("second-bootstrap-token"), &made] {
        refused(bed.store.token(token).await, ErrorKind::Unauthenticated, "not known");
    }
    assert_eq!(bed.store.api_tokens().await.unwrap(), []);
}

pub(crate) async fn guessing_passwords_gets_slow(bed: Bed) {
    bed.user("carol", "right password", false).await;
    let address = Some("198.51.100.9");
    let (right, wrong) = (secret("right password"), secret("wrong password"));
    for _ in 0..5 {
        refused(bed.store.login("carol", &wrong, address).await, ErrorKind::Unauthenticated, "is wrong");
    }
    // Even the right one has to wait; another user does not.
    refused(bed.store.login("carol", &right, address).await, ErrorKind::TooManyRequests, "try again in 1 s");
    refused(bed.store.login("nobody", &wrong, address).await, ErrorKind::Unauthenticated, "is wrong");
    refused(bed.store.login("nu\0l", &wrong, address).await, ErrorKind::Unauthenticated, "is wrong");
    bed.clock.advance(Duration::from_secs(1));
    refused(bed.store.login("carol", &wrong, address).await, ErrorKind::Unauthenticated, "is wrong");
    refused(bed.store.login("carol", &right, address).await, ErrorKind::TooManyRequests, "try again in 2 s");
    bed.clock.advance(Duration::from_secs(2));
    let principal = bed.store.login("carol", &right, address).await.unwrap();
    assert_eq!(principal.actor.address.as_deref(), address);
    let failed = bed.told().await.iter().filter(|told| *told == "login_failed User carol").count();
    assert_eq!(failed, 6);
    let entry = bed.audit().await.into_iter().find(|entry| entry.action == "login_failed").unwrap();
    assert_eq!((entry.actor.as_str(), entry.address.as_deref()), ("user:carol", address));
}

pub(crate) async fn sessions_slide_and_end(bed: Bed) {
    bed.user("carol", "right password", false).await;
    let principal = bed.store.login("carol", &secret("right password"), None).await.unwrap();
    let (session, _) = bed.store.start_session(&principal).await.unwrap();
    for _ in 0..3 {
        bed.clock.advance(11 * HOUR);
        assert_eq!(bed.store.session(&session).await.unwrap().actor.name, "user:carol");
    }
    bed.clock.advance(12 * HOUR);
    refused(bed.store.session(&session).await, ErrorKind::Unauthenticated, "has ended");

    let (session, _) = bed.store.start_session(&principal).await.unwrap();
    bed.store.session(&session).await.unwrap();
    bed.store.end_session(&session).await.unwrap();
    refused(bed.store.session(&session).await, ErrorKind::Unauthenticated, "has ended");
    refused(bed.store.session(&secret("njs_made-up")).await, ErrorKind::Unauthenticated, "has ended");

    // The newest are kept, the oldest give way.
    let mut sessions = Vec::new();
    for _ in 0..21 {
        bed.clock.advance(Duration::from_secs(1));
        sessions.push(bed.store.start_session(&principal).await.unwrap().0);
    }
    refused(bed.store.session(&sessions[0]).await, ErrorKind::Unauthenticated, "has ended");
    bed.store.session(&sessions[1]).await.unwrap();
    bed.store.session(&sessions[20]).await.unwrap();
}

pub(crate) async fn no_session_outlasts_the_limit(bed: Bed) {
    bed.user("carol", "right password", false).await;
    let principal = bed.store.login("carol", &secret("right password"), None).await.unwrap();
    let (session, ends) = bed.store.start_session(&principal).await.unwrap();
    assert_eq!(ends, START.saturating_add(7 * 24 * HOUR));
    // Used every hour of seven days but the last.
    for _ in 1..7 * 24 {
        bed.clock.advance(HOUR);
        bed.store.session(&session).await.unwrap();
    }
    bed.clock.advance(HOUR);
    refused(bed.store.session(&session).await, ErrorKind::Unauthenticated, "has ended");
}

pub(crate) async fn losing_trust_ends_sessions(bed: Bed) {
    bed.user("carol", "right password", false).await;
    let login = async |password: &str| bed.store.login("carol", &secret(password), None).await;
    let start = async |password: &str| bed.store.start_session(&login(password).await.unwrap()).await.unwrap().0;
    let change = async |change: UserChange| bed.store.put_user(&alice(), "carol", change).await.unwrap();
    let ended = async |session: &Secret| {
        refused(bed.store.session(session).await, ErrorKind::Unauthenticated, "has ended");
    };

    // Her own new password.
    let session = start("right password").await;
    let password =
        async |old: &str, new: &str| bed.store.change_password(&alice(), "carol", &secret(old), &secret(new)).await;
    check_problems(password("not the old", "second password").await, &[("old", "is not the present")]);
    check_problems(password("right password", "short").await, &[("new", "at least 8")]);
    bed.store.session(&session).await.unwrap();
    password("right password", "second password").await.unwrap();
    ended(&session).await;
    refused(login("right password").await, ErrorKind::Unauthenticated, "is wrong");

    // One given by an administrator.
    let session = start("second password").await;
    change(UserChange { password: Some(secret("third password")), ..UserChange::default() }).await;
    ended(&session).await;

    // A new role does not end it: it counts at once.
    let session = start("third password").await;
    let roles = BTreeMap::from([("default".to_owned(), Role::Editor)]);
    change(UserChange { roles: Some(roles), ..UserChange::default() }).await;
    assert_eq!(bed.store.session(&session).await.unwrap().role_in("default"), Some(Role::Editor));

    // Disabled: she learns why only with the right password.
    change(UserChange { disabled: Some(true), ..UserChange::default() }).await;
    ended(&session).await;
    refused(login("third password").await, ErrorKind::Unauthenticated, "this user is disabled");
    refused(login("not right").await, ErrorKind::Unauthenticated, "is wrong");
    change(UserChange { disabled: Some(false), ..UserChange::default() }).await;
    ended(&session).await;

    let session = start("third password").await;
    bed.store.delete_user(&alice(), "carol").await.unwrap();
    ended(&session).await;
    refused(login("third password").await, ErrorKind::Unauthenticated, "is wrong");
}

pub(crate) async fn there_is_always_an_administrator(bed: Bed) {
    bed.user("root", "a good password", true).await;
    bed.user("carol", "a good password", false).await;
    let put = async |name: &str, change: UserChange| bed.store.put_user(&alice(), name, change).await;
    let demote = || UserChange { platform_admin: Some(false), ..UserChange::default() };
    let disable = || UserChange { disabled: Some(true), ..UserChange::default() };
    refused(bed.store.delete_user(&alice(), "root").await, ErrorKind::Conflict, "last administrator");
    refused(put("root", demote()).await, ErrorKind::Conflict, "last administrator");
    refused(put("root", disable()).await, ErrorKind::Conflict, "last administrator");
    bed.store.login("root", &secret("a good password"), None).await.unwrap();

    // A disabled administrator is none.
    put("carol", UserChange { platform_admin: Some(true), ..disable() }).await.unwrap();
    refused(put("root", demote()).await, ErrorKind::Conflict, "last administrator");
    put("carol", UserChange { disabled: Some(false), ..UserChange::default() }).await.unwrap();
    bed.store.delete_user(&alice(), "root").await.unwrap();
    refused(bed.store.delete_user(&alice(), "carol").await, ErrorKind::Conflict, "last administrator");
}

pub(crate) async fn two_administrators_cannot_delete_each_other(bed: Bed) {
    for n in 0..5 {
        let (a, b) = (format!("a{n}"), format!("b{n}"));
        bed.user(&a, "a good password", true).await;
        if n == 0 {
            bed.user(&b, "a good password", true).await;
        }
        let victims: Vec<String> = bed.store.users().await.unwrap().into_iter().map(|user| user.name).collect();
        assert_eq!(victims.len(), 2);
        let deletions = victims.into_iter().map(|name| {
            let store = bed.store.clone();
            async move { store.delete_user(&alice(), &name).await }
        });
        let mut done = 0;
        for outcome in race(deletions).await {
            match outcome {
                Ok(()) => done += 1,
                Err(error) => assert_eq!(error.kind, ErrorKind::Conflict, "{error}"),
            }
        }
        assert_eq!(done, 1);
        assert_eq!(bed.store.users().await.unwrap().len(), 1);
    }
}

pub(crate) async fn users_are_checked(bed: Bed) {
    let put = async |name: &str, change: UserChange| bed.store.put_user(&alice(), name, change).await;
    let roles = BTreeMap::from([("nowhere".to_owned(), Role::Viewer)]);
    let bad = UserChange { roles: Some(roles), ..UserChange::default() };
    check_problems(
        put("not a name", bad).await,
        &[("roles.nowhere", "there is no workspace"), ("name", "must be 1 to 63"), ("password", "is required")],
    );
    let masked = UserChange { password: Some(secret("***")), ..UserChange::default() };
    check_problems(put("carol", masked).await, &[("password", "only stands for a password")]);

    let good = UserChange {
        display_name: Some("Carol".into()),
        password: Some(secret("a good password")),
        ..UserChange::default()
    };
    let made = put("carol", good).await.unwrap();
    assert_eq!((made.display_name.as_str(), made.created_at, made.last_login_at), ("Carol", START, None));
    // What is absent stays as it is, and nothing changed is nothing told.
    assert_eq!(put("carol", UserChange::default()).await.unwrap(), made);
    assert_eq!(bed.told().await, ["create User carol"]);
    bed.store.login("carol", &secret("a good password"), None).await.unwrap();
    assert_eq!(bed.store.users().await.unwrap()[0].last_login_at, Some(START));
    refused(bed.store.delete_user(&alice(), "nobody").await, ErrorKind::NotFound, "there is no user `nobody`");
}

pub(crate) async fn tokens_end_with_the_user_who_made_them(bed: Bed) {
    bed.user("alice", "right password", true).await;
    bed.user("carol", "right password", true).await;
    let carol = Actor { name: "user:carol".into(), address: None };
    let new = |name: &str| NewApiToken { name: name.into(), platform_admin: true, ..NewApiToken::default() };
    let (_, hers) = bed.store.create_api_token(&alice(), new("hers")).await.unwrap();
    let (_, theirs) = bed.store.create_api_token(&carol, new("theirs")).await.unwrap();
    bed.store.token(&theirs).await.unwrap();

    let set = async |disabled: bool| {
        let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
        bed.store.put_user(&alice(), "carol", change).await.unwrap();
    };
    set(true).await;
    refused(bed.store.token(&theirs).await, ErrorKind::Unauthenticated, "gone or disabled");
    set(false).await;
    bed.store.token(&theirs).await.unwrap();

    bed.store.delete_user(&alice(), "carol").await.unwrap();
    assert!(bed.told().await.contains(&"delete ApiToken theirs".to_owned()));
    // Nor does somebody new of the same name bring them back.
    bed.user("carol", "another password", true).await;
    refused(bed.store.token(&theirs).await, ErrorKind::Unauthenticated, "not known");
    bed.store.token(&hers).await.unwrap();
}

/// A user's token, the token that it makes, and the enrolment token that this one makes.
async fn three_generations(bed: &Bed, user: &str) -> (Secret, Secret, Secret) {
    let new = |name: String| NewApiToken { name, platform_admin: true, ..NewApiToken::default() };
    let actor = |name: String| Actor { name, address: None };
    let (_, first) =
        bed.store.create_api_token(&actor(format!("user:{user}")), new(format!("{user}-1"))).await.unwrap();
    let (shown, second) =
        bed.store.create_api_token(&actor(format!("token:{user}-1")), new(format!("{user}-2"))).await.unwrap();
    assert_eq!(shown.owner.as_deref(), Some(format!("user:{user}").as_str()));
    let (_, enrolment) = bed
        .store
        .create_enrolment_token(&actor(format!("token:{user}-2")), "default", NewEnrolmentToken::default())
        .await
        .unwrap();
    (first, second, enrolment)
}

pub(crate) async fn tokens_may_what_their_owner_may(bed: Bed) {
    bed.user("alice", "right password", true).await;
    bed.user("carol", "right password", true).await;
    bed.store.create_workspace(&alice(), "blue").await.unwrap();
    let (first, second, enrolment) = three_generations(&bed, "carol").await;
    let set = async |admin: bool, roles: &[(&str, Role)]| {
        let roles = roles.iter().map(|(workspace, role)| ((*workspace).to_owned(), *role)).collect();
        let change = UserChange { platform_admin: Some(admin), roles: Some(roles), ..UserChange::default() };
        bed.store.put_user(&alice(), "carol", change).await.unwrap();
    };
    let rights = async || {
        let (a, b) = (bed.store.token(&first).await.unwrap(), bed.store.token(&second).await.unwrap());
        assert_eq!((a.platform_admin, &a.roles), (b.platform_admin, &b.roles));
        (a.platform_admin, a.role_in("default"), a.role_in("blue"))
    };
    let enrols = async || bed.store.check_enrolment_token(&enrolment).await;

    assert_eq!(rights().await, (true, Some(Role::Admin), Some(Role::Admin)));
    enrols().await.unwrap();
    set(false, &[("default", Role::Admin), ("blue", Role::Viewer)]).await;
    assert_eq!(rights().await, (false, Some(Role::Admin), Some(Role::Viewer)));
    enrols().await.unwrap();
    // The role in one workspace is taken away.
    set(false, &[("blue", Role::Viewer)]).await;
    assert_eq!(rights().await, (false, None, Some(Role::Viewer)));
    refused(enrols().await, ErrorKind::Unauthenticated, "may add no agents any more");
    refused(
        bed.store.enrol(&enrolment, &AgentFacts::default(), None).await,
        ErrorKind::Unauthenticated,
        "may add no agents any more",
    );
    set(false, &[]).await;
    assert_eq!(rights().await, (false, None, None));
    set(true, &[]).await;
    assert_eq!(rights().await, (true, Some(Role::Admin), Some(Role::Admin)));
    enrols().await.unwrap();
}

pub(crate) async fn a_user_takes_along_what_their_tokens_made(bed: Bed) {
    bed.user("alice", "right password", true).await;
    bed.user("carol", "right password", true).await;
    let (first, second, enrolment) = three_generations(&bed, "carol").await;
    let (hers, _, her_enrolment) = three_generations(&bed, "alice").await;
    let agent = bed.store.enrol(&enrolment, &AgentFacts::default(), None).await.unwrap();

    bed.store.delete_user(&alice(), "carol").await.unwrap();
    for token in [&first, &second] {
        refused(bed.store.token(token).await, ErrorKind::Unauthenticated, "not known");
    }
    refused(bed.store.check_enrolment_token(&enrolment).await, ErrorKind::Unauthenticated, "not known");
    // What was enrolled stays, and what is another's.
    bed.store.authenticate(&agent.id, &agent.key).await.unwrap();
    bed.store.token(&hers).await.unwrap();
    bed.store.check_enrolment_token(&her_enrolment).await.unwrap();
    let told = bed.told().await;
    for name in ["carol-1", "carol-2"] {
        assert!(told.contains(&format!("delete ApiToken {name}")), "{told:?}");
    }
    assert_eq!(told.iter().filter(|told| told.starts_with("delete EnrolmentToken")).count(), 1);

    // Nor do they make anything while they go: who asks must be there in the transaction itself.
    let gone = Actor { name: "user:carol".into(), address: None };
    let new = NewApiToken { name: "late".into(), platform_admin: true, ..NewApiToken::default() };
    refused(
        bed.store.create_api_token(&gone, new.clone()).await,
        ErrorKind::Unauthenticated,
        "not known here any more",
    );
    let gone = Actor { name: "token:carol-2".into(), address: None };
    refused(bed.store.create_api_token(&gone, new).await, ErrorKind::Unauthenticated, "not known here any more");
}

pub(crate) async fn a_token_takes_along_what_it_made(bed: Bed) {
    bed.user("alice", "right password", true).await;
    let (first, second, enrolment) = three_generations(&bed, "alice").await;
    let id = bed.store.api_tokens().await.unwrap().into_iter().find(|token| token.name == "alice-1").unwrap().id;
    bed.store.delete_api_token(&alice(), &id).await.unwrap();
    for token in [&first, &second] {
        refused(bed.store.token(token).await, ErrorKind::Unauthenticated, "not known");
    }
    refused(bed.store.check_enrolment_token(&enrolment).await, ErrorKind::Unauthenticated, "not known");

    // Nor can it make one that lasts longer.
    let ends = START.saturating_add(HOUR);
    let new = |name: &str, expires_at| NewApiToken {
        name: name.into(),
        platform_admin: true,
        expires_at,
        ..NewApiToken::default()
    };
    bed.store.create_api_token(&alice(), new("brief", Some(ends))).await.unwrap();
    let brief = Actor { name: "token:brief".into(), address: None };
    for expires_at in [None, Some(ends.saturating_add(HOUR))] {
        let outcome = bed.store.create_api_token(&brief, new("longer", expires_at)).await;
        check_problems(outcome, &[("expiresAt", "must be at most")]);
        let longer = NewEnrolmentToken { expires_at, ..NewEnrolmentToken::default() };
        let outcome = bed.store.create_enrolment_token(&brief, "default", longer).await;
        check_problems(outcome, &[("expiresAt", "must be at most")]);
    }
    bed.store.create_api_token(&brief, new("as-brief", Some(ends))).await.unwrap();
}

pub(crate) async fn what_was_proved_holds_until_the_password_changes(bed: Bed) {
    bed.user("alice", "right password", true).await;
    bed.user("carol", "right password", false).await;
    let proved = bed.store.login("carol", &secret("right password"), Some("192.0.2.7")).await.unwrap();
    assert_eq!(bed.store.renew(&proved).await.unwrap(), proved);
    let set = async |change: UserChange| bed.store.put_user(&alice(), "carol", change).await.unwrap();
    let roles = BTreeMap::from([("default".to_owned(), Role::Editor)]);
    set(UserChange { roles: Some(roles), ..UserChange::default() }).await;
    assert_eq!(bed.store.renew(&proved).await.unwrap().role_in("default"), Some(Role::Editor));

    // Proved before a change of the password, a session cannot begin after it; not even if it is the same again.
    set(UserChange { password: Some(secret("right password")), ..UserChange::default() }).await;
    refused(bed.store.start_session(&proved).await, ErrorKind::Unauthenticated, "log in again");
    refused(bed.store.renew(&proved).await, ErrorKind::Unauthenticated, "log in again");
    let proved = bed.store.login("carol", &secret("right password"), None).await.unwrap();
    set(UserChange { disabled: Some(true), ..UserChange::default() }).await;
    refused(bed.store.renew(&proved).await, ErrorKind::Unauthenticated, "log in again");
    refused(bed.store.start_session(&proved).await, ErrorKind::Unauthenticated, "log in again");
}

pub(crate) async fn tokens_live_and_die(bed: Bed) {
    bed.user("alice", "right password", true).await;
    let create = async |new: NewApiToken| bed.store.create_api_token(&alice(), new).await;
    let roles = BTreeMap::from([("default".to_owned(), Role::Operator)]);
    let ends = START.saturating_add(HOUR);
    let new = NewApiToken { name: "ci".into(), roles, expires_at: Some(ends), ..NewApiToken::default() };
    let (token, value) = create(new.clone()).await.unwrap();
    assert!(value.expose().starts_with("njt_"));
    let principal = bed.store.token(&value).await.unwrap();
    assert_eq!((principal.actor.name.as_str(), principal.role_in("default")), ("token:ci", Some(Role::Operator)));
    assert_eq!(principal.role_in("other"), None);
    refused(bed.store.start_session(&principal).await, ErrorKind::Forbidden, "only a user");
    assert_eq!(bed.store.api_tokens().await.unwrap()[0].last_used_at, Some(START));

    refused(create(new.clone()).await, ErrorKind::Conflict, "there is a token `ci` already");
    let bad = NewApiToken { name: " x".into(), ..NewApiToken::default() };
    check_problems(create(bad).await, &[("name", "without spaces"), ("roles", "a token needs a role")]);
    let past = NewApiToken { name: "past".into(), expires_at: Some(START), ..new };
    check_problems(create(past).await, &[("expiresAt", "has passed already")]);

    bed.clock.advance(HOUR);
    refused(bed.store.token(&value).await, ErrorKind::Unauthenticated, "has expired");
    bed.store.delete_api_token(&alice(), &token.id).await.unwrap();
    refused(bed.store.token(&value).await, ErrorKind::Unauthenticated, "not known");
    refused(bed.store.delete_api_token(&alice(), &token.id).await, ErrorKind::NotFound, "there is no token");
    refused(bed.store.token(&secret("")).await, ErrorKind::Unauthenticated, "not known");
    assert_eq!(bed.told().await, ["create User alice", "create ApiToken ci", "delete ApiToken ci"]);
}
