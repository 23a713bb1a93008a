//! Faults of the broker and of services that answer or publish at the wrong moment.

use pellmell::broker::Ordering;
use pellmell::property::NoPoison;
use pellmell::trace::Recorder;
use pellmell::{
    AckTiming, Answer, Calm, Departing, FaultPlan, Hosting, Judges, Keyed, Limits, Property, PublishMode, Rate, Ratio,
    Verdict, View, Violation, Watch, Window, run,
};

use super::common::{Note, Notes, Publish, Rule, Setup, limited, note, ordered, stan};

// Lost messages.

#[test]
fn a_lost_message_is_settled_and_nobody_handles_it() {
    let mut play = Setup::on(stan(), 3).after("publish; n1 dropped; n2");
    assert_eq!((play.handled(), play.saves(1), play.ready()), ("2".to_owned(), 0, "n3".to_owned()));
    play.drain();
    assert_eq!((play.open(), play.dead(), play.handled()), (String::new(), String::new(), "2 3".to_owned()));
    play.calm_to_the_end();
    assert!(play.world.is_finished() && play.saves(1) == 0, "it never comes again");
}

#[test]
fn a_lost_message_makes_room_for_the_next_one() {
    for scope in [pellmell::broker::Scope::Member, pellmell::broker::Scope::Group] {
        let play = Setup::on(limited(1, scope), 3).after("publish; n1 dropped");
        assert_eq!(play.ready(), "n2");
    }
    let setup = Setup::on(ordered(Ordering::None), 3);
    assert_eq!(setup.after("publish; n2 dropped").ready(), "n1, n3");
}

#[test]
fn other_copies_of_a_lost_message_are_deliveries_of_their_own() {
    let mut setup = Setup::on(stan(), 1);
    setup.other = Some((Rule::Answers(&[]), Hosting::ALONE));
    assert_eq!(setup.after("publish; n1 dropped").drain().handled(), "other:1");
    assert_eq!(Setup::on(stan(), 1).after("publish; n1 dropped twice").drain().handled(), "1r1");
    // The redelivery of a handler that still runs.
    let mut setup = Setup::on(stan(), 1);
    setup.hosting.overlapping = true;
    let mut play = setup.after("publish; n1 paused; clock; n1 #2 dropped");
    assert_eq!(play.open(), "n1");
    assert_eq!((play.pick("resume n1").saves(1), play.open()), (1, String::new()));
}

#[test]
fn a_schedule_can_lose_a_message_and_a_trace_says_so() {
    let mut departing = Departing::new(vec!["lose note:added n2@0 -> consumer".parse().expect("a departure")]);
    let (mut world, mut recorder) = (Setup::on(stan(), 3).play().world, Recorder::default());
    let judges = Judges::new(vec![Box::new(NoPoison)]);
    let report = run(&mut world, &mut departing, &judges, Limits::default(), &mut recorder);
    assert!(report.verdict.is_held(), "what is lost is not pending");
    let counts = report.counts;
    assert_eq!((counts.messages, counts.messages_lost, counts.deliveries), (3, 1, 2));
    assert_eq!(departing.unused().count(), 0);
    let records = recorder.into_records();
    let lost = records.iter().find(|record| record.action.contains("n2@0 -> consumer")).expect("its step");
    assert_eq!((lost.answer.as_deref(), lost.faults.join(", ")), (Some("lost"), "message lost".to_owned()));
    assert_eq!((lost.service.as_deref(), lost.saved.len()), (None, 0), "no handler ran");
}

#[test]
fn a_plan_loses_first_attempts_only_and_at_most_as_many_as_it_says() {
    let mut setup = Setup::on(stan(), 6).answers(&[(1, 1, super::SILENT), (2, 1, super::SILENT)]);
    setup.commands[1] = vec![Publish::now([7])];
    let lost = |rate| {
        let plan = FaultPlan { lose_message: rate, ..FaultPlan::NONE };
        let play = |mut scheduler: Box<dyn pellmell::Scheduler>| {
            let mut world = setup.play().world;
            let report = run(&mut world, &mut scheduler, &Judges::new(Vec::new()), Limits::default(), &mut ());
            report.counts.messages_lost
        };
        [play(Box::new(Calm::new(1, plan))), play(Box::new(Keyed::new(1, plan)))]
    };
    assert_eq!(lost(Rate::of(Ratio::ALWAYS)), [7, 7]);
    assert_eq!(lost(Rate { ratio: Ratio::ALWAYS, most: 2 }), [2, 2]);
    assert_eq!(lost(Rate::NEVER), [0, 0]);
}

// Acks before the save.

fn acks_first(notes: u32) -> Setup {
    Setup { timing: AckTiming::BeforeSave, copies: true, mode: PublishMode::DualWrite, ..Setup::on(stan(), notes) }
}

#[test]
fn a_crash_before_the_save_loses_what_was_acked_before_it() {
    // Saves, messages and what is open for each window; the ack has left in all of them.
    let after = |setup: &Setup, window: Window| {
        let play = setup.after(&format!("publish; n1 crash {}", window.name()));
        (play.saves(1), play.published("note:copied"), play.open())
    };
    let settled = String::new;
    assert_eq!(after(&acks_first(1), Window::BeforeSave), (0, 0, settled()));
    assert_eq!(after(&acks_first(1), Window::BeforePublish), (1, 0, settled()));
    assert_eq!(after(&acks_first(1), Window::BeforeAck), (1, 1, settled()));
    assert_eq!(after(&acks_first(1), Window::AfterAck), (1, 1, settled()));
    let as_usual = Setup { timing: AckTiming::AfterSave, ..acks_first(1) };
    assert_eq!(after(&as_usual, Window::BeforeSave), (0, 0, "n1".to_owned()));
    assert_eq!(after(&as_usual, Window::BeforeAck), (1, 1, "n1".to_owned()));
}

#[test]
fn an_early_ack_can_be_late_or_lost_like_any_other() {
    let play = acks_first(1).after("publish; n1 late crash before save");
    assert_eq!(play.enabled()[0], "late ack of note:added n1@0 -> consumer #1");
    let mut play = acks_first(1).after("publish; n1 lost crash before save");
    assert_eq!(play.open(), "n1");
    assert_eq!(play.pick("clock; n1 #2").saves(1), 1);
}

#[test]
fn a_handler_that_would_not_have_acked_is_redelivered_after_a_crash() {
    let mut play = acks_first(1).answers(&[(1, 1, super::NAK)]).after("publish; n1 crash before save");
    assert_eq!(play.open(), "n1");
    assert_eq!(play.pick("clock; n1 #2").saves(1), 1);
}

/// Whatever was acked is in the store.
struct AckedIsSaved;

impl Property<Notes> for AckedIsSaved {
    fn name(&self) -> &'static str {
        "AckedIsSaved"
    }

    fn watches(&self) -> Watch {
        Watch::ACKS
    }

    fn on_step(&self, view: &View<'_, Notes>) -> Result<(), Violation> {
        let (_, message) = view.delivery().expect("an ack is for a delivery");
        match view.store().expect("an ack has an actor").find::<Note>(message.name.record) {
            Some(_) => Ok(()),
            None => Err(Violation::at(view.service()).of(message.name.record).because("acked and not saved")),
        }
    }
}

#[test]
fn a_property_that_watches_acks_sees_those_before_a_crash() {
    let judge = |timing| {
        let crash = "crash consumer before save of note:added n2@0 -> consumer";
        let mut departing = Departing::new(vec![crash.parse().expect("a departure")]);
        let mut world = Setup { timing, ..acks_first(2) }.play().world;
        run(&mut world, &mut departing, &Judges::new(vec![Box::new(AckedIsSaved)]), Limits::default(), &mut ()).verdict
    };
    assert_eq!(judge(AckTiming::AfterSave), Verdict::Held);
    let violation = Violation::at("consumer").of(note(2)).because("acked and not saved");
    let violation = Box::new(violation);
    assert_eq!(judge(AckTiming::BeforeSave), Verdict::Violated { property: "AckedIsSaved", violation });
    let mut play = acks_first(1).after("publish");
    let index = play.world.broker().ready()[0];
    let fate = pellmell::Fate { crash: Some(Window::BeforeSave), ..pellmell::Fate::CALM };
    let step = play.step(pellmell::scheduler::Action::Deliver(index), fate);
    assert_eq!((step.answer, step.acked(), step.ran()), (Some(Answer::Crashed { acked: true }), Some(index), false));
}

// Publishing before the save.

fn publishes_first(notes: u32) -> Setup {
    let mut setup = Setup { mode: PublishMode::BeforeSave, copies: true, ..Setup::on(stan(), notes) };
    setup.hosting.overlapping = true;
    setup.profile.ordering = Ordering::None;
    setup
}

/// Saves of note 1, and events about its saves.
fn done(play: &super::common::Play) -> (u32, usize) {
    (play.saves(1), play.published("note:copied"))
}

#[test]
fn a_handler_that_publishes_first_has_published_when_it_pauses() {
    let mut play = publishes_first(1).after("publish; n1 paused");
    assert_eq!(done(&play), (0, 1));
    assert_eq!(done(play.pick("resume n1")), (1, 1), "it is not published again");
    assert_eq!(play.open(), "");
    let other_modes = [PublishMode::Outbox, PublishMode::DualWrite];
    for mode in other_modes {
        let mut play = Setup { mode, ..publishes_first(1) }.after("publish; n1 paused");
        assert_eq!(done(&play), (0, 0), "{mode:?}");
        assert_eq!(done(play.pick("resume n1")), (1, 1), "{mode:?}");
    }
}

#[test]
fn a_crash_at_the_pause_leaves_what_was_published() {
    for window in [Window::BeforeSave, Window::BeforePublish] {
        let setup = publishes_first(1);
        let play = setup.after(&format!("publish; n1 paused crash {}; resume n1", window.name()));
        assert_eq!((done(&play), play.open()), ((0, 1), "n1".to_owned()), "{window:?}");
    }
    // Another handler of the member crashes.
    let play = publishes_first(2).after("publish; n1 paused; n2 crash before save");
    assert_eq!((done(&play), play.enabled().iter().any(|text| text.starts_with("resume"))), ((0, 1), false));
}

#[test]
fn a_handler_that_refuses_at_the_pause_publishes_nothing() {
    let setup = publishes_first(1).answers(&[(1, 1, super::SILENT)]);
    let mut play = setup.after("publish; n1 paused");
    assert_eq!(done(&play), (0, 0));
    assert_eq!(done(play.pick("resume n1")), (0, 0));
    // What is missing at the pause is missing for the paused handler later, too.
    let setup = Setup { rule: Rule::InNoteOrder, ..publishes_first(2) };
    let mut play = setup.after("publish; n2 paused; n1; resume n2");
    assert_eq!((play.published("note:copied"), play.saves(2)), (1, 0));
    play.calm_to_the_end();
    assert_eq!((play.published("note:copied"), play.saves(2)), (2, 1));
}

#[test]
fn a_handler_that_meets_a_conflict_has_published_what_it_never_saves() {
    let mut setup = publishes_first(0);
    setup.commands[0] = vec![Publish::versions(2)];
    let play = setup.after("publish; n1@0 paused; n1@1; resume n1@0");
    assert_eq!(done(&play), (1, 2));
    assert_eq!(play.open(), "n1", "its handler was silent");
}
