//! pellmell on the exhaustive world: the system of `benches/w1`, through the public interface.

use pellmell::search::{Bounds, DeliveryOrder, Exhaust, Most};
use pellmell::{Judges, RecordId, Simulation};

use super::{COMMANDS, Searched};
use crate::w1::system::{AckedApplied, Converged, Owner, Prefix, Replica, SetPrice, W1};

/// The simulation and its judges: made once and used for every search.
pub struct Ours {
    simulation: Simulation<W1>,
    judges: Judges<W1>,
    bounds: Bounds,
}

impl Ours {
    pub fn new() -> Ours {
        let bounds = Bounds { lost_acks: Most::Any, duplicates: 1, ..Bounds::of(DeliveryOrder::Any) };
        let services = Simulation::on(bounds.order.profile()).service(Owner).service(Replica);
        let hosted = [(1, "ann"), (2, "bob")].into_iter().fold(services, |services, (number, name)| {
            let ticket = RecordId::new('t', number);
            let commands = (0..COMMANDS).map(|update| SetPrice { ticket, price: 10 + u32::from(update) * 7 % 13 });
            services.client(name, commands.collect())
        });
        let judges = Judges::new(vec![Box::new(Prefix), Box::new(AckedApplied), Box::new(Converged)]);
        Ours { simulation: hosted.build().expect("the parts fit"), judges, bounds }
    }

    /// Both tickets together, or each by itself (`reduce`), which has fewer states.
    pub fn search(&self, reduce: bool) -> Searched {
        let search = Exhaust::new(&self.simulation, &self.judges).with_bounds(self.bounds).with_reduction(reduce);
        let exhausted = search.run();
        assert!(exhausted.is_complete(), "the exhaustive world holds: {exhausted:?}");
        Searched { states: exhausted.stats.states, steps: exhausted.stats.transitions }
    }
}
