//! The file a sweep keeps its result in while it runs: what is in it when the sweep is stopped or
//! killed is where the same command goes on.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pellmell_core::search::{HoldPart, Part};
use pellmell_scenario::results::{Mismatch, ResultFile, Shard, Swept};

use super::super::stopwatch::Stopwatch;
use super::super::{Failure, files, input, shown};

/// How often the file is written: so much is lost at most if the process is killed.
const PAUSE: Duration = Duration::from_secs(2);
/// A result has a scenario's text and some lines for each bucket.
const RESULT_BYTES_MAX: u64 = 1 << 28;

pub(super) struct Saved {
    path: PathBuf,
    swept: Swept,
    request: Range<u64>,
    seeds: Range<u64>,
    /// The schedules of the hold sweep, if there is one, and what is done of them.
    places: Range<u64>,
    departed: Option<HoldPart>,
    since: Stopwatch,
}

impl Saved {
    /// A file in `folder`, which is not there yet.
    pub(super) fn new(
        folder: &Path,
        shard: Option<Shard>,
        swept: Swept,
        request: Range<u64>,
        seeds: Range<u64>,
        places: Range<u64>,
    ) -> Saved {
        Saved { path: path(folder, shard), swept, request, seeds, places, departed: None, since: Stopwatch::start() }
    }

    /// Begins the file, or goes on with the one that is there: with what is done already. `departed` has
    /// nothing done of the hold sweep, if there is one.
    pub(super) fn open(
        mut self,
        folder: &Path,
        departed: Option<HoldPart>,
    ) -> Result<(Saved, Part, Option<HoldPart>), Failure> {
        files::make_folder(folder)?;
        let name = shown(&self.path);
        let (part, departed) = match self.path.try_exists() {
            Ok(false) => (Part::none(self.seeds.start), departed),
            _ => {
                let begun = departed.as_ref().map(|departed| (departed, self.places.end));
                read(&self.path)?.go_on(&name, &self.swept, &self.seeds, begun).map_err(|error| differs(&error))?
            }
        };
        self.departed.clone_from(&departed);
        // Whether it can be written is found out before hours of work, not after.
        self.write(&part)?;
        Ok((self, part, departed))
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

    /// The same while the hold sweep is played, which comes before the seeds that are not done.
    pub(super) fn at_departed(&mut self, departed: &HoldPart, part: &Part) -> Result<(), Failure> {
        if self.since.elapsed() < PAUSE {
            return Ok(());
        }
        self.end_departed(departed);
        self.at(part)
    }

    /// Takes what came of the hold sweep.
    pub(super) fn end_departed(&mut self, departed: &HoldPart) {
        self.departed = Some(departed.clone());
    }

    /// Writes what is done.
    pub(super) fn write(&self, part: &Part) -> Result<(), Failure> {
        let (request, seeds) = (self.request.clone(), self.seeds.clone());
        let file = ResultFile::new(self.swept.clone(), request, seeds, part.clone());
        let file = match &self.departed {
            Some(departed) => file.with_departed(self.places.clone(), departed.clone()),
            None => file,
        };
        files::write(&self.path, &file.to_text())
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

/// Whether a file is called like the result of a shard.
pub(crate) fn is_of_a_shard(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let numbers = name.strip_prefix("shard-").and_then(|rest| rest.strip_suffix(".json")?.split_once("-of-"));
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    numbers.is_some_and(|(number, count)| is_number(number) && is_number(count))
}

/// Reads a result.
pub(crate) fn read(path: &Path) -> Result<ResultFile, Failure> {
    let help = "give the result of a sweep (.json), which `sweep --out FOLDER` writes";
    Ok(ResultFile::parse(&path.to_string_lossy(), &input::text_or(path, RESULT_BYTES_MAX, help)?)?)
}

/// What to end with if results are not of the same thing.
pub(crate) fn differs(error: &Mismatch) -> Failure {
    match error.is_of_code() {
        true => Failure::Stale(format!("the services or pellmell itself changed: {error}")),
        false => Failure::Input(error.to_string()),
    }
}
