//! What is played: each script is a value. A script that tells two rules apart has a window of 1 where it can,
//! so that nothing is on its way that could hide the difference.

#[cfg(feature = "kafka")]
mod kafka;
mod mosquitto;
mod nats;
mod rabbitmq;
mod redis;
mod sns;
mod sqs;

use serde_json::{Map, Value, json};

#[cfg(feature = "kafka")]
pub use kafka::KAFKA;
pub use mosquitto::MOSQUITTO;
pub use nats::NATS;
pub use rabbitmq::RABBITMQ;
pub use redis::REDIS;
pub use sns::SNS;
pub use sqs::SQS;

/// What is done to a server, and what members answer.
pub struct Script {
    pub name: &'static str,
    pub about: &'static str,
    /// The profile that it is played for, which says what kind of queue it is.
    pub profile: &'static str,
    /// How many deliveries may be without an answer.
    pub window: Option<u16>,
    /// How long the server waits for an answer, in milliseconds, by delivery.
    pub wait: &'static [u64],
    /// How often a message is sent at most.
    pub deliveries: Option<u16>,
    /// Whether only one member is served.
    pub exclusive: bool,
    /// Whether members ask for messages instead of being sent them.
    pub pulls: bool,
    /// How long a member that is silent counts as one, in milliseconds.
    pub session: Option<u64>,
    /// How many partitions there are.
    pub partitions: Option<u16>,
    /// Whether a group begins with the first message although the profile says at the end.
    pub earliest: bool,
    /// Whether the server makes no copies although the profile says that it may.
    pub no_copies: bool,
    /// What happens when, in milliseconds.
    pub steps: &'static [(u64, Step)],
    /// What members answer; the first that fits holds, and a message that none fits is acked.
    pub rules: &'static [Rule],
    /// When it is over, in milliseconds.
    pub ends: u64,
}

/// Something that is done.
#[derive(Clone, Copy)]
pub enum Step {
    /// Messages from this number to that one are published.
    Publish(u32, u32),
    /// The same, to a part of the queue.
    PublishTo(Part, u32, u32),
    Join(&'static str),
    Leave(&'static str, How),
    /// A member answers a message that it has.
    Say(&'static str, &'static str, Answer),
    /// A member asks for so many messages.
    Read(&'static str, usize),
    /// A member takes over everything that is pending.
    Claim(&'static str),
}

/// What is kept in order for itself.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "some of it is for scripts of Kafka"))]
#[derive(Clone, Copy)]
pub enum Part {
    /// All there is.
    All,
    Key(&'static str),
    Partition(u16),
}

/// How a member leaves.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "some of it is for scripts of Kafka"))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    Close,
    Cancel,
    Crash,
    /// Its process stands still, and to the broker it is dead.
    Stall,
}

impl How {
    pub const fn name(self) -> &'static str {
        match self {
            How::Close => "close",
            How::Cancel => "cancel",
            How::Crash | How::Stall => "crash",
        }
    }
}

/// What a member says of a message.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "some of it is for scripts of Kafka"))]
#[derive(Clone, Copy)]
pub enum Answer {
    Ack,
    Nak,
    /// It is to come again after so many milliseconds.
    NakFor(u64),
    Term,
    Extend,
    /// The offset behind the message is committed.
    Commit,
    /// The same, by a member that the broker has to refuse; if it stands still, it goes on.
    CommitInVain,
    /// It goes on at this message.
    Seek,
}

/// What a member says when it is handed a message, and after how many milliseconds.
pub struct Rule {
    /// Which member; empty: any.
    by: &'static str,
    /// Which message; empty: any.
    message: &'static str,
    /// The how-manieth delivery of it that anybody sees; 0: any.
    nth: u16,
    answers: &'static [(u64, Answer)],
}

const fn rule(by: &'static str, message: &'static str, nth: u16, answers: &'static [(u64, Answer)]) -> Rule {
    Rule { by, message, nth, answers }
}

impl Script {
    /// How the broker is set up, as the head of the recording says it.
    pub fn set(&self) -> Map<String, Value> {
        let mut set = Map::new();
        if let Some(window) = self.window {
            set.insert("window".to_owned(), json!(window));
        }
        if !self.wait.is_empty() {
            let waits: Vec<String> = self.wait.iter().map(|ms| format!("{ms}ms")).collect();
            set.insert("wait".to_owned(), json!(waits));
        }
        if let Some(deliveries) = self.deliveries {
            set.insert("deliveries".to_owned(), json!(deliveries));
        }
        if self.exclusive {
            set.insert("exclusive".to_owned(), json!(true));
        }
        if let Some(ms) = self.session {
            set.insert("session".to_owned(), json!(format!("{ms}ms")));
        }
        if let Some(partitions) = self.partitions {
            set.insert("partitions".to_owned(), json!(partitions));
        }
        if self.earliest {
            set.insert("start".to_owned(), json!("earliest"));
        }
        if self.no_copies {
            set.insert("copies".to_owned(), json!(false));
        }
        set
    }

    /// What a member says when it is handed a message that was seen so often.
    pub fn answers(&self, by: &str, message: &str, nth: u16) -> &'static [(u64, Answer)] {
        let fits = |rule: &&Rule| {
            (rule.by.is_empty() || rule.by == by)
                && (rule.message.is_empty() || rule.message == message)
                && (rule.nth == 0 || rule.nth == nth)
        };
        self.rules.iter().find(fits).map_or(&[(0, Answer::Ack)], |rule| rule.answers)
    }
}

use Answer::{Ack, Nak, Term};
use How::{Close, Crash};
use Step::{Join, Leave, Publish};

/// A member that acks six messages, of which it is sent all there are.
const PLAIN: Script = Script {
    name: "",
    about: "",
    profile: "",
    window: None,
    wait: &[],
    deliveries: None,
    exclusive: false,
    pulls: false,
    session: None,
    partitions: None,
    earliest: false,
    no_copies: false,
    steps: ONE,
    rules: &[],
    ends: 500,
};

/// A member that is there from the beginning, and six messages.
const ONE: &[(u64, Step)] = &[(0, Join("A")), (0, Publish(1, 6))];
/// The same with two members.
const TWO: &[(u64, Step)] = &[(0, Join("A")), (0, Join("B")), (0, Publish(1, 6))];
const NAK_2: &[Rule] = &[rule("", "2", 1, &[(0, Nak)])];
const TERM_2: &[Rule] = &[rule("", "2", 1, &[(0, Term)])];
/// Nothing is answered.
const NEVER: &[Rule] = &[rule("", "", 0, &[])];
const NONE_AT_FIRST: &[Rule] = &[rule("", "", 1, &[])];
const A_NEVER: &[Rule] = &[rule("A", "", 0, &[])];
const A_ONLY_1: &[Rule] = &[rule("A", "1", 0, &[(0, Ack)]), rule("A", "", 0, &[])];
/// The first member leaves with what it has, and a second one is there.
const CRASHES: &[(u64, Step)] = &[(0, Join("A")), (0, Publish(1, 6)), (300, Leave("A", Crash)), (500, Join("B"))];
const CLOSES: &[(u64, Step)] = &[(0, Join("A")), (0, Publish(1, 6)), (300, Leave("A", Close)), (500, Join("B"))];
