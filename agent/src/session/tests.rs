//! The whole agent against a server of the tests' own, over a real connection.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;

use nightjar_model::agents::{AgentTask, AgentTaskResult};
use nightjar_model::delta::{MonitorDelta, Watermark};
use nightjar_model::protocol::decode_gathered;
use nightjar_model::protocol::wire::agents_server::{Agents, AgentsServer};
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::Response;
use tonic::transport::{Identity as TlsIdentity, ServerTlsConfig};

use super::*;
use crate::AgentConfig;

/// What the server of a test does and has seen.
#[derive(Default)]
struct State {
    tokens: Vec<String>,
    hellos: Vec<wire::Hello>,
    beats: Vec<wire::Heartbeat>,
    acks: Vec<wire::ConfigAck>,
    answers: Vec<wire::TaskAnswer>,
    /// Taken, by agent and incarnation.
    taken: BTreeMap<(String, u64), u64>,
    /// What the next agent is enrolled as.
    next_id: Option<String>,
    deltas: Vec<MonitorDelta>,
    watermarks: Vec<Watermark>,
    config: wire::Config,
    task: Option<AgentTask>,
    /// So many records are refused for a moment.
    busy: u32,
    /// So many sessions are cut before a record is acknowledged.
    cuts: u32,
    /// A session says that it has taken so much more than it has.
    wrong_by: u64,
    /// Whether each that left did so for good.
    leaves: Vec<bool>,
    deaf: bool,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

type Answers = Pin<Box<dyn Stream<Item = Result<wire::ToAgent, Status>> + Send>>;

#[tonic::async_trait]
impl Agents for Server {
    async fn enrol(&self, request: Request<wire::EnrolRequest>) -> Result<Response<wire::EnrolResponse>, Status> {
        let token =
            request.metadata().get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let next_id = {
            let mut state = self.0.lock().unwrap();
            state.tokens.push(token.clone());
            state.next_id.clone()
        };
        if token != "Bearer right" {
            return Err(Status::unauthenticated("no such token"));
        }
        let (agent_id, workspace, key) = (next_id.unwrap_or("a-1".into()), "w".into(), "key-1".into());
        Ok(Response::new(wire::EnrolResponse { agent_id, workspace, key }))
    }

    type SessionStream = Answers;

    async fn session(&self, request: Request<Streaming<wire::FromAgent>>) -> Result<Response<Answers>, Status> {
        if request.metadata().get("authorization").is_none_or(|key| key != "Bearer key-1") {
            return Err(Status::unauthenticated("no such key"));
        }
        let (out, answers) = mpsc::channel(16);
        let server = self.clone();
        let agent = request.metadata().get("nightjar-agent").unwrap().to_str().unwrap().to_owned();
        let mut incoming = request.into_inner();
        TaskSpawner::spawn(async move {
            let mut session = (agent, 0);
            while let Ok(Some(message)) = incoming.message().await {
                let Some(body) = message.body else { continue };
                for answer in server.answer(body, &mut session) {
                    let Some(body) = answer else { return };
                    let sent = out.send(Ok(wire::ToAgent { body: Some(body) })).await;
                    if sent.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

struct TaskSpawner;

impl TaskSpawner {
    fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tokio_util::task::TaskTracker::new().spawn(work)
    }
}

impl Server {
    /// What to answer; `None` ends the session, which is told by agent and incarnation.
    fn answer(&self, body: from_agent::Body, session: &mut (String, u64)) -> Vec<Option<to_agent::Body>> {
        let mut state = self.0.lock().unwrap();
        match body {
            from_agent::Body::Hello(hello) => {
                session.1 = hello.incarnation;
                let wrong = std::mem::take(&mut state.wrong_by);
                let taken_sequence = state.taken.get(session).copied().unwrap_or(0) + wrong;
                state.hellos.push(hello);
                let welcome = wire::Welcome { now_ms: 0, taken_sequence, ..Default::default() };
                let mut answers =
                    vec![Some(to_agent::Body::Welcome(welcome)), Some(to_agent::Body::Config(state.config.clone()))];
                if let Some(task) = state.task.take() {
                    let task_json = serde_json::to_string(&task).unwrap();
                    answers.push(Some(to_agent::Body::Task(wire::TaskRequest {
                        id: "t1".into(),
                        task_json,
                        timeout_ms: 5000,
                    })));
                }
                answers
            }
            from_agent::Body::Record(record) => {
                if state.busy > 0 {
                    state.busy -= 1;
                    let (retry_after_ms, reason) = (10, "full".into());
                    return vec![Some(to_agent::Body::Busy(wire::Busy {
                        sequence: record.sequence,
                        retry_after_ms,
                        reason,
                    }))];
                }
                let taken = state.taken.entry(session.clone()).or_default();
                // What follows one that was refused is out of order until that comes again.
                if record.sequence == *taken + 1 {
                    *taken += 1;
                    let encoded = zstd::stream::decode_all(record.payload.as_slice()).unwrap();
                    let (deltas, watermarks) = decode_gathered("w", &encoded).unwrap();
                    state.deltas.extend(deltas);
                    state.watermarks.extend(watermarks);
                } else if record.sequence > *taken {
                    return Vec::new();
                }
                if state.cuts > 0 {
                    state.cuts -= 1;
                    return vec![None];
                }
                vec![Some(to_agent::Body::Ack(wire::Ack { sequence: record.sequence }))]
            }
            from_agent::Body::Heartbeat(beat) => {
                state.beats.push(beat);
                Vec::new()
            }
            from_agent::Body::ConfigAck(ack) => {
                state.acks.push(ack);
                Vec::new()
            }
            from_agent::Body::TaskAnswer(answer) => {
                state.answers.push(answer);
                Vec::new()
            }
            // A server from before this message passes it over.
            from_agent::Body::Leave(_) if state.deaf => Vec::new(),
            from_agent::Body::Leave(leave) => {
                state.leaves.push(leave.for_good);
                vec![None]
            }
        }
    }

    async fn listen(&self, address: &str) -> (String, CancellationToken) {
        self.listen_with(address, None).await
    }

    async fn listen_with(&self, address: &str, tls: Option<ServerTlsConfig>) -> (String, CancellationToken) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let (service, ended) = (AgentsServer::new(self.clone()), stop.clone());
        TaskSpawner::spawn(async move {
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            let mut builder = tonic::transport::Server::builder();
            if let Some(tls) = tls {
                builder = builder.tls_config(tls).unwrap();
            }
            let served = builder.add_service(service);
            tokio::select! {
                served = served.serve_with_incoming(incoming) => served.unwrap(),
                () = ended.cancelled() => {}
            }
        });
        (address, stop)
    }

    async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(&self.0.lock().unwrap()) {
            assert!(Instant::now() < deadline, "never came: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn lines(&self) -> u64 {
        lines(&self.0.lock().unwrap())
    }
}

fn lines(state: &State) -> u64 {
    state.deltas.iter().filter(|d| d.monitor.name == "m").flat_map(|d| &d.windows).map(|w| w.partials[0].count()).sum()
}

fn config_for(log: &Path) -> wire::Config {
    let spec = serde_json::json!({ "type": "minute", "source": { "log": { "paths": [ { "path": log } ] } } });
    let monitors = vec![wire::MonitorConfig { name: "m".into(), spec_json: spec.to_string(), uid: "u1".into() }];
    wire::Config { version: "v1".into(), monitors }
}

fn agent_config(address: &str, data_dir: &Path, token: Option<&str>) -> AgentConfig {
    AgentConfig {
        server: format!("http://{address}"),
        token: token.map(Secret::new),
        data_dir: data_dir.into(),
        flush_interval: nightjar_model::Span(Duration::from_millis(100)),
        ..AgentConfig::default()
    }
}

struct Agent {
    stop: CancellationToken,
    running: JoinHandle<Result<(), AgentError>>,
}

impl Agent {
    fn start(config: AgentConfig) -> Self {
        let stop = CancellationToken::new();
        let running = tokio_util::task::TaskTracker::new().spawn(crate::run(config, stop.clone()));
        Self { stop, running }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// A line with the present time.
fn write_lines(log: &Path, count: u64) {
    use nightjar_model::Clock;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let now = nightjar_model::SystemClock.now().to_utc().to_rfc3339();
    for _ in 0..count {
        writeln!(file, "{now} something happened").unwrap();
    }
}

#[tokio::test]
async fn enrols_counts_reports_and_does_tasks() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("a.log"), dir.path().join("data"));
    let server = Server::default();
    {
        let mut state = server.0.lock().unwrap();
        state.config = config_for(&log);
        state.busy = 3;
        let root = dir.path().to_string_lossy().into_owned();
        state.task = Some(AgentTask::ListFiles { root, limit: 10 });
    }
    let (address, _stop) = server.listen("127.0.0.1:0").await;
    let agent = Agent::start(agent_config(&address, &data, Some("right")));
    server.until("configuration in force", |s| s.acks.iter().any(|ack| ack.version == "v1")).await;
    write_lines(&log, 5);
    server.until("the lines", |s| lines(s) == 5).await;
    server
        .until("a heartbeat of the monitor", |s| s.beats.iter().any(|b| b.monitors.iter().any(|m| m.lines == 5)))
        .await;
    server.until("the task's answer", |s| !s.answers.is_empty()).await;
    let result: AgentTaskResult = serde_json::from_str(&server.0.lock().unwrap().answers[0].result_json).unwrap();
    assert!(matches!(result, AgentTaskResult::Files(listing) if listing.files.iter().any(|f| f.directory)));
    // What was written just before it is stopped is counted and sent.
    write_lines(&log, 2);
    tokio::time::timeout(Duration::from_secs(30), async {
        while agent.running.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    agent.stop().await;
    let counted = server.lines();
    // Without a token: it has a key. Lines written meanwhile, and any not yet read, are counted now.
    write_lines(&log, 4);
    let agent = Agent::start(agent_config(&address, &data, None));
    server.until("all lines", |s| lines(s) == 11).await;
    agent.stop().await;
    assert!((5..=7).contains(&counted));
    assert_eq!(server.lines(), 11);
    let state = server.0.lock().unwrap();
    assert_eq!(state.tokens.len(), 1);
    assert_eq!(state.hellos[0].facts.as_ref().unwrap().version, env!("CARGO_PKG_VERSION"));
    assert_eq!(state.hellos.last().unwrap().incarnation, state.hellos[0].incarnation);
}

#[tokio::test]
async fn a_server_that_goes_away_doubles_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("a.log"), dir.path().join("data"));
    let server = Server::default();
    server.0.lock().unwrap().config = config_for(&log);
    let (address, stop) = server.listen("127.0.0.1:0").await;
    let agent = Agent::start(agent_config(&address, &data, Some("right")));
    server.until("configuration in force", |s| !s.acks.is_empty()).await;
    // Taken, and the session cut before the agent hears of it.
    server.0.lock().unwrap().cuts = 2;
    for _ in 0..4 {
        write_lines(&log, 10);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.until("the lines", |s| lines(s) == 40).await;
    stop.cancel();
    write_lines(&log, 10);
    agent.stop().await;
    // Started while the server is away, it goes by the configuration it has kept.
    let agent = Agent::start(agent_config(&address, &data, None));
    write_lines(&log, 10);
    let (_, _stop) = server.listen(&address).await;
    server.until("the lines", |s| lines(s) == 60).await;
    agent.stop().await;
    assert_eq!(server.lines(), 60);
}

#[tokio::test]
async fn a_configuration_that_could_not_be_kept_loses_no_place() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("a.log"), dir.path().join("data"));
    let server = Server::default();
    server.0.lock().unwrap().config = wire::Config { version: "v0".into(), monitors: Vec::new() };
    let (address, _stop) = server.listen("127.0.0.1:0").await;
    let agent = Agent::start(agent_config(&address, &data, Some("right")));
    server.until("no monitors in force", |s| s.acks.iter().any(|ack| ack.version == "v0")).await;
    agent.stop().await;
    // In the way of what is written before it is renamed.
    std::fs::create_dir(data.join("config.new")).unwrap();
    server.0.lock().unwrap().config = config_for(&log);
    let agent = Agent::start(agent_config(&address, &data, None));
    server.until("the monitor in force", |s| s.acks.iter().any(|ack| ack.version == "v1")).await;
    write_lines(&log, 5);
    server.until("the lines", |s| lines(s) == 5).await;
    agent.stop().await;
    write_lines(&log, 4);
    let agent = Agent::start(agent_config(&address, &data, None));
    server.until("the lines written while it was away", |s| lines(s) == 9).await;
    agent.stop().await;
}

#[tokio::test]
async fn numbers_anew_for_a_server_with_another_past() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("a.log"), dir.path().join("data"));
    let server = Server::default();
    {
        let mut state = server.0.lock().unwrap();
        state.config = config_for(&log);
        state.wrong_by = 1000;
    }
    let (address, _stop) = server.listen("127.0.0.1:0").await;
    let agent = Agent::start(agent_config(&address, &data, Some("right")));
    server.until("configuration in force", |s| !s.acks.is_empty()).await;
    write_lines(&log, 3);
    server.until("the lines", |s| lines(s) == 3).await;
    agent.stop().await;
    let state = server.0.lock().unwrap();
    assert!(state.hellos[1].incarnation > state.hellos[0].incarnation);
    // What it cannot know of is told, until the server has noted it.
    assert!(state.hellos[1].gap.is_some_and(|gap| gap.until_ms > 0), "{:?}", state.hellos);
    assert_eq!(state.hellos[0].protocol, PROTOCOL);
}

#[tokio::test]
async fn asked_to_stop_it_signs_off_where_the_server_understands_that() {
    for deaf in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (log, data) = (dir.path().join("a.log"), dir.path().join("data"));
        let server = Server::default();
        {
            let mut state = server.0.lock().unwrap();
            (state.config, state.deaf) = (config_for(&log), deaf);
        }
        let (address, _stop) = server.listen("127.0.0.1:0").await;
        let agent = Agent::start(agent_config(&address, &data, Some("right")));
        server.until("configuration in force", |s| !s.acks.is_empty()).await;
        write_lines(&log, 3);
        server.until("the lines", |s| lines(s) == 3).await;
        agent.stop().await;
        let leaves = server.0.lock().unwrap().leaves.clone();
        assert_eq!(leaves, if deaf { vec![] } else { vec![false] });
    }
}

#[tokio::test]
async fn enrolled_anew_it_sends_no_line_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("a.log"), dir.path().join("data"));
    let server = Server::default();
    server.0.lock().unwrap().config = config_for(&log);
    let (address, _stop) = server.listen("127.0.0.1:0").await;
    let agent = Agent::start(agent_config(&address, &data, Some("right")));
    server.until("configuration in force", |s| !s.acks.is_empty()).await;
    write_lines(&log, 5);
    server.until("the lines", |s| lines(s) == 5).await;
    agent.stop().await;
    // Removed on the server; the advice is to delete the identity and enrol anew.
    std::fs::remove_file(data.join("identity.json")).unwrap();
    server.0.lock().unwrap().next_id = Some("a-2".into());
    write_lines(&log, 2);
    let agent = Agent::start(agent_config(&address, &data, Some("right")));
    server.until("the lines written meanwhile", |s| lines(s) >= 7).await;
    write_lines(&log, 1);
    server.until("the line written since", |s| lines(s) >= 8).await;
    agent.stop().await;
    assert_eq!(server.lines(), 8);
    let state = server.0.lock().unwrap();
    let by_agent: Vec<&str> = state.taken.keys().map(|(agent, _)| agent.as_str()).collect();
    assert_eq!(by_agent, ["a-1", "a-2"]);
    let (first, last) = (&state.hellos[0], state.hellos.last().unwrap());
    assert!(last.incarnation > first.incarnation);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::default();
    let (address, _stop) = server.listen("127.0.0.1:0").await;
    let outcome = async |token: Option<&str>| {
        let config = agent_config(&address, dir.path(), token);
        crate::run(config, CancellationToken::new()).await.unwrap_err().to_string()
    };
    let refused = outcome(Some("wrong")).await;
    assert!(refused.contains("used up or expired") && !refused.contains("Bearer"), "{refused}");
    assert!(outcome(None).await.contains("--token-file"));
    let config = AgentConfig { server: "nowhere".into(), ..agent_config(&address, dir.path(), None) };
    let error = crate::run(config, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, AgentError::Config(_)));
}

#[tokio::test]
async fn only_a_certificate_that_is_trusted_will_do() {
    const CERTIFICATE: &str = include_str!("testdata/cert.pem");
    const KEY: &str = include_str!("testdata/key.pem");
    const FINGERPRINT: &str = "3e4561f4294294d636eb3c7de02369a1810fee6e531e473048e60735dbcb0bd0";
    let server = Server::default();
    let tls = ServerTlsConfig::new().identity(TlsIdentity::from_pem(CERTIFICATE, KEY));
    let (address, _stop) = server.listen_with("127.0.0.1:0", Some(tls)).await;
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, CERTIFICATE).unwrap();
    let base = AgentConfig { server: format!("https://{address}"), ..agent_config(&address, dir.path(), None) };
    let ask = async |config: AgentConfig| {
        let dialer = Dialer::new(&config).unwrap();
        let channel = dialer.connect().await.map_err(|error| chain(&error))?;
        let asked = ask_to_enrol(channel, &Secret::new("right"), &AgentFacts::default()).await;
        asked.map(|identity| identity.id.0).map_err(|error| chain(&error))
    };
    let enrolled = Ok("a-1".to_owned());
    assert_eq!(ask(AgentConfig { ca_file: Some(ca_file.clone()), ..base.clone() }).await, enrolled);
    assert_eq!(ask(AgentConfig { fingerprint: Some(FINGERPRINT.into()), ..base.clone() }).await, enrolled);
    let wrong = AgentConfig { fingerprint: Some("00".repeat(32)), ..base.clone() };
    let error = ask(wrong).await.unwrap_err();
    assert!(error.contains("not the pinned one") && error.contains(&FINGERPRINT.to_lowercase()), "{error}");
    let port = address.rsplit(':').next().unwrap();
    let elsewhere = AgentConfig { server: format!("https://127.0.0.2:{port}"), ca_file: Some(ca_file), ..base.clone() };
    assert!(ask(elsewhere).await.is_err());
    std::fs::write(dir.path().join("empty.pem"), "").unwrap();
    let broken = Dialer::new(&AgentConfig { ca_file: Some(dir.path().join("empty.pem")), ..base });
    assert!(matches!(broken, Err(AgentError::Tls(_))));
}
