//! Commands as they are typed and piped.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::Stand;

fn succeeds(output: &std::process::Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

async fn me(stand: &Stand, name: &str, password: &str) -> (StatusCode, Value) {
    let url = format!("http://127.0.0.1:{}/api/v1/auth/me", stand.http);
    let answer = reqwest::Client::new().get(url).basic_auth(name, Some(password)).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_keeps_the_password_when_the_role_changes() {
    let stand = Stand::start().await;
    succeeds(&stand.nightjar_fed(&["user", "add", "li-lei", "--role", "default=viewer"], "battery staple\n"));
    let (status, known) = me(&stand, "li-lei", "battery staple").await;
    assert_eq!((status, &known["roles"]), (StatusCode::OK, &json!({ "default": "viewer" })), "{known}");

    // With nothing on the standard input: nothing is asked.
    succeeds(&stand.nightjar(&["user", "add", "li-lei", "--role", "default=editor"]));
    let (status, known) = me(&stand, "li-lei", "battery staple").await;
    assert_eq!((status, &known["roles"]), (StatusCode::OK, &json!({ "default": "editor" })), "{known}");

    let nothing = stand.nightjar(&["user", "add", "li-lei"]);
    let text = String::from_utf8_lossy(&nothing.stderr);
    assert!(!nothing.status.success() && text.contains("--new-password"), "{text}");

    succeeds(&stand.nightjar_fed(&["user", "add", "li-lei", "--new-password"], "correct battery\n"));
    assert_eq!(me(&stand, "li-lei", "battery staple").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(me(&stand, "li-lei", "correct battery").await.1["roles"], json!({ "default": "editor" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_made_less_again_and_disabled() {
    let stand = Stand::start().await;
    let add = |options: &[&str]| {
        let output = stand.nightjar(&[&["user", "add", "li-lei"], options].concat());
        succeeds(&output);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let made = ["user", "add", "li-lei", "--platform-admin", "--display-name", "Li Lei"];
    succeeds(&stand.nightjar_fed(&made, "battery staple\n"));
    let warned = add(&["--role", "default=viewer"]);
    assert!(warned.contains("li-lei is a platform admin") && warned.contains("--platform-admin=false"), "{warned}");
    assert_eq!(me(&stand, "li-lei", "battery staple").await.1["platformAdmin"], json!(true));

    assert_eq!(add(&["--platform-admin=false", "--role", "default=viewer"]), "");
    let (_, known) = me(&stand, "li-lei", "battery staple").await;
    assert_eq!((&known["platformAdmin"], &known["displayName"]), (&json!(false), &json!("Li Lei")), "{known}");

    add(&["--disabled"]);
    assert_eq!(me(&stand, "li-lei", "battery staple").await.0, StatusCode::UNAUTHORIZED);
    add(&["--display-name", "Lei"]);
    assert_eq!(me(&stand, "li-lei", "battery staple").await.0, StatusCode::UNAUTHORIZED);
    add(&["--disabled=false"]);
    let (status, known) = me(&stand, "li-lei", "battery staple").await;
    assert_eq!((status, &known["roles"]), (StatusCode::OK, &json!({ "default": "viewer" })), "{known}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_is_tried_from_a_pipe() {
    let stand = Stand::start().await;
    let log = stand.path("trade.log");
    std::fs::write(&log, "2026-03-01 12:00:01,a\n2026-03-01 12:00:02,b\n").unwrap();
    let monitor = "kind: Monitor\nmetadata: { name: trade }\nspec:\n  type: minute\n  \
                   source: { log: { paths: [{ path: /trade.log }] } }\n";
    let file = stand.path("monitor.yaml");
    std::fs::write(&file, monitor).unwrap();
    let (file, log) = (file.to_str().unwrap(), log.to_str().unwrap());
    let of_file = succeeds(&stand.nightjar(&["monitor", "try", "-f", file, log]));
    let piped = succeeds(&stand.nightjar_fed(&["monitor", "try", "-f", "-", log], monitor));
    assert!(piped.lines().count() == 2 && piped.contains('2'), "{piped}");
    assert_eq!(piped, of_file);
}
