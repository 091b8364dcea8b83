//! Child processes that cannot outlive the demo, however it ends: each is started through this same
//! program, which asks the kernel to be killed with its parent and then becomes the program asked for.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

/// How long a child may take to end by itself.
const END_WITHIN: Duration = Duration::from_secs(15);

#[derive(clap::Args, Debug)]
pub(crate) struct TetheredArgs {
    /// Process this one is to end with.
    #[arg(long)]
    parent: i32,
    #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Becomes the command, tied to the parent.
pub(crate) fn tethered(args: &TetheredArgs) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).context("tying this process to its parent")?;
    // The parent may have ended before the tie was there.
    if getppid() != Pid::from_raw(args.parent) {
        bail!("the parent process has ended");
    }
    let (program, arguments) = args.command.split_first().context("a command is required")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// A running child; it is ended when this is dropped.
pub(super) struct Child {
    process: std::process::Child,
}

impl Child {
    /// Starts `command` with its output in `scratch/NAME.log`.
    pub(super) fn start(name: &str, own: &Path, command: Command, scratch: &Path) -> Result<Self> {
        let log =
            File::create(scratch.join(format!("{name}.log"))).with_context(|| format!("making the {name}'s log"))?;
        let mut tied = Command::new(own);
        tied.args(["tethered", "--parent", &std::process::id().to_string(), "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = tied.spawn().with_context(|| format!("starting the {name}"))?;
        Ok(Self { process })
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Waits until it has ended by itself.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.has_ended() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(id) = Pid::from_raw(self.process.id() as i32)
            && self.has_ended().is_none()
            && kill_process(id, Signal::TERM).is_ok()
        {
            let deadline = Instant::now() + END_WITHIN;
            while self.has_ended().is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if self.has_ended().is_none() && self.process.kill().is_ok() {
            self.process.wait().ok();
        }
    }
}
