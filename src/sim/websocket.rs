//! The little of WebSocket (RFC 6455) that a node needs to tell new heads: the handshake and unfragmented frames.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf, BytesMut};
use sha1::{Digest, Sha1};

/// Largest frame that is taken from a client; subscribing needs a hundred bytes.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// What the server appends to the client's key (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The kinds of frames that matter here (RFC 6455, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// The end.
    Close,
    /// A question whether anybody is there.
    Ping,
    /// The answer to it.
    Pong,
}

impl Kind {
    fn opcode(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn of(opcode: u8) -> Option<Self> {
        [Self::Text, Self::Close, Self::Ping, Self::Pong].into_iter().find(|kind| kind.opcode() == opcode)
    }
}

/// Something that is no frame as we take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFrame;

/// The value of `Sec-WebSocket-Accept` for a client's `Sec-WebSocket-Key`.
#[must_use]
pub fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// A whole frame as a server sends it.
#[must_use]
pub fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | kind.opcode()];
    match payload.len() {
        len @ 0..=125 => bytes.push(u8::try_from(len).unwrap_or_default()),
        len @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend_from_slice(&u16::try_from(len).unwrap_or_default().to_be_bytes());
        }
        len => {
            bytes.push(127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Takes the next whole frame of a client out of `buffer`; `None` if it is not complete yet.
///
/// # Errors
/// [`BadFrame`] if it is fragmented, unmasked, too large or of an unknown kind.
pub fn take_frame(buffer: &mut BytesMut) -> Result<Option<(Kind, Vec<u8>)>, BadFrame> {
    let &[first, second, ..] = &buffer[..] else { return Ok(None) };
    let kind = Kind::of(first & 0x0f).filter(|_| first & 0xf0 == 0x80 && second & 0x80 != 0).ok_or(BadFrame)?;
    let (header, len) = match second & 0x7f {
        126 if buffer.len() < 4 => return Ok(None),
        126 => (4, usize::from(u16::from_be_bytes([buffer[2], buffer[3]]))),
        127 => return Err(BadFrame),
        len => (2, usize::from(len)),
    };
    if MAX_FRAME_BYTES < len {
        return Err(BadFrame);
    }
    if buffer.len() < header + 4 + len {
        return Ok(None);
    }
    buffer.advance(header);
    let mask = buffer.split_to(4);
    let payload = buffer.split_to(len);
    Ok(Some((kind, payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_answers_as_in_the_specification() {
        // The example of RFC 6455, 1.3.
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_masked_frame_is_taken_once_it_is_whole() {
        // The masked "Hello" of RFC 6455, 5.7, and the beginning of another frame.
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        for cut in 0..hello.len() {
            assert_eq!(take_frame(&mut BytesMut::from(&hello[..cut])), Ok(None), "{cut} bytes");
        }
        let mut buffer = BytesMut::from(&[&hello[..], &[0x89]].concat()[..]);
        assert_eq!(take_frame(&mut buffer), Ok(Some((Kind::Text, b"Hello".to_vec()))));
        assert_eq!(&buffer[..], [0x89]);
    }

    #[test]
    fn fragments_unmasked_and_huge_frames_are_refused() {
        for bad in [[0x01, 0x85], [0x81, 0x05], [0x81, 0xff], [0x83, 0x85]] {
            assert_eq!(take_frame(&mut BytesMut::from(&bad[..])), Err(BadFrame), "{bad:x?}");
        }
    }

    #[test]
    fn lengths_are_written_in_the_shortest_form() {
        assert_eq!(frame(Kind::Text, b"Hello")[..2], [0x81, 5]);
        assert_eq!(frame(Kind::Text, &[0; 300])[..4], [0x81, 126, 1, 44]);
        assert_eq!(frame(Kind::Text, &vec![0; 65_536])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
