//! The stream of headers of a CometBFT node. It is JSON-RPC over WebSocket in a way of its own: a subscription is confirmed
//! with an empty result, and every event comes as another result of the same call, which no JSON-RPC client expects. So
//! the messages are read here.
//!
//! Source: CometBFT `rpc/jsonrpc/server/ws_handler.go`, `rpc/core/events.go`.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use serde::{Deserialize, de::IgnoredAny};
use soketto::{
    Incoming,
    connection::{Receiver, Sender},
    data::ByteSlice125,
    handshake::{Client, ServerResponse, client::Header},
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::{End, MAX_MESSAGE, PING, Subscription};
use crate::{
    chain::cometbft::Decimal,
    model::{Endpoint, Height},
    transport,
};

const SUBSCRIBE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"query":"tm.event='NewBlockHeader'"}}"#;

/// A connection on which nothing came after so many pings is given up.
const UNANSWERED: u32 = 2;

type Wire = Compat<transport::Upgrade<transport::Stream>>;

/// A connection on which headers come.
pub(super) struct Line {
    sender: Sender<Wire>,
    receiver: Receiver<Wire>,
}

/// What came on it.
enum Heard {
    Message,
    Pong,
    End,
}

/// A message of the node.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    result: Option<Event>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// What a message tells; the confirmation of a subscription has nothing in it.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    value: Value,
}

#[derive(Deserialize)]
struct Value {
    header: NewHeader,
}

#[derive(Deserialize)]
struct NewHeader {
    height: Decimal,
}

/// What a message says to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chain) enum Said {
    /// There is a header of this height.
    Head(Height),
    /// The subscription stands.
    Subscribed,
    /// It is over, or this is no message of such a node.
    End,
}

/// Reads a message.
pub(in crate::chain) fn said(message: &[u8]) -> Said {
    let Ok(Message { result: Some(event), error: None }) = serde_json::from_slice(message) else { return Said::End };
    event.data.map_or(Said::Subscribed, |data| Said::Head(Height(data.value.header.height.0)))
}

/// Connects and subscribes; `None` if either is refused. The caller bounds the time.
pub(super) async fn open(endpoint: &Endpoint, setup: Duration) -> Option<Line> {
    let wire = transport::dial(endpoint, setup).await.ok()?.compat();
    let headers: Vec<Header<'_>> = endpoint
        .headers()
        .iter()
        .map(|(name, value)| Header { name: name.as_str(), value: value.as_bytes() })
        .collect();
    let mut client = Client::new(wire, endpoint.authority(), endpoint.path_and_query());
    client.set_headers(&headers);
    let Ok(ServerResponse::Accepted { .. }) = client.handshake().await else { return None };
    let mut builder = client.into_builder();
    builder.set_max_message_size(MAX_MESSAGE as usize);
    builder.set_max_frame_size(MAX_MESSAGE as usize);
    let (mut sender, mut receiver) = builder.finish();
    sender.send_text(SUBSCRIBE).await.ok()?;
    sender.flush().await.ok()?;
    let mut answer = Vec::new();
    receiver.receive_data(&mut answer).await.ok()?;
    (said(&answer) != Said::End).then_some(Line { sender, receiver })
}

/// Listens to the end of the stream. Returns why it ended and how many headers it brought.
pub(super) async fn listen(subscription: &Subscription, line: Line) -> (End, u64) {
    let Line { mut sender, receiver } = line;
    let (heads, unanswered) = (AtomicU64::new(0), AtomicU32::new(0));
    // Side by side, because both may have to write, and neither may be left in the middle of it.
    let end = tokio::select! {
        end = hear(subscription, receiver, &heads, &unanswered) => end,
        () = keep_awake(&mut sender, &unanswered) => End::Closed,
    };
    (end, heads.into_inner())
}

async fn hear(
    subscription: &Subscription,
    mut receiver: Receiver<Wire>,
    heads: &AtomicU64,
    unanswered: &AtomicU32,
) -> End {
    let Subscription { pulse, silence, .. } = subscription;
    let mut pushed = pulse.height();
    let mut patience = pin!(tokio::time::sleep(*silence));
    let mut message = Vec::new();
    loop {
        message.clear();
        let heard = {
            let mut receive = pin!(receive(&mut receiver, &mut message));
            loop {
                tokio::select! {
                    biased;
                    heard = &mut receive => break heard,
                    () = &mut patience => {
                        if pushed < pulse.height() {
                            return End::Silent;
                        }
                        // Nobody sees new blocks: it is the chain that is silent.
                        patience.set(tokio::time::sleep(*silence));
                    }
                }
            }
        };
        unanswered.store(0, Ordering::Relaxed);
        match heard {
            Heard::End => return End::Closed,
            Heard::Pong => {}
            Heard::Message => match said(&message) {
                // A cancelled subscription: the node ends, or we were too slow for it.
                Said::End => return End::Closed,
                Said::Subscribed => {}
                Said::Head(height) => {
                    heads.fetch_add(1, Ordering::Relaxed);
                    pushed = height;
                    patience.set(tokio::time::sleep(*silence));
                    pulse.call();
                }
            },
        }
    }
}

async fn receive(receiver: &mut Receiver<Wire>, message: &mut Vec<u8>) -> Heard {
    match receiver.receive(message).await {
        Ok(Incoming::Data(_)) => Heard::Message,
        Ok(Incoming::Pong(_)) => Heard::Pong,
        Ok(Incoming::Closed(_)) | Err(_) => Heard::End,
    }
}

/// Returns when nobody answers any more.
async fn keep_awake(sender: &mut Sender<Wire>, unanswered: &AtomicU32) {
    loop {
        tokio::time::sleep(PING).await;
        if UNANSWERED <= unanswered.fetch_add(1, Ordering::Relaxed) {
            return;
        }
        let nothing = ByteSlice125::try_from(&[][..]).expect("nothing is shorter than 125 bytes");
        if sender.send_ping(nothing).await.is_err() || sender.flush().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_header_is_a_head_and_only_an_answer_goes_on() {
        let header = r#"{"query":"q","data":{"type":"t","value":{"header":{"height":"7","chain_id":"c"}}}}"#;
        for (message, wanted) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Said::Subscribed),
            (&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{header}}}"#), Said::Head(Height(7))),
            (&format!(r#"{{"result":{header},"error":{{"code":-32000}}}}"#), Said::End),
            (r#"{"id":1,"error":{"code":-32603,"message":"Internal error"}}"#, Said::End),
            (r#"{"result":{"data":{"value":{"header":{"height":"-7"}}}}}"#, Said::End),
            (r#"{"result":{"data":{"value":{"block":{}}}}}"#, Said::End),
            ("{}", Said::End),
            ("", Said::End),
        ] {
            assert_eq!(said(message.as_bytes()), wanted, "{message}");
        }
    }
}
