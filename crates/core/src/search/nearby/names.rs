//! Other names for what does not exist any more, taken from what happens in runs.

use super::seen::Seen;
use crate::ids::Version;
use crate::schedule::{DeliverySpec, Departure, NamedStep, Target};

/// How many of the nearest names are tried for one that is gone.
const NAMES_MAX: usize = 3;

/// Which names take the place of which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Renaming {
    /// What does not happen any more, and what happens instead: each as what a handler runs for.
    instead: Vec<(Target, Target)>,
    /// By how much the versions of a kind of record are others.
    shift: Option<(char, i128)>,
}

impl Renaming {
    /// The renamings that a schedule and its recorded steps suggest, the likeliest first: the nearest name for
    /// all that is gone, versions that begin elsewhere, then the other names that are near.
    pub(super) fn all(departures: &[Departure], steps: &[NamedStep], seen: &Seen) -> Vec<Renaming> {
        let named = departures.iter().flat_map(|departure| [Some(departure.what()), departure.until().cloned()]);
        let named: Vec<Target> = named.flatten().collect();
        let told: Vec<Target> = steps.iter().map(|step| step.what.clone()).collect();
        let before = [&named[..], &told].concat();
        let known: Vec<Target> = seen.targets().map(Target::handled).collect();
        let near = |gone: &Target| -> Vec<Target> {
            gone.by_nearness(&known, &before).into_iter().take(NAMES_MAX).cloned().collect()
        };
        let gone_in = |targets: &[Target]| {
            let mut gone: Vec<(Target, Vec<Target>)> = Vec::new();
            for what in targets.iter().filter(|what| !seen.has(what)).map(Target::handled) {
                if gone.iter().all(|(other, _)| *other != what) {
                    gone.push((what.clone(), near(&what)));
                }
            }
            gone
        };
        let (gone, gone_in_steps) = (gone_in(&named), gone_in(&before));
        let first = |(gone, near): &(Target, Vec<Target>)| Some((gone.clone(), near.first()?.clone()));
        let nearest = Renaming { instead: gone_in_steps.iter().filter_map(first).collect(), shift: None };
        let mut shifts: Vec<(char, i128)> = Vec::new();
        for (gone, near) in &gone_in_steps {
            shifts.extend(
                near.iter()
                    .filter_map(|near| shift_between(gone, near))
                    .filter(|shift| !shifts.contains(shift))
                    .collect::<Vec<_>>(),
            );
        }
        let mut all = vec![nearest.clone()];
        all.extend(shifts.into_iter().map(|shift| Renaming { shift: Some(shift), ..nearest.clone() }));
        all.extend(combinations(&gone).into_iter().map(|instead| {
            let others = nearest.instead.iter().filter(|(gone, _)| instead.iter().all(|(other, _)| other != gone));
            Renaming { instead: instead.iter().chain(others).cloned().collect(), shift: None }
        }));
        all.retain(|renaming| *renaming != Renaming::default());
        all
    }

    /// A schedule with these names.
    pub(super) fn departures(&self, departures: &[Departure], seen: &Seen) -> Vec<Departure> {
        let renamed = departures.iter().map(|departure| {
            let (was, until) = (departure.what(), departure.until().map(|until| self.target(until)));
            let what = self.target(&was);
            let service = seen.service_of(&what).unwrap_or_default();
            let about = (what != was).then(|| departure.clone().about(&what, &service)).flatten();
            about.unwrap_or_else(|| departure.clone()).ended_by(until)
        });
        renamed.collect()
    }

    /// Recorded steps with these names.
    pub(super) fn steps(&self, steps: &[NamedStep]) -> Vec<NamedStep> {
        steps.iter().map(|step| NamedStep { what: self.target(&step.what), fate: step.fate }).collect()
    }

    fn target(&self, what: &Target) -> Target {
        let handled = what.handled();
        if let (Some((kind, by)), Target::Delivery(delivery)) = (self.shift, &handled)
            && delivery.record.kind() == kind
            && let Some(shifted) = shifted(delivery, by)
        {
            return what.of(&shifted);
        }
        match self.instead.iter().find(|(gone, _)| *gone == handled) {
            Some((_, instead)) => what.of(instead),
            None => what.clone(),
        }
    }
}

fn shifted(delivery: &DeliverySpec, by: i128) -> Option<Target> {
    let version = u64::try_from(i128::from(delivery.version?.0) + by).ok()?;
    Some(Target::Delivery(DeliverySpec { version: Some(Version(version)), ..delivery.clone() }))
}

/// By how much the versions of a kind of record are others, if two names differ in that alone.
fn shift_between(gone: &Target, near: &Target) -> Option<(char, i128)> {
    let (Target::Delivery(gone), Target::Delivery(near)) = (gone, near) else { return None };
    let by = i128::from(near.version?.0) - i128::from(gone.version?.0);
    let same = DeliverySpec { version: near.version, ..gone.clone() } == *near;
    (same && by != 0).then_some((gone.record.kind(), by))
}

/// Every way to put one of the nearest names in the place of each that is gone.
fn combinations(gone: &[(Target, Vec<Target>)]) -> Vec<Vec<(Target, Target)>> {
    let mut combinations = vec![Vec::new()];
    for (gone, near) in gone.iter().filter(|(_, near)| !near.is_empty()).take(4) {
        let longer = near.iter().flat_map(|near| {
            let with =
                |begun: &Vec<(Target, Target)>| begun.iter().cloned().chain([(gone.clone(), near.clone())]).collect();
            combinations.iter().map(with).collect::<Vec<_>>()
        });
        combinations = longer.collect();
    }
    combinations
}
