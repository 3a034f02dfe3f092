//! Chance without a state: what happens at the n-th occasion depends on the seed, the purpose and n alone, so a chain
//! comes out the same however often and in whatever steps it is advanced.

/// What a number is drawn for: two purposes never share their luck.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Whether a slot stays empty.
    MissedSlot,
    /// Who produces a block.
    Producer,
    /// How many transactions a block holds.
    Transactions,
    /// When a transaction arrives.
    Arrival,
}

/// The `n`-th number drawn from `seed` for `purpose`, evenly spread over all of `u64`.
#[must_use]
pub fn draw(seed: u64, purpose: Purpose, n: u64) -> u64 {
    mix(mix(seed ^ mix(purpose as u64)) ^ n)
}

/// One step of `SplitMix64` (Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_seeds_do_not_share_their_luck() {
        let numbers = [
            draw(1, Purpose::MissedSlot, 7),
            draw(1, Purpose::Producer, 7),
            draw(2, Purpose::MissedSlot, 7),
            draw(1, Purpose::MissedSlot, 8),
        ];
        for (i, number) in numbers.iter().enumerate() {
            assert!(!numbers[..i].contains(number), "{numbers:?}");
        }
    }

    #[test]
    fn a_rare_event_is_about_as_frequent_as_asked_for() {
        let hits = (0..100_000).filter(|n| draw(42, Purpose::MissedSlot, *n) % 100 < 5).count();
        assert!((4_500..5_500).contains(&hits), "{hits}");
    }
}
