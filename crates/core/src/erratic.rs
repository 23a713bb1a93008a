//! Services that do anything, for the tests of this library: what a handler does is a function of its
//! service's character, of what it handles, of what its store holds and, if it asks another service, of what that
//! holds, and, unless their [`Temper`] rules that out, of the time and the attempt.

use std::time::Duration;

use serde::Serialize;

use crate::broker::{Dispatch, Exhausted, InFlight, Limit, MaxDeliver, Ordering, Profile, RedeliverAt, Scope, Stale};
use crate::event::{Command, Event, System};
use crate::hash;
use crate::ids::{RecordId, Subject, Time, Version};
use crate::prng::{Prng, Stream};
use crate::service::{AckTiming, Context, Outcome, PublishMode, Rejection, Service, Timer, Work};
use crate::simulation::{Hosting, Simulation, SimulationBuilder};
use crate::store::{Record, Schema, VersionPolicy};

/// The system of such services.
pub(crate) struct Erratic;

impl System for Erratic {
    type Event = Said;
    type Command = Bid;
}

/// What a service said.
#[derive(Clone, Debug, Hash, Serialize)]
pub(crate) struct Said {
    subject: usize,
    about: RecordId,
    version: Version,
    /// How long a chain of messages it may start.
    left: u8,
}

impl Said {
    const SUBJECTS: [Subject; 3] = [Subject::new("a:said"), Subject::new("b:said"), Subject::new("c:said")];
}

impl Event for Said {
    fn subject(&self) -> Subject {
        Said::SUBJECTS[self.subject]
    }

    fn record(&self) -> RecordId {
        self.about
    }

    fn version(&self) -> Option<Version> {
        Some(self.version)
    }
}

/// What a client asks a service to do.
#[derive(Clone, Debug, Hash, Serialize)]
pub(crate) struct Bid {
    to: usize,
    about: RecordId,
}

impl Bid {
    /// Asks the service at this place of [`NAMES`] for something about this record.
    pub(crate) const fn of(to: usize, about: RecordId) -> Bid {
        Bid { to, about }
    }
}

impl Command for Bid {
    fn service(&self) -> &'static str {
        NAMES[self.to]
    }

    fn record(&self) -> RecordId {
        self.about
    }
}

/// What a service keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Row(pub(crate) u32);

impl Record for Row {
    const COLLECTION: &'static str = "rows";
    const KIND: char = 'r';
}

/// The services: the first owns the rows, the others keep copies.
pub(crate) const NAMES: [&str; 3] = ["ann", "bob", "eve"];

/// What such services may do at all, and how much they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Temper {
    /// Whether handlers may look at the time and at the attempt.
    looks_around: bool,
    /// Whether what is refused may leave something behind, or be asked for after some time. If so, what is
    /// handed out again and again may lead to states without end.
    is_endless: bool,
    /// How many commands a client sends: so many at least, and fewer than so many more.
    commands: (u32, u32),
    /// How many messages long the chain is that a command starts, at most.
    chain: u8,
    /// Whether handlers of some services work for some time.
    works: bool,
}

impl Temper {
    /// They may do anything.
    pub(crate) const ANY: Temper =
        Temper { looks_around: true, is_endless: true, commands: (3, 4), chain: 2, works: false };
    /// They may do anything, and take their time.
    pub(crate) const SLOW: Temper = Temper { works: true, ..Temper::ANY };
    /// What a handler does is up to its event and its store.
    pub(crate) const STEADY: Temper = Temper { looks_around: false, ..Temper::ANY };
    /// Steady, with few messages, and nothing is left of what is refused: often all states can be searched.
    pub(crate) const BRIEF: Temper = Temper { is_endless: false, commands: (1, 1), chain: 1, ..Temper::STEADY };
}

/// One service.
struct Character {
    temper: Temper,
    place: usize,
    word: u64,
    modes: [PublishMode; 3],
    timing: AckTiming,
    /// The service that it asks, if it asks one.
    asks: Vec<&'static str>,
}

/// Words that come one from another.
struct Words(u64);

impl Words {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = hash::mix(self.0, 1);
        (self.0 >> 32) as u32 % bound
    }
}

impl Character {
    /// Looks around, saves, publishes and arms, or does none of that; what comes of it is left to the
    /// words that are returned.
    fn act(&self, what: u64, about: RecordId, left: u8, ctx: &mut Context<'_, Erratic>) -> Words {
        let held = |ctx: &Context<'_, Erratic>| {
            ctx.store.find::<Row>(about).map(|row| (row.version, hash::mix(row.version.0, row.value.0.into())))
        };
        let mut words = Words(hash::mix3(self.word, what, held(ctx).map_or(0, |(_, row)| row)));
        if let Some(other) = self.asks.first().filter(|_| words.0.is_multiple_of(2)) {
            let told = ctx.ask::<Row>(other, about).map(|row| row.map(|row| (row.version, row.value.0)));
            words.0 = hash::mix(words.0, hash::of(&told));
        }
        match words.below(8) {
            _ if !self.temper.looks_around => {}
            0 => words.0 = hash::mix(words.0, ctx.now().0),
            1 => words.0 = hash::mix(words.0, ctx.attempt().into()),
            _ => {}
        }
        if words.below(8) == 0 {
            let memory = ctx.memory::<Vec<u64>>();
            memory.push(words.0 >> 60);
            memory.truncate(2);
            words.0 = hash::mix(words.0, hash::of(memory));
        }
        for _ in 0..[0, 0, 0, 1, 1, 2][words.below(6) as usize] {
            let row = Row(words.below(4));
            match held(ctx) {
                None => drop(ctx.store.insert(about, row)),
                Some((version, _)) => match words.below(12) {
                    0..9 => drop(ctx.store.save_if_current(about, row, version)),
                    9 => drop(ctx.store.remove_if_current::<Row>(about, version)),
                    10 => drop(ctx.store.remove::<Row>(about)),
                    _ => drop(ctx.store.overwrite(about, row, Some(version))),
                },
            }
        }
        if left > 0 {
            for _ in 0..[0, 0, 0, 1, 1, 2][words.below(6) as usize] {
                let version = Version(words.below(3).into());
                ctx.publish(Said { subject: words.below(3) as usize, about, version, left: left - 1 });
            }
        }
        let due = Time(1_000_000 * u64::from(words.below(90)));
        match words.below(14) {
            0 => ctx.arm(about, due),
            1 => ctx.arm_in_memory(about, due),
            2 => ctx.arm_timer(Timer::of(about, due).with_purpose("again").carrying(words.below(3))),
            3 => ctx.arm_timer(Timer::of(about, due).with_purpose("again").in_memory()),
            4 => ctx.call_off(about, "again"),
            5 => ctx.call_off(about, ""),
            _ => {}
        }
        words
    }
}

impl Service<Erratic> for Character {
    fn name(&self) -> &'static str {
        NAMES[self.place]
    }

    fn collections(&self, schema: &mut Schema) {
        match self.place {
            0 => schema.owns::<Row>(VersionPolicy::EVERY_SAVE),
            _ => schema.keeps::<Row>(VersionPolicy::EVERY_SAVE),
        };
    }

    fn subjects(&self) -> &[Subject] {
        const HEARD: [[Subject; 2]; 3] = {
            let [a, b, c] = Said::SUBJECTS;
            [[a, c], [a, b], [b, c]]
        };
        &HEARD[self.place]
    }

    fn handle(&self, event: &Said, ctx: &mut Context<'_, Erratic>) -> Outcome {
        let mut words = self.act(hash::of(event), event.about, event.left, ctx);
        match words.below(12) {
            0 => Outcome::nak("not now"),
            1 if !self.temper.is_endless => Outcome::nak("later"),
            1 => Outcome::Nak { reason: "later", delay: Some(Duration::from_secs(u64::from(words.below(9)))) },
            2..6 => Outcome::Silent("not so"),
            _ => Outcome::Ack,
        }
    }

    fn execute(&self, command: &Bid, ctx: &mut Context<'_, Erratic>) -> Result<(), Rejection> {
        let mut words = self.act(hash::of(command), command.about, self.temper.chain, ctx);
        match words.below(3) {
            0 => Err(Rejection { status: 400 + words.below(2) as u16, reason: "no" }),
            _ => Ok(()),
        }
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, Erratic>) {
        let carried = timer.payload::<u32>().copied().unwrap_or_default();
        let what = hash::mix3(7, hash::of_name(timer.purpose()), carried.into());
        self.act(what, timer.record(), self.temper.chain.min(1), ctx);
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        self.modes[work as usize]
    }

    fn takes(&self, work: Work) -> Duration {
        let works = self.temper.works && work == Work::Command && (self.word >> 17).is_multiple_of(2);
        if works { Duration::from_secs(7) } else { Duration::ZERO }
    }

    fn ack_timing(&self) -> AckTiming {
        self.timing
    }

    fn asks(&self) -> &[&str] {
        &self.asks
    }
}

/// [`Profile::adversarial`], or with some rules, or any rules.
fn profile(prng: &mut Prng) -> Profile {
    let mut one_of = |number: u32| prng.below(number) as usize;
    let free = Profile::adversarial();
    let orderings =
        [Ordering::None, Ordering::Log, Ordering::Key { partitions: None }, Ordering::Key { partitions: Some(2) }];
    let places = [RedeliverAt::Front, RedeliverAt::Back, RedeliverAt::Original, RedeliverAt::Any];
    let limits = [Limit::Of(1), Limit::Of(2), Limit::Of(4), Limit::Unlimited];
    let waits = [vec![Duration::ZERO], vec![Duration::from_secs(5)], vec![Duration::ZERO, Duration::from_secs(1)]];
    let given_up = MaxDeliver::Times { times: 3, action: Exhausted::DeadLetter };
    let ordering = orderings[one_of(4)];
    let window = [Limit::Of(0), Limit::Of(2), Limit::Unlimited][one_of(3)];
    match one_of(4) {
        0 => Profile {
            ordering,
            redeliver_at: places[one_of(4)],
            dispatch: [Dispatch::Competing, Dispatch::Exclusive][one_of(2)],
            max_in_flight: InFlight { limit: limits[one_of(4)], scope: [Scope::Group, Scope::Member][one_of(2)] },
            reorder_window: if ordering == Ordering::None { Limit::Unlimited } else { window },
            ack_wait: waits[one_of(3)].clone(),
            naks: one_of(2) == 0,
            max_deliver: [MaxDeliver::Unlimited, given_up][one_of(2)],
            ..Profile::stan()
        },
        1 => {
            let mut profile = free;
            profile.ack.stale = Stale::Reject;
            profile.release_on.crash = false;
            profile
        }
        _ => free,
    }
}

/// Such services on a broker, and clients who ask them for something; all drawn from a seed.
pub(crate) fn simulation(seed: u64) -> Simulation<Erratic> {
    let mut prng = Prng::new(seed, Stream::Swarm);
    simulation_on(profile(&mut prng), seed)
}

/// The same services and clients on a given broker.
pub(crate) fn simulation_on(profile: Profile, seed: u64) -> Simulation<Erratic> {
    drawn(Temper::ANY, profile, seed).build().expect("the parts fit")
}

/// Services of a temper on a given broker, and clients; to be built, or added to.
pub(crate) fn drawn(temper: Temper, profile: Profile, seed: u64) -> SimulationBuilder<Erratic> {
    let mut prng = Prng::new(seed, Stream::Workload);
    let gives_up = profile.dead_letters().is_ok();
    let mut simulation = Simulation::on(profile).redeliver_futile(prng.below(2) == 0);
    let is_shared = prng.below(6) == 0;
    for place in 0..NAMES.len() {
        let word = prng.word();
        let mut one_of = |number: u32| prng.below(number) as usize;
        let modes = [(); 3].map(|()| match one_of(3) {
            _ if !temper.is_endless => PublishMode::Outbox,
            0 => PublishMode::Outbox,
            1 => PublishMode::DualWrite,
            _ => PublishMode::BeforeSave,
        });
        let timing = if one_of(4) == 0 { AckTiming::BeforeSave } else { AckTiming::AfterSave };
        let hosting = Hosting {
            members: [1, 1, 1, 2][one_of(4)],
            overlapping: one_of(3) == 0,
            joins_late: one_of(8) == 0,
            group: is_shared.then(|| "all".to_owned()),
            // What dies of those of one service the others hear, so no message dies for ever.
            dead_letters: (gives_up && !is_shared && place == 1).then_some(Said::SUBJECTS[2]),
            takes: None,
        };
        // By its word, too. Services that share a group all work, or none does.
        let works = temper.works && (is_shared || (word >> 11).is_multiple_of(2));
        let takes = works.then(|| Duration::from_secs(1 + (word >> 13) % 40));
        let overlapping = hosting.overlapping && !works;
        let hosting = Hosting { takes, overlapping, ..hosting };
        // By its word, which draws nothing.
        let asks = (word >> 7).is_multiple_of(3).then(|| NAMES[(place + 1) % NAMES.len()]).into_iter().collect();
        simulation = simulation.hosted(Character { temper, place, word, modes, timing, asks }, hosting);
    }
    for client in ["x", "y"] {
        let (least, more) = temper.commands;
        let commands = (0..least + prng.below(more)).map(|_| {
            let about = RecordId::new('r', 1 + prng.below(3));
            Bid { to: prng.below(3) as usize, about }
        });
        simulation = simulation.client(client, commands.collect());
    }
    simulation
}
