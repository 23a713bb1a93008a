//! A case: what of a failing run is still there.

use crate::event::System;
use crate::schedule::{CommandSpec, Departure, Target};
use crate::simulation::{CommandIndex, Simulation};

/// What is run: the commands that are sent, in their order in the simulation, and the departures.
#[derive(Clone, Debug, Hash)]
pub struct Case {
    /// The commands that are sent, in their order in the simulation.
    pub commands: Vec<CommandIndex>,
    /// The departures.
    pub departures: Vec<Departure>,
}

impl Case {
    /// Everything a simulation's clients send, with these departures.
    #[must_use]
    pub fn whole<S: System>(simulation: &Simulation<S>, departures: Vec<Departure>) -> Case {
        Case { commands: simulation.command_indices().collect(), departures }
    }

    /// The same without these commands.
    #[must_use]
    pub fn without_commands(&self, left_out: &[CommandIndex]) -> Case {
        let mut case = self.clone();
        case.commands.retain(|index| !left_out.contains(index));
        case
    }

    /// The same with the commands of a simulation that are always kept.
    #[must_use]
    pub fn with_setup<S: System>(mut self, simulation: &Simulation<S>) -> Case {
        if !simulation.inner.has_terms {
            return self;
        }
        self.commands.extend(simulation.command_indices().filter(|index| simulation.is_setup(*index)));
        self.commands.sort_unstable();
        self.commands.dedup();
        self
    }

    /// The same without the departures at these places.
    #[must_use]
    pub fn without_departures(&self, left_out: std::ops::Range<usize>) -> Case {
        let mut case = self.clone();
        case.departures.drain(left_out);
        case
    }

    /// The same commands with other departures.
    pub(super) fn departing(&self, departures: Vec<Departure>) -> Case {
        Case { commands: self.commands.clone(), departures }
    }

    /// The same with quiescence as the end of what lasts until a command that is not there.
    pub(super) fn forgetting<S: System>(&self, simulation: &Simulation<S>) -> Case {
        let kept: Vec<CommandSpec> = self.commands.iter().map(|index| simulation.command(*index)).collect();
        let is_kept = |named: &CommandSpec| kept.iter().any(|command| named.is_attempt_of(command));
        let is_gone = |until: &Target| match until {
            Target::Command(command) => !is_kept(command),
            Target::Pause(what) | Target::Await { what, .. } | Target::Publish(what) => {
                matches!(&**what, Target::Command(command) if !is_kept(command))
            }
            _ => false,
        };
        let mut case = self.clone();
        for departure in &mut case.departures {
            if departure.until().is_some_and(is_gone) {
                *departure = departure.clone().ended_by(None);
            }
        }
        case
    }

    /// The simulation with the commands that are there.
    #[must_use]
    pub fn simulation<S: System>(&self, of: &Simulation<S>) -> Simulation<S> {
        keeping(of, &self.commands)
    }
}

pub(super) fn keeping<S: System>(simulation: &Simulation<S>, commands: &[CommandIndex]) -> Simulation<S> {
    simulation.keeping(|index| commands.binary_search(&index).is_ok())
}
