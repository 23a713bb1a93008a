//! Brokers by name: an engine, its rules, and what a consumer can see.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Rules;
use super::keyed::{KeyedRules, Sharing};
use super::offsets::{Commits, OffsetsRules, Rebalance};
use super::push::PushRules;
use super::queue::{Place, QueueOrder, QueueRules, Stale, Then, WindowOf};
use super::retry::Retries;
use super::told::{How, Start};
use super::wait::{Limit, Wait};

/// A broker and a client library's habits, as they are by default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What the broker does.
    pub rules: Rules,
    /// What a consumer can see of a delivery.
    pub sees: Sees,
    /// What it may lose when it fails.
    pub loses: Loses,
    /// What of that which a publisher sends once more it recognises.
    pub recognises: Recognises,
    /// What its log may be without, although nothing failed.
    pub cleanup: Cleanup,
}

/// What a log may be without, although nothing failed, where it is set up so. A queue keeps what is not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// Whether what was kept for as long as it is kept is deleted, done or not.
    pub expires: bool,
    /// Whether of several messages only the latest is kept.
    pub compacts: Compacts,
}

/// Of which messages a log that is compacted keeps the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compacts {
    /// It keeps all.
    #[default]
    Nothing,
    /// Of those with one key.
    Keys,
    /// Of those with one key on one subject.
    Subjects,
}

impl Cleanup {
    const NONE: Cleanup = Cleanup { expires: false, compacts: Compacts::Nothing };
    const EXPIRES: Cleanup = Cleanup { expires: true, ..Cleanup::NONE };
    const OF_KEYS: Cleanup = Cleanup { compacts: Compacts::Keys, ..Cleanup::EXPIRES };
    const OF_SUBJECTS: Cleanup = Cleanup { compacts: Compacts::Subjects, ..Cleanup::EXPIRES };
}

/// How a broker recognises what a publisher sends once more, because it has heard no confirm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recognises {
    /// It does not.
    #[default]
    Nothing,
    /// By an id of the message, for so long after the first; `None`: it could, and is not set up to.
    Ids(Option<Wait>),
    /// By sessions of producers, as long as one lasts; `false`: it could, and is not set up to.
    Sessions(bool),
}

impl Recognises {
    /// What the setting of that is called.
    const NAME: &'static str = "dedup";
    const NONE: &'static str = "none";
    const SESSION: &'static str = "producer-session";

    /// The setting's value, if it is one of this broker.
    fn value(self) -> Option<Value> {
        match self {
            Recognises::Nothing => None,
            Recognises::Ids(None) | Recognises::Sessions(false) => Some(Recognises::NONE.into()),
            Recognises::Ids(Some(window)) => Some(window.to_string().into()),
            Recognises::Sessions(true) => Some(Recognises::SESSION.into()),
        }
    }

    /// The same with another value.
    fn with(self, value: &Value) -> Result<Recognises, String> {
        let text = value.as_str().unwrap_or_default();
        match self {
            Recognises::Sessions(_) => match text {
                Recognises::NONE => Ok(Recognises::Sessions(false)),
                Recognises::SESSION => Ok(Recognises::Sessions(true)),
                _ => Err("expected \"none\" or \"producer-session\"".to_owned()),
            },
            _ if text == Recognises::NONE => Ok(Recognises::Ids(None)),
            _ => match text.parse::<Wait>() {
                Ok(window) if window.as_millis() > 0 => Ok(Recognises::Ids(Some(window))),
                _ => Err("expected \"none\" or a time above 0, for example \"2m\"".to_owned()),
            },
        }
    }
}

/// What a broker may have lost when it fails over or restarts, as it is set up by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loses {
    /// Acks that it had taken.
    pub acks: bool,
    /// The end of what was published to it.
    pub tail: bool,
    /// How often it had sent each message.
    pub counts: bool,
}

impl Loses {
    /// Who runs the broker for others keeps what it took.
    const NOTHING: Loses = Loses { acks: false, tail: false, counts: false };
    /// How often SQS and Pub/Sub sent a message is said to be approximate.
    const COUNTS: Loses = Loses { counts: true, ..Loses::NOTHING };
    /// A deleted message of SQS may come back, and acks of Pub/Sub are a matter of best effort.
    const ACKS: Loses = Loses { acks: true, ..Loses::COUNTS };
    /// The consumer itself knows where it was, or there is nothing to know.
    const TAIL: Loses = Loses { tail: true, ..Loses::NOTHING };
    /// It does not count.
    const BOTH: Loses = Loses { acks: true, ..Loses::TAIL };
    const ALL: Loses = Loses { counts: true, ..Loses::BOTH };
}

/// What a consumer can see of a delivery beside the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sees {
    /// How often it was sent.
    Count,
    /// Whether it was sent before.
    Flag,
    /// Nothing.
    Nothing,
}

impl Sees {
    /// What a consumer sees of the so-manieth time that it is sent a message.
    #[must_use]
    #[inline]
    pub fn of(self, times: u16) -> u16 {
        match self {
            Sees::Count => times,
            Sees::Flag => times.min(2),
            Sees::Nothing => 1,
        }
    }
}

/// A setting of a profile and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value, as it is written in a file.
    pub value: String,
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileError {
    /// The engine has no setting of that name.
    Unknown {
        /// The name.
        name: String,
        /// Those that it has.
        known: Vec<String>,
        /// The profiles that have it.
        elsewhere: Vec<&'static str>,
    },
    /// The value is none of it.
    Value {
        /// The name.
        name: String,
        /// What was expected.
        reason: String,
    },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProfileError::Unknown { name, known, elsewhere } => {
                write!(f, "`{name}` is no setting of this profile, which has {}", known.join(", "))?;
                match elsewhere.as_slice() {
                    [] => Ok(()),
                    others => write!(f, "; {} have it", others.join(", ")),
                }
            }
            ProfileError::Value { name, reason } => write!(f, "`{name}`: {reason}"),
        }
    }
}

impl std::error::Error for ProfileError {}

const fn secs(secs: u64) -> Wait {
    Wait::of_secs(secs)
}

fn set(hows: &[How]) -> BTreeSet<How> {
    hows.iter().copied().collect()
}

/// A queue that keeps order, waits for ever and gives nothing up: what most differ from in a few settings.
fn queue() -> QueueRules {
    QueueRules {
        order: QueueOrder::Subscription,
        window: Limit::Unlimited,
        window_of: WindowOf::Member,
        wait: Vec::new(),
        on_nak: Place::Front,
        on_loss: Place::Front,
        on_timeout: Place::Front,
        releases: set(&[How::Close, How::Crash]),
        notices_crash: true,
        exclusive: false,
        cumulative: false,
        stale: Stale::Reject,
        deliveries: Limit::Unlimited,
        then: Then::Drop,
        naks: true,
        requeues_late: false,
        claims: false,
        copies: false,
    }
}

fn jetstream() -> QueueRules {
    QueueRules {
        window: Limit::Of(1000),
        window_of: WindowOf::Group,
        wait: vec![secs(30)],
        releases: set(&[]),
        stale: Stale::Accept,
        then: Then::Park,
        ..queue()
    }
}

fn rabbitmq() -> QueueRules {
    QueueRules { wait: vec![secs(1800)], releases: set(&[How::Close, How::Crash, How::Reconnect]), ..queue() }
}

fn quorum() -> QueueRules {
    // A message that came back 20 times was sent 21 times.
    QueueRules { window: Limit::Of(2000), deliveries: Limit::Of(21), ..rabbitmq() }
}

fn unordered() -> QueueRules {
    QueueRules {
        order: QueueOrder::None,
        on_nak: Place::Any,
        on_loss: Place::Any,
        on_timeout: Place::Any,
        releases: set(&[]),
        copies: true,
        ..queue()
    }
}

fn kafka() -> OffsetsRules {
    OffsetsRules {
        partitions: 1,
        window: Limit::Unlimited,
        session: secs(45),
        commits: Commits::Manual,
        rebalance: Rebalance::Eager,
        start: Start::New,
        retries: None,
        transactions: false,
    }
}

fn keyed() -> KeyedRules {
    KeyedRules {
        sharing: Sharing::Blocked,
        batch: Limit::Of(10),
        window: Limit::Unlimited,
        wait: vec![secs(30)],
        releases: set(&[]),
        stale: Stale::Reject,
        deliveries: Limit::Unlimited,
        then: Then::DeadLetter,
    }
}

fn push() -> PushRules {
    PushRules {
        ordered: false,
        window: Limit::Unlimited,
        timeout: None,
        retries: Vec::new(),
        deliveries: Limit::Unlimited,
        then: Then::Drop,
        at_most_once: false,
        session: true,
        exactly_once: false,
    }
}

impl Profile {
    fn losing(self, loses: Loses) -> Profile {
        Profile { loses, ..self }
    }

    fn recognising(self, recognises: Recognises) -> Profile {
        Profile { recognises, ..self }
    }

    fn cleaning(self, cleanup: Cleanup) -> Profile {
        Profile { cleanup, ..self }
    }

    /// All of them, in the order in which they are listed.
    #[must_use]
    pub fn all() -> Vec<Profile> {
        use Sees::{Count, Flag, Nothing};
        let profile = |name, about, rules, sees| {
            let (recognises, cleanup) = (Recognises::Nothing, Cleanup::NONE);
            Profile { name, about, rules, sees, loses: Loses::BOTH, recognises, cleanup }
        };
        let of_queue = |name, about, rules, sees| profile(name, about, Rules::Queue(rules), sees).losing(Loses::ALL);
        let of_offsets = |name, about, rules| profile(name, about, Rules::Offsets(rules), Nothing);
        let of_keyed = |name, about, rules, sees| profile(name, about, Rules::Keyed(rules), sees);
        let of_push = |name, about, rules, sees| profile(name, about, Rules::Push(rules), sees);
        vec![
            of_queue(
                "stan",
                "NATS Streaming: a queue group of a channel",
                QueueRules {
                    window: Limit::Of(1024),
                    wait: vec![secs(30)],
                    releases: set(&[How::Close, How::Reconnect]),
                    notices_crash: false,
                    stale: Stale::Accept,
                    naks: false,
                    ..queue()
                },
                Count,
            )
            .cleaning(Cleanup::EXPIRES),
            of_queue(
                "jetstream",
                "NATS JetStream: a consumer with an ack for each message, pushed or pulled",
                jetstream(),
                Count,
            )
            .recognising(Recognises::Ids(None))
            .cleaning(Cleanup::OF_SUBJECTS),
            of_queue(
                "jetstream-ack-all",
                "NATS JetStream: a consumer whose acks are for all up to a message",
                QueueRules { cumulative: true, ..jetstream() },
                Count,
            )
            .recognising(Recognises::Ids(None))
            .cleaning(Cleanup::OF_SUBJECTS),
            of_offsets(
                "jetstream-ordered",
                "NATS JetStream: an ordered consumer, which goes on after what it saw last",
                OffsetsRules { session: secs(5), commits: Commits::Auto, start: Start::Earliest, ..kafka() },
            )
            .recognising(Recognises::Ids(None))
            .cleaning(Cleanup::OF_SUBJECTS)
            .losing(Loses::TAIL),
            of_offsets("kafka", "Kafka: a consumer group that commits by hand", kafka())
                .recognising(Recognises::Sessions(true))
                .cleaning(Cleanup::OF_KEYS),
            of_offsets(
                "kafka-auto-commit",
                "Kafka: a consumer group whose client commits every five seconds",
                OffsetsRules { commits: Commits::Auto, ..kafka() },
            )
            .recognising(Recognises::Sessions(true))
            .cleaning(Cleanup::OF_KEYS),
            of_offsets(
                "kafka-cooperative",
                "Kafka: a consumer group with cooperative rebalancing that commits by hand",
                OffsetsRules { rebalance: Rebalance::Cooperative, ..kafka() },
            )
            .recognising(Recognises::Sessions(true))
            .cleaning(Cleanup::OF_KEYS),
            of_offsets(
                "kafka-retry-topics",
                "Kafka: a consumer group whose client has a retry topic and a dead letter topic",
                OffsetsRules { retries: Some(Retries::of(3, secs(1))), ..kafka() },
            )
            .recognising(Recognises::Sessions(true))
            .cleaning(Cleanup::OF_KEYS),
            of_offsets(
                "kafka-transactions",
                "Kafka: a consumer group that commits in one transaction with what it publishes",
                OffsetsRules { transactions: true, ..kafka() },
            )
            .recognising(Recognises::Sessions(true))
            .cleaning(Cleanup::OF_KEYS),
            of_queue(
                "kafka-share",
                "Kafka: a share group",
                QueueRules {
                    order: QueueOrder::None,
                    window: Limit::Of(2000),
                    window_of: WindowOf::Group,
                    wait: vec![secs(30)],
                    deliveries: Limit::Of(5),
                    ..queue()
                },
                Count,
            )
            .recognising(Recognises::Sessions(true))
            .cleaning(Cleanup::OF_KEYS),
            of_queue(
                "rabbitmq-classic",
                "RabbitMQ: a classic queue",
                QueueRules {
                    on_nak: Place::Original,
                    on_loss: Place::Original,
                    on_timeout: Place::Original,
                    requeues_late: true,
                    ..rabbitmq()
                },
                Flag,
            )
            .losing(Loses::BOTH),
            of_queue("rabbitmq-quorum", "RabbitMQ 4: a quorum queue", quorum(), Count),
            of_queue(
                "rabbitmq-quorum-3",
                "RabbitMQ up to 3.13: a quorum queue without a delivery limit",
                QueueRules { on_nak: Place::Back, deliveries: Limit::Unlimited, ..quorum() },
                Count,
            ),
            of_queue(
                "rabbitmq-single-active",
                "RabbitMQ: a quorum queue with a single active consumer",
                QueueRules { exclusive: true, ..quorum() },
                Count,
            ),
            of_queue(
                "sqs-standard",
                "Amazon SQS: a standard queue",
                QueueRules {
                    window: Limit::Of(120_000),
                    window_of: WindowOf::Group,
                    wait: vec![secs(30)],
                    stale: Stale::Either,
                    then: Then::DeadLetter,
                    ..unordered()
                },
                Count,
            )
            .losing(Loses::ACKS),
            of_keyed(
                "sqs-fifo",
                "Amazon SQS: a FIFO queue",
                KeyedRules { window: Limit::Of(120_000), ..keyed() },
                Count,
            )
            .recognising(Recognises::Ids(Some(secs(300))))
            .losing(Loses::COUNTS),
            of_push(
                "sns",
                "Amazon SNS: a subscription of an HTTP endpoint",
                PushRules { timeout: Some(secs(15)), retries: vec![secs(20)], deliveries: Limit::Of(4), ..push() },
                Nothing,
            )
            .losing(Loses::NOTHING),
            of_queue(
                "pubsub",
                "Google Pub/Sub: a subscription without ordering",
                QueueRules {
                    window: Limit::Of(1000),
                    wait: vec![secs(10)],
                    stale: Stale::Either,
                    then: Then::DeadLetter,
                    ..unordered()
                },
                Nothing,
            )
            .losing(Loses::ACKS),
            of_keyed(
                "pubsub-ordered",
                "Google Pub/Sub: a subscription with ordering keys",
                KeyedRules {
                    sharing: Sharing::Replayed,
                    batch: Limit::Unlimited,
                    window: Limit::Of(1000),
                    wait: vec![secs(10)],
                    stale: Stale::Either,
                    ..keyed()
                },
                Nothing,
            )
            .losing(Loses::ACKS),
            of_queue(
                "pubsub-exactly-once",
                "Google Pub/Sub: a subscription with exactly-once delivery",
                QueueRules {
                    window: Limit::Of(1000),
                    wait: vec![secs(10)],
                    then: Then::DeadLetter,
                    copies: false,
                    ..unordered()
                },
                Nothing,
            )
            .losing(Loses::COUNTS),
            of_queue(
                "redis-streams",
                "Redis Streams: a consumer group with a claimer",
                QueueRules { releases: set(&[]), stale: Stale::Accept, naks: false, claims: true, ..queue() },
                Count,
            )
            .cleaning(Cleanup::EXPIRES),
            of_queue(
                "servicebus",
                "Azure Service Bus: a queue or subscription without sessions",
                QueueRules {
                    wait: vec![secs(60)],
                    releases: set(&[How::Close, How::Crash, How::Reconnect]),
                    deliveries: Limit::Of(10),
                    then: Then::DeadLetter,
                    ..queue()
                },
                Count,
            )
            .recognising(Recognises::Ids(None))
            .losing(Loses::NOTHING),
            of_keyed(
                "servicebus-session",
                "Azure Service Bus: a queue or subscription with sessions",
                KeyedRules {
                    sharing: Sharing::Owned,
                    batch: Limit::Unlimited,
                    wait: vec![secs(60)],
                    releases: set(&[How::Close, How::Crash]),
                    deliveries: Limit::Of(10),
                    ..keyed()
                },
                Count,
            )
            .recognising(Recognises::Ids(None))
            .losing(Loses::NOTHING),
            of_push(
                "mqtt-qos0",
                "MQTT: a subscription with quality of service 0",
                PushRules { ordered: true, at_most_once: true, session: false, ..push() },
                Nothing,
            )
            .losing(Loses::TAIL),
            of_push(
                "mqtt-qos1",
                "MQTT: a subscription with quality of service 1 and a session that is kept",
                PushRules { ordered: true, window: Limit::Of(20), ..push() },
                Flag,
            ),
            of_push(
                "mqtt-qos1-clean",
                "MQTT: a subscription with quality of service 1 and a session that ends with the connection",
                PushRules { ordered: true, window: Limit::Of(20), session: false, ..push() },
                Flag,
            )
            .losing(Loses::TAIL),
            of_push(
                "mqtt-qos2",
                "MQTT: a subscription with quality of service 2 and a session that is kept",
                PushRules { ordered: true, window: Limit::Of(20), exactly_once: true, ..push() },
                Flag,
            ),
        ]
    }

    /// The profile of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Profile> {
        Profile::all().into_iter().find(|profile| profile.name == name)
    }

    /// The names of all of them.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        Profile::all().into_iter().map(|profile| profile.name).collect()
    }

    /// Its settings and their values, in the order of the names.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        self.as_map().into_iter().map(|(name, value)| Setting { name, value: value.to_string() }).collect()
    }

    /// Its settings, by their names.
    fn as_map(&self) -> Map {
        let mut map = self.rules.as_map();
        map.extend(self.recognises.value().map(|value| (Recognises::NAME.to_owned(), value)));
        map
    }

    /// The same with another value of a setting.
    ///
    /// # Errors
    /// If it has no such setting, or the value is none of it.
    pub fn with(mut self, name: &str, value: Value) -> Result<Profile, ProfileError> {
        let mut map = self.as_map();
        let Some(slot) = map.get_mut(name) else {
            let elsewhere = |profile: &Profile| profile.as_map().contains_key(name);
            return Err(ProfileError::Unknown {
                name: name.to_owned(),
                known: self.settings().into_iter().map(|setting| setting.name).collect(),
                elsewhere: Profile::all().iter().filter(|profile| elsewhere(profile)).map(|p| p.name).collect(),
            });
        };
        let wrong = |reason| ProfileError::Value { name: name.to_owned(), reason };
        if name == Recognises::NAME {
            self.recognises = self.recognises.with(&value).map_err(wrong)?;
            return Ok(self);
        }
        *slot = value;
        map.remove(Recognises::NAME);
        self.rules = self.rules.of_map(map).map_err(wrong)?;
        Ok(self)
    }
}

type Map = serde_json::Map<String, Value>;

impl Rules {
    fn as_map(&self) -> Map {
        let value = match self {
            Rules::Queue(rules) => map_of(rules),
            Rules::Offsets(rules) => map_of(rules),
            Rules::Keyed(rules) => map_of(rules),
            Rules::Push(rules) => map_of(rules),
        };
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn of_map(&self, map: Map) -> Result<Rules, String> {
        fn read<T: DeserializeOwned>(map: Map) -> Result<T, String> {
            serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())
        }
        Ok(match self {
            Rules::Queue(_) => Rules::Queue(read(map)?),
            Rules::Offsets(_) => Rules::Offsets(read(map)?),
            Rules::Keyed(_) => Rules::Keyed(read(map)?),
            Rules::Push(_) => Rules::Push(read(map)?),
        })
    }
}

fn map_of(rules: &impl Serialize) -> Value {
    serde_json::to_value(rules).unwrap_or_default()
}
