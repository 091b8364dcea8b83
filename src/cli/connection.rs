//! Which server, as whom: options over environment over profile file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use nightjar_model::decode::decode;
use nightjar_model::syntax::{parse_settings, problem_lines};
use nightjar_model::{Problem, Problems, Secret};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::password;
use super::refusal::{Refused, Unreachable};

const DEFAULT_SERVER: &str = "http://127.0.0.1:9700";
const DEFAULT_WORKSPACE: &str = "default";

/// Where the server is and who asks. What is not given comes from
/// `~/.config/nightjar/config.yaml` (`server`, `token`, `workspace`, `ca_file`).
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ClientOptions {
    /// Address of the server [default: http://127.0.0.1:9700]
    #[arg(long, env = "NIGHTJAR_SERVER", global = true, value_name = "URL")]
    server: Option<String>,
    /// API token
    #[arg(long, env = "NIGHTJAR_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// Log in as this user instead; the password is asked for, or taken from NIGHTJAR_PASSWORD
    #[arg(long, env = "NIGHTJAR_USER", global = true, value_name = "NAME")]
    as_user: Option<String>,
    /// Workspace [default: default]
    #[arg(long, short = 'w', env = "NIGHTJAR_WORKSPACE", global = true, value_name = "NAME")]
    workspace: Option<String>,
    /// PEM of the authority that signed the server's certificate
    #[arg(long, env = "NIGHTJAR_CA_FILE", global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// `~/.config/nightjar/config.yaml`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Profile {
    server: Option<String>,
    token: Option<Secret>,
    workspace: Option<String>,
    ca_file: Option<PathBuf>,
}

enum Credentials {
    Token(Secret),
    Password { name: String, password: Secret },
    None,
}

pub(super) struct Connection {
    client: reqwest::Client,
    base: String,
    credentials: Credentials,
    pub(super) workspace: String,
}

impl Connection {
    pub(super) fn open(options: ClientOptions) -> anyhow::Result<Self> {
        let profile = Profile::load()?;
        let base = given(options.server).or(profile.server).unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        if !base.starts_with("http://") && !base.starts_with("https://") {
            bail!("--server must start with http:// or https://, not `{base}`");
        }
        let credentials = match (given(options.as_user), given(options.token)) {
            (Some(name), _) => {
                let password = password::existing(&format!("Password of {name}: "))?;
                Credentials::Password { name, password }
            }
            (None, Some(token)) => Credentials::Token(Secret::new(token)),
            (None, None) => profile.token.map_or(Credentials::None, Credentials::Token),
        };
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("nightjar/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120));
        if let Some(file) = options.ca_file.or(profile.ca_file) {
            let pem = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let found = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{} holds no certificates", file.display()))?;
            client = client.tls_certs_merge(found);
        }
        Ok(Self {
            client: client.build().context("cannot set up the HTTP client")?,
            base: base.trim_end_matches('/').to_owned(),
            credentials,
            workspace: given(options.workspace).or(profile.workspace).unwrap_or_else(|| DEFAULT_WORKSPACE.to_owned()),
        })
    }

    /// A request to `/api/v1/{path}`.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}/api/v1/{path}", self.base));
        match &self.credentials {
            Credentials::Token(token) => request.bearer_auth(token.expose()),
            Credentials::Password { name, password } => request.basic_auth(name, Some(password.expose())),
            Credentials::None => request,
        }
    }

    /// A request to `/api/v1/workspaces/{workspace}/{path}`.
    pub(super) fn in_workspace(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, &format!("workspaces/{}/{path}", segment(&self.workspace)))
    }

    /// Sends, and gives back what succeeded.
    ///
    /// # Errors
    /// [`Unreachable`], or [`Refused`] with the server's problems.
    pub(super) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(|error| Unreachable::new(&self.base, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        let refused = Refused::from_body(status.as_u16(), &body);
        if status == reqwest::StatusCode::UNAUTHORIZED && matches!(self.credentials, Credentials::None) {
            return Err(anyhow::Error::new(refused.with_hint(
                "give --token (or NIGHTJAR_TOKEN), --as-user, or write `token:` into ~/.config/nightjar/config.yaml",
            )));
        }
        Err(anyhow::Error::new(refused))
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let bytes = self.send(request).await?.bytes().await.context("the answer broke off")?;
        serde_json::from_slice(&bytes).context("the server answered something unexpected; is it another version?")
    }

    pub(super) async fn text(&self, request: RequestBuilder) -> anyhow::Result<String> {
        self.send(request).await?.text().await.context("the answer broke off")
    }
}

impl Profile {
    fn load() -> anyhow::Result<Self> {
        let folder = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| std::env::home_dir().map(|home| home.join(".config")));
        match folder {
            Some(folder) => Self::read(&folder.join("nightjar/config.yaml")),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(text) => {
                let refused = |problems: Vec<Problem>| {
                    anyhow::anyhow!("{} is not valid:{}", path.display(), problem_lines(&problems))
                };
                let tree = parse_settings(&text).map_err(refused)?;
                let mut problems = Problems::new();
                decode("", &tree, &mut problems).ok_or_else(|| refused(problems.into_vec()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// An empty environment variable is one that is not set.
fn given(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

/// `text` as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_strictly() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.yaml");
        assert!(Profile::read(&file).expect("absent is fine").server.is_none());
        std::fs::write(&file, "server: https://nightjar.example\ntoken: abc\n").expect("written");
        let profile = Profile::read(&file).expect("valid");
        assert_eq!(profile.server.as_deref(), Some("https://nightjar.example"));
        assert_eq!(profile.token.map(|token| token.expose().to_owned()).as_deref(), Some("abc"));
        std::fs::write(&file, "sever: https://nightjar.example\n").expect("written");
        let error = format!("{:#}", Profile::read(&file).expect_err("misspelt"));
        assert!(error.contains("unknown field `sever`"), "{error}");
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        assert_eq!(segment("a/../b c"), "a%2F..%2Fb%20c");
    }
}
