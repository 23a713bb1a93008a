//! The fast paths of a step against the slow path: a delivery that is handled and answered at once, a
//! command with which nothing goes wrong, and the loop that nobody observes.

mod transactions;

use proptest::prelude::*;

use super::*;
use crate::broker::{InFlight, Limit, Profile};
use crate::erratic::{Erratic, simulation, simulation_on};
use crate::faults::{FaultPlan, Rate};
use crate::prng::{Prng, Ratio, Stream};
use crate::run::{Judges, Limits, Observer, Report, run};
use crate::scheduler::{Calm, Keyed, Offer, Scheduler, Walk};
use crate::store::Store;

impl<S: System> World<S> {
    /// [`World::step`], without the fast paths.
    fn step_slow(&mut self, action: Action, fate: Fate) -> Step {
        let mut step = Step::new(action, fate);
        self.take_slow(action, fate, &mut step);
        step
    }

    /// Everything in it, in words.
    fn in_words(&self) -> String {
        let World { broker, sent, idle, paused, paused_indices, pauses, acks, absent, timers, .. } = self;
        let World { parks_futile, now, steps, commands_run, fingerprint, stores, memories, .. } = self;
        let stores: Vec<_> =
            stores.iter().map(|store| (store, store.digest(), store.tick(), store.changed())).collect();
        let clients = (sent, idle, commands_run);
        let under_way = (paused, paused_indices, pauses, acks, absent, timers, self.timers_armed(), parks_futile);
        let under_way = (under_way, memories);
        let answers = (self.is_quiescent(), self.is_finished(), self.read_beyond_store());
        format!("{now:?} {steps} {fingerprint:x} {clients:?} {under_way:?} {answers:?} {stores:?} {broker:?}")
    }
}

/// What a scheduler is offered, in words.
fn offered(world: &mut World<Erratic>) -> Vec<String> {
    let mut offered = Vec::new();
    world.drain_offers(|Offer { action, key, lane, place, again }| {
        offered.push(format!("{action:?} {key:x} {lane:x} {place:x} {again}"));
    });
    offered
}

/// What of the fast paths was met.
#[derive(Debug, Default)]
struct Met {
    /// Deliveries that may take the fast path.
    direct: u32,
    /// Of these: acked after a save, refused without one, refused after one, with messages.
    saved: u32,
    refused: u32,
    refused_saved: u32,
    spoke: u32,
    /// With a duplicate whose ack is lost, and with one whose ack is not.
    doubled: [u32; 2],
    /// Calm commands: accepted, with messages; refused, with messages and with saves.
    accepted: u32,
    refused_spoke: u32,
    refused_kept: u32,
}

impl Met {
    fn note(&mut self, is_direct: bool, step: &Step) {
        let (spoke, saved) = (!step.published.is_empty(), step.saved());
        if is_direct {
            let is_ack = step.answered_ack();
            self.direct += 1;
            self.saved += u32::from(is_ack && saved);
            self.refused += u32::from(!is_ack && !saved);
            self.refused_saved += u32::from(!is_ack && saved);
            self.spoke += u32::from(spoke);
            if step.fate.duplicate {
                self.doubled[usize::from(step.fate.ack == AckFate::Lost)] += 1;
            }
        } else if step.fate.is_calm() {
            match step.answer {
                Some(Answer::Command(Ok(()))) => self.accepted += u32::from(spoke),
                Some(Answer::Command(Err(_))) => {
                    self.refused_spoke += u32::from(spoke);
                    self.refused_kept += u32::from(saved);
                }
                _ => {}
            }
        }
    }
}

/// Steps two clones, one by the fast paths and one by the slow path, and compares all there is to see of both
/// after each step.
fn compare(seed: u64, steps: u32, met: &mut Met) -> Result<(), TestCaseError> {
    let mut prng = Prng::new(seed, Stream::Run);
    let mut fast = simulation(seed).world();
    let mut slow = fast.clone();
    for _ in 0..steps {
        prop_assert_eq!(offered(&mut fast), offered(&mut slow));
        let enabled: Vec<Action> = fast.enabled().iter().collect();
        prop_assert_eq!(&enabled, &slow.enabled().iter().collect::<Vec<_>>());
        if enabled.is_empty() {
            break;
        }
        let action = enabled[prng.below(enabled.len() as u32) as usize];
        let chosen = fast.chosen(action).filter(|_| prng.below(2) == 0);
        let fate = chosen.map_or(Fate::CALM, |chosen| Fate::any(&mut prng, chosen.may_pause));
        let is_direct = match action {
            Action::Deliver(index) => fate.lets_through() && fast.broker.delivery(index).direct().is_some(),
            _ => false,
        };
        let words = fast.describe(action);
        let (one, other) = (fast.step(action, fate), slow.step_slow(action, fate));
        met.note(is_direct, &one);
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"), "{} with {:?}", words, fate);
        prop_assert_eq!(fast.digest(), slow.digest(), "{} with {:?}", words, fate);
        prop_assert_eq!(fast.in_words(), slow.in_words(), "{} with {:?}", words, fate);
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
        },
    )
}

const LIMITS: Limits = Limits { steps_max: 300, messages_max: 1_000, in_flight_max: 1_000 };

/// Looks at every step and says nothing.
struct Onlooker;

impl Observer<Erratic> for Onlooker {}

/// Plays a world; returns the outcome and what the stores hold then.
fn play(
    world: &mut World<Erratic>,
    mut scheduler: impl Scheduler,
    observer: &mut impl Observer<Erratic>,
) -> (Report, Vec<u64>) {
    let report = run(world, &mut scheduler, &Judges::new(Vec::new()), LIMITS, observer);
    (report, world.stores.iter().map(Store::digest).collect())
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn a_step_on_the_fast_path_is_that_step_on_the_slow_path(seed in any::<u64>(), steps in 1u32..120) {
        compare(seed, steps, &mut Met::default())?;
    }

    #[test]
    fn a_limit_that_is_never_reached_is_none(seed in any::<u64>(), plan in plan()) {
        let free = Profile::adversarial();
        // Under rules, if only by name, the broker has to know that a handler runs.
        let max_in_flight = InFlight { limit: Limit::Of(u32::MAX), ..free.max_in_flight };
        let ruled = Profile { max_in_flight, ..Profile::adversarial() };
        let [free, ruled] = [free, ruled].map(|profile| {
            play(&mut simulation_on(profile, seed).world(), Keyed::new(seed, plan), &mut ())
        });
        prop_assert_eq!(free, ruled);
    }

    #[test]
    fn a_run_that_nobody_looks_at_is_the_one_that_somebody_sees(seed in any::<u64>(), plan in plan()) {
        let scheduler = || -> Box<dyn Scheduler> {
            match seed % 3 {
                0 => Box::new(Walk::new(seed, plan, seed % 2 == 0)),
                1 => Box::new(Keyed::new(seed, plan)),
                _ => Box::new(Calm::new(seed, plan)),
            }
        };
        let (mut unseen, mut seen) = (simulation(seed).world(), simulation(seed).world());
        let of_unseen = play(&mut unseen, scheduler(), &mut ());
        prop_assert_eq!(of_unseen, play(&mut seen, scheduler(), &mut Onlooker));
        prop_assert_eq!(unseen.in_words(), seen.in_words());
    }
}

#[test]
fn what_the_fast_paths_have_to_get_right_is_met() {
    let mut met = Met::default();
    for seed in 0..200 {
        compare(seed, 100, &mut met).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    let Met { direct, saved, refused, refused_saved, spoke, doubled: [kept, lost], .. } = met;
    let Met { accepted, refused_spoke, refused_kept, .. } = met;
    let all = [direct, saved, refused, refused_saved, spoke, kept, lost, accepted, refused_spoke, refused_kept];
    assert!(all.iter().all(|times| *times > 20), "some were hardly met: {met:?}");
}
