//! Who this agent is: the id and key that enrolment gave it, and the lock that keeps the data
//! directory to one agent.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nightjar_model::Secret;
use nightjar_model::names::AgentId;
use serde::{Deserialize, Serialize};

use crate::durable::write_whole;
use crate::error::AgentError;

const FILE: &str = "identity.json";

#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) id: AgentId,
    pub(crate) workspace: String,
    pub(crate) key: Secret,
}

/// As it lies on disk, where alone the key is in clear.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    workspace: String,
    key: String,
    /// Where it was enrolled. Two hosts made from one image must not pass for one agent: the server would
    /// take the records of the second for repeats of the first's.
    #[serde(default)]
    machine: Option<String>,
}

/// What tells this host from its clones; `None` where it has no such file.
fn this_machine() -> Option<String> {
    let text = fs::read_to_string("/etc/machine-id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

impl Identity {
    /// # Errors
    /// `Identity` for a file that is there and not understood; `Copied`; `DataDir`.
    pub(crate) fn load(data_dir: &Path) -> Result<Option<Self>, AgentError> {
        Self::load_on(this_machine().as_deref(), data_dir)
    }

    fn load_on(machine: Option<&str>, data_dir: &Path) -> Result<Option<Self>, AgentError> {
        let path = data_dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(AgentError::DataDir { path, source }),
        };
        match serde_json::from_slice::<Stored>(&text) {
            Ok(stored) if stored.machine.is_some() && machine.is_some() && stored.machine.as_deref() != machine => {
                Err(AgentError::Copied { path: data_dir.to_owned() })
            }
            Ok(Stored { id, workspace, key, .. }) => {
                Ok(Some(Self { id: AgentId(id), workspace, key: Secret::new(key) }))
            }
            // The text of such an error may quote the key.
            Err(error) => {
                let reason = format!("not the JSON of an identity (line {})", error.line());
                Err(AgentError::Identity { path, reason })
            }
        }
    }

    /// # Errors
    /// `DataDir`.
    pub(crate) fn forget(data_dir: &Path) -> Result<(), AgentError> {
        let path = data_dir.join(FILE);
        fs::remove_file(&path).map_err(|source| AgentError::DataDir { path, source })
    }

    pub(crate) fn save(&self, data_dir: &Path) -> Result<(), AgentError> {
        let stored = Stored {
            id: self.id.0.clone(),
            workspace: self.workspace.clone(),
            key: self.key.expose().to_owned(),
            machine: this_machine(),
        };
        let path = data_dir.join(FILE);
        serde_json::to_vec(&stored)
            .map_err(io::Error::from)
            .and_then(|text| write_whole(&path, &text))
            .map_err(|source| AgentError::DataDir { path, source })
    }
}

/// Held while an agent uses a data directory; the kernel lets go of it however the agent ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "held for its lock")] File);

impl DirectoryLock {
    /// Makes the directory if need be.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, AgentError> {
        let fail = |source| AgentError::DataDir { path: data_dir.to_path_buf(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(fail)?;
        let path = data_dir.join("lock");
        let file = File::options().create(true).write(true).truncate(false).mode(0o600).open(path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(AgentError::Locked { path: data_dir.to_path_buf() }),
            Err(TryLockError::Error(source)) => Err(fail(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_kept_for_the_agents_user_only() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Identity::load(dir.path()).unwrap().is_none());
        let identity = Identity { id: AgentId("a-1".into()), workspace: "w".into(), key: Secret::new("hidden") };
        identity.save(dir.path()).unwrap();
        let loaded = Identity::load(dir.path()).unwrap().unwrap();
        assert_eq!((loaded.id, loaded.key.expose()), (AgentId("a-1".into()), "hidden"));
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_copied_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let stored = r#"{"id":"a","workspace":"w","key":"hidden","machine":"here"}"#;
        fs::write(dir.path().join(FILE), stored).unwrap();
        assert!(Identity::load_on(Some("here"), dir.path()).unwrap().is_some());
        assert!(Identity::load_on(None, dir.path()).unwrap().is_some(), "a host that cannot tell");
        let error = Identity::load_on(Some("there"), dir.path()).unwrap_err().to_string();
        assert!(error.contains("another machine") && error.contains("anew"), "{error}");
    }

    #[test]
    fn a_damaged_one_is_told_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), r#"{"id":"a","workspace":"w","key":["hidden"]}"#).unwrap();
        let error = Identity::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("enrol anew") && !error.contains("hidden"), "{error}");
    }

    #[test]
    fn one_agent_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::take(dir.path()).unwrap();
        assert!(matches!(DirectoryLock::take(dir.path()), Err(AgentError::Locked { .. })));
        drop(lock);
        DirectoryLock::take(dir.path()).unwrap();
    }
}
