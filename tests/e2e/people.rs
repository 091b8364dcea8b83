//! What a token is worth when whoever made it is worth less.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Stand, TOKEN};

struct Caller<'a> {
    stand: &'a Stand,
    client: reqwest::Client,
}

impl Caller<'_> {
    async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.stand.http);
        let mut request = self.client.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    async fn put_user(&self, token: &str, name: &str, change: Value) -> StatusCode {
        self.ask(Method::PUT, &format!("users/{name}"), token, Some(change)).await.0
    }

    async fn token(&self, by: &str, name: &str) -> String {
        let body = json!({ "name": name, "platformAdmin": true });
        let (status, made) = self.ask(Method::POST, "tokens", by, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["token"].as_str().expect("a token").to_owned()
    }

    /// Whether one who brings the enrolment token is given the agent to install.
    async fn may_install(&self, token: &str) -> bool {
        let url = format!("http://127.0.0.1:{}/download/nightjar-agent", self.stand.http);
        self.client.head(url).bearer_auth(token).send().await.expect("an answer").status() != StatusCode::UNAUTHORIZED
    }

    async fn me(&self, name: &str, password: &str) -> (StatusCode, Value) {
        let url = format!("http://127.0.0.1:{}/api/v1/auth/me", self.stand.http);
        let answer = self.client.get(url).basic_auth(name, Some(password)).send().await.expect("an answer");
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_leaves_behind_more_than_they_may() {
    let stand = Stand::start().await;
    let caller = Caller { stand: &stand, client: reqwest::Client::new() };
    let password = "a long password";
    let admin = json!({ "password": password, "platformAdmin": true });
    assert_eq!(caller.put_user(TOKEN, "mallory", admin).await, StatusCode::OK);
    // Her session makes a token, this one another, and that one an enrolment token.
    let url = format!("http://127.0.0.1:{}/api/v1/tokens", stand.http);
    let body = json!({ "name": "first", "platformAdmin": true });
    let made = caller.client.post(url).basic_auth("mallory", Some(password)).json(&body).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    assert_eq!(made["owner"], "user:mallory");
    let first = made["token"].as_str().unwrap().to_owned();
    let second = caller.token(&first, "second").await;
    let (_, enrolment) =
        caller.ask(Method::POST, "workspaces/default/enrolment-tokens", &second, Some(json!({}))).await;
    let enrolment = enrolment["token"].as_str().unwrap().to_owned();
    assert!(caller.may_install(&enrolment).await);
    let victim = || json!({ "password": password, "platformAdmin": true });
    assert_eq!(caller.put_user(&second, "puppet", victim()).await, StatusCode::OK);

    // Demoted: at once, by whatever she or her tokens come with.
    let viewer = json!({ "platformAdmin": false, "roles": { "default": "viewer" } });
    assert_eq!(caller.me("mallory", password).await.1["platformAdmin"], true);
    assert_eq!(caller.put_user(TOKEN, "mallory", viewer).await, StatusCode::OK);
    assert_eq!(caller.me("mallory", password).await.1["platformAdmin"], false);
    for token in [&first, &second] {
        assert_eq!(caller.put_user(token, "puppet-2", victim()).await, StatusCode::FORBIDDEN);
        assert_eq!(caller.ask(Method::POST, "tokens", token, Some(json!({}))).await.0, StatusCode::FORBIDDEN);
        assert_eq!(caller.ask(Method::GET, "workspaces/default/monitors", token, None).await.0, StatusCode::OK);
    }
    assert!(!caller.may_install(&enrolment).await);
    // The role in the workspace is taken away.
    assert_eq!(caller.put_user(TOKEN, "mallory", json!({ "roles": {} })).await, StatusCode::OK);
    let (status, _) = caller.ask(Method::GET, "workspaces/default/monitors", &second, None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // Disabled.
    let admin_again = json!({ "platformAdmin": true, "disabled": true });
    assert_eq!(caller.put_user(TOKEN, "mallory", admin_again).await, StatusCode::OK);
    for token in [&first, &second] {
        assert_eq!(caller.put_user(token, "puppet-2", victim()).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(caller.me("mallory", password).await.0, StatusCode::UNAUTHORIZED);
    // Back, and gone for good; somebody else of her name later has none of it.
    assert_eq!(caller.put_user(TOKEN, "mallory", json!({ "disabled": false })).await, StatusCode::OK);
    assert!(caller.may_install(&enrolment).await);
    assert_eq!(caller.ask(Method::DELETE, "users/mallory", TOKEN, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(caller.put_user(TOKEN, "mallory", victim()).await, StatusCode::OK);
    for token in [&first, &second] {
        assert_eq!(caller.put_user(token, "puppet-2", victim()).await, StatusCode::UNAUTHORIZED);
    }
    assert!(!caller.may_install(&enrolment).await);
    let (_, tokens) = caller.ask(Method::GET, "tokens", TOKEN, None).await;
    assert_eq!(tokens["items"].as_array().map(Vec::len), Some(1), "the bootstrap token alone: {tokens}");
}
