//! Reading files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use pellmell_core::{FaultPlan, trace::Trace};
use pellmell_scenario::any::{AnyScenario, AnySystem};
use pellmell_scenario::scenario::{FileError, nearest};

use super::{Failure, What, shown};

/// A scenario is written by hand; what is larger is something else.
pub(super) const SCENARIO_BYTES_MAX: u64 = 1 << 20;
/// A trace has one line per step.
const TRACE_BYTES_MAX: u64 = 1 << 30;

/// What a file turned out to be.
pub(super) enum Input {
    Scenario(Box<dyn AnyScenario>),
    Trace(Box<Trace>),
}

/// Reads a scenario and applies what the command line changes. What the file expects is about the
/// file's own schedule and properties, so it goes with them.
pub(super) fn scenario(system: &dyn AnySystem, path: &Path, what: &What) -> Result<Box<dyn AnyScenario>, Failure> {
    apply(path, read_scenario(system, path)?, what)
}

/// Reads a scenario as it is in the file.
pub(super) fn read_scenario(system: &dyn AnySystem, path: &Path) -> Result<Box<dyn AnyScenario>, Failure> {
    let text = text(path, SCENARIO_BYTES_MAX).map_err(|failure| pointed_to_scenarios(path, failure))?;
    Ok(system.scenario(&path.to_string_lossy(), &text)?)
}

/// The same scenario on the broker of a profile, if one is asked for.
pub(super) fn on_profile(
    path: &Path,
    scenario: Box<dyn AnyScenario>,
    profile: Option<&String>,
) -> Result<Box<dyn AnyScenario>, Failure> {
    let Some(profile) = profile else { return Ok(scenario) };
    Ok(scenario.on_profile(&format!("{} on {profile}", path.to_string_lossy()), profile)?)
}

/// The scenario of a file with what the command line changes in it.
pub(super) fn apply(path: &Path, scenario: Box<dyn AnyScenario>, what: &What) -> Result<Box<dyn AnyScenario>, Failure> {
    let mut scenario = on_profile(path, scenario, what.profile.as_ref())?;
    if let Some(design) = &what.design {
        scenario.choose(design);
    }
    let settings = scenario.settings_mut();
    if !what.defects.is_empty() {
        settings.defects.extend(what.defects.iter().cloned());
        settings.expect.clear();
    }
    if let Some(scheduler) = what.scheduler {
        settings.scheduler = Some(scheduler);
        settings.schedule.clear();
        settings.expect.clear();
    }
    if what.no_faults {
        settings.faults = FaultPlan::NONE;
        settings.expect.clear();
    }
    if !what.departures.is_empty() {
        settings.schedule.clone_from(&what.departures);
        settings.expect.clear();
    }
    if !what.properties.is_empty() {
        settings.properties.clone_from(&what.properties);
        settings.expect.clear();
    }
    settings.allow.extend(what.allow.iter().cloned());
    let limits = &mut settings.limits;
    limits.steps_max = what.max_steps.unwrap_or(limits.steps_max);
    limits.messages_max = what.max_messages.unwrap_or(limits.messages_max);
    limits.in_flight_max = what.max_in_flight.unwrap_or(limits.in_flight_max);
    scenario.check_departures("--departure", &what.departures)?;
    Ok(scenario)
}

/// Reads a file that is a trace if it begins like one, and a scenario otherwise.
pub(super) fn any(system: &dyn AnySystem, path: &Path) -> Result<Input, Failure> {
    let is_trace = path.extension().is_some_and(|ending| ending == "jsonl");
    let text = text(path, if is_trace { TRACE_BYTES_MAX } else { SCENARIO_BYTES_MAX });
    let text = if is_trace { text? } else { text.map_err(|failure| pointed_to_scenarios(path, failure))? };
    let name = path.to_string_lossy();
    if is_trace || text.starts_with('{') {
        return Ok(Input::Trace(Box::new(Trace::parse(&name, &text)?)));
    }
    Ok(Input::Scenario(system.scenario(&name, &text)?))
}

/// Why a scenario cannot be read, and where there are some if there is none.
fn pointed_to_scenarios(path: &Path, failure: Failure) -> Failure {
    match failure {
        Failure::Io(message) if !path.exists() => {
            let near = nearest_beside(path).map(|near| format!("did you mean {near}?"));
            let help = near.unwrap_or_else(|| "scenarios are in `scenarios/`: ls scenarios".to_owned());
            Failure::Io(format!("{message}\n  = help: {help}"))
        }
        failure => failure,
    }
}

/// The file beside this one that has the nearest name to its.
pub(super) fn nearest_beside(path: &Path) -> Option<String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(read).ok()?.flatten().map(|entry| folder.join(entry.file_name()));
    let mut names: Vec<String> = names.map(|path| path.to_string_lossy().into_owned()).collect();
    names.sort();
    nearest(&path.to_string_lossy(), names.iter().map(String::as_str)).map(|near| shown(Path::new(near)))
}

pub(super) fn text(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    text_or(path, bytes_max, "give a scenario (.toml) or a trace (.jsonl)")
}

/// Reads a file's text; `help` says what to give instead of a file that has none, or too much.
pub(super) fn text_or(path: &Path, bytes_max: u64, help: &str) -> Result<String, Failure> {
    let name = path.to_string_lossy();
    let cannot = |error: std::io::Error| Failure::Io(format!("cannot read {}: {error}", shown(path)));
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > bytes_max {
        let error = FileError::new(&name, "", 0..0, format!("the file is larger than {} MiB", bytes_max >> 20));
        return Err(error.help(help).into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let readable = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let error =
            FileError::new(&name, &readable, valid..valid, "the file is not text: here is a byte that is not UTF-8");
        error.help(help).into()
    })
}
