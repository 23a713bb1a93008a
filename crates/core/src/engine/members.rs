//! The members of a subscription, in the order of joining.

use super::told::MemberId;
use crate::ids::Time;

/// Whether a member is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Presence {
    Up,
    /// It crashed, and the broker has not noticed; since when, where that matters.
    Mute(Time),
    Gone,
}

/// Everybody who ever joined, the last one last.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Members(Vec<(MemberId, Presence)>);

impl Members {
    /// Whether nobody ever joined.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A member joins, or is back.
    pub(super) fn join(&mut self, member: MemberId) {
        self.0.retain(|(other, _)| *other != member);
        self.0.push((member, Presence::Up));
    }

    /// What is known of a member changes, if it ever joined.
    pub(super) fn set(&mut self, member: MemberId, presence: Presence) {
        self.0.iter_mut().filter(|(other, _)| *other == member).for_each(|(_, there)| *there = presence);
    }

    /// Those that are there.
    pub(super) fn up(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.0.iter().filter(|(_, presence)| *presence == Presence::Up).map(|(member, _)| *member)
    }

    /// Those that the broker takes to be there.
    pub(super) fn counted(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.0.iter().filter(|(_, presence)| *presence != Presence::Gone).map(|(member, _)| *member)
    }

    /// Those that crashed unnoticed, and since when.
    pub(super) fn mute(&self) -> impl Iterator<Item = (MemberId, Time)> + '_ {
        self.0.iter().filter_map(|(member, presence)| match presence {
            Presence::Mute(since) => Some((*member, *since)),
            _ => None,
        })
    }
}
