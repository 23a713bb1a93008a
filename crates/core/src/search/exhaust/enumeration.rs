//! The complete search on a simulation's own broker against a plain enumeration, which tries every action with every
//! fate and takes two worlds for one only if all that is in them is the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Write};
use std::hash::Hasher;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::worker::key;
use super::*;
use crate::broker::{Dispatch, Exhausted, InFlight, Limit, MaxDeliver, Ordering, Profile, RedeliverAt, Scope, Stale};
use crate::erratic::{Temper, drawn};
use crate::extract::extract;
use crate::faults::{AckFate, Fate, MemberChange, Window};
use crate::hash::{self, StableHasher};
use crate::ids::{RecordId, ServiceIndex};
use crate::property::{End, Moment, Property, View, Violation, Watch};
use crate::scheduler::Tie;
use crate::service::{Outcome, Rejection};
use crate::simulation::Hosting;
use crate::store::{Record, VersionPolicy};
use crate::testing::{self, Snapshot};

/// What a run may still meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    acks: u8,
    crashes: u8,
    pauses: u8,
    messages: u8,
    changes: u8,
    broker_failures: u8,
    /// Of the calm run; `None`: any number.
    departures: Option<u8>,
}

impl Left {
    fn of(bounds: &Bounds) -> Left {
        let number = |most: Most| match most {
            Most::Of(number) => number,
            Most::Any => panic!("the enumeration counts"),
        };
        Left {
            acks: number(bounds.lost_acks),
            crashes: number(bounds.crashes),
            pauses: number(bounds.pauses),
            messages: number(bounds.lost_messages),
            changes: number(bounds.changes),
            broker_failures: number(bounds.broker_failures),
            departures: Some(bounds.departures).filter(|most| *most != Most::Any).map(number),
        }
    }

    fn spend(self, fate: Fate, is_next: bool) -> Option<Left> {
        let Fate { ack, crash, pause, duplicate, lose, fetch, change, .. } = fate;
        let faults = [ack != AckFate::Prompt, crash.is_some(), pause, duplicate, lose, fetch > 0, change.is_some()];
        let departs = faults.into_iter().chain([!is_next]).filter(|departs| *departs).count() as u8;
        let departures = match self.departures {
            None => None,
            Some(left) => Some(left.checked_sub(departs)?),
        };
        let is_of = |kind: &[MemberChange]| u8::from(change.is_some_and(|change| kind.contains(&change)));
        Some(Left {
            departures,
            acks: self.acks.checked_sub((fate.ack != AckFate::Prompt).into())?,
            crashes: self.crashes.checked_sub(fate.crash.is_some().into())?,
            pauses: self.pauses.checked_sub(fate.pause.into())?,
            messages: self.messages.checked_sub(u8::from(lose) + is_of(&MemberChange::OF_LOGS))?,
            changes: self.changes.checked_sub(is_of(&MemberChange::OF_MEMBERS))?,
            broker_failures: { self.broker_failures.checked_sub(change.is_some_and(MemberChange::is_failure).into())? },
        })
    }
}

/// Every fate that an action can have.
fn fates<S: System>(world: &World<S>, action: Action, bounds: &Bounds) -> Vec<Fate> {
    let Some(chosen) = world.chosen(action) else { return vec![Fate::CALM] };
    let copies = |index| {
        let broker = world.broker();
        let same = |other: &crate::broker::DeliveryIndex| {
            let (one, two) = (broker.delivery(index), broker.delivery(*other));
            (one.message, one.group) == (two.message, two.group)
        };
        broker.open().filter(same).count()
    };
    let may_copy = matches!(action, Action::Deliver(index) if copies(index) <= bounds.duplicates.into());
    let windows: &[Window] = if chosen.is_delivery { &Window::ALL } else { &Window::ALL[..3] };
    let crashes = || std::iter::once(None).chain(windows.iter().copied().map(Some));
    // Nobody tells the broker to put dead letters back.
    let told = |change: &MemberChange| *change != MemberChange::Redrive;
    let changes = || std::iter::once(None).chain(MemberChange::all().filter(told).map(Some));
    let mut fates = Vec::new();
    for ack in [AckFate::Prompt, AckFate::Late, AckFate::Lost] {
        for crash in crashes() {
            for change in changes() {
                for flags in 0..8 {
                    for fetch in 0..=bounds.fetched {
                        let (pause, duplicate, lose) = (flags & 1 > 0, flags & 2 > 0, flags & 4 > 0);
                        let fate = Fate { ack, crash, pause, duplicate, lose, fetch, change, ..Fate::CALM };
                        if chosen.restrict(fate) == fate && (may_copy || !duplicate) {
                            fates.push(fate);
                        }
                    }
                }
            }
        }
    }
    fates
}

/// Hashes what is written.
struct Hashed(StableHasher);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// All that is in a world but for how it came there.
fn all_of<S: System>(world: &World<S>) -> u64 {
    let mut hashed = Hashed(StableHasher::default());
    world.write_all(&mut hashed).expect("nothing fails");
    hashed.0.finish()
}

/// Goes through all runs within the bounds, those with the fewest steps first, and asks the judges about each moment;
/// returns how many worlds there are, or `None` if there are too many.
fn enumerate<S: System>(simulation: &Simulation<S>, seen: &Arc<Seen>, bounds: &Bounds, most: usize) -> Option<usize> {
    let judges = Judges::new(vec![Box::new(Noting(Arc::clone(seen)))]);
    let mut known = BTreeSet::new();
    let mut open = VecDeque::from([(simulation.world(), Left::of(bounds), 0)]);
    while let Some((world, left, steps)) = open.pop_front() {
        if !known.insert((all_of(&world), format!("{left:?}"))) {
            continue;
        }
        if known.len() > most {
            return None;
        }
        seen.depth.store(steps, Relaxed);
        let is_still = world.is_still();
        let is_over = is_still && world.is_finished() || world.enabled().is_empty();
        let is_at_rest = is_still && world.enabled().absent.is_empty() && world.is_quiescent();
        if is_over {
            judges.at_end(&End::new(&world, false)).expect("nothing is wrong");
        }
        if is_over || is_at_rest {
            judges.at_quiescence(&world).expect("nothing is wrong");
        }
        seen.depth.store(steps + 1, Relaxed);
        for action in world.enabled().iter().filter(|_| !is_over) {
            for fate in fates(&world, action, bounds) {
                let Some(left) = left.spend(fate, world.enabled().calm() == Some(action)) else { continue };
                let mut next = world.clone();
                let step = step_apart(&mut next, action, fate);
                judges.on_step(&next, &step).expect("nothing is wrong");
                open.push_back((next, left, steps + 1));
            }
        }
    }
    Some(known.len())
}

/// Notes what it is asked about, each with the fewest steps that lead there, and finds one of so many moments wrong.
#[derive(Default)]
struct Seen {
    depth: AtomicUsize,
    moments: Mutex<BTreeMap<String, usize>>,
    wrong: Option<u64>,
    /// After so many moments the next one is wrong, so that a search ends.
    most: Option<usize>,
}

/// One of how many moments is wrong.
const KINDS: u64 = 40;

fn kind_of(moment: &str) -> u64 {
    hash::of(moment) % KINDS
}

impl Seen {
    fn note(&self, moment: String) -> Result<(), Violation> {
        let is_wrong = self.wrong == Some(kind_of(&moment));
        let depth = self.depth.load(Relaxed);
        let mut moments = self.moments.lock().expect("nobody panics");
        moments.entry(moment).and_modify(|before| *before = depth.min(*before)).or_insert(depth);
        if is_wrong || self.most.is_some_and(|most| moments.len() > most) { Err(Violation::at("here")) } else { Ok(()) }
    }

    fn all(&self) -> BTreeMap<String, usize> {
        self.moments.lock().expect("nobody panics").clone()
    }
}

/// What stores hold, and what of the messages is open or dead.
fn held<S: System>(world: &World<S>) -> String {
    let broker = world.broker();
    let services = 0..world.simulation().service_names().count();
    let stores: Vec<u64> = services.map(|place| world.store(ServiceIndex(place as u16)).digest()).collect();
    let name = |index| broker.message(broker.delivery(index).message).name.to_string();
    let mut open: Vec<String> = broker.open().map(name).collect();
    open.sort_unstable();
    format!("{stores:x?} {open:?}, {} dead of {}", broker.dead().len(), broker.messages().len())
}

struct Noting(Arc<Seen>);

impl<S: System> Property<S> for Noting {
    fn name(&self) -> &'static str {
        "Noting"
    }

    fn watches(&self) -> Watch {
        Watch::ALL
    }

    fn on_step(&self, view: &View<'_, S>) -> Result<(), Violation> {
        self.0.note(format!("step {:?} {}", view.step.answer, held(view.world())))
    }

    fn at_quiescence(&self, moment: &Moment<'_, S>) -> Result<(), Violation> {
        self.0.note(format!("rest {}", held(moment.world())))
    }

    fn at_end(&self, end: &End<'_, S>) -> Result<(), Violation> {
        self.0.note(format!("end {}", held(end.world())))
    }
}

fn noting<S: System>(wrong: Option<u64>, most: Option<usize>) -> (Arc<Seen>, Judges<S>) {
    let seen = Arc::new(Seen { wrong, most, ..Seen::default() });
    (Arc::clone(&seen), Judges::new(vec![Box::new(Noting(seen))]))
}

/// What searches and enumerations came to.
#[derive(Clone, Copy, Debug, Default)]
struct Compared {
    worlds: usize,
    states: u64,
    moments: usize,
    /// Runs that fail, and those of them that departures tell.
    failing: u32,
    told: u32,
}

impl Compared {
    fn add(&mut self, other: Compared) {
        self.worlds += other.worlds;
        self.states += other.states;
        self.moments += other.moments;
        self.failing += other.failing;
        self.told += other.told;
    }
}

/// Compares the search with the enumeration: all steps, moments at rest and ends, and, for two kinds of moments that
/// must not be, the verdict and how short the shortest run is; which must fail again when a run plays its steps.
/// `None` if there are more than so many moments, or too many worlds to enumerate.
fn compare<S: System>(simulation: &Simulation<S>, bounds: &Bounds, most: usize, words: &str) -> Option<Compared> {
    let (seen, judges) = noting::<S>(None, Some(most));
    let search = Exhaust::new(simulation, &judges).with_bounds(*bounds);
    let result = search.with_first_failing(true).with_memory_max(1 << 20).run();
    // Or some run has no end.
    if result.ended != Ended::All {
        return None;
    }
    let plain = Arc::new(Seen::default());
    let worlds = enumerate(simulation, &plain, bounds, 8 * most)?;
    let (plain, seen) = (plain.all(), seen.all());
    let missing: Vec<&String> = plain.keys().filter(|moment| !seen.contains_key(*moment)).take(3).collect();
    let more: Vec<&String> = seen.keys().filter(|moment| !plain.contains_key(*moment)).take(3).collect();
    let is_same = missing.is_empty() && more.is_empty();
    assert!(is_same, "{words}: the search misses {missing:#?} and has besides {more:#?}");
    let mut compared = Compared { worlds, states: result.stats.states, moments: plain.len(), ..Compared::default() };
    for wrong in [0, 1, 2] {
        let shortest = plain.iter().filter(|(moment, _)| kind_of(moment) == wrong).map(|(_, depth)| *depth).min();
        let (_, judges) = noting::<S>(Some(wrong), None);
        let failing = Exhaust::new(simulation, &judges).with_bounds(*bounds).run().failing;
        let steps = failing.as_ref().map(|failing| failing.steps.len());
        assert_eq!(steps, shortest, "{words}: {wrong} is wrong: {failing:#?}");
        let Some(failing) = failing else { continue };
        let mut scripted = Scripted::new(failing.steps.clone());
        let report = run(&mut simulation.world(), &mut scripted, &judges, Limits::default(), &mut ());
        let of_run = (report.verdict.clone(), report.steps as usize);
        assert_eq!(of_run, (failing.verdict.clone(), failing.steps.len()), "{words}: {wrong}: {:#?}", failing.names);
        compared.failing += 1;
        let scripted = Scripted::new(failing.steps.clone());
        let extracted = extract(simulation, scripted, &judges, Limits::default(), Tie::InOrder);
        compared.told += u32::from(extracted.is_ok_and(|told| told.report.verdict == failing.verdict));
    }
    Some(compared)
}

/// Parameter brokers of all kinds.
fn parameter_brokers() -> Vec<(&'static str, Profile)> {
    let stan = Profile::stan;
    let wait = |seconds: &[u64]| seconds.iter().map(|seconds| Duration::from_secs(*seconds)).collect::<Vec<_>>();
    let one = |scope| InFlight { limit: Limit::Of(1), scope };
    let given_up = MaxDeliver::Times { times: 2, action: Exhausted::DeadLetter };
    let rejects = |mut profile: Profile| {
        profile.ack.stale = Stale::Reject;
        profile
    };
    vec![
        ("stan", stan()),
        ("adversarial", Profile::adversarial()),
        ("jetstream", Profile::named("jetstream").expect("it ships")),
        ("rabbitmq-quorum", Profile::named("rabbitmq-quorum").expect("it ships")),
        ("window 1", Profile { max_in_flight: one(Scope::Group), ..stan() }),
        ("window 1, back", Profile { max_in_flight: one(Scope::Member), redeliver_at: RedeliverAt::Back, ..stan() }),
        (
            "keys, original",
            Profile {
                ordering: Ordering::Key { partitions: None },
                redeliver_at: RedeliverAt::Original,
                dispatch: Dispatch::Exclusive,
                naks: true,
                ..stan()
            },
        ),
        (
            "no order, waits",
            Profile {
                ordering: Ordering::None,
                reorder_window: Limit::Unlimited,
                redeliver_at: RedeliverAt::Any,
                ..stan()
            },
        ),
        ("given up", Profile { max_deliver: given_up, naks: true, ack_wait: wait(&[1, 5]), ..stan() }),
        ("no waits, given up", Profile { max_deliver: given_up, ..Profile::adversarial() }),
        ("stale acks rejected", rejects(Profile { ack_wait: wait(&[0, 3]), ..stan() })),
        (
            "window of 2, partitions",
            Profile {
                ordering: Ordering::Key { partitions: Some(1) },
                reorder_window: Limit::Of(1),
                max_in_flight: InFlight { limit: Limit::Of(2), scope: Scope::Member },
                ..stan()
            },
        ),
        ("waits for ever", Profile { ack_wait: Vec::new(), ..stan() }),
    ]
}

fn all_bounds() -> [Bounds; 7] {
    let one = Most::Of(1);
    let none = Bounds::of(DeliveryOrder::Broker);
    [
        none,
        Bounds { lost_acks: one, ..none },
        Bounds { crashes: one, ..none },
        // Of a message that is duplicated again and again there are runs without end.
        Bounds { duplicates: 1, lost_messages: one, departures: Most::Of(2), ..none },
        Bounds { pauses: one, departures: Most::Of(3), ..none },
        Bounds { changes: one, fetched: 1, ..none },
        Bounds { broker_failures: one, lost_messages: one, ..none },
    ]
}

/// A system that counts: `shop` counts up, and `copy` follows, version by version.
struct Counting;

impl System for Counting {
    type Event = Snapshot<Count>;
    type Command = Up;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
struct Count(u32);

impl Record for Count {
    const COLLECTION: &'static str = "counts";
    const KIND: char = 'c';
}

#[derive(Clone, Debug, Hash, serde::Serialize)]
struct Up(RecordId);

impl crate::event::Command for Up {
    fn service(&self) -> &'static str {
        "shop"
    }

    fn record(&self) -> RecordId {
        self.0
    }
}

/// Two commands about one record, and so many members of `copy`, which say nothing or nak if a version is missing, or
/// if the shop, which they may ask, is at another one.
fn counting(profile: Profile, members: u16, naks: bool, asks: bool) -> Simulation<Counting> {
    let hosting = Hosting { members, overlapping: members == 1, ..Hosting::ALONE };
    counting_hosted(profile, hosting, naks, asks)
}

/// The same, where `copy` is hosted so.
fn counting_hosted(profile: Profile, hosting: Hosting, naks: bool, asks: bool) -> Simulation<Counting> {
    let policy = VersionPolicy::EVERY_SAVE;
    let shop = testing::service::<Counting>("shop").owns::<Count>(policy).on_command(|Up(id), ctx| {
        let held = ctx.store.find::<Count>(*id).map(|held| (held.version, held.value.0));
        let count = held.map_or(1, |(_, count)| count + 1);
        let version = ctx.store.overwrite(*id, Count(count), held.map(|(version, _)| version));
        ctx.publish(Snapshot { id: *id, version, value: Count(count) });
        Ok::<(), Rejection>(())
    });
    let subjects = const { &[Snapshot::<Count>::SUBJECT] };
    let copy = testing::service::<Counting>("copy").keeps::<Count>(policy).asking(if asks { &["shop"] } else { &[] });
    let copy = copy.on_event(subjects, move |event, ctx| {
        if asks
            && ctx.ask::<Count>("shop", event.id).is_ok_and(|told| told.is_none_or(|told| told.value != event.value))
        {
            return if naks { Outcome::nak("it is another one") } else { Outcome::Silent("it is another one") };
        }
        let held = ctx.store.find::<Count>(event.id).map(|held| (held.version, held.value.0));
        match held.map_or(0, |(_, count)| count) {
            count if event.value.0 <= count => Outcome::Ack,
            count if event.value.0 == count + 1 => {
                ctx.store.overwrite(event.id, event.value.clone(), held.map(|(version, _)| version));
                Outcome::Ack
            }
            _ if naks => Outcome::nak("too early"),
            _ => Outcome::Silent("too early"),
        }
    });
    let clients = Simulation::on(profile).service(shop).hosted(copy, hosting);
    let id = RecordId::new('c', 1);
    clients.client("ann", vec![Up(id), Up(id)]).build().expect("the parts fit")
}

fn brokers() -> impl Iterator<Item = (&'static str, Profile)> {
    let engines = Profile::NAMES.iter().map(|name| (*name, Profile::named(name).expect("it ships")));
    let engines = engines.filter(|(_, profile)| profile.engine.is_some());
    parameter_brokers().into_iter().chain(engines)
}

#[test]
fn on_every_broker_the_search_finds_all_that_a_plain_enumeration_of_a_counter_finds() {
    let mut all = Compared::default();
    for (name, profile) in brokers() {
        let before = all;
        for (members, naks, asks) in [(1, false, false), (2, true, false), (1, false, true)] {
            let simulation = counting(profile.clone(), members, naks, asks);
            for bounds in all_bounds() {
                let words = format!("{name}, {members} members{}: {bounds}", if asks { ", who ask" } else { "" });
                all.add(compare(&simulation, &bounds, 60, &words).unwrap_or_default());
            }
        }
        let (worlds, failing) = (all.worlds - before.worlds, all.failing - before.failing);
        assert!(worlds > 50 && failing > 0, "little is compared on {name}: {worlds} worlds, {failing} failing runs");
    }
    assert!(all.failing > 60, "{all:?}");
    assert_eq!(all.told, all.failing, "a schedule can tell each of them");
}

#[test]
fn where_handlers_work_for_some_time_the_search_finds_all_that_a_plain_enumeration_finds() {
    let mut all = Compared::default();
    for (name, profile) in brokers() {
        let before = all;
        // Some leases end meanwhile; where late acks do not count, not each time.
        let takes = Some(Duration::from_secs(if name == "stale acks rejected" { 2 } else { 4 }));
        for (hosting, naks) in [(Hosting::ALONE, false), (Hosting { members: 2, ..Hosting::ALONE }, true)] {
            let hosting = Hosting { takes, ..hosting };
            let simulation = counting_hosted(profile.clone(), hosting, naks, false);
            for bounds in all_bounds() {
                let words = format!("{name}, {} members who work: {bounds}", simulation.inner.services[1].members);
                all.add(compare(&simulation, &bounds, 60, &words).unwrap_or_default());
            }
        }
        assert!(all.worlds > before.worlds, "nothing is compared on {name}");
    }
    assert!(all.worlds > 500 && all.failing > 20, "{all:?}");
    assert_eq!(all.told, all.failing, "a schedule can tell each of them");
}

#[test]
fn the_search_finds_all_that_a_plain_enumeration_of_any_services_finds() {
    let mut all = Compared::default();
    // Some of each kind: with all of them it takes minutes.
    for (place, (name, profile)) in brokers().enumerate().step_by(4) {
        // Other services on each, of which one client asks for something.
        let seed = place as u64;
        let simulation = drawn(Temper::BRIEF, profile, seed).redeliver_futile(false);
        // Where one order is kept over all that a group gets, services cannot share it.
        let Ok(simulation) = simulation.build() else { continue };
        let simulation = simulation.keeping(|index| index.client == 0);
        for bounds in all_bounds() {
            let words = format!("{name}, seed {seed}: {bounds}");
            all.add(compare(&simulation, &bounds, 40, &words).unwrap_or_default());
        }
    }
    assert!(all.worlds > 200 && all.moments > 100 && all.failing > 0, "{all:?}");
}

/// What may come next in a world and what comes of it, and so on for three steps, of which the first meets any fault.
/// How often a message was delivered is left out: handlers that look at it are outside of what the search promises.
fn goes_on<S: System>(world: &World<S>, bounds: &Bounds, steps: u32) -> Vec<String> {
    let mut all = Vec::new();
    for action in world.enabled().iter().filter(|_| steps > 0) {
        let what = world.target(action).map_or_else(|| format!("{action:?}"), |target| target.to_string());
        let what = what.split(" #").next().unwrap_or_default();
        for fate in if steps == STEPS { fates(world, action, bounds) } else { vec![Fate::CALM] } {
            let mut next = world.clone();
            let step = step_apart(&mut next, action, fate);
            let then = goes_on(&next, bounds, steps - 1);
            all.push(format!("{what}, {fate:?}: {:?} {} {then:?}", step.answer, held(&next)));
        }
    }
    all.sort_unstable();
    all
}

/// How many steps of worlds with one key are compared.
const STEPS: u32 = 3;

/// Looks whether the key of a state tells apart what goes on in different ways: visits the worlds of runs within the
/// bounds, and of those that have one key compares all that may come next. Says how many worlds there are, and how
/// many have a key that another one has.
fn compare_keys<S: System>(simulation: &Simulation<S>, bounds: &Bounds, most: usize, words: &str) -> (usize, usize) {
    let (mut known, mut worlds) = (BTreeSet::new(), BTreeSet::new());
    let mut of_key: BTreeMap<u64, (World<S>, Option<Vec<String>>)> = BTreeMap::new();
    let mut open = VecDeque::from([(simulation.world(), Left::of(bounds))]);
    let mut alike = 0;
    while let Some((world, left)) = open.pop_front().filter(|_| worlds.len() < most) {
        let all = all_of(&world);
        if !known.insert((all, format!("{left:?}"))) {
            continue;
        }
        for action in world.enabled().iter() {
            for fate in fates(&world, action, bounds) {
                let Some(left) = left.spend(fate, world.enabled().calm() == Some(action)) else { continue };
                let mut next = world.clone();
                step_apart(&mut next, action, fate);
                open.push_back((next, left));
            }
        }
        if !worlds.insert(all) {
            continue;
        }
        let key = key(&world, bounds, world.broker().has_rotation(), world.digest());
        let Some((other, before)) = of_key.get_mut(&key) else {
            of_key.insert(key, (world, None));
            continue;
        };
        let (before, next) =
            (&*before.get_or_insert_with(|| goes_on(other, bounds, STEPS)), goes_on(&world, bounds, STEPS));
        let differ: Vec<_> = before.iter().zip(&next).filter(|(one, other)| one != other).take(2).collect();
        let is_same = differ.is_empty() && before.len() == next.len();
        assert!(is_same, "{words}: two worlds have the key {key:x}, and then: {differ:#?}");
        alike += 1;
    }
    (worlds.len(), alike)
}

#[test]
fn on_every_broker_states_of_one_key_go_on_in_the_same_way() {
    let one = Most::Of(1);
    let bounds =
        Bounds { lost_acks: one, changes: one, broker_failures: one, fetched: 1, ..Bounds::of(DeliveryOrder::Broker) };
    let (mut worlds, mut alike) = (0, 0);
    // The others are searched in an order that is not theirs.
    let own = |profile: &Profile| DeliveryOrder::Broker.on(profile) == DeliveryOrder::Broker;
    for (name, profile) in brokers().filter(|(_, profile)| own(profile)) {
        for (members, naks) in [(1, false), (2, true)] {
            let simulation = counting(profile.clone(), members, naks, naks);
            let found = compare_keys(&simulation, &bounds, 150, &format!("{name}, {members} members"));
            (worlds, alike) = (worlds + found.0, alike + found.1);
        }
    }
    assert!(worlds > 4000 && alike > 1000, "{worlds} worlds, {alike} of them with a key that another one has");
}
