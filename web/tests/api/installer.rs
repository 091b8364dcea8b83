//! The installer's script, run for real against a server and into a folder of its own. The agent that
//! it installs is a stand-in that enrols by writing its identity.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, StatusCode, header};
use nightjar_web::{TlsFiles, WebConfig};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::server::{VIEWER, server, server_with};

const AGENT: &str = r#"#!/bin/sh
case $1 in
    --version) echo "nightjar-agent VERSION"; exit 0 ;;
    run) ;;
    *) exit 2 ;;
esac
all=$*
while [ "$#" -gt 0 ]; do
    case $1 in
        --data-dir) data=$2 ;;
        --token-file) token=$(cat "$2") || exit 1 ;;
    esac
    shift
done
printf '%s\n' "$all" >"$data/arguments-seen"
if [ ! -f "$data/identity.json" ]; then
    [ "$token" = enrol-me ] || { echo "the token was refused" >&2; exit 1; }
    echo "$$" >"$data/identity.json"
fi
trap 'exit 0' TERM
while :; do sleep 1 & wait $!; done
"#;

/// A server on a port, with an agent to hand out, and a folder to install into.
struct Site {
    folder: tempfile::TempDir,
    base: String,
    tls: bool,
    _stop: DropGuard,
}

impl Site {
    async fn open(tls: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let handed_out = folder.path().join("handed-out");
        let config = WebConfig { agent_binary: Some(handed_out), ..WebConfig::default() };
        let web = server_with(config).web;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stop = CancellationToken::new();
        let files = TlsFiles { cert: pem("cert.pem"), key: pem("key.pem") };
        let acceptor = tls.then(|| {
            // Another test may have been first.
            drop(rustls::crypto::ring::default_provider().install_default());
            files.load().expect("usable files")
        });
        let serving = stop.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let listener = listener.into_std().expect("a listener");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                web.serve(listener, acceptor, serving).await.expect("served");
            });
        });
        let scheme = if tls { "https" } else { "http" };
        let site = Self { folder, base: format!("{scheme}://localhost:{port}"), tls, _stop: stop.drop_guard() };
        site.hand_out("1.0");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn prefix(&self) -> PathBuf {
        self.path("prefix")
    }

    fn data(&self, name: &str) -> PathBuf {
        self.prefix().join("var/lib/nightjar-agent").join(name)
    }

    fn hand_out(&self, version: &str) {
        let file = self.path("handed-out");
        std::fs::write(&file, AGENT.replace("VERSION", version)).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
    }

    /// The script that the server hands out, with `arguments`.
    fn install(&self, arguments: &[&str]) -> Output {
        self.install_with(arguments, None)
    }

    fn install_with(&self, arguments: &[&str], path: Option<&Path>) -> Output {
        let script = self.path("install-agent.sh");
        let ca = pem("cert.pem").display().to_string();
        let mut curl = Command::new("curl");
        let fetched = curl
            .args(["-q", "-fsSL", "--cacert", &ca, "-o"])
            .arg(&script)
            .arg(format!("{}/install-agent.sh", self.base))
            .status();
        assert!(fetched.expect("curl is needed for this test").success());
        let mut command = Command::new("dash");
        command.arg("-s").arg("--").args(arguments).arg("--prefix").arg(self.prefix());
        if self.tls {
            command.args(["--ca-file", &ca]);
        }
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let input = std::fs::File::open(script).expect("the script");
        command.env_remove("NIGHTJAR_TOKEN").stdin(Stdio::from(input)).output().expect("dash is needed for this test")
    }

    fn agent(&self) -> Option<i32> {
        let pid = std::fs::read_to_string(self.data("agent.pid")).ok()?.trim().parse().ok()?;
        Path::new(&format!("/proc/{pid}")).exists().then_some(pid)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.data(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(pid) = self.agent() {
            drop(Command::new("kill").arg("-9").arg(pid.to_string()).status());
        }
    }
}

fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/tls").join(name)
}

#[track_caller]
fn said(output: &Output, success: bool, what: &str) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.success(), success, "{text}");
    assert!(text.contains(what), "`{what}` is not in: {text}");
}

#[tokio::test]
async fn installs_upgrades_and_removes() {
    let site = Site::open(false).await;
    let label = ["--token", "enrol-me", "--label", "app=trade"];
    said(&site.install(&label), true, "installed and enrolled");
    let (first, identity) = (site.agent().expect("it runs"), site.read("identity.json"));
    let seen = site.read("arguments-seen");
    assert!(seen.contains("--label app=trade") && seen.contains("--server http://localhost:9701"), "{seen}");
    assert!(!seen.contains("enrol-me"), "the token is an argument: {seen}");
    assert_eq!(site.read("enrolment-token"), "", "the token was left behind");

    said(&site.install(&label), true, "nothing to download");
    let second = site.agent().expect("it runs again");
    assert_ne!(first, second);
    assert_eq!(site.read("identity.json"), identity);

    site.hand_out("2.0");
    said(&site.install(&label), true, "downloaded nightjar-agent 2.0");
    assert_eq!(site.read("identity.json"), identity);

    site.hand_out("3.0");
    said(&site.install(&["--token", "used-up"]), true, "keeping the installed nightjar-agent 2.0");
    let last = site.agent().expect("it runs on");

    said(&site.install(&["--uninstall"]), true, "removed");
    assert!(!site.prefix().join("bin/nightjar-agent").exists() && !site.prefix().join("etc/nightjar-agent").exists());
    assert_eq!(site.read("identity.json"), identity);
    let deadline = Instant::now() + Duration::from_secs(30);
    while Path::new(&format!("/proc/{last}")).exists() {
        assert!(Instant::now() < deadline, "the agent still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    said(&site.install(&["--uninstall", "--purge"]), true, "with its data");
    assert!(!site.data("").exists());
}

#[tokio::test]
async fn run_again_it_keeps_what_it_was_given() {
    let site = Site::open(false).await;
    let elsewhere = site.prefix().join("elsewhere").display().to_string();
    let first = ["--label", "app=trade", "--label", "idc=hz1", "--server", "https://agents.example:9701"];
    let token = ["--token", "enrol-me", "--no-start"];
    said(&site.install(&[&token[..], &first, &["--data-dir", &elsewhere]].concat()), true, "not started");
    let arguments = || {
        let file = site.prefix().join("etc/nightjar-agent/arguments");
        std::fs::read_to_string(file).expect("arguments").replace('\n', " ")
    };
    let whole = arguments();
    for one in [&elsewhere, "--server https://agents.example:9701", "--label app=trade --label idc=hz1"] {
        assert!(whole.contains(one), "{whole}");
    }

    said(&site.install(&token), true, "--label app=trade --label idc=hz1");
    assert_eq!(arguments(), whole);
    let other = [&token[..], &["--label", "app=toll"]].concat();
    said(&site.install(&other), true, "keeping what was given before: --server https://agents.example:9701");
    assert_eq!(arguments(), whole.replace("--label app=trade --label idc=hz1", "--label app=toll"));

    // An older installer left the agent's arguments alone.
    std::fs::remove_file(site.prefix().join("etc/nightjar-agent/options")).expect("removed");
    let kept = format!("before: --data-dir {elsewhere} --label app=toll (");
    said(&site.install(&token), true, &kept);
    let forgotten = site.install(&[&token[..], &["--forget"]].concat());
    assert!(!String::from_utf8_lossy(&forgotten.stdout).contains("keeping"));
    assert!(!arguments().contains("--label") && !arguments().contains(&elsewhere));
}

#[tokio::test]
async fn no_link_in_its_folder_leads_to_another_file() {
    let site = Site::open(false).await;
    let victim = site.path("victim");
    std::fs::write(&victim, "precious\n").expect("written");
    std::fs::create_dir_all(site.data("")).expect("made");
    for name in ["enrolment-token", "enrolment-token.new", "agent.log", "agent.pid"] {
        std::os::unix::fs::symlink(&victim, site.data(name)).expect("linked");
    }
    said(&site.install(&["--token", "enrol-me"]), true, "installed and enrolled");
    assert_eq!(std::fs::read_to_string(&victim).expect("still there"), "precious\n");
    assert!(site.agent().is_some());
}

#[tokio::test]
async fn a_token_that_does_not_hold_installs_nothing() {
    let site = Site::open(false).await;
    said(&site.install(&["--token", "wrong"]), false, "the server refused the token");
    said(&site.install(&[]), false, "an enrolment token is needed");
    said(&site.install(&["--token", "a;reboot"]), false, "no token has");
    said(&site.install(&["--token", "enrol-me", "--label", "a=$(id)"]), false, "--label");
    said(&site.install(&["--token", "enrol-me", "--colour"]), false, "unknown option '--colour'");
    assert!(!site.prefix().exists());
    std::fs::remove_file(site.path("handed-out")).expect("removed");
    said(&site.install(&["--token", "enrol-me"]), false, "cannot download");
    assert!(!site.prefix().exists());
}

#[tokio::test]
async fn an_agent_that_stops_is_told() {
    let site = Site::open(false).await;
    std::fs::write(
        site.path("handed-out"),
        "#!/bin/sh\n[ \"$1\" = --version ] && exec echo broken\necho no good >&2; exit 1\n",
    )
    .expect("written");
    said(&site.install(&["--token", "enrol-me"]), false, "no good");
    std::fs::write(site.path("handed-out"), b"\x7fELF not really").expect("written");
    said(&site.install(&["--token", "enrol-me"]), false, "does not run on this machine");
}

#[tokio::test]
async fn over_tls_and_without_curl() {
    let site = Site::open(true).await;
    let token_file = site.path("token");
    std::fs::write(&token_file, "enrol-me\n").expect("written");
    let by_file = ["--token-file", &token_file.display().to_string(), "--no-start"];
    said(&site.install(&by_file), true, "not started");
    assert!(site.agent().is_none());

    let tools = site.path("tools");
    std::fs::create_dir(&tools).expect("made");
    for tool in [
        "cat",
        "chmod",
        "chown",
        "cp",
        "cut",
        "grep",
        "head",
        "id",
        "mkdir",
        "mktemp",
        "mv",
        "nohup",
        "rm",
        "sed",
        "sha256sum",
        "sh",
        "sleep",
        "tail",
        "tr",
        "uname",
        "wget",
    ] {
        let found =
            ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool)).into_iter().find(|path| path.exists());
        std::os::unix::fs::symlink(found.unwrap_or_else(|| panic!("{tool} is needed for this test")), tools.join(tool))
            .expect("linked");
    }
    std::os::unix::fs::symlink("/usr/bin/dash", tools.join("dash")).expect("linked");
    site.hand_out("2.0");
    said(&site.install_with(&["--token", "wrong"], Some(&tools)), false, "the server refused the token");
    said(&site.install_with(&["--token", "enrol-me"], Some(&tools)), true, "installed and enrolled");
    assert!(site.agent().is_some());
    assert!(site.read("arguments-seen").contains("--ca-file"));
    said(&site.install(&["--uninstall", "--purge"]), true, "removed");
}

#[test]
fn the_script_is_posix() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/install-agent.sh");
    for shell in ["sh", "dash"] {
        let checked = Command::new(shell).arg("-n").arg(&script).output().expect("a shell");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[tokio::test]
async fn the_script_holds_the_addresses_it_was_asked_by() {
    let server = server();
    let script = server.ask("GET", "/install-agent.sh", "", "").await.text();
    assert!(script.contains("download_url='http://nightjar.example:9700'"));
    assert!(script.contains("server='http://nightjar.example:9701'"));
    let forged = Request::get("/install-agent.sh").header(header::HOST, "x';reboot;'");
    let forged = server.send(forged.body(String::new().into()).expect("a request")).await;
    assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    let fixed = server_with(WebConfig {
        public_url: Some("https://mon.example".into()),
        agents_url: Some("https://agents.example:9701".into()),
        ..WebConfig::default()
    });
    let script = fixed.ask("GET", "/install-agent.sh", "", "").await.text();
    assert!(script.contains("download_url='https://mon.example'"));
    assert!(script.contains("server='https://agents.example:9701'"));
}

#[tokio::test]
async fn the_agent_is_for_those_with_a_token_and_for_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = folder.path().join("agent");
    let config = WebConfig { agent_binary: Some(binary.clone()), ..WebConfig::default() };
    let server = Arc::new(server_with(config));
    let download = "/download/nightjar-agent";
    assert_eq!(server.ask("GET", download, "enrol-me", "").await.status, StatusCode::NOT_FOUND);
    for content in ["abc", "abcd"] {
        std::fs::write(&binary, content).expect("written");
        for token in ["enrol-me", VIEWER] {
            let answer = server.ask("GET", download, token, "").await;
            assert_eq!(
                (answer.text().as_str(), answer.header("content-length")),
                (content, content.len().to_string().as_str())
            );
        }
    }
    let sum = server.ask("GET", &format!("{download}.sha256"), "enrol-me", "").await.text();
    assert_eq!(sum, "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589  nightjar-agent\n");
    assert_eq!(server.ask("GET", "/api/v1/auth/me", "enrol-me", "").await.status, StatusCode::UNAUTHORIZED);
}
