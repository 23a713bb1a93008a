//! The exhaustive world: two tickets, each with a create and three updates, at-least-once delivery
//! in any order.
//!
//! A state is, for each ticket: how many of its four commands the owner has executed, how many of
//! the events the replica has applied, and for each event whether the message is pending and
//! whether a duplicate of it is. Actions, for each ticket:
//!
//! - *execute*: the owner executes the next command and publishes its event;
//! - *duplicate*: a message that is pending gets a duplicate, if it has none that is pending;
//! - *deliver* a pending message or duplicate, *and lose the ack* or not: the replica applies the
//!   next version, acks what it has, and does not ack a gap. A copy that is acked, with an ack that
//!   is not lost, is pending no more.
//!
//! No budget: acks are lost any number of times, and a message is duplicated again when its
//! duplicate is gone. So the tickets are independent, and a ticket has 651 states: after `p`
//! commands, of which `h` are applied, a message above `h` is pending with a duplicate or without
//! (2 ways), one up to `h` is pending or not, with a duplicate or without (4 ways): the sum of
//! `4^h 2^(p-h)` over `h ≤ p ≤ 4`. Two tickets: 651² = 423,801.

pub mod by_hand;
pub mod compact;
pub mod ergonomic;

pub const STATES: u64 = 423_801;
pub const COMMANDS: u8 = 4;

/// What a search came to.
#[derive(Clone, Copy, Debug)]
pub struct Searched {
    pub states: u64,
    /// Steps that were tried and changed the state.
    pub transitions: u64,
}

/// A ticket as bits: executed, applied, messages pending, duplicates pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub executed: u8,
    pub applied: u8,
    pub messages: u8,
    pub duplicates: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Execute,
    Duplicate { version: u8 },
    Deliver { version: u8, duplicate: bool, lose_ack: bool },
}

impl Ticket {
    /// Hands every action that is possible to `take`.
    pub fn actions(self, mut take: impl FnMut(Action)) {
        if self.executed < COMMANDS {
            take(Action::Execute);
        }
        for version in 0..self.executed {
            let bit = 1 << version;
            if self.messages & bit != 0 && self.duplicates & bit == 0 {
                take(Action::Duplicate { version });
            }
            for (pending, duplicate) in [(self.messages, false), (self.duplicates, true)] {
                if pending & bit != 0 {
                    take(Action::Deliver { version, duplicate, lose_ack: false });
                    take(Action::Deliver { version, duplicate, lose_ack: true });
                }
            }
        }
    }

    /// The ticket after an action.
    pub fn after(self, action: Action) -> Ticket {
        let mut after = self;
        match action {
            Action::Execute => {
                after.messages |= 1 << self.executed;
                after.executed += 1;
            }
            Action::Duplicate { version } => after.duplicates |= 1 << version,
            Action::Deliver { version, duplicate, lose_ack } => {
                if version == self.applied {
                    after.applied += 1;
                }
                if version < after.applied && !lose_ack {
                    let pending = if duplicate { &mut after.duplicates } else { &mut after.messages };
                    *pending &= !(1 << version);
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
        let gone = !self.messages & ((1 << self.executed) - 1);
        gone >> self.applied == 0
    }

    /// If nothing is pending, the replica has everything.
    pub fn is_converged(self) -> bool {
        self.messages | self.duplicates != 0 || self.applied == self.executed
    }
}
