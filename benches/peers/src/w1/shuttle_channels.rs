//! shuttle, as one would write two services and a broker first: the broker and the replica are threads,
//! with a channel from one to the other and one back, as they are hosts for madsim and turmoil.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::mpsc::channel;
use shuttle::thread;

use super::shuttle::runs;
use crate::plain::{Broker, Checked, Message};

pub fn play(seeds: Range<u64>) -> u64 {
    runs(seeds, |counted| {
        let (to_replica, handed) = channel::<Message>();
        let (to_broker, answers) = channel::<bool>();
        let replica = thread::spawn(move || {
            let mut checked = Checked::new();
            for message in handed {
                to_broker.send(checked.handle(message)).expect("the broker waits for it");
            }
            checked.check_end();
        });
        let mut broker = Broker::new(thread_rng().r#gen());
        while let Some(message) = broker.next() {
            to_replica.send(message).expect("the replica waits for it");
            broker.answered(answers.recv().expect("the replica answers"));
        }
        drop(to_replica);
        replica.join().expect("the replica does not panic");
        counted.fetch_add(broker.deliveries, Relaxed);
    })
}
