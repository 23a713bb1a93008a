//! What a step is about, read from its record in a trace: its kind, the delivery, and what marks it.

use pellmell_core::Fate;
use pellmell_core::faults::MemberChange;
use pellmell_core::trace::{SavedRecord, TraceRecord, saves_in_words};
use serde::Serialize;

/// What kind of thing happens in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A client sends a command.
    Command,
    /// A message is handed to a group.
    Delivery,
    /// A handler that paused goes on.
    Resume,
    /// What a handler saved some time ago is published.
    Publish,
    /// A service's timer fires.
    Timer,
    /// An ack wait is over.
    AckWait,
    /// An ack arrives late.
    Ack,
    /// A group joins.
    Join,
}

impl Kind {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Command => "command",
            Kind::Delivery => "delivery",
            Kind::Resume => "resume",
            Kind::Publish => "publish",
            Kind::Timer => "timer",
            Kind::AckWait => "ack wait",
            Kind::Ack => "late ack",
            Kind::Join => "join",
        }
    }
}

/// What tells a step from others, and is shown by a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mark {
    /// The handler did its work, and the answer arrived.
    Handled,
    /// The handler refused: a nak, no answer, or a rejection.
    Refused,
    /// The ack never arrives.
    AckLost,
    /// The ack arrives in a step of its own.
    AckLate,
    /// The handler read and has not saved yet.
    Paused,
    /// The member crashed.
    Crash,
    /// The message counts as done although no handler ran.
    Lost,
    /// The handler or a property panicked.
    Panic,
    /// An attempt after the first.
    Redelivery,
    /// An attempt that the broker made unasked.
    Duplicate,
    /// The message comes after one that was published later.
    Overtaken,
    /// The last attempt: the broker gives the message up.
    DeadLetter,
    /// Members of the group come, go or share anew.
    Rebalance,
    /// Something happens that nothing takes back.
    Outside,
    /// A departure that the failure needs shows in this step.
    Necessary,
    /// What is handled was held or changed by a departure that the failure needs.
    Departing,
    /// The failure rate rises most in this step.
    Turn,
    /// The step is in the causal past of the verdict.
    Past,
}

impl Mark {
    /// All of them; the place is the bit by which the page knows it.
    pub const ALL: [Mark; 18] = [
        Mark::Handled,
        Mark::Refused,
        Mark::AckLost,
        Mark::AckLate,
        Mark::Paused,
        Mark::Crash,
        Mark::Lost,
        Mark::Panic,
        Mark::Redelivery,
        Mark::Duplicate,
        Mark::Overtaken,
        Mark::DeadLetter,
        Mark::Rebalance,
        Mark::Outside,
        Mark::Necessary,
        Mark::Departing,
        Mark::Turn,
        Mark::Past,
    ];

    /// Its words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Mark::Handled => "handled and acked",
            Mark::Refused => "refused",
            Mark::AckLost => "ack lost",
            Mark::AckLate => "ack late",
            Mark::Paused => "paused",
            Mark::Crash => "crash",
            Mark::Lost => "message lost",
            Mark::Panic => "panic",
            Mark::Redelivery => "redelivery",
            Mark::Duplicate => "duplicate",
            Mark::Overtaken => "overtaken",
            Mark::DeadLetter => "dead letter",
            Mark::Rebalance => "rebalance",
            Mark::Outside => "effect outside",
            Mark::Necessary => "necessary",
            Mark::Departing => "departs",
            Mark::Turn => "turning point",
            Mark::Past => "causal past",
        }
    }
}

/// What an action is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action<'a> {
    pub(crate) kind: Kind,
    /// What happens, without the words that the kind says.
    pub(crate) what: &'a str,
    /// The delivery it is about.
    pub(crate) delivery: Option<Delivery<'a>>,
}

/// An attempt to hand a message to a group, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery<'a> {
    pub(crate) message: &'a str,
    pub(crate) group: &'a str,
    pub(crate) attempt: u32,
}

impl<'a> Delivery<'a> {
    /// Reads `MESSAGE -> GROUP #N`, as traces and departures name deliveries.
    pub(crate) fn named(name: &'a str) -> Option<Delivery<'a>> {
        let (message, to) = name.rsplit_once(" -> ")?;
        let (group, attempt) = match to.rsplit_once(" #") {
            Some((group, attempt)) => (group, attempt.parse().ok()?),
            None => (to, 1),
        };
        Some(Delivery { message, group, attempt })
    }
}

impl<'a> Action<'a> {
    /// Reads the action of a record.
    pub(crate) fn of(record: &'a TraceRecord) -> Action<'a> {
        let action = record.action.as_str();
        let about = |kind, what: &'a str| Action { kind, what, delivery: Delivery::named(what) };
        // A client may have any name, and its commands are answered otherwise than the rest.
        let is_command = record.answer.as_deref().is_some_and(|answer| {
            answer == "accepted" || answer.starts_with("rejected ") || answer.starts_with("panics")
        });
        if let Some(name) = action.strip_prefix("deliver ").filter(|name| name.contains(" -> ")) {
            return about(Kind::Delivery, name);
        }
        if let Some(name) = action.strip_prefix("late ack of ") {
            return about(Kind::Ack, name);
        }
        if let Some(name) = action.strip_prefix("resume ").or_else(|| action.strip_prefix("finish ")) {
            return about(Kind::Resume, name);
        }
        if let Some(name) = action.strip_prefix("publish of ") {
            return about(Kind::Publish, name);
        }
        if let Some(timer) = action.strip_prefix("clock: ").filter(|_| !is_command) {
            let Some(name) = timer.strip_prefix("ack wait of ") else { return about(Kind::Timer, timer) };
            let name = name.strip_suffix(" ends").or(name.strip_suffix(" runs out")).unwrap_or(name);
            return about(Kind::AckWait, name);
        }
        if record.service.is_none() && action.ends_with(" joins") {
            return Action { kind: Kind::Join, what: action, delivery: None };
        }
        Action { kind: Kind::Command, what: action, delivery: None }
    }

    /// The client that sends a command.
    pub(crate) fn client(&self) -> Option<&'a str> {
        (self.kind == Kind::Command).then(|| self.what.split_once(": ").map_or(self.what, |(client, _)| client))
    }
}

/// The marks of a record that it shows itself.
pub(crate) fn marks(record: &TraceRecord, action: &Action<'_>) -> Vec<Mark> {
    let answer = record.answer.as_deref().unwrap_or_default();
    let has = |fault: &str| record.faults.iter().any(|found| found == fault);
    let refused = ["nak", "silent", "rejected"].iter().any(|word| answer.starts_with(word));
    let handled = matches!(answer, "ack" | "accepted" | "done") && !has(Fate::ACK_LOST) && !has(Fate::ACK_LATE);
    // What breaks the broker's connections is a change of members, too.
    let breaks = |change: &MemberChange| MemberChange::OF_MEMBERS.contains(change) || change.is_failure();
    let mut member_changes = MemberChange::all().filter(breaks);
    let of_the_record = [
        (Mark::Handled, handled || action.kind == Kind::Ack),
        (Mark::Refused, refused),
        (Mark::AckLost, has(Fate::ACK_LOST)),
        (Mark::AckLate, has(Fate::ACK_LATE)),
        (Mark::Paused, matches!(answer, "paused" | "works")),
        (Mark::Crash, answer.ends_with("crashed") || record.faults.iter().any(|fault| fault.starts_with("crash "))),
        (Mark::Lost, has(Fate::LOST)),
        (Mark::Panic, answer.starts_with("panics")),
        (Mark::Rebalance, action.kind == Kind::Join || member_changes.any(|change| has(change.name()))),
        (Mark::Outside, !record.outside.is_empty()),
    ];
    of_the_record.into_iter().filter(|(_, is_there)| *is_there).map(|(mark, _)| mark).collect()
}

/// What came of a step, in brief: `✓ saves t1@1`.
pub(crate) fn outcome(record: &TraceRecord, kind: Kind) -> String {
    let mut parts: Vec<String> = Vec::new();
    match record.answer.as_deref() {
        Some("ack" | "accepted" | "done") => parts.push("✓".to_owned()),
        Some("paused") => parts.push("… paused after it read".to_owned()),
        Some("works") => parts.push("… works".to_owned()),
        Some(answer @ ("crashed" | "acked, then crashed")) => parts.push(format!("✖ {answer}")),
        Some(answer) => parts.push(format!("✗ {}", answer.strip_prefix("silent: ").unwrap_or(answer))),
        None if kind == Kind::AckWait => parts.push("ack wait is over".to_owned()),
        None if kind == Kind::Ack => parts.push("✓ ack arrives".to_owned()),
        None => {}
    }
    if !record.asked.is_empty() {
        parts.push(format!("asks {}", record.asked.join(", ")));
    }
    parts.extend(saves_in_words(&record.saved, SavedRecord::name));
    if kind == Kind::Publish && !record.published.is_empty() {
        parts.push(format!("publishes {}", record.published.join(", ")));
    }
    if !record.outside.is_empty() {
        parts.push(format!("does {}", record.outside.join(", ")));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(action: &str, answer: Option<&str>) -> TraceRecord {
        TraceRecord {
            step: 1,
            time_us: 0,
            action: action.to_owned(),
            faults: Vec::new(),
            instead_of: None,
            service: answer.map(|_| "orders".to_owned()),
            member: None,
            answer: answer.map(str::to_owned),
            saved: Vec::new(),
            published: Vec::new(),
            outside: Vec::new(),
            asked: Vec::new(),
            fingerprint: String::new(),
        }
    }

    #[test]
    fn what_happens_to_members_or_their_connections_is_marked_and_what_a_log_loses_is_not() {
        for change in MemberChange::all() {
            let faults = vec![change.name().to_owned()];
            let record = TraceRecord { faults, ..record("deliver a:b t1@0 -> orders #1", Some("ack")) };
            let is_marked = marks(&record, &Action::of(&record)).contains(&Mark::Rebalance);
            let keeps_members = change == MemberChange::Redrive || MemberChange::OF_LOGS.contains(&change);
            assert_eq!(is_marked, !keeps_members, "{}", change.name());
        }
    }

    #[test]
    fn an_action_says_what_it_is_about() {
        for (action, answer, kind, what) in [
            ("deliver a:b t1@0 -> orders #2", Some("ack"), Kind::Delivery, "a:b t1@0 -> orders #2"),
            ("late ack of a:b t1@0 -> orders #1", None, Kind::Ack, "a:b t1@0 -> orders #1"),
            ("resume ann: order t1 as o1", Some("accepted"), Kind::Resume, "ann: order t1 as o1"),
            ("finish ann: order t1 as o1", Some("accepted"), Kind::Resume, "ann: order t1 as o1"),
            ("publish of ann: order t1 as o1", None, Kind::Publish, "ann: order t1 as o1"),
            ("clock: ack wait of a:b t1@0 -> orders #1 runs out", None, Kind::AckWait, "a:b t1@0 -> orders #1"),
            ("clock: timer o1 of expiration fires", Some("done"), Kind::Timer, "timer o1 of expiration fires"),
            ("orders joins", None, Kind::Join, "orders joins"),
            ("ann: order t1 as o1", Some("accepted"), Kind::Command, "ann: order t1 as o1"),
            ("clock: order t1", Some("rejected 400: no"), Kind::Command, "clock: order t1"),
        ] {
            let record = record(action, answer);
            let found = Action::of(&record);
            assert_eq!((found.kind, found.what), (kind, what), "{action}");
        }
        let named = Delivery::named("a:b -> c t1@0 -> orders #12").expect("a delivery");
        assert_eq!((named.message, named.group, named.attempt), ("a:b -> c t1@0", "orders", 12));
    }
}
