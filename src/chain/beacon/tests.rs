//! The adapter on answers composed from the protocol, good, odd and hostile, poll after poll.

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

use super::*;

const PATHS: [usize; COUNT] = [HEAD, SYNCING, GENESIS, SPEC, FINALITY, IDENTITY, PEERS, VERSION];

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

fn root(number: u64) -> String {
    format!("{number:#066x}")
}

/// What a mainnet node says whose head is in `slot` and whose finalized epoch is `finalized`.
fn mainnet(slot: u64, finalized: u64) -> [Value; COUNT] {
    let checkpoint = |epoch: u64| json!({"epoch": epoch.to_string(), "root": root(1000 + epoch * 32)});
    [
        json!({"execution_optimistic": false, "data": {"root": root(1000 + slot), "canonical": true, "header": {
            "message": {"slot": slot.to_string(), "parent_root": root(999 + slot)}, "signature": "0x"}}}),
        json!({"data": {"head_slot": slot.to_string(), "sync_distance": "0", "is_syncing": false}}),
        json!({"data": {"genesis_time": "1606824023", "genesis_validators_root": root(7)}}),
        json!({"data": {"SECONDS_PER_SLOT": "12", "SLOTS_PER_EPOCH": "32", "DEPOSIT_CHAIN_ID": "1"}}),
        json!({"execution_optimistic": false,
            "data": {"current_justified": checkpoint(finalized + 1), "finalized": checkpoint(finalized)}}),
        json!({"data": {"peer_id": "16Uiu2", "enr": "enr:-"}}),
        json!({"data": {"connected": "56"}}),
        json!({"data": {"version": "Lighthouse/v8.0.1"}}),
    ]
}

/// One poll at `now` of a node that says `all` of what it is asked for; and which calls those were.
fn poll(beacon: &mut Beacon, now: Timestamp, all: &[Value; COUNT]) -> (Result<Facts, PollError>, Vec<usize>) {
    let due: Vec<usize> = beacon.due(now).with(HEAD).iter().collect();
    let texts: Vec<(usize, Box<RawValue>)> =
        due.iter().map(|it| (*it, serde_json::value::to_raw_value(&all[*it]).unwrap())).collect();
    let mut answers = Answers::default();
    for (position, raw) in &texts {
        answers.put(*position, Answer::Result(raw));
    }
    (beacon.interpret(now, None, &answers), due)
}

fn good(beacon: &mut Beacon, now: Timestamp, all: &[Value; COUNT]) -> Facts {
    poll(beacon, now, all).0.unwrap()
}

#[test]
fn slots_and_epochs_become_heights_and_times() {
    let mut beacon = Beacon::default();
    let facts = good(&mut beacon, at(0), &mainnet(9_123_456, 285_106));
    assert_eq!((facts.head.height, facts.safe), (Height(9_123_456), Some(Height(285_107 * 32))));
    assert_eq!(facts.head.time.unwrap().to_string(), "2024-05-21T15:31:35.000Z");
    let time = UnixTime::from_seconds(1_606_824_023 + 285_106 * 32 * 12);
    assert!(
        matches!(facts.finality, Finality::Known { height: Height(h), time: t, .. } if h == 285_106 * 32 && t == time)
    );
    assert_eq!((facts.chain_id.as_deref(), facts.peers, facts.syncing), (Some("1"), Some(56), Syncing::No));
    assert_eq!((facts.identity.as_deref(), facts.version.as_deref()), (Some("16Uiu2"), Some("Lighthouse/v8.0.1")));
}

#[test]
fn a_poll_asks_two_resources_and_now_and_then_a_third() {
    let mut beacon = Beacon::default();
    assert_eq!(poll(&mut beacon, at(0), &mainnet(100, 1)).1, PATHS, "all of them at first");
    let mut asked = [0; COUNT];
    for second in (5..=3600).step_by(5) {
        // The server closes every idle connection, so each poll dials anew.
        beacon.doubt_identity();
        let due = poll(&mut beacon, at(second), &mainnet(100 + second.unsigned_abs() / 12, 1)).1;
        assert!(due.starts_with(&[HEAD, SYNCING]) && due.len() <= 3, "{due:?}");
        for position in due {
            asked[position] += 1;
        }
    }
    assert_eq!((asked[HEAD], asked[SYNCING], asked[SPEC]), (720, 720, 0));
    assert!((60..=75).contains(&asked[FINALITY]), "every 48 seconds: {}", asked[FINALITY]);
    assert!((50..=60).contains(&asked[PEERS]), "every minute: {}", asked[PEERS]);
    assert!(asked[GENESIS] <= 120, "not in every poll: {}", asked[GENESIS]);
}

#[test]
fn after_a_poll_that_told_nothing_it_is_asked_at_once_who_the_node_is() {
    let mut beacon = Beacon::default();
    good(&mut beacon, at(0), &mainnet(100, 1));
    assert!(!poll(&mut beacon, at(5), &mainnet(100, 1)).1.contains(&GENESIS));
    beacon.due(at(10));
    beacon.doubt_identity();
    assert!(poll(&mut beacon, at(15), &mainnet(100, 1)).1.contains(&GENESIS));
}

#[test]
fn another_genesis_is_another_chain_of_which_nothing_is_known_yet() {
    let mut beacon = Beacon::default();
    good(&mut beacon, at(0), &mainnet(9_123_456, 285_106));
    let mut other = mainnet(50, 0);
    other[GENESIS] = json!({"data": {"genesis_time": "1638993340", "genesis_validators_root": root(8)}});
    other[SPEC] = json!({"data": {"SLOT_DURATION_MS": "5000", "SLOTS_PER_EPOCH": "16", "DEPOSIT_CHAIN_ID": "100"}});
    let facts = good(&mut beacon, at(600), &other);
    assert_eq!((facts.genesis, facts.chain_id), (Some(BlockHash(hash_of(8))), None));
    assert_eq!((facts.head.time, facts.finality, facts.safe), (None, Finality::Unknown, None));
    let facts = good(&mut beacon, at(605), &other);
    assert_eq!((facts.chain_id.as_deref(), facts.head.time.unwrap().millis()), (Some("100"), 1_638_993_590_000));
}

fn hash_of(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[31] = number;
    bytes
}

#[test]
fn what_is_final_is_unknown_before_the_first_time_and_without_the_execution_client() {
    let none = json!({"epoch": "0", "root": root(0)});
    for checkpoints in [
        json!({"data": {"current_justified": none, "finalized": none}}),
        json!({"execution_optimistic": true, "data": mainnet(100, 1)[FINALITY]["data"]}),
        json!({"data": {"finalized": null}}),
        json!({"data": {"finalized": {"epoch": "18446744073709551615", "root": root(1)}}}),
        json!({"data": []}),
        json!({"code": 500}),
    ] {
        let mut all = mainnet(100, 1);
        all[FINALITY] = checkpoints.clone();
        let facts = good(&mut Beacon::default(), at(0), &all);
        assert_eq!((facts.finality, facts.safe), (Finality::Unknown, None), "{checkpoints}");
    }
}

#[test]
fn what_is_no_longer_told_is_forgotten_after_three_of_its_paces() {
    let mut beacon = Beacon::default();
    good(&mut beacon, at(0), &mainnet(100, 1));
    let mut silent = mainnet(100, 1);
    (silent[FINALITY], silent[PEERS]) = (json!({}), json!({}));
    let mut known = |second| {
        let facts = good(&mut beacon, at(second), &silent);
        (facts.finality.height().is_some(), facts.peers.is_some())
    };
    assert_eq!(known(144), (true, true));
    assert_eq!(known(145), (false, true));
    assert_eq!(known(181), (false, false));
}

#[test]
fn a_node_whose_head_stands_still_is_not_catching_up_whatever_it_says() {
    let mut beacon = Beacon::default();
    let mut hint = |second, slot| {
        let mut all = mainnet(slot, 1);
        all[SYNCING] = json!({"data": {"is_syncing": true, "sync_distance": "11"}});
        good(&mut beacon, at(second), &all).syncing
    };
    let catching_up = Syncing::Yes { behind: Some(11) };
    assert_eq!((hint(0, 51), hint(119, 51)), (catching_up, catching_up));
    assert_eq!(hint(120, 51), Syncing::Unknown, "the chain may have stopped for everybody");
    assert_eq!((hint(125, 52), hint(240, 52)), (catching_up, catching_up));
}

#[test]
fn numbers_may_be_numbers_and_unknown_keys_do_no_harm() {
    let mut all = mainnet(100, 1);
    all[HEAD]["data"]["header"]["message"]["slot"] = json!(100);
    all[HEAD]["version"] = json!("gloas");
    all[SPEC]["data"]["BLOB_SCHEDULE"] = json!([{"EPOCH": "269568"}]);
    all[PEERS]["data"]["connected"] = json!(3);
    let facts = good(&mut Beacon::default(), at(0), &all);
    assert_eq!((facts.head.height, facts.peers, facts.chain_id.as_deref()), (Height(100), Some(3), Some("1")));
}

#[test]
fn a_slot_without_a_block_is_no_error() {
    let beacon = Beacon::default();
    let missed = Answer::Error(RpcError { code: Some(404), message: "No block found for id '99'".to_owned() });
    assert!(beacon.block(Height(99), &missed).is_none());
    let said = serde_json::value::to_raw_value(&mainnet(99, 1)[HEAD]).unwrap();
    assert_eq!(beacon.block(Height(99), &Answer::Result(&said)).unwrap().height, Height(99));
    assert!(beacon.block(Height(98), &Answer::Result(&said)).is_none(), "another block than was asked for");
    let question = Question::Get { path: "/eth/v1/beacon/headers/99".into() };
    assert_eq!(beacon.block_call(Height(99)), Some(question));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number.to_string())),
        any::<f64>().prop_map(|number| json!(number)),
        "[0-9a-fx-]{0,70}".prop_map(Value::from),
        any::<u64>().prop_map(|number| json!(root(number))),
    ];
    let key = prop_oneof![
        Just("data"),
        Just("root"),
        Just("header"),
        Just("message"),
        Just("slot"),
        Just("epoch"),
        Just("finalized"),
        Just("current_justified"),
        Just("genesis_time"),
        Just("genesis_validators_root"),
        Just("SECONDS_PER_SLOT"),
        Just("SLOT_DURATION_MS"),
        Just("SLOTS_PER_EPOCH"),
        Just("connected"),
        Just("peer_id"),
        Just("is_syncing"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_makes_the_adapter_panic_and_a_wrong_head_is_no_head(
        polls in prop::collection::vec((0..COUNT, any_json(), 0..100_000_i64), 1..8),
    ) {
        let mut beacon = Beacon::default();
        let mut all = mainnet(100, 1);
        for (position, answer, later) in polls {
            all[position] = answer;
            if let Err(error) = poll(&mut beacon, at(later), &all).0 {
                prop_assert_eq!(error.kind, ErrorKind::Malformed);
            }
        }
    }

    #[test]
    fn any_slot_epoch_genesis_and_length_is_borne(
        [slot, epoch, genesis, seconds, slots] in any::<[u64; 5]>(),
        now in any::<i64>(),
    ) {
        let mut all = mainnet(1, 1);
        all[HEAD]["data"]["header"]["message"]["slot"] = json!(slot.to_string());
        all[FINALITY]["data"]["finalized"]["epoch"] = json!(epoch.to_string());
        all[GENESIS]["data"]["genesis_time"] = json!(genesis.to_string());
        all[SPEC]["data"]["SECONDS_PER_SLOT"] = json!((seconds % 4000).to_string());
        all[SPEC]["data"]["SLOTS_PER_EPOCH"] = json!((slots % 70_000).to_string());
        let facts = good(&mut Beacon::default(), Timestamp(now), &all);
        prop_assert_eq!(facts.head.height, Height(slot));
    }

    #[test]
    fn a_text_that_was_cut_off_is_no_answer(cut in 0..200_usize) {
        let whole = mainnet(100, 1)[HEAD].to_string();
        let cut = &whole[..cut.min(whole.len() - 1)];
        prop_assert!(serde_json::from_str::<Wrapped<Header>>(cut).is_err());
    }
}
