//! What the server refused, a problem to a line.

use std::error::Error;
use std::fmt;

use nightjar_model::Problem;
use nightjar_web::ProblemDocument;

/// The server answered, and the answer was no.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) detail: String,
    pub(super) problems: Vec<Problem>,
    hint: Option<&'static str>,
}

impl Refused {
    pub(super) fn from_body(status: u16, body: &[u8]) -> Self {
        let hint = None;
        match serde_json::from_slice::<ProblemDocument>(body) {
            Ok(document) => Self { status, detail: document.detail, problems: document.problems, hint },
            Err(_) => {
                Self { status, detail: format!("the server answered with status {status}"), problems: Vec::new(), hint }
            }
        }
    }

    /// What is wrong with a file, found before anything was sent.
    pub(super) fn local(detail: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self { status: 422, detail: detail.into(), problems, hint: None }
    }

    pub(super) fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nightjar: {}", self.detail)?;
        for problem in &self.problems {
            match problem.path.as_str() {
                "" => writeln!(f, "  {}", problem.message)?,
                path => writeln!(f, "  {path}: {}", problem.message)?,
            }
        }
        if let Some(hint) = self.hint {
            writeln!(f, "  {hint}")?;
        }
        Ok(())
    }
}

impl Error for Refused {}

/// There was no answer.
#[derive(Debug)]
pub(super) struct Unreachable(String);

impl Unreachable {
    pub(super) fn new(base: &str, error: &reqwest::Error) -> Self {
        // The innermost source is the one that says what happened: refused, no such host, unknown issuer.
        let mut reason = error.to_string();
        let mut source: Option<&dyn Error> = error.source();
        while let Some(inner) = source {
            reason = inner.to_string();
            source = inner.source();
        }
        let what = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        Self(format!("the server {base} {what}: {reason}"))
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unreachable {}
