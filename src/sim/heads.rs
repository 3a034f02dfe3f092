//! A WebSocket conversation with a simulated node: calls are answered, and who subscribes to `newHeads` is told each.

use std::{io, time::Duration};

use bytes::BytesMut;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    node::Door,
    websocket::{Kind, MAX_FRAME_BYTES, frame, take_frame},
};

/// How often a subscribed connection looks for a new head.
const LOOK: Duration = Duration::from_millis(20);

/// Holds the conversation until the client ends it or the node is stopped.
///
/// # Errors
/// If the connection breaks.
pub(super) async fn tell(door: &Door, upgraded: Upgraded) -> io::Result<()> {
    let mut stream = TokioIo::new(upgraded);
    let mut buffer = BytesMut::new();
    let mut looks = tokio::time::interval(LOOK);
    let mut told = None;
    loop {
        tokio::select! {
            read = stream.read_buf(&mut buffer) => if read? == 0 { return Ok(()) },
            _ = looks.tick(), if told.is_some() => {}
        }
        door.thawed().await;
        while let Some((kind, payload)) = take_frame(&mut buffer).map_err(|_| io::ErrorKind::InvalidData)? {
            let answer = match kind {
                Kind::Close => return stream.write_all(&frame(Kind::Close, &payload)).await,
                Kind::Ping => Some(frame(Kind::Pong, &payload)),
                Kind::Pong => None,
                Kind::Text => {
                    let (answer, subscribed) = door.converse(&payload);
                    told = if subscribed { door.head() } else { told };
                    answer.map(|json| frame(Kind::Text, json.as_bytes()))
                }
            };
            stream.write_all(&answer.unwrap_or_default()).await?;
        }
        if 2 * MAX_FRAME_BYTES < buffer.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Some((last, head)) = told.zip(door.head()).filter(|(last, head)| last != head) {
            for notification in door.heads_after(last) {
                stream.write_all(&frame(Kind::Text, notification.as_bytes())).await?;
            }
            told = Some(head);
        }
    }
}
