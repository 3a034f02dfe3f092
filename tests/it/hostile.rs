//! Answers that no honest node gives, to the adapter of every family: arbitrary JSON, truncated bodies, huge and deep
//! ones, wrong types. Nothing panics, what fails is one of the known failures, and what is taken for a fact is bounded.

use bytes::Bytes;
use haltwatch::{
    chain::{Family, Particulars, Profile, adapter::Question, rehearsal::Rehearsal},
    model::{Height, Timestamp},
    observation::{ABSENT, CHECKPOINTS, EQUIVOCATIONS, Facts, PollError},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

/// Names that nodes of some family use, so that invented objects meet the readers.
const NAMES: &[&str] = &[
    "result",
    "data",
    "error",
    "code",
    "message",
    "number",
    "hash",
    "parentHash",
    "timestamp",
    "transactions",
    "height",
    "sync_info",
    "latest_block_height",
    "latest_block_hash",
    "latest_block_time",
    "catching_up",
    "node_info",
    "network",
    "validators",
    "voting_power",
    "n_peers",
    "peers",
    "round_state",
    "height_vote_set",
    "round",
    "blocks",
    "headers",
    "bestblockhash",
    "initialblockdownload",
    "mediantime",
    "connections",
    "head_slot",
    "sync_distance",
    "is_syncing",
    "is_optimistic",
    "slot",
    "root",
    "header",
    "epoch",
    "finalized",
    "current_justified",
    "genesis_time",
    "blockNumber",
    "view",
    "currentView",
    "sealer.0",
    "nodeId",
    "nodeID",
    "isSyncing",
    "consensusNodeList",
    "connectedNodeList",
    "minRequiredQuorum",
    "unsafe_l2",
    "safe_l2",
    "finalized_l2",
    "current_l1",
    "l1origin",
    "currentBlock",
    "highestBlock",
    "pending",
    "status",
    "version",
    "chain",
    "id",
    "digest",
    "logs",
    "specVersion",
    "best",
    "prevotes",
    "precommits",
];

fn scalar() -> impl Strategy<Value = Value> {
    let hash = any::<(u128, u128)>().prop_map(|(high, low)| format!("{high:032x}{low:032x}"));
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..1000_u64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(|number| json!(number.to_string())),
        any::<u64>().prop_map(|number| json!(format!("{number:#x}"))),
        any::<u128>().prop_map(|number| json!(format!("{number:#x}"))),
        hash.clone().prop_map(|hash| json!(format!("0x{hash}"))),
        hash.prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[\\x00-\\x7f\u{202e}\u{feff}é]{0,300}".prop_map(Value::from),
        Just(json!("2026-11-21T19:37:43.403443874Z")),
        Just(json!("99999-99-99T99:99:99Z")),
        Just(json!("{\"blockNumber\":7,\"view\":1}\n")),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 64, 10, |inner| {
        let name = prop_oneof![9 => prop::sample::select(NAMES).prop_map(str::to_owned), 1 => "\\PC{0,8}"];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name, inner.clone()), 0..10)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            inner.prop_map(|value| json!(value.to_string())),
        ]
    })
}

/// The text of an answer: mostly JSON, sometimes cut off, deep, wide, or nothing at all.
fn text() -> impl Strategy<Value = String> {
    let deep = (1..20_000_usize, prop::sample::select(vec!["[", "{\"a\":", "[{\"result\":"]))
        .prop_map(|(depth, open)| open.repeat(depth));
    let closed = (1..20_000_usize).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth));
    let wide = (1..20_000_usize).prop_map(|width| format!("[{}1]", "1,".repeat(width)));
    prop_oneof![
        20 => json().prop_map(|value| value.to_string()),
        3 => (json(), any::<prop::sample::Index>()).prop_map(|(value, end)| {
            let text = value.to_string();
            let mut end = end.index(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text[..end].to_owned()
        }),
        1 => deep,
        1 => closed,
        1 => wide,
        1 => "\\PC{0,100}",
    ]
}

/// Every family with each of its variants.
fn languages() -> Vec<(Family, Particulars)> {
    let rows = Family::ALL.into_iter().flat_map(|family| {
        let variants = Profile::variants(family).map(Some);
        std::iter::once(None).chain(variants).map(move |variant| (family, variant))
    });
    let group = |family| Profile::of(family, None).groups.then(|| "1".into());
    let known =
        rows.map(|(family, variant)| (family, Particulars { variant, group: group(family), ..Particulars::default() }));
    known.chain([(Family::Generic, generic())]).collect()
}

/// A chain whose configuration looks at everything.
fn generic() -> Particulars {
    let text = "[[network]]\nname = \"n\"\nfamily = \"generic\"\n[[network.call]]\nmethod = \"m\"\nheight = \"/number\"\n\
                hash = \"/hash\"\ntime = \"/timestamp\"\nsyncing = \"/is_syncing\"\npeers = \"/data/0 + /peers as count\"\n\
                version = \"/version | /\"\n[[network.call]]\npath = \"/p\"\nchain_id = \"/result/0\"\nidentity = \"/\"\n\
                [[network.node]]\nname = \"n\"\nurl = \"http://127.0.0.1:1\"\n";
    let config = haltwatch::config::load(&haltwatch::config::Source::Text(text.to_owned()));
    config.unwrap_or_else(|problems| panic!("{problems}")).chain.nodes[0].particulars.clone()
}

/// What every answer must come to, whoever gave it.
fn sound(outcome: Result<Facts, PollError>) -> Result<(), TestCaseError> {
    match outcome {
        Ok(facts) => {
            let texts = [&facts.chain_id, &facts.version, &facts.identity];
            for text in texts.into_iter().flatten() {
                prop_assert!(text.len() <= 256, "{} bytes", text.len());
                prop_assert!(!text.chars().any(char::is_control), "{text:?}");
            }
            prop_assert!(facts.checkpoints.len() <= CHECKPOINTS);
            prop_assert!(facts.equivocations.len() <= EQUIVOCATIONS);
            prop_assert!(facts.absent.len() <= ABSENT);
            prop_assert!(facts.participation.is_none_or(|share| share <= 1000));
            let names = facts.absent.iter().chain(facts.equivocations.iter().map(|it| &it.validator));
            for name in names.chain(facts.upgrade.iter().map(|upgrade| &upgrade.name)) {
                prop_assert!(name.len() <= 256 && !name.chars().any(char::is_control), "{name:?}");
            }
        }
        Err(error) => prop_assert!(error.detail.len() <= 160, "{}", error.detail),
    }
    Ok(())
}

fn body(question: &Question, id: usize, text: &str) -> (u16, Bytes) {
    let text = match question {
        Question::Rpc { .. } => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{text}}}"#),
        Question::Get { .. } => text.to_owned(),
    };
    (200, text.into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_hurts_the_adapter_of_any_family(lines in vec(text(), 1..12)) {
        for (family, particulars) in languages() {
            let mut rehearsal = Rehearsal::new(family, &particulars);
            let mut lines = lines.iter().cycle();
            for poll in 0..4_i64 {
                let at = Timestamp(poll * 1_800_000);
                sound(rehearsal.poll(at, |question, id| body(question, id, lines.next().map_or("", String::as_str))))?;
                let _ = rehearsal.block(Height(7), lines.next().map_or("", String::as_str));
                if poll == 2 {
                    rehearsal.doubt_identity();
                }
            }
        }
    }

    #[test]
    fn no_batch_and_no_status_hurts_the_adapter_of_any_family(
        results in vec((1..26_u64, text()), 0..12),
        whole in text(),
        status in prop::sample::select(vec![200_u16, 204, 301, 400, 401, 404, 429, 500, 503]),
    ) {
        let items: Vec<String> =
            results.iter().map(|(id, text)| format!(r#"{{"id":{id},"result":{text}}}"#)).collect();
        for (family, particulars) in languages() {
            let mut rehearsal = Rehearsal::new(family, &particulars);
            for body in [format!("[{}]", items.join(",")), whole.clone(), format!(r#"{{"error":{whole}}}"#)] {
                sound(rehearsal.batch(Timestamp(0), (status, body.clone().into())))?;
                sound(rehearsal.poll(Timestamp(1), |_, _| (status, body.clone().into())))?;
            }
        }
    }
}

#[test]
fn the_largest_answer_is_read_by_every_family_without_a_word_too_much() {
    let long = json!({"result": {"version": "v".repeat(1 << 20)}, "data": "d".repeat(1 << 20)}).to_string();
    let wide = format!("[{}{{}}]", "{\"peers\":[]},".repeat(100_000));
    for (family, particulars) in languages() {
        for text in [&long, &wide] {
            let mut rehearsal = Rehearsal::new(family, &particulars);
            sound(rehearsal.poll(Timestamp(0), |question, id| body(question, id, text))).unwrap();
        }
    }
}
