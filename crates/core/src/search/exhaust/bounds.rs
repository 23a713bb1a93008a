//! Bounds of a search: how much may go wrong, and the remaining budget of it.

use std::fmt;

use super::super::shortest::DeliveryOrder;
use crate::event::System;
use crate::faults::{AckFate, Fate, MemberChange, MemberChanges, Window};
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
    /// The largest number there is room for of what is counted in few bits: changes of members, and failures of a
    /// broker.
    pub const FEW: u8 = 7;

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
/// Each bound is on one run from where the search begins, except those of duplicates and of what is fetched, which
/// are on one moment. Several faults may meet one delivery as long as there is enough left for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The order of deliveries. The simulation's broker has to allow it: see [`DeliveryOrder::profile`].
    pub order: DeliveryOrder,
    /// How many acks and naks are lost, or come late on the simulation's own broker, which waits for them. In the
    /// other orders nothing comes late, but with pauses a handler can be overtaken by a redelivery of its message,
    /// and that counts as one.
    pub lost_acks: Most,
    /// How many copies of one message are pending for one group at a time beside the first one.
    pub duplicates: u8,
    /// How many members crash.
    pub crashes: Most,
    /// How many handlers pause between their reads and their saves.
    pub pauses: Most,
    /// How many messages are lost on their way to a group, and how often the log of the simulation's broker loses its
    /// end, is compacted or is without what was kept for long enough, where it may (see [`MemberChange::OF_LOGS`]).
    pub lost_messages: Most,
    /// How often something happens to the members of a group, or to what one of them has (see
    /// [`MemberChange::OF_MEMBERS`]), of what the simulation's broker knows. What is above [`Most::FEW`] is as if it
    /// were that.
    pub changes: Most,
    /// How often the simulation's broker restarts, or fails over to a copy that knows less and loses no message (see
    /// [`MemberChange::OF_BROKERS`]). What is above [`Most::FEW`] is as if it were that.
    pub broker_failures: Most,
    /// How many of the messages that come next a member has fetched with one that it handles, where members of
    /// the simulation's broker fetch ahead.
    pub fetched: u8,
    /// How often a run departs from the calm one: each step that is not the calm run's next one
    /// counts one, and so does each fault.
    pub departures: Most,
}

impl Bounds {
    /// This order, no faults, and any number of departures.
    #[must_use]
    pub const fn of(order: DeliveryOrder) -> Bounds {
        let none = Most::NONE;
        Bounds {
            order,
            lost_acks: none,
            duplicates: 0,
            crashes: none,
            pauses: none,
            lost_messages: none,
            changes: none,
            broker_failures: none,
            fetched: 0,
            departures: Most::Any,
        }
    }

    /// The order in words.
    pub(super) fn order_in_words(&self) -> &'static str {
        match self.order {
            DeliveryOrder::Lockstep => "lockstep",
            DeliveryOrder::PerSubject => "each subject in order",
            DeliveryOrder::Any => "any order",
            DeliveryOrder::Broker => "the broker's order",
        }
    }

    /// Whether the calm run's next step has to be distinguished from others.
    pub(super) fn knows_calm(&self) -> bool {
        self.order == DeliveryOrder::Lockstep || self.departures != Most::Any
    }
}

impl Bounds {
    /// What the bounds allow and nothing in this simulation can do.
    #[must_use]
    pub fn idle_in<S: System>(&self, simulation: &Simulation<S>) -> Vec<Vacuous> {
        let undelivered = simulation.inner.groups.is_empty().then_some("no service listens to a subject");
        let known = simulation.profile().changes();
        let unchanged = known.of_members().next().is_none().then_some("no engine plays the broker");
        let unfailing = known.of_brokers().next().is_none().then_some("the broker keeps all that it knows");
        let unfetched = (!known.fetches()).then_some("no engine plays the broker");
        let bounds = [
            ("lost-acks", !self.lost_acks.is_none(), undelivered),
            ("duplicates", self.duplicates > 0, undelivered),
            ("pauses", !self.pauses.is_none(), vacuity::pauses_nowhere(simulation)),
            ("lost-messages", !self.lost_messages.is_none(), undelivered),
            ("member-changes", !self.changes.is_none(), undelivered.or(unchanged)),
            ("broker-failures", !self.broker_failures.is_none(), undelivered.or(unfailing)),
            ("fetch", self.fetched > 0, undelivered.or(unfetched)),
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
        f.write_str(self.order_in_words())?;
        let faults = [
            (self.lost_acks, "lost ack", "lost acks"),
            (Most::Of(self.duplicates), "duplicate", "duplicates"),
            (self.crashes, "crash", "crashes"),
            (self.pauses, "pause", "pauses"),
            (self.lost_messages, "lost message", "lost messages"),
            (self.changes, "member change", "member changes"),
            (self.broker_failures, "broker failure", "broker failures"),
            (Most::Of(self.fetched), "message fetched ahead", "messages fetched ahead"),
        ];
        for (most, one, several) in faults.into_iter().filter(|(most, ..)| !most.is_none()) {
            write!(f, ", {most} {}", if most == Most::Of(1) { one } else { several })?;
        }
        match self.departures {
            Most::Any => Ok(()),
            Most::Of(1) => f.write_str(", 1 departure"),
            most => write!(f, ", {most} departures"),
        }
    }
}

/// The remaining budget of faults, departures and steps: 8 bits for each kind, of which two share theirs, and 16 bits
/// for steps.
///
/// The highest bit of each is kept free, so that all of them are compared at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::search) struct Budget(u64);

impl Budget {
    const HIGHEST: u64 = 0x8000_8880_8080_8080;
    /// The most steps there is room for.
    pub(in crate::search) const STEPS_MAX: u16 = 0x7fff;

    pub(in crate::search) const LOST_ACK: Budget = Budget(1);
    pub(in crate::search) const CRASH: Budget = Budget(1 << 8);
    pub(in crate::search) const LOST_MESSAGE: Budget = Budget(1 << 16);
    pub(in crate::search) const PAUSE: Budget = Budget(1 << 24);
    pub(in crate::search) const DEPARTURE: Budget = Budget(1 << 32);
    pub(in crate::search) const CHANGE: Budget = Budget(1 << 40);
    pub(in crate::search) const BROKER_FAILURE: Budget = Budget(1 << 44);
    pub(in crate::search) const STEP: Budget = Budget(1 << 48);
    pub(in crate::search) const NOTHING: Budget = Budget(0);

    /// The budget before the first step. What may happen any number of times costs nothing.
    pub(in crate::search) fn of(bounds: &Bounds, steps: u16) -> Budget {
        let kinds = [
            (bounds.lost_acks, Most::MAX, Budget::LOST_ACK),
            (bounds.crashes, Most::MAX, Budget::CRASH),
            (bounds.lost_messages, Most::MAX, Budget::LOST_MESSAGE),
            (bounds.pauses, Most::MAX, Budget::PAUSE),
            (bounds.departures, Most::MAX, Budget::DEPARTURE),
            (bounds.changes, Most::FEW, Budget::CHANGE),
            (bounds.broker_failures, Most::FEW, Budget::BROKER_FAILURE),
        ];
        let all = kinds.into_iter().map(|(most, room, unit)| match most {
            Most::Of(most) => u64::from(most.min(room)) * unit.0,
            Most::Any => 0,
        });
        Budget(all.sum::<u64>() + u64::from(steps) * Budget::STEP.0)
    }

    /// Whether there is at least as much of everything.
    #[inline]
    pub(in crate::search) fn dominates(self, other: Budget) -> bool {
        ((self.0 | Budget::HIGHEST) - other.0) & Budget::HIGHEST == Budget::HIGHEST
    }

    /// The budget that remains after this cost; `None` if it is higher than the budget.
    #[inline]
    pub(in crate::search) fn spend(self, cost: Budget) -> Option<Budget> {
        self.dominates(cost).then(|| Budget(self.0 - cost.0))
    }

    /// It as one word.
    pub(in crate::search) fn word(self) -> u64 {
        self.0
    }

    /// The same with no steps left.
    pub(in crate::search) fn without_steps(self) -> Budget {
        Budget(self.0 & (Budget::STEP.0 - 1))
    }

    /// The sum of two costs.
    pub(in crate::search) fn plus(self, other: Budget) -> Budget {
        Budget(self.0 + other.0)
    }
}

/// A fate that the bounds allow, and its cost.
#[derive(Clone, Copy, Debug)]
pub(in crate::search) struct Choice {
    pub(in crate::search) fate: Fate,
    pub(in crate::search) cost: Budget,
}

/// Which fates an action may have.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::search) struct FateKind(usize);

impl FateKind {
    /// Of what has no fate but the calm one.
    pub(in crate::search) const NONE: FateKind = FateKind(0);

    #[inline]
    pub(in crate::search) fn of(chosen: Option<&Chosen>) -> FateKind {
        let kind = |chosen: &Chosen| 1 + usize::from(chosen.is_delivery) * 2 + usize::from(chosen.may_pause);
        FateKind(chosen.filter(|chosen| chosen.may_crash).map_or(0, kind))
    }
}

/// The fates that the bounds allow, the calm one first: that alone for what has no other, and those of all
/// but deliveries and of deliveries, whose handler may not pause and whose may. One that does what
/// another one does, and costs as much, is left out.
#[derive(Clone, Debug)]
pub(in crate::search) struct Choices([Vec<Choice>; 5]);

impl Choices {
    pub(in crate::search) fn of<S: System>(bounds: &Bounds, simulation: &Simulation<S>) -> Choices {
        let mut choices = Choices::all(bounds, simulation.profile().changes());
        let services = &simulation.inner.services;
        let acks_last = services.iter().all(|hosted| hosted.ack_timing == AckTiming::AfterSave);
        let outbox = services.iter().flat_map(|hosted| hosted.publish_modes).all(|mode| mode == PublishMode::Outbox);
        choices.0.iter_mut().for_each(|list| {
            list.retain(|Choice { fate, .. }| {
                // Who crashes before the ack has lost it, and no late one is under way.
                let is_told = acks_last
                    && match fate.ack {
                        AckFate::Prompt => false,
                        AckFate::Late => fate.crash.is_some_and(|window| window != Window::AfterAck),
                        AckFate::Lost => fate.crash.is_some(),
                    };
                // What is in the outbox is published.
                let is_late = outbox && fate.crash == Some(Window::BeforePublish);
                !is_told && !is_late
            });
        });
        choices
    }

    /// Those with one fault at most.
    pub(in crate::search) fn single(bounds: &Bounds) -> Choices {
        let mut choices = Choices::all(bounds, MemberChanges::NONE);
        let faults = |Fate { ack, crash, pause, duplicate, lose, .. }: Fate| {
            [ack != AckFate::Prompt, crash.is_some(), pause, duplicate, lose].into_iter().filter(|happens| *happens)
        };
        choices.0.iter_mut().for_each(|list| list.retain(|choice| faults(choice.fate).count() <= 1));
        choices
    }

    fn all(bounds: &Bounds, known: MemberChanges) -> Choices {
        let of = |is_delivery, may_pause| choices(bounds, known, is_delivery, may_pause);
        let calm = Choice { fate: Fate::CALM, cost: Budget::NOTHING };
        Choices([vec![calm], of(false, false), of(false, true), of(true, false), of(true, true)])
    }

    /// The fates of a kind.
    #[inline]
    pub(in crate::search) fn of_kind(&self, kind: FateKind) -> &[Choice] {
        &self.0[kind.0]
    }
}

fn choices(bounds: &Bounds, known: MemberChanges, is_delivery: bool, may_pause: bool) -> Vec<Choice> {
    let flag = |wanted: bool| if wanted { &[false, true][..] } else { &[false][..] };
    let acks = match is_delivery && !bounds.lost_acks.is_none() {
        // Where the broker waits for no ack, a lost one leads to all that a late one leads to.
        true if bounds.order == DeliveryOrder::Broker => &[AckFate::Prompt, AckFate::Late, AckFate::Lost][..],
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
                        ..Fate::CALM
                    }));
                }
            }
        }
    }
    // What is lost meets no handler.
    fates.retain(|fate| !fate.lose || *fate == Fate { lose: true, duplicate: fate.duplicate, ..Fate::CALM });
    if is_delivery {
        fates = fates.into_iter().flat_map(|fate| with_members(bounds, known, fate)).collect();
    }
    fates.into_iter().map(|fate| Choice { fate, cost: cost_of(bounds, fate) }).collect()
}

/// A fate of a delivery, and the same with what may happen to its member: more that it has fetched, and a change.
fn with_members(bounds: &Bounds, known: MemberChanges, fate: Fate) -> impl Iterator<Item = Fate> {
    let fetched = if known.fetches() && !fate.lose { bounds.fetched } else { 0 };
    let Bounds { changes, broker_failures, lost_messages, .. } = *bounds;
    // A member that crashes is gone before anything else happens to it.
    let of_members =
        known.of_members().filter(move |change| fate.crash.is_none() || *change == MemberChange::CommitAhead);
    let of_brokers = known.of_brokers().filter(move |_| fate.crash.is_none());
    let of_logs = known.of_logs().filter(move |_| fate.crash.is_none());
    let known = [
        (changes, of_members.collect::<Vec<_>>()),
        (broker_failures, of_brokers.collect()),
        (lost_messages, of_logs.collect()),
    ];
    let known = known.into_iter().filter(|(most, _)| !most.is_none() && !fate.lose).flat_map(|(_, known)| known);
    let changes: Vec<_> = std::iter::once(None).chain(known.map(Some)).collect();
    (0..=fetched).flat_map(move |fetch| changes.clone().into_iter().map(move |change| Fate { fetch, change, ..fate }))
}

fn cost_of(bounds: &Bounds, fate: Fate) -> Budget {
    let cleans = fate.change.is_some_and(|change| MemberChange::OF_LOGS.contains(&change));
    let is_failure = fate.change.is_some_and(MemberChange::is_failure);
    let faults = [
        (fate.ack != AckFate::Prompt, bounds.lost_acks, Budget::LOST_ACK),
        (fate.crash.is_some(), bounds.crashes, Budget::CRASH),
        (fate.pause, bounds.pauses, Budget::PAUSE),
        (fate.lose || cleans, bounds.lost_messages, Budget::LOST_MESSAGE),
        (is_failure, bounds.broker_failures, Budget::BROKER_FAILURE),
        (fate.change.is_some() && !is_failure && !cleans, bounds.changes, Budget::CHANGE),
        // As many as are pending at a time.
        (fate.duplicate, Most::Any, Budget::NOTHING),
        (fate.fetch > 0, Most::Any, Budget::NOTHING),
    ];
    faults.into_iter().filter(|(happens, ..)| *happens).fold(Budget::NOTHING, |cost, (_, most, unit)| {
        let own = if most == Most::Any { Budget::NOTHING } else { unit };
        let departure = if bounds.departures == Most::Any { Budget::NOTHING } else { Budget::DEPARTURE };
        cost.plus(own).plus(departure)
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
        ..Bounds::of(DeliveryOrder::Any)
    };

    #[test]
    fn budgets_are_compared_kind_by_kind() {
        let few = Bounds { departures: Most::Of(3), changes: Most::Of(2), broker_failures: Most::Of(7), ..ALL };
        let budget = Budget::of(&few, 5);
        assert!(budget.dominates(budget));
        for unit in [
            Budget::LOST_ACK,
            Budget::CRASH,
            Budget::LOST_MESSAGE,
            Budget::DEPARTURE,
            Budget::CHANGE,
            Budget::BROKER_FAILURE,
            Budget::STEP,
        ] {
            let less = budget.spend(unit).expect("there is one left");
            assert!(budget.dominates(less) && !less.dominates(budget), "{unit:?}");
        }
        assert!(!budget.dominates(Budget::PAUSE), "what may happen any number of times is not counted");
        let (one, other) = (budget.spend(Budget::LOST_ACK), budget.spend(Budget::STEP));
        assert!(one.zip(other).is_some_and(|(one, other)| !one.dominates(other) && !other.dominates(one)));
        let spent = budget.spend(Budget::LOST_ACK).and_then(|budget| budget.spend(Budget::LOST_ACK));
        assert_eq!(spent.and_then(|budget| budget.spend(Budget::LOST_ACK)), None, "there were two");
        let more = Most::Of(u8::MAX);
        let most =
            Budget::of(&Bounds { departures: more, changes: more, broker_failures: more, ..ALL }, Budget::STEPS_MAX);
        assert!(most.dominates(budget) && most.spend(budget).is_some());
    }

    #[test]
    fn every_combination_of_faults_is_a_fate_and_the_calm_one_is_first() {
        let choices = Choices::all(&ALL, MemberChanges::NONE);
        // Prompt or lost, no crash or one of four, once or twice, paused or not; and lost messages.
        assert_eq!(choices.0.each_ref().map(Vec::len), [1, 4, 8, 2 * 5 * 2 + 2, 2 * 5 * 2 * 2 + 2]);
        assert!(choices.0[1..].iter().all(|list| list[0].fate == Fate::CALM && list[0].cost == Budget::NOTHING));
        let none = Choices::all(&Bounds::of(DeliveryOrder::Any), MemberChanges::NONE);
        assert!(none.0[1..].iter().all(|list| list.len() == 1));
    }

    #[test]
    fn bounds_are_rendered_in_words() {
        assert_eq!(Bounds::of(DeliveryOrder::Any).to_string(), "any order");
        let words = "any order, 2 lost acks, 1 duplicate, 1 crash, any pauses, 1 lost message";
        assert_eq!(ALL.to_string(), words);
        let few = Bounds { departures: Most::Of(1), ..Bounds::of(DeliveryOrder::Lockstep) };
        assert_eq!(few.to_string(), "lockstep, 1 departure");
    }
}
