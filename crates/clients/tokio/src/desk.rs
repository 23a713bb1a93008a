//! The message that is handed over to a service, and what is known of those before it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::door::Handed;
use pellmell_code::Answer;
use pellmell_code::serving::content;

/// How long a service may take for a message of a broker that sets it no time, before it is said not to have acked it.
pub const WITHIN: Duration = Duration::from_secs(60);

/// What is handed over to a service, with the number that each message has among those of its subject.
#[derive(Debug, Default)]
pub struct Desk {
    /// How many messages of a subject there were.
    counts: BTreeMap<String, u64>,
    /// By what they are.
    known: BTreeMap<String, Known>,
    hand: Option<Hand>,
}

/// What is known of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    number: u64,
    owner: Option<String>,
    delivered: Option<Duration>,
}

/// A message that is handed over, and what came of it so far.
#[derive(Debug)]
pub struct Hand {
    /// What it is on.
    pub subject: String,
    /// What it carries.
    pub body: Value,
    /// Which attempt it is, from 1.
    pub attempt: u16,
    /// Which message of its subject it is, from 1.
    pub number: u64,
    /// Who had it last.
    pub owner: Option<String>,
    /// When it was delivered last, in this attempt or one before.
    pub delivered: Option<Duration>,
    /// When it was sent in this attempt, if it was.
    pub sent: Option<Duration>,
    /// What came of it.
    pub answer: Option<Answer>,
    content: String,
    before: (Option<Known>, u64),
}

impl Hand {
    /// It goes to somebody.
    pub fn goes_to(&mut self, owner: &str, now: Duration) {
        self.owner = Some(owner.to_owned());
        self.delivered = Some(now);
        self.sent.get_or_insert(now);
    }

    /// Whether it waits to be sent for the first time.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.attempt == 1 && self.sent.is_none()
    }

    /// Whether it waits to be sent again.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.attempt > 1 && self.sent.is_none()
    }

    /// What it is, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("attempt {} on `{}`", self.attempt, self.subject)
    }
}

impl Desk {
    /// Takes a message that the service publishes. Returns its number.
    pub fn add(&mut self, subject: &str, body: &Value) -> u64 {
        let count = self.counts.entry(subject.to_owned()).or_default();
        *count += 1;
        self.known.insert(content(subject, &BTreeMap::new(), body), Known { number: *count, ..Known::default() });
        *count
    }

    /// Hands a delivery over.
    pub fn hand_over(&mut self, subject: &str, body: &Value, attempt: u16) {
        let content = content(subject, &BTreeMap::new(), body);
        let count = self.counts.entry(subject.to_owned()).or_default();
        let before = (self.known.get(&content).cloned(), *count);
        // What was delivered and comes as a first attempt is another message with the same content.
        let known = before.0.clone().filter(|known| attempt > 1 || known.delivered.is_none());
        let Known { number, owner, delivered } = known.unwrap_or_else(|| {
            *count += 1;
            Known { number: *count, ..Known::default() }
        });
        let (subject, body, sent, answer) = (subject.to_owned(), body.clone(), None, None);
        self.hand = Some(Hand { subject, body, attempt, number, owner, delivered, sent, answer, content, before });
    }

    /// What is handed over on a subject and not answered.
    pub fn hand(&mut self, subject: &str) -> Option<&mut Hand> {
        self.hand.as_mut().filter(|hand| hand.subject == subject && hand.answer.is_none())
    }

    /// What is handed over, if it is not over.
    #[must_use]
    pub fn held(&self) -> Option<&Hand> {
        self.hand.as_ref()
    }

    pub(crate) fn handed(&self) -> Option<Handed> {
        let hand = self.hand.as_ref()?;
        Some(Handed { what: hand.in_words(), sent: hand.sent, within: WITHIN })
    }

    /// What was handed over is over; if it came to nothing it is as if it had never been.
    pub(crate) fn over(&mut self, to_nothing: bool) {
        let Some(Hand { subject, content, number, owner, delivered, before: (known, count), .. }) = self.hand.take()
        else {
            return;
        };
        let known = if to_nothing { known } else { Some(Known { number, owner, delivered }) };
        match known {
            Some(known) => self.known.insert(content, known),
            None => self.known.remove(&content),
        };
        if to_nothing {
            self.counts.insert(subject, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn number_of(desk: &mut Desk, body: &Value, attempt: u16) -> u64 {
        desk.hand_over("a", body, attempt);
        desk.hand("a").map_or(0, |hand| {
            hand.goes_to("c1", Duration::ZERO);
            hand.number
        })
    }

    #[test]
    fn a_message_keeps_its_number_unless_it_came_to_nothing() {
        let (mut desk, one, two) = (Desk::default(), json!({ "n": 1 }), json!({ "n": 2 }));
        assert_eq!(number_of(&mut desk, &one, 1), 1);
        desk.over(true);
        assert_eq!(number_of(&mut desk, &two, 1), 1, "the first came to nothing");
        desk.over(false);
        assert_eq!(number_of(&mut desk, &one, 2), 2);
        desk.over(false);
        assert_eq!(number_of(&mut desk, &two, 2), 1);
        desk.over(true);
        assert_eq!(number_of(&mut desk, &two, 1), 3, "the same once more is another message");
        desk.over(false);
        assert_eq!(desk.add("a", &json!({ "n": 3 })), 4);
        assert_eq!(number_of(&mut desk, &json!({ "n": 3 }), 1), 4, "it comes back as it was added");
    }

    #[test]
    fn it_is_known_who_had_it_and_when() {
        let (mut desk, body) = (Desk::default(), json!({}));
        number_of(&mut desk, &body, 1);
        desk.over(false);
        desk.hand_over("a", &body, 2);
        let hand = desk.hand("a").expect("it is there");
        assert_eq!((hand.owner.as_deref(), hand.delivered), (Some("c1"), Some(Duration::ZERO)));
        assert!(hand.is_left() && !hand.is_new());
    }
}
