//! The life of an agent: enrol if need be, gather and talk until asked to stop, then write down and
//! send what is left.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use nightjar_model::{Clock, SystemClock};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::config::AgentConfig;
use crate::error::AgentError;
use crate::gather::Gatherer;
use crate::guard::Guard;
use crate::host::{agent_facts, host_facts};
use crate::identity::{DirectoryLock, Identity};
use crate::journal::Journal;
use crate::session::{CONFIGURATION_FILE, Dialer, Session, TaskRunner, enrol};
use crate::shared::{Configuration, Shared};

/// Runs an agent until `stop`.
///
/// # Errors
/// What keeps it from starting, with its remedy; `Stopped` if reading ended by itself.
pub async fn run(config: AgentConfig, stop: CancellationToken) -> Result<(), AgentError> {
    run_with(config, Arc::new(SystemClock), stop).await
}

/// As [`run`], with another clock.
///
/// # Errors
/// As [`run`].
pub async fn run_with(config: AgentConfig, clock: Arc<dyn Clock>, stop: CancellationToken) -> Result<(), AgentError> {
    let problems = config.problems();
    if !problems.is_empty() {
        return Err(AgentError::Config(problems));
    }
    let _lock = DirectoryLock::take(&config.data_dir)?;
    let dialer = Dialer::new(&config)?;
    let host = host_facts(&config.labels, dialer.address().await);
    let facts = agent_facts(&host);
    let (identity, newly) = match Identity::load(&config.data_dir)? {
        Some(identity) => (identity, false),
        None => {
            let token = config.token.as_ref().ok_or(AgentError::NoToken)?;
            let identity = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                enrolled = enrol(&dialer, token, &facts) => enrolled?,
            };
            identity.save(&config.data_dir)?;
            tracing::info!(agent = %identity.id, workspace = %identity.workspace, "enrolled");
            (identity, true)
        }
    };
    let fresh = clock.now().millis().max(1).cast_unsigned();
    let mut journal = Journal::open(&config.data_dir.join("journal"), config.journal_limit_bytes, fresh)?;
    claim(&mut journal, &identity, newly, &config.data_dir, fresh)?;
    let shared = Arc::new(Shared::new(clock, journal));
    if let Some(configuration) = kept_configuration(&config.data_dir) {
        shared.configure(configuration);
    }
    let guard = Guard::new(&config.data_dir);
    let gatherer =
        Gatherer::new(shared.clone(), identity.workspace.clone(), host.clone(), config.flush_interval, guard.clone());
    let mut gathering = start(gatherer)?;
    let tasks = TaskRunner::new(guard, host);
    let session = Session {
        dialer,
        identity,
        facts,
        data_dir: config.data_dir,
        shared: shared.clone(),
        tasks,
        for_good: false,
        run: random(),
    };
    let drain = CancellationToken::new();
    let tracker = TaskTracker::new();
    let talking = tracker.spawn({
        let drain = drain.clone();
        async move { session.keep(drain).await }.instrument(tracing::info_span!("session"))
    });
    tracker.close();
    let ended_by_itself = tokio::select! {
        () = stop.cancelled() => {
            shared.stop();
            gathering.await.is_err()
        }
        _ = &mut gathering => true,
    };
    drain.cancel();
    let talked = talking.await;
    if ended_by_itself || talked.is_err() { Err(AgentError::Stopped) } else { Ok(()) }
}

/// Signs off for good: sends what is in the journal, has the server remove this agent, and forgets who it was.
///
/// # Errors
/// A running agent, none that was ever enrolled, or a server that does not take part; then nothing has changed
/// but what was sent.
pub async fn leave(config: AgentConfig) -> Result<(), AgentError> {
    let problems = config.problems();
    if !problems.is_empty() {
        return Err(AgentError::Config(problems));
    }
    let _lock = DirectoryLock::take(&config.data_dir)?;
    let Some(identity) = Identity::load(&config.data_dir)? else { return Err(AgentError::NotEnrolled) };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let dialer = Dialer::new(&config)?;
    let host = host_facts(&config.labels, dialer.address().await);
    let facts = agent_facts(&host);
    let fresh = clock.now().millis().max(1).cast_unsigned();
    let mut journal = Journal::open(&config.data_dir.join("journal"), config.journal_limit_bytes, fresh)?;
    claim(&mut journal, &identity, false, &config.data_dir, fresh)?;
    let shared = Arc::new(Shared::new(clock, journal));
    let tasks = TaskRunner::new(Guard::new(&config.data_dir), host);
    let data_dir = config.data_dir.clone();
    let session = Session { dialer, identity, facts, data_dir, shared, tasks, for_good: true, run: random() };
    session.leave().await.map_err(AgentError::CannotLeave)?;
    Identity::forget(&config.data_dir)
}

/// Makes sure that this agent sends only what it gathered itself, by its own monitors: the data
/// directory may be that of an agent that was removed, perhaps of another workspace.
fn claim(
    journal: &mut Journal,
    identity: &Identity,
    newly: bool,
    data_dir: &Path,
    fresh: u64,
) -> Result<(), AgentError> {
    if journal.owner() == Some(&identity.id) {
        return Ok(());
    }
    if journal.owner().is_none() && !newly {
        return Ok(journal.adopt(&identity.id)?);
    }
    // First: once the journal is this agent's, nothing tells that the configuration is not.
    let path = data_dir.join(CONFIGURATION_FILE);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(AgentError::DataDir { path, source }),
        _ => {}
    }
    let left = journal.hand_over(&identity.id, fresh)?;
    if left > 0 {
        tracing::warn!(
            records = left,
            "this host is enrolled anew; what it gathered as another agent, and was not sent, is not counted"
        );
    }
    Ok(())
}

/// What no other start of an agent has, as far as chance goes; never 0.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() | 1
}

/// Starts the gathering thread; the receiver hears when it has written down everything, or, as an
/// error, that it died.
fn start(gatherer: Gatherer) -> Result<oneshot::Receiver<()>, AgentError> {
    let (done, waiting) = oneshot::channel();
    std::thread::Builder::new()
        .name("gather".into())
        .spawn(move || {
            gatherer.run();
            if done.send(()).is_err() {
                tracing::debug!("nobody waited for the last record");
            }
        })
        .map_err(AgentError::Runtime)?;
    Ok(waiting)
}

fn kept_configuration(data_dir: &Path) -> Option<Configuration> {
    let path = data_dir.join(CONFIGURATION_FILE);
    match fs::read(&path) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(configuration) => Some(configuration),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the kept configuration is not understood; waiting for the server's");
                None
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the kept configuration cannot be read; waiting for the server's");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use nightjar_model::Secret;
    use nightjar_model::names::AgentId;

    use super::*;
    use crate::tail::PositionChanges;

    #[test]
    fn another_agents_records_and_configuration_are_not_this_ones() {
        // Of whom the journal is, who starts, whether it enrolled just now, and whether all is kept.
        let check = |owner: Option<&str>, id: &str, newly: bool, kept: bool| {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = Journal::open(&dir.path().join("journal"), 1 << 20, 1).unwrap();
            if let Some(owner) = owner {
                journal.adopt(&AgentId(owner.into())).unwrap();
            }
            journal.append(&[vec![1]], &PositionChanges::default()).unwrap();
            fs::write(dir.path().join(CONFIGURATION_FILE), "{}").unwrap();
            let identity = Identity { id: AgentId(id.into()), workspace: "w".into(), key: Secret::new("hidden") };
            claim(&mut journal, &identity, newly, dir.path(), 9).unwrap();
            assert_eq!(journal.owner(), Some(&identity.id));
            assert_eq!(journal.stats().unacked_records, u64::from(kept), "{owner:?} {id} {newly}");
            assert_eq!(dir.path().join(CONFIGURATION_FILE).exists(), kept, "{owner:?} {id} {newly}");
        };
        check(Some("a-1"), "a-1", false, true);
        check(Some("a-1"), "a-2", true, false);
        check(Some("a-1"), "a-2", false, false);
        // Of an earlier version, which did not note it.
        check(None, "a-1", false, true);
        check(None, "a-2", true, false);
    }
}
