//! What is acknowledged is there after any end of the process.

use std::path::Path;
use std::sync::Arc;

use nightjar_model::ports::{ListQuery, ResourceStore};
use nightjar_model::{ErrorKind, Kind, Secret, SystemClock};
use nightjar_store::{Store, StoreConfig};

use crate::bed::{Bed, config, key, monitor, race, robot};
use crate::postgres::Server;

const URL: &str = "https://oapi.dingtalk.com/robot/send?access_token=one";

async fn open(config: StoreConfig) -> Result<Arc<Store>, nightjar_model::Error> {
    Store::open(config, Arc::new(SystemClock)).await
}

async fn refusal(config: StoreConfig) -> String {
    match open(config).await {
        Ok(_) => panic!("should not open"),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
            error.message
        }
    }
}

async fn names(store: &Store) -> Vec<String> {
    let page = store.list(&ListQuery::default()).await.unwrap();
    page.items.into_iter().map(|resource| resource.metadata.name).collect()
}

pub(crate) async fn all_is_there_after_reopening(bed: Bed) {
    bed.apply(&[monitor("a", &["count"]), robot("d", URL, "s")]).await.unwrap();
    bed.store.close().await.unwrap();
    let store = open(bed.config.clone()).await.unwrap();
    assert_eq!(names(&store).await, ["d", "a"]);
    store.reveal(&key(Kind::DingtalkRobot, "d")).await.unwrap();
    store.close().await.unwrap();

    // The key is looked after: neither another nor none is taken for it.
    let file = bed.directory.path().join("secret.key");
    let kept = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(refusal(bed.config.clone()).await.contains("put it back from your backup"));
    assert!(!file.exists());
    let another = StoreConfig { secret_key: Some(Secret::new("A".repeat(43) + "=")), ..bed.config.clone() };
    assert!(refusal(another).await.contains("is not the one"));
    std::fs::write(&file, "nonsense").unwrap();
    assert!(refusal(bed.config.clone()).await.contains("holds no key"));
    let given = StoreConfig { secret_key: Some(Secret::new(kept)), ..bed.config.clone() };
    open(given).await.unwrap().reveal(&key(Kind::DingtalkRobot, "d")).await.unwrap();
}

/// The files as they are on the disk at some moment, with the store open: what a kill leaves behind.
fn snapshot(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        // The index of the log is shared memory: it is built anew after a crash.
        if entry.path().extension().is_none_or(|extension| extension != "db-shm") {
            std::fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
        }
    }
    to
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_acknowledged() {
    let bed = Bed::sqlite().await;
    for n in 0..20 {
        bed.apply(&[monitor(&format!("m{n:02}"), &["count"])]).await.unwrap();
        if n % 5 == 4 {
            let killed = snapshot(bed.directory.path());
            let store = open(config(killed.path())).await.unwrap();
            assert_eq!(names(&store).await.len(), n + 1);
            let told = store.audit_log(None, 0, None).await.unwrap().items.len();
            assert_eq!(told, n + 1);
        }
    }
    let Bed { store, directory, .. } = bed;
    drop(store);
    assert_eq!(names(&open(config(directory.path())).await.unwrap()).await.len(), 20);
}

#[tokio::test]
async fn the_files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::sqlite().await;
    bed.apply(&[monitor("a", &["count"])]).await.unwrap();
    for entry in std::fs::read_dir(bed.directory.path()).unwrap().flatten() {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn a_database_in_memory_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let config = StoreConfig { url: Some(Secret::new("sqlite::memory:")), ..config(directory.path()) };
    let store = open(config).await.unwrap();
    store.create_workspace(&crate::bed::alice(), "blue").await.unwrap();
    assert_eq!(store.workspaces().await.unwrap(), ["blue", "default"]);
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let url = Secret::new(format!("postgres://u:hunter2@localhost/d?host={}", directory.path().display()));
    let message = refusal(StoreConfig { url: Some(url), ..config(directory.path()) }).await;
    assert!(!message.contains("hunter2"), "{message}");
}

/// Servers that share a PostgreSQL may start at the same time: one makes the tables.
#[test]
fn two_servers_start_at_once_on_postgresql() {
    let Some(server) = Server::start() else {
        println!("skipped: no PostgreSQL binaries in /usr/lib/postgresql/*/bin");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let url = server.create_database("shared").await;
        let directory = tempfile::tempdir().unwrap();
        let shared = StoreConfig {
            url: Some(url),
            secret_key: Some(Secret::new("A".repeat(43) + "=")),
            ..config(directory.path())
        };
        for store in race((0..4).map(|_| open(shared.clone()))).await {
            assert_eq!(store.unwrap().workspaces().await.unwrap(), ["default"]);
        }
    });
}
