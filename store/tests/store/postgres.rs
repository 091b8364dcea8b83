//! A PostgreSQL of Debian's binaries, in a temporary directory, reached by a Unix socket and stopped
//! with the test.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nightjar_model::Secret;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    directory: TempDir,
    process: Child,
}

impl Server {
    /// `None` without the binaries.
    pub(crate) fn start() -> Option<Self> {
        let binaries = newest_binaries()?;
        // Short, for a socket's path may have 107 bytes only.
        let directory = tempfile::Builder::new().prefix("nj-pg-").tempdir_in("/tmp").unwrap();
        let owner = Owner::find(directory.path());
        let data = directory.path().join("data");
        let mut initdb = owner.command(&binaries.join("initdb"));
        initdb.args(["--username=nightjar", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]);
        let output = initdb.arg("-D").arg(&data).output().unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let mut postgres = owner.command(&binaries.join("postgres"));
        postgres.arg("-D").arg(&data).arg("-k").arg(directory.path());
        postgres.args(["-c", "listen_addresses=", "-c", "fsync=off"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Self { process: postgres.spawn().unwrap(), directory };
        let ready = Instant::now() + PATIENCE;
        loop {
            let mut asked = Command::new(binaries.join("pg_isready"));
            asked.arg("-h").arg(server.directory.path()).stdout(Stdio::null());
            if asked.status().unwrap().success() {
                return Some(server);
            }
            assert!(server.process.try_wait().unwrap().is_none(), "PostgreSQL ended at its start");
            assert!(Instant::now() < ready, "PostgreSQL does not get ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where its files are.
    pub(crate) fn data(&self) -> &Path {
        self.directory.path()
    }

    /// A database of its own for a case, by its URL.
    pub(crate) async fn create_database(&self, name: &str) -> Secret {
        let connection = Database::connect(self.url("postgres")).await.unwrap();
        connection.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        connection.close().await.unwrap();
        Secret::new(self.url(name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://nightjar@localhost/{database}?host={}", self.directory.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.process.id() as i32) {
            // SIGQUIT: at once, without waiting for connections.
            let asked = kill_process(pid, Signal::QUIT);
            let deadline = Instant::now() + PATIENCE;
            while asked.is_ok() && Instant::now() < deadline {
                if matches!(self.process.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Whom it runs as: it refuses to be root.
struct Owner {
    ids: Option<(u32, u32)>,
}

impl Owner {
    fn find(directory: &Path) -> Self {
        if !geteuid().is_root() {
            return Self { ids: None };
        }
        let ids = ["postgres", "nobody"].into_iter().find_map(|user| Some((id("-u", user)?, id("-g", user)?)));
        let (user, group) = ids.expect("a user to run PostgreSQL as");
        chown(directory, Some(user), Some(group)).unwrap();
        Self { ids }
    }

    /// A command that ends with the test, even if that is killed.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        if let Some((user, group)) = self.ids {
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()]);
        }
        command.args(["--pdeathsig=QUIT", "--"]).arg(program).current_dir("/");
        command
    }
}

fn id(which: &str, user: &str) -> Option<u32> {
    let output = Command::new("id").args([which, user]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn newest_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| number(path))?;
    let binaries = newest.join("bin");
    ["initdb", "postgres", "pg_isready"].iter().all(|name| binaries.join(name).exists()).then_some(binaries)
}
