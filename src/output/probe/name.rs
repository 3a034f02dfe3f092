//! Names of well-known chains, for people: nothing is decided by them.

/// EVM chain ids and what their chains are called.
const EVM: &[(&str, &str)] = &[
    ("1", "Ethereum"),
    ("10", "OP Mainnet"),
    ("56", "BNB Smart Chain"),
    ("61", "Ethereum Classic"),
    ("97", "BNB Smart Chain Testnet"),
    ("100", "Gnosis"),
    ("137", "Polygon"),
    ("204", "opBNB"),
    ("250", "Fantom"),
    ("324", "zkSync Era"),
    ("1284", "Moonbeam"),
    ("1337", "a development chain"),
    ("1439", "Injective EVM Testnet"),
    ("1776", "Injective EVM"),
    ("5000", "Mantle"),
    ("8453", "Base"),
    ("17000", "Holesky"),
    ("31337", "a development chain"),
    ("42161", "Arbitrum One"),
    ("42170", "Arbitrum Nova"),
    ("42220", "Celo"),
    ("43113", "Avalanche Fuji"),
    ("43114", "Avalanche C-Chain"),
    ("59144", "Linea"),
    ("80002", "Polygon Amoy"),
    ("84532", "Base Sepolia"),
    ("421614", "Arbitrum Sepolia"),
    ("534352", "Scroll"),
    ("560048", "Hoodi"),
    ("11155111", "Sepolia"),
    ("11155420", "OP Sepolia"),
];

/// What the chain with this id is called, if it is well known.
#[must_use]
pub fn chain_name(family: &str, chain_id: &str) -> Option<&'static str> {
    let known = if family == "evm" { EVM } else { &[] };
    known.iter().find(|(id, _)| *id == chain_id).map(|(_, name)| *name)
}
