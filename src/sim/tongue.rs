//! What simulated nodes speak: for each family the way in which its real nodes answer HTTP requests. Bytes in, bytes out,
//! no sockets; the model of the chain is the same for all.

use http::Method;

use super::rpc::Desk;

/// The language of a simulated node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tongue {
    /// Ethereum JSON-RPC.
    #[default]
    Evm,
    /// The Beacon API of Ethereum consensus clients; for chains that are made in slots.
    Beacon,
}

/// A request as a node hears it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The verb.
    pub method: &'a Method,
    /// Path and query.
    pub path: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The HTTP status.
    pub status: u16,
    /// A JSON body; `None` for an empty answer.
    pub json: Option<String>,
}

impl Said {
    /// A good answer.
    #[must_use]
    pub fn ok(json: String) -> Self {
        Self { status: 200, json: Some(json) }
    }
}

impl Desk<'_> {
    /// The answer of the node in the language of its network.
    #[must_use]
    pub fn reply(&self, asked: &Asked<'_>) -> Said {
        match self.chain.plan().tongue {
            Tongue::Beacon => super::beacon::reply(self, asked),
            Tongue::Evm if *asked.method != Method::POST => Said { status: 200, json: None },
            Tongue::Evm => self.answer(asked.body).map_or(Said { status: 204, json: None }, Said::ok),
        }
    }
}
