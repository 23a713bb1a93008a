//! How likely it is that schedulers with a guarantee missed a bug.
//!
//! PCT draws random priorities for chains of actions and d - 1 moments at which a priority falls. A
//! bug of depth d, one that shows whenever d certain actions come in a certain order, is found by one
//! such run with probability at least 1 / (c · n^(d-1)), where c is the number of chains and n that of
//! actions: Burckhardt, Kothari, Musuvathi and Nagarakatte, "A Randomized Scheduler with Probabilistic
//! Guarantees of Finding Bugs", ASPLOS 2010, for threads; Ozkan, Majumdar, Niksic, Tabaei Befrouei and
//! Weissenbacher, "Randomized Testing of Distributed Systems with Probabilistic Guarantees", OOPSLA
//! 2018, for chains that are found on the way, of which there are at most w² if no more than w actions
//! are ever unordered; so theirs reads 1 / (w² · n^(d-1)).

use std::fmt;

use serde::Serialize;

use crate::trace::grouped;

/// The unit of the fixed point that powers are computed in.
const ONE: u128 = 1 << 62;
/// A bound is worth naming below one half.
const WORTH: u64 = 5_000;

/// How likely it is at most that runs missed a bug of some depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PctBound {
    /// The depth.
    pub depth: u32,
    /// How many runs there are of a scheduler of that depth.
    pub runs: u64,
    /// How many in 10,000 such sets of runs miss such a bug at most, rounded up.
    pub missed_of_10000: u64,
    /// How many runs more bring that down to 1 in 20 at most.
    pub more_runs: u64,
}

/// The bounds for depth 1, 2 and 3, given how many runs a PCT scheduler of that very depth played, the
/// most chains and the most actions a run had.
///
/// It holds if the schedulers keep to the algorithm: priorities are drawn evenly, exactly d - 1 of them
/// fall, at moments drawn evenly among the actions, and runs are drawn independently. What else decides
/// a run, faults and the workload, must be what the bug needs, so strictly it is about bugs that need
/// no faults. Runs of another depth are not counted.
///
/// ```
/// use pellmell::search::pct_bound;
/// let [one, two, three] = pct_bound([400, 400, 0], 20, 1_000);
/// assert_eq!(one.to_string(), "depth 1: missed with at most 1 in 10,000");
/// assert_eq!(two.to_string(), "depth 2: no bound worth naming (needs 59,600 runs more)");
/// assert_eq!(three.more_runs, 60_000_000);
/// ```
#[must_use]
pub fn pct_bound(runs_by_depth: [u64; 3], chains: u64, actions: u64) -> [PctBound; 3] {
    [1, 2, 3].map(|depth: u32| {
        let runs = runs_by_depth[depth as usize - 1];
        let one_in = u128::from(actions.max(1)).saturating_pow(depth - 1).saturating_mul(chains.max(1).into());
        // (1 - 1/m)^(3m) is below e^-3, and that below 1/20.
        let enough = u64::try_from(one_in.saturating_mul(3)).unwrap_or(u64::MAX);
        PctBound { depth, runs, missed_of_10000: missed_of_10000(one_in, runs), more_runs: enough.saturating_sub(runs) }
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

    #[test]
    fn more_runs_are_enough_to_miss_with_one_in_twenty() {
        for (chains, actions) in [(1, 1), (1, 9), (7, 100), (40, 2_000)] {
            let needed = pct_bound([0; 3], chains, actions).map(|bound| bound.more_runs);
            for bound in pct_bound(needed, chains, actions) {
                assert!(bound.missed_of_10000 <= 500, "{bound:?}");
                assert_eq!(bound.more_runs, 0);
            }
        }
    }

    #[test]
    fn without_runs_nothing_is_bounded_and_the_largest_numbers_fit() {
        let bounds = pct_bound([0; 3], 3, 50);
        assert_eq!(bounds.map(|bound| bound.missed_of_10000), [10_000; 3]);
        assert_eq!(bounds[1].to_string(), "depth 2: no bound worth naming (needs 450 runs more)");
        let bounds = pct_bound([u64::MAX; 3], u64::MAX, u64::MAX);
        assert_eq!(bounds.map(|bound| bound.depth), [1, 2, 3]);
        assert_eq!(bounds[2].missed_of_10000, 10_000, "n squared is beyond the fixed point");
    }
}
