//! The scripts for NATS JetStream.

use super::Answer::{Ack, Extend, Nak, NakFor};
use super::How::Crash;
use super::Step::{Join, Leave, Publish, Read, Say};
use super::{A_NEVER, A_ONLY_1, CLOSES, CRASHES, NAK_2, NONE_AT_FIRST, PLAIN, Rule, Script, TERM_2, TWO, rule};

const JETSTREAM: Script = Script { profile: "jetstream", wait: &[1000], ends: 1500, ..PLAIN };

const NEVER_2_AT_FIRST: &[Rule] = &[rule("", "2", 1, &[])];
const NEVER_2: &[Rule] = &[rule("", "2", 0, &[])];

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
