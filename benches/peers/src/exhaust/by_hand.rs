//! The exhaustive world without a model checker: a stack, and one bit for each state there could
//! be. It checks the number of states.

use super::{Searched, Ticket};

pub fn search() -> Searched {
    // 14 bits a ticket: 2 times 3 and 2 times 4.
    let mut seen = vec![0u64; 1 << 22];
    let mut stack = vec![[Ticket::default(); 2]];
    mark(&mut seen, stack[0]);
    let (mut states, mut steps) = (0, 0);
    while let Some(state) = stack.pop() {
        states += 1;
        for ticket in state {
            assert!(ticket.is_prefix() && ticket.acked_is_applied() && ticket.is_converged());
        }
        for place in 0..2 {
            state[place].actions(|action| {
                let mut next = state;
                next[place] = state[place].after(action);
                if next != state {
                    steps += 1;
                    if mark(&mut seen, next) {
                        stack.push(next);
                    }
                }
            });
        }
    }
    Searched { states, steps }
}

/// Whether the state is new.
fn mark(seen: &mut [u64], state: [Ticket; 2]) -> bool {
    let number = state.iter().fold(0u32, |number, ticket| {
        let bits = u32::from(ticket.executed) << 11
            | u32::from(ticket.applied) << 8
            | u32::from(ticket.once) << 4
            | u32::from(ticket.twice);
        number << 14 | bits
    });
    let (word, bit) = (&mut seen[number as usize / 64], 1u64 << (number % 64));
    let is_new = *word & bit == 0;
    *word |= bit;
    is_new
}
