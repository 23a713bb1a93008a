//! stateright on the exhaustive world, with states as one would write them first: maps of tickets
//! by number, the numbers of pending copies by event, and the services' own records.

use std::collections::BTreeMap;

use stateright::{Checker, Model, Property};

use super::{COMMANDS, Searched};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Priced {
    ticket: u32,
    version: u32,
    price: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    version: u32,
    price: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    owner: BTreeMap<u32, Row>,
    replica: BTreeMap<u32, Row>,
    /// How many copies of an event are pending.
    pending: BTreeMap<Priced, u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    SetPrice { ticket: u32 },
    Deliver { event: Priced, duplicate: bool, lose_ack: bool },
}

const TICKETS: [u32; 2] = [1, 2];

fn price(version: u32) -> u32 {
    10 + version * 7 % 13
}

impl State {
    fn set_price(&mut self, ticket: u32) {
        let version = self.owner.get(&ticket).map_or(0, |row| row.version + 1);
        let price = price(version);
        self.owner.insert(ticket, Row { version, price });
        self.pending.insert(Priced { ticket, version, price }, 1);
    }

    /// One copy of an event is pending no more.
    fn settle(&mut self, event: &Priced) {
        match self.pending.get_mut(event) {
            Some(copies) if *copies > 1 => *copies -= 1,
            _ => {
                self.pending.remove(event);
            }
        }
    }

    /// The replica's handler; whether it acks.
    fn handle(&mut self, event: &Priced) -> bool {
        let held = self.replica.get(&event.ticket).map(|row| row.version);
        if held.map_or(0, |held| held + 1) == event.version {
            let row = Row { version: event.version, price: event.price };
            self.replica.insert(event.ticket, row);
            return true;
        }
        held.is_some_and(|held| event.version <= held)
    }
}

struct World;

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for ticket in TICKETS {
            if state.owner.get(&ticket).is_none_or(|row| row.version + 1 < u32::from(COMMANDS)) {
                actions.push(Action::SetPrice { ticket });
            }
        }
        for (event, copies) in &state.pending {
            for duplicate in [false, true].into_iter().filter(|duplicate| !duplicate || *copies == 1) {
                for lose_ack in [false, true] {
                    actions.push(Action::Deliver { event: event.clone(), duplicate, lose_ack });
                }
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::SetPrice { ticket } => state.set_price(ticket),
            Action::Deliver { event, duplicate, lose_ack } => {
                if duplicate {
                    state.pending.insert(event.clone(), 2);
                }
                if state.handle(&event) && !lose_ack {
                    state.settle(&event);
                }
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("Prefix", |_, state: &State| {
                state.replica.iter().all(|(ticket, row)| {
                    row.price == price(row.version)
                        && state.owner.get(ticket).is_some_and(|own| row.version <= own.version)
                })
            }),
            Property::always("AckedApplied", |_, state: &State| {
                state.owner.iter().all(|(ticket, own)| {
                    let missing = state.replica.get(ticket).map_or(0, |row| row.version + 1)..=own.version;
                    missing.into_iter().all(|version| {
                        state.pending.contains_key(&Priced { ticket: *ticket, version, price: price(version) })
                    })
                })
            }),
            Property::always("Converged", |_, state: &State| !state.pending.is_empty() || state.owner == state.replica),
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
