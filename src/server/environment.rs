//! Settings from the environment: `NIGHTJAR_ENGINE_RETENTION=9d` is `engine.retention`; two underscores
//! go one level deeper, `NIGHTJAR_WEB_TLS__CERT` is `web.tls.cert`. Lists and mappings are written as
//! YAML. A variable that names no setting is a problem, so that a slip of the pen is not passed over.

use nightjar_model::Problems;
use nightjar_model::decode::decode;
use nightjar_model::syntax::parse_yaml;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::config::SECTIONS;

/// A setting taken from the environment.
pub(super) struct Given {
    path: Vec<String>,
    text: String,
}

/// Puts the variables that are settings into the tree.
pub(super) fn overlay(
    tree: &mut Value,
    variables: impl Iterator<Item = (String, String)>,
    problems: &mut Problems,
) -> Vec<Given> {
    let mut given = Vec::new();
    for (name, text) in variables {
        let Some(path) = setting(&name) else { continue };
        let value = match parse_yaml(&text) {
            Ok(mut documents) if documents.len() == 1 => documents.remove(0),
            _ => Value::String(text.clone()),
        };
        match place(tree, &path) {
            Some(slot) => *slot = value,
            None => problems.add(path.join("."), format!("{name} is set, but the file has no mapping there")),
        }
        given.push(Given { path, text });
    }
    given
}

/// `store.url=7` is text although YAML takes it for a number: where the value as YAML has it does not
/// fit and the text as it stands does, it is the text.
pub(super) fn settle<T: DeserializeOwned>(tree: &mut Value, given: &[Given]) {
    for setting in given {
        let path = setting.path.join(".");
        let fits = |tree: &Value| {
            let mut problems = Problems::new();
            decode::<T>("", tree, &mut problems);
            !problems.into_vec().iter().any(|problem| problem.path == path)
        };
        if fits(tree) {
            continue;
        }
        let mut as_text = tree.clone();
        if let Some(slot) = place(&mut as_text, &setting.path) {
            *slot = Value::String(setting.text.clone());
        }
        if fits(&as_text) {
            *tree = as_text;
        }
    }
}

/// The path a variable's name stands for, if it is a setting of a room. `data_dir`, `http` and `agents`
/// are flags too, and read with them.
fn setting(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix("NIGHTJAR_")?.to_ascii_lowercase();
    let (section, field) = rest.split_once('_')?;
    if !SECTIONS.contains(&section) || field.is_empty() {
        return None;
    }
    Some(std::iter::once(section).chain(field.split("__")).map(str::to_owned).collect())
}

fn place<'a>(tree: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(tree, |at, step| {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        Some(at.as_object_mut()?.entry(step).or_insert(Value::Null))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_paths() {
        let path = |name: &str| setting(name).map(|path| path.join("."));
        assert_eq!(path("NIGHTJAR_ENGINE_QUERY_THREADS").as_deref(), Some("engine.query_threads"));
        assert_eq!(path("NIGHTJAR_WEB_TLS__CERT").as_deref(), Some("web.tls.cert"));
        for other in ["NIGHTJAR_HTTP", "NIGHTJAR_ADMIN_PASSWORD", "NIGHTJAR_SERVER", "NIGHTJAR_WEB_", "ENGINE_X"] {
            assert_eq!(path(other), None, "{other}");
        }
    }

    #[test]
    fn values_are_yaml_and_go_deep() {
        let mut tree = json!({ "web": { "max_requests": 1 } });
        let variables = [
            ("NIGHTJAR_WEB_TLS__CERT", "/a.pem"),
            ("NIGHTJAR_WEB_TRUSTED_PROXIES", "[10.0.0.0/8]"),
            ("NIGHTJAR_ENGINE_QUERY_THREADS", "3"),
        ];
        let mut problems = Problems::new();
        overlay(&mut tree, variables.map(|(n, v)| (n.to_owned(), v.to_owned())).into_iter(), &mut problems);
        assert!(problems.is_empty());
        let expected = json!({
            "web": { "max_requests": 1, "tls": { "cert": "/a.pem" }, "trusted_proxies": ["10.0.0.0/8"] },
            "engine": { "query_threads": 3 },
        });
        assert_eq!(tree, expected);
    }
}
