//! `pellmell export`: a run as a page, a picture, or a file for another tool.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use pellmell_core::explain::Explanation;
use pellmell_core::trace::{Edges, Trace, count, first_difference};
use pellmell_report::{Picture, Source, chrome, github, html, jsonl, junit, mermaid, otlp, svg};
use pellmell_scenario::any::{AnyScenario, AnySystem, NotExplained, Recorded, departed};
use serde_json::json;

use super::input::Input;
use super::{
    Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, files, input, number, print, program, replay, run,
    shown, shrink,
};

/// How many continuations are played from each step, unless a flag says otherwise.
const CONTINUATIONS: u32 = 200;
/// The most steps of a run beside which the calm run stands.
const STEPS_BESIDE: u64 = 5_000;

#[derive(clap::Args)]
pub(super) struct ExportArgs {
    /// A scenario file, an entry of the corpus, or a trace written by `run --trace`.
    file: PathBuf,
    /// What to make of it.
    #[arg(long, value_name = "FORMAT", value_enum)]
    to: To,
    /// The file to write; stdout if left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// With a scenario: the number that fixes all chance; the scenario's own if left out.
    #[arg(long, value_parser = number)]
    seed: Option<u64>,
    /// Shows a failing run as it is, and not what is left of it when it is shrunk and explained.
    #[arg(long)]
    whole: bool,
    /// How many continuations are played from each step to explain it.
    #[arg(long, value_name = "N", default_value_t = CONTINUATIONS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    continuations: u32,
    /// The most runs that shrinking may take.
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u32).range(1..))]
    executions: u32,
    #[command(flatten)]
    what: What,
}

/// What a run is made into.
#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// A page that opens from disk: steps, arrows, records, search.
    Html,
    /// A picture without script, of runs of at most 400 steps.
    Svg,
    /// A sequence diagram of Mermaid, of at most 200 messages.
    Mermaid,
    /// A report of one test case.
    Junit,
    /// Trace events, which Perfetto opens.
    Chrome,
    /// JSON lines: steps, messages on their way, what follows from what.
    Jsonl,
    /// Spans of OpenTelemetry, by the messaging conventions.
    Otlp,
    /// A line that a job of GitHub Actions shows as an annotation.
    Annotation,
    /// Markdown for the page of a job of GitHub Actions.
    Summary,
}

impl To {
    fn name(self) -> &'static str {
        match self {
            To::Html => "html",
            To::Svg => "svg",
            To::Mermaid => "mermaid",
            To::Junit => "junit",
            To::Chrome => "chrome",
            To::Jsonl => "jsonl",
            To::Otlp => "otlp",
            To::Annotation => "annotation",
            To::Summary => "summary",
        }
    }

    /// What a file is that may be written over.
    fn kind(self) -> files::Kind {
        let (name, begins): (_, &'static [&'static str]) = match self {
            To::Html => ("a page of `export`", &[html::BEGIN]),
            To::Svg => ("a picture of `export`", &[svg::BEGIN]),
            To::Mermaid => ("a diagram of `export`", &[mermaid::BEGIN]),
            To::Junit => ("a report of `export`", &[junit::BEGIN]),
            To::Chrome => ("a trace of `export`", &[chrome::BEGIN]),
            To::Jsonl => ("lines of `export`", &[jsonl::BEGIN]),
            To::Otlp => ("spans of `export`", &[otlp::BEGIN]),
            To::Annotation => ("an annotation of `export`", &github::ANNOTATION_BEGINS),
            To::Summary => ("a summary of `export`", &[github::SUMMARY_BEGIN]),
        };
        files::Kind { name, begins }
    }

    fn text(self, picture: &Picture) -> Result<String, Failure> {
        let instead = |error: &dyn fmt::Display| Failure::Input(format!("{error}\n  = help: take --to html"));
        match self {
            To::Html => Ok(html::html(picture)),
            To::Svg => svg::svg(picture).map_err(|error| instead(&error)),
            To::Mermaid => mermaid::mermaid(picture).map_err(|error| instead(&error)),
            To::Junit => Ok(junit::junit(picture)),
            To::Chrome => Ok(chrome::chrome(picture)),
            To::Jsonl => Ok(jsonl::jsonl(picture)),
            To::Otlp => Ok(otlp::otlp(picture)),
            To::Annotation => Ok(github::annotation(picture)),
            To::Summary => Ok(github::summary(picture)),
        }
    }
}

/// A run and what is known of it.
struct Known {
    trace: Trace,
    edges: Edges,
    explanation: Option<Explanation>,
    calm: Option<(Trace, Edges)>,
    notes: Vec<String>,
    /// The scenario file of what is left of the run, if it was shrunk.
    text: Option<String>,
}

impl Known {
    /// The picture of it, with commands to type.
    fn picture(&self, scenario: &dyn AnyScenario, seed: u64, commands: &[(&str, String)]) -> Picture {
        let settings = scenario.settings();
        Picture::of(&Source {
            trace: &self.trace,
            scenario: &settings.name,
            seed,
            about: &settings.about,
            profile: settings.profile.name,
            edges: &self.edges,
            explanation: self.explanation.as_ref(),
            calm: self.calm.as_ref().map(|(trace, edges)| (trace, edges)),
            commands,
            notes: &self.notes,
        })
    }
}

/// The run of a seed as `export --to html` draws it, and the scenario file of what is left of it when it is shrunk.
pub(super) fn counterexample(
    scenario: &dyn AnyScenario,
    seed: u64,
    executions: u32,
    commands: &[(&str, String)],
) -> Result<(Picture, Option<String>), Failure> {
    let known = played(scenario, seed, executions, CONTINUATIONS)?;
    Ok((known.picture(scenario, seed, commands), known.text))
}

pub(super) fn export(system: &dyn AnySystem, args: &ExportArgs, format: MessageFormat) -> Result<Ending, Failure> {
    if args.output.is_none() && format == MessageFormat::Json {
        let help = "name the file with --output FILE, or leave --message-format out";
        return Err(Failure::Input(format!("stdout would have both the export and JSON about it\n  = help: {help}")));
    }
    files::check_output(args.output.as_deref(), &args.to.kind(), &args.file)?;
    let (scenario, seed, known) = known(system, args)?;
    let commands = commands(&args.file, &*scenario, seed, known.trace.end.verdict != "held");
    let picture = known.picture(&*scenario, seed, &commands);
    let text = args.to.text(&picture)?;
    match &args.output {
        Some(path) => {
            files::write(path, &text)?;
            tell(&picture, args.to, path, format)?;
        }
        None => print(&text)?,
    }
    Ok(Ending::Held)
}

/// What is exported: the scenario, the seed, and its run.
fn known(system: &dyn AnySystem, args: &ExportArgs) -> Result<(Box<dyn AnyScenario>, u64, Known), Failure> {
    match input::any(system, &args.file)? {
        Input::Trace(_) if args.seed.is_some() || !args.what.is_empty() => {
            let message = format!("{} is a trace: what was run is in it", shown(&args.file));
            Err(Failure::Input(format!("{message}\n  = help: leave the flags that change it out")))
        }
        Input::Trace(trace) => {
            let scenario = replay::scenario_of(system, &args.file, &trace)?;
            let seed = trace.header.seed;
            let again = run::record(&*scenario, seed)?.trace;
            match first_difference(&trace, &again) {
                None => {
                    let known = played_as(args, &*scenario, seed)?;
                    Ok((scenario, seed, known))
                }
                Some(difference) => {
                    let note = format!(
                        "played again it differs at step {}: what is shown is the file's, and nothing explains it",
                        difference.step
                    );
                    let (edges, notes) = (Edges::default(), vec![note]);
                    let known = Known { trace: *trace, edges, explanation: None, calm: None, notes, text: None };
                    Ok((scenario, seed, known))
                }
            }
        }
        Input::Scenario(scenario) => {
            let scenario = input::apply(&args.file, scenario, &args.what)?;
            let seed = args.seed.unwrap_or(scenario.settings().seed);
            let known = played_as(args, &*scenario, seed)?;
            Ok((scenario, seed, known))
        }
    }
}

/// The run of a seed as the flags ask for it.
fn played_as(args: &ExportArgs, scenario: &dyn AnyScenario, seed: u64) -> Result<Known, Failure> {
    match args.whole {
        true => known_of_run(scenario, seed, None, Vec::new()),
        false => played(scenario, seed, args.executions, args.continuations),
    }
}

/// The run of a seed: what is left of it and why it fails, or the whole of it.
fn played(scenario: &dyn AnyScenario, seed: u64, executions: u32, continuations: u32) -> Result<Known, Failure> {
    let mut notes = Vec::new();
    match scenario.explain(seed, executions, continuations) {
        Ok(Some((smallest, explanation))) => {
            let small = &*smallest.scenario;
            let (before, after) = (shrink::in_words(&smallest.before), explanation.size_in_words());
            if before != after {
                notes.push(format!("shrunk from {before} to {after}"));
            }
            if !smallest.shrunk.minimal {
                notes.push("the runs did not suffice to leave out all that can go: try more --executions".to_owned());
            }
            let known = known_of_run(small, small.settings().seed, Some(explanation), notes)?;
            return Ok(Known { text: Some(smallest.text), ..known });
        }
        Ok(None) => {}
        Err(error) => notes.push(format!("the whole run is shown: {}", in_words(&error))),
    }
    known_of_run(scenario, seed, None, notes)
}

fn in_words(error: &NotExplained) -> String {
    match error {
        NotExplained::Shrink(error) => error.to_string(),
        NotExplained::TooLarge(error) => error.to_string(),
    }
}

fn known_of_run(
    scenario: &dyn AnyScenario,
    seed: u64,
    explanation: Option<Explanation>,
    notes: Vec<String>,
) -> Result<Known, Failure> {
    let Recorded { trace, edges, .. } = run::record(scenario, seed)?;
    let calm = match trace.end.steps {
        ..=STEPS_BESIDE => {
            let calm = run::record(&*departed(scenario, &[]), seed)?;
            Some((calm.trace, calm.edges)).filter(|(calm, _)| calm.records != trace.records)
        }
        _ => None,
    };
    Ok(Known { trace, edges, explanation, calm, notes, text: None })
}

/// What to type next.
pub(super) fn commands(file: &Path, scenario: &dyn AnyScenario, seed: u64, fails: bool) -> Vec<(&'static str, String)> {
    if file.extension().is_some_and(|ending| ending == "jsonl") {
        let file = pellmell_core::escape::file_for_shell(file);
        return vec![("Reproduce", format!("{} replay {file}", program()))];
    }
    let mut commands = vec![("Reproduce", command("run", file, scenario, seed))];
    if fails {
        commands.push(("Explain", command("explain", file, scenario, seed)));
        commands.push(("Keep", format!("{} --write FILE", command("shrink", file, scenario, seed))));
    }
    commands
}

/// Says what was written.
fn tell(picture: &Picture, to: To, path: &Path, format: MessageFormat) -> Result<(), Failure> {
    let mut out = Out::new();
    let steps = picture.run.steps.len() as u64;
    match format {
        MessageFormat::Human => {
            let what = format!("{} {} seed {}", to.name(), picture.scenario, picture.seed);
            let heading = picture.verdict.heading();
            out.status(GOOD, "Exported", format_args!("{what}   {}, {heading}", count(steps, "step")))?;
            for note in &picture.notes {
                out.status(PLAIN, "Note", note)?;
            }
            out.status(PLAIN, "Wrote", path.to_string_lossy())
        }
        MessageFormat::Json => out.json(&json!({
            "reason": "export",
            "to": to.name(),
            "file": path.to_string_lossy(),
            "scenario": picture.scenario,
            "seed": picture.seed,
            "steps": steps,
            "verdict": picture.verdict.word,
            "property": picture.verdict.property,
            "notes": picture.notes,
        })),
    }
}
