//! A webhook that checks the signature: `X-Nightjar-Signature` is the HMAC-SHA256 of timestamp and body.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{Channel, Received, Sender};

pub(super) struct Hook {
    pub(super) secret: String,
    pub(super) received: Sender,
}

pub(super) async fn receive(State(hook): State<Arc<Hook>>, headers: HeaderMap, body: String) -> StatusCode {
    let verified = match is_signed(&hook.secret, &headers, &body) {
        true => Ok("signature right".to_owned()),
        false => Err("the signature does not match".to_owned()),
    };
    let status = if verified.is_ok() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    let pretty = serde_json::from_str::<Value>(&body).and_then(|value| serde_json::to_string_pretty(&value));
    let text = pretty.unwrap_or(body);
    hook.received.send(Received { channel: Channel::Webhook, verified, text }).await.ok();
    status
}

fn is_signed(secret: &str, headers: &HeaderMap, body: &str) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let timestamp = header("x-nightjar-timestamp");
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(format!("{timestamp}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    header("x-nightjar-signature") == format!("sha256={hex}")
}
