//! The session with the server: enrols once, connects, and connects again; sends records in order,
//! takes acknowledgements, configuration and tasks.

mod backoff;
mod connect;
mod outbox;
mod tasks;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightjar_model::Secret;
use nightjar_model::agents::{AgentFacts, MonitorReport};
use nightjar_model::names::AgentId;
use nightjar_model::protocol::wire::agents_client::AgentsClient;
use nightjar_model::protocol::wire::{self, from_agent, to_agent};
use nightjar_model::protocol::{MAX_MESSAGE_BYTES, PROTOCOL, capability};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use self::backoff::Backoff;
pub(crate) use self::connect::Dialer;
use self::outbox::Outbox;
pub(crate) use self::tasks::TaskRunner;
use crate::durable::write_whole;
use crate::error::AgentError;
use crate::host::{boot_id, mount_namespace, put_zone, self_report};
use crate::identity::Identity;
use crate::journal::{JournalError, Remembered, Resume};
use crate::shared::{Applied, Configuration, Shared};

const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// How often it is written down what the server has acknowledged.
const KEEP_ACKNOWLEDGED_EVERY: Duration = Duration::from_secs(10);
/// After the agent was asked to stop, so long for the server to take what is left.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// So long for it to note that this agent leaves.
const SIGN_OFF_WITHIN: Duration = Duration::from_secs(3);
const LEAVE_TRIES: u32 = 5;
const LEAVE_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// An agent that the server does not know waits this long before it asks again.
const UNKNOWN_WAIT: Duration = Duration::from_secs(60);
const OUTGOING: usize = 64;
pub(crate) const CONFIGURATION_FILE: &str = "config.json";

pub(crate) struct Session {
    pub(crate) dialer: Dialer,
    pub(crate) identity: Identity,
    pub(crate) facts: AgentFacts,
    pub(crate) data_dir: PathBuf,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: TaskRunner,
    /// Whether this agent will not be back when it stops.
    pub(crate) for_good: bool,
    /// Another number at each start.
    pub(crate) run: u64,
}

#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("the server cannot be reached")]
    Connect(#[from] tonic::transport::Error),
    #[error("{}", .0.message())]
    Status(#[from] Status),
    #[error("the server did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent,
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Exchanges the enrolment token for an identity. Waits for a server that cannot be reached.
///
/// # Errors
/// `TokenRefused`, `Refused`.
pub(crate) async fn enrol(dialer: &Dialer, token: &Secret, facts: &AgentFacts) -> Result<Identity, AgentError> {
    let mut backoff = Backoff::default();
    loop {
        let outcome = match dialer.connect().await {
            Ok(channel) => ask_to_enrol(channel, token, facts).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(identity) => return Ok(identity),
            Err(SessionError::Status(status))
                if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) =>
            {
                return Err(AgentError::TokenRefused(status.message().to_owned()));
            }
            Err(SessionError::Status(status)) if status.code() == Code::InvalidArgument => {
                return Err(AgentError::Refused(status.message().to_owned()));
            }
            Err(error) => {
                let wait = backoff.failed();
                tracing::warn!(error = %chain(&error), retry_in = ?wait, "not enrolled yet");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

async fn ask_to_enrol(channel: Channel, token: &Secret, facts: &AgentFacts) -> Result<Identity, SessionError> {
    let mut request = Request::new(wire::EnrolRequest { facts: Some(facts.into()) });
    authorize(&mut request, token)?;
    let answer = timeout(ANSWER_WITHIN, client(channel).enrol(request)).await.map_err(|_| SessionError::Silent)??;
    let answer = answer.into_inner();
    if answer.agent_id.is_empty() || answer.key.is_empty() {
        return Err(SessionError::Protocol("an enrolment without id or key"));
    }
    let key = Secret::new(answer.key);
    Ok(Identity { id: AgentId(answer.agent_id), workspace: answer.workspace, key })
}

fn client(channel: Channel) -> AgentsClient<Channel> {
    AgentsClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES)
}

fn authorize<T>(request: &mut Request<T>, secret: &Secret) -> Result<(), SessionError> {
    let refused = |_| SessionError::Status(Status::unauthenticated("it holds characters that no token has"));
    let mut value: tonic::metadata::MetadataValue<_> =
        format!("Bearer {}", secret.expose()).parse().map_err(refused)?;
    value.set_sensitive(true);
    request.metadata_mut().insert("authorization", value);
    Ok(())
}

/// An error with its causes: what TLS or the network said is in there.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

enum End {
    /// Asked to stop. Whether the rest was sent and the server noted that this agent leaves.
    Drained { signed_off: bool },
    /// To begin anew with the present incarnation, and what is now known of the host.
    Again,
}

impl Session {
    /// Keeps a session until `drain`; then sends what is left, if the server takes it in time.
    pub(crate) async fn keep(&self, drain: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut told = String::new();
        loop {
            let wait = match self.once(&drain, &mut backoff).await {
                Ok(End::Drained { .. }) => break,
                Ok(End::Again) => Duration::ZERO,
                Err(error) => {
                    let unknown = matches!(&error, SessionError::Status(status) if matches!(
                        status.code(), Code::Unauthenticated | Code::PermissionDenied));
                    let copied = matches!(&error, SessionError::Status(status) if status.code() == Code::AlreadyExists);
                    let mut text = chain(&error);
                    if unknown {
                        text = format!(
                            "the server does not accept this agent ({text}). If it was removed there, delete {} \
                             and start it with a new enrolment token",
                            self.data_dir.join("identity.json").display()
                        );
                    }
                    // The same again is not news.
                    if told == text {
                        tracing::debug!(error = %text, "no session");
                    } else {
                        tracing::warn!(error = %text, "no session with the server; logs are read and counted meanwhile");
                        told = text;
                    }
                    if unknown || copied { UNKNOWN_WAIT } else { backoff.failed() }
                }
            };
            tokio::select! {
                () = drain.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.shared.journal().keep_acknowledged();
        self.tasks.close().await;
    }

    /// Sends what is left and signs off, within a few tries.
    ///
    /// # Errors
    /// Why not, for people.
    pub(crate) async fn leave(&self) -> Result<(), String> {
        let mut backoff = Backoff::default();
        let mut why = String::new();
        for _ in 0..LEAVE_TRIES {
            let (never, drained) = (CancellationToken::new(), CancellationToken::new());
            drained.cancel();
            match self.session(&never, &drained, &mut backoff).await {
                Ok(End::Drained { signed_off: true }) => {
                    self.shared.journal().keep_acknowledged();
                    return Ok(());
                }
                Ok(End::Drained { signed_off: false }) => "it did not take everything in time".clone_into(&mut why),
                Ok(End::Again) => continue,
                Err(error) => why = chain(&error),
            }
            tokio::time::sleep(LEAVE_AGAIN_AFTER).await;
        }
        Err(why)
    }

    async fn once(&self, drain: &CancellationToken, backoff: &mut Backoff) -> Result<End, SessionError> {
        self.session(drain, drain, backoff).await
    }

    /// `give_up` while there is no session yet; `drain` once there is one.
    async fn session(
        &self,
        give_up: &CancellationToken,
        drain: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<End, SessionError> {
        let opening = async {
            let channel = self.dialer.connect().await?;
            let (out, outgoing) = mpsc::channel(OUTGOING);
            let mut request = Request::new(ReceiverStream::new(outgoing));
            authorize(&mut request, &self.identity.key)?;
            let id = self.identity.id.0.parse().map_err(|_| SessionError::Protocol("an id that is no header"))?;
            request.metadata_mut().insert("nightjar-agent", id);
            let hello = self.hello();
            let told = hello.gap.map(|gap| (gap.from_ms, gap.until_ms));
            send(&out, from_agent::Body::Hello(hello));
            let mut incoming = client(channel).session(request).await?.into_inner();
            let welcome = match incoming.message().await? {
                Some(wire::ToAgent { body: Some(to_agent::Body::Welcome(welcome)) }) => welcome,
                _ => return Err(SessionError::Protocol("no welcome")),
            };
            Ok((out, incoming, welcome, told))
        };
        let (out, incoming, welcome, told) = tokio::select! {
            () = give_up.cancelled() => return Ok(End::Drained { signed_off: false }),
            opened = timeout(ANSWER_WITHIN, opening) => opened.map_err(|_| SessionError::Silent)??,
        };
        let now = self.shared.clock.now();
        let server = Remembered { sequence: welcome.taken_sequence, digest: welcome.taken_digest };
        {
            let mut journal = self.shared.journal();
            // It was noted before the welcome was sent; one that does not know of gaps never will.
            if let Some(gap) = told {
                journal.gap_told(gap);
            }
            if journal.resume(server, now.millis().max(1).cast_unsigned(), now)? == Resume::Anew {
                let lost = journal.gap();
                tracing::warn!(
                    taken = welcome.taken_sequence,
                    from_ms = lost.map(|gap| gap.0),
                    until_ms = lost.map(|gap| gap.1),
                    "the server remembers another past: one of us went back in time, as by a backup or an image put \
                     back. Numbering anew; the minutes that were lost will never be complete"
                );
                return Ok(End::Again);
            }
        }
        backoff.succeeded();
        tracing::info!(agent = %self.identity.id, "session with the server");
        let outbox = Outbox::after(welcome.taken_sequence);
        Conversation { session: self, out, outbox }.hold(incoming, drain).await
    }

    fn hello(&self) -> wire::Hello {
        let (incarnation, last_sequence, gap) = {
            let journal = self.shared.journal();
            (journal.incarnation(), journal.last_sequence(), journal.gap())
        };
        let mut facts = self.facts.clone();
        if let Some(zone) = &*self.shared.zone.borrow() {
            put_zone(&mut facts, zone);
        }
        wire::Hello {
            facts: Some((&facts).into()),
            incarnation,
            last_sequence,
            config_version: self.shared.applied.borrow().version.clone(),
            now_ms: self.shared.clock.now().millis(),
            protocol: PROTOCOL,
            capabilities: capability::ALL.map(str::to_owned).to_vec(),
            gap: gap.map(|(from_ms, until_ms)| wire::Gap { from_ms, until_ms }),
            run: self.run,
            boot_id: boot_id(),
            mount_namespace: mount_namespace(),
        }
    }

    /// Keeps the configuration for a start without the server, and puts it in force.
    fn configure(&self, configuration: Configuration) {
        let path = self.data_dir.join(CONFIGURATION_FILE);
        let stored =
            serde_json::to_vec(&configuration).map_err(std::io::Error::from).and_then(|text| write_whole(&path, &text));
        if let Err(error) = stored {
            tracing::warn!(path = %path.display(), %error, "the configuration is in force but not kept for a restart");
            // An older one would, at a restart, forget where the monitors that it lacks had read up to.
            drop(std::fs::remove_file(&path));
        }
        self.shared.configure(configuration);
    }
}

fn wire_report(report: &MonitorReport, on_disk: &BTreeMap<String, Vec<(u64, u64)>>) -> wire::MonitorReport {
    let files = on_disk.get(&report.monitor).into_iter().flatten();
    let on_disk = files.map(|(device, inode)| wire::FileOnDisk { device: *device, inode: *inode }).collect();
    wire::MonitorReport { on_disk, ..report.into() }
}

/// Sends unless the outgoing queue is full or closed.
fn send(out: &mpsc::Sender<wire::FromAgent>, body: from_agent::Body) -> bool {
    out.try_send(wire::FromAgent { body: Some(body) }).is_ok()
}

/// One session while it lasts.
struct Conversation<'a> {
    session: &'a Session,
    out: mpsc::Sender<wire::FromAgent>,
    outbox: Outbox,
}

impl Conversation<'_> {
    async fn hold(
        mut self,
        mut incoming: Streaming<wire::ToAgent>,
        drain: &CancellationToken,
    ) -> Result<End, SessionError> {
        let shared = &self.session.shared;
        let mut applied = shared.applied.subscribe();
        let in_force = applied.borrow_and_update().clone();
        if !in_force.version.is_empty() {
            // What of it was refused is this server's to know, too.
            self.acknowledge_config(&in_force);
        }
        let mut heartbeat = interval(HEARTBEAT_EVERY);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut keep = interval(KEEP_ACKNOWLEDGED_EVERY);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline = None;
        let mut zone = shared.zone.subscribe();
        loop {
            self.pump()?;
            if deadline.is_some() && shared.journal().stats().unacked_records == 0 {
                // One whose reading ended by itself has not read everything: it is waited for.
                let in_order = self.session.for_good || shared.is_stopping();
                let signed_off = in_order && self.sign_off(incoming).await;
                return Ok(End::Drained { signed_off });
            }
            let held = self.outbox.held_until();
            tokio::select! {
                message = incoming.message() => match message? {
                    Some(message) => self.take(message),
                    None => return Err(SessionError::Protocol("it ended the session")),
                },
                () = shared.appended.notified() => {}
                () = sleep_until(held.unwrap_or_else(Instant::now)), if held.is_some() => {}
                _ = heartbeat.tick() => self.heartbeat(),
                _ = keep.tick() => shared.journal().keep_acknowledged(),
                // What the server knows of the host it is told at the beginning of a session.
                Ok(()) = zone.changed() => return Ok(End::Again),
                Ok(()) = applied.changed() => self.acknowledge_config(&applied.borrow_and_update()),
                () = drain.cancelled(), if deadline.is_none() => deadline = Some(Instant::now() + DRAIN_WITHIN),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    let left = shared.journal().stats().unacked_records;
                    tracing::warn!(records = left, "the server did not take all in time; the rest is in the journal");
                    return Ok(End::Drained { signed_off: false });
                }
            }
        }
    }

    /// Everything is acknowledged: says so, and waits until the server has noted it and ends the session. One
    /// that does not know the message will not; nothing depends on it.
    async fn sign_off(&self, mut incoming: Streaming<wire::ToAgent>) -> bool {
        let leave = wire::Leave { for_good: self.session.for_good };
        let message = wire::FromAgent { body: Some(from_agent::Body::Leave(leave)) };
        let noted = async {
            if self.out.send(message).await.is_err() {
                return false;
            }
            loop {
                match incoming.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return true,
                    Err(_) => return false,
                }
            }
        };
        let signed_off = timeout(SIGN_OFF_WITHIN, noted).await.unwrap_or(false);
        if signed_off {
            tracing::info!("signed off");
        } else {
            tracing::info!("the server did not note that this agent leaves; it is waited for until it expires");
        }
        signed_off
    }

    /// Sends as many records as may be on their way.
    fn pump(&mut self) -> Result<(), SessionError> {
        while let Some(after) = self.outbox.next(Instant::now()) {
            let Ok(place) = self.out.try_reserve() else { break };
            let Some(record) = self.session.shared.journal().next_after(after)? else { break };
            self.outbox.sent(record.sequence, record.payload.len());
            let record = wire::Record { sequence: record.sequence, payload: record.payload };
            place.send(wire::FromAgent { body: Some(from_agent::Body::Record(record)) });
        }
        Ok(())
    }

    fn take(&mut self, message: wire::ToAgent) {
        let session = self.session;
        match message.body {
            Some(to_agent::Body::Ack(ack)) => {
                self.outbox.acknowledged(ack.sequence);
                session.shared.acknowledge(ack.sequence);
            }
            Some(to_agent::Body::Busy(busy)) => {
                tracing::debug!(sequence = busy.sequence, reason = %busy.reason, "the server is busy");
                let wait = Duration::from_millis(u64::from(busy.retry_after_ms));
                self.outbox.busy(busy.sequence, wait, Instant::now());
            }
            Some(to_agent::Body::Config(config)) => {
                let in_force = session.shared.applied.borrow().clone();
                if in_force.version == config.version && !config.version.is_empty() {
                    self.acknowledge_config(&in_force);
                } else {
                    session.configure(config.into());
                }
            }
            Some(to_agent::Body::Task(request)) => session.tasks.start(request, self.out.clone()),
            Some(to_agent::Body::Welcome(_)) | None => {}
        }
    }

    fn heartbeat(&self) {
        let shared = &self.session.shared;
        let reports = shared.reports();
        let stats = shared.journal().stats();
        let heartbeat = wire::Heartbeat {
            now_ms: shared.clock.now().millis(),
            monitors: reports.monitors.iter().map(|report| wire_report(report, &reports.on_disk)).collect(),
            process: Some((&self_report(stats, reports.paused)).into()),
        };
        send(&self.out, from_agent::Body::Heartbeat(heartbeat));
    }

    fn acknowledge_config(&self, applied: &Applied) {
        let problems = applied.problems.iter().map(|p| wire::ConfigProblem {
            monitor: p.monitor.clone(),
            path: p.path.clone(),
            message: p.message.clone(),
        });
        let ack = wire::ConfigAck { version: applied.version.clone(), problems: problems.collect() };
        send(&self.out, from_agent::Body::ConfigAck(ack));
    }
}
