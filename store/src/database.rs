//! The connection, and transactions that see no other writer.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::Rng;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database as Connector, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    IsolationLevel, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::StoreConfig;
use crate::error::{Result, StoreError, collided, is_duplicate};
use crate::migrations::Migrator;

/// A transaction that collided more often than this is given up as unavailable.
const MAX_ATTEMPTS: u32 = 20;

/// A row that another made meanwhile is seen at the next attempt; one that is still in the way after
/// these is a mistake, not a collision.
const MAX_DUPLICATES: u32 = 3;

/// Serialises those who migrate one PostgreSQL database: any fixed number.
const MIGRATION_LOCK: i64 = 0x4e69_6768_746a_6172;

pub(crate) struct Database {
    connection: DatabaseConnection,
    /// SQLite has one writer; waiting for it here is fair, and waiting inside SQLite is not.
    writer: Option<Semaphore>,
}

/// A transaction begun, with the right to write.
pub(crate) struct Write<'a> {
    pub(crate) tx: DatabaseTransaction,
    // Released after `tx` has ended.
    _turn: Option<SemaphorePermit<'a>>,
}

impl Database {
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self> {
        let options = match &config.url {
            Some(url) if url.expose().starts_with("postgres") => postgres(config, url.expose()),
            Some(url) => sqlite(config, url.expose(), None),
            None => {
                let path = config.data_dir.join("nightjar.db");
                create_private(&path)?;
                sqlite(config, "sqlite:nightjar.db?mode=rwc", Some(&path))
            }
        };
        let url = options.get_url().to_owned();
        let connection = Connector::connect(options).await.map_err(|error| without_url(error, &url))?;
        let writer = (connection.get_database_backend() == DbBackend::Sqlite).then(|| Semaphore::new(1));
        let database = Self { connection, writer };
        database.migrate().await?;
        Ok(database)
    }

    /// For reading.
    pub(crate) fn read(&self) -> &DatabaseConnection {
        &self.connection
    }

    pub(crate) async fn begin(&self) -> Result<Write<'_>> {
        let turn = match &self.writer {
            Some(writer) => {
                Some(writer.acquire().await.map_err(|_| StoreError::Internal("the store is closed".into()))?)
            }
            None => None,
        };
        let options = match self.writer {
            Some(_) => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            },
            None => TransactionOptions {
                isolation_level: Some(IsolationLevel::Serializable),
                ..TransactionOptions::default()
            },
        };
        Ok(Write { tx: self.connection.begin_with_options(options).await?, _turn: turn })
    }

    pub(crate) async fn close(&self) -> Result<()> {
        Ok(self.connection.close_by_ref().await?)
    }

    /// All that is missing, or nothing: a start that was cut short leaves no half-made tables.
    async fn migrate(&self) -> Result<()> {
        // Not serializable: a waiter must see what the one before it has done.
        let options = TransactionOptions {
            sqlite_transaction_mode: self.writer.is_some().then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = self.connection.begin_with_options(options).await?;
        if self.writer.is_none() {
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
        }
        Migrator::up(&tx, None).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Write<'_> {
    pub(crate) async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    pub(crate) async fn rollback(self) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }
}

/// The attempts at one transaction, and what is told of them.
pub(crate) struct Attempts {
    what: &'static str,
    made: u32,
    started: Instant,
}

impl Attempts {
    pub(crate) fn begin(what: &'static str) -> Self {
        Self { what, made: 0, started: Instant::now() }
    }

    /// Whether to try once more; waits a random while before saying so.
    pub(crate) async fn again(&mut self, error: &StoreError) -> bool {
        self.made += 1;
        let StoreError::Database(cause) = error else { return false };
        let limit = if is_duplicate(cause) { MAX_DUPLICATES } else { MAX_ATTEMPTS };
        if !collided(cause) || self.made >= limit {
            return false;
        }
        metrics::counter!("nightjar_store_retries_total", "what" => self.what).increment(1);
        let ceiling = 2u64 << self.made.min(7);
        let wait = rand::rng().random_range(0..=ceiling);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        true
    }

    pub(crate) fn end<T>(self, outcome: Result<T>) -> Result<T> {
        let result = match &outcome {
            Ok(_) => "ok",
            Err(StoreError::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        metrics::counter!("nightjar_store_writes_total", "what" => self.what, "result" => result).increment(1);
        metrics::histogram!("nightjar_store_write_seconds", "what" => self.what)
            .record(self.started.elapsed().as_secs_f64());
        outcome
    }
}

/// Runs the body in a transaction: `transaction!(database, "what", |tx| { … Ok(value) })`. The body may
/// run more than once, so it must not use up what it captures. With `keep = false` the changes are
/// undone and the value is given all the same.
macro_rules! transaction {
    ($database:expr, $what:expr, |$tx:ident| $body:expr) => {
        transaction!($database, $what, keep = true, |$tx| $body)
    };
    ($database:expr, $what:expr, keep = $keep:expr, |$tx:ident| $body:expr) => {{
        let database: &$crate::database::Database = &$database;
        let mut attempts = $crate::database::Attempts::begin($what);
        loop {
            let outcome: $crate::error::Result<_> = async {
                let write = database.begin().await?;
                let $tx = &write.tx;
                let value: $crate::error::Result<_> = async { $body }.await;
                match value {
                    Ok(value) if $keep => write.commit().await.map(|()| value),
                    Ok(value) => write.rollback().await.map(|()| value),
                    Err(error) => {
                        // The error that led here matters more than one of undoing; what is not undone
                        // now is when the connection goes.
                        if let Err(second) = write.rollback().await {
                            tracing::warn!(error = %second, "a transaction could not be rolled back");
                        }
                        Err(error)
                    }
                }
            }
            .await;
            match outcome {
                Err(error) if attempts.again(&error).await => {}
                outcome => break attempts.end(outcome),
            }
        }
    }};
}
pub(crate) use transaction;

fn sqlite(config: &StoreConfig, url: &str, path: Option<&Path>) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    // A database in memory is its connection's own, and gone with it.
    options.max_connections(if in_memory { 1 } else { config.max_connections.max(2) });
    options.min_connections(1);
    if in_memory {
        options.idle_timeout(None).max_lifetime(None);
    }
    let path = path.map(Path::to_owned);
    options.map_sqlx_sqlite_opts(move |sqlite: SqliteConnectOptions| {
        let sqlite = match &path {
            Some(path) => sqlite.filename(path),
            None => sqlite,
        };
        sqlite
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            // Readers go on beside the writer, and a commit is on the disk when it is acknowledged.
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
    });
    quiet(options)
}

fn postgres(config: &StoreConfig, url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(config.max_connections).min_connections(1).set_application_name("nightjar");
    quiet(options)
}

fn quiet(mut options: ConnectOptions) -> ConnectOptions {
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(30));
    options
}

/// Makes the file readable by its owner only; SQLite gives its companions the same mode.
fn create_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let told = |what: &str, error| StoreError::Io(format!("{what} {}", path.display()), error);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| told("cannot make the directory of", error))?;
    }
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| told("cannot open", error))
}

/// The error of a failed connection without the URL, which may hold a password.
fn without_url(error: DbErr, url: &str) -> DbErr {
    DbErr::Conn(sea_orm::RuntimeErr::Internal(error.to_string().replace(url, "***")))
}
