//! Shards: a sweep divided among processes that know nothing of each other.

use std::ops::Range;

/// One of several parts of a sweep: a block of its seeds, and one of the schedules of its hold sweep.
///
/// ```
/// use pellmell::results::Shard;
///
/// let third = Shard::new(2, 8).expect("2 of 0 to 7");
/// assert_eq!(third.block(&(0..8_000_000)), 2_000_000..3_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Shard `index` of `count`, from 0; `None` if there is none.
    #[must_use]
    pub const fn new(index: u64, count: u64) -> Option<Shard> {
        if index < count { Some(Shard { index, count }) } else { None }
    }

    /// Which one it is, from 1, as people count.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.index + 1
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.count
    }

    /// Its block of these numbers: the seeds, or the schedules of the hold sweep. The blocks of all
    /// shards follow each other without gap and overlap; no two of them differ in length by more than 1,
    /// so some are empty if there are more shards than numbers.
    #[must_use]
    pub fn block(self, all: &Range<u64>) -> Range<u64> {
        let length = u128::from(all.end.saturating_sub(all.start));
        let at = |index: u64| {
            let before = length * u128::from(index) / u128::from(self.count);
            all.start + u64::try_from(before).expect("no more than the length")
        };
        at(self.index)..at(self.index + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_of_all_shards_follow_each_other_and_are_equally_long() {
        for all in [0..0, 5..5, 0..1, 7..10, 0..1_000, u64::MAX - 9..u64::MAX, 0..u64::MAX] {
            for count in [1, 2, 3, 7, 8, 64] {
                let (mut end, mut lengths) = (all.start, Vec::new());
                for index in 0..count {
                    let block = Shard::new(index, count).expect("a shard").block(&all);
                    assert_eq!(block.start, end, "shard {index} of {count} of {all:?}");
                    lengths.push(block.end - block.start);
                    end = block.end;
                }
                assert_eq!(end, all.end);
                let (least, most) = (lengths.iter().min(), lengths.iter().max());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{lengths:?}");
            }
        }
        assert_eq!((Shard::new(8, 8), Shard::new(0, 0)), (None, None));
    }
}
