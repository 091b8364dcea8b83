//! In-memory rooms around the collector, and an agent to speak with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nightjar_collector::{Collector, CollectorConfig};
use nightjar_model::agents::{AgentFacts, AgentRecord, Enrolled};
use nightjar_model::delta::{Batch, LINES_FIELD, MonitorDelta, Partial, Watermark, WindowDelta};
use nightjar_model::identity::{Actor, AuditEntry, EnrolmentToken, NewEnrolmentToken};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{
    AgentGap, AgentRegistry, Applied, ChangeListener, Expectation, Intake, LastTaken, ListQuery, Page, ResourceStore,
    Taken, WriteOptions,
};
use nightjar_model::protocol::wire::agents_client::AgentsClient;
use nightjar_model::protocol::wire::{from_agent, to_agent};
use nightjar_model::protocol::{encode_gathered, wire};
use nightjar_model::resource::{Resource, ResourceKey};
use nightjar_model::time::Timestamp;
use nightjar_model::{Clock, Error, Kind, Result, Secret};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

pub(crate) const START: i64 = 1_800_000_000_000;

pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Documents: monitors only, and only what the collector asks of them.
#[derive(Default)]
pub(crate) struct Documents(pub(crate) Mutex<BTreeMap<(String, String), Resource>>);

impl Documents {
    pub(crate) fn put(&self, workspace: &str, name: &str, extra: serde_json::Value) {
        let mut spec = json!({ "type": "minute", "source": { "log": { "paths": [{ "path": "/a.log" }] } } });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let document = json!({ "kind": "Monitor", "metadata": { "name": name }, "spec": spec });
        let resource = Resource::from_value(&document, Some(workspace)).expect("a valid monitor");
        self.0.lock().unwrap().insert((workspace.into(), name.into()), resource);
    }

    pub(crate) fn delete(&self, workspace: &str, name: &str) {
        self.0.lock().unwrap().remove(&(workspace.to_owned(), name.to_owned()));
    }
}

fn not_asked<T>() -> Result<T> {
    Err(Error::internal("the collector has no business asking this"))
}

#[async_trait]
impl ResourceStore for Documents {
    async fn list(&self, query: &ListQuery) -> Result<Page<Resource>> {
        // Two a page, so that paging is walked.
        let documents = self.0.lock().unwrap();
        let from: usize = query.cursor.as_ref().map_or(0, |cursor| cursor.parse().unwrap());
        let items: Vec<Resource> = documents.values().skip(from).take(2).cloned().collect();
        let next = (from + 2 < documents.len()).then(|| (from + 2).to_string());
        Ok(Page { items, next })
    }
    async fn get(&self, _: &ResourceKey) -> Result<Resource> {
        not_asked()
    }
    async fn reveal(&self, _: &ResourceKey) -> Result<Resource> {
        not_asked()
    }
    async fn apply(&self, _: &Actor, _: Vec<Resource>, _: WriteOptions) -> Result<Vec<Applied>> {
        not_asked()
    }
    async fn delete(&self, _: &Actor, _: &ResourceKey, _: WriteOptions) -> Result<()> {
        not_asked()
    }
    async fn versions(&self, _: &ResourceKey) -> Result<Vec<Resource>> {
        not_asked()
    }
    async fn restore(&self, _: &Actor, _: &ResourceKey, _: i64) -> Result<Resource> {
        not_asked()
    }
    fn on_change(&self, _: ChangeListener) {}
    async fn workspaces(&self) -> Result<Vec<String>> {
        not_asked()
    }
    async fn create_workspace(&self, _: &Actor, _: &str) -> Result<()> {
        not_asked()
    }
    async fn audit(&self, _: AuditEntry) -> Result<()> {
        not_asked()
    }
    async fn audit_log(&self, _: Option<&str>, _: u32, _: Option<&str>) -> Result<Page<AuditEntry>> {
        not_asked()
    }
}

/// Enrolled agents. Every token `join-WORKSPACE` enrols; an agent's key is `key-of-ID`.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) agents: Mutex<Vec<AgentRecord>>,
    pub(crate) seen: Mutex<Vec<(AgentId, Timestamp)>>,
}

#[async_trait]
impl AgentRegistry for Registry {
    async fn enrolment_tokens(&self, _: &str) -> Result<Vec<EnrolmentToken>> {
        not_asked()
    }
    async fn create_enrolment_token(
        &self,
        _: &Actor,
        _: &str,
        _: NewEnrolmentToken,
    ) -> Result<(EnrolmentToken, Secret)> {
        not_asked()
    }
    async fn delete_enrolment_token(&self, _: &Actor, _: &str, _: &str) -> Result<()> {
        not_asked()
    }
    async fn check_enrolment_token(&self, _: &Secret) -> Result<()> {
        not_asked()
    }
    async fn enrol(&self, token: &Secret, facts: &AgentFacts, address: Option<&str>) -> Result<Enrolled> {
        assert!(address.is_some());
        let Some(workspace) = token.expose().strip_prefix("join-") else {
            return Err(Error::unauthenticated("this enrolment token is unknown, used up or expired"));
        };
        let mut agents = self.agents.lock().unwrap();
        let id = AgentId(format!("agent-{}", agents.len() + 1));
        agents.push(AgentRecord {
            id: id.clone(),
            workspace: workspace.to_owned(),
            facts: facts.clone(),
            enrolled_at: Timestamp(START),
            last_seen_at: None,
            left_at: None,
        });
        Ok(Enrolled { key: Secret::new(format!("key-of-{id}")), id, workspace: workspace.to_owned() })
    }
    async fn authenticate(&self, id: &AgentId, key: &Secret) -> Result<AgentRecord> {
        let agents = self.agents.lock().unwrap();
        let found = agents.iter().find(|agent| agent.id == *id && key.expose() == format!("key-of-{id}"));
        found.cloned().ok_or_else(|| Error::unauthenticated("unknown agent or wrong key"))
    }
    async fn seen(&self, id: &AgentId, facts: &AgentFacts, at: Timestamp) -> Result<()> {
        self.seen.lock().unwrap().push((id.clone(), at));
        let mut agents = self.agents.lock().unwrap();
        if let Some(agent) = agents.iter_mut().find(|agent| agent.id == *id) {
            (agent.facts, agent.last_seen_at, agent.left_at) = (facts.clone(), Some(at), None);
        }
        Ok(())
    }
    async fn left(&self, id: &AgentId, at: Timestamp) -> Result<()> {
        let mut agents = self.agents.lock().unwrap();
        let agent = agents.iter_mut().find(|agent| agent.id == *id);
        (agent.expect("enrolled").left_at) = Some(at);
        Ok(())
    }
    async fn agents(&self, workspace: Option<&str>) -> Result<Vec<AgentRecord>> {
        let agents = self.agents.lock().unwrap();
        Ok(agents.iter().filter(|agent| workspace.is_none_or(|w| w == agent.workspace)).cloned().collect())
    }
    async fn delete_agent(&self, _: &Actor, _: &str, id: &AgentId) -> Result<()> {
        self.agents.lock().unwrap().retain(|agent| agent.id != *id);
        Ok(())
    }
}

/// Takes batches into memory; can be full, or slow.
#[derive(Default)]
pub(crate) struct Taker {
    pub(crate) batches: Mutex<Vec<Batch>>,
    pub(crate) expected: Mutex<Vec<Expectation>>,
    pub(crate) gaps: Mutex<Vec<AgentGap>>,
    pub(crate) full: AtomicBool,
    pub(crate) arrived: AtomicI64,
    /// While set, `take` does not return.
    pub(crate) stuck: tokio::sync::RwLock<()>,
}

#[async_trait]
impl Intake for Taker {
    async fn take(&self, batch: Batch) -> Result<Taken> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        drop(self.stuck.read().await);
        if self.full.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the disk is full"));
        }
        let last = self.last_sequence(&batch.agent, batch.incarnation).await?;
        if batch.sequence <= last {
            return Ok(Taken::Repeat);
        }
        assert_eq!(batch.sequence, last + 1, "the collector let a gap through");
        self.batches.lock().unwrap().push(batch);
        Ok(Taken::New)
    }
    async fn last_taken(&self, agent: &AgentId, incarnation: u64) -> Result<LastTaken> {
        let batches = self.batches.lock().unwrap();
        let own = || batches.iter().filter(|batch| batch.agent == *agent);
        let last = own().filter(|batch| batch.incarnation == incarnation).max_by_key(|batch| batch.sequence);
        let (sequence, digest) = last.map(|batch| (batch.sequence, batch.digest)).unwrap_or_default();
        Ok(LastTaken { sequence, digest, known: own().next().is_some() })
    }
    fn accepts(&self, now: Timestamp, _width: Duration) -> std::ops::Range<Timestamp> {
        now.saturating_sub(Duration::from_secs(86_400))..now.saturating_add(Duration::from_secs(86_400))
    }
    async fn note_gap(&self, gap: AgentGap) -> Result<()> {
        self.gaps.lock().unwrap().push(gap);
        Ok(())
    }
    async fn expect(&self, expected: Vec<Expectation>) -> Result<()> {
        *self.expected.lock().unwrap() = expected;
        Ok(())
    }
}

/// A collector that listens, with what stands around it.
pub(crate) struct House {
    pub(crate) collector: Arc<Collector>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) documents: Arc<Documents>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) taker: Arc<Taker>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: tokio::task::JoinHandle<Result<()>>,
    url: String,
}

impl House {
    #[expect(clippy::disallowed_methods, reason = "a test's own task, ended by its shutdown token")]
    pub(crate) async fn open(config: CollectorConfig) -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(START)));
        let (documents, registry, taker) =
            (Arc::<Documents>::default(), Arc::<Registry>::default(), Arc::<Taker>::default());
        documents.put("default", "trade", json!({ "app": "trade" }));
        documents.put("default", "every", json!({}));
        documents.put("other", "theirs", json!({}));
        let collector = Collector::new(config, clock.clone(), documents.clone(), registry.clone(), taker.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let serving = {
            let (collector, shutdown) = (collector.clone(), shutdown.clone());
            tokio::spawn(async move { collector.serve(listener, None, shutdown).await })
        };
        Self { collector, clock, documents, registry, taker, shutdown, serving, url }
    }

    pub(crate) async fn client(&self) -> AgentsClient<Channel> {
        let url = self.url.clone();
        until("the server answers", || AgentsClient::connect(url.clone())).await
    }

    pub(crate) async fn enrol(&self, workspace: &str, app: &str) -> String {
        let token = format!("join-{workspace}");
        enrol(&mut self.client().await, &token, app).await.expect("enrolled").agent_id
    }

    pub(crate) async fn connect(&self, agent: &str, hello: wire::Hello) -> Agent {
        self.try_connect(agent, &format!("key-of-{agent}"), hello).await.expect("a session")
    }

    pub(crate) async fn try_connect(&self, agent: &str, key: &str, hello: wire::Hello) -> Result<Agent, Status> {
        let (outbox, outgoing) = mpsc::channel(64);
        outbox.send(from_agent::Body::Hello(hello).into_message()).await.unwrap();
        self.open_session(agent, key, outbox, outgoing).await
    }

    /// Connects and says nothing yet.
    pub(crate) async fn knock(&self, agent: &str) -> Agent {
        let (outbox, outgoing) = mpsc::channel(64);
        self.open_session(agent, &format!("key-of-{agent}"), outbox, outgoing).await.expect("a session")
    }

    async fn open_session(
        &self,
        agent: &str,
        key: &str,
        outbox: mpsc::Sender<wire::FromAgent>,
        outgoing: mpsc::Receiver<wire::FromAgent>,
    ) -> Result<Agent, Status> {
        let mut request = Request::new(ReceiverStream::new(outgoing));
        request.metadata_mut().insert("nightjar-agent", agent.parse().unwrap());
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let inbox = self.client().await.session(request).await?.into_inner();
        Ok(Agent { outbox, inbox })
    }

    pub(crate) async fn reconcile(&self) {
        for reconciler in self.collector.reconcilers() {
            reconciler.activate().await.expect("reconciled");
        }
    }
}

pub(crate) async fn enrol(
    client: &mut AgentsClient<Channel>,
    token: &str,
    app: &str,
) -> Result<wire::EnrolResponse, Status> {
    let mut request = Request::new(wire::EnrolRequest { facts: Some(facts(app)) });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    Ok(client.enrol(request).await?.into_inner())
}

pub(crate) fn facts(app: &str) -> wire::Facts {
    let labels = HashMap::from([("app".to_owned(), app.to_owned())]);
    wire::Facts { hostname: format!("{app}-host"), labels, ..Default::default() }
}

pub(crate) fn hello(app: &str) -> wire::Hello {
    wire::Hello { facts: Some(facts(app)), incarnation: 1, now_ms: START, ..Default::default() }
}

/// The agent's end of a session.
pub(crate) struct Agent {
    pub(crate) outbox: mpsc::Sender<wire::FromAgent>,
    pub(crate) inbox: Streaming<wire::ToAgent>,
}

pub(crate) trait IntoMessage {
    fn into_message(self) -> wire::FromAgent;
}

impl IntoMessage for from_agent::Body {
    fn into_message(self) -> wire::FromAgent {
        wire::FromAgent { body: Some(self) }
    }
}

impl Agent {
    pub(crate) async fn say(&self, body: from_agent::Body) {
        self.outbox.send(body.into_message()).await.expect("the server reads");
    }

    pub(crate) async fn send(&self, sequence: u64, monitor: &str) {
        self.say(from_agent::Body::Record(record(sequence, monitor))).await;
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> to_agent::Body {
        self.hear_or_end().await.expect("a message, not the end")
    }

    /// The next message, or the status that ended the session.
    pub(crate) async fn hear_or_end(&mut self) -> Result<to_agent::Body, Status> {
        let message = tokio::time::timeout(Duration::from_secs(10), self.inbox.message()).await.expect("an answer");
        message.map(|message| message.expect("not the end").body.expect("a body"))
    }

    pub(crate) async fn welcomed(&mut self) -> wire::Welcome {
        match self.hear().await {
            to_agent::Body::Welcome(welcome) => welcome,
            other => panic!("not a welcome: {other:?}"),
        }
    }

    pub(crate) async fn configured(&mut self) -> Vec<String> {
        match self.hear().await {
            to_agent::Body::Config(config) => {
                let ack = wire::ConfigAck { version: config.version, problems: vec![] };
                self.say(from_agent::Body::ConfigAck(ack)).await;
                config.monitors.into_iter().map(|monitor| monitor.name).collect()
            }
            other => panic!("not a configuration: {other:?}"),
        }
    }

    pub(crate) async fn acked(&mut self) -> u64 {
        match self.hear().await {
            to_agent::Body::Ack(ack) => ack.sequence,
            other => panic!("not an acknowledgement: {other:?}"),
        }
    }

    /// The status the session ends with, passing over what comes before.
    pub(crate) async fn ended(&mut self) -> Status {
        loop {
            if let Err(status) = self.hear_or_end().await {
                return status;
            }
        }
    }
}

pub(crate) fn record(sequence: u64, monitor: &str) -> wire::Record {
    let delta = MonitorDelta {
        monitor: MonitorKey::new("said-by-nobody", monitor),
        uid: None,
        width: Duration::from_secs(60),
        group_by: vec![],
        fields: vec![LINES_FIELD.to_owned()],
        windows: vec![WindowDelta { start: Timestamp(START), keys: vec![], partials: vec![Partial::lines(sequence)] }],
    };
    let watermark = Watermark::new(delta.monitor.clone(), Timestamp(START - 1));
    wire::Record { sequence, payload: zstd::bulk::compress(&encode_gathered(&[delta], &[watermark]), 1).unwrap() }
}

/// Tries until it works, for ten seconds at most.
pub(crate) async fn until<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn holds(condition: bool) -> Result<(), ()> {
    if condition { Ok(()) } else { Err(()) }
}

pub(crate) const MONITOR: Kind = Kind::Monitor;
