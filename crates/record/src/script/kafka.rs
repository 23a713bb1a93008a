//! The scripts for Kafka's consumer groups. It takes 3 s until the first member of a group is given its partitions,
//! and 5 s until one more is; after a crash more than twice as long.

use super::Answer::{Commit, CommitInVain, Seek};
use super::How::{Close, Crash, Stall};
use super::Step::{Join, Leave, Publish, PublishTo, Say};
use super::{NEVER, PLAIN, Part, Rule, Script, Step, rule};

const MANUAL: Script = Script { profile: "kafka", session: Some(6000), earliest: true, rules: NEVER, ..PLAIN };
/// A group of its own defaults begins at the end.
const LATEST: Script = Script { earliest: false, ..MANUAL };
const AUTO_COMMIT: Script = Script { profile: "kafka-auto-commit", ..MANUAL };
const COOPERATIVE: Script = Script { profile: "kafka-cooperative", partitions: Some(2), ..MANUAL };

const COMMITS_1: &[Rule] = &[rule("", "1", 1, &[(0, Commit)]), rule("", "", 0, &[])];
const COMMITS_2: &[Rule] = &[rule("", "2", 1, &[(0, Commit)]), rule("", "", 0, &[])];
/// Two partitions with two messages each.
const IN_TWO: [(u64, Step); 2] = [(0, PublishTo(Part::Partition(0), 1, 2)), (0, PublishTo(Part::Partition(1), 3, 4))];

/// The scripts.
pub const KAFKA: &[Script] = &[
    Script {
        name: "crash",
        about: "of four messages one is committed before kill -9, and another member takes over",
        steps: &[
            (0, Publish(1, 4)),
            (0, Join("A")),
            (5000, Leave("A", Crash)),
            (5100, Publish(5, 6)),
            (5500, Join("B")),
        ],
        rules: COMMITS_1,
        ends: 20_000,
        ..MANUAL
    },
    Script {
        name: "close",
        about: "of four messages two are committed before the member closes, and another one goes on",
        steps: &[(0, Publish(1, 4)), (0, Join("A")), (4500, Leave("A", Close)), (5000, Join("B"))],
        rules: COMMITS_2,
        ends: 12_000,
        ..MANUAL
    },
    Script {
        name: "zombie",
        about: "a process stands still, is given up, and commits in vain what its successor works on",
        steps: &[
            (0, Publish(1, 3)),
            (0, Join("A")),
            (4500, Leave("A", Stall)),
            (5000, Join("B")),
            (17_500, Say("A", "3", CommitInVain)),
            (17_500, Join("A")),
        ],
        ends: 32_000,
        ..MANUAL
    },
    Script {
        name: "rebalance",
        about: "a second member joins, and the partition goes back to what is committed",
        steps: &[(0, Publish(1, 4)), (0, Join("A")), (5000, Join("B")), (12_500, Publish(5, 5))],
        rules: COMMITS_2,
        ends: 14_000,
        ..MANUAL
    },
    Script {
        name: "two-partitions-crash",
        about: "each of two members has a partition, and one crashes",
        partitions: Some(2),
        steps: &[(0, Join("A")), (0, Join("B")), (4500, IN_TWO[0].1), (4500, IN_TWO[1].1), (5500, Leave("A", Crash))],
        rules: &[rule("", "1", 1, &[(0, Commit)]), rule("", "3", 1, &[(0, Commit)]), rule("", "", 0, &[])],
        ends: 22_000,
        ..MANUAL
    },
    Script {
        name: "seek",
        about: "a member that has seen four messages goes on at the first",
        steps: &[(0, Publish(1, 4)), (0, Join("A")), (4500, Say("A", "1", Seek)), (5500, Publish(5, 5))],
        ends: 6500,
        ..MANUAL
    },
    Script {
        name: "latest",
        about: "a group begins at the end, and what is published while it is being formed is before it",
        steps: &[(0, Publish(1, 2)), (0, Join("A")), (1000, Publish(3, 3)), (5000, Publish(4, 5))],
        ends: 6500,
        ..LATEST
    },
    Script {
        name: "latest-crash",
        about: "a member of a group without an offset crashes with three messages, and its successor begins at the end",
        steps: &[
            (0, Join("A")),
            (4000, Publish(1, 3)),
            (5000, Leave("A", Crash)),
            (5500, Join("B")),
            (20_000, Publish(4, 4)),
        ],
        ends: 21_500,
        ..LATEST
    },
    Script {
        name: "auto-commit-crash",
        about: "of three messages none is said to be done, and after the client committed them by itself they are",
        steps: &[
            (0, Publish(1, 3)),
            (0, Join("A")),
            (6000, Leave("A", Crash)),
            (6100, Publish(4, 4)),
            (6500, Join("B")),
        ],
        ends: 22_000,
        ..AUTO_COMMIT
    },
    Script {
        name: "auto-commit-early-crash",
        about: "a member crashes before the client commits by itself",
        steps: &[(0, Publish(1, 3)), (0, Join("A")), (4000, Leave("A", Crash)), (4500, Join("B"))],
        ends: 20_000,
        ..AUTO_COMMIT
    },
    Script {
        name: "cooperative-join",
        about: "a second member takes one of two partitions over, and the other goes on",
        steps: &[
            IN_TWO[0],
            IN_TWO[1],
            (0, Join("A")),
            (5000, Join("B")),
            (19_000, PublishTo(Part::Partition(0), 5, 5)),
            (19_000, PublishTo(Part::Partition(1), 6, 6)),
        ],
        ends: 22_000,
        ..COOPERATIVE
    },
];
