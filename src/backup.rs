//! `nightjar backup` and `nightjar restore`: a server's data as of one moment, taken while it runs.
//!
//! A backup is a directory, or a `.tar` of one: `backup.json` names every file with its length and checksum;
//! `store/` and `engine/` are as in a data directory. The store is copied first: what it knows of figures, the
//! engine then has.

mod contents;
mod put_back;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nightjar_model::{Clock, SystemClock};

use crate::server::{BackupPaths, ConfigArgs, DataDirLock};
use contents::Contents;
use put_back::Target;
pub(crate) use put_back::check_finished;

#[derive(clap::Args, Debug)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Leave the key of the secrets out: without it, a restored server does not start. Keep it elsewhere.
    #[arg(long)]
    without_key: bool,
    /// Directory to make, or file ending in `.tar`. It must not be there yet.
    #[arg(value_name = "DIR|FILE.tar")]
    into: PathBuf,
}

#[derive(clap::Args, Debug)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Put what is in the data directory aside instead of refusing to replace it.
    #[arg(long)]
    replace: bool,
    /// What `nightjar backup` made.
    #[arg(value_name = "DIR|FILE.tar")]
    from: PathBuf,
}

/// Copies what a server has, running or not.
pub(crate) async fn backup(args: BackupArgs) -> Result<()> {
    let paths = BackupPaths::load(&args.config)?;
    let into = &args.into;
    if into.exists() {
        bail!("{} is there already: name another one", into.display());
    }
    refuse_name(into)?;
    refuse_within(into, &paths.engine)?;
    check_finished(&paths.data_dir)?;
    if let Some(database) = paths.database.as_ref().filter(|database| !database.exists()) {
        bail!("there is no server's data: {} is not there. Is --data-dir right?", database.display());
    }
    let (directory, archive) =
        if is_archive(into) { (beside(into, "partial"), Some(into)) } else { (into.clone(), None) };
    if archive.is_some() && directory.exists() {
        // Of one that was killed.
        fs::remove_dir_all(&directory).with_context(|| format!("cannot delete {}", directory.display()))?;
    }
    let outcome = fill(&paths, &directory, !args.without_key).await;
    let finished = outcome.and_then(|copied| {
        if let Some(archive) = archive {
            pack(&directory, archive)?;
            fs::remove_dir_all(&directory).with_context(|| format!("cannot delete {}", directory.display()))?;
        }
        Ok(copied)
    });
    let copied = match finished {
        Ok(copied) => copied,
        Err(error) => {
            // What is half made must not pass for a backup.
            drop(fs::remove_dir_all(&directory));
            return Err(error);
        }
    };
    println!("backed up into {}", into.display());
    match (&copied.key, args.without_key, &paths.key) {
        (Some(_), ..) => println!(
            "It holds the key that opens the stored secrets (store/{}): keep it as safe as a password.",
            nightjar_store::KEY
        ),
        (None, true, _) => {
            println!("It does not hold the key of the secrets: keep that, too, or a restored server does not start.");
        }
        (None, false, _) => println!("The key of the secrets is a setting: keep that, too."),
    }
    if copied.database.is_none() {
        println!("The store is in PostgreSQL and not in this backup: dump it in the same minute (pg_dump).");
    }
    Ok(())
}

async fn fill(paths: &BackupPaths, directory: &Path, with_key: bool) -> Result<nightjar_store::CopiedStore> {
    let (store, engine) = (directory.join("store"), directory.join("engine"));
    for folder in [directory, &store] {
        make_private(folder)?;
    }
    let copied = nightjar_store::copy(&paths.store, &store, with_key).await?;
    nightjar_engine::copy(&paths.engine, &engine)?;
    Contents::of(directory, SystemClock.now())?.save(directory)?;
    Ok(copied)
}

/// Puts a backup where a server finds it.
pub(crate) async fn restore(args: RestoreArgs) -> Result<()> {
    let paths = BackupPaths::load(&args.config)?;
    // No server runs on it, and none begins to.
    let _lock = DataDirLock::take(&paths.data_dir)?;
    refuse_name(&args.from)?;
    let unpacked = match is_archive(&args.from) {
        true => Some(unpack(&args.from, &paths.data_dir)?),
        false => None,
    };
    let from = unpacked.as_deref().unwrap_or(&args.from);
    let outcome = put_back(&args, &paths, from);
    if let Some(unpacked) = &unpacked {
        drop(fs::remove_dir_all(unpacked));
    }
    let taken_at = outcome?;
    println!("restored what was backed up at {taken_at} into {}", paths.data_dir.display());
    println!("Start the server. Agents send again what they still have; minutes that were received after the backup");
    println!("and are gone will be marked as never complete, and each agent's page says which.");
    Ok(())
}

fn put_back(args: &RestoreArgs, paths: &BackupPaths, from: &Path) -> Result<nightjar_model::Timestamp> {
    let contents = Contents::load(from)?;
    contents.verify(from)?;
    let database = paths.database.clone().filter(|_| from.join("store").join(nightjar_store::DATABASE).exists());
    let mut targets = vec![Target { from: from.join("engine"), to: paths.engine.clone() }];
    if let Some(database) = &database {
        targets.push(Target { from: from.join("store").join(nightjar_store::DATABASE), to: database.clone() });
    } else {
        println!("The backup holds no store for this configuration: restore the PostgreSQL database yourself.");
    }
    let key = from.join("store").join(nightjar_store::KEY);
    match &paths.key {
        Some(target) if key.exists() => targets.push(Target { from: key, to: target.clone() }),
        _ => println!("The key of the secrets is not restored: it must be as it was when the backup was made."),
    }
    let there: Vec<&PathBuf> = targets.iter().map(|target| &target.to).filter(|to| has_something(to)).collect();
    if !there.is_empty() && !args.replace {
        let listed: Vec<String> = there.iter().map(|path| path.display().to_string()).collect();
        bail!("{} would be replaced: give --replace to put it aside", listed.join(", "));
    }
    for aside in put_back::put_back(&targets, &paths.data_dir)? {
        println!("put aside: {}", aside.display());
    }
    Ok(contents.at())
}

/// An empty directory is nothing.
fn has_something(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lock")),
        Err(_) => path.exists(),
    }
}

/// # Errors
/// For a name that promises what is not made.
fn refuse_name(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let is_other = [".gz", ".tgz", ".zst", ".xz", ".bz2", ".zip"].iter().any(|end| name.ends_with(end));
    if is_other || (name.ends_with(".tar") && !is_archive(path)) {
        bail!("a backup is a directory, or a file whose name ends in .tar: compress it afterwards");
    }
    Ok(())
}

/// # Errors
/// If the backup would be within what it copies.
fn refuse_within(into: &Path, engine: &Path) -> Result<()> {
    let folder = into.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let (Ok(folder), Ok(engine)) = (folder.canonicalize(), engine.canonicalize())
        && folder.starts_with(&engine)
    {
        bail!("{} is within the data that is backed up: name a place outside of it", into.display());
    }
    Ok(())
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "tar")
}

fn beside(path: &Path, word: &str) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{name}.{word}"))
}

fn make_private(folder: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make {}", folder.display()))
}

/// Under another name until all of it is on disk: what is half written must not pass for a backup.
fn pack(directory: &Path, archive: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let packing = beside(archive, "packing");
    let write = || -> std::io::Result<()> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&packing)?;
        let mut tar = tar::Builder::new(file);
        tar.append_dir_all(".", directory)?;
        tar.into_inner()?.sync_all()?;
        fs::rename(&packing, archive)
    };
    let written = write().with_context(|| format!("cannot write {}", archive.display()));
    if written.is_err() {
        drop(fs::remove_file(&packing));
    }
    written
}

/// Into a directory beside the data, so that it is on the same disk.
fn unpack(archive: &Path, data_dir: &Path) -> Result<PathBuf> {
    let folder = data_dir.join("restoring");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot delete {}", folder.display()))?;
    }
    make_private(&folder)?;
    let read = || -> std::io::Result<()> { tar::Archive::new(fs::File::open(archive)?).unpack(&folder) };
    let read = read().with_context(|| format!("cannot read {}", archive.display()));
    if read.is_err() {
        drop(fs::remove_dir_all(&folder));
    }
    read.map(|()| folder)
}
