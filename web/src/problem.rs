//! Errors as RFC 9457 problem documents, and the one place where a kind of error becomes a status.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use nightjar_model::{Error, ErrorKind, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problems)]
pub struct ProblemDocument {
    /// `urn:nightjar:problem:` and the kind, e.g. `stale`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// What is wrong, and the remedy where there is one.
    pub detail: String,
    /// Every problem of what was sent, each with its place in it.
    #[serde(default)]
    pub problems: Vec<Problem>,
}

/// A request that failed. Boxed: it is the rare half of every handler's result.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    problems: Vec<Problem>,
    header: Option<(HeaderName, HeaderValue)>,
}

pub(crate) type Answer<T = Response> = Result<T, Failure>;

impl Failure {
    pub(crate) fn of(status: StatusCode, detail: impl Into<String>) -> Self {
        let (kind, title) = describe(status);
        Self(Box::new(Parts { status, kind, title, detail: detail.into(), problems: Vec::new(), header: None }))
    }

    pub(crate) fn invalid(problems: Vec<Problem>) -> Self {
        let detail = match problems.len() {
            1 => "What was sent has a problem.".to_owned(),
            count => format!("What was sent has {count} problems."),
        };
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, detail).with_problems(problems)
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_REQUEST, detail)
    }

    fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.0.problems = problems;
        self
    }

    pub(crate) fn with_problem(mut self, path: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.problems.push(Problem { path: path.into(), message: message.into() });
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = status_of(error.kind);
        if error.kind == ErrorKind::Internal {
            tracing::error!(%error, "request failed");
            return Self::of(status, "The server failed; its log says why, under this answer's X-Request-Id.");
        }
        let failure = Self::of(status, error.message).with_problems(error.problems);
        match error.kind {
            ErrorKind::Unavailable => failure.with_header(header::RETRY_AFTER, HeaderValue::from_static("5")),
            _ => failure,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Parts { status, kind, title, detail, problems, header } = *self.0;
        let document = ProblemDocument {
            kind: format!("urn:nightjar:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            problems,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Stale => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn describe(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("malformed", "The request cannot be read"),
        StatusCode::UNAUTHORIZED => ("unauthenticated", "Not logged in"),
        StatusCode::FORBIDDEN => ("forbidden", "Not allowed"),
        StatusCode::NOT_FOUND => ("not-found", "Not found"),
        StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "The method does not apply here"),
        StatusCode::REQUEST_TIMEOUT => ("slow", "The request did not come in time"),
        StatusCode::CONFLICT => ("conflict", "The present state does not allow it"),
        StatusCode::PRECONDITION_FAILED => ("stale", "Changed by somebody else in the meantime"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "The body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "The content type is not accepted"),
        StatusCode::UNPROCESSABLE_ENTITY => ("invalid", "What was sent is not valid"),
        StatusCode::TOO_MANY_REQUESTS => ("too-many-requests", "Too many requests"),
        StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "Not possible at the moment"),
        StatusCode::GATEWAY_TIMEOUT => ("timeout", "It took too long"),
        status if status.is_client_error() => ("malformed", "The request cannot be served"),
        _ => ("internal", "The server failed"),
    }
}
