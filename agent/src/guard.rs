//! What the agent never reads for anybody, even where its user could: its own secrets, and what the
//! kernel shows as files (another process's environment is not a log).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Default)]
pub struct Guard {
    own: Option<PathBuf>,
}

impl Guard {
    pub fn new(data_dir: &Path) -> Self {
        Self { own: data_dir.canonicalize().ok() }
    }

    /// # Errors
    /// `PermissionDenied` for what is never read; what `canonicalize` says for what is not there.
    pub fn check(&self, path: &Path) -> io::Result<()> {
        self.judge(&path.canonicalize()?)
    }

    /// Of an open file, which may have been renamed since, or may never have been what its name
    /// stood for a moment earlier.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_open(&self, file: &File, path: &Path) -> io::Result<()> {
        let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.judge(&real.or_else(|_| path.canonicalize())?)
    }

    fn judge(&self, real: &Path) -> io::Result<()> {
        let kernel = ["/proc", "/sys", "/dev"].iter().any(|place| real.starts_with(place));
        let own = self.own.as_ref().is_some_and(|own| real.starts_with(own));
        if kernel || own {
            let what = if own { "the agent's own data" } else { "not a log file" };
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it is {what}, which is never read")));
        }
        Ok(())
    }
}
