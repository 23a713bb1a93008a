//! What a scheduler does for a step does not grow with what is under way: here, where all of them and
//! services that never come to an end are at hand.

use crate::faults::{Fate, FaultPlan};
use crate::portfolio::SchedulerKind;
use crate::prng::{Prng, Stream};
use crate::run::{Judges, Limits, Verdict, run};
use crate::schedule::Departure;
use crate::scheduler::{Action, Calm, Chosen, Departing, Enabled, LOOKED_AT, Offer, Scheduler};
use crate::simulation::Simulation;
use crate::{Outcome, Profile, Version, doc_example, ids, testing};

use doc_example::{Change, Changed, Shop};

/// A service that answers each event with the next version of it, and a command that begins it with
/// some in one go.
fn republishing(at_once: u64) -> Simulation<Shop> {
    let subjects = const { &[ids::Subject::new("item:changed")] };
    let shop = testing::service::<Shop>("shop").on_command(move |change: &Change, ctx| {
        for version in 0..at_once {
            ctx.publish(Changed { item: change.item, version: Version(version << 32), price: change.price });
        }
        Ok(())
    });
    let shop = shop.on_event(subjects, |event: &Changed, ctx| {
        ctx.publish(Changed { version: Version(event.version.0 + 1), ..event.clone() });
        Outcome::Ack
    });
    let change = Change { item: ids::RecordId::new('i', 1), price: 5 };
    Simulation::on(Profile::adversarial()).service(shop).client("ann", vec![change]).build().expect("the parts fit")
}

/// How many actions a scheduler looks at for a step, in hundredths, in a run that ends with so many
/// messages.
fn looked_at(simulation: &Simulation<Shop>, mut scheduler: impl Scheduler, messages_max: u32) -> u64 {
    let before = LOOKED_AT.get();
    let limits = Limits { messages_max, ..Limits::default() };
    let report = run(&mut simulation.world(), &mut scheduler, &Judges::new(Vec::new()), limits, &mut ());
    assert!(matches!(&report.verdict, Verdict::Stuck { reason } if reason.contains("livelock")), "{report:?}");
    assert!(report.steps > u64::from(messages_max) / 2, "{report:?}");
    100 * (LOOKED_AT.get() - before) / report.steps
}

/// With four times the messages there is not more to look at for a step, but for a little; or it is no
/// more than `most`.
#[track_caller]
fn assert_linear(name: &str, most: u64, looked_at: impl Fn(u32) -> u64) {
    let [few, many] = [4_000, 16_000].map(looked_at);
    let is_linear = many < 3 * few / 2 + 1_000 && many < 20_000 || many < most;
    assert!(is_linear, "{name}: {few}/100 actions a step with 4,000 messages, {many}/100 with 16,000");
}

#[test]
fn no_scheduler_is_quadratic_in_messages() {
    for at_once in [1, 2_000] {
        let simulation = republishing(at_once);
        for kind in SchedulerKind::ALL.into_iter().filter(|kind| *kind != SchedulerKind::Portfolio) {
            for plan in [FaultPlan::NONE, FaultPlan::SOME] {
                // Of the calm order the first seed, of the others one that has faults.
                let name = format!("{} with {at_once} at once and faults {}", kind.name(), plan == FaultPlan::SOME);
                // It looks at all as long as that is not very much.
                let most = if kind == SchedulerKind::Pos { 102_500 } else { 0 };
                assert_linear(&name, most, |messages| {
                    looked_at(&simulation, kind.scheduler(&simulation, 3, plan), messages)
                });
            }
        }
    }
}

#[test]
fn neither_is_one_that_departs_however_many_wait() {
    let simulation = republishing(500);
    let hold = |version: u64| -> Departure {
        format!("hold item:changed i1@{version} -> shop until quiescence").parse().expect("a departure")
    };
    for departures in [Vec::new(), vec![hold(0), hold(1 << 32), hold(77)]] {
        let departing = || Departing::new(departures.clone());
        assert_linear("departing", 0, |messages| looked_at(&simulation, departing(), messages));
    }
}

#[test]
fn what_one_step_publishes_is_not_called_a_livelock() {
    let simulation = republishing(60_000);
    let limits = Limits { messages_max: 50_000, ..Limits::default() };
    let mut calm = Calm::new(0, FaultPlan::NONE);
    let report = run(&mut simulation.world(), &mut calm, &Judges::new(Vec::new()), limits, &mut ());
    let Verdict::Stuck { reason } = report.verdict else { panic!("{report:?}") };
    assert!(reason.contains("one step published 60000 of them") && !reason.contains("livelock"), "{reason}");
}

/// Compares the order that is kept with the one that looks at everything each time, and does something
/// else now and then.
struct Compared {
    calm: Calm,
    prng: Prng,
    compared: u64,
}

impl Scheduler for Compared {
    fn offer(&mut self, offer: Offer) {
        self.calm.offer(offer);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let action = self.calm.pick(enabled);
        assert_eq!(Some(action), enabled.calm());
        self.compared += 1;
        match self.prng.below(4) {
            0 => enabled.get(self.prng.below(enabled.len() as u32) as usize),
            _ => action,
        }
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        match self.prng.below(3) {
            0 => Fate::any(&mut self.prng, chosen.may_pause),
            _ => Fate::CALM,
        }
    }
}

#[test]
fn the_calm_order_that_is_kept_is_that_of_what_is_enabled() {
    let mut compared = 0;
    for seed in 0..40 {
        let calm = Calm::new(seed, FaultPlan::NONE);
        let mut both = Compared { calm, prng: Prng::new(seed, Stream::Workload), compared: 0 };
        let limits = Limits { steps_max: 400, ..Limits::default() };
        let report = run(&mut republishing(20).world(), &mut both, &Judges::new(Vec::new()), limits, &mut ());
        assert!(matches!(report.verdict, Verdict::Stuck { .. } | Verdict::Held), "{report:?}");
        compared += both.compared;
    }
    assert!(compared > 10_000, "{compared}");
}
