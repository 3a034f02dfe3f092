//! Answers that no honest node gives: whatever they are, a poll ends with facts within their bounds or with an error.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{HALTED, HEALTHY, Play, SYNCING, TOMBSTONED, recorded};
use crate::chain::cometbft::MAX_NAME;

/// JSON of any shape, with the field names of the protocol where names stand.
fn wild() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<u64>().prop_map(|n| Value::from(n.to_string())),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "BA\\{[x_]{0,4}\\} [0-9]{1,22}/[0-9]{1,22} = 0.0".prop_map(Value::from),
        "[0-9]{1,21}/[0-9]{1,3}/[0-9]".prop_map(Value::from),
        "[0-9A-F]{64}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let names = prop::sample::select(NAMES);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(names.prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const NAMES: &[&str] = &[
    "node_info",
    "sync_info",
    "network",
    "latest_block_height",
    "latest_block_hash",
    "validator_info",
    "voting_power",
    "round_state",
    "height/round/step",
    "height_vote_set",
    "round",
    "prevotes",
    "prevotes_bit_array",
    "precommits",
    "n_peers",
    "response",
    "value",
    "code",
    "validators",
    "total",
    "block_height",
    "address",
    "signed_header",
    "commit",
    "height",
    "signatures",
    "block_id_flag",
    "validator_address",
    "block_metas",
    "header",
    "block_id",
    "evidence_hash",
    "block",
    "evidence",
    "vote_a",
];

/// A recorded answer with something in it replaced: `at` chooses what.
fn damaged(mut answer: Value, at: &[usize], by: Value) -> Value {
    damage(&mut answer, at, by);
    answer
}

fn damage(answer: &mut Value, at: &[usize], by: Value) {
    match (answer, at.split_first()) {
        (Value::Object(map), Some((step, rest))) if !map.is_empty() => {
            let step = step % map.len();
            damage(map.values_mut().nth(step).unwrap(), rest, by);
        }
        (Value::Array(items), Some((step, rest))) if !items.is_empty() => {
            let step = step % items.len();
            damage(&mut items[step], rest, by);
        }
        (answer, _) => *answer = by,
    }
}

proptest! {
    #[test]
    fn no_answer_brings_the_adapter_down(
        wilds in prop::collection::vec((wild(), prop::collection::vec(any::<usize>(), 0..8)), 4..12),
        seconds in prop::collection::vec(0_i64..100, 6),
    ) {
        let mut count = 0;
        let mut play = Play::of(|method: &str, params: &Value| {
            count += 1;
            let (wild, at) = &wilds[count % wilds.len()];
            let file = [HEALTHY, HALTED, TOMBSTONED, SYNCING][count % 4];
            match count % 3 {
                0 => json!({ "result": wild }),
                1 => damaged(recorded(file)(method, params), at, wild.clone()),
                _ => recorded(file)(method, params),
            }
        });
        let mut second = 0;
        for pause in seconds {
            second += pause;
            if let Ok(facts) = play.poll(second) {
                prop_assert!(facts.absent.len() <= crate::observation::ABSENT);
                prop_assert!(facts.participation.is_none_or(|it| it <= 1000));
                prop_assert!(facts.seats.is_none_or(|it| it.live <= it.total && it.needed <= it.total));
                prop_assert!(facts.chain_id.is_none_or(|it| it.len() <= MAX_NAME));
            }
        }
    }
}
