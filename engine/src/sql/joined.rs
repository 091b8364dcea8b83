//! `||` and `concat` that make no text longer than a limit: each may join what another joined, so that a
//! short statement doubles a text any number of times.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::{Expr, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::admission::MAX_TEXT_BYTES;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Joined {
    /// `||` of nothing and a text is nothing; `concat` passes over it.
    strict: bool,
    signature: Signature,
}

impl Joined {
    fn new(strict: bool) -> Self {
        Self { strict, signature: Signature::user_defined(Volatility::Immutable) }
    }

    pub(super) fn concat() -> ScalarUDF {
        ScalarUDF::from(Self::new(false))
    }
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        if self.strict { "||" } else { "concat" }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(if self.strict { names.join(" || ") } else { format!("concat({})", names.join(",")) })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.is_empty() {
            return exec_err!("concat takes at least one argument");
        }
        Ok(vec![DataType::Utf8; types.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        self.strict
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        // A constant is one row whatever the batch has.
        let parts = args.args.iter().map(|arg| match arg {
            ColumnarValue::Scalar(scalar) => Ok((scalar.to_array()?, true)),
            ColumnarValue::Array(array) => Ok((Arc::clone(array), false)),
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let mut joined = StringBuilder::new();
        let mut text = String::new();
        for row in 0..rows {
            text.clear();
            let mut nothing = false;
            for (array, once) in &parts {
                let strings = array.as_string::<i32>();
                let at = if *once { 0 } else { row };
                if strings.is_null(at) {
                    nothing |= self.strict;
                } else {
                    text.push_str(strings.value(at));
                }
                if text.len() > MAX_TEXT_BYTES {
                    return exec_err!("a text joined by {} is longer than {MAX_TEXT_BYTES} bytes", self.name());
                }
            }
            joined.append_option((!nothing).then_some(text.as_str()));
        }
        let joined = joined.finish();
        if constant {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?))
        } else {
            Ok(ColumnarValue::Array(Arc::new(joined)))
        }
    }
}

/// Makes `||` such a call.
#[derive(Debug)]
pub(super) struct JoinPlanner(Arc<ScalarUDF>);

impl JoinPlanner {
    pub(super) fn new() -> Self {
        Self(Arc::new(ScalarUDF::from(Joined::new(true))))
    }
}

impl ExprPlanner for JoinPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let call = ScalarFunction::new_udf(Arc::clone(&self.0), vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}
