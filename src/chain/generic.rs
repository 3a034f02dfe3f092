//! Any chain whose calls the configuration names: which methods or resources are asked for, where in their answers the
//! facts stand and how they are written. What the answers of one call told is remembered where it is asked at a pace of
//! its own, for three of its paces.

pub mod expression;
mod path;
pub mod spec;
mod value;

use std::sync::Arc;

pub use self::spec::Spec;
use self::{
    expression::Condition,
    spec::{Fact, Meaning, Told},
};
use super::{
    adapter::{Adapter, Call, CallSet, HEAD, Rota, permission, refusal},
    memory::Remembered,
    reply::{Answer, Answers, RpcError},
};
use crate::{
    model::{Height, Timestamp, UnixTime, endpoint},
    observation::{ErrorKind, Facts, Finality, Head, PollError, Syncing},
};

/// What is remembered of one node.
#[derive(Debug)]
pub struct Generic {
    spec: Arc<Spec>,
    rota: Rota,
    /// Calls that are due and were not answered yet: they are due again.
    open: CallSet,
    /// By position, what the call told.
    memory: Vec<Remembered<Told>>,
    /// Of which chain that is.
    chain_id: Option<Arc<str>>,
}

impl Generic {
    /// An adapter that asks what `spec` says.
    #[must_use]
    pub fn new(spec: Arc<Spec>) -> Self {
        let memory = vec![Remembered::default(); spec.calls().len()];
        Self { spec, rota: Rota::default(), open: CallSet::default(), memory, chain_id: None }
    }

    /// What is told now, or was told not long ago.
    fn told(&mut self, now: Timestamp, answers: &Answers<'_>) -> Told {
        let mut told = Told::default();
        for position in 0..self.spec.calls().len() {
            let pace = self.spec.calls()[position].every;
            let Some(meaning) = self.spec.meaning(position) else { continue };
            if let Answer::Result(raw) = answers.get(position)
                && is_good(meaning, raw.get())
            {
                self.memory[position].keep(now, Some(meaning.read(raw.get())));
            }
            // Without a pace of its own it is a matter of this poll alone.
            if let Some(known) = self.memory[position].at(now, pace) {
                told.join(known);
            }
        }
        told
    }

    /// Nothing that was told before counts any more.
    fn forget(&mut self) {
        self.memory.fill(Remembered::default());
        self.rota.forget(0..self.spec.calls().len());
    }
}

impl Adapter for Generic {
    fn calls(&self) -> &[Call] {
        self.spec.calls()
    }

    fn due(&mut self, now: Timestamp) -> CallSet {
        self.rota.forget(self.open.iter());
        self.open = self.rota.take_turn(self.spec.calls(), now);
        self.open
    }

    fn interpret(
        &mut self,
        now: Timestamp,
        clock: Option<UnixTime>,
        answers: &Answers<'_>,
    ) -> Result<Facts, PollError> {
        let answered = |position: &usize| !matches!(answers.get(*position), Answer::Missing);
        self.open = self.open.iter().filter(|position| !answered(position)).collect();
        let raw = self.head(answers.get(HEAD))?;
        let mut told = self.told(now, answers);
        let chain_id = told.text(Fact::ChainId).map(canonical);
        if chain_id.is_some() && self.chain_id.is_some() && chain_id != self.chain_id {
            // What is remembered is that of another chain.
            self.forget();
            told = self.told(now, answers);
        }
        self.chain_id = chain_id.or_else(|| self.chain_id.take());
        let mut facts = facts(&told, clock).ok_or_else(|| self.without_height(raw, told.syncing()))?;
        facts.version = facts.version.map(|version| self.without_secrets(&version).into());
        Ok(facts)
    }

    /// Codes and words that servers of every kind have in common.
    fn classify(&self, error: &RpcError) -> ErrorKind {
        let text = error.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match error.code {
            Some(-32005 | -32029 | -32016 | 429 | 402) => ErrorKind::RateLimited,
            Some(401 | 403) => ErrorKind::Unauthorized,
            _ if says(&["rate limit", "too many requests", "quota"]) => ErrorKind::RateLimited,
            _ if says(&["not ready", "starting", "warming up", "loading", "initializing", "rewinding"]) => {
                ErrorKind::Starting
            }
            _ => ErrorKind::Rpc,
        }
    }

    fn untold(&self, answers: &Answers<'_>) -> Vec<String> {
        let mut all = Vec::new();
        for (position, call) in self.spec.calls().iter().enumerate() {
            let (asked, Some(meaning)) = (permission(self, &call.question), self.spec.meaning(position)) else {
                continue;
            };
            match answers.get(position) {
                Answer::Error(error) if position != HEAD && !call.optional => {
                    let said = self.without_secrets(&refusal(self, error).detail);
                    all.push(format!("{asked} is answered with an error: {said}"));
                }
                Answer::Missing if position != HEAD && !call.optional => {
                    all.push(format!("{asked} gives no answer that can be read"));
                }
                Answer::Result(raw) if is_good(meaning, raw.get()) => {
                    let untold = meaning.untold(raw.get());
                    all.extend(untold.map(|(key, place)| format!("{asked} does not tell `{key}` at {place}")));
                }
                _ => {}
            }
        }
        all
    }

    fn doubt_identity(&mut self) {
        self.forget();
    }

    fn without_secrets(&self, text: &str) -> String {
        endpoint::cut(text, self.spec.keys())
    }
}

impl Generic {
    /// The answer that must tell the height.
    fn head<'a>(&self, answer: &Answer<'a>) -> Result<&'a str, PollError> {
        let raw = match answer {
            Answer::Missing => return Err(malformed("no answer to the call that tells the height")),
            Answer::Error(error) => return Err(refusal(self, error)),
            Answer::Result(raw) => raw.get(),
        };
        let meaning = self.spec.meaning(HEAD);
        let find = |condition: fn(&Meaning) -> &Option<Condition>| meaning.and_then(|it| condition(it).as_ref());
        if let Some(starting) = find(|it| &it.starting).filter(|it| it.holds(raw) == Some(true)) {
            return Err(PollError::new(ErrorKind::Starting, &starting.evidence(raw)));
        }
        match find(|it| &it.success).filter(|it| it.holds(raw) != Some(true)) {
            Some(success) => Err(PollError::new(ErrorKind::Rpc, &success.evidence(raw))),
            None => Ok(raw),
        }
    }

    /// A node that has no block yet may say null; one that claims to be in sync at the same time is broken.
    fn without_height(&self, json: &str, syncing: Syncing) -> PollError {
        if json == "null" && syncing != Syncing::No {
            return PollError::new(ErrorKind::Starting, "no block yet");
        }
        let place = self.spec.meaning(HEAD).and_then(|meaning| meaning.place(Fact::Height)).unwrap_or_default();
        malformed(&format!("there is no height at {place}"))
    }
}

/// Whether the answer is one by what the configuration says.
fn is_good(meaning: &Meaning, json: &str) -> bool {
    let holds = |condition: &Option<Condition>| condition.as_ref().map(|condition| condition.holds(json) == Some(true));
    holds(&meaning.success).unwrap_or(true) && !holds(&meaning.starting).unwrap_or(false)
}

fn malformed(what: &str) -> PollError {
    PollError::new(ErrorKind::Malformed, what)
}

/// A chain id as the configuration writes it: hexadecimal numbers are decimal ones.
fn canonical(text: &str) -> Arc<str> {
    let number = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.map_or_else(|| Arc::from(text), |number| Arc::from(number.to_string()))
}

/// What was told, if the height is among it.
fn facts(told: &Told, clock: Option<UnixTime>) -> Option<Facts> {
    let height = Height(told.number(Fact::Height)?);
    let head = Head {
        height,
        hash: told.hash(Fact::Hash),
        parent: told.hash(Fact::Parent),
        time: told.time(Fact::Time),
        transactions: told.number(Fact::Transactions),
    };
    let finality = told.number(Fact::Finalized).map_or(Finality::Unknown, |number| Finality::Known {
        height: Height(number),
        hash: told.hash(Fact::FinalizedHash),
        time: told.time(Fact::FinalizedTime),
    });
    let text = |fact| told.text(fact).map(Arc::from);
    Some(Facts {
        chain_id: told.text(Fact::ChainId).map(canonical),
        genesis: told.hash(Fact::Genesis),
        version: text(Fact::Version),
        head,
        safe: told.number(Fact::Safe).map(Height),
        finality,
        syncing: told.syncing(),
        peers: told.number(Fact::Peers),
        pending: told.number(Fact::Pending),
        round: told.number(Fact::Round),
        heartbeat: told.number(Fact::Heartbeat),
        identity: text(Fact::Identity),
        clock,
        ..Facts::at_height(height)
    })
}
