//! Whose records the journal holds: one agent's. The positions are the host's, whoever it is enrolled as.

use nightjar_model::names::AgentId;

use super::{Checkpoint, Journal, JournalError};

impl Journal {
    /// The agent whose records these are; `None` for a journal that none has used, or that is older than
    /// this being written down.
    pub fn owner(&self) -> Option<&AgentId> {
        self.checkpoint.agent.as_ref()
    }

    /// Notes that the records are `agent`'s.
    ///
    /// # Errors
    /// `Io`.
    pub fn adopt(&mut self, agent: &AgentId) -> Result<(), JournalError> {
        let next = Checkpoint { agent: Some(agent.clone()), ..self.checkpoint.clone() };
        self.note(next)
    }

    /// Gives the journal to another agent: the positions stay, so that no line is counted twice; the
    /// records do not, they were gathered for somebody else. Answers how many of them the server had not
    /// acknowledged: their lines are counted nowhere.
    ///
    /// # Errors
    /// `Io`, after which it is as before.
    pub fn hand_over(&mut self, agent: &AgentId, fresh: u64) -> Result<u64, JournalError> {
        let left = self.unacked.len() as u64;
        let next = Checkpoint {
            agent: Some(agent.clone()),
            incarnation: fresh.max(self.checkpoint.incarnation + 1),
            base: self.last,
            acked: self.last,
            acked_digest: 0,
            gap: None,
            ..self.checkpoint.clone()
        };
        self.note(next)?;
        self.drop_unacked();
        self.checkpoint.acked_digest = 0;
        if let Err(error) = self.drop_acknowledged() {
            tracing::warn!(%error, "records that are not needed stay in the journal for now");
        }
        Ok(left)
    }

    pub(super) fn note(&mut self, next: Checkpoint) -> Result<(), JournalError> {
        self.write_checkpoint(next).map_err(|source| JournalError::Io { path: self.directory.clone(), source })
    }
}
