//! Writing an answer as it comes: JSON, CSV, or an Arrow stream.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::csv::writer::{Terminator, Writer as CsvWriter, WriterBuilder as CsvBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, Writer as JsonWriter, WriterBuilder as JsonBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use nightjar_model::query::SqlFormat;
use nightjar_model::{Error, Result};

use super::link::Link;
use super::wire::Report;

/// Of an answer, on its way.
const PIECE_BYTES: usize = 64 << 10;

/// Where pieces go.
pub(super) struct Pieces {
    link: Arc<Link>,
    buffer: Vec<u8>,
}

impl Pieces {
    fn end(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.link.send(&Report::Piece, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.end()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Encoder<W: Write = Pieces> {
    schema: SchemaRef,
    writer: Format<W>,
}

enum Format<W: Write> {
    /// What was written goes into the document around the rows.
    Json(JsonWriter<W, JsonArray>),
    Csv(Box<CsvWriter<W>>),
    Arrow(Box<StreamWriter<W>>),
}

impl Encoder {
    pub(super) fn new(link: &Arc<Link>, format: SqlFormat, schema: &SchemaRef) -> Result<Self> {
        Self::to(Pieces { link: Arc::clone(link), buffer: Vec::new() }, format, schema)
    }

    pub(super) fn finish(self, elapsed: Duration) -> Result<()> {
        self.end(elapsed)?.end().map_err(|error| Error::internal(error.to_string()))
    }
}

impl<W: Write> Encoder<W> {
    fn to(mut out: W, format: SqlFormat, schema: &SchemaRef) -> Result<Self> {
        let schema = shown(schema, format);
        let writer = match format {
            SqlFormat::Json => {
                let column = |field: &Arc<Field>| serde_json::json!({ "name": field.name(), "type": sql_type(field.data_type()) });
                let columns: Vec<serde_json::Value> = schema.fields().iter().map(column).collect();
                let head = format!("{{\"columns\":{},\"rows\":", serde_json::Value::from(columns));
                out.write_all(head.as_bytes()).map_err(|error| Error::internal(error.to_string()))?;
                Format::Json(JsonBuilder::new().with_explicit_nulls(true).build(out))
            }
            SqlFormat::Csv => {
                let mut writer = CsvBuilder::new().with_header(true).with_line_terminator(Terminator::CRLF).build(out);
                // The header is there without rows, too.
                writer.write(&RecordBatch::new_empty(Arc::clone(&schema))).map_err(failed)?;
                Format::Csv(Box::new(writer))
            }
            SqlFormat::Arrow => Format::Arrow(Box::new(StreamWriter::try_new(out, &schema).map_err(failed)?)),
        };
        Ok(Self { schema, writer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| converted(column, field));
        let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>().map_err(failed)?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(failed)?;
        match &mut self.writer {
            Format::Json(writer) => writer.write(&batch),
            Format::Csv(writer) => writer.write(&batch),
            Format::Arrow(writer) => writer.write(&batch),
        }
        .map_err(failed)
    }

    fn end(self, elapsed: Duration) -> Result<W> {
        match self.writer {
            Format::Json(mut writer) => {
                writer.finish().map_err(failed)?;
                let mut out = writer.into_inner();
                write!(out, ",\"elapsed_ms\":{}}}", elapsed.as_millis())
                    .map_err(|error| Error::internal(error.to_string()))?;
                Ok(out)
            }
            Format::Csv(writer) => Ok(writer.into_inner()),
            Format::Arrow(mut writer) => {
                writer.finish().map_err(failed)?;
                writer.into_inner().map_err(failed)
            }
        }
    }
}

fn failed(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(text, _) => Error::internal(text),
        other => Error::invalid(format!("the answer cannot be shown: {other}; cast the column to VARCHAR"), Vec::new()),
    }
}

/// The columns as they are written: each name once, dictionaries as what they stand for, lists in CSV as texts.
fn shown(schema: &SchemaRef, format: SqlFormat) -> SchemaRef {
    let mut taken: HashSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    let field = |field: &'_ Arc<Field>, name: String| {
        let kind = match field.data_type() {
            DataType::Dictionary(_, value) => (**value).clone(),
            nested if nested.is_nested() && format == SqlFormat::Csv => DataType::Utf8,
            other => other.clone(),
        };
        Field::new(name, kind, field.is_nullable())
    };
    let mut fields = Vec::with_capacity(schema.fields().len());
    for of_plan in schema.fields() {
        let mut name = of_plan.name().clone();
        if !seen.insert(of_plan.name()) {
            name = (2..).map(|n| format!("{}_{n}", of_plan.name())).find(|name| !taken.contains(name)).unwrap_or(name);
            taken.insert(name.clone());
        }
        fields.push(field(of_plan, name));
    }
    Arc::new(Schema::new(fields))
}

fn converted(column: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    if !column.data_type().is_nested() {
        return arrow::compute::cast(column, field.data_type());
    }
    const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_null("");
    let formatter = ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?;
    let mut texts = StringBuilder::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            texts.append_null();
        } else {
            texts.append_value(formatter.value(row).try_to_string()?);
        }
    }
    Ok(Arc::new(texts.finish()))
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
        DataType::List(item) | DataType::LargeList(item) => format!("{}[]", sql_type(item.data_type())),
        other => other.to_string().to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array};
    use proptest::prelude::*;

    use super::*;

    fn encoded(batch: &RecordBatch, format: SqlFormat) -> String {
        let mut encoder = Encoder::to(Vec::new(), format, &batch.schema()).expect("begun");
        encoder.write(batch).expect("written");
        String::from_utf8(encoder.end(Duration::ZERO).expect("ended")).expect("text")
    }

    fn one(name: &str, column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([(name, column)]).expect("a batch")
    }

    #[test]
    fn a_name_stands_once() {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![field("k"), field("k"), field("k_2"), field("k")]));
        let column = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
        let batch = RecordBatch::try_new(schema, vec![column(), column(), column(), column()]).expect("a batch");
        assert_eq!(encoded(&batch, SqlFormat::Csv), "k,k_3,k_2,k_4\r\n1,1,1,1\r\n");
        let json: serde_json::Value = serde_json::from_str(&encoded(&batch, SqlFormat::Json)).expect("JSON");
        assert_eq!(json["rows"][0].as_object().expect("a row").len(), 4);
    }

    #[test]
    fn what_json_has_no_number_for_is_null() {
        let column = Arc::new(Float64Array::from(vec![Some(f64::INFINITY), Some(f64::NAN), None, Some(-0.5)]));
        let json: serde_json::Value = serde_json::from_str(&encoded(&one("v", column), SqlFormat::Json)).expect("JSON");
        assert_eq!(json["rows"], serde_json::json!([{ "v": null }, { "v": null }, { "v": null }, { "v": -0.5 }]));
    }

    proptest! {
        #[test]
        fn both_texts_are_the_same_number(value in any::<f64>().prop_filter("a number", |value| value.is_finite())) {
            let batch = one("v", Arc::new(Float64Array::from(vec![value])));
            let csv: f64 = encoded(&batch, SqlFormat::Csv).lines().nth(1).expect("a row").parse().expect("a number");
            let json: serde_json::Value = serde_json::from_str(&encoded(&batch, SqlFormat::Json)).expect("JSON");
            // serde_json rounds the last digit unless told otherwise; the text itself is exact.
            let text = encoded(&batch, SqlFormat::Json);
            let digits = text.split("\"v\":").nth(1).and_then(|rest| rest.split('}').next()).expect("a value");
            prop_assert_eq!(digits.parse::<f64>().expect("a number"), value);
            prop_assert_eq!(csv, value);
            prop_assert!(json["rows"][0]["v"].is_number());
        }
    }
}
