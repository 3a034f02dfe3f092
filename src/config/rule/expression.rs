//! Reads an expression of CEL and checks it: fields that exist, kinds that fit, no loops, a bounded size. What comes out
//! is the engine's own tree; of the library only the reader is used, for its evaluation knows neither "unknown" nor kinds.

use std::{ops::Range, sync::Arc};

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, ListExpr, LiteralValue, SelectExpr, SourceInfo, operators as op},
};

use super::{fault::Fault, syntax};
use crate::{
    config::{code::Code, suggest::nearest},
    engine::custom::{
        expression::{Comparison, Expression, Kind, Operator, Search, Value},
        field::{Fact, Field},
    },
    model::alert::Scope,
};

/// Longest expression, in bytes.
const MAX_BYTES: usize = 4096;

/// Deepest nesting.
pub(super) const MAX_DEPTH: usize = 32;

/// Fields, constants and operators of one expression at the most.
const MAX_PARTS: usize = 500;

const FUNCTIONS: [&str; 4] = ["startsWith", "endsWith", "contains", "has"];
const FUNCTIONS_HELP: &str = "known here: startsWith, endsWith and contains of texts, has(field), in [..]";

/// Reads an expression that is true or false about a subject of `scope`.
pub(super) fn compile(text: &str, scope: Scope) -> Result<Expression, Fault> {
    let whole = 0..text.len();
    if text.trim().is_empty() || MAX_BYTES < text.len() {
        return Err(Fault::new(Code::OutOfRange, whole, "the expression is empty or too long", "1 to 4096 bytes"));
    }
    let (tree, source) = syntax::parsed(text)?;
    let mut reader = Reader { text, source, scope, parts: 0 };
    let (expression, kind) = reader.read(&tree, 0)?;
    if kind != Kind::Flag {
        let message = format!("the expression is {}, and must be true or false", kind.as_str());
        return Err(Fault::new(Code::BadExpression, whole, message, "compare it with something"));
    }
    Ok(expression)
}

/// The field that is written so, if a rule about `scope` can ask it.
pub(super) fn field(path: &str, at: Range<usize>, scope: Scope) -> Result<Field, Fault> {
    let Some(field) = Field::named(path) else {
        let known = Fact::ALL.iter().map(|fact| Field::Fact(*fact)).filter(|field| field.fits(scope));
        let known: Vec<String> = known.map(|field| field.path()).collect();
        let help = match nearest(path, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "docs/custom-rules.md lists the fields; labels are node.labels.NAME".to_owned(),
        };
        return Err(Fault::new(Code::UnknownField, at, format!("there is no field `{path}`"), help));
    };
    if !field.fits(scope) {
        let message = format!("a rule about networks cannot ask `{path}`");
        return Err(Fault::new(Code::UnknownField, at, message, "write scope = \"node\", or ask something of network"));
    }
    Ok(field)
}

/// One expression being read.
struct Reader<'t> {
    text: &'t str,
    source: SourceInfo,
    scope: Scope,
    parts: usize,
}

type Read = Result<(Expression, Kind), Fault>;

impl Reader<'_> {
    fn read(&mut self, node: &IdedExpr, depth: usize) -> Read {
        self.parts += 1;
        if MAX_DEPTH < depth {
            return Err(syntax::too_deep(self.place(node)));
        }
        if MAX_PARTS < self.parts {
            let help = "at most 500 fields, constants and operators";
            return Err(Fault::new(Code::OutOfRange, self.place(node), "the expression has too many parts", help));
        }
        match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Select(select) if select.test => self.known(node, select),
            Expr::Ident(_) | Expr::Select(_) => self.field(node),
            Expr::Call(call) => self.call(node, call, depth),
            Expr::Comprehension(_) => {
                let help = "there are no lists here; all, exists, map and filter are not known";
                Err(self.fault(node, "loops are not allowed here", help))
            }
            Expr::List(_) => {
                Err(self.fault(node, "a list stands only after `in`", "write node.role in ['rpc', 'archive']"))
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err(self.fault(node, "this is not known here", FUNCTIONS_HELP))
            }
        }
    }

    fn literal(&self, node: &IdedExpr, literal: &LiteralValue) -> Read {
        let value = match literal {
            LiteralValue::Boolean(flag) => Value::Flag(**flag),
            LiteralValue::Int(number) => Value::Whole((**number).into()),
            LiteralValue::UInt(number) => Value::Whole((**number).into()),
            LiteralValue::Double(number) if number.is_finite() => Value::Real(**number),
            LiteralValue::String(text) => Value::Text(Arc::from(text.inner())),
            LiteralValue::Double(_) | LiteralValue::Bytes(_) | LiteralValue::Null => {
                return Err(self.fault(node, "a constant is a number, a text, true or false", "has(field) tells null"));
            }
        };
        let kind = value.kind();
        Ok((Expression::Constant(value), kind))
    }

    fn field(&self, node: &IdedExpr) -> Read {
        let Some(path) = path(node) else {
            return Err(self.fault(node, "a field belongs to node or network", "like node.lag_blocks"));
        };
        let field = field(&path, self.place_of(node, &path), self.scope)?;
        let kind = field.kind();
        Ok((Expression::Field(field), kind))
    }

    /// `has(node.peers)`.
    fn known(&self, node: &IdedExpr, select: &SelectExpr) -> Read {
        let Some(path) = path(&select.operand).map(|path| format!("{path}.{}", select.field)) else {
            return Err(self.fault(node, "has asks about a field", "like has(node.peers)"));
        };
        let field = field(&path, self.place_of(&select.operand, &path), self.scope)?;
        Ok((Expression::Known(field), Kind::Flag))
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr, depth: usize) -> Read {
        match (call.func_name.as_str(), call.target.as_deref(), &call.args[..]) {
            (op::LOGICAL_NOT, None, [inner]) => {
                let inner = self.of_kind(inner, Kind::Flag, "`!`", depth)?;
                Ok((Expression::Not(Box::new(inner)), Kind::Flag))
            }
            (op::NEGATE, None, [inner]) => {
                let inner = self.of_kind(inner, Kind::Number, "`-`", depth)?;
                Ok((Expression::Negative(Box::new(inner)), Kind::Number))
            }
            (op::LOGICAL_AND, None, [left, right]) => {
                let sides = self.sides(left, right, Kind::Flag, "`&&`", depth)?;
                Ok((Expression::And(sides), Kind::Flag))
            }
            (op::LOGICAL_OR, None, [left, right]) => {
                let sides = self.sides(left, right, Kind::Flag, "`||`", depth)?;
                Ok((Expression::Or(sides), Kind::Flag))
            }
            (op::CONDITIONAL, None, [condition, yes, no]) => self.choice(condition, yes, no, depth),
            (op::IN, None, [wanted, list]) => self.one_of(wanted, list, depth),
            (name, None, [left, right]) if comparison(name).is_some() => self.compare(name, left, right, depth),
            (name, None, [left, right]) if operator(name).is_some() => self.compute(name, left, right, depth),
            (name, Some(target), [part]) if search(name).is_some() => {
                let sides = self.sides(target, part, Kind::Text, &format!("`{name}`"), depth)?;
                Ok((Expression::Find(search(name).unwrap_or(Search::Anywhere), sides), Kind::Flag))
            }
            (name, ..) => Err(self.unknown_function(node, name)),
        }
    }

    fn choice(&mut self, condition: &IdedExpr, yes: &IdedExpr, no: &IdedExpr, depth: usize) -> Read {
        let condition = self.of_kind(condition, Kind::Flag, "`?`", depth)?;
        let (yes, kind) = self.read(yes, depth + 1)?;
        let no = self.of_kind(no, kind, "what stands after `:`", depth)?;
        Ok((Expression::Choice(Box::new([condition, yes, no])), kind))
    }

    fn one_of(&mut self, wanted: &IdedExpr, list: &IdedExpr, depth: usize) -> Read {
        let Expr::List(ListExpr { elements, .. }) = &list.expr else {
            return Err(self.fault(list, "a list stands after `in`", "write node.role in ['rpc', 'archive']"));
        };
        let (first, kind) = self.read(wanted, depth + 1)?;
        let mut others = Vec::new();
        for element in elements {
            let other = self.of_kind(element, kind, "`in`", depth)?;
            self.check_word(&first, (element, &other))?;
            others.push(other);
        }
        Ok((Expression::OneOf(Box::new(first), others), Kind::Flag))
    }

    fn compare(&mut self, name: &str, left: &IdedExpr, right: &IdedExpr, depth: usize) -> Read {
        let comparison = comparison(name).unwrap_or(Comparison::Equal);
        let (first, kind) = self.read(left, depth + 1)?;
        let (second, other) = self.read(right, depth + 1)?;
        let sign = name.trim_matches('_');
        if kind != other {
            let message = format!("`{sign}` compares {} with {}", kind.as_str(), other.as_str());
            let help = if kind == Kind::Number { "numbers stand without quotes" } else { "texts stand in quotes" };
            return Err(self.fault(right, message, help));
        }
        let is_order = !matches!(comparison, Comparison::Equal | Comparison::Different);
        if is_order && kind != Kind::Number {
            return Err(self.fault(left, format!("`{sign}` compares numbers, not {}", kind.as_str()), "use == or !="));
        }
        self.check_word(&first, (right, &second))?;
        self.check_word(&second, (left, &first))?;
        Ok((Expression::Compare(comparison, Box::new([first, second])), Kind::Flag))
    }

    fn compute(&mut self, name: &str, left: &IdedExpr, right: &IdedExpr, depth: usize) -> Read {
        let operator = operator(name).unwrap_or(Operator::Add);
        let sign = format!("`{}`", name.trim_matches('_'));
        let sides = self.sides(left, right, Kind::Number, &sign, depth)?;
        let is_zero =
            matches!(&sides[1], Expression::Constant(value) if *value == Value::Whole(0) || *value == Value::Real(0.0));
        if is_zero && matches!(operator, Operator::Divide | Operator::Remainder) {
            return Err(self.fault(right, "nothing can be divided by zero", ""));
        }
        Ok((Expression::Compute(operator, sides), Kind::Number))
    }

    fn sides(
        &mut self,
        left: &IdedExpr,
        right: &IdedExpr,
        kind: Kind,
        what: &str,
        depth: usize,
    ) -> Result<Box<[Expression; 2]>, Fault> {
        Ok(Box::new([self.of_kind(left, kind, what, depth)?, self.of_kind(right, kind, what, depth)?]))
    }

    fn of_kind(&mut self, node: &IdedExpr, wanted: Kind, what: &str, depth: usize) -> Result<Expression, Fault> {
        let (expression, kind) = self.read(node, depth + 1)?;
        if kind == wanted {
            return Ok(expression);
        }
        let message = format!("{what} takes {}, and this is {}", wanted.as_str(), kind.as_str());
        Err(self.fault(node, message, ""))
    }

    /// A text with which a field is compared must be one of those that the field can have.
    fn check_word(&self, field: &Expression, (node, other): (&IdedExpr, &Expression)) -> Result<(), Fault> {
        let (Expression::Field(field), Expression::Constant(Value::Text(word))) = (field, other) else { return Ok(()) };
        let Some(words) = field.words().filter(|words| !words.contains(&&**word)) else { return Ok(()) };
        let help = match nearest(word, words.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => {
                format!("one of {}", words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "))
            }
        };
        let message = format!("`{}` is never '{word}'", field.path());
        Err(Fault::new(Code::UnknownWord, self.place(node), message, help))
    }

    fn unknown_function(&self, node: &IdedExpr, name: &str) -> Fault {
        // The parser calls the asking by index `_[_]`.
        let name = if name == "_[_]" { "[]" } else { name.trim_matches(['_', '@']) };
        let help = match (name, nearest(name, FUNCTIONS)) {
            ("matches", _) => "patterns are not known here; use startsWith, endsWith or contains".to_owned(),
            ("[]", _) => "write node.labels.NAME".to_owned(),
            (_, Some(near)) => format!("did you mean `{near}`?"),
            _ => FUNCTIONS_HELP.to_owned(),
        };
        self.fault(node, format!("there is no function `{name}` with these arguments"), help)
    }

    fn fault(&self, node: &IdedExpr, message: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault::new(Code::BadExpression, self.place(node), message, help)
    }

    /// Where a path begins, for as long as it is.
    fn place_of(&self, node: &IdedExpr, path: &str) -> Range<usize> {
        let begin = self.begin(root(node));
        begin..boundary(self.text, begin + path.len())
    }

    /// Where a part of the expression stands.
    fn place(&self, node: &IdedExpr) -> Range<usize> {
        if let Some(path) = path(node) {
            return self.place_of(node, &path);
        }
        let (_, last) = self.source.offset_for(node.id).unwrap_or_default();
        let begin = self.begin(node);
        let end = (last as usize).saturating_add(1).max(begin + 1);
        begin..boundary(self.text, end)
    }

    fn begin(&self, node: &IdedExpr) -> usize {
        let (first, _) = self.source.offset_for(node.id).unwrap_or_default();
        boundary(self.text, (first as usize).min(self.text.len().saturating_sub(1)))
    }
}

/// The next byte at which a character begins.
fn boundary(text: &str, byte: usize) -> usize {
    (byte..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// `node.lag_blocks`, if it is only that.
fn path(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", path(&select.operand)?, select.field)),
        _ => None,
    }
}

fn root(node: &IdedExpr) -> &IdedExpr {
    if let Expr::Select(select) = &node.expr { root(&select.operand) } else { node }
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        op::EQUALS => Comparison::Equal,
        op::NOT_EQUALS => Comparison::Different,
        op::LESS => Comparison::Less,
        op::LESS_EQUALS => Comparison::LessOrEqual,
        op::GREATER => Comparison::Greater,
        op::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        op::ADD => Operator::Add,
        op::SUBSTRACT => Operator::Subtract,
        op::MULTIPLY => Operator::Multiply,
        op::DIVIDE => Operator::Divide,
        op::MODULO => Operator::Remainder,
        _ => return None,
    })
}

fn search(name: &str) -> Option<Search> {
    Some(match name {
        "startsWith" => Search::Start,
        "endsWith" => Search::End,
        "contains" => Search::Anywhere,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is at fault and what is said about it.
    fn fault(text: &str, scope: Scope) -> String {
        let fault = compile(text, scope).unwrap_err();
        format!("{}|{}|{}", text.get(fault.at).unwrap(), fault.message, fault.help)
    }

    #[test]
    fn what_fits_is_read() {
        for text in [
            "node.lag_blocks > 50 && node.role == 'archive'",
            "!node.up || node.peers < 3u",
            "node.clock_skew_seconds > 1.5 || node.clock_skew_seconds < -1.5",
            "(node.height + 10) / 2 % 3 * -1 >= 0",
            "node.role in ['rpc', \"archive\"]",
            "has(node.peers) ? node.peers < 3 : node.state == 'offline'",
            "node.version.startsWith('Geth/') && !node.version.contains('1.14') || node.name.endsWith('-é')",
            "node.labels.rack == '' && network.labels.zone != 'b'",
            "network.phase == 'live' && network.halt_ratio > 0.5 && true",
            "node.error == ''",
        ] {
            compile(text, Scope::Node).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        for (text, wanted) in [
            (
                "node.lag_block > 50",
                "node.lag_block|there is no field `node.lag_block`|did you mean `node.lag_blocks`?",
            ),
            ("nod.height > 1", "nod.height|there is no field `nod.height`|did you mean `node.height`?"),
            ("height > 1", "height|there is no field `height`|"),
            (
                "node.height",
                "node.height|the expression is a number, and must be true or false|compare it with something",
            ),
            ("node.name == 5", "5|`==` compares a text with a number|texts stand in quotes"),
            ("'é' != node.name || 5 == node.role", "node.role|`==` compares a number with a text|numbers stand"),
            ("node.role < 'rpc'", "node.role|`<` compares numbers, not a text|use == or !="),
            ("node.role == 'archve'", "'archve'|`node.role` is never 'archve'|did you mean 'archive'?"),
            ("node.state in ['live', 'laging']", "'laging'|`node.state` is never 'laging'|did you mean 'lagging'?"),
            ("node.up && node.peers", "node.peers|`&&` takes true or false, and this is a number|"),
            ("[1, 2].all(x, x > 1)", "|loops are not allowed here|"),
            ("[1].exists(x, x > 1)", "|loops are not allowed here|"),
            ("size([1].map(x, x)) > 1", "|there is no function `size`"),
            ("node.name.matches('a+')", "|there is no function `matches` with these arguments|patterns are not known"),
            (
                "node.name.startWith('a')",
                "|there is no function `startWith` with these arguments|did you mean `startsWith`?",
            ),
            ("node.labels['rack'] == 'a'", "|there is no function `[]` with these arguments|write node.labels.NAME"),
            ("node.peers / 0 > 1", "0|nothing can be divided by zero|"),
            ("node.peers == null", "null|a constant is a number"),
            ("node.peers > ", "|this is not an expression of CEL|"),
            ("node.peers > > 3", ">|this is not an expression of CEL|"),
            ("node.peers > 3 and node.core", "a|this is not an expression of CEL|write &&"),
            ("node.peers = 3", "=|this is not an expression of CEL|write =="),
            ("node.name == 'a' == = é", "=|this is not an expression of CEL|"),
            ("", "|the expression is empty or too long|"),
        ] {
            let told = fault(text, Scope::Node);
            let (place, rest) = told.split_once('|').unwrap();
            let (wanted_place, wanted_rest) = wanted.split_once('|').unwrap();
            assert!(rest.starts_with(wanted_rest), "{text}\n{told}");
            assert!(wanted_place.is_empty() || place == wanted_place, "{text}\n{told}");
        }
        assert!(fault("node.up", Scope::Network).starts_with("node.up|a rule about networks cannot ask `node.up`|"));
    }

    #[test]
    fn what_would_cost_much_is_refused_at_once() {
        for text in [
            "(".repeat(2000),
            "!".repeat(2000),
            format!("{}true", "true ? true : ".repeat(200)),
            format!("node.up {}", "&& node.up ".repeat(300)),
            "[".repeat(4000),
            format!("1{} > 1", "+1".repeat(1500)),
            format!("1{} > 1", "+1".repeat(350)),
            format!("1{}", "<1".repeat(199)),
            format!("true{}", ".a".repeat(399)),
            format!("a{}", "()".repeat(199)),
            "r'''\\".repeat(500),
            "'\\".repeat(1500),
            "\u{0}\u{feff}`".repeat(300),
            format!("node.height > {}1", "-".repeat(1000)),
            "x".repeat(5000),
            format!("true{}", ".a".repeat(1500)),
            format!("a{}", "()".repeat(1500)),
            "a ? ".repeat(900),
        ] {
            assert!(compile(&text, Scope::Node).is_err(), "{text}");
        }
    }
}
