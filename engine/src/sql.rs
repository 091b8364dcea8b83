//! SQL over the monitors of one workspace: `SELECT … FROM monitor."name"`.
//!
//! A query has a session of its own that holds the tables it names, and nothing else: no files, no other
//! workspace, no statement but a query.

pub(crate) mod near;

mod admission;
mod encode;
mod functions;
mod joined;
mod pushdown;
mod scan;
mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, TableReference, plan_err};
use datafusion::execution::context::{SQLOptions, SessionConfig, SessionContext};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use futures::StreamExt;
use nightjar_model::builtin;
use nightjar_model::names::MonitorKey;
use nightjar_model::query::{SqlAnswer, SqlFormat};
use nightjar_model::{Error, ErrorKind, Result};

use crate::engine::Shared;
use joined::{JoinPlanner, Joined};
use table::{MonitorTable, TableShape};

const CATALOG: &str = "nightjar";
const SCHEMA: &str = "monitor";

pub(crate) async fn answer(shared: &Arc<Shared>, workspace: &str, sql: &str, format: SqlFormat) -> Result<SqlAnswer> {
    let started = std::time::Instant::now();
    let shapes = shapes(shared, workspace).await?;
    let (work, workspace, sql) = (Arc::clone(shared), workspace.to_owned(), sql.to_owned());
    let run = shared.pool.run("sql", async move {
        let batches = run(&work, &workspace, &sql, &shapes).await?;
        encode::encode(&batches, format, started.elapsed())
    });
    let limit = shared.config.query_timeout;
    let deadline = tokio::time::Instant::now() + limit.0;
    let answer = match tokio::time::timeout_at(deadline, shared.statements.acquire()).await {
        Ok(_turn) => tokio::time::timeout_at(deadline, run).await.unwrap_or_else(|_| {
            let text = format!("the query did not end within {limit}: ask for less time or fewer columns");
            Err(Error::new(ErrorKind::Timeout, text))
        }),
        Err(_) => {
            let running = shared.config.query_concurrency;
            let text = format!("{running} other queries were running for all of {limit}; try again later");
            Err(Error::new(ErrorKind::Timeout, text))
        }
    };
    let outcome = if answer.is_ok() { "ok" } else { "error" };
    metrics::histogram!("nightjar_engine_query_seconds", "kind" => "sql").record(started.elapsed());
    metrics::counter!("nightjar_engine_queries_total", "outcome" => outcome).increment(1);
    answer
}

async fn shapes(shared: &Shared, workspace: &str) -> Result<BTreeMap<String, Arc<TableShape>>> {
    let defined = shared.catalog.monitors(workspace).await?;
    let mut shapes: BTreeMap<String, Arc<TableShape>> =
        defined.into_iter().map(|defined| (defined.name.clone(), Arc::new(TableShape::of(&defined)))).collect();
    shapes.extend(builtin::monitors().map(|(name, spec)| (name.to_owned(), Arc::new(TableShape::new(None, spec)))));
    Ok(shapes)
}

async fn run(
    shared: &Arc<Shared>,
    workspace: &str,
    sql: &str,
    shapes: &BTreeMap<String, Arc<TableShape>>,
) -> Result<encode::Batches> {
    let config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_batch_size(admission::BATCH_ROWS)
        .with_target_partitions(shared.config.query_threads);
    let mut context = SessionContext::new_with_config_rt(config, Arc::clone(&shared.pool.env));
    context.register_udf(Joined::concat());
    context.register_expr_planner(Arc::new(JoinPlanner::new())).map_err(|error| failure(&error))?;
    let mut state = context.state();
    let dialect = state.config_options().sql_parser.dialect;
    admission::check_length(sql, &GenericDialect {})?;
    let statement = state.sql_to_statement(sql, &dialect).map_err(|error| refusal(&error))?;
    match &statement {
        Statement::Statement(inner) if matches!(**inner, SqlStatement::Query(_)) => admission::check(inner)?,
        _ => return Err(Error::invalid("only queries can be run here: SELECT … FROM monitor.\"name\"", Vec::new())),
    }
    let tables = tables(shared, workspace, shapes, &state, &statement)?;
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(Monitors(tables))).map_err(|error| failure(&error))?;
    state.catalog_list().register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    state.execution_props_mut().query_execution_start_time = Some(shared.clock.now().to_utc());

    let plan = state.statement_to_plan(statement).await.map_err(|error| refusal(&error))?;
    let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_queries.verify_plan(&plan).map_err(|error| refusal(&error))?;
    narrow(&plan)?;
    let row_limit = shared.config.query_row_limit as usize;
    let plan = LogicalPlanBuilder::from(plan)
        .limit(0, Some(row_limit + 1))
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| refusal(&error))?;
    let plan = state.create_physical_plan(&plan).await.map_err(|error| failure(&error))?;
    let schema = plan.schema();
    let mut stream = execute_stream(plan, Arc::new(TaskContext::from(&state))).map_err(|error| failure(&error))?;
    let reservation = MemoryConsumer::new("answer").register(shared.pool.memory());
    let (mut batches, mut rows) = (Vec::new(), 0);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| failure(&error))?;
        reservation.try_grow(batch.get_array_memory_size()).map_err(|error| failure(&error))?;
        rows += batch.num_rows();
        if rows > row_limit {
            let text = format!("the answer has more than {row_limit} rows: add a LIMIT, or group");
            return Err(Error::invalid(text, Vec::new()));
        }
        batches.push(batch);
    }
    Ok(encode::Batches { schema, batches })
}

/// `*` of a join, and of joins of such, has as many columns as the text of the statement does not tell.
fn narrow(plan: &LogicalPlan) -> Result<()> {
    let look = |step: &LogicalPlan| match step.schema().fields().len() {
        0..=admission::MAX_COLUMNS => Ok(TreeNodeRecursion::Continue),
        _ => plan_err!("a step has more than {} columns: name those that are needed", admission::MAX_COLUMNS),
    };
    plan.apply_with_subqueries(look).map_err(|error| refusal(&error))?;
    Ok(())
}

/// The tables that the statement names, all as of one moment.
fn tables(
    shared: &Arc<Shared>,
    workspace: &str,
    shapes: &BTreeMap<String, Arc<TableShape>>,
    state: &SessionState,
    statement: &Statement,
) -> Result<BTreeMap<String, Arc<MonitorTable>>> {
    let mut named = BTreeMap::new();
    for reference in state.resolve_table_references(statement).map_err(|error| refusal(&error))? {
        let known = match &reference {
            TableReference::Bare { .. } => true,
            TableReference::Partial { schema, .. } => **schema == *SCHEMA,
            TableReference::Full { .. } => false,
        };
        if !known {
            let text = format!("there is no table {reference}: tables are monitor.\"name\", one for each monitor");
            return Err(Error::invalid(text, Vec::new()));
        }
        let name = reference.table();
        let Some(shape) = shapes.get(name) else {
            let suggestion = near::suggestion(name, shapes.keys().map(String::as_str));
            return Err(Error::invalid(format!("there is no monitor `{name}`{suggestion}"), Vec::new()));
        };
        named.insert(name.to_owned(), Arc::clone(shape));
    }
    let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
    let table = |(name, shape): (String, Arc<TableShape>)| {
        let snapshot = state.snapshot(&MonitorKey::new(workspace, &name), shape.uid.as_deref(), i64::MIN, i64::MAX);
        let table = MonitorTable { shared: Arc::clone(shared), shape, snapshot };
        (name, Arc::new(table))
    };
    Ok(named.into_iter().map(table).collect())
}

/// The schema of one query.
#[derive(Debug)]
struct Monitors(BTreeMap<String, Arc<MonitorTable>>);

#[async_trait]
impl SchemaProvider for Monitors {
    fn table_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.0.get(name).map(|table| Arc::clone(table) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// The statement is at fault.
fn refusal(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::SQL(parse, _) => {
            let text = format!("{parse}. Names that hold `-` need double quotes: monitor.\"trade-create\"");
            Error::invalid(text, Vec::new())
        }
        DataFusionError::Internal(_) => Error::internal(error.strip_backtrace()),
        root => Error::invalid(root.strip_backtrace(), Vec::new()),
    }
}

/// Running it failed.
fn failure(error: &DataFusionError) -> Error {
    let root = error.find_root();
    let text = root.strip_backtrace();
    match root {
        DataFusionError::ResourcesExhausted(_) => Error::unavailable(format!(
            "the query needs more memory than queries have now: ask for less time or fewer groups ({})",
            text.lines().next().unwrap_or_default()
        )),
        // What the tables' own reading said.
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::internal(text),
        },
        DataFusionError::Internal(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_) => {
            Error::internal(text)
        }
        DataFusionError::ObjectStore(_) => Error::internal(text),
        _ => Error::invalid(text, Vec::new()),
    }
}

#[cfg(test)]
mod tests;
