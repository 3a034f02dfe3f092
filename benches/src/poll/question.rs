//! The calls of a poll and a typed reading of their answers: what a careful client in Rust does with a reply it must
//! understand, without a generic JSON tree.

use anyhow::Context;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What is asked if haltwatch was not heard.
pub const DEFAULT: &str = r#"[{"method":"eth_getBlockByNumber","params":["latest",false]},{"method":"eth_syncing","params":[]},{"method":"net_peerCount","params":[]},{"method":"eth_chainId","params":[]}]"#;

/// One call.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// What is asked.
    pub method: String,
    /// With which parameters.
    #[serde(default)]
    pub params: Vec<serde_json::Value>,
}

/// What the answers of a poll say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// How many calls were answered with a result that was understood.
    pub understood: usize,
    /// Number of the newest block.
    pub height: u64,
    /// Its time.
    pub time: u64,
    /// First eight bytes of its hash.
    pub hash: u64,
}

#[derive(Deserialize)]
struct Reply<'a> {
    id: usize,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    number: &'a str,
    hash: &'a str,
    #[serde(rename = "parentHash")]
    _parent: &'a str,
    timestamp: &'a str,
}

/// Reads an array of calls.
pub fn parse(calls: &str) -> anyhow::Result<Vec<Question>> {
    serde_json::from_str(calls).with_context(|| format!("not an array of calls: {calls}"))
}

/// The calls for people.
pub fn methods(calls: &str) -> String {
    let shown = |question: &Question| match question.params.first().and_then(|tag| tag.as_str()) {
        Some(tag) => format!("{}({tag})", question.method),
        None => question.method.clone(),
    };
    parse(calls).unwrap_or_default().iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// The calls as the body of one batch; ids count from 1.
pub fn batch(questions: &[Question]) -> String {
    let call = |(index, question): (usize, &Question)| {
        serde_json::json!({"jsonrpc": "2.0", "id": index + 1, "method": question.method, "params": question.params})
            .to_string()
    };
    format!("[{}]", questions.iter().enumerate().map(call).collect::<Vec<_>>().join(","))
}

/// Reads the reply to a batch; `None` if it is none.
pub fn read_batch(questions: &[Question], body: &[u8]) -> Option<Answers> {
    let replies: Vec<Reply> = serde_json::from_slice(body).ok()?;
    let mut answers = Answers::default();
    for reply in &replies {
        if let (Some(question), Some(result)) = (questions.get(reply.id.wrapping_sub(1)), reply.result) {
            answers.take(question, result);
        }
    }
    Some(answers)
}

impl Answers {
    /// Takes in the `result` of one call.
    pub fn take(&mut self, question: &Question, result: &RawValue) {
        let understood = match question.method.as_str() {
            "eth_getBlockByNumber" => self.take_block(result.get()),
            "eth_chainId" | "eth_blockNumber" | "net_peerCount" => {
                serde_json::from_str(result.get()).ok().and_then(quantity).map(drop)
            }
            "web3_clientVersion" => serde_json::from_str::<&str>(result.get()).ok().map(drop),
            _ => Some(()),
        };
        self.understood += usize::from(understood.is_some());
    }

    fn take_block(&mut self, text: &str) -> Option<()> {
        let block: Block = serde_json::from_str(text).ok()?;
        let height = quantity(block.number)?;
        if self.height <= height {
            self.height = height;
            self.time = quantity(block.timestamp)?;
            self.hash = u64::from_str_radix(block.hash.get(2..18)?, 16).ok()?;
        }
        Some(())
    }
}

fn quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_by_the_calls_it_answers() {
        let questions = parse(DEFAULT).unwrap();
        let block =
            r#"{"number":"0x10","hash":"0x00000000000000ff00","parentHash":"0x0","timestamp":"0x20","size":"0x1"}"#;
        let body =
            format!(r#"[{{"id":2,"result":false}},{{"id":1,"result":{block}}},{{"id":3,"error":{{"code":1}}}}]"#);
        let read = read_batch(&questions, body.as_bytes()).unwrap();
        assert_eq!(read, Answers { understood: 2, height: 16, time: 32, hash: 255 });
        assert_eq!(read_batch(&questions, b"<html>"), None);
    }

    #[test]
    fn a_batch_numbers_its_calls_from_one() {
        let questions = parse(r#"[{"method":"eth_chainId","params":[]}]"#).unwrap();
        assert_eq!(batch(&questions), r#"[{"id":1,"jsonrpc":"2.0","method":"eth_chainId","params":[]}]"#);
    }
}
