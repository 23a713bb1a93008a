//! Steps, rows and names in the words of sentences.

use std::collections::BTreeSet;

use super::observed::ObservedStep;
use crate::faults::MemberChange;
use crate::ids::Time;
use crate::schedule::{DeliverySpec, Target};
use crate::trace::{SavedRecord, TraceRecord, plain, saves_in_words};

/// What a handler answers and saves, with these fields of what it saves.
pub(super) fn does(record: &TraceRecord, fields: &BTreeSet<String>) -> String {
    let saves = saves_in_words(&record.saved, |row| row_in_words(row, fields));
    let done = (!record.outside.is_empty()).then(|| format!("does {}", ticked(&record.outside)));
    let saves = match (done, saves) {
        (Some(done), Some(saves)) => Some(format!("{done} and {saves}")),
        (done, saves) => done.or(saves),
    };
    let answer = record.answer.as_deref().unwrap_or_default();
    match (answer.split_once(": "), answer, saves) {
        (Some(("silent", reason)), ..) => format!("gives no answer ({reason})"),
        (Some(("panics", message)), ..) => format!("panics: {message}"),
        (Some((_, reason)), ..) => format!("refuses it ({reason})"),
        (None, "ack", None) => "acks it and saves nothing".to_owned(),
        (None, _, Some(saves)) => saves,
        (None, _, None) => "saves nothing".to_owned(),
    }
}

/// A row with these of its fields: `t1@1 lock o1`.
pub(super) fn row_in_words(row: &SavedRecord, fields: &BTreeSet<String>) -> String {
    let named = row.fields.as_object().into_iter().flatten().filter(|(name, _)| fields.contains(*name));
    let values = named.map(|(name, value)| format!(" {name} {}", plain(value)));
    format!("{}{}", row.name(), values.collect::<String>())
}

/// What became of rows, or did not: `t1@1 is saved`, `t1@1 is not`, `t1@1 is saved and t2@3 is removed`.
pub(super) fn became(rows: &[SavedRecord], is_so: bool) -> String {
    let all = |removed: bool| {
        let rows = rows.iter().filter(|row| row.removed == removed);
        rows.map(SavedRecord::name).collect::<Vec<_>>().join(", ")
    };
    let is = if is_so { "is" } else { "is not" };
    match (all(false), all(true)) {
        (saved, removed) if removed.is_empty() => {
            if is_so {
                format!("{saved} is saved")
            } else {
                format!("{saved} is not")
            }
        }
        (saved, removed) if saved.is_empty() => format!("{removed} {is} removed"),
        (saved, removed) => format!("{saved} {is} saved and {removed} {is} removed"),
    }
}

/// What the calm run has and this one has not.
pub(super) fn missing(calm: &[String], here: &[String]) -> Vec<String> {
    calm.iter().filter(|name| !here.contains(name)).cloned().collect()
}

pub(super) fn ticked(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `a, b and c`.
pub(super) fn enumerated(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// A step by what it is about, with its number.
pub(super) fn in_words(step: &ObservedStep) -> String {
    let what = match &step.target {
        Some(target) => short(target),
        None => step.record.action.clone(),
    };
    format!("`{what}` (step {})", step.record.step)
}

/// A name without the group, which stands beside it.
pub(super) fn short(target: &Target) -> String {
    match target {
        Target::Delivery(delivery) => message(delivery),
        Target::Pause(what) => short(what),
        Target::Publish(what) => format!("publish of {}", short(what)),
        other => other.to_string(),
    }
}

/// A message and the attempt, if it is not the first.
pub(super) fn message(delivery: &DeliverySpec) -> String {
    let name = delivery.to_string();
    let (message, to) = name.split_once(" -> ").unwrap_or((&name, ""));
    let attempt = to.split_once(" #").map(|(_, attempt)| format!(" #{attempt}")).unwrap_or_default();
    format!("{message}{attempt}")
}

/// A wait in words: `5s`, `500ms`.
pub(super) fn duration(us: u64) -> String {
    match (us / 1_000_000, us % 1_000_000 / 1_000) {
        (0, millis) => format!("{millis} ms"),
        (seconds, 0) => format!("{seconds} s"),
        _ => Time(us).to_string().trim_start_matches('+').to_owned(),
    }
}

/// What happens to members or to the broker at a delivery, as half a sentence.
pub(super) fn changed(change: MemberChange, at: &str, group: &str) -> String {
    let member = "the member that was handed";
    match change {
        MemberChange::Rebalance => format!("The group is rebalanced after {at}"),
        MemberChange::Reconnect => format!("The connection of {member} {at} breaks"),
        MemberChange::Close => format!("After {at} its member is stopped and started again"),
        MemberChange::Cancel => format!("After {at} its member asks for no more, and then asks again"),
        MemberChange::Claim => format!("Another member takes over {at}"),
        MemberChange::CommitAhead => format!("What was handed out up to {at} is committed before it is handled"),
        MemberChange::Restart => format!("After {at} the broker restarts, and all connections break"),
        MemberChange::ForgetAck => format!("The broker fails over and has forgotten the ack of {at}"),
        MemberChange::Rewind => format!("After {at} the broker has lost the positions of the group"),
        MemberChange::Truncate => format!("After {at} the broker fails over and has lost the last message"),
        MemberChange::ForgetCounts => {
            let sent = format!("how often {group} was sent what is open");
            format!("After {at} the broker fails over and has forgotten {sent}, which counts from zero")
        }
        MemberChange::Redrive => {
            let back = format!("the dead letters of {group} go back to it as new messages");
            format!("After {at} {back}")
        }
        MemberChange::Compact => format!("After {at} the log is compacted: of each key only the latest is left"),
        MemberChange::Expire => format!("After {at} the broker deletes what it has kept for long enough"),
    }
}
