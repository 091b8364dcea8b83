//! Rendering: the standard templates, and a rule's own text under a limit.

use std::io;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment};
use nightjar_model::message_template;
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
    // A rule is refused with such a text; it may have been stored before that was so.
    message_template::check_bounds(source).map_err(|fault| fault.to_string())?;
    let mut environment = message_template::environment();
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
        check("{{ rule", Err("line 1, column 4: unexpected end of input"));
        let nested = "{% for a in [1, 2, 3, 4, 5, 6, 7, 8, 9] %}".repeat(6) + "x" + &"{% endfor %}".repeat(6);
        check(&nested, Err("fuel"));
        check(&format!("{{{{ '{0}' ~ '{0}' }}}}", "x".repeat(9_000)), Err("16 KiB"));
        check("{{ rule.a.b }}", Err("undefined"));
        check("{{ '%d'|format(1) }}", Err("unknown filter"));
    }

    #[test]
    fn own_text_makes_nothing_large() {
        let doubled = "{% set x = x ~ x %}".repeat(60);
        check(&format!("{{% set x = 'x' %}}{doubled}{{{{ x }}}}"), Err("{% if %}"));
        let nested = "{% for rule in [rule ~ rule] %}".repeat(60) + &"{% endfor %}".repeat(60);
        check(&nested, Err("a loop goes over the context"));
        check("{% with x = rule ~ rule %}{{ x }}{% endwith %}", Err("{% if %}"));
        check("{{ 'x' * 99999999 }}", Err("multiplied"));
        check("{{ rule * 99999999 }}", Err("multiplied"));
        check("{% for values in [rule] %}{% endfor %}", Err("a loop goes over the context"));
        check("{% for values in ['x'] %}{{ values[0] * 99999999 }}{% endfor %}", Err("cannot be called"));
        check("{{ 'x'|center(99999999) }}", Err("unknown filter"));
        check("{{ range(99999999) }}", Err("called"));
    }

    #[test]
    fn own_text_computes_with_figures() {
        let context = serde_json::json!({ "keys": { "goods": "apple" }, "values": { "ratio": 0.126, "none": null } });
        let source = "{% for column, key in keys|items %}{{ column }}={{ key|upper }} {% endfor %}\
            {% if values.ratio > 0.1 and values.none is none %}{{ (values.ratio * 100)|round(1) }}%{% endif %}";
        assert_eq!(render_own(source, &context).as_deref(), Ok("goods=APPLE 12.6%"));
    }
}
