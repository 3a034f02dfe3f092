//! An answer that does not end: what a server goes on sending on one connection.

use std::{pin::Pin, task::Poll};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;

use super::{fault, link::Stream};
use crate::observation::PollError;

/// The one read buffer: events are small.
const READ_BUFFER: usize = 16 * 1024;

/// An open answer. Dropping it closes the connection.
pub struct Flow {
    /// The status line.
    pub status: StatusCode,
    body: Incoming,
    connection: Connection<TokioIo<Stream>, Full<Bytes>>,
    over: bool,
    _sender: SendRequest<Full<Bytes>>,
}

impl Flow {
    /// Sends `request` on `stream` and waits for the head of the answer.
    pub(super) async fn open(stream: Stream, request: http::Request<Full<Bytes>>) -> Result<Self, PollError> {
        let builder = http1::Builder::new().max_buf_size(READ_BUFFER).handshake(TokioIo::new(stream));
        let (mut sender, mut connection) = builder.await.map_err(|error| fault::http(&error))?;
        let mut over = false;
        let response = {
            let mut answer = std::pin::pin!(sender.send_request(request));
            alongside(&mut connection, &mut over, |cx| answer.as_mut().poll(cx)).await
        };
        let (head, body) = response.map_err(|error| fault::http(&error))?.into_parts();
        Ok(Self { status: head.status, body, connection, over, _sender: sender })
    }

    /// What comes next; `None` at the end, however it ends.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let mut frame = self.body.frame();
            let frame = alongside(&mut self.connection, &mut self.over, |cx| Pin::new(&mut frame).poll(cx)).await;
            if let Ok(data) = frame?.ok()?.into_data() {
                return Some(data);
            }
        }
    }
}

/// Drives the connection until `work` on it is done.
async fn alongside<T>(
    connection: &mut Connection<TokioIo<Stream>, Full<Bytes>>,
    over: &mut bool,
    mut work: impl FnMut(&mut std::task::Context<'_>) -> Poll<T>,
) -> T {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work(cx) {
            return Poll::Ready(done);
        }
        if !*over && Pin::new(&mut *connection).poll(cx).is_ready() {
            *over = true;
        }
        // The connection hands over what it has read, and its end, through a channel: look there at once.
        work(cx)
    })
    .await
}
