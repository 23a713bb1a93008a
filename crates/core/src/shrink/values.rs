//! Values: commands that ask for something simpler.

use super::Simpler;
use super::shrinker::Shrinker;
use crate::event::{Command, System};
use crate::schedule::CommandSpec;
use crate::simulation::CommandIndex;

impl<S: System> Shrinker<'_, '_, S> {
    /// Makes each command as simple as it can be and says whether any became simpler. No command
    /// gets the name of another one, so that names stay unique.
    pub(super) fn make_simple(&mut self) -> bool {
        let before = self.simpler.len();
        for index in self.case.commands.clone() {
            if self.is_spent() {
                break;
            }
            if self.simulation.is_setup(index) {
                continue;
            }
            let simpler = self.simulation.hosted(index.client).commands[index.position].command.simpler();
            for command in simpler {
                if self.is_free(&command.label(), index) && self.replace(index, command) {
                    break;
                }
            }
        }
        self.simpler.len() > before
    }

    /// Whether no command that is left is called so, nor any other of the same client.
    fn is_free(&self, label: &str, index: CommandIndex) -> bool {
        let own = self.simulation.command_indices().filter(|other| other.client == index.client);
        let mut others = self.case.commands.iter().copied().chain(own).filter(|other| *other != index);
        others.all(|other| self.simulation.command(other).label != label)
    }

    /// Takes the case with another command in this place if it fails in the same way.
    fn replace(&mut self, index: CommandIndex, command: S::Command) -> bool {
        let old = self.simulation.command(index);
        let simulation = self.simulation.replacing(index, command.clone());
        let new = simulation.command(index);
        let mut case = self.case.clone();
        for departure in &mut case.departures {
            departure.each_command(|named: &mut CommandSpec| {
                if *named == old {
                    named.clone_from(&new);
                } else if named.is_attempt_of(&old) {
                    let attempt = named.label[old.label.len()..].to_owned();
                    named.clone_from(&new);
                    named.label += &attempt;
                }
            });
        }
        let simulation = std::mem::replace(&mut self.simulation, simulation);
        let known = std::mem::take(&mut self.known);
        let taken = self.take_as_written(case);
        if taken {
            self.simpler.retain(|simpler| simpler.index != index);
            self.simpler.push(Simpler { index, command });
        } else {
            self.simulation = simulation;
            self.known = known;
        }
        taken
    }
}
