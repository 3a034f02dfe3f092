//! The events of a consensus client: an answer to a GET that does not end, in lines as the HTML standard has them
//! (`text/event-stream`). Only the names of events and the slot in their data are read; comments keep a connection
//! alive and say nothing.

use serde::Deserialize;

use super::{End, Subscription};
use crate::{
    chain::quantity::Decimal,
    model::Height,
    transport::{Client, Flow},
};

/// What is subscribed to: the words of today, and those that replace them. A server that does not know one of them
/// refuses all, or sends nothing, so they are tried in turn.
const TOPICS: [&str; 2] =
    ["/eth/v1/events?topics=head&topics=chain_reorg", "/eth/v1/events?topics=head_v2&topics=chain_reorg"];

/// Events that tell of a new head.
const NEWS: [&[u8]; 3] = [b"head", b"head_v2", b"chain_reorg"];

/// Longest line in bytes: an event has half a kilobyte.
const MAX_LINE: usize = 64 * 1024;

impl Subscription {
    /// Opens a stream of events and listens to its end. Returns why it ended and how many heads it brought.
    pub(super) async fn events(&self, fruitless: usize) -> (End, u64) {
        let client = Client::new(self.endpoint.clone());
        let begun = client.listen(TOPICS[fruitless % TOPICS.len()], self.setup);
        // Some servers send not even the head of the answer before the first event.
        match tokio::time::timeout(self.setup.saturating_add(self.silence), begun).await {
            Err(_) => (End::Hung, 0),
            Ok(Err(_)) => (End::Refused, 0),
            Ok(Ok(flow)) if !flow.status.is_success() => (End::Refused, 0),
            Ok(Ok(flow)) => self.hear(flow).await,
        }
    }

    async fn hear(&self, mut flow: Flow) -> (End, u64) {
        let mut reader = Reader::default();
        let mut heads: u64 = 0;
        let mut pushed = self.pulse.height();
        loop {
            match tokio::time::timeout(self.silence, news(&mut flow, &mut reader)).await {
                Ok(Some(event)) => {
                    heads = heads.saturating_add(1);
                    pushed = slot(&event.data).unwrap_or_else(|| self.pulse.height());
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

/// The next event that tells of a new head; `None` at the end of the stream. What was read is in the reader: this may be
/// given up and called again.
async fn news(flow: &mut Flow, reader: &mut Reader) -> Option<Event> {
    loop {
        if let Some(event) = reader.take_news().ok()? {
            return Some(event);
        }
        reader.feed(&flow.next().await?);
    }
}

/// The slot an event tells, which newer events wrap.
fn slot(data: &[u8]) -> Option<Height> {
    #[derive(Deserialize)]
    struct Told {
        slot: Option<Decimal>,
        data: Option<Wrapped>,
    }
    #[derive(Deserialize)]
    struct Wrapped {
        slot: Decimal,
    }
    let told: Told = serde_json::from_slice(data).ok()?;
    told.slot.or(told.data.map(|data| data.slot)).map(|slot| Height(slot.0))
}

/// The slots of the events in a stream that comes in `pieces`, up to its end or to a line that none has; an event that
/// tells no slot is `None`. Other events than those of a new head are left out.
pub(in crate::chain) fn slots<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Vec<Option<Height>> {
    let mut reader = Reader::default();
    let mut slots = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.take_news() {
                Ok(Some(event)) => slots.push(slot(&event.data)),
                Ok(None) => break,
                Err(Overlong) => return slots,
            }
        }
    }
    slots
}

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    name: Vec<u8>,
    /// Its last line of data: those we know have one.
    data: Vec<u8>,
}

/// Makes events of bytes, in whatever pieces they come. Every byte is looked at once and moved at most once, however
/// small the pieces and however many events stand in one of them.
#[derive(Debug, Default)]
struct Reader {
    bytes: Vec<u8>,
    /// Lines up to here have been taken ...
    taken: usize,
    /// ... and from there to here no line ends.
    searched: usize,
    event: Event,
}

/// A line longer than any event has: this is no stream of events.
#[derive(Debug, PartialEq, Eq)]
struct Overlong;

impl Reader {
    /// More bytes of the stream.
    fn feed(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// The next event of the bytes so far that tells of a new head; `None` if more must be read.
    fn take_news(&mut self) -> Result<Option<Event>, Overlong> {
        while let Some(event) = self.take()? {
            if NEWS.contains(&event.name.as_slice()) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The next whole event of the bytes so far; `None` if more must be read.
    fn take(&mut self) -> Result<Option<Event>, Overlong> {
        while let Some(length) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
            let end = self.searched + length;
            let line = &self.bytes[self.taken..end];
            if MAX_LINE < line.len() {
                return Err(Overlong);
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            (self.taken, self.searched) = (end + 1, end + 1);
            if line.is_empty() {
                return Ok(Some(std::mem::take(&mut self.event)));
            }
            take_line(&mut self.event, line);
        }
        self.bytes.drain(..self.taken);
        (self.taken, self.searched) = (0, self.bytes.len());
        if MAX_LINE < self.bytes.len() { Err(Overlong) } else { Ok(None) }
    }
}

fn take_line(event: &mut Event, line: &[u8]) {
    let value = |rest: &[u8]| rest.strip_prefix(b" ").unwrap_or(rest).to_vec();
    if let Some(rest) = line.strip_prefix(b"event:") {
        event.name = value(rest);
    } else if let Some(rest) = line.strip_prefix(b"data:") {
        event.data = value(rest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The names and slots of the events in a text that comes in pieces of so many bytes.
    fn read(text: &str, piece: usize) -> Vec<(String, Option<u64>)> {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            reader.feed(piece);
            while let Ok(Some(event)) = reader.take() {
                events.push((String::from_utf8(event.name).unwrap(), slot(&event.data).map(|slot| slot.0)));
            }
        }
        events
    }

    #[test]
    fn events_are_read_in_whatever_pieces_they_come() {
        let text = ": keep-alive\n\nevent: head\ndata: {\"slot\":\"193\",\"block\":\"0x02\"}\n\n\
            event:head_v2\r\ndata:{\"version\":\"gloas\",\"data\":{\"slot\":194}}\r\n\r\nid: 7\nevent: chain_reorg\n\
            data: {\"slot\":\"18\",\"depth\":\"18\"}\n\nevent: head\ndata: never ended";
        let wanted = [("", None), ("head", Some(193)), ("head_v2", Some(194)), ("chain_reorg", Some(18))];
        let wanted: Vec<_> = wanted.iter().map(|(name, slot)| ((*name).to_owned(), *slot)).collect();
        for piece in [1, 2, 7, 10_000] {
            assert_eq!(read(text, piece), wanted, "{piece}");
        }
    }

    #[test]
    fn a_line_that_no_event_has_is_given_up_in_whatever_pieces_it_comes() {
        let long = "x".repeat(MAX_LINE + 1);
        for text in [long.clone(), format!("{long}\n\n"), format!("event: head\n\n{long}\n\nevent: head\n\n")] {
            for piece in [1, 1000, usize::MAX] {
                let mut reader = Reader::default();
                let mut given_up = false;
                for piece in text.as_bytes().chunks(piece) {
                    reader.feed(piece);
                    let end = std::iter::repeat_with(|| reader.take()).find(|taken| !matches!(taken, Ok(Some(_))));
                    given_up |= end == Some(Err(Overlong));
                }
                assert!(given_up, "{piece}");
            }
        }
        let mut reader = Reader::default();
        reader.feed(&b"event: head\n".repeat(MAX_LINE));
        assert_eq!(reader.take(), Ok(None));
        assert_eq!((reader.bytes.len(), reader.event.name.as_slice()), (0, b"head".as_slice()));
    }

    #[test]
    fn nothing_is_kept_of_what_has_been_taken() {
        let mut reader = Reader::default();
        for _ in 0..1000 {
            reader.feed(b"event: head\n\n: and a comment without en");
            while let Ok(Some(_)) = reader.take() {}
            reader.feed(b"d\n");
            assert_eq!(reader.take(), Ok(None));
            assert_eq!(reader.bytes, b"");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..9)) {
            let mut reader = Reader::default();
            for piece in pieces {
                reader.feed(&piece);
                while let Ok(Some(event)) = reader.take() {
                    let _ = slot(&event.data);
                }
            }
        }
    }
}
