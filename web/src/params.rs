//! Query parameters, read strictly: a misspelt one (`?dryrun=true`) must not be passed over.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use nightjar_model::{Problems, Timestamp};

use crate::problem::{Answer, Failure};

/// The parameters of a request; each is taken by name, and what is left at the end is refused.
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    problems: Problems,
}

/// Which page of a listing.
pub(crate) struct PageParams {
    pub(crate) limit: u32,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
}

/// For listings that know nothing else.
impl<S: Send + Sync> FromRequestParts<S> for PageParams {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let mut params = Params::from_request_parts(parts, state).await?;
        let page = params.page();
        params.finish()?;
        Ok(page)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|error| Failure::malformed(format!("The query cannot be read: {}", error.body_text())))?;
        Ok(Self { pairs, problems: Problems::new() })
    }
}

impl Params {
    /// Absent or empty is `None`.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// Absent is `None`; empty is `Some("")`.
    pub(crate) fn raw(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.pairs.remove(at);
        if self.pairs.iter().any(|(key, _)| key == name) {
            self.problems.add(name, "is there twice");
            self.pairs.retain(|(key, _)| key != name);
        }
        Some(value)
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// Every parameter whose name starts with `prefix`, without it.
    pub(crate) fn with_prefix(&mut self, prefix: &str) -> Vec<(String, String)> {
        self.pairs
            .extract_if(.., |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key[prefix.len()..].to_owned(), value))
            .collect()
    }

    pub(crate) fn number(&mut self, name: &str, default: u32, most: u32) -> u32 {
        let Some(text) = self.text(name) else { return default };
        match text.parse::<u32>() {
            Ok(number) if (1..=most).contains(&number) => number,
            _ => {
                self.problems.add(name, format!("must be a number from 1 to {most}"));
                default
            }
        }
    }

    /// Which page of a listing: `limit` and `cursor`.
    pub(crate) fn page(&mut self) -> PageParams {
        PageParams { limit: self.number("limit", 100, 1000), cursor: self.text("cursor") }
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        match self.raw(name).as_deref() {
            None | Some("false" | "0") => false,
            Some("" | "true" | "1") => true,
            Some(_) => {
                self.problems.add(name, "must be true or false");
                false
            }
        }
    }

    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let time = Timestamp::parse_rfc3339(&text);
        if time.is_none() {
            // A `+` of a zone arrives as a space when it was not escaped.
            self.problems.add(name, "must be a time such as 2026-01-31T08:00:00Z");
        }
        time
    }

    /// A value as serde knows it, e.g. an enum's.
    pub(crate) fn value<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        match serde_json::from_value(serde_json::Value::String(text)) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.add(name, error.to_string());
                None
            }
        }
    }

    pub(crate) fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.problems.add(name, message);
    }

    /// To be called when all that is known has been taken.
    pub(crate) fn finish(mut self) -> Answer<()> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.problems.add(&name, "is not a parameter of this path");
        }
        let problems = self.problems.into_vec();
        if problems.is_empty() { Ok(()) } else { Err(Failure::invalid(problems)) }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::response::IntoResponse;
    use expect_test::expect;
    use http::Request;

    use super::*;

    #[tokio::test]
    async fn what_is_wrong_or_unknown_is_refused_together() {
        let request = Request::get("/?limit=0&dryrun=true&since=yesterday&q=a&q=b&flag=maybe").body(()).expect("valid");
        let (mut parts, ()) = request.into_parts();
        let mut params = Params::from_request_parts(&mut parts, &()).await.expect("readable");
        assert_eq!(params.number("limit", 100, 1000), 100);
        assert_eq!(params.time("since"), None);
        assert_eq!(params.text("q").as_deref(), Some("a"));
        assert!(!params.flag("flag"));
        let answer = params.finish().expect_err("refused").into_response();
        let body = to_bytes(answer.into_body(), 10_000).await.expect("a body");
        let shown: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        expect![[r#"
            {
              "type": "urn:nightjar:problem:invalid",
              "title": "What was sent is not valid",
              "status": 422,
              "detail": "What was sent has 5 problems.",
              "problems": [
                {
                  "path": "limit",
                  "message": "must be a number from 1 to 1000"
                },
                {
                  "path": "since",
                  "message": "must be a time such as 2026-01-31T08:00:00Z"
                },
                {
                  "path": "q",
                  "message": "is there twice"
                },
                {
                  "path": "flag",
                  "message": "must be true or false"
                },
                {
                  "path": "dryrun",
                  "message": "is not a parameter of this path"
                }
              ]
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&shown).expect("JSON"));
    }
}
