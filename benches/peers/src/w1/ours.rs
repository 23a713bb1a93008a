//! pellmell: the system of `benches/w1`, through the public interface.

use pellmell::{FaultPlan, Judges, Limits, Profile, Rate, Ratio, RecordId, Simulation, Walk, World, run};

use super::system::{AckedApplied, Converged, Owner, Prefix, Replica, SetPrice, W1};

/// A world and its judges: made once and used for every run, as a sweep does.
pub struct Ours {
    world: World<W1>,
    judges: Judges<W1>,
}

impl Ours {
    pub fn new() -> Ours {
        let commands = (0..64u32).map(|i| SetPrice { ticket: RecordId::new('t', i % 8), price: 10 + i * 7 % 13 });
        let simulation = Simulation::on(Profile::adversarial())
            .service(Owner)
            .service(Replica)
            .client("seller", commands.collect())
            .redeliver_futile(true)
            .build()
            .expect("the parts fit");
        let judges = Judges::new(vec![Box::new(Prefix), Box::new(AckedApplied), Box::new(Converged)]);
        Ours { world: simulation.world(), judges }
    }

    pub fn play(&mut self, seeds: std::ops::Range<u64>) -> u64 {
        let plan = FaultPlan {
            duplicate: Rate::of(Ratio::new(1, 10)),
            lose_ack: Rate::of(Ratio::new(1, 10)),
            attempts_max: u16::MAX,
            ..FaultPlan::NONE
        };
        let mut deliveries = 0;
        for seed in seeds {
            self.world.reset();
            let report =
                run(&mut self.world, &mut Walk::new(seed, plan, true), &self.judges, Limits::default(), &mut ());
            assert!(report.verdict.is_held(), "W1 holds: {:?}", report.verdict);
            std::hint::black_box(report.fingerprint);
            deliveries += report.counts.deliveries;
        }
        deliveries
    }
}
