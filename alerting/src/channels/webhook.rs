//! Webhooks: a signed `POST`.

use hmac::{Hmac, Mac};
use nightjar_model::Timestamp;
use nightjar_model::kinds::webhook::WebhookSpec;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use super::{HttpSender, Outcome, by_status};

pub(super) async fn send(
    http: &HttpSender<'_>,
    webhook: &WebhookSpec,
    id: &str,
    content_type: &str,
    body: &str,
    now: Timestamp,
) -> Result<Outcome, Outcome> {
    let mut url = reqwest::Url::parse(&webhook.url)
        .map_err(|_| Outcome::Refused("the webhook's url is not an address".to_owned()))?;
    if !webhook.params.is_empty() {
        url.query_pairs_mut().extend_pairs(&webhook.params);
    }
    let headers = headers(webhook, id, content_type, body, now)?;
    let answer = http.post(url, |request| request.headers(headers).body(body.to_owned())).await?;
    Ok(by_status(&answer))
}

fn headers(
    webhook: &WebhookSpec,
    id: &str,
    content_type: &str,
    body: &str,
    now: Timestamp,
) -> Result<HeaderMap, Outcome> {
    let mut headers = HeaderMap::new();
    let mut set = |name: &str, value: &str| {
        let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, value) =
            pair.ok_or_else(|| Outcome::Refused(format!("header `{name}` holds what no header can hold")))?;
        headers.insert(name, value);
        Ok(())
    };
    set(CONTENT_TYPE.as_str(), content_type)?;
    for (name, value) in &webhook.headers {
        set(name, value.expose())?;
    }
    set("x-nightjar-notification", id)?;
    let timestamp = (now.millis() / 1000).to_string();
    set("x-nightjar-timestamp", &timestamp)?;
    if !webhook.access_key.is_empty() {
        set("x-nightjar-access-key", &webhook.access_key)?;
    }
    if !webhook.secret_key.is_empty() {
        set("x-nightjar-signature", &format!("sha256={}", sign(webhook.secret_key.expose(), &timestamp, body)))?;
    }
    Ok(headers)
}

fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
