//! A page of another site can make a browser send our cookie, or a name and password that the browser
//! remembers, but not a header of its choice; and the browser says where the request comes from.

use http::{HeaderMap, Method, StatusCode, header};

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

/// To be asked of every request that is authenticated by name and password, which browsers send by
/// themselves once they were typed in. Programs that are no browser say nothing of where they come from.
pub(super) fn check_origin(method: &Method, headers: &HeaderMap) -> Answer<()> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let foreign = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map_or(origin, |(_, host)| host);
            text(header::HOST.as_str()).is_none_or(|own| !own.eq_ignore_ascii_case(host))
        }
        (None, None) => false,
    };
    if is_safe(method) || !foreign {
        return Ok(());
    }
    Err(Failure::of(StatusCode::FORBIDDEN, "A page of another site may not write here."))
}
