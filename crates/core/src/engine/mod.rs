//! Brokers as machines: what a consumer can notice of each kind of broker.
//!
//! An engine is told what the world does ([`Told`]), lists what it may do by itself ([`Engine::may`]: its hidden
//! choices, by name), and does what is chosen ([`Engine::choose`]). It decides nothing and draws nothing, so the
//! same machine can simulate, say whether a recording is possible ([`Admission`]), and serve.
//!
//! There are four: [`Queue`] (an ack for each message), [`Offsets`] (positions in partitions), [`Keyed`] (a
//! queue for each key) and [`Push`] (a chain of attempts at an endpoint). Each has rules of its own ([`Rules`]);
//! a [`Profile`] is an engine's rules under the name of a broker and a client.

mod admit;
mod ahead;
mod gap;
mod hosts;
mod keyed;
mod link;
mod members;
mod offsets;
mod profiles;
mod push;
mod queue;
mod recording;
mod retry;
mod told;
mod wait;

use std::fmt;

use crate::ids::Time;

pub use admit::{Admission, Admitted, Assumed, Line, Refusal, Seen, What};
pub use gap::Gap;
pub use keyed::{Keyed, KeyedRules, Sharing};
pub use link::Link;
pub use offsets::{Commits, Offsets, OffsetsRules, Rebalance};
pub use profiles::{Cleanup, Compacts, Loses, Profile, ProfileError, Recognises, Sees, Setting};
pub use push::{Push, PushRules};
pub use queue::{Place, Queue, QueueOrder, QueueRules, Stale, Then, WindowOf};
pub use recording::{Header, RecordedLine, Recording, SomeAnswer, VERSION as RECORDING_VERSION};
pub use retry::Retries;
pub use told::{
    Answer, Choice, Entry, Failure, How, KeyId, Log, MemberId, MessageId, PartitionId, Sent, Start, Told, TopicId,
};
pub use wait::{Limit, Wait};

/// What an engine is told and asked under: its rules, what was published so far, and the time.
#[derive(Debug)]
pub struct Now<'a, R> {
    /// The rules.
    pub rules: &'a R,
    /// Everything that was published so far.
    pub log: &'a Log,
    /// The time.
    pub time: Time,
    /// By when timers may have ended: the same, where times are exact.
    pub late: Time,
}

impl<R> Clone for Now<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Now<'_, R> {}

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The time.
    pub time: Time,
    /// By when timers may have ended: the same, where times are exact.
    pub late: Time,
}

impl Clock {
    /// A time that is exact.
    #[must_use]
    pub const fn at(time: Time) -> Clock {
        Clock { time, late: time }
    }

    fn now<'a, R>(self, rules: &'a R, log: &'a Log) -> Now<'a, R> {
        Now { rules, log, time: self.time, late: self.late }
    }
}

/// The rules of one of the four engines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rules {
    /// Of a queue with an ack for each message.
    Queue(QueueRules),
    /// Of positions in partitions.
    Offsets(OffsetsRules),
    /// Of a queue for each key.
    Keyed(KeyedRules),
    /// Of a chain of attempts at an endpoint.
    Push(PushRules),
}

/// One subscription at a broker: what of the log is whose, and what comes again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// A queue with an ack for each message.
    Queue(Queue),
    /// Positions in partitions.
    Offsets(Offsets),
    /// A queue for each key.
    Keyed(Keyed),
    /// A chain of attempts at an endpoint.
    Push(Push),
}

impl Rules {
    /// An engine before anything happened.
    #[must_use]
    pub fn begin(&self) -> Engine {
        match self {
            Rules::Queue(_) => Engine::Queue(Queue::default()),
            Rules::Offsets(rules) => Engine::Offsets(Offsets::new(rules)),
            Rules::Keyed(_) => Engine::Keyed(Keyed::default()),
            Rules::Push(_) => Engine::Push(Push::default()),
        }
    }

    /// Whether what a member holds is released at once if it leaves so.
    pub(crate) fn releases_at(&self, how: How) -> bool {
        match self {
            Rules::Queue(rules) => rules.releases.contains(&how),
            Rules::Keyed(rules) => rules.releases.contains(&how),
            Rules::Offsets(_) | Rules::Push(_) => false,
        }
    }

    /// How often a message is sent at most.
    pub(crate) fn deliveries(&self) -> Limit {
        match self {
            Rules::Queue(rules) => rules.deliveries,
            Rules::Offsets(_) => Limit::Unlimited,
            Rules::Keyed(rules) => rules.deliveries,
            Rules::Push(rules) => rules.deliveries,
        }
    }

    /// Whether a member's word that it could not handle a message comes to anything.
    pub(crate) const fn takes_naks(&self) -> bool {
        match self {
            Rules::Queue(rules) => rules.naks,
            Rules::Offsets(rules) => rules.retries.is_some(),
            Rules::Keyed(_) | Rules::Push(_) => true,
        }
    }

    /// Whether what a member was sent stays with it if it leaves so.
    pub(crate) const fn keeps_at(&self, how: How) -> bool {
        match self {
            Rules::Push(rules) => rules.keeps_at(how) || matches!(how, How::Cancel),
            Rules::Queue(_) | Rules::Offsets(_) | Rules::Keyed(_) => matches!(how, How::Cancel),
        }
    }

    /// The engine's name.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        match self {
            Rules::Queue(_) => "queue",
            Rules::Offsets(_) => "offsets",
            Rules::Keyed(_) => "keyed",
            Rules::Push(_) => "push",
        }
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.engine())
    }
}

impl Engine {
    /// Tells it what happened outside of it. What is published stands in the log already. What it sends at once,
    /// because it was asked for it, comes after what is in `sent`.
    ///
    /// # Panics
    /// If the rules are those of another engine.
    pub fn tell(&mut self, rules: &Rules, log: &Log, clock: Clock, told: &Told, sent: &mut Vec<Sent>) {
        match (self, rules) {
            (Engine::Queue(queue), Rules::Queue(rules)) => queue.tell(clock.now(rules, log), told, sent),
            (Engine::Offsets(offsets), Rules::Offsets(rules)) => offsets.tell(clock.now(rules, log), told),
            (Engine::Keyed(keyed), Rules::Keyed(rules)) => keyed.tell(clock.now(rules, log), told),
            (Engine::Push(push), Rules::Push(rules)) => push.tell(clock.now(rules, log), told),
            (_, rules) => unreachable!("the rules are those of {rules}"),
        }
    }

    /// What it may do by itself now, after what is in `choices`; in an order that depends on its state alone.
    ///
    /// # Panics
    /// If the rules are those of another engine.
    pub fn may(&self, rules: &Rules, log: &Log, clock: Clock, choices: &mut Vec<Choice>) {
        match (self, rules) {
            (Engine::Queue(queue), Rules::Queue(rules)) => queue.may(clock.now(rules, log), choices),
            (Engine::Offsets(offsets), Rules::Offsets(rules)) => offsets.may(clock.now(rules, log), choices),
            (Engine::Keyed(keyed), Rules::Keyed(rules)) => keyed.may(clock.now(rules, log), choices),
            (Engine::Push(push), Rules::Push(rules)) => push.may(clock.now(rules, log), choices),
            (_, rules) => unreachable!("the rules are those of {rules}"),
        }
    }

    /// What it is going to send, as soon as there is room for it and somebody to take it; in an order that depends
    /// on its state alone.
    pub(crate) fn pending(&self, log: &Log) -> Vec<MessageId> {
        match self {
            Engine::Queue(queue) => queue.pending().collect(),
            Engine::Offsets(offsets) => offsets.pending(log).collect(),
            Engine::Keyed(keyed) => keyed.pending().collect(),
            Engine::Push(push) => push.pending().collect(),
        }
    }

    /// Whether it waits for an answer to a message, or for the time at which it is to come again.
    pub(crate) fn holds(&self, message: MessageId) -> bool {
        match self {
            Engine::Queue(queue) => queue.holds(message),
            Engine::Offsets(offsets) => offsets.holds(message),
            Engine::Keyed(keyed) => keyed.holds(message),
            Engine::Push(push) => push.holds(message),
        }
    }

    /// Whether it would take what a member commits with the answer to the so-manieth delivery of a message, where
    /// commits may be refused.
    pub(crate) fn takes_commit(&self, log: &Log, member: MemberId, message: MessageId, count: u16) -> bool {
        match self {
            Engine::Offsets(offsets) => offsets.takes_commit(log, member, message, count),
            Engine::Queue(_) | Engine::Keyed(_) | Engine::Push(_) => true,
        }
    }

    /// When the wait for an answer to a message ends.
    pub(crate) fn due(&self, rules: &Rules, message: MessageId) -> Option<Time> {
        let of_it = |(due, other): (Time, MessageId)| (other == message).then_some(due);
        match (self, rules) {
            (Engine::Queue(queue), Rules::Queue(rules)) => queue.dues(&rules.wait).find_map(of_it),
            (Engine::Keyed(keyed), Rules::Keyed(rules)) => keyed.dues(&rules.wait).find_map(of_it),
            (Engine::Push(push), Rules::Push(rules)) => push.dues(rules.timeout).find_map(of_it),
            (Engine::Offsets(offsets), _) => offsets.dues().find_map(of_it),
            _ => None,
        }
    }

    /// Does one of the things it may do. What it sends, if it sends anything.
    ///
    /// # Panics
    /// If the rules are those of another engine.
    pub fn choose(&mut self, rules: &Rules, log: &Log, clock: Clock, choice: &Choice) -> Option<Sent> {
        match (self, rules) {
            (Engine::Queue(queue), Rules::Queue(rules)) => queue.choose(clock.now(rules, log), choice),
            (Engine::Offsets(offsets), Rules::Offsets(rules)) => offsets.choose(clock.now(rules, log), choice),
            (Engine::Keyed(keyed), Rules::Keyed(rules)) => keyed.choose(clock.now(rules, log), choice),
            (Engine::Push(push), Rules::Push(rules)) => push.choose(clock.now(rules, log), choice),
            (_, rules) => unreachable!("the rules are those of {rules}"),
        }
    }
}
