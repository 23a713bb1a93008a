//! The result of a sweep as a file: what was run, which seeds, and what came of them.
//!
//! A sweep writes it while it runs, so that it can go on after it was stopped; shards write one each,
//! and [`Merging`](super::Merging) makes one of them, playing nothing. It is JSON with integers only and
//! keys in a fixed order. It has whatever decides the runs, so two results either are about the same
//! runs or say in what they differ; and a checksum, so a damaged one is refused.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::scenario::{Changes, Gone, Scenario, SchedulerKind, Suite};
use pellmell_core::file_error::FileError;
use pellmell_core::hash;
use pellmell_core::run::Limits;
use pellmell_core::search::{HoldPart, HoldSweepResult, Part, Sweep, SweepResult, hex_text};
use pellmell_core::simulation::BuildError;
use pellmell_core::trace::hex;

/// The format's name, the first thing in the file.
const FORMAT: &str = "pellmell-result";
/// The format's version: raised when a reader would misread.
const VERSION: u32 = 2;
/// What stands for the scheduler where the scenario has a schedule.
const BY_SCHEDULE: &str = "departures";
const TOOL: &str = env!("CARGO_PKG_VERSION");
/// What to do with a file that cannot be read.
const BEGIN_ANEW: &str = "remove the file and run the sweep that wrote it again";
/// What to do with a file of another version of the format.
const ANOTHER_VERSION: &str =
    "read it with the pellmell that wrote it, or sweep again with this one into another folder (--out FOLDER)";
/// What to do with a file that is something else.
const GIVE_ANOTHER: &str = "give the result of a sweep, which `sweep --out FOLDER` writes; this file is something else";

/// What came of a sweep, or of a shard of one, as far as it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultFile {
    format: String,
    version: u32,
    /// The version of the tool that wrote it.
    pub tool: String,
    /// What was run.
    pub swept: Swept,
    /// The seeds of the whole sweep.
    pub request: Range<u64>,
    /// The seeds of this shard: those of the whole sweep if it is not divided.
    pub seeds: Range<u64>,
    /// The first seed whose run is not in the result; all from the first seed up to it are.
    pub done_through: u64,
    /// What came of the seeds that are done.
    pub result: SweepResult,
    /// The hold sweep; `None` if there is none.
    pub departed: Option<Departed>,
    checksum: String,
}

/// What came of a hold sweep, or of a shard of one, as far as it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Departed {
    /// The places of this shard: those of the whole hold sweep if it is not divided.
    pub places: Range<u64>,
    /// The first place whose schedule is not in the result.
    pub done_through: u64,
    /// What came of the places that are done.
    pub result: HoldSweepResult,
}

/// What was run: everything besides the seeds that decides the runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swept {
    /// The scenario file's name as it was given. It decides nothing.
    pub file: String,
    /// The design.
    pub design: String,
    /// The defects planted in it, by name.
    pub defects: Vec<String>,
    /// The scheduler, or `departures`.
    pub scheduler: String,
    /// The departures, if they are others than the file's.
    pub departures: Vec<String>,
    /// Whether nothing could go wrong but the order, whatever the file's faults are.
    pub no_faults: bool,
    /// The properties judged; those the design promises if empty.
    pub properties: Vec<String>,
    /// How far a run may go.
    pub limits: Limits,
    /// The most schedules of the hold sweep, see [`HoldSweep`](pellmell_core::search::HoldSweep); with 0
    /// there is no hold sweep.
    pub departures_max: Option<u64>,
    /// The fingerprint of the run of the whole sweep's first seed ([`Sweep::witness`]): every shard
    /// plays it besides its own seeds, because the services may change and the tool's version stay.
    #[serde(with = "hex_text")]
    pub witness: u64,
    /// The scenario file's text.
    pub source: String,
}

/// Why a result cannot go on, or not together with another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    message: String,
    is_of_code: bool,
}

impl Mismatch {
    pub(super) fn new(message: String) -> Mismatch {
        Mismatch { message, is_of_code: false }
    }

    /// Adds what to do next.
    pub(super) fn help(mut self, help: &str) -> Mismatch {
        self.message += &format!("\n  = help: {help}");
        self
    }

    /// Whether the same things were run and came to something else, so that the code is not the same.
    #[must_use]
    pub fn is_of_code(&self) -> bool {
        self.is_of_code
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mismatch {}

impl Swept {
    /// What the sweep of `request` runs, without a hold sweep; `file` is the name of the scenario's file.
    /// Plays one run.
    ///
    /// # Errors
    /// If the scenario's parts do not fit.
    pub fn new<T: Suite>(file: &str, scenario: &Scenario<T>, request: &Range<u64>) -> Result<Swept, BuildError> {
        let kind = scenario.scheduler.unwrap_or(SchedulerKind::Random);
        let scheduler = if scenario.schedule.is_empty() { kind.name() } else { BY_SCHEDULE };
        let (departures, no_faults) = scenario.departs_otherwise();
        Ok(Swept {
            file: file.to_owned(),
            design: crate::scenario::Design::name(&scenario.design).to_owned(),
            defects: scenario.defects.clone(),
            scheduler: scheduler.to_owned(),
            departures,
            no_faults,
            properties: scenario.properties.clone(),
            limits: scenario.limits,
            departures_max: Some(0),
            witness: Sweep { source: scenario, judges: &scenario.judges(), seeds: request.clone(), threads: 1 }
                .witness()?,
            source: scenario.source.clone(),
        })
    }

    /// The scenario that was run.
    ///
    /// # Errors
    /// If it names what does not exist.
    pub fn scenario<T: Suite>(&self) -> Result<Scenario<T>, FileError> {
        let mut scenario = Scenario::parse(&self.file, &self.source)?;
        let Swept { design, defects, scheduler, departures, no_faults, properties, limits, .. } = self;
        let (no_faults, limits) = (*no_faults, *limits);
        let changes = Changes { design, defects, scheduler, departures, no_faults, properties, limits };
        changes.apply(&mut scenario).map_err(|Gone { what, name }| {
            FileError::new(&self.file, &self.source, 0..0, format!("there is no {what} `{name}` any more"))
                .help("run the sweep again with this version")
        })?;
        Ok(scenario)
    }

    /// Whether two results are about the same runs of the same code.
    pub(super) fn compare(&self, name: &str, other: &Swept, other_name: &str) -> Result<(), Mismatch> {
        let words = |swept: &Swept| {
            let Limits { steps_max, messages_max, in_flight_max } = swept.limits;
            [
                ("design", swept.design.clone()),
                ("defects", swept.defects.join(", ")),
                ("scheduler", swept.scheduler.clone()),
                ("departures", swept.departures.join(", ")),
                ("faults", if swept.no_faults { "none" } else { "the scenario's" }.to_owned()),
                ("properties", swept.properties.join(", ")),
                ("limits", format!("{steps_max} steps, {messages_max} messages, {in_flight_max} in flight")),
                ("--departures", swept.departures_max.map_or_else(|| "not said".to_owned(), |max| max.to_string())),
                ("scenario", format!("a text with the hash {}", hex(hash::of(swept.source.as_str())))),
            ]
        };
        for ((what, one), (_, another)) in words(self).into_iter().zip(words(other)) {
            if one != another {
                let or_none = |words: String| if words.is_empty() { "none".to_owned() } else { words };
                let (one, another) = (or_none(one), or_none(another));
                return Err(Mismatch::new(format!(
                    "not the same {what}: {name} has {one}, {other_name} has {another}"
                )));
            }
        }
        if self.witness != other.witness {
            let (one, another) = (hex(self.witness), hex(other.witness));
            let message = format!(
                "the first seed's run is another one: {name} has the fingerprint {one}, {other_name} has {another}"
            );
            return Err(Mismatch { message, is_of_code: true });
        }
        Ok(())
    }
}

impl ResultFile {
    /// What came of `part`, which begins with the first of `seeds`, a part of the sweep of `request`.
    ///
    /// # Panics
    /// If `part` begins or ends elsewhere.
    #[must_use]
    pub fn new(swept: Swept, request: Range<u64>, seeds: Range<u64>, part: Part) -> ResultFile {
        assert!(part.seeds.start == seeds.start && part.seeds.end <= seeds.end, "a part of the seeds");
        ResultFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: TOOL.to_owned(),
            swept,
            request,
            seeds,
            done_through: part.seeds.end,
            result: part.result,
            departed: None,
            checksum: String::new(),
        }
    }

    /// The same with what came of `part`, which begins with the first of `places`, a part of the hold
    /// sweep.
    ///
    /// # Panics
    /// If `part` begins or ends elsewhere.
    #[must_use]
    pub fn with_departed(self, places: Range<u64>, part: HoldPart) -> ResultFile {
        let HoldPart { places: done, result } = part;
        assert!(done.start == places.start && done.end <= places.end, "a part of the places");
        ResultFile { departed: Some(Departed { places, done_through: done.end, result }), ..self }
    }

    /// The seeds and the places of the hold sweep that are done, and what came of them.
    #[must_use]
    pub fn into_parts(self) -> (Part, Option<HoldPart>) {
        let part = Part { seeds: self.seeds.start..self.done_through, result: self.result };
        (part, self.departed.map(Departed::into_part))
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let summed = ResultFile { checksum: self.sum(), ..self.clone() };
        serde_json::to_string_pretty(&summed).expect("numbers, texts and maps with texts as keys") + "\n"
    }

    /// The hash of all the rest.
    fn sum(&self) -> String {
        let rest = ResultFile { checksum: String::new(), ..self.clone() };
        hex(hash::of(serde_json::to_string(&rest).expect("numbers, texts and maps with texts as keys").as_str()))
    }

    /// Reads a result from a file's text. `file` is the name that errors show.
    ///
    /// # Errors
    /// What is wrong with it, and where: it is no result, it was cut off or changed, or another version
    /// of the format wrote it.
    pub fn parse(file: &str, text: &str) -> Result<ResultFile, FileError> {
        /// What every version of the format begins with.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        // Nobody is to be told to remove what no sweep wrote.
        let begins_like_one = text.chars().filter(|c| !c.is_whitespace()).take(64).collect::<String>().contains(FORMAT);
        let help = if begins_like_one { BEGIN_ANEW } else { GIVE_ANOTHER };
        let wrong = |at: usize, message: String| FileError::new(file, text, at..at, message).help(help);
        let unread = |error| {
            let words = "this is not the result of a sweep: ";
            FileError::of_json(file, text, &(0..text.len()), words, &error).help(help)
        };
        let head: Head = serde_json::from_str(text).map_err(unread)?;
        if head.format != FORMAT {
            return Err(wrong(0, format!("expected format {FORMAT}, found {} version {}", head.format, head.version)));
        }
        if head.version != VERSION {
            let message = format!("another version of the format: expected {VERSION}, found {}", head.version);
            return Err(FileError::new(file, text, 0..0, message).help(ANOTHER_VERSION));
        }
        let read: ResultFile = serde_json::from_str(text).map_err(unread)?;
        if read.checksum != read.sum() {
            let at = text.rfind("\"checksum\"").unwrap_or(0);
            return Err(wrong(at, "the checksum is another one: the file was changed".to_owned()));
        }
        match read.contradiction() {
            Some(message) => Err(wrong(0, message)),
            None => Ok(read),
        }
    }

    /// What does not fit together.
    fn contradiction(&self) -> Option<String> {
        let (request, seeds, done) = (&self.request, &self.seeds, self.done_through);
        let nested = [request.start, seeds.start, done, seeds.end, request.end].is_sorted();
        if !nested {
            return Some(format!("seeds {seeds:?} done through {done} are no part of {request:?}"));
        }
        let totals = &self.result.totals;
        if [totals.violated, totals.stuck, totals.panicked].iter().try_fold(totals.held, |sum, n| sum.checked_add(*n))
            != Some(done - seeds.start)
        {
            return Some(format!("the verdicts are not those of the {} seeds that are done", done - seeds.start));
        }
        let failed = done - seeds.start - totals.held;
        let counts = self.result.buckets.values().try_fold(0u64, |sum, bucket| sum.checked_add(bucket.count));
        if counts != Some(failed) {
            return Some(format!("the buckets are not those of {failed} failures"));
        }
        let has_none = self.swept.departures_max == Some(0) || self.swept.scheduler == BY_SCHEDULE;
        match &self.departed {
            None if has_none => None,
            Some(departed) if !has_none => departed.contradiction(),
            Some(_) => Some("there is a hold sweep where there is none to play".to_owned()),
            None => Some("the hold sweep is missing".to_owned()),
        }
    }

    /// Goes on with this result, which is in the file `name`, in a sweep of `seeds` that runs `swept`,
    /// and in the places of a hold sweep from those of `departed`, of which nothing is done, up to `end`:
    /// what is done already.
    ///
    /// A result can be gone on with if it covers seeds from the first of `seeds` up to one of them. So
    /// a sweep that is over can go on, too, with more seeds.
    ///
    /// # Errors
    /// What differs.
    pub fn go_on(
        self,
        name: &str,
        swept: &Swept,
        seeds: &Range<u64>,
        departed: Option<(&HoldPart, u64)>,
    ) -> Result<(Part, Option<HoldPart>), Mismatch> {
        let begin_anew = "remove the file to begin anew, or keep this result elsewhere with --out FOLDER";
        self.continues(name, swept, seeds)
            .and_then(|()| match (&self.departed, departed) {
                (Some(known), Some((begun, end))) => known.continues(name, begun, end),
                _ => Ok(()),
            })
            .map_err(|error| error.help(begin_anew))?;
        Ok(self.into_parts())
    }

    fn continues(&self, name: &str, swept: &Swept, seeds: &Range<u64>) -> Result<(), Mismatch> {
        if self.tool != TOOL {
            return Err(Mismatch::new(format!("{name} was written by pellmell {}, this is {TOOL}", self.tool)));
        }
        let done = self.seeds.start..self.done_through;
        if done.start != seeds.start || done.end > seeds.end {
            let message = format!("{name} has the result of seeds {done:?}, which do not begin seeds {seeds:?}");
            return Err(Mismatch::new(message));
        }
        self.swept.compare(name, swept, "this sweep")
    }
}

impl Departed {
    fn into_part(self) -> HoldPart {
        HoldPart { places: self.places.start..self.done_through, result: self.result }
    }

    /// What does not fit together.
    fn contradiction(&self) -> Option<String> {
        let Departed { places, done_through: done, result } = self;
        let HoldSweepResult { schedules, singles, pairs, .. } = result;
        if ![0, places.start, *done, places.end, *schedules].is_sorted() {
            return Some(format!("schedules {places:?} done through {done} are no part of {schedules}"));
        }
        // The calm run is one schedule, and counted neither among the single departures nor the pairs.
        let has_calm = places.start == 0 && *done > 0;
        let done = done - places.start;
        if singles.played.checked_add(pairs.played) != Some(done - u64::from(has_calm)) {
            return Some(format!("the schedules played are not the {done} that are done"));
        }
        let failed = |held: u64, played: u64| played.checked_sub(held);
        let failed = failed(singles.held, singles.played).zip(failed(pairs.held, pairs.played));
        let calm_failed = result.buckets.values().any(|bucket| bucket.place == 0);
        match failed.map(|(singles, pairs)| singles + pairs + u64::from(calm_failed)) {
            Some(failed) if failed == result.failed() => None,
            _ => Some("the buckets are not those of the schedules that failed".to_owned()),
        }
    }

    /// Whether it goes on with `begun`, of which nothing is done, in the places up to `end`.
    fn continues(&self, name: &str, begun: &HoldPart, end: u64) -> Result<(), Mismatch> {
        self.is_of_one_with(name, &begun.result, "this sweep")?;
        let (done, wanted) = (self.places.start..self.done_through, begun.places.start..end);
        if done.start != wanted.start || done.end > wanted.end {
            let message =
                format!("{name} has the result of schedules {done:?}, which do not begin schedules {wanted:?}");
            return Err(Mismatch::new(message));
        }
        Ok(())
    }

    /// Whether the calm run and the schedules around it are the same.
    pub(super) fn is_of_one_with(&self, name: &str, other: &HoldSweepResult, other_name: &str) -> Result<(), Mismatch> {
        if self.result.is_of_one_with(other) {
            return Ok(());
        }
        let words = |result: &HoldSweepResult| format!("{} with {} schedules", hex(result.calm), result.schedules);
        let (one, another) = (words(&self.result), words(other));
        let message = format!("the calm run is another one: {name} has {one} around it, {other_name} has {another}");
        Err(Mismatch { message, is_of_code: true })
    }
}
