//! What is played: each script is a value. A script that tells two rules apart has a window of 1 where it can,
//! so that nothing is on its way that could hide the difference.

use serde_json::{Map, Value, json};

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
    Join(&'static str),
    Leave(&'static str, How),
    /// A member answers a message that it has.
    Say(&'static str, &'static str, Answer),
    /// A member asks for so many messages.
    Read(&'static str, usize),
    /// A member takes over everything that is pending.
    Claim(&'static str),
}

/// How a member leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    Close,
    Cancel,
    Crash,
}

impl How {
    pub const fn name(self) -> &'static str {
        match self {
            How::Close => "close",
            How::Cancel => "cancel",
            How::Crash => "crash",
        }
    }
}

/// What a member says of a message.
#[derive(Clone, Copy)]
pub enum Answer {
    Ack,
    Nak,
    /// It is to come again after so many milliseconds.
    NakFor(u64),
    Term,
    Extend,
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

use Answer::{Ack, Extend, Nak, NakFor, Term};
use How::{Cancel, Close, Crash};
use Step::{Claim, Join, Leave, Publish, Read, Say};

/// A member that is there from the beginning, and six messages.
const ONE: &[(u64, Step)] = &[(0, Join("A")), (0, Publish(1, 6))];
/// The same with two members.
const TWO: &[(u64, Step)] = &[(0, Join("A")), (0, Join("B")), (0, Publish(1, 6))];
const NAK_2: &[Rule] = &[rule("", "2", 1, &[(0, Nak)])];
const NAK_2_FIVE_TIMES: &[Rule] = &[rule("", "2", 6, &[(0, Ack)]), rule("", "2", 0, &[(0, Nak)])];
const TERM_2: &[Rule] = &[rule("", "2", 1, &[(0, Term)])];
const NEVER_2_AT_FIRST: &[Rule] = &[rule("", "2", 1, &[])];
const NEVER_2: &[Rule] = &[rule("", "2", 0, &[])];
const NONE_AT_FIRST: &[Rule] = &[rule("", "", 1, &[])];
const NONE: &[Rule] = &[rule("", "", 0, &[])];
const A_NEVER: &[Rule] = &[rule("A", "", 0, &[])];
const A_ONLY_1: &[Rule] = &[rule("A", "1", 0, &[(0, Ack)]), rule("A", "", 0, &[])];
/// The first member leaves with what it has, and a second one is there.
const CRASHES: &[(u64, Step)] = &[(0, Join("A")), (0, Publish(1, 6)), (300, Leave("A", Crash)), (500, Join("B"))];
const CLOSES: &[(u64, Step)] = &[(0, Join("A")), (0, Publish(1, 6)), (300, Leave("A", Close)), (500, Join("B"))];
const CANCELS: &[(u64, Step)] =
    &[(0, Join("A")), (100, Join("B")), (200, Publish(1, 6)), (500, Leave("A", Cancel)), (900, Leave("A", Close))];
const ACTIVE_CRASHES: &[(u64, Step)] =
    &[(0, Join("A")), (100, Join("B")), (200, Publish(1, 6)), (500, Leave("A", Crash))];
const ACTIVE_CLOSES: &[(u64, Step)] =
    &[(0, Join("A")), (100, Join("B")), (200, Publish(1, 6)), (500, Leave("A", Close))];

const JETSTREAM: Script = Script {
    name: "",
    about: "",
    profile: "jetstream",
    window: None,
    wait: &[1000],
    deliveries: None,
    exclusive: false,
    pulls: false,
    steps: ONE,
    rules: &[],
    ends: 1500,
};

/// The scripts for NATS JetStream.
pub const NATS: &[Script] = &[
    Script {
        name: "ack-wait",
        about: "the second message is not acked the first time",
        steps: &[(0, Join("A")), (0, Publish(1, 5)), (500, Publish(6, 7)), (1300, Publish(8, 9))],
        rules: NEVER_2_AT_FIRST,
        ends: 1700,
        ..JETSTREAM
    },
    Script { name: "none-acked", about: "nothing is acked the first time", rules: NONE_AT_FIRST, ..JETSTREAM },
    Script {
        name: "none-acked-window-3",
        about: "three messages at a time, and nothing is acked the first time",
        window: Some(3),
        rules: NONE_AT_FIRST,
        ends: 2600,
        ..JETSTREAM
    },
    Script {
        name: "ack-wait-window-1",
        about: "one message at a time, and the second is not acked the first time",
        window: Some(1),
        rules: NEVER_2_AT_FIRST,
        ..JETSTREAM
    },
    Script {
        name: "nak",
        about: "the second message is refused once, and all are sent",
        rules: NAK_2,
        ends: 300,
        ..JETSTREAM
    },
    Script {
        name: "nak-window-1",
        about: "one message at a time, and the second is refused once",
        window: Some(1),
        rules: NAK_2,
        ends: 300,
        ..JETSTREAM
    },
    Script {
        name: "nak-3-2-1-window-3",
        about: "three messages at a time, and the first three are refused from the last to the first",
        window: Some(3),
        steps: &[
            (0, Join("A")),
            (0, Publish(1, 6)),
            (200, Say("A", "3", Nak)),
            (200, Say("A", "2", Nak)),
            (200, Say("A", "1", Nak)),
        ],
        rules: &[rule("", "1", 1, &[]), rule("", "2", 1, &[]), rule("", "3", 1, &[])],
        ends: 500,
        ..JETSTREAM
    },
    Script {
        name: "nak-delay-window-1",
        about: "one message at a time, and the second is refused for 700 ms",
        window: Some(1),
        rules: &[rule("", "2", 1, &[(0, NakFor(700))])],
        ends: 1200,
        ..JETSTREAM
    },
    Script {
        name: "nak-delay",
        about: "the second message is refused for 700 ms, and all are sent",
        rules: &[rule("", "2", 1, &[(0, NakFor(700))])],
        ends: 1200,
        ..JETSTREAM
    },
    Script {
        name: "term-window-1",
        about: "one message at a time, and the second is not to come again",
        window: Some(1),
        rules: TERM_2,
        ..JETSTREAM
    },
    Script {
        name: "extend-window-1",
        about: "one message at a time, and the second takes longer than the wait and says so",
        window: Some(1),
        rules: &[rule("", "2", 1, &[(600, Extend), (1200, Extend), (1800, Ack)])],
        ends: 2200,
        ..JETSTREAM
    },
    Script {
        name: "extend-then-nothing-window-1",
        about: "one message at a time, and the second says once that it takes longer, and then nothing",
        window: Some(1),
        rules: &[rule("", "2", 1, &[(600, Extend)])],
        ends: 2000,
        ..JETSTREAM
    },
    Script {
        name: "late-ack-window-1",
        about: "one message at a time, and the second is acked only after it came again",
        window: Some(1),
        steps: &[(0, Join("A")), (0, Publish(1, 3)), (1400, Say("A", "2", Ack))],
        rules: NEVER_2,
        ends: 2700,
        ..JETSTREAM
    },
    Script {
        name: "max-deliver",
        about: "the second message is never acked and may come three times",
        wait: &[500],
        deliveries: Some(3),
        rules: NEVER_2,
        ends: 2200,
        ..JETSTREAM
    },
    Script {
        name: "max-deliver-nak-window-1",
        about: "one message at a time, and the second is always refused and may come three times",
        window: Some(1),
        deliveries: Some(3),
        rules: &[rule("", "2", 0, &[(0, Nak)])],
        ends: 1600,
        ..JETSTREAM
    },
    Script {
        name: "backoff",
        about: "waits that grow",
        wait: &[300, 600, 1200],
        deliveries: Some(4),
        rules: NEVER_2,
        ends: 4000,
        ..JETSTREAM
    },
    Script {
        name: "two-members-window-1",
        about: "one message at a time for two members together, of which A never acks",
        window: Some(1),
        steps: TWO,
        rules: A_NEVER,
        ends: 2500,
        ..JETSTREAM
    },
    Script {
        name: "crash-window-1",
        about: "one message at a time, and a member crashes with the second before another joins",
        window: Some(1),
        steps: CRASHES,
        rules: A_ONLY_1,
        ends: 1700,
        ..JETSTREAM
    },
    Script {
        name: "close-window-3",
        about: "three messages at a time, and a member closes with three before another joins",
        window: Some(3),
        steps: CLOSES,
        rules: A_ONLY_1,
        ends: 1700,
        ..JETSTREAM
    },
    Script {
        name: "push-new-subscriber",
        about: "a member crashes with three messages, and more are published before another joins",
        steps: &[(0, Join("A")), (0, Publish(1, 3)), (200, Leave("A", Crash)), (300, Publish(4, 5)), (400, Join("B"))],
        rules: A_NEVER,
        ends: 1500,
        ..JETSTREAM
    },
    Script {
        name: "pull-batch-expires",
        about: "five messages are asked for and not acked, and asked for again after the wait",
        pulls: true,
        steps: &[(0, Join("A")), (0, Publish(1, 6)), (100, Read("A", 5)), (1300, Read("A", 5)), (1500, Read("A", 5))],
        rules: NONE_AT_FIRST,
        ends: 1700,
        ..JETSTREAM
    },
    Script {
        name: "pull-crash",
        about: "one that asks for messages crashes with two, and another asks",
        pulls: true,
        steps: &[
            (0, Join("A")),
            (0, Join("B")),
            (0, Publish(1, 4)),
            (100, Read("A", 2)),
            (150, Leave("A", Crash)),
            (500, Read("B", 1)),
            (1300, Read("B", 5)),
        ],
        rules: A_NEVER,
        ends: 1500,
        ..JETSTREAM
    },
];

const CLASSIC: Script = Script { profile: "rabbitmq-classic", wait: &[], ends: 500, ..JETSTREAM };
const QUORUM_3: Script = Script { profile: "rabbitmq-quorum-3", ..CLASSIC };
const QUORUM: Script = Script { profile: "rabbitmq-quorum", deliveries: Some(4), ..CLASSIC };

/// The first three messages are refused from the last to the first.
const NAK_3_2_1: &[(u64, Step)] = &[
    (0, Join("A")),
    (0, Publish(1, 6)),
    (200, Say("A", "3", Nak)),
    (200, Say("A", "2", Nak)),
    (200, Say("A", "1", Nak)),
];
const NOT_123_AT_FIRST: &[Rule] = &[rule("", "1", 1, &[]), rule("", "2", 1, &[]), rule("", "3", 1, &[])];

/// The scripts for RabbitMQ.
pub const RABBITMQ: &[Script] = &[
    Script {
        name: "classic-nak-window-1",
        about: "prefetch 1, and the second message is refused once",
        window: Some(1),
        rules: NAK_2,
        ..CLASSIC
    },
    Script {
        name: "classic-nak-window-3",
        about: "prefetch 3, and of the first three only the second is answered at first, which is refused",
        window: Some(3),
        steps: &[
            (0, Join("A")),
            (0, Publish(1, 6)),
            (200, Say("A", "2", Nak)),
            (400, Say("A", "1", Ack)),
            (400, Say("A", "3", Ack)),
        ],
        rules: NOT_123_AT_FIRST,
        ends: 700,
        ..CLASSIC
    },
    Script {
        name: "classic-nak-acks-window-3",
        about: "prefetch 3, and the second message is refused once, between acks",
        window: Some(3),
        rules: NAK_2,
        ..CLASSIC
    },
    Script {
        name: "classic-nak",
        about: "no prefetch, and the second message is refused once",
        rules: NAK_2,
        ..CLASSIC
    },
    Script {
        name: "classic-nak-five-times-window-1",
        about: "prefetch 1, and the second message is refused five times",
        window: Some(1),
        rules: NAK_2_FIVE_TIMES,
        ..CLASSIC
    },
    Script {
        name: "classic-nak-3-2-1-window-3",
        about: "prefetch 3, and the first three are refused from the last to the first",
        window: Some(3),
        steps: NAK_3_2_1,
        rules: NOT_123_AT_FIRST,
        ..CLASSIC
    },
    Script {
        name: "classic-reject-window-1",
        about: "prefetch 1, and the second message is rejected and not to come again",
        window: Some(1),
        rules: TERM_2,
        ..CLASSIC
    },
    Script {
        name: "classic-two-members-window-1",
        about: "prefetch 1 for each of two members, of which A never acks",
        window: Some(1),
        steps: TWO,
        rules: A_NEVER,
        ..CLASSIC
    },
    Script {
        name: "classic-crash-window-3",
        about: "prefetch 3, and a member crashes with three before another joins",
        window: Some(3),
        steps: CRASHES,
        rules: A_ONLY_1,
        ends: 900,
        ..CLASSIC
    },
    Script {
        name: "classic-close-window-3",
        about: "prefetch 3, and a member closes with three before another joins",
        window: Some(3),
        steps: CLOSES,
        rules: A_ONLY_1,
        ends: 900,
        ..CLASSIC
    },
    Script {
        name: "classic-active-crashes-window-3",
        about: "prefetch 3, and the single active consumer crashes with three",
        window: Some(3),
        exclusive: true,
        steps: ACTIVE_CRASHES,
        rules: A_ONLY_1,
        ends: 1000,
        ..CLASSIC
    },
    Script {
        name: "quorum-nak-window-1",
        about: "no delivery limit, prefetch 1, and the second message is refused once",
        window: Some(1),
        rules: NAK_2,
        ..QUORUM_3
    },
    Script {
        name: "quorum-nak-window-3",
        about: "no delivery limit, prefetch 3, and the second message is refused once",
        window: Some(3),
        rules: NAK_2,
        ..QUORUM_3
    },
    Script {
        name: "quorum-nak",
        about: "no delivery limit, no prefetch, and the second message is refused once",
        rules: NAK_2,
        ..QUORUM_3
    },
    Script {
        name: "quorum-nak-five-times-window-1",
        about: "no delivery limit, prefetch 1, and the second message is refused five times",
        window: Some(1),
        rules: NAK_2_FIVE_TIMES,
        ..QUORUM_3
    },
    Script {
        name: "quorum-nak-3-2-1-window-3",
        about: "no delivery limit, prefetch 3, and the first three are refused from the last to the first",
        window: Some(3),
        steps: NAK_3_2_1,
        rules: NOT_123_AT_FIRST,
        ..QUORUM_3
    },
    Script {
        name: "quorum-reject-window-1",
        about: "no delivery limit, prefetch 1, and the second message is rejected and not to come again",
        window: Some(1),
        rules: TERM_2,
        ..QUORUM_3
    },
    Script {
        name: "quorum-crash-window-3",
        about: "no delivery limit, prefetch 3, and a member crashes with three before another joins",
        window: Some(3),
        steps: CRASHES,
        rules: A_ONLY_1,
        ends: 900,
        ..QUORUM_3
    },
    Script {
        name: "quorum-close-window-3",
        about: "no delivery limit, prefetch 3, and a member closes with three before another joins",
        window: Some(3),
        steps: CLOSES,
        rules: A_ONLY_1,
        ends: 900,
        ..QUORUM_3
    },
    Script {
        name: "quorum-active-cancels-window-3",
        about: "no delivery limit, prefetch 3, and the single active consumer cancels with three and then closes",
        window: Some(3),
        exclusive: true,
        steps: CANCELS,
        rules: A_ONLY_1,
        ends: 1300,
        ..QUORUM_3
    },
    Script {
        name: "quorum-active-crashes-window-3",
        about: "no delivery limit, prefetch 3, and the single active consumer crashes with three",
        window: Some(3),
        exclusive: true,
        steps: ACTIVE_CRASHES,
        rules: A_ONLY_1,
        ends: 1000,
        ..QUORUM_3
    },
    Script {
        name: "quorum-active-closes-window-3",
        about: "no delivery limit, prefetch 3, and the single active consumer closes with three",
        window: Some(3),
        exclusive: true,
        steps: ACTIVE_CLOSES,
        rules: A_ONLY_1,
        ends: 1000,
        ..QUORUM_3
    },
    Script {
        name: "quorum-limit-nak-window-1",
        about: "a delivery limit of three, prefetch 1, and the second message is refused once",
        window: Some(1),
        rules: NAK_2,
        ..QUORUM
    },
    Script {
        name: "quorum-limit-nak-3-2-1-window-3",
        about: "a delivery limit of three, prefetch 3, and the first three are refused from the last to the first",
        window: Some(3),
        steps: NAK_3_2_1,
        rules: NOT_123_AT_FIRST,
        ..QUORUM
    },
    Script {
        name: "quorum-limit-always-nak-window-1",
        about: "a delivery limit of three, prefetch 1, and the second message is always refused",
        window: Some(1),
        rules: &[rule("", "2", 0, &[(0, Nak)])],
        ..QUORUM
    },
];

const STREAM: Script = Script { profile: "redis-streams", pulls: true, ..CLASSIC };

/// The scripts for Redis Streams.
pub const REDIS: &[Script] = &[
    Script {
        name: "claim",
        about: "A reads three and one more, B two; B takes over what is pending, and A acks one of them after that",
        steps: &[
            (0, Join("A")),
            (0, Join("B")),
            (0, Publish(1, 6)),
            (50, Read("A", 3)),
            (100, Read("B", 2)),
            (150, Read("A", 1)),
            (300, Claim("B")),
            (400, Say("A", "1", Ack)),
            (500, Claim("A")),
        ],
        rules: &[rule("B", "4", 0, &[(0, Ack)]), rule("", "", 0, &[])],
        ends: 600,
        ..STREAM
    },
    Script {
        name: "crash-claim",
        about: "a member crashes with three messages, and another reads on and takes them over later",
        steps: &[
            (0, Join("A")),
            (0, Join("B")),
            (0, Publish(1, 6)),
            (50, Read("A", 3)),
            (200, Leave("A", Crash)),
            (300, Read("B", 2)),
            (500, Claim("B")),
            (600, Read("B", 2)),
        ],
        rules: A_NEVER,
        ends: 700,
        ..STREAM
    },
    Script {
        name: "claims-its-own",
        about: "a member that did not ack takes over its own messages twice",
        steps: &[
            (0, Join("A")),
            (0, Publish(1, 4)),
            (50, Read("A", 3)),
            (200, Claim("A")),
            (300, Claim("A")),
            (400, Read("A", 3)),
        ],
        rules: &[rule("", "1", 3, &[(0, Ack)]), rule("", "4", 0, &[(0, Ack)]), rule("", "", 0, &[])],
        ends: 500,
        ..STREAM
    },
];

const SESSION: Script = Script { profile: "mqtt-qos1", ..CLASSIC };

/// The scripts for MQTT.
pub const MOSQUITTO: &[Script] = &[
    Script {
        name: "crash-reconnect",
        about: "of five messages two are acked before the connection breaks",
        steps: &[(0, Join("A")), (0, Publish(1, 5)), (300, Leave("A", Crash)), (500, Publish(6, 7)), (700, Join("A"))],
        rules: &[
            rule("", "1", 1, &[(0, Ack)]),
            rule("", "4", 1, &[(0, Ack)]),
            rule("", "6", 0, &[(0, Ack)]),
            rule("", "7", 0, &[(0, Ack)]),
            rule("", "", 1, &[]),
        ],
        ends: 1200,
        ..SESSION
    },
    Script {
        name: "close-reconnect",
        about: "nothing of three messages is acked before the client disconnects",
        steps: &[(0, Join("A")), (0, Publish(1, 3)), (300, Leave("A", Close)), (600, Join("A"))],
        rules: NONE_AT_FIRST,
        ends: 1000,
        ..SESSION
    },
    Script {
        name: "no-answer",
        about: "nothing is acked, and nothing comes again while the connection lasts",
        steps: &[(0, Join("A")), (0, Publish(1, 3)), (1500, Publish(4, 4))],
        rules: NONE,
        ends: 2000,
        ..SESSION
    },
    Script {
        name: "window-of-twenty",
        about: "of 23 messages none is acked, so that three are not sent",
        steps: &[(0, Join("A")), (0, Publish(1, 23))],
        rules: NONE,
        ends: 900,
        ..SESSION
    },
    // Mosquitto 2.0.11 counts only what it sent before the message that is acked, and fills the window up from
    // there: after an ack of the first of twenty it sends twenty more.
    Script {
        name: "window-not-held",
        about: "of 23 messages the third is acked, and all that wait come: its window of 20 holds no more",
        window: Some(37),
        steps: &[(0, Join("A")), (0, Publish(1, 23)), (500, Say("A", "3", Ack))],
        rules: NONE,
        ends: 900,
        ..SESSION
    },
];
