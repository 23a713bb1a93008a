//! shuttle: two members of the replica's group are threads. Each takes one of the pending messages,
//! handles it and settles it, under a lock; shuttle's scheduler says who is next. Which message is
//! next and its fate come from shuttle's random numbers, so its schedules have them.
//!
//! That is the quickest of three ways. With the broker and the replica as threads and a channel each
//! way (`shuttle_channels.rs`) a delivery switches threads more often; with a thread for each pending
//! message, whose order would then be the scheduler's, each handover wakes all who wait.

use std::ops::Range;
use std::sync::Arc as Plain;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::RandomScheduler;
use shuttle::sync::{Arc, Mutex};
use shuttle::{Config, Runner, thread};

use crate::plain::{Checked, Dice, Message, owner, settle};

const MEMBERS: usize = 2;

struct Shared {
    pending: Vec<Message>,
    checked: Checked,
}

pub fn play(seeds: Range<u64>) -> u64 {
    runs(seeds, |counted| {
        let shared = Arc::new(Mutex::new(Shared { pending: owner().1, checked: Checked::new() }));
        let members: Vec<_> = (0..MEMBERS)
            .map(|_| {
                let (shared, counted) = (shared.clone(), counted.clone());
                thread::spawn(move || {
                    while deliver(&mut shared.lock().expect("not poisoned")) {
                        counted.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        for member in members {
            member.join().expect("no member panics");
        }
        shared.lock().expect("not poisoned").checked.check_end();
    })
}

/// Plays a run for each seed, which counts its deliveries; returns them.
pub fn runs(seeds: Range<u64>, run: impl Fn(&Plain<AtomicU64>) + Send + Sync + 'static) -> u64 {
    let deliveries = Plain::new(AtomicU64::new(0));
    let counted = deliveries.clone();
    let number = usize::try_from(seeds.end - seeds.start).expect("a small number");
    let scheduler = RandomScheduler::new_from_seed(seeds.start, number);
    Runner::new(scheduler, Config::new()).run(move || run(&counted));
    deliveries.load(Relaxed)
}

/// One delivery; whether there was one.
fn deliver(shared: &mut Shared) -> bool {
    if shared.pending.is_empty() {
        return false;
    }
    // One word of shuttle's for a delivery, because its schedule keeps each.
    let mut dice = Dice::new(thread_rng().r#gen());
    let place = dice.below(shared.pending.len());
    let acked = shared.checked.handle(shared.pending[place]);
    settle(&mut shared.pending, place, dice.fate(), acked);
    true
}
