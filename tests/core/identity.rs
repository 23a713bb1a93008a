//! Records that are named by texts: runs, searches and reports know them as they know numbers, and none
//! of them depends on which text a process saw first.

use std::collections::BTreeSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command as Process;

use pellmell::broker::{Dispatch, Ordering, Profile};
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::explain::Explain;
use pellmell::extract::extract;
use pellmell::scheduler::Tie;
use pellmell::search::{Bounds, DeliveryOrder, Ended, Exhaust};
use pellmell::shrink::Shrink;
use pellmell::testing::{at_quiescence, check, replay, service};
use pellmell::ticketing::Design;
use pellmell::{
    Calm, Departing, Departure, FaultPlan, Hosting, Judges, Keyed, Limits, Moment, Outcome, Property, RecordId,
    Replayed, Simulation, Subject, Version, VersionPolicy, Violation, run, trace,
};

const ITEM_CHANGED: &[Subject] = &[Subject::new("item:changed")];
const POLICY: VersionPolicy = VersionPolicy::EVERY_SAVE;

/// A UUID and two composite keys.
const KEYS: [&str; 3] = ["6f1c24a0-2b11-4a53-9d0e-2f1f8a6f33b7", "acme/7", "acme/10"];

fn item(key: &str) -> RecordId {
    RecordId::named('i', key)
}

/// A shop that tells of all items whenever one changes, in the order of their ids, and a search that
/// takes whatever comes (`is_blind`) or the next version.
fn shop_of(items: &[RecordId], profile: Profile, is_blind: bool) -> Simulation<Shop> {
    let shop = service::<Shop>("shop").owns::<Item>(POLICY).on_command(|change, ctx| {
        let held = ctx.store.find::<Item>(change.item).map(|item| item.version);
        ctx.store.overwrite(change.item, Item { price: change.price }, held);
        let all: Vec<_> = ctx.store.all::<Item>().map(|(item, row)| (item, row.version, row.price)).collect();
        for (item, version, price) in all {
            ctx.publish(Changed { item, version, price });
        }
        Ok(())
    });
    let search = service::<Shop>("search").keeps::<Item>(POLICY).on_event(ITEM_CHANGED, move |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
        let item = Item { price: event.price };
        let (store, id) = (&mut ctx.store, event.item);
        let is_saved = match held {
            _ if is_blind => store.overwrite(id, item, held) >= Version(0),
            Some(held) if held >= event.version => true,
            Some(held) => store.save_as(id, item, held, event.version).is_ok(),
            None => store.insert_as(id, item, event.version).is_ok(),
        };
        if is_saved { Outcome::Ack } else { Outcome::nak("somebody was faster") }
    });
    let commands = items.iter().flat_map(|item| [5, 10].map(|price| Change { item: *item, price }));
    let hosting = Hosting { members: 3, ..Hosting::ALONE };
    let simulation = Simulation::on(profile).service(shop).hosted(search, hosting);
    simulation.client("seller", commands.collect::<Vec<_>>()).build().expect("the parts fit")
}

fn shop(keys: &[&str], profile: Profile, is_blind: bool) -> Simulation<Shop> {
    let items: Vec<_> = keys.iter().map(|key| item(key)).collect();
    shop_of(&items, profile, is_blind)
}

fn same_price() -> Box<dyn Property<Shop>> {
    at_quiescence("SamePrice", |moment: &Moment<'_, Shop>| {
        for (id, item) in moment.store_of("shop").all::<Item>() {
            let found = moment.store_of("search").find::<Item>(id).map(|copy| copy.price);
            if found != Some(item.price) {
                return Err(Violation::at("search")
                    .of(id)
                    .because(format!("expected {}, found {found:?}", item.price)));
            }
        }
        Ok(())
    })
}

fn panic_of<T: std::fmt::Debug>(work: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("a panic");
    *panic.downcast::<String>().expect("a panic with a text")
}

#[test]
fn services_with_keys_that_are_texts_hold_if_they_are_right() {
    let judges = Judges::new(vec![same_price()]);
    let checked = check(&shop(&KEYS, Profile::adversarial(), false), 0..300, FaultPlan::SOME, &judges);
    assert!(checked.counts.redeliveries > 300, "{checked:?}");
}

#[test]
fn a_failure_is_shrunk_and_told_by_texts_and_what_is_printed_plays_it_again() {
    let judges = Judges::new(vec![same_price()]);
    for key in KEYS {
        let simulation = shop(&[key], Profile::adversarial(), true);
        let told = panic_of(|| check(&simulation, 0..1000, FaultPlan::SOME, &judges));
        assert!(
            told.contains(&format!("violated SamePrice: at search, i:{key}: expected 10, found Some(5)")),
            "{told}"
        );
        let pasted: Vec<&str> =
            told.lines().filter_map(|line| line.strip_prefix("        \"")?.strip_suffix("\",")).collect();
        assert!(pasted.iter().any(|line| line.contains(&format!("item:changed i:{key}@0"))), "{told}");
        let replayed = panic_of(|| replay(&simulation, &pasted, &judges));
        let steps = |text: &str| text.split_once("its steps:").expect("steps").1.to_owned();
        let told = told.split_once("\nso fail ").expect("how often").0;
        assert_eq!(steps(told), steps(&replayed));
    }
}

#[test]
fn a_run_with_texts_is_given_again_by_its_departures_and_by_its_steps() {
    let judges = Judges::new(Vec::new());
    let simulation = shop(&KEYS, Profile::stan(), true);
    for seed in 0..40 {
        let scheduler = || Keyed::new(seed, FaultPlan::SOME);
        let extracted = extract(&simulation, scheduler(), &judges, Limits::default(), Tie::InOrder).expect("unique");
        for departure in &extracted.departures {
            assert_eq!(departure.to_string().parse::<Departure>().as_ref(), Ok(departure));
        }
        let mut naming = trace::Naming::default();
        let report = run(&mut simulation.world(), &mut scheduler(), &judges, Limits::default(), &mut naming);
        let steps: Vec<_> = naming.into_steps().iter().map(|step| step.to_string().parse().expect("a step")).collect();
        let retold = run(&mut simulation.world(), &mut Replayed::new(steps), &judges, Limits::default(), &mut ());
        assert_eq!(retold.fingerprint, report.fingerprint, "seed {seed}");
    }
}

#[test]
fn a_failure_with_texts_is_explained_by_them() {
    let judges = Judges::new(vec![same_price()]);
    let simulation = shop(&["acme/7"], Profile::adversarial(), true);
    let departures = vec!["hold item:changed i:acme/7@0 -> search until quiescence".parse().expect("a departure")];
    let shrunk = Shrink::new(&simulation, &judges).run(departures).expect("it fails");
    let explanation = Explain::new(&simulation, &judges).run(&shrunk).expect("it is small");
    let why = explanation.why.join("\n");
    assert!(why.contains("`item:changed i:acme/7@0` reaches search only at step"), "{why}");
    assert!(why.contains("saves i:acme/7@"), "{why}");
}

#[test]
fn a_complete_search_with_texts_comes_as_far_as_one_with_numbers() {
    let judges = Judges::new(vec![same_price()]);
    let exhausted = |is_blind| {
        let simulation = shop(&["acme/7", "6f1c"], Profile::adversarial(), is_blind);
        Exhaust::new(&simulation, &judges).with_bounds(Bounds::of(DeliveryOrder::Any)).run()
    };
    let right = exhausted(false);
    assert!(right.is_complete(), "{right:?}");
    // In the same order: what comes first as a text comes first as a number.
    let numbers = [2, 1].map(|number| RecordId::new('i', number));
    let numbered = shop_of(&numbers, Profile::adversarial(), false);
    let numbered = Exhaust::new(&numbered, &judges).with_bounds(Bounds::of(DeliveryOrder::Any)).run();
    assert_eq!(right.stats.states, numbered.stats.states);
    let blind = exhausted(true);
    assert_eq!(blind.ended, Ended::Failing, "{blind:?}");
}

/// The fingerprints of runs in which it would show if anything went by the order in which texts came.
fn fingerprints() -> String {
    let by_key = |partitions| Profile {
        ordering: Ordering::Key { partitions },
        dispatch: Dispatch::Exclusive,
        ..Profile::adversarial()
    };
    let judges = Judges::new(Vec::new());
    let mut told = String::new();
    for profile in [Profile::adversarial(), by_key(Some(2)), by_key(None)] {
        let simulation = shop(&KEYS, profile, false);
        for seed in 0..10 {
            let mut world = simulation.world();
            let limits = Limits::default();
            let report = run(&mut world, &mut Keyed::new(seed, FaultPlan::SOME), &judges, limits, &mut ());
            told += &format!("{:x} {:x} ", report.fingerprint, world.digest());
        }
        let mut world = simulation.world();
        let report = run(&mut world, &mut Calm::new(0, FaultPlan::NONE), &judges, Limits::default(), &mut ());
        told += &format!("{:x}; ", report.fingerprint);
    }
    told
}

#[test]
fn which_text_a_process_saw_first_does_not_show() {
    const FIRST: &str = "PELLMELL_TEST_FIRST_TEXTS";
    const MARK: &str = "fingerprints: ";
    if let Some(order) = std::env::var_os(FIRST) {
        let mut keys: Vec<String> = KEYS.iter().map(|key| (*key).to_owned()).collect();
        keys.extend((0..50).map(|number| format!("other-{number}")));
        keys.sort();
        if order == "reverse" {
            keys.reverse();
        }
        keys.iter().for_each(|key| _ = item(key));
        writeln!(std::io::stdout(), "\n{MARK}{}", fingerprints()).expect("somebody reads it");
        return;
    }
    let in_process = |order: &str| {
        let name = "identity::which_text_a_process_saw_first_does_not_show";
        let this = std::env::current_exe().expect("a test has a file");
        let output = Process::new(this).args(["--exact", name, "--nocapture"]).env(FIRST, order).output();
        let output = String::from_utf8(output.expect("it runs").stdout).expect("text");
        let line = output.lines().find_map(|line| line.strip_prefix(MARK));
        line.unwrap_or_else(|| panic!("{output}")).to_owned()
    };
    let sorted = in_process("sorted");
    assert_eq!(sorted, in_process("reverse"));
    assert_eq!(sorted.trim_end(), fingerprints().trim_end());
}

#[test]
fn departures_find_what_a_text_names() {
    let simulation = shop(&KEYS, Profile::adversarial(), false);
    let departures: Vec<Departure> =
        ["duplicate item:changed i:acme/7@1 -> search", "lose ack of item:changed i:acme/10@0/2 -> search"]
            .map(|text| text.parse().expect("a departure"))
            .to_vec();
    let report = run(
        &mut simulation.world(),
        &mut Departing::new(departures),
        &Judges::new(Vec::new()),
        Limits::default(),
        &mut (),
    );
    assert_eq!((report.counts.duplicates, report.counts.acks_lost), (1, 0), "{:?}", report.counts);
}

/// A shop at one of several sites: its name, its commands' service and its subject have the site in them.
mod at_site {
    use super::*;
    use pellmell::{Command, Context, Event, Reason, Rejection, Schema, Service, System, Version};

    pub(super) struct Sites;

    impl System for Sites {
        type Event = Sold;
        type Command = Sell;
    }

    #[derive(Clone, Debug, Hash, serde::Serialize)]
    pub(super) struct Sold {
        pub(super) site: String,
        item: RecordId,
    }

    impl Event for Sold {
        fn subject(&self) -> Subject {
            Subject::named(format!("{}:sold", self.site))
        }

        fn record(&self) -> RecordId {
            self.item
        }

        fn version(&self) -> Option<Version> {
            None
        }
    }

    #[derive(Clone, Debug, Hash, serde::Serialize)]
    pub(super) struct Sell {
        pub(super) shop: String,
        pub(super) item: RecordId,
    }

    impl Command for Sell {
        fn service(&self) -> &str {
            &self.shop
        }

        fn record(&self) -> RecordId {
            self.item
        }

        fn label(&self) -> String {
            format!("sell {}", self.item)
        }
    }

    pub(super) struct Site {
        pub(super) name: String,
        pub(super) site: String,
    }

    impl Service<Sites> for Site {
        fn name(&self) -> &str {
            &self.name
        }

        fn collections(&self, schema: &mut Schema) {
            schema.keeps::<Item>(POLICY);
        }

        fn execute(&self, sell: &Sell, ctx: &mut Context<'_, Sites>) -> Result<(), Rejection> {
            let sold = |_| Rejection::new(409, format!("{} is sold at {}", sell.item, self.site));
            ctx.store.insert(sell.item, Item { price: 1 }).map_err(sold)?;
            ctx.publish(Sold { site: self.site.clone(), item: sell.item });
            Ok(())
        }
    }

    pub(super) struct NeverSold(pub(super) String);

    impl Property<Sites> for NeverSold {
        fn name(&self) -> &str {
            &self.0
        }

        fn at_quiescence(&self, moment: &Moment<'_, Sites>) -> Result<(), Violation> {
            match moment.store_of("ledger").all::<Item>().next() {
                Some((id, _)) => Err(Violation::at("ledger").of(id).because("it is there")),
                None => Ok(()),
            }
        }
    }

    pub(super) fn simulation() -> Simulation<Sites> {
        let sites = ["north", "south"];
        let subjects: Vec<Subject> = sites.iter().map(|site| Subject::named(format!("{site}:sold"))).collect();
        let ledger = service::<Sites>("ledger".to_owned()).keeps::<Item>(POLICY).on_event(subjects, |sold, ctx| {
            match ctx.store.insert(sold.item, Item { price: 1 }) {
                Ok(_) => Outcome::Ack,
                Err(taken) => Outcome::Silent(Reason::of(format!("{taken} from {}", sold.site))),
            }
        });
        let mut simulation = Simulation::on(Profile::stan()).service(ledger);
        for site in sites {
            let name = format!("shop-{site}");
            let sell = |key| Sell { shop: name.clone(), item: item(key) };
            simulation = simulation.client(format!("client-{site}"), vec![sell("a"), sell("a")]);
            simulation = simulation.service(Site { name, site: site.to_owned() });
        }
        simulation.build().expect("the parts fit")
    }
}

#[test]
fn names_and_reasons_may_be_put_together() {
    let simulation = at_site::simulation();
    assert_eq!(simulation.service_names().collect::<Vec<_>>(), ["ledger", "shop-north", "shop-south"]);
    let mut recorder = trace::Recorder::default();
    let judges = Judges::new(vec![Box::new(at_site::NeverSold("NeverSold".to_owned()))]);
    assert_eq!(judges.names().collect::<Vec<_>>(), ["NeverSold"]);
    let none = Judges::new(Vec::new());
    let mut world = simulation.world();
    run(&mut world, &mut Calm::new(0, FaultPlan::NONE), &none, Limits::default(), &mut recorder);
    let told: Vec<String> = recorder.into_records().iter().map(|record| format!("{record:?}")).collect();
    for part in
        ["rejected 409: i:a is sold at north", "silent: duplicate key i:a from south", "south:sold i:a -> ledger"]
    {
        assert!(told.iter().any(|record| record.contains(part)), "{part}: {told:#?}");
    }
    // Whichever text the name is in.
    assert_eq!(world.service("shop-north"), world.service(&String::from("shop-north")));
    let told = panic_of(|| check(&simulation, 0..10, FaultPlan::NONE, &judges));
    assert!(told.contains("violated NeverSold: at ledger, i:a: it is there"), "{told}");
}

#[test]
fn scenario_files_name_records_by_keys() {
    let text = r#"
version = 1
about = "Records have keys."
design = "course"
schedule = ["lose ack of ticket:created t:6f1c-2b@0 -> orders"]

[[client]]
name = "alice"
commands = [
    { create_ticket = { ticket = "t:6f1c-2b", price = 10 } },
    { create_order = { order = "o:acme/7", ticket = "t:6f1c-2b" }, waits_for = ["t:6f1c-2b at orders"] },
    { cancel_order = { order = "o:acme/7" } },
]

[expect]
course = "violated NoPoison"
"#;
    let mut scenario = pellmell::ticketing::Scenario::parse("keys.toml", text).expect("a scenario");
    let played = |scenario: &pellmell::ticketing::Scenario| {
        let mut world = scenario.simulation(0).expect("a simulation").world();
        let report = scenario.run(&mut world, &scenario.judges(), 0, &mut ());
        let ids = world.store_of("orders").texts().iter().map(|row| row.id.to_string()).collect::<BTreeSet<_>>();
        (report.verdict.signature().unwrap_or_default(), ids)
    };
    let (signature, ids) = played(&scenario);
    assert!(signature.contains("NoPoison") && signature.contains("orders"), "{signature}");
    assert!(ids.is_superset(&["o:acme/7".to_owned(), "t:6f1c-2b".to_owned()].into()), "{ids:?}");
    for design in Design::ALL {
        scenario.design = design;
        assert!(!played(&scenario).1.is_empty());
    }
}
