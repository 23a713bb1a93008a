//! Commuting steps: which steps may as well come at another time.

use std::collections::BTreeMap;

use super::observed::{ObservedRun, ObservedStep, continue_run};
use crate::event::System;
use crate::faults::Fate;
use crate::run::{Judges, Limits};
use crate::scheduler::{Action, Chosen, Enabled, Move, Offer, Scheduler};
use crate::shrink::same_failure;

/// The places of the steps that may stand anywhere: wherever else such a step can stand, the run fails
/// in the same way.
///
/// A step can stand before an earlier step if it can happen there, and after a later one if that can
/// happen without it. The other steps keep their order; those that cannot happen yet, because it
/// leads to them, come as soon as they can; and in the end comes the calm order. The clock does not
/// count: it moves when time passes, not in an order. A step with no other place to stand at is not
/// among them.
pub(super) fn anywhere<S: System>(observed: &ObservedRun<S>, judges: &Judges<S>, limits: Limits) -> Vec<usize> {
    let places = 0..observed.steps.len();
    let movable = places.clone().filter(|place| observed.steps[*place].action != Action::Advance);
    let anywhere = movable.filter(|from| {
        let fails = |to: usize| fails_moved(observed, *from, to, judges, limits);
        let mut others = places.clone().filter(|to| to != from).filter_map(fails).peekable();
        others.peek().is_some() && others.all(|fails| fails)
    });
    anywhere.collect()
}

/// Whether the run fails in the same way with one step moved to the place of another one; `None` if it
/// cannot stand there.
fn fails_moved<S: System>(
    observed: &ObservedRun<S>,
    from: usize,
    to: usize,
    judges: &Judges<S>,
    limits: Limits,
) -> Option<bool> {
    let begin = from.min(to);
    let mut order: Vec<&ObservedStep> = observed.steps[begin..].iter().collect();
    let moved = order.remove(from - begin);
    let behind = order.split_off(to - begin);
    let mut script = ByName {
        before: order.iter().map(|step| (step.name, step.fate)).collect(),
        moved: Some((moved.name, moved.fate)),
        behind: behind.iter().map(|step| (step.name, step.fate)).collect(),
        after: order.last().map(|step| step.name),
        broken: false,
        names: BTreeMap::new(),
        fate: Fate::CALM,
    };
    let verdict = continue_run(&mut observed.worlds.get(begin)?.clone(), &mut script, judges, limits);
    (!script.broken).then(|| same_failure(&observed.report.verdict, &verdict))
}

/// Plays steps by their names, and then the calm order.
struct ByName {
    /// The names and fates of what comes before the step that is moved, as far as it can.
    before: Vec<(u64, Fate)>,
    moved: Option<(u64, Fate)>,
    behind: Vec<(u64, Fate)>,
    /// What has to have happened before the step that is moved.
    after: Option<u64>,
    /// Whether the step cannot stand there.
    broken: bool,
    names: BTreeMap<Action, u64>,
    fate: Fate,
}

impl ByName {
    fn find(&self, name: u64, enabled: &Enabled<'_>) -> Option<Action> {
        enabled.iter().find(|action| match action {
            Action::Advance => enabled.clock() == Some(name),
            action => self.names.get(action) == Some(&name),
        })
    }

    /// The first of these steps that can happen; it is taken out of them.
    fn next(&self, steps: &mut Vec<(u64, Fate)>, enabled: &Enabled<'_>) -> Option<(u64, Move)> {
        let found =
            |(place, (name, fate)): (usize, &(u64, Fate))| Some((place, self.find(*name, enabled)?, *name, *fate));
        let (place, action, name, fate) = steps.iter().enumerate().find_map(found)?;
        steps.remove(place);
        Some((name, Move { action, fate }))
    }

    fn next_before(&mut self, enabled: &Enabled<'_>) -> Option<Move> {
        let mut before = std::mem::take(&mut self.before);
        let next = self.next(&mut before, enabled);
        self.before = before;
        let (name, step) = next?;
        self.after = self.after.filter(|after| *after != name);
        Some(step)
    }

    fn next_moved(&mut self, enabled: &Enabled<'_>) -> Option<Move> {
        let (name, fate) = self.moved.take()?;
        // What it leads to comes behind it, in the old order.
        let later = std::mem::take(&mut self.before);
        self.behind.splice(0..0, later);
        let found = self.find(name, enabled).filter(|_| self.after.is_none());
        self.broken |= found.is_none();
        Some(Move { action: found?, fate })
    }

    fn next_behind(&mut self, enabled: &Enabled<'_>) -> Option<Move> {
        let mut behind = std::mem::take(&mut self.behind);
        let next = self.next(&mut behind, enabled);
        self.behind = behind;
        next.map(|(_, step)| step)
    }
}

impl Scheduler for ByName {
    fn offer(&mut self, offer: Offer) {
        self.names.insert(offer.action, offer.key);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let next = if self.after.is_some() { self.next_before(enabled) } else { None };
        let next = next.or_else(|| self.next_moved(enabled)).or_else(|| self.next_behind(enabled));
        let Move { action, fate } = next.unwrap_or_else(|| {
            Move::calm(enabled.calm().expect("a scheduler is asked only when something may happen"))
        });
        self.fate = fate;
        action
    }

    fn fate(&mut self, _chosen: &Chosen) -> Fate {
        self.fate
    }
}
