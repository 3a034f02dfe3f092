//! Which block stands at which height, by the word of whom. Hashes are the only proof that two nodes speak of the same
//! chain: heights alone can rise on as many branches as there are nodes.
//!
//! Each node's words are remembered, densely for what it told last and ever more sparsely further back, so that nodes
//! of different height meet somewhere and the depth of a reorganisation can be bounded. The network counts the words of
//! all nodes that answer. From that follow a node's standing, a split, and whether a rise is borne out by anybody.

mod ground;
mod split;
mod told;

pub use self::{
    ground::{Contest, Ground, Standing},
    split::Split,
    told::{Reorg, Told},
};
