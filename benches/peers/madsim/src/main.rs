//! W1 under madsim: the broker and the replica are nodes, a delivery is a message to an endpoint,
//! its answer another. Times itself and prints `NANOSECONDS DELIVERIES`.
//!
//! A program of its own, because madsim simulates only where everything is built with
//! `--cfg madsim`, and then takes over the process's clock and randomness. `peers` builds and
//! starts it: `peers-madsim FIRST_SEED RUNS`.

#[path = "../../src/plain.rs"]
mod plain;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use madsim::Config;
use madsim::net::Endpoint;
use madsim::runtime::Runtime;
use plain::{Broker, Checked, decode, encode};

const TO_REPLICA: u64 = 1;
const TO_BROKER: u64 = 2;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>().expect("FIRST_SEED RUNS"));
    let first = numbers.next().expect("FIRST_SEED RUNS");
    let runs = numbers.next().expect("FIRST_SEED RUNS");
    let begin = Instant::now();
    let deliveries: u64 = (first..first + runs).map(play).sum();
    println!("{} {deliveries}", begin.elapsed().as_nanos());
}

fn play(seed: u64) -> u64 {
    let runtime = Runtime::with_seed_and_config(seed, Config::default());
    let addresses: [SocketAddr; 2] = ["10.0.0.1:1", "10.0.0.2:1"].map(|text| text.parse().expect("an address"));
    let [broker_at, replica_at] = addresses;
    let broker = runtime.create_node().ip(broker_at.ip()).build();
    let replica = runtime.create_node().ip(replica_at.ip()).build();
    let checked = Arc::new(Mutex::new(Checked::new()));
    let applied = checked.clone();
    let deliveries = runtime.block_on(async move {
        let (ready, is_ready) = futures_channel::oneshot::channel();
        replica.spawn(async move {
            let endpoint = Endpoint::bind(replica_at).await.expect("a free port");
            ready.send(()).expect("the broker waits");
            let mut message = [0; 3];
            loop {
                endpoint.recv_from(TO_REPLICA, &mut message).await.expect("a message");
                let acked = applied.lock().expect("not poisoned").handle(decode(message));
                endpoint.send_to(broker_at, TO_BROKER, &[u8::from(acked)]).await.expect("a network");
            }
        });
        let asking = broker.spawn(async move {
            let endpoint = Endpoint::bind(broker_at).await.expect("a free port");
            is_ready.await.expect("the replica is there");
            let mut broker = Broker::new(seed);
            let mut answer = [0; 1];
            while let Some(message) = broker.next() {
                endpoint.send_to(replica_at, TO_REPLICA, &encode(message)).await.expect("a network");
                endpoint.recv_from(TO_BROKER, &mut answer).await.expect("an answer");
                broker.answered(answer[0] == 1);
            }
            broker.deliveries
        });
        asking.await.expect("the broker comes to its end")
    });
    checked.lock().expect("not poisoned").check_end();
    deliveries
}
