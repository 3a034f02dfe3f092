//! A height that goes backwards is one of four things. Behind a balancer another poll reaches another backend, and
//! nothing has happened. A reorganisation replaces blocks, and hashes prove it. A node that is restored begins further
//! back and catches up. A chain that is started anew begins for everybody.

use crate::model::{Height, Timestamp};

/// Steps back of the height up to this many blocks are everyday life.
pub const HARMLESS_STEP: u64 = 2;

/// A node's height went backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decrease {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub from: Height,
    /// To where.
    pub to: Height,
    /// Why.
    pub cause: Cause,
}

/// Why a height went backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The same chain from another backend, or an old answer: as far as is known nothing was lost.
    Skew,
    /// Blocks were replaced.
    Reorganised {
        /// So many at the least.
        depth: u64,
    },
    /// The node catches up from further back.
    Resync,
    /// The chain began anew.
    Reset,
}

impl Cause {
    /// The word used in outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skew => "skew",
            Self::Reorganised { .. } => "reorganised",
            Self::Resync => "resync",
            Self::Reset => "reset",
        }
    }
}

/// What an answer says that bears on an earlier or present decrease.
#[derive(Debug, Clone, Copy)]
pub struct Clue {
    /// When it came.
    pub at: Timestamp,
    /// The highest of the node's recent heights before it.
    pub before: Option<Height>,
    /// Its height.
    pub height: Height,
    /// The highest of the recent heights with it.
    pub highest: Height,
    /// How many blocks it proves to have been replaced.
    pub replaced: Option<u64>,
    /// Whether the node says that it is syncing.
    pub syncing: bool,
}

/// The decrease that is remembered after another answer: a new one, or the old one better understood.
#[must_use]
pub fn after(known: Option<Decrease>, clue: Clue) -> Option<Decrease> {
    let fell = clue.before.filter(|before| HARMLESS_STEP < before.above(clue.height));
    let known = known.map(|known| understood(known, clue));
    // A backend that is behind answers again and again; the fall is still the one that was seen first.
    match (fell, known) {
        (Some(from), Some(known)) if known.cause != Cause::Skew && from <= known.from && clue.replaced.is_none() => {
            Some(known)
        }
        (Some(from), _) => Some(Decrease { at: clue.at, from, to: clue.height, cause: first_guess(clue) }),
        (None, known) => known,
    }
}

fn first_guess(clue: Clue) -> Cause {
    match clue.replaced {
        Some(depth) => Cause::Reorganised { depth },
        None if clue.syncing => Cause::Resync,
        None => Cause::Skew,
    }
}

/// What looked like skew turns out to be more when hashes say so, when the node says so, or when none of its recent
/// answers has been back up.
fn understood(known: Decrease, clue: Clue) -> Decrease {
    let still_below = HARMLESS_STEP < known.from.above(clue.highest);
    let cause = match (known.cause, clue.replaced) {
        (Cause::Skew | Cause::Resync, Some(depth)) if clue.height <= known.from => Cause::Reorganised { depth },
        (Cause::Skew, None) if still_below => Cause::Resync,
        (cause, _) => cause,
    };
    Decrease { cause, ..known }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heights told one a second; a `r` before one proves a reorganisation of 9 blocks, an `s` says syncing. The
    /// highest of the last three counts. Out comes the cause after the last.
    fn check(script: &str, wanted: Option<Cause>) {
        let mut heights: Vec<u64> = Vec::new();
        let mut known = None;
        for (word, second) in script.split(' ').zip(0..) {
            let height: u64 = word.trim_start_matches(['r', 's']).parse().unwrap();
            let recent = |heights: &[u64]| heights.iter().rev().take(3).copied().max().map(Height);
            let before = recent(&heights);
            heights.push(height);
            known = after(
                known,
                Clue {
                    at: Timestamp(second * 1000),
                    before,
                    height: Height(height),
                    highest: recent(&heights).unwrap(),
                    replaced: word.starts_with('r').then_some(9),
                    syncing: word.starts_with('s'),
                },
            );
        }
        assert_eq!(known.map(|known| known.cause), wanted, "{script}");
    }

    #[test]
    fn each_way_of_going_back_has_its_name() {
        check("100 101 99 100", None);
        check("100 60 101 102", Some(Cause::Skew));
        check("100 r91", Some(Cause::Reorganised { depth: 9 }));
        check("100 60 61 r62", Some(Cause::Reorganised { depth: 9 }));
        check("100 s60 s62", Some(Cause::Resync));
        check("100 60 70 80 85", Some(Cause::Resync));
        check("100 60 r110", Some(Cause::Skew));
    }

    #[test]
    fn a_fall_is_remembered_from_where_it_began() {
        let clue = |before, height, highest| Clue {
            at: Timestamp(0),
            before: Some(Height(before)),
            height: Height(height),
            highest: Height(highest),
            replaced: None,
            syncing: true,
        };
        let first = after(None, clue(100, 50, 100)).unwrap();
        let second = after(Some(first), clue(100, 55, 100)).unwrap();
        assert_eq!((second.from, second.to), (Height(100), Height(50)));
    }
}
