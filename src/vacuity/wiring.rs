//! Services and clients that are not connected.

use super::occurred::Occurred;
use super::{Kind, Vacuous};
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
    found.extend(occurred.refused(simulation).iter().map(|name| Vacuous::refused(name)));
    found
}
