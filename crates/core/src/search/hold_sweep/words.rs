//! The result of a hold sweep in words.

use std::fmt;

use super::{DepartedBucket, HoldSweepResult, Tally};
use crate::trace::{count, grouped};

impl HoldSweepResult {
    /// What was covered and how much of it failed: `all 412 one-departure schedules and 13,041 of 84,666 pairs hold`.
    #[must_use]
    pub fn summary(&self) -> String {
        let (singles, pairs) = (&self.singles, &self.pairs);
        if singles.held + pairs.held == singles.played + pairs.played {
            return format!("{} one-departure schedules and {} pairs hold", part(singles), part(pairs));
        }
        let failed = |tally: &Tally| format!("{} of {}", grouped(tally.played - tally.held), grouped(tally.played));
        let left_out = (singles.all - singles.played) + (pairs.all - pairs.played);
        let rest = if left_out > 0 { format!("; {} not played", grouped(left_out)) } else { String::new() };
        let of_pairs = if pairs.played > 0 { format!(" and {} pairs", failed(pairs)) } else { String::new() };
        format!("{} one-departure schedules{of_pairs} fail{rest}", failed(singles))
    }

    /// The buckets by their signatures, what was played first first.
    #[must_use]
    pub fn buckets_in_order(&self) -> Vec<(&str, &DepartedBucket)> {
        let mut buckets: Vec<_> = self.buckets.iter().map(|(signature, bucket)| (signature.as_str(), bucket)).collect();
        buckets.sort_by_key(|(_, bucket)| bucket.place);
        buckets
    }
}

/// How many of how many were played.
fn part(tally: &Tally) -> String {
    if tally.played == tally.all {
        format!("all {}", grouped(tally.all))
    } else {
        format!("{} of {}", grouped(tally.played), grouped(tally.all))
    }
}

/// How many fail so, and how many departures the first of them has: `17 schedules, first with 1 departure`.
impl fmt::Display for DepartedBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", count(self.count, "schedule"))?;
        match self.departures.len() {
            0 => f.write_str("the calm run fails"),
            departures => write!(f, "first with {}", count(departures as u64, "departure")),
        }
    }
}

/// What was covered; for each way to fail, in the order in which they were met, its signature, how many fail so,
/// and the departures of the first of them with its verdict.
impl fmt::Display for HoldSweepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        for (signature, bucket) in self.buckets_in_order() {
            write!(f, "\n{} {signature}: {bucket}", bucket.verdict)?;
            for departure in &bucket.departures {
                write!(f, "\n    {departure}")?;
            }
            write!(f, "\n    {}", bucket.detail)?;
        }
        Ok(())
    }
}
