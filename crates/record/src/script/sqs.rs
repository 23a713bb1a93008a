//! The scripts for SQS. Members ask for messages; what is refused has its visibility timeout set to 0.

use super::Answer::{Ack, Nak};
use super::Step::{Join, Publish, PublishTo, Read};
use super::{NEVER, PLAIN, Part, Script, rule};

const STANDARD: Script =
    Script { profile: "sqs-standard", wait: &[1000], pulls: true, no_copies: true, rules: NEVER, ..PLAIN };
const FIFO: Script = Script { profile: "sqs-fifo", no_copies: false, ..STANDARD };

const GROUP: Part = Part::Key("g");

/// The scripts.
pub const SQS: &[Script] = &[
    Script {
        name: "sqs-standard-visibility-timeout",
        about: "a message is not deleted, and another member gets it after the visibility timeout",
        steps: &[
            (0, Join("A")),
            (0, Join("B")),
            (0, Publish(1, 2)),
            (200, Read("A", 1)),
            (500, Read("B", 10)),
            (2000, Read("B", 10)),
        ],
        ends: 2200,
        ..STANDARD
    },
    Script {
        name: "sqs-standard-nak",
        about: "a message is made visible at once, and comes again until it is deleted",
        steps: &[(0, Join("A")), (0, Publish(1, 1)), (200, Read("A", 1)), (500, Read("A", 1)), (2000, Read("A", 1))],
        rules: &[rule("", "1", 1, &[(0, Nak)])],
        ends: 2200,
        ..STANDARD
    },
    Script {
        name: "sqs-standard-late-ack",
        about: "a message is deleted with its old receipt handle after another member got it",
        steps: &[
            (0, Join("A")),
            (0, Join("B")),
            (0, Publish(1, 1)),
            (200, Read("A", 1)),
            (1700, Read("B", 1)),
            (3200, Read("B", 1)),
        ],
        rules: &[rule("A", "1", 0, &[(1800, Ack)]), rule("", "", 0, &[])],
        ends: 3400,
        ..STANDARD
    },
    Script {
        name: "sqs-standard-max-receive",
        about: "a message that may be received twice is refused twice",
        deliveries: Some(2),
        steps: &[(0, Join("A")), (0, Publish(1, 1)), (200, Read("A", 1)), (500, Read("A", 1)), (800, Read("A", 1))],
        rules: &[rule("", "", 0, &[(0, Nak)])],
        ends: 1000,
        ..STANDARD
    },
    Script {
        name: "sqs-fifo-two-groups",
        about: "a group waits while its first message is in flight, and another is served",
        steps: &[
            (0, Join("A")),
            (0, Join("B")),
            (0, PublishTo(GROUP, 1, 3)),
            (0, PublishTo(Part::Key("h"), 4, 4)),
            (200, Read("A", 1)),
            (400, Read("B", 10)),
            (900, Read("B", 1)),
        ],
        rules: &[rule("A", "1", 0, &[(400, Ack)]), rule("", "", 0, &[])],
        ends: 1100,
        ..FIFO
    },
    Script {
        name: "sqs-fifo-visibility-timeout",
        about: "a group waits for the visibility timeout of its first message, which comes again before the others",
        steps: &[
            (0, Join("A")),
            (0, Join("B")),
            (0, PublishTo(GROUP, 1, 3)),
            (200, Read("A", 1)),
            (500, Read("B", 10)),
            (1700, Read("B", 1)),
            (2000, Read("B", 1)),
        ],
        rules: &[rule("B", "1", 0, &[(0, Ack)]), rule("", "", 0, &[])],
        ends: 2200,
        ..FIFO
    },
    Script {
        name: "sqs-fifo-batch",
        about: "of two messages that were received together the first is refused, and comes again",
        steps: &[
            (0, Join("A")),
            (0, PublishTo(GROUP, 1, 3)),
            (200, Read("A", 2)),
            (500, Read("A", 1)),
            (800, Read("A", 1)),
        ],
        rules: &[rule("", "1", 1, &[(50, Nak)])],
        ends: 1000,
        ..FIFO
    },
];
