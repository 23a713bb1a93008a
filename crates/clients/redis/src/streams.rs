//! Groups of streams, who reads them, and which entries they get.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::frame::Reply;
use pellmell_code::Answer;
use pellmell_code::serving::bytes;
use pellmell_tokio::{Hand, Room, WITHIN};

/// The first part of an entry's id before the first of its stream.
const BEFORE_THE_FIRST: u64 = 1_767_225_600_000;

/// A read of streams by a consumer of a group.
pub(crate) struct Read {
    pub(crate) group: String,
    pub(crate) consumer: String,
    /// Each with the entry after which the consumer's own history is read, or with none for new entries.
    pub(crate) keys: Vec<(String, Option<u64>)>,
    pub(crate) acks: bool,
}

/// A server of Redis Streams. It gives entries out as it is told to, and keeps no keys but streams.
#[derive(Debug, Default)]
pub struct Redis {
    /// By stream and name.
    pub(crate) groups: BTreeSet<(String, String)>,
    /// Who read new entries of a stream first, which has what nobody is known to have.
    first: BTreeMap<String, String>,
    /// What was read since the service has started, by stream.
    pub(crate) readers: BTreeMap<String, Reader>,
    /// Whether it has looked for pending entries of any consumer since.
    pub(crate) claims: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) groups: BTreeSet<String>,
    pub(crate) reads_new: bool,
    pub(crate) reads_history: bool,
}

/// A claim of what was idle for so long: of those entries, or of any.
pub(crate) struct Claim<'c> {
    pub(crate) key: &'c str,
    pub(crate) consumer: &'c str,
    pub(crate) idle: Duration,
    pub(crate) numbers: Option<Vec<u64>>,
}

/// An entry that is left: its id, whose it is, for how long it is idle, and how often it was delivered.
type Left = (Reply, String, [Reply; 2]);

/// The id of an entry, by its number.
pub(crate) fn id_of(number: u64) -> String {
    format!("{}-0", BEFORE_THE_FIRST + number)
}

/// The number of an entry, by its id, or of the one before where the id is in between.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    let time: u64 = id.split_once('-').map_or(id, |(time, _)| time).parse().ok()?;
    Some(time.saturating_sub(BEFORE_THE_FIRST))
}

/// The entry of a message, which goes to a consumer.
fn entry_for(consumer: &str, hand: &mut Hand, now: Duration) -> Reply {
    hand.goes_to(consumer, now);
    let fields = hand.body.as_object().into_iter().flatten();
    let fields = fields.flat_map(|(name, value)| [Reply::text(name.as_str()), Reply::text(bytes(value))]);
    Reply::list([Reply::text(id_of(hand.number)), Reply::list(fields)])
}

impl Redis {
    /// Notes who reads.
    ///
    /// # Errors
    /// If another group of the service takes entries of a stream as well.
    pub(crate) fn note_reader(&mut self, read: &Read) -> Result<(), String> {
        for (key, after) in &read.keys {
            let reader = self.readers.entry(key.clone()).or_default();
            reader.groups.insert(read.group.clone());
            reader.reads_new |= after.is_none();
            reader.reads_history |= after.is_some();
            if after.is_none() {
                self.first.entry(key.clone()).or_insert_with(|| read.consumer.clone());
            }
            if reader.groups.len() > 1 {
                let groups: Vec<String> = reader.groups.iter().map(|group| format!("`{group}`")).collect();
                return Err(format!("the groups {} take entries of `{key}`", groups.join(" and ")));
            }
        }
        Ok(())
    }

    /// What a read returns; nothing if it has to wait.
    pub(crate) fn entries(&self, read: &Read, room: &mut Room<'_>) -> Option<Reply> {
        let now = room.talk.now;
        let found = read.keys.iter().filter_map(|(key, after)| {
            let hand = room.desk.hand(key).filter(|hand| match after {
                None => hand.is_new(),
                // What is with it and not acked comes again each time.
                Some(after) => !hand.is_new() && hand.number > *after && self.owner(hand) == Some(&*read.consumer),
            });
            let entry = hand.map(|hand| {
                let entry = entry_for(&read.consumer, hand, now);
                if !read.acks {
                    hand.answer = Some(Answer::Done);
                }
                entry
            });
            (after.is_some() || entry.is_some()).then(|| Reply::list([Reply::text(key.as_str()), Reply::list(entry)]))
        });
        let found: Vec<Reply> = found.collect();
        (!found.is_empty()).then(|| Reply::list(found))
    }

    fn owner<'o>(&'o self, hand: &'o Hand) -> Option<&'o str> {
        hand.owner.as_deref().or(self.first.get(&hand.subject).map(String::as_str))
    }

    /// What of a stream is left to whoever claims it, if it was delivered so long ago.
    fn left<'r>(&mut self, key: &str, idle: Duration, room: &'r mut Room<'_>) -> Option<&'r mut Hand> {
        self.claims = true;
        let now = room.talk.now;
        room.desk.hand(key).filter(|hand| hand.is_left() && hand.delivered.is_none_or(|at| at + idle <= now))
    }

    /// The entries that a consumer gets that claims them.
    pub(crate) fn claim(&mut self, claim: &Claim<'_>, room: &mut Room<'_>) -> Reply {
        let now = room.talk.now;
        let left = self.left(claim.key, claim.idle, room);
        let left = left.filter(|hand| claim.numbers.as_ref().is_none_or(|numbers| numbers.contains(&hand.number)));
        Reply::list(left.map(|hand| entry_for(claim.consumer, hand, now)))
    }

    /// What is idle for so long.
    pub(crate) fn left_over(&mut self, key: &str, idle: Duration, room: &mut Room<'_>) -> Option<Left> {
        let now = room.talk.now;
        let hand = self.left(key, idle, room)?;
        let idle = hand.delivered.map_or(WITHIN, |at| now.saturating_sub(at));
        let owner = self.owner(hand).unwrap_or_default().to_owned();
        let times = [Reply::number(idle.as_millis()), Reply::number(hand.attempt - 1)];
        Some((Reply::text(id_of(hand.number)), owner, times))
    }
}
