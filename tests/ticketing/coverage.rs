//! Which delivery situations a run counts as met, and what a sweep makes of many runs.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use pellmell::engine;
use pellmell::scenario::SchedulerKind;
use pellmell::search::{Coverage, PctRuns, RuledOut, Seen, Situation, SituationWatch, Standing, Sweep};
use pellmell::ticketing::Scenario;
use pellmell::ticketing::{Design, Ticket};
use pellmell::{Answer, Calm, FaultPlan, Hosting, Judges, Limits, Profile, Rate, Ratio, Simulation, Sometimes, run};
use proptest::prelude::*;

/// A ticket is created and edited twice; two orders members copy it. One schedule departs from that.
fn planted(schedule: &[&str]) -> Scenario {
    let text = format!(
        r#"
version = 1
about = "planted"
design = "reference"
schedule = {schedule:?}

[broker]
profile = "stan"
ack_wait = ["5s"]

[services.orders]
members = 2

[[client]]
name = "alice"
commands = [
    {{ create_ticket = {{ ticket = "t1", title = "concert", price = 5 }} }},
    {{ edit_ticket = {{ ticket = "t1", price = 10 }} }},
    {{ edit_ticket = {{ ticket = "t1", price = 15 }} }},
]
"#
    );
    let text = if schedule.is_empty() { text.replace("schedule = []", "scheduler = \"calm\"") } else { text };
    let scenario = Scenario::parse("planted.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.vacuous_in(0).expect("the parts fit").void, Vec::new());
    scenario
}

fn swept(scenario: &Scenario, seeds: std::ops::Range<u64>, threads: u32) -> Coverage {
    Sweep { source: scenario, judges: &scenario.judges_with_sometimes(), seeds, threads }
        .run(|_, _| {})
        .expect("the parts fit")
        .coverage
}

/// What was seen, a line each.
fn seen(coverage: &Coverage) -> String {
    let names = |all: &BTreeMap<String, Seen>| -> Vec<String> {
        all.iter().filter(|(_, seen)| seen.standing() == Standing::Seen).map(|(name, _)| name.clone()).collect()
    };
    let of_situations = coverage.situations.iter();
    let of_situations =
        of_situations.flat_map(|(what, all)| names(all).into_iter().map(move |at| format!("{what}: {at}")));
    of_situations.chain(names(&coverage.pairs)).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(schedule: &[&str], expected: Expect) {
    expected.assert_eq(&seen(&swept(&planted(schedule), 0..1, 1)));
}

#[test]
fn the_calm_run_meets_nothing_but_its_order() {
    check(&[], expect!["orders: ticket:created before ticket:updated"]);
}

#[test]
fn an_update_before_its_create_is_refused_and_acked_later() {
    check(
        &["hold ticket:created t1@0 -> orders until ticket:updated t1@1 -> orders"],
        expect![[r#"
            update before create: ticket:updated -> orders
            gap of two or more: ticket:updated -> orders
            refused, then acked: ticket:updated -> orders
            orders: ticket:created before ticket:updated
            orders: ticket:updated before ticket:created"#]],
    );
}

#[test]
fn a_gap_of_two_takes_a_message_that_was_left_out() {
    check(
        &["hold ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders"],
        expect![[r#"
        gap of two or more: ticket:updated -> orders
        refused, then acked: ticket:updated -> orders
        orders: ticket:created before ticket:updated
        orders: ticket:updated before ticket:updated"#]],
    );
}

#[test]
fn a_duplicate_after_the_ack_is_no_redelivery() {
    check(
        &["duplicate ticket:updated t1@1 -> orders"],
        expect![[r#"
        duplicate after ack: ticket:updated -> orders
        orders: ticket:created before ticket:updated"#]],
    );
}

#[test]
fn a_redelivery_after_an_ack_that_was_lost_is_no_duplicate() {
    check(
        &["lose ack of ticket:updated t1@1 -> orders"],
        expect![[r#"
        redelivery after unheard ack: ticket:updated -> orders
        orders: ticket:created before ticket:updated"#]],
    );
}

#[test]
fn a_copy_comes_while_a_handler_of_the_message_runs() {
    check(
        &[
            "duplicate ticket:updated t1@2 -> orders",
            "pause ticket:updated t1@2 -> orders until ticket:updated t1@2 -> orders #2",
        ],
        expect![[r#"
            duplicate after ack: ticket:updated -> orders
            redelivery during handler: ticket:updated -> orders
            refused, then acked: ticket:updated -> orders
            orders: ticket:created before ticket:updated"#]],
    );
    check(
        &["pause ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders"],
        expect![[r#"
        gap of two or more: ticket:updated -> orders
        refused, then acked: ticket:updated -> orders
        orders: ticket:created before ticket:updated"#]],
    );
}

/// One orders member whose handlers overlap, so that a crash cuts off what it has read.
fn overlapping(schedule: &[&str]) -> String {
    let mut scenario = planted(schedule);
    scenario.hostings.set("orders", Hosting { overlapping: true, ..Hosting::ALONE });
    seen(&swept(&scenario, 0..1, 1))
}

#[test]
fn a_handler_that_a_crash_cut_off_runs_no_more() {
    let copy_comes_late = [
        "duplicate ticket:created t1@0 -> orders",
        "hold ticket:created t1@0 -> orders #2 until pause of ticket:updated t1@1 -> orders",
        "duplicate ticket:updated t1@1 -> orders",
        "pause ticket:updated t1@1 -> orders until ticket:updated t1@1 -> orders #2",
        "hold ticket:updated t1@1 -> orders #2 until ticket:created t1@0 -> orders #2",
    ];
    let during = "redelivery during handler: ticket:updated -> orders";
    assert!(overlapping(&copy_comes_late).contains(during));
    let crash = "crash orders before save of ticket:created t1@0 -> orders #2";
    let cut_off = overlapping(&[&copy_comes_late[..], &[crash]].concat());
    assert!(cut_off.contains("crash before save") && !cut_off.contains(during), "{cut_off}");
}

#[test]
fn an_ack_is_late_in_a_step_of_its_own_and_stale_when_nobody_waits_for_it() {
    check(
        &["delay ack of ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders"],
        expect![[r#"
        late ack: ticket:updated -> orders
        orders: ticket:created before ticket:updated"#]],
    );
    check(
        &["run past ack wait of ticket:updated t1@2 -> orders"],
        expect![[r#"
        redelivery after unheard ack: ticket:updated -> orders
        late ack: ticket:updated -> orders
        stale ack: ticket:updated -> orders
        orders: ticket:created before ticket:updated"#]],
    );
}

#[test]
fn each_window_of_a_crash_is_a_situation_of_its_own() {
    for window in ["before save", "before publish", "before ack", "after ack"] {
        let coverage = swept(&planted(&[&format!("crash orders {window} of ticket:updated t1@1 -> orders")]), 0..1, 1);
        let crashes = seen(&coverage);
        let crashes: Vec<&str> = crashes.lines().filter(|line| line.starts_with("crash")).collect();
        assert_eq!(crashes, [format!("crash {window}: ticket:updated -> orders")]);
    }
}

#[test]
fn a_crash_of_a_command_is_no_situation_of_a_lane() {
    check(
        &["crash tickets before publish of alice: edit t1 to 15"],
        expect!["orders: ticket:created before ticket:updated"],
    );
}

// What many runs come to.

fn shipped(name: &str) -> Scenario {
    let path = format!("scenarios/{name}.toml");
    let text = std::fs::read_to_string(&path).expect("a scenario that ships");
    Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_price_scenario_meets_every_situation_that_can_come_about_in_it() {
    let coverage = swept(&Scenario { design: Design::REFERENCE, ..shipped("price-5-10-15") }, 0..30, 2);
    let missed = coverage.all().filter(|seen| seen.standing() == Standing::Missed).count();
    assert_eq!((missed, coverage.runs), (0, 30));
    let on_updates = |situation| coverage.situations[&situation]["ticket:updated -> orders"].standing();
    for situation in Situation::ALL {
        let crash = situation.name().starts_with("crash");
        let expected = if crash { Standing::RuledOut(RuledOut::NoCrashes) } else { Standing::Seen };
        assert_eq!(on_updates(situation), expected, "{situation}");
    }
    let of_creates = &coverage.situations[&Situation::UpdateBeforeCreate]["ticket:created -> orders"];
    assert_eq!(of_creates.standing(), Standing::NoOccasion, "nothing is published about a ticket before it is created");
}

#[test]
fn threads_and_parts_of_a_sweep_come_to_the_same_coverage() {
    let scenario = Scenario { design: Design::COURSE, ..shipped("price-5-10-15") };
    let whole = swept(&scenario, 0..70, 1);
    assert_eq!(whole, swept(&scenario, 0..70, 2));
    let mut parts = swept(&scenario, 50..70, 1);
    parts.merge(&swept(&scenario, 0..20, 1));
    parts.merge(&swept(&scenario, 20..50, 2));
    assert_eq!(whole, parts);
    assert_eq!(whole.last_new(), whole.all().filter_map(|seen| seen.first).max());
}

#[test]
fn coverage_reads_back_from_json_as_it_was_written() {
    let coverage = swept(&Scenario { design: Design::REFERENCE, ..shipped("price-5-10-15") }, 0..5, 1);
    let text = serde_json::to_string(&coverage).expect("JSON");
    assert!(text.contains(r#""update-before-create":{"expiration:complete -> orders":{"runs":0,"#), "{text}");
    assert_eq!(serde_json::from_str::<Coverage>(&text).expect("what was written"), coverage);
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let reasons = [None, Some(RuledOut::NoCrashes), Some(RuledOut::InOrder)];
    (0..3u64, 0..9u64, 0..3u64, proptest::sample::select(reasons.to_vec())).prop_map(
        |(runs, first, more, ruled_out)| {
            let mut seen = Seen::default();
            (seen.runs, seen.occasions, seen.ruled_out) = (runs, runs + more, ruled_out);
            seen.first = (runs > 0).then_some(first);
            seen
        },
    )
}

fn any_map() -> impl Strategy<Value = BTreeMap<String, Seen>> {
    proptest::collection::btree_map("[abc]", any_seen(), 0..3)
}

prop_compose! {
    fn any_coverage()(
        runs in 0..9u64,
        situations in proptest::collection::btree_map(proptest::sample::select(Situation::ALL.to_vec()), any_map(), 0..3),
        pairs in any_map(),
        sometimes in any_map(),
        pct in proptest::array::uniform3([0..9u64, 0..9, 0..9]),
    ) -> Coverage {
        let pct = pct.map(|[runs, chains_max, turns_max]| PctRuns { runs, chains_max, turns_max });
        let mut coverage = Coverage::default();
        (coverage.runs, coverage.pct) = (runs, pct);
        (coverage.situations, coverage.pairs, coverage.sometimes) = (situations, pairs, sometimes);
        coverage
    }
}

fn merged(parts: &[&Coverage]) -> Coverage {
    let mut merged = Coverage::default();
    parts.iter().for_each(|part| merged.merge(part));
    merged
}

proptest! {
    #[test]
    fn coverage_merges_in_any_order_and_in_any_groups(a in any_coverage(), b in any_coverage(), c in any_coverage()) {
        let all = merged(&[&a, &b, &c]);
        prop_assert_eq!(&all, &merged(&[&c, &a, &b]));
        prop_assert_eq!(&all, &merged(&[&a, &merged(&[&b, &c])]));
        prop_assert_eq!(&a, &merged(&[&a]));
    }

    #[test]
    fn nothing_is_met_that_is_ruled_out_or_had_no_occasion(
        kinds in proptest::array::uniform6(any::<bool>()),
        members in 1..3u16,
        wild in any::<bool>(),
        calm in any::<bool>(),
        seed in 0..1_000u64,
    ) {
        let mut scenario = Scenario { design: Design::REFERENCE, ..shipped("happy-path-all-services") };
        if wild {
            scenario.profile = Profile::adversarial();
        }
        scenario.scheduler = Some(if calm { SchedulerKind::Calm } else { SchedulerKind::Random });
        for name in ["orders", "tickets"] {
            scenario.hostings.set(name, Hosting { members, ..Hosting::ALONE });
        }
        let rate = |on: bool| if on { Rate::of(Ratio::new(1, 3)) } else { Rate::NEVER };
        let [lose_ack, delay_ack, duplicate, crash, pause, lose_message] = kinds.map(rate);
        scenario.faults = FaultPlan { lose_ack, delay_ack, duplicate, crash, pause, lose_message, ..FaultPlan::NONE };
        let coverage = swept(&scenario, seed..seed + 8, 1);
        for (name, seen) in coverage.situations.values().flatten().chain(&coverage.pairs) {
            let possible = seen.runs == 0 || seen.ruled_out.is_none() && seen.occasions > 0;
            prop_assert!(possible, "{name}: {seen:?}");
            prop_assert!(seen.runs <= seen.occasions && seen.occasions <= coverage.runs, "{name}: {seen:?}");
        }
    }
}

#[test]
fn nothing_is_met_that_is_ruled_out_on_any_broker_whatever_happens_to_members() {
    let rate = |on: bool| if on { Rate::of(Ratio::new(1, 3)) } else { Rate::NEVER };
    for profile in engine::Profile::all() {
        for kinds in 0..1_u32 << 9 {
            // Of all that may go wrong each pair, and now and then more.
            if kinds.count_ones() > 2 && kinds % 13 != 0 {
                continue;
            }
            let on = |place: u32| rate(kinds >> place & 1 == 1);
            let faults = FaultPlan {
                lose_ack: on(0),
                delay_ack: on(1),
                duplicate: on(2),
                crash: on(3),
                pause: on(4),
                fetch: on(5),
                change: on(6),
                broker_failure: on(7),
                truncate: on(8),
                ..FaultPlan::NONE
            };
            let mut scenario = Scenario { design: Design::REFERENCE, ..shipped("happy-path-all-services") };
            (scenario.profile, scenario.faults) = (Profile::driven(&profile), faults);
            scenario.scheduler = Some(SchedulerKind::Random);
            for name in ["orders", "tickets"] {
                let (members, overlapping) = (1 + (kinds % 2) as u16, kinds % 3 == 0);
                scenario.hostings.set(name, Hosting { members, overlapping, ..Hosting::ALONE });
            }
            let coverage = swept(&scenario, 0..3, 1);
            for (situation, lanes) in &coverage.situations {
                let met = lanes.iter().find(|(_, seen)| seen.runs > 0 && seen.ruled_out.is_some());
                assert_eq!(met, None, "{situation} on {} with {faults:?}", profile.name);
            }
        }
    }
}

// What is to be reached in some run.

#[test]
fn a_goal_that_no_run_reaches_is_never_reached_and_the_others_are() {
    let scenario = Scenario { design: Design::REFERENCE, ..shipped("happy-path-all-services") };
    let coverage = swept(&scenario, 0..3, 1);
    let never: Vec<&str> = coverage.never_reached().collect();
    assert_eq!(never, ["ReservedEditRefused", "TicketContended"], "nobody wants a ticket that somebody has");
    let reached = &coverage.sometimes["OrderExpired"];
    assert_eq!((reached.runs, reached.first, reached.occasions), (3, Some(0), 3));
    assert_eq!(coverage.sometimes.len(), scenario.sometimes().len());
}

#[test]
fn every_goal_of_the_ticketing_services_is_reached_in_some_scenario_that_ships() {
    let mut reached = BTreeMap::<String, u64>::new();
    for file in std::fs::read_dir("scenarios").expect("the scenarios") {
        let path = file.expect("a readable folder").path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let own = shipped(&path.file_stem().expect("a name").to_string_lossy());
            let right = Scenario { design: Design::REFERENCE, ..own.clone() };
            for (name, seen) in [own, right].iter().flat_map(|scenario| swept(scenario, 0..2, 1).sometimes) {
                *reached.entry(name).or_default() += seen.runs;
            }
        }
    }
    let never: Vec<&String> = reached.iter().filter(|(_, runs)| **runs == 0).map(|(name, _)| name).collect();
    assert_eq!((never, reached.len()), (Vec::new(), 9), "{reached:?}");
}

#[test]
fn what_a_scenario_cannot_reach_is_no_goal_of_it() {
    let names = |scenario: &Scenario| scenario.sometimes().iter().map(Sometimes::name).collect::<Vec<_>>();
    assert_eq!(names(&shipped("price-5-10-15")), ["TicketEdited"], "nobody orders");
    assert_eq!(names(&shipped("one-lost-ack")), Vec::<&str>::new(), "nobody edits");
}

#[test]
fn a_goal_of_ones_own_is_told_by_the_report_of_each_run() {
    let scenario = planted(&[]);
    let price = |name, price: u32| {
        Sometimes::new(name, "a ticket has that price", move |view| {
            let edited = view.step.answer == Some(Answer::Command(Ok(())));
            edited && view.changes::<Ticket>().any(|change| change.after.is_some_and(|after| after.price == price))
        })
    };
    let judges = Judges::new(Vec::new()).with_sometimes(vec![price("Ten", 10), price("Eleven", 11), price("Five", 5)]);
    let simulation: Simulation<_> = scenario.simulation(0).expect("the parts fit");
    let mut calm = Calm::new(0, FaultPlan::NONE);
    let report = run(&mut simulation.world(), &mut calm, &judges, Limits::default(), &mut ());
    assert_eq!(report.reached, ["Ten", "Five"]);
}

#[test]
fn a_watch_forgets_a_run_when_it_ends() {
    let (departing, calm) = (planted(&["lose ack of ticket:updated t1@1 -> orders"]), planted(&[]));
    let simulation = departing.simulation(0).expect("the parts fit");
    let mut watch = SituationWatch::new(&simulation, &departing.means());
    for (seed, scenario) in [(4, &departing), (3, &calm), (2, &departing)] {
        scenario.run(&mut simulation.world(), &Judges::new(Vec::new()), seed, &mut watch);
        watch.end_run(seed);
    }
    let coverage = watch.take_coverage();
    let seen = coverage.situations[&Situation::RedeliveryAfterUnheardAck]["ticket:updated -> orders"];
    assert_eq!((seen.runs, seen.first, seen.occasions, coverage.runs), (2, Some(2), 3, 3));
}
