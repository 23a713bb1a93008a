//! `pellmell check`: whether a file says something that can be run.

use std::path::PathBuf;

use pellmell_core::vacuity::Findings;
use pellmell_scenario::any::AnySystem;
use serde_json::json;

use super::input::{self, Input};
use super::{Ending, Failure, GOOD, MessageFormat, Out, count, shown, vacuous};

#[derive(clap::Args)]
pub(super) struct CheckArgs {
    /// Scenario files or traces.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn check(system: &dyn AnySystem, args: &CheckArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    for path in &args.files {
        let mut findings = Findings::default();
        let what = match input::any(system, path)? {
            Input::Scenario(scenario) => {
                let size = scenario.size();
                let (clients, commands) = size.map_err(|error| Failure::Input(format!("{}: {error}", shown(path))))?;
                let foreseen = scenario.foreseen();
                findings = foreseen.map_err(|error| Failure::Input(format!("{}: {error}", shown(path))))?;
                let clients = count(clients as u64, "client");
                format!("a scenario, {clients}, {}", count(commands as u64, "command"))
            }
            Input::Trace(trace) => {
                format!(
                    "a trace of {} seed {}, {}",
                    trace.header.scenario,
                    trace.header.seed,
                    count(trace.end.steps, "step")
                )
            }
        };
        match format {
            MessageFormat::Human => {
                out.status(GOOD, "Ok", format_args!("{}   {what}", path.to_string_lossy()))?;
                vacuous::show(&mut out, &findings)?;
            }
            MessageFormat::Json => out.json(&json!({
                "reason": "check",
                "file": path.to_string_lossy(),
                "what": what,
                "vacuous": vacuous::as_json(&findings),
            }))?,
        }
    }
    Ok(Ending::Held)
}
