//! Services and clients that are not connected.

use super::occurred::Occurred;
use super::{Kind, Vacuous};
use crate::broker::{Dispatch, Limit, Ordering, Scope, Start};
use crate::event::System;
use crate::simulation::Simulation;

/// The most names a reason lists.
const NAMES_SHOWN: usize = 12;

/// That there is nothing to run.
pub(super) fn nothing_to_run<S: System>(simulation: &Simulation<S>) -> Vec<Vacuous> {
    let inner = &simulation.inner;
    let reason = if inner.services.is_empty() {
        "there are no services"
    } else if inner.clients.is_empty() {
        "there are no clients"
    } else if simulation.commands() == 0 {
        "no client has a command to send"
    } else {
        return Vec::new();
    };
    vec![Vacuous::new(Kind::NothingRan, "", reason)]
}

/// The values of the broker's profile that make no difference, given how many members groups have.
pub(super) fn without_effect<S: System>(simulation: &Simulation<S>) -> Vec<Vacuous> {
    let profile = simulation.profile();
    let groups = &simulation.inner.groups;
    let most = groups.iter().map(|group| group.members.len()).max().unwrap_or(0);
    let mut found = Vec::new();
    let mut note = |name: &str, reason: &str| found.push(Vacuous::new(Kind::WithoutEffect, name, reason));
    if profile.dispatch == Dispatch::Exclusive && most == 1 {
        note("dispatch", "no group has several members, so each has one owner in any case");
    }
    if profile.dispatch == Dispatch::Exclusive && profile.ordering == Ordering::None && most > 1 {
        note("dispatch", "without an order one member owns all that a group gets, and the others stand by");
    }
    let window = matches!(profile.reorder_window, Limit::Of(window) if window > 0);
    let competes = profile.dispatch == Dispatch::Competing;
    if window && competes && most > 1 && groups.iter().all(|group| group.members.len() > 1) {
        note("reorder_window", "members that compete get whatever fits in their inboxes in any case");
    }
    let limited = profile.max_in_flight.limit != Limit::Unlimited;
    if limited && profile.max_in_flight.scope == Scope::Group && most == 1 {
        note("max_in_flight_of", "no group has several members, so a limit of the group is that of its member");
    }
    if profile.start == Start::New && groups.iter().all(|group| !group.joins_late) {
        note("start", "every group is there from the beginning, so there is nothing that it could miss");
    }
    found
}

/// That handlers answered nak to a broker that knows none.
pub(super) fn unheard_naks<S: System>(simulation: &Simulation<S>, occurred: &Occurred) -> Option<Vacuous> {
    let times = occurred.counts.naks_unheard;
    let name = simulation.profile().name;
    let reason = format!(
        "{times} naks were silences, because {name} knows no nak: what was refused came again after the ack wait"
    );
    (times > 0).then(|| Vacuous::new(Kind::UnheardNak, "", reason))
}

/// What was not connected in any run.
pub(super) fn found<S: System>(simulation: &Simulation<S>, occurred: &Occurred) -> Vec<Vacuous> {
    let inner = &simulation.inner;
    let mut found = Vec::new();
    for subject in &occurred.published {
        if simulation.groups_on(subject).next().is_none() {
            found.push(Vacuous::new(Kind::UnheardSubject, *subject, "it is published, and no service listens to it"));
        }
    }
    for group in &inner.groups {
        for subject in group.subjects.iter().filter(|subject| !occurred.published.contains(subject.name())) {
            let name = format!("{} -> {}", subject.name(), group.name);
            let others: Vec<&str> = occurred.published.iter().copied().take(NAMES_SHOWN).collect();
            let reason = match others.is_empty() {
                true => "it listens to a subject on which no run published, as on no other".to_owned(),
                false => {
                    format!("it listens to a subject on which no run published; published is {}", others.join(", "))
                }
            };
            found.push(Vacuous::new(Kind::UnpublishedSubject, name, reason));
        }
    }
    for place in &occurred.unhandled[0] {
        let reason = "it is sent commands and takes none: give it `on_command`, or implement `Service::execute`";
        found.push(Vacuous::new(Kind::UnhandledCommand, inner.services[*place].name, reason));
    }
    for place in &occurred.unhandled[1] {
        let reason = "it listens to events and handles none: implement `Service::handle`";
        found.push(Vacuous::new(Kind::UnhandledEvent, inner.services[*place].name, reason));
    }
    found.extend(occurred.waited.iter().filter(|(_, (runs, _))| *runs == occurred.runs).map(|(client, (_, why))| {
        Vacuous::new(Kind::WaitsInVain, client, format!("to the end of every run it waited: {why}"))
    }));
    let refused = occurred.refused(simulation).into_iter().filter(|name| !occurred.waited.contains_key(name));
    found.extend(refused.map(|name| Vacuous::refused(&name)));
    found
}
