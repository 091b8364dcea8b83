//! Directories that last: one that was made is known to its parent on disk.

use std::fs::{self, File};
use std::path::Path;

use crate::error::{EngineError, Result};

/// Makes `path` and what is missing above it. When it returns they survive a power failure.
pub(crate) fn make(path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).collect();
    fs::create_dir_all(path).map_err(EngineError::io("make", path))?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(EngineError::io("sync", parent))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_made_and_what_is_there_left() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a/b/c");
        make(&path).expect("made");
        fs::write(path.join("file"), b"x").expect("written");
        make(&path).expect("there already");
        assert!(path.join("file").exists());
        assert!(make(&path.join("file/d")).is_err());
    }
}
