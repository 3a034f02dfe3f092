//! A connection that is to become a WebSocket. The library that shakes hands on it reads the head of the answer for as
//! long as it does not end, and begins anew with each piece of it; so the head is bounded here.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Largest head of an answer in bytes: real ones have less than one kilobyte.
const MAX_HEAD: usize = 16 * 1024;

/// A stream on which a head comes first.
pub struct Upgrade<S> {
    wire: S,
    /// As far as it has come; `None` when it is over.
    head: Option<Head>,
}

/// The head so far.
#[derive(Debug, Default)]
struct Head {
    length: usize,
    /// Whether nothing stands in the present line.
    blank: bool,
}

impl<S> Upgrade<S> {
    /// Nothing has come on `wire` yet.
    pub(super) fn on(wire: S) -> Self {
        Self { wire, head: Some(Head::default()) }
    }

    /// Takes in what came.
    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(head) = &mut self.head else { return Ok(()) };
        if head.ends_in(bytes) {
            self.head = None;
        } else if MAX_HEAD < head.length {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the head of the answer does not end"));
        }
        Ok(())
    }
}

impl Head {
    /// A blank line ends it.
    fn ends_in(&mut self, bytes: &[u8]) -> bool {
        self.length = self.length.saturating_add(bytes.len());
        for byte in bytes {
            match byte {
                b'\n' if self.blank => return true,
                b'\n' => self.blank = true,
                b'\r' => {}
                _ => self.blank = false,
            }
        }
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Upgrade<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.wire).poll_read(cx, buf))?;
        let heard = self.hear(&buf.filled()[before..]);
        if heard.is_err() {
            // With an error nothing must have been read.
            buf.set_filled(before);
        }
        Poll::Ready(heard)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Upgrade<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// How many bytes of these can be read.
    async fn readable(bytes: Vec<u8>) -> io::Result<usize> {
        Upgrade::on(&*bytes).read_to_end(&mut Vec::new()).await
    }

    #[tokio::test]
    async fn a_head_is_bounded_and_what_comes_after_it_is_not() {
        let frames = vec![b'x'; 10 * MAX_HEAD];
        for end in ["\r\n\r\n", "\n\n"] {
            let head = format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket{end}");
            assert_eq!(readable([head.as_bytes(), &frames].concat()).await.unwrap(), head.len() + frames.len());
        }
        for endless in [frames.clone(), b"HTTP/1.1 101\r\n".repeat(MAX_HEAD), b"\r".repeat(2 * MAX_HEAD)] {
            assert_eq!(readable(endless).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_in_whatever_pieces_it_comes() {
        for cut in 0..8 {
            let (first, second) = b"a\r\nb\r\n\r\n".split_at(cut);
            let mut head = Head::default();
            assert!(!head.ends_in(first) && head.ends_in(second), "{cut}");
        }
    }
}
