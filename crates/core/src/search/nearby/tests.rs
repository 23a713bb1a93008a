//! A schedule that failed once, in services that changed around it.

use serde::Serialize;

use super::*;
use crate::broker::Profile;
use crate::doc_example::{Change, Item};
use crate::event::Event;
use crate::ids::{RecordId, Subject, Version};
use crate::property::{Property, View, Violation, Watch};
use crate::service::{Context, Outcome, Rejection};
use crate::store::{Bump, VersionPolicy, VersionScheme};
use crate::testing::service;

struct Shop;

impl System for Shop {
    type Event = Told;
    type Command = Change;
}

#[derive(Clone, Debug, Hash, Serialize)]
struct Told {
    subject: &'static str,
    item: RecordId,
    version: Option<Version>,
    price: u32,
}

impl Event for Told {
    fn subject(&self) -> Subject {
        Subject::new(self.subject)
    }

    fn record(&self) -> RecordId {
        self.item
    }

    fn version(&self) -> Option<Version> {
        self.version
    }
}

const I1: RecordId = RecordId::new('i', 1);
const ASKED: &str = "item:asked";

/// How the shop is built: what it publishes on, its first version, whether it hears of commands by a
/// message, and whether it takes a second price at all.
#[derive(Clone, Copy)]
struct Build {
    subject: &'static str,
    first: u64,
    gateway: bool,
    takes_changes: bool,
}

const AS_IT_WAS: Build = Build { subject: "item:changed", first: 0, gateway: false, takes_changes: true };

impl Build {
    fn save(self, price: u32, ctx: &mut Context<'_, Shop>) -> Result<(), Rejection> {
        let held = ctx.store.find::<Item>(I1).map(|item| item.version);
        let version = match held {
            Some(_) if !self.takes_changes => return Err(Rejection { status: 400, reason: "one price for ever" }),
            Some(held) => ctx.store.save_if_current(I1, Item { price }, held).expect("nobody else saves"),
            None => ctx.store.insert(I1, Item { price }).expect("nothing is there"),
        };
        ctx.publish(Told { subject: self.subject, item: I1, version: Some(version), price });
        Ok(())
    }

    fn simulation(self) -> Simulation<Shop> {
        let policy = VersionPolicy { scheme: VersionScheme::Step { first: self.first, by: 1 }, bump: Bump::EverySave };
        let shop = service::<Shop>("shop").owns::<Item>(policy);
        let shop = shop.on_event(vec![Subject::new(ASKED)], move |told, ctx| {
            // Who asked is not there any more to hear of a refusal.
            let _ = self.save(told.price, ctx);
            Outcome::Ack
        });
        let shop = shop.on_command(move |change, ctx| {
            if !self.gateway {
                return self.save(change.price, ctx);
            }
            ctx.publish(Told { subject: ASKED, item: I1, version: None, price: change.price });
            Ok(())
        });
        let search = service::<Shop>("search").keeps::<Item>(policy);
        let search = search.on_event(vec![Subject::new(self.subject)], |told, ctx| {
            ctx.store.overwrite(I1, Item { price: told.price }, None);
            Outcome::Ack
        });
        let commands = [5, 7].map(|price| Change { item: I1, price });
        let on = Simulation::on(Profile::adversarial()).service(shop).service(search);
        on.client("seller", commands.to_vec()).build().expect("the parts fit")
    }
}

/// A price is changed only where search shows the one before.
struct Shown;

impl Property<Shop> for Shown {
    fn name(&self) -> &'static str {
        "Shown"
    }

    fn watches(&self) -> Watch {
        Watch::SAVES
    }

    fn on_step(&self, view: &View<'_, Shop>) -> Result<(), Violation> {
        let store_of = |name: &str| view.store_of(name).find::<Item>(I1);
        let is_changed = store_of("shop").is_some_and(|item| item.previous.is_some());
        if is_changed && store_of("search").is_none() {
            return Err(Violation::at("shop").of(I1).because("a price was changed that nobody was shown"));
        }
        Ok(())
    }
}

/// The departures near these that fail in such a shop, and how many runs that took.
fn found(build: Build, departures: &[&str], steps: &[&str]) -> Option<(Vec<String>, u32)> {
    let (simulation, judges) = (build.simulation(), Judges::new(vec![Box::new(Shown)]));
    let departures: Vec<Departure> = departures.iter().map(|text| text.parse().expect("a departure")).collect();
    let steps: Vec<NamedStep> = steps.iter().map(|text| text.parse().expect("a step")).collect();
    let looked = Nearby::new(&simulation, &judges).with_steps(&steps).run(&departures);
    let found = looked.failing?;
    let report = run(
        &mut simulation.world(),
        &mut Departing::new(found.departures.clone()),
        &judges,
        Limits::default(),
        &mut (),
    );
    assert_eq!(report, found.report, "the departures give that run");
    Some((found.departures.iter().map(ToString::to_string).collect(), looked.executions))
}

const KEPT: &str = "hold item:changed i1@0 -> search until seller: change i1 to 7";

#[test]
fn a_schedule_is_found_again_in_services_that_are_built_otherwise() {
    let check = |build: Build, expected: &str, executions_max: u32| {
        let (departures, executions) = found(build, &[KEPT], &[]).unwrap_or_else(|| panic!("nothing like {expected}"));
        assert_eq!(departures, [expected]);
        assert!(executions <= executions_max, "{expected}: {executions} runs");
    };
    check(AS_IT_WAS, "hold item:changed i1@0 -> search until quiescence", 7);
    check(Build { subject: "item:priced", ..AS_IT_WAS }, "hold item:priced i1@0 -> search until quiescence", 10);
    check(Build { first: 1, ..AS_IT_WAS }, "hold item:changed i1@1 -> search until quiescence", 10);
    check(Build { gateway: true, ..AS_IT_WAS }, "hold item:changed i1@0 -> search until quiescence", 40);
}

#[test]
fn an_end_that_comes_too_early_is_moved_along_the_chain_of_causes() {
    let gateway = Build { gateway: true, ..AS_IT_WAS }.simulation();
    let mut seen = Seen::default();
    seen.begin();
    run(&mut gateway.world(), &mut Departing::new(Vec::new()), &Judges::new(Vec::new()), Limits::default(), &mut seen);
    let departure: Departure = KEPT.parse().expect("a departure");
    let chain: Vec<String> = along_the_chain(&departure, &seen).iter().map(ToString::to_string).collect();
    let with_end = |end: &str| KEPT.replace("seller: change i1 to 7", end);
    assert!(chain.contains(&with_end("item:asked i1/2 -> shop")), "{chain:?}");
    assert!(chain.contains(&with_end("item:changed i1@1 -> search")), "{chain:?}");
}

#[test]
fn recorded_steps_are_told_again_with_the_hops_and_the_names_that_are_new() {
    let steps = [
        "seller: change i1 to 5",
        "seller: change i1 to 7",
        "item:changed i1@0 -> search",
        "item:changed i1@1 -> search",
    ];
    for build in [AS_IT_WAS, Build { gateway: true, ..AS_IT_WAS }, Build { subject: "item:priced", ..AS_IT_WAS }] {
        let (departures, executions) = found(build, &["lose item:made i1@0 -> search"], &steps).expect("it fails");
        assert!(departures.len() == 1 && executions < 15, "{departures:?} after {executions} runs");
    }
}

#[test]
fn nothing_fails_near_a_schedule_whose_fault_is_mended() {
    for gateway in [false, true] {
        let mended = Build { takes_changes: false, gateway, ..AS_IT_WAS };
        assert_eq!(found(mended, &[KEPT], &[]), None);
    }
}

#[test]
fn no_more_runs_are_played_than_allowed_and_no_other_failure_is_taken() {
    let (simulation, judges) = (Build { gateway: true, ..AS_IT_WAS }.simulation(), Judges::new(vec![Box::new(Shown)]));
    let departures: Vec<Departure> = vec![KEPT.parse().expect("a departure")];
    let nearby = || Nearby::new(&simulation, &judges);
    let cut = nearby().with_executions_max(6).run(&departures);
    assert!(cut.failing.is_none() && !cut.is_complete && cut.executions == 6, "{cut:?}");
    let never = |verdict: &Verdict| matches!(verdict, Verdict::Stuck { .. });
    let all = nearby().with_failure(&never).run(&departures);
    assert!(all.failing.is_none() && all.is_complete && all.executions > 6, "{all:?}");
    assert!(nearby().run(&departures).failing.is_some());
}
