//! The parameters of a broker, and the profiles that ship.
//!
//! Each parameter is a difference between real brokers that a consumer can notice.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine;
pub use crate::engine::{Limit, Sees, Start};

/// What a broker may do, in thirteen parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The profile's name.
    pub name: &'static str,
    /// 1. The unit inside which first deliveries follow publish order.
    pub ordering: Ordering,
    /// 2. How many positions a first delivery may overtake inside its unit.
    pub reorder_window: Limit,
    /// 3. Who may hold messages of one unit.
    pub dispatch: Dispatch,
    /// 4. How many deliveries may be unsettled, and of whom.
    pub max_in_flight: InFlight,
    /// 5. How acks settle, and whether a stale one counts.
    pub ack: AckMode,
    /// 6. How long the broker waits for an answer, by attempt; the last one repeats. Empty: for ever.
    pub ack_wait: Vec<Duration>,
    /// 7. Where a released message goes.
    pub redeliver_at: RedeliverAt,
    /// 8. Which member events release its in-flight messages at once.
    pub release_on: ReleaseOn,
    /// 9. How often a message is delivered, and what then.
    pub max_deliver: MaxDeliver,
    /// 10. How a publisher's retry is recognised.
    pub dedup_window: Dedup,
    /// 11. Whether a consumer can ask for a message to come again. Where it cannot, nak is silence.
    pub naks: bool,
    /// 12. What a consumer can see of how often a message was sent to its group.
    pub sees: Sees,
    /// 13. Where a group begins that joins late. One that keeps offsets at an engine begins where that says.
    pub start: Start,
    /// The engine that plays the broker, where the parameters cannot say what it does.
    pub engine: Option<Arc<engine::Profile>>,
}

/// The unit inside which first deliveries follow publish order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ordering {
    /// There is none: any order.
    None,
    /// One subject's log.
    Log,
    /// All that a group gets, whatever the subject: one queue or one consumer for all of them.
    Subscription,
    /// One record's events within a subject, or all records of one partition.
    Key {
        /// The number of partitions; `None`: every key is its own.
        partitions: Option<u32>,
    },
}

/// Who may hold messages of one ordering unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dispatch {
    /// Any member of the group, side by side.
    Competing,
    /// One owner; the others stand by.
    Exclusive,
    /// Nobody else while messages of the unit are in flight.
    BlockWhileInFlight {
        /// How many messages of one unit may be in flight together.
        batch: u32,
    },
}

/// How many deliveries may be unsettled at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InFlight {
    /// The number.
    pub limit: Limit,
    /// Counted for whom.
    pub scope: Scope,
}

/// Whom the in-flight limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Each member for itself.
    Member,
    /// All members of the group together.
    Group,
}

/// How an ack settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckMode {
    /// Whether it settles one message or everything up to it.
    pub granularity: Granularity,
    /// Whether an ack counts that comes after the broker gave up on the delivery.
    pub stale: Stale,
}

/// What one ack settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Granularity {
    /// One message.
    Individual,
    /// Everything up to the message.
    Cumulative,
}

/// Whether a stale ack counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stale {
    /// It stops further redelivery.
    Accept,
    /// It is ignored.
    Reject,
}

/// Where a released message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedeliverAt {
    /// Before everything that waits.
    Front,
    /// To its place in publish order.
    Original,
    /// Behind everything that waits.
    Back,
    /// Anywhere.
    Any,
    /// To its place, and everything after it in the unit comes again too.
    Rewind,
}

/// Which member events release what the member holds at once; otherwise only the ack wait does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReleaseOn {
    /// The member closes its subscription.
    pub close: bool,
    /// The member crashes.
    pub crash: bool,
    /// The member reconnects.
    pub reconnect: bool,
    /// Another member claims.
    pub claim: bool,
}

impl ReleaseOn {
    /// Only the ack wait releases anything.
    pub const NOTHING: ReleaseOn = ReleaseOn { close: false, crash: false, reconnect: false, claim: false };
}

/// How often a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MaxDeliver {
    /// Until it is acked.
    Unlimited,
    /// At most `times`, and then `action`.
    Times {
        /// The number of deliveries, at least 1.
        times: u16,
        /// What happens to the message.
        action: Exhausted,
    },
}

/// What happens to a message delivered too often. Its group never gets it again, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exhausted {
    /// It goes to a dead letter queue or topic: the subject that its group has for that
    /// ([`Hosting::dead_letters`](crate::simulation::Hosting::dead_letters)), if it has one.
    DeadLetter,
    /// It is gone.
    Drop,
    /// It stays in the log and is not delivered any more.
    Park,
}

/// How a publisher's retry is recognised: what is, is not put in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dedup {
    /// It is not.
    None,
    /// By message id, within a time.
    Window(Duration),
    /// By producer sequence, as long as the producer lives. The relay of an outbox that publishes once more some
    /// time after is another one.
    ProducerSession,
}

impl Dedup {
    /// That of a broker which engines know.
    #[must_use]
    pub fn of(recognises: engine::Recognises) -> Dedup {
        match recognises {
            engine::Recognises::Nothing | engine::Recognises::Ids(None) | engine::Recognises::Sessions(false) => {
                Dedup::None
            }
            engine::Recognises::Ids(Some(window)) => Dedup::Window(Duration::from_millis(window.as_millis())),
            engine::Recognises::Sessions(true) => Dedup::ProducerSession,
        }
    }
}

impl fmt::Display for Dedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dedup::None => f.write_str("none"),
            Dedup::Window(window) => {
                write!(f, "{}", engine::Wait::of_millis(u64::try_from(window.as_millis()).unwrap_or(u64::MAX)))
            }
            Dedup::ProducerSession => f.write_str("producer-session"),
        }
    }
}

impl Profile {
    /// The names [`Profile::named`] knows.
    pub const NAMES: [&'static str; 28] = [
        "stan",
        "adversarial",
        "jetstream",
        "jetstream-ack-all",
        "jetstream-ordered",
        "kafka",
        "kafka-auto-commit",
        "kafka-cooperative",
        "kafka-retry-topics",
        "kafka-transactions",
        "kafka-share",
        "rabbitmq-classic",
        "rabbitmq-quorum",
        "rabbitmq-quorum-3",
        "rabbitmq-single-active",
        "sqs-standard",
        "sqs-fifo",
        "sns",
        "pubsub",
        "pubsub-ordered",
        "pubsub-exactly-once",
        "redis-streams",
        "servicebus",
        "servicebus-session",
        "mqtt-qos0",
        "mqtt-qos1",
        "mqtt-qos1-clean",
        "mqtt-qos2",
    ];

    /// The profile of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Profile> {
        match name {
            "stan" => Some(Profile::stan()),
            "adversarial" => Some(Profile::adversarial()),
            _ => Some(Profile::of(&engine::Profile::named(name)?)),
        }
    }

    /// NATS Streaming: one log per subject, competing members, redelivery after 30 s, for ever, no nak.
    #[must_use]
    pub fn stan() -> Profile {
        Profile {
            name: "stan",
            ordering: Ordering::Log,
            reorder_window: Limit::Of(0),
            dispatch: Dispatch::Competing,
            max_in_flight: InFlight { limit: Limit::Of(1024), scope: Scope::Member },
            ack: AckMode { granularity: Granularity::Individual, stale: Stale::Accept },
            ack_wait: vec![Duration::from_secs(30)],
            redeliver_at: RedeliverAt::Front,
            release_on: ReleaseOn::NOTHING,
            max_deliver: MaxDeliver::Unlimited,
            dedup_window: Dedup::None,
            naks: false,
            sees: Sees::Count,
            start: Start::Earliest,
            engine: None,
        }
    }

    /// A broker without order and with a zero ack timeout: any delivery comes at any time, and again as soon as
    /// no ack came. It loses and gives up nothing, each group begins at the first message, and a consumer sees
    /// which attempt it has; `max_deliver`, `start` and `sees` take these from it.
    #[must_use]
    pub fn adversarial() -> Profile {
        Profile {
            name: "adversarial",
            ordering: Ordering::None,
            reorder_window: Limit::Unlimited,
            dispatch: Dispatch::Competing,
            max_in_flight: InFlight { limit: Limit::Unlimited, scope: Scope::Group },
            ack: AckMode { granularity: Granularity::Individual, stale: Stale::Accept },
            ack_wait: vec![Duration::ZERO],
            redeliver_at: RedeliverAt::Any,
            release_on: ReleaseOn { crash: true, ..ReleaseOn::NOTHING },
            max_deliver: MaxDeliver::Unlimited,
            dedup_window: Dedup::None,
            naks: true,
            sees: Sees::Count,
            start: Start::Earliest,
            engine: None,
        }
    }

    /// How long the broker waits for an answer to the `tries`-th delivery; `None`: for ever.
    #[must_use]
    #[inline]
    pub fn wait_for(&self, tries: u16) -> Option<Duration> {
        let place = usize::from(tries.saturating_sub(1));
        self.ack_wait.get(place).or(self.ack_wait.last()).copied()
    }

    /// Whether there is no order and no limit: every queued delivery is ready, and queues are not kept.
    pub(super) fn is_free(&self) -> bool {
        self.ordering == Ordering::None && self.max_in_flight.limit == Limit::Unlimited && self.engine.is_none()
    }

    /// Whether it waits for no answer and gives nothing up.
    pub(super) fn redelivers_at_once(&self) -> bool {
        let waits = &self.ack_wait;
        !waits.is_empty()
            && waits.iter().all(Duration::is_zero)
            && self.max_deliver == MaxDeliver::Unlimited
            && self.engine.is_none()
    }

    /// Up to how many of a delivery's tries decide anything: as many as waits differ, or as may be in
    /// vain.
    pub(super) fn tries_that_count(&self) -> u16 {
        match self.max_deliver {
            MaxDeliver::Times { .. } => u16::MAX,
            MaxDeliver::Unlimited if self.ack_wait.len() > 1 => u16::try_from(self.ack_wait.len()).unwrap_or(u16::MAX),
            MaxDeliver::Unlimited => 0,
        }
    }

    /// Checks that what a group was sent too often goes to a subject for dead letters, if the group has one.
    ///
    /// # Errors
    /// What the broker does instead, and which setting makes it do so: it never gives a message up, drops it or
    /// keeps it where it is.
    pub fn dead_letters(&self) -> Result<(), String> {
        let name = self.name;
        let (times, then) = match &self.engine {
            Some(broker) if matches!(broker.rules, engine::Rules::Offsets(_)) && !broker.rules.takes_naks() => {
                let why = "a group that keeps offsets gets a message again until it is past it";
                return Err(format!(
                    "`{name}` never gives a message up: {why}; a handler can publish what it gives up"
                ));
            }
            Some(_) => ("deliveries", "then"),
            None => ("max_deliver", "when_exhausted"),
        };
        let does = match self.max_deliver {
            MaxDeliver::Times { action: Exhausted::DeadLetter, .. } => return Ok(()),
            MaxDeliver::Unlimited => {
                return Err(format!("`{name}` never gives a message up: set `{times} = 5`, or another number"));
            }
            MaxDeliver::Times { action: Exhausted::Drop, .. } => "drops",
            MaxDeliver::Times { action: Exhausted::Park, .. } => "keeps",
        };
        Err(format!("`{name}` {does} what was delivered too often: set `{then} = \"dead-letter\"`"))
    }

    /// Checks that the broker can put back what it has given up.
    ///
    /// # Errors
    /// What keeps it from that.
    pub(super) fn redrives(&self) -> Result<(), String> {
        self.dead_letters()?;
        match &self.engine {
            Some(broker) if matches!(broker.rules, engine::Rules::Offsets(_)) => {
                let why = "to the broker its dead letter topic is a topic like any other";
                Err(format!("`{}` puts nothing back: {why}; a handler of dead letters can publish them", self.name))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the simulation can do what the profile says.
    ///
    /// # Errors
    /// The first parameter whose value is not simulated yet, with the values that are.
    pub fn supported(&self) -> Result<(), UnsupportedProfile> {
        let refuse = |parameter, expected| Err(UnsupportedProfile { parameter, expected, is_known: true });
        let never = |parameter, expected| Err(UnsupportedProfile { parameter, expected, is_known: false });
        if self.dedup_window == Dedup::Window(Duration::ZERO) {
            return never("dedup_window", "a time above 0");
        }
        if self.engine.is_some() {
            return Ok(());
        }
        if matches!(self.dispatch, Dispatch::BlockWhileInFlight { .. }) {
            return refuse("dispatch", "competing or exclusive");
        }
        if self.dispatch == Dispatch::Exclusive && self.ordering == Ordering::Subscription {
            return refuse("dispatch", "competing where one order is kept over all subjects");
        }
        if self.ack.granularity == Granularity::Cumulative {
            return refuse("ack", "individual");
        }
        if self.redeliver_at == RedeliverAt::Rewind {
            return refuse("redeliver_at", "front, original, back or any");
        }
        if (ReleaseOn { crash: false, ..self.release_on }) != ReleaseOn::NOTHING {
            return refuse("release_on", "crash: members do not close, reconnect or claim");
        }
        if matches!(self.max_deliver, MaxDeliver::Times { times: 0, .. }) {
            return never("max_deliver", "at least 1 delivery");
        }
        if matches!(self.max_in_flight.limit, Limit::Of(0)) {
            return never("max_in_flight", "at least 1 delivery");
        }
        if matches!(self.ordering, Ordering::Key { partitions: Some(0) }) {
            return never("partitions", "at least 1 partition");
        }
        if self.ordering == Ordering::None && !matches!(self.reorder_window, Limit::Of(0) | Limit::Unlimited) {
            return never("reorder_window", "no window where `ordering` is none: everything may overtake there");
        }
        Ok(())
    }
}

/// A profile asks for something that is not simulated yet, or that no broker can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedProfile {
    /// The parameter.
    pub parameter: &'static str,
    /// The values that work.
    pub expected: &'static str,
    /// Whether a broker can have it.
    is_known: bool,
}

impl fmt::Display for UnsupportedProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_known { "is not simulated yet" } else { "cannot be" };
        write!(f, "this value of `{}` {what}: expected {}", self.parameter, self.expected)
    }
}

impl std::error::Error for UnsupportedProfile {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ack_wait_repeats_and_none_means_for_ever() {
        let mut profile = Profile::stan();
        profile.ack_wait = vec![Duration::from_secs(1), Duration::from_secs(5)];
        let waits = [1, 2, 3, 400].map(|tries| profile.wait_for(tries).map(|wait| wait.as_secs()));
        assert_eq!(waits, [Some(1), Some(5), Some(5), Some(5)]);
        profile.ack_wait.clear();
        assert_eq!(profile.wait_for(1), None);
    }

    #[test]
    fn every_broker_that_engines_know_ships() {
        let rest = Profile::NAMES.iter().copied().filter(|name| *name != "adversarial");
        assert_eq!(rest.collect::<Vec<_>>(), engine::Profile::names());
    }

    #[test]
    fn every_shipped_profile_is_simulated() {
        for name in Profile::NAMES {
            let profile = Profile::named(name).expect("a shipped profile");
            assert_eq!(profile.name, name);
            assert_eq!(profile.supported(), Ok(()));
        }
    }

    #[test]
    fn a_value_that_is_not_simulated_yet_is_refused_and_not_ignored() {
        let refused = |change: fn(&mut Profile)| {
            let mut profile = Profile::stan();
            change(&mut profile);
            profile.supported().expect_err("not simulated").parameter
        };
        assert_eq!(refused(|p| p.redeliver_at = RedeliverAt::Rewind), "redeliver_at");
        assert_eq!(refused(|p| p.ack.granularity = Granularity::Cumulative), "ack");
        assert_eq!(refused(|p| p.dedup_window = Dedup::Window(Duration::ZERO)), "dedup_window");
        assert_eq!(refused(|p| p.dispatch = Dispatch::BlockWhileInFlight { batch: 10 }), "dispatch");
        let single = |p: &mut Profile| (p.dispatch, p.ordering) = (Dispatch::Exclusive, Ordering::Subscription);
        assert_eq!(refused(single), "dispatch");
        assert_eq!(refused(|p| p.max_in_flight.limit = Limit::Of(0)), "max_in_flight");
        assert_eq!(refused(|p| p.release_on.close = true), "release_on");
        assert_eq!(refused(|p| p.release_on.reconnect = true), "release_on");
        assert_eq!(refused(|p| p.release_on.claim = true), "release_on");
        let none = |p: &mut Profile| p.max_deliver = MaxDeliver::Times { times: 0, action: Exhausted::DeadLetter };
        assert_eq!(refused(none), "max_deliver");
        assert_eq!(refused(|p| (p.ordering, p.reorder_window) = (Ordering::None, Limit::Of(3))), "reorder_window");
    }
}
