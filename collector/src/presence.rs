//! Who is waited for: agents that are there, and those that were heard of lately.

use std::time::Duration;

use nightjar_model::agents::AgentRecord;
use nightjar_model::time::Timestamp;

use crate::Collector;
use crate::live::Live;

/// An agent that signs off and is back within this was restarted, and is waited for all the while.
pub(crate) const RESTART_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    There,
    /// It signed off.
    Left(Timestamp),
    /// It was not heard of for longer than is waited.
    Expired,
}

impl Collector {
    pub(crate) fn presence(&self, agent: &AgentRecord, now: Timestamp) -> Presence {
        let live = self.live(&agent.id);
        let of = |live: &Live| {
            let state = live.state();
            (state.left, state.heard_at)
        };
        let (left, heard_at) = live.as_deref().map(of).unwrap_or_default();
        if live.is_some_and(|live| live.is_connected()) && left.is_none() {
            return Presence::There;
        }
        let for_good = left.is_some_and(|left| left.for_good);
        if let Some(at) = left.map(|left| left.at).or(agent.left_at) {
            return if for_good || now.since(at) >= RESTART_WITHIN { Presence::Left(at) } else { Presence::There };
        }
        let heard = heard_at.max(agent.last_seen_at.unwrap_or(agent.enrolled_at)).max(self.started_at);
        if now.since(heard) >= self.config.expire_after.0 { Presence::Expired } else { Presence::There }
    }
}
