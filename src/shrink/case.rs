//! A case: what of a failing run is still there.

use crate::event::System;
use crate::schedule::{CommandSpec, Departure, Target};
use crate::simulation::Simulation;

/// What is run: for each client the places of the commands it sends, and the departures.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Case {
    pub(crate) commands: Vec<Vec<usize>>,
    pub(crate) departures: Vec<Departure>,
}

impl Case {
    /// Everything a simulation's clients send, with these departures.
    pub(crate) fn whole<S: System>(simulation: &Simulation<S>, departures: Vec<Departure>) -> Case {
        let commands = (0..simulation.clients()).map(|client| simulation.hosted(client).commands.len());
        Case { commands: commands.map(|count| (0..count).collect()).collect(), departures }
    }

    /// The commands, each by the places of the client and in its list.
    pub(crate) fn all_commands(&self) -> Vec<(usize, usize)> {
        let clients = self.commands.iter().enumerate();
        clients.flat_map(|(client, kept)| kept.iter().map(move |place| (client, *place))).collect()
    }

    pub(crate) fn without_commands(&self, left_out: &[(usize, usize)]) -> Case {
        let mut case = self.clone();
        for (client, kept) in case.commands.iter_mut().enumerate() {
            kept.retain(|place| !left_out.contains(&(client, *place)));
        }
        case
    }

    /// The same with the commands of a simulation that are always kept.
    pub(crate) fn with_setup<S: System>(mut self, simulation: &Simulation<S>) -> Case {
        if !simulation.inner.has_terms {
            return self;
        }
        for (client, kept) in self.commands.iter_mut().enumerate() {
            let all = 0..simulation.hosted(client).commands.len();
            kept.extend(all.filter(|place| simulation.is_setup((client, *place))));
            kept.sort_unstable();
            kept.dedup();
        }
        self
    }

    pub(crate) fn without_departures(&self, left_out: std::ops::Range<usize>) -> Case {
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
        let kept: Vec<CommandSpec> = self.all_commands().into_iter().map(|place| simulation.command(place)).collect();
        let is_kept = |named: &CommandSpec| kept.iter().any(|command| named.is_attempt_of(command));
        let is_gone = |until: &Target| match until {
            Target::Command(command) => !is_kept(command),
            Target::Pause(what) => matches!(&**what, Target::Command(command) if !is_kept(command)),
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
    pub(crate) fn simulation<S: System>(&self, of: &Simulation<S>) -> Simulation<S> {
        keeping(of, &self.commands)
    }
}

pub(super) fn keeping<S: System>(simulation: &Simulation<S>, commands: &[Vec<usize>]) -> Simulation<S> {
    simulation.keeping(|client, place| commands[client].binary_search(&place).is_ok())
}
