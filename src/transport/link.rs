//! One conversation on one connection: request out, whole answer in, and the bare stream back if it can be used again.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{Response, fault};
use crate::{
    clock::Clock,
    observation::{ErrorKind, PollError},
};

/// Largest head of an answer, and the size of the one read buffer that holds it: real heads are below 2 kB, some front
/// servers add cookies and policies of several more.
const READ_BUFFER: usize = 16 * 1024;

type Connection = http1::Connection<TokioIo<Stream>, Full<Bytes>>;

/// A connected stream that knows whether anything has come from the other side since the request was sent.
pub struct Stream {
    wire: Wire,
    heard: bool,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why a conversation gave no answer.
pub(super) struct Failure {
    pub(super) error: PollError,
    /// The connection died before the first byte of an answer.
    pub(super) unheard: bool,
}

/// Sends `request` on `stream` and reads the answer, at most `limit` bytes of body. Gives the stream back if the other
/// side keeps it open and nothing is left on it.
pub(super) async fn converse(
    mut stream: Stream,
    request: http::Request<Full<Bytes>>,
    limit: usize,
) -> (Result<Response, Failure>, Option<Stream>) {
    stream.heard = false;
    let (mut sender, mut connection) =
        match http1::Builder::new().max_buf_size(READ_BUFFER).handshake(TokioIo::new(stream)).await {
            Ok(pair) => pair,
            Err(error) => return (Err(Failure { error: fault::http(&error), unheard: false }), None),
        };
    let stopwatch = Clock.stopwatch();
    let answer = async {
        let head = sender.send_request(request).await.map_err(|error| fault::http(&error))?;
        whole(head, limit).await
    };
    match alongside(&mut connection, answer).await {
        Ok(mut response) => {
            response.elapsed = stopwatch.elapsed();
            (Ok(response), reusable(connection, &mut sender))
        }
        Err(error) => {
            let died = matches!(error.kind, ErrorKind::Reset);
            let unheard = died && !connection.into_parts().io.into_inner().heard;
            (Err(Failure { error, unheard }), None)
        }
    }
}

/// Drives the connection until `work` on it is done.
async fn alongside<T>(
    connection: &mut Connection,
    work: impl Future<Output = Result<T, PollError>>,
) -> Result<T, PollError> {
    let mut work = std::pin::pin!(work);
    let mut over = false;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if !over && Pin::new(&mut *connection).poll(cx).is_ready() {
            over = true;
        }
        // The connection hands over what it has read, and its end, through a channel: look there at once.
        work.as_mut().poll(cx)
    })
    .await
}

/// Takes the HTTP machinery off a connection that is idle; `None` if it is over or if bytes are left that nobody asked
/// for.
fn reusable(mut connection: Connection, sender: &mut http1::SendRequest<Full<Bytes>>) -> Option<Stream> {
    let cx = &mut Context::from_waker(Waker::noop());
    if Pin::new(&mut connection).poll(cx).is_ready() || !matches!(sender.poll_ready(cx), Poll::Ready(Ok(()))) {
        return None;
    }
    let parts = connection.into_parts();
    parts.read_buf.is_empty().then(|| parts.io.into_inner())
}

async fn whole(head: http::Response<Incoming>, limit: usize) -> Result<Response, PollError> {
    let (head, mut body) = head.into_parts();
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| limit < announced) {
        return Err(PollError::new(ErrorKind::TooLarge, &format!("{announced} bytes announced, {limit} allowed")));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| fault::http(&error))?.into_data() else { continue };
        if limit < first.len().max(rest.len()).saturating_add(data.len()) {
            return Err(PollError::new(ErrorKind::TooLarge, &format!("more than {limit} bytes")));
        }
        // Most answers come in one piece, which is then not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    let body = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Response { status: head.status, headers: head.headers, body, elapsed: std::time::Duration::ZERO })
}

impl Stream {
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Self { wire: Wire::Plain(tcp), heard: false }
    }

    pub(super) fn tls(tls: TlsStream<TcpStream>) -> Self {
        Self { wire: Wire::Tls(Box::new(tls)), heard: false }
    }

    /// Completes when the other side closes the idle stream or sends something unasked: either way it is of no use.
    pub(super) async fn disturbed(&mut self) {
        std::future::poll_fn(|cx| self.poll_disturbed(cx)).await;
    }

    /// The stream, unless that has happened already.
    pub(super) fn if_undisturbed(mut self) -> Option<Self> {
        self.poll_disturbed(&mut Context::from_waker(Waker::noop())).is_pending().then_some(self)
    }

    /// Reads rather than peeks: on TLS the session tickets that arrive after the handshake are not a disturbance, and
    /// only the TLS layer can tell.
    fn poll_disturbed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0; 1];
        Pin::new(self).poll_read(cx, &mut ReadBuf::new(&mut byte)).map(|_| ())
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.wire {
            Wire::Plain(_) => "Plain",
            Wire::Tls(_) => "Tls",
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Wire::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        self.heard |= before < buf.filled().len();
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Wire::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Wire::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Wire::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
