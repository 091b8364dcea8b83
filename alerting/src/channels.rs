//! Sending one message through one channel, and what came of it. Secrets are fetched here, for the
//! moment of sending, and never leave: not in answers, not in errors.

mod dingtalk;
mod email;
mod reach;
mod webhook;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightjar_model::alert::{Channel, Notification};
use nightjar_model::kinds::Spec;
use nightjar_model::ports::ResourceStore;
use nightjar_model::secret::MASK;
use nightjar_model::{Clock, ErrorKind, Kind, Resource, ResourceKey, Secret};

use self::reach::Reach;
use crate::config::AlertingConfig;
use crate::definitions::DefinitionSource;
use crate::payload::{Content, Payload};

/// A receiver that asks to be left alone for longer is tried again after this.
pub(crate) const MOST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// Providers' answers are kept up to this.
const MOST_ANSWER_CHARS: usize = 500;
/// Of a provider's answer no more than this is read.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

/// Parts of a secret shorter than this are words like any other.
const LEAST_SECRET_BYTES: usize = 8;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Taken by the provider, which said this.
    Sent(String),
    /// Not now; `after` is how long the receiver wants to be left alone, where it said so.
    Retry { reason: String, after: Option<Duration> },
    /// Refused for good: trying again would be refused again.
    Refused(String),
}

impl Outcome {
    fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }

    /// Masks what the receiver repeated of the secrets that it was sent: answers are kept and shown.
    fn without(mut self, secrets: &[Secret]) -> Self {
        let (Self::Sent(said) | Self::Retry { reason: said, .. } | Self::Refused(said)) = &mut self;
        for secret in secrets {
            let whole = secret.expose();
            // Of `Bearer …` and of an address's query, the secret itself may come back alone.
            let words = whole.split([' ', '&', '?']).map(|word| word.split_once('=').map_or(word, |(_, value)| value));
            for part in std::iter::once(whole).chain(words.filter(|word| !word.contains("://"))) {
                if part.len() >= LEAST_SECRET_BYTES {
                    *said = said.replace(part, MASK);
                }
            }
        }
        self
    }
}

pub(crate) struct Channels {
    resources: Arc<dyn ResourceStore>,
    definitions: Arc<DefinitionSource>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    reach: Reach,
    http: Mutex<Option<reqwest::Client>>,
}

impl Channels {
    pub(crate) fn new(
        resources: Arc<dyn ResourceStore>,
        definitions: Arc<DefinitionSource>,
        clock: Arc<dyn Clock>,
        config: &AlertingConfig,
    ) -> Self {
        let (timeout, reach) = (config.send_timeout.0, Reach::new(&config.refused_networks));
        Self { resources, definitions, clock, timeout, reach, http: Mutex::new(None) }
    }

    /// Sends a notification of the queue.
    pub(crate) async fn send(&self, notification: &Notification) -> Outcome {
        let payload = match Payload::from_value(&notification.payload) {
            Ok(payload) => payload,
            Err(reason) => return Outcome::Refused(reason),
        };
        let kind = match notification.channel {
            Channel::Dingtalk => Kind::DingtalkRobot,
            Channel::Email => Kind::Contact,
            Channel::Webhook => Kind::Webhook,
        };
        let key = ResourceKey::new(kind, &notification.workspace, &notification.receiver);
        self.send_to(&key, None, &notification.id, &payload.content).await
    }

    /// Sends `content` to a robot, webhook or contact, or through an email server to the address `to`.
    pub(crate) async fn send_to(&self, key: &ResourceKey, to: Option<&str>, id: &str, content: &Content) -> Outcome {
        let mut secrets = Vec::new();
        let attempt = async {
            let mut resource = match self.resources.reveal(key).await {
                Ok(resource) => resource,
                Err(error) => return unrevealed(key, &error),
            };
            resource.spec.visit_secrets(&mut |_, secret| secrets.push(secret.clone()));
            match (&resource.spec, content) {
                (Spec::DingtalkRobot(robot), Content::Markdown { title, text, mobiles }) => {
                    let message = dingtalk::Markdown { title, text, mobiles };
                    dingtalk::send(&self.sender()?, robot, &message, self.clock.now()).await
                }
                (Spec::Webhook(webhook), Content::Body { content_type, body }) => {
                    webhook::send(&self.sender()?, webhook, id, content_type, body, self.clock.now()).await
                }
                (Spec::Contact(contact), Content::Mail { .. }) => match &contact.email {
                    Some(address) => self.mail(&key.workspace, None, address, id, content).await,
                    None => Err(Outcome::Refused(format!("contact `{}` has no email address any more", key.name))),
                },
                (Spec::EmailServer(_), Content::Mail { .. }) => {
                    self.mail(&key.workspace, Some(&resource), to.unwrap_or_default(), id, content).await
                }
                _ => Err(Outcome::Refused(format!("a message of this form cannot go to {key}"))),
            }
        };
        match tokio::time::timeout(self.timeout, attempt).await {
            Ok(Ok(outcome) | Err(outcome)) => outcome.without(&secrets),
            Err(_) => Outcome::retry(format!("no answer within {} s", self.timeout.as_secs_f32())),
        }
    }

    async fn mail(
        &self,
        workspace: &str,
        server: Option<&Resource>,
        address: &str,
        id: &str,
        content: &Content,
    ) -> Result<Outcome, Outcome> {
        let Content::Mail { subject, text, html } = content else {
            return Err(Outcome::Refused("a message of this form cannot be mailed".to_owned()));
        };
        let found;
        let server = match server {
            Some(server) => server,
            None => {
                let definitions = self.definitions.current().await.map_err(|error| Outcome::retry(error.message))?;
                let key = definitions
                    .email_server(workspace)
                    .ok_or_else(|| Outcome::retry("the workspace has no EmailServer; create one"))?;
                found = match self.resources.reveal(&key).await {
                    Ok(server) => server,
                    Err(error) => return Err(Outcome::retry(error.message)),
                };
                &found
            }
        };
        let Spec::EmailServer(spec) = &server.spec else {
            return Err(Outcome::retry("the workspace has no EmailServer; create one"));
        };
        let mail = email::Mail { to: address, subject, text, html, id, now: self.clock.now() };
        self.reach.check_host(&spec.host, spec.port()).await?;
        email::send(spec, &mail, self.timeout).await
    }

    fn sender(&self) -> Result<HttpSender<'_>, Outcome> {
        Ok(HttpSender { client: self.http()?, reach: &self.reach })
    }

    /// Built at the first use: it needs the host's certificate store, and a server without webhooks or
    /// robots has no use for it.
    fn http(&self) -> Result<reqwest::Client, Outcome> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*http {
            return Ok(client.clone());
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Lost only to another room installing the same one.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.timeout)
            .timeout(self.timeout)
            .dns_resolver(Arc::new(self.reach.clone()))
            .user_agent(concat!("nightjar/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Outcome::retry(format!("HTTP cannot be used ({error}); is the package ca-certificates installed?"))
            })?;
        *http = Some(client.clone());
        Ok(client)
    }
}

fn unrevealed(key: &ResourceKey, error: &nightjar_model::Error) -> Result<Outcome, Outcome> {
    match error.kind {
        ErrorKind::NotFound => Err(Outcome::Refused(format!("{key} was deleted"))),
        _ => Err(Outcome::retry(error.message.clone())),
    }
}

/// An answer over HTTP, or the outcome of not getting one.
struct Answer {
    status: reqwest::StatusCode,
    retry_after: Option<Duration>,
    body: String,
}

/// What webhooks and robots are sent with.
struct HttpSender<'a> {
    client: reqwest::Client,
    reach: &'a Reach,
}

impl HttpSender<'_> {
    async fn post(
        &self,
        url: reqwest::Url,
        fill: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Answer, Outcome> {
        self.reach.check_url(&url)?;
        let response = fill(self.client.post(url)).send().await.map_err(|error| unreachable(&error))?;
        read(response).await
    }
}

async fn read(mut response: reqwest::Response) -> Result<Answer, Outcome> {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(|seconds: u64| Duration::from_secs(seconds).min(MOST_RETRY_AFTER));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        let room = MOST_ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MOST_ANSWER_BYTES {
            break;
        }
    }
    Ok(Answer { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The address is left out: it may hold a token.
fn unreachable(error: &reqwest::Error) -> Outcome {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "the connection failed"
    };
    let mut cause = std::error::Error::source(error);
    let mut deepest = None;
    while let Some(inner) = cause {
        deepest = Some(inner);
        cause = inner.source();
    }
    Outcome::retry(deepest.map_or_else(|| what.to_owned(), |deepest| format!("{what}: {deepest}")))
}

/// By status alone: 2xx is taken, 408, 429 and 5xx may be tried again, all else is refused.
fn by_status(answer: &Answer) -> Outcome {
    let said = format!("HTTP {}{}", answer.status.as_u16(), quoted(&answer.body));
    match answer.status.as_u16() {
        200..=299 => Outcome::Sent(said),
        408 | 429 | 500..=599 => Outcome::Retry { reason: said, after: answer.retry_after },
        300..=399 => Outcome::Refused(format!("{said}; redirects are not followed, name the final address")),
        _ => Outcome::Refused(said),
    }
}

fn quoted(body: &str) -> String {
    let text = body.trim();
    if text.is_empty() { String::new() } else { format!(": {}", shortened(text)) }
}

/// Cut for keeping, without control characters.
fn shortened(text: &str) -> String {
    text.chars().take(MOST_ANSWER_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
