//! Texts that are kept for as long as the process runs, each of them once.
//!
//! Ids, subjects, reasons and purposes are copied at every step, so none of them owns its text. A text
//! that is not in the program is put into one table of the process when it is first seen, and stays
//! there: a process takes as much memory as it has seen different texts. The places in the table depend
//! on which thread came first, so nothing that shows may depend on them.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use crate::hash;

/// A text of the table, with its hash.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) text: &'static str,
    pub(super) hash: u64,
}

/// How many different texts there can be.
const TEXTS_MAX: u32 = 1 << 24;
/// How many the first chunk has; each of the others has twice as many as the one before.
const FIRST_CHUNK: u32 = 64;
const CHUNKS: usize = 19;

/// By text, its place. Of two threads that bring the same text, one waits.
static PLACES: RwLock<BTreeMap<&'static str, u32>> = RwLock::new(BTreeMap::new());
/// By place, the text: what is read is never moved, so nobody waits for it.
static TEXTS: [OnceLock<Box<[OnceLock<Kept>]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

/// The place of a text in the table.
///
/// # Panics
/// If the table is full: it has room for 16,777,216 texts.
pub(super) fn place_of(text: &str) -> u32 {
    // A thread that panicked here left a table in which all that is known is there.
    if let Some(place) = PLACES.read().unwrap_or_else(PoisonError::into_inner).get(text) {
        return *place;
    }
    let mut places = PLACES.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(place) = places.get(text) {
        return *place;
    }
    let place = places.len() as u32;
    assert!(place < TEXTS_MAX, "there are too many different texts in ids and reasons: {TEXTS_MAX}, and `{text}`");
    let text: &'static str = Box::leak(text.into());
    let (chunk, at) = chunk_of(place);
    let texts = TEXTS[chunk].get_or_init(|| (0..FIRST_CHUNK << chunk).map(|_| OnceLock::new()).collect());
    texts[at].get_or_init(|| Kept { text, hash: hash::of_name(text) });
    places.insert(text, place);
    place
}

/// The text at a place that [`place_of`] gave.
pub(super) fn at(place: u32) -> &'static Kept {
    let (chunk, at) = chunk_of(place);
    TEXTS[chunk].get().and_then(|texts| texts[at].get()).expect("a text has a place once it is there")
}

/// The text itself, kept.
pub(super) fn keep(text: &str) -> &'static str {
    at(place_of(text)).text
}

/// The chunk of a place, and where it is in that.
fn chunk_of(place: u32) -> (usize, usize) {
    let from_first = place + FIRST_CHUNK;
    let chunk = from_first.ilog2() - FIRST_CHUNK.ilog2();
    (chunk as usize, (from_first - (FIRST_CHUNK << chunk)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_in_one_chunk() {
        let mut before = None;
        for place in (0..5_000).chain([TEXTS_MAX - 2, TEXTS_MAX - 1]) {
            let (chunk, at) = chunk_of(place);
            assert!(chunk < CHUNKS && at < (FIRST_CHUNK << chunk) as usize, "{place}");
            if place < 5_000 {
                let follows = before.is_none_or(|(c, a)| (chunk, at) == (c, a + 1) || (chunk, at) == (c + 1, 0));
                assert!(follows, "{place}");
                before = Some((chunk, at));
            }
        }
    }

    #[test]
    fn threads_that_bring_the_same_texts_get_the_same_places() {
        let texts: Vec<String> = (0..500).map(|number| format!("interned in threads {number}")).collect();
        let places = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|first: usize| {
                    let texts = &texts;
                    scope.spawn(move || {
                        let mut places: Vec<_> = (0..texts.len())
                            .map(|nth| (nth + first * 100) % texts.len())
                            .map(|nth| (nth, place_of(&texts[nth])))
                            .collect();
                        places.sort_unstable();
                        places
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).collect::<Vec<_>>()
        });
        assert!(places.windows(2).all(|two| two[0] == two[1]));
        assert!(places[0].iter().all(|(nth, place)| at(*place).text == texts[*nth]));
    }
}
