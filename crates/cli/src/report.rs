//! `--report FOLDER`: what came of a verb as a folder of pages.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use pellmell_core::Time;
use pellmell_core::escape::file_for_shell;
use pellmell_core::trace::{CountsText, Edges, Header, Trace, TraceEnd, TraceRecord};
use pellmell_report::folder::{self, INDEX};
use pellmell_report::report::{Cell, Fact, Part, Report, Row, Story, Tone};
use pellmell_report::{Picture, Source};
use pellmell_scenario::any::AnyScenario;

use super::files::{self, PAGE, SHRUNK};
use super::progress::Waiting;
use super::sweep::SHRUNK_MAX;
use super::{Ending, Failure, Out, PLAIN, export, program, shown};

/// What every report that is asked for has.
#[derive(clap::Args, Default)]
pub(super) struct ReportArgs {
    /// Writes a report to this folder, `index.html` and a page for each counterexample; one that is there must be
    /// of `--report`.
    #[arg(long = "report", value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl ReportArgs {
    /// Refuses a folder that has something else, before any work is done.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.folder.as_deref().map_or(Ok(()), check)
    }

    /// Whether one is asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.folder.is_some()
    }

    /// Writes the report, if one is asked for, and says where.
    pub(super) fn write(&self, report: impl FnOnce() -> Result<Report, Failure>) -> Written {
        let Some(folder) = &self.folder else { return Written(Ok(None)) };
        let _waiting = Waiting::begin(": the counterexamples of the report are explained");
        Written(report().and_then(|report| write(folder, &report)).map(Some))
    }
}

/// Where a report was written, or why it was not. What a verb found is told all the same.
pub(super) struct Written(Result<Option<PathBuf>, Failure>);

impl Written {
    /// Says where.
    pub(super) fn tell(&self, out: &mut Out) -> Result<(), Failure> {
        match &self.0 {
            Ok(Some(index)) => out.status(PLAIN, "Wrote", index.to_string_lossy()),
            _ => Ok(()),
        }
    }

    /// The same as a value.
    pub(super) fn as_json(&self) -> serde_json::Value {
        let index = self.0.as_ref().ok().and_then(Option::as_ref);
        index.map(|index| index.to_string_lossy().into_owned()).into()
    }

    /// Ends as the verb does, unless there is no report although one was asked for.
    pub(super) fn ending(self, ending: Ending) -> Result<Ending, Failure> {
        self.0.map(|_| ending)
    }
}

/// Refuses a folder that is there and that no report made.
pub(super) fn check(folder: &Path) -> Result<(), Failure> {
    let refuse = |why: &str| {
        let mut other = folder.as_os_str().to_owned();
        other.push("-report");
        let next = format!("--report {}", file_for_shell(Path::new(&other)));
        let help = format!("remove it if it may go, or name a folder that is not there: {next}");
        Err(Failure::Input(format!("{} {why}: nothing is written there\n  = help: {help}", shown(folder))))
    };
    match fs::metadata(folder) {
        // Whoever may not look there may not write there, which is told then.
        Err(_) => return Ok(()),
        Ok(found) if !found.is_dir() => return refuse("is a file, and a report is a folder"),
        Ok(_) => {}
    }
    let is_report = match folder.join(INDEX) {
        index if index.exists() => files::is_one(&index, &PAGE) != Some(false),
        // Of one that was cut off the index is missing.
        _ => entries(folder)?.iter().all(|name| is_of_report(folder, name)),
    };
    if is_report { Ok(()) } else { refuse("is there and is not of `--report`") }
}

/// Writes a report: first the pages of the counterexamples, then the page that leads to them. What an earlier one
/// left of pages goes at the end. Says where the first page is.
pub(super) fn write(folder: &Path, report: &Report) -> Result<PathBuf, Failure> {
    let written = folder::files(report);
    files::make_folder(folder)?;
    for (name, _) in &written {
        let kind = if is_scenario(name) { &SHRUNK } else { &PAGE };
        files::check_output(Some(&folder.join(name)), kind, folder)?;
    }
    let before = entries(folder)?;
    for (name, text) in &written {
        files::write(&folder.join(name), text)?;
    }
    let is_left = |name: &&OsString| !written.iter().any(|(written, _)| **name == **written);
    for name in before.iter().filter(is_left).filter(|name| is_of_report(folder, name)) {
        files::remove(&folder.join(name))?;
    }
    Ok(folder.join(INDEX))
}

fn entries(folder: &Path) -> Result<Vec<OsString>, Failure> {
    let cannot = |error| Failure::Io(format!("cannot read the folder {}: {error}", shown(folder)));
    let entries = fs::read_dir(folder).map_err(cannot)?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(cannot)).collect()
}

fn is_scenario(name: &str) -> bool {
    name.ends_with(".toml")
}

/// Whether a file of a folder is one that a report wrote: by what it is, and by its name.
fn is_of_report(folder: &Path, name: &OsString) -> bool {
    let (path, name) = (folder.join(name), name.to_string_lossy());
    // What was being written when the process was killed is one as well.
    let name = name.strip_suffix(files::WRITTEN_TO).unwrap_or(&name);
    let number = name.split('-').nth(1).map(|rest| rest.split('.').next().unwrap_or_default());
    let is_numbered = number.is_some_and(|number| number.parse::<u32>().is_ok());
    let kind = if is_scenario(name) { &SHRUNK } else { &PAGE };
    let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
    is_file && (name == INDEX || is_numbered) && files::is_one(&path, kind) == Some(true)
}

/// A run that fails, to be told.
pub(super) struct Fails<'a> {
    pub(super) scenario: &'a dyn AnyScenario,
    pub(super) seed: u64,
    /// What the page is called after.
    pub(super) words: &'a str,
    /// How many runs shrinking may take.
    pub(super) executions: u32,
    /// Commands that give it again; none: the scenario file beside the page does.
    pub(super) commands: Vec<(&'static str, String)>,
    /// The text of that file, if it is another one than that of the shrunk run.
    pub(super) text: Option<&'a str>,
}

/// Adds a story to a report, with the page of its counterexample.
pub(super) fn tell(report: &mut Report, fails: Fails<'_>, story: Story) -> Result<Part, Failure> {
    let Fails { scenario, seed, words, executions, mut commands, text: own } = fails;
    if commands.is_empty() {
        let file = format!("{}.toml", report.next_page(words));
        commands = ["run", "explain"].map(|verb| (word_of(verb), format!("{} {verb} {file}", program()))).to_vec();
    }
    let (picture, text) = export::counterexample(scenario, seed, executions, &commands)?;
    let text = own.map(str::to_owned).or(text);
    let mut story = story;
    for note in &picture.notes {
        story.facts.push(Fact::new(Tone::Plain, "Note", note));
    }
    // The first run of its kind may name other records than what is left of it.
    story.detail = picture.verdict.detail.clone().unwrap_or(story.detail);
    story.commands.extend(commands.into_iter().map(|(word, command)| (word.to_owned(), command)));
    story.page = Some(report.add_page(words, picture, text));
    Ok(Part::story(story))
}

/// The same for a bucket of failures: the first few have pages, and of others the story has the departures and the
/// commands.
pub(super) fn bucket(
    report: &mut Report,
    place: usize,
    fails: Fails<'_>,
    story: Story,
    departures: &[String],
) -> Result<Part, Failure> {
    if place < SHRUNK_MAX {
        return tell(report, fails, story);
    }
    let commands = fails.commands.into_iter().map(|(word, command)| (word.to_owned(), command)).collect();
    let note = Fact::new(Tone::Dim, "Note", format_args!("not shrunk: the first {SHRUNK_MAX} are"));
    Ok(Part::story(Story { departures: departures.to_vec(), commands, facts: vec![note], ..story }))
}

/// A run that is known by its steps alone.
pub(super) struct Steps<'a> {
    pub(super) scenario: &'a str,
    pub(super) about: &'a str,
    pub(super) design: String,
    pub(super) profile: &'a str,
    /// Who found it.
    pub(super) by: &'a str,
    pub(super) services: &'a [String],
    pub(super) records: &'a [TraceRecord],
    pub(super) verdict: &'a str,
    pub(super) property: Option<&'a str>,
    pub(super) detail: Option<String>,
}

/// The picture of such a run.
pub(super) fn picture_of(steps: Steps<'_>, commands: &[(&str, String)], notes: &[String]) -> Picture {
    let last = steps.records.last();
    let trace = Trace {
        header: Header {
            design: steps.design,
            scheduler: steps.by.to_owned(),
            ..Header::of(steps.scenario, steps.services.to_vec())
        },
        records: steps.records.to_vec(),
        end: TraceEnd {
            verdict: steps.verdict.to_owned(),
            property: steps.property.map(str::to_owned),
            detail: steps.detail,
            steps: steps.records.len() as u64,
            time_us: last.map_or(0, |record| record.time_us),
            fingerprint: last.map(|record| record.fingerprint.clone()).unwrap_or_default(),
            stores: Vec::new(),
            counts: CountsText::new(),
        },
    };
    Picture::of(&Source {
        trace: &trace,
        scenario: steps.scenario,
        seed: 0,
        about: steps.about,
        profile: steps.profile,
        edges: &Edges::default(),
        explanation: None,
        calm: None,
        commands,
        notes,
    })
}

/// A run as a table, a step in each row.
pub(super) fn timeline(caption: &str, records: &[TraceRecord]) -> Option<Part> {
    let rows = records.iter().map(|record| {
        let faults = record.faults.iter().map(|fault| format!("◀ {fault}"));
        let instead = record.instead_of.iter().map(|calm| format!("≠ calm: {calm}"));
        let departs: Vec<String> = faults.chain(instead).collect();
        let tone = if record.faults.is_empty() { Tone::Plain } else { Tone::Bad };
        let what = match record.service {
            Some(_) => record.in_brief(),
            None => record.action.clone(),
        };
        let at = [Time(record.time_us).to_string(), record.service.clone().unwrap_or_default(), what];
        let departs = Cell { tone, ..Cell::from(departs.join(", ")) };
        Row {
            heading: record.step.to_string().into(),
            cells: at.map(Cell::from).into_iter().chain([departs]).collect(),
        }
    });
    Part::table(caption, &["step", "t", "service", "what happens", "departs"], rows.collect())
}

/// The word before a command.
fn word_of(verb: &str) -> &'static str {
    if verb == "run" { "Reproduce" } else { "Explain" }
}

/// The property that a failure is named after, or what it is if none is violated.
pub(super) fn first_word(signature: &str) -> &str {
    signature.split([' ', ':']).next().unwrap_or_default()
}
