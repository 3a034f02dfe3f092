//! The Beacon API as a simulated consensus client speaks it. A block stands in the slot in which it was made; slots in
//! which nobody made one are missed. An epoch is justified if two thirds of the voters were there all through it, and
//! final when the next one is justified too: so with a plan whose blocks need fewer votes, finality can be lost while
//! blocks go on.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{
    block::{Block, millis},
    plan::Cadence,
    rpc::Desk,
    tongue::{Asked, Said},
};

/// Slots of an epoch, as in the minimal preset.
pub const SLOTS_PER_EPOCH: u64 = 8;

/// A node whose head is more slots behind the clock says that it is syncing.
const SLOTS_IN_SYNC: u64 = 8;

/// Epochs looked back at for one that is justified.
const EPOCHS_BACK: usize = 1024;

/// The root that stands for none.
const NO_ROOT: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

/// The answer of a node.
#[must_use]
pub fn reply(desk: &Desk<'_>, asked: &Asked<'_>) -> Said {
    let path = asked.path.split('?').next().unwrap_or_default();
    let none = || refuse(404, &format!("Route {}:{path} not found", asked.method));
    if *asked.method != Method::GET {
        return none();
    }
    let answer = match path {
        "/eth/v1/node/syncing" => desk.sync_state(),
        "/eth/v1/node/version" => Some(json!({"data": {"version": version(desk)}})),
        "/eth/v1/node/identity" => Some(json!({"data": {"peer_id": format!("sim-{}", desk.node)}})),
        "/eth/v1/node/peer_count" => desk.peers(),
        "/eth/v1/beacon/genesis" => Some(desk.genesis()),
        "/eth/v1/config/spec" => desk.spec(),
        "/eth/v1/beacon/states/head/finality_checkpoints" => desk.checkpoints(),
        _ => match path.strip_prefix("/eth/v1/beacon/headers/") {
            Some(id) => return desk.header(id),
            None => return none(),
        },
    };
    answer.map_or_else(none, |json| Said::ok(json.to_string()))
}

fn version(desk: &Desk<'_>) -> String {
    format!("haltwatch-sim/v{}/{}", env!("CARGO_PKG_VERSION"), desk.chain.plan().name)
}

fn refuse(status: u16, message: &str) -> Said {
    Said { status, json: Some(json!({"code": status, "message": message}).to_string()) }
}

impl Desk<'_> {
    /// The length of a slot in the time of the chain, in milliseconds.
    fn slot_ms(&self) -> u64 {
        let (Cadence::Slots { every, .. } | Cadence::Interval(every) | Cadence::OnDemand { seal_after: every, .. }) =
            self.chain.plan().cadence;
        millis(every).max(1)
    }

    fn slot_of(&self, block: &Block) -> u64 {
        millis(block.at) / self.slot_ms()
    }

    fn begin_of(&self, slot: u64) -> Duration {
        Duration::from_millis(slot.saturating_mul(self.slot_ms()))
    }

    /// The last moment of a slot: its block comes at any time within it.
    fn end_of(&self, slot: u64) -> Duration {
        self.begin_of(slot.saturating_add(1)).saturating_sub(Duration::from_millis(1))
    }

    fn sync_state(&self) -> Option<Value> {
        let head = self.slot_of(self.chain.view(self.node)?.head);
        let distance = (millis(self.chain.now()) / self.slot_ms()).saturating_sub(head);
        Some(json!({"data": {
            "head_slot": head.to_string(), "sync_distance": distance.to_string(),
            "is_syncing": SLOTS_IN_SYNC < distance, "is_optimistic": false, "el_offline": false,
        }}))
    }

    fn peers(&self) -> Option<Value> {
        let peers = self.chain.view(self.node)?.peers;
        Some(json!({"data": {
            "disconnected": "0", "connecting": "0", "connected": peers.to_string(), "disconnecting": "0",
        }}))
    }

    fn genesis(&self) -> Value {
        let root = self.chain.block(self.node, 0).map_or_else(|| NO_ROOT.to_owned(), root_of);
        json!({"data": {
            "genesis_time": (self.epoch_ms / 1000).to_string(), "genesis_validators_root": root,
            "genesis_fork_version": "0x01000001",
        }})
    }

    fn spec(&self) -> Option<Value> {
        let slot_ms = (self.slot_ms() / u64::from(self.speed.max(1))).max(1);
        let chain_id = self.chain.view(self.node)?.chain_id;
        Some(json!({"data": {
            "CONFIG_NAME": "simulated", "SLOT_DURATION_MS": slot_ms.to_string(),
            "SLOTS_PER_EPOCH": SLOTS_PER_EPOCH.to_string(), "DEPOSIT_CHAIN_ID": chain_id.to_string(),
        }}))
    }

    fn header(&self, id: &str) -> Said {
        let head = self.chain.view(self.node).map(|view| *view.head);
        let block = match (id, id.parse::<u64>()) {
            ("head", _) => head,
            (_, Ok(slot)) => {
                self.chain.block_at(self.node, self.end_of(slot)).copied().filter(|block| self.slot_of(block) == slot)
            }
            _ => return refuse(400, &format!("Invalid block id '{id}'")),
        };
        let Some(block) = block else { return refuse(404, &format!("No block found for id '{id}'")) };
        let parent = if block.number == 0 { NO_ROOT.to_owned() } else { format!("{:#x}", block.parent) };
        Said::ok(
            json!({"execution_optimistic": false, "finalized": false, "data": {
                "root": root_of(&block), "canonical": true, "header": {"message": {
                    "slot": self.slot_of(&block).to_string(), "proposer_index": block.producer.to_string(),
                    "parent_root": parent, "state_root": NO_ROOT, "body_root": NO_ROOT,
                }, "signature": "0x00"},
            }})
            .to_string(),
        )
    }

    fn checkpoints(&self) -> Option<Value> {
        let epoch = self.slot_of(self.chain.view(self.node)?.head) / SLOTS_PER_EPOCH;
        let mut justified = (1..epoch).rev().take(EPOCHS_BACK).filter(|it| self.is_justified(*it));
        let newest = justified.next();
        let finalized = newest.into_iter().chain(justified).find(|it| it + 1 < epoch && self.is_justified(it + 1));
        Some(json!({"execution_optimistic": false, "finalized": false, "data": {
            "previous_justified": self.checkpoint(newest), "current_justified": self.checkpoint(newest),
            "finalized": self.checkpoint(finalized),
        }}))
    }

    fn is_justified(&self, epoch: u64) -> bool {
        let begin = |epoch: u64| self.begin_of(epoch.saturating_mul(SLOTS_PER_EPOCH));
        self.chain.attested(self.node, begin(epoch), begin(epoch + 1))
    }

    /// The first slot of an epoch, and the newest block in or before it.
    fn checkpoint(&self, epoch: Option<u64>) -> Value {
        let Some(epoch) = epoch else { return json!({"epoch": "0", "root": NO_ROOT}) };
        let first = self.end_of(epoch.saturating_mul(SLOTS_PER_EPOCH));
        let root = self.chain.block_at(self.node, first).map_or_else(|| NO_ROOT.to_owned(), root_of);
        json!({"epoch": epoch.to_string(), "root": root})
    }
}

fn root_of(block: &Block) -> String {
    format!("{:#x}", block.hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Chain, Fault, Member, Plan, Quorum, Tongue};

    const SLOT: Duration = Duration::from_secs(2);

    fn chain(missed_per_mille: u64) -> Chain {
        Chain::new(Plan {
            tongue: Tongue::Beacon,
            name: "beacon".to_owned(),
            chain_id: 1,
            seed: 3,
            cadence: Cadence::Slots { every: SLOT, missed_per_mille },
            quorum: Quorum::One,
            finality_lag: 0,
            outside_peers: 2,
            members: (1..=4).map(|n| Member { name: format!("bn{n}"), votes: true }).collect(),
        })
    }

    fn ask(chain: &Chain, path: &str) -> (u16, Value) {
        let desk = Desk { chain, node: 0, epoch_ms: 1_700_000_000_000, speed: 1, streams: false };
        let said = desk.reply(&Asked { method: &Method::GET, path, body: b"" });
        (said.status, serde_json::from_str(&said.json.unwrap()).unwrap())
    }

    /// Head slot, justified and finalized epoch.
    fn state(chain: &Chain) -> [String; 3] {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let head = ask(chain, "/eth/v1/beacon/headers/head").1;
        let points = ask(chain, "/eth/v1/beacon/states/head/finality_checkpoints").1;
        [
            text(&head["data"]["header"]["message"]["slot"]),
            text(&points["data"]["current_justified"]["epoch"]),
            text(&points["data"]["finalized"]["epoch"]),
        ]
    }

    #[test]
    fn epochs_become_final_while_two_thirds_attest_and_not_otherwise() {
        let mut chain = chain(0);
        chain.advance(SLOT * 100);
        assert_eq!(state(&chain), ["100", "11", "10"]);
        chain.suffer(&Fault::Stop(3), SLOT * 100);
        chain.advance(SLOT * 160);
        assert_eq!(state(&chain), ["160", "19", "18"], "one of four is less than a third");
        chain.suffer(&Fault::Stop(2), SLOT * 160);
        chain.advance(SLOT * 240);
        assert_eq!(state(&chain), ["240", "19", "18"], "blocks go on");
        chain.suffer(&Fault::Start(2), SLOT * 240);
        chain.advance(SLOT * 300);
        assert_eq!(state(&chain), ["300", "36", "35"]);
    }

    #[test]
    fn a_missed_slot_has_no_header_and_the_head_names_the_block_before_it() {
        let mut chain = chain(300);
        chain.advance(SLOT * 100);
        let slots: Vec<bool> =
            (1..=90).map(|slot| ask(&chain, &format!("/eth/v1/beacon/headers/{slot}")).0 == 200).collect();
        let filled = slots.iter().filter(|filled| **filled).count();
        assert!((45..80).contains(&filled), "{filled}");
        assert_eq!(ask(&chain, "/eth/v1/beacon/headers/bogus").0, 400);
        assert_eq!(ask(&chain, "/eth/v1/no/such").0, 404);
    }
}
