//! The exhaustive world: two tickets, each with a create and three updates, at-least-once delivery
//! in any order.
//!
//! A state is, for each ticket: how many of its four commands the owner has executed, how many of
//! the events the replica has applied, and for each event how many copies of it are pending: none,
//! one or two, which cannot be told apart. Actions, for each ticket:
//!
//! - *execute*: the owner executes the next command and publishes its event, of which one copy is
//!   pending then;
//! - *deliver* one of the pending copies of an event. If no other one is pending, the broker may have
//!   *duplicated* it, so that another copy is pending afterwards; and *the ack may be lost* or not.
//!   The replica applies the next version, acks what it has, and does not ack a gap. The copy that is
//!   acked, with an ack that is not lost, is pending no more.
//!
//! No budget: acks are lost any number of times, and a message is duplicated again when one of its
//! copies is gone. So the tickets are independent, and a ticket has 286 states: after `p` commands,
//! of which `h` are applied, an event above `h` has one or two copies pending, one up to `h` any
//! number; but the first event is applied when it is delivered first, and has no second copy before.
//! Two tickets: 286² = 81,796.

pub mod by_hand;
pub mod compact;
pub mod ergonomic;
pub mod ours;

pub const STATES: u64 = 81_796;
pub const COMMANDS: u8 = 4;

/// What a search came to.
#[derive(Clone, Copy, Debug)]
pub struct Searched {
    pub states: u64,
    /// Steps that were tried and changed the state; for pellmell all that were tried.
    pub steps: u64,
}

/// A ticket as bits: executed, applied; events of which a copy is pending, and of which two are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub executed: u8,
    pub applied: u8,
    pub once: u8,
    pub twice: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Execute,
    Deliver { version: u8, duplicate: bool, lose_ack: bool },
}

impl Ticket {
    /// Hands every action that is possible to `take`.
    pub fn actions(self, mut take: impl FnMut(Action)) {
        if self.executed < COMMANDS {
            take(Action::Execute);
        }
        for version in (0..self.executed).filter(|version| self.once & 1 << version != 0) {
            let duplicates = if self.twice & 1 << version == 0 { &[false, true][..] } else { &[false][..] };
            for duplicate in duplicates.iter().copied() {
                take(Action::Deliver { version, duplicate, lose_ack: false });
                take(Action::Deliver { version, duplicate, lose_ack: true });
            }
        }
    }

    /// The ticket after an action.
    pub fn after(self, action: Action) -> Ticket {
        let mut after = self;
        match action {
            Action::Execute => {
                after.once |= 1 << self.executed;
                after.executed += 1;
            }
            Action::Deliver { version, duplicate, lose_ack } => {
                after.twice |= u8::from(duplicate) << version;
                if version == self.applied {
                    after.applied += 1;
                }
                if version < after.applied && !lose_ack {
                    // Of two copies one is left, of one none.
                    after.once &= !(1 << version) | after.twice;
                    after.twice &= !(1 << version);
                }
            }
        }
        after
    }

    /// The replica has applied what the owner published and no more.
    pub fn is_prefix(self) -> bool {
        self.applied <= self.executed
    }

    /// What is not pending was applied.
    pub fn acked_is_applied(self) -> bool {
        let gone = !self.once & ((1 << self.executed) - 1);
        gone >> self.applied == 0
    }

    /// If nothing is pending, the replica has everything.
    pub fn is_converged(self) -> bool {
        self.once != 0 || self.applied == self.executed
    }
}
