//! Request bodies in and documents out, in JSON and YAML.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nightjar_model::decode::decode;
use nightjar_model::query::SqlBody;
use nightjar_model::syntax::{parse_documents, parse_json, text_of, to_yaml};
use nightjar_model::{Problem, Problems};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::{Answer, Failure};
use crate::serve::Shared;

pub(crate) const YAML: &str = "application/yaml";

/// A JSON body, decoded with all its problems at once. No body at all counts as `{}`.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Answer<Self> {
        let format = Format::of_body(request.headers());
        let bytes = read(request, shared.config.body_limit_bytes).await?;
        let value = match format {
            _ if bytes.is_empty() => Value::Object(Map::new()),
            Some(Format::Json) => read_json(&bytes)?,
            _ => return Err(unsupported("application/json")),
        };
        let mut problems = Problems::new();
        match decode("", &value, &mut problems) {
            Some(decoded) => Ok(Self(decoded)),
            None => Err(Failure::invalid(problems.into_vec())),
        }
    }
}

/// One or more documents: a JSON object or array of them, or YAML documents.
pub(crate) struct Documents(pub(crate) Vec<Value>);

impl FromRequest<Arc<Shared>> for Documents {
    type Rejection = Failure;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Answer<Self> {
        let format = Format::of_body(request.headers());
        let bytes = read(request, shared.config.body_limit_bytes).await?;
        let documents = match format {
            Some(Format::Json) => match read_json(&bytes)? {
                Value::Array(documents) => documents,
                document => vec![document],
            },
            Some(Format::Yaml) => {
                let parsed = text_of(&bytes).map_err(|problem| vec![problem]).and_then(parse_documents);
                parsed.map_err(|problems| malformed("The body is not valid YAML.", problems))?
            }
            None => return Err(unsupported("application/json or application/yaml")),
        };
        if documents.is_empty() {
            return Err(Failure::malformed("There is no document in the body."));
        }
        Ok(Self(documents))
    }
}

/// In which format documents are to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

impl Format {
    fn of_body(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Self::of_media_type(text)
    }

    fn of_media_type(text: &str) -> Option<Self> {
        match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" => Some(Self::Json),
            "application/yaml" | "application/x-yaml" | "text/yaml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Format {
    type Rejection = Failure;

    /// The first of the types in `Accept` that we know; JSON otherwise.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Answer<Self> {
        let accepted = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(accepted.split(',').find_map(Self::of_media_type).unwrap_or(Self::Json))
    }
}

pub(crate) fn json(value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| nightjar_model::Error::internal(error.to_string()))?;
    Ok(typed("application/json", body))
}

pub(crate) fn yaml(documents: &[Value]) -> Answer {
    let text = documents.iter().map(to_yaml).collect::<Vec<_>>().join("---\n");
    Ok(typed(YAML, text.into_bytes()))
}

pub(crate) fn typed(content_type: &'static str, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

/// A body that comes in pieces. One that cannot be completed breaks the transfer off, so that what came is not
/// taken for the whole.
pub(crate) fn streamed(content_type: &'static str, body: SqlBody) -> Response {
    let length = body.length();
    let pieces = futures::stream::unfold(body, |mut body| async move {
        let piece = body.next().await?;
        if let Err(error) = &piece {
            tracing::warn!(%error, "an answer broke off");
        }
        Some((piece.map(Bytes::from), body))
    });
    let mut response =
        ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], Body::from_stream(pieces)).into_response();
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// The request with all of its body, if that is within the limit and comes in time.
pub(crate) async fn receive(request: Request, limit: usize, within: Duration) -> Answer<Request> {
    let too_large =
        || Failure::of(StatusCode::PAYLOAD_TOO_LARGE, format!("A body may hold {limit} bytes; send less at a time."));
    let (parts, body) = request.into_parts();
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(within, read_body(body, limit)).await.map_err(|_elapsed| {
        metrics::counter!("nightjar_web_slow_bodies_total").increment(1);
        Failure::of(StatusCode::REQUEST_TIMEOUT, format!("The body did not come within {} s.", within.as_secs()))
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    })?;
    let bytes = read.map_err(|over| match over {
        true => too_large(),
        false => Failure::malformed("The body ended before it was complete."),
    })?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The body of a request that was received.
async fn read(request: Request, limit: usize) -> Answer<Bytes> {
    read_body(request.into_body(), limit)
        .await
        .map_err(|_over| Failure::malformed("The body ended before it was complete."))
}

/// `Err(true)` if it is longer than the limit.
async fn read_body(body: Body, limit: usize) -> Result<Bytes, bool> {
    to_bytes(body, limit).await.map_err(|error| {
        // axum hides the limit's error in the chain.
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = source {
            if error.to_string().contains("length limit exceeded") {
                return true;
            }
            source = error.source();
        }
        false
    })
}

fn read_json(bytes: &[u8]) -> Answer<Value> {
    parse_json(bytes).map_err(|problems| malformed("The body is not valid JSON.", problems))
}

fn malformed(detail: &str, problems: Vec<Problem>) -> Failure {
    problems.into_iter().fold(Failure::malformed(detail), |failure, problem| {
        // Of an array of documents.
        let path = if problem.path.starts_with('[') { format!("documents{}", problem.path) } else { problem.path };
        failure.with_problem(path, problem.message)
    })
}

fn unsupported(accepted: &str) -> Failure {
    Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Send the body as {accepted} and say so in Content-Type."))
}
