//! The file a sweep keeps its result in while it runs: what is in it when the sweep is stopped or
//! killed is where the same command goes on.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pellmell::search::{Mismatch, Part, ResultFile, Shard, Swept};

use super::super::stopwatch::Stopwatch;
use super::super::{Failure, input};

/// How often the file is written: so much is lost at most if the process is killed.
const PAUSE: Duration = Duration::from_secs(2);
/// A result has a scenario's text and some lines for each bucket.
const RESULT_BYTES_MAX: u64 = 1 << 28;

pub(super) struct Saved {
    path: PathBuf,
    swept: Swept,
    request: Range<u64>,
    seeds: Range<u64>,
    since: Stopwatch,
}

impl Saved {
    /// Begins a file in `folder`, or goes on with the one that is there: with what is done already.
    pub(super) fn open(
        folder: &Path,
        shard: Option<Shard>,
        swept: Swept,
        request: Range<u64>,
        seeds: Range<u64>,
    ) -> Result<(Saved, Part), Failure> {
        input::make_folder(folder)?;
        let path = path(folder, shard);
        let begun = match path.try_exists() {
            Ok(false) => None,
            _ => Some(read(&path)?.go_on(&path.display().to_string(), &swept, &seeds).map_err(|e| differs(&e))?),
        };
        let saved = Saved { path, swept, request, seeds, since: Stopwatch::start() };
        let part = begun.unwrap_or_else(|| Part::none(saved.seeds.start));
        // Whether it can be written is found out before hours of work, not after.
        saved.write(&part)?;
        Ok((saved, part))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is done if it is time to.
    pub(super) fn at(&mut self, part: &Part) -> Result<(), Failure> {
        if self.since.elapsed() < PAUSE {
            return Ok(());
        }
        self.write(part)?;
        self.since = Stopwatch::start();
        Ok(())
    }

    /// Writes what is done.
    pub(super) fn write(&self, part: &Part) -> Result<(), Failure> {
        let (request, seeds) = (self.request.clone(), self.seeds.clone());
        let file = ResultFile::new(self.swept.clone(), request, seeds, part.clone());
        input::write(&self.path, &file.to_text())
    }

    /// Makes the sweep one of the seeds that are done: its time is over, and what is done is all.
    pub(super) fn end_at(&mut self, end: u64) {
        (self.request.end, self.seeds.end) = (end, end);
    }
}

/// The file in `folder` with the result of a sweep, or of a shard of it.
pub(crate) fn path(folder: &Path, shard: Option<Shard>) -> PathBuf {
    folder.join(match shard {
        None => "result.json".to_owned(),
        Some(shard) => format!("shard-{}-of-{}.json", shard.number(), shard.count()),
    })
}

/// Reads a result.
pub(crate) fn read(path: &Path) -> Result<ResultFile, Failure> {
    let help = "give the result of a sweep (.json), which `sweep --out FOLDER` writes";
    Ok(ResultFile::parse(&path.display().to_string(), &input::text_or(path, RESULT_BYTES_MAX, help)?)?)
}

/// What to end with if results are not of the same thing.
pub(crate) fn differs(error: &Mismatch) -> Failure {
    match error.is_of_code() {
        true => Failure::Stale(format!("the services or pellmell itself changed: {error}")),
        false => Failure::Input(error.to_string()),
    }
}
