//! stateright, its simulation checker: the pending messages are the state's, the deliveries with
//! their fates are the actions, the properties are stateright's.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use stateright::{Checker, Chooser, Model, Property};

use crate::plain::{Dice, Fate, History, Message, Replica, TICKETS, owner, settle};

struct Broker {
    history: History,
    published: Vec<Message>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    pending: Vec<Message>,
    replica: Replica,
    /// A delivery that changes nothing would end a run otherwise: the checker stops at a state that
    /// it has seen in the run.
    deliveries: u32,
}

/// A delivery: the place of the message among the pending, and its fate.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Deliver(u16, Fate);

const FATES: [Fate; 4] = [
    Fate { duplicate: false, lose_ack: false },
    Fate { duplicate: false, lose_ack: true },
    Fate { duplicate: true, lose_ack: false },
    Fate { duplicate: true, lose_ack: true },
];

impl Model for Broker {
    type State = State;
    type Action = Deliver;

    fn init_states(&self) -> Vec<State> {
        vec![State { pending: self.published.clone(), replica: Replica::default(), deliveries: 0 }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Deliver>) {
        actions.extend((0..state.pending.len() as u16).flat_map(|place| FATES.map(|fate| Deliver(place, fate))));
    }

    fn next_state(&self, before: &State, Deliver(place, fate): Deliver) -> Option<State> {
        let mut state = before.clone();
        let message = state.pending[usize::from(place)];
        let acked = state.replica.handle(message);
        state.replica.check_step(&before.replica, &self.history, message, acked);
        settle(&mut state.pending, usize::from(place), fate, acked);
        state.deliveries += 1;
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("Prefix", |model: &Broker, state: &State| {
                (0..TICKETS).all(|ticket| state.replica.is_prefix(ticket, &model.history))
            }),
            Property::always("Converged", |model: &Broker, state: &State| {
                !state.pending.is_empty() || state.replica.equals(&model.history)
            }),
        ]
    }
}

/// Uniform among the pending, and each fault with 1/10.
#[derive(Clone)]
struct Uniform {
    runs: Arc<AtomicU64>,
}

impl Chooser<Broker> for Uniform {
    type State = Dice;

    fn new_state(&self, seed: u64) -> Dice {
        self.runs.fetch_add(1, Relaxed);
        Dice::new(seed)
    }

    fn choose_initial_state(&self, _dice: &mut Dice, _states: &[State]) -> usize {
        0
    }

    fn choose_action(&self, dice: &mut Dice, _state: &State, actions: &[Deliver]) -> usize {
        let place = dice.below(actions.len() / FATES.len());
        let fate = dice.fate();
        place * FATES.len() + usize::from(fate.duplicate) * 2 + usize::from(fate.lose_ack)
    }
}

/// Plays about as many runs as there are seeds: the checker stops at a number of states. Returns
/// the runs, too.
pub fn play(seeds: Range<u64>, deliveries_a_run: u64) -> (u64, u64) {
    let (history, published) = owner();
    let chooser = Uniform { runs: Arc::new(AtomicU64::new(0)) };
    let states = (seeds.end - seeds.start) * (deliveries_a_run + 1);
    let checker = Broker { history, published }
        .checker()
        .target_state_count(usize::try_from(states).expect("a small number"))
        .spawn_simulation(seeds.start, chooser.clone())
        .join();
    checker.assert_properties();
    let runs = chooser.runs.load(Relaxed);
    // The state before the first delivery counts, too.
    (checker.state_count() as u64 - runs, runs)
}
