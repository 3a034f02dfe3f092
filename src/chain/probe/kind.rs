//! Finds out what a configuration has to say of a chain beside its family: which variant it is, and which of several chains
//! a node serves. A wrong variant sets wrong limits, none at all only the usual ones; so nothing is said but what the
//! node's own answers prove. What the survey has told is used first, and what is asked beside it goes into one batch.

mod evm;

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, de::IgnoredAny};

use super::{Caller, answer_to, survey};
use crate::{
    chain::{
        Family, Profile,
        adapter::{Call, CallSet, HEAD, Question},
        fisco_bcos::Fields,
        fisco_bcos_2, fisco_bcos_3,
        quantity::Quantity,
        reply::{Answers, Reply},
        rpc::{batch_body, read},
    },
    model::Cadence,
    observation::{
        Facts, clean_text,
        probe::{Kind, Report},
    },
    transport::Response,
};

/// More groups of one node than this are not listed.
const MAX_GROUPS: usize = 64;

/// Longest name of a group that a configuration is offered, in bytes.
const MAX_GROUP: usize = 48;

/// What is known of the variant of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is this one.
    Is(&'static str),
    /// It has no peculiarities.
    Plain,
    /// More has to be asked.
    Open,
}

/// Questions to which only the nodes of a variant have an answer.
struct Trial {
    calls: &'static [Call],
    judge: fn(&Answers<'_>) -> Option<&'static str>,
}

/// The groups that the node serves, where nodes of its family serve several chains: the declared one, else all it tells.
pub(super) async fn groups(caller: &mut Caller<'_>, family: Family) -> Vec<Arc<str>> {
    if !Profile::of(family, None).groups {
        return Vec::new();
    }
    if let Some(declared) = &caller.inquiry.particulars.group {
        return vec![Arc::clone(declared)];
    }
    let question = Question::Rpc { method: "getGroupList".into(), params: "[]".into() };
    let response = caller.put(&question, HEAD).await.ok();
    let told = response.as_ref().map(|response| listed(&question, response)).unwrap_or_default();
    if told.is_empty() { vec![Arc::from(usual_group(family))] } else { told }
}

/// 2.x lists numbers, 3.x names inside of an object.
fn listed(question: &Question, response: &Response) -> Vec<Arc<str>> {
    let Some(answer) = answer_to(question, response) else { return Vec::new() };
    let numbers = || Some(answer.read::<Vec<Quantity>>()?.iter().map(|number| number.0.to_string()).collect());
    let names = || answer.read::<Fields<'_>>()?.get::<Vec<String>>("groupList");
    let all: Vec<String> = numbers().or_else(names).unwrap_or_default();
    let usable = |name: &String| !name.is_empty() && clean_text(name.trim(), MAX_GROUP) == **name;
    all.into_iter().filter(usable).take(MAX_GROUPS).map(Arc::from).collect()
}

fn usual_group(family: Family) -> &'static str {
    if family == Family::FiscoBcos2 { fisco_bcos_2::FIRST_GROUP } else { fisco_bcos_3::FIRST_GROUP }
}

/// What a configuration has to say, given what was surveyed.
pub(super) async fn of(caller: &mut Caller<'_>, family: Family, groups: Vec<Arc<str>>, report: &Report) -> Kind {
    let proven = match &report.facts {
        Some(facts) => proven(caller, family, facts, report.batch == Some(true)).await,
        None => None,
    };
    let variant = caller.inquiry.particulars.variant.or(proven);
    let version = report.facts.as_ref().and_then(|facts| facts.version.as_deref()).unwrap_or_default();
    let unsaid = family == Family::Evm && evm::seals_on_demand(version);
    let by_itself = Profile::of(family, variant).cadence == Cadence::OnDemand;
    Kind {
        variant,
        proven,
        groups,
        on_demand: by_itself || unsaid,
        cadence: (unsaid && !by_itself).then_some(Cadence::OnDemand.as_str()),
    }
}

async fn proven(caller: &mut Caller<'_>, family: Family, facts: &Facts, batches: bool) -> Option<&'static str> {
    let verdict = match family {
        Family::Evm => evm::told(facts),
        Family::Bitcoin => relative(facts),
        _ => Verdict::Open,
    };
    match verdict {
        Verdict::Is(variant) => Some(variant),
        Verdict::Open if caller.inquiry.identify => trial(family)?.hold(caller, batches).await,
        Verdict::Plain | Verdict::Open => None,
    }
}

impl Trial {
    async fn hold(self, caller: &mut Caller<'_>, batches: bool) -> Option<&'static str> {
        let all: CallSet = (0..self.calls.len()).collect();
        if batches {
            let response = caller.post(batch_body(self.calls, all)).await.ok()?;
            let Ok(Reply::Batch(answers)) = read(&response) else { return None };
            return (self.judge)(&answers);
        }
        let responses = survey::one_by_one(caller, self.calls, all).await.ok()?;
        let mut answers = Answers::default();
        for (position, response) in &responses {
            if let Some(answer) = answer_to(&self.calls[*position].question, response) {
                answers.put(*position, answer);
            }
        }
        (self.judge)(&answers)
    }
}

fn trial(family: Family) -> Option<Trial> {
    match family {
        Family::Evm => Some(Trial { calls: &evm::TRIAL, judge: evm::judge }),
        Family::Beacon => Some(Trial { calls: &BEACON, judge: preset }),
        Family::Substrate => Some(Trial { calls: &SUBSTRATE, judge: runtime }),
        _ => None,
    }
}

// ---- Bitcoin

/// First blocks of chains whose name is `main`, as Bitcoin's is (`chainparams.cpp` of each).
const FIRST_BLOCKS: [(&str, &str); 5] = [
    ("0x12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2", "litecoin"),
    ("0x1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691", "dogecoin"),
    ("0x00000ffd590b1485b3caadc19b22e6379c733355108f107a430458cdf3407ab6", "dash"),
    ("0x00040fe8ec8471911baa1db1266ea15dd06b4a8a5c453883c000b031973dce08", "zcash"),
    ("0x7497ea1b465eb39f1c8f507bc877078fe016d6fcb6dfad3a64c98dcc6e1e8496", "digibyte"),
];

/// How the nodes of relatives call themselves (`getnetworkinfo`), `/Dash Core:20.0.0/` for one. Those that split from
/// Bitcoin share its first block, and test chains have others.
const PROGRAMS: [(&str, &str); 8] = [
    ("Bitcoin Cash Node", "bitcoin-cash"),
    ("BCH Unlimited", "bitcoin-cash"),
    ("Bitcoin SV", "bitcoin-cash"),
    ("LitecoinCore", "litecoin"),
    ("Shibetoshi", "dogecoin"),
    ("Dash Core", "dash"),
    ("MagicBean", "zcash"),
    ("DigiByte", "digibyte"),
];

/// Which relative of Bitcoin it is.
fn relative(facts: &Facts) -> Verdict {
    if facts.chain_id.as_deref() == Some("regtest") {
        return Verdict::Is("regtest");
    }
    let genesis = facts.genesis.map(|hash| hash.to_string());
    let program = facts.version.as_deref().and_then(|version| version.trim_matches('/').split(':').next());
    let by = |table: &[(&str, &'static str)], word: Option<&str>| {
        table.iter().find(|(known, _)| Some(*known) == word).map(|(_, variant)| *variant)
    };
    let variant = by(&FIRST_BLOCKS, genesis.as_deref()).or_else(|| by(&PROGRAMS, program));
    variant.map_or(Verdict::Plain, Verdict::Is)
}

// ---- Beacon

static BEACON: [Call; 1] = [Call::get("/eth/v1/config/spec")];

/// Gnosis has a preset of its own, with slots of five seconds; Chiado is its test network.
fn preset(answers: &Answers<'_>) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        data: Spec<'a>,
    }
    #[derive(Deserialize)]
    struct Spec<'a> {
        #[serde(default, borrow, rename = "PRESET_BASE")]
        preset: Option<Cow<'a, str>>,
        #[serde(default, borrow, rename = "CONFIG_NAME")]
        name: Option<Cow<'a, str>>,
    }
    let spec = answers.get(0).read::<Wrapped<'_>>()?.data;
    let is_gnosis =
        spec.preset.as_deref() == Some("gnosis") || matches!(spec.name.as_deref(), Some("gnosis" | "chiado"));
    is_gnosis.then_some("gnosis")
}

// ---- Substrate

static SUBSTRATE: [Call; 2] = [Call::rpc("rpc_methods", "[]"), Call::rpc("state_getRuntimeVersion", "[]")];

/// Methods that make a block because somebody wants one: of `sc-consensus-manual-seal`, and of Chopsticks.
const SEALING: [&str; 2] = ["engine_createBlock", "dev_newBlock"];

/// `CollectCollationInfo`, as a runtime names the interface (64 bits of a hash of its name): only a parachain has it.
const COLLATION: &str = "0xea93e3f16f3d6962";

fn runtime(answers: &Answers<'_>) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Methods<'a> {
        #[serde(borrow)]
        methods: Vec<Cow<'a, str>>,
    }
    #[derive(Deserialize)]
    struct Version<'a> {
        #[serde(borrow)]
        apis: Vec<(Cow<'a, str>, IgnoredAny)>,
    }
    let methods = answers.get(0).read::<Methods<'_>>().map(|told| told.methods).unwrap_or_default();
    if methods.iter().any(|method| SEALING.contains(&&**method)) {
        return Some("manual-seal");
    }
    let apis = answers.get(1).read::<Version<'_>>().map(|told| told.apis).unwrap_or_default();
    apis.iter().any(|(api, _)| api == COLLATION).then_some("parachain")
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::{chain::reply::Answer, model::Height};

    #[test]
    fn every_variant_that_is_named_is_one_of_its_family() {
        let of_bitcoin = FIRST_BLOCKS.iter().chain(&PROGRAMS).map(|(_, variant)| (Family::Bitcoin, *variant));
        let others = [(Family::Beacon, "gnosis"), (Family::Substrate, "manual-seal"), (Family::Substrate, "parachain")];
        for (family, variant) in of_bitcoin.chain(others).chain(evm::variants().map(|it| (Family::Evm, it))) {
            assert!(Profile::variants(family).any(|name| name == variant), "{variant}");
        }
    }

    #[test]
    fn relatives_of_bitcoin_are_known_by_chain_first_block_or_program() {
        let facts = |chain: &str, genesis: Option<&str>, version: &str| Facts {
            chain_id: Some(chain.into()),
            genesis: genesis
                .map(|hash| serde_json::from_str::<crate::chain::quantity::Hash>(&format!("\"{hash}\"")).unwrap().0),
            version: Some(version.into()),
            ..Facts::at_height(Height(1))
        };
        let bitcoin = Some("0x000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
        for (facts, wanted) in [
            (facts("main", bitcoin, "/Satoshi:28.0.0/"), Verdict::Plain),
            (facts("main", bitcoin, "/Satoshi:28.0.0(Dash Core)/"), Verdict::Plain),
            (facts("signet", None, "/Satoshi:28.0.0/"), Verdict::Plain),
            (facts("main", bitcoin, "/Bitcoin Cash Node:27.1.0(EB32.0)/"), Verdict::Is("bitcoin-cash")),
            (facts("regtest", None, "/Bitcoin SV:1.0.13/"), Verdict::Is("regtest")),
            (facts("main", Some(FIRST_BLOCKS[1].0), "/Satoshi:1.14.9/"), Verdict::Is("dogecoin")),
            (facts("test", None, "/LitecoinCore:0.21.4/"), Verdict::Is("litecoin")),
        ] {
            assert_eq!(relative(&facts), wanted, "{:?}", facts.version);
        }
    }

    fn judged(judge: fn(&Answers<'_>) -> Option<&'static str>, told: &[&str]) -> Option<&'static str> {
        let raws: Vec<Box<RawValue>> = told.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
        let mut answers = Answers::default();
        for (position, raw) in raws.iter().enumerate() {
            answers.put(position, Answer::Result(raw));
        }
        judge(&answers)
    }

    #[test]
    fn gnosis_is_known_by_its_preset_or_its_name() {
        for (spec, wanted) in [
            (r#"{"data":{"PRESET_BASE":"gnosis","CONFIG_NAME":"chiado"}}"#, Some("gnosis")),
            (r#"{"data":{"CONFIG_NAME":"gnosis"}}"#, Some("gnosis")),
            (r#"{"data":{"PRESET_BASE":"mainnet","CONFIG_NAME":"mainnet"}}"#, None),
            (r#"{"data":{}}"#, None),
            (r#"{"data":7}"#, None),
        ] {
            assert_eq!(judged(preset, &[spec]), wanted, "{spec}");
        }
    }

    #[test]
    fn a_parachain_collates_and_a_development_node_seals_on_request() {
        let (collates, relay) = (r#"{"apis":[["0xea93e3f16f3d6962",2]]}"#, r#"{"apis":[["0xdf6acb689907609b",4]]}"#);
        let (methods, seals) = (r#"{"methods":["chain_getHeader"]}"#, r#"{"methods":["engine_createBlock"]}"#);
        for (told, wanted) in [
            ([methods, collates], Some("parachain")),
            ([methods, relay], None),
            ([seals, collates], Some("manual-seal")),
            (["null", collates], Some("parachain")),
            (["[1]", r#"{"apis":[7]}"#], None),
        ] {
            assert_eq!(judged(runtime, &told), wanted, "{told:?}");
        }
    }
}
