//! Going back against clones.

use std::fmt;

use super::*;
use crate::broker::{Ordering, Profile, RedeliverAt};
use crate::erratic::{Bid, Erratic, NAMES, Row, Temper, drawn};
use crate::faults::{Fate, MemberChange};
use crate::prng::{Prng, Stream};
use crate::run::step_apart;
use crate::scheduler::Action;
use crate::simulation::{Sending, Simulation};
use crate::world::Host;

impl World<Erratic> {
    /// All that is in it, and its digest.
    fn shown(&self) -> String {
        let World { broker, host: Host { small, timers, stores, unpublished, done_outside, .. }, parks_futile, .. } =
            self;
        let store = |store: &Store| {
            let unjudged: Vec<RecordId> = store.unjudged::<Row>().collect();
            format!("{store:?} {:x} {} {} {unjudged:?}", store.digest(), store.tick(), store.changed())
        };
        let stores: Vec<String> = stores.iter().map(store).collect();
        let rest = (small, unpublished, done_outside, parks_futile, self.digest());
        // For how many records a list has room says nothing.
        let broker = format!("{broker:?}").replace(", None", "").replace("[None]", "[]");
        format!("{rest:?} {} {stores:?} {broker}", timers.shown())
    }
}

impl<S: System> World<S> {
    /// Writes all that is in it but for how it came there: two worlds are the same if it is.
    pub(crate) fn write_all(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let World { broker, host: Host { small, timers, stores, unpublished, done_outside, .. }, .. } = self;
        let small = Small { steps: 0, fingerprint: 0, ..small.clone() };
        write!(out, "{small:?} {unpublished:?} {done_outside:?} {} {broker:?}", timers.shown())?;
        stores.iter().try_for_each(|store| write!(out, "{store:?} {} {}", store.tick(), store.changed()))
    }
}

/// A broker of each engine.
const ENGINES: [&str; 6] = ["kafka", "pubsub-ordered", "mqtt-qos1", "redis-streams", "sqs-fifo", "kafka-auto-commit"];

/// Services that do anything, with a client more; every other time it waits and tries again. From the 36th seed on
/// engines play the broker.
pub(crate) fn simulation(seed: u64) -> Simulation<Erratic> {
    let profiles = [
        Profile::adversarial(),
        Profile::stan(),
        Profile {
            ordering: Ordering::Key { partitions: None },
            redeliver_at: RedeliverAt::Original,
            ..Profile::stan()
        },
    ];
    let profile = match seed.checked_sub(36) {
        None => profiles[seed as usize % 3].clone(),
        Some(more) => Profile::named(ENGINES[more as usize % ENGINES.len()]).expect("it ships"),
    };
    let temper = if seed % 4 == 3 { Temper::SLOW } else { Temper::ANY };
    let on = drawn(temper, profile, seed).redeliver_futile(true);
    let (r1, r2) = (RecordId::new('r', 1), RecordId::new('r', 2));
    let sendings = [(0, r1), (1, r1), (0, r2)].map(|(to, about)| Sending::of(Bid::of(to, about)));
    let wait = |sending: Sending<Bid>| sending.waits_for(r1, NAMES[1]).until_accepted();
    let sendings = sendings.map(|sending| if seed % 2 == 1 { wait(sending) } else { sending });
    on.client("z", sendings.to_vec()).build().expect("the parts fit")
}

/// An action and a fate at random, if anything may happen.
fn drawn_move(world: &World<Erratic>, prng: &mut Prng) -> Option<(Action, Fate)> {
    let enabled: Vec<Action> = world.enabled().iter().collect();
    let action = *enabled.get(prng.below(enabled.len().max(1) as u32) as usize)?;
    let Some(chosen) = world.chosen(action) else { return Some((action, Fate::CALM)) };
    let fate = Fate::any(prng, chosen.may_pause);
    if !chosen.changes.fetches() || prng.below(2) == 0 {
        return Some((action, fate));
    }
    let change = MemberChange::OF_MEMBERS[prng.below(6) as usize];
    let fate = Fate { fetch: prng.below(3) as u8, change: Some(change).filter(|_| fate.crash.is_none()), ..fate };
    Some((action, chosen.restrict(fate)))
}

/// Takes a step in a world and in its clone, and compares both and what is noted.
fn step_both(world: &mut World<Erratic>, clone: &mut World<Erratic>, action: Action, fate: Fate, words: &str) {
    let words = format!("{words}: {} with {fate:?}", world.describe(action));
    let (step, other) = (step_apart(world, action, fate), step_apart(clone, action, fate));
    world.note_digests(&step);
    assert_eq!(format!("{step:?}"), format!("{other:?}"), "{words}");
    compare(world, clone, &words);
}

fn compare(world: &World<Erratic>, clone: &World<Erratic>, words: &str) {
    let (shown, other) = (world.shown(), clone.shown());
    let same = shown.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| text.chars().skip(same.saturating_sub(100)).take(400).collect::<String>();
    assert!(shown == other, "{words}: …{}… instead of …{}…", around(&shown), around(&other));
    let enabled = |world: &World<Erratic>| world.enabled().iter().collect::<Vec<Action>>();
    assert_eq!(enabled(world), enabled(clone), "{words}");
    assert_eq!(world.noted_digest().word(), clone.digest(), "{words}");
    let broker = world.broker();
    assert!(broker.open().all(|index| broker.noted_digest_of(index) == broker.digest_of(index)), "{words}");
}

/// Steps, marks and ways back at random; after each the world is compared with a clone.
#[test]
fn a_world_that_goes_back_is_what_it_was_and_goes_on_as_a_clone_does() {
    let (mut longest, mut deepest, mut ways_back) = (0, 0, 0);
    for seed in 0..48 {
        let mut prng = Prng::new(seed, Stream::Workload);
        let mut world = simulation(seed).world();
        for _ in 0..prng.below(6) {
            let Some((action, fate)) = drawn_move(&world, &mut prng) else { break };
            step_apart(&mut world, action, fate);
        }
        world.drain_offers(|_| ());
        let mut now = world.clone();
        let mut marks = vec![(world.mark(), now.clone())];
        for at in 0..450 {
            let words = format!("seed {seed}, at {at}");
            match prng.below(12) {
                0..6 => {
                    let Some((action, fate)) = drawn_move(&world, &mut prng) else { continue };
                    step_both(&mut world, &mut now, action, fate, &words);
                }
                6..8 => marks.push((world.mark(), now.clone())),
                8 => {
                    let last = marks.last_mut().expect("there is one");
                    world.mark_instead(last.0);
                    last.1.clone_from(&now);
                }
                back => {
                    // To the last mark, most often, or over some of them.
                    let over = if back == 11 { prng.below(3) as usize } else { 0 };
                    marks.truncate(marks.len().saturating_sub(over).max(1));
                    let (mark, then) = marks.last().expect("there is one");
                    world.rewind(*mark);
                    now.clone_from(then);
                    compare(&world, &now, &words);
                    ways_back += 1;
                }
            }
            (longest, deepest) = (longest.max(now.broker.messages().len()), deepest.max(marks.len()));
        }
        world.reset();
        let mut other = simulation(seed).world();
        while let Some((action, fate)) = drawn_move(&world, &mut prng).filter(|_| world.steps() < 40) {
            step_apart(&mut world, action, fate);
            step_apart(&mut other, action, fate);
            assert_eq!(
                (world.host.small.fingerprint, world.digest()),
                (other.host.small.fingerprint, other.digest()),
                "seed {seed}"
            );
        }
    }
    assert!(longest > 25 && deepest > 15 && ways_back > 1_500, "{longest} messages, {deepest} marks, {ways_back}");
}
