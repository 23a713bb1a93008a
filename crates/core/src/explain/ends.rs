//! Earlier ends of departures: how long what waits has to wait.

use super::observed::{ObservedRun, ObservedStep};
use crate::event::System;
use crate::run::{Judges, Limits, Verdict, run};
use crate::schedule::{Departure, Target};
use crate::scheduler::Departing;
use crate::shrink::same_failure;
use crate::simulation::Simulation;

/// The outcome if something waits less long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EarlierEnds {
    /// What waits.
    pub departure: Departure,
    /// The earliest step after which it may go on and the run fails in the same way; `None` if no earlier
    /// one than the departure says.
    pub enough: Option<EarlierEnd>,
    /// The last step before that after which it may not.
    pub too_early: Option<EarlierEnd>,
}

/// An earlier end of what waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EarlierEnd {
    /// The number of the step after which it goes on.
    pub step: u64,
    /// What happens in that step.
    pub what: Target,
    /// The verdict of the run with this end.
    pub verdict: Verdict,
}

/// For each departure that lasts, the outcome of ending it earlier; nothing where there is no earlier end.
pub(super) fn endings<S: System>(
    simulation: &Simulation<S>,
    departures: &[Departure],
    observed: &ObservedRun<S>,
    judges: &Judges<S>,
    limits: Limits,
) -> Vec<EarlierEnds> {
    let mut endings = Vec::new();
    for (place, departure) in departures.iter().enumerate() {
        let mut ending = EarlierEnds { departure: departure.clone(), enough: None, too_early: None };
        for step in waited(observed, departure) {
            let Some(end) = moment(step) else { continue };
            let mut changed = departures.to_vec();
            changed[place] = departure.clone().ended_by(Some(end.clone()));
            let mut scheduler = Departing::new(changed);
            let verdict = run(&mut simulation.world(), &mut scheduler, judges, limits, &mut ()).verdict;
            let is_same = same_failure(&observed.report.verdict, &verdict);
            let end = EarlierEnd { step: step.record.step, what: end, verdict };
            if is_same {
                ending.enough = Some(end).filter(|end| departure.until() != Some(&end.what));
                break;
            }
            ending.too_early = Some(end);
        }
        if ending.enough.is_some() || ending.too_early.is_some() {
            endings.push(ending);
        }
    }
    endings
}

/// The steps that something waits for, from the first that passes it to the last before it goes on.
fn waited<'a, S: System>(observed: &'a ObservedRun<S>, departure: &Departure) -> &'a [ObservedStep] {
    let what = departure.what();
    let begins = |step: &&ObservedStep| step.is(&what) && step.begins();
    let goes_on = |step: &&ObservedStep| match departure {
        Departure::Pause { .. } => {
            !step.begins() && (step.is(&what) || step.is(&Target::Start(Box::new(what.clone()))))
        }
        Departure::DelayAck { what, .. } => step.is(&Target::Ack(what.clone())),
        Departure::SlowPublish { what, .. } => step.is(&Target::Publish(Box::new(what.clone()))),
        _ => begins(step),
    };
    if let (Departure::Pause { .. }, Target::Await { what: handled, .. }) = (departure, &what) {
        let to = observed.steps.iter().position(|step| step.is(&what)).unwrap_or(observed.steps.len());
        let goes_on = |step: &ObservedStep| matches!(&step.target, Some(Target::Await { what, .. }) if what == handled);
        let is_left = |step: &ObservedStep| step.paused && (goes_on(step) || step.is(handled));
        let from = observed.steps[..to].iter().rposition(is_left).map(|place| place + 1);
        return from.and_then(|from| observed.steps.get(from..to)).unwrap_or_default();
    }
    let place = |wanted: &dyn Fn(&&ObservedStep) -> bool| observed.steps.iter().position(|step| wanted(&step));
    let from = match departure {
        Departure::Hold { .. } => place(&|step| step.passed.contains(&what.key())),
        Departure::Pause { .. } | Departure::DelayAck { .. } | Departure::SlowPublish { .. } => {
            place(&begins).map(|place| place + 1)
        }
        _ => None,
    };
    let to = place(&goes_on).unwrap_or(observed.steps.len());
    from.and_then(|from| observed.steps.get(from..to)).unwrap_or_default()
}

/// How a departure names the end of a step.
fn moment(step: &ObservedStep) -> Option<Target> {
    let target = step.target.clone()?;
    Some(match (step.pauses(), step.paused) {
        (true, true) => Target::Pause(Box::new(target)),
        (true, false) => Target::Start(Box::new(target)),
        (false, _) => target,
    })
}
