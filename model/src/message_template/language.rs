//! The filters and tests a rule's own text can use: those whose results are not larger than what they are
//! given. There are no functions.

use minijinja::{Environment, filters, tests};

type Entry = (&'static str, fn(&mut Environment<'static>, &'static str));

const FILTERS: [Entry; 16] = [
    ("abs", |to, name| to.add_filter(name, filters::abs)),
    ("capitalize", |to, name| to.add_filter(name, filters::capitalize)),
    ("count", |to, name| to.add_filter(name, filters::length)),
    ("d", |to, name| to.add_filter(name, filters::default)),
    ("default", |to, name| to.add_filter(name, filters::default)),
    ("first", |to, name| to.add_filter(name, filters::first)),
    ("float", |to, name| to.add_filter(name, filters::float)),
    ("int", |to, name| to.add_filter(name, filters::int)),
    ("items", |to, name| to.add_filter(name, filters::items)),
    ("last", |to, name| to.add_filter(name, filters::last)),
    ("length", |to, name| to.add_filter(name, filters::length)),
    ("lower", |to, name| to.add_filter(name, filters::lower)),
    ("round", |to, name| to.add_filter(name, filters::round)),
    ("title", |to, name| to.add_filter(name, filters::title)),
    ("trim", |to, name| to.add_filter(name, filters::trim)),
    ("upper", |to, name| to.add_filter(name, filters::upper)),
];

const TESTS: [Entry; 6] = [
    ("defined", |to, name| to.add_test(name, tests::is_defined)),
    ("endingwith", |to, name| to.add_test(name, tests::is_endingwith)),
    ("none", |to, name| to.add_test(name, tests::is_none)),
    ("number", |to, name| to.add_test(name, tests::is_number)),
    ("startingwith", |to, name| to.add_test(name, tests::is_startingwith)),
    ("undefined", |to, name| to.add_test(name, tests::is_undefined)),
];

/// Knows the language of a rule's own text and nothing else.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    for (name, add) in FILTERS.into_iter().chain(TESTS) {
        add(&mut environment, name);
    }
    environment
}

pub(super) fn filters() -> impl Iterator<Item = &'static str> {
    FILTERS.into_iter().map(|(name, _)| name)
}

pub(super) fn tests() -> impl Iterator<Item = &'static str> {
    TESTS.into_iter().map(|(name, _)| name)
}

pub(super) fn is_filter(name: &str) -> bool {
    filters().any(|known| known == name)
}

pub(super) fn is_test(name: &str) -> bool {
    tests().any(|known| known == name)
}

pub(super) fn unknown(what: &str, name: &str, known: impl IntoIterator<Item = &'static str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    format!("there is no {what} `{name}`; known are {}", known.join(", "))
}
