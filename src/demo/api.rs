//! What the demo asks of the server, through the same API as everybody else.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::children::Child;

pub(super) struct Api {
    base: String,
    token: String,
    client: Client,
}

impl Api {
    pub(super) fn new(base: String, token: String) -> Self {
        Self { base, token, client: Client::new() }
    }

    pub(super) async fn wait_ready(&self, server: &mut Child, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let answer = self.client.get(format!("{}/-/ready", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = server.has_ended() {
                bail!("the server did not start: {status}");
            }
            if Instant::now() > deadline {
                bail!("the server was not ready within {} s", within.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(super) async fn enrolment_token(&self) -> Result<String> {
        let made = self.post("enrolment-tokens", &json!({ "note": "demo", "uses": 1 })).await?;
        made["token"].as_str().map(str::to_owned).context("the server gave no enrolment token")
    }

    pub(super) async fn apply(&self, documents: &Value) -> Result<()> {
        self.post("apply", documents).await.context("applying the examples").map(|_results| ())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/api/v1/workspaces/default/{path}", self.base);
        let answer = self.client.post(url).bearer_auth(&self.token).json(body).send().await?;
        checked(answer).await
    }
}

async fn checked(answer: Response) -> Result<Value> {
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("the server answered {status}: {text}");
    }
    serde_json::from_str(&text).context("the server's answer is no JSON")
}
