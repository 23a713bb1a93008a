//! What the simulation hands over to the service, to whom it goes, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::jetstream::Key;
use crate::server::{NOT_PLAYED, Sequence, Server, content};
use crate::wire::bytes;
use pellmell_code::nats::{Published, fits};
use pellmell_code::{Answer, Failure};

/// In seconds: the time of the world is counted from here in what messages say of themselves.
const EPOCH: u64 = 1_767_225_600;
/// What the server calls the inbox in which it waits for the answer to a command.
pub(crate) const REPLIES: &str = "_PELLMELL.REPLY";

/// What was handed over to the service, and what came of it.
pub(crate) struct Handed {
    what: What,
    /// When it was sent.
    pub(crate) sent: Option<Duration>,
    /// How long the service may take from then.
    pub(crate) within: Duration,
    pub(crate) answer: Option<Answer>,
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

    /// Whom messages on a subject can go to now.
    pub(crate) fn is_ready_for(&self, subject: &str) -> Result<bool, Failure> {
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

    /// What the service listens to, in words.
    pub(crate) fn takers_in_words(&self) -> String {
        let consumers = self.jetstream.consumers.iter();
        let consumers = consumers.map(|((stream, name), _)| format!("the consumer `{name}` of the stream `{stream}`"));
        let all = self.connections.iter().flat_map(|connection| connection.subscriptions.values());
        let subscriptions = all.filter(|of| !of.subject.starts_with("_INBOX."));
        let subscriptions = subscriptions.map(|of| format!("a subscription to `{}`", of.subject));
        let words: Vec<String> = consumers.chain(subscriptions).collect();
        if words.is_empty() { "nothing yet".to_owned() } else { words.join(", ") }
    }

    /// Hands a delivery over.
    pub(crate) fn deliver(
        &mut self,
        subject: &str,
        headers: &BTreeMap<String, String>,
        body: &Value,
        attempt: u16,
    ) -> Result<(), Failure> {
        let Some(taker) = self.taker(subject)? else {
            let what = format!("nothing of it takes messages on `{subject}`: it has {}", self.takers_in_words());
            return Err(self.with_lines(Failure::new(what)));
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
                let at = u128::from(EPOCH) * 1_000_000_000 + self.now.as_nanos();
                message.reply = Some(format!("$JS.ACK.{stream}.{name}.{attempt}.{number}.{count}.{at}.0"));
            }
        }
        let what = What::Delivery { message, taker, attempt, content, undo };
        self.handed = Some(Handed { what, sent: None, within, answer: None });
        self.send_handed();
        Ok(())
    }

    /// Hands a command over, as a request.
    pub(crate) fn call(&mut self, name: &str, body: &Value) -> Result<(), Failure> {
        if !self.listens(name) {
            let what = format!("nothing of it answers requests on `{name}`: it has {}", self.takers_in_words());
            return Err(self.with_lines(Failure::new(what)));
        }
        self.requests += 1;
        let reply = Some(format!("{REPLIES}.{}", self.requests));
        let message = Published { subject: name.to_owned(), reply, payload: bytes(body), ..Published::default() };
        self.handed =
            Some(Handed { what: What::Call { message }, sent: None, within: Duration::from_secs(30), answer: None });
        self.send_handed();
        Ok(())
    }

    /// Sends what is handed over, if it was not sent and somebody waits for it.
    pub(crate) fn send_handed(&mut self) {
        let Some(mut handed) = self.handed.take() else { return };
        if handed.sent.is_none() && self.sends(&handed.what) {
            handed.sent = Some(self.now);
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
                        let Some((inbox, says)) = self.jetstream.take(key, self.now) else { return false };
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

    /// What came of what was handed over; nothing yet if it is not answered.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let handed = self.handed.as_ref()?;
        let is_unanswered = match &handed.what {
            What::Delivery { taker: Taker::Subscription, .. } => true,
            What::Delivery { taker: Taker::Consumer(key), .. } => !self.jetstream.consumers.get(key)?.acks,
            What::Call { .. } => false,
        };
        match &handed.answer {
            // It was sent, and all is at rest.
            None if is_unanswered && handed.sent.is_some() => Some(Answer::Done),
            answer => answer.clone(),
        }
    }

    /// Lets it be as if the delivery had not been handed over.
    pub(crate) fn take_back(&mut self) {
        let Some(Handed { what: What::Delivery { taker, content, undo, .. }, .. }) = self.handed.take() else { return };
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

    pub(crate) fn answered(&mut self, message: &Published) {
        let now = self.now;
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let of_this = |handed: &&mut Handed| match &handed.what {
            What::Delivery { message: sent, .. } => sent.reply.as_deref() == Some(message.subject.as_str()),
            What::Call { .. } => false,
        };
        let answer = match verb {
            "" | "+ACK" => Some(Answer::Done),
            "+TERM" => {
                self.said.push("a delivery is terminated".to_owned());
                Some(Answer::Done)
            }
            "-NAK" => {
                let delay = serde_json::from_str::<Value>(rest).ok().and_then(|body| body["delay"].as_u64());
                Some(Answer::Nak { reason: "nak".to_owned(), delay: delay.map(Duration::from_nanos) })
            }
            "+WPI" => None,
            other => {
                self.refuse(&format!("an ack that says `{other}`"), NOT_PLAYED);
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
                handed.answer.get_or_insert(answer);
            }
            (None, Some(_)) => self.said.push(format!("a late `{verb}` for {}", message.subject)),
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

    /// The attempt that was handed over and what it is, in words.
    pub(crate) fn handed_in_words(&self) -> String {
        match self.handed.as_ref().map(|handed| &handed.what) {
            Some(What::Delivery { message, attempt, .. }) => format!("attempt {attempt} on `{}`", message.subject),
            Some(What::Call { message }) => format!("the request on `{}`", message.subject),
            None => "nothing".to_owned(),
        }
    }
}
