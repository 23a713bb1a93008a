//! How likely it is that schedulers with a guarantee missed a bug.
//!
//! One run of [`Pctcp`](crate::scheduler::Pctcp) of depth d shows a bug of that depth with probability
//! at least 1 / (c · n^(d-1)), as is proven there; c is the number of chains that begin and n that of
//! turns among which the changes are drawn. So k runs, drawn independently, all miss it with
//! probability at most (1 - 1 / (c · n^(d-1)))^k.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::scheduler::Guarantee;
use crate::trace::grouped;

/// The unit of the fixed point that powers are computed in.
const ONE: u128 = 1 << 62;
/// A bound is worth naming below one half.
const WORTH: u64 = 5_000;

/// The runs that schedulers with a guarantee of one depth played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PctRuns {
    /// How many.
    pub runs: u64,
    /// The most chains that began in one.
    pub chains_max: u64,
    /// Among how many turns those were drawn at which a chain falls behind, at most.
    pub turns_max: u64,
}

impl PctRuns {
    /// Adds others.
    pub fn merge(&mut self, other: PctRuns) {
        self.runs += other.runs;
        self.chains_max = self.chains_max.max(other.chains_max);
        self.turns_max = self.turns_max.max(other.turns_max);
    }
}

impl From<Guarantee> for PctRuns {
    fn from(Guarantee { depth: _, chains, turns }: Guarantee) -> PctRuns {
        PctRuns { runs: 1, chains_max: chains, turns_max: turns }
    }
}

/// How likely it is at most that runs missed a bug of some depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PctBound {
    /// The depth.
    pub depth: u32,
    /// How many runs there are of a scheduler with a guarantee for that depth.
    pub runs: u64,
    /// How many in 10,000 such sets of runs miss such a bug at most, rounded up.
    pub missed_of_10000: u64,
    /// How many runs more bring that down to 1 in 20 at most.
    pub more_runs: u64,
}

/// The bounds for depth 1, 2 and 3, given the runs of that very depth; `None` where there were none.
///
/// They are about bugs that show with as many chains as a run had at most, and whose changes come within
/// as many turns as were drawn among; [`Pctcp`](crate::scheduler::Pctcp) says what a depth is. Faults and
/// the workload are drawn besides, so a bug that needs a certain fault is as much harder to find.
///
/// ```
/// use pellmell::search::{PctRuns, pct_bound};
/// let runs = PctRuns { runs: 400, chains_max: 20, turns_max: 1_000 };
/// let [one, two, three] = pct_bound([runs, runs, PctRuns::default()]);
/// assert_eq!(one.unwrap().to_string(), "depth 1: missed with at most 1 in 10,000");
/// assert_eq!(two.unwrap().to_string(), "depth 2: no bound worth naming (needs 59,600 runs more)");
/// assert!(three.is_none());
/// ```
#[must_use]
pub fn pct_bound(runs_by_depth: [PctRuns; 3]) -> [Option<PctBound>; 3] {
    [1, 2, 3].map(|depth: u32| {
        let PctRuns { runs, chains_max, turns_max } = runs_by_depth[depth as usize - 1];
        let one_in = u128::from(turns_max.max(1)).saturating_pow(depth - 1).saturating_mul(chains_max.max(1).into());
        // (1 - 1/m)^(3m) is below e^-3, and that below 1/20.
        let enough = u64::try_from(one_in.saturating_mul(3)).unwrap_or(u64::MAX);
        let missed_of_10000 = missed_of_10000(one_in, runs);
        (runs > 0).then_some(PctBound { depth, runs, missed_of_10000, more_runs: enough.saturating_sub(runs) })
    })
}

/// (1 - 1/`one_in`)^`runs` in units of 1/10,000, rounded up at each step of its computation.
fn missed_of_10000(one_in: u128, runs: u64) -> u64 {
    let found = ONE / one_in;
    let (mut missed, mut power, mut left) = (ONE, ONE - found, runs);
    while left > 0 {
        if left & 1 == 1 {
            missed = product(missed, power);
        }
        power = product(power, power);
        left >>= 1;
    }
    u64::try_from((missed * 10_000).div_ceil(ONE)).expect("at most 10,000")
}

fn product(one: u128, other: u128) -> u128 {
    (one * other).div_ceil(ONE)
}

impl PctBound {
    /// Whether it is below one half.
    #[must_use]
    pub const fn is_worth_naming(&self) -> bool {
        self.missed_of_10000 < WORTH
    }
}

impl fmt::Display for PctBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PctBound { depth, runs: _, missed_of_10000, more_runs } = self;
        if self.is_worth_naming() {
            write!(f, "depth {depth}: missed with at most {} in 10,000", grouped(*missed_of_10000))
        } else {
            write!(f, "depth {depth}: no bound worth naming (needs {} runs more)", grouped(*more_runs))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound as an exact fraction, for runs few enough that one fits: the numerators of
    /// (m - 1)^k / m^k, compared with the bound in 10,000ths.
    #[test]
    fn a_bound_is_the_power_rounded_up_and_never_below_it() {
        for one_in in 1..=40u128 {
            for runs in 0..=20u64 {
                let (mut above, mut below) = (1u128, 1u128);
                for _ in 0..runs.min(20) {
                    (above, below) = (above * (one_in - 1), below * one_in);
                }
                let exact = above.checked_mul(10_000).map(|above| above.div_ceil(below));
                let found = u128::from(missed_of_10000(one_in, runs));
                let exact = exact.expect("40^20 times 10,000 has fewer than 128 bits");
                assert!(found == exact || found == exact + 1, "1 in {one_in}, {runs} runs: {found} and {exact}");
            }
        }
    }

    fn runs(runs: u64, chains_max: u64, turns_max: u64) -> PctRuns {
        PctRuns { runs, chains_max, turns_max }
    }

    #[test]
    fn more_runs_are_enough_to_miss_with_one_in_twenty() {
        for (chains, turns) in [(1, 1), (1, 9), (7, 100), (40, 2_000)] {
            let needed = pct_bound([runs(1, chains, turns); 3]).map(|bound| 1 + bound.expect("a run").more_runs);
            for bound in pct_bound(needed.map(|needed| runs(needed, chains, turns))).into_iter().flatten() {
                assert!(bound.missed_of_10000 <= 500, "{bound:?}");
                assert_eq!(bound.more_runs, 0);
            }
        }
    }

    #[test]
    fn without_runs_there_is_no_bound_and_the_largest_numbers_fit() {
        assert_eq!(pct_bound([runs(0, 3, 50); 3]), [None; 3]);
        let [one, two, three] = pct_bound([runs(u64::MAX, u64::MAX, u64::MAX); 3]).map(|bound| bound.expect("runs"));
        assert_eq!([one.depth, two.depth, three.depth], [1, 2, 3]);
        assert_eq!(three.missed_of_10000, 10_000, "n squared is beyond the fixed point");
    }
}
