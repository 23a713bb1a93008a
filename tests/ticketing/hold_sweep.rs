//! The hold sweep finds what one or two departures show, whoever plays it, and nothing else.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pellmell::results::Shard;
use pellmell::search::{HoldPart, HoldSweep, HoldSweepResult};
use pellmell::ticketing::{DEFECTS, Defect, Design, Level, Ticketing, defect, properties};
use pellmell::zoo::{faults, profile};
use pellmell::{FaultPlan, Judges, Simulation};

use crate::support::in_zoo;

fn judges() -> Judges<Ticketing> {
    Judges::new(properties::promised_by(&Design::REFERENCE))
}

fn sweep(simulation: &Simulation<Ticketing>, faults: FaultPlan, schedules_max: Option<u64>) -> HoldSweepResult {
    HoldSweep::new(simulation, &judges()).with_faults(faults).with_schedules_max(schedules_max).run()
}

/// A defect in the first of its scenario files.
fn world_of(defect: &Defect, level: Level) -> Simulation<Ticketing> {
    let design = Design::REFERENCE.with(&[*defect]);
    in_zoo(&design, defect.scenarios[0], profile(level), defect.splits)
}

/// The first schedule that fails.
fn first(result: &HoldSweepResult) -> Option<u64> {
    result.buckets.values().map(|bucket| bucket.place).min()
}

#[test]
fn every_defect_of_the_zoo_is_found_and_all_but_two_with_one_departure() {
    let mut with_two = Vec::new();
    for defect in DEFECTS {
        let level = defect.needs.max(Level::AnyOrder);
        let result = sweep(&world_of(defect, level), faults(level, defect.splits), Some(20_000));
        let place = first(&result).unwrap_or_else(|| panic!("{} is not found", defect.name));
        if place <= result.singles.all {
            assert!(place < 1 + 6 * result.deliveries, "{}: {place} of {} deliveries", defect.name, result.deliveries);
        } else {
            assert!(place <= 20_000, "{}: {place}", defect.name);
            with_two.push(defect.name);
        }
    }
    assert_eq!(with_two, ["UnguardedRelease", "SwallowedConflict"]);
}

#[test]
fn the_reference_design_raises_no_alarm_whatever_departs() {
    let some = FaultPlan::SOME;
    for stage in ["two", "timed", "paid", "four"] {
        for splits in [false, true] {
            let file = format!("scenarios/zoo/{stage}.toml");
            let simulation = in_zoo(&Design::REFERENCE, &file, profile(Level::AnyOrder), splits);
            let result = sweep(&simulation, some, Some(3_000));
            assert!(result.is_held(), "{stage:?}: {:?}", result.buckets);
            assert!(result.singles.all > 80 && result.singles.played == result.singles.all, "{:?}", result.singles);
            assert_eq!(result.departed(), 3_000);
        }
    }
}

#[test]
fn only_the_faults_that_may_happen_are_tried() {
    let file = "scenarios/zoo/two.toml";
    let simulation = in_zoo(&Design::REFERENCE, file, profile(Level::AnyOrder), false);
    let singles = |faults| sweep(&simulation, faults, Some(0)).singles.all;
    let (orders, duplicates) = (singles(FaultPlan::NONE), singles(faults(Level::Duplicate, false)));
    assert!(orders < duplicates && duplicates < singles(FaultPlan::SOME));
}

#[test]
fn a_loss_is_found_and_says_what_was_lost() {
    let defect = defect("LostMessage").expect("a defect");
    let result = sweep(&world_of(&defect, Level::Loss), faults(Level::Loss, false), None);
    let bucket = result.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    let departures: Vec<String> = bucket.departures.iter().map(ToString::to_string).collect();
    assert_eq!(departures, ["lose ticket:created t1@0 -> orders"]);
}

#[test]
fn the_result_does_not_depend_on_the_threads() {
    let defect = defect("UnguardedRelease").expect("a defect");
    let (simulation, judges) = (world_of(&defect, Level::AnyOrder), judges());
    let with = |threads| {
        let sweep = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME);
        sweep.with_schedules_max(700).with_threads(threads).run()
    };
    let alone = with(1);
    assert!(!alone.is_held() && alone.departed() == 700);
    for threads in 2..5 {
        assert_eq!(with(threads), alone);
    }
}

#[test]
fn parts_of_it_played_apart_and_stopped_anywhere_join_to_the_whole() {
    let defect = defect("UnguardedRelease").expect("a defect");
    let (simulation, judges) = (world_of(&defect, Level::AnyOrder), judges());
    for schedules_max in [Some(1), Some(700), None] {
        let with = |threads| {
            let sweep = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME);
            sweep.with_schedules_max(schedules_max).with_threads(threads)
        };
        let whole = with(2).run();
        for shards in [1, 2, 3, 7] {
            let mut joined: Option<HoldPart> = None;
            for index in 0..shards {
                let sweep = with(1 + (index % 3) as u32);
                let plan = sweep.plan();
                let places = Shard::new(index, shards).expect("a shard").block(&(0..plan.schedules()));
                let mut part = plan.none(places.start);
                // Each time it goes on it is stopped once more.
                while part.places.end < places.end {
                    let done = part.places.end;
                    part = plan.go_on(part, places.end, |so_far| {
                        let done = so_far.part.places.end - places.start;
                        assert_eq!(so_far.part.result.departed(), done - u64::from(places.start == 0 && done > 0));
                        ControlFlow::Break(())
                    });
                    assert!(part.places.start == places.start && part.places.end > done);
                }
                match &mut joined {
                    None => joined = Some(part),
                    Some(joined) => joined.append(part),
                }
            }
            assert_eq!(joined.map(|part| part.result), Some(whole.clone()), "{shards} shards");
        }
    }
}

#[test]
fn a_sweep_that_is_told_to_stop_begins_no_more_and_has_no_result() {
    let simulation = world_of(&defect("UnguardedRelease").expect("a defect"), Level::AnyOrder);
    let judges = judges();
    for threads in [1, 3] {
        let last = AtomicU64::new(0);
        let sweep = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME);
        let sweep = sweep.with_schedules_max(2_000).with_threads(threads);
        assert_eq!(sweep.plan().schedules(), 2_001);
        let result = sweep.run_watched(|so_far| {
            last.store(so_far.done, Relaxed);
            if so_far.done >= 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(result, None);
        // It is heard by one thread alone, so the others have gone on for a block or a few.
        assert!((100..2_001).contains(&last.into_inner()));
    }
}
