//! The installer's script, and the agent that it downloads.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use nightjar_model::Error;
use sha2::{Digest, Sha256};
use tokio_util::io::ReaderStream;
use utoipa_axum::routes;

use crate::api::Routes;
use crate::body::typed;
use crate::client::{Client, agents_url, base_url};
use crate::problem::{Answer, Failure};
use crate::serve::Shared;

const SCRIPT: &str = include_str!("../assets/install-agent.sh");

pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(script)).routes(routes!(binary)).routes(routes!(checksum))
}

/// The installer; it holds the server's addresses and no secret
#[utoipa::path(get, path = "/install-agent.sh", tag = "agents", operation_id = "installer", responses((status = 200, body = String, content_type = "text/x-shellscript")),
    extensions(("x-nightjar-access" = json!("open"))))]
async fn script(State(shared): State<Arc<Shared>>, Extension(client): Extension<Client>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let about = &shared.services.about;
    let Some(base) = base_url(&parts, &shared.config, &client) else {
        return Err(Failure::malformed("The Host header is missing or is not a host name."));
    };
    let agents = agents_url(&base, &shared.config, about.agents_port, about.agents_tls);
    // Both are of characters that mean nothing to a shell: see `is_base_url` and `is_host`.
    let text = SCRIPT.replace("@DOWNLOAD_URL@", &base).replace("@AGENTS_URL@", &agents);
    Ok(typed("text/x-shellscript; charset=utf-8", text.into_bytes()))
}

/// The agent for this server's own kind of machine
#[utoipa::path(get, path = "/download/nightjar-agent", tag = "agents", operation_id = "agent_binary", responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)),
    extensions(("x-nightjar-access" = json!("installer"))))]
async fn binary(State(shared): State<Arc<Shared>>) -> Answer {
    let (file, length) = shared.agent_binary.open().await?;
    let mut response = Body::from_stream(ReaderStream::with_capacity(file, 64 << 10)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"nightjar-agent\""));
    Ok(response)
}

/// Its SHA-256, as `sha256sum` writes it
#[utoipa::path(get, path = "/download/nightjar-agent.sha256", tag = "agents", operation_id = "agent_checksum", responses((status = 200, content_type = "text/plain", body = String)),
    extensions(("x-nightjar-access" = json!("installer"))))]
async fn checksum(State(shared): State<Arc<Shared>>) -> Answer<Response> {
    let sum = shared.agent_binary.checksum().await?;
    Ok(typed("text/plain; charset=utf-8", format!("{sum}  nightjar-agent\n").into_bytes()))
}

/// The binary that is handed out, and its checksum for as long as the file stays the same.
pub(crate) struct AgentBinary {
    path: Option<PathBuf>,
    known: Mutex<Option<(Stamp, String)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl AgentBinary {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, known: Mutex::new(None) }
    }

    async fn open(&self) -> Answer<(tokio::fs::File, u64)> {
        let missing = || {
            Failure::of(
                StatusCode::NOT_FOUND,
                "This server has no agent to hand out: put `nightjar-agent` beside its executable, or set `agent_binary`.",
            )
        };
        let path = self.path.as_ref().ok_or_else(missing)?;
        let file = tokio::fs::File::open(path).await.map_err(|error| {
            tracing::warn!(path = %path.display(), %error, "the agent's binary cannot be opened");
            missing()
        })?;
        let metadata = file.metadata().await.map_err(|error| Error::internal(error.to_string()))?;
        if !metadata.is_file() {
            return Err(missing());
        }
        Ok((file, metadata.len()))
    }

    async fn checksum(&self) -> Answer<String> {
        let (file, length) = self.open().await?;
        let metadata = file.metadata().await.map_err(|error| Error::internal(error.to_string()))?;
        let stamp = Stamp { length, modified: metadata.modified().ok() };
        if let Some((known, sum)) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
            && *known == stamp
        {
            return Ok(sum.clone());
        }
        let mut file = file.into_std().await;
        let hashed = tokio::task::spawn_blocking(move || {
            let mut hash = Sha256::new();
            std::io::copy(&mut file, &mut hash).map(|_| format!("{:x}", hash.finalize()))
        });
        let sum = match hashed.await {
            Ok(Ok(sum)) => sum,
            Ok(Err(error)) => return Err(Error::internal(error.to_string()).into()),
            Err(error) => return Err(Error::internal(error.to_string()).into()),
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((stamp, sum.clone()));
        Ok(sum)
    }
}
