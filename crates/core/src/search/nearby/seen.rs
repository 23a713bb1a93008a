//! What happened in runs, by name: who handled it, and what it led to.

use std::collections::BTreeSet;

use crate::broker::MessageIndex;
use crate::event::System;
use crate::run::Observer;
use crate::schedule::Target;
use crate::scheduler::Action;
use crate::world::{Step, World};

/// What happened in one run after the other.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Each run's first step.
    begins: Vec<usize>,
    steps: Vec<SeenStep>,
    /// The names of all that happened, each once, in the order in which it did.
    known: Vec<Target>,
    texts: BTreeSet<String>,
}

#[derive(Debug)]
struct SeenStep {
    what: Target,
    service: Option<String>,
    may_pause: bool,
    /// The message that was handled, and those that were published for it.
    message: Option<usize>,
    published: std::ops::Range<usize>,
}

impl Seen {
    /// Begins another run.
    pub(super) fn begin(&mut self) {
        self.begins.push(self.steps.len());
    }

    /// How many steps there were in all runs.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The names of all that happened, each once.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.known.iter()
    }

    /// What was handled by somebody who can pause.
    pub(super) fn may_pause(&self) -> impl Iterator<Item = &Target> {
        self.known.iter().filter(|what| self.steps.iter().any(|step| step.may_pause && step.what == **what))
    }

    /// The service that handles something, as far as it happened.
    pub(super) fn service_of(&self, what: &Target) -> Option<String> {
        let what = what.handled();
        let mut handled = self.steps.iter().filter(|step| step.what.handled() == what);
        handled.find_map(|step| step.service.clone())
    }

    /// Whether something happened, whichever attempt of it.
    pub(super) fn has(&self, what: &Target) -> bool {
        let what = what.handled();
        self.known.iter().any(|known| known.handled() == what)
    }

    /// What something led to, and what that led to, then what led to it: in the same form, as pauses, acks or
    /// ack waits.
    pub(super) fn hops(&self, of: &Target) -> Vec<Target> {
        let what = of.handled();
        let next = self.next(&what);
        let second = next.iter().flat_map(|what| self.next(what));
        let second: Vec<Target> = second.collect();
        let mut hops: Vec<Target> = Vec::new();
        for hop in next.into_iter().chain(second).chain(self.before(&what)) {
            let hop = of.of(&hop);
            if !hops.contains(&hop) && hop != *of {
                hops.push(hop);
            }
        }
        hops
    }

    fn next(&self, what: &Target) -> Vec<Target> {
        self.pairs()
            .filter(|(cause, _)| cause.what.handled() == *what)
            .map(|(_, led_to)| led_to.what.handled())
            .collect()
    }

    fn before(&self, what: &Target) -> Vec<Target> {
        self.pairs()
            .filter(|(_, led_to)| led_to.what.handled() == *what)
            .map(|(cause, _)| cause.what.handled())
            .collect()
    }

    /// Each step with each delivery of what it published.
    fn pairs(&self) -> impl Iterator<Item = (&SeenStep, &SeenStep)> {
        let ends = self.begins.iter().skip(1).copied().chain([self.steps.len()]);
        let runs = self.begins.iter().zip(ends).map(|(begin, end)| &self.steps[*begin..end]);
        runs.flat_map(|run| {
            run.iter().flat_map(move |cause| {
                let led_to =
                    run.iter().filter(|step| step.message.is_some_and(|message| cause.published.contains(&message)));
                led_to.map(move |step| (cause, step))
            })
        })
    }
}

impl<S: System> Observer<S> for Seen {
    fn before(&mut self, world: &World<S>, action: Action) {
        let Some(what) = world.target(action) else { return };
        let may_pause = world.chosen(action).is_some_and(|chosen| chosen.may_pause);
        let message = match action {
            Action::Deliver(index) => Some(place_of(world.broker().delivery(index).message)),
            _ => None,
        };
        if self.texts.insert(what.to_string()) {
            self.known.push(what.clone());
        }
        self.steps.push(SeenStep { what, service: None, may_pause, message, published: 0..0 });
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        let Some(last) = self.steps.last_mut() else { return };
        last.service = step.actor.map(|actor| world.service_name(actor.service).to_owned());
        last.published = step.published.clone();
    }
}

fn place_of(message: MessageIndex) -> usize {
    message.0 as usize
}
