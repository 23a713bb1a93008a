//! The scripts for RabbitMQ.

use super::Answer::{Ack, Nak};
use super::How::{Cancel, Close, Crash};
use super::Step::{Join, Leave, Publish, Say};
use super::{A_NEVER, A_ONLY_1, CLOSES, CRASHES, NAK_2, PLAIN, Rule, Script, Step, TERM_2, TWO, rule};

const CLASSIC: Script = Script { profile: "rabbitmq-classic", ..PLAIN };
const QUORUM_3: Script = Script { profile: "rabbitmq-quorum-3", ..CLASSIC };
const QUORUM: Script = Script { profile: "rabbitmq-quorum", deliveries: Some(4), ..CLASSIC };

const NAK_2_FIVE_TIMES: &[Rule] = &[rule("", "2", 6, &[(0, Ack)]), rule("", "2", 0, &[(0, Nak)])];
const CANCELS: &[(u64, Step)] =
    &[(0, Join("A")), (100, Join("B")), (200, Publish(1, 6)), (500, Leave("A", Cancel)), (900, Leave("A", Close))];
const ACTIVE_CRASHES: &[(u64, Step)] =
    &[(0, Join("A")), (100, Join("B")), (200, Publish(1, 6)), (500, Leave("A", Crash))];
const ACTIVE_CLOSES: &[(u64, Step)] =
    &[(0, Join("A")), (100, Join("B")), (200, Publish(1, 6)), (500, Leave("A", Close))];
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
