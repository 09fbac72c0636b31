//! A request that was forwarded, as far as its answer hangs on it.

use wire::{Api, CorrelationId};

use crate::kept::Keep;
use crate::moment::Moment;

/// How the answer to a forwarded request has to be treated on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// As the API table says.
    ByTable,
    /// A `DescribeConfigs` answer whose broker configurations are masked.
    MaskConfigs,
}

/// How far a question has left for its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// No byte of it; or it has all of its bytes yet, so that it can leave again.
    Not,
    /// Some bytes, but not the last one, and they are gone: the broker has done nothing.
    Partly,
    /// All of it: nobody knows what the broker has done.
    Wholly,
    /// Another broker is asked: its own has said that it is not for it, now or of one before.
    Elsewhere,
}

/// A forwarded request whose answer the broker owes.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The API, which with the version decides how the answer travels.
    pub api: Api,
    /// The request's version.
    pub version: i16,
    /// The client's own number, which the broker must repeat.
    pub correlation: CorrelationId,
    /// How the answer is treated.
    pub treatment: Treatment,
    /// Whether it holds slots of limits until it is answered.
    pub slotted: bool,
    /// What is kept of it.
    pub keep: Keep,
    /// How far it has left for the broker.
    pub left: Left,
    /// How often it was sent again.
    pub repeats: u8,
    /// When the request's first bytes were read.
    pub read_at: Moment,
    /// When the request's last byte left for the broker; until then equal to `read_at`.
    pub sent_at: Moment,
}

impl Asked {
    /// Whether it is sent again to another broker's connection out of what is kept: all of it is, and the bytes that came
    /// are gone.
    pub(super) fn goes_again(&self) -> bool {
        matches!(self.keep, Keep::Whole(_)) && matches!(self.left, Left::Partly | Left::Wholly)
    }
}
