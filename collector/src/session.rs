//! The life of one session: hello, then records, heartbeats and answers until one side ends it.
//!
//! Records are handled one after another, so acknowledgements go out in order. While one is with the
//! engine nothing is read, and the agent feels that as flow control.

mod records;

use std::sync::Arc;
use std::time::Duration;

use nightjar_model::Secret;
use nightjar_model::agents::{AgentFacts, AgentRecord, MonitorReport};
use nightjar_model::identity::Actor;
use nightjar_model::ports::{AgentGap, LastTaken};
use nightjar_model::problem::Problem;
use nightjar_model::protocol::wire::{from_agent, to_agent};
use nightjar_model::protocol::{PROTOCOL, capability, wire};
use nightjar_model::query::IncompleteReason;
use nightjar_model::time::Timestamp;
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

use crate::Collector;
use crate::doubles::Reads;
use crate::hand_out::Plan;
use crate::live::{Live, Outbox, SignedOff};
use crate::pace::Pace;
use crate::presence::RESTART_WITHIN;
use crate::refusal::Refusal;
use crate::service::checked_facts;

/// Agents send a heartbeat every few seconds; one that is silent for this long is gone.
const SILENCE: Duration = Duration::from_secs(30);
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// An agent that is alive is heard of within this, also if a heartbeat is late.
const HEARD_WITHIN: Duration = Duration::from_secs(12);
/// How long a session that is replaced may take to finish the record it is at.
const REPLACE_WITHIN: Duration = Duration::from_secs(30);
const SEEN_EVERY: Duration = Duration::from_secs(30);
/// Monitors that one heartbeat reports on at most.
const MAX_REPORTS: usize = 10_000;
/// Files of a monitor that it tells at most.
const MAX_FILES: usize = 16;

pub(crate) struct Session {
    collector: Arc<Collector>,
    record: AgentRecord,
    key: Secret,
    outbox: Outbox,
    inbound: Streaming<wire::FromAgent>,
}

/// A session after its hello.
struct Open {
    collector: Arc<Collector>,
    live: Arc<Live>,
    plan: Arc<Plan>,
    incarnation: u64,
    /// The highest sequence that is durable.
    taken: u64,
    /// The sequence last answered with `Busy`: what follows it is passed over until it comes again.
    busy_at: Option<u64>,
    busy_times: u32,
    /// Records that could not be read.
    refused: u64,
    pace: Pace,
}

impl Session {
    pub(crate) fn new(
        collector: Arc<Collector>,
        record: AgentRecord,
        key: Secret,
        outbox: Outbox,
        inbound: Streaming<wire::FromAgent>,
    ) -> Self {
        Self { collector, record, key, outbox, inbound }
    }

    pub(crate) async fn run(mut self) {
        let collector = Arc::clone(&self.collector);
        let live = match self.hello().await {
            Ok((hello, live)) => {
                let _ended = live.ended.clone().drop_guard();
                metrics::gauge!("nightjar_collector_sessions").increment(1.0);
                let why = self.converse(hello, &live).await;
                metrics::gauge!("nightjar_collector_sessions").decrement(1.0);
                live.drop_pending();
                finish(why, &self.outbox).await;
                live
            }
            Err(why) => return finish(Err(why), &self.outbox).await,
        };
        let (facts, heard_at, left) = {
            let state = live.state();
            (state.facts.clone(), state.heard_at, state.left)
        };
        if left.is_none() {
            store_seen(&collector, &live, facts, heard_at).await;
        }
    }

    /// Waits for the hello and takes the agent's place in the fleet.
    async fn hello(&mut self) -> Result<(wire::Hello, Arc<Live>), Refusal> {
        let first = tokio::select! {
            () = self.collector.closing.cancelled() => return Err(Refusal::ShuttingDown),
            first = timeout(HELLO_WITHIN, self.inbound.message()) => first,
        };
        let first = first.map_err(|_elapsed| Refusal::Silent(HELLO_WITHIN.as_secs()))?;
        let hello = match first.map_err(broken)?.and_then(|message| message.body) {
            Some(from_agent::Body::Hello(hello)) => hello,
            Some(_) => return Err(Refusal::NotHello("another message")),
            None => return Err(Refusal::NotHello("nothing")),
        };
        if hello.incarnation == 0 {
            return Err(Refusal::Malformed("an incarnation is not 0".to_owned()));
        }
        let facts = checked_facts(hello.facts.clone())?;
        let now = self.collector.clock.now();
        self.refuse_copies(&hello, &facts).await?;
        let live = Arc::new(Live::new(&self.record, &hello, facts.clone(), now, self.outbox.clone()));
        live.state().skew_ms = hello.now_ms.saturating_sub(now.0);
        if !hello.config_version.is_empty() {
            live.state().config_applied = Some(hello.config_version.clone());
        }
        let before = self.collector.install(&live);
        self.collector.settle_doubles(&live, before.as_deref());
        if let Some(older) = before {
            older.end_with(Refusal::Replaced);
            // Until it has let go of the intake, what it has taken is not settled.
            if timeout(REPLACE_WITHIN, older.ended.cancelled()).await.is_err() {
                live.ended.cancel();
                return Err(nightjar_model::Error::unavailable("the agent's former session does not end").into());
            }
        }
        if let Err(error) = self.settle_in(&live, facts, now).await {
            live.ended.cancel();
            return Err(error.into());
        }
        Ok((hello, live))
    }

    /// Two processes with one identity at the same time: the one that is here goes on. One that is gone, but
    /// not known to be, gives its place to the newer.
    async fn refuse_copies(&self, hello: &wire::Hello, facts: &AgentFacts) -> Result<(), Refusal> {
        let Some(living) = self.collector.live(&self.record.id).filter(|living| living.is_connected()) else {
            return Ok(());
        };
        if hello.run == 0 || living.run == 0 || living.run == hello.run {
            return Ok(());
        }
        let heard = tokio::select! {
            biased;
            () = living.ended.cancelled() => false,
            () = living.heard.notified() => true,
            () = tokio::time::sleep(HEARD_WITHIN) => false,
        };
        if !heard {
            return Ok(());
        }
        let host = living.facts().hostname;
        living.state().copied = Some((self.collector.clock.now(), facts.hostname.clone()));
        Err(Refusal::Copied { host })
    }

    async fn settle_in(&self, live: &Live, facts: AgentFacts, now: Timestamp) -> nightjar_model::Result<()> {
        // The agent may have been removed while its hello was awaited, and there was no session to end
        // then. From here on there is one, which the removal ends.
        self.collector.registry.authenticate(&live.id, &self.key).await?;
        store_seen(&self.collector, live, facts.clone(), now).await;
        self.collector.count_in(&live.id, &facts).await
    }

    /// Notes what the agent says was lost between it and the server, before any of its records are taken.
    async fn note_gap(&self, hello: &wire::Hello, live: &Live, last: LastTaken) -> Result<(), Refusal> {
        let now = self.collector.clock.now();
        let (from, until) = match &hello.gap {
            Some(gap) => (Some(Timestamp(gap.from_ms)).filter(|from| from.0 > 0), Timestamp(gap.until_ms).min(now)),
            // One from before gaps were told: a new incarnation of an agent that is known says that something
            // was lost, and not what.
            None if hello.protocol == 0 && last.known && last.sequence == 0 => (None, now),
            None => return Ok(()),
        };
        if !last.known {
            // There is nothing that could have been lost.
            return Ok(());
        }
        let gap = AgentGap { agent: live.id.clone(), monitor: None, from, until, reason: IncompleteReason::RolledBack };
        self.collector.intake.note_gap(gap).await?;
        metrics::counter!("nightjar_collector_rolled_back_total").increment(1);
        tracing::warn!(
            incarnation = hello.incarnation, from = from.map(tracing::field::display), %until,
            "agent and server remember different pasts: the agent's minutes until then will never be complete"
        );
        live.state().rolled_back = Some((from, until));
        Ok(())
    }

    async fn converse(&mut self, hello: wire::Hello, live: &Arc<Live>) -> Result<(), Refusal> {
        let collector = Arc::clone(&self.collector);
        let mut plans = collector.plan.subscribe();
        let last = collector.intake.last_taken(&live.id, hello.incarnation).await?;
        self.note_gap(&hello, live, last).await?;
        let taken = last.sequence;
        let mut open = Open {
            plan: plans.borrow_and_update().clone(),
            live: Arc::clone(live),
            incarnation: hello.incarnation,
            taken,
            busy_at: None,
            busy_times: 0,
            refused: 0,
            pace: Pace::new(collector.config.session_bytes_per_second, Instant::now()),
            collector: Arc::clone(&collector),
        };
        let welcome = wire::Welcome {
            now_ms: collector.clock.now().0,
            taken_sequence: taken,
            taken_digest: last.digest,
            protocol: PROTOCOL,
            capabilities: capability::ALL.map(str::to_owned).to_vec(),
        };
        open.send(to_agent::Body::Welcome(welcome)).await?;
        tracing::info!(incarnation = hello.incarnation, taken, has = hello.last_sequence, "an agent connected");
        open.push_config().await?;
        loop {
            tokio::select! {
                () = live.cancel.cancelled() => {
                    return Err(live.state().why_ended.clone().unwrap_or(Refusal::Replaced));
                }
                () = collector.closing.cancelled() => return Err(Refusal::ShuttingDown),
                changed = plans.changed() => {
                    if changed.is_err() {
                        return Err(Refusal::ShuttingDown);
                    }
                    open.plan = plans.borrow_and_update().clone();
                    open.push_config().await?;
                }
                () = live.reconfigure.notified() => open.push_config().await?,
                message = timeout(SILENCE, self.inbound.message()) => {
                    let message = message.map_err(|_elapsed| Refusal::Silent(SILENCE.as_secs()))?;
                    match message.map_err(broken)? {
                        Some(wire::FromAgent { body: Some(from_agent::Body::Leave(leave)) }) => {
                            open.signed_off(leave).await?;
                            // Its end tells the agent that it was noted.
                            let ended = self.outbox.send(Err(Status::ok("signed off"))).await;
                            if ended.is_err() {
                                tracing::debug!("the agent was gone before it could be told that it may go");
                            }
                            return Ok(());
                        }
                        Some(message) => open.heard(message).await?,
                        None => return Ok(()),
                    }
                }
            }
        }
    }
}

impl Open {
    async fn heard(&mut self, message: wire::FromAgent) -> Result<(), Refusal> {
        let now = self.collector.clock.now();
        self.live.state().heard_at = now;
        self.live.heard.notify_waiters();
        match message.body {
            Some(from_agent::Body::Record(record)) => self.take(record).await?,
            Some(from_agent::Body::Heartbeat(heartbeat)) => {
                self.heartbeat(heartbeat, now);
                self.collector.part_doubles(&self.live).await?;
            }
            Some(from_agent::Body::ConfigAck(ack)) => self.config_acknowledged(ack),
            Some(from_agent::Body::TaskAnswer(answer)) => self.answered(answer),
            Some(from_agent::Body::Hello(_)) => return Err(Refusal::Malformed("a second hello".to_owned())),
            // Not here; and a message of a later protocol: nothing to do with it, no reason to part.
            Some(from_agent::Body::Leave(_)) | None => {}
        }
        let due = self.live.state().seen_stored_at.is_none_or(|at| now.since(at) >= SEEN_EVERY);
        if due {
            let facts = self.live.facts();
            store_seen(&self.collector, &self.live, facts, now).await;
        }
        Ok(())
    }

    fn heartbeat(&self, heartbeat: wire::Heartbeat, now: Timestamp) {
        let mut state = self.live.state();
        state.skew_ms = heartbeat.now_ms.saturating_sub(now.0);
        let reads = heartbeat.monitors.iter().take(MAX_REPORTS).map(|report| {
            let files = report.on_disk.iter().take(MAX_FILES).map(|file| (file.device, file.inode));
            (report.monitor.clone(), Reads::new(files.collect(), report.files as usize))
        });
        state.reads = reads.collect();
        state.monitors = heartbeat.monitors.into_iter().take(MAX_REPORTS).map(MonitorReport::from).collect();
        state.process = heartbeat.process.unwrap_or_default().into();
    }

    /// The agent stops in order. Nobody waits for it from now on, unless it is back soon.
    async fn signed_off(&self, leave: wire::Leave) -> Result<(), Refusal> {
        let (collector, id) = (&self.collector, &self.live.id);
        let at = collector.clock.now();
        collector.registry.left(id, at).await?;
        self.live.state().left = Some(SignedOff { at, for_good: leave.for_good });
        tracing::info!(for_good = leave.for_good, "the agent signed off");
        if leave.for_good {
            // It has passed what it read before it is removed: that stays complete.
            collector.hand_out().await?;
            let actor = Actor { name: format!("agent:{id}"), address: None };
            collector.registry.delete_agent(&actor, &self.live.workspace, id).await?;
            collector.changed.notify_one();
            return Ok(());
        }
        let collector = Arc::clone(collector);
        let closing = collector.closing.clone();
        collector.tasks.clone().spawn(async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = tokio::time::sleep(RESTART_WITHIN) => collector.changed.notify_one(),
            }
        });
        Ok(())
    }

    fn answered(&self, answer: wire::TaskAnswer) {
        if !self.live.answered(answer) {
            metrics::counter!("nightjar_collector_tasks_total", "outcome" => "late").increment(1);
        }
    }

    fn config_acknowledged(&self, ack: wire::ConfigAck) {
        for problem in &ack.problems {
            let wire::ConfigProblem { monitor, path, message } = problem;
            tracing::warn!(monitor, path, message, "the agent refused part of its configuration");
        }
        let mut state = self.live.state();
        state.config_applied = Some(ack.version);
        state.config_problems = ack
            .problems
            .into_iter()
            .take(100)
            .map(|p| (p.monitor, Problem { path: p.path, message: p.message }))
            .collect();
    }

    /// Sends the agent its configuration, unless it has it.
    async fn push_config(&mut self) -> Result<(), Refusal> {
        let (config, known) = {
            let mut state = self.live.state();
            let planned = self.plan.config_of(&self.live.id, &self.live.workspace, &state.facts);
            let can = |monitor: &str| self.plan.can_collect(&self.live.workspace, monitor, &self.live.capabilities);
            state.beyond = planned.monitors.iter().map(|m| &m.name).filter(|name| !can(name)).cloned().collect();
            let config = without(planned, |monitor| !can(monitor) || state.excluded.contains_key(monitor));
            let known = match &state.config_sent {
                Some((version, _)) => *version == config.version,
                None => state.config_applied.as_ref() == Some(&config.version),
            };
            (config, known)
        };
        if known {
            return Ok(());
        }
        let now = self.collector.clock.now();
        self.live.state().config_sent = Some((config.version.clone(), now));
        metrics::counter!("nightjar_collector_configurations_total").increment(1);
        tracing::info!(version = config.version, monitors = config.monitors.len(), "configuration sent");
        self.send(to_agent::Body::Config((*config).clone())).await
    }

    async fn send(&self, body: to_agent::Body) -> Result<(), Refusal> {
        let message = Ok(wire::ToAgent { body: Some(body) });
        let sent = timeout(SILENCE, self.live.outbox.send(message)).await;
        sent.map_err(|_elapsed| Refusal::Silent(SILENCE.as_secs()))?
            .map_err(|_gone| broken(Status::cancelled("the agent went away")))
    }
}

/// The configuration without some of its monitors.
fn without(planned: Arc<wire::Config>, leave_out: impl Fn(&str) -> bool) -> Arc<wire::Config> {
    let (left_out, monitors): (Vec<_>, Vec<_>) = planned.monitors.iter().partition(|monitor| leave_out(&monitor.name));
    if left_out.is_empty() {
        return planned;
    }
    // Another version than that of the whole: once it is to collect all, it is sent all.
    let mut names = crc32fast::Hasher::new();
    left_out.iter().for_each(|monitor| names.update(format!("{}\n", monitor.name).as_bytes()));
    let version = format!("{}-{:08x}", planned.version, names.finalize());
    Arc::new(wire::Config { version, monitors: monitors.into_iter().cloned().collect() })
}

/// Says goodbye, with the reason where there is one.
async fn finish(why: Result<(), Refusal>, outbox: &Outbox) {
    let Err(refusal) = why else {
        tracing::info!("the agent ended its session");
        return;
    };
    metrics::counter!("nightjar_collector_refused_total", "reason" => refusal.reason()).increment(1);
    if refusal.is_suspicious() {
        tracing::warn!(%refusal, "session ended");
    } else {
        tracing::info!(%refusal, "session ended");
    }
    // The agent may not be reading any more; then it learns nothing, and needs nothing.
    let told = timeout(Duration::from_secs(1), outbox.send(Err(refusal.status()))).await;
    if !matches!(told, Ok(Ok(()))) {
        tracing::debug!("the agent was gone before it could be told why");
    }
}

async fn store_seen(collector: &Collector, live: &Live, facts: AgentFacts, at: Timestamp) {
    live.state().seen_stored_at = Some(at);
    if let Err(error) = collector.registry.seen(&live.id, &facts, at).await {
        tracing::warn!(%error, "cannot store when the agent was last seen");
    }
}

/// The stream broke, or held what is no message.
fn broken(status: Status) -> Refusal {
    let kind = match status.code() {
        tonic::Code::OutOfRange | tonic::Code::ResourceExhausted => nightjar_model::ErrorKind::TooLarge,
        tonic::Code::Internal | tonic::Code::InvalidArgument => nightjar_model::ErrorKind::InvalidInput,
        _ => nightjar_model::ErrorKind::Unavailable,
    };
    nightjar_model::Error::new(kind, status.message().to_owned()).into()
}
