//! Clients: which of them can send a command, which wait, and for what.
//!
//! A client that has a command to send is idle if it may send it, and waits if not: until what it needs
//! can be found, or after a refusal until its service's store has changed. Which of both follows from the
//! stores and from what was sent, so a search need not know it.

use std::fmt;

use super::{World, catching};
use crate::broker::take_out;
use crate::event::System;
use crate::faults::Window;
use crate::hash;
use crate::ids::Time;
use crate::schedule::{CommandSpec, command_key};
use crate::scheduler::{Action, Chosen, ClientIndex, Offer};
use crate::service::{Asking, Context, Effects};
use crate::simulation::{Awaited, HostedCommand, Simulation, Terms};
use crate::world::taken::{Answer, Step};
use crate::world::{COMMAND_TIME_US, Job};

/// What a client has tried of the command it is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// How many attempts were refused.
    attempts: u16,
    refused: Option<Refused>,
}

/// When the last attempt was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    /// How far the store of its service was, and those of the services that it asks.
    tick: u64,
    /// The hash of what the members of the service remember.
    memory: u64,
    /// The time, if the service looked at it.
    at: Option<Time>,
}

/// A client that can send nothing, and what it waits for: `alice: order t1 as o1 waits for t1 at orders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingClient {
    /// The command it has not sent; at which attempt it is.
    pub command: CommandSpec,
    /// The records that it waits for and that are not there.
    pub missing: Vec<Awaited>,
    /// How often the command was refused or cut off by a crash.
    pub tried: u16,
    /// The service that executes the command.
    pub service: String,
}

impl fmt::Display for WaitingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WaitingClient { command, missing, tried, service } = self;
        if missing.is_empty() {
            let times = if *tried == 1 { "once".to_owned() } else { format!("{tried} times") };
            let first = command.at_first_attempt().unwrap_or_else(|| command.clone());
            return write!(f, "{first} was tried {times} and waits for a change at {service}");
        }
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        write!(f, "{command} waits for {}", missing.join(" and "))
    }
}

impl<S: System> World<S> {
    /// The clients that have a command to send and may not, in the order of the clients: they wait for a
    /// record that is not there, or for a change after a refusal (see [`Sending`]). At the end of a run
    /// they have waited in vain.
    ///
    /// [`Sending`]: crate::simulation::Sending
    #[must_use]
    pub fn waiting_clients(&self) -> Vec<WaitingClient> {
        let mut waiting = self.host.small.waiting.clone();
        waiting.extend(self.host.small.idle.iter().filter(|client| self.was_refused(**client)));
        waiting.sort_unstable();
        let described = waiting.into_iter().filter_map(|client| {
            let next = self.hosted_next(client)?;
            let terms = next.terms.as_deref()?;
            let missing = terms.waits_for.iter().filter(|(record, at)| !self.host.stores[at.get()].holds(*record));
            let missing = missing
                .map(|(record, service)| Awaited { record: *record, service: self.service_name(*service).to_owned() });
            let (client_name, tried) = (&self.inner().clients[client.get()].name, self.tried(client));
            let label = next.label(tried.attempts.saturating_add(1));
            Some(WaitingClient {
                command: CommandSpec { client: client_name.clone(), label, nth: next.nth },
                missing: missing.collect(),
                tried: tried.attempts,
                service: self.service_name(next.service).to_owned(),
            })
        });
        described.collect()
    }

    /// The command that a client sends next.
    #[inline]
    pub(crate) fn hosted_next(&self, client: ClientIndex) -> Option<&HostedCommand<S::Command>> {
        let commands = &self.simulation.inner.clients[client.get()].commands;
        commands.get(self.host.small.sent[client.get()] as usize)
    }

    pub(super) fn tried(&self, client: ClientIndex) -> Tried {
        self.host.small.tried.get(client.get()).copied().unwrap_or_default()
    }

    /// Which attempt of the command that a client is at it makes or will make, from 1.
    pub(super) fn attempt_of(&self, client: ClientIndex) -> u16 {
        self.tried(client).attempts.saturating_add(1)
    }

    /// The key of the command that a client is at, as that attempt.
    #[inline]
    pub(super) fn attempt_key(&self, client: ClientIndex, command: &HostedCommand<S::Command>) -> u64 {
        match self.attempt_of(client) {
            _ if !command.is_retried() => command.key,
            1 => command.key,
            attempt => {
                let name = hash::of_name(&self.inner().clients[client.get()].name);
                command_key(name, hash::of_name(&command.label(attempt)), command.nth)
            }
        }
    }

    /// Whether a client's next command was refused, and would be refused again: it changed nothing, and
    /// neither the store nor, if the service looks at it, the time is another one.
    pub(crate) fn was_refused(&self, client: ClientIndex) -> bool {
        let refused = self.tried(client).refused.zip(self.hosted_next(client));
        refused.is_some_and(|(Refused { tick, memory, at }, next)| {
            tick == self.read_tick(next.service)
                && memory == self.host.small.memories.digest_of(next.service)
                && at.is_none_or(|at| at == self.host.small.now)
        })
    }

    /// Whether a client may send its next command, if there is one.
    fn may_send(&self, client: ClientIndex) -> bool {
        self.hosted_next(client).is_some_and(|next| self.may_send_now(client, next))
    }

    /// Whether a client may send its next command, which is this one.
    #[inline]
    fn may_send_now(&self, client: ClientIndex, next: &HostedCommand<S::Command>) -> bool {
        next.terms.as_deref().is_none_or(|terms| self.meets_terms(client, next, terms))
            && !(self.inner().has_workers && self.waits_for_member(client, next))
    }

    #[cold]
    fn meets_terms(&self, client: ClientIndex, next: &HostedCommand<S::Command>, terms: &Terms) -> bool {
        self.has_all(terms)
            && !(self.parks_futile && self.was_refused(client))
            && (!terms.is_held_back || self.would_accept(next))
    }

    /// Whether all records are there that these terms wait for.
    fn has_all(&self, terms: &Terms) -> bool {
        terms.waits_for.iter().all(|(record, service)| self.host.stores[service.get()].holds(*record))
    }

    /// Whether all records are there that a client waits for, or has waited for, with its next command.
    pub(super) fn finds_all(&self, client: ClientIndex) -> bool {
        let terms = self.hosted_next(client).and_then(|next| next.terms.as_deref());
        terms.is_none_or(|terms| self.has_all(terms))
    }

    /// Whether a command would be accepted now; what it would do is forgotten.
    #[cold]
    fn would_accept(&self, command: &HostedCommand<S::Command>) -> bool {
        let now = Time(self.host.small.now.0 + COMMAND_TIME_US);
        let mut store = self.host.stores[command.service.get()].clone();
        store.begin_step(now, None);
        let mut effects = Effects::default();
        let mut memories = self.host.small.memories.clone();
        let member = (command.service, self.inner().services[command.service.get()].member_for(command.key));
        let memory = &mut memories;
        let mut ctx = Context {
            store: &mut store,
            others: self.host.others(command.service, &self.inner().services[command.service.get()].asks),
            effects: &mut effects,
            memories: memory,
            progress: None,
            member,
            now,
            attempt: 0,
            subject: None,
        };
        let service = &self.inner().services[command.service.get()].service;
        let answer = catching(|| service.execute(&command.command, &mut ctx));
        // A panic is for the run to meet.
        answer.map_or(true, |answer| answer.is_ok())
    }

    /// Lets a client that has nothing under way send its next command, or wait for it.
    #[inline]
    pub(super) fn offer_next_command(&mut self, client: ClientIndex) {
        let Some(next) = self.hosted_next(client) else { return };
        if self.may_send_now(client, next) {
            let offer = self.offer_of_command(client, next);
            self.host.small.idle.push(client);
            self.offers.push(offer);
        } else {
            self.host.small.waiting.push(client);
        }
    }

    /// Lets the clients go on whose time has come.
    #[cold]
    pub(super) fn wake_clients(&mut self) {
        let mut place = 0;
        while let Some(client) = self.host.small.waiting.get(place).copied() {
            if self.may_send(client) {
                self.host.small.waiting.remove(place);
                self.host.small.idle.push(client);
                self.push_offer(Action::Command(client));
            } else {
                place += 1;
            }
        }
    }

    /// What comes after a client's command was executed, or cut off: its next one, or the same again.
    pub(super) fn after_command(&mut self, client: ClientIndex, step: &Step) {
        let before_answer = [Window::BeforeSave, Window::BeforePublish, Window::BeforeAck];
        let cut_off = step.crashed_between() || step.fate.crash.is_some_and(|crash| before_answer.contains(&crash));
        let is_accepted = !cut_off && matches!(step.answer, Some(Answer::Command(Ok(()))));
        if self.tries_again(client, is_accepted) && !cut_off {
            self.note_refusal(client, step);
        }
        self.offer_next_command(client);
    }

    /// What comes after what a client's command led to was published late.
    pub(super) fn after_late_command(&mut self, client: ClientIndex, is_accepted: bool) {
        self.tries_again(client, is_accepted);
        self.offer_next_command(client);
    }

    /// A member crashed while the handler of a client's command paused.
    pub(super) fn command_cut_off(&mut self, client: ClientIndex) {
        self.tries_again(client, false);
        self.offer_next_command(client);
    }

    /// Whether the command that a client has sent is its next one again.
    fn tries_again(&mut self, client: ClientIndex, is_accepted: bool) -> bool {
        let Some(tried) = self.host.small.tried.get_mut(client.get()) else { return false };
        let sent = &mut self.host.small.sent[client.get()];
        let command = &self.simulation.inner.clients[client.get()].commands[*sent as usize - 1];
        if is_accepted || !command.is_retried() {
            *tried = Tried::default();
            return false;
        }
        *sent -= 1;
        *tried = Tried { attempts: tried.attempts.saturating_add(1), refused: None };
        true
    }

    /// Notes that a command was refused that is tried again.
    fn note_refusal(&mut self, client: ClientIndex, step: &Step) {
        let has_begun_now = matches!(step.action, Action::Command(_));
        let is_inert = has_begun_now && !step.saved();
        if is_inert {
            // An attempt for nothing takes no time: otherwise each would lead to another state.
            self.host.small.now = Time(self.host.small.now.0 - COMMAND_TIME_US);
        }
        // A search has to try again what may end otherwise.
        if (self.parks_futile || is_inert) && step.asking != Asking::Misled {
            let at = self.host.effects.impure.then_some(self.host.small.now);
            self.note_refused_at(client, at);
        }
    }

    /// Notes that a client's next command would be refused as its service's store is, and at this time if its
    /// handler looks at that.
    pub(crate) fn note_refused(&mut self, client: ClientIndex, by_time: bool) {
        self.note_refused_at(client, by_time.then_some(self.host.small.now));
    }

    fn note_refused_at(&mut self, client: ClientIndex, at: Option<Time>) {
        let Some(service) = self.hosted_next(client).map(|next| next.service) else { return };
        let (tick, memory) = (self.read_tick(service), self.host.small.memories.digest_of(service));
        if let Some(tried) = self.host.small.tried.get_mut(client.get()) {
            tried.refused = Some(Refused { tick, memory, at });
        }
    }

    /// What a scheduler sees of a command, given what it would see if that were sent like any other.
    #[cold]
    pub(super) fn chosen_on_terms(
        &self,
        client: ClientIndex,
        command: &HostedCommand<S::Command>,
        plain: Chosen,
    ) -> Chosen {
        let (key, attempt) = (self.attempt_key(client, command), self.attempt_of(client));
        let meets_faults = !command.is_setup();
        let (may_pause, may_publish_late) = (plain.may_pause && meets_faults, plain.may_publish_late && meets_faults);
        let may_ask = plain.may_ask && meets_faults;
        Chosen { key, attempt, may_pause, may_publish_late, may_ask, may_crash: meets_faults, ..plain }
    }

    #[inline]
    pub(super) fn offer_of_command(&self, client: ClientIndex, next: &HostedCommand<S::Command>) -> Offer {
        let key = self.attempt_key(client, next);
        let place = self.inner().services[next.service.get()].hash;
        Offer { action: Action::Command(client), key, lane: client.0.into(), place, again: false }
    }

    /// Whether a command can still be sent that was not refused as things are.
    pub(crate) fn may_go_on(&self) -> bool {
        self.host.small.idle.iter().any(|client| !self.was_refused(*client))
    }

    /// Goes on as a world of this simulation, which has the same services and the same commands: those that
    /// it holds back wait from now on.
    pub(crate) fn continue_in(&mut self, simulation: &Simulation<S>) {
        self.simulation.clone_from(simulation);
        if simulation.inner.has_terms {
            self.host.small.tried.resize(self.host.small.sent.len(), Tried::default());
        }
        let mut clients = std::mem::take(&mut self.host.small.idle);
        clients.append(&mut self.host.small.waiting);
        clients.into_iter().for_each(|client| match self.may_send(client) {
            true => self.host.small.idle.push(client),
            false => self.host.small.waiting.push(client),
        });
    }

    /// From now on no client sends anything.
    pub(crate) fn stop_clients(&mut self) {
        self.host.small.idle.clear();
        self.host.small.waiting.clear();
        // What is under way is not tried again.
        self.host.small.tried.clear();
        let simulation = self.simulation.clone();
        for (sent, client) in self.host.small.sent.iter_mut().zip(&simulation.inner.clients) {
            *sent = client.commands.len() as u32;
        }
    }

    /// Where nothing else happens any more, lets the first client go on that holds its command back; says
    /// whether there is one.
    #[cold]
    pub(crate) fn release_held_back(&mut self) -> bool {
        let is_held = |client: &ClientIndex| {
            let terms = self.hosted_next(*client).and_then(|next| next.terms.as_deref());
            terms.is_some_and(|terms| terms.is_held_back && self.has_all(terms) && !self.was_refused(*client))
        };
        let Some(client) = self.host.small.waiting.iter().copied().filter(is_held).min() else { return false };
        take_out(&mut self.host.small.waiting, &client);
        self.host.small.idle.push(client);
        self.push_offer(Action::Command(client));
        true
    }

    /// The name of a command that a client sends or has under way.
    pub(super) fn command_spec(&self, job: Job) -> Option<CommandSpec> {
        let Job::Command { client, ordinal } = job else { return None };
        let hosted = &self.inner().clients[client.get()];
        let command = hosted.commands.get(ordinal as usize)?;
        let label = command.label(self.attempt_of(client));
        Some(CommandSpec { client: hosted.name.clone(), label, nth: command.nth })
    }
}
