//! shuttle: the broker and the replica are threads, a delivery is sent on a channel, its answer on
//! another. Which message is next and its fate come from shuttle's random numbers, so that its
//! schedules have them; which thread runs is its scheduler's.
//!
//! A thread for each pending message, picked by the scheduler, would be closer to what shuttle is
//! for. It is slower by an order of magnitude, as every handover wakes all who wait.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::RandomScheduler;
use shuttle::sync::mpsc::channel;
use shuttle::{Config, Runner, thread};

use crate::plain::{Checked, Fate, owner, settle};

pub fn play(seeds: Range<u64>) -> u64 {
    let deliveries = Arc::new(AtomicU64::new(0));
    let counted = deliveries.clone();
    let runs = usize::try_from(seeds.end - seeds.start).expect("a small number");
    Runner::new(RandomScheduler::new_from_seed(seeds.start, runs), Config::new()).run(move || {
        let (deliver, delivered) = channel();
        let (answer, answered) = channel();
        let replica = thread::spawn(move || {
            let mut checked = Checked::new();
            while let Ok(message) = delivered.recv() {
                answer.send(checked.handle(message)).expect("the broker waits");
            }
            checked.check_end();
        });
        let mut pending = owner().1;
        while !pending.is_empty() {
            let word = thread_rng().r#gen::<u64>();
            let place = (((word >> 32) * pending.len() as u64) >> 32) as usize;
            deliver.send(pending[place]).expect("the replica listens");
            let acked = answered.recv().expect("the replica answers");
            settle(&mut pending, place, Fate::of(thread_rng().r#gen()), acked);
            counted.fetch_add(1, Relaxed);
        }
        drop(deliver);
        replica.join().expect("the replica comes to its end");
    });
    deliveries.load(Relaxed)
}
