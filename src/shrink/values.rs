//! Values: commands that ask for something simpler.

use super::shrinker::Shrinker;
use crate::event::{Command, System};
use crate::schedule::CommandSpec;

impl<S: System> Shrinker<'_, '_, S> {
    /// Makes each command as simple as it can be and says whether any became simpler. No command
    /// comes to be called like another one, so that they stay told apart.
    pub(super) fn make_simple(&mut self) -> bool {
        let before = self.simpler.len();
        for (client, place) in self.case.all_commands() {
            if self.is_spent() {
                break;
            }
            if self.simulation.is_setup((client, place)) {
                continue;
            }
            let simpler = self.simulation.hosted(client).commands[place].command.simpler();
            for command in simpler {
                if self.is_free(&command.label(), (client, place)) && self.replace(client, place, command) {
                    break;
                }
            }
        }
        self.simpler.len() > before
    }

    /// Whether no command that is left is called so, nor any other of the same client.
    fn is_free(&self, label: &str, (client, place): (usize, usize)) -> bool {
        let own = (0..self.simulation.hosted(client).commands.len()).map(|other| (client, other));
        let mut others = self.case.all_commands().into_iter().chain(own).filter(|other| *other != (client, place));
        others.all(|other| self.simulation.command(other).label != label)
    }

    /// Takes the case with another command in this place if it fails in the same way.
    fn replace(&mut self, client: usize, place: usize, command: S::Command) -> bool {
        let old = self.simulation.command((client, place));
        let simulation = self.simulation.replacing(client, place, command.clone());
        let new = simulation.command((client, place));
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
            self.simpler.retain(|(other, of, _)| (*other, *of) != (client, place));
            self.simpler.push((client, place, command));
        } else {
            self.simulation = simulation;
            self.known = known;
        }
        taken
    }
}
