//! `pellmell-incidents NAME` tells an incident step by step, `pellmell-incidents all` how each is found.

use std::io::{self, Write};
use std::process::ExitCode;

use pellmell_incidents::{ALL, Incident, table};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = match arguments.as_slice() {
        [all] if all == "all" => table(),
        [name] => match Incident::named(name) {
            Some(incident) => incident.told(),
            None => return refuse(&format!("there is no incident `{name}`")),
        },
        _ => return refuse("expected the name of an incident, or `all`"),
    };
    // If nobody reads on there is nobody to tell.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn refuse(what: &str) -> ExitCode {
    let names: Vec<&str> = ALL.iter().map(|incident| incident.name).collect();
    let _ = writeln!(io::stderr(), "error: {what}\n  = help: they are all, {}", names.join(", "));
    ExitCode::from(2)
}
