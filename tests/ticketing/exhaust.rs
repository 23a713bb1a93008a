//! The complete search: it agrees with a plain enumeration that shares no code with it, finds
//! shortest runs, keeps its bounds, and searches clients apart only where that is right.

#[path = "../../benches/w1/system.rs"]
mod system;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use pellmell::property::End;
use pellmell::scheduler::{Action, Scripted};
use pellmell::search::{Bounds, DeliveryOrder, Ended, Exhaust, ExhaustResult, Most, Reduction};
use pellmell::ticketing::{ApplyRule, Design, Orders, OrdersRules, ReplicaRules, Ticketing, Tickets, properties};
use pellmell::{
    AckFate, Command, Event, Fate, Hosting, Judges, Limits, Moment, Outcome, Property, Record, RecordId, Simulation,
    Step, Subject, System, Verdict, Version, VersionPolicy, View, Violation, Watch, Window, World, run, testing,
};

use crate::support::request;
use system::{AckedApplied, Converged, Owner, Prefix, Replica, SetPrice, W1};

// The plain enumeration.

/// How many of each fault a run may still meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Budget {
    lost_acks: u8,
    crashes: u8,
    pauses: u8,
    lost_messages: u8,
}

impl Budget {
    fn spend(self, fate: Fate) -> Option<Budget> {
        Some(Budget {
            lost_acks: self.lost_acks.checked_sub((fate.ack == AckFate::Lost).into())?,
            crashes: self.crashes.checked_sub(fate.crash.is_some().into())?,
            pauses: self.pauses.checked_sub(fate.pause.into())?,
            lost_messages: self.lost_messages.checked_sub(fate.lose.into())?,
        })
    }
}

fn number(most: Most) -> u8 {
    match most {
        Most::Of(number) => number,
        Most::Any => panic!("the enumeration counts"),
    }
}

/// Every state that can be reached and the shortest way to break one property, found by looking at
/// each world with each budget once, in order of the number of steps.
struct Enumeration<'a, S: System> {
    property: &'a dyn Property<S>,
    duplicates: u8,
    states: BTreeSet<u64>,
    broken_after: Option<u32>,
}

type SearchStats<S> = (World<S>, Budget, u32);

impl<'a, S: System> Enumeration<'a, S> {
    fn of(simulation: &Simulation<S>, property: &'a dyn Property<S>, bounds: Bounds) -> Enumeration<'a, S> {
        let mut all =
            Enumeration { property, duplicates: bounds.duplicates, states: BTreeSet::new(), broken_after: None };
        let budget = Budget {
            lost_acks: number(bounds.lost_acks),
            crashes: number(bounds.crashes),
            pauses: number(bounds.pauses),
            lost_messages: number(bounds.lost_messages),
        };
        let mut known = BTreeSet::new();
        let mut open: VecDeque<SearchStats<S>> = VecDeque::from([(simulation.world(), budget, 0)]);
        while let Some((world, budget, steps)) = open.pop_front() {
            if known.insert((world.digest(), budget)) {
                all.states.insert(world.digest());
                all.expand(&world, budget, steps, &mut open);
            }
        }
        all
    }

    fn breaks(&mut self, steps: u32) {
        self.broken_after = Some(self.broken_after.map_or(steps, |before| before.min(steps)));
    }

    fn expand(&mut self, world: &World<S>, budget: Budget, steps: u32, open: &mut VecDeque<SearchStats<S>>) {
        let mut is_calm = true;
        let digest = world.digest();
        for action in world.enabled().iter() {
            for fate in fates(world, action, self.duplicates) {
                let Some(budget) = overtaking(world, action, budget).and_then(|budget| budget.spend(fate)) else {
                    continue;
                };
                let mut next = world.clone();
                let step = next.step(action, fate);
                is_calm &= !matches!(action, Action::Deliver(_)) || fate != Fate::CALM || next.digest() == digest;
                is_calm &= !matches!(action, Action::Resume(_));
                let is_watched = watched(self.property.watches(), &next, &step);
                match self.property.on_step(&View::new(&next, &step)) {
                    Err(_) if !is_watched => open.push_back((next, budget, steps + 1)),
                    Ok(()) => open.push_back((next, budget, steps + 1)),
                    Err(_) => self.breaks(steps + 1),
                }
            }
        }
        if !is_calm {
            return;
        }
        let is_over = world.enabled().commands().is_empty() && world.enabled().clock().is_none();
        let at_end = if is_over { self.property.at_end(&End::new(world, false)) } else { Ok(()) };
        let at_rest = self.property.at_quiescence(&Moment::new(world));
        if at_end.and(at_rest).is_err() {
            self.breaks(steps);
        }
    }
}

/// Whether a property watches a step.
fn watched<S: System>(watches: Watch, world: &World<S>, step: &Step) -> bool {
    let has = |kind: Watch| watches.and(kind) == watches;
    let saved = step.ran() && step.actor.is_some_and(|actor| world.store(actor.service).changed());
    // Of some records or of all: what a property is asked beside that, it finds nothing wrong with.
    let other = Watch::ACKS.and(Watch::PUBLISHES);
    saved && watches.and(other) != other
        || step.acked().is_some() && has(Watch::ACKS)
        || !step.published.is_empty() && has(Watch::PUBLISHES)
}

/// A redelivery that overtakes the paused handler of its message has lost an ack.
fn overtaking<S: System>(world: &World<S>, action: Action, budget: Budget) -> Option<Budget> {
    let Action::Deliver(index) = action else { return Some(budget) };
    let broker = world.broker();
    let same = |other: &pellmell::broker::DeliveryIndex| {
        let (one, two) = (broker.delivery(index), broker.delivery(*other));
        (one.message, one.group) == (two.message, two.group) && two.superseded
    };
    match broker.open().any(|other| same(&other)) {
        true => budget.spend(Fate { ack: AckFate::Lost, ..Fate::CALM }),
        false => Some(budget),
    }
}

/// Every fate that an action can have.
fn fates<S: System>(world: &World<S>, action: Action, duplicates: u8) -> Vec<Fate> {
    let Some(chosen) = world.chosen(action) else { return vec![Fate::CALM] };
    let broker = world.broker();
    let copies = |index| {
        let of = |index| (broker.delivery(index).message, broker.delivery(index).group);
        broker.open().filter(|other| of(*other) == of(index)).count()
    };
    let can_double = matches!(action, Action::Deliver(index) if copies(index) <= usize::from(duplicates));
    let mut fates = Vec::new();
    for ack in [AckFate::Prompt, AckFate::Lost] {
        for crash in std::iter::once(None).chain(Window::ALL.map(Some)) {
            for bits in 0..8 {
                let (pause, duplicate, lose) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                let fate = Fate { ack, crash, pause, duplicate, lose, ..Fate::CALM };
                let fits = chosen.restrict(fate) == fate && (!duplicate || can_double);
                fates.extend(fits.then_some(fate));
            }
        }
    }
    fates
}

// The worlds.

fn ticketing(clients: &[&[&str]], bounds: Bounds, orders: OrdersRules, design: Design) -> Simulation<Ticketing> {
    let hosting = Hosting { overlapping: bounds.pauses != Most::Of(0), ..Hosting::ALONE };
    let services = Simulation::on(bounds.order.profile())
        .hosted(Tickets(design.tickets), hosting.clone())
        .hosted(Orders(orders), hosting);
    let hosted = clients.iter().fold(services, |builder, texts| {
        let name = texts[0].split(' ').next().expect("a client's name");
        builder.client(name, texts.iter().map(|text| request(text)).collect())
    });
    hosted.redeliver_futile(true).build().expect("tickets and orders fit together")
}

fn only(name: &str) -> Judges<Ticketing> {
    Judges::new(properties::all().into_iter().filter(|property| property.name() == name).collect())
}

fn search<S: System>(simulation: &Simulation<S>, judges: &Judges<S>, bounds: Bounds) -> ExhaustResult {
    Exhaust::new(simulation, judges).with_bounds(bounds).run()
}

const ANY: Bounds = Bounds::of(DeliveryOrder::Any);
const ONE: Most = Most::Of(1);

#[test]
fn it_agrees_with_a_plain_enumeration_on_states_verdicts_and_shortest_runs() {
    let clients: [&[&str]; 2] = [&["sue create t1 5", "sue edit t1 10"], &["ann order t1 as o1", "ann cancel o1"]];
    let few: [&[&str]; 1] = [&["sue create t1 5", "sue edit t1 10"]];
    let (course, reference) = (Design::COURSE, Design::REFERENCE);
    let follow =
        |apply| OrdersRules { tickets: ReplicaRules { apply, ..reference.orders.tickets }, ..reference.orders };
    let designs = [
        ("reference", reference.orders, reference),
        ("course", course.orders, course),
        ("blind", follow(ApplyRule::Blind), reference),
        ("off by one", follow(ApplyRule::OffByOne), reference),
    ];
    let all_bounds = [
        (&clients[..], ANY),
        (&clients[..], Bounds::of(DeliveryOrder::PerSubject)),
        (&few[..], Bounds { lost_acks: Most::Of(2), crashes: ONE, ..ANY }),
        (&few[..], Bounds { duplicates: 1, ..ANY }),
        (&few[..], Bounds { lost_acks: ONE, pauses: ONE, ..ANY }),
        (&few[..], Bounds { lost_messages: ONE, duplicates: 1, ..ANY }),
    ];
    let names = ["PrefixConsistency", "NoPoison", "TicketReplicaConverged", "ReservationAgreement"];
    let mut broken = BTreeSet::new();
    for (design_name, orders, design) in designs {
        // Who applies every copy as a new version has states without end where there is always one more.
        let is_finite = |bounds: &Bounds| bounds.duplicates == 0 || design_name != "blind";
        for (clients, bounds) in all_bounds.into_iter().filter(|(_, bounds)| is_finite(bounds)) {
            let simulation = ticketing(clients, bounds, orders, design);
            for property in properties::all().into_iter().filter(|property| names.contains(&property.name())) {
                let about = format!("{} of {design_name} within {bounds}", property.name());
                let expected = Enumeration::of(&simulation, &*property, bounds);
                let found = search(&simulation, &only(property.name()), bounds);
                let steps = found.failing.as_ref().map(|failing| failing.steps.len() as u32);
                assert_eq!(steps, expected.broken_after, "{about}");
                if found.failing.is_none() {
                    assert!(found.is_complete(), "{about}");
                    assert_eq!(found.stats.states, expected.states.len() as u64, "{about}");
                } else if bounds.lost_messages == Most::NONE {
                    broken.insert(design_name);
                }
            }
        }
    }
    assert_eq!(broken.into_iter().collect::<Vec<_>>(), ["blind", "course", "off by one"]);
}

#[test]
fn a_failing_run_is_played_again_by_a_script() {
    let clients: [&[&str]; 2] = [&["sue create t1 5", "sue edit t1 10"], &["ann order t1 as o1", "ann cancel o1"]];
    let bounds = Bounds { lost_acks: ONE, crashes: ONE, ..ANY };
    let simulation = ticketing(&clients, bounds, Design::COURSE.orders, Design::COURSE);
    let mut played = 0;
    for property in properties::promised_by(&Design::COURSE) {
        let judges = only(property.name());
        let Some(failing) = search(&simulation, &judges, bounds).failing else { continue };
        let mut script = Scripted::new(failing.steps.clone());
        let report =
            run(&mut simulation.world(), &mut script, &judges, Limits { steps_max: 100, ..Limits::default() }, &mut ());
        // With what changes nothing handed out again, a run with poison in it has no end.
        if property.name() != "NoPoison" {
            assert_eq!(report.verdict, failing.verdict);
            assert_eq!(report.steps, failing.steps.len() as u64);
        }
        played += 1;
    }
    assert!(played >= 3, "only {played} properties are broken");
}

#[test]
fn departures_are_counted_one_for_each_step_out_of_the_calm_order_and_one_for_each_fault() {
    let clients: [&[&str]; 1] = [&["ann create t1 5", "ann order t1 as o1", "ann cancel o1"]];
    let course = Design::COURSE;
    // The cancel is sent and delivered before the order is delivered: two steps.
    let ended = |departures, lost_acks| {
        let bounds = Bounds { departures: Most::Of(departures), lost_acks, ..ANY };
        let simulation = ticketing(&clients, bounds, course.orders, course);
        search(&simulation, &only("ReservationAgreement"), bounds).ended
    };
    assert_eq!([0, 1, 2].map(|departures| ended(departures, Most::NONE)), [Ended::All, Ended::All, Ended::Failing]);
    let poison = |departures| {
        let bounds = Bounds { departures: Most::Of(departures), lost_acks: Most::Any, ..ANY };
        let simulation = ticketing(&clients, bounds, course.orders, course);
        search(&simulation, &only("NoPoison"), bounds).ended
    };
    assert_eq!([0, 1].map(poison), [Ended::All, Ended::Failing]);
    let bounds = Bounds { departures: Most::NONE, ..ANY };
    let calm = search(&ticketing(&clients, bounds, course.orders, course), &only("NoPoison"), bounds);
    assert_eq!(calm.stats.states, u64::from(calm.stats.depth_max) + 1, "one run, one state after each step");
}

#[test]
fn the_result_does_not_depend_on_the_threads() {
    let clients: [&[&str]; 2] = [&["sue create t1 5", "sue edit t1 10"], &["ann order t1 as o1", "ann cancel o1"]];
    let all_bounds = [
        Bounds { lost_acks: ONE, ..ANY },
        Bounds { crashes: ONE, ..Bounds::of(DeliveryOrder::PerSubject) },
        Bounds { lost_acks: ONE, pauses: ONE, ..Bounds::of(DeliveryOrder::Lockstep) },
        Bounds { departures: Most::Of(3), lost_acks: ONE, ..ANY },
    ];
    let mut ended = BTreeSet::new();
    let cases = all_bounds.map(|bounds| [(Design::COURSE, bounds), (Design::REFERENCE, bounds)]);
    for (design, bounds) in cases.into_iter().flatten() {
        let simulation = ticketing(&clients, bounds, design.orders, design);
        for property in properties::promised_by(&Design::REFERENCE) {
            let judges = only(property.name());
            // What is told without regard to who came first.
            let told = |threads| {
                let found = Exhaust::new(&simulation, &judges).with_bounds(bounds).with_threads(threads).run();
                let states = found.is_complete().then_some(found.stats.states);
                (found.ended, states, found.failing, found.reduction)
            };
            let one = told(1);
            assert_eq!([one.clone(), one.clone()], [2, 5].map(told), "{} within {bounds}", property.name());
            ended.insert(one.0 == Ended::All);
        }
    }
    assert_eq!(ended.len(), 2, "some hold, and some do not");
}

#[test]
fn a_search_without_enough_memory_is_not_complete() {
    let clients: [&[&str]; 2] = [&["sue create t1 5", "sue edit t1 10"], &["ann order t1 as o1", "ann cancel o1"]];
    let simulation = ticketing(&clients, ANY, Design::REFERENCE.orders, Design::REFERENCE);
    let judges = Judges::new(properties::promised_by(&Design::REFERENCE));
    let within = |memory_max| Exhaust::new(&simulation, &judges).with_memory_max(memory_max).run();
    let (mut memory_max, mut most) = (1_000, 0);
    let complete = loop {
        let exhausted = within(memory_max);
        assert!(exhausted.stats.bytes <= memory_max, "{:?}", exhausted.stats);
        if exhausted.is_complete() {
            break exhausted.stats;
        }
        assert_eq!((exhausted.ended, exhausted.failing), (Ended::Memory, None));
        most = exhausted.stats.states;
        memory_max += memory_max / 4;
    };
    assert!(most > 0 && most < complete.states && memory_max > 10_000, "{most} states, then {complete:?}");
}

#[test]
fn worlds_that_grow_count_against_the_memory_of_a_search() {
    let simulation = {
        let shop = testing::service::<Shop>("shop").on_command(|Set(id, price), ctx| {
            ctx.publish(testing::Snapshot { id: *id, version: pellmell::Version(0), value: Price(*price) });
            Ok(())
        });
        let subjects = const { &[testing::Snapshot::<Price>::SUBJECT] };
        let echo = testing::service::<Shop>("echo").on_event(subjects, |event, ctx| {
            ctx.publish(testing::Snapshot { version: pellmell::Version(event.version.0 + 1), ..event.clone() });
            Outcome::Ack
        });
        let services = Simulation::on(DeliveryOrder::Any.profile()).service(shop).service(echo);
        services.client("ann", vec![Set(item(1), 1)]).build().expect("the parts fit")
    };
    for threads in [1, 2] {
        let judges = Judges::new(Vec::new());
        let exhaust = Exhaust::new(&simulation, &judges).with_memory_max(2 << 20).with_threads(threads);
        let exhausted = exhaust.run();
        assert_eq!((exhausted.ended, exhausted.failing), (Ended::Memory, None), "{:?}", exhausted.stats);
        // Each step of the way adds to the log, and to what it takes to go back.
        let (depth_max, bytes) = (exhausted.stats.depth_max, exhausted.stats.bytes);
        assert!((50..2_000).contains(&depth_max) && bytes <= 2 << 20, "{:?}", exhausted.stats);
    }
}

#[test]
fn a_handler_that_panics_is_a_failing_run() {
    let service = testing::service::<Shop>("shop").on_command(|_, ctx| {
        ctx.publish(testing::Snapshot { id: item(1), version: pellmell::Version(0), value: Price(0) });
        Ok(())
    });
    let subjects = const { &[testing::Snapshot::<Price>::SUBJECT] };
    let search_service = testing::service::<Shop>("search").on_event(subjects, |_, _| panic!("out of paper"));
    let simulation = Simulation::on(DeliveryOrder::Any.profile()).service(service).service(search_service);
    let simulation = simulation.client("ann", vec![Set(item(1), 1)]).build().expect("the parts fit");
    let failing = search(&simulation, &Judges::new(Vec::new()), ANY).failing.expect("it panics");
    assert_eq!(failing.verdict, Verdict::Panicked { message: "out of paper".to_owned() });
    assert_eq!((failing.steps.len(), failing.is_shortest), (2, true));
}

// Clients searched apart.

fn two_tickets(updates: u32) -> Simulation<W1> {
    let services = Simulation::on(DeliveryOrder::Any.profile()).service(Owner).service(Replica);
    let clients = (1..=2).map(|number| {
        let ticket = RecordId::new('t', number);
        (0..=updates).map(|update| SetPrice { ticket, price: 10 + update }).collect::<Vec<_>>()
    });
    let hosted =
        clients.zip(["ann", "bob"]).fold(services, |services, (commands, name)| services.client(name, commands));
    hosted.build().expect("the parts fit")
}

fn w1_judges() -> Judges<W1> {
    Judges::new(vec![Box::new(Prefix), Box::new(AckedApplied), Box::new(Converged)])
}

#[test]
fn two_tickets_have_the_product_of_their_states_together_and_the_sum_apart() {
    let bounds = Bounds { lost_acks: Most::Any, duplicates: 1, ..ANY };
    for updates in [1, 2, 3] {
        // Of a ticket with p versions published and a applied, each of the a is pending never, once or
        // twice, and each of the others once or twice; but the first one is applied when it is handed
        // out first, and cannot be pending twice before.
        let states = |published: u32| 3u64.pow(published + 1) - 2u64.pow(published + 1) - 2u64.pow(published) / 2;
        let of_one = (0..=updates + 1).map(states).sum::<u64>();
        let (simulation, judges) = (two_tickets(updates), w1_judges());
        let searched = |reduce| Exhaust::new(&simulation, &judges).with_bounds(bounds).with_reduction(reduce).run();
        let (together, apart) = (searched(false), searched(true));
        assert!(together.is_complete() && apart.is_complete());
        assert_eq!(together.stats.states, of_one * of_one);
        assert_eq!(apart.stats.states, 2 * of_one - 1);
        assert_eq!(
            (together.reduction, apart.reduction),
            (Reduction::None, Reduction::Clusters { clusters: 2, pairs: 10_000 })
        );
    }
}

struct Shop;

impl System for Shop {
    type Event = testing::Snapshot<Price>;
    type Command = Set;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
struct Price(u32);

impl Record for Price {
    const COLLECTION: &'static str = "items";
    const KIND: char = 'i';
}

#[derive(Clone, Debug, Hash, serde::Serialize)]
struct Set(RecordId, u32);

impl Command for Set {
    fn service(&self) -> &'static str {
        "shop"
    }

    fn record(&self) -> RecordId {
        self.0
    }
}

const fn item(number: u32) -> RecordId {
    RecordId::new('i', number)
}

/// A shop whose search keeps, instead of a price, what `copy` makes of the price and the store.
fn shop(copy: impl Fn(u32, &pellmell::Store) -> u32 + Send + Sync + 'static) -> Simulation<Shop> {
    let policy = VersionPolicy::EVERY_SAVE;
    let shop = testing::service::<Shop>("shop").owns::<Price>(policy).on_command(|Set(id, price), ctx| {
        let held = ctx.store.find::<Price>(*id).map(|held| held.version);
        let version = ctx.store.overwrite(*id, Price(*price), held);
        ctx.publish(testing::Snapshot { id: *id, version, value: Price(*price) });
        Ok(())
    });
    let subjects = const { &[testing::Snapshot::<Price>::SUBJECT] };
    let search = testing::service::<Shop>("search").keeps::<Price>(policy).on_event(subjects, move |event, ctx| {
        let price = copy(event.value.0, ctx.store);
        let held = ctx.store.find::<Price>(event.id).map(|held| held.version);
        ctx.store.overwrite(event.id, Price(price), held);
        Outcome::Ack
    });
    let services = Simulation::on(DeliveryOrder::Any.profile()).service(shop).service(search);
    let clients = services.client("ann", vec![Set(item(1), 5)]).client("bob", vec![Set(item(2), 7)]);
    clients.build().expect("the parts fit")
}

/// Whenever nothing is under way, search does not hold this of an item.
fn never(number: u32, price: u32) -> Judges<Shop> {
    let never = testing::at_quiescence::<Shop>("Never", move |moment| {
        match moment.store_of("search").find::<Price>(item(number)) {
            Some(held) if held.value.0 == price => Err(Violation::at("search").of(item(number))),
            _ => Ok(()),
        }
    });
    Judges::new(vec![never])
}

/// No step of these kinds looks like this.
struct StepNever<S: System> {
    watches: Watch,
    look: Box<Look<S>>,
}

type Look<S> = dyn Fn(&View<'_, S>) -> bool + Send + Sync;

impl<S: System> Property<S> for StepNever<S> {
    fn name(&self) -> &'static str {
        "StepNever"
    }

    fn watches(&self) -> Watch {
        self.watches
    }

    fn on_step(&self, view: &View<'_, S>) -> Result<(), Violation> {
        if (self.look)(view) { Err(Violation::at(view.service())) } else { Ok(()) }
    }
}

/// After how many steps a run first looks like this, in which search and enumeration must agree.
fn first_look<S: System>(
    simulation: &Simulation<S>,
    bounds: Bounds,
    watches: Watch,
    look: impl Fn(&View<'_, S>) -> bool + Send + Sync + Copy + 'static,
) -> Option<u32> {
    let never = || StepNever { watches, look: Box::new(look) };
    let judges = Judges::new(vec![Box::new(never())]);
    let exhaust = Exhaust::new(simulation, &judges).with_bounds(bounds).with_reduction(false);
    let steps = exhaust.run().failing.map(|failing| failing.steps.len() as u32);
    assert_eq!(steps, Enumeration::of(simulation, &never(), bounds).broken_after);
    steps
}

/// A step like one that was judged before is not judged again; but this is not in the stores.
#[test]
fn a_property_that_looks_beyond_the_stores_judges_each_step() {
    let simulation = two_tickets(1);
    let bounds = Bounds { lost_acks: ONE, duplicates: 1, ..ANY };
    let mut broken = BTreeSet::new();
    for bits in 0..64 {
        let look = move |view: &View<'_, W1>| view.world().broker().digest() % 64 == bits;
        broken.insert(first_look(&simulation, bounds, Watch::ACKS, look));
    }
    assert!(broken.len() > 3, "{broken:?}");
}

/// A shop that publishes a `C` and two `A`s; a relay that publishes a `B` for each `A` and saves
/// nothing; another that publishes a `B` when it gets `C` again; and two that do nothing, so that a step
/// of the relay's is taken in worlds that differ elsewhere.
fn relayed() -> Simulation<Relayed> {
    let shop = testing::service::<Relayed>("shop").on_command(|Set(id, _), ctx| {
        "caa".chars().for_each(|letter| ctx.publish(Sent(letter, *id)));
        Ok(())
    });
    let relay = testing::service::<Relayed>("relay").on_event(&[A], |Sent(_, id), ctx| {
        ctx.publish(Sent('b', *id));
        Outcome::Ack
    });
    let policy = VersionPolicy::EVERY_SAVE;
    let other = testing::service::<Relayed>("other").keeps::<Price>(policy).on_event(&[C], |Sent(_, id), ctx| {
        match ctx.store.find::<Price>(*id) {
            Some(_) => ctx.publish(Sent('b', *id)),
            None => _ = ctx.store.overwrite(*id, Price(1), None),
        }
        Outcome::Ack
    });
    let idle = |name| testing::service::<Relayed>(name).on_event(&[C], |_, _| Outcome::Ack);
    let services = Simulation::on(DeliveryOrder::Any.profile()).service(shop).service(other);
    let services = services.service(idle("one")).service(idle("two")).service(relay);
    services.client("ann", vec![Set(item(1), 1)]).redeliver_futile(true).build().expect("the parts fit")
}

struct Relayed;

impl System for Relayed {
    type Event = Sent;
    type Command = Set;
}

#[derive(Clone, Debug, Hash, serde::Serialize)]
struct Sent(char, RecordId);

const A: Subject = Subject::new("a:sent");
const B: Subject = Subject::new("b:sent");
const C: Subject = Subject::new("c:sent");

impl Event for Sent {
    fn subject(&self) -> Subject {
        match self.0 {
            'a' => A,
            'b' => B,
            _ => C,
        }
    }

    fn record(&self) -> RecordId {
        self.1
    }

    fn version(&self) -> Option<Version> {
        None
    }
}

type RelayLook = fn(&View<'_, Relayed>) -> bool;

#[test]
fn a_step_is_judged_wherever_a_view_shows_something_else() {
    let looks: [(Watch, RelayLook); 6] = [
        (Watch::PUBLISHES, |view| view.published().iter().any(|message| message.name.nth > 2)),
        (Watch::PUBLISHES, |view| view.step.published.end > 5),
        (Watch::ACKS, |view| view.world().clone().broker().messages().len() > 5),
        (Watch::ACKS, |view| view.world().broker().messages().len() > 5),
        (Watch::ACKS, |view| view.store_of("other").changes::<Price>().count() > 0),
        (Watch::ACKS, |view| view.effects() > 1),
    ];
    let (simulation, bounds) = (relayed(), Bounds { lost_acks: ONE, ..ANY });
    let broken = looks.map(|(watches, look)| {
        first_look(&simulation, bounds, watches, move |view| view.service() == "relay" && look(view))
    });
    assert_eq!(broken, [Some(4), Some(4), Some(4), Some(4), Some(3), None]);
}

#[test]
fn a_handler_that_keeps_something_outside_of_its_store_is_found_out() {
    let calls = Arc::new(AtomicU32::new(0));
    let simulation = shop(move |price, _| price + calls.fetch_add(1, Relaxed));
    // What search holds for the first item does not depend on whether the second one was lost.
    let (judges, bounds) = (never(1, u32::MAX), Bounds { lost_messages: ONE, ..ANY });
    let found = Exhaust::new(&simulation, &judges).with_bounds(bounds).with_reduction(false).run();
    let Some(Verdict::Panicked { message }) = found.failing.map(|failing| failing.verdict) else { panic!("it held") };
    assert!(message.contains("the same event at the same state of its store did not do the same"), "{message}");
}

#[test]
fn clients_whose_records_meet_are_searched_together_and_nothing_is_missed() {
    let honest = shop(|price, _| price);
    let apart = search(&honest, &never(1, 12), ANY);
    assert!(matches!(apart.reduction, Reduction::Clusters { clusters: 2, .. }) && apart.is_complete());

    // A handler that reads the record of another client.
    let reads = |price, store: &pellmell::Store| price + store.find::<Price>(item(2)).map_or(0, |other| other.value.0);
    let found = search(&shop(reads), &never(1, 12), ANY);
    let Reduction::Dependent(dependence) = &found.reduction else { panic!("{:?}", found.reduction) };
    assert_eq!(dependence.what, "the state they lead to");
    assert_eq!(found.failing.map(|failing| failing.steps.len()), Some(4));

    // A counter that all handlers share, outside of any store.
    let calls = Arc::new(AtomicU32::new(0));
    let counts = search(&shop(move |_, _| calls.fetch_add(1, Relaxed)), &never(1, u32::MAX), ANY);
    assert!(matches!(counts.reduction, Reduction::Dependent(_)), "{:?}", counts.reduction);
}

#[test]
fn a_record_that_two_clients_write_without_naming_it_puts_them_together() {
    let total = item(9);
    let policy = VersionPolicy::EVERY_SAVE;
    // The sum does not depend on the order in which it is added up.
    let adds = testing::service::<Shop>("shop").owns::<Price>(policy).on_command(move |Set(_, price), ctx| {
        let held = ctx.store.find::<Price>(total).map(|held| (held.version, held.value.0));
        let (version, sum) = held.unzip();
        ctx.store.overwrite(total, Price(sum.unwrap_or(0) + price), version);
        Ok(())
    });
    let simulation = Simulation::on(DeliveryOrder::Any.profile()).service(adds);
    let simulation = simulation.client("ann", vec![Set(item(1), 5)]).client("bob", vec![Set(item(2), 5)]);
    let simulation = simulation.build().expect("the parts fit");
    let both =
        testing::at_quiescence::<Shop>("NotTen", move |moment| match moment.store_of("shop").find::<Price>(total) {
            Some(held) if held.value.0 == 10 => Err(Violation::at("shop").of(total)),
            _ => Ok(()),
        });
    let found = search(&simulation, &Judges::new(vec![both]), ANY);
    assert_eq!(found.failing.map(|failing| failing.steps.len()), Some(2));
    assert_eq!(found.reduction, Reduction::None);
}

#[test]
fn a_property_that_judges_several_clusters_together_is_searched_together() {
    let sum = testing::at_quiescence::<Shop>("NotTwelve", |moment| {
        let prices = moment.store_of("search").all::<Price>().map(|(_, held)| held.value.0);
        if prices.sum::<u32>() == 12 { Err(Violation::at("search")) } else { Ok(()) }
    });
    let found = search(&shop(|price, _| price), &Judges::new(vec![sum]), ANY);
    assert_eq!(found.failing.map(|failing| failing.steps.len()), Some(4));
    assert_eq!(found.reduction, Reduction::Refused("properties judge records of several clusters together"));
}

#[test]
fn clients_are_not_searched_apart_where_something_couples_all_records() {
    let orders: [&[&str]; 2] = [&["ann create t1 5", "ann order t1 as o1"], &["bob create t2 5", "bob order t2 as o2"]];
    let edits: [&[&str]; 2] = [&["ann create t1 5", "ann edit t1 6"], &["bob create t2 5", "bob edit t2 6"]];
    let reference = Design::REFERENCE;
    let reduction = |clients: &[&[&str]], bounds| {
        let simulation = ticketing(clients, bounds, reference.orders, reference);
        let judges = Judges::new(properties::promised_by(&reference));
        let exhausted = search(&simulation, &judges, bounds);
        assert!(exhausted.is_complete());
        exhausted.reduction
    };
    assert!(matches!(reduction(&edits, ANY), Reduction::Clusters { clusters: 2, .. }));
    // An order expires so long after it was made, and every command takes time.
    assert!(matches!(reduction(&orders, ANY), Reduction::Dependent(_)));
    let per_subject = Bounds::of(DeliveryOrder::PerSubject);
    assert!(matches!(reduction(&edits, per_subject), Reduction::Refused(_)));
    let few = Bounds { departures: ONE, ..ANY };
    assert!(matches!(reduction(&edits, few), Reduction::Refused(_)));
    assert!(matches!(reduction(&edits, Bounds { pauses: ONE, ..ANY }), Reduction::Refused(_)));
}
