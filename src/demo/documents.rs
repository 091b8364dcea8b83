//! The documents of the demo: the repository's own examples, with the addresses of the local stand-ins
//! and the sample application's log put in.

use std::path::Path;

use anyhow::{Context, Result};
use nightjar_model::syntax::{parse_yaml, problem_lines};
use serde_json::{Value, json};

use super::sinks::{Keys, Sinks};

const TRADE: &str = include_str!("../../examples/trade.yaml");
const PEOPLE: &str = include_str!("../../examples/people.yaml");

pub(super) fn all(log: &Path, sinks: &Sinks, keys: &Keys) -> Result<Value> {
    let mut documents = Vec::new();
    for text in [TRADE, PEOPLE] {
        let parsed = parse_yaml(text)
            .map_err(|problems| anyhow::anyhow!("an example is no YAML:{}", problem_lines(&problems)))?;
        documents.extend(parsed.into_iter().filter(wanted));
    }
    for document in &mut documents {
        let kind = document["kind"].as_str().unwrap_or_default().to_owned();
        let spec = document.get_mut("spec").context("an example without a spec")?;
        match kind.as_str() {
            "Monitor" => spec["source"]["log"]["paths"] = json!([{ "path": log }]),
            "DingtalkRobot" => {
                spec["url"] = json!(sinks.dingtalk_url());
                spec["secret"] = json!(keys.dingtalk_secret);
                spec["keywords"] = json!([keys.dingtalk_keyword]);
            }
            "Webhook" => {
                spec["url"] = json!(sinks.webhook_url());
                spec["secret_key"] = json!(keys.webhook_secret);
            }
            "EmailServer" => {
                let from = "Nightjar <nightjar@example.com>";
                *spec = json!({ "host": "127.0.0.1", "port": sinks.smtp_port(), "tls": "none", "from": from });
            }
            _ => {}
        }
    }
    Ok(Value::Array(documents))
}

/// The toll station does not play in this piece.
fn wanted(document: &Value) -> bool {
    document["metadata"]["name"] != "toll-oncall"
}
