//! The calm run with departures.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::calm_order::CalmOrder;
use super::{Action, Chosen, Enabled, Offer, Scheduler, Tie};
use crate::broker::DeliveryIndex;
use crate::faults::{AckFate, Fate};
use crate::schedule::{self, Departure, Target};

/// The outcome of a departure in a run, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DepartureOutcome {
    /// What it is about never came, or not as something it could be done to.
    Never,
    /// A handler was to pause and cannot.
    CannotPause,
    /// A handler was to be interrupted at an await, and is no `async fn`.
    CannotAwait,
    /// A handler was to be interrupted at an await that it did not come to, or before a change that it did not make.
    NothingAwaited,
    /// A member was to crash over a command that sets the stage, over which none does.
    CannotCrash,
    /// A handler was to pause until something that had happened when it began.
    TooLate,
    /// Something was to happen to a member that its broker does not know.
    NotThere,
    /// Another departure about the same took its place.
    Overruled,
    /// An ack was to come late, and there was none.
    NoAck,
    /// Others were to come between the saves of a handler and what it publishes, where none can.
    CannotPublishLate,
    /// What a handler publishes was to be out late, and it published nothing.
    NothingPublished,
    /// A member was to crash between two saves of a handler that committed nothing in between.
    NothingCommitted,
    /// Dead letters were to be put back, and there were none.
    NothingDead,
    /// A log was to be without something, and had nothing that it could be without.
    NothingCleaned,
    /// What other services answer was to be wrong, to a handler whose service asks none.
    CannotAsk,
    /// The same, to a handler that asked nothing.
    NothingAsked,
    /// A handler was to get a stale answer, and what it asked for was the same before.
    SameAnswer,
    /// It ended before what it waits for happened, which never did.
    EndedWithout,
    /// It ended before what it waits for happened, which it did later.
    EndedEarly,
    /// It was done, to its end.
    InFull,
}

/// A departure with what is worked out of it once.
#[derive(Clone, Debug)]
struct Planned {
    departure: Departure,
    /// The key of what ends it.
    until: Option<u64>,
    /// The key of what it is to set off: the redelivery that an ack runs past.
    sets_off: Option<u64>,
    used: bool,
    /// Whether it was done, or began to be.
    begun: bool,
    /// Whether it ended before what it waits for happened.
    cut_short: bool,
    /// Why it was not done, if what it is about came.
    hindered: DepartureOutcome,
}

/// For what something waits, from what waits least to what waits longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Nothing,
    Quiescence,
    Happening,
    /// Something that comes only if the clock moves, even if no service has a timer armed.
    Clock,
}

/// Plays the calm run, departing from it where the schedule says so. A departure that names
/// something which never comes has no effect; [`Departing::unused`] returns those.
#[derive(Clone, Debug)]
pub struct Departing {
    schedule: Vec<Planned>,
    /// By the key of what they are about, the places of the departures.
    places: BTreeMap<u64, Vec<usize>>,
    /// By the key of a late ack or of what is published late, that of what was handled, as far as departures
    /// delay it.
    late: BTreeMap<u64, u64>,
    tie: Tie,
    /// The keys of what departures wait for, and whether it has happened.
    happened: BTreeMap<u64, bool>,
    /// The key of what was told to pause in the running step, and whether it works when it goes on.
    pausing: Option<(u64, bool)>,
    /// The paused handlers that begin to work when they go on.
    working: BTreeSet<Action>,
    /// By the key of what a handler handles, the places of the departures that interrupt it at an await.
    interrupts: BTreeMap<u64, Vec<usize>>,
    /// The interrupted handlers that may be interrupted once more, with the key of what they handle.
    awaiting: BTreeMap<Action, u64>,
    /// What was handled in the running step, unless it was interrupted: that shows behind it.
    unfinished: Option<u64>,
    /// The keys of what can be held or goes on, as far as departures are about it or wait for it: for a
    /// paused handler, of what it handles.
    keys: BTreeMap<Action, u64>,
    order: CalmOrder,
    /// The deliveries that were next and wait, out of that order.
    held: Vec<DeliveryIndex>,
}

impl Departing {
    /// The calm run with these departures.
    #[must_use]
    pub fn new(schedule: Vec<Departure>) -> Departing {
        Departing::with_tie(schedule, Tie::InOrder)
    }

    /// The same for a calm run that takes what could come in any order in another one: what happens
    /// for the schedule's sake happens there as well.
    #[must_use]
    pub fn with_tie(schedule: Vec<Departure>, tie: Tie) -> Departing {
        let mut places = BTreeMap::<u64, Vec<usize>>::new();
        for (place, departure) in schedule.iter().enumerate() {
            places.entry(departure.what().key()).or_default().push(place);
        }
        let planned = schedule.into_iter().map(|departure| {
            let until = departure.until().map(Target::key);
            let sets_off = match &departure {
                Departure::RunPast(what) => Some(what.clone().again().key()),
                _ => None,
            };
            Planned {
                departure,
                until,
                sets_off,
                used: false,
                begun: false,
                cut_short: false,
                hindered: DepartureOutcome::Never,
            }
        });
        let schedule: Vec<Planned> = planned.collect();
        let late = schedule.iter().filter_map(|planned| {
            let key = planned.departure.what().key();
            match planned.departure {
                Departure::DelayAck { .. } | Departure::RunPast(_) => Some((schedule::ack_key(key), key)),
                Departure::SlowPublish { .. } => Some((schedule::publish_key(key), key)),
                _ => None,
            }
        });
        let late = late.collect();
        let mut interrupts = BTreeMap::<u64, Vec<usize>>::new();
        for (place, planned) in schedule.iter().enumerate() {
            if let Departure::Pause { what: Target::Await { what, .. }, .. } = &planned.departure {
                interrupts.entry(what.key()).or_default().push(place);
            }
        }
        let awaited = schedule.iter().flat_map(|planned| [planned.until, planned.sets_off]).flatten();
        Departing {
            happened: awaited.map(|until| (until, false)).collect(),
            schedule,
            places,
            late,
            tie,
            pausing: None,
            working: BTreeSet::new(),
            interrupts,
            awaiting: BTreeMap::new(),
            unfinished: None,
            keys: BTreeMap::new(),
            order: CalmOrder::with_tie(tie),
            held: Vec::new(),
        }
    }

    /// The departures that have had no effect so far.
    pub fn unused(&self) -> impl Iterator<Item = &Departure> {
        self.schedule.iter().filter(|planned| !planned.used).map(|planned| &planned.departure)
    }

    /// The outcome of each departure so far, in the order they were given.
    pub fn outcomes(&self) -> impl Iterator<Item = (&Departure, DepartureOutcome)> {
        self.schedule.iter().map(|planned| {
            let has_come = || planned.until.or(planned.sets_off).is_none_or(|until| self.has_happened(until));
            let came = match (planned.begun, planned.cut_short) {
                (false, _) if planned.used && planned.hindered == DepartureOutcome::Never => match planned.departure {
                    Departure::SlowPublish { .. } => DepartureOutcome::NothingPublished,
                    _ => DepartureOutcome::NoAck,
                },
                (false, _) => planned.hindered,
                (true, false) => DepartureOutcome::InFull,
                (true, true) if has_come() => DepartureOutcome::EndedEarly,
                (true, true) => DepartureOutcome::EndedWithout,
            };
            (&planned.departure, came)
        })
    }

    /// Whether a departure was not done because its handler cannot pause.
    #[must_use]
    pub fn cannot_pause(&self, departure: &Departure) -> bool {
        self.outcomes().any(|(other, came)| other == departure && came == DepartureOutcome::CannotPause)
    }

    /// Adds the awaits at which departures interrupt a handler.
    fn interrupt(&mut self, chosen: &Chosen, fate: &mut Fate) {
        for place in self.interrupts.get(&chosen.key).into_iter().flatten() {
            let planned = &mut self.schedule[*place];
            let Departure::Pause { what: Target::Await { place, .. }, .. } = &planned.departure else { continue };
            let has_come = planned.until.is_some_and(|until| self.happened.get(&until) == Some(&true));
            planned.used = true;
            planned.hindered = match has_come {
                _ if !chosen.awaits => DepartureOutcome::CannotAwait,
                _ if !chosen.may_pause => DepartureOutcome::CannotPause,
                true => DepartureOutcome::TooLate,
                false => DepartureOutcome::NothingAwaited,
            };
            if planned.hindered == DepartureOutcome::NothingAwaited {
                fate.awaits.add(*place);
            }
        }
    }

    /// Notes that the handler of what has the first key was interrupted where departures name the second one.
    fn interrupted(&mut self, action: Action, handled: u64, at: u64) {
        self.awaiting.insert(action, handled);
        self.note(schedule::pause_key(handled));
        for place in self.places.get(&at).into_iter().flatten() {
            let planned = &mut self.schedule[*place];
            let is_one = matches!(planned.departure, Departure::Pause { .. });
            if is_one && planned.hindered == DepartureOutcome::NothingAwaited {
                (planned.hindered, planned.begun) = (DepartureOutcome::Never, true);
            }
        }
    }

    /// Notes that what has this key goes on, although some departures about it may wait for something.
    fn note_going_on(&mut self, key: u64, is_one: impl Fn(&Departure) -> bool) {
        for place in self.places.get(&key).into_iter().flatten() {
            let planned = &mut self.schedule[*place];
            let awaited = planned.until.or(planned.sets_off);
            let has_come = awaited.is_none_or(|until| self.happened.get(&until) == Some(&true));
            if is_one(&planned.departure) {
                planned.cut_short |= !has_come;
            }
        }
    }

    /// The departures about what has this key.
    fn about(&self, key: u64) -> impl Iterator<Item = &Planned> {
        self.places.get(&key).into_iter().flatten().map(|place| &self.schedule[*place])
    }

    /// The key by which departures name what an action does.
    fn key_of(&self, action: Action, enabled: &Enabled<'_>) -> Option<u64> {
        match action {
            Action::Deliver(index) | Action::Ack(index) => Some(enabled.delivery(index).key),
            action => self.keys.get(&action).copied(),
        }
    }

    /// What the schedule lets an action wait for.
    fn wait_of(&self, action: Action, enabled: &Enabled<'_>) -> Wait {
        let Some(key) = self.key_of(action, enabled).filter(|key| self.places.contains_key(key)) else {
            return Wait::Nothing;
        };
        let here = self.about(key).filter(|planned| match planned.departure {
            Departure::Hold { .. } => matches!(action, Action::Deliver(_) | Action::Command(_) | Action::Join(_)),
            Departure::Pause { .. } => matches!(action, Action::Resume(_)),
            Departure::DelayAck { .. } => matches!(action, Action::Ack(_)),
            Departure::SlowPublish { .. } => matches!(action, Action::Publish(_)),
            _ => false,
        });
        let waits = here.map(|planned| match planned.until {
            None => Wait::Quiescence,
            Some(until) if self.has_happened(until) => Wait::Nothing,
            Some(_) if matches!(planned.departure.until(), Some(Target::AckWait(_))) => Wait::Clock,
            Some(_) => Wait::Happening,
        });
        waits.max().unwrap_or(Wait::Nothing)
    }

    /// Notes which departures about what has this key are in its fate. Whether there is an ack that could
    /// come late, or anything to be published, shows when it comes.
    fn note_fate(&mut self, key: u64, fate: Fate) {
        for place in self.places.get(&key).into_iter().flatten() {
            let planned = &mut self.schedule[*place];
            let is_so = match &planned.departure {
                Departure::Duplicate(_) => fate.duplicate,
                Departure::LoseAck(_) => fate.ack == AckFate::Lost,
                Departure::Crash { window, .. } => fate.crash == Some(*window),
                Departure::Lose(_) => fate.lose,
                Departure::Fetch { inbox, .. } => fate.fetch == *inbox,
                Departure::MemberChange { change, .. } => fate.change == Some(*change),
                Departure::Republish(_) => fate.republish,
                Departure::Answer { fault, .. } => fate.answer == Some(*fault),
                Departure::Pause { .. } => fate.pause,
                Departure::Hold { .. } => continue,
                Departure::RunPast(_) | Departure::DelayAck { .. } => {
                    if fate.ack != AckFate::Late {
                        planned.hindered = DepartureOutcome::Overruled;
                    }
                    continue;
                }
                Departure::SlowPublish { .. } => {
                    if !fate.slow_publish && planned.hindered == DepartureOutcome::Never {
                        planned.hindered = DepartureOutcome::Overruled;
                    }
                    continue;
                }
            };
            match planned.hindered {
                DepartureOutcome::Never if is_so => planned.begun = true,
                DepartureOutcome::Never => planned.hindered = DepartureOutcome::Overruled,
                _ => {}
            }
        }
    }

    fn has_happened(&self, key: u64) -> bool {
        self.unfinished == Some(key) || self.happened.get(&key).is_some_and(|happened| *happened)
    }

    fn note(&mut self, key: u64) {
        if let Some(happened) = self.happened.get_mut(&key) {
            *happened = true;
        }
    }

    fn runs_past(&self, key: u64) -> bool {
        self.about(key).any(|planned| matches!(planned.departure, Departure::RunPast(_)))
    }

    /// The next action: what the calm run does with what does not wait; then what waits for
    /// quiescence, which this is; then the clock, if a service's timer may bring about what the
    /// others wait for, or if one of them waits for the end of an ack wait; then those others, whose
    /// time will not come.
    fn next(&mut self, enabled: &Enabled<'_>) -> Option<Action> {
        let (mut order, mut held) = (std::mem::take(&mut self.order), std::mem::take(&mut self.held));
        let wait = |action| self.wait_of(action, enabled);
        let past = |index: DeliveryIndex| self.runs_past(enabled.delivery(index).key);
        let clock = || enabled.clock().map(|_| Action::Advance);
        let clock_helps = || enabled.has_service_timer() || enabled.iter().any(|action| wait(action) == Wait::Clock);
        // No more wait than there are departures, so they may be looked at each time.
        let ready = || {
            held.drain(..).for_each(|index| order.offer(Action::Deliver(index)));
            loop {
                let index = order.first(enabled)?;
                if wait(Action::Deliver(index)) == Wait::Nothing {
                    return Some(Action::Deliver(index));
                }
                order.take_first();
                held.push(index);
            }
        };
        let next = enabled
            .calm_before_clock(|action| wait(action) == Wait::Nothing, past, ready)
            // Nothing is at rest as long as somebody works.
            .or_else(|| clock().filter(|_| enabled.works))
            .or_else(|| enabled.first_waiting(self.tie, |action| wait(action) == Wait::Quiescence))
            .or_else(|| clock().filter(|_| clock_helps()))
            .or_else(|| enabled.first_waiting(self.tie, |action| wait(action) > Wait::Nothing))
            .or_else(clock)
            // A late ack whose ack wait never ends.
            .or_else(|| enabled.calm());
        (self.order, self.held) = (order, held);
        next
    }

    /// Notes what happens with the picked action. What has a fate is noted when that is decided.
    fn note_picked(&mut self, action: Action, enabled: &Enabled<'_>) {
        if let Some(key) = self.key_of(action, enabled).filter(|key| self.places.contains_key(key)) {
            match action {
                Action::Deliver(_) | Action::Command(_) | Action::Join(_) => {
                    self.note_going_on(key, |departure| matches!(departure, Departure::Hold { .. }));
                }
                Action::Resume(_) => self.note_going_on(key, |departure| matches!(departure, Departure::Pause { .. })),
                Action::Ack(_) => self.note_going_on(key, delays_ack),
                Action::Publish(_) => {
                    self.note_going_on(key, |departure| matches!(departure, Departure::SlowPublish { .. }));
                }
                Action::Advance => {}
            }
        }
        let happened = match action {
            Action::Resume(_) if self.awaiting.contains_key(&action) => {
                let handled = self.awaiting.remove(&action);
                let key = self.keys.remove(&action).filter(|key| Some(*key) != handled);
                (self.pausing, self.unfinished) = (handled.map(|handled| (handled, false)), handled);
                key
            }
            Action::Resume(_) if self.working.remove(&action) => self.keys.remove(&action).map(schedule::start_key),
            Action::Resume(_) | Action::Join(_) => self.keys.remove(&action),
            Action::Publish(_) => self.keys.remove(&action).map(schedule::publish_key),
            Action::Ack(index) => Some(schedule::ack_key(enabled.delivery(index).key)),
            Action::Advance => enabled
                .done
                .or_else(|| enabled.ack_wait().map(|index| schedule::ack_wait_key(enabled.delivery(index).key))),
            Action::Command(_) => {
                self.keys.remove(&action);
                None
            }
            Action::Deliver(_) => None,
        };
        if let Some(key) = happened {
            self.note(key);
        }
    }
}

/// Whether a departure lets an ack come late.
fn delays_ack(departure: &Departure) -> bool {
    matches!(departure, Departure::DelayAck { .. } | Departure::RunPast(_))
}

impl Scheduler for Departing {
    fn offer(&mut self, offer: Offer) {
        let Offer { action, key, .. } = offer;
        self.order.offer(action);
        match action {
            Action::Resume(_) => {
                if let Some((handled, works)) = self.pausing.take() {
                    let key = schedule::going_on_key(key, handled);
                    self.keys.insert(action, key);
                    self.working.extend(works.then_some(action));
                    if self.unfinished.take().is_some() {
                        self.interrupted(action, handled, key);
                    }
                }
            }
            Action::Ack(_) | Action::Publish(_) => {
                let Some(handled) = self.late.get(&key).copied() else { return };
                for place in self.places.get(&handled).into_iter().flatten() {
                    let planned = &mut self.schedule[*place];
                    let is_late = match action {
                        Action::Ack(_) => delays_ack(&planned.departure),
                        _ => matches!(planned.departure, Departure::SlowPublish { .. }),
                    };
                    planned.begun |= is_late && planned.hindered == DepartureOutcome::Never;
                }
                if matches!(action, Action::Publish(_)) {
                    self.keys.insert(action, handled);
                }
            }
            Action::Deliver(_) | Action::Command(_) | Action::Join(_) => {
                for place in self.places.get(&key).into_iter().flatten() {
                    let planned = &mut self.schedule[*place];
                    let is_held = matches!(planned.departure, Departure::Hold { .. });
                    planned.used |= is_held;
                    planned.begun |= is_held;
                }
                let matters = self.places.contains_key(&key) || self.happened.contains_key(&key);
                if matters && !matches!(action, Action::Deliver(_)) {
                    self.keys.insert(action, key);
                }
            }
            _ => {}
        }
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        if let Some(done) = self.unfinished.take() {
            self.pausing = None;
            self.note(done);
        }
        let action = self.next(enabled).expect("a scheduler is asked only when something may happen");
        self.note_picked(action, enabled);
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        let mut fate = Fate::CALM;
        for place in self.places.get(&chosen.key).into_iter().flatten() {
            let planned = &mut self.schedule[*place];
            let has_come = planned.until.is_some_and(|until| self.happened.get(&until) == Some(&true));
            match &planned.departure {
                Departure::Hold { .. } => continue,
                Departure::Pause { .. } if !chosen.may_pause => {
                    planned.hindered = DepartureOutcome::CannotPause;
                    continue;
                }
                Departure::Crash { .. } if !chosen.may_crash => {
                    planned.hindered = DepartureOutcome::CannotCrash;
                    continue;
                }
                Departure::Fetch { .. } if !chosen.changes.fetches() => {
                    planned.hindered = DepartureOutcome::NotThere;
                    continue;
                }
                Departure::MemberChange { change, .. } if !chosen.changes.has(*change) => {
                    planned.hindered = DepartureOutcome::NotThere;
                    continue;
                }
                Departure::Fetch { inbox, .. } => fate.fetch = *inbox,
                Departure::MemberChange { change, .. } => fate.change = Some(*change),
                Departure::Republish(_) => fate.republish = true,
                Departure::Answer { .. } if !chosen.may_ask => {
                    planned.hindered = DepartureOutcome::CannotAsk;
                    continue;
                }
                Departure::Answer { fault, .. } => fate.answer = Some(*fault),
                Departure::SlowPublish { .. } if !chosen.may_publish_late => {
                    planned.hindered = DepartureOutcome::CannotPublishLate;
                    continue;
                }
                Departure::Pause { .. } | Departure::SlowPublish { .. } if has_come => {
                    planned.hindered = DepartureOutcome::TooLate;
                }
                Departure::Pause { .. } => {
                    fate.pause = true;
                    if chosen.awaits {
                        planned.hindered = DepartureOutcome::NothingAwaited;
                    }
                }
                Departure::SlowPublish { .. } => fate.slow_publish = true,
                Departure::Duplicate(_) => fate.duplicate = true,
                Departure::LoseAck(_) => fate.ack = AckFate::Lost,
                Departure::Crash { window, .. } => fate.crash = Some(*window),
                Departure::RunPast(_) | Departure::DelayAck { .. } => fate.ack = AckFate::Late,
                Departure::Lose(_) => fate.lose = true,
            }
            planned.used = true;
        }
        self.interrupt(chosen, &mut fate);
        let fate = chosen.restrict(fate);
        self.note_fate(chosen.key, fate);
        if chosen.awaits && fate.interrupts() {
            (self.pausing, self.unfinished) = (Some((chosen.key, false)), Some(chosen.key));
        } else if fate.pause {
            self.pausing = Some((chosen.key, chosen.works));
            self.note(schedule::pause_key(chosen.key));
        } else if chosen.works && !fate.lose {
            self.note(schedule::start_key(chosen.key));
        } else {
            self.note(chosen.key);
        }
        fate
    }

    fn departing(&self) -> Option<&Departing> {
        Some(self)
    }
}
