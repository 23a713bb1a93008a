//! stateright on the exhaustive world, with states of eight bytes.

use stateright::{Checker, Model, Property};

use super::{Action, Searched, Ticket};

struct World;

impl Model for World {
    type State = [Ticket; 2];
    type Action = (u8, Action);

    fn init_states(&self) -> Vec<Self::State> {
        vec![Default::default()]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        for place in 0..2u8 {
            state[usize::from(place)].actions(|action| actions.push((place, action)));
        }
    }

    fn next_state(&self, before: &Self::State, (place, action): Self::Action) -> Option<Self::State> {
        let mut state = *before;
        let ticket = &mut state[usize::from(place)];
        *ticket = ticket.after(action);
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("Prefix", |_, state: &[Ticket; 2]| state.iter().all(|ticket| ticket.is_prefix())),
            Property::always("AckedApplied", |_, state: &[Ticket; 2]| {
                state.iter().all(|ticket| ticket.acked_is_applied())
            }),
            Property::always("Converged", |_, state: &[Ticket; 2]| state.iter().all(|ticket| ticket.is_converged())),
        ]
    }
}

pub fn breadth_first() -> Searched {
    searched(&World.checker().threads(1).spawn_bfs().join())
}

pub fn depth_first() -> Searched {
    searched(&World.checker().threads(1).spawn_dfs().join())
}

fn searched(checker: &impl Checker<World>) -> Searched {
    checker.assert_properties();
    // stateright counts the state it begins with as generated.
    Searched { states: checker.unique_state_count() as u64, steps: checker.state_count() as u64 - 1 }
}
