//! Rendering: the standard templates, and a rule's own text under a limit.

use std::io;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment};
use serde::Serialize;

/// Instructions a rule's own text may take.
const OWN_FUEL: u64 = 20_000;
/// A rule's own text longer than this is an error.
const MOST_OWN_BYTES: usize = 64 * 1024;

static STANDARD: LazyLock<Result<Environment<'static>, String>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    for (name, source) in [
        ("markdown.md", include_str!("../../templates/markdown.md")),
        ("plain.txt", include_str!("../../templates/plain.txt")),
        ("mail.html", include_str!("../../templates/mail.html")),
    ] {
        environment.add_template(name, source).map_err(|error| error.to_string())?;
    }
    Ok(environment)
});

pub(super) fn standard(name: &str, view: &impl Serialize) -> Result<String, String> {
    let environment = STANDARD.as_ref().map_err(Clone::clone)?;
    let template = environment.get_template(name).map_err(|error| error.to_string())?;
    template.render(view).map_err(|error| error.to_string())
}

/// Renders what a user wrote, within bounds of work and size.
pub(super) fn render_own(source: &str, context: &impl Serialize) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(OWN_FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let template = environment.template_from_str(source).map_err(|error| error.to_string())?;
    let mut bounded = Bounded(Vec::new());
    template.render_captured_to(context, &mut bounded).map_err(|error| error.to_string())?;
    String::from_utf8(bounded.0).map_err(|error| error.to_string())
}

struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_OWN_BYTES {
            return Err(io::Error::other("the text is longer than 64 KiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: Result<&str, &str>) {
        #[derive(Serialize)]
        struct Context {
            rule: &'static str,
        }
        let rendered = render_own(source, &Context { rule: "slow" });
        match (rendered, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (rendered, expected) => panic!("{source}: {rendered:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn own_text_is_bounded() {
        check("{{ rule }} <b>{{ missing }}", Ok("slow <b>"));
        check("{{ rule", Err("syntax error"));
        check("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", Err("fuel"));
        check("{{ 'x' * 70000 }}", Err(""));
        check("{{ rule.a.b }}", Err("undefined"));
    }
}
