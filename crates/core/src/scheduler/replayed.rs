//! Replay of recorded steps by name, wherever they still fit.

use std::collections::{BTreeMap, VecDeque};

use super::calm_order::CalmOrder;
use super::{Action, Chosen, Enabled, Offer, Scheduler, Tie};
use crate::faults::Fate;
use crate::schedule::{self, NamedStep};

/// Plays the steps of another run by name, and the calm order where none of them fits.
///
/// It takes the next step as soon as it is enabled. As long as it is not, what is enabled and no step
/// knows happens first, in the calm order, because it may bring the step about: a hop that is new, a
/// command that was added. If nothing of that kind is left, it takes the first of the others that is
/// enabled. So a step that the services do not take any more is left out, and one that they take later
/// than they did is taken then. [`Replayed::missing`] has what was left out.
#[derive(Clone, Debug)]
pub struct Replayed {
    steps: Vec<NamedStep>,
    /// The place of the step that is next: behind the last that was played.
    place: usize,
    /// By the key of what happens in them, the places of the steps that were not played yet.
    places: BTreeMap<u64, VecDeque<usize>>,
    /// The keys of the actions that do not tell theirs: for a paused handler, of what it handles.
    keys: BTreeMap<Action, u64>,
    fate: Fate,
    /// What was told to pause in the running step.
    pausing: Option<Pausing>,
    /// The interrupted handlers that may be interrupted once more.
    awaiting: BTreeMap<Action, Pausing>,
    order: CalmOrder,
}

/// A handler that is to pause.
#[derive(Clone, Copy, Debug)]
struct Pausing {
    /// The key of what it handles.
    handled: u64,
    /// Whether it works when it goes on.
    works: bool,
    /// Whether it may be interrupted more than once.
    awaits: bool,
}

impl Replayed {
    /// Plays these steps.
    #[must_use]
    pub fn new(steps: Vec<NamedStep>) -> Replayed {
        let mut places = BTreeMap::<u64, VecDeque<usize>>::new();
        for (place, step) in steps.iter().enumerate() {
            places.entry(step.what.key()).or_default().push_back(place);
        }
        let (keys, awaiting, order) = (BTreeMap::new(), BTreeMap::new(), CalmOrder::default());
        Replayed { steps, place: 0, places, keys, fate: Fate::CALM, pausing: None, awaiting, order }
    }

    /// The recorded steps that were not replayed so far, in their order.
    #[must_use]
    pub fn missing(&self) -> Vec<&NamedStep> {
        let mut left: Vec<usize> = self.places.values().flatten().copied().collect();
        left.sort_unstable();
        left.into_iter().map(|place| &self.steps[place]).collect()
    }

    /// The key of what an action begins, and whether that could pause.
    fn key_of(&self, action: Action, enabled: &Enabled<'_>) -> Option<(u64, bool)> {
        match action {
            Action::Deliver(index) => Some((enabled.delivery(index).key, true)),
            Action::Ack(index) => Some((schedule::ack_key(enabled.delivery(index).key), false)),
            Action::Advance => match enabled.ack_wait() {
                Some(index) => Some((schedule::ack_wait_key(enabled.delivery(index).key), false)),
                None => enabled.done.or(enabled.clock()).map(|key| (key, false)),
            },
            Action::Command(_) => self.keys.get(&action).map(|key| (*key, true)),
            Action::Resume(_) | Action::Join(_) | Action::Publish(_) => self.keys.get(&action).map(|key| (*key, false)),
        }
    }

    /// The first step that an action would be, with its key.
    fn first_of(&self, action: Action, enabled: &Enabled<'_>) -> Option<(usize, u64)> {
        let (key, begins) = self.key_of(action, enabled)?;
        let begun = begins.then(|| [schedule::pause_key(key), schedule::start_key(key)]);
        let first = |key: u64| self.places.get(&key)?.front().map(|place| (*place, key));
        std::iter::once(key).chain(begun.into_iter().flatten()).filter_map(first).min()
    }

    /// The next action, with its fate.
    fn next(&mut self, enabled: &Enabled<'_>) -> Action {
        let firsts = enabled.iter().filter_map(|action| Some((self.first_of(action, enabled)?, action)));
        let first = firsts.min();
        let waits = self.place < self.steps.len() && first.is_none_or(|((place, _), _)| place > self.place);
        if let Some(action) = self.new_to_it(enabled).filter(|_| waits) {
            self.fate = Fate::CALM;
            return action;
        }
        let Some(((place, key), action)) = first else {
            self.fate = Fate::CALM;
            return self.order.calm(enabled).expect("a scheduler is asked only when something may happen");
        };
        self.place = self.place.max(place + 1);
        self.places.entry(key).or_default().pop_front();
        self.fate = self.steps[place].fate;
        action
    }

    /// What no step knows and may bring about the next one, in the calm order. A redelivery is not new, and
    /// nobody waits for the clock.
    fn new_to_it(&self, enabled: &Enabled<'_>) -> Option<Action> {
        let is_new = |action: &Action| match action {
            Action::Advance => false,
            Action::Deliver(index) if enabled.delivery(*index).attempt > 1 => false,
            _ => self.first_of(*action, enabled).is_none(),
        };
        enabled.iter().filter(is_new).min_by_key(|action| enabled.calm_rank(*action, Tie::InOrder))
    }
}

impl Scheduler for Replayed {
    fn offer(&mut self, offer: Offer) {
        self.order.offer(offer.action);
        match offer.action {
            Action::Resume(_) => {
                if let Some(pausing) = self.pausing.take() {
                    let Pausing { handled, works, awaits } = pausing;
                    let key =
                        if works { schedule::start_key(handled) } else { schedule::going_on_key(offer.key, handled) };
                    self.keys.insert(offer.action, key);
                    self.awaiting.extend(awaits.then_some((offer.action, pausing)));
                }
            }
            Action::Command(_) | Action::Join(_) | Action::Publish(_) => {
                self.keys.insert(offer.action, offer.key);
            }
            Action::Deliver(_) | Action::Ack(_) | Action::Advance => {}
        }
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let action = self.next(enabled);
        self.pausing = self.awaiting.remove(&action);
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        let fate = chosen.restrict(self.fate);
        if fate.interrupts() {
            let Chosen { key: handled, works, awaits, .. } = *chosen;
            self.pausing = Some(Pausing { handled, works, awaits });
        }
        fate
    }
}
