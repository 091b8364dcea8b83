use expect_test::expect;

use super::*;

fn told(source: &str) -> String {
    check(source).err().map(|fault| fault.to_string()).unwrap_or_default()
}

#[test]
fn a_text_says_what_there_is() {
    for source in [
        "",
        "慢：100 % { } #",
        "{{ keys.goods }} {{ values.cost_avg|round(1) }} {{ rule }} {{ level }} {{ monitor }} {{ status }} {{ time }}",
        "{% for column, key in keys|items %}{{ loop.index }} {{ column }}={{ key|upper }}{% else %}{{ summary }}{% endfor %}",
        "{% for part in ['a', 'b'] if part is startingwith('a') %}{{ part }}{% endfor %}",
        "{% if values.ratio > 0.1 and values.none is none %}{{ (values.ratio * 100)|round(1) }}%{% endif %}",
    ] {
        assert_eq!(told(source), "", "{source}");
    }
}

#[test]
fn a_fault_has_a_place_and_a_remedy() {
    let faults = [
        "{{ rule",
        "慢\n慢 {{ rule ! }}",
        "{% if values.a %}",
        "慢\n慢慢 {{ value.cost_avg }}",
        "{% for a in keys %}{% endfor %}{{ a }}",
        "{{ rule|uper }}",
        "{{ rule is empty }}",
        "{% set x = 1 %}",
        "{{ range(9) }}",
        "{{ rule * 9 }}",
        "{% for x in [rule ~ rule] %}{% endfor %}",
        "{% for values in keys %}{% endfor %}",
    ]
    .map(|source| format!("{source}\n    {}\n", told(source)));
    expect![[r#"
        {{ rule
            line 1, column 4: unexpected end of input, expected end of variable block; write {{ … }}, {% if … %} … {% endif %} or {% for … in … %} … {% endfor %}
        慢
        慢 {{ rule ! }}
            line 2, column 11: unexpected character; write {{ … }}, {% if … %} … {% endif %} or {% for … in … %} … {% endfor %}
        {% if values.a %}
            line 1, column 16: unexpected end of input, expected end of block; write {{ … }}, {% if … %} … {% endif %} or {% for … in … %} … {% endfor %}
        慢
        慢慢 {{ value.cost_avg }}
            line 2, column 7: there is no name `value`; known are rule, level, monitor, keys, values, status, time, summary
        {% for a in keys %}{% endfor %}{{ a }}
            line 1, column 35: there is no name `a`; known are rule, level, monitor, keys, values, status, time, summary
        {{ rule|uper }}
            line 1, column 9: there is no filter `uper`; known are abs, capitalize, count, d, default, first, float, int, items, last, length, lower, round, title, trim, upper
        {{ rule is empty }}
            line 1, column 12: there is no test `empty`; known are defined, endingwith, none, number, startingwith, undefined
        {% set x = 1 %}
            line 1, column 4: only {{ … }}, {% if %} and {% for %} can be used here; write a value where it is shown
        {{ range(9) }}
            line 1, column 4: functions cannot be called here; use a filter, such as {{ values.x|round }}
        {{ rule * 9 }}
            line 1, column 4: only `values` and numbers can be multiplied; `x|float` makes x a number
        {% for x in [rule ~ rule] %}{% endfor %}
            line 1, column 13: a loop goes over the context or a list of constants, not over what was made; go over `keys|items` or `values|items`
        {% for values in keys %}{% endfor %}
            line 1, column 8: a loop's variable cannot be called `values`; take another name
    "#]].assert_eq(&faults.concat());
    assert_eq!(told(&"x".repeat(MOST_SOURCE_BYTES + 1)), "is longer than 16 KiB; shorten it");
}

#[test]
fn depth_is_bounded() {
    for (open, middle, close, times) in [
        ("{{ 'a'", " ~ 'a'", " }}", 2_000),
        ("{{ 1", "*1", " }}", 8_000),
        ("{{ keys", ".a", " }}", 8_000),
        ("{{ rule", "|d", " }}", 8_000),
        ("{% for x in keys", ".a", " %}{% endfor %}", 8_000),
        ("{% if level %}", "{% elif level %}", "{% endif %}", 900),
    ] {
        let deep = format!("{open}{}{close}", middle.repeat(times));
        let fault = check(&deep).expect_err("too deep");
        assert!(fault.message.contains("; split it") || fault.message.contains("; use fewer"), "{fault}");
    }
}

#[test]
fn what_is_as_deep_as_it_may_be_can_be_read() {
    for deep in [
        format!("{{{{ 1{} }}}}", "*1".repeat(249)),
        format!("{{{{ rule{} }}}}", "|d".repeat(249)),
        format!("{{% if level %}}{}{{% endif %}}", "{% elif level %}".repeat(MOST_ELIFS)),
    ] {
        assert_eq!(told(&deep), "");
    }
}

#[test]
fn what_is_asked_for_in_vain_is_within_the_bounds() {
    for source in ["{{ missing }}", "{% if false %}{{ rule|missing }}{% endif %}"] {
        assert_eq!(check_bounds(source), Ok(()));
    }
    assert!(check_bounds("{% set x = 1 %}").is_err());
}
