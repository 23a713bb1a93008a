//! The scripts for SNS: a member is an HTTP endpoint.

use super::Answer::Nak;
use super::{PLAIN, Script, rule};

const ENDPOINT: Script = Script { profile: "sns", ..PLAIN };

/// The scripts.
pub const SNS: &[Script] = &[
    Script {
        name: "sns-requests",
        about: "each message is a request, and each is answered with 200",
        ends: 2500,
        ..ENDPOINT
    },
    Script {
        name: "sns-failure",
        about: "the request of the second message is answered with 500",
        rules: &[rule("", "2", 1, &[(0, Nak)])],
        ends: 2500,
        ..ENDPOINT
    },
];
