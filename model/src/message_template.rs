//! What a rule's own text may be made of: output, conditions, and loops over what there is.
//!
//! Fuel bounds the steps of a template but not what one step makes: a variable doubled forty times, or a
//! string multiplied, would take all of the server's memory. So nothing here can name a value that it
//! made, and nothing but numbers can be multiplied; then no value is larger than text and context together.

mod language;

use std::fmt;

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, ForLoop, Stmt};
use minijinja::machinery::{Span, Token, parse, tokenize};

pub use language::environment;

/// What a text sees.
pub const NAMES: [&str; 8] = ["rule", "level", "monitor", "keys", "values", "status", "time", "summary"];
/// The figures: the one part of the context that holds numbers only.
const FIGURES: &str = "values";
/// Filters that give numbers, whatever they are given.
const TO_NUMBER: [&str; 6] = ["abs", "count", "float", "int", "length", "round"];
const MOST_SOURCE_BYTES: usize = 16 * 1024;
/// Words and signs of one `{{ … }}` or `{% … %}`, which is as deep as they are many: reading, rendering and
/// dropping a template take stack for each level.
const MOST_TOKENS: usize = 500;
/// Each of them is a level, too.
const MOST_ELIFS: usize = 100;

/// What is wrong with a text, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line and column in characters, both from 1; `None` for the text as a whole.
    pub place: Option<(usize, usize)>,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Refuses a text that is beyond the subset or no template at all, and one that asks for what there never
/// is: for documents as they are written.
pub fn check(source: &str) -> Result<(), Fault> {
    inspect(source)?.map_or(Ok(()), Err)
}

/// Refuses only what must not be rendered. A stored text may ask for what is not there: a name is empty
/// then, and a branch that is not taken does no harm.
pub fn check_bounds(source: &str) -> Result<(), Fault> {
    inspect(source).map(drop)
}

/// Fails for what is beyond the subset; answers what a text asks for in vain.
fn inspect(source: &str) -> Result<Option<Fault>, Fault> {
    if source.len() > MOST_SOURCE_BYTES {
        return Err(Fault { place: None, message: "is longer than 16 KiB; shorten it".to_owned() });
    }
    let mut reader = Reader { source, names: NAMES.to_vec(), in_vain: None };
    reader.depth()?;
    let template = parse(source, "message.text", Default::default(), Default::default());
    reader.statement(&template.map_err(|error| reader.syntax(&error))?)?;
    Ok(reader.in_vain)
}

fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Goes through a template once.
struct Reader<'s> {
    source: &'s str,
    /// What has a value at this point: the context, and the variables of the loops around.
    names: Vec<&'s str>,
    in_vain: Option<Fault>,
}

impl<'s> Reader<'s> {
    fn fault(&self, at: Span, message: impl Into<String>) -> Fault {
        Fault { place: Some(place(self.source, at.start_offset as usize)), message: message.into() }
    }

    fn syntax(&self, error: &minijinja::Error) -> Fault {
        let offset = error.range().map_or(self.source.len(), |range| range.start);
        let said = error.detail().unwrap_or("this is no template");
        let remedy = "write {{ … }}, {% if … %} … {% endif %} or {% for … in … %} … {% endfor %}";
        Fault { place: Some(place(self.source, offset)), message: format!("{said}; {remedy}") }
    }

    /// Refuses what is too deep to be parsed.
    fn depth(&self) -> Result<(), Fault> {
        let (mut tokens, mut elifs) = (0, 0);
        for token in tokenize(self.source, false, Default::default(), Default::default()) {
            let (token, span) = token.map_err(|error| self.syntax(&error))?;
            match token {
                Token::VariableStart | Token::BlockStart => tokens = 0,
                Token::Ident("elif") => elifs += 1,
                _ => tokens += 1,
            }
            if tokens > MOST_TOKENS {
                return Err(self.fault(span, "is too long for one {{ … }} or {% … %}; split it into several"));
            }
            if elifs > MOST_ELIFS {
                return Err(self.fault(span, format!("is one of more than {MOST_ELIFS} {{% elif %}}; use fewer")));
            }
        }
        Ok(())
    }

    fn ask_in_vain(&mut self, at: Span, message: String) {
        let fault = self.fault(at, message);
        self.in_vain.get_or_insert(fault);
    }

    fn statement(&mut self, statement: &Stmt<'s>) -> Result<(), Fault> {
        let beyond = match statement {
            Stmt::Template(template) => return self.statements(&template.children),
            Stmt::EmitRaw(_) => return Ok(()),
            Stmt::EmitExpr(emit) => return self.expression(&emit.expr),
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr)?;
                self.statements(&condition.true_body)?;
                return self.statements(&condition.false_body);
            }
            Stmt::ForLoop(each) => return self.each(each),
            Stmt::WithBlock(it) => it.span(),
            Stmt::Set(it) => it.span(),
            Stmt::SetBlock(it) => it.span(),
            Stmt::AutoEscape(it) => it.span(),
            Stmt::FilterBlock(it) => it.span(),
            Stmt::Do(it) => it.span(),
        };
        Err(self
            .fault(beyond, "only {{ … }}, {% if %} and {% for %} can be used here; write a value where it is shown"))
    }

    fn statements(&mut self, all: &[Stmt<'s>]) -> Result<(), Fault> {
        all.iter().try_for_each(|statement| self.statement(statement))
    }

    fn each(&mut self, each: &ForLoop<'s>) -> Result<(), Fault> {
        self.expression(&each.iter)?;
        if each.recursive || !is_context(&each.iter) {
            let message = "a loop goes over the context or a list of constants, not over what was made; \
                           go over `keys|items` or `values|items`";
            return Err(self.fault(each.iter.span(), message));
        }
        if names(&each.target, FIGURES) {
            let message = format!("a loop's variable cannot be called `{FIGURES}`; take another name");
            return Err(self.fault(each.target.span(), message));
        }
        let outside = self.names.len();
        self.names.push("loop");
        match &each.target {
            Expr::List(list) => self.names.extend(list.items.iter().filter_map(name)),
            one => self.names.extend(name(one)),
        }
        each.filter_expr.as_ref().map_or(Ok(()), |filter| self.expression(filter))?;
        self.statements(&each.body)?;
        self.names.truncate(outside);
        self.statements(&each.else_body)
    }

    fn expressions<'e>(&mut self, all: impl IntoIterator<Item = &'e Expr<'s>>) -> Result<(), Fault>
    where
        's: 'e,
    {
        all.into_iter().try_for_each(|it| self.expression(it))
    }

    fn expression(&mut self, it: &Expr<'s>) -> Result<(), Fault> {
        match it {
            Expr::Const(_) => Ok(()),
            Expr::Var(variable) => {
                if !self.names.contains(&variable.id) {
                    self.ask_in_vain(it.span(), language::unknown("name", variable.id, NAMES));
                }
                Ok(())
            }
            Expr::Call(_) => {
                Err(self
                    .fault(it.span(), "functions cannot be called here; use a filter, such as {{ values.x|round }}"))
            }
            Expr::BinOp(both) => {
                self.expressions([&both.left, &both.right])?;
                let multiplies = matches!(both.op, BinOpKind::Mul | BinOpKind::Pow);
                if multiplies && !(is_number(&both.left) && is_number(&both.right)) {
                    let message = format!("only `{FIGURES}` and numbers can be multiplied; `x|float` makes x a number");
                    return Err(self.fault(it.span(), message));
                }
                Ok(())
            }
            Expr::UnaryOp(one) => self.expression(&one.expr),
            Expr::Compare(compare) => {
                self.expression(&compare.expr)?;
                self.expressions(compare.ops.iter().map(|op| &op.expr))
            }
            Expr::IfExpr(choice) => {
                self.expressions([&choice.test_expr, &choice.true_expr])?;
                self.expressions(&choice.false_expr)
            }
            Expr::Filter(filter) => {
                if !language::is_filter(filter.name) {
                    self.ask_in_vain(it.span(), language::unknown("filter", filter.name, language::filters()));
                }
                self.expressions(&filter.expr)?;
                self.arguments(&filter.args)
            }
            Expr::Test(test) => {
                if !language::is_test(test.name) {
                    self.ask_in_vain(it.span(), language::unknown("test", test.name, language::tests()));
                }
                self.expression(&test.expr)?;
                self.arguments(&test.args)
            }
            Expr::GetAttr(attribute) => self.expression(&attribute.expr),
            Expr::GetItem(item) => self.expressions([&item.expr, &item.subscript_expr]),
            Expr::Slice(slice) => {
                self.expression(&slice.expr)?;
                self.expressions([&slice.start, &slice.stop, &slice.step].into_iter().flatten())
            }
            Expr::List(list) => self.expressions(&list.items),
            Expr::Map(map) => self.expressions(map.keys.iter().chain(&map.values)),
        }
    }

    fn arguments(&mut self, all: &[CallArg<'s>]) -> Result<(), Fault> {
        self.expressions(all.iter().map(|argument| match argument {
            CallArg::Pos(it) | CallArg::Kwarg(_, it) | CallArg::PosSplat(it) | CallArg::KwargSplat(it) => it,
        }))
    }
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

fn name<'s>(it: &Expr<'s>) -> Option<&'s str> {
    match it {
        Expr::Var(variable) => Some(variable.id),
        _ => None,
    }
}

/// Whether it is the variable `wanted`, or a list of targets that holds it.
fn names(it: &Expr<'_>, wanted: &str) -> bool {
    match it {
        Expr::List(list) => list.items.iter().any(|item| names(item, wanted)),
        one => name(one) == Some(wanted),
    }
}

#[cfg(test)]
mod tests;
