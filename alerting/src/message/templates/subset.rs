//! What a rule's own text may be made of: output, conditions, and loops over what there is.
//!
//! Fuel bounds the steps of a template but not what one step makes: a variable doubled forty times, or a
//! string multiplied, would take all of the server's memory. So nothing here can name a value that it
//! made, and nothing but numbers can be multiplied; then no value is larger than text and context together.

use minijinja::Environment;
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::parse;
use minijinja::{filters, tests};

/// The figures: the one part of the context that holds numbers only.
const FIGURES: &str = "values";
/// Filters that give numbers, whatever they are given.
const TO_NUMBER: [&str; 6] = ["abs", "count", "float", "int", "length", "round"];

/// Knows the filters and tests whose results are not larger than what they are given, and no functions.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.add_filter("abs", filters::abs);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("count", filters::length);
    environment.add_filter("d", filters::default);
    environment.add_filter("default", filters::default);
    environment.add_filter("first", filters::first);
    environment.add_filter("float", filters::float);
    environment.add_filter("int", filters::int);
    environment.add_filter("items", filters::items);
    environment.add_filter("last", filters::last);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("round", filters::round);
    environment.add_filter("title", filters::title);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("upper", filters::upper);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("endingwith", tests::is_endingwith);
    environment.add_test("none", tests::is_none);
    environment.add_test("number", tests::is_number);
    environment.add_test("startingwith", tests::is_startingwith);
    environment.add_test("undefined", tests::is_undefined);
    environment
}

/// Refuses what is beyond the subset, and what is no template at all.
pub(super) fn check(source: &str) -> Result<(), String> {
    let template = parse(source, "message.text", Default::default(), Default::default());
    statement(&template.map_err(|error| error.to_string())?)
}

fn statement(statement: &Stmt<'_>) -> Result<(), String> {
    match statement {
        Stmt::Template(template) => statements(&template.children),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(emit) => expression(&emit.expr),
        Stmt::IfCond(condition) => {
            expression(&condition.expr)?;
            statements(&condition.true_body)?;
            statements(&condition.false_body)
        }
        Stmt::ForLoop(each) => {
            if each.recursive || !is_context(&each.iter) {
                return Err("a loop goes over the context or a list of constants, not over what was made".to_owned());
            }
            if names(&each.target, FIGURES) {
                return Err(format!("a loop's variable cannot be called `{FIGURES}`"));
            }
            each.filter_expr.as_ref().map_or(Ok(()), expression)?;
            statements(&each.body)?;
            statements(&each.else_body)
        }
        _ => Err("only {{ … }}, {% if %} and {% for %} can be used here".to_owned()),
    }
}

fn statements(all: &[Stmt<'_>]) -> Result<(), String> {
    all.iter().try_for_each(statement)
}

fn expression(it: &Expr<'_>) -> Result<(), String> {
    match it {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::Call(_) => Err("functions cannot be called here".to_owned()),
        Expr::BinOp(both) => {
            if matches!(both.op, BinOpKind::Mul | BinOpKind::Pow) && !(is_number(&both.left) && is_number(&both.right))
            {
                return Err(format!("only `{FIGURES}` and numbers can be multiplied; `x|float` makes x a number"));
            }
            expression(&both.left)?;
            expression(&both.right)
        }
        Expr::UnaryOp(one) => expression(&one.expr),
        Expr::Compare(compare) => {
            expression(&compare.expr)?;
            compare.ops.iter().try_for_each(|op| expression(&op.expr))
        }
        Expr::IfExpr(choice) => {
            expression(&choice.test_expr)?;
            expression(&choice.true_expr)?;
            choice.false_expr.as_ref().map_or(Ok(()), expression)
        }
        Expr::Filter(filter) => {
            filter.expr.as_ref().map_or(Ok(()), expression)?;
            arguments(&filter.args)
        }
        Expr::Test(test) => {
            expression(&test.expr)?;
            arguments(&test.args)
        }
        Expr::GetAttr(attribute) => expression(&attribute.expr),
        Expr::GetItem(item) => {
            expression(&item.expr)?;
            expression(&item.subscript_expr)
        }
        Expr::Slice(slice) => {
            expression(&slice.expr)?;
            [&slice.start, &slice.stop, &slice.step].into_iter().flatten().try_for_each(expression)
        }
        Expr::List(list) => list.items.iter().try_for_each(expression),
        Expr::Map(map) => map.keys.iter().chain(&map.values).try_for_each(expression),
    }
}

fn arguments(all: &[CallArg<'_>]) -> Result<(), String> {
    all.iter().try_for_each(|argument| match argument {
        CallArg::Pos(it) | CallArg::Kwarg(_, it) | CallArg::PosSplat(it) | CallArg::KwargSplat(it) => expression(it),
    })
}

/// Whether it is part of the context or of the text, as it stands.
fn is_context(it: &Expr<'_>) -> bool {
    match it {
        Expr::Var(_) | Expr::Const(_) => true,
        Expr::GetAttr(attribute) => is_context(&attribute.expr),
        Expr::GetItem(item) => is_context(&item.expr) && is_context(&item.subscript_expr),
        Expr::Filter(filter) => filter.name == "items" && filter.expr.as_ref().is_some_and(is_context),
        Expr::List(list) => list.items.iter().all(|item| matches!(item, Expr::Const(_))),
        _ => false,
    }
}

fn is_number(it: &Expr<'_>) -> bool {
    match it {
        Expr::Const(constant) => constant.value.is_number(),
        Expr::GetAttr(attribute) => names(&attribute.expr, FIGURES),
        Expr::GetItem(item) => names(&item.expr, FIGURES),
        Expr::UnaryOp(one) => is_number(&one.expr),
        Expr::BinOp(both) => {
            let arithmetic = !matches!(both.op, BinOpKind::Concat | BinOpKind::ScAnd | BinOpKind::ScOr);
            arithmetic && is_number(&both.left) && is_number(&both.right)
        }
        Expr::Filter(filter) => TO_NUMBER.contains(&filter.name),
        _ => false,
    }
}

/// Whether it is the variable `name`, or a list of targets that holds it.
fn names(it: &Expr<'_>, name: &str) -> bool {
    match it {
        Expr::Var(variable) => variable.id == name,
        Expr::List(list) => list.items.iter().any(|item| names(item, name)),
        _ => false,
    }
}
