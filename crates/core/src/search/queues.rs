//! The broker's queues, of which only the end of the front is looked at, against the rules for each
//! delivery: here, where services are at hand.

use std::time::Duration;

use crate::broker::{Dispatch, InFlight, Limit, Ordering, Profile, RedeliverAt, Scope};
use crate::erratic::{Erratic, Temper, drawn};
use crate::faults::Fate;
use crate::prng::{Prng, Stream};
use crate::run::step_apart;
use crate::scheduler::Action;
use crate::simulation::Simulation;

fn profile(prng: &mut Prng) -> Profile {
    let mut one_of = |number: u32| prng.below(number) as usize;
    let orderings =
        [Ordering::None, Ordering::Log, Ordering::Key { partitions: None }, Ordering::Key { partitions: Some(2) }];
    let places = [RedeliverAt::Front, RedeliverAt::Back, RedeliverAt::Original, RedeliverAt::Any];
    let limits = [Limit::Of(1), Limit::Of(2), Limit::Of(4), Limit::Of(9), Limit::Unlimited];
    let waits = [vec![Duration::ZERO], vec![Duration::from_secs(5)]];
    Profile {
        ordering: orderings[one_of(4)],
        redeliver_at: places[one_of(4)],
        dispatch: [Dispatch::Competing, Dispatch::Exclusive][one_of(2)],
        max_in_flight: InFlight { limit: limits[one_of(5)], scope: [Scope::Group, Scope::Member][one_of(2)] },
        reorder_window: [Limit::Of(0), Limit::Of(2), Limit::Unlimited][one_of(3)],
        ack_wait: waits[one_of(2)].clone(),
        ..Profile::stan()
    }
}

/// Services under rules drawn at random; `None` if such rules are not simulated.
fn simulation(prng: &mut Prng, seed: u64) -> Option<Simulation<Erratic>> {
    drawn(Temper::ANY, profile(prng), seed).build().ok()
}

#[test]
fn what_is_ready_is_what_the_rules_allow_for_each_delivery_of_a_queue() {
    let (mut played, mut steps) = (0, 0);
    for seed in 0..300 {
        let mut prng = Prng::new(seed, Stream::Workload);
        let Some(simulation) = simulation(&mut prng, seed) else { continue };
        let mut world = simulation.world();
        for _ in 0..250 {
            let enabled: Vec<Action> = world.enabled().iter().collect();
            if enabled.is_empty() {
                break;
            }
            let action = enabled[prng.below(enabled.len() as u32) as usize];
            let chosen = world.chosen(action);
            let fate = chosen.map_or(Fate::CALM, |chosen| Fate::any(&mut prng, chosen.may_pause));
            step_apart(&mut world, action, fate);
            assert!(world.broker().is_ready_by_the_rules(), "seed {seed} after {action:?}");
            steps += 1;
        }
        played += 1;
    }
    assert!(played > 150 && steps > 20_000, "only {steps} steps in {played} runs");
}
