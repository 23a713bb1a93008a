//! A step against a model of it that shares no line with it: what is pending, by name and number, on a broker
//! that hands out anything at once.

mod transactions;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::broker::{InFlight, Limit, Profile};
use crate::erratic::{Erratic, Temper, drawn, simulation, simulation_on};
use crate::faults::{AckFate, FaultPlan, Rate};
use crate::prng::{Prng, Ratio, Stream};
use crate::run::{Judges, Limits, Report, run};
use crate::scheduler::{Keyed, Scheduler};
use crate::service::{AckTiming, Effects, Outcome, Rejection};
use crate::store::Store;

/// A copy of a message on its way to a group: which attempt it is, by whom it is held, and what replaced it.
#[derive(Clone, Copy, Debug)]
struct Copy {
    to: (u32, u16),
    attempt: u16,
    holder: Option<Holder>,
    replaced_by: Option<usize>,
    /// What it replaces was acked meanwhile: it comes never again.
    is_last: bool,
    is_done: bool,
}

impl Copy {
    fn comes_again(&self) -> bool {
        self.replaced_by.is_none() && !self.is_last
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Holder {
    Handler(Actor),
    AckUnderWay,
    /// Its handler asked for a delay.
    Delay(Actor),
}

/// The deliveries of a run on the adversarial broker: it waits for no answer, knows naks, takes stale acks, and
/// hands out again at once.
#[derive(Debug, Default)]
struct Model {
    copies: Vec<Copy>,
    attempts: BTreeMap<(u32, u16), u16>,
    effects: BTreeMap<(u32, u16), u16>,
    messages: usize,
}

impl Model {
    fn add(&mut self, to: (u32, u16)) -> usize {
        let attempt = self.next_attempt(to);
        self.copies.push(Copy { to, attempt, holder: None, replaced_by: None, is_last: false, is_done: false });
        self.copies.len() - 1
    }

    fn next_attempt(&mut self, to: (u32, u16)) -> u16 {
        let attempts = self.attempts.entry(to).or_default();
        *attempts += 1;
        *attempts
    }

    /// The names of what may be handed out.
    fn pending(&self) -> BTreeSet<((u32, u16), u16)> {
        let pending = self.copies.iter().filter(|copy| !copy.is_done && copy.holder.is_none());
        pending.map(|copy| (copy.to, copy.attempt)).collect()
    }

    fn place(&self, name: ((u32, u16), u16)) -> usize {
        let found = self.copies.iter().position(|copy| (copy.to, copy.attempt) == name && !copy.is_done);
        found.expect("a copy of that name")
    }

    /// What was published reaches each group that listens.
    fn publish(&mut self, world: &World<Erratic>) {
        for message in self.messages..world.broker.messages().len() {
            let index = crate::broker::MessageIndex(message as u32);
            for (_, group) in world.broker.groups_of(index) {
                self.add((index.0, group.0));
            }
        }
        self.messages = world.broker.messages().len();
    }

    /// Somebody still holds a copy that the broker does not wait for: another one takes its place.
    fn replace(&mut self, place: usize) {
        let by = self.add(self.copies[place].to);
        self.copies[place].replaced_by = Some(by);
    }

    /// An ack ends a copy and what replaced it, if only after who is at that now.
    fn ack(&mut self, place: usize) {
        self.copies[place].is_done = true;
        let mut next = self.copies[place].replaced_by;
        while let Some(place) = next {
            let copy = &mut self.copies[place];
            match copy.holder {
                Some(Holder::Handler(_) | Holder::AckUnderWay) => copy.is_last = true,
                Some(Holder::Delay(_)) | None => copy.is_done = true,
            }
            next = copy.replaced_by;
        }
    }

    /// What no ack comes for is pending again, unless another copy replaced it.
    fn again(&mut self, place: usize) {
        self.copies[place].holder = None;
        if self.copies[place].comes_again() {
            self.copies[place].attempt = self.next_attempt(self.copies[place].to);
        } else {
            self.copies[place].is_done = true;
        }
    }

    /// What a member's answer leads to. Some services ack before they save.
    fn answer(&mut self, place: usize, step: &Step, world: &World<Erratic>) {
        let ack_timing = step.actor.map(|actor| world.simulation.inner.services[actor.service.get()].ack_timing);
        let cut_off = matches!(step.fate.crash, Some(Window::BeforePublish | Window::BeforeAck));
        let acks = match step.answer {
            Some(Answer::Delivery(Outcome::Ack)) => !cut_off || ack_timing == Some(AckTiming::BeforeSave),
            Some(Answer::Crashed { acked }) => acked,
            _ => false,
        };
        match (step.fate.ack, step.answer) {
            (AckFate::Prompt, _) if acks => self.ack(place),
            (AckFate::Late, _) if acks => {
                self.copies[place].holder = Some(Holder::AckUnderWay);
                if self.copies[place].comes_again() {
                    self.replace(place);
                }
            }
            (AckFate::Prompt | AckFate::Late, Some(Answer::Delivery(Outcome::Nak { delay: Some(_), .. })))
                if !cut_off && self.copies[place].comes_again() =>
            {
                self.copies[place].holder = step.actor.map(Holder::Delay);
            }
            _ => self.again(place),
        }
    }

    fn follow(&mut self, action: Action, name: Option<((u32, u16), u16)>, step: &Step, world: &World<Erratic>) {
        let place = name.map(|name| self.place(name));
        if let Some(place) = place.filter(|_| step.saved) {
            *self.effects.entry(self.copies[place].to).or_default() += 1;
        }
        match (action, place) {
            (Action::Deliver(_), Some(place)) => {
                let fate = step.fate;
                if fate.duplicate {
                    self.add(self.copies[place].to);
                }
                if fate.lose {
                    self.copies[place].is_done = true;
                } else if step.answer == Some(Answer::Paused) {
                    self.copies[place].holder = step.actor.map(Holder::Handler);
                    self.replace(place);
                    self.publish(world);
                } else {
                    self.publish(world);
                    self.answer(place, step, world);
                }
            }
            (Action::Resume(_), Some(place)) => {
                self.publish(world);
                self.copies[place].holder = None;
                self.answer(place, step, world);
            }
            (Action::Ack(_), Some(place)) => self.ack(place),
            (Action::Advance, Some(place)) => self.again(place),
            _ => self.publish(world),
        }
        // A member that crashes answers none of what it was at.
        if step.fate.crash.is_some() && step.answer != Some(Answer::Paused) && !step.fate.lose {
            let holds =
                |copy: &Copy, actor| [Holder::Handler(actor), Holder::Delay(actor)].map(Some).contains(&copy.holder);
            let cut_off = |copy: &Copy| step.actor.is_some_and(|actor| !copy.is_done && holds(copy, actor));
            let places: Vec<usize> = (0..self.copies.len()).filter(|place| cut_off(&self.copies[*place])).collect();
            places.into_iter().for_each(|place| self.again(place));
        }
    }
}

/// What of the things that can go wrong was met.
#[derive(Debug, Default)]
struct Met {
    lost: u32,
    late: u32,
    paused: u32,
    doubled: u32,
    crashed: u32,
    spoke: u32,
    stale: u32,
}

/// Plays steps at random, and compares what is pending after each of them.
fn compare(seed: u64, steps: u32, met: &mut Met) -> Result<(), TestCaseError> {
    let mut prng = Prng::new(seed, Stream::Run);
    let simulation = drawn(Temper::ANY, Profile::adversarial(), seed).redeliver_futile(true).build();
    let mut world = simulation.expect("the parts fit").world();
    if !world.host.small.absent.is_empty() {
        return Ok(());
    }
    let mut model = Model::default();
    for _ in 0..steps {
        let enabled: Vec<Action> = world.enabled().iter().collect();
        if enabled.is_empty() {
            break;
        }
        let action = enabled[prng.below(enabled.len() as u32) as usize];
        let chosen = world.chosen(action).filter(|_| prng.below(2) == 0);
        let fate = chosen.map_or(Fate::CALM, |chosen| chosen.restrict(Fate::any(&mut prng, chosen.may_pause)));
        let fate = Fate { slow_publish: false, ..fate };
        let about = match action {
            Action::Deliver(index) | Action::Ack(index) => Some(index),
            Action::Resume(index) => {
                let paused = world.host.small.paused.iter().find(|paused| paused.index == index);
                paused.and_then(|paused| if let Job::Delivery(index) = paused.job { Some(index) } else { None })
            }
            Action::Advance => world.enabled().ack_wait(),
            _ => None,
        };
        let name_of = |world: &World<Erratic>, index: DeliveryIndex| {
            let delivery = world.broker.delivery(index);
            ((delivery.message.0, delivery.group.0), delivery.attempt)
        };
        let name = about.map(|index| name_of(&world, index));
        let words = format!("{} with {fate:?}", world.describe(action));
        let known = model.pending();
        let step = world.step(action, fate);
        model.follow(action, name, &step, &world);
        met.lost += u32::from(fate.lose);
        met.late += u32::from(matches!(action, Action::Ack(_)));
        met.paused += u32::from(matches!(action, Action::Resume(_)) && about.is_some());
        met.doubled += u32::from(fate.duplicate);
        met.crashed += u32::from(fate.crash.is_some() && about.is_some());
        met.spoke += u32::from(!step.published.is_empty() && about.is_some());
        met.stale += u32::from(about.is_some_and(|index| world.broker.delivery(index).superseded));
        let mut offered = BTreeSet::new();
        world.drain_offers(|offer| {
            offered.insert(offer.action);
        });
        let fresh = world.broker.ready().iter().filter(|index| !known.contains(&name_of(&world, **index)));
        for index in fresh {
            prop_assert!(offered.contains(&Action::Deliver(*index)), "after {}: {:?} was not offered", words, index);
        }
        if let Some(index) = about {
            let to = name_of(&world, index).0;
            let effects = model.effects.get(&to).copied().unwrap_or_default();
            prop_assert_eq!(world.broker.effects(index), effects, "effects after {}", words);
        }
        let pending: BTreeSet<_> = world.broker.ready().iter().map(|index| name_of(&world, *index)).collect();
        prop_assert_eq!(pending, model.pending(), "after {}: {:?}", words, step.answer);
        let held = model.copies.iter().filter(|copy| !copy.is_done).count();
        prop_assert_eq!(world.broker.open_count(), held as u64, "open after {}", words);
    }
    Ok(())
}

/// Many cases, none of which is kept: they are seeds.
fn config(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if asked.cases == 256 { cases } else { asked.cases };
    ProptestConfig { cases, failure_persistence: None, ..asked }
}

/// Any faults on the first few attempts.
fn plan() -> impl Strategy<Value = FaultPlan> {
    let rate = || prop_oneof![Just(0u32), Just(1), Just(3)].prop_map(|of_10| Rate::of(Ratio::new(of_10, 10)));
    (rate(), rate(), rate(), rate(), rate(), rate(), 1u16..4).prop_map(
        |(lose_ack, delay_ack, duplicate, crash, pause, lose_message, attempts_max)| FaultPlan {
            lose_ack,
            delay_ack,
            duplicate,
            crash,
            pause,
            lose_message,
            attempts_max,
            swarm: true,
            ..FaultPlan::NONE
        },
    )
}

const LIMITS: Limits = Limits { steps_max: 300, messages_max: 1_000, in_flight_max: 1_000 };

/// Plays a world; returns the outcome and what the stores hold then.
fn play(world: &mut World<Erratic>, mut scheduler: impl Scheduler) -> (Report, Vec<u64>) {
    let report = run(world, &mut scheduler, &Judges::new(Vec::new()), LIMITS, &mut ());
    (report, world.host.stores.iter().map(Store::digest).collect())
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn what_is_pending_after_a_step_is_what_the_model_says(seed in any::<u64>(), steps in 1u32..120) {
        compare(seed, steps, &mut Met::default())?;
    }

    #[test]
    fn what_is_ready_after_a_step_is_what_the_rules_of_the_broker_allow(seed in any::<u64>(), steps in 1u32..120) {
        let mut prng = Prng::new(seed, Stream::Run);
        let mut world = simulation(seed).world();
        let mut known: Vec<DeliveryIndex> = Vec::new();
        for _ in 0..steps {
            let enabled: Vec<Action> = world.enabled().iter().collect();
            let Some(action) = enabled.get(prng.below(enabled.len().max(1) as u32) as usize).copied() else { break };
            let chosen = world.chosen(action).filter(|_| prng.below(2) == 0);
            let fate = chosen.map_or(Fate::CALM, |chosen| chosen.restrict(Fate::any(&mut prng, chosen.may_pause)));
            let words = format!("{} with {fate:?}", world.describe(action));
            world.step(action, fate);
            prop_assert!(world.broker.is_ready_by_the_rules(), "after {}", words);
            for index in world.broker.parked() {
                prop_assert!(world.is_futile(index), "{:?} is parked for nothing after {}", index, words);
                let is_new = action == Action::Deliver(index) && !known.contains(&index);
                let Effects { impure, acts_outside, asking, .. } = world.host.effects;
                let may_differ = impure || acts_outside || asking == Asking::Misled;
                prop_assert!(!is_new || !may_differ, "{:?} may answer otherwise", index);
            }
            known = world.broker.parked().collect();
        }
    }

    #[test]
    fn a_limit_that_is_never_reached_is_none(seed in any::<u64>(), plan in plan()) {
        let free = Profile::adversarial();
        // Under rules, if only by name, the broker keeps queues.
        let max_in_flight = InFlight { limit: Limit::Of(u32::MAX), ..free.max_in_flight };
        let ruled = Profile { max_in_flight, ..Profile::adversarial() };
        let [free, ruled] = [free, ruled]
            .map(|profile| play(&mut simulation_on(profile, seed).world(), Keyed::new(seed, plan)));
        prop_assert_eq!(free, ruled);
    }
}

#[test]
fn what_the_model_has_to_get_right_is_met() {
    let mut met = Met::default();
    for seed in 0..200 {
        compare(seed, 100, &mut met).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    let Met { lost, late, paused, doubled, crashed, spoke, stale } = met;
    let all = [lost, late, paused, doubled, crashed, spoke, stale];
    assert!(all.iter().all(|times| *times > 20), "some were hardly met: {met:?}");
}
