//! What a rule of the user's own says, as a tree that was checked when it was read: every operand has the kind its
//! operator takes. What is not known makes the whole unknown, unless what is known decides alone: a false side decides
//! `&&`, a true one `||`. There are no loops, so the size of the tree bounds the work.

use std::{cmp::Ordering, fmt, sync::Arc};

use super::field::{Field, Scene};

/// What kind of value something has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// A number, whole or not.
    Number,
    /// A text.
    Text,
}

impl Kind {
    /// The word of messages, with its article.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// True or false.
    Flag(bool),
    /// A whole number: every height fits, and the sum of any.
    Whole(i128),
    /// Any other number, always finite.
    Real(f64),
    /// A text.
    Text(Arc<str>),
}

impl Value {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Flag(_) => Kind::Flag,
            Self::Whole(_) | Self::Real(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a number beside one with a fraction is one with a fraction")]
    fn real(&self) -> f64 {
        match self {
            Self::Whole(whole) => *whole as f64,
            Self::Real(real) => *real,
            Self::Flag(_) | Self::Text(_) => 0.0,
        }
    }

    /// Numbers by size, whatever their form; texts by their bytes; false before true. Kinds are never mixed.
    fn compared(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Flag(a), Self::Flag(b)) => a.cmp(b),
            // Finite numbers can always be compared, and zero is zero whatever its sign.
            _ => self.real().partial_cmp(&other.real()).unwrap_or(Ordering::Equal),
        }
    }
}

/// A value as it is shown in a summary.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Whole(whole) => write!(f, "{whole}"),
            Self::Real(real) if real.fract() == 0.0 && real.abs() < 1e15 => write!(f, "{real:.0}"),
            Self::Real(real) => write!(f, "{real:.2}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Why a rule has no verdict, however much is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A number is divided by zero.
    DivisionByZero,
    /// A number is too large.
    Overflow,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DivisionByZero => "division by zero",
            Self::Overflow => "a number too large",
        })
    }
}

/// How two values of one kind are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Different,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Different => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// What is computed from two numbers. Two whole numbers make a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl Operator {
    fn compute(self, left: &Value, right: &Value) -> Result<Value, Fault> {
        if let (Value::Whole(left), Value::Whole(right)) = (left, right) {
            return self.of_wholes(*left, *right).map(Value::Whole);
        }
        let (left, right) = (left.real(), right.real());
        if matches!(self, Self::Divide | Self::Remainder) && right == 0.0 {
            return Err(Fault::DivisionByZero);
        }
        let result = match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
        };
        if result.is_finite() { Ok(Value::Real(result)) } else { Err(Fault::Overflow) }
    }

    fn of_wholes(self, left: i128, right: i128) -> Result<i128, Fault> {
        let result = match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::Multiply => left.checked_mul(right),
            Self::Divide | Self::Remainder if right == 0 => return Err(Fault::DivisionByZero),
            Self::Divide => left.checked_div(right),
            Self::Remainder => left.checked_rem(right),
        };
        result.ok_or(Fault::Overflow)
    }
}

/// What is asked of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// `startsWith`
    Start,
    /// `endsWith`
    End,
    /// `contains`
    Anywhere,
}

/// An expression whose kinds fit. Evaluation recurses: whoever builds one bounds its depth.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// Always the same.
    Constant(Value),
    /// A fact about the subject.
    Field(Field),
    /// `has(…)`: whether the fact is known.
    Known(Field),
    /// `!`
    Not(Box<Expression>),
    /// `-`
    Negative(Box<Expression>),
    /// `&&`
    And(Box<[Expression; 2]>),
    /// `||`
    Or(Box<[Expression; 2]>),
    /// `? :`
    Choice(Box<[Expression; 3]>),
    /// `==` and the like.
    Compare(Comparison, Box<[Expression; 2]>),
    /// `+` and the like.
    Compute(Operator, Box<[Expression; 2]>),
    /// `startsWith` and the like.
    Find(Search, Box<[Expression; 2]>),
    /// `in`: the first equals one of the others.
    OneOf(Box<Expression>, Vec<Expression>),
}

/// What an expression comes to: a value, `None` where something it needs is not known.
pub type Answer = Result<Option<Value>, Fault>;

impl Expression {
    /// Its value for a subject.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn evaluate(&self, scene: &Scene<'_>) -> Answer {
        match self {
            Self::Constant(value) => Ok(Some(value.clone())),
            Self::Field(field) => Ok(field.value(scene)),
            Self::Known(field) => Ok(Some(Value::Flag(field.value(scene).is_some()))),
            Self::Not(inner) => Ok(inner.flag(scene)?.map(|flag| Value::Flag(!flag))),
            Self::Negative(inner) => negative(inner.evaluate(scene)?),
            Self::And(sides) => decided(sides, scene, false),
            Self::Or(sides) => decided(sides, scene, true),
            Self::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                let Some(condition) = condition.flag(scene)? else { return Ok(None) };
                if condition { yes } else { no }.evaluate(scene)
            }
            Self::Compare(comparison, sides) => {
                both(sides, scene, |a, b| Ok(Value::Flag(comparison.holds(a.compared(b)))))
            }
            Self::Compute(operator, sides) => both(sides, scene, |a, b| operator.compute(a, b)),
            Self::Find(search, sides) => both(sides, scene, |a, b| Ok(Value::Flag(found(*search, a, b)))),
            Self::OneOf(wanted, known) => one_of(wanted, known, scene),
        }
    }

    /// Its value where that is true or false.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn flag(&self, scene: &Scene<'_>) -> Result<Option<bool>, Fault> {
        Ok(self.evaluate(scene)?.map(|value| value == Value::Flag(true)))
    }

    /// Whether it can change by the mere passing of time: some facts do, and every fact is forgotten when it gets old.
    #[must_use]
    pub fn ticks(&self) -> bool {
        let any = |parts: &[Self]| parts.iter().any(Self::ticks);
        match self {
            Self::Constant(_) => false,
            Self::Field(field) => field.ticks(),
            Self::Known(_) => true,
            Self::Not(inner) | Self::Negative(inner) => inner.ticks(),
            Self::Choice(parts) => any(&parts[..]),
            Self::And(sides)
            | Self::Or(sides)
            | Self::Compare(_, sides)
            | Self::Compute(_, sides)
            | Self::Find(_, sides) => any(&sides[..]),
            Self::OneOf(first, others) => first.ticks() || any(others),
        }
    }
}

/// `&&` and `||`: either side decides alone if it is `decisive`, even if the other is unknown or at fault.
fn decided(sides: &[Expression; 2], scene: &Scene<'_>, decisive: bool) -> Answer {
    let left = sides[0].flag(scene);
    if left == Ok(Some(decisive)) {
        return Ok(Some(Value::Flag(decisive)));
    }
    let right = sides[1].flag(scene);
    if right == Ok(Some(decisive)) {
        return Ok(Some(Value::Flag(decisive)));
    }
    Ok(left?.zip(right?).map(|_| Value::Flag(!decisive)))
}

fn both(sides: &[Expression; 2], scene: &Scene<'_>, of: impl FnOnce(&Value, &Value) -> Result<Value, Fault>) -> Answer {
    let [left, right] = sides;
    let (left, right) = (left.evaluate(scene)?, right.evaluate(scene)?);
    left.zip(right).map(|(left, right)| of(&left, &right)).transpose()
}

fn negative(value: Option<Value>) -> Answer {
    Ok(match value {
        Some(Value::Whole(whole)) => Some(Value::Whole(whole.checked_neg().ok_or(Fault::Overflow)?)),
        Some(Value::Real(real)) => Some(Value::Real(-real)),
        other => other,
    })
}

fn found(search: Search, text: &Value, part: &Value) -> bool {
    let (Value::Text(text), Value::Text(part)) = (text, part) else { return false };
    match search {
        Search::Start => text.starts_with(&**part),
        Search::End => text.ends_with(&**part),
        Search::Anywhere => text.contains(&**part),
    }
}

fn one_of(wanted: &Expression, known: &[Expression], scene: &Scene<'_>) -> Answer {
    let Some(wanted) = wanted.evaluate(scene)? else { return Ok(None) };
    let mut doubt = false;
    for one in known {
        match one.evaluate(scene)? {
            Some(one) if one.compared(&wanted).is_eq() => return Ok(Some(Value::Flag(true))),
            Some(_) => {}
            None => doubt = true,
        }
    }
    Ok((!doubt).then_some(Value::Flag(false)))
}
