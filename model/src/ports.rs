//! The ports: what one room may ask of another. `src/` wires each to the room that answers.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::agents::{
    AgentFacts, AgentRecord, AgentTask, AgentTaskResult, AgentView, Enrolled, PickSuggestion, Selection, TrialReport,
};
use crate::alert::{
    Alert, AlertCommit, AlertEvent, AlertQuery, EventQuery, Notification, NotificationQuery, Receiver, RuleState,
};
use crate::delta::Batch;
use crate::error::Result;
use crate::identity::{
    Actor, ApiToken, AuditEntry, EnrolmentToken, NewApiToken, NewEnrolmentToken, Principal, User, UserChange,
};
use crate::kinds::monitor::MonitorSpec;
use crate::names::{AgentId, MonitorKey};
use crate::query::{Contributor, IncompleteReason, Progress, SqlAnswer, SqlFormat, WindowAnswer, WindowQuery};
use crate::resource::{Kind, Resource, ResourceKey};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<String>,
}

/// Which resources to list, by name.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    pub kind: Option<Kind>,
    pub workspace: Option<String>,
    /// The folder and those under it.
    pub folder: Option<String>,
    /// Labels that must be there.
    pub labels: Vec<(String, String)>,
    /// Part of the name or display name.
    pub q: Option<String>,
    /// 0 for no limit.
    pub limit: u32,
    pub cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Validate and answer, change nothing.
    pub dry_run: bool,
    /// The version the writer has seen; another one is [`ErrorKind::Stale`](crate::ErrorKind::Stale).
    /// Only for a single document. `Some(0)`: must not exist yet.
    pub if_match: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
}

/// What a write did to one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    pub resource: Resource,
    pub outcome: Outcome,
}

/// Called after a write is durable, with what was written or deleted.
pub type ChangeListener = Arc<dyn Fn(&[ResourceKey]) + Send + Sync>;

/// The documents. Answered by `store`.
#[async_trait]
pub trait ResourceStore: Send + Sync {
    /// Secrets in it are masked.
    async fn get(&self, key: &ResourceKey) -> Result<Resource>;
    /// With secrets in clear, for the room that must use them; never to be shown.
    async fn reveal(&self, key: &ResourceKey) -> Result<Resource>;
    async fn list(&self, query: &ListQuery) -> Result<Page<Resource>>;
    /// Writes all or none. References, statistics' names and the like are checked against the store
    /// and against each other. Problems of document `i` of several have paths starting `documents[i].`.
    async fn apply(&self, actor: &Actor, documents: Vec<Resource>, options: WriteOptions) -> Result<Vec<Applied>>;
    /// Refused with `Conflict`, naming them, while others refer to it.
    async fn delete(&self, actor: &Actor, key: &ResourceKey, options: WriteOptions) -> Result<()>;
    /// Newest first.
    async fn versions(&self, key: &ResourceKey) -> Result<Vec<Resource>>;
    /// Makes an old version the newest. Works on deleted resources too.
    async fn restore(&self, actor: &Actor, key: &ResourceKey, version: i64) -> Result<Resource>;
    fn on_change(&self, listener: ChangeListener);
    async fn workspaces(&self) -> Result<Vec<String>>;
    async fn create_workspace(&self, actor: &Actor, name: &str) -> Result<()>;
    async fn audit(&self, entry: AuditEntry) -> Result<()>;
    /// Newest first. `workspace: None` is everything.
    async fn audit_log(&self, workspace: Option<&str>, limit: u32, cursor: Option<&str>) -> Result<Page<AuditEntry>>;
}

/// People and tokens. Answered by `store`.
#[async_trait]
pub trait Identities: Send + Sync {
    /// Throttled by name and address: `TooManyRequests` says how long to wait.
    async fn login(&self, name: &str, password: &Secret, address: Option<&str>) -> Result<Principal>;
    /// The session, and when it ends at the latest; without use it ends sooner.
    async fn start_session(&self, principal: &Principal) -> Result<(Secret, Timestamp)>;
    async fn session(&self, session: &Secret) -> Result<Principal>;
    async fn end_session(&self, session: &Secret) -> Result<()>;
    /// A user who was proved before, with what they may do now.
    ///
    /// # Errors
    /// `Unauthenticated` for who is gone, disabled, or has another password since.
    async fn renew(&self, principal: &Principal) -> Result<Principal>;
    /// Its rights are those it was given, as far as its owner has them now.
    async fn token(&self, token: &Secret) -> Result<Principal>;
    async fn users(&self) -> Result<Vec<User>>;
    async fn put_user(&self, actor: &Actor, name: &str, change: UserChange) -> Result<User>;
    /// Their sessions and tokens go too, and the tokens that these made.
    async fn delete_user(&self, actor: &Actor, name: &str) -> Result<()>;
    async fn change_password(&self, actor: &Actor, name: &str, old: &Secret, new: &Secret) -> Result<()>;
    async fn api_tokens(&self) -> Result<Vec<ApiToken>>;
    /// It belongs to the user behind `actor`. One made by a token ends with that token.
    async fn create_api_token(&self, actor: &Actor, new: NewApiToken) -> Result<(ApiToken, Secret)>;
    /// The tokens that it made go too.
    async fn delete_api_token(&self, actor: &Actor, id: &str) -> Result<()>;
}

/// Enrolment and the list of agents. Answered by `store`.
#[async_trait]
pub trait AgentRegistry: Send + Sync {
    async fn enrolment_tokens(&self, workspace: &str) -> Result<Vec<EnrolmentToken>>;
    async fn create_enrolment_token(
        &self,
        actor: &Actor,
        workspace: &str,
        new: NewEnrolmentToken,
    ) -> Result<(EnrolmentToken, Secret)>;
    async fn delete_enrolment_token(&self, actor: &Actor, workspace: &str, id: &str) -> Result<()>;
    /// Whether the token could be used now, without using it; for handing out the binary.
    async fn check_enrolment_token(&self, token: &Secret) -> Result<()>;
    /// Uses the token once.
    async fn enrol(&self, token: &Secret, facts: &AgentFacts, address: Option<&str>) -> Result<Enrolled>;
    async fn authenticate(&self, id: &AgentId, key: &Secret) -> Result<AgentRecord>;
    /// Takes back that it signed off.
    async fn seen(&self, id: &AgentId, facts: &AgentFacts, at: Timestamp) -> Result<()>;
    /// The agent signed off.
    async fn left(&self, id: &AgentId, at: Timestamp) -> Result<()>;
    async fn agents(&self, workspace: Option<&str>) -> Result<Vec<AgentRecord>>;
    /// Revokes its key and takes it out of every expectation.
    async fn delete_agent(&self, actor: &Actor, workspace: &str, id: &AgentId) -> Result<()>;
}

/// Alerts' state and history, the notification queue. Answered by `store`.
#[async_trait]
pub trait AlertStore: Send + Sync {
    async fn rule_state(&self, workspace: &str, rule: &str) -> Result<RuleState>;
    /// Rules that have a stored state, `(workspace, rule)`; deleted ones are among them.
    async fn rules_with_state(&self) -> Result<Vec<(String, String)>>;
    async fn forget_rule(&self, workspace: &str, rule: &str) -> Result<()>;
    /// In one transaction.
    async fn commit(&self, commit: AlertCommit) -> Result<()>;
    /// Who has pending notifications whose time has come, each once, with how many.
    async fn due_receivers(&self, now: Timestamp) -> Result<Vec<(Receiver, u64)>>;
    /// Ids of a receiver's pending notifications whose time has come, oldest first.
    async fn due_notifications(&self, receiver: &Receiver, now: Timestamp, limit: u32) -> Result<Vec<String>>;
    async fn alert(&self, workspace: &str, id: &str) -> Result<Alert>;
    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>>;
    async fn events(&self, query: &EventQuery) -> Result<Page<AlertEvent>>;
    async fn notification(&self, workspace: &str, id: &str) -> Result<Notification>;
    async fn notifications(&self, query: &NotificationQuery) -> Result<Page<Notification>>;
    /// Deletes ended alerts, and their events and notifications, that ended before `before`; and events
    /// older than it on the timelines of rules ([`rule_timeline`](crate::alert::rule_timeline)).
    async fn prune(&self, before: Timestamp) -> Result<u64>;
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Durable now.
    New,
    /// It had been taken before; nothing was changed.
    Repeat,
}

/// Where batches go. Answered by `engine`.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Returns once the batch is durable.
    ///
    /// # Errors
    /// `Conflict` for a sequence that leaves a gap; `Unavailable` when the disk is full or memory is
    /// at its hard limit: try again later.
    async fn take(&self, batch: Batch) -> Result<Taken>;
    /// What was taken last of this incarnation.
    async fn last_taken(&self, agent: &AgentId, incarnation: u64) -> Result<LastTaken>;
    /// The highest sequence taken of this incarnation; 0 if none.
    async fn last_sequence(&self, agent: &AgentId, incarnation: u64) -> Result<u64> {
        Ok(self.last_taken(agent, incarnation).await?.sequence)
    }
    /// Windows of `width` that start outside of this are not kept.
    fn accepts(&self, now: Timestamp, width: Duration) -> Range<Timestamp>;
    /// Notes that windows of an agent can never be complete, of every monitor that it contributes to.
    /// Returns once that is durable.
    async fn note_gap(&self, gap: AgentGap) -> Result<()>;
    /// From now on, these agents and nobody else are expected to contribute to these monitors. Monitors not
    /// named are expected of nobody. A window that has begun already does not wait for an agent that is
    /// named for the first time; one that is named no longer is waited for no longer, and what it had
    /// begun and not passed is never complete. One that is away is not waited for by windows to come; it
    /// goes on where it was when it is back. The same again changes nothing, and only what changes is
    /// written down.
    async fn expect(&self, expected: Vec<Expectation>) -> Result<()>;
}

/// Who contributes to a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    pub monitor: MonitorKey,
    /// What is known of a monitor of before that had its name says nothing of it. Those that everybody has have none.
    pub uid: Option<String>,
    pub width: Duration,
    /// Columns it groups by whose values are fixed for an agent
    /// ([`instance_columns`](MonitorSpec::instance_columns)).
    pub columns: Vec<String>,
    pub agents: Vec<ExpectedAgent>,
    /// Those that would contribute if they were there.
    pub away: Vec<AwayAgent>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedAgent {
    pub id: AgentId,
    /// Its values of [`Expectation::columns`], in their order.
    pub keys: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwayAgent {
    pub id: AgentId,
    /// When it signed off, having sent all that it had: then nobody waits for it since. `None` for one that
    /// is away without a word: what it had begun waits for it.
    pub left_at: Option<Timestamp>,
}

/// Windows of an agent that can never be complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentGap {
    pub agent: AgentId,
    /// Every monitor that it contributes to without one.
    pub monitor: Option<MonitorKey>,
    /// `None` for the last watermark that is known of it.
    pub from: Option<Timestamp>,
    pub until: Timestamp,
    pub reason: IncompleteReason,
}

/// What was taken last of an agent's incarnation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastTaken {
    /// 0 for nothing.
    pub sequence: u64,
    /// [`Batch::digest`] of it; 0 where it is not known.
    pub digest: u32,
    /// Whether anything was taken of the agent, in whatever incarnation.
    pub known: bool,
}

impl Expectation {
    /// Of a monitor that keeps no agents apart.
    pub fn new(monitor: MonitorKey, width: Duration, agents: impl IntoIterator<Item = AgentId>) -> Self {
        let agents = agents.into_iter().map(|id| ExpectedAgent { id, keys: Vec::new() }).collect();
        Self { monitor, uid: None, width, columns: Vec::new(), agents, away: Vec::new() }
    }
}

/// The windows. Answered by `engine`.
#[async_trait]
pub trait WindowReader: Send + Sync {
    async fn windows(&self, query: WindowQuery) -> Result<WindowAnswer>;
    async fn progress(&self, monitor: &MonitorKey) -> Result<Progress>;
    /// Who is expected to contribute to a monitor now, by id.
    async fn contributors(&self, monitor: &MonitorKey) -> Result<Vec<Contributor>>;
    /// SQL over the tables of one workspace: `monitor."name"`.
    async fn sql(&self, workspace: &str, sql: &str, format: SqlFormat) -> Result<SqlAnswer>;
}

/// Definitions of the monitors, for those that need to know their columns. Answered by `src/` from the store.
#[async_trait]
pub trait MonitorCatalog: Send + Sync {
    async fn monitors(&self, workspace: &str) -> Result<Vec<DefinedMonitor>>;
}

/// A monitor as it is defined now.
#[derive(Debug, Clone)]
pub struct DefinedMonitor {
    pub name: String,
    /// Another one when it was deleted and made again: figures belong to the uid, not to the name.
    pub uid: String,
    pub spec: Arc<MonitorSpec>,
}

impl DefinedMonitor {
    /// `None` where nobody gave it one.
    pub fn uid(&self) -> Option<String> {
        (!self.uid.is_empty()).then(|| self.uid.clone())
    }
}

/// Called when windows of a monitor became complete, or will never be, for all or for some of their keys;
/// with the end of the latest of them. What is the case is for [`WindowReader`] to say.
pub type ClosedListener = Arc<dyn Fn(&MonitorKey, Timestamp) + Send + Sync>;

/// The live fleet. Answered by `collector`.
#[async_trait]
pub trait Fleet: Send + Sync {
    async fn agents(&self, workspace: &str) -> Result<Vec<AgentView>>;
    async fn agent(&self, workspace: &str, id: &AgentId) -> Result<AgentView>;
    /// Asks one agent to do something once, and waits for the answer.
    async fn run(&self, workspace: &str, id: &AgentId, task: AgentTask) -> Result<AgentTaskResult>;
    /// Ends an agent's session, as after its key was revoked.
    async fn disconnect(&self, id: &AgentId);
}

/// Trying picks and monitors on lines at hand. Answered by `src/` from the agent's own code, so that
/// what is shown is what will be counted.
pub trait LineLab: Send + Sync {
    /// Picks that yield the selection, best first.
    fn derive(&self, lines: &[String], selection: &Selection) -> Result<Vec<PickSuggestion>>;
    fn try_lines(&self, spec: &MonitorSpec, lines: &[String]) -> Result<TrialReport>;
}

/// A message to see whether a channel works. Answered by `alerting`.
#[async_trait]
pub trait TestSender: Send + Sync {
    /// Sends now, without the queue; answers what the provider said. `key` is a DingtalkRobot,
    /// Webhook, EmailServer (with `to`, an address) or Contact.
    async fn test_send(&self, key: &ResourceKey, to: Option<&str>) -> Result<String>;
}

/// The unit of background work: idempotent and without input, so that it can be run at any time, any
/// number of times, and after a restart.
#[async_trait]
pub trait Reconciler: Send + Sync {
    /// `room.what`, e.g. `engine.compact`.
    fn name(&self) -> &'static str;
    /// It runs at least this often.
    fn every(&self) -> Duration;
    /// Notified when there is something to do before that.
    fn wake(&self) -> Option<&Notify> {
        None
    }
    async fn activate(&self) -> Result<()>;
}

/// A piece of background work as `/api/v1/tasks` shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    pub name: String,
    /// What makes it run, for people: `every 1s`, `on change`.
    pub trigger: String,
    pub runs: u64,
    pub failures: u64,
    pub last_started_at: Option<Timestamp>,
    pub last_duration_ms: Option<u64>,
    pub last_error: Option<String>,
}

/// The reconcilers' status. Answered by `src/` from the rooms.
pub trait Tasks: Send + Sync {
    fn statuses(&self) -> Vec<TaskStatus>;
}
