//! Schedules as values of proptest: drawn, shrunk, kept.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use expect_test::expect;
use pellmell::doc_example::{Change, Item, Shop};
use pellmell::testing::{Schedule, at_quiescence, kept_in, schedules, service};
use pellmell::ticketing::Scenario;
use pellmell::ticketing::Ticketing;
use pellmell::{FaultPlan, Judges, Moment, Outcome, Profile, Property, RecordId, Simulation, Stream, Subject};
use pellmell::{Prng, System, VersionPolicy, Violation};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestCaseResult, TestError, TestRunner};

const CHANGED: &[Subject] = &[Subject::new("item:changed")];

/// How the search handles an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    /// It saves whatever comes.
    Blind,
    /// It saves what is newer than what it has.
    Newest,
}

/// A shop whose item changes its price three times, and a search that copies it.
fn shop(search: Search) -> Simulation<Shop> {
    builder(search).client("seller", changes(&[5, 10, 15])).build().expect("the parts fit")
}

fn changes(prices: &[u32]) -> Vec<Change> {
    prices.iter().map(|price| Change { item: RecordId::new('i', 1), price: *price }).collect()
}

fn builder(how: Search) -> pellmell::simulation::SimulationBuilder<Shop> {
    let policy = VersionPolicy::EVERY_SAVE;
    let shop = crate::shop::shop();
    // The price says which is newer: it rises with each change.
    let search = service::<Shop>("search").keeps::<Item>(policy).on_event(CHANGED, move |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|item| (item.version, item.price));
        if how == Search::Blind || held.is_none_or(|(_, price)| price < event.price) {
            ctx.store.overwrite(event.item, Item { price: event.price }, held.map(|(version, _)| version));
        }
        Outcome::Ack
    });
    Simulation::on(Profile::adversarial()).service(shop).service(search)
}

fn agrees(moment: &Moment<'_, Shop>) -> Result<(), Violation> {
    for (id, item) in moment.store_of("shop").all::<Item>() {
        if moment.store_of("search").find::<Item>(id).map(|copy| copy.price) != Some(item.price) {
            return Err(Violation::at("search").of(id).because(format!("expected {}", item.price)));
        }
    }
    Ok(())
}

fn same_price() -> Judges<Shop> {
    let property: Box<dyn Property<Shop>> = at_quiescence("SamePrice", agrees);
    Judges::new(vec![property])
}

/// Runs a test on schedules, and tells what it comes to.
fn ran<S: System>(
    config: ProptestConfig,
    (simulation, judges): (&Simulation<S>, Judges<S>),
    test: impl Fn(Schedule<S>) -> TestCaseResult,
) -> Result<(), TestError<Schedule<S>>> {
    TestRunner::new(config).run(&schedules(simulation, FaultPlan::SOME, judges), test)
}

fn forgetful() -> ProptestConfig {
    always_the_same(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
}

/// What is expected here word by word is what one seed comes to.
fn always_the_same(config: ProptestConfig) -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(20_261_123), cases: 256, ..config }
}

fn failing<S: System>(ran: Result<(), TestError<Schedule<S>>>) -> (String, Schedule<S>) {
    match ran {
        Err(TestError::Fail(why, schedule)) => (why.to_string(), schedule),
        Err(TestError::Abort(why)) => panic!("aborted: {why}"),
        Ok(()) => panic!("the test passed"),
    }
}

fn checked<S: System>(schedule: Schedule<S>) -> TestCaseResult {
    schedule.check()?;
    Ok(())
}

#[test]
fn a_schedule_that_the_judges_refuse_is_shrunk_to_one_departure() {
    let (why, schedule) = failing(ran(forgetful(), (&shop(Search::Blind), same_price()), checked));
    expect![[r#"
        hold item:changed i1@1 -> search until quiescence
        ---
        [[kept]]
        about = "violated SamePrice: at search, i1: expected 15"
        schedule = [
            "hold item:changed i1@1 -> search until quiescence",
        ]
        ---
        violated SamePrice: at search, i1: expected 15
        to play what is left of it:
            pellmell::testing::replay(&simulation, &[
                "hold item:changed i1@1 -> search until quiescence",
            ], &judges);
        what is left:
            hold item:changed i1@1 -> search until quiescence: without it every property holds
            seller: change i1 to 5: without it every property holds
            seller: change i1 to 10: without it every property holds
            seller: change i1 to 15: without it every property holds
        its steps:
            1    +0.001s   seller: change i1 to 5   accepted   saves i1@0 {"price":5}
            2    +0.001s   deliver item:changed i1@0 -> search #1   ack   saves i1@0 {"price":5}
            3    +0.002s   seller: change i1 to 10   accepted   saves i1@1 {"price":10}
            4    +0.003s   seller: change i1 to 15   accepted   saves i1@2 {"price":15}
            5    +0.003s   deliver item:changed i1@2 -> search #1   ack   saves i1@1 {"price":15}
            6    +0.003s   deliver item:changed i1@1 -> search #1   ack   saves i1@2 {"price":10}
    "#]]
    .assert_eq(&format!("{schedule}\n---\n{schedule:?}---\n{why}"));
    ran(forgetful(), (&shop(Search::Newest), same_price()), checked).expect("the copies agree");
}

#[test]
fn whatever_proptest_draws_one_departure_is_left_of_it() {
    for seed in 0..50 {
        let config = ProptestConfig { rng_seed: RngSeed::Fixed(seed), ..forgetful() };
        let (_, schedule) = failing(ran(config, (&shop(Search::Blind), same_price()), checked));
        assert_eq!(schedule.departures().len(), 1, "{schedule}");
    }
}

#[test]
fn a_defect_of_the_zoo_is_shrunk_to_the_departures_it_is_known_to_take() {
    let path = "scenarios/corpus/z13a-unguarded-release.toml";
    let text = std::fs::read_to_string(path).expect("a scenario");
    let known = Scenario::parse(path, &text).expect("a scenario");
    let simulation: Simulation<Ticketing> = known.simulation(0).expect("the parts fit");
    let (_, schedule) = failing(ran(forgetful(), (&simulation, known.judges()), checked));
    assert_eq!(schedule.departures().len(), known.schedule.len(), "{schedule}");
    let verdict = &schedule.report().verdict;
    assert!(known.settings.entry.expect("an entry").expect.meets(verdict), "{schedule:?}");
}

#[test]
fn what_a_test_asserts_of_the_world_at_the_end_is_shrunk_as_far() {
    let (_, schedule) = failing(ran(forgetful(), (&shop(Search::Blind), Judges::new(Vec::new())), |schedule| {
        let (world, _) = schedule.play(&mut ());
        prop_assert!(agrees(&Moment::new(&world)).is_ok(), "the prices differ");
        Ok(())
    }));
    expect![[r#"
        hold item:changed i1@1 -> search #2 until quiescence
        lose ack of item:changed i1@1 -> search"#]]
    .assert_eq(&schedule.to_string());
}

#[test]
fn where_the_shrunk_schedule_passes_departures_are_left_out_as_long_as_the_test_fails() {
    let calls = RefCell::new(Vec::new());
    let (_, schedule) = failing(ran(forgetful(), (&shop(Search::Blind), same_price()), |schedule| {
        let lost = schedule.report().counts.acks_lost;
        let fails = lost > 0 && schedule.check().is_err();
        calls.borrow_mut().push((schedule.to_string(), fails));
        prop_assert!(!fails, "{} acks lost", lost);
        Ok(())
    }));
    expect![[r#"
        hold item:changed i1@1 -> search #2 until quiescence
        lose ack of item:changed i1@1 -> search"#]]
    .assert_eq(&schedule.to_string());
    let calls = calls.into_inner();
    let first = calls.iter().position(|(_, fails)| *fails).expect("a failure");
    let (jump, fails) = &calls[first + 1];
    assert!(!fails && jump.lines().count() < calls[first].0.lines().count(), "the shrunk one is tried first: {jump}");
}

#[test]
fn shrinking_ends_tries_nothing_twice_and_comes_back_to_what_failed() {
    let simulation = shop(Search::Blind);
    for seed in 0..100 {
        let mut runner = TestRunner::new(forgetful());
        let mut prng = Prng::new(seed, Stream::Run);
        (0..seed).for_each(|_| drop(any::<u64>().new_tree(&mut runner)));
        let strategy = schedules(&simulation, FaultPlan::SOME, same_price());
        let mut tree = strategy.new_tree(&mut runner).expect("a schedule");
        let mut failed = tree.current().to_string();
        let mut tried = BTreeSet::from([failed.clone()]);
        let mut goes_on = tree.simplify();
        while goes_on {
            let now = tree.current().to_string();
            if now == failed {
                goes_on = tree.simplify();
                assert!(!goes_on, "it comes back to what failed at its end only");
                break;
            }
            assert!(tried.insert(now.clone()), "tried twice:\n{now}");
            goes_on = if prng.below(3) == 0 {
                failed = now;
                tree.simplify()
            } else {
                tree.complicate()
            };
        }
        assert_eq!(tree.current().to_string(), failed);
        assert!(!tree.simplify());
        // It may say once more that it came back.
        tree.complicate();
        assert!(!tree.complicate());
        assert_eq!(tree.current().to_string(), failed);
    }
}

/// A file that is not there yet.
fn fresh(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kept").join(format!("{name}.toml"));
    if path.exists() {
        std::fs::remove_file(&path).expect("a file that can be removed");
    }
    path
}

fn keeping(path: &std::path::Path) -> ProptestConfig {
    always_the_same(kept_in(path.to_str().expect("a path in UTF-8")))
}

/// The schedules that a test sees, and what it comes to.
fn seen(path: &std::path::Path, simulation: &Simulation<Shop>) -> (Vec<String>, Result<(), String>) {
    let seen = RefCell::new(Vec::new());
    let ran = ran(keeping(path), (simulation, same_price()), |schedule| {
        seen.borrow_mut().push(schedule.to_string());
        checked(schedule)
    });
    (seen.into_inner(), ran.map_err(|error| error.to_string()))
}

#[test]
fn a_failure_is_kept_in_words_and_played_first_until_it_is_mended_and_after() {
    let path = fresh("mended");
    let (drawn, ran) = seen(&path, &shop(Search::Blind));
    assert!(drawn.len() > 1 && ran.is_err());
    let text = std::fs::read_to_string(&path).expect("a file");
    expect![[r##"
        # Schedules with which a test failed, each played before any new one is drawn. One that holds by now
        # shows that the fault does not come back: it stays.
        version = 1

        [[kept]]
        about = "violated SamePrice: at search, i1: expected 15"
        schedule = [
            "hold item:changed i1@1 -> search until quiescence",
        ]
    "##]]
    .assert_eq(&text);
    let (_, block) = text.split_once("version = 1\n\n").expect("a block");
    assert!(std::fs::read_to_string("README.md").expect("a README").contains(block), "README.md shows it");
    let (again, ran) = seen(&path, &shop(Search::Blind));
    let kept = drawn.last().expect("the last that was tried");
    assert!(again[0].starts_with("hold item:changed") && ran.is_err(), "{kept}");
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), text, "it is kept once");
    let (mended, ran) = seen(&path, &shop(Search::Newest));
    assert_eq!((&mended[0], ran), (&again[0], Ok(())));
    assert_eq!(mended.len(), 257, "one that is kept, and 256 new ones");
}

#[test]
fn what_is_kept_is_the_same_after_a_listener_a_command_and_an_argument_were_added() {
    let path = fresh("changed");
    let (_, before) = seen(&path, &shop(Search::Blind));
    assert!(before.is_err());
    let audit = service::<Shop>("audit").on_event(CHANGED, |_, _| Outcome::Ack);
    let more = builder(Search::Blind).service(audit).client("seller", changes(&[5, 10, 15]));
    let more = more.client("other", changes(&[3])).build().expect("the parts fit");
    let first = RefCell::new(None);
    let strategy = (any::<[u8; 40]>(), schedules(&more, FaultPlan::SOME, same_price()));
    let ran = TestRunner::new(keeping(&path)).run(&strategy, |(_, schedule)| {
        first.borrow_mut().get_or_insert(schedule.to_string());
        checked(schedule)
    });
    assert!(ran.is_err());
    let kept = std::fs::read_to_string(&path).expect("a file");
    let first = first.into_inner().expect("a schedule");
    assert!(first.lines().all(|line| kept.contains(line)), "{first}\n{kept}");
}

#[test]
fn a_file_that_is_damaged_or_names_what_cannot_exist_aborts_the_test_with_its_place() {
    let path = fresh("damaged");
    assert!(seen(&path, &shop(Search::Blind)).1.is_err());
    let whole = std::fs::read_to_string(&path).expect("a file");
    let folder = format!("{}/", path.parent().expect("a folder").display());
    let refused = |text: &str| {
        std::fs::write(&path, text).expect("a file that can be written");
        let (seen, ran) = seen(&path, &shop(Search::Newest));
        assert!(seen.is_empty(), "no schedule is played");
        let told = ran.expect_err("a test that is aborted");
        told.replace(&folder, "")
    };
    expect![[r#"
        Test aborted: unclosed array, expected `]`
         --> damaged.toml:8:56
          |
        8 |     "hold item:changed i1@1 -> search until quiescence"
          |                                                        ^
          = help: a schedule is `[[kept]]` with `about = "…"` and `schedule = ["…"]`; repair it or take it out"#]]
    .assert_eq(&refused(&whole[..whole.len() - 4]));
    expect![[r#"
        Test aborted: `hodl item:changed i1@1 -> search until quiescence`: expected `hold H until X`, `hold join of GROUP until X`, `pause H until X`, `pause await N of H until X`, `duplicate D`, `lose D`, `lose ack of D`, `delay ack of D until X`, `run past ack wait of D`, `slow publish of H until X`, `crash SERVICE before save|between saves|before publish|before ack|after ack of T`, `fetch N with D`, `rebalance|reconnect|close|cancel after D`, `claim D`, `commit ahead of D`, `restart broker|rewind|truncate log|compact log|expire log|forget counts|redrive dead letters after D`, `forget ack of D`, `publish twice T`, `stale answer to T` or `no answer to T`, where D is a delivery like `item:changed i1@2 -> search #1`, H is D or a command like `seller: change i1 to 6`, T is H or a timer like `timer i1 of shop`, X is T, `pause of H`, `await N of H`, `start of H`, `publish of H`, `ack of D`, `ack wait of D`, `join of GROUP` or `quiescence`; a command that is sent is `send CLIENT: LABEL`
         --> damaged.toml:8:5
          |
        8 |     "hodl item:changed i1@1 -> search until quiescence",
          |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#]].assert_eq(&refused(&whole.replace("hold", "hodl")));
    expect![[r#"
        Test aborted: unknown format version 2
         --> damaged.toml:3:11
          |
        3 | version = 2
          |           ^
          = help: this version of pellmell reads `version = 1`"#]]
    .assert_eq(&refused(&whole.replace("version = 1", "version = 2")));
    expect![[r#"
        Test aborted: unknown field `seed`, expected `about` or `schedule`
         --> damaged.toml:6:1
          |
        6 | seed = "violated SamePrice: at search, i1: expected 15"
          | ^^^^
          = help: a schedule is `[[kept]]` with `about = "…"` and `schedule = ["…"]`; repair it or take it out"#]]
    .assert_eq(&refused(&whole.replace("about", "seed")));
    expect!["Test aborted: damaged.toml:7: `hold item:renamed i1@1 -> search until quiescence`: no group `search` listens to `item:renamed`: write what took its place"].assert_eq(&refused(&whole.replace("item:changed", "item:renamed")));
    expect!["Test aborted: damaged.toml:7: `send seller: change i1 to 7`: no client of the simulation sends this command; the nearest is `seller: change i1 to 5`"]
        .assert_eq(&refused(&whole.replace("schedule = [\n", "schedule = [\n    \"send seller: change i1 to 7\",\n")));
}

/// What the next test looks at from outside.
#[test]
#[ignore = "the next test runs it in a process of its own"]
fn kept_schedules_whose_messages_do_not_come_any_more() {
    let path = fresh("outlived");
    assert!(seen(&path, &shop(Search::Blind)).1.is_err());
    let whole = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, whole.replace("i1@1", "i1@9")).expect("a file that can be written");
    let (played, ran) = seen(&path, &shop(Search::Newest));
    assert!(played[0].contains("i1@9") && ran.is_ok(), "{ran:?}");
    // A run that still fails ends before all of it comes.
    std::fs::write(
        &path,
        whole.replace("schedule = [\n", "schedule = [\n    \"lose ack of item:changed i1@8 -> search\",\n"),
    )
    .expect("a file that can be written");
    assert!(seen(&path, &shop(Search::Blind)).1.is_err());
    pellmell::testing::replay(
        &shop(Search::Newest),
        &["hold item:changed i1@7 -> search until quiescence"],
        &same_price(),
    );
}

#[test]
fn what_is_kept_is_played_and_told_although_its_message_does_not_come_any_more() {
    let this = std::env::current_exe().expect("a program");
    let kept = "schedules::kept_schedules_whose_messages_do_not_come_any_more";
    let output = std::process::Command::new(this).args(["--exact", kept, "--ignored"]).output().expect("it runs");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    let told = |what: &str| printed.lines().filter(|line| line.contains(what)).count();
    assert_eq!(told("if the defect is gone, that is as it should be"), 2, "{printed}");
    let kept = "outlived.toml:7: `hold item:changed i1@9 -> search until quiescence`: ";
    assert_eq!((told(kept), told("`hold item:changed i1@7"), told("i1@8")), (1, 1, 0), "{printed}");
}

#[test]
fn in_the_macro_a_failure_is_printed_and_kept_in_words() {
    let path = fresh("macro");
    let test = || {
        proptest!(keeping(&path), |(schedule in schedules(&shop(Search::Blind), FaultPlan::SOME, same_price()), _other in any::<u8>())| {
            schedule.check()?;
        });
    };
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)).expect_err("a failure");
    let told = panic.downcast::<String>().expect("a text");
    expect![[r#"
        Test failed: violated SamePrice: at search, i1: expected 10
        to play what is left of it:
            pellmell::testing::replay(&simulation, &[
                "hold item:changed i1@0 -> search until quiescence",
                "send seller: change i1 to 5",
                "send seller: change i1 to 10",
            ], &judges);
        what is left:
            hold item:changed i1@0 -> search until quiescence: without it every property holds
            seller: change i1 to 5: without it every property holds
            seller: change i1 to 10: without it every property holds
        its steps:
            1    +0.001s   seller: change i1 to 5   accepted   saves i1@0 {"price":5}
            2    +0.002s   seller: change i1 to 10   accepted   saves i1@1 {"price":10}
            3    +0.002s   deliver item:changed i1@1 -> search #1   ack   saves i1@0 {"price":10}
            4    +0.002s   deliver item:changed i1@0 -> search #1   ack   saves i1@1 {"price":5}
        .
        minimal failing input: schedule = [[kept]]
        about = "violated SamePrice: at search, i1: expected 10"
        schedule = [
            "hold item:changed i1@0 -> search until quiescence",
            "send seller: change i1 to 5",
            "send seller: change i1 to 10",
        ]
        , _other = 0
        	successes: 1
        	local rejects: 0
        	global rejects: 0
    "#]]
    .assert_eq(&told);
    let (_, block) = told.split_once("schedule = ").expect("a schedule");
    let (block, _) = block.split_once(", _other").expect("the other argument");
    assert!(std::fs::read_to_string(&path).expect("a file").ends_with(block), "{block}");
}
