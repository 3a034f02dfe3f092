//! What nodes push: the first byte says in how large pieces it comes, the rest is a stream of server-sent events, and a
//! message over WebSocket. However it is cut, a stream tells the same.
#![no_main]

use haltwatch::chain::rehearsal::{pushed, pushed_header, slots};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|said: &[u8]| {
    let Some((size, bytes)) = said.split_first() else { return };
    let size = usize::from(*size).max(1);
    assert_eq!(slots(bytes.chunks(size)), slots(std::iter::once(bytes)));
    let _ = pushed_header(bytes);
    let _ = str::from_utf8(bytes).ok().and_then(pushed);
});
