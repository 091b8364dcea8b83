//! Local stand-ins for those who are told: they check what they are sent as the real ones do, and hand
//! on what they received.

mod dingtalk;
mod mail;
mod smtp;
mod webhook;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use rand::Rng;
use rand::distr::Alphanumeric;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Dingtalk,
    Email,
    Webhook,
}

impl Channel {
    pub(crate) const ALL: [Self; 3] = [Self::Dingtalk, Self::Email, Self::Webhook];
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dingtalk => "DingTalk",
            Self::Email => "Email",
            Self::Webhook => "Webhook",
        })
    }
}

/// A message as received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) channel: Channel,
    /// What was checked, or why it was refused.
    pub(crate) verified: Result<String, String>,
    pub(crate) text: String,
}

/// What sender and receiver share.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) dingtalk_secret: String,
    pub(crate) dingtalk_keyword: String,
    pub(crate) webhook_secret: String,
}

impl Keys {
    pub(crate) fn fresh() -> Self {
        Self {
            dingtalk_secret: format!("SEC{}", random_word(32)),
            dingtalk_keyword: "告警".to_owned(),
            webhook_secret: random_word(32),
        }
    }
}

pub(crate) fn random_word(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

/// The stand-ins, listening on loopback.
pub(crate) struct Sinks {
    http: SocketAddr,
    smtp: SocketAddr,
}

pub(crate) type Sender = mpsc::Sender<Received>;

impl Sinks {
    pub(crate) async fn open(
        keys: Keys,
        received: Sender,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> std::io::Result<Self> {
        let (http, smtp) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let sinks = Self { http: http.local_addr()?, smtp: smtp.local_addr()? };
        let robot = Arc::new(dingtalk::Robot::new(&keys, received.clone()));
        let hook = Arc::new(webhook::Hook { secret: keys.webhook_secret, received: received.clone() });
        let router = Router::new()
            .route("/robot/send", post(dingtalk::receive).with_state(robot))
            .route("/hook", post(webhook::receive).with_state(hook));
        let stopping = stop.clone();
        tasks.spawn(async move {
            let served = axum::serve(http, router).with_graceful_shutdown(stopping.cancelled_owned()).await;
            if let Err(error) = served {
                eprintln!("the local DingTalk and webhook stopped: {error}");
            }
        });
        let (served_by, stopping) = (tasks.clone(), stop.clone());
        tasks.spawn(async move { smtp::serve(smtp, received, served_by, stopping).await });
        Ok(sinks)
    }

    pub(crate) fn dingtalk_url(&self) -> String {
        format!("http://{}/robot/send?access_token=demo", self.http)
    }

    pub(crate) fn webhook_url(&self) -> String {
        format!("http://{}/hook", self.http)
    }

    pub(crate) fn smtp_port(&self) -> u16 {
        self.smtp.port()
    }
}
