//! Text to typed documents, with *all* problems at once.
//!
//! serde stops at the first error. This decoder records that error with its path, prunes the
//! offending part from the tree, and decodes again until nothing is left to report; only a tree
//! without problems yields a value. Pruning loses nothing: serde reads every field that is present
//! before it complains of one that is missing, so by the time an object has to go, all else in it
//! has been reported.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;

use crate::problem::Problems;
use crate::syntax::number_in_yaml_1_2_only;

/// More problems than this in one document are not worth listing.
const MAX_PROBLEMS: usize = 100;

/// Decodes `value` found at `root` (e.g. `spec`), reporting each problem with its path; `None` if there is any.
pub fn decode<T: DeserializeOwned>(root: &str, value: &Value, problems: &mut Problems) -> Option<T> {
    let salvage = salvage(root, value, problems);
    salvage.value.filter(|_| salvage.sound)
}

/// What could be read of a document.
pub struct Salvage<T> {
    /// `None` if nothing could.
    pub value: Option<T>,
    /// Nothing was wrong.
    pub sound: bool,
    /// Nothing that has a meaning had to be left out: at most unknown fields.
    pub whole: bool,
}

/// As [`decode`], but gives what is left of a document with problems, so that more can be said of it.
pub fn salvage<T: DeserializeOwned>(root: &str, value: &Value, problems: &mut Problems) -> Salvage<T> {
    let mut tree = Pruned { tree: value.clone(), kept: HashMap::new(), gone: Vec::new() };
    let mut found = 0;
    let mut whole = true;
    for _ in 0..MAX_PROBLEMS {
        let (path, message) = match attempt::<T>(&tree.tree) {
            Ok(decoded) => return Salvage { value: Some(decoded), sound: found == 0, whole },
            Err(failure) => failure,
        };
        if let Some(number) = number_that_was_meant(&mut tree.tree, &path, &message) {
            *number = json!(number.as_str().and_then(|text| text.parse::<f64>().ok()));
            continue;
        }
        let names = missing_fields::<T>(&mut tree.tree, &path, &message);
        // Nobody's mistake but the pruning's: what was taken out, and an object that this left empty.
        let emptied = find(&mut tree.tree, &path).is_some_and(|value| value.as_object().is_some_and(Map::is_empty));
        let mut report = |path: String, message: &str| {
            let ours =
                |gone: &String| path.starts_with(gone.as_str()) || (emptied && gone.starts_with(&format!("{path}.")));
            if !tree.gone.iter().any(ours) {
                problems.within(root, |p| p.add(&path, message));
                found += 1;
            }
        };
        if names.is_empty() {
            report(original(&tree.kept, &path), &with_remedy(&message));
        }
        for name in names {
            let mut at = path.clone();
            at.push(Step::Key(name));
            report(original(&tree.kept, &at), "is required");
        }
        whole &= message.starts_with("unknown field");
        if !tree.prune(&path) {
            break;
        }
    }
    Salvage { value: None, sound: false, whole: false }
}

/// The text at `path`, where a number is asked for and the text is one to tools of YAML 1.2 alone:
/// `1e3` is read as text, since to others it is.
fn number_that_was_meant<'a>(tree: &'a mut Value, path: &[Step], message: &str) -> Option<&'a mut Value> {
    let asked = message.strip_prefix("invalid type: string ")?.rsplit_once(", expected ")?.1;
    if !["f64", "f32", "u64", "u32", "i64", "i32", "usize"].contains(&asked) {
        return None;
    }
    let text = find(tree, path)?;
    text.as_str().is_some_and(|text| number_in_yaml_1_2_only(text) && text.parse::<f64>().is_ok()).then_some(text)
}

/// What is written plainly and stands for a number or a truth value in YAML, where text is asked for, becomes text
/// in quotes.
fn with_remedy(message: &str) -> String {
    let value = message.strip_suffix(", expected a string").and_then(|found| {
        let of_kind = |kind| found.strip_prefix("invalid type: ")?.strip_prefix(kind)?.strip_prefix(" `");
        ["integer", "floating point", "boolean"].into_iter().find_map(of_kind)?.strip_suffix('`')
    });
    match value {
        Some(value) => format!("{message}: write it in quotes, \"{value}\""),
        None => message.to_owned(),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A tree some parts of which have been taken out.
struct Pruned {
    tree: Value,
    /// Which elements of an array are left, by the array's path in the original.
    kept: HashMap<String, Vec<usize>>,
    /// Original paths of what was taken out.
    gone: Vec<String>,
}

impl Pruned {
    /// Takes out what is at `path`; false if that is the whole document.
    fn prune(&mut self, path: &[Step]) -> bool {
        let Some((last, parent)) = path.split_last() else { return false };
        self.gone.push(original(&self.kept, path));
        match (find(&mut self.tree, parent), last) {
            (Some(Value::Object(object)), Step::Key(key)) if object.contains_key(key) => {
                object.shift_remove(key);
                true
            }
            (Some(Value::Array(array)), Step::Index(index)) if *index < array.len() => {
                let all = (0..array.len()).collect();
                array.remove(*index);
                self.kept.entry(original(&self.kept, parent)).or_insert(all).remove(*index);
                true
            }
            // It is not there any more (a required field pruned before): its parent cannot stand either.
            _ => self.prune(parent),
        }
    }
}

fn attempt<T: DeserializeOwned>(tree: &Value) -> Result<T, (Vec<Step>, String)> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let mut at = Some(tree);
        let mut path = Vec::new();
        for segment in error.path().iter() {
            let step = match segment {
                Segment::Seq { index } => Step::Index(*index),
                Segment::Map { key } => Step::Key(key.clone()),
                Segment::Enum { variant } => Step::Key(variant.clone()),
                Segment::Unknown => continue,
            };
            // A variant written as a plain string has nothing below it.
            if !at.is_some_and(|value| value.is_object() || value.is_array()) {
                break;
            }
            at = at.and_then(|value| match &step {
                Step::Key(key) => value.get(key),
                Step::Index(index) => value.get(index),
            });
            path.push(step);
        }
        (path, error.into_inner().to_string())
    })
}

/// The names of all required fields missing from the object at `path`. serde names the first; the
/// others come out by putting something in its place.
fn missing_fields<T: DeserializeOwned>(tree: &mut Value, path: &[Step], message: &str) -> Vec<String> {
    let named = |message: &str| Some(message.strip_prefix("missing field `")?.split('`').next()?.to_owned());
    let mut names: Vec<String> = named(message).into_iter().collect();
    let mut probe = tree.clone();
    while let Some(name) = names.last().cloned() {
        let next = [json!(""), json!(1), json!([]), json!({}), json!("1m")].into_iter().find_map(|candidate| {
            match find(&mut probe, path)? {
                Value::Object(object) => object.insert(name.clone(), candidate),
                _ => return None,
            };
            let (at, message) = attempt::<T>(&probe).err()?;
            named(&message).filter(|next| at == path && !names.contains(next))
        });
        match next {
            Some(next) => names.push(next),
            None => break,
        }
    }
    names
}

fn find<'a>(tree: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(tree, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

/// Prints `path` with the indices it had before anything was pruned.
fn original(kept: &HashMap<String, Vec<usize>>, path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => {
                let index = kept.get(&text).and_then(|left| left.get(*index)).copied().unwrap_or(*index);
                text.push_str(&format!("[{index}]"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::kinds::alert_rule::Condition;
    use crate::kinds::monitor::MonitorSpec;
    use crate::syntax::parse_yaml;

    fn check(yaml: &str, expected: Expect) {
        let documents = parse_yaml(yaml).expect("valid YAML");
        let mut problems = Problems::new();
        let decoded = decode::<MonitorSpec>("spec", &documents[0], &mut problems);
        let problems = problems.into_vec();
        assert_eq!(decoded.is_none(), !problems.is_empty(), "{problems:?}");
        let lines: Vec<String> = problems.iter().map(|p| format!("{}: {}\n", p.path, p.message)).collect();
        expected.assert_eq(&lines.concat());
    }

    #[test]
    fn reports_everything_at_once() {
        check(
            r#"
type: minutely
sauce: {}
columns:
  - { name: a, pick: { split: { by: ",", index: two, extra: 1 } } }
  - { nmae: b }
  - { name: c, pick: { splitt: {} } }
  - { name: d, pick: { between: { left: 1 } }, number: maybe }
stats: { name: x }
"#,
            expect![[r#"
                spec.type: unknown variant `minutely`, expected one of `minute`, `minute_multi_key`, `second`, `second_multi_key`, `service_metrics`, `minute_top`
                spec.sauce: unknown field `sauce`, expected one of `type`, `app`, `targets`, `source`, `columns`, `filter`, `group_by`, `stats`, `service`, `top`, `limits`, `enabled`
                spec.columns[0].pick.split.index: invalid type: string "two", expected u32
                spec.columns[0].pick.split.extra: unknown field `extra`, expected `by` or `index`
                spec.columns[1].nmae: unknown field `nmae`, expected one of `name`, `pick`, `number`
                spec.columns[1].name: is required
                spec.columns[1].pick: is required
                spec.columns[2].pick: unknown variant `splitt`, expected one of `split`, `between`, `regex`, `json`
                spec.columns[3].pick.between.left: invalid type: integer `1`, expected a string: write it in quotes, "1"
                spec.columns[3].number: invalid type: string "maybe", expected a boolean
                spec.stats: invalid type: map, expected a sequence
            "#]],
        );
    }

    #[test]
    fn what_is_to_be_text_is_to_be_quoted() {
        check(
            r#"
type: minute
app: 007
source: { log: { paths: [ { path: /x.log } ], charset: 1.5 } }
columns: [ { name: true, pick: { between: { left: [], right: null } } } ]
"#,
            expect![[r#"
                spec.source.log.charset: invalid type: floating point `1.5`, expected a string: write it in quotes, "1.5"
                spec.columns[0].name: invalid type: boolean `true`, expected a string: write it in quotes, "true"
                spec.columns[0].pick.between.left: invalid type: sequence, expected a string
                spec.columns[0].pick.between.right: invalid type: null, expected a string
            "#]],
        );
        let condition = "{ field: a, take: { max: 1 }, op: '>', threshold: 1 }";
        let mut problems = Problems::new();
        decode::<Condition>("", &parse_yaml(condition).expect("YAML")[0], &mut problems);
        let told = problems.into_vec().pop().expect("a problem").message;
        assert_eq!(told, "invalid type: integer `1`, expected a length of time such as 30s, 5m, 2h or 7d");
    }

    #[test]
    fn a_number_that_only_some_tools_have_is_one_where_one_is_asked_for() {
        let condition = |threshold: &str| {
            let document = parse_yaml(&format!("{{ field: a, op: '>', threshold: {threshold} }}")).expect("YAML");
            decode::<Condition>("", &document[0], &mut Problems::new()).map(|condition| condition.threshold)
        };
        assert_eq!(condition("1e3"), Some(1000.0));
        assert_eq!(condition("1.0e+3"), Some(1000.0));
        assert_eq!(condition("'10'"), None);
        assert_eq!(condition("high"), None);
    }
}
