//! Writing an answer: JSON, CSV, or an Arrow stream.

use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimestampMillisecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use nightjar_model::query::{SqlAnswer, SqlFormat};
use nightjar_model::{Error, Result, Timestamp};

pub(crate) struct Batches {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

pub(crate) fn encode(answer: &Batches, format: SqlFormat, elapsed: Duration) -> Result<SqlAnswer> {
    match format {
        SqlFormat::Json => Ok(SqlAnswer { content_type: "application/json", body: json(answer, elapsed)? }),
        SqlFormat::Csv => Ok(SqlAnswer { content_type: "text/csv; charset=utf-8", body: csv(answer)? }),
        SqlFormat::Arrow => {
            Ok(SqlAnswer { content_type: "application/vnd.apache.arrow.stream", body: arrow_stream(answer)? })
        }
    }
}

fn json(answer: &Batches, elapsed: Duration) -> Result<Vec<u8>> {
    let columns: Vec<serde_json::Value> = answer
        .schema
        .fields()
        .iter()
        .map(|field| serde_json::json!({ "name": field.name(), "type": sql_type(field.data_type()) }))
        .collect();
    let names: Vec<String> =
        answer.schema.fields().iter().map(|field| serde_json::Value::from(field.name().as_str()).to_string()).collect();
    let mut body = format!("{{\"columns\":{},\"rows\":[", serde_json::Value::from(columns));
    let mut first = true;
    for batch in &answer.batches {
        let cells = cells(batch)?;
        for row in 0..batch.num_rows() {
            body.push_str(if first { "{" } else { ",{" });
            first = false;
            for (at, (name, cell)) in names.iter().zip(&cells).enumerate() {
                if at > 0 {
                    body.push(',');
                }
                body.push_str(name);
                body.push(':');
                cell.json(row, &mut body)?;
            }
            body.push('}');
        }
    }
    body.push_str(&format!("],\"elapsed_ms\":{}}}", elapsed.as_millis()));
    Ok(body.into_bytes())
}

fn csv(answer: &Batches) -> Result<Vec<u8>> {
    let mut body = String::new();
    let mut line = |fields: &mut dyn Iterator<Item = Result<String>>| -> Result<()> {
        for (at, field) in fields.enumerate() {
            if at > 0 {
                body.push(',');
            }
            let field = field?;
            if field.contains([',', '"', '\n', '\r']) {
                body.push('"');
                body.push_str(&field.replace('"', "\"\""));
                body.push('"');
            } else {
                body.push_str(&field);
            }
        }
        body.push_str("\r\n");
        Ok(())
    };
    line(&mut answer.schema.fields().iter().map(|field| Ok(field.name().clone())))?;
    for batch in &answer.batches {
        let cells = cells(batch)?;
        for row in 0..batch.num_rows() {
            line(&mut cells.iter().map(|cell| cell.text(row)))?;
        }
    }
    Ok(body.into_bytes())
}

fn arrow_stream(answer: &Batches) -> Result<Vec<u8>> {
    let failed = |error: arrow::error::ArrowError| Error::internal(error.to_string());
    let mut body = Vec::new();
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut body, &answer.schema).map_err(failed)?;
    for batch in &answer.batches {
        writer.write(batch).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    drop(writer);
    Ok(body)
}

/// A column, with how its values are shown.
struct Cells<'a> {
    array: &'a dyn Array,
    formatter: ArrayFormatter<'a>,
}

fn cells(batch: &RecordBatch) -> Result<Vec<Cells<'_>>> {
    const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_null("");
    batch
        .columns()
        .iter()
        .map(|array| {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &OPTIONS)
                .map_err(|error| Error::invalid(format!("a column cannot be shown: {error}"), Vec::new()))?;
            Ok(Cells { array: array.as_ref(), formatter })
        })
        .collect()
}

impl Cells<'_> {
    fn text(&self, row: usize) -> Result<String> {
        if let Some(times) = self.array.as_primitive_opt::<TimestampMillisecondType>()
            && times.timezone().is_some()
            && times.is_valid(row)
        {
            return Ok(Timestamp(times.value(row)).to_string());
        }
        let mut text = String::new();
        self.formatter
            .value(row)
            .write(&mut text)
            .map_err(|error| Error::invalid(format!("a value cannot be shown: {error:?}"), Vec::new()))?;
        Ok(text)
    }

    fn json(&self, row: usize, out: &mut String) -> Result<()> {
        if self.array.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match self.array.data_type() {
            DataType::Float64 => {
                let value = self.array.as_primitive::<Float64Type>().value(row);
                // JSON has no infinities.
                out.push_str(&serde_json::Number::from_f64(value).map_or_else(|| "null".into(), |n| n.to_string()));
            }
            DataType::Int64 => out.push_str(&self.array.as_primitive::<Int64Type>().value(row).to_string()),
            kind if kind.is_integer() => out.push_str(&self.text(row)?),
            DataType::Boolean => out.push_str(if self.array.as_boolean().value(row) { "true" } else { "false" }),
            DataType::Float32 | DataType::Float16 => {
                let value: f64 = self.text(row)?.parse().unwrap_or(f64::NAN);
                out.push_str(&serde_json::Number::from_f64(value).map_or_else(|| "null".into(), |n| n.to_string()));
            }
            _ => out.push_str(&serde_json::Value::from(self.text(row)?).to_string()),
        }
        Ok(())
    }
}

fn sql_type(kind: &DataType) -> String {
    match kind {
        DataType::Timestamp(..) => "TIMESTAMP".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Int32 => "INTEGER".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::UInt64 => "BIGINT UNSIGNED".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Float32 => "REAL".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        other => other.to_string().to_uppercase(),
    }
}
