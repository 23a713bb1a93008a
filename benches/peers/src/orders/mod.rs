//! Small systems whose messages may come in any order, searched completely: by TraceForge, which
//! goes through executions, and by pellmell, which goes through states.
//!
//! - *Fan-in*: so many messages for one receiver, pending together. The receiver handles each once,
//!   and in the end has all of them. It keeps the order in which they came, or only which came;
//!   TraceForge does not look at what is kept, so that is one row of its.
//! - *Job queue*: the example of that name in TraceForge's own tests. A job for one of two workers
//!   makes two more, which do nothing.
//! - *One lost ack*: a handled message comes again, once, at any time. TraceForge has neither acks
//!   nor redelivery; written by hand, the receiver may send itself what it has handled.

mod ours;
mod traceforge;

use std::hint::black_box;
use std::ops::RangeInclusive;

use crate::table::{Contestant, Row, compete, timed};
use ours::{Kept, Ours};

const MESSAGES: RangeInclusive<u32> = 5..=8;
/// Beyond that many messages a program written by hand takes half a minute a round.
const BY_HAND_MAX: u32 = 7;

/// Searches all of them in turns.
pub fn search(rounds: u64) -> Vec<Row> {
    let mut contestants = Vec::new();
    for n in MESSAGES {
        let orders = u64::from((1..=n).product::<u32>());
        contestants.push(contestant(format!("fan-in of {n}: TraceForge"), orders, move || traceforge::fan_in(n)));
        contestants.push(ours(format!("fan-in of {n}: pellmell, order kept"), Ours::fan_in(n, Kept::Order), 0));
        contestants.push(ours(format!("fan-in of {n}: pellmell, set kept"), Ours::fan_in(n, Kept::Set), 0));
    }
    let queues: [(&str, u64, fn() -> u64); 3] = [
        ("push", 8, traceforge::push),
        ("push through a queue", 8, traceforge::push_through_queue),
        ("pull", 16, traceforge::pull),
    ];
    for (how, executions, search) in queues {
        contestants.push(contestant(format!("job queue, {how}: TraceForge"), executions, search));
    }
    contestants.push(ours("job queue: pellmell".to_owned(), Ours::jobs(), 0));
    for n in MESSAGES {
        let name = format!("fan-in of {n}, one lost ack");
        if n <= BY_HAND_MAX {
            // What was handled first comes again in n places, what was handled last in one.
            let executions = u64::from((1..=n).product::<u32>() * (1 + n * (n + 1) / 2));
            let by_hand = move || traceforge::fan_in_again(n);
            contestants.push(contestant(format!("{name}: TraceForge, by hand"), executions, by_hand));
        }
        contestants.push(ours(format!("{name}: pellmell, order kept"), Ours::fan_in(n, Kept::Order), 1));
        contestants.push(ours(format!("{name}: pellmell, set kept"), Ours::fan_in(n, Kept::Set), 1));
    }
    contestants.push(ours("job queue, one lost ack: pellmell".to_owned(), Ours::jobs(), 1));
    compete(&mut contestants, rounds)
}

fn ours<S: pellmell::System>(name: String, ours: Ours<S>, lost_acks: u8) -> Contestant<'static> {
    let states = ours.search(lost_acks);
    assert!(lost_acks == 0 || states > ours.search(0), "{name}: nothing came again");
    contestant(name, states, move || ours.search(lost_acks))
}

/// A contestant that comes to this number each time.
fn contestant(name: String, number: u64, search: impl Fn() -> u64 + 'static) -> Contestant<'static> {
    let called = name.clone();
    let play = move |_| {
        let round = timed(&search);
        assert_eq!(round.units, number, "{called}: another system");
        black_box(round)
    };
    Contestant { name, runs: 1, play: Box::new(play) }
}
