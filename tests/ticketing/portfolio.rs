//! The schedulers of the portfolio, and a message that is late by a chain of 20 deliveries.

use pellmell::ticketing::{DEFECTS, Design, Level, properties};
use pellmell::trace::{Recorder, TraceRecord};
use pellmell::zoo::{faults, profile};
use pellmell::{
    Command, Event, FaultPlan, Judges, Limits, Outcome, Profile, Record, RecordId, SchedulerKind, Simulation, Subject,
    System, Version, VersionPolicy, Violation, run, testing,
};
use serde::Serialize;

use crate::support::in_zoo;

const PASSED: Subject = Subject::new("baton:passed");
const NOTED: Subject = Subject::new("note:sent");
const HOPS: u64 = 20;

/// A baton that is passed on, or a note beside it.
#[derive(Clone, Debug, Hash, Serialize)]
struct Sent {
    is_note: bool,
    hop: u64,
}

impl Event for Sent {
    fn subject(&self) -> Subject {
        if self.is_note { NOTED } else { PASSED }
    }

    fn record(&self) -> RecordId {
        RecordId::new('b', u32::from(self.is_note))
    }

    fn version(&self) -> Option<Version> {
        Some(Version(self.hop))
    }
}

#[derive(Clone, Debug, Hash, Serialize)]
struct Start;

impl Command for Start {
    fn service(&self) -> &'static str {
        "starter"
    }

    fn record(&self) -> RecordId {
        RecordId::new('b', 0)
    }
}

struct Relay;

impl System for Relay {
    type Event = Sent;
    type Command = Start;
}

/// What the runner has seen: the last hop (`b0`), or a note that came after it (`b1`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Seen;

impl Record for Seen {
    const COLLECTION: &'static str = "seen";
    const KIND: char = 'b';
}

/// A runner passes a baton to itself 20 times, while a note is under way to it.
fn relay(watched: bool) -> Simulation<Relay> {
    let starter = testing::service::<Relay>("starter").on_command(|Start, ctx| {
        ctx.publish(Sent { is_note: true, hop: 0 });
        ctx.publish(Sent { is_note: false, hop: 0 });
        Ok(())
    });
    let subjects = const { &[PASSED, NOTED] };
    let policy = VersionPolicy::EVERY_SAVE;
    let runner = testing::service::<Relay>("runner").keeps::<Seen>(policy).on_event(subjects, |event, ctx| {
        let is_over = ctx.store.find::<Seen>(RecordId::new('b', 0)).is_some();
        let saved = match event {
            Sent { is_note: false, hop } if *hop < HOPS => {
                ctx.publish(Sent { is_note: false, hop: hop + 1 });
                return Outcome::Ack;
            }
            Sent { is_note: true, .. } if !is_over => return Outcome::Ack,
            event => ctx.store.insert(event.record(), Seen).is_ok(),
        };
        if saved { Outcome::Ack } else { Outcome::nak("seen already") }
    });
    let watcher = testing::service::<Relay>("watcher").on_event(subjects, |_, _| Outcome::Ack);
    let services = Simulation::on(Profile::adversarial()).service(starter).service(runner);
    let services = if watched { services.service(watcher) } else { services };
    services.client("client", vec![Start]).build().expect("the services fit together")
}

fn note_in_time() -> Judges<Relay> {
    let in_time = testing::at_quiescence::<Relay>("NoteInTime", |moment| {
        let late = moment.store_of("runner").all::<Seen>().any(|(id, _)| id == RecordId::new('b', 1));
        if late { Err(Violation::at("runner").because("the note came after the last hop")) } else { Ok(()) }
    });
    Judges::new(vec![in_time])
}

/// How many of these seeds find the late note.
fn finds(kind: SchedulerKind, seeds: std::ops::Range<u64>) -> usize {
    let (simulation, judges) = (relay(false), note_in_time());
    let fails = |seed: &u64| {
        let mut scheduler = kind.scheduler(&simulation, *seed, FaultPlan::NONE);
        !run(&mut simulation.world(), &mut scheduler, &judges, Limits::default(), &mut ()).verdict.is_held()
    };
    seeds.filter(fails).count()
}

#[test]
fn a_message_that_is_20_hops_late_is_found_within_100_schedules_and_not_by_drawing_evenly() {
    let found = finds(SchedulerKind::Portfolio, 0..2_000);
    assert!(found >= 20, "{found} of 2,000 schedules found it, so it takes more than 100");
    assert_eq!(finds(SchedulerKind::Uniform, 0..2_000), 0, "it takes 2^21 even draws");
    for kind in [SchedulerKind::Pct1, SchedulerKind::Pct2, SchedulerKind::Pct3, SchedulerKind::Balanced] {
        let found = finds(kind, 0..400);
        assert!(found >= 4, "{} found it in {found} of 400 schedules", kind.name());
    }
}

/// The steps of a run without its faults.
fn steps(kind: SchedulerKind, seed: u64, watched: bool) -> Vec<TraceRecord> {
    let (simulation, mut recorder) = (relay(watched), Recorder::default());
    let mut scheduler = kind.scheduler(&simulation, seed, FaultPlan::NONE);
    let report =
        run(&mut simulation.world(), &mut scheduler, &Judges::new(Vec::new()), Limits::default(), &mut recorder);
    assert!(report.verdict.is_held(), "{}: {:?}", kind.name(), report.verdict);
    recorder.into_records()
}

#[test]
fn the_same_seed_is_the_same_run_and_every_run_ends() {
    let design = Design::REFERENCE;
    for kind in SchedulerKind::PORTFOLIO {
        let mut fingerprints = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let again = || {
                let file = "scenarios/zoo/four.toml";
                let simulation = in_zoo(&design, file, Profile::adversarial(), true);
                let mut scheduler = kind.scheduler(&simulation, seed, FaultPlan::SOME);
                let judges = Judges::new(properties::promised_by(&design));
                run(&mut simulation.world(), &mut scheduler, &judges, Limits::default(), &mut ())
            };
            let report = again();
            assert_eq!(report, again(), "{} seed {seed}", kind.name());
            assert!(report.verdict.is_held(), "{} seed {seed}: {:?}", kind.name(), report.verdict);
            assert_eq!(report.counts.commands, 4, "{} seed {seed} ends when all is done", kind.name());
            fingerprints.insert(report.fingerprint);
        }
        assert!(fingerprints.len() > 10, "{} played {} runs in 20 seeds", kind.name(), fingerprints.len());
    }
}

#[test]
fn a_new_listener_changes_no_decision_about_the_others() {
    for kind in [SchedulerKind::Uniform, SchedulerKind::Pos, SchedulerKind::Swarm] {
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let others = |watched| {
                let names = steps(kind, seed, watched).into_iter().map(|record| record.action);
                names.filter(|action| !action.contains("-> watcher")).collect::<Vec<_>>()
            };
            let alone = others(false);
            assert_eq!(others(true), alone, "{} seed {seed}", kind.name());
            orders.insert(alone);
        }
        assert!(orders.len() > 2, "{} played {} orders in 50 seeds", kind.name(), orders.len());
    }
}

#[test]
fn the_members_of_the_portfolio_take_turns_by_seed_and_have_names() {
    for (place, kind) in SchedulerKind::PORTFOLIO.into_iter().enumerate() {
        assert_eq!(SchedulerKind::Portfolio.for_seed(8_000 + place as u64), kind);
        assert_eq!(kind.for_seed(3), kind);
    }
    for name in SchedulerKind::NAMES {
        assert_eq!(SchedulerKind::named(name).map(SchedulerKind::name), Some(name));
    }
}

#[test]
fn every_defect_takes_the_portfolio_at_most_100_schedules_on_average() {
    let everywhere = DEFECTS.iter().flat_map(|defect| defect.scenarios.iter().map(move |file| (defect, *file)));
    for (defect, file) in everywhere {
        let level = defect.needs.max(Level::AnyOrder);
        let design = Design::REFERENCE.with(&[*defect]);
        let simulation = in_zoo(&design, file, profile(level), defect.splits);
        let judges = Judges::new(properties::promised_by(&Design::REFERENCE));
        let named = |seed: &u64| {
            let mut scheduler = SchedulerKind::Portfolio.scheduler(&simulation, *seed, faults(level, defect.splits));
            let report = run(&mut simulation.world(), &mut scheduler, &judges, Limits::default(), &mut ());
            matches!(report.verdict, pellmell::Verdict::Violated { property, .. } if defect.is_named_by(property))
        };
        let found = (0..4_000).filter(named).count();
        assert!(found >= 40, "{} in {file}: {found} of 4,000 schedules found it", defect.id);
    }
}
