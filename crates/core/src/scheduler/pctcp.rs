//! PCT with a proof: how likely it is at least that one run finds a bug of depth d.
//!
//! After Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler with probabilistic
//! guarantees of finding bugs" (ASPLOS 2010), and for chains of messages instead of threads Ozkan,
//! Majumdar, Niksic, Tabaei Befrouei and Weissenbacher (OOPSLA 2018), whose algorithm is called PCTCP.
//! [`Pct`](super::Pct) finds more by giving up what the proof needs; here nothing is given up:
//!
//! - Actions fall into chains. A client's next command continues the chain of its last one; of what
//!   any other action makes possible one first attempt of a delivery continues its chain, the one whose
//!   draw is smallest; everything else begins a chain.
//! - Each chain has a priority, drawn evenly and independently by the name of what begins it. The most
//!   urgent chain with an enabled action has the turn.
//! - Of the turns 1 to n, d - 1 are drawn evenly and independently: the priority change points. Whose turn
//!   is the i-th of them does not act; its chain falls behind all chains that did not fall, and the i-th
//!   behind those before it.
//! - What was handled without changing anything comes again when nothing else can. A service that
//!   refuses what came too early would otherwise draw chain upon chain, and one that waits for what is
//!   late would never be waited for.
//!
//! # What is proven
//!
//! A bug has depth d if there are an action h, which begins a chain, and d - 1 further actions such that
//! it shows in every run that goes by priorities, whatever these are, in which each of the d - 1, when it
//! first has the turn, falls to a place of its own, and the chain of h is behind all that do not fall. A
//! run shows it with probability at least 1 / (c · n^(d-1)) if in such runs at most c chains begin, and
//! those d - 1 turns are among the first n.
//!
//! Play such a run with all draws but two: h is last whatever is drawn for it, and the d - 1 fall
//! whatever turns are drawn. Nothing in it depends on those two draws. At most c - 1 other chains
//! begin in it; when one does, its priority is even and independent of all that was before, as nobody
//! looked at it. So the priority drawn for h is the last of at most c independent even draws with
//! probability at least 1/c. The d - 1 turns have numbers, and those are what is drawn, in that order,
//! with probability 1/n^(d-1). If both is so, the run that is played is this one.
//!
//! Faults are drawn by name, independently of all that: the bug is one that shows with the faults of the
//! run, or its probability is multiplied by that of the faults. What is drawn is a hash, taken for chance.

use super::pct::continuing;
use super::queue::Queue;
use super::{Action, Chosen, Enabled, Guarantee, Offer, Scheduler};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::hash;
use crate::prng::{Purpose, RunKey, below};

/// Behind whatever did not fall, where the first falls.
const FALLEN: u64 = 1 << 62;
/// Behind whatever fell.
const AGAIN: u64 = 1 << 63;

/// Picks the action of the most urgent chain; d - 1 chains fall behind at turns drawn evenly.
#[derive(Clone, Debug)]
pub struct Pctcp {
    fates: Fates,
    key: RunKey,
    /// The last of the turns at which a chain may fall.
    turns: u32,
    /// The turns at which one does.
    change_points: Vec<u64>,
    turn: u64,
    /// How many chains had a priority drawn.
    chains: u64,
    queue: Queue,
    /// What became possible by the last action.
    fresh: Vec<Offer>,
    /// The last action and the urgency of its chain.
    running: Option<(Action, u64)>,
    /// The hash of the timers that fired, by name: a timer that fires again is another chain.
    fired: u64,
}

impl Pctcp {
    /// Chains for `seed` with the faults it draws from `plan`, of which `depth` - 1 fall within the
    /// first `turns` turns.
    ///
    /// # Panics
    /// If `depth` is not from 1 to 4, or `turns` is 0.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan, depth: u32, turns: u32) -> Pctcp {
        assert!((1..=4).contains(&depth), "the depth is from 1 to 4, not {depth}");
        let key = RunKey::new(seed);
        let change = |nth: u32| 1 + u64::from(below(key.draw(Purpose::Change, nth.into()), turns));
        Pctcp {
            fates: Fates::new(&plan.for_seed(seed), key),
            key,
            turns,
            change_points: (1..depth).map(change).collect(),
            turn: 0,
            chains: 0,
            queue: Queue::default(),
            fresh: Vec::new(),
            running: None,
            fired: 0,
        }
    }

    /// Puts what became possible by the last action into chains.
    fn chain(&mut self, enabled: &Enabled<'_>) {
        let running = self.running.map(|(action, _)| action);
        let goes_on = |offer: &&Offer| match (running, offer.action) {
            (Some(Action::Command(client)), Action::Command(next)) => client == next,
            (None | Some(Action::Command(_)), _) => false,
            (Some(_), Action::Deliver(index)) => enabled.delivery(index).attempt == 1,
            _ => false,
        };
        let continuing = continuing(self.key, self.fresh.iter().filter(goes_on));
        for offer in self.fresh.drain(..) {
            let drawn = self.key.draw(Purpose::Order, offer.key) >> 2;
            let urgency = match (self.running, offer.action) {
                (Some((_, urgency)), _) if continuing == Some(offer.key) => urgency,
                (_, Action::Deliver(index)) if enabled.delivery(index).changed_nothing() => AGAIN + drawn,
                _ => {
                    self.chains += 1;
                    drawn
                }
            };
            self.queue.push(urgency, offer.key, offer.action);
        }
    }
}

impl Scheduler for Pctcp {
    fn offer(&mut self, offer: Offer) {
        self.fresh.push(offer);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        self.chain(enabled);
        loop {
            let Pctcp { key, chains, fired, .. } = self;
            let (urgency, name, action) = self.queue.pop(enabled, |timer| {
                *chains += 1;
                key.draw(Purpose::Order, hash::mix(*fired, timer)) >> 2
            });
            self.turn += 1;
            if let Some(place) = self.change_points.iter().rposition(|turn| *turn == self.turn) {
                self.queue.push(FALLEN + place as u64, name, action);
                continue;
            }
            if action == Action::Advance {
                self.fired = hash::mix(self.fired, name);
            }
            self.running = Some((action, urgency));
            return action;
        }
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }

    fn guarantee(&self) -> Option<Guarantee> {
        Some(Guarantee { depth: self.change_points.len() as u32 + 1, chains: self.chains, turns: self.turns.into() })
    }
}
