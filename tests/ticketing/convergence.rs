//! Under any workload, faults, broker and schedule the reference and the saga keep every property;
//! under the course's design one lost ack is enough.

use pellmell::broker::Profile;
use pellmell::property::NoPoison;
use pellmell::run::Observer;
use pellmell::scheduler::Action;
use pellmell::ticketing::{ALTERNATIVES, DEFECTS, Design, Hostings, Ticketing, properties};
use pellmell::{
    Calm, Departing, FaultPlan, Hosting, Judges, Keyed, Limits, Moment, Property, Rate, Report, Rounds, Scheduler,
    Simulation, Step, Verdict, Walk, World, run,
};
use proptest::prelude::*;

use crate::support::config::config;
use crate::support::random::{self, design, hostings, profile, simulation, workload};

/// Any faults from which services can recover: no rule of theirs brings a lost message back.
fn faults() -> impl Strategy<Value = FaultPlan> {
    random::faults().prop_map(|plan| FaultPlan { lose_message: Rate::NEVER, ..plan })
}

fn right() -> impl Strategy<Value = Design> {
    prop_oneof![Just(Design::REFERENCE), Just(Design::SAGA)]
}

fn judged(design: &Design, simulation: &Simulation<Ticketing>, mut scheduler: impl Scheduler) -> Report {
    let judges = Judges::new(properties::promised_by(design));
    let limits = Limits { steps_max: 200_000, messages_max: 10_000, ..Limits::default() };
    run(&mut simulation.world(), &mut scheduler, &judges, limits, &mut ())
}

/// Looks at every step and says nothing.
struct Onlooker;

impl Observer<Ticketing> for Onlooker {}

/// What is judged at quiescence: all properties but those of steps.
fn of_quiescence() -> Vec<Box<dyn Property<Ticketing>>> {
    let names = |property: &dyn Property<Ticketing>| {
        property.name().ends_with("Converged") || property.name().ends_with("Agreement")
    };
    properties::all().into_iter().filter(|property| names(&**property)).collect()
}

/// What each defect and each alternative does to a design.
fn others() -> Vec<fn(&mut Design)> {
    let defects = DEFECTS.iter().map(|defect| defect.plant);
    defects.chain(ALTERNATIVES.iter().map(|alternative| alternative.plant)).collect()
}

/// A world that takes the same steps as the run and in which no quiescence was ever judged, so that its
/// properties look at all records.
struct Unspared {
    world: World<Ticketing>,
    properties: Vec<Box<dyn Property<Ticketing>>>,
}

impl Observer<Ticketing> for Unspared {
    fn after(&mut self, world: &World<Ticketing>, step: &Step) {
        self.world.step(step.action, step.fate);
        if world.is_quiescent() && world.enabled().iter().all(|action| !matches!(action, Action::Join(_))) {
            for property in &self.properties {
                assert_eq!(
                    property.at_quiescence(&Moment::new(world)),
                    property.at_quiescence(&Moment::new(&self.world)),
                    "{}",
                    property.name()
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(config("convergence", 1024))]

    #[test]
    fn judging_what_was_saved_since_the_last_quiescence_is_judging_all(
        design in design(),
        other in prop::sample::select(others()),
        clients in workload(),
        profile in profile(),
        plan in random::faults(),
        hostings in hostings(),
        seed in any::<u64>(),
    ) {
        let mut design = design;
        other(&mut design);
        let simulation = simulation(&design, profile, clients, &hostings);
        let mut unspared = Unspared { world: simulation.world(), properties: of_quiescence() };
        let limits = Limits { steps_max: 20_000, messages_max: 10_000, ..Limits::default() };
        let judges = Judges::new(of_quiescence());
        let report = run(&mut simulation.world(), &mut Calm::new(seed, plan), &judges, limits, &mut unspared);
        prop_assert!(!matches!(report.verdict, Verdict::Panicked { .. }), "{:?}", report.verdict);
    }

    #[test]
    fn a_run_that_only_judges_look_at_is_the_one_that_others_look_at_too(
        design in design(),
        other in prop::sample::select(others()),
        clients in workload(),
        profile in profile(),
        plan in random::faults(),
        hostings in hostings(),
        seed in any::<u64>(),
        steps_max in prop_oneof![1u64..200, Just(20_000)],
    ) {
        let mut design = design;
        other(&mut design);
        let judges = Judges::new(properties::promised_by(&design));
        let simulation = simulation(&design, profile, clients, &hostings);
        let limits = Limits { steps_max, messages_max: 10_000, ..Limits::default() };
        let scheduler = || -> Box<dyn Scheduler> {
            match seed % 3 {
                0 => Box::new(Walk::new(seed, plan, seed % 2 == 0)),
                1 => Box::new(Keyed::new(seed, plan)),
                _ => Box::new(Calm::new(seed, plan)),
            }
        };
        let (mut alone, mut seen) = (simulation.world(), simulation.world());
        let unseen = run(&mut alone, &mut scheduler(), &judges, limits, &mut ());
        prop_assert_eq!(&unseen, &run(&mut seen, &mut scheduler(), &judges, limits, &mut Onlooker));
        prop_assert_eq!(alone.digest(), seen.digest());
    }

    #[test]
    fn the_right_designs_keep_every_property(
        design in right(),
        clients in workload(),
        profile in profile(),
        plan in faults(),
        hostings in hostings(),
        seed in any::<u64>(),
    ) {
        let simulation = simulation(&design, profile, clients, &hostings);
        let keyed = judged(&design, &simulation, Keyed::new(seed, plan));
        prop_assert_eq!(keyed.verdict, Verdict::Held, "keyed");
        let walk = judged(&design, &simulation, Walk::new(seed, plan, seed % 2 == 0));
        prop_assert_eq!(walk.verdict, Verdict::Held, "walk");
        let calm = judged(&design, &simulation, Calm::new(seed, plan));
        prop_assert_eq!(calm.verdict, Verdict::Held, "calm with faults");
    }

    #[test]
    fn the_right_designs_drain_in_rounds(
        design in right(),
        clients in workload(),
        tickets in 1u16..=3,
        orders in 1u16..=3,
        payments in 1u16..=3,
    ) {
        let hosting = |members| Hosting { members, ..Hosting::ALONE };
        let (tickets, orders, payments) = (hosting(tickets), hosting(orders), Some(hosting(payments)));
        let hostings = Hostings { tickets, orders, payments, ..Hostings::FOUR };
        let simulation = simulation(&design, Profile::adversarial(), clients, &hostings);
        prop_assert_eq!(judged(&design, &simulation, Rounds::default()).verdict, Verdict::Held);
    }

    #[test]
    fn under_the_course_design_one_lost_ack_is_enough(
        clients in workload(),
        profile in profile(),
        ticket in any::<prop::sample::Index>(),
    ) {
        let tickets = clients.iter().filter(|client| client.name.starts_with("seller")).count();
        let lost = format!("lose ack of ticket:created t{}@0 -> orders", ticket.index(tickets) + 1);
        let simulation = simulation(&Design::COURSE, profile, clients, &Hostings::FOUR);
        let mut departing = Departing::new(vec![lost.parse().expect("a departure")]);
        let judges = Judges::new(vec![Box::new(NoPoison)]);
        let report = run(&mut simulation.world(), &mut departing, &judges, Limits::default(), &mut ());
        prop_assert_eq!(report.counts.acks_lost, 1);
        let named = match &report.verdict {
            Verdict::Violated { property: "NoPoison", violation } => violation.to_string(),
            other => format!("{other:?}"),
        };
        prop_assert!(named.contains("ticket:created"), "{}", named);
    }

    #[test]
    fn the_same_input_gives_the_same_run(
        design in design(),
        clients in workload(),
        profile in profile(),
        plan in faults(),
        hostings in hostings(),
        seed in any::<u64>(),
    ) {
        let once = || {
            let simulation = simulation(&design, profile.clone(), clients.clone(), &hostings);
            judged(&design, &simulation, Keyed::new(seed, plan))
        };
        prop_assert_eq!(once(), once());
    }
}
