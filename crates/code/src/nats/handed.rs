//! What the simulation hands over to the service, to whom it goes, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::jetstream::Key;
use super::server::{NOT_PLAYED, Sequence, Server};
use super::{Published, fits};
use crate::Failure;
use crate::port::Answer;
use crate::serving::{bytes, content};

/// In seconds: the time of the world is counted from here in what messages say of themselves.
const EPOCH: u64 = 1_767_225_600;
/// What the server calls the inbox in which it waits for the answer to a command.
pub(crate) const REPLIES: &str = "_PELLMELL.REPLY";

/// Where the server tells of a message that was delivered as often as its consumer allows.
const GIVEN_UP: &str = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES";

/// What was handed over to the service, and what came of it.
pub struct Handed {
    what: What,
    /// When it was sent, if it was.
    pub sent: Option<Duration>,
    /// How long the service may take from then.
    pub within: Duration,
    pub(crate) answer: Option<Answer>,
    /// Whether the server has told that it was delivered as often as it may be.
    is_given_up: bool,
}

enum What {
    Delivery { message: Published, taker: Taker, attempt: u16, content: String, undo: Undo },
    Call { message: Published },
}

struct Undo {
    stream: Option<(String, u64)>,
    sequence: Option<Sequence>,
}

/// Who takes messages on a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    Consumer(Key),
    Subscription,
}

impl Server {
    /// Who takes messages on a subject.
    pub(crate) fn taker(&self, subject: &str) -> Result<Option<Taker>, Failure> {
        let mut takers: Vec<Taker> =
            self.jetstream.consumers_of(subject).map(|(key, _)| Taker::Consumer(key.clone())).collect();
        if self.listens(subject) {
            takers.push(Taker::Subscription);
        }
        if takers.len() < 2 {
            return Ok(takers.pop());
        }
        let names = takers.iter().map(|taker| match taker {
            Taker::Consumer((_, name)) => format!("the consumer `{name}`"),
            Taker::Subscription => "a subscription without a consumer".to_owned(),
        });
        let names = names.collect::<Vec<_>>().join(" and ");
        let next = "a service has one for each subject: let each of them be a service of the test";
        Err(Failure::new(format!("{names} take messages on `{subject}`: {next}")))
    }

    /// Whether a message on a subject can be handed over now.
    ///
    /// # Errors
    /// If more than one takes messages on it.
    pub fn is_ready_for(&self, subject: &str) -> Result<bool, Failure> {
        Ok(match self.taker(subject)? {
            None => false,
            Some(Taker::Subscription) => true,
            Some(Taker::Consumer(key)) => match &self.jetstream.consumers[&key].pushes_to {
                Some(to) => self.listens_to_pushes(to),
                None => self.jetstream.is_asked(&key),
            },
        })
    }

    fn listens_to_pushes(&self, to: &str) -> bool {
        let mut all = self.connections.iter().flat_map(|connection| connection.subscriptions.values());
        all.any(|subscription| fits(&subscription.subject, to))
    }

    /// How many consumers and subscriptions the service has that messages may go to.
    pub(crate) fn takers(&self) -> u64 {
        let all = self.connections.iter().flat_map(|connection| connection.subscriptions.values());
        (self.jetstream.consumers.len() + all.filter(|of| !of.subject.starts_with("_INBOX.")).count()) as u64
    }

    /// Whether a command was handed over.
    pub(crate) fn is_called(&self) -> bool {
        self.handed.as_ref().is_some_and(|handed| matches!(handed.what, What::Call { .. }))
    }

    /// What the service listens to, in words.
    #[must_use]
    pub fn takers_in_words(&self) -> String {
        let consumers = self.jetstream.consumers.iter();
        let consumers = consumers.map(|((stream, name), _)| format!("the consumer `{name}` of the stream `{stream}`"));
        let all = self.connections.iter().flat_map(|connection| connection.subscriptions.values());
        let subscriptions = all.filter(|of| !of.subject.starts_with("_INBOX."));
        let subscriptions = subscriptions.map(|of| format!("a subscription to `{}`", of.subject));
        let words: Vec<String> = consumers.chain(subscriptions).collect();
        if words.is_empty() { "nothing yet".to_owned() } else { words.join(", ") }
    }

    /// Hands a delivery over.
    ///
    /// # Errors
    /// If nobody takes messages on its subject, or more than one.
    pub fn deliver(
        &mut self,
        subject: &str,
        headers: &BTreeMap<String, String>,
        body: &Value,
        attempt: u16,
    ) -> Result<(), Failure> {
        let Some(taker) = self.taker(subject)? else {
            let what = format!("nothing of it takes messages on `{subject}`: it has {}", self.takers_in_words());
            return Err(self.talk.with_lines(Failure::new(what)));
        };
        let (content, mut undo) = (content(subject, headers, body), Undo { stream: None, sequence: None });
        undo.sequence = self.sequences.get(&content).copied();
        let is_known = undo.sequence.filter(|known| !known.is_delivered || attempt > 1);
        let mut message =
            Published { subject: subject.to_owned(), reply: None, headers: headers.clone(), payload: bytes(body) };
        let mut within = Duration::from_secs(30);
        if let Taker::Consumer(key) = &taker {
            let number = match (is_known, self.jetstream.streams.get_mut(&key.0)) {
                (Some(known), _) => known.number,
                (None, Some(stream)) => {
                    undo.stream = Some((key.0.clone(), stream.last));
                    stream.last += 1;
                    stream.last
                }
                (None, None) => 1,
            };
            self.sequences.insert(content.clone(), Sequence { number, is_delivered: true });
            if let Some(consumer) = self.jetstream.consumers.get_mut(key) {
                consumer.delivered += 1;
                let last = consumer.wait.last().copied().unwrap_or(within);
                within = consumer.wait.get(usize::from(attempt.max(1)) - 1).copied().unwrap_or(last);
                let (stream, name, count) = (&key.0, &key.1, consumer.delivered);
                let at = u128::from(EPOCH) * 1_000_000_000 + self.talk.now.as_nanos();
                message.reply = Some(format!("$JS.ACK.{stream}.{name}.{attempt}.{number}.{count}.{at}.0"));
            }
        }
        let what = What::Delivery { message, taker, attempt, content, undo };
        self.handed = Some(Handed { what, sent: None, within, answer: None, is_given_up: false });
        self.send_handed();
        Ok(())
    }

    /// Hands a command over, as a request.
    ///
    /// # Errors
    /// If nobody answers requests on that subject.
    pub fn call(&mut self, name: &str, body: &Value) -> Result<(), Failure> {
        if !self.listens(name) {
            let what = format!("nothing of it answers requests on `{name}`: it has {}", self.takers_in_words());
            return Err(self.talk.with_lines(Failure::new(what)));
        }
        self.requests += 1;
        let reply = Some(format!("{REPLIES}.{}", self.requests));
        let message = Published { subject: name.to_owned(), reply, payload: bytes(body), ..Published::default() };
        let (what, within) = (What::Call { message }, Duration::from_secs(30));
        self.handed = Some(Handed { what, sent: None, within, answer: None, is_given_up: false });
        self.send_handed();
        Ok(())
    }

    /// Sends what is handed over, if it was not sent and somebody waits for it.
    pub(crate) fn send_handed(&mut self) {
        let Some(mut handed) = self.handed.take() else { return };
        if handed.sent.is_none() && self.sends(&handed.what) {
            handed.sent = Some(self.talk.now);
        }
        self.handed = Some(handed);
    }

    fn sends(&mut self, what: &What) -> bool {
        let (message, taker) = match what {
            What::Call { message } => (message, &Taker::Subscription),
            What::Delivery { message, taker, .. } => (message, taker),
        };
        match taker {
            Taker::Subscription => self.route(&message.subject, message) > 0,
            Taker::Consumer(key) => {
                match self.jetstream.consumers.get(key).map(|consumer| consumer.pushes_to.clone()) {
                    None => false,
                    Some(Some(to)) => self.listens_to_pushes(&to) && self.route(&to, message) > 0,
                    Some(None) => {
                        let Some((inbox, says)) = self.jetstream.take(key, self.talk.now) else { return false };
                        self.route(&inbox, message);
                        if let Some(says) = says {
                            self.say(&says);
                        }
                        true
                    }
                }
            }
        }
    }

    /// What came of what was handed over where all is at rest; nothing yet if it is not answered.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        let handed = self.handed.as_ref()?;
        match &handed.answer {
            None if self.is_never_acked() && handed.sent.is_some() => Some(Answer::Done),
            answer => answer.clone(),
        }
    }

    /// Whether what was handed over is answered by nothing, so that it is done when all is at rest.
    #[must_use]
    pub fn is_never_acked(&self) -> bool {
        match self.handed.as_ref().map(|handed| &handed.what) {
            Some(What::Delivery { taker: Taker::Subscription, .. }) => true,
            Some(What::Delivery { taker: Taker::Consumer(key), .. }) => {
                self.jetstream.consumers.get(key).is_some_and(|consumer| !consumer.acks)
            }
            Some(What::Call { .. }) | None => false,
        }
    }

    /// What was handed over is not answered in its time, or refused: if it was the last attempt that its consumer
    /// allows, the server tells whoever listens for that, once.
    pub fn tell_if_given_up(&mut self) {
        let Some(handed) = self.handed.as_mut().filter(|handed| !handed.is_given_up) else { return };
        let What::Delivery { taker: Taker::Consumer(key), attempt, content, .. } = &handed.what else { return };
        let most = self.jetstream.consumers.get(key).and_then(|consumer| consumer.max_deliver);
        if handed.sent.is_none() || most.is_none_or(|most| *attempt < most) {
            return;
        }
        handed.is_given_up = true;
        let (subject, sequence) = (format!("{GIVEN_UP}.{}.{}", key.0, key.1), self.sequences.get(content));
        let advisory = json!({
            "type": "io.nats.jetstream.advisory.v1.max_deliver", "id": format!("{}-{}", key.1, self.advisories + 1),
            "timestamp": at(self.talk.now), "stream": key.0, "consumer": key.1,
            "stream_seq": sequence.map(|sequence| sequence.number), "deliveries": attempt,
        });
        self.advisories += 1;
        let payload = advisory.to_string().into_bytes();
        self.route(&subject, &Published { subject: subject.clone(), payload, ..Published::default() });
    }

    /// What was handed over is over; if it came to nothing it is as if it had never been.
    pub fn over(&mut self, to_nothing: bool) {
        let handed = self.handed.take().filter(|_| to_nothing);
        let Some(Handed { what: What::Delivery { taker, content, undo, .. }, .. }) = handed else { return };
        match undo.sequence {
            Some(sequence) => self.sequences.insert(content, sequence),
            None => self.sequences.remove(&content),
        };
        if let Taker::Consumer(key) = taker
            && let Some(consumer) = self.jetstream.consumers.get_mut(&key)
        {
            consumer.delivered -= 1;
        }
        if let Some((name, last)) = undo.stream
            && let Some(stream) = self.jetstream.streams.get_mut(&name)
        {
            stream.last = last;
        }
    }

    /// Looks whether the time for an answer is over.
    pub(crate) fn look_at_time(&mut self) {
        let late = |handed: &Handed| {
            handed.answer.is_none() && handed.sent.is_some_and(|at| self.talk.now >= at + handed.within)
        };
        if self.handed.as_ref().is_some_and(late) && !self.is_never_acked() {
            self.tell_if_given_up();
        }
    }

    pub(crate) fn answered(&mut self, message: &Published) {
        let now = self.talk.now;
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let of_this = |handed: &&mut Handed| match &handed.what {
            What::Delivery { message: sent, .. } => sent.reply.as_deref() == Some(message.subject.as_str()),
            What::Call { .. } => false,
        };
        let answer = match verb {
            "" | "+ACK" => Some(Answer::Done),
            "+TERM" => {
                self.talk.said.push("a delivery is terminated".to_owned());
                Some(Answer::Done)
            }
            "-NAK" => {
                let delay = serde_json::from_str::<Value>(rest).ok().and_then(|body| body["delay"].as_u64());
                Some(Answer::Nak { reason: "nak".to_owned(), delay: delay.map(Duration::from_nanos) })
            }
            "+WPI" => None,
            other => {
                self.talk.refuse(&format!("an ack that says `{other}`"), NOT_PLAYED);
                return;
            }
        };
        match (self.handed.as_mut().filter(of_this), answer) {
            (Some(handed), None) => {
                if handed.sent.is_some_and(|sent| now < sent + handed.within) {
                    handed.sent = Some(now);
                }
            }
            (Some(handed), Some(answer)) => {
                // The first one counts.
                let is_nak = matches!(handed.answer.get_or_insert(answer), Answer::Nak { .. });
                if is_nak {
                    self.tell_if_given_up();
                }
            }
            (None, Some(_)) => self.talk.said.push(format!("a late `{verb}` for {}", message.subject)),
            (None, None) => {}
        }
        self.reply(message.reply.as_deref(), &Value::Null);
    }

    pub(crate) fn replied(&mut self, message: &Published) {
        let Some(handed) = &mut self.handed else { return };
        let What::Call { message: call } = &handed.what else { return };
        if call.reply.as_deref() != Some(message.subject.as_str()) {
            return;
        }
        let error = message.headers.get("Nats-Service-Error-Code").map(|code| {
            let reason = message.headers.get("Nats-Service-Error").cloned().unwrap_or_default();
            Answer::Refused { status: code.parse().unwrap_or(500), reason }
        });
        handed.answer.get_or_insert(error.unwrap_or(Answer::Done));
    }
}

impl Handed {
    /// What it is, in words: which attempt, or which request.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.what {
            What::Delivery { message, attempt, .. } => format!("attempt {attempt} on `{}`", message.subject),
            What::Call { message } => format!("the request on `{}`", message.subject),
        }
    }
}

/// A time of the simulation as a timestamp.
fn at(now: Duration) -> String {
    let seconds = now.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let (mut year, mut day) = (2026_u64, days);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let of_months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= of_months[month] {
        day -= of_months[month];
        month += 1;
    }
    let (month, day, second, nanos) = (month + 1, day + 1, seconds % 60, now.subsec_nanos());
    format!("{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{second:02}.{nanos:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        for (seconds, expected) in [
            (0, "2026-01-01T00:00:00.000000000Z"),
            (31 * 86_400 + 3_661, "2026-02-01T01:01:01.000000000Z"),
            (365 * 86_400 - 1, "2026-12-31T23:59:59.000000000Z"),
            ((365 * 2 + 31 + 28) * 86_400, "2028-02-29T00:00:00.000000000Z"),
        ] {
            assert_eq!(at(Duration::from_secs(seconds)), expected);
        }
    }
}
