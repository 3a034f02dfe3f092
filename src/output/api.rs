//! The JSON API: edge structs of its own over the snapshot, in the envelope and, where Prometheus has the same thing,
//! in the shape of the Prometheus HTTP API.

mod alerts;
mod explain;
mod networks;
mod nodes;
mod rules;
pub mod silences;

use std::sync::Arc;

use http::StatusCode;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::build;
use crate::{
    engine::{settings::NetworkSettings, snapshot::Snapshot},
    model::{Labels, UnixTime},
};

pub(crate) use self::explain::network_explained;
pub(in crate::output) use self::explain::{counted, verdict, whole_seconds};
pub use self::{alerts::alerts, explain::explain, networks::networks, nodes::nodes, rules::rules};

/// Why a request cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// The HTTP status.
    pub status: StatusCode,
    /// The class of error, one of the words of the Prometheus API.
    pub class: &'static str,
    /// What is wrong.
    pub text: String,
}

impl Error {
    /// A parameter is wrong.
    #[must_use]
    pub fn bad_data(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, class: "bad_data", text: text.into() }
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, class: "not_found", text: text.into() }
    }

    /// The engine has not made its first step.
    #[must_use]
    pub fn not_ready() -> Self {
        let text = "haltwatch has not judged anything yet".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, class: "unavailable", text }
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Failure<'a> {
            status: &'static str,
            error_type: &'static str,
            error: &'a str,
        }
        to_json(&Failure { status: "error", error_type: self.class, error: &self.text })
    }
}

/// The answer to a request that succeeded.
fn success(data: impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Success<T> {
        status: &'static str,
        data: T,
    }
    to_json(&Success { status: "success", data })
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("the edge structs have string keys and no failing serializers")
}

/// `/api/v1/status/buildinfo`, with the fields Grafana looks for.
pub fn build_info() -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct BuildInfo {
        application: &'static str,
        version: &'static str,
        revision: &'static str,
        branch: &'static str,
        build_user: &'static str,
        build_date: &'static str,
        go_version: &'static str,
        rustc: &'static str,
        target: &'static str,
    }
    Ok(success(BuildInfo {
        application: "haltwatch",
        version: build::VERSION,
        revision: build::REVISION,
        branch: "",
        build_user: "",
        build_date: "",
        go_version: "",
        rustc: build::RUSTC,
        target: build::TARGET,
    }))
}

/// Labels as a JSON object.
#[derive(Debug, Clone, Default)]
struct LabelMap(Labels);

impl Serialize for LabelMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(&**name, &**value)?;
        }
        map.end()
    }
}

/// A wall time as RFC 3339 with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Time(UnixTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The position and settings of the network of that name.
fn network_named<'a>(snapshot: &'a Snapshot, name: &str) -> Result<(usize, &'a NetworkSettings), Error> {
    let mut networks = snapshot.settings.networks.iter().enumerate();
    networks.find(|(_, network)| &*network.name == name).ok_or_else(|| Error::not_found(format!("no network {name:?}")))
}

/// The name of a network, or nothing if the position is wrong.
fn network_name(snapshot: &Snapshot, index: usize) -> Arc<str> {
    snapshot.settings.networks.get(index).map_or_else(|| Arc::from(""), |network| Arc::clone(&network.name))
}
