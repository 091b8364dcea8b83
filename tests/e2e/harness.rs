//! A server with its agents, as a user would run them, in a directory of their own and on ports of
//! their own. All of it ends with the test, also when that fails; errors in the logs fail it.

mod doubles;
pub(crate) mod generator;
mod mail;
mod process;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use doubles::{Answer, Doubles};
pub(crate) use mail::Mailbox;
pub(crate) use process::Process;

pub(crate) const TOKEN: &str = "a-token-for-the-tests-of-nightjar";

/// A server, its agents, and the directory they live in.
pub(crate) struct Stand {
    pub(crate) http: u16,
    pub(crate) agents_port: u16,
    server: Option<Process>,
    agents: BTreeMap<String, Process>,
    /// Logs of processes that have ended, too.
    logs: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    client: reqwest::Client,
    data: PathBuf,
    // Last, so that it outlives the processes.
    dir: TempDir,
}

impl Stand {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a server after `change` had its way with the settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Self)) -> Self {
        // Whichever test comes first installs it for all of them.
        rustls::crypto::ring::default_provider().install_default().ok();
        let dir = tempfile::Builder::new().prefix("nightjar-e2e-").tempdir().unwrap();
        let mut stand = Self {
            http: free_port(),
            agents_port: free_port(),
            server: None,
            agents: BTreeMap::new(),
            logs: Vec::new(),
            environment: Vec::new(),
            client: reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap(),
            data: dir.path().join("server"),
            dir,
        };
        change(&mut stand);
        stand.start_server().await;
        stand
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data
    }

    pub(crate) fn set_data_dir(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// A setting of the server, by its environment variable.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    pub(crate) async fn start_server(&mut self) {
        self.launch_server();
        self.wait_ready().await;
    }

    /// Starts the server without waiting for it.
    pub(crate) fn launch_server(&mut self) {
        let mut arguments: Vec<String> = vec!["server".into(), "--data-dir".into()];
        arguments.push(self.data.to_str().unwrap().to_owned());
        arguments.extend(["--http".into(), format!("127.0.0.1:{}", self.http)]);
        arguments.extend(["--agents".into(), format!("127.0.0.1:{}", self.agents_port)]);
        let mut environment = vec![
            ("NIGHTJAR_BOOTSTRAP_TOKEN".to_owned(), TOKEN.to_owned()),
            ("NIGHTJAR_ADMIN_PASSWORD".to_owned(), "correct horse".to_owned()),
        ];
        environment.extend(self.environment.iter().cloned());
        let log = self.log("server.log");
        self.server = Some(Process::start(server_program(), &arguments, &environment, &log));
    }

    pub(crate) async fn wait_ready(&mut self) {
        let url = format!("http://127.0.0.1:{}/-/ready", self.http);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(answer) = self.client.get(&url).timeout(Duration::from_secs(5)).send().await
                && answer.status().is_success()
            {
                return;
            }
            let ended = self.server.as_mut().and_then(Process::ended);
            assert!(ended.is_none(), "the server ended ({ended:?}):\n{}", self.tail("server.log"));
            assert!(Instant::now() < deadline, "the server is not ready:\n{}", self.tail("server.log"));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub(crate) fn kill_server(&mut self) {
        self.server.take().expect("a running server").kill();
    }

    /// SIGTERM, and the exit status.
    pub(crate) async fn stop_server(&mut self) -> std::process::ExitStatus {
        self.server.take().expect("a running server").terminate().await
    }

    pub(crate) async fn enrolment_token(&self) -> String {
        let body = json!({ "note": "test", "uses": 1 });
        let made = self.post("workspaces/default/enrolment-tokens", &body).await;
        made["token"].as_str().expect("a token").to_owned()
    }

    /// Enrols and starts an agent whose data is under `name`.
    pub(crate) async fn start_agent(&mut self, name: &str, labels: &[&str]) {
        self.start_agent_in(name, labels, &[]).await;
    }

    /// The same, with these environment variables.
    pub(crate) async fn start_agent_in(&mut self, name: &str, labels: &[&str], environment: &[(&str, &str)]) {
        let token = self.enrolment_token().await;
        self.launch_agent_in(name, &token, labels, environment);
        let path = self.log_path(&format!("{name}.log"));
        let deadline = Instant::now() + Duration::from_secs(30);
        let before = self.connected().await;
        // Whichever agent it is, it is one more, or this one again.
        while self.connected().await <= before.saturating_sub(1) || self.connected().await == 0 {
            assert!(Instant::now() < deadline, "the agent does not connect:\n{}", tail(&path));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Starts an agent; it enrols with the token unless it is enrolled.
    pub(crate) fn launch_agent(&mut self, name: &str, token: &str, labels: &[&str]) {
        self.launch_agent_in(name, token, labels, &[]);
    }

    pub(crate) fn launch_agent_in(&mut self, name: &str, token: &str, labels: &[&str], environment: &[(&str, &str)]) {
        let mut arguments: Vec<String> = vec!["run".into(), "--server".into()];
        arguments.push(format!("http://127.0.0.1:{}", self.agents_port));
        if !token.is_empty() {
            arguments.extend(["--token".into(), token.into()]);
        }
        arguments.extend(["--data-dir".into(), self.path(name).to_str().unwrap().to_owned()]);
        for label in labels {
            arguments.extend(["--label".into(), (*label).to_owned()]);
        }
        let log = self.log(&format!("{name}.log"));
        let environment: Vec<_> = environment.iter().map(|(name, set)| ((*name).into(), (*set).into())).collect();
        let process = Process::start(agent_program(), &arguments, &environment, &log);
        self.agents.insert(name.to_owned(), process);
    }

    /// SIGTERM: it signs off.
    pub(crate) async fn stop_agent(&mut self, name: &str) {
        let status = self.agents.remove(name).expect("a running agent").terminate().await;
        assert!(status.success(), "the agent ended with {status}:\n{}", self.tail(&format!("{name}.log")));
    }

    pub(crate) fn kill_agent(&mut self, name: &str) {
        self.agents.remove(name).expect("a running agent").kill();
    }

    async fn connected(&self) -> usize {
        let agents = self.get("workspaces/default/agents").await;
        agents["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|agent| agent["health"] != "lost" && agent["health"] != "left")
            .count()
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.http);
        let mut request = self.client.request(method, url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a whole answer");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert!(status.is_success(), "GET {path}: {status} {body}");
        body
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, Some(body)).await;
        assert!(status.is_success(), "POST {path}: {status} {answer}");
        answer
    }

    pub(crate) async fn apply(&self, documents: Value) -> Value {
        self.post("workspaces/default/apply", &documents).await
    }

    pub(crate) async fn sql(&self, sql: &str) -> Vec<Value> {
        let answer = self.post("workspaces/default/sql", &json!({ "sql": sql, "format": "json" })).await;
        answer["rows"].as_array().expect("rows").clone()
    }

    /// The server's command line, as a user of this server.
    pub(crate) fn nightjar(&self, arguments: &[&str]) -> std::process::Output {
        self.nightjar_fed(arguments, "")
    }

    /// The same, with `input` on its standard input.
    pub(crate) fn nightjar_fed(&self, arguments: &[&str], input: &str) -> std::process::Output {
        let mut program = std::process::Command::new(server_program())
            .args(arguments)
            .env("NIGHTJAR_SERVER", format!("http://127.0.0.1:{}", self.http))
            .env("NIGHTJAR_TOKEN", TOKEN)
            .env("HOME", self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        // One that ends without reading it is no error here.
        program.stdin.take().expect("piped").write_all(input.as_bytes()).ok();
        program.wait_with_output().expect("the program ends")
    }

    fn log(&mut self, name: &str) -> PathBuf {
        let path = self.log_path(name);
        if !self.logs.contains(&path) {
            self.logs.push(path.clone());
        }
        path
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log_text(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_path(name)).unwrap_or_default()
    }

    pub(crate) fn tail(&self, name: &str) -> String {
        tail(&self.log_path(name))
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.agents.clear();
        self.server = None;
        let failed = std::thread::panicking();
        for log in &self.logs {
            if failed {
                eprintln!("--- end of {} ---\n{}", log.display(), tail(log));
            }
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let unexpected = |line: &&str| line.contains(" ERROR ") || line.contains("panicked at");
            let errors: Vec<&str> = text.lines().filter(unexpected).collect();
            assert!(failed || errors.is_empty(), "errors in {}:\n{}", log.display(), errors.join("\n"));
        }
    }
}

/// Tries until there is a value, at most `within`; the last obstacle is shown otherwise.
pub(crate) async fn wait_for<T>(
    what: &str,
    within: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(obstacle) => {
                assert!(Instant::now() < deadline, "waited {} s in vain for {what}: {obstacle}", within.as_secs());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Records that a test cannot run here, and why; the test then returns.
pub(crate) fn skip(test: &str, why: &str) {
    println!("skipped: {test}: {why}");
    if let Some(file) = std::env::var_os("NIGHTJAR_TEST_SKIPS") {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(file, "{test}: {why}").unwrap();
    }
}

pub(crate) fn server_program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_nightjar"))
}

/// The agent of the same build; `cargo test` alone does not build it.
pub(crate) fn agent_program() -> PathBuf {
    let program = server_program().with_file_name("nightjar-agent");
    assert!(program.is_file(), "{} is not built; `make test` builds it", program.display());
    program
}

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A port that nobody listens on, below those that the kernel gives to clients.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Another test process starts elsewhere.
        let base = (std::process::id() % 100) as u16 * 100;
        let port = 20_000 + (base + step) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(40).collect();
    lines.into_iter().rev().map(|line| format!("{line}\n")).collect()
}
