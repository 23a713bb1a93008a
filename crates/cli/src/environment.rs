//! The variables of the environment that the command line honours: what a flag says comes first.

use std::ffi::OsString;
use std::path::PathBuf;

use pellmell_core::escape::for_terminal;

use super::{Failure, number};

/// Where variables are looked up; tests have some of their own.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The process's own variable; one that is empty is as good as none.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A variable that has a number.
pub(super) fn number_in(variables: Variables<'_>, name: &str) -> Result<Option<u64>, Failure> {
    let Some(value) = variables(name) else { return Ok(None) };
    let read = value.to_str().and_then(|text| number(text).ok());
    read.map(Some).ok_or_else(|| {
        let value = for_terminal(&value.to_string_lossy()).into_owned();
        let message = format!("the variable {name} is `{value}`: expected a whole number from 0 on");
        Failure::Input(format!("{message}\n  = help: set it to one, or: unset {name}"))
    })
}

/// The folder to keep a result in, if it is to be kept: what the flag says, or `PELLMELL_OUT`.
pub(super) fn folder(flag: &Option<PathBuf>) -> Option<PathBuf> {
    flag.clone().or_else(|| variable("PELLMELL_OUT").map(PathBuf::from))
}

/// How many threads a verb takes whose result does not depend on it.
#[derive(clap::Args, Default)]
pub(super) struct Threads {
    /// How many threads; as many as the machine has if left out. The result does not depend on it.
    /// [env: PELLMELL_THREADS]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
}

impl Threads {
    /// What the flag says, or `PELLMELL_THREADS`, or as many as the machine has.
    pub(super) fn count(&self) -> Result<u32, Failure> {
        if let Some(threads) = self.threads {
            return Ok(threads);
        }
        let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
        match number_in(&variable, "PELLMELL_THREADS")? {
            None => Ok(cores),
            Some(threads @ 1..=1024) => Ok(u32::try_from(threads).unwrap_or(1)),
            Some(other) => Err(Failure::Input(format!(
                "the variable PELLMELL_THREADS is {other}: expected a number from 1 to 1024\n  \
                 = help: set it to one, or: unset PELLMELL_THREADS"
            ))),
        }
    }
}
