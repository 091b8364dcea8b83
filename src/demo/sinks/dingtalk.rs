//! A DingTalk robot with signature and keywords: answers as `oapi.dingtalk.com/robot/send` does,
//! always with HTTP 200 and an `errcode`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use nightjar_model::{Clock, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Channel, Keys, Received, Sender};

/// DingTalk's own limit for a robot.
const MAX_PER_MINUTE: usize = 20;
/// Timestamps further from DingTalk's clock than this are refused.
const MAX_SKEW: Duration = Duration::from_secs(3600);

pub(super) struct Robot {
    secret: String,
    keyword: String,
    received: Sender,
    lately: Mutex<VecDeque<Instant>>,
}

#[derive(Deserialize)]
pub(super) struct Signature {
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    sign: String,
}

impl Robot {
    pub(super) fn new(keys: &Keys, received: Sender) -> Self {
        Self {
            secret: keys.dingtalk_secret.clone(),
            keyword: keys.dingtalk_keyword.clone(),
            received,
            lately: Mutex::default(),
        }
    }

    fn check(&self, signature: &Signature, text: &str) -> Result<String, (i64, String)> {
        if self.is_over_rate(Instant::now()) {
            return Err((130_101, "send too fast, exceed 20 times per minute".to_owned()));
        }
        let now = SystemClock.now();
        let sent: i64 = signature.timestamp.parse().unwrap_or_default();
        if (now.0 - sent).unsigned_abs() > MAX_SKEW.as_millis() as u64 {
            return Err((310_000, "invalid timestamp".to_owned()));
        }
        let wanted = sign(&self.secret, &signature.timestamp);
        if wanted != signature.sign {
            return Err((310_000, "sign not match".to_owned()));
        }
        if !text.contains(&self.keyword) {
            return Err((310_000, "keywords not in content".to_owned()));
        }
        Ok(format!("signature right, keyword `{}` there", self.keyword))
    }

    fn is_over_rate(&self, now: Instant) -> bool {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        while lately.front().is_some_and(|at| now.duration_since(*at) > Duration::from_secs(60)) {
            lately.pop_front();
        }
        lately.push_back(now);
        lately.len() > MAX_PER_MINUTE
    }
}

/// `base64(HMAC-SHA256(secret, timestamp + "\n" + secret))`.
fn sign(secret: &str, timestamp: &str) -> String {
    // A key of any length will do for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

pub(super) async fn receive(
    State(robot): State<Arc<Robot>>,
    Query(signature): Query<Signature>,
    Json(message): Json<Value>,
) -> Json<Value> {
    let text = text_of(&message);
    let checked = robot.check(&signature, &text);
    let answer = match &checked {
        Ok(_) => json!({ "errcode": 0, "errmsg": "ok" }),
        Err((code, why)) => json!({ "errcode": code, "errmsg": why }),
    };
    let verified = checked.map_err(|(code, why)| format!("{code} {why}"));
    robot.received.send(Received { channel: Channel::Dingtalk, verified, text }).await.ok();
    Json(answer)
}

fn text_of(message: &Value) -> String {
    let part = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match message["msgtype"].as_str() {
        Some("markdown") => format!("{}\n{}", part("/markdown/title"), part("/markdown/text")),
        Some("actionCard") => format!("{}\n{}", part("/actionCard/title"), part("/actionCard/text")),
        Some("text") => part("/text/content").to_owned(),
        _ => message.to_string(),
    }
}
