//! The result of a complete search in words.

use std::fmt;

use super::{Dependence, Ended, ExhaustResult, FailingRun, Reduction, SEARCHED_STEPS_MAX};
use crate::run::Verdict;
use crate::trace::{count, detail};

impl ExhaustResult {
    /// What was covered, or why not all was: `exhaustive within any order, 1 lost ack: 193,931 states`.
    #[must_use]
    pub fn summary(&self) -> String {
        let bounds = &self.bounds;
        let nothing = "nothing found so far";
        match (self.ended, &self.failing) {
            (Ended::Failing, Some(failing)) => format!("{} within {bounds}", failing.verdict.word()),
            (Ended::All | Ended::Failing, _) => {
                format!("exhaustive within {bounds}: {}", count(self.stats.states, "state"))
            }
            (Ended::Memory, _) => format!("the memory is used up: {nothing}"),
            (Ended::Steps, _) => {
                format!("a run goes on for more than {}: {nothing}", count(SEARCHED_STEPS_MAX.into(), "step"))
            }
            (Ended::Order, _) => format!(
                "the broker's rules are not those of `{}`: build the simulation on `bounds.order.profile()`",
                bounds.order_in_words()
            ),
            (Ended::Works, _) => {
                let why = "handlers work for some time (`takes`), and `--order broker` alone knows ack waits";
                format!("{why}: search with that, or without `takes`")
            }
        }
    }
}

impl FailingRun {
    /// How long it is: `8 steps, no run fails in fewer`.
    #[must_use]
    pub fn length(&self) -> String {
        let fewest = if self.is_shortest { "no run fails in fewer" } else { "perhaps not the fewest" };
        format!("{}, {fewest}", count(self.steps.len() as u64, "step"))
    }
}

/// How clients were searched, if that is not all together for want of clusters.
impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reduction::None => f.write_str("all clients"),
            Reduction::Clusters { clusters, pairs } => {
                let (parts, pairs) = (count((*clusters).into(), "cluster"), count(*pairs, "pair"));
                write!(f, "{parts}; independence: {pairs} in both orders, 0 differ")
            }
            Reduction::Refused(reason) => write!(f, "all clients: {reason}"),
            Reduction::Dependent(Dependence { one, other, what, .. }) => {
                write!(f, "all clients: {what} depends on whether `{one}` or `{other}` is first")
            }
        }
    }
}

/// What was covered and whether it holds; of a run that fails, why, and its steps by name.
impl fmt::Display for ExhaustResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ended {
            Ended::All => write!(f, "held, {}", self.summary())?,
            Ended::Failing => f.write_str(&self.summary())?,
            Ended::Memory | Ended::Steps | Ended::Order | Ended::Works => {
                write!(f, "not complete, {}", self.summary())?
            }
        }
        match &self.reduction {
            Reduction::None => {}
            apart @ Reduction::Clusters { .. } => write!(f, "\napart: {apart}")?,
            together => write!(f, "\ntogether: {together}")?,
        }
        let Some(failing) = &self.failing else { return Ok(()) };
        f.write_str("\n")?;
        if let Verdict::Violated { property, .. } = &failing.verdict {
            write!(f, "{property}: ")?;
        }
        write!(f, "{}", detail(&failing.verdict).unwrap_or_default())?;
        write!(f, "\n{}:", failing.length())?;
        for (place, step) in failing.names.iter().enumerate() {
            write!(f, "\n{:>5}    {step}", place + 1)?;
        }
        Ok(())
    }
}
