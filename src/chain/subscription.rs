//! Listens to a node's new heads over WebSocket, so that the poller need not wait for its beat to see a block. A head
//! only calls for an early poll: polling stays the truth, and whatever happens here never changes what is thought of
//! the node. Consensus clients push events over HTTP instead; see [`sse`].
//!
//! Streams die silently: behind a proxy a connection can stay open for days and bring nothing. So a stream that is
//! silent while polls find new blocks is made anew, like one that was closed or one that never got through.

pub(super) mod cometbft;
pub(super) mod sse;

use std::{sync::Arc, time::Duration};

use jsonrpsee::{
    core::client::{Client, Subscription as Stream, SubscriptionClientT},
    rpc_params,
    ws_client::{PingConfig, WsClientBuilder},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{NodeTarget, family::Stream as Kind, pulse::Pulse, quantity::Quantity};
use crate::{
    model::{Endpoint, Height},
    supervisor::Shutdown,
    transport,
};

/// A stream may be silent for this many block times ...
const SILENT_BLOCKS: u32 = 5;

/// ... and for this long at any rate.
const MIN_SILENCE: Duration = Duration::from_secs(15);

/// Connecting, the handshake and the subscription together may take this long.
const SETUP: Duration = Duration::from_secs(10);

/// The pause before a stream is made anew: at first, and at most; chance makes it half to one and a half times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Largest message in bytes: a head has two kilobytes at most.
const MAX_MESSAGE: u32 = 256 * 1024;

/// Heads that may wait for us; each is only a call.
const MAX_WAITING: usize = 16;

/// A ping goes out this often ...
const PING: Duration = Duration::from_secs(20);

/// ... and a connection on which nothing has come for this long is given up.
const INACTIVE: Duration = Duration::from_secs(45);

/// One node's subscription.
#[derive(Debug, Clone)]
pub struct Subscription {
    endpoint: Endpoint,
    kind: Kind,
    name: Arc<str>,
    silence: Duration,
    first_pause: Duration,
    setup: Duration,
    pulse: Pulse,
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// No connection, no handshake, or no subscription in time.
    Hung,
    /// The connection or the subscription was refused.
    Refused,
    /// The other side closed it, or it no longer answers.
    Closed,
    /// It is open and brings nothing, while polls find new blocks.
    Silent,
}

impl Subscription {
    /// A subscription to the heads of `target` at `endpoint` that calls for polls through `pulse`.
    #[must_use]
    pub fn new(endpoint: Endpoint, target: &NodeTarget, pulse: Pulse) -> Self {
        let blocks = target.block_time.unwrap_or_default().saturating_mul(SILENT_BLOCKS);
        Self {
            endpoint,
            kind: target.family.stream(),
            name: Arc::clone(&target.name),
            silence: blocks.max(MIN_SILENCE),
            first_pause: FIRST_PAUSE,
            setup: SETUP,
            pulse,
        }
    }

    /// Keeps a stream open until the shutdown.
    pub async fn run(self, mut shutdown: Shutdown) {
        let mut pause = self.first_pause;
        let mut fruitless: usize = 0;
        loop {
            let (end, heads) = tokio::select! {
                biased;
                () = shutdown.begun() => return,
                end = self.stream(fruitless) => end,
            };
            fruitless = if heads == 0 { fruitless.wrapping_add(1) } else { fruitless };
            if heads != 0 {
                pause = self.first_pause;
            }
            tracing::debug!(node = %self.name, ?end, heads, "the stream of heads of {} ended after {heads}", self.name);
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())) => {}
            }
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
        }
    }

    /// Opens a stream and listens to its end. Returns why it ended and how many heads it brought. `fruitless`: so many
    /// before it brought none.
    async fn stream(&self, fruitless: usize) -> (End, u64) {
        if self.kind == Kind::Sse {
            return self.events(fruitless).await;
        }
        if self.kind == Kind::CometBft {
            return match tokio::time::timeout(self.setup, cometbft::open(&self.endpoint, self.setup)).await {
                Err(_) => (End::Hung, 0),
                Ok(None) => (End::Refused, 0),
                Ok(Some(line)) => cometbft::listen(self, line).await,
            };
        }
        match tokio::time::timeout(self.setup, self.open()).await {
            Err(_) => (End::Hung, 0),
            Ok(None) => (End::Refused, 0),
            // The client holds the connection: it must live as long as the stream is listened to.
            Ok(Some((client, stream))) => {
                let ended = self.listen(stream).await;
                drop(client);
                ended
            }
        }
    }

    async fn open(&self) -> Option<(Client, Stream<Box<RawValue>>)> {
        subscribe(&self.endpoint, self.kind, self.setup).await
    }

    async fn listen(&self, mut stream: Stream<Box<RawValue>>) -> (End, u64) {
        let mut heads: u64 = 0;
        let mut pushed = self.pulse.height();
        loop {
            match tokio::time::timeout(self.silence, stream.next()).await {
                Ok(Some(head)) => {
                    heads = heads.saturating_add(1);
                    pushed = head.ok().and_then(|head| number(&head)).unwrap_or_else(|| self.pulse.height());
                    self.pulse.call();
                }
                Ok(None) => return (End::Closed, heads),
                Err(_) if pushed < self.pulse.height() => return (End::Silent, heads),
                // Nobody sees new blocks: it is the chain that is silent.
                Err(_) => {}
            }
        }
    }
}

/// Whether new heads can be subscribed to at `endpoint`, found out by doing it.
pub async fn accepts(endpoint: &Endpoint, kind: Kind, setup: Duration) -> bool {
    let opens = async {
        match kind {
            Kind::CometBft => cometbft::open(endpoint, setup).await.is_some(),
            Kind::Rpc { .. } | Kind::Sse | Kind::None => subscribe(endpoint, kind, setup).await.is_some(),
        }
    };
    tokio::time::timeout(setup, opens).await.unwrap_or(false)
}

/// The errors of the library are not looked at: some hold the URL.
async fn subscribe(endpoint: &Endpoint, kind: Kind, setup: Duration) -> Option<(Client, Stream<Box<RawValue>>)> {
    let Kind::Rpc { subscribe, topic, unsubscribe } = kind else { return None };
    let ping = PingConfig::new().ping_interval(PING).inactive_limit(INACTIVE).max_failures(1);
    let builder = WsClientBuilder::new()
        .set_headers(endpoint.headers().clone())
        .max_request_size(MAX_MESSAGE)
        .max_response_size(MAX_MESSAGE)
        .max_buffer_capacity_per_subscription(MAX_WAITING)
        .max_concurrent_requests(2)
        .request_timeout(setup)
        .enable_ws_ping(ping);
    let params = topic.map_or_else(|| rpc_params![], |topic| rpc_params![topic]);
    // Dialed here, because the library would resolve the name on a thread of the runtime and keep it for as long as
    // that takes, and would follow redirects with our credentials.
    let wire = transport::dial(endpoint, setup).await.ok()?;
    let client = builder.build_with_stream(endpoint.url(), wire).await.ok()?;
    let stream = client.subscribe(subscribe, params, unsubscribe).await.ok()?;
    Some((client, stream))
}

/// What a message of a JSON-RPC subscription tells.
pub(super) fn number(head: &RawValue) -> Option<Height> {
    #[derive(Deserialize)]
    struct Pushed {
        number: Quantity,
    }
    serde_json::from_str::<Pushed>(head.get()).ok().map(|head| Height(head.number.0))
}

#[cfg(test)]
mod tests;
