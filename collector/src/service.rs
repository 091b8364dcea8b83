//! The gRPC service: who calls, and the start of a session.

use std::sync::Arc;

use nightjar_model::Secret;
use nightjar_model::agents::AgentFacts;
use nightjar_model::names::AgentId;
use nightjar_model::protocol::wire;
use nightjar_model::protocol::wire::agents_server::Agents;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::Collector;
use crate::incoming::Caller;
use crate::refusal::Refusal;
use crate::session::Session;

/// Messages to one agent that it has not read yet; a session that falls behind waits.
const OUTBOX: usize = 64;

/// No agent has more labels, or longer words to say of itself, than this.
const MAX_LABELS: usize = 64;
const MAX_FACT_BYTES: usize = 256;

pub(crate) struct AgentService(pub(crate) Arc<Collector>);

#[tonic::async_trait]
impl Agents for AgentService {
    async fn enrol(&self, request: Request<wire::EnrolRequest>) -> Result<Response<wire::EnrolResponse>, Status> {
        let outcome = self.enrol_agent(request).await;
        let label = outcome.as_ref().map_or_else(Refusal::reason, |_| "enrolled");
        metrics::counter!("nightjar_collector_enrolments_total", "outcome" => label).increment(1);
        outcome.map(Response::new).map_err(|refusal| {
            tracing::warn!(%refusal, "an agent could not enrol");
            refusal.status()
        })
    }

    type SessionStream = ReceiverStream<Result<wire::ToAgent, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<wire::FromAgent>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.open_session(request).await.map(Response::new).map_err(|refusal| {
            metrics::counter!("nightjar_collector_refused_total", "reason" => refusal.reason()).increment(1);
            tracing::warn!(%refusal, "a session was refused");
            refusal.status()
        })
    }
}

impl AgentService {
    async fn enrol_agent(&self, request: Request<wire::EnrolRequest>) -> Result<wire::EnrolResponse, Refusal> {
        let collector = &self.0;
        let token = bearer(request.metadata()).ok_or(Refusal::Asked(nightjar_model::Error::unauthenticated(
            "an enrolment token is required: metadata `authorization: Bearer TOKEN`",
        )))?;
        let caller = Caller::of(request.extensions());
        let address = caller.and_then(|caller| caller.address).map(|address| address.ip().to_string());
        let facts = checked_facts(request.into_inner().facts)?;
        let _stranger = collector.strangers.acquire().await.map_err(|_closed| Refusal::ShuttingDown)?;
        let enrolled = collector.registry.enrol(&token, &facts, address.as_deref()).await?;
        tracing::info!(agent = %enrolled.id, workspace = enrolled.workspace, host = facts.hostname, "an agent enrolled");
        collector.changed.notify_one();
        Ok(wire::EnrolResponse {
            agent_id: enrolled.id.0,
            workspace: enrolled.workspace,
            key: enrolled.key.expose().to_owned(),
        })
    }

    async fn open_session(
        &self,
        request: Request<Streaming<wire::FromAgent>>,
    ) -> Result<ReceiverStream<Result<wire::ToAgent, Status>>, Refusal> {
        let collector = &self.0;
        if collector.closing.is_cancelled() {
            return Err(Refusal::ShuttingDown);
        }
        let id = request.metadata().get("nightjar-agent").and_then(|value| value.to_str().ok());
        let id = AgentId(id.ok_or(Refusal::NoCredentials)?.to_owned());
        let key = bearer(request.metadata()).ok_or(Refusal::NoCredentials)?;
        let record = {
            let _stranger = collector.strangers.acquire().await.map_err(|_closed| Refusal::ShuttingDown)?;
            collector.registry.authenticate(&id, &key).await?
        };
        // From here on it is an agent's connection, and stays one for as long as its session.
        let connection = Caller::of(request.extensions()).map(|caller| Arc::clone(&caller.connection));
        let agents = connection.map(|connection| (connection.begin(), connection.protect()));
        // A replaced session gives its place back only when it has ended, so a full house lets its
        // own agents reconnect a little later.
        let place = Arc::clone(&collector.places)
            .try_acquire_owned()
            .map_err(|_full| Refusal::TooManySessions(collector.config.max_sessions))?;
        let (outbox, inbox) = mpsc::channel(OUTBOX);
        let span = tracing::info_span!("session", agent = %record.id, workspace = record.workspace);
        let session = Session::new(Arc::clone(collector), record, key, outbox, request.into_inner());
        collector.tasks.spawn(
            async move {
                session.run().await;
                drop((place, agents));
            }
            .instrument(span),
        );
        Ok(ReceiverStream::new(inbox))
    }
}

fn bearer(metadata: &MetadataMap) -> Option<Secret> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let token = value.strip_prefix("Bearer ")?.trim();
    (!token.is_empty()).then(|| Secret::new(token))
}

/// What an agent says of itself, if it is of a size to be kept.
pub(crate) fn checked_facts(facts: Option<wire::Facts>) -> Result<AgentFacts, Refusal> {
    let facts = AgentFacts::from(facts.ok_or_else(|| Refusal::Malformed("`facts` are required".to_owned()))?);
    let of_host = [&facts.hostname, &facts.ip, &facts.os, &facts.arch, &facts.timezone, &facts.timezone_problem];
    let words = of_host.into_iter().chain([&facts.version]);
    let long = |text: &String| text.len() > MAX_FACT_BYTES;
    if words.into_iter().any(long) || facts.labels.iter().any(|(key, value)| long(key) || long(value)) {
        return Err(Refusal::Malformed(format!("a label or fact is longer than {MAX_FACT_BYTES} bytes")));
    }
    if facts.labels.len() > MAX_LABELS {
        return Err(Refusal::Malformed(format!("there are more than {MAX_LABELS} labels")));
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_facts_are_refused() {
        assert!(checked_facts(None).is_err());
        assert!(checked_facts(Some(wire::Facts { hostname: "h".repeat(257), ..Default::default() })).is_err());
        let labels = (0..65).map(|n| (n.to_string(), String::new())).collect();
        assert!(checked_facts(Some(wire::Facts { labels, ..Default::default() })).is_err());
        assert!(checked_facts(Some(wire::Facts::default())).is_ok());
    }
}
