//! proptest-state-machine: the reference is the owner and what the replica should hold, a
//! transition is a delivery, the system under test is the replica.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use crate::plain::{Checked, Dice, Fate, Message, Replica, owner, settle};

#[derive(Clone, Debug)]
struct Reference {
    pending: Vec<Message>,
    expected: Replica,
    /// The delivery that the last transition came to.
    delivered: Option<Message>,
}

#[derive(Clone, Debug)]
enum Transition {
    Deliver {
        place: usize,
        fate: Fate,
    },
    /// Nothing is pending any more: a sequence has a length that is fixed before.
    Idle,
}

struct Machine;

impl ReferenceStateMachine for Machine {
    type State = Reference;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Reference> {
        Just(Reference { pending: owner().1, expected: Replica::default(), delivered: None }).boxed()
    }

    fn transitions(state: &Reference) -> BoxedStrategy<Transition> {
        if state.pending.is_empty() {
            return Just(Transition::Idle).boxed();
        }
        (0..state.pending.len(), 0..10u8, 0..10u8)
            .prop_map(|(place, duplicate, lose_ack)| Transition::Deliver {
                place,
                fate: Fate { duplicate: duplicate == 9, lose_ack: lose_ack == 9 },
            })
            .boxed()
    }

    fn apply(mut state: Reference, transition: &Transition) -> Reference {
        state.delivered = None;
        if let Transition::Deliver { place, fate } = transition {
            let message = state.pending[*place];
            state.delivered = Some(message);
            let acked = state.expected.handle(message);
            settle(&mut state.pending, *place, *fate, acked);
        }
        state
    }

    fn preconditions(state: &Reference, transition: &Transition) -> bool {
        match transition {
            Transition::Deliver { place, .. } => *place < state.pending.len(),
            Transition::Idle => state.pending.is_empty(),
        }
    }
}

static DELIVERIES: AtomicU64 = AtomicU64::new(0);
static FINISHED_BY_HAND: AtomicU64 = AtomicU64::new(0);

struct Test;

impl StateMachineTest for Test {
    type SystemUnderTest = Checked;
    type Reference = Machine;

    fn init_test(_state: &Reference) -> Checked {
        Checked::new()
    }

    fn apply(mut checked: Checked, state: &Reference, _transition: Transition) -> Checked {
        if let Some(message) = state.delivered {
            checked.handle(message);
            DELIVERIES.fetch_add(1, Relaxed);
        }
        checked
    }

    fn check_invariants(checked: &Checked, state: &Reference) {
        assert_eq!(checked.replica, state.expected);
    }

    fn teardown(mut checked: Checked, mut state: Reference) {
        let mut dice = Dice::new(state.pending.len() as u64);
        while !state.pending.is_empty() {
            let place = dice.below(state.pending.len());
            let acked = checked.handle(state.pending[place]);
            settle(&mut state.pending, place, dice.fate(), acked);
            FINISHED_BY_HAND.fetch_add(1, Relaxed);
        }
        checked.check_end();
    }
}

/// Returns the transitions that were deliveries, and the deliveries behind the end of a sequence:
/// a sequence is as long as a run is on average, so one half of the runs end earlier, idling, and
/// the other half later, finished by a plain loop.
pub fn play(seeds: Range<u64>, deliveries_a_run: u64) -> (u64, u64) {
    DELIVERIES.store(0, Relaxed);
    FINISHED_BY_HAND.store(0, Relaxed);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&seeds.start.to_le_bytes());
    let cases = u32::try_from(seeds.end - seeds.start).expect("a small number");
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config.clone(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let length = usize::try_from(deliveries_a_run).expect("a small number");
    let result = runner.run(&Machine::sequential_strategy(length), |(state, transitions, seen)| {
        Test::test_sequential(config.clone(), state, transitions, seen);
        Ok(())
    });
    result.expect("every property holds");
    (DELIVERIES.load(Relaxed), FINISHED_BY_HAND.load(Relaxed))
}
