//! What deliveries and commands came to before.
//!
//! A handler that is handed the same event at the same state of its store answers, saves and publishes
//! the same. So most steps of a search lead where an equal one led before, in a world that differs
//! elsewhere: the state after them is known, and whether it is news, before they are taken. That is
//! relied on after it has come true once, and what leads to news is taken and judged all the same, so a
//! handler that keeps something elsewhere than in its store is likely to be found out.

use hashbrown::HashTable;

use crate::faults::Fate;
use crate::hash;
use crate::world::{Digest, Still};

/// All that a delivery or a command depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause(u64);

impl Cause {
    /// One that is known by a hash (see `World::known_by`), with a fate.
    #[inline]
    pub(super) fn of(before: Still, known_by: u64, fate: Fate) -> Cause {
        Cause(hash::mix3(before.decides(), known_by, fate.word()))
    }
}

/// What such a step comes to: it changes the parts of the digest that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forecast {
    /// The hash of all stores.
    stores: u64,
    /// By how much the sum grows.
    sum: u64,
    /// Whether the broker is told anything.
    pub(super) answers: bool,
}

impl Forecast {
    pub(super) fn of(before: Digest, after: Digest, answers: bool) -> Forecast {
        Forecast { stores: after.stores, sum: after.sum.wrapping_sub(before.sum), answers }
    }

    /// The digest after such a step.
    #[inline]
    pub(super) fn after(self, before: Digest) -> Digest {
        Digest { stores: self.stores, sum: before.sum.wrapping_add(self.sum), rest: before.rest }
    }
}

/// The forecasts of one walk. The table's order never shows.
#[derive(Default)]
pub(super) struct Forecasts {
    known: HashTable<Known>,
    /// How many bytes of the table were counted.
    counted: u64,
}

/// A cause and what it came to; a word less than with a [`Forecast`] in it.
struct Known {
    cause: Cause,
    stores: u64,
    sum: u64,
    answers: bool,
    /// Whether it has come true.
    is_proven: bool,
}

impl Known {
    #[inline]
    fn forecast(&self) -> Forecast {
        Forecast { stores: self.stores, sum: self.sum, answers: self.answers }
    }
}

/// The same cause came to something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refuted;

impl Forecasts {
    /// So many are kept; then it begins anew. Their table takes two MiB.
    const MOST: usize = 1 << 16;

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// How many bytes more than were counted the table takes, which are counted now.
    pub(super) fn uncounted(&mut self) -> u64 {
        let bytes = (self.known.allocation_size() as u64).saturating_sub(self.counted);
        self.counted += bytes;
        bytes
    }

    /// What a step comes to, if that is certain enough.
    #[inline]
    pub(super) fn find(&self, cause: Cause) -> Option<Forecast> {
        let known = self.known.find(cause.0, |known| known.cause == cause)?;
        known.is_proven.then(|| known.forecast())
    }

    /// Notes what a step came to that was taken.
    pub(super) fn note(&mut self, cause: Cause, forecast: Forecast) -> Result<(), Refuted> {
        if let Some(known) = self.known.find_mut(cause.0, |known| known.cause == cause) {
            if known.forecast() != forecast {
                return Err(Refuted);
            }
            known.is_proven = true;
            return Ok(());
        }
        if self.known.len() >= Forecasts::MOST * 7 / 8 {
            self.clear();
        }
        let Forecast { stores, sum, answers } = forecast;
        let known = Known { cause, stores, sum, answers, is_proven: false };
        self.known.insert_unique(cause.0, known, |known| known.cause.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::{Prng, Stream};
    use crate::scheduler::Action;
    use crate::search::exhaust::worlds::{Worlds, tests::simulation};

    /// Random walks through worlds of all four services; each step that was taken before is foretold.
    #[test]
    fn what_is_foretold_is_what_comes() {
        let (mut foretold, mut saved) = (0, 0);
        // Under the profile in which a delivery is answered in one go.
        for seed in (0..18).step_by(3) {
            let mut prng = Prng::new(seed, Stream::Workload);
            let mut forecasts = Forecasts::default();
            for _ in 0..400 {
                let mut worlds = Worlds::new(simulation(seed).world());
                for depth in 0..40 {
                    let (world, digest) = (worlds.at(depth), worlds.digest(depth));
                    let enabled: Vec<_> = world.enabled().iter().collect();
                    if enabled.is_empty() {
                        break;
                    }
                    let late = enabled.iter().find(|action| matches!(action, Action::Join(_)));
                    let action = *late.unwrap_or(&enabled[prng.below(enabled.len() as u32) as usize]);
                    let chosen = world.chosen(action).filter(|_| prng.below(4) == 0);
                    let fate = chosen.map_or(Fate::CALM, |_| Fate::any(&mut prng, false));
                    let still = world.still(digest).filter(|_| fate.lets_through());
                    let known_by = still.and_then(|still| Some((still, world.known_by(action)?)));
                    let words = world.describe(action);
                    let step = worlds.step(depth, action, fate);
                    let (world, digest) = (worlds.at(depth + 1), worlds.digest(depth + 1));
                    let Some((before, known_by)) = known_by.filter(|_| !world.looked_around()) else { continue };
                    let cause = Cause::of(before, known_by, fate);
                    let after = world.still(digest).filter(|after| after.has_only_handled(&before));
                    let forecast = after.map(|after| Forecast::of(before.digest, after.digest, step.acked().is_some()));
                    if let Some(known) = forecasts.find(cause) {
                        assert_eq!(Some(known), forecast, "{words} with {fate:?}, seed {seed}");
                        assert_eq!(known.after(before.digest), digest, "{words} with {fate:?}, seed {seed}");
                        (foretold, saved) = (foretold + 1, saved + u32::from(step.saved()));
                    }
                    if let Some(forecast) = forecast {
                        assert_eq!(forecasts.note(cause, forecast), Ok(()), "{words} with {fate:?}, seed {seed}");
                    }
                }
            }
        }
        assert!(foretold > 1_000 && saved > 100, "few were foretold: {foretold}, {saved} of them saved");
    }

    #[test]
    fn a_forecast_is_relied_on_once_it_has_come_true() {
        let mut forecasts = Forecasts::default();
        let (cause, forecast) = (Cause(7), Forecast { stores: 1, sum: 2, answers: true });
        assert_eq!((forecasts.note(cause, forecast), forecasts.find(cause)), (Ok(()), None));
        assert_eq!((forecasts.note(cause, forecast), forecasts.find(cause)), (Ok(()), Some(forecast)));
        assert_eq!(forecasts.note(cause, Forecast { answers: false, ..forecast }), Err(Refuted));
    }

    #[test]
    fn when_there_are_too_many_it_begins_anew() {
        let mut forecasts = Forecasts::default();
        let forecast = Forecast { stores: 1, sum: 2, answers: true };
        let cause = |number| Cause(hash::mix(number, 1));
        let numbers = 0..2 * Forecasts::MOST as u64;
        for number in numbers.clone().flat_map(|number| [number; 2]) {
            assert_eq!(forecasts.note(cause(number), forecast), Ok(()));
            assert!(forecasts.known.capacity() <= Forecasts::MOST);
        }
        let ends = [numbers.start, numbers.end - 1].map(|number| forecasts.find(cause(number)));
        assert_eq!(ends, [None, Some(forecast)]);
    }
}
