//! A page of another site can make a browser send our cookie, but not a header of its choice.

use http::{HeaderMap, Method, StatusCode};

use super::is_safe;
use crate::problem::{Answer, Failure};

pub(crate) const CSRF_HEADER: &str = "x-nightjar-csrf";

/// To be asked of every request that is authenticated by cookie alone.
pub(super) fn check(method: &Method, headers: &HeaderMap) -> Answer<()> {
    if is_safe(method) || headers.get(CSRF_HEADER).is_some_and(|value| value == "1") {
        return Ok(());
    }
    Err(Failure::of(
        StatusCode::FORBIDDEN,
        "A write with the session cookie also needs the header `X-Nightjar-Csrf: 1`.",
    ))
}
