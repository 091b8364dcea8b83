//! The console's files, embedded in the binary.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::problem::Failure;

#[derive(RustEmbed)]
#[folder = "console/dist/"]
struct Console;

const INDEX: &str = "index.html";

/// Whether the console, and not the API, answers for `path`.
pub(crate) fn is_console_path(path: &str) -> bool {
    !["/api/", "/download/", "/-/", "/docs/", "/metrics/"].iter().any(|prefix| path.starts_with(prefix))
        && path != "/api"
}

/// A file of the console; its start page for paths that only the console itself knows.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    if !is_console_path(path) {
        return Failure::of(StatusCode::NOT_FOUND, format!("There is nothing at {path}; /docs shows what there is."))
            .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Failure::of(StatusCode::METHOD_NOT_ALLOWED, "This path knows GET.")
            .with_header(header::ALLOW, HeaderValue::from_static("GET"))
            .into_response();
    }
    let name = path.trim_start_matches('/');
    let immutable = name.starts_with("assets/");
    match Console::get(name).map(|file| (name, file)) {
        Some((name, file)) => answer(name, file, immutable, request.headers()),
        // A file that is missing must not turn into a page that then fails to parse as a script.
        None if immutable => Failure::of(StatusCode::NOT_FOUND, "The console has no such file.").into_response(),
        None => match Console::get(INDEX) {
            Some(file) => answer(INDEX, file, false, request.headers()),
            None => Failure::of(StatusCode::NOT_FOUND, "This binary was built without the console.").into_response(),
        },
    }
}

fn answer(name: &str, file: EmbeddedFile, immutable: bool, headers: &HeaderMap) -> Response {
    let tag: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    // Names of what the build puts into assets/ change with their content.
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        file.data.into_owned().into_response()
    };
    let kind = match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        _ => file.metadata.mimetype(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let (Ok(kind), Ok(tag)) = (HeaderValue::from_str(kind), HeaderValue::from_str(&tag)) {
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::ETAG, tag);
    }
    response
}
