//! Which delivery situations the runs of a sweep met, and which they never did.
//!
//! A sweep without failures says something only about what its runs came through. So each run is
//! watched ([`SituationWatch`]), and what it met is counted for each lane, a subject on its way to one
//! group. What no run met is a miss, unless nothing could bring it about: the broker's rules or the
//! faults rule it out, or no run had an occasion.

mod means;
mod watch;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use means::{Means, RuledOut};
pub use watch::SituationWatch;

use super::bound::{PctBound, PctRuns, pct_bound};
use crate::scheduler::Guarantee;

/// What can happen to a service by the way its messages are delivered.
///
/// Each is counted for a lane, in the run in which it happens. *The group has acked* a message says
/// that one of its handlers answered ack, whether or not that reached the broker; *earlier* and
/// *later* are publish order, over all subjects of the group, among the messages about one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Situation {
    /// A handler starts on a message that is not the first about its record, and the group has acked
    /// none about that record yet.
    UpdateBeforeCreate,
    /// A handler starts on a message at least two after the latest about its record that the group has
    /// acked: with versions, at least two above the one it holds.
    GapOfTwo,
    /// A handler starts on a message although an ack of it at this group has reached the broker.
    DuplicateAfterAck,
    /// A handler starts on a message that the group has acked, and that has not reached the broker.
    RedeliveryAfterUnheardAck,
    /// A handler starts on a message while another handler of the group that read for the same message
    /// has not saved yet.
    RedeliveryDuringHandler,
    /// An ack arrives in a step of its own, after the handler's.
    LateAck,
    /// An ack arrives after the broker gave up on its delivery.
    StaleAck,
    /// A handler answers ack to a message that the group has refused before, by a nak or by silence.
    RefusedThenAcked,
    /// A member crashes while it handles the message, before it saved.
    CrashBeforeSave,
    /// A member crashes while it handles the message, after its save and before it published.
    CrashBeforePublish,
    /// A member crashes while it handles the message, after it published and before its ack.
    CrashBeforeAck,
    /// A member crashes after it acked the message.
    CrashAfterAck,
}

impl Situation {
    /// All of them.
    pub const ALL: [Situation; 12] = [
        Situation::UpdateBeforeCreate,
        Situation::GapOfTwo,
        Situation::DuplicateAfterAck,
        Situation::RedeliveryAfterUnheardAck,
        Situation::RedeliveryDuringHandler,
        Situation::LateAck,
        Situation::StaleAck,
        Situation::RefusedThenAcked,
        Situation::CrashBeforeSave,
        Situation::CrashBeforePublish,
        Situation::CrashBeforeAck,
        Situation::CrashAfterAck,
    ];

    /// Its name in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Situation::UpdateBeforeCreate => "update before create",
            Situation::GapOfTwo => "gap of two or more",
            Situation::DuplicateAfterAck => "duplicate after ack",
            Situation::RedeliveryAfterUnheardAck => "redelivery after unheard ack",
            Situation::RedeliveryDuringHandler => "redelivery during handler",
            Situation::LateAck => "late ack",
            Situation::StaleAck => "stale ack",
            Situation::RefusedThenAcked => "refused, then acked",
            Situation::CrashBeforeSave => "crash before save",
            Situation::CrashBeforePublish => "crash before publish",
            Situation::CrashBeforeAck => "crash before ack",
            Situation::CrashAfterAck => "crash after ack",
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often something was seen, and whether it could have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Seen {
    /// In how many runs it was seen.
    pub runs: u64,
    /// The smallest seed whose run it was seen in.
    pub first: Option<u64>,
    /// In how many runs there were the messages it takes.
    pub occasions: u64,
    /// Why it cannot be seen, if something rules it out.
    pub ruled_out: Option<RuledOut>,
}

/// What is to be said of something that may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A run met it.
    Seen,
    /// No run met it, and runs could have.
    Missed,
    /// No run had the messages it takes.
    NoOccasion,
    /// Nothing can bring it about.
    RuledOut(RuledOut),
}

impl Seen {
    /// What is to be said of it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self.ruled_out {
            _ if self.runs > 0 => Standing::Seen,
            Some(why) => Standing::RuledOut(why),
            None if self.occasions == 0 => Standing::NoOccasion,
            None => Standing::Missed,
        }
    }

    /// Notes a run that had an occasion, and whether it was seen there.
    pub(super) fn note_run(&mut self, seed: u64, is_seen: bool) {
        self.occasions += 1;
        if is_seen {
            self.note(seed);
        }
    }

    fn note(&mut self, seed: u64) {
        self.runs += 1;
        self.first = Some(self.first.map_or(seed, |first| first.min(seed)));
    }

    fn merge(&mut self, other: &Seen) {
        self.runs += other.runs;
        self.occasions += other.occasions;
        self.first = self.first.into_iter().chain(other.first).min();
        // It is ruled out for both or for none.
        self.ruled_out = self.ruled_out.zip(other.ruled_out).map(|(one, other)| one.min(other));
    }
}

/// What is covered by a set of runs of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Coverage {
    /// How many runs.
    pub runs: u64,
    /// For each situation the lanes, written `ticket:created -> orders`.
    pub situations: BTreeMap<Situation, BTreeMap<String, Seen>>,
    /// Ordered pairs, written `orders: ticket:updated before ticket:created`. One is seen if the group
    /// starts its first handler of a message of the second subject after its first handler of another
    /// message, about the same record, of the first subject. Where both are one subject, the one that
    /// comes first was published later.
    pub pairs: BTreeMap<String, Seen>,
    /// What is to be reached in some run ([`Sometimes`](crate::Sometimes)), by name.
    pub sometimes: BTreeMap<String, Seen>,
    /// The runs that schedulers with a guarantee of depth 1, 2 and 3 played.
    pub pct: [PctRuns; 3],
}

impl Coverage {
    /// Adds what other runs of the same system covered: sums, the smallest of the first seeds, the
    /// largest of the largest. In whichever order runs are merged, the result is the same.
    pub fn merge(&mut self, other: &Coverage) {
        self.runs += other.runs;
        for (situation, lanes) in &other.situations {
            merge_all(self.situations.entry(*situation).or_default(), lanes);
        }
        merge_all(&mut self.pairs, &other.pairs);
        merge_all(&mut self.sometimes, &other.sometimes);
        for (runs, more) in self.pct.iter_mut().zip(other.pct) {
            runs.merge(more);
        }
    }

    /// Notes what runs reached of what is to be reached.
    pub(super) fn note_reached(&mut self, reached: impl IntoIterator<Item = (&'static str, Seen)>) {
        for (name, seen) in reached {
            self.sometimes.entry(name.to_owned()).or_default().merge(&seen);
        }
    }

    /// Notes what is proven about a run.
    pub(crate) fn note_guarantee(&mut self, guarantee: Guarantee) {
        if let Some(runs) = self.pct.get_mut(guarantee.depth as usize - 1) {
            runs.merge(guarantee.into());
        }
    }

    /// Every situation on every lane, and every ordered pair.
    pub fn all(&self) -> impl Iterator<Item = &Seen> {
        self.situations.values().flat_map(BTreeMap::values).chain(self.pairs.values())
    }

    /// How many situations and pairs were seen, and how many could have been.
    #[must_use]
    pub fn seen_of(&self) -> (u64, u64) {
        let with = |wanted| self.all().filter(|seen| seen.standing() == wanted).count() as u64;
        let seen = with(Standing::Seen);
        (seen, seen + with(Standing::Missed))
    }

    /// The seed in whose run the last situation or pair was seen that no smaller seed had shown; `None`
    /// if none was seen.
    #[must_use]
    pub fn last_new(&self) -> Option<u64> {
        self.all().filter_map(|seen| seen.first).max()
    }

    /// What is to be reached in some run and was reached in none, by name.
    pub fn never_reached(&self) -> impl Iterator<Item = &str> {
        self.sometimes.iter().filter(|(_, seen)| seen.runs == 0).map(|(name, _)| name.as_str())
    }

    /// By how much the runs so far may have missed a bug of depth 1, 2 and 3 (see [`pct_bound`]).
    #[must_use]
    pub fn pct_bounds(&self) -> [Option<PctBound>; 3] {
        pct_bound(self.pct)
    }
}

fn merge_all(all: &mut BTreeMap<String, Seen>, others: &BTreeMap<String, Seen>) {
    for (name, other) in others {
        match all.get_mut(name) {
            Some(seen) => seen.merge(other),
            None => {
                all.insert(name.clone(), *other);
            }
        }
    }
}
