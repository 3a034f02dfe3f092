//! What simulated nodes speak: for each family the way in which its real nodes answer HTTP requests. Bytes in, bytes out,
//! no sockets; the model of the chain is the same for all.

use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::rpc::Desk;

/// The language of a simulated node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tongue {
    /// Ethereum JSON-RPC.
    #[default]
    Evm,
    /// The same, as Besu speaks it where QBFT makes the blocks.
    Qbft,
    /// The same, as geth speaks it where Clique makes the blocks.
    Clique,
    /// The JSON-RPC of the consensus node of a rollup.
    OpNode,
    /// JSON-RPC of Bitcoin Core.
    Bitcoin,
    /// The RPC of CometBFT.
    CometBft,
    /// JSON-RPC of Substrate.
    Substrate,
    /// The Beacon API of Ethereum consensus clients; for chains that are made in slots.
    Beacon,
    /// FISCO BCOS 2.x.
    FiscoBcos2,
    /// FISCO BCOS 3.x.
    FiscoBcos3,
}

impl Tongue {
    /// Every language.
    pub const ALL: &'static [Self] = &[
        Self::Evm,
        Self::Qbft,
        Self::Clique,
        Self::OpNode,
        Self::Bitcoin,
        Self::CometBft,
        Self::Substrate,
        Self::FiscoBcos2,
        Self::FiscoBcos3,
        Self::Beacon,
    ];

    /// The family whose nodes speak it, by its word in the configuration.
    #[must_use]
    pub fn family(self) -> &'static str {
        match self {
            Self::Evm | Self::Qbft | Self::Clique => "evm",
            Self::OpNode => "op-node",
            Self::Bitcoin => "bitcoin",
            Self::CometBft => "cometbft",
            Self::Substrate => "substrate",
            Self::Beacon => "beacon",
            Self::FiscoBcos2 => "fisco-bcos-2",
            Self::FiscoBcos3 => "fisco-bcos-3",
        }
    }

    /// The language of the nodes of a family, if simulated nodes speak it.
    #[must_use]
    pub fn of(family: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|tongue| tongue.family() == family)
    }

    /// The group that a simulated node serves, where nodes of its family serve several chains.
    #[must_use]
    pub fn group(self) -> Option<&'static str> {
        match self {
            Self::FiscoBcos2 => Some("1"),
            Self::FiscoBcos3 => Some("group0"),
            _ => None,
        }
    }
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

/// A call of JSON-RPC. What is missing is a matter of the language.
#[derive(Debug, Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) jsonrpc: Option<&'a str>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) method: &'a str,
    #[serde(borrow)]
    pub(super) params: Option<&'a RawValue>,
}

impl Desk<'_> {
    /// The answer of the node in the language of its network.
    #[must_use]
    pub fn reply(&self, asked: &Asked<'_>) -> Said {
        match self.chain.plan().tongue {
            Tongue::Beacon => super::beacon::reply(self, asked),
            Tongue::FiscoBcos2 => super::fisco_bcos::reply_2(self, asked),
            Tongue::FiscoBcos3 => super::fisco_bcos::reply_3(self, asked),
            Tongue::Substrate => super::substrate::reply(self, asked),
            Tongue::Bitcoin => super::bitcoin::reply(self, asked),
            Tongue::CometBft => super::cometbft::reply(self, asked),
            Tongue::Evm | Tongue::Qbft | Tongue::Clique | Tongue::OpNode if *asked.method != Method::POST => {
                Said { status: 200, json: None }
            }
            Tongue::Evm | Tongue::Qbft | Tongue::Clique | Tongue::OpNode => {
                self.answer(asked.body).map_or(Said { status: 204, json: None }, Said::ok)
            }
        }
    }
}
