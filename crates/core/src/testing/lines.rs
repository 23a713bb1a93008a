//! A schedule as lines: departures, and the commands that are sent if that is not all of them.

use crate::event::System;
use crate::schedule::{CommandSpec, Departure, Target};
use crate::shrink::Case;
use crate::simulation::Simulation;

/// What a line with a command begins with. No departure begins so.
const SEND: &str = "send ";
/// Stands after it if no command is sent. No command is named so.
const NOTHING: &str = "nothing";

/// The lines of a case.
#[must_use]
pub fn lines_of<S: System>(simulation: &Simulation<S>, case: &Case) -> Vec<String> {
    let mut lines: Vec<String> = case.departures.iter().map(ToString::to_string).collect();
    let sent = &case.commands;
    if sent.is_empty() {
        lines.push(format!("{SEND}{NOTHING}"));
    } else if sent.len() < simulation.commands() {
        lines.extend(sent.iter().map(|index| format!("{SEND}{}", simulation.command(*index))));
    }
    lines
}

/// Reads the lines of a case.
///
/// # Errors
/// If a line is neither a departure nor a command, or names a command that no client sends: the line,
/// what was expected, and what to do.
pub fn read<'a, S: System>(
    simulation: &Simulation<S>,
    lines: impl IntoIterator<Item = &'a str>,
) -> Result<Case, String> {
    let (departures, sent) = parse(lines)?;
    let mut case = Case::whole(simulation, departures);
    let Some(sent) = sent else { return Ok(case) };
    let known: Vec<CommandSpec> = case.commands.iter().map(|index| simulation.command(*index)).collect();
    for wanted in &sent {
        if !known.contains(wanted) {
            let names: Vec<Target> = known.iter().cloned().map(Target::Command).collect();
            let help = match Target::Command(wanted.clone()).nearest(&names, &[]) {
                Some(near) => format!("the nearest is `{near}`"),
                None => format!("expected one of the {} that its clients send", names.len()),
            };
            return Err(format!("`{SEND}{wanted}`: no client of the simulation sends this command; {help}"));
        }
    }
    let mut known = known.iter();
    case.commands.retain(|_| known.next().is_some_and(|name| sent.contains(name)));
    Ok(case.with_setup(simulation))
}

/// What lines say: departures, and the commands that are sent; `None`: all.
///
/// # Errors
/// If a line is neither a departure nor a command: the line, and what was expected.
pub fn parse<'a>(
    lines: impl IntoIterator<Item = &'a str>,
) -> Result<(Vec<Departure>, Option<Vec<CommandSpec>>), String> {
    let (mut departures, mut sent) = (Vec::new(), None);
    for line in lines {
        let wrong = |error: &dyn std::fmt::Display| format!("`{line}`: {error}");
        match line.strip_prefix(SEND) {
            Some(NOTHING) => {
                sent.get_or_insert_with(Vec::new);
            }
            Some(command) => {
                let command = command.parse().map_err(|error| wrong(&error))?;
                sent.get_or_insert_with(Vec::new).push(command);
            }
            None => departures
                .push(line.parse().map_err(|error| {
                    wrong(&format_args!("{error}; a command that is sent is `send CLIENT: LABEL`"))
                })?),
        }
    }
    Ok((departures, sent))
}
