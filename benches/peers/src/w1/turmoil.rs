//! turmoil: the broker and the replica are hosts, a delivery is a datagram, its answer another.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use turmoil::net::UdpSocket;

use crate::plain::{Broker, Checked, decode, encode};

const PORT: u16 = 9000;

#[derive(Clone, Copy)]
pub enum Network {
    /// Latencies and ticks as turmoil has them if nothing is said.
    Default,
    /// No latency: a datagram arrives within the tick in which it was sent or in the next.
    Instant,
}

pub fn play(seeds: Range<u64>, network: Network) -> u64 {
    seeds.map(|seed| play_one(seed, network)).sum()
}

fn play_one(seed: u64, network: Network) -> u64 {
    let mut builder = turmoil::Builder::new();
    builder.rng_seed(seed).simulation_duration(Duration::from_secs(3_600));
    if matches!(network, Network::Instant) {
        builder.min_message_latency(Duration::ZERO).max_message_latency(Duration::ZERO);
    }
    let mut sim = builder.build();
    let checked = Rc::new(RefCell::new(Checked::new()));
    let deliveries = Rc::new(RefCell::new(0));

    // First, because a datagram to a port that is not bound yet is lost.
    let applied = checked.clone();
    sim.host("replica", move || {
        let applied = applied.clone();
        async move {
            let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)).await?;
            let mut message = [0; 3];
            loop {
                let (_, broker) = socket.recv_from(&mut message).await?;
                let acked = applied.borrow_mut().handle(decode(message));
                socket.send_to(&[u8::from(acked)], broker).await?;
            }
        }
    });
    let counted = deliveries.clone();
    sim.client("broker", async move {
        let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)).await?;
        let replica = (turmoil::lookup("replica"), PORT);
        let mut broker = Broker::new(seed);
        let mut answer = [0; 1];
        while let Some(message) = broker.next() {
            socket.send_to(&encode(message), replica).await?;
            socket.recv_from(&mut answer).await?;
            broker.answered(answer[0] == 1);
        }
        *counted.borrow_mut() = broker.deliveries;
        Ok(())
    });
    sim.run().expect("the broker comes to its end");
    checked.borrow().check_end();
    let deliveries = *deliveries.borrow();
    deliveries
}
