//! One statement in its process: parsed, planned, run, and its answer written as it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, MemTable, MemoryCatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::execution::context::{SQLOptions, SessionConfig};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as Parsed;
use futures::StreamExt;
use nightjar_model::{Error, Result, Timestamp};

use super::encode::Encoder;
use super::grouping::GroupBySeries;
use super::link::Link;
use super::process::too_much_memory;
use super::table::MonitorTable;
use super::wire::{MonitorShape, Settings, Statement, TableData};
use super::{near, words};
use crate::storage::Storage;
use crate::tier::Tier;

const CATALOG: &str = "nightjar";

/// Schemas, by the tier whose windows they show.
const TIERS: [Tier; 4] = [Tier::Raw, Tier::Minute, Tier::Hour, Tier::Day];

/// How DataFusion ends what it says of a column that is not there.
const UNSETTABLE: &str = " or disable the datafusion.sql_parser.enable_ident_normalization configuration";

/// Consumers that a lack of memory names.
const NAMED: usize = 3;

/// DataFusion 55 asks `IN` over a subquery as a join that knows no NULL among the values: right where it decides alone
/// or makes rows come, wrong where its being unknown makes a difference.
///
/// # Errors
/// For those that may be answered wrongly.
fn refuse_unsure_in(plan: &LogicalPlan) -> Result<()> {
    let mut unsure = false;
    let visited = plan.apply_with_subqueries(|node| {
        let is_filter = matches!(node, LogicalPlan::Filter(_));
        node.apply_expressions(|expr| {
            unsure |= if is_filter { is_unsure(expr, true) } else { has_in_subquery(expr) };
            Ok(TreeNodeRecursion::Continue)
        })
    });
    if unsure || visited.is_err() {
        let text = "IN or NOT IN over a subquery is answered rightly as a condition of its own, joined to others by AND: not \
                    below NOT, CASE or IS, NOT IN also not below OR, of a constant, or with a subquery that refers to the \
                    statement around it. Write NOT EXISTS (SELECT … WHERE …) instead, or join";
        return Err(Error::invalid(text, Vec::new()));
    }
    Ok(())
}

/// `alone`: only ANDs are around it.
fn is_unsure(condition: &Expr, alone: bool) -> bool {
    // Whether being unknown, as beside a NULL, makes a difference, or is not seen.
    let unsure_negated = |asked: &InSubquery| {
        !alone || asked.expr.column_refs().is_empty() || !asked.subquery.outer_ref_columns.is_empty()
    };
    match condition {
        Expr::BinaryExpr(both) if both.op == Operator::And => {
            is_unsure(&both.left, alone) || is_unsure(&both.right, alone)
        }
        Expr::BinaryExpr(both) if both.op == Operator::Or => {
            is_unsure(&both.left, false) || is_unsure(&both.right, false)
        }
        Expr::InSubquery(asked) => asked.negated && unsure_negated(asked),
        Expr::Not(inner) => match &**inner {
            Expr::InSubquery(asked) => asked.negated || unsure_negated(asked),
            other => has_in_subquery(other),
        },
        other => has_in_subquery(other),
    }
}

fn has_in_subquery(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_)))).unwrap_or(true)
}

pub(super) struct Session {
    link: Arc<Link>,
    settings: Settings,
    storage: Arc<Storage>,
    state: SessionState,
}

impl Session {
    pub(super) fn new(settings: &Settings, link: &Arc<Link>) -> Result<Self> {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, Tier::Raw.schema())
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false)
            .with_target_partitions(settings.threads);
        // Without one, times that it makes itself have no zone, and `AT TIME ZONE` takes them for local ones.
        config.options_mut().execution.time_zone = Some("UTC".into());
        // It compares whether columns can be null, of which planning steps know more or less.
        config.options_mut().execution.skip_physical_aggregate_schema_check = true;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(environment(settings)?)
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(GroupBySeries))
            .build();
        Ok(Self {
            link: Arc::clone(link),
            settings: settings.clone(),
            storage: Arc::new(Storage::local(&settings.blocks)?),
            state,
        })
    }

    /// # Errors
    /// What is wrong with the statement, or went wrong.
    pub(super) async fn run(&self, statement: Statement) -> Result<()> {
        let started = Instant::now();
        let mut state = self.state.clone();
        state.execution_props_mut().query_execution_start_time = Some(Timestamp(statement.now).to_utc());
        let (plan, is_rows) = self.plan(&mut state, &statement.sql).await?;
        let plan = if is_rows {
            LogicalPlanBuilder::from(plan)
                .limit(0, Some(statement.row_limit + 1))
                .and_then(LogicalPlanBuilder::build)
                .map_err(|error| self.refusal(&error))?
        } else {
            plan
        };
        let plan = state.create_physical_plan(&plan).await.map_err(|error| self.failure(&error))?;
        let mut encoder = Encoder::new(&self.link, statement.format, &plan.schema())?;
        let mut stream =
            execute_stream(plan, Arc::new(TaskContext::from(&state))).map_err(|error| self.failure(&error))?;
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|error| self.failure(&error))?;
            rows += batch.num_rows();
            if is_rows && rows > statement.row_limit {
                let text = format!("the answer has more than {} rows: add a LIMIT, or group", statement.row_limit);
                return Err(Error::invalid(text, Vec::new()));
            }
            encoder.write(&batch)?;
        }
        encoder.finish(started.elapsed())
    }

    /// The plan, and whether its rows are limited.
    async fn plan(&self, state: &mut SessionState, sql: &str) -> Result<(LogicalPlan, bool)> {
        let dialect = state.config_options().sql_parser.dialect;
        let mut parsed = match state.sql_to_statement(sql, &dialect) {
            Ok(parsed) => parsed,
            Err(error) => return Err(self.not_parsed(sql, &error).await),
        };
        let asked = words::admit(&mut parsed)?;
        if asked == words::Asked::Tables {
            return Ok((self.show_tables().await?, true));
        }
        let tables = self.tables(state, &parsed).await?;
        let catalog = MemoryCatalogProvider::new();
        for (tier, tables) in tables {
            catalog.register_schema(tier.schema(), Arc::new(Monitors(tables))).map_err(|error| self.failure(&error))?;
        }
        state.catalog_list().register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        let plan = state.statement_to_plan(parsed).await.map_err(|error| self.refusal(&error))?;
        let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_queries.verify_plan(&plan).map_err(|error| self.refusal(&error))?;
        refuse_unsure_in(&plan)?;
        Ok((plan, asked == words::Asked::Rows))
    }

    /// The tables that the statement names, all as of one moment.
    async fn tables(&self, state: &SessionState, parsed: &Parsed) -> Result<BTreeMap<Tier, Tables>> {
        let mut asked: BTreeMap<Tier, BTreeSet<String>> =
            TIERS.into_iter().map(|tier| (tier, BTreeSet::new())).collect();
        for reference in state.resolve_table_references(parsed).map_err(|error| self.refusal(&error))? {
            let tier = match &reference {
                TableReference::Bare { .. } => Some(Tier::Raw),
                TableReference::Partial { schema, .. } => TIERS.into_iter().find(|tier| tier.schema() == &**schema),
                TableReference::Full { .. } => None,
            };
            let Some(names) = tier.and_then(|tier| asked.get_mut(&tier)) else {
                let text = format!(
                    "there is no table {reference}: tables are monitor.\"name\", one for each monitor, and minute, hour and \
                     day.\"name\" for longer windows"
                );
                return Err(Error::invalid(text, Vec::new()));
            };
            names.insert(reference.table().to_owned());
        }
        let names: Vec<String> = asked.values().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        if names.is_empty() {
            return Ok(TIERS.into_iter().map(|tier| (tier, Tables::new())).collect());
        }
        let found = self.link.tables(names.clone()).await?;
        if let Some(absent) = names.iter().find(|name| found.iter().all(|table| table.shape.name != **name)) {
            let monitors = self.link.monitors().await?;
            let suggestion = near::suggestion(absent, monitors.iter().map(|monitor| monitor.name.as_str()));
            return Err(Error::invalid(format!("there is no monitor `{absent}`{suggestion}"), Vec::new()));
        }
        let found: Vec<Arc<TableData>> = found.into_iter().map(Arc::new).collect();
        let of_tier = |(tier, names): (Tier, BTreeSet<String>)| {
            let table = |data: &Arc<TableData>| {
                let table = MonitorTable::new(&self.link, &self.storage, Arc::clone(data), tier);
                (data.shape.name.clone(), Arc::new(table))
            };
            (tier, found.iter().filter(|data| names.contains(&data.shape.name)).map(table).collect())
        };
        Ok(asked.into_iter().map(of_tier).collect())
    }

    async fn show_tables(&self) -> Result<LogicalPlan> {
        let monitors = self.link.monitors().await?;
        let text = |of: &dyn Fn(&MonitorShape) -> String| {
            Arc::new(StringArray::from_iter_values(monitors.iter().map(of))) as arrow::array::ArrayRef
        };
        let columns = [
            ("table_schema", text(&|_| Tier::Raw.schema().to_owned())),
            ("table_name", text(&|monitor| monitor.name.clone())),
            ("keys", text(&|monitor| monitor.group_by.join(", "))),
            (
                "statistics",
                text(&|monitor| monitor.stats.iter().map(|stat| stat.name.as_str()).collect::<Vec<_>>().join(", ")),
            ),
        ];
        let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, false)).collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        let table = batch.map_err(DataFusionError::from).and_then(|batch| MemTable::try_new(schema, vec![vec![batch]]));
        table
            .and_then(|table| LogicalPlanBuilder::scan("tables", provider_as_source(Arc::new(table)), None))
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| self.failure(&error))
    }

    async fn not_parsed(&self, sql: &str, error: &DataFusionError) -> Error {
        let mut refused = self.refusal(error);
        // Without the monitors there is one hint less.
        if let Ok(monitors) = self.link.monitors().await
            && let Some(hint) = words::hint(sql, &monitors)
        {
            refused.message.push_str(&hint);
        }
        refused
    }

    /// The statement is at fault.
    fn refusal(&self, error: &DataFusionError) -> Error {
        match error.find_root() {
            DataFusionError::SQL(parse, _) => {
                let text = format!("{parse}. Names that hold `-` need double quotes: monitor.\"trade-create\"");
                Error::invalid(text, Vec::new())
            }
            DataFusionError::Internal(_) => library_failed(&error.strip_backtrace()),
            _ => self.failure(error),
        }
    }

    /// Running it failed.
    fn failure(&self, error: &DataFusionError) -> Error {
        let root = error.find_root();
        // Of settings that nobody can set here.
        let text = root.strip_backtrace().replace(UNSETTABLE, "");
        match root {
            DataFusionError::ResourcesExhausted(_) => {
                too_much_memory(self.settings.memory_bytes, text.lines().next().unwrap_or_default())
            }
            // What the tables' own reading said.
            DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
                Some(error) => error.clone(),
                None => library_failed(&text),
            },
            DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) => library_failed(&text),
            DataFusionError::IoError(_) | DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) => {
                Error::internal(text)
            }
            _ => Error::invalid(text, Vec::new()),
        }
    }
}

/// What runs statements cannot run this one.
pub(super) fn library_failed(text: &str) -> Error {
    let text: String = text.lines().next().unwrap_or_default().chars().take(300).collect();
    Error::invalid(format!("the statement cannot be run; write it another way ({text})"), Vec::new())
}

fn environment(settings: &Settings) -> Result<Arc<RuntimeEnv>> {
    let failed = |error: DataFusionError| Error::internal(error.strip_backtrace());
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![settings.spill.clone()]))
        .with_max_temp_directory_size(settings.spill_bytes);
    let named = std::num::NonZeroUsize::new(NAMED).unwrap_or(std::num::NonZeroUsize::MIN);
    let memory = TrackConsumersPool::new(FairSpillPool::new(settings.memory_bytes as usize), named);
    let environment = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(memory))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(failed)?;
    // Statements reach no files: the tables read blocks by themselves.
    environment.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref()).map_err(failed)?;
    Ok(environment)
}

/// By name.
type Tables = BTreeMap<String, Arc<MonitorTable>>;

/// A schema of one statement.
#[derive(Debug)]
struct Monitors(Tables);

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
