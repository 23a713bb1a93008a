//! An explanation fits a screen, says what is so, and what it says of other runs comes true in them.

use std::path::PathBuf;
use std::process::Command;

use expect_test::{Expect, expect};
use pellmell::explain::{EarlierEnd, Explain, Explanation, FailureRate};
use pellmell::scenario::Expectation;
use pellmell::schedule::Target;
use pellmell::shrink::{Shrink, Shrunk, same_failure};
use pellmell::ticketing::Scenario;
use pellmell::ticketing::{DEFECTS, Request, Ticketing};
use pellmell::trace::Recorder;
use pellmell::{Departing, Departure, Judges, Simulation, run};

use crate::ran::{Ran, pellmell, ran};

const LINES_MAX: usize = 45;
const COLUMNS_MAX: usize = 160;

#[track_caller]
fn check(args: &[&str], code: i32, expected: Expect) {
    let Ran { code: found, stdout, stderr } = pellmell(args);
    // The command goes first so that expected text keeps the indent of what follows.
    let lines: Vec<&str> = stdout.lines().chain(stderr.lines()).map(str::trim_end).collect();
    expected.assert_eq(&format!("$ pellmell {}\n{}\n", args.join(" "), lines.join("\n")));
    assert_eq!(found, code, "{args:?}");
}

/// The entries of the corpus that fail, by path.
fn failing_entries() -> Vec<(PathBuf, Scenario)> {
    let folder = std::fs::read_dir("scenarios/corpus").expect("the corpus");
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let entries = paths.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).expect("an entry");
        let scenario = Scenario::parse(&path.display().to_string(), &text);
        (path, scenario.unwrap_or_else(|error| panic!("{error}")))
    });
    let fails = |scenario: &Scenario| {
        scenario.entry.as_ref().is_some_and(|entry| matches!(entry.expect, Expectation::Violated(_)))
    };
    entries.filter(|(_, scenario)| fails(scenario)).collect()
}

struct Explained {
    simulation: Simulation<Ticketing>,
    judges: Judges<Ticketing>,
    shrunk: Shrunk<Request>,
    explanation: Explanation,
}

fn explained(scenario: &Scenario, continuations: u32) -> Explained {
    let (simulation, judges) = (scenario.simulation(0).expect("a simulation"), scenario.judges());
    let shrink = Shrink::new(&simulation, &judges).with_limits(scenario.limits);
    let shrunk = shrink.run(scenario.schedule.clone()).expect("a failure");
    let explain = Explain::new(&simulation, &judges).with_limits(scenario.limits).with_continuations(continuations);
    let explanation = explain.run(&shrunk).expect("a small failure");
    let simulation = shrunk.simulation(&simulation);
    Explained { simulation, judges, shrunk, explanation }
}

impl Explained {
    /// Plays with these departures; says whether it fails in the same way, and what happened in which
    /// order.
    fn fails(&self, scenario: &Scenario, departures: Vec<Departure>) -> (bool, Vec<String>) {
        let mut recorder = Recorder::default();
        let mut departing = Departing::new(departures);
        let mut world = self.simulation.world();
        let report = run(&mut world, &mut departing, &self.judges, scenario.limits, &mut recorder);
        let steps = recorder.into_records().into_iter().map(|record| record.action).collect();
        (same_failure(&self.shrunk.report.verdict, &report.verdict), steps)
    }
}

#[test]
fn every_failure_that_is_kept_is_explained_on_one_screen() {
    let entries = failing_entries();
    for (path, _) in &entries {
        let mut explain = Command::new(env!("CARGO_BIN_EXE_pellmell"));
        explain.arg("explain").arg(path).env("COLUMNS", COLUMNS_MAX.to_string());
        let Ran { code, stdout: text, stderr: errors } = ran(&mut explain);
        assert_eq!((code, errors.as_str()), (0, ""), "{}", path.display());
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} takes {lines} lines", path.display());
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= COLUMNS_MAX, "{} is {widest} columns wide", path.display());
    }
    let names: Vec<String> = entries.iter().map(|(_, scenario)| scenario.name.clone()).collect();
    for defect in DEFECTS {
        let prefix = format!("{}-", defect.id.to_lowercase());
        assert!(names.iter().any(|name| name.starts_with(&prefix)), "no entry shows {}", defect.name);
    }
}

#[test]
fn shares_end_at_all_and_the_turn_is_their_largest_rise() {
    for (path, scenario) in failing_entries() {
        let explanation = explained(&scenario, 50).explanation;
        let shares = || std::iter::once(explanation.before).chain(explanation.steps.iter().map(|row| row.failure_rate));
        assert!(shares().all(|share| share.of == 50 && share.failing <= 50), "{}", path.display());
        assert_eq!(shares().last(), Some(FailureRate { failing: 50, of: 50 }), "{}", path.display());
        let rises: Vec<i64> = shares()
            .zip(shares().skip(1))
            .map(|(one, next)| i64::from(next.failing) - i64::from(one.failing))
            .collect();
        let most = rises.iter().copied().max().filter(|most| *most > 0);
        let place = most.and_then(|most| rises.iter().position(|rise| *rise == most));
        assert_eq!(explanation.turning_point, place.map(|place| place as u64 + 1), "{}", path.display());
    }
}

#[test]
fn a_share_is_about_the_probability_of_what_is_drawn() {
    let text = std::fs::read_to_string("scenarios/one-lost-ack.toml").expect("a scenario");
    let scenario = Scenario::parse("one-lost-ack.toml", &text).expect("a scenario");
    let explanation = explained(&scenario, 2_000).explanation;
    // One delivery is left whose ack is lost 1 time in 10, and it fails exactly then.
    let before = explanation.steps[0].failure_rate.failing;
    assert!((150..=250).contains(&before), "{before} of 2000");
    assert_eq!(explanation.steps[1].failure_rate, FailureRate { failing: 2_000, of: 2_000 });
}

#[test]
fn without_anything_that_is_necessary_it_does_not_fail() {
    let mut tried = 0;
    for (path, scenario) in failing_entries() {
        let explained = explained(&scenario, 1);
        for departure in explained.explanation.steps.iter().flat_map(|row| &row.necessary) {
            let rest = explained.shrunk.departures.iter().filter(|other| *other != departure).cloned().collect();
            let (fails, _) = explained.fails(&scenario, rest);
            assert!(!fails, "{}: without {departure}", path.display());
            tried += 1;
        }
        let shown = explained.explanation.steps.iter().map(|row| row.necessary.len()).sum::<usize>();
        assert_eq!(shown, explained.shrunk.departures.len(), "{}: each shows in one step", path.display());
    }
    assert!(tried > 30, "{tried} departures");
}

/// What a step is about, if it can be held or waited for.
fn target(action: &str) -> Option<Target> {
    let name = action.strip_prefix("deliver ").unwrap_or(action);
    let target = name.parse().ok()?;
    matches!(target, Target::Delivery(_) | Target::Command(_)).then_some(target)
}

#[test]
fn a_step_in_any_order_changes_places_with_its_neighbours_and_it_fails_all_the_same() {
    let (mut said, mut tried) = (0, 0);
    for (path, scenario) in failing_entries() {
        let explained = explained(&scenario, 1);
        let rows = &explained.explanation.steps;
        let actions: Vec<&String> = rows.iter().map(|row| &row.record.action).collect();
        for place in 1..rows.len() {
            if !rows[place - 1].anywhere && !rows[place].anywhere {
                continue;
            }
            said += 1;
            let (first, second) = (actions[place - 1], actions[place]);
            let (Some(what), Some(until)) = (target(first), target(second)) else { continue };
            let hold = Departure::Hold { what, until: Some(until) };
            let departures = explained.shrunk.departures.iter().cloned().chain([hold]).collect();
            let (fails, steps) = explained.fails(&scenario, departures);
            let mut swapped: Vec<&String> = actions[..=place].to_vec();
            swapped.swap(place - 1, place);
            // Where one leads to the other, or to what the schedule waits for, something else happens.
            if steps.iter().take(place + 1).eq(swapped) {
                assert!(fails, "{}: {second} before {first}", path.display());
                tried += 1;
            }
        }
    }
    assert!(said > 50 && tried > 20, "{tried} of {said} pairs change places");
}

#[test]
fn what_waits_may_end_where_it_says_and_not_earlier() {
    let mut tried = 0;
    for (path, scenario) in failing_entries() {
        let explained = explained(&scenario, 1);
        for ending in &explained.explanation.endings {
            let ended = |end: &Target| {
                let change = |departure: &Departure| match *departure == ending.departure {
                    true => departure.clone().ended_by(Some(end.clone())),
                    false => departure.clone(),
                };
                explained.fails(&scenario, explained.shrunk.departures.iter().map(change).collect()).0
            };
            if let Some(EarlierEnd { what: end, .. }) = &ending.enough {
                assert!(ended(end), "{}: {} until {end}", path.display(), ending.departure);
                tried += 1;
            }
            if let Some(EarlierEnd { what: end, .. }) = &ending.too_early {
                assert!(!ended(end), "{}: {} until {end}", path.display(), ending.departure);
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried} ends");
}

#[test]
fn the_same_failure_is_explained_in_the_same_way_again() {
    for (path, scenario) in failing_entries().into_iter().step_by(7) {
        let once = || format!("{:?}", explained(&scenario, 20).explanation);
        assert_eq!(once(), once(), "{}", path.display());
    }
}

#[test]
fn a_failure_of_the_calm_run_needs_no_departure() {
    for (path, scenario) in failing_entries() {
        let explained = explained(&scenario, 1);
        let none_needed = explained.shrunk.departures.is_empty();
        let explanation = explained.explanation;
        assert_eq!(explanation.calm.differs.is_none(), none_needed, "{}", path.display());
        let same = same_failure(&explanation.report.verdict, &explanation.calm.verdict);
        assert_eq!(same, none_needed, "{}", path.display());
    }
}

#[test]
fn a_run_that_holds_is_not_explained() {
    check(
        &["explain", "scenarios/one-lost-ack.toml", "--design", "reference"],
        4,
        expect![[r#"
            $ pellmell explain scenarios/one-lost-ack.toml --design reference
                    HELD one-lost-ack seed 0: the run holds: there is nothing to explain
                    Next pellmell sweep scenarios/one-lost-ack.toml --design reference --seeds 0..1000
        "#]],
    );
}

#[test]
fn what_cannot_be_explained_is_refused_with_the_next_step() {
    let trace = format!("{}/explain.jsonl", env!("CARGO_TARGET_TMPDIR"));
    pellmell(&["run", "scenarios/one-lost-ack.toml", "--trace", &trace]);
    let Ran { code, stdout: text, .. } = pellmell(&["explain", &trace]);
    assert!(code == 0 && text.contains(&format!("Next pellmell replay {trace}")), "{text}");
    for flags in [["--seed", "1"], ["--design", "course"], ["--defect", "BlindApply"]] {
        let Ran { code, stderr: error, .. } = pellmell(&[&["explain", &trace], &flags[..]].concat());
        assert!(code == 2 && error.contains("leave the flags that change it out"), "{flags:?}: {error}");
    }
    let large = ["explain", "scenarios/price-5-10-15.toml", "--design", "course", "--executions", "1"];
    let Ran { code, stderr: error, .. } = pellmell(&large);
    assert!(code == 2 && error.contains("too large to explain") && error.contains("--executions 4"), "{error}");
    let Ran { code, stderr: error, .. } = pellmell(&["explain", "scenarios/one-lost-ack.toml", "--continuations", "0"]);
    assert!(code == 2 && error.contains("--continuations"), "{error}");
    let Ran { code, stderr: error, .. } = pellmell(&["explain", "scenarios/nothing.toml"]);
    assert!(code == 74 && error.contains("did you mean scenarios/"), "{error}");
}

#[test]
fn json_has_what_is_shown() {
    let entry = "scenarios/corpus/g02-cancel-overtakes-create.toml";
    let Ran { code, stdout: text, .. } =
        pellmell(&["explain", entry, "--message-format", "json", "--continuations", "40"]);
    let value: serde_json::Value = serde_json::from_str(&text).expect("one object");
    assert_eq!(code, 0);
    assert_eq!(value["continuations"], 40);
    assert_eq!(value["steps"].as_array().map(Vec::len), Some(8));
    assert_eq!(value["steps"][7]["failing"], 40);
    assert_eq!(value["calm"]["differs_at"], 4);
    assert_eq!(value["turn"], 5);
    assert_eq!(value["endings"][0]["enough"]["step"], 5);
    assert_eq!(value["why"].as_array().map(Vec::len), Some(4));
}

#[test]
fn an_order_that_is_late() {
    check(
        &["explain", "scenarios/corpus/g07-edit-while-an-order-exists.toml"],
        0,
        expect![[r#"
            $ pellmell explain scenarios/corpus/g07-edit-while-an-order-exists.toml
              Explaining g07-edit-while-an-order-exists seed 0, design course, shrunk to 8 steps, 1 departure, 3 commands
                 Departs hold order:created o1@0 -> tickets until quiescence

            step       t │ tickets                            │ orders                             │ payments                        │ P(violated)
               0         │ before the first step                                                                                     │   43%
               1 +0.001s │ alice: create t1 at 5 ✓ saves t1@0 │                                    │                                 │   43%
               2 +0.001s │                                    │ ticket:created t1@0 ✓ saves t1@0   │                                 │   43%
               3 +0.002s │                                    │ alice: order t1 as o1 ✓ saves o1@0 │                                 │   43%
               4 +0.002s │                                    │                                    │ order:created o1@0 ✓ saves o1@0 │   43% ◀ necessary: hold order:created o1@0
               5 +0.003s │ alice: edit t1 to 10 ✓ saves t1@1  │                                    │                                 │  100% ▲
               6 +0.003s │                                    │ ticket:updated t1@1 ✓ saves t1@1   │                                 │  100%
               7 +0.003s │ order:created o1@0 ✓ saves t1@2    │                                    │                                 │  100%
               8 +0.003s │                                    │ ticket:updated t1@2 ✓ saves t1@2   │                                 │  100%

                         P(violated): how many of 200 continuations fail as this run does if all after the step is drawn anew
                   Turns at step 5 ▲, from 43% to 100%
               Any order steps 4, 6: wherever else one of them can stand, the run fails all the same
                Calm run differs first at step 4, where it does `deliver order:created o1@0 -> tickets #1`; in it every property holds
                VIOLATED PriceAgreement at orders   step 8, t = +0.003s
                     Why `order:created o1@0` reaches tickets only at step 7, after `alice: edit t1 to 10` (step 5).
                         At step 5 tickets, which holds t1@0 price 5, handles `alice: edit t1 to 10` and saves t1@1 price 10; in the calm run it refuses it (ticket is reserved).
                         At step 7 tickets, which holds t1@1 lock free price 10, handles `order:created o1@0` and saves t1@2 lock by o1 price 10; in the calm run it saves t1@1 lock by o1 price 5.
                         So PriceAgreement is violated for o1 at orders: o1 is at 5, its ticket costs 10. It says that a live order that holds its ticket has the price of that ticket.
                 Changes without `hold order:created o1@0 -> tickets until quiescence`: every property holds
                         without `alice: edit t1 to 10`: every property holds
                         `hold order:created o1@0 -> tickets` until step 5 (`alice: edit t1 to 10`) is enough; until step 4 (`order:created o1@0 -> payments`) only: every property holds
                         it fails as well if the calm run serves the groups in other orders
                    Next pellmell shrink scenarios/corpus/g07-edit-while-an-order-exists.toml --design course --seed 0 --write FILE
        "#]],
    );
}

#[test]
fn an_ack_that_is_lost() {
    check(
        &["explain", "scenarios/corpus/g14-redelivered-update.toml"],
        0,
        expect![[r#"
            $ pellmell explain scenarios/corpus/g14-redelivered-update.toml
              Explaining g14-redelivered-update seed 0, design course, shrunk to 6 steps, 1 departure, 2 commands
                 Departs lose ack of ticket:updated t1@1 -> orders

            step       t │ tickets                            │ orders                                                   │ P(violated)
               0         │ before the first step                                                                         │   16%
               1 +0.001s │ alice: create t1 at 5 ✓ saves t1@0 │                                                          │   16%
               2 +0.001s │                                    │ ticket:created t1@0 ✓ saves t1@0                         │    8%
               3 +0.002s │ alice: edit t1 to 10 ✓ saves t1@1  │                                                          │    8%
               4 +0.002s │                                    │ ticket:updated t1@1 ✓ saves t1@1                         │  100% ▲ ◀ necessary: ack lost
               5 +5.002s │ clock: ack wait of ticket:updated t1@1 -> orders #1 ends                                      │  100%
               6 +5.002s │                                    │ ticket:updated t1@1 #2 ✗ the version before is not there │  100%

                         P(violated): how many of 200 continuations fail as this run does if all after the step is drawn anew, faults like this run's with 1/10 each
                   Turns at step 4 ▲, from 8% to 100%
               Any order step 3: wherever else it can stand, the run fails all the same
                Calm run differs first at step 4, where the same happens and nothing goes wrong; in it every property holds
                VIOLATED NoPoison at orders   step 6, t = +5.002s
                     Why The ack of `ticket:updated t1@1 -> orders` is lost (step 4), so after the ack wait of 5 s the broker delivers it again (step 6).
                         At step 6 orders, which holds t1@1, handles `ticket:updated t1@1 #2` and gives no answer (the version before is not there).
                         So NoPoison is violated for t1 at orders: still unacked: ticket:updated t1@1 -> orders #2 after 2 attempts, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.
                 Changes without `lose ack of ticket:updated t1@1 -> orders`: every property holds
                         without `alice: edit t1 to 10`: every property holds
                         it fails as well if the calm run serves the groups in other orders
                    Next pellmell shrink scenarios/corpus/g14-redelivered-update.toml --design course --seed 0 --write FILE
        "#]],
    );
}

#[test]
fn a_handler_that_pauses() {
    check(
        &["explain", "scenarios/corpus/z17-last-write-wins-owner.toml"],
        0,
        expect![[r#"
            $ pellmell explain scenarios/corpus/z17-last-write-wins-owner.toml
              Explaining z17-last-write-wins-owner seed 0, design reference + LastWriteWinsOwner, shrunk to 6 steps, 1 departure, 3 commands
                 Departs pause alice: edit t1 to 10 until quiescence

            step       t │ tickets                                  │ orders                           │ P(violated)
               0         │ before the first step                                                       │    7%
               1 +0.001s │ alice: create t1 at 5 ✓ saves t1@0       │                                  │    7%
               2 +0.001s │                                          │ ticket:created t1@0 ✓ saves t1@0 │    7%
               3 +0.002s │ alice: edit t1 to 10 …                   │                                  │   53% ◀ necessary: paused after read
               4 +0.003s │ bob: edit t1 to 15 ✓ saves t1@1          │                                  │  100% ▲
               5 +0.003s │                                          │ ticket:updated t1@1 ✓ saves t1@1 │  100%
               6 +0.003s │ resume alice: edit t1 to 10 ✓ saves t1@1 │                                  │  100%

                         P(violated): how many of 200 continuations fail as this run does if all after the step is drawn anew, faults like this run's with 1/10 each
                   Turns at step 4 ▲, from 53% to 100%
               Any order steps 2, 5: wherever else one of them can stand, the run fails all the same
                Calm run differs first at step 3, where the same happens and nothing goes wrong; in it every property holds
                VIOLATED NoLostUpdate at tickets   step 6, t = +0.003s
                     Why The handler of `alice: edit t1 to 10` reads at step 3 and saves only at step 6, after `bob: edit t1 to 15` (step 4).
                         At step 4 tickets, which holds t1@0 price 5, handles `bob: edit t1 to 15` and saves t1@1 price 15; in the calm run it saves t1@2 price 15.
                         At step 6 tickets, which read t1@0 price 5 at step 3 and holds t1@1 price 15, goes on with `alice: edit t1 to 10` and saves t1@1 price 10.
                         So NoLostUpdate is violated for t1 at tickets: version 1 was made from version 0 and replaced version 1. It says that an accepted save was based on the version directly before it.
                 Changes without `pause alice: edit t1 to 10 until quiescence`: every property holds
                         without `bob: edit t1 to 15`: every property holds
                         `pause alice: edit t1 to 10` until step 4 (`bob: edit t1 to 15`) is enough
                         it fails as well if the calm run serves the groups in other orders
                    Next pellmell shrink scenarios/corpus/z17-last-write-wins-owner.toml --design reference --seed 0 --write FILE
        "#]],
    );
}

#[test]
fn a_member_that_crashes() {
    check(
        &["explain", "scenarios/corpus/g19-crash-in-a-listener.toml"],
        0,
        expect![[r#"
            $ pellmell explain scenarios/corpus/g19-crash-in-a-listener.toml
              Explaining g19-crash-in-a-listener seed 0, design course, shrunk to 7 steps, 1 departure, 2 commands
                 Departs crash tickets before publish of order:created o1@0 -> tickets

            step       t │ tickets                            │ orders                                     │ P(violated)
               0         │ before the first step                                                           │   17%
               1 +0.001s │ alice: create t1 at 5 ✓ saves t1@0 │                                            │   18%
               2 +0.001s │                                    │ ticket:created t1@0 ✓ saves t1@0           │   12%
               3 +0.002s │                                    │ alice: order t1 as o1 ✓ saves o1@0         │   12%
               4 +0.002s │ order:created o1@0 ✓ saves t1@1    │                                            │  100% ▲ ◀ necessary: crash before publish
               5 +5.002s │ clock: ack wait of order:created o1@0 -> tickets #1 ends                        │  100%
               6 +5.002s │ order:created o1@0 #2 ✓ saves t1@2 │                                            │  100%
               7 +5.002s │                                    │ ticket:updated t1@2 ✗ a version is missing │  100%

                         P(violated): how many of 200 continuations fail as this run does if all after the step is drawn anew, faults like this run's with 1/10 each
                   Turns at step 4 ▲, from 12% to 100%
                Calm run differs first at step 4, where the same happens and nothing goes wrong; in it every property holds
                VIOLATED NoPoison at orders   step 7, t = +5.002s
                     Why tickets crashes before publish of `order:created o1@0` (step 4): t1@1 is saved and `ticket:updated t1@1` is never published, so after the ack wait of 5 s the broker delivers it again (step 6).
                         At step 6 tickets, which holds t1@1, handles `order:created o1@0 #2` and saves t1@2.
                         At step 7 orders, which holds t1@0, handles `ticket:updated t1@2` and gives no answer (a version is missing).
                         So NoPoison is violated for t1 at orders: still unacked: ticket:updated t1@2 -> orders #1 after 1 attempt, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.
                 Changes without `crash tickets before publish of order:created o1@0 -> tickets`: every property holds
                         it fails as well if the calm run serves the groups in other orders
                    Next pellmell shrink scenarios/corpus/g19-crash-in-a-listener.toml --design course --seed 0 --write FILE
        "#]],
    );
}

/// What explain says of a case in tests/cases from `Why` on, without what comes of changes.
#[track_caller]
fn check_why(line: &str, expected: Expect) {
    let (case, flags) = line.split_once(' ').unwrap_or((line, ""));
    let file = format!("tests/cases/{case}.toml");
    let mut args = vec!["explain", &file, "--continuations", "1"];
    args.extend(flags.split_whitespace());
    let Ran { code, stdout, stderr } = pellmell(&args);
    assert_eq!((code, stderr.as_str()), (0, ""), "{line}: {stdout}");
    let why = stdout.lines().skip_while(|line| !line.contains(" Why ")).take_while(|line| !line.contains("Changes "));
    let why: Vec<&str> = why.map(|line| line.get(13..).unwrap_or(line)).collect();
    expected.assert_eq(&(why.join("\n") + "\n"));
}

#[test]
fn the_step_that_acked_and_saved_nothing_is_told() {
    check_why(
        "save-without-a-change --scheduler calm --property NoPoison",
        expect![[r#"
            Nothing has to go wrong for it: the calm run of these commands fails.
            At step 2 orders handles `ticket:created t1@0` and saves t1@0.
            At step 5 orders, which holds t1@0, handles `ticket:updated t1@1`, acks it and saves nothing.
            At step 8 orders, which holds t1@0, handles `ticket:updated t1@2` and gives no answer (a version is missing).
            So NoPoison is violated for t1 at orders: still unacked: ticket:updated t1@2 -> orders #1 after 1 attempt, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.
        "#]],
    );
}

#[test]
fn a_limit_that_is_full_is_told_and_what_fills_it() {
    check_why(
        "limit-that-is-full",
        expect![[r#"
            The broker delivers `ticket:created t1@0 -> orders` once more (steps 2 and 3).
            The broker delivers `ticket:created t2@0 -> orders` once more (steps 5 and 6).
            At step 7 tickets handles `alice: create t3 at 5` and saves t3@0.
            `ticket:created t3@0` is never handed to orders: the limit of 2 deliveries in flight is full with `ticket:created t1@0 #4` and `ticket:created t2@0 #3`, which come again and again and get no answer (duplicate key).
            So TicketReplicaConverged is violated for t3 at orders: expected version 0 at 5, found nothing. It says that orders holds every ticket with the version, title and price that tickets gave it.
        "#]],
    );
    check_why(
        "limit-that-is-full --property NoPoison",
        expect![[r#"
            The broker delivers `ticket:created t1@0 -> orders` once more (steps 2 and 3).
            At step 3 orders, which holds t1@0, handles `ticket:created t1@0 #2` and gives no answer (duplicate key).
            So NoPoison is violated for t1 at orders: still unacked: ticket:created t1@0 -> orders #2 after 1 attempt, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.
        "#]],
    );
}

#[test]
fn the_cancel_of_a_paid_order_is_told_and_nothing_that_comes_after_it() {
    let calm = "--scheduler calm --property PaymentAgreement";
    check_why(
        &format!("paid-order-cancelled {calm}"),
        expect![[r#"
            Nothing has to go wrong for it: the calm run of these commands fails.
            At step 8 payments handles `ann: pay o1 as p1` and saves p1@0.
            At step 10 orders, which holds o1@1 status complete, handles `ann: cancel o1` and saves o1@2 status cancelled.
            So PaymentAgreement is violated for o1 at payments: the order is Cancelled, payments kept for it: 1. It says that an order is complete exactly if one payment for it is kept, and none is kept for any other order.
        "#]],
    );
    check_why(
        &format!("paid-order-cancelled-without-a-timer {calm}"),
        expect![[r#"
            Nothing has to go wrong for it: the calm run of these commands fails.
            At step 7 payments handles `ann: pay o1 as p1` and saves p1@0.
            At step 9 orders, which holds o1@1 status complete, handles `ann: cancel o1` and saves o1@2 status cancelled.
            So PaymentAgreement is violated for o1 at payments: the order is Cancelled, payments kept for it: 1. It says that an order is complete exactly if one payment for it is kept, and none is kept for any other order.
        "#]],
    );
    check_why(
        "payment-kept-until-a-timer",
        expect![[r#"
            Nothing has to go wrong for it: the calm run of these commands fails.
            At step 8 payments handles `ann: pay o1 as p1` and saves p1@0.
            At step 10 orders, which holds o1@1 status complete, handles `ann: cancel o1` and saves o1@2 status cancelled.
            So PaymentAgreement is violated for o1 at payments: the order is Cancelled, payments kept for it: 1. It says that an order is complete exactly if one payment for it is kept, and none is kept for any other order.
        "#]],
    );
}
