//! The whole configuration: made of each room's own, read from a file, the environment and flags, in
//! that order of precedence from low to high. All problems are reported at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nightjar_alerting::AlertingConfig;
use nightjar_collector::CollectorConfig;
use nightjar_engine::EngineConfig;
use nightjar_model::decode::salvage;
use nightjar_model::syntax::{parse_settings, problem_lines};
use nightjar_model::{Problem, Problems};
use nightjar_store::StoreConfig;
use nightjar_web::WebConfig;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::environment;

/// Where the configuration comes from.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct ConfigArgs {
    /// Settings in YAML.
    #[arg(long, env = "NIGHTJAR_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is kept; made if it is not there. [default: data]
    #[arg(long, env = "NIGHTJAR_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the console and the API listen. [default: 127.0.0.1:9700]
    #[arg(long, env = "NIGHTJAR_HTTP", value_name = "ADDRESS")]
    pub(crate) http: Option<SocketAddr>,
    /// Where agents connect. [default: 127.0.0.1:9701]
    #[arg(long, env = "NIGHTJAR_AGENTS", value_name = "ADDRESS")]
    pub(crate) agents: Option<SocketAddr>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// The configuration, resolved and valid.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) agents: SocketAddr,
    pub(crate) log: LogConfig,
    pub(crate) store: StoreConfig,
    pub(crate) engine: EngineConfig,
    pub(crate) collector: CollectorConfig,
    pub(crate) alerting: AlertingConfig,
    pub(crate) web: WebConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    /// As `RUST_LOG` has it: `info`, `info,nightjar_engine=debug`.
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Where a server's data is.
pub(crate) struct BackupPaths {
    pub(crate) data_dir: PathBuf,
    pub(crate) engine: PathBuf,
    pub(crate) store: StoreConfig,
    /// The store's file, unless it is in PostgreSQL.
    pub(crate) database: Option<PathBuf>,
    /// The key of the secrets, unless it is a setting.
    pub(crate) key: Option<PathBuf>,
}

impl BackupPaths {
    pub(crate) fn load(args: &ConfigArgs) -> Result<Self> {
        let config = Config::load(args)?;
        let database = match &config.store.url {
            None => Some(config.store.data_dir.join(nightjar_store::DATABASE)),
            Some(url) => url.expose().strip_prefix("sqlite:").map(|rest| {
                let path = rest.split('?').next().unwrap_or(rest);
                PathBuf::from(path.trim_start_matches("//"))
            }),
        };
        let key = nightjar_store::key_file(&config.store);
        Ok(Self { data_dir: config.data_dir, engine: config.engine.data_dir, store: config.store, database, key })
    }
}

/// Parts of the configuration that are a room's own.
pub(super) const SECTIONS: [&str; 6] = ["log", "store", "engine", "collector", "alerting", "web"];

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            http: SocketAddr::from(([127, 0, 0, 1], 9700)),
            agents: SocketAddr::from(([127, 0, 0, 1], 9701)),
            log: LogConfig::default(),
            store: StoreConfig::default(),
            engine: EngineConfig::default(),
            collector: CollectorConfig::default(),
            alerting: AlertingConfig::default(),
            web: WebConfig::default(),
        }
    }
}

impl Config {
    /// # Errors
    /// Every problem of the settings, each with its path.
    pub(crate) fn load(args: &ConfigArgs) -> Result<Self> {
        let tree = match &args.config {
            Some(file) => read_file(file)?,
            None => Value::Object(Map::new()),
        };
        Self::resolve(tree, args, std::env::vars()).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(|p| format!("  {}: {}", p.path, p.message)).collect();
            anyhow::anyhow!("the configuration is not valid:\n{}", lines.join("\n"))
        })
    }

    fn resolve(
        mut tree: Value,
        args: &ConfigArgs,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new();
        let given = environment::overlay(&mut tree, environment, &mut problems);
        if let Some(root) = tree.as_object_mut() {
            let text = |path: &Path| json!(path.to_string_lossy());
            let flags = [
                ("data_dir", args.data_dir.as_deref().map(text)),
                ("http", args.http.map(|address| json!(address.to_string()))),
                ("agents", args.agents.map(|address| json!(address.to_string()))),
            ];
            root.extend(flags.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
            place_rooms(root);
        }
        environment::settle::<Self>(&mut tree, &given);
        let decoded = salvage::<Self>("", &tree, &mut problems);
        if let Some(config) = &decoded.value {
            config.validate(&mut problems);
        }
        match (decoded.value, problems.into_vec()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    fn validate(&self, problems: &mut Problems) {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log.filter) {
            problems.add("log.filter", error.to_string());
        }
        if self.http == self.agents && self.http.port() != 0 {
            problems.add("agents", "must be another address than `http`");
        }
        problems.within("store", |p| self.store.validate(p));
        problems.within("engine", |p| self.engine.validate(p));
        problems.within("collector", |p| self.collector.validate(p));
        problems.within("alerting", |p| self.alerting.validate(p));
        problems.within("web", |p| self.web.validate(p));
    }
}

/// Rooms keep what they have under the one data directory, and messages link to where people reach the
/// console, unless told otherwise.
fn place_rooms(root: &mut Map<String, Value>) {
    if let Some(url) = root.get("web").and_then(|web| web.get("public_url")).cloned() {
        let alerting = root.entry("alerting").or_insert_with(|| Value::Object(Map::new()));
        if let Some(alerting) = alerting.as_object_mut() {
            let own = alerting.entry("external_url").or_insert(Value::Null);
            if own.is_null() {
                *own = url;
            }
        }
    }
    let base = root.get("data_dir").and_then(Value::as_str).unwrap_or("data").to_owned();
    let base = Path::new(&base);
    for (room, folder) in [("store", base.to_owned()), ("engine", base.join("engine"))] {
        let section = root.entry(room).or_insert_with(|| Value::Object(Map::new()));
        if let Some(section) = section.as_object_mut() {
            section.entry("data_dir").or_insert_with(|| json!(folder.to_string_lossy()));
        }
    }
}

fn read_file(file: &Path) -> Result<Value> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse_settings(&text)
        .map_err(|problems| anyhow::anyhow!("{} is not valid:{}", file.display(), problem_lines(&problems)))
}

#[cfg(test)]
mod tests {
    use nightjar_model::syntax::parse_yaml;

    use super::*;

    fn resolve(yaml: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let tree = parse_yaml(yaml).unwrap().pop().unwrap_or_else(|| json!({}));
        let variables = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::resolve(tree, &ConfigArgs::default(), variables)
            .map_err(|problems| problems.into_iter().map(|p| p.path).collect())
    }

    #[test]
    fn everything_has_a_default() {
        let config = resolve("", &[]).unwrap();
        assert_eq!(config.http.to_string(), "127.0.0.1:9700");
        assert_eq!(config.engine.data_dir, Path::new("data/engine"));
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = resolve(
            "data_dir: /a\nengine: { retention: 7d }\nweb: { max_requests: 5 }",
            &[("NIGHTJAR_ENGINE_RETENTION", "9d"), ("NIGHTJAR_LOG_FORMAT", "json"), ("NIGHTJAR_STORE_URL", "sqlite:7")],
        )
        .unwrap();
        assert_eq!(config.engine.retention.to_string(), "9d");
        assert_eq!(config.web.max_requests, 5);
        assert_eq!(config.log.format, LogFormat::Json);
        assert_eq!(config.store.data_dir, Path::new("/a"));
        assert_eq!(config.engine.data_dir, Path::new("/a/engine"));
        assert_eq!(config.alerting.external_url, None);
    }

    #[test]
    fn messages_link_to_where_people_reach_the_server() {
        for (alerting, expected) in [
            ("{}", "https://n.example.com"),
            ("{ external_url: null }", "https://n.example.com"),
            ("{ external_url: 'https://own.example.com' }", "https://own.example.com"),
        ] {
            let yaml = format!("web: {{ public_url: 'https://n.example.com' }}\nalerting: {alerting}");
            let config = resolve(&yaml, &[]).unwrap();
            assert_eq!(config.alerting.external_url.as_deref(), Some(expected), "{alerting}");
        }
        let config = resolve("web: { public_url: 'https://n.example.com' }", &[]).unwrap();
        assert_eq!(config.alerting.external_url.as_deref(), Some("https://n.example.com"));
    }

    #[test]
    fn flags_win_over_all() {
        let args = ConfigArgs { http: Some(([127, 0, 0, 1], 1).into()), ..ConfigArgs::default() };
        let config = Config::resolve(json!({ "http": "127.0.0.1:2" }), &args, std::iter::empty()).unwrap();
        assert_eq!(config.http.port(), 1);
    }

    #[test]
    fn every_problem_is_told() {
        let problems = resolve(
            "htp: 1\nengine: { retentoin: 7d, query_threads: many }\nlog: { filter: '=,=' }",
            &[("NIGHTJAR_WEB_MAX_REQUESTS", "lots")],
        )
        .unwrap_err();
        for path in ["htp", "engine.retentoin", "engine.query_threads", "web.max_requests", "log.filter"] {
            assert!(problems.iter().any(|p| p == path), "{path} is not among {problems:?}");
        }
        let problems = resolve("engine: { query_threads: 0 }\ncollector: { max_sessions: 0 }", &[]).unwrap_err();
        assert_eq!(problems, ["engine.query_threads", "collector.max_sessions"]);
    }
}
