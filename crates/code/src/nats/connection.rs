//! A client that is connected, and what it listens to.

use std::collections::BTreeMap;

use super::fits;
use crate::serving::Stream;

/// A client of a server.
#[derive(Debug)]
pub struct Connection {
    /// Which it is, by when it came.
    pub number: u64,
    /// The bytes to and from it.
    pub stream: Stream,
    /// Whether it has said what it is.
    pub is_open: bool,
    /// Whether it has not answered a ping.
    pub awaits_pong: bool,
    /// What it listens to, by how it names that.
    pub subscriptions: BTreeMap<u64, Subscription>,
}

/// What a client listens to.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// A pattern of subjects.
    pub subject: String,
    /// The queue in which it shares them with others.
    pub queue: Option<String>,
    /// How many messages it still gets, if it does not get all.
    pub left: Option<u64>,
}

impl Connection {
    /// A client that has said nothing so far.
    #[must_use]
    pub fn new(number: u64, stream: Stream) -> Connection {
        Connection { number, stream, is_open: false, awaits_pong: false, subscriptions: BTreeMap::new() }
    }

    /// Asks it to say when it has read all that was written.
    pub fn ping(&mut self) {
        self.stream.output.extend_from_slice(b"PING\r\n");
        self.awaits_pong = true;
    }

    /// It wants no more of a subscription, at once or after so many messages.
    pub fn unsubscribe(&mut self, sid: u64, after: Option<u64>) {
        match (after, self.subscriptions.get_mut(&sid)) {
            (Some(_), Some(subscription)) => subscription.left = after,
            (None, Some(_)) => drop(self.subscriptions.remove(&sid)),
            (_, None) => {}
        }
    }

    /// Writes something for each of its subscriptions to a subject; in a queue that is there already none, and those
    /// queues that are new are there from now on. Returns for how many.
    pub fn each_of(
        &mut self,
        subject: &str,
        queues: &mut Vec<String>,
        mut write: impl FnMut(&mut Vec<u8>, u64),
    ) -> usize {
        let mut count = 0;
        let output = &mut self.stream.output;
        self.subscriptions.retain(|sid, subscription| {
            let is_in = |queues: &[String]| subscription.queue.as_ref().is_some_and(|queue| queues.contains(queue));
            if !fits(&subscription.subject, subject) || is_in(queues) {
                return true;
            }
            queues.extend(subscription.queue.clone());
            write(output, *sid);
            count += 1;
            subscription.left = subscription.left.map(|left| left.saturating_sub(1));
            subscription.left != Some(0)
        });
        count
    }
}
