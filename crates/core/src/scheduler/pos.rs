//! Partial order sampling: priorities that are drawn again where actions race.
//!
//! After Yuan, Yang and Gu, "Partial order aware concurrency sampling" (CAV 2018). Each action has a
//! random priority, and the most urgent enabled one is next. When it has happened, the priorities of
//! those that race with it are drawn again: otherwise what lost one race would go on to lose most of
//! the others, and orders in which it loses some and wins some would hardly be met.
//!
//! Two actions race if handlers of one service run in both: they read and save in one store. That
//! is more than those that touch a common record, because a handler may read another record,
//! and which records a handler is going to touch nobody knows before. Late acks, joins of groups, and
//! deliveries to a group that several services share race with nothing.
//!
//! A priority is drawn by the name of the action, and again by the names of both. As long as very much
//! is pending, not all that races is drawn again, or a run would be quadratic in its messages: as many
//! as [`RACERS_MAX`], those whose names come next after a place that the action's name says.

mod few;

use std::collections::BTreeMap;

use self::few::Few;
use super::speeds::Speeds;
use super::{Action, Chosen, Enabled, Offer, Scheduler, looked_at};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::hash;
use crate::prng::{Purpose, RunKey};

/// Where more actions are pending, not all that race with one that happened are drawn again.
const FEW_MAX: usize = 1_024;
/// Of how many the priorities are drawn again then, at most.
const RACERS_MAX: usize = 64;

/// Picks the most urgent action, and draws again the urgency of those that race with it.
#[derive(Clone, Debug)]
pub struct Pos {
    key: RunKey,
    fates: Fates,
    /// The offers with their urgency; smaller numbers are more urgent. One that is not enabled when
    /// its turn comes was overtaken by events.
    pending: Pending,
    /// The hash of the timers that fired, by name: a timer that fires again has a new draw.
    fired: u64,
}

/// Offers with their urgency: in lists as long as they are short, which is quicker.
#[derive(Clone, Debug)]
enum Pending {
    Few(Few),
    Many(Ranked),
}

/// By urgency, key and action.
type Rank = (u64, u64, Action);

/// Many offers, by rank, with their places, and by place.
#[derive(Clone, Debug, Default)]
struct Ranked {
    order: BTreeMap<Rank, u64>,
    places: BTreeMap<u64, Racing>,
}

/// What is offered in one place, by key and action, with what was drawn for it.
type Racing = BTreeMap<(u64, Action), (u64, Offer)>;

impl Ranked {
    /// Of two equal offers the more urgent one stays, for which the larger word was drawn.
    fn add(&mut self, speeds: Speeds, word: u64, offer: Offer) {
        let place = self.places.entry(offer.place).or_default();
        let (held, _) = place.entry((offer.key, offer.action)).or_insert((word, offer));
        self.order.remove(&(speeds.wait_drawn(&offer, *held), offer.key, offer.action));
        *held = word.max(*held);
        self.order.insert((speeds.wait_drawn(&offer, *held), offer.key, offer.action), offer.place);
    }

    fn take(&mut self, (urgency, key, action): Rank, place: u64) -> Option<Offer> {
        self.order.remove(&(urgency, key, action));
        let offers = self.places.get_mut(&place)?;
        let (_, offer) = offers.remove(&(key, action))?;
        if offers.is_empty() {
            self.places.remove(&place);
        }
        Some(offer)
    }

    /// Draws again what races with `happened`, or as much of it as may be.
    fn race(&mut self, key: RunKey, happened: &Offer) {
        let speeds = Speeds(key);
        let Some(offers) = self.places.get_mut(&happened.place) else { return };
        let first = match offers.len() <= RACERS_MAX {
            true => 0,
            false => hash::mix(happened.key, happened.place),
        };
        let first = (first, Action::Command(super::ClientIndex(0)));
        let names = offers.range(first..).chain(offers.range(..first)).map(|(name, _)| *name);
        let names: Vec<(u64, Action)> = names.take(RACERS_MAX).collect();
        looked_at(names.len());
        for (name, action) in names {
            let Some((word, offer)) = offers.get_mut(&(name, action)) else { continue };
            self.order.remove(&(speeds.wait_drawn(offer, *word), name, action));
            *word = key.draw(Purpose::Race, hash::mix(happened.key, offer.key));
            self.order.insert((speeds.wait_drawn(offer, *word), name, action), happened.place);
        }
    }
}

impl Pending {
    /// Adds an offer for which `word` was drawn.
    fn add(&mut self, speeds: Speeds, word: u64, offer: Offer) {
        match self {
            Pending::Few(few) => {
                few.add(speeds, word, offer);
                if few.len() > FEW_MAX {
                    let mut ranked = Ranked::default();
                    few.drain().for_each(|(word, offer)| ranked.add(speeds, word, offer));
                    *self = Pending::Many(ranked);
                }
            }
            Pending::Many(ranked) => ranked.add(speeds, word, offer),
        }
    }

    /// Takes the most urgent offer, unless the clock is more urgent.
    fn take_first(&mut self, speeds: Speeds, clock: Option<u64>) -> Option<Offer> {
        match self {
            Pending::Few(few) => few.take_first(clock),
            Pending::Many(ranked) => {
                let comes_first = |urgency: u64| clock.is_none_or(|clock| urgency <= clock);
                let (rank, place) = ranked.order.first_key_value().filter(|(rank, _)| comes_first(rank.0))?;
                let offer = ranked.take(*rank, *place);
                if ranked.order.len() < FEW_MAX / 2 {
                    let mut few = Few::default();
                    let offers = std::mem::take(&mut ranked.places).into_values().flat_map(BTreeMap::into_values);
                    offers.for_each(|(word, offer)| few.add(speeds, word, offer));
                    *self = Pending::Few(few);
                }
                offer
            }
        }
    }

    /// Draws again what races with what has happened.
    fn race(&mut self, key: RunKey, happened: &Offer) {
        match self {
            Pending::Few(few) => few.race(key, happened),
            Pending::Many(ranked) => ranked.race(key, happened),
        }
    }
}

impl Pos {
    /// Priorities for `seed` with the faults it draws from `plan`.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan) -> Pos {
        let key = RunKey::new(seed);
        Pos { key, fates: Fates::new(&plan.for_seed(seed), key), pending: Pending::Few(Few::default()), fired: 0 }
    }
}

impl Scheduler for Pos {
    fn offer(&mut self, offer: Offer) {
        let speeds = Speeds(self.key);
        self.pending.add(speeds, self.key.draw(Purpose::Order, offer.key), offer);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let clock = enabled.clock().map(|timer| Speeds(self.key).wait_of_clock(hash::mix(self.fired, timer)));
        while let Some(offer) = self.pending.take_first(Speeds(self.key), clock) {
            if enabled.has(offer.action) {
                self.pending.race(self.key, &offer);
                return offer.action;
            }
        }
        let timer = enabled.clock().expect("every enabled action except the clock was offered");
        self.fired = hash::mix(self.fired, timer);
        Action::Advance
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }
}
