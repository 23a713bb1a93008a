//! Departures that were not done, or ended early, and why.

use super::occurred::Occurred;
use super::plans::recognised_at_once;
use super::{Kind, Vacuous};
use crate::broker::{MaxDeliver, Ordering, RedeliverAt};
use crate::event::System;
use crate::faults::MemberChange;
use crate::schedule::{CommandSpec, DeliverySpec, Departure, Target};
use crate::scheduler::DepartureOutcome;
use crate::service::{PublishMode, Work};
use crate::simulation::{Hosted, Simulation};

/// What is known of a schedule before it is played.
pub(super) fn foreseen<S: System>(simulation: &Simulation<S>, schedule: &[Departure]) -> Vec<Vacuous> {
    let found = schedule.iter().filter_map(|departure| {
        let why = Why { simulation, schedule, departure };
        let cannot = why.cannot_pause().or_else(|| why.cannot_publish_late()).or_else(|| why.is_recognised());
        let cannot = cannot.or_else(|| why.cannot_ask());
        let unused = cannot.or_else(|| why.another_service()).or_else(|| why.no_response());
        match unused {
            Some(reason) => Some(unused_because(departure, reason)),
            None => why.never_ends().or_else(|| why.out_of_reach()).map(|reason| ended_because(departure, reason)),
        }
    });
    found.collect()
}

/// Why nothing of this name can exist in a simulation, whatever its services do: no group of that name listens to
/// the subject, no client sends the command, there is no such service.
fn impossible<S: System>(simulation: &Simulation<S>, target: &Target) -> Option<String> {
    match target {
        Target::Delivery(what) | Target::Ack(what) | Target::AckWait(what) => {
            if simulation.listens(&what.group, &what.subject) {
                return None;
            }
            let others: Vec<String> = simulation.groups_on(&what.subject).map(|group| format!("`{group}`")).collect();
            let others = match others.is_empty() {
                true => String::new(),
                false => format!("; those that do are {}", others.join(", ")),
            };
            Some(format!("no group `{}` listens to `{}`{others}", what.group, what.subject))
        }
        Target::Command(what) => sent(simulation, what).is_none().then(|| "no client sends that".to_owned()),
        Target::Timer(timer) => {
            let is_there = simulation.service_names().any(|name| name == timer.service);
            (!is_there).then(|| format!("there is no service `{}`", timer.service))
        }
        Target::Join(group) => {
            let is_there = simulation.inner.groups.iter().any(|known| known.name == *group);
            (!is_there).then(|| format!("there is no group `{group}`"))
        }
        Target::Pause(what) | Target::Await { what, .. } | Target::Start(what) | Target::Publish(what) => {
            impossible(simulation, what)
        }
    }
}

/// The place of the service that executes a command, if a client sends it.
fn sent<S: System>(simulation: &Simulation<S>, what: &CommandSpec) -> Option<usize> {
    let client = simulation.inner.clients.iter().find(|client| client.name == what.client)?;
    let key = what.key();
    let first = what.at_first_attempt().map(|first| first.key());
    let is_sent = |sent: u64| sent == key || Some(sent) == first;
    client.commands.iter().find(|command| is_sent(command.key)).map(|command| command.service.get())
}

/// What of a schedule no run did.
pub(super) fn found<S: System>(
    simulation: &Simulation<S>,
    schedule: &[Departure],
    occurred: &Occurred,
) -> Vec<Vacuous> {
    let found = schedule.iter().zip(&occurred.came).filter_map(|(departure, came)| {
        let why = Why { simulation, schedule, departure };
        if let Some(reason) = why.another_service() {
            return Some(unused_because(departure, reason));
        }
        Some(match came {
            DepartureOutcome::InFull => return None,
            DepartureOutcome::NoAck if matches!(departure, Departure::LoseAck(_)) => {
                unused_because(departure, "its handler gave no answer that could be lost")
            }
            DepartureOutcome::Never => unused_because(departure, why.no_response().unwrap_or_else(|| why.never())),
            DepartureOutcome::CannotCrash => unused_because(
                departure,
                "nobody crashes over a command that sets the stage (`setup = true`)".to_owned(),
            ),
            DepartureOutcome::CannotPause => {
                unused_because(departure, why.cannot_pause().unwrap_or_else(|| why.never()))
            }
            DepartureOutcome::CannotAwait => {
                unused_because(departure, why.cannot_await().unwrap_or_else(|| why.never()))
            }
            DepartureOutcome::NothingAwaited => unused_because(departure, why.nothing_awaited()),
            DepartureOutcome::CannotPublishLate => {
                unused_because(departure, why.cannot_publish_late().unwrap_or_else(|| why.never()))
            }
            DepartureOutcome::NothingCommitted => {
                unused_because(departure, "its handler commits nothing between two saves (`Context::commit`)")
            }
            DepartureOutcome::CannotAsk => unused_because(departure, why.cannot_ask().unwrap_or_else(|| why.never())),
            DepartureOutcome::NothingDead => unused_because(departure, "its group had no dead letter then"),
            DepartureOutcome::NothingCleaned => unused_because(departure, why.nothing_cleaned()),
            DepartureOutcome::NothingAsked => unused_because(departure, "its handler asked no other service"),
            DepartureOutcome::SameAnswer => {
                unused_because(departure, "what its handler asked for was the same before it was last saved")
            }
            DepartureOutcome::NothingPublished => unused_because(departure, "its handler published nothing"),
            DepartureOutcome::TooLate => unused_because(departure, format!("{} happened before it began", why.until())),
            DepartureOutcome::NoAck => unused_because(departure, "its handler gave no ack that could come late"),
            DepartureOutcome::NotThere => unused_because(departure, why.not_there()),
            DepartureOutcome::Overruled => {
                let another = || "another departure about the same takes its place".to_owned();
                unused_because(departure, why.is_recognised().unwrap_or_else(another))
            }
            DepartureOutcome::EndedEarly => {
                let reason = why.never_ends().or_else(|| why.out_of_reach()).unwrap_or_else(|| {
                    format!("{} came only after it: nothing that does not wait brings it about", why.until())
                });
                ended_because(departure, reason)
            }
            DepartureOutcome::EndedWithout => {
                // What never came was not kept from coming by an order.
                let reason = why.out_of_reach().filter(|_| why.in_order_with_end().is_none());
                let reason = why.never_ends().or(reason);
                ended_because(departure, reason.unwrap_or_else(|| format!("{} never came", why.until())))
            }
        })
    });
    found.collect()
}

/// What the handler runs for that handles this.
const fn work_of(what: &Target) -> Work {
    match what {
        Target::Command(_) => Work::Command,
        Target::Await { what, .. } => work_of(what),
        _ => Work::Delivery,
    }
}

fn unused_because(departure: &Departure, reason: impl Into<String>) -> Vacuous {
    Vacuous::new(Kind::UnusedDeparture, departure.to_string(), reason)
}

fn ended_because(departure: &Departure, reason: impl Into<String>) -> Vacuous {
    Vacuous::new(Kind::EndedEarly, departure.to_string(), reason)
}

/// Why something is not what a departure asked for.
struct Why<'a, S: System> {
    simulation: &'a Simulation<S>,
    schedule: &'a [Departure],
    departure: &'a Departure,
}

impl<S: System> Why<'_, S> {
    /// What ends the departure, quoted.
    fn until(&self) -> String {
        match (self.departure, self.departure.until()) {
            (Departure::RunPast(what), _) => format!("`{}`", what.clone().again()),
            (_, Some(until)) => format!("`{until}`"),
            (_, None) => "quiescence".to_owned(),
        }
    }

    fn never(&self) -> String {
        format!("`{}` never came", self.departure.what())
    }

    /// That what the departure is about cannot exist.
    fn no_response(&self) -> Option<String> {
        impossible(self.simulation, &self.departure.what())
    }

    /// That what the departure lasts until cannot exist.
    fn never_ends(&self) -> Option<String> {
        let until = self.departure.until()?;
        impossible(self.simulation, until).map(|why| format!("{} never comes: {why}", self.until()))
    }

    /// The places of the services that may handle something.
    fn handlers(&self, what: &Target) -> Vec<usize> {
        let inner = &self.simulation.inner;
        match what {
            Target::Delivery(delivery) => {
                let groups = inner.groups.iter().filter(|group| group.name == delivery.group);
                let services = groups.flat_map(|group| &group.services);
                let listening =
                    services.filter(|(_, subjects)| subjects.iter().any(|subject| subject.name() == delivery.subject));
                listening.map(|(service, _)| service.get()).collect()
            }
            Target::Command(command) => sent(self.simulation, command).into_iter().collect(),
            Target::Await { what, .. } => self.handlers(what),
            Target::Timer(timer) => {
                inner.services.iter().position(|hosted| hosted.name == timer.service).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The name of a service that handles something, if none that does can do a thing.
    fn if_none(&self, what: &Target, can: impl Fn(&Hosted<S>) -> bool) -> Option<&'static str> {
        let (handlers, services) = (self.handlers(what), &self.simulation.inner.services);
        let name = services.get(*handlers.first()?)?.name;
        (!handlers.iter().any(|place| can(&services[*place]))).then_some(name)
    }

    /// That no handler of what is to pause can.
    fn cannot_pause(&self) -> Option<String> {
        let Departure::Pause { what, .. } = self.departure else { return None };
        let name = self.if_none(what, |hosted| hosted.pauses[work_of(what) as usize])?;
        Some(format!("handlers of `{name}` cannot pause: it has one member, which handles one at a time"))
    }

    /// That no handler of what is to be interrupted at an await has any.
    fn cannot_await(&self) -> Option<String> {
        let what = self.departure.what();
        let (name, instead) = (self.if_none(&what, |hosted| hosted.awaits)?, what.handled());
        Some(format!("handlers of `{name}` are no `async fn`s (`Service::awaits`): write `pause {instead} until …`"))
    }

    /// That a handler did not come to where it was to be interrupted.
    fn nothing_awaited(&self) -> &'static str {
        match self.departure {
            Departure::Pause { what: Target::Await { .. }, .. } => "its handler did not come to that await",
            _ => "its handler changed nothing (`Port::call`) that it could be interrupted before",
        }
    }

    /// That no handler of what is to get a wrong answer asks anybody.
    fn cannot_ask(&self) -> Option<String> {
        let Departure::Answer { what, .. } = self.departure else { return None };
        let name = self.if_none(what, |hosted| !hosted.asks.is_empty())?;
        Some(format!("handlers of `{name}` ask no other service (`Service::asks`)"))
    }

    /// That the broker does not know what is to happen to a member.
    fn not_there(&self) -> String {
        let profile = self.simulation.profile();
        match &profile.engine {
            None => format!("members have no inboxes and do not change on `{}` as its parameters say it", profile.name),
            Some(_) => format!("that does not happen on {}", profile.name),
        }
    }

    /// That a log had nothing that it could be without.
    fn nothing_cleaned(&self) -> &'static str {
        match self.departure {
            Departure::MemberChange { change: MemberChange::Compact, .. } => {
                "no message of its partition had a later one of the same key by then"
            }
            Departure::MemberChange { change: MemberChange::Expire, .. } => {
                "all groups had been sent all messages of its partition by then"
            }
            _ => "all groups had been sent the last message by then",
        }
    }

    /// That nothing can come between the saves of what is to be slow and what it publishes.
    fn cannot_publish_late(&self) -> Option<String> {
        let Departure::SlowPublish { what, .. } = self.departure else { return None };
        let work = work_of(what);
        let handlers = self.handlers(what);
        let services = &self.simulation.inner.services;
        if handlers.iter().any(|place| services[*place].publishes_late[work as usize]) {
            return None;
        }
        let hosted = services.get(*handlers.first()?)?;
        let why = match hosted.publish_modes[work as usize] {
            PublishMode::BeforeSave => "it publishes before it saves (`PublishMode::BeforeSave`)",
            _ => "it has one member, which handles one at a time",
        };
        Some(format!("nothing comes between the saves and the publishes of `{}`: {why}", hosted.name))
    }

    /// That the broker has already what is published once more.
    fn is_recognised(&self) -> Option<String> {
        let Departure::Republish(what) = self.departure else { return None };
        let is_late = |other: &Departure| matches!(other, Departure::SlowPublish { what: late, .. } if late == what);
        let recognised =
            recognised_at_once(self.simulation.profile()).filter(|_| !self.schedule.iter().any(is_late))?;
        Some(format!("{recognised}: write `slow publish of {what} until …` beside it, so that it comes later"))
    }

    /// That a crash is of a service that does not handle it.
    fn another_service(&self) -> Option<String> {
        let Departure::Crash { service, what, .. } = self.departure else { return None };
        let handlers = self.handlers(what);
        let names = || handlers.iter().map(|place| self.simulation.inner.services[*place].name);
        let name = names().next()?;
        (!names().any(|name| name == service)).then(|| format!("`{service}` does not handle it, `{name}` does"))
    }

    /// Why what the departure lasts until cannot come before it ends, as far as the broker's rules say that.
    fn out_of_reach(&self) -> Option<String> {
        let profile = self.simulation.profile();
        let no_wait = profile.ack_wait.is_empty();
        let what = self.departure.what();
        if let Departure::RunPast(_) = self.departure {
            let once = matches!(profile.max_deliver, MaxDeliver::Times { times: 1, .. });
            return if no_wait {
                Some("the broker has no ack wait, so it never redelivers".to_owned())
            } else {
                once.then(|| "the broker delivers a message once".to_owned())
            };
        }
        match (&what, self.departure.until()?) {
            (_, Target::AckWait(_)) if no_wait => Some("the broker has no ack wait that could end".to_owned()),
            (Target::Delivery(what), Target::Delivery(until)) if is_later_attempt(what, until) => {
                self.redelivery(what, until)
            }
            (Target::Delivery(what), Target::Delivery(until)) => self.in_order(what, until),
            (Target::Command(what), Target::Command(until)) => {
                let name = format!("a client sends its commands one after the other, and `{what}` comes first");
                self.comes_first(what, until).then_some(name)
            }
            (_, Target::Pause(of)) => {
                let name = self.if_none(of, |hosted| hosted.pauses[work_of(of) as usize])?;
                Some(format!("handlers of `{name}` cannot pause"))
            }
            (_, until @ Target::Await { .. }) => {
                let is_left = |other: &Departure| matches!(other, Departure::Pause { what, .. } if what == until);
                let none = !self.schedule.iter().any(is_left);
                none.then(|| format!("nothing is interrupted there: write `pause {until} until …`"))
            }
            (_, Target::Start(of)) => {
                let name = self.if_none(of, |hosted| !hosted.takes[work_of(of) as usize].is_zero())?;
                Some(format!("handlers of `{name}` take no time: they do not begin before they are done"))
            }
            (_, Target::Publish(of)) => {
                let is_slow = |other: &Departure| matches!(other, Departure::SlowPublish { what, .. } if what == &**of);
                let none = !self.schedule.iter().any(is_slow);
                none.then(|| format!("nothing is slow to be published there: write `slow publish of {of} until …`"))
            }
            (_, Target::Delivery(until)) if until.attempt > 1 => self.for_want_of_clock(until),
            _ => None,
        }
    }

    /// Whether a client sends one of its commands before another one.
    fn comes_first(&self, first: &CommandSpec, second: &CommandSpec) -> bool {
        let clients = &self.simulation.inner.clients;
        let Some(client) = clients.iter().find(|client| client.name == first.client && first.client == second.client)
        else {
            return false;
        };
        let place = |spec: &CommandSpec| client.commands.iter().position(|command| command.key == spec.key());
        place(first).zip(place(second)).is_some_and(|(first, second)| first < second)
    }

    /// Why a redelivery of what a departure is about does not come while it lasts.
    fn redelivery(&self, what: &DeliverySpec, until: &DeliverySpec) -> Option<String> {
        let begins = match self.departure {
            Departure::Hold { .. } => return Some(format!("`{until}` comes only after `{what}` was handed out")),
            Departure::Pause { .. } => format!("pause {what}"),
            _ => format!("delay ack of {what}"),
        };
        if self.simulation.profile().ack_wait.is_empty() {
            return Some(format!("the broker has no ack wait, so nothing brings `{until}` about before it ends"));
        }
        if !self.takes_time(what) {
            return None;
        }
        let beside: String = format!("{begins} until ack wait of {what}");
        let is_doubled = self.schedule.contains(&Departure::Duplicate(what.clone()));
        if is_doubled || self.schedule.iter().any(|other| other.to_string() == beside) {
            return None;
        }
        Some(format!("only the end of an ack wait brings `{until}` about: write `{beside}` beside it"))
    }

    /// Whether the broker waits for the answer to a delivery before it redelivers.
    fn takes_time(&self, delivery: &DeliverySpec) -> bool {
        self.simulation.profile().wait_for(delivery.attempt).is_some_and(|wait| !wait.is_zero())
    }

    /// [`Why::in_order`] of what the departure is about and what ends it.
    fn in_order_with_end(&self) -> Option<String> {
        match (&self.departure.what(), self.departure.until()?) {
            (Target::Delivery(what), Target::Delivery(until)) if until.attempt == 1 => self.in_order(what, until),
            _ => None,
        }
    }

    /// That the broker hands two messages out in order.
    fn in_order(&self, what: &DeliverySpec, until: &DeliverySpec) -> Option<String> {
        let (profile, groups) = (self.simulation.profile(), &self.simulation.inner.groups);
        let group = groups.iter().find(|group| group.name == what.group && what.group == until.group)?;
        let same_record = what.record == until.record;
        // Which was published first is known of versions of one record.
        let is_first = same_record && what.version < until.version;
        let is_unit = match profile.ordering {
            Ordering::None => false,
            Ordering::Log | Ordering::Key { .. } => what.subject == until.subject,
            Ordering::Subscription => true,
        };
        if !(is_first && is_unit && group.keeps_order(profile)) {
            return (until.attempt > 1).then(|| self.for_want_of_clock(until)).flatten();
        }
        let name = profile.name;
        if until.attempt > 1 || what.attempt > 1 && profile.redeliver_at != RedeliverAt::Front {
            return None;
        }
        if what.attempt > 1 {
            return Some(format!("`{until}` cannot come before it: {name} puts a redelivery before what waits"));
        }
        let of = match profile.ordering {
            Ordering::Subscription => "subscription",
            Ordering::Log => "subject",
            _ => "record",
        };
        Some(format!("`{until}` cannot come before it: {name} keeps the order of a {of}"))
    }

    /// That nothing waits for the end of the ack wait that may bring a redelivery about.
    fn for_want_of_clock(&self, until: &DeliverySpec) -> Option<String> {
        let first = DeliverySpec { attempt: until.attempt - 1, ..until.clone() };
        // A nak brings it about at once, and so does an ack wait of no time.
        if self.simulation.profile().naks || !self.takes_time(&first) {
            return None;
        }
        let waits_already = self.schedule.iter().any(|other| other.until() == Some(&Target::AckWait(first.clone())));
        let beside = self.departure.clone().ended_by(Some(Target::AckWait(first)));
        (!waits_already).then(|| {
            format!("the clock does not move for `{until}`: if an ack wait brings it about, write `{beside}` beside it")
        })
    }
}

/// Whether both are attempts of one message at one group, the second a later one.
fn is_later_attempt(one: &DeliverySpec, other: &DeliverySpec) -> bool {
    one.attempt < other.attempt && *one == DeliverySpec { attempt: one.attempt, ..other.clone() }
}
