//! The command line of [pellmell](https://docs.rs/pellmell) for any system: a program of yours is one call of
//! [`main`].
//!
//! stdout carries the result and nothing else, stderr progress and errors. Every ending has an exit
//! code of its own. The verbs know a system behind a trait object only, so they are compiled once and not
//! once for each system.

mod admit;
mod check;
mod closed;
mod corpus;
mod coverage;
mod environment;
mod exhaust;
mod explain;
mod export;
mod files;
mod grid;
mod help;
mod hold_sweep;
mod input;
mod interrupt;
mod layout;
mod log;
mod merge;
mod out;
mod profile_table;
mod progress;
mod replay;
mod report;
mod run;
mod shrink;
mod stopwatch;
mod sweep;
mod system;
mod table;
mod timeline;
mod vacuous;
mod zoo;

use std::io;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use pellmell_core::broker::Profile;
use pellmell_core::escape::for_terminal;
use pellmell_core::schedule::Departure;
use pellmell_core::trace::{count, grouped};
use pellmell_core::vacuity::Allow;
use pellmell_scenario::any::{AnyScenario, AnySystem, Erased};
use pellmell_scenario::scenario::{SchedulerKind, Suite};

use out::{BAD, DIM, GOOD, Out, PLAIN, complain, print, tell};

/// Plays services on a fake broker that delivers late, twice and out of order, and says whether
/// their replicas converge.
#[derive(Parser)]
#[command(name = "pellmell", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 held, shrunk, or explained · 1 violated, stuck or panicked · 2 bad flag or file · \
3 not reproducible · 4 held and rests on what did not happen, nothing to shrink or explain, or not \
complete · \
70 bug in pellmell · 74 cannot read or write · 130 interrupted"
)]
struct Cli {
    /// How to print the result.
    #[arg(long, global = true, value_enum, default_value = "human")]
    message_format: MessageFormat,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MessageFormat {
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs a scenario once and shows what happened.
    Run(run::RunArgs),
    /// Runs many seeds of a scenario and puts the failures into buckets.
    Sweep(sweep::SweepArgs),
    /// Joins the results of all shards of a sweep.
    Merge(merge::MergeArgs),
    /// Searches all schedules of a scenario within bounds, and says whether all of them hold.
    Exhaust(exhaust::ExhaustArgs),
    /// Runs a seed again, or the run of a trace, and says where it differs.
    Replay(replay::ReplayArgs),
    /// Makes a failing run as small as it can be, and a scenario file of it.
    Shrink(shrink::ShrinkArgs),
    /// Says what made a run fail, step by step and in words.
    Explain(explain::ExplainArgs),
    /// Draws a run as a page, a picture, or a file for another tool.
    Export(export::ExportArgs),
    /// Checks a scenario or a trace without running it.
    Check(check::CheckArgs),
    /// Replays the corpus and reports entries whose outcome changed.
    Corpus(corpus::CorpusArgs),
    /// Plants every known defect and says what catches it.
    Zoo(zoo::ZooArgs),
    /// Says whether recordings of real brokers are possible under a profile.
    Admit(admit::AdmitArgs),
    /// Lists the brokers that scenarios are played on and recordings held against, or the settings of one.
    Profiles(admit::ProfilesArgs),
    /// Prints what lets a shell complete this command line.
    Completions(help::CompletionsArgs),
    /// Writes a manual page of each verb.
    Man(help::ManArgs),
}

/// What is run: a scenario with what the command line changes in it.
#[derive(clap::Args)]
struct What {
    /// The rules of the services instead of the scenario's.
    #[arg(long, value_name = "DESIGN")]
    design: Option<String>,
    /// The broker instead of the scenario's, with its usual settings: `pellmell profiles` lists them.
    #[arg(long, value_name = "NAME", value_parser = profiles())]
    profile: Option<String>,
    /// Plants a defect in the services, by name or number; may be given several times.
    #[arg(long = "defect", value_name = "NAME")]
    defects: Vec<String>,
    /// Who picks what happens next instead of the scenario's.
    #[arg(long, value_parser = schedulers())]
    scheduler: Option<SchedulerKind>,
    /// Nothing goes wrong but the order, whatever the scenario's faults are.
    #[arg(long)]
    no_faults: bool,
    /// Departs from the calm run so, in the words of a scenario's `schedule`; may be given several times.
    #[arg(long = "departure", value_name = "TEXT", conflicts_with = "scheduler")]
    departures: Vec<Departure>,
    /// Judges these properties only; may be given several times.
    #[arg(long = "property", value_name = "NAME")]
    properties: Vec<String>,
    /// Lets something asked for not happen: a kind such as `unused-departure`, or a kind and a name; may be
    /// given several times.
    #[arg(long = "allow", value_name = "KIND")]
    allow: Vec<Allow>,
    /// The most steps of a run.
    #[arg(long, value_name = "N", value_parser = number)]
    max_steps: Option<u64>,
    /// The most messages of a run.
    #[arg(long, value_name = "N")]
    max_messages: Option<u32>,
    /// The most deliveries open at a time.
    #[arg(long, value_name = "N")]
    max_in_flight: Option<u32>,
}

/// The command that looks for a failing seed of a scenario.
fn sweep_command(path: &Path, scenario: &dyn AnyScenario) -> String {
    format!("{} --seeds 0..1000", scenario.command("sweep", path))
}

/// The command that does something with a seed of a scenario.
fn command(verb: &str, path: &Path, scenario: &dyn AnyScenario, seed: u64) -> String {
    let mut scenario = scenario.copy();
    scenario.settings_mut().settle_for_seed(seed);
    format!("{} --seed {seed}", scenario.command(verb, path))
}

impl What {
    /// Whether nothing is changed.
    fn is_empty(&self) -> bool {
        let What {
            design,
            profile,
            defects,
            scheduler,
            no_faults,
            departures,
            properties,
            allow: _,
            max_steps,
            max_messages,
            max_in_flight,
        } = self;
        let limits = max_steps.is_none() && max_messages.is_none() && max_in_flight.is_none();
        let planned = !no_faults && departures.is_empty();
        let named = design.is_none() && profile.is_none() && scheduler.is_none();
        planned && named && defects.is_empty() && properties.is_empty() && limits
    }
}

/// Lets clap check and complete the names that are the system's: its designs, defects and properties.
fn with_names(command: clap::Command, system: &'static dyn AnySystem) -> clap::Command {
    command.mut_subcommands(|verb| {
        with_names(verb, system).mut_args(|argument| match argument.get_id().as_str() {
            "design" => {
                argument.value_parser(PossibleValuesParser::new(system.designs().into_iter().map(|(name, _)| name)))
            }
            "defects" if system.defects().is_empty() => {
                argument.value_parser(move |_: &str| -> Result<String, String> {
                    Err(format!("the system {} declares no defects", system.name()))
                })
            }
            "defects" => argument.hide_possible_values(true).value_parser(defects(system)),
            // There may be dozens.
            "properties" => {
                argument.hide_possible_values(true).value_parser(PossibleValuesParser::new(system.properties()))
            }
            _ => argument,
        })
    })
}

/// Reads the name or the number of a defect as its name.
fn defects(system: &'static dyn AnySystem) -> impl TypedValueParser<Value = String> {
    let all = system.defects();
    let names = all.iter().map(|defect| PossibleValue::new(defect.name).alias(defect.id));
    PossibleValuesParser::new(names.collect::<Vec<_>>()).map(move |said| {
        let named = all.iter().find(|defect| defect.name == said || defect.id == said);
        named.map_or(said, |defect| defect.name.to_owned())
    })
}

/// Reads the name of a profile.
fn profiles() -> PossibleValuesParser {
    PossibleValuesParser::new(Profile::NAMES)
}

/// Reads the name of a scheduler.
fn schedulers() -> impl TypedValueParser<Value = SchedulerKind> {
    PossibleValuesParser::new(SchedulerKind::NAMES)
        .try_map(|name| SchedulerKind::named(&name).ok_or_else(|| format!("unknown scheduler {name}")))
}

/// A whole number, `_` between digits allowed.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let wrong = "expected a whole number from 0 to 18446744073709551615, for example 7 or 1_000_000";
    if text.starts_with(['_', '+']) { Err(wrong.to_owned()) } else { digits.parse().map_err(|_| wrong.to_owned()) }
}

/// A range of seeds, `A..B` without B.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = "expected a range such as 0..1000, which ends before its second number";
    let (begin, end) = text.split_once("..").ok_or(wrong)?;
    let range = number(begin).map_err(|_| wrong)?..number(end).map_err(|_| wrong)?;
    if range.start > range.end { Err("the range ends before it begins".to_owned()) } else { Ok(range) }
}

/// A range of seeds, or `A..` for all from A on.
fn open_seeds(text: &str) -> Result<Range<u64>, String> {
    match text.strip_suffix("..") {
        Some(begin) => number(begin).map(|begin| begin..u64::MAX),
        None => seeds(text),
    }
}

/// How a verb ended that could do its work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Held = 0,
    Failed = 1,
    NotReproducible = 3,
    /// Nothing ran, or what held rests on what did not happen.
    NothingRan = 4,
    Interrupted = 130,
}

/// Why a verb could not do its work.
enum Failure {
    /// A file or a flag is wrong.
    Input(String),
    /// Reading or writing went wrong.
    Io(String),
    /// A stored case names what no longer exists.
    Stale(String),
}

impl From<pellmell_scenario::scenario::FileError> for Failure {
    fn from(error: pellmell_scenario::scenario::FileError) -> Failure {
        let mut said = error.in_columns(layout::width());
        if !said.contains(out::HELP) {
            said += &format!("\n  {}mend the file, and type the same again", out::HELP);
        }
        Failure::Input(said)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(format!("cannot write the result: {error}"))
    }
}

/// Runs the command line of a system with the arguments of the process, and says how the process should end:
/// all that the `main` of a program has to do.
///
/// ```no_run
/// # use pellmell::ticketing::Ticketing as Shop;
/// fn main() -> std::process::ExitCode {
///     pellmell::cli::main::<Shop>()
/// }
/// ```
///
/// The verbs are `run`, `sweep`, `merge`, `exhaust`, `shrink`, `explain`, `export`, `replay`, `check`, `corpus`,
/// `zoo`, `admit`, `profiles`, `completions` and `man`; each says with `--help` what it does, and two examples of it.
/// It reads the environment (`COLUMNS`, `PELLMELL_OUT`, `PELLMELL_THREADS`, those of the engine if a sweep is
/// divided with `--shard auto`), sets the panic hook, and listens to Ctrl-C while it sweeps.
#[must_use]
pub fn main<T: Suite>() -> ExitCode {
    // It lives as long as the process; parsers of flags keep it.
    run_verb(Box::leak(Box::new(Erased::<T>::default())))
}

/// [`main`] for several systems: that of the first scenario, trace or result that the command line names and that says
/// of which system it is, with `system = "NAME"`; else the first one.
#[must_use]
pub fn main_of(systems: Vec<Box<dyn AnySystem>>) -> ExitCode {
    let systems: &'static [Box<dyn AnySystem>] = Box::leak(systems.into_boxed_slice());
    run_verb(system::of_arguments(systems, std::env::args_os().skip(1)))
}

/// Writes a report to a folder, as `--report FOLDER` does: the pages of its counterexamples, and last the page that
/// leads to them, which it says where it is.
///
/// # Errors
/// What is wrong and what to do: the folder is there and no report made it, or it cannot be written.
pub fn write_report(folder: &Path, report: &pellmell_report::Report) -> Result<PathBuf, String> {
    let written = report::check(folder).and_then(|()| report::write(folder, report));
    written.map_err(|(Failure::Input(message) | Failure::Io(message) | Failure::Stale(message))| message)
}

static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// The name of this program, which commands to type next begin with.
fn program() -> &'static str {
    PROGRAM.get().copied().unwrap_or("pellmell")
}

fn run_verb(system: &'static dyn AnySystem) -> ExitCode {
    PROGRAM.get_or_init(|| system.program());
    if closed::stdout_was_closed() {
        let next = "run it where stdout is open, or with `> FILE`";
        return ExitCode::from(complain("stdout is closed: nobody could read the result", next, 74));
    }
    let (cli, verb) = match parsed(system, std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => return ExitCode::from(told_by_clap(system, error)),
    };
    // What a service panics with becomes a verdict, so it is not printed as well.
    std::panic::set_hook(Box::new(|_| {}));
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
        interrupt::survive_full_files()?;
        let format = cli.message_format;
        let _waiting = match cli.verb {
            Verb::Run(_) | Verb::Shrink(_) | Verb::Explain(_) | Verb::Export(_) => {
                Some(progress::Waiting::begin("; --max-steps N ends a run earlier"))
            }
            Verb::Replay(_) | Verb::Check(_) | Verb::Corpus(_) | Verb::Admit(_) | Verb::Profiles(_) => {
                Some(progress::Waiting::begin(""))
            }
            // They tell how far they are, or are done at once.
            Verb::Sweep(_) | Verb::Merge(_) | Verb::Exhaust(_) | Verb::Zoo(_) => None,
            Verb::Completions(_) | Verb::Man(_) => None,
        };
        match cli.verb {
            Verb::Run(args) => run::run(system, &args, format),
            Verb::Sweep(args) => sweep::sweep(system, &args, format),
            Verb::Merge(args) => merge::merge(system, &args, format),
            Verb::Exhaust(args) => exhaust::exhaust(system, &args, format),
            Verb::Shrink(args) => shrink::shrink(system, &args, format),
            Verb::Replay(args) => replay::replay(system, &args, format),
            Verb::Explain(args) => explain::explain(system, &args, format),
            Verb::Export(args) => export::export(system, &args, format),
            Verb::Check(args) => check::check(system, &args, format),
            Verb::Corpus(args) => corpus::corpus(system, &args, format),
            Verb::Zoo(args) => zoo::zoo(system, &args, format),
            Verb::Admit(args) => admit::admit(&args, format),
            Verb::Profiles(args) => admit::profiles(&args, format),
            Verb::Completions(args) => help::completions(command_line(system), &args),
            Verb::Man(args) => help::man(system, command_line(system), &args, format),
        }
    }));
    let code = match ended {
        Ok(Ok(ending)) => ending as u8,
        Ok(Err(failure)) => {
            let (message, code) = match failure {
                Failure::Input(message) => (message, 2),
                Failure::Io(message) => (message, 74),
                Failure::Stale(message) => (message, 3),
            };
            complain(&message, &format!("{verb} --help says what it takes"), code)
        }
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let said = said.unwrap_or_else(|| "no message".to_owned());
            complain(&format!("this is a bug in pellmell: {said}"), "report it with the command line and the file", 70)
        }
    };
    ExitCode::from(code)
}

/// A file's name as it is shown. In a message it must be one line, because the message may be several.
fn shown(path: &Path) -> String {
    for_terminal(&path.to_string_lossy()).into_owned()
}

/// The command line with what is the system's: the name of the program, of designs, defects and properties, and
/// the scenarios of examples.
fn command_line(system: &'static dyn AnySystem) -> clap::Command {
    let command = Cli::command().name(system.program()).bin_name(system.program()).term_width(layout::width());
    help::with_examples(with_names(command, system), system)
}

/// The flags of the command line, and which verb it is in words.
fn parsed(
    system: &'static dyn AnySystem,
    arguments: impl Iterator<Item = std::ffi::OsString>,
) -> Result<(Cli, String), clap::Error> {
    let matches = command_line(system).try_get_matches_from(arguments)?;
    let mut verb = system.program().to_owned();
    let mut within = matches.subcommand();
    while let Some((name, matches)) = within {
        verb += &format!(" {name}");
        within = matches.subcommand();
    }
    Ok((Cli::from_arg_matches(&matches)?, verb))
}

/// Says what clap says, which is help if it was asked for, and how that ends.
fn told_by_clap(system: &'static dyn AnySystem, error: clap::Error) -> u8 {
    // What it says quotes the arguments, so it is asked again with arguments as they are shown.
    let arguments = std::env::args_os().map(|argument| for_terminal(&argument.to_string_lossy()).into_owned());
    let again = parsed(system, arguments.map(Into::into));
    let error = again.err().filter(|again| again.kind() == error.kind()).unwrap_or(error);
    let printed = match error.use_stderr() {
        false => error.print(),
        true => out::complain_as_clap(&error.render()),
    };
    match printed {
        // Who stops reading has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write: {error}"), "write to a place that has room", 74)
        }
        _ => u8::try_from(error.exit_code()).unwrap_or(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn seeds_are_whole_numbers_with_or_without_underscores() {
        assert_eq!(number("1_000"), Ok(1000));
        assert_eq!(seeds("0..1_000"), Ok(0..1000));
        for text in ["", "x", "-1", "1.5", "_1", "+1", "99999999999999999999"] {
            assert!(number(text).is_err(), "{text}");
        }
        for text in ["5", "5..2", "..", "a..b", "1..=2"] {
            assert!(seeds(text).is_err(), "{text}");
        }
    }
}
