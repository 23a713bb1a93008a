//! How much may go wrong, and what of that is left.

use std::fmt;

use super::super::shortest::Order;
use crate::event::System;
use crate::faults::{AckFate, Fate, Window};
use crate::scheduler::Chosen;
use crate::service::{AckTiming, PublishMode};
use crate::simulation::Simulation;
use crate::vacuity::{self, Kind, Vacuous};

/// At most so many, or any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Most {
    /// At most this many.
    Of(u8),
    /// Any number.
    Any,
}

impl Most {
    /// None at all.
    pub const NONE: Most = Most::Of(0);
    /// The largest number there is room for.
    pub const MAX: u8 = 100;

    fn is_none(self) -> bool {
        self == Most::NONE
    }
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Most::Of(most) => write!(f, "{most}"),
            Most::Any => f.write_str("any"),
        }
    }
}

/// What a complete search is complete about: every run in which no more than this happens.
///
/// Each bound is on one run from where the search begins, except that of duplicates, which is on one
/// moment. Several faults may meet one delivery as long as there is enough left for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The order of deliveries. The simulation's broker has to allow it: see [`Order::profile`].
    pub order: Order,
    /// How many acks and naks are lost. With pauses a handler can also be overtaken by a redelivery
    /// of its message, and that counts as one.
    pub lost_acks: Most,
    /// How many copies of one message are pending for one group at a time beside the first one.
    pub duplicates: u8,
    /// How many members crash.
    pub crashes: Most,
    /// How many handlers pause between their reads and their saves.
    pub pauses: Most,
    /// How many messages are lost on their way to a group.
    pub lost_messages: Most,
    /// How often a run departs from the calm one: each step that is not the calm run's next one
    /// counts one, and so does each fault.
    pub departures: Most,
}

impl Bounds {
    /// This order, no faults, and any number of departures.
    #[must_use]
    pub const fn of(order: Order) -> Bounds {
        let none = Most::NONE;
        Bounds {
            order,
            lost_acks: none,
            duplicates: 0,
            crashes: none,
            pauses: none,
            lost_messages: none,
            departures: Most::Any,
        }
    }

    /// Whether the calm run's next step has to be told from others.
    pub(super) fn knows_calm(&self) -> bool {
        self.order == Order::Lockstep || self.departures != Most::Any
    }
}

impl Bounds {
    /// What the bounds allow and nothing in this simulation can do.
    #[must_use]
    pub fn idle_in<S: System>(&self, simulation: &Simulation<S>) -> Vec<Vacuous> {
        let undelivered = simulation.inner.groups.is_empty().then_some("no service listens to a subject");
        let bounds = [
            ("lost-acks", !self.lost_acks.is_none(), undelivered),
            ("duplicates", self.duplicates > 0, undelivered),
            ("pauses", !self.pauses.is_none(), vacuity::pauses_nowhere(simulation)),
            ("lost-messages", !self.lost_messages.is_none(), undelivered),
        ];
        let idle = bounds.into_iter().filter_map(|(name, is_asked, why)| {
            why.filter(|_| is_asked).map(|why| Vacuous::new(Kind::IdleFault, name, why))
        });
        idle.collect()
    }
}

/// In words: `any order, 1 lost ack, 2 crashes`.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.order {
            Order::Lockstep => "lockstep",
            Order::PerSubject => "each subject in order",
            Order::Any => "any order",
        })?;
        let faults = [
            (self.lost_acks, "lost ack", "s"),
            (Most::Of(self.duplicates), "duplicate", "s"),
            (self.crashes, "crash", "es"),
            (self.pauses, "pause", "s"),
            (self.lost_messages, "lost message", "s"),
        ];
        for (most, noun, plural) in faults.into_iter().filter(|(most, ..)| !most.is_none()) {
            let ending = if most == Most::Of(1) { "" } else { plural };
            write!(f, ", {most} {noun}{ending}")?;
        }
        match self.departures {
            Most::Any => Ok(()),
            Most::Of(1) => f.write_str(", 1 departure"),
            most => write!(f, ", {most} departures"),
        }
    }
}

/// What is left of the bounds: a number of 8 bits for each kind, and one of 16 bits for steps.
///
/// The highest bit of each is kept free, so that all of them are compared at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left(u64);

impl Left {
    const HIGHEST: u64 = 0x8000_0080_8080_8080;
    /// The most steps there is room for.
    pub(super) const STEPS_MAX: u16 = 0x7fff;

    pub(super) const LOST_ACK: Left = Left(1);
    pub(super) const CRASH: Left = Left(1 << 8);
    pub(super) const LOST_MESSAGE: Left = Left(1 << 16);
    pub(super) const PAUSE: Left = Left(1 << 24);
    pub(super) const DEPARTURE: Left = Left(1 << 32);
    pub(super) const STEP: Left = Left(1 << 48);
    pub(super) const NOTHING: Left = Left(0);

    /// What is left before the first step. What may happen any number of times costs nothing.
    pub(super) fn of(bounds: &Bounds, steps: u16) -> Left {
        let kinds = [
            (bounds.lost_acks, Left::LOST_ACK),
            (bounds.crashes, Left::CRASH),
            (bounds.lost_messages, Left::LOST_MESSAGE),
            (bounds.pauses, Left::PAUSE),
            (bounds.departures, Left::DEPARTURE),
        ];
        let left = kinds.into_iter().map(|(most, unit)| match most {
            Most::Of(most) => u64::from(most.min(Most::MAX)) * unit.0,
            Most::Any => 0,
        });
        Left(left.sum::<u64>() + u64::from(steps) * Left::STEP.0)
    }

    /// Whether there is at least as much of everything.
    #[inline]
    pub(super) fn covers(self, other: Left) -> bool {
        ((self.0 | Left::HIGHEST) - other.0) & Left::HIGHEST == Left::HIGHEST
    }

    /// What is left after something there was enough left for.
    #[inline]
    pub(super) fn after(self, cost: Left) -> Option<Left> {
        self.covers(cost).then(|| Left(self.0 - cost.0))
    }

    pub(super) fn and(self, other: Left) -> Left {
        Left(self.0 + other.0)
    }
}

/// A fate that the bounds allow, and what it takes of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) fate: Fate,
    pub(super) cost: Left,
}

/// Which fates an action may have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FateKind(usize);

impl FateKind {
    /// Of what has no fate but the calm one.
    pub(super) const NONE: FateKind = FateKind(0);

    #[inline]
    pub(super) fn of(chosen: Option<&Chosen>) -> FateKind {
        let kind = |chosen: &Chosen| 1 + usize::from(chosen.is_delivery) * 2 + usize::from(chosen.may_pause);
        FateKind(chosen.filter(|chosen| chosen.may_crash).map_or(0, kind))
    }
}

/// The fates that the bounds allow, the calm one first: that alone for what has no other, and those of all
/// but deliveries and of deliveries, whose handler may not pause and whose may. One that does what
/// another one does, and costs as much, is left out.
#[derive(Clone, Debug)]
pub(super) struct Choices([Vec<Choice>; 5]);

impl Choices {
    pub(super) fn of<S: System>(bounds: &Bounds, simulation: &Simulation<S>) -> Choices {
        let mut choices = Choices::all(bounds);
        let services = &simulation.inner.services;
        let acks_last = services.iter().all(|hosted| hosted.ack_timing == AckTiming::AfterSave);
        let outbox = services.iter().flat_map(|hosted| hosted.publish_modes).all(|mode| mode == PublishMode::Outbox);
        choices.0.iter_mut().for_each(|list| {
            list.retain(|Choice { fate, .. }| {
                // Who crashes before the ack has lost it.
                let is_told = acks_last && fate.ack == AckFate::Lost && fate.crash.is_some();
                // What is in the outbox is published.
                let is_late = outbox && fate.crash == Some(Window::BeforePublish);
                !is_told && !is_late
            });
        });
        choices
    }

    fn all(bounds: &Bounds) -> Choices {
        let of = |is_delivery, may_pause| choices(bounds, is_delivery, may_pause);
        let calm = Choice { fate: Fate::CALM, cost: Left::NOTHING };
        Choices([vec![calm], of(false, false), of(false, true), of(true, false), of(true, true)])
    }

    /// The fates of a kind.
    #[inline]
    pub(super) fn of_kind(&self, kind: FateKind) -> &[Choice] {
        &self.0[kind.0]
    }
}

fn choices(bounds: &Bounds, is_delivery: bool, may_pause: bool) -> Vec<Choice> {
    let flag = |wanted: bool| if wanted { &[false, true][..] } else { &[false][..] };
    let acks = match is_delivery && !bounds.lost_acks.is_none() {
        true => &[AckFate::Prompt, AckFate::Lost][..],
        false => &[AckFate::Prompt][..],
    };
    // What has no ack has no window behind it.
    let windows = if is_delivery { &Window::ALL[..] } else { &Window::ALL[..3] };
    let windows = if bounds.crashes.is_none() { &[][..] } else { windows };
    let crashes = || std::iter::once(None).chain(windows.iter().copied().map(Some));
    let mut fates = Vec::new();
    for lose in flag(is_delivery && !bounds.lost_messages.is_none()) {
        for duplicate in flag(is_delivery && bounds.duplicates > 0) {
            for pause in flag(may_pause && !bounds.pauses.is_none()) {
                for crash in crashes() {
                    fates.extend(acks.iter().map(|ack| Fate {
                        ack: *ack,
                        crash,
                        pause: *pause,
                        duplicate: *duplicate,
                        lose: *lose,
                    }));
                }
            }
        }
    }
    // What is lost meets no handler.
    fates.retain(|fate| !fate.lose || *fate == Fate { lose: true, duplicate: fate.duplicate, ..Fate::CALM });
    fates.into_iter().map(|fate| Choice { fate, cost: cost_of(bounds, fate) }).collect()
}

fn cost_of(bounds: &Bounds, fate: Fate) -> Left {
    let faults = [
        (fate.ack == AckFate::Lost, bounds.lost_acks, Left::LOST_ACK),
        (fate.crash.is_some(), bounds.crashes, Left::CRASH),
        (fate.pause, bounds.pauses, Left::PAUSE),
        (fate.lose, bounds.lost_messages, Left::LOST_MESSAGE),
        // As many as are pending at a time.
        (fate.duplicate, Most::Any, Left::NOTHING),
    ];
    faults.into_iter().filter(|(happens, ..)| *happens).fold(Left::NOTHING, |cost, (_, most, unit)| {
        let own = if most == Most::Any { Left::NOTHING } else { unit };
        let departure = if bounds.departures == Most::Any { Left::NOTHING } else { Left::DEPARTURE };
        cost.and(own).and(departure)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Bounds = Bounds {
        lost_acks: Most::Of(2),
        duplicates: 1,
        crashes: Most::Of(1),
        pauses: Most::Any,
        lost_messages: Most::Of(1),
        ..Bounds::of(Order::Any)
    };

    #[test]
    fn what_is_left_is_compared_kind_by_kind() {
        let left = Left::of(&Bounds { departures: Most::Of(3), ..ALL }, 5);
        assert!(left.covers(left));
        for unit in [Left::LOST_ACK, Left::CRASH, Left::LOST_MESSAGE, Left::DEPARTURE, Left::STEP] {
            let less = left.after(unit).expect("there is one left");
            assert!(left.covers(less) && !less.covers(left), "{unit:?}");
        }
        assert!(!left.covers(Left::PAUSE), "what may happen any number of times is not counted");
        let (one, other) = (left.after(Left::LOST_ACK), left.after(Left::STEP));
        assert!(one.zip(other).is_some_and(|(one, other)| !one.covers(other) && !other.covers(one)));
        let spent = left.after(Left::LOST_ACK).and_then(|left| left.after(Left::LOST_ACK));
        assert_eq!(spent.and_then(|left| left.after(Left::LOST_ACK)), None, "there were two");
        let most = Left::of(&Bounds { departures: Most::Of(u8::MAX), ..ALL }, Left::STEPS_MAX);
        assert!(most.covers(left) && most.after(left).is_some());
    }

    #[test]
    fn every_combination_of_faults_is_a_fate_and_the_calm_one_is_first() {
        let choices = Choices::all(&ALL);
        // Prompt or lost, no crash or one of four, once or twice, paused or not; and lost messages.
        assert_eq!(choices.0.each_ref().map(Vec::len), [1, 4, 8, 2 * 5 * 2 + 2, 2 * 5 * 2 * 2 + 2]);
        assert!(choices.0[1..].iter().all(|list| list[0].fate == Fate::CALM && list[0].cost == Left::NOTHING));
        let none = Choices::all(&Bounds::of(Order::Any));
        assert!(none.0[1..].iter().all(|list| list.len() == 1));
    }

    #[test]
    fn bounds_are_told_in_words() {
        assert_eq!(Bounds::of(Order::Any).to_string(), "any order");
        let words = "any order, 2 lost acks, 1 duplicate, 1 crash, any pauses, 1 lost message";
        assert_eq!(ALL.to_string(), words);
        let few = Bounds { departures: Most::Of(1), ..Bounds::of(Order::Lockstep) };
        assert_eq!(few.to_string(), "lockstep, 1 departure");
    }
}
