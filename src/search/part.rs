//! Parts of a sweep: seeds in a row and what came of them. Two parts side by side are one part.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::sweep::SweepResult;

/// Seeds in a row and what came of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The seeds.
    pub seeds: Range<u64>,
    /// What came of them.
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

/// Parts with gaps between them, by their first seeds. There are as many as there are gaps, so they
/// take the same memory however many runs are in them.
pub(super) struct Parts(BTreeMap<u64, Part>);

impl Parts {
    /// One part, which comes before all others.
    pub(super) fn new(first: Part) -> Parts {
        Parts(BTreeMap::from([(first.seeds.start, first)]))
    }

    /// Joins a part to those beside it.
    pub(super) fn add(&mut self, mut part: Part) {
        if let Some(next) = self.0.remove(&part.seeds.end) {
            part.append(next);
        }
        match self.0.range_mut(..=part.seeds.start).next_back() {
            Some((_, before)) if before.seeds.end == part.seeds.start => before.append(part),
            _ => {
                self.0.insert(part.seeds.start, part);
            }
        }
    }

    /// The first part.
    pub(super) fn first(&self) -> &Part {
        self.0.values().next().expect("there is a first part from the beginning")
    }

    /// The first part, and nothing of what comes after a gap.
    pub(super) fn into_first(mut self) -> Part {
        self.0.pop_first().expect("there is a first part from the beginning").1
    }
}

/// Takes the next `size` of what is left up to `end`, for one thread; `None` if nothing is left.
pub(super) fn take(next: &AtomicU64, size: u64, end: u64) -> Option<Range<u64>> {
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
            let mut parts = Parts::new(Part::none(3));
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
