//! How agents come in: enrolment tokens, the agents' own keys, and the list of those enrolled.

mod agents;
mod enrolment_tokens;

use async_trait::async_trait;
use nightjar_model::agents::{AgentFacts, AgentRecord, Enrolled};
use nightjar_model::identity::{Actor, EnrolmentToken, NewEnrolmentToken};
use nightjar_model::names::AgentId;
use nightjar_model::ports::AgentRegistry;
use nightjar_model::{Result, Secret, Timestamp};

use crate::store::Store;

pub(crate) use enrolment_tokens::{
    delete_where as delete_enrolment_tokens, prune, without_owner as enrolment_tokens_without_owner,
};

#[async_trait]
impl AgentRegistry for Store {
    async fn enrolment_tokens(&self, workspace: &str) -> Result<Vec<EnrolmentToken>> {
        Ok(enrolment_tokens::all(self.shared.database.read(), workspace).await?)
    }

    async fn create_enrolment_token(
        &self,
        actor: &Actor,
        workspace: &str,
        new: NewEnrolmentToken,
    ) -> Result<(EnrolmentToken, Secret)> {
        Ok(enrolment_tokens::create(&self.shared, actor, workspace, new).await?)
    }

    async fn delete_enrolment_token(&self, actor: &Actor, workspace: &str, id: &str) -> Result<()> {
        Ok(enrolment_tokens::delete(&self.shared, actor, workspace, id).await?)
    }

    async fn check_enrolment_token(&self, token: &Secret) -> Result<()> {
        enrolment_tokens::usable(self.shared.database.read(), token, self.shared.now()).await?;
        Ok(())
    }

    async fn enrol(&self, token: &Secret, facts: &AgentFacts, address: Option<&str>) -> Result<Enrolled> {
        Ok(agents::enrol(&self.shared, token, facts, address).await?)
    }

    async fn authenticate(&self, id: &AgentId, key: &Secret) -> Result<AgentRecord> {
        Ok(agents::authenticate(self.shared.database.read(), id, key).await?)
    }

    async fn seen(&self, id: &AgentId, facts: &AgentFacts, at: Timestamp) -> Result<()> {
        Ok(agents::seen(&self.shared, id, facts, at).await?)
    }

    async fn left(&self, id: &AgentId, at: Timestamp) -> Result<()> {
        Ok(agents::left(&self.shared, id, at).await?)
    }

    async fn agents(&self, workspace: Option<&str>) -> Result<Vec<AgentRecord>> {
        Ok(agents::all(self.shared.database.read(), workspace).await?)
    }

    async fn delete_agent(&self, actor: &Actor, workspace: &str, id: &AgentId) -> Result<()> {
        Ok(agents::delete(&self.shared, actor, workspace, id).await?)
    }
}
