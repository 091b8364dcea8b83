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
    let identity = match Identity::load(&config.data_dir)? {
        Some(identity) => identity,
        None => {
            let token = config.token.as_ref().ok_or(AgentError::NoToken)?;
            let identity = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                enrolled = enrol(&dialer, token, &facts) => enrolled?,
            };
            identity.save(&config.data_dir)?;
            tracing::info!(agent = %identity.id, workspace = %identity.workspace, "enrolled");
            identity
        }
    };
    let fresh = clock.now().millis().max(1).cast_unsigned();
    let journal = Journal::open(&config.data_dir.join("journal"), config.journal_limit_bytes, fresh)?;
    let shared = Arc::new(Shared::new(clock, journal));
    if let Some(configuration) = kept_configuration(&config.data_dir) {
        shared.configure(configuration);
    }
    let guard = Guard::new(&config.data_dir);
    let gatherer =
        Gatherer::new(shared.clone(), identity.workspace.clone(), host.clone(), config.flush_interval, guard.clone());
    let mut gathering = start(gatherer)?;
    let tasks = TaskRunner::new(guard, host);
    let session = Session { dialer, identity, facts, data_dir: config.data_dir, shared: shared.clone(), tasks };
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
