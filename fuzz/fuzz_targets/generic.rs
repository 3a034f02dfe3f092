//! Expressions of the configuration over answers of nodes: the first line is the expression, the rest is the answer.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use haltwatch::{
    chain::{
        Family, Particulars,
        adapter::Call,
        generic::{
            Spec,
            expression::{Condition, Expression},
            spec::{Fact, Meaning},
        },
        rehearsal::Rehearsal,
    },
    model::Timestamp,
};
use haltwatch_fuzz::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Some((expression, answer)) = text.split_once('\n') else { return };
    let condition = Condition::parse(expression).ok();
    let facts: Vec<(Fact, Expression)> =
        Fact::ALL.iter().filter_map(|fact| Some((*fact, Expression::parse(expression, fact.kind()).ok()?))).collect();
    let meaning = Meaning { facts, syncing: condition.clone(), success: None, starting: condition };
    let Some(spec) = Spec::new(vec![(Call::get("/"), meaning)]) else { return };
    let particulars = Particulars { spec: Some(Arc::new(spec)), ..Particulars::default() };
    let mut rehearsal = Rehearsal::new(Family::Generic, &particulars);
    check(&rehearsal.poll(Timestamp(0), |_, _| (200, Bytes::copy_from_slice(answer.as_bytes()))));
});
