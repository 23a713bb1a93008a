//! How alike two names are, part by part: which of the names there are somebody meant who wrote one that
//! does not exist any more.
//!
//! Letters do not tell: `ticket:created` is nearer to `ticket:updated` than `ticket:priced` is. What a
//! message is about stays when the services change around it, so the name that agrees in most of record,
//! group, version and subject is the nearest.

use super::{CommandSpec, DeliverySpec, Target, TimerSpec};
use crate::nearest::nearest;

/// What it costs if a part is another one.
const RECORD: u64 = 8;
const PLACE: u64 = 6;
const VERB: u64 = 5;
const VERSION: u64 = 4;
const TEXT: u64 = 3;
const WORD: u64 = 2;
const COUNT: u64 = 1;
/// What it costs more if the subject is one of those that were there before: it meant something else then.
const KNOWN_BEFORE: u64 = 2;
/// Names that differ in more have nothing to do with each other.
const NEAR: u64 = 12;

impl Target {
    /// The nearest of the names there are, part by part. `before` are the names that were there when this
    /// one was, as far as anybody knows. Of another delivery it is the same attempt, which need not be among
    /// them: a later one comes only if something goes wrong.
    ///
    /// ```
    /// use pellmell::schedule::Target;
    /// let target = |text: &str| text.parse::<Target>().unwrap();
    /// let names = ["ticket:created t1@0 -> orders", "ticket:priced t1@1 -> orders", "ticket:updated t1@2 -> orders"];
    /// let known = names.map(target);
    /// let gone = target("ticket:updated t1@1 -> orders");
    /// assert_eq!(gone.nearest(&known, &[]), Some(known[1].clone()));
    /// ```
    #[must_use]
    pub fn nearest<'a>(&self, known: impl IntoIterator<Item = &'a Target>, before: &[Target]) -> Option<Target> {
        let near = self.by_nearness(known, before).into_iter().next()?;
        Some(if near.handled() == self.handled() { near.clone() } else { self.of(&near.handled()) })
    }

    /// Those of the names there are that are near to this one, the nearest first.
    #[must_use]
    pub fn by_nearness<'a>(&self, known: impl IntoIterator<Item = &'a Target>, before: &[Target]) -> Vec<&'a Target> {
        let deliveries = before.iter().filter_map(Target::delivery);
        let subjects: Vec<&str> = deliveries.map(|delivery| delivery.subject.as_str()).collect();
        let near = known.into_iter().filter_map(|name| {
            let distance = distance(self, name, &subjects).filter(|(distance, _)| *distance <= NEAR)?;
            Some((distance, name.to_string(), name))
        });
        let mut near: Vec<_> = near.collect();
        near.sort_by(|(one, text, _), (other, other_text, _)| (one, text).cmp(&(other, other_text)));
        near.dedup_by(|(_, one, _), (_, other, _)| one == other);
        near.into_iter().map(|(.., name)| name).collect()
    }

    /// The delivery it is about, if it is about one.
    pub(crate) fn delivery(&self) -> Option<&DeliverySpec> {
        match self {
            Target::Delivery(delivery) | Target::Ack(delivery) | Target::AckWait(delivery) => Some(delivery),
            Target::Pause(what) | Target::Await { what, .. } | Target::Start(what) | Target::Publish(what) => {
                what.delivery()
            }
            Target::Command(_) | Target::Timer(_) | Target::Join(_) => None,
        }
    }
}

/// In how much two names differ, and by how much their numbers do; `None` if they name things of two kinds.
fn distance(one: &Target, other: &Target, subjects: &[&str]) -> Option<(u64, u64)> {
    match (one, other) {
        (Target::Delivery(one), Target::Delivery(other))
        | (Target::Ack(one), Target::Ack(other))
        | (Target::AckWait(one), Target::AckWait(other)) => Some(of_deliveries(one, other, subjects)),
        (Target::Pause(one), Target::Pause(other))
        | (Target::Start(one), Target::Start(other))
        | (Target::Publish(one), Target::Publish(other)) => distance(one, other, subjects),
        (Target::Await { what: one, place }, Target::Await { what: other, place: other_place }) => {
            let (far, near) = distance(one, other, subjects)?;
            Some((far, near + u64::from(place.abs_diff(*other_place))))
        }
        (Target::Command(one), Target::Command(other)) => Some(of_commands(one, other)),
        (Target::Timer(one), Target::Timer(other)) => Some((of_timers(one, other), 0)),
        (Target::Join(one), Target::Join(other)) => Some((of_places(one, other), 0)),
        _ => None,
    }
}

fn unless(same: bool, cost: u64) -> u64 {
    if same { 0 } else { cost }
}

/// What another place or client costs: half of it if the name is misspelt.
fn of_places(one: &str, other: &str) -> u64 {
    match one == other {
        true => 0,
        false if nearest(one, [other]).is_some() => PLACE / 2,
        false => PLACE,
    }
}

fn of_deliveries(one: &DeliverySpec, other: &DeliverySpec, subjects: &[&str]) -> (u64, u64) {
    let feed = |subject: &str| subject.split(':').next().unwrap_or_default().to_owned();
    let known_before = unless(!subjects.contains(&other.subject.as_str()), KNOWN_BEFORE);
    let subject = match one.subject == other.subject {
        true => 0,
        false => TEXT + known_before + unless(feed(&one.subject) == feed(&other.subject), WORD),
    };
    let differs = unless(one.record == other.record, RECORD)
        + of_places(&one.group, &other.group)
        + unless(one.version == other.version, VERSION)
        + subject
        + unless(one.nth == other.nth, COUNT)
        + unless(one.attempt == other.attempt, COUNT);
    let number = |delivery: &DeliverySpec| delivery.version.map_or(0, |version| version.0);
    (differs, number(one).abs_diff(number(other)))
}

fn of_timers(one: &TimerSpec, other: &TimerSpec) -> u64 {
    unless(one.record == other.record, RECORD)
        + of_places(&one.service, &other.service)
        + unless(one.purpose == other.purpose, TEXT)
        + unless(one.nth == other.nth, COUNT)
        + unless(one.attempt == other.attempt, COUNT)
}

/// Of a command the client, the verb and the words behind it.
fn of_commands(one: &CommandSpec, other: &CommandSpec) -> (u64, u64) {
    let mut words = (one.label.split(' '), other.label.split(' '));
    let mut differs = of_places(&one.client, &other.client) + unless(words.0.next() == words.1.next(), VERB);
    let number = |word: Option<&str>| word?.parse::<u64>().ok();
    let mut apart: u64 = 0;
    loop {
        match (words.0.next(), words.1.next()) {
            (None, None) => return (differs + unless(one.nth == other.nth, COUNT), apart),
            (word, other) => match (number(word), number(other)) {
                (Some(number), Some(other)) => {
                    differs += unless(number == other, WORD);
                    apart = apart.saturating_add(number.abs_diff(other));
                }
                _ => differs += unless(word == other, TEXT),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The nearest of names that stand in lines, where these were there before.
    fn nearest(gone: &str, known: &[&str], before: &[&str]) -> Option<String> {
        let all = |names: &[&str]| names.iter().map(|name| target(name)).collect::<Vec<_>>();
        let (known, before) = (all(known), all(before));
        target(gone).nearest(&known, &before).map(|near| near.to_string())
    }

    #[test]
    fn the_nearest_name_agrees_in_most_parts_and_not_in_most_letters() {
        let check = |gone: &str, known: &[&str], before: &[&str], expected: Option<&str>| {
            assert_eq!(nearest(gone, known, before).as_deref(), expected, "{gone}");
        };
        let created = "ticket:created t1@0 -> orders";
        // A subject was split: record, version and group stay.
        let split = [created, "ticket:priced t1@1 -> orders", "ticket:updated t1@2 -> orders"];
        check("ticket:updated t1@1 -> orders", &split, &[created], Some("ticket:priced t1@1 -> orders"));
        check("ack of ticket:updated t1@1 -> orders", &split, &[], None);
        // Versions begin elsewhere: a subject that was there before meant something else.
        let shifted =
            ["ticket:created t1@1 -> orders", "ticket:updated t1@2 -> orders", "ticket:updated t1@3 -> orders"];
        check("ticket:updated t1@1 -> orders", &shifted, &[created], Some("ticket:updated t1@2 -> orders"));
        check(created, &shifted, &["ticket:updated t1@1 -> orders"], Some("ticket:created t1@1 -> orders"));
        // A group was renamed, or a service split.
        let elsewhere = ["ticket:updated t1@1 -> sales", "ticket:updated t2@1 -> orders"];
        check("ticket:updated t1@1 -> orders", &elsewhere, &[], Some("ticket:updated t1@1 -> sales"));
        check(
            "pause of ticket:updated t1@1 -> orders",
            &["pause of ticket:updated t1@1 -> sales"],
            &[],
            Some("pause of ticket:updated t1@1 -> sales"),
        );
        let second = "ticket:created t1@0 -> orders #2";
        check(second, &["ticket:created t1@1 -> orders"], &[], Some("ticket:created t1@1 -> orders #2"));
        check(second, &[created], &[], Some(created));
        // Nothing to do with each other.
        check("ticket:updated t1@1 -> orders", &["order:created o1@0 -> tickets"], &[], None);
        check("alice: edit t1 to 6", &["ticket:updated t1@1 -> orders"], &[], None);
        let commands = ["alice: edit t1 to 7", "alice: edit t2 to 6", "bob: edit t1 to 6", "alice: create t1 at 6"];
        check("alice: edit t1 to 6", &commands, &[], Some("alice: edit t1 to 7"));
        check("alise: edit t1 to 6", &commands, &[], Some("alice: edit t1 to 7"));
        let prices = ["alice: edit t1 to 10", "alice: edit t1 to 5"];
        check("alice: edit t1 to 7", &prices, &[], Some("alice: edit t1 to 5"));
        let timers = ["timer o2 of orders", "timer o1 remind of orders", "timer o1 of sales"];
        check("timer o1 of orders", &timers, &[], Some("timer o1 remind of orders"));
        check("join of orders", &["join of sales"], &[], Some("join of sales"));
    }
}
