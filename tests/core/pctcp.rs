//! What is proven about `Pctcp`, counted: planted bugs of depth 1, 2 and 3 show at least as often.

use pellmell::scheduler::{Guarantee, Pctcp};
use pellmell::{
    Command, Event, FaultPlan, Judges, Limits, Outcome, Profile, Record, RecordId, Scheduler, SchedulerKind,
    Simulation, Subject, System, Version, VersionPolicy, run, testing,
};
use serde::Serialize;

const SENT: Subject = Subject::new("baton:sent");
const ORDER: RecordId = RecordId::new('o', 0);

/// A baton that a runner passes to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
struct Baton {
    lane: u32,
    hop: u64,
}

impl Event for Baton {
    fn subject(&self) -> Subject {
        SENT
    }

    fn record(&self) -> RecordId {
        RecordId::new('b', self.lane)
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
        ORDER
    }
}

struct Race;

impl System for Race {
    type Event = Baton;
    type Command = Start;
}

/// The order in which the runner got the batons.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Order(Vec<Baton>);

impl Record for Order {
    const COLLECTION: &'static str = "orders";
    const KIND: char = 'o';
}

/// One baton for each of `hops`, which the runner passes on so many times.
fn race(hops: &'static [u64]) -> Simulation<Race> {
    let starter = testing::service::<Race>("starter").on_command(move |Start, ctx| {
        (0..).zip(hops).for_each(|(lane, _)| ctx.publish(Baton { lane, hop: 0 }));
        Ok(())
    });
    let subjects = const { &[SENT] };
    let policy = VersionPolicy::EVERY_SAVE;
    let runner = testing::service::<Race>("runner").keeps::<Order>(policy).on_event(subjects, move |baton, ctx| {
        let (mut order, version) = match ctx.store.find::<Order>(ORDER) {
            Some(held) => (held.value.clone(), Some(held.version)),
            None => (Order(Vec::new()), None),
        };
        order.0.push(*baton);
        ctx.store.overwrite(ORDER, order, version);
        if baton.hop < hops[baton.lane as usize] {
            ctx.publish(Baton { hop: baton.hop + 1, ..*baton });
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(Profile::adversarial()).service(starter).service(runner);
    simulation.client("client", vec![Start]).build().expect("the services fit together")
}

/// The places of some batons in the order.
fn places<const N: usize>(order: &Order, batons: [(u32, u64); N]) -> [usize; N] {
    batons.map(|(lane, hop)| order.0.iter().position(|got| *got == Baton { lane, hop }).expect("each one comes"))
}

/// Plays so many runs of depth `depth` and counts those whose order is a bug; the second number is one in
/// how many is proven.
fn count(simulation: &Simulation<Race>, depth: u32, runs: u64, is_bug: fn(&Order) -> bool) -> (u64, u64) {
    let kinds = [SchedulerKind::Pctcp1, SchedulerKind::Pctcp2, SchedulerKind::Pctcp3];
    let (mut found, mut one_in) = (0, 1);
    let mut world = simulation.world();
    for seed in 0..runs {
        world.reset();
        let mut scheduler = kinds[depth as usize - 1].scheduler(simulation, seed, FaultPlan::NONE);
        let report = run(&mut world, &mut scheduler, &Judges::new(Vec::new()), Limits::default(), &mut ());
        assert!(report.verdict.is_held());
        let order = world.store_of("runner").find::<Order>(ORDER).expect("something came");
        found += u64::from(is_bug(&order.value));
        let Guarantee { depth: of, chains, turns } = scheduler.guarantee().expect("it has one");
        assert_eq!(of, depth);
        one_in = one_in.max(chains * turns.pow(depth - 1));
    }
    (found, one_in)
}

#[track_caller]
fn check(hops: &'static [u64], depth: u32, runs: u64, is_bug: fn(&Order) -> bool) {
    let (found, one_in) = count(&race(hops), depth, runs, is_bug);
    assert!(runs / one_in >= 10, "{runs} runs are too few to say something about one in {one_in}");
    assert!(found * one_in >= runs, "{found} of {runs} runs found it, fewer than one in {one_in}");
}

#[test]
fn a_message_behind_all_others_is_found_as_often_as_proven() {
    check(&[0; 12], 1, 2_000, |order| places(order, [(7, 0)]) == [11]);
    check(&[0, 20], 1, 500, |order| places(order, [(0, 0)]) == [21]);
    check(&[0, 5, 9, 3], 1, 500, |order| places(order, [(2, 0)]) == [11]);
}

#[test]
fn a_message_between_two_hops_of_another_is_found_as_often_as_proven() {
    for is_bug in [
        |order: &Order| places(order, [(1, 0), (0, 0), (1, 1)]).is_sorted(),
        |order: &Order| places(order, [(1, 6), (0, 0), (1, 7)]).is_sorted(),
        |order: &Order| places(order, [(1, 19), (0, 0), (1, 20)]).is_sorted(),
    ] {
        check(&[0, 20], 2, 4_000, is_bug);
    }
    check(&[3, 8, 8], 2, 4_000, |order| {
        places(order, [(2, 4), (0, 0), (2, 5)]).is_sorted() && places(order, [(1, 8), (0, 0)]).is_sorted()
    });
}

#[test]
fn two_messages_between_hops_of_a_third_are_found_as_often_as_proven() {
    check(&[0, 0, 8], 3, 12_000, |order| places(order, [(2, 2), (0, 0), (1, 0), (2, 3)]).is_sorted());
    check(&[0, 0, 8], 3, 12_000, |order| places(order, [(2, 7), (1, 0), (2, 8), (0, 0)]).is_sorted());
}

#[test]
fn each_of_twelve_messages_comes_last_about_equally_often() {
    let simulation = race(&[0; 12]);
    let mut last = [0; 12];
    for seed in 0..12_000 {
        let mut world = simulation.world();
        let mut scheduler = Pctcp::new(seed, FaultPlan::NONE, 1, 1);
        run(&mut world, &mut scheduler, &Judges::new(Vec::new()), Limits::default(), &mut ());
        let order = world.store_of("runner").find::<Order>(ORDER).expect("something came");
        last[order.value.0[11].lane as usize] += 1;
    }
    assert!(last.iter().all(|times| (880..1_120).contains(times)), "{last:?}: expected about 1,000 each");
}

/// Without changes a chain that has begun keeps its place, so what needs two is not found.
#[test]
fn what_is_deeper_than_the_scheduler_is_not_found() {
    let between: fn(&Order) -> bool = |order| places(order, [(1, 6), (0, 0), (1, 7)]).is_sorted();
    assert_eq!(count(&race(&[0, 20]), 1, 2_000, between).0, 0);
}
