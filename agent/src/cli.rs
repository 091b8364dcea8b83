//! The command line. Every option of `run` is also an environment variable; a token belongs there or
//! in a file, where other users of the host do not see it.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use nightjar_model::decode::decode;
use nightjar_model::syntax::{parse_settings, problem_lines};
use nightjar_model::{Problem, Problems, Secret, Span};
use tracing_subscriber::EnvFilter;

use crate::config::AgentConfig;
use crate::scan::ScanArgs;

/// Turns log lines into exact figures and sends them to a Nightjar server.
#[derive(Debug, Parser)]
#[command(name = "nightjar-agent", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Collect what the server's monitors ask for, until stopped.
    Run(RunArgs),
    /// Sign off for good: send what is left, and have the server remove this agent. It must not be running.
    Leave(RunArgs),
    /// Apply a monitor to log files, once, and print the figures. Needs no server.
    Scan(ScanArgs),
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// YAML file with any of these settings; options given here win.
    #[arg(long, env = "NIGHTJAR_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's address for agents: `http://host:9701` or `https://…`.
    #[arg(long, env = "NIGHTJAR_AGENT_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Enrolment token, needed for the first start only.
    #[arg(long, env = "NIGHTJAR_AGENT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// File that holds the enrolment token.
    #[arg(long, env = "NIGHTJAR_AGENT_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Where the agent keeps its identity, its journal and its configuration.
    #[arg(long, env = "NIGHTJAR_AGENT_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A label such as `app=trade`; may be given several times.
    #[arg(long = "label", env = "NIGHTJAR_AGENT_LABELS", value_name = "K=V", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,
    /// PEM file with the certificate that the server's must descend from.
    #[arg(long, env = "NIGHTJAR_AGENT_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// SHA-256 of the server's certificate; exactly this one is trusted.
    #[arg(long, env = "NIGHTJAR_AGENT_FINGERPRINT", value_name = "HEX")]
    fingerprint: Option<String>,
    /// Size of the journal at which reading pauses until the server is back.
    #[arg(long, env = "NIGHTJAR_AGENT_JOURNAL_LIMIT_BYTES", value_name = "BYTES")]
    journal_limit_bytes: Option<u64>,
    /// How often counted figures are written down and sent.
    #[arg(long, env = "NIGHTJAR_AGENT_FLUSH_INTERVAL", value_name = "SPAN", value_parser = span)]
    flush_interval: Option<Span>,
    /// `error`, `warn`, `info`, `debug`, or a filter of `tracing`.
    #[arg(long, env = "NIGHTJAR_AGENT_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is written key=value")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).ok_or_else(|| "a length of time is written as 500ms, 2s or 1m".to_owned())
}

impl RunArgs {
    /// # Errors
    /// A filter that cannot be read.
    pub fn log_filter(&self) -> anyhow::Result<EnvFilter> {
        EnvFilter::try_new(&self.log).with_context(|| format!("--log: `{}` is not a level or filter", self.log))
    }

    /// The settings of the file, if there is one, with those given here over them.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn into_config(self) -> anyhow::Result<AgentConfig> {
        let mut config = match &self.config {
            Some(path) => {
                let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                settings(&text).map_err(|problems| {
                    anyhow::anyhow!("{} is not valid:{}", path.display(), problem_lines(&problems))
                })?
            }
            None => AgentConfig::default(),
        };
        if let Some(path) = &self.token_file {
            let token = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            config.token = Some(Secret::new(token.trim()));
        }
        set(&mut config.server, self.server);
        set(&mut config.data_dir, self.data_dir);
        set(&mut config.journal_limit_bytes, self.journal_limit_bytes);
        set(&mut config.flush_interval, self.flush_interval);
        config.token = self.token.map(Secret::new).or(config.token).filter(|token| !token.is_empty());
        config.ca_file = self.ca_file.or(config.ca_file);
        config.fingerprint = self.fingerprint.or(config.fingerprint);
        config.labels.extend(self.labels);
        Ok(config)
    }
}

fn settings(text: &[u8]) -> Result<AgentConfig, Vec<Problem>> {
    let tree = parse_settings(text)?;
    let mut problems = Problems::new();
    decode("", &tree, &mut problems).ok_or_else(|| problems.into_vec())
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(args: &[&str]) -> anyhow::Result<AgentConfig> {
        let cli = Cli::try_parse_from([&["nightjar-agent", "run"], args].concat())?;
        let Command::Run(args) = cli.command else { panic!("not `run`") };
        args.into_config()
    }

    #[test]
    fn options_win_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (file, token) = (dir.path().join("agent.yaml"), dir.path().join("token"));
        std::fs::write(&file, "server: http://a:9701\nlabels: { app: trade, env: pre }\nflush_interval: 5s\n").unwrap();
        std::fs::write(&token, "secret\n").unwrap();
        let (file, token) = (file.to_string_lossy(), token.to_string_lossy());
        let given =
            config(&["--config", &file, "--server", "http://b:9701", "--label", "env=prod", "--token-file", &token]);
        let given = given.unwrap();
        assert_eq!(given.server, "http://b:9701");
        assert_eq!(given.labels, [("app".into(), "trade".into()), ("env".into(), "prod".into())].into());
        assert_eq!(given.flush_interval, Span::from_secs(5));
        assert_eq!(given.token.unwrap().expose(), "secret");
    }

    #[test]
    fn mistakes_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.yaml");
        std::fs::write(&file, "sever: http://a:9701\n").unwrap();
        let error = format!("{:#}", config(&["--config", &file.to_string_lossy()]).unwrap_err());
        assert!(error.contains("sever"), "{error}");
        std::fs::write(&file, "\u{feff}server: http://a:9701\nlabels: { app: a }\nlabels: { app: b }\n").unwrap();
        let error = format!("{:#}", config(&["--config", &file.to_string_lossy()]).unwrap_err());
        assert!(error.contains("`labels` is there twice, in line 2 and in line 3"), "{error}");
        assert!(config(&["--label", "app"]).is_err());
        assert!(config(&["--flush-interval", "soon"]).is_err());
    }
}
