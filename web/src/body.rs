//! Request bodies in and documents out, in JSON and YAML.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nightjar_model::Problems;
use nightjar_model::decode::{decode, parse_yaml};
use nightjar_model::query::SqlBody;
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
            Some(Format::Json) => parse_json(&bytes)?,
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
            Some(Format::Json) => match parse_json(&bytes)? {
                Value::Array(documents) => documents,
                document => vec![document],
            },
            Some(Format::Yaml) => {
                let text = std::str::from_utf8(&bytes).map_err(|_| Failure::malformed("The body is not UTF-8."))?;
                parse_yaml(text).map_err(|problem| {
                    Failure::malformed("The body is not valid YAML.").with_problem(problem.path, problem.message)
                })?
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
    let mut text = String::new();
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        let shown = serde_yaml_ng::to_string(document);
        text.push_str(&shown.map_err(|error| nightjar_model::Error::internal(error.to_string()))?);
    }
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

/// The body, if it is within the limit.
async fn read(request: Request, limit: usize) -> Answer<Bytes> {
    let too_large =
        || Failure::of(StatusCode::PAYLOAD_TOO_LARGE, format!("A body may hold {limit} bytes; send less at a time."));
    let (parts, body) = request.into_parts();
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    read_body(body, limit).await.map_err(|over| match over {
        true => too_large(),
        false => Failure::malformed("The body ended before it was complete."),
    })
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

fn parse_json(bytes: &[u8]) -> Answer<Value> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::malformed("The body is not valid JSON.")
            .with_problem(format!("line {} column {}", error.line(), error.column()), json_message(&error))
    })
}

/// serde_json's message without the place, which stands beside it.
fn json_message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]).to_owned()
}

fn unsupported(accepted: &str) -> Failure {
    Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Send the body as {accepted} and say so in Content-Type."))
}
