//! Mail through a real SMTP server: Python's aiosmtpd (Debian: python3-aiosmtpd), storing into a maildir.
//!
//! Where it is not installed these tests say so and pass; with `NIGHTJAR_TEST_REQUIRE` set, as in CI,
//! they fail.

mod support;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nightjar_model::alert::NotificationStatus;
use nightjar_model::kinds::Spec;
use nightjar_model::ports::TestSender;
use nightjar_model::{Clock, Kind, ResourceKey};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::windows::MINUTE;
use support::{House, WORKSPACE, all_sent};
use tempfile::TempDir;

fn python() -> Option<&'static str> {
    let found = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let import = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    });
    if found.is_none() {
        let missing = "aiosmtpd is not installed (apt-get install python3-aiosmtpd): mail is not tested";
        assert!(std::env::var_os("NIGHTJAR_TEST_REQUIRE").is_none(), "{missing}");
        println!("SKIPPED: {missing}");
    }
    found
}

/// A running mail server; ends with the test.
struct MailServer(Child);

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A port of this test alone: below those that the system gives to connections, where one to a server that
/// does not listen yet could meet itself, and never the same twice.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::SeqCst);
        let port = 20_000 + ((std::process::id() + step) % 6_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

struct Post {
    python: &'static str,
    folder: TempDir,
    port: u16,
}

impl Post {
    fn new() -> Option<Self> {
        let python = python()?;
        Some(Self { python, folder: TempDir::new().expect("a folder"), port: free_port() })
    }

    fn start(&self, more: &[&str]) -> MailServer {
        let mut server = Command::new(self.python)
            .args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{}", self.port)])
            .args(more)
            .args(["-c", "aiosmtpd.handlers.Mailbox"])
            .arg(self.maildir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the mail server");
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(server.try_wait().expect("its state").is_none(), "the mail server ended");
            assert!(Instant::now() < deadline, "the mail server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        MailServer(server)
    }

    fn maildir(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    fn mails(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.maildir().join("new")) else { return Vec::new() };
        entries.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("a mail")).collect()
    }

    fn documents(&self, more: &str) -> String {
        format!(
            "
kind: Monitor
metadata: {{ name: trade }}
spec:
  type: minute
  source: {{ log: {{ paths: [ {{ path: /var/log/trade.log }} ] }} }}
---
kind: AlertRule
metadata: {{ name: busy, displayName: 交易繁忙 }}
spec:
  monitor: trade
  conditions: [ {{ field: count, op: '>', threshold: 0 }} ]
  message: {{ advice: '看 <日志>' }}
---
kind: EmailServer
metadata: {{ name: mail }}
spec:
  host: localhost
  port: {}
  from: Nightjar <alerts@example.com>
{more}
---
kind: Contact
metadata: {{ name: ada }}
spec: {{ email: ada@example.org, language: zh-CN, timezone: Europe/Berlin }}
---
kind: ContactGroup
metadata: {{ name: ops }}
spec: {{ contacts: [ ada ] }}
---
kind: Subscription
metadata: {{ name: all }}
spec: {{ to: [ ops ] }}
",
            self.port
        )
    }
}

async fn fire(house: &House) {
    let minute = house.clock.now().floor(MINUTE);
    house.windows.complete(minute);
    house.activate("alerting.evaluate").await.expect("evaluate");
    house.windows.line(minute, "", None);
    house.windows.complete(minute.saturating_add(MINUTE));
    house.clock.advance(MINUTE);
    house.activate("alerting.evaluate").await.expect("evaluate");
}

#[tokio::test]
async fn mail_is_delivered_once_when_the_server_is_back() {
    let Some(post) = Post::new() else { return };
    let mut house = House::new(&post.documents("  tls: none"));
    fire(&house).await;
    for attempts in 1..=4 {
        let said = format!("attempt {attempts}: ");
        let tried = |answer: &str| answer.starts_with(&said);
        house.deliver_until("nobody there", |all| all[0].last_answer.as_deref().is_some_and(tried)).await;
        house.alerting.close().await;
        house.restart();
        house.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(house.alerts.all_notifications()[0].status, NotificationStatus::Pending);
    let _server = post.start(&[]);
    let sent = house.deliver_until("sent", all_sent).await;
    house.clock.advance(Duration::from_secs(3600));
    house.activate("alerting.deliver").await.expect("deliver");
    house.alerting.close().await;
    let mails = post.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains(&format!("Message-ID: <{}@example.com>", sent[0].id)), "{}", mails[0]);
    for part in ["To: ada@example.org", "text/plain", "text/html", "Date: Mon, 05 Jan 2026 "] {
        assert!(mails[0].contains(part), "{part} in {}", mails[0]);
    }
    let told = house.alerts.all_events();
    assert_eq!(told.iter().filter(|event| event.outcome == "retry").count(), 4);
    assert_eq!(told.iter().filter(|event| event.outcome == "sent").count(), 1);
}

struct Certificates {
    ca: String,
    certificate: PathBuf,
    key: PathBuf,
}

fn certificates(folder: &Path) -> Certificates {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = certificate.signed_by(&key, &authority).expect("a certificate");
    let files =
        Certificates { ca: authority.pem(), certificate: folder.join("server.pem"), key: folder.join("server.key") };
    std::fs::write(&files.certificate, certificate.pem()).expect("a file");
    std::fs::write(&files.key, key.serialize_pem()).expect("a file");
    files
}

async fn check_tls(tls: &str, options: [&str; 2]) {
    let Some(post) = Post::new() else { return };
    let files = certificates(post.folder.path());
    let paths = [files.certificate.to_str().expect("UTF-8"), files.key.to_str().expect("UTF-8")];
    let _server = post.start(&[options[0], paths[0], options[1], paths[1]]);
    let house = House::new(&post.documents(&format!("  tls: {tls}")));
    let key = ResourceKey::new(Kind::EmailServer, WORKSPACE, "mail");
    let untrusted = house.alerting.test_send(&key, Some("bob@example.org")).await;
    let error = untrusted.expect_err("its authority is not known").message;
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    assert!(post.mails().is_empty());

    house.resources.change(&key, |resource| {
        if let Spec::EmailServer(server) = &mut resource.spec {
            server.ca = Some(files.ca.clone());
        }
    });
    house.alerting.resources_changed(&[]);
    let answer = house.alerting.test_send(&key, Some("bob@example.org")).await.expect("sent");
    assert!(answer.starts_with("250"), "{answer}");
    fire(&house).await;
    house.deliver_until("sent", all_sent).await;
    assert_eq!(post.mails().len(), 2);
}

#[tokio::test]
async fn starttls_with_an_authority_of_ones_own() {
    check_tls("starttls", ["--tlscert", "--tlskey"]).await;
}

#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    check_tls("tls", ["--smtpscert", "--smtpskey"]).await;
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_in_clear() {
    let Some(post) = Post::new() else { return };
    let _server = post.start(&[]);
    let house = House::new(&post.documents("  tls: starttls"));
    let key = ResourceKey::new(Kind::Contact, WORKSPACE, "ada");
    house.alerting.test_send(&key, None).await.expect_err("no STARTTLS");
    assert!(post.mails().is_empty());
}

#[tokio::test]
async fn a_mail_too_large_for_the_server_is_refused_for_good() {
    let Some(post) = Post::new() else { return };
    let _server = post.start(&["-s", "100"]);
    let house = House::new(&post.documents("  tls: none"));
    fire(&house).await;
    let ended = house.deliver_until("refused", |all| all[0].status == NotificationStatus::Failed).await;
    assert_eq!(ended[0].attempts, 1);
    assert!(ended[0].last_answer.as_deref().expect("an answer").contains("refused for good"), "{ended:?}");
}
