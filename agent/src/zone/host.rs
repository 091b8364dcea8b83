//! The host's own zone, found as glibc finds it for `date` (`tzset(3)`): `TZ`, else /etc/localtime. Where libc
//! falls back to UTC for want of data or understanding, the zone counts as not known instead: other programs
//! on the host, with data of their own, may well write their logs by what was meant.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Zone;

/// Where zone files are, and the host's own.
const ZONEINFO: &str = "/usr/share/zoneinfo";
const LOCALTIME: &str = "/etc/localtime";
const TIMEZONE: &str = "/etc/timezone";

/// The largest zone files have a few kilobytes.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// What is said about a zone is cut here: it travels as a fact of the agent.
const MAX_SAID_BYTES: usize = 200;

/// What these names stand for is known without a file.
const UTC_NAMES: [&str; 11] =
    ["UTC", "UTC0", "UCT", "GMT", "GMT0", "Zulu", "Universal", "Etc/UTC", "Etc/GMT", "Etc/UCT", "Etc/Universal"];

/// Without rules of its own, a zone with daylight saving time changes as the United States do.
const DEFAULT_RULES: &str = ",M3.2.0,M11.1.0";

/// The zone of times that name none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostZone {
    /// As the host names it; empty where it is not known.
    pub name: String,
    /// Or why it is not known.
    pub zone: Result<Zone, String>,
}

impl HostZone {
    /// By this process's environment and this machine's files.
    pub fn of_this_machine() -> Self {
        let places = Places {
            tz: std::env::var_os("TZ"),
            zoneinfo: std::env::var_os("TZDIR").map_or_else(|| ZONEINFO.into(), PathBuf::from),
            localtime: LOCALTIME.into(),
            timezone: TIMEZONE.into(),
        };
        places.find()
    }

    /// As of this machine, with `TZ` so.
    #[cfg(test)]
    pub(crate) fn by_variable(tz: &str) -> Self {
        let places = Places {
            tz: Some(tz.into()),
            zoneinfo: ZONEINFO.into(),
            localtime: LOCALTIME.into(),
            timezone: TIMEZONE.into(),
        };
        places.find()
    }

    /// A zone of the IANA database.
    pub fn named(name: &str) -> Self {
        let zone = Zone::iana(name).ok_or_else(|| format!("`{name}` is not an IANA time zone"));
        Self { name: name.to_owned(), zone }
    }

    fn known(name: impl Into<String>, zone: Zone) -> Self {
        let mut name = name.into();
        name.truncate(name.floor_char_boundary(MAX_SAID_BYTES));
        Self { name, zone: Ok(zone) }
    }

    fn utc() -> Self {
        Self::known("UTC", chrono_tz::UTC.into())
    }

    fn unknown(mut why: String) -> Self {
        why.truncate(why.floor_char_boundary(MAX_SAID_BYTES));
        Self { name: String::new(), zone: Err(why) }
    }

    /// Why it is not known.
    pub fn problem(&self) -> Option<&str> {
        self.zone.as_ref().err().map(String::as_str)
    }
}

/// What says which zone it is.
struct Places {
    tz: Option<OsString>,
    zoneinfo: PathBuf,
    localtime: PathBuf,
    timezone: PathBuf,
}

impl Places {
    fn find(&self) -> HostZone {
        match &self.tz {
            None => self.local_file(),
            Some(tz) => self.variable(tz),
        }
    }

    fn variable(&self, tz: &OsStr) -> HostZone {
        let bytes = tz.as_encoded_bytes();
        let bytes = bytes.strip_prefix(b":").unwrap_or(bytes);
        if bytes.is_empty() {
            return HostZone::utc();
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return HostZone::unknown(format!("TZ={} is not text", tz.to_string_lossy()));
        };
        // An absolute path replaces the folder.
        let path = self.zoneinfo.join(text);
        let file = read(&path);
        match &file {
            Ok(content) => {
                if let Some(zone) = Zone::tzif(content) {
                    return HostZone::known(text, zone);
                }
            }
            Err(_) if UTC_NAMES.contains(&text) => return HostZone::utc(),
            Err(_) => {}
        }
        if let Some(zone) = rule(text) {
            return HostZone::known(text, zone);
        }
        let why = match file {
            Ok(_) => "is not a time zone file that can be used".to_owned(),
            Err(error) => said(&error),
        };
        HostZone::unknown(format!("TZ={text} is no rule, and {} {why}", path.display()))
    }

    fn local_file(&self) -> HostZone {
        let path = self.localtime.display();
        match read(&self.localtime) {
            Ok(content) => match Zone::tzif(&content) {
                Some(zone) => HostZone::known(self.name_of(&content), zone),
                None => HostZone::unknown(format!("{path} is not a time zone file that can be used")),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.localtime.is_symlink() => {
                match self.written_name() {
                    Some(name) if !UTC_NAMES.contains(&name.as_str()) => HostZone::unknown(format!(
                        "there is no {path}, by which programs would take UTC, while {} says {name}",
                        self.timezone.display()
                    )),
                    _ => HostZone::utc(),
                }
            }
            Err(error) => {
                let target = std::fs::read_link(&self.localtime).unwrap_or_default();
                let leads = if target.as_os_str().is_empty() {
                    String::new()
                } else {
                    format!(" leads to {}, which", target.display())
                };
                HostZone::unknown(format!("{path}{leads} {}; is tzdata installed?", said(&error)))
            }
        }
    }

    /// What the file at /etc/localtime goes by: the name that the link leads to, or the one written beside
    /// it if that stands for the same file, else the path.
    fn name_of(&self, content: &[u8]) -> String {
        let real = std::fs::canonicalize(&self.localtime).unwrap_or_default();
        let root = std::fs::canonicalize(&self.zoneinfo).unwrap_or_else(|_| self.zoneinfo.clone());
        let linked = std::fs::read_link(&self.localtime).ok();
        let below = |path: &Path, root: &Path| Some(path.strip_prefix(root).ok()?.to_str()?.to_owned());
        let by_link = linked.as_deref().and_then(|path| below(path, &self.zoneinfo)).or_else(|| below(&real, &root));
        let by_file = || {
            let name = self.written_name()?;
            let same = read(&self.zoneinfo.join(&name)).is_ok_and(|other| other == content);
            same.then_some(name)
        };
        by_link.or_else(by_file).unwrap_or_else(|| self.localtime.display().to_string())
    }

    /// What Debian and its kin write beside /etc/localtime.
    fn written_name(&self) -> Option<String> {
        let content = read(&self.timezone).ok()?;
        let name = std::str::from_utf8(&content).ok()?.lines().map(str::trim).find(|line| !line.is_empty())?;
        Some(name.to_owned())
    }
}

/// A rule of POSIX, daylight saving time without rules included.
fn rule(text: &str) -> Option<Zone> {
    // Without a `,` a rule may still lack what jiff asks for.
    Zone::posix(text).or_else(|| Zone::posix(&format!("{}{DEFAULT_RULES}", text.trim_end_matches(','))))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a FIFO would wait for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is not there".to_owned(),
        io::ErrorKind::InvalidInput => "is not a file".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests;
