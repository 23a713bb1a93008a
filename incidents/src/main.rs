//! `pellmell-incidents NAME` tells an incident step by step, `pellmell-incidents all` how each is found; with
//! `--report FOLDER` both write pages of it as well.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use pellmell_incidents::{ALL, Incident, report, table};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (which, folder) = match arguments.as_slice() {
        [which] => (which, None),
        [which, flag, folder] | [flag, folder, which] if flag == "--report" => (which, Some(Path::new(folder))),
        _ => return refuse("expected the name of an incident, or `all`, and perhaps `--report FOLDER`"),
    };
    let (incidents, mut text) = match (which.as_str(), Incident::named(which)) {
        ("all", _) => (ALL.to_vec(), table()),
        (_, Some(incident)) => (vec![incident], incident.told()),
        _ => return refuse(&format!("there is no incident `{which}`")),
    };
    if let Some(folder) = folder {
        match pellmell::cli::write_report(folder, &report(&incidents)) {
            Ok(index) => text += &format!("\nWrote {}\n", index.display()),
            Err(message) => return complain(&message),
        }
    }
    // If nobody reads on there is nobody to tell.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn refuse(what: &str) -> ExitCode {
    let names: Vec<&str> = ALL.iter().map(|incident| incident.name).collect();
    complain(&format!("{what}\n  = help: they are all, {}", names.join(", ")))
}

fn complain(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::from(2)
}
