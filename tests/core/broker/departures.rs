//! Schedules on a system with timers and with handlers that pause: what happens, in which order, and
//! which departures had an effect.

use pellmell::extract::extract;
use pellmell::scheduler::{Action, Tie};
use pellmell::ticketing::Scenario;
use pellmell::trace::Recorder;
use pellmell::{Departing, Hosting, Judges, Limits, World, run};

use super::common::{Notes, Publish, Setup, stan};

/// What happened, without the names' common parts, and the departures that had no effect.
fn depart(setup: &Setup, schedule: &[&str]) -> (Vec<String>, Vec<String>) {
    let departures = schedule.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}")));
    let mut departing = Departing::new(departures.collect());
    let mut seen = Seen::default();
    let mut world = setup.simulation().world();
    let report = run(&mut world, &mut departing, &Judges::new(Vec::new()), Limits::default(), &mut seen);
    assert!(report.verdict.is_held(), "{:?}", report.verdict);
    assert_eq!(world.broker().open_count(), 0, "everything is done in the end");
    (seen.0, departing.unused().map(ToString::to_string).collect())
}

#[derive(Default)]
struct Seen(Vec<String>);

impl pellmell::run::Observer<Notes> for Seen {
    fn before(&mut self, world: &World<Notes>, action: Action) {
        let text = world.describe(action).replace("deliver ", "").replace("note:added ", "").replace("@0", "");
        self.0.push(text.replace(" -> consumer #1", "").replace(" notes from", ""));
    }
}

#[track_caller]
fn check(setup: &Setup, schedule: &[&str], happens: &[&str]) {
    let (seen, unused) = depart(setup, schedule);
    assert_eq!(seen, happens, "under {schedule:?}");
    assert_eq!(unused, Vec::<String>::new(), "under {schedule:?}");
}

/// Note 1 is published at once, note 2 by a timer.
fn with_timer() -> Setup {
    let mut setup = Setup::on(stan(), 1);
    setup.profile.ordering = pellmell::broker::Ordering::None;
    setup.commands[1] = vec![Publish::at(500, [2])];
    setup
}

#[test]
fn a_delivery_held_until_one_that_a_timer_brings_about_waits_for_the_timer() {
    let fires = "clock: timer n2 of publisher fires";
    check(
        &with_timer(),
        &["hold note:added n1@0 -> consumer until note:added n2@0 -> consumer"],
        &["client: publish 1 n1", "b: publish 1 n2", fires, "n2", "n1"],
    );
    check(
        &with_timer(),
        &["hold note:added n1@0 -> consumer until timer n2 of publisher"],
        &["client: publish 1 n1", "b: publish 1 n2", fires, "n1", "n2"],
    );
    check(
        &with_timer(),
        &["hold note:added n1@0 -> consumer until quiescence"],
        &["client: publish 1 n1", "b: publish 1 n2", "n1", fires, "n2"],
    );
}

#[test]
fn a_delivery_held_until_what_never_comes_is_handed_out_in_the_end() {
    check(
        &with_timer(),
        &["hold note:added n1@0 -> consumer until note:added n9@0 -> consumer"],
        &["client: publish 1 n1", "b: publish 1 n2", "clock: timer n2 of publisher fires", "n2", "n1"],
    );
}

#[test]
fn a_delivery_can_be_held_until_a_command() {
    let mut setup = Setup::on(stan(), 0);
    setup.commands[0] = vec![Publish::now([1]), Publish::now([2]), Publish::now([2])];
    check(
        &setup,
        &["hold note:added n1@0 -> consumer until client: publish 1 notes from n2@0/2"],
        &["client: publish 1 n1", "client: publish 1 n2", "client: publish 1 n2/2", "n1", "n2", "n2/2"],
    );
}

#[test]
fn a_command_can_be_held_until_another_clients_command() {
    let mut setup = Setup::on(stan(), 0);
    setup.commands[0] = vec![Publish::now([1]), Publish::now([2])];
    setup.commands[1] = vec![Publish::now([3])];
    check(
        &setup,
        &["hold client: publish 1 notes from n1@0 until b: publish 1 notes from n3@0"],
        &["b: publish 1 n3", "n3", "client: publish 1 n1", "n1", "client: publish 1 n2", "n2"],
    );
    check(
        &setup,
        &["hold client: publish 1 notes from n2@0 until quiescence"],
        &["client: publish 1 n1", "n1", "b: publish 1 n3", "n3", "client: publish 1 n2", "n2"],
    );
}

#[test]
fn an_ack_can_be_delayed_to_an_exact_place() {
    let mut setup = Setup::on(stan(), 0);
    setup.commands[0] = vec![Publish::now([1]), Publish::now([2]), Publish::now([3])];
    let (sends, second, third) = ("client: publish 1 n1", "client: publish 1 n2", "client: publish 1 n3");
    let late = "late ack of n1";
    let delay = "delay ack of note:added n1@0 -> consumer until";
    check(&setup, &[&format!("{delay} note:added n2@0 -> consumer")], &[sends, "n1", second, "n2", late, third, "n3"]);
    check(&setup, &[&format!("{delay} quiescence")], &[sends, "n1", second, "n2", third, "n3", late]);
    let over = "clock: ack wait of n1 runs out";
    check(
        &setup,
        &[&format!("{delay} ack wait of note:added n1@0 -> consumer")],
        &[sends, "n1", second, "n2", third, "n3", over, late],
    );
    check(
        &setup,
        &[
            &format!("{delay} note:added n2@0 -> consumer"),
            "hold note:added n2@0 -> consumer until client: publish 1 notes from n3@0",
            "hold note:added n3@0 -> consumer until ack of note:added n1@0 -> consumer",
        ],
        &[sends, "n1", second, third, "n2", late, "n3"],
    );
}

#[test]
fn a_delivery_can_be_held_until_another_ones_handler_pauses() {
    let mut setup = overlapping();
    setup.commands[0] = vec![Publish::now([1, 2])];
    check(
        &setup,
        &[
            "pause note:added n2@0 -> consumer until note:added n1@0 -> consumer",
            "hold note:added n1@0 -> consumer until pause of note:added n2@0 -> consumer",
        ],
        &["client: publish 2 n1", "n2", "n1", "resume n2"],
    );
}

#[test]
fn a_late_group_can_join_at_an_exact_place() {
    let mut setup = Setup::on(stan(), 0);
    setup.hosting.joins_late = true;
    setup.commands[0] = vec![Publish::now([1]), Publish::now([2])];
    let (sends, second) = ("client: publish 1 n1", "client: publish 1 n2");
    check(&setup, &[], &["consumer joins", sends, "n1", second, "n2"]);
    let hold = "hold join of consumer until";
    check(
        &setup,
        &[&format!("{hold} client: publish 1 notes from n1@0")],
        &[sends, "consumer joins", "n1", second, "n2"],
    );
    check(&setup, &[&format!("{hold} quiescence")], &[sends, second, "consumer joins", "n1", "n2"]);
    let until = "hold client: publish 1 notes from n1@0 until join of consumer";
    check(&setup, &[until], &["consumer joins", sends, "n1", second, "n2"]);
}

#[test]
fn a_run_with_a_timer_that_is_armed_again_after_it_fired_is_extracted_exactly() {
    let mut setup = Setup::on(stan(), 0);
    setup.profile.ordering = pellmell::broker::Ordering::None;
    setup.commands[0] = vec![Publish::now([1]), Publish::now([3]), Publish::now([4])];
    // The timer of note 2 can be armed again after it has fired, and has a name of its own then.
    setup.commands[1] = vec![Publish::at(500, [2]), Publish::at(500, [2]), Publish::at(500, [2])];
    let (simulation, judges) = (setup.simulation(), Judges::new(Vec::new()));
    let mut again = 0;
    for seed in 0..200 {
        let keyed = pellmell::Keyed::new(seed, pellmell::FaultPlan::NONE);
        let extracted = extract(&simulation, keyed, &judges, Limits::default(), Tie::InOrder);
        let extracted = extracted.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let names = extracted.departures.iter().map(ToString::to_string);
        again += u32::from(names.into_iter().any(|name| name.contains("timer n2 of ") && name.ends_with(" /2")));
    }
    assert!(again > 0, "no run waits for one that was armed again");
}

fn overlapping() -> Setup {
    let mut setup = Setup::on(stan(), 0);
    setup.profile.ordering = pellmell::broker::Ordering::None;
    setup.hosting.overlapping = true;
    setup.commands[0] = vec![Publish::now([1, 2]), Publish::at(500, [3])];
    setup
}

#[test]
fn a_paused_handler_saves_after_what_it_waits_for() {
    check(
        &overlapping(),
        &["pause note:added n1@0 -> consumer until note:added n2@0 -> consumer"],
        &[
            "client: publish 2 n1",
            "n1",
            "n2",
            "resume n1",
            "client: publish 1 n3",
            "clock: timer n3 of publisher fires",
            "n3",
        ],
    );
    let after_the_timer = [
        "client: publish 2 n1",
        "n1",
        "n2",
        "client: publish 1 n3",
        "clock: ack wait of n1 runs out",
        "n1 -> consumer #2",
        "clock: timer n3 of publisher fires",
        "n3",
        "resume n1",
    ];
    let mut patient = overlapping();
    patient.profile.ack_wait = Vec::new();
    let after_the_timer = after_the_timer.into_iter().filter(|text| !text.contains("ack wait") && !text.contains("#2"));
    check(
        &patient,
        &["pause note:added n1@0 -> consumer until note:added n3@0 -> consumer"],
        &after_the_timer.collect::<Vec<_>>(),
    );
    check(
        &patient,
        &["pause note:added n1@0 -> consumer until quiescence"],
        &[
            "client: publish 2 n1",
            "n1",
            "n2",
            "client: publish 1 n3",
            "resume n1",
            "clock: timer n3 of publisher fires",
            "n3",
        ],
    );
}

#[test]
fn what_waits_for_a_paused_handler_waits_for_its_end() {
    check(
        &overlapping(),
        &[
            "pause note:added n1@0 -> consumer until client: publish 1 notes from n3@0",
            "hold note:added n2@0 -> consumer until note:added n1@0 -> consumer",
        ],
        &[
            "client: publish 2 n1",
            "n1",
            "client: publish 1 n3",
            "resume n1",
            "n2",
            "clock: timer n3 of publisher fires",
            "n3",
        ],
    );
}

#[test]
fn departures_without_an_effect_are_unused() {
    let unused = [
        "hold note:added n9@0 -> consumer until quiescence",
        "pause b: publish 1 notes from n1@0 until quiescence",
        // The publisher has one member.
        "pause client: publish 2 notes from n1@0 until quiescence",
        "crash publisher before save of timer n9 of publisher",
        "crash publisher before save of client: publish 2 notes from n1@0/2",
    ];
    let used = "crash publisher after ack of client: publish 2 notes from n1@0";
    let schedule: Vec<&str> = unused.into_iter().chain([used]).collect();
    assert_eq!(depart(&overlapping(), &schedule).1, unused);
    let alone = Setup { hosting: Hosting::ALONE, ..overlapping() };
    let pause = "pause note:added n1@0 -> consumer until note:added n2@0 -> consumer";
    assert_eq!(depart(&alone, &[pause]).1, [pause], "nothing can pause");
}

#[test]
fn a_command_can_pause_until_another_clients_command() {
    let text = r#"
        version = 1
        about = "Two edits of a ticket race."
        schedule = ["pause alice: edit t1 to 6 until bob: edit t1 to 7"]
        [services.tickets]
        overlapping = true
        [[client]]
        name = "alice"
        commands = [{ create_ticket = { ticket = "t1", price = 5 } }, { edit_ticket = { ticket = "t1", price = 6 } }]
        [[client]]
        name = "bob"
        signs_in_as = "alice"
        commands = [{ edit_ticket = { ticket = "t1", price = 7 } }]
    "#;
    let scenario = Scenario::parse("race.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let mut recorder = Recorder::default();
    let mut world = scenario.simulation(0).expect("the parts fit").world();
    scenario.run(&mut world, &Judges::new(Vec::new()), 0, &mut recorder);
    let records = recorder.into_records();
    let actions = records.iter().map(|record| record.action.as_str()).filter(|action| action.contains(": edit"));
    assert_eq!(actions.collect::<Vec<_>>(), ["alice: edit t1 to 6", "bob: edit t1 to 7", "resume alice: edit t1 to 6"]);
    assert_eq!(scenario.vacuous_in(0).expect("the parts fit").void, Vec::new());
}
