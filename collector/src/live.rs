//! One agent as the server knows it since its last connection: its session, if it has one, and what
//! it last said.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nightjar_model::agents::{AgentFacts, AgentRecord, AgentSelf, MonitorReport};
use nightjar_model::names::AgentId;
use nightjar_model::problem::Problem;
use nightjar_model::protocol::wire;
use nightjar_model::time::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::doubles::{Excluded, Reads};
use crate::refusal::Refusal;

/// Monitors of which it is kept that an agent sends them without being asked.
const MAX_LEFT_OUT: usize = 1000;
const MAX_CAPABILITIES: usize = 100;

pub(crate) type Outbox = mpsc::Sender<Result<wire::ToAgent, Status>>;

pub(crate) struct Live {
    pub(crate) id: AgentId,
    pub(crate) workspace: String,
    pub(crate) outbox: Outbox,
    /// Ends the session; [`Live::end_with`] says why.
    pub(crate) cancel: CancellationToken,
    /// Which start of the agent's process it is; 0 where it does not tell.
    pub(crate) run: u64,
    /// What it can do beyond the protocol's version 0.
    pub(crate) capabilities: BTreeSet<String>,
    pub(crate) boot_id: String,
    /// 0 where it is not known.
    pub(crate) mount_namespace: u64,
    pub(crate) enrolled_at: Timestamp,
    pub(crate) connected_at: Timestamp,
    /// Whether another agent of its workspace was ever seen on its host.
    pub(crate) has_neighbours: AtomicBool,
    /// Its configuration is to be another one though the plan is the same.
    pub(crate) reconfigure: Notify,
    /// Told whenever something is heard of it.
    pub(crate) heard: Notify,
    /// Cancelled once the session has touched the intake for the last time.
    pub(crate) ended: CancellationToken,
    state: Mutex<State>,
    /// Tasks sent and not answered.
    pending: Mutex<HashMap<String, oneshot::Sender<wire::TaskAnswer>>>,
}

/// What the agent last said, and when.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) facts: AgentFacts,
    pub(crate) heard_at: Timestamp,
    /// The agent's clock less the server's.
    pub(crate) skew_ms: i64,
    pub(crate) monitors: Vec<MonitorReport>,
    pub(crate) process: AgentSelf,
    pub(crate) config_sent: Option<(String, Timestamp)>,
    pub(crate) config_applied: Option<String>,
    pub(crate) config_problems: Vec<(String, Problem)>,
    pub(crate) why_ended: Option<Refusal>,
    pub(crate) seen_stored_at: Option<Timestamp>,
    pub(crate) left: Option<SignedOff>,
    /// The files that it reads, by monitor.
    pub(crate) reads: BTreeMap<String, Reads>,
    /// Since when another agent on its host reads some of these files and each reads some that the other does not.
    pub(crate) differs: BTreeMap<String, Timestamp>,
    /// The earliest window of each monitor that it sent since it connected.
    pub(crate) earliest: BTreeMap<String, Timestamp>,
    /// Monitors that it is taken off, as another agent on its host reads the same.
    pub(crate) excluded: BTreeMap<String, Excluded>,
    /// Another agent came with its identity: when, and from which host.
    pub(crate) copied: Option<(Timestamp, String)>,
    /// Monitors that want it and that it cannot collect.
    pub(crate) beyond: Vec<String>,
    /// Windows that were lost between agent and server, as was found when it connected.
    pub(crate) rolled_back: Option<(Option<Timestamp>, Timestamp)>,
    /// What was left out of its records since it connected, by monitor.
    pub(crate) left_out: BTreeMap<String, u64>,
}

/// An agent that stopped in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignedOff {
    pub(crate) at: Timestamp,
    /// It will not be back.
    pub(crate) for_good: bool,
}

impl State {
    /// Counts figures of a monitor that is not the agent's. Whether they are the first of it; of more
    /// monitors than [`MAX_LEFT_OUT`] nothing is kept.
    pub(crate) fn leave_out(&mut self, monitor: &str) -> bool {
        if let Some(times) = self.left_out.get_mut(monitor) {
            *times += 1;
            return false;
        }
        let room = self.left_out.len() < MAX_LEFT_OUT;
        if room {
            self.left_out.insert(monitor.to_owned(), 1);
        }
        room
    }
}

impl Live {
    pub(crate) fn new(
        agent: &AgentRecord,
        hello: &wire::Hello,
        facts: AgentFacts,
        now: Timestamp,
        outbox: Outbox,
    ) -> Self {
        Self {
            id: agent.id.clone(),
            workspace: agent.workspace.clone(),
            outbox,
            run: hello.run,
            capabilities: hello.capabilities.iter().take(MAX_CAPABILITIES).cloned().collect(),
            boot_id: hello.boot_id.clone(),
            mount_namespace: hello.mount_namespace,
            enrolled_at: agent.enrolled_at,
            connected_at: now,
            has_neighbours: AtomicBool::new(false),
            reconfigure: Notify::new(),
            heard: Notify::new(),
            cancel: CancellationToken::new(),
            ended: CancellationToken::new(),
            state: Mutex::new(State { facts, heard_at: now, ..State::default() }),
            pending: Mutex::default(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.ended.is_cancelled()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn facts(&self) -> AgentFacts {
        self.state().facts.clone()
    }

    pub(crate) fn end_with(&self, why: Refusal) {
        self.state().why_ended.get_or_insert(why);
        self.cancel.cancel();
    }

    /// A place for the answer to a task; `None` when `limit` are waited for already.
    pub(crate) fn expect_answer(&self, task: &str, limit: usize) -> Option<oneshot::Receiver<wire::TaskAnswer>> {
        let mut pending = self.pending();
        // Those that nobody waits for any more (timed out) make room.
        pending.retain(|_, waiting| !waiting.is_closed());
        if pending.len() >= limit {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        pending.insert(task.to_owned(), answer);
        Some(answered)
    }

    /// Whether anybody waited for it.
    pub(crate) fn answered(&self, answer: wire::TaskAnswer) -> bool {
        let waiting = self.pending().remove(&answer.id);
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }

    /// Nobody will answer any more.
    pub(crate) fn drop_pending(&self) {
        self.pending().clear();
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<wire::TaskAnswer>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_once_and_kept_within_a_bound() {
        let mut state = State::default();
        assert!(state.leave_out("a") && !state.leave_out("a"));
        let told = (0..2 * MAX_LEFT_OUT).filter(|n| state.leave_out(&n.to_string())).count();
        assert_eq!((told, state.left_out.len()), (MAX_LEFT_OUT - 1, MAX_LEFT_OUT));
        assert!(!state.leave_out("a"));
        assert_eq!(state.left_out["a"], 3);
    }
}
