//! How long what waits has to wait.

use super::played::{Played, Taken};
use crate::event::System;
use crate::run::{Judges, Limits, Verdict, run};
use crate::schedule::{Departure, Target};
use crate::scheduler::Departing;
use crate::shrink::same_failure;
use crate::simulation::Simulation;

/// What comes of it if something waits less long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ending {
    /// What waits.
    pub departure: Departure,
    /// The earliest step after which it may go on and the run fails in the same way, and what happens
    /// in it; `None` if no earlier one than the departure says.
    pub enough: Option<(u64, Target)>,
    /// The last step before that after which it may not, what happens in it, and what the run comes to
    /// then.
    pub too_early: Option<(u64, Target, Verdict)>,
}

/// For each departure that lasts, what comes of ending it earlier; nothing where there is no earlier end.
pub(super) fn endings<S: System>(
    simulation: &Simulation<S>,
    departures: &[Departure],
    played: &Played<S>,
    judges: &Judges<S>,
    limits: Limits,
) -> Vec<Ending> {
    let mut endings = Vec::new();
    for (place, departure) in departures.iter().enumerate() {
        let mut ending = Ending { departure: departure.clone(), enough: None, too_early: None };
        for step in waited(played, departure) {
            let Some(end) = moment(step) else { continue };
            let mut changed = departures.to_vec();
            changed[place] = departure.clone().ended_by(Some(end.clone()));
            let mut scheduler = Departing::new(changed);
            let verdict = run(&mut simulation.world(), &mut scheduler, judges, limits, &mut ()).verdict;
            if same_failure(&played.report.verdict, &verdict) {
                ending.enough = Some((step.record.step, end)).filter(|(_, end)| departure.until() != Some(end));
                break;
            }
            ending.too_early = Some((step.record.step, end, verdict));
        }
        if ending.enough.is_some() || ending.too_early.is_some() {
            endings.push(ending);
        }
    }
    endings
}

/// The steps that something waits for, from the first that passes it to the last before it goes on.
fn waited<'a, S: System>(played: &'a Played<S>, departure: &Departure) -> &'a [Taken] {
    let what = departure.what();
    let begins = |step: &&Taken| step.is(&what) && step.begins();
    let goes_on = |step: &&Taken| match departure {
        Departure::Pause { .. } => step.is(&what) && !step.begins(),
        Departure::DelayAck { what, .. } => step.is(&Target::Ack(what.clone())),
        _ => begins(step),
    };
    let place = |wanted: &dyn Fn(&&Taken) -> bool| played.steps.iter().position(|step| wanted(&step));
    let from = match departure {
        Departure::Hold { .. } => place(&|step| step.passed.contains(&what.key())),
        Departure::Pause { .. } | Departure::DelayAck { .. } => place(&begins).map(|place| place + 1),
        _ => None,
    };
    let to = place(&goes_on).unwrap_or(played.steps.len());
    from.and_then(|from| played.steps.get(from..to)).unwrap_or_default()
}

/// How a departure names the end of a step.
fn moment(step: &Taken) -> Option<Target> {
    let target = step.target.clone()?;
    Some(if step.pauses() { Target::Pause(Box::new(target)) } else { target })
}
