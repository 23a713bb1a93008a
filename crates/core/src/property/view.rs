//! Views: the only door by which a property sees a world.
//!
//! Which stores a judgement looks at is noted, and so is that it looked at more, through [`Moment::world`]: a
//! complete search that knows what a judgement depends on need not judge an equal step again.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use crate::broker::{Delivery, Message, MessageName};
use crate::event::{Event, System};
use crate::ids::{RecordId, Time, Version};
use crate::service::Outside;
use crate::simulation::Simulation;
use crate::store::{Change, Record, Store};
use crate::world::{LookedAt, Step, World};

/// What a property sees of a world at one moment: stores and time, and behind [`Moment::world`]
/// everything else.
pub struct Moment<'a, S: System> {
    world: &'a World<S>,
    looked_at: Cell<LookedAt>,
}

impl<'a, S: System> Moment<'a, S> {
    /// What a property sees of a world, for a test that asks the property itself.
    #[must_use]
    #[inline(always)]
    pub fn new(world: &'a World<S>) -> Moment<'a, S> {
        Moment { world, looked_at: Cell::default() }
    }

    /// The store of the service of that name.
    ///
    /// # Panics
    /// If there is no such service.
    #[must_use]
    #[inline]
    pub fn store_of(&self, service: &str) -> &'a Store {
        self.find_store(service).unwrap_or_else(|| self.world.store_of(service))
    }

    /// The store of the service of that name; `None` if there is no such service.
    #[must_use]
    #[inline]
    pub fn find_store(&self, service: &str) -> Option<&'a Store> {
        let service = self.world.service(service)?;
        self.note(LookedAt::store(service));
        Some(self.world.store(service))
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.world.now()
    }

    /// The simulation it is a moment of.
    #[must_use]
    pub fn simulation(&self) -> &'a Simulation<S> {
        self.world.simulation()
    }

    /// Whether any message that was ever published is about this version of a record, whatever its subject.
    #[must_use]
    pub fn was_published(&self, record: RecordId, version: Version) -> bool {
        self.note(LookedAt::LOG);
        self.world.broker().has_published(record, version)
    }

    /// Whether a message about this version of a record, whatever its subject, is saved or said and not out
    /// yet, because its process or its relay is slow (see [`Fate::slow_publish`](crate::Fate::slow_publish)).
    #[must_use]
    pub fn is_unpublished(&self, record: RecordId, version: Version) -> bool {
        self.note(LookedAt::LOG);
        let is_it = |event: &S::Event| (event.record(), event.version()) == (record, Some(version));
        self.world.said_late().any(|event| {
            self.note(LookedAt::ALL);
            is_it(event)
        })
    }

    /// Whether any message that was ever published has such a name.
    #[must_use]
    pub fn ever_published(&self, is_it: impl Fn(&MessageName) -> bool) -> bool {
        self.note(LookedAt::LOG);
        self.world.broker().messages().iter().rev().any(|message| is_it(&message.name))
    }

    /// What handlers have done outside of the stores ([`Context::outside`](crate::Context::outside)). In which
    /// order it is here says nothing.
    pub fn outside(&self) -> impl Iterator<Item = &'a Outside> + use<'a, S> {
        self.note(LookedAt::ALL);
        self.world.outside().iter()
    }

    /// How often something of this name was done about a record outside of the stores.
    #[must_use]
    pub fn times_outside(&self, name: &str, record: RecordId) -> usize {
        self.outside().filter(|outside| (outside.name(), outside.record()) == (name, record)).count()
    }

    /// The whole world: broker and log, members' memories, what may happen next.
    ///
    /// A complete search judges a step again each time a judgement has looked at it, and a judgement by
    /// stores, time, [`View::delivery`], [`View::published`], [`Moment::was_published`] and
    /// [`Moment::ever_published`] once for all steps that are alike.
    #[must_use]
    #[inline]
    pub fn world(&self) -> &'a World<S> {
        self.note(LookedAt::ALL);
        self.world
    }

    #[inline(always)]
    fn note(&self, what: LookedAt) {
        self.looked_at.set(self.looked_at.get().and(what));
    }

    /// What anybody looked at.
    pub(crate) fn looked_at(&self) -> LookedAt {
        self.looked_at.get()
    }
}

impl<S: System> fmt::Debug for Moment<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.world().fmt(f)
    }
}

/// A step and the [`Moment`] after it.
#[non_exhaustive]
pub struct View<'a, S: System> {
    /// The step.
    pub step: &'a Step,
    store: Option<&'a Store>,
    after: Moment<'a, S>,
}

impl<'a, S: System> Deref for View<'a, S> {
    type Target = Moment<'a, S>;

    #[inline(always)]
    fn deref(&self) -> &Moment<'a, S> {
        &self.after
    }
}

impl<'a, S: System> View<'a, S> {
    /// What a property sees of a step, for a test that asks the property itself.
    #[must_use]
    #[inline(always)]
    pub fn new(world: &'a World<S>, step: &'a Step) -> View<'a, S> {
        let store = match step.actor {
            Some(actor) if step.ran() || step.answered_ack() => Some(world.store(actor.service)),
            _ => None,
        };
        View { step, store, after: Moment::new(world) }
    }

    /// The same, at which nobody has looked yet.
    pub(crate) fn anew(&self) -> View<'a, S> {
        View::new(self.after.world, self.step)
    }

    /// The store of the service whose handler ran, or acked and crashed before it saved.
    #[must_use]
    #[inline]
    pub fn store(&self) -> Option<&'a Store> {
        self.store
    }

    /// The name of the service whose handler ran.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.step.actor.map_or("", |actor| self.after.world.service_name(actor.service))
    }

    /// What the step saved and removed of one record type; nothing if the service has no such collection.
    #[inline(always)]
    pub fn changes<R: Record>(&self) -> impl Iterator<Item = Change<'a, R>> + use<'a, R, S> {
        Store::changes_of::<R>(self.store())
    }

    /// The messages the step published.
    #[must_use]
    #[inline]
    pub fn published(&self) -> &'a [Message<S::Event>] {
        // Where there is nothing to see, nothing was asked: a message's count says more than the stores.
        match self.step.published.is_empty() {
            true => &[],
            false => {
                self.note(LookedAt::LOG);
                &self.after.world.broker().messages()[self.step.published.clone()]
            }
        }
    }

    /// What the step did outside of the stores that was not done before.
    pub fn done_outside(&self) -> impl Iterator<Item = &'a Outside> + use<'a, S> {
        if self.step.acted() {
            self.note(LookedAt::ALL);
        }
        self.after.world.outside_in(self.step).iter()
    }

    /// The delivery the handler worked on, and its message.
    #[must_use]
    #[inline]
    pub fn delivery(&self) -> Option<(&'a Delivery, &'a Message<S::Event>)> {
        let broker = self.after.world.broker();
        let delivery = broker.delivery(self.step.delivery?);
        Some((delivery, broker.message(delivery.message)))
    }

    /// How many handlings of that delivery's message, by its group, changed the service's store, this
    /// one included; 0 if the step was no delivery's.
    #[must_use]
    pub fn effects(&self) -> u16 {
        self.step.delivery.map_or(0, |index| self.after.world.broker().effects(index))
    }
}

impl<S: System> fmt::Debug for View<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("step", self.step).field("after", &self.after).finish()
    }
}

/// The end of a run: its last [`Moment`].
#[non_exhaustive]
pub struct End<'a, S: System> {
    /// Whether every pending delivery was handed out once per round.
    pub in_rounds: bool,
    last: Moment<'a, S>,
}

impl<'a, S: System> Deref for End<'a, S> {
    type Target = Moment<'a, S>;

    fn deref(&self) -> &Moment<'a, S> {
        &self.last
    }
}

impl<'a, S: System> End<'a, S> {
    /// What a property sees of the end of a run, for a test that asks the property itself.
    #[must_use]
    pub fn new(world: &'a World<S>, in_rounds: bool) -> End<'a, S> {
        End { in_rounds, last: Moment::new(world) }
    }
}

impl<S: System> fmt::Debug for End<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").field("in_rounds", &self.in_rounds).field("last", &self.last).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fate;
    use crate::erratic::{Erratic, NAMES, simulation_on};
    use crate::run::step_apart;

    fn is_sync<T: Sync>(_: &T) {}

    #[test]
    fn a_world_can_be_looked_at_from_several_threads() {
        is_sync(&simulation_on(crate::Profile::adversarial(), 0).world());
    }

    #[test]
    fn stores_time_and_the_delivery_are_free_and_the_world_is_noted() {
        let mut world = simulation_on(crate::Profile::adversarial(), 0).world();
        let action = world.enabled().iter().next().expect("a command");
        let step = step_apart(&mut world, action, Fate::CALM);
        let looks = |look: &dyn Fn(&View<'_, Erratic>)| {
            let view = View::new(&world, &step);
            look(&view);
            view.looked_at()
        };
        let free = looks(&|view| {
            let _ = (view.store_of(NAMES[0]), view.find_store("nobody"), view.now(), view.simulation());
            let _ = (view.store(), view.service(), view.delivery(), view.effects());
        });
        assert!(!free.is_further() && free.has(0) && !free.has(1));
        assert!(looks(&|view| _ = view.world()).is_further());
        assert!(looks(&|view| _ = format!("{view:?}")).is_further());
        let log = if step.published.is_empty() { LookedAt::default() } else { LookedAt::LOG };
        assert_eq!(looks(&|view| _ = view.published()), log);
        let own = looks(&|view| _ = (view.store(), view.now()));
        assert_eq!(own, LookedAt::default());
    }
}
