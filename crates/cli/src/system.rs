//! Of which system the files are that a command line names, where a program has several.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pellmell_scenario::any::AnySystem;

/// How much of a file is looked at. A trace and a result have the scenario's text in their first line.
const LOOKED_AT: u64 = 1 << 16;

/// The system that the first file names which names one; else the first system.
pub(super) fn of_arguments(
    systems: &'static [Box<dyn AnySystem>],
    arguments: impl Iterator<Item = OsString>,
) -> &'static dyn AnySystem {
    let mut named = arguments.map(PathBuf::from).filter_map(|path| of_path(systems, &path));
    named.next().unwrap_or(&*systems[0])
}

fn of_path(systems: &'static [Box<dyn AnySystem>], path: &Path) -> Option<&'static dyn AnySystem> {
    let path = if path.is_dir() { first_in(path)? } else { path.to_owned() };
    // A pipe is for who was given it, and to open one waits for its other end.
    let file = path.metadata().is_ok_and(|about| about.is_file()).then(|| File::open(path).ok())??;
    let mut text = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    // In a line of JSON the text of a scenario is escaped.
    let lines = text.lines().flat_map(|line| line.split("\\n")).map(|line| line.replace("\\\"", "\""));
    let named = lines.filter_map(|line| {
        let value = line.strip_prefix("system")?.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        value.split_once('"').map(|(name, _)| name.to_owned())
    });
    let named: Vec<String> = named.collect();
    let found = systems.iter().find(|system| named.iter().any(|name| name == system.name()));
    found.map(|system| &**system)
}

/// The first scenario in a folder, such as one of a corpus.
fn first_in(folder: &Path) -> Option<PathBuf> {
    let entries = folder.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    entries.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).min()
}
