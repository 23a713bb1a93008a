//! Parts of a sweep: seeds in a row and their result. Two parts side by side are one part, so at
//! any moment there is one part that begins with the first seed: whoever keeps it can go on from there
//! later.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::sweep::SweepResult;

/// Seeds in a row and their result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Their result.
    pub result: SweepResult,
}

impl Part {
    /// No seeds, before this one.
    #[must_use]
    pub fn none(seed: u64) -> Part {
        Part { seeds: seed..seed, result: SweepResult::default() }
    }

    /// Makes the part that begins where this one ends a part of it.
    ///
    /// # Panics
    /// If it begins elsewhere.
    pub fn append(&mut self, next: Part) {
        assert_eq!(self.seeds.end, next.seeds.start, "parts are joined side by side");
        self.seeds.end = next.seeds.end;
        self.result.merge(next.result);
    }
}

/// How far a sweep is.
#[derive(Debug)]
pub struct SoFar<'a, P = Part> {
    /// The result of all seeds from the first up to one, without a gap.
    pub part: &'a P,
    /// How many runs are done, those that come after a gap included.
    pub done: u64,
    /// How many of them failed.
    pub failed: u64,
}

/// The result of numbers in a row, such as seeds.
pub trait Piece: Sized {
    /// The numbers.
    fn range(&self) -> &Range<u64>;

    /// How many of their runs failed.
    fn failed(&self) -> u64;

    /// Adds the piece that begins where this one ends.
    fn append(&mut self, next: Self);
}

impl Piece for Part {
    fn range(&self) -> &Range<u64> {
        &self.seeds
    }

    fn failed(&self) -> u64 {
        self.result.totals.runs() - self.result.totals.held
    }

    fn append(&mut self, next: Part) {
        Part::append(self, next);
    }
}

/// Pieces with gaps between them, by their first numbers. There are as many as there are gaps, so they
/// take the same memory however many runs are in them.
struct Pieces<P>(BTreeMap<u64, P>);

impl<P: Piece> Pieces<P> {
    /// One piece, which comes before all others.
    fn new(first: P) -> Pieces<P> {
        Pieces(BTreeMap::from([(first.range().start, first)]))
    }

    /// Joins a piece to those beside it.
    fn add(&mut self, mut piece: P) {
        if let Some(next) = self.0.remove(&piece.range().end) {
            piece.append(next);
        }
        match self.0.range_mut(..=piece.range().start).next_back() {
            Some((_, before)) if before.range().end == piece.range().start => before.append(piece),
            _ => {
                self.0.insert(piece.range().start, piece);
            }
        }
    }

    /// The first piece.
    fn first(&self) -> &P {
        self.0.values().next().expect("there is a first piece from the beginning")
    }

    /// The first piece, and nothing of what comes after a gap.
    fn into_first(mut self) -> P {
        self.0.pop_first().expect("there is a first piece from the beginning").1
    }
}

/// About how many steps a thread takes before it hands over what it has: some milliseconds, so that
/// a sweep that is stopped or killed loses little, and threads seldom meet.
const BLOCK_STEPS: u64 = 1 << 16;
/// The most runs a thread takes at a time.
const BLOCK_MAX: u64 = 256;

/// Plays on behind `begun`, up to `end`, on threads that take blocks of what is left. `player` makes for
/// each thread what plays a block, and says in how many steps. `watch` sees how far it is each time a
/// thread has finished one; if it breaks, the blocks under way are finished and no others begin.
///
/// What comes back goes from where `begun` begins up to one number, `end` if `watch` never broke.
pub(crate) fn play<P: Piece + Send, E: Send, F: FnMut(Range<u64>) -> Result<(P, u64), E>>(
    begun: P,
    end: u64,
    threads: u32,
    watch: impl FnMut(&SoFar<'_, P>) -> ControlFlow<()> + Send,
    player: impl Fn() -> F + Sync,
) -> Result<P, E> {
    let next = AtomicU64::new(begun.range().end);
    let stopped = AtomicBool::new(false);
    let joined = Mutex::new(Joined::new(begun, watch));
    let work = || {
        let mut play = player();
        let mut size = 1;
        while !stopped.load(Relaxed) {
            let Some(block) = take(&next, size, end) else { break };
            let (piece, steps) = play(block)?;
            size = (size * BLOCK_STEPS / steps.max(1)).clamp(1, BLOCK_MAX);
            if joined.lock().unwrap_or_else(PoisonError::into_inner).add(piece).is_break() {
                stopped.store(true, Relaxed);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut ended = work();
        for other in others {
            ended = ended.and(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        ended
    })?;
    Ok(joined.into_inner().unwrap_or_else(PoisonError::into_inner).pieces.into_first())
}

/// What the threads have finished, and who watches it.
struct Joined<P, W> {
    pieces: Pieces<P>,
    done: u64,
    failed: u64,
    watch: W,
}

impl<P: Piece, W: FnMut(&SoFar<'_, P>) -> ControlFlow<()>> Joined<P, W> {
    fn new(begun: P, watch: W) -> Joined<P, W> {
        let (done, failed) = (begun.range().end - begun.range().start, begun.failed());
        Joined { pieces: Pieces::new(begun), done, failed, watch }
    }

    fn add(&mut self, piece: P) -> ControlFlow<()> {
        self.done += piece.range().end - piece.range().start;
        self.failed += piece.failed();
        self.pieces.add(piece);
        (self.watch)(&SoFar { part: self.pieces.first(), done: self.done, failed: self.failed })
    }
}

/// Takes the next `size` of what is left up to `end`, for one thread; `None` if nothing is left.
fn take(next: &AtomicU64, size: u64, end: u64) -> Option<Range<u64>> {
    let end_of = |begin: u64| begin.saturating_add(size).min(end);
    let begin = next.fetch_update(Relaxed, Relaxed, |begin| (begin < end).then(|| end_of(begin))).ok()?;
    Some(begin..end_of(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part whose result says which seeds are in it: their number and their sum.
    fn part(seeds: Range<u64>) -> Part {
        let mut result = SweepResult::default();
        result.totals.held = seeds.end - seeds.start;
        result.fingerprint = seeds.clone().sum();
        Part { seeds, result }
    }

    #[test]
    fn parts_are_joined_in_whatever_order_they_come() {
        for orders in 0..24u64 {
            let mut blocks = vec![3..5, 5..6, 6..9, 9..12];
            let mut parts = Pieces::new(Part::none(3));
            let mut rest = orders;
            while !blocks.is_empty() {
                let place = usize::try_from(rest % blocks.len() as u64).expect("a place");
                rest /= blocks.len() as u64;
                parts.add(part(blocks.remove(place)));
                assert_eq!(*parts.first(), part(parts.first().seeds.clone()), "order {orders}");
                assert!(parts.0.len() <= 3, "two neighbours are one part");
            }
            assert_eq!(parts.into_first(), part(3..12), "order {orders}");
        }
    }
}
