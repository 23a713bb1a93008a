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
mod files;
mod hold_sweep;
mod input;
mod interrupt;
mod log;
mod merge;
mod profile_table;
mod progress;
mod replay;
mod run;
mod shrink;
mod stopwatch;
mod sweep;
mod timeline;
mod vacuous;
mod zoo;

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use pellmell_core::escape::for_terminal;
use pellmell_core::schedule::Departure;
use pellmell_core::trace::{count, grouped};
use pellmell_core::vacuity::Allow;
use pellmell_scenario::any::{AnyScenario, AnySystem, Erased};
use pellmell_scenario::scenario::Suite;
use pellmell_scenario::scenario::{SchedulerKind, nearest};

/// Plays services on a fake broker that delivers late, twice and out of order, and says whether
/// their replicas converge.
#[derive(Parser)]
#[command(name = "pellmell", version, max_term_width = 100, arg_required_else_help = true)]
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
}

/// What is run: a scenario with what the command line changes in it.
#[derive(clap::Args)]
struct What {
    /// The rules of the services instead of the scenario's.
    #[arg(long, value_name = "DESIGN")]
    design: Option<String>,
    /// Plants a defect in the services, by name or number; may be given several times.
    #[arg(long = "defect", value_name = "NAME")]
    defects: Vec<String>,
    /// Who picks what happens next instead of the scenario's.
    #[arg(long, value_parser = scheduler)]
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
        planned && design.is_none() && scheduler.is_none() && defects.is_empty() && properties.is_empty() && limits
    }
}

/// Lets clap check the names that are the system's: its designs, defects and properties.
fn with_names(command: clap::Command, system: &'static dyn AnySystem) -> clap::Command {
    command.mut_subcommands(|verb| {
        with_names(verb, system).mut_args(|argument| match argument.get_id().as_str() {
            "design" => argument.value_parser(move |name: &str| {
                let designs = system.designs().into_iter().map(|(name, _)| name.to_owned());
                one_of("design", name, &designs.collect::<Vec<_>>())
            }),
            "defects" => argument.value_parser(move |name: &str| defect(system, name)),
            "properties" => argument.value_parser(move |name: &str| one_of("property", name, &system.properties())),
            _ => argument,
        })
    })
}

/// A name that is one of these.
fn one_of(what: &str, name: &str, known: &[String]) -> Result<String, String> {
    match known.iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("unknown {what}: expected one of {}", known.join(", "))),
    }
}

/// The name of the defect of that name or number.
fn defect(system: &dyn AnySystem, name: &str) -> Result<String, String> {
    let defects = system.defects();
    match defects.iter().find(|defect| defect.name == name || defect.id == name) {
        Some(defect) => Ok(defect.name.to_owned()),
        None if defects.is_empty() => Err(format!("the system {} declares no defects", system.name())),
        None => {
            let known: Vec<&str> = defects.iter().map(|defect| defect.name).collect();
            Err(format!("unknown defect: expected one of {}", known.join(", ")))
        }
    }
}

fn scheduler(name: &str) -> Result<SchedulerKind, String> {
    SchedulerKind::named(name).ok_or_else(|| match nearest(name, SchedulerKind::NAMES) {
        Some(near) => {
            format!("unknown scheduler: did you mean `{near}`? Known are {}", SchedulerKind::NAMES.join(", "))
        }
        None => format!("unknown scheduler: expected one of {}", SchedulerKind::NAMES.join(", ")),
    })
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
        Failure::Input(error.to_string())
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
/// The verbs are `run`, `sweep`, `merge`, `exhaust`, `shrink`, `explain`, `replay`, `check`, `corpus`, `zoo`,
/// `admit` and `profiles`;
/// each says with `--help` what it does. It reads the environment (`PELLMELL_OUT`, `PELLMELL_THREADS`,
/// those of the engine if a sweep is divided with `--shard auto`), sets the panic hook, and
/// listens to Ctrl-C while it sweeps.
#[must_use]
pub fn main<T: Suite>() -> ExitCode {
    // It lives as long as the process; parsers of flags keep it.
    run_verb(Box::leak(Box::new(Erased::<T>::default())))
}

static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// The name of this program, which commands to type next begin with.
fn program() -> &'static str {
    PROGRAM.get().copied().unwrap_or("pellmell")
}

fn run_verb(system: &'static dyn AnySystem) -> ExitCode {
    PROGRAM.get_or_init(|| system.program());
    if closed::stdout_was_closed() {
        return ExitCode::from(complain("stdout is closed: nobody could read the result", 74));
    }
    let cli = match parsed(system, std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(told_by_clap(system, error)),
    };
    // What a service panics with becomes a verdict, so it is not printed as well.
    std::panic::set_hook(Box::new(|_| {}));
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
        interrupt::survive_full_files()?;
        let format = cli.message_format;
        let _waiting = match cli.verb {
            Verb::Run(_) | Verb::Shrink(_) | Verb::Explain(_) => {
                Some(progress::Waiting::begin("; --max-steps N ends a run earlier"))
            }
            Verb::Replay(_) | Verb::Check(_) | Verb::Corpus(_) | Verb::Admit(_) | Verb::Profiles(_) => {
                Some(progress::Waiting::begin(""))
            }
            // They tell how far they are.
            Verb::Sweep(_) | Verb::Merge(_) | Verb::Exhaust(_) | Verb::Zoo(_) => None,
        };
        match cli.verb {
            Verb::Run(args) => run::run(system, &args, format),
            Verb::Sweep(args) => sweep::sweep(system, &args, format),
            Verb::Merge(args) => merge::merge(system, &args, format),
            Verb::Exhaust(args) => exhaust::exhaust(system, &args, format),
            Verb::Shrink(args) => shrink::shrink(system, &args, format),
            Verb::Replay(args) => replay::replay(system, &args, format),
            Verb::Explain(args) => explain::explain(system, &args, format),
            Verb::Check(args) => check::check(system, &args, format),
            Verb::Corpus(args) => corpus::corpus(system, &args, format),
            Verb::Zoo(args) => zoo::zoo(system, &args, format),
            Verb::Admit(args) => admit::admit(&args, format),
            Verb::Profiles(args) => admit::profiles(&args, format),
        }
    }));
    let code = match ended {
        Ok(Ok(ending)) => ending as u8,
        Ok(Err(Failure::Input(message))) => complain(&message, 2),
        Ok(Err(Failure::Io(message))) => complain(&message, 74),
        Ok(Err(Failure::Stale(message))) => complain(&message, 3),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let said = said.unwrap_or_else(|| "no message".to_owned());
            complain(
                &format!("this is a bug in pellmell: {said}\n  = help: report it with the command line and the file"),
                70,
            )
        }
    };
    ExitCode::from(code)
}

/// A file's name as it is shown. In a message it must be one line, because the message may be several.
fn shown(path: &Path) -> String {
    for_terminal(&path.to_string_lossy()).into_owned()
}

/// Lines as a terminal can show them.
fn lines_shown(text: &str) -> String {
    text.split('\n').map(for_terminal).collect::<Vec<_>>().join("\n")
}

/// Says on stderr what is not the result.
fn tell(word: &str, text: &str) {
    // If stderr is gone there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{PLAIN}{word:>12}{PLAIN:#} {}", for_terminal(text));
}

fn complain(message: &str, code: u8) -> u8 {
    // If stderr is gone as well there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{BAD}error{BAD:#}: {}", lines_shown(message));
    code
}

/// The flags of the command line, with the system's names.
fn parsed(
    system: &'static dyn AnySystem,
    arguments: impl Iterator<Item = std::ffi::OsString>,
) -> Result<Cli, clap::Error> {
    let command = Cli::command().name(system.program()).bin_name(system.program());
    let matches = with_names(command, system).try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// Says what clap says, which is help if it was asked for, and how that ends.
fn told_by_clap(system: &'static dyn AnySystem, error: clap::Error) -> u8 {
    // What it says quotes the arguments, so it is asked again with arguments as they are shown.
    let arguments = std::env::args_os().map(|argument| for_terminal(&argument.to_string_lossy()).into_owned());
    let again = parsed(system, arguments.map(Into::into));
    let error = again.err().filter(|again| again.kind() == error.kind()).unwrap_or(error);
    match error.print() {
        // Who stops reading has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(&format!("cannot write: {error}"), 74),
        _ => u8::try_from(error.exit_code()).unwrap_or(2),
    }
}

/// Writes lines to stdout, which loses colours where it is no terminal.
struct Out(anstream::AutoStream<io::StdoutLock<'static>>);

impl Out {
    fn new() -> Out {
        Out(anstream::AutoStream::auto(io::stdout().lock()))
    }

    /// A line, as a terminal can show it.
    fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        self.parts(&[(Style::new(), &text.to_string())])
    }

    /// A line in parts of one style each, as a terminal can show it.
    fn parts(&mut self, parts: &[(Style, &str)]) -> Result<(), Failure> {
        let line: String =
            parts.iter().map(|(style, text)| format!("{style}{}{style:#}", for_terminal(text))).collect();
        self.write(&line)
    }

    /// A text of several lines.
    fn text(&mut self, text: &str) -> Result<(), Failure> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// A line that begins with a status word, right-aligned to 12 columns.
    fn status(&mut self, style: Style, word: &str, text: impl fmt::Display) -> Result<(), Failure> {
        self.parts(&[(style, &format!("{word:>12}")), (Style::new(), &format!(" {text}"))])
    }

    /// How a run departs from the calm one, a line each.
    fn departures(&mut self, departures: &[Departure]) -> Result<(), Failure> {
        departures.iter().try_for_each(|departure| self.status(PLAIN, "Departs", departure))
    }

    fn json(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        self.write(&value.to_string())
    }

    fn write(&mut self, line: &str) -> Result<(), Failure> {
        match writeln!(self.0, "{line}") {
            // Who stops reading has seen enough; the verb ends as it would have.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const PLAIN: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

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
