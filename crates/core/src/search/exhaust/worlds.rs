//! The worlds on the path of a search, one for each step, each made from the one before it.

use crate::event::System;
use crate::faults::Fate;
use crate::run::step_apart;
use crate::scheduler::Action;
use crate::store::Store;
use crate::world::{Digest, Shared, Step, StoreBits, World};

/// Worlds by depth.
///
/// Each step that is tried begins with a copy of the world before it. Most often the world that is
/// overwritten came from the same world by one step, and then only what that step changed is undone; else
/// what is not the same already is copied.
pub(super) struct Worlds<S: System> {
    worlds: Vec<World<S>>,
    /// What each world has in common with the one before it, and one more for a world to come.
    shared: Vec<Shared>,
    /// For each world that becomes the one before it by undoing one step: the stores to look at.
    one_step: Vec<Option<StoreBits>>,
    /// By depth, the digests of the world's stores: a step changes one of them at most.
    stores: Vec<Vec<u64>>,
    /// By depth, how many bytes were counted for a world; one may be counted before it is there.
    counted: Vec<u64>,
}

impl<S: System> Worlds<S> {
    pub(super) fn new(mut first: World<S>) -> Worlds<S> {
        first.begin_noting();
        let stores = first.stores().iter().map(Store::digest).collect();
        let (shared, one_step) = (vec![Shared::NOTHING; 2], vec![None; 2]);
        Worlds { worlds: vec![first], shared, one_step, stores: vec![stores], counted: vec![0] }
    }

    pub(super) fn at(&self, depth: usize) -> &World<S> {
        &self.worlds[depth]
    }

    /// The digest of the world at this depth.
    pub(super) fn digest(&self, depth: usize) -> Digest {
        self.worlds[depth].noted_digest(&self.stores[depth])
    }

    /// How many bytes more than were counted the world at this depth and the one after it take, which are
    /// counted now: all that a step tried at this depth needs, as long as it adds little.
    pub(super) fn uncounted(&mut self, depth: usize) -> u64 {
        self.counted.resize(self.counted.len().max(depth + 2), 0);
        let here = self.worlds[depth].bytes() + of_frame(&self.worlds[depth]);
        // One that is not there yet is going to be a copy.
        let there = self.worlds.get(depth + 1).map_or(here, |world| world.bytes() + of_frame(world));
        let counted = &mut self.counted[depth..depth + 2];
        let more = counted.iter_mut().zip([here, there]).map(|(counted, bytes)| {
            let more = bytes.saturating_sub(*counted);
            *counted += more;
            more
        });
        more.sum()
    }

    /// Keeps nothing but the first world: a handler that panicked left its world half
    /// way through a step.
    pub(super) fn forget(&mut self) {
        self.shared.fill(Shared::NOTHING);
        self.one_step.fill(None);
    }

    /// Makes the world after the one at `depth` what a step makes of that one.
    pub(super) fn step(&mut self, depth: usize, action: Action, fate: Fate) -> Step {
        self.copy(depth);
        let there = depth + 1;
        let world = &mut self.worlds[there];
        let step = step_apart(world, action, fate);
        world.note_digests();
        self.one_step[there] = Some(step.actor.map_or(StoreBits::NONE, |actor| StoreBits::of(actor.service)));
        if let Some(actor) = step.actor {
            self.shared[there + 1] = self.shared[there + 1].without(actor.service);
            if step.saved() {
                self.stores[there][actor.service.get()] = self.worlds[there].store(actor.service).digest();
            }
        }
        step
    }

    /// Notes at `depth` that a delivery or a command changes nothing, as if it had been tried there.
    pub(super) fn note_futile(&mut self, depth: usize, action: Action) {
        let (here, later) = self.worlds.split_at_mut(depth + 1);
        let index = match action {
            Action::Deliver(index) => index,
            Action::Command(client) => return here[depth].note_refused(client),
            _ => return,
        };
        here[depth].note_futile(index);
        // The world made from this one has to be changed, too.
        if let Some(world) = later.first_mut().filter(|_| self.one_step[depth + 1].is_some()) {
            world.touch(index);
        }
    }

    /// Makes the world after the one at `depth` a copy of it.
    #[inline]
    fn copy(&mut self, depth: usize) {
        let there = depth + 1;
        if self.worlds.len() == there {
            self.add(depth);
        }
        let (here, later) = self.worlds.split_at_mut(there);
        let (source, world) = (&here[depth], &mut later[0]);
        let in_common = Shared::with_later(source);
        let kept = match self.one_step[there].take() {
            Some(stores) => {
                world.undo_step(source, stores);
                in_common
            }
            None => world.sync_from(source, self.shared[there]),
        };
        // What came from the world that was there has as much in common with what is there now.
        self.shared[there + 1] = self.shared[there + 1].and(kept);
        self.shared[there] = in_common;
        self.one_step[there + 1] = None;
        let (here, later) = self.stores.split_at_mut(there);
        later[0].iter_mut().zip(&here[depth]).for_each(|(digest, source)| *digest = *source);
    }

    /// Makes room for a world after the one at `depth`, the last one.
    #[cold]
    fn add(&mut self, depth: usize) {
        self.worlds.push(self.worlds[depth].clone());
        self.stores.push(self.stores[depth].clone());
        self.shared.push(Shared::NOTHING);
        self.one_step.push(None);
    }

    /// Goes on at `depth` from what the last step made of the world there.
    pub(super) fn accept(&mut self, depth: usize) {
        let (here, later) = self.worlds.split_at_mut(depth + 1);
        let is_as_long = here[depth].swap(&mut later[0]);
        let [before, after] = [depth, depth + 1].map(|depth| self.one_step[depth].filter(|_| is_as_long));
        self.one_step[depth] = before.zip(after).map(|(before, after)| before.and(after));
        self.one_step[depth + 1] = after;
        self.stores.swap(depth, depth + 1);
        self.counted.resize(self.counted.len().max(depth + 2), 0);
        self.counted.swap(depth, depth + 1);
    }
}

/// What a worker notes of a world while it tries what may happen there, in bytes: each action, with the
/// hash of the delivery, in lists that grow to twice as much as they need.
fn of_frame<S: System>(world: &World<S>) -> u64 {
    (world.enabled().len() * 2 * (size_of::<Action>() + size_of::<u64>()) + FRAME) as u64
}

/// What is noted in addition, rounded up.
const FRAME: usize = 512;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::broker::{DeliveryIndex, Ordering, Profile, RedeliverAt};
    use crate::erratic::{Bid, Erratic, NAMES, Temper, drawn};
    use crate::ids::RecordId;
    use crate::prng::{Prng, Stream};
    use crate::simulation::{Sending, Simulation};

    /// All that there is to see of a world, and the digest as a search knows it.
    fn seen(world: &World<Erratic>, digest: u64) -> String {
        let enabled: Vec<Action> = world.enabled().iter().collect();
        format!("{world:?} {enabled:?} {:?} {digest:x} {:x}", world.broker(), world.fingerprint())
    }

    /// Services that do anything, with a client more; every other time it waits and tries again.
    pub(in super::super) fn simulation(seed: u64) -> Simulation<Erratic> {
        let profiles = [
            Profile::adversarial(),
            Profile::stan(),
            Profile {
                ordering: Ordering::Key { partitions: None },
                redeliver_at: RedeliverAt::Original,
                ..Profile::stan()
            },
        ];
        let on = drawn(Temper::ANY, profiles[seed as usize % 3].clone(), seed).redeliver_futile(true);
        let (r1, r2) = (RecordId::new('r', 1), RecordId::new('r', 2));
        let sendings = [(0, r1), (1, r1), (0, r2)].map(|(to, about)| Sending::of(Bid::of(to, about)));
        let wait = |sending: Sending<Bid>| sending.waits_for(r1, NAMES[1]).until_accepted();
        let sendings = sendings.map(|sending| if seed % 2 == 1 { wait(sending) } else { sending });
        on.client("z", sendings.to_vec()).build().expect("the parts fit")
    }

    /// Steps, ways back and swaps at random; each world made from another is compared with a clone.
    #[test]
    fn a_world_made_from_the_one_before_it_is_what_a_step_makes_of_a_clone() {
        let mut largest = (0, 0);
        for seed in 0..18 {
            let mut prng = Prng::new(seed, Stream::Workload);
            let mut worlds = Worlds::new(simulation(seed).world());
            worlds.worlds[0].drain_offers(|_| ());
            let mut depth = 0;
            for _ in 0..600 {
                let world = worlds.at(depth);
                let enabled: Vec<Action> = world.enabled().iter().collect();
                if enabled.is_empty() || prng.below(8) == 0 {
                    depth = (depth as u64).saturating_sub(1 + u64::from(prng.below(4))) as usize;
                    continue;
                }
                let action = enabled[prng.below(enabled.len() as u32) as usize];
                let chosen = world.chosen(action);
                let fate = chosen.map_or(Fate::CALM, |chosen| Fate::any(&mut prng, chosen.may_pause));
                let mut clone = world.clone();
                let words = format!("seed {seed}, depth {depth}: {} with {fate:?}", world.describe(action));
                step_apart(&mut clone, action, fate);
                worlds.step(depth, action, fate);
                assert_eq!(
                    seen(worlds.at(depth + 1), worlds.digest(depth + 1).word()),
                    seen(&clone, clone.digest()),
                    "{words}"
                );
                let broker = worlds.at(depth + 1).broker();
                let digests = |of: &dyn Fn(DeliveryIndex) -> u64| broker.open().map(of).collect::<Vec<_>>();
                assert_eq!(digests(&|index| broker.noted_digest_of(index)), digests(&|index| broker.digest_of(index)));
                largest = largest.max((clone.broker().messages().len(), depth));
                match prng.below(12) {
                    0 => worlds.accept(depth),
                    1..=8 => depth += 1,
                    _ => {}
                }
                if prng.below(400) == 0 {
                    worlds.forget();
                }
            }
        }
        assert!(largest.0 > 25 && largest.1 > 60, "the random walks were short: {largest:?}");
    }
}
