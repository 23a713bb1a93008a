//! The scripts for MQTT.

use super::Answer::Ack;
use super::How::{Close, Crash};
use super::Step::{Join, Leave, Publish, Say};
use super::{NEVER, NONE_AT_FIRST, PLAIN, Script, rule};

const SESSION: Script = Script { profile: "mqtt-qos1", ..PLAIN };

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
        rules: NEVER,
        ends: 2000,
        ..SESSION
    },
    Script {
        name: "window-of-twenty",
        about: "of 23 messages none is acked, so that three are not sent",
        steps: &[(0, Join("A")), (0, Publish(1, 23))],
        rules: NEVER,
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
        rules: NEVER,
        ends: 900,
        ..SESSION
    },
];
