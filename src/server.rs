//! `nightjar server`: configuration, rooms, serving, draining.

mod assemble;
mod catalog;
mod config;
mod drain;
mod environment;
mod files;
mod lab;
mod lock;
mod metrics;
mod notify;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use nightjar_model::{Clock, SystemClock};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub(crate) use config::{BackupPaths, ConfigArgs, ServerArgs};
pub(crate) use lock::DataDirLock;

use assemble::Rooms;
use config::Config;
use drain::Drain;

/// Runs the server until SIGTERM or SIGINT.
pub(crate) async fn run(args: ServerArgs) -> Result<()> {
    let mut config = Config::load(&args.config)?;
    start_log(&config);
    files::fit(&mut config, files::raise());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let _lock = lock::DataDirLock::take(&config.data_dir)?;
    crate::backup::check_finished(&config.data_dir)?;
    // Before anything is recovered: a port in use is known at once.
    let http = bind(config.http, "http")?;
    let agents = bind(config.agents, "agents")?;
    warn_of_clear_text(&config);

    let started = clock.now();
    let rooms = Rooms::open(&config, Arc::clone(&clock), http.local_addr()?, agents.local_addr()?).await?;
    let tasks = TaskTracker::new();
    let (front, back) = (CancellationToken::new(), CancellationToken::new());
    rooms.driver.start(&tasks, &back);

    let failed = CancellationToken::new();
    info!(address = %http.local_addr()?, tls = config.web.tls.is_some(), "console and API");
    info!(address = %agents.local_addr()?, tls = config.collector.tls.is_some(), "agents");
    let web = {
        let (web, tls, front) = (Arc::clone(&rooms.web), rooms.http_tls.clone(), front.clone());
        tasks.spawn(serve("HTTP", failed.clone(), async move { web.serve(http, tls, front).await }))
    };
    let collector = {
        let (collector, tls, front) = (Arc::clone(&rooms.collector), rooms.agents_tls.clone(), front.clone());
        tasks.spawn(serve("agents", failed.clone(), async move { collector.serve(agents, tls, front).await }))
    };
    rooms.ready.store(true, Ordering::Release);
    notify::ready();
    info!(after_ms = clock.now().since(started).as_millis() as u64, "ready");

    let cause = tokio::select! {
        signal = notify::asked_to_stop() => signal,
        () = failed.cancelled() => "a listener failed",
    };
    info!(cause, "shutting down");
    rooms.ready.store(false, Ordering::Release);
    notify::stopping();

    let drain = Drain::begin();
    front.cancel();
    rooms.engine.end_statements();
    drain.step("web", web).await;
    drain.step("collector", collector).await;
    back.cancel();
    tasks.close();
    drain.step("alerting", rooms.alerting.close()).await;
    drain.watch(|| rooms.driver.running(), tasks.wait()).await;
    drain.fallible("engine", rooms.engine.close()).await;
    drain.fallible("store", rooms.store.close()).await;
    anyhow::ensure!(!failed.is_cancelled(), "a listener failed; the log says why");
    info!("stopped");
    Ok(())
}

/// Says what is wrong with the configuration, or that nothing is.
pub(crate) fn check_config(args: &ConfigArgs) -> Result<()> {
    let config = Config::load(args)?;
    println!("The configuration is valid.");
    println!("data directory  {}", config.data_dir.display());
    println!("HTTP            {}{}", config.http, if config.web.tls.is_some() { " (TLS)" } else { "" });
    println!("agents          {}{}", config.agents, if config.collector.tls.is_some() { " (TLS)" } else { "" });
    Ok(())
}

/// Connections that wait to be taken in. Of more than the kernel keeps (`net.core.somaxconn` bounds it too) some
/// never reach the server, and those who opened them are not told: a fleet comes back all at once.
const BACKLOG: u32 = 4096;

fn bind(address: SocketAddr, what: &str) -> Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // What is left of connections of the server before does not keep the port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().with_context(|| {
        format!("cannot listen on {address} ({what}); is another server running? Choose another with --{what}")
    })
}

/// Serves, and lets the whole process know should that fail.
async fn serve<E: std::fmt::Display>(
    what: &'static str,
    failed: CancellationToken,
    serving: impl Future<Output = std::result::Result<(), E>>,
) {
    if let Err(error) = serving.await {
        tracing::error!(%error, "serving {what} failed");
        failed.cancel();
    }
}

fn warn_of_clear_text(config: &Config) {
    for (what, address, tls) in
        [("HTTP", config.http, config.web.tls.is_some()), ("agents", config.agents, config.collector.tls.is_some())]
    {
        if !tls && !address.ip().is_loopback() {
            warn!(%address, "{what} without TLS beyond loopback: passwords, tokens and figures travel in clear. \
                   Give a certificate (`web.tls`, `collector.tls`), or listen on 127.0.0.1 behind a proxy that has one");
        }
    }
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.filter).unwrap_or_default();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        config::LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        config::LogFormat::Json => builder.json().init(),
    }
}
