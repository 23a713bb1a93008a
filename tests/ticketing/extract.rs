//! Whoever picked the steps of a run, its departures give the run again, and so do its steps by name;
//! both read back as they were printed.

use pellmell::extract::{Extracted, extract};
use pellmell::scheduler::{Scripted, Tie};
use pellmell::simulation::Client;
use pellmell::ticketing::{Design, Request, properties};
use pellmell::trace::Naming;
use pellmell::{Calm, Departing, Departure, Judges, Keyed, Limits, NamedStep, Replayed, Rounds, Scheduler, Walk, run};
use proptest::prelude::*;

use crate::support::config::config;
use crate::support::random::{client, design, faults, hostings, profile, simulation, workload};

const LIMITS: Limits = Limits { steps_max: 20_000, messages_max: 5_000, in_flight_max: 5_000 };

/// The same clients, some of whose commands wait for a record, are tried again or set the stage.
fn on_terms(clients: impl Strategy<Value = Vec<Client<Request>>>) -> impl Strategy<Value = Vec<Client<Request>>> {
    (clients, any::<u64>()).prop_map(|(mut clients, key)| {
        let commands = clients.iter_mut().flat_map(|client| &mut client.commands);
        for (place, sending) in commands.enumerate().filter(|_| key % 4 != 0) {
            let bits = pellmell::hash::mix(key, place as u64);
            let (record, service) =
                [("t1", "orders"), ("t1", "tickets"), ("o1", "payments"), ("o9", "orders")][bits as usize % 4];
            if bits >> 8 & 7 == 0 {
                *sending = sending.clone().waits_for(record.parse().expect("a record"), service);
            }
            sending.until_accepted = bits >> 16 & 3 == 0;
            sending.setup = bits >> 24 & 7 == 0;
        }
        clients
    })
}

proptest! {
    #![proptest_config(config("extract", 256))]

    #[test]
    fn the_departures_of_a_run_give_it_again_and_so_do_its_steps_by_name(
        design in design(),
        clients in on_terms(workload()),
        profile in profile(),
        plan in faults(),
        hostings in hostings(),
        seed in any::<u64>(),
    ) {
        let simulation = simulation(&design, profile, clients, &hostings);
        let judges = Judges::new(properties::promised_by(&design));
        let schedulers: [(&str, Box<dyn Scheduler>); 4] = [
            ("keyed", Box::new(Keyed::new(seed, plan))),
            ("walk", Box::new(Walk::new(seed, plan, seed % 2 == 0))),
            ("calm", Box::new(Calm::new(seed, plan))),
            ("rounds", Box::new(Rounds::default())),
        ];
        for (name, scheduler) in schedulers {
            let extracted = extract(&simulation, scheduler, &judges, LIMITS, Tie::InOrder);
            prop_assert!(extracted.is_ok(), "{}: {:?}", name, extracted.err());
            let Extracted { departures, steps, report, .. } = extracted.expect("departures");
            let texts: Vec<String> = departures.iter().map(ToString::to_string).collect();
            let read: Result<Vec<Departure>, _> = texts.iter().map(|text| text.parse()).collect();
            prop_assert_eq!(read.as_ref(), Ok(&departures), "{}", name);
            let mut departing = Departing::new(departures);
            let again = run(&mut simulation.world(), &mut departing, &judges, LIMITS, &mut ());
            prop_assert_eq!(again.fingerprint, report.fingerprint, "{}", name);
            let unused: Vec<String> = departing.unused().map(ToString::to_string).collect();
            prop_assert_eq!(unused, Vec::<String>::new(), "{}", name);
            let mut naming = Naming::default();
            let scripted = &mut Scripted::new(steps.clone());
            run(&mut simulation.world(), scripted, &judges, LIMITS, &mut naming);
            let texts: Vec<String> = naming.into_steps().iter().map(ToString::to_string).collect();
            let read: Result<Vec<NamedStep>, _> = texts.iter().map(|text| text.parse()).collect();
            let mut retold = Replayed::new(read.expect("steps"));
            let again = run(&mut simulation.world(), &mut retold, &judges, LIMITS, &mut ());
            prop_assert_eq!(again.fingerprint, report.fingerprint, "{}", name);
            prop_assert_eq!(retold.missing(), Vec::<&NamedStep>::new(), "{}", name);
            for tie in &Tie::ALL[1..] {
                let other = extract(&simulation, Scripted::new(steps.clone()), &judges, LIMITS, *tie);
                prop_assert_eq!(other.map(|other| other.report.fingerprint), Ok(report.fingerprint), "{} {:?}", name, tie);
            }
        }
    }
}

#[test]
fn a_calm_run_has_no_departures() {
    let design = Design::REFERENCE;
    let clients = vec![client("seller", &["create t1 5".to_owned(), "edit t1 6".to_owned()])];
    let simulation =
        simulation(&design, pellmell::Profile::adversarial(), clients, &pellmell::ticketing::Hostings::FOUR);
    let judges = Judges::new(properties::promised_by(&design));
    let calm = Calm::new(0, pellmell::FaultPlan::NONE);
    let extracted = extract(&simulation, calm, &judges, LIMITS, Tie::InOrder).expect("departures");
    assert_eq!(extracted.departures, Vec::new());
    assert!(extracted.report.verdict.is_held());
}
