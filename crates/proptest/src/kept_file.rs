//! The file in which a test keeps the schedules with which it failed.
//!
//! This is the one place where the library reads and writes a file: the one a test names, as proptest's
//! own keeping of seeds does.

use std::any::Any;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::kept::{self, HEADER};
use pellmell_core::testing::story;
use proptest::test_runner::{Config, FailurePersistence, PersistedSeed};

/// The usual configuration of a proptest, with failing [`schedules`](super::schedules) kept in the
/// file at `path`, a path from the folder of the crate.
///
/// A failure appends the schedule that is left of it, in words, with the verdict. The next run plays
/// all that are in the file before it draws new ones. A kept schedule names deliveries and commands, so
/// it stays the same after a listener or a command was added. It knows nothing of other arguments of
/// the test: these are drawn again, and the simulation must not depend on them.
///
/// A file that cannot be read, and a schedule in it that names what cannot exist, abort the test with
/// file and line. What does not come any more, because the defect is gone, is noted on stderr, as is that the
/// file cannot be written.
#[must_use]
pub fn kept_in(path: impl Into<String>) -> Config {
    Config { failure_persistence: Some(Box::new(KeptFile { path: path.into() })), ..Config::default() }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeptFile {
    path: String,
}

impl KeptFile {
    fn read(&self) -> Result<Vec<PersistedSeed>, String> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(format!("cannot read {}: {error}", self.path)),
        };
        let read = kept::read(&self.path, &text).map_err(|error| error.to_string())?;
        Ok(read.into_iter().map(|handed| kept::seed_of(&Ok(handed))).collect())
    }

    /// Appends blocks in one write, so that another process's come before or after them.
    fn append(&self, blocks: &[&str]) -> io::Result<()> {
        let path = Path::new(&self.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
        let mut text = if file.metadata()?.len() == 0 { HEADER.to_owned() } else { String::new() };
        blocks.iter().for_each(|block| text += &format!("\n{block}"));
        file.write_all(text.as_bytes())
    }
}

impl FailurePersistence for KeptFile {
    fn load_persisted_failures2(&self, _source: Option<&'static str>) -> Vec<PersistedSeed> {
        // proptest asks for no more than seeds: what is wrong with the file is handed over like one.
        self.read().unwrap_or_else(|error| vec![kept::seed_of(&Err(error))])
    }

    fn save_persisted_failure2(&mut self, _source: Option<&'static str>, _: PersistedSeed, failing: &dyn fmt::Debug) {
        let printed = format!("{failing:?}");
        let blocks = kept::blocks_in(&printed);
        let said = match (blocks.is_empty(), self.append(&blocks)) {
            (true, _) => format!("cannot keep a failure in {}: no argument is a schedule", self.path),
            (false, Ok(())) => format!("kept in {}: the next run plays it first", self.path),
            (false, Err(error)) => format!("cannot write {}: {error}", self.path),
        };
        story::tell(&said);
    }

    fn box_clone(&self) -> Box<dyn FailurePersistence> {
        Box::new(self.clone())
    }

    fn eq(&self, other: &dyn FailurePersistence) -> bool {
        other.as_any().downcast_ref::<KeptFile>().is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
