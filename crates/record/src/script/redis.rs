//! The scripts for Redis Streams.

use super::Answer::Ack;
use super::How::Crash;
use super::Step::{Claim, Join, Leave, Publish, Read, Say};
use super::{A_NEVER, PLAIN, Script, rule};

const STREAM: Script = Script { profile: "redis-streams", pulls: true, ..PLAIN };

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
