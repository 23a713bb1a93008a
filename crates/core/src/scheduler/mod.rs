//! Schedulers: who picks what happens next, and what goes wrong with it.
//!
//! Everything that can go several ways in a run is asked here, and nowhere else. A scheduler sees
//! actions and identities, never the services' state, so the same one serves every system.

mod balanced;
mod calm;
mod calm_order;
mod departing;
mod in_turn;
mod keyed;
mod pct;
mod pctcp;
mod pos;
mod queue;
mod replayed;
mod rounds;
mod scripted;
mod speeds;
mod swarm;
mod walk;

pub use balanced::{Balanced, Census, Expected};
pub use calm::Calm;
pub use departing::{Departing, DepartureOutcome};
pub use in_turn::InTurn;
pub use keyed::Keyed;
pub use pct::Pct;
pub use pctcp::Pctcp;
pub use pos::Pos;
pub use replayed::Replayed;
pub use rounds::Rounds;
pub use scripted::Scripted;
pub use swarm::Swarm;
pub use walk::Walk;

use crate::broker::{Delivery, DeliveryIndex, GroupIndex};
use crate::faults::{AckFate, Fate, Fates, MemberChanges};
use crate::service::Awaits;

/// A client's place in the list of clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientIndex(pub(crate) u32);

impl ClientIndex {
    /// The place as an index.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The name of a handler that paused between its reads and its saves: unique within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PauseIndex(pub(crate) u32);

/// The name of what a handler was slow to publish: unique within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PublishIndex(pub(crate) u32);

/// Something that may happen next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Action {
    /// A client sends its next command.
    Command(ClientIndex),
    /// A member gets a delivery and handles it.
    Deliver(DeliveryIndex),
    /// A paused handler saves.
    Resume(PauseIndex),
    /// A late ack arrives.
    Ack(DeliveryIndex),
    /// A group joins that was not there before.
    Join(GroupIndex),
    /// The clock moves to the next timer, which fires.
    Advance,
    /// What a handler was slow to publish is out.
    Publish(PublishIndex),
}

/// A step as it is decided: what happens, and what goes wrong with it.
///
/// It names the action by its place in the world it was decided in, so it fits that world and those of the
/// same simulation alone; a [`NamedStep`](crate::NamedStep) says the same by names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Move {
    /// What happens.
    pub action: Action,
    /// What goes wrong with it.
    pub fate: Fate,
}

impl Move {
    /// An action with which nothing goes wrong.
    #[must_use]
    pub const fn calm(action: Action) -> Move {
        Move { action, fate: Fate::CALM }
    }
}

/// An action that has just become possible, with what names it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Offer {
    /// The action.
    pub action: Action,
    /// The hash of its identity.
    pub key: u64,
    /// The hash of the lane it travels on: subject and group, or the client.
    pub lane: u64,
    /// The hash of where it is handled: the name of the group, or of the service that executes it. What
    /// no handler handles is a place of its own.
    pub place: u64,
    /// Whether it is a delivery, and not the first one, of its message to its group.
    pub again: bool,
}

/// What a scheduler decides the fate of.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Chosen {
    /// The hash of its identity.
    pub key: u64,
    /// The attempt, from 1. A command has a new one when it is tried again, a timer when its handler
    /// crashed before it saved.
    pub attempt: u16,
    /// Whether it can pause between read and save.
    pub may_pause: bool,
    /// Whether others can come between its saves and what it publishes.
    pub may_publish_late: bool,
    /// Whether its handler may ask other services.
    pub may_ask: bool,
    /// Whether the member that handles it can crash: not where a command sets the stage.
    pub may_crash: bool,
    /// Whether it is a delivery; a command and a timer have no ack and no duplicate.
    pub is_delivery: bool,
    /// What may happen to the member that handles it.
    pub changes: MemberChanges,
    /// Whether the broker recognises what is published a second time right after the first.
    pub recognises: bool,
    /// Whether its handler works for some time, and so is done in a step of its own.
    pub works: bool,
    /// Whether its handler is an `async fn`, which can be interrupted at each of its awaits.
    pub awaits: bool,
}

impl Chosen {
    /// A delivery.
    #[inline(always)]
    pub(crate) fn delivery(delivery: &Delivery, may_publish_late: bool) -> Chosen {
        let Delivery { key, attempt, may_pause, .. } = *delivery;
        let (may_ask, may_crash, changes, recognises) = (false, true, MemberChanges::NONE, false);
        let (is_delivery, works, awaits) = (true, false, false);
        Chosen {
            key,
            attempt,
            may_pause,
            may_publish_late,
            may_ask,
            may_crash,
            is_delivery,
            changes,
            recognises,
            works,
            awaits,
        }
    }

    /// What the faults of a run do to this.
    #[must_use]
    #[inline(always)]
    pub fn draw(&self, fates: &mut Fates) -> Fate {
        let Chosen { key, attempt, is_delivery, .. } = *self;
        if !fates.is_sparse() {
            return self.draw_any(fates);
        }
        let Some((loses_ack, duplicate)) = fates.draw_sparse(key, attempt) else {
            return Fate::CALM;
        };
        let fate = fates.take_sparse(loses_ack, duplicate);
        if is_delivery { fate } else { Fate::CALM }
    }

    #[inline(always)]
    fn draw_any(&self, fates: &mut Fates) -> Fate {
        if !self.may_crash {
            // It cannot pause either, and uses up no fault of which there are so many.
            return Fate::CALM;
        }
        if self.is_delivery && fates.draw_loss(self.key, self.attempt) {
            return Fate { lose: true, ..Fate::CALM };
        }
        let fate = fates.draw(self.key, self.attempt);
        self.restrict(if self.awaits {
            Fate { awaits: fates.draw_awaits(self.key, self.attempt), ..fate }
        } else {
            fate
        })
    }

    /// Leaves of a fate what can happen to this.
    #[must_use]
    #[inline]
    pub fn restrict(&self, mut fate: Fate) -> Fate {
        if !fate.awaits.is_none() {
            fate.pause = false;
            fate.awaits = if self.awaits && self.may_pause { fate.awaits } else { Awaits::NONE };
        }
        fate.pause &= self.may_pause;
        fate.slow_publish &= self.may_publish_late;
        fate.answer = fate.answer.filter(|_| self.may_ask);
        fate.crash = fate.crash.filter(|_| self.may_crash);
        if !self.is_delivery {
            fate.ack = AckFate::Prompt;
            fate.duplicate = false;
            fate.lose = false;
        }
        if fate.fetch > 0 && !self.changes.fetches() {
            fate.fetch = 0;
        }
        if let Some(change) = fate.change {
            fate.change = self.changes.nearest(change);
        }
        // What the broker has already comes to nothing, unless it comes later.
        fate.republish &= !self.recognises || fate.slow_publish;
        // What is lost meets no handler that could pause, crash or publish.
        if fate.lose {
            fate = Fate { lose: true, duplicate: fate.duplicate, ..Fate::CALM };
        }
        fate
    }
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
pub struct Enabled<'a> {
    pub(crate) deliveries: &'a [Delivery],
    pub(crate) ready: &'a [DeliveryIndex],
    pub(crate) commands: &'a [ClientIndex],
    pub(crate) paused: &'a [PauseIndex],
    pub(crate) acks: &'a [DeliveryIndex],
    /// What may be published of what handlers were slow to publish.
    pub(crate) publishes: &'a [PublishIndex],
    pub(crate) absent: &'a [GroupIndex],
    pub(crate) clock: Option<u64>,
    /// The delivery whose ack wait ends if the clock moves.
    pub(crate) ack_wait: Option<DeliveryIndex>,
    pub(crate) service_timer: bool,
    /// Whether any handler works.
    pub(crate) works: bool,
    /// What a handler is done with if the clock moves: the key by which departures name it.
    pub(crate) done: Option<u64>,
}

/// In which order the calm run does what it could do in any order. In each of them every group gets
/// what is pending for it in publish order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Tie {
    /// A message goes to the groups in the order in which they were added, then the next message.
    #[default]
    InOrder,
    /// It goes to the group that was added last first.
    Reversed,
    /// The group that was added first gets all that is pending for it, then the next group.
    ByGroup,
    /// The group that was added last gets all that is pending for it first.
    ByGroupReversed,
}

impl Tie {
    /// All of them, the usual one first.
    pub const ALL: [Tie; 4] = [Tie::InOrder, Tie::Reversed, Tie::ByGroup, Tie::ByGroupReversed];
}

/// When the calm run takes an action, compared to the others that are enabled.
pub(crate) type CalmRank = (u8, u32, u32, u32);

impl<'a> Enabled<'a> {
    /// The number of actions.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.ready.len()
            + self.commands.len()
            + self.paused.len()
            + self.acks.len()
            + self.absent.len()
            + self.publishes.len()
            + usize::from(self.clock.is_some())
    }

    /// Whether nothing may happen any more.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.len() == 0
    }

    /// The action at `place`: deliveries, commands, resumes, acks, joins, publishes, the clock.
    ///
    /// # Panics
    /// If `place` is not below [`Enabled::len`].
    #[must_use]
    #[inline]
    pub fn get(&self, place: usize) -> Action {
        match self.ready.get(place) {
            Some(index) => Action::Deliver(*index),
            None => self.get_other(place - self.ready.len()),
        }
    }

    /// The action at this place behind the deliveries.
    // Inlined, so that what is enabled need not be written down where most of it is known to be nothing.
    #[inline]
    fn get_other(&self, mut place: usize) -> Action {
        if let Some(index) = self.commands.get(place) {
            return Action::Command(*index);
        }
        place -= self.commands.len();
        if let Some(index) = self.paused.get(place) {
            return Action::Resume(*index);
        }
        place -= self.paused.len();
        if let Some(index) = self.acks.get(place) {
            return Action::Ack(*index);
        }
        place -= self.acks.len();
        if let Some(index) = self.absent.get(place) {
            return Action::Join(*index);
        }
        place -= self.absent.len();
        if let Some(index) = self.publishes.get(place) {
            return Action::Publish(*index);
        }
        assert!(place == self.publishes.len() && self.clock.is_some(), "no action at this place");
        Action::Advance
    }

    /// All actions.
    pub fn iter(self) -> impl Iterator<Item = Action> + use<'a> {
        (0..self.len()).map(move |place| self.get(place))
    }

    /// Whether an action is among them.
    #[must_use]
    pub fn has(&self, action: Action) -> bool {
        looked_at(match action {
            Action::Command(_) => self.commands.len(),
            Action::Resume(_) => self.paused.len(),
            Action::Ack(_) => self.acks.len(),
            Action::Publish(_) => self.publishes.len(),
            Action::Deliver(_) | Action::Join(_) | Action::Advance => 1,
        });
        match action {
            Action::Deliver(index) => self.deliveries[index.get()].is_ready(),
            Action::Command(index) => self.commands.contains(&index),
            Action::Resume(index) => self.paused.contains(&index),
            Action::Ack(index) => self.acks.contains(&index),
            Action::Join(index) => self.absent.contains(&index),
            Action::Publish(index) => self.publishes.contains(&index),
            Action::Advance => self.clock.is_some(),
        }
    }

    /// A delivery that is ready.
    #[must_use]
    pub fn delivery(&self, index: DeliveryIndex) -> &'a Delivery {
        &self.deliveries[index.get()]
    }

    /// The deliveries that are ready.
    #[must_use]
    pub fn ready(&self) -> &'a [DeliveryIndex] {
        self.ready
    }

    /// The clients that can send a command.
    #[must_use]
    pub fn commands(&self) -> &'a [ClientIndex] {
        self.commands
    }

    /// The hash of what fires if the clock moves; `None` if no timer is armed.
    #[must_use]
    pub fn clock(&self) -> Option<u64> {
        self.clock
    }

    /// Whether a service has a timer armed.
    #[must_use]
    pub fn has_service_timer(&self) -> bool {
        self.service_timer
    }

    /// What the calm run does here: what was begun is finished, what was published is delivered in
    /// publish order, then the next command is sent, and the clock moves last.
    #[must_use]
    pub fn calm(&self) -> Option<Action> {
        let ready = || self.ready.iter().map(|index| Action::Deliver(*index));
        let first = || ready().min_by_key(|action| self.calm_rank(*action, Tie::InOrder));
        self.calm_before_clock(|_| true, |_| false, first).or_else(|| self.clock.map(|_| Action::Advance))
    }

    /// What the calm run does before the clock moves, if actions that are not `free` do not count,
    /// acks that come `past` their ack wait come after what the wait's end set off, and `ready` gives the
    /// first free delivery.
    pub(crate) fn calm_before_clock(
        &self,
        free: impl Fn(Action) -> bool,
        past: impl Fn(DeliveryIndex) -> bool,
        ready: impl FnOnce() -> Option<Action>,
    ) -> Option<Action> {
        // One kind after the other: most often there is a delivery, and the many commands that wait for
        // it need not be looked at. Of each kind but deliveries the first in its list of names is next.
        let free = |action: &Action| free(*action);
        let acks = |late: bool| {
            let acks = self.acks.iter().filter(|index| past(**index) == late);
            let counts = acks.filter(|index| !late || self.delivery(**index).superseded);
            counts.map(|index| Action::Ack(*index)).filter(free).min()
        };
        (self.paused.iter().map(|index| Action::Resume(*index)).filter(free).min())
            .or_else(|| self.publishes.iter().map(|index| Action::Publish(*index)).filter(free).min())
            .or_else(|| acks(false))
            .or_else(|| self.absent.iter().map(|group| Action::Join(*group)).filter(free).min())
            .or_else(ready)
            .or_else(|| acks(true))
            .or_else(|| self.commands.iter().map(|client| Action::Command(*client)).filter(free).min())
    }

    /// When the calm run takes this enabled action.
    pub(crate) fn calm_rank(&self, action: Action, tie: Tie) -> CalmRank {
        looked_at(1);
        match action {
            Action::Resume(index) => (0, index.0, 0, 0),
            Action::Publish(index) => (1, index.0, 0, 0),
            Action::Ack(index) => (2, index.0, 0, 0),
            Action::Join(group) => (3, group.0.into(), 0, 0),
            Action::Deliver(index) => {
                let delivery = self.delivery(index);
                let (message, group) = (delivery.message.0, u32::from(delivery.group.0));
                let (first, second) = match tie {
                    Tie::InOrder => (message, group),
                    Tie::Reversed => (message, u32::MAX - group),
                    Tie::ByGroup => (group, message),
                    Tie::ByGroupReversed => (u32::MAX - group, message),
                };
                (4, first, second, delivery.attempt.into())
            }
            Action::Command(client) => (5, client.0, 0, 0),
            Action::Advance => (6, 0, 0, 0),
        }
    }

    /// The first of those that are `wanted`: a delivery if there is one, then a paused handler, what is to be
    /// published, a late ack, a join, a command.
    pub(crate) fn first_waiting(&self, tie: Tie, wanted: impl Fn(Action) -> bool) -> Option<Action> {
        let wanted = self.iter().filter(|action| *action != Action::Advance && wanted(*action));
        wanted.min_by_key(|action| (!matches!(action, Action::Deliver(_)), self.calm_rank(*action, tie)))
    }

    /// The delivery whose ack wait ends if the clock moves, if it moves to the end of one.
    #[must_use]
    pub fn ack_wait(&self) -> Option<DeliveryIndex> {
        self.ack_wait
    }
}

/// Notes, in tests, that so many actions were looked at: what a scheduler does per step must not grow
/// with what is under way.
#[cfg(not(test))]
#[inline(always)]
fn looked_at(_actions: usize) {}

#[cfg(test)]
fn looked_at(actions: usize) {
    LOOKED_AT.with(|looked_at| looked_at.set(looked_at.get() + actions as u64));
}

#[cfg(test)]
thread_local! {
    /// How many actions were looked at in this thread.
    pub(crate) static LOOKED_AT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// What is proven about a run: it shows a bug of this depth with probability at least
/// 1 / (`chains` · `turns`^(`depth` - 1)), if the bug takes no more chains and shows within those turns
/// (see [`Pctcp`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// The depth.
    pub depth: u32,
    /// How many chains began.
    pub chains: u64,
    /// Among how many turns those were drawn at which a chain falls behind.
    pub turns: u64,
}

/// Picks what happens next.
pub trait Scheduler {
    /// Hears of an action that has become possible. Not called for the clock.
    fn offer(&mut self, _offer: Offer) {}

    /// Picks one of the enabled actions, of which there is at least one.
    fn pick(&mut self, enabled: &Enabled<'_>) -> Action;

    /// Decides what else happens to the delivery, the command or the service's timer it picked.
    fn fate(&mut self, _chosen: &Chosen) -> Fate {
        Fate::CALM
    }

    /// Whether it hands out everything pending once before it hands anything out again.
    fn in_rounds(&self) -> bool {
        false
    }

    /// What is proven about the run it has played; of most schedulers nothing is.
    fn guarantee(&self) -> Option<Guarantee> {
        None
    }

    /// Itself, if it follows the departures of a schedule.
    fn departing(&self) -> Option<&Departing> {
        None
    }
}

impl<T: Scheduler + ?Sized> Scheduler for Box<T> {
    fn offer(&mut self, offer: Offer) {
        (**self).offer(offer);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        (**self).pick(enabled)
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        (**self).fate(chosen)
    }

    fn in_rounds(&self) -> bool {
        (**self).in_rounds()
    }

    fn guarantee(&self) -> Option<Guarantee> {
        (**self).guarantee()
    }

    fn departing(&self) -> Option<&Departing> {
        (**self).departing()
    }
}
