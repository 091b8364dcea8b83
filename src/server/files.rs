//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::config::Config;

/// Where the system sets no limit.
const PLENTY: u64 = 1 << 20;

/// Raises the limit as far as the system lets it be raised, and says how far.
pub(super) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(PLENTY),
        Err(error) => {
            tracing::warn!(%error, "cannot raise the number of files that may be open");
            limit.current.unwrap_or(PLENTY)
        }
    }
}

/// Takes no more connections than there are sockets for: without one, a new connection could not even be
/// answered by closing another. A quarter is people's, half is the agents' with those who come, the rest is for files.
pub(super) fn fit(config: &mut Config, files: u64) {
    let quarter = usize::try_from(files / 4).unwrap_or(usize::MAX);
    let (people, agents) = (quarter, nightjar_collector::sessions_within(quarter.saturating_mul(2)));
    if config.web.max_connections > people {
        tracing::warn!(files, connections = people, "web.max_connections is lowered to the files that may be open");
        config.web.max_connections = people.max(1);
    }
    if config.collector.max_sessions > agents {
        tracing::warn!(files, sessions = agents, "collector.max_sessions is lowered to the files that may be open");
        config.collector.max_sessions = agents.max(1);
    }
}
