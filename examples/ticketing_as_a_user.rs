//! The ticketing services compiled as a crate of their own, from the same files as in the library.
//!
//! Whatever they use must be public for that: this file is the proof that a user could have written
//! them. `cargo test` builds it; running it plays the reference design under some of every fault.

// In the library's files `crate::` is the library; here these make it the same.
use pellmell::{Hosting, Judges, Profile, Simulation, testing};
use pellmell::{broker, event, faults, hash, ids, prng, property, run, service, simulation, store, world};

#[path = "../src/ticketing/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a library's interface, in a program that needs little of it"
)]
mod ticketing;

use ticketing::{Design, Hostings, Workload, properties};

fn main() {
    let racing = Hosting { members: 2, ..Hosting::ALONE };
    let hostings = Hostings { tickets: racing.clone(), orders: racing, ..Hostings::FOUR };
    let mut builder = Design::REFERENCE.host(Simulation::on(Profile::adversarial()), &hostings);
    let workload =
        Workload { tickets: 3, prices: vec![5, 10, 15], edits: 0, buyers: 2, orders: 2, cancels: 2, pays: 2 };
    for client in workload.clients(0) {
        builder = builder.client(client.name, client.commands);
    }
    let simulation = builder.build().expect("the parts fit");
    let judges = Judges::new(properties::promised_by(&Design::REFERENCE));
    // Only the saga publishes that.
    let unpublished = "unpublished-subject order:reserved -> payments";
    testing::Check::new(&simulation, &judges).allowing(unpublished).run();
}
