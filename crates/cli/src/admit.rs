//! `pellmell admit`: whether a recording is possible under a profile; `pellmell profiles`: which there are.

use std::path::{Path, PathBuf};

use anstyle::Style;
use pellmell_core::engine::{Admitted, Profile, Refusal, Sees};
use pellmell_core::escape::file_for_shell;
use pellmell_core::schedule::Departure;
use pellmell_core::trace::count;
use pellmell_scenario::foreign::{self, Foreign, Mapping};
use pellmell_scenario::scenario::nearest;
use serde_json::{Value, json};

use super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, files, input, number, program, shown};

/// A recording has a line for each thing that happened.
const RECORDING_BYTES_MAX: u64 = 1 << 26;

#[derive(clap::Args)]
pub(super) struct AdmitArgs {
    /// Recordings: a JSON object in each line, spans of OpenTelemetry as OTLP writes them in JSON, or JetStream's
    /// events (docs/recordings.md).
    #[arg(required = true, value_name = "RECORDING")]
    files: Vec<PathBuf>,
    /// The broker instead of the one the recording names: `pellmell profiles` lists them.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// How the broker was set up beside what the recording says, as a setting and its value in JSON; may be given
    /// several times.
    #[arg(long = "set", value_name = "SETTING=VALUE", value_parser = setting)]
    set: Vec<(String, Value)>,
    /// The most states that may explain a recording at one time.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = states)]
    states: u32,
    /// A mapping file of TOML: what is where in recordings of other tools, and how scenarios call the messages.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// A scenario that gets the departures which explain the recording, for `--write`.
    #[arg(long, value_name = "FILE", requires = "write")]
    scenario: Option<PathBuf>,
    /// Writes a scenario with the departures which explain the recording; without `--scenario` one that lacks
    /// commands.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct ProfilesArgs {
    /// The profile to show with its settings; all of them in a line each if left out.
    name: Option<String>,
}

/// A number of states.
fn states(text: &str) -> Result<u32, String> {
    number(text)?.try_into().map_err(|_| "expected a whole number up to 4294967295".to_owned())
}

/// `SETTING=VALUE`, where a value that is no JSON is a text.
fn setting(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected SETTING=VALUE, for example window=1 or stale=reject")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()))))
}

pub(super) fn admit(args: &AdmitArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let mut ending = Ending::Held;
    if let (Some(path), [_, second, ..]) = (&args.write, args.files.as_slice()) {
        let message = format!("--write {} is for one recording, and {} is another", shown(path), shown(second));
        return Err(Failure::Input(format!("{message}\n  = help: give one recording")));
    }
    let inputs = args.files.iter().chain(&args.map).chain(&args.scenario);
    inputs.into_iter().try_for_each(|input| files::check_output(args.write.as_deref(), &files::EXPLAINED, input))?;
    let mapping = match &args.map {
        Some(path) => Mapping::parse(&path.to_string_lossy(), &input::text(path, input::SCENARIO_BYTES_MAX)?)?,
        None => Mapping::default(),
    };
    // What cannot be read is told before anything is said of the others.
    let read: Result<Vec<_>, Failure> = args.files.iter().map(|path| recording(args, &mapping, path)).collect();
    for (path, (read, profile)) in args.files.iter().zip(read?) {
        let admitted = read.recording.admit(&profile, args.states);
        ending = match &admitted {
            Err(Refusal { too_many: None, .. }) => Ending::Failed,
            Err(_) if ending == Ending::Held => Ending::NothingRan,
            _ => ending,
        };
        match admitted {
            Ok(admitted) => tell_admitted(&mut out, args, format, path, &read, &profile, &admitted)?,
            Err(refusal) => tell_refused(&mut out, format, path, &read, &profile, &refusal)?,
        }
    }
    Ok(ending)
}

/// What explains a recording.
fn tell_admitted(
    out: &mut Out,
    args: &AdmitArgs,
    format: MessageFormat,
    path: &Path,
    read: &Foreign,
    profile: &Profile,
    admitted: &Admitted,
) -> Result<(), Failure> {
    let recording = &read.recording;
    let explanation = recording.explanation(admitted);
    let departures = foreign::departures(read, admitted);
    match format {
        MessageFormat::Human => {
            let states = count(admitted.states.into(), "state");
            let lines = count(recording.lines.len() as u64, "line");
            let told = format!("{} under {}: {lines}, at most {states} at a time", shown(path), profile.name);
            out.status(GOOD, "Admitted", told)?;
            read.notes.iter().try_for_each(|note| out.status(PLAIN, "Note", note))?;
            for (line, what) in &explanation {
                out.status(PLAIN, "Assumed", format!("before {}: {what}", recording.line_named(*line)))?;
            }
            match &departures {
                Ok(departures) => out.departures(departures)?,
                Err(_) if args.write.is_none() => {}
                Err(unnamed) => return Err(no_names(path, unnamed)),
            }
        }
        MessageFormat::Json => {
            let assumed = explanation.iter();
            let assumed = assumed.map(|(line, what)| json!({"line": recording.line_number(*line), "what": what}));
            let departures = departures.iter().flatten().map(ToString::to_string);
            out.json(&json!({
                "file": path.to_string_lossy(), "profile": profile.name, "verdict": "admitted",
                "states": admitted.states, "assumed": assumed.collect::<Vec<_>>(), "notes": read.notes,
                "departures": departures.collect::<Vec<_>>(),
            }))?;
        }
    }
    match (&args.write, departures) {
        (Some(to), Ok(departures)) => write(out, args, format, (path, to), read, profile, &departures),
        (Some(_), Err(unnamed)) => Err(no_names(path, &unnamed)),
        (None, _) => Ok(()),
    }
}

/// Writes a scenario that plays what explains a recording.
fn write(
    out: &mut Out,
    args: &AdmitArgs,
    format: MessageFormat,
    (path, to): (&Path, &Path),
    read: &Foreign,
    profile: &Profile,
    departures: &[Departure],
) -> Result<(), Failure> {
    let text = match &args.scenario {
        Some(scenario) => {
            let text = input::text(scenario, input::SCENARIO_BYTES_MAX)?;
            foreign::scenario_of(&scenario.to_string_lossy(), &text, profile, departures)?
        }
        None => foreign::stub(read, profile, &format!("Explains {}.", path.to_string_lossy()), departures),
    };
    files::write(to, &format!("# Explains a recording.\n{text}"))?;
    if format == MessageFormat::Human {
        out.status(PLAIN, "Wrote", to.to_string_lossy())?;
        out.command(PLAIN, "Next", &format!("{} run {}", program(), file_for_shell(to)))?;
    }
    Ok(())
}

/// Why there are no departures.
fn no_names(path: &Path, unnamed: &std::collections::BTreeSet<String>) -> Failure {
    let names = unnamed.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let message = format!("{}: it is not known how scenarios call {names}", shown(path));
    let help = "name the group and the events in the mapping file: [scenario] group = \"...\" and event = \"...\", \
                or [scenario.events] for each message";
    Failure::Input(format!("{message}\n  = help: {help}"))
}

/// Why a recording is not explained.
fn tell_refused(
    out: &mut Out,
    format: MessageFormat,
    path: &Path,
    read: &Foreign,
    profile: &Profile,
    refusal: &Refusal,
) -> Result<(), Failure> {
    let recording = &read.recording;
    match format {
        MessageFormat::Human => {
            let word = if refusal.too_many.is_some() { "Given up" } else { "Refused" };
            let told = recording.told(profile, refusal).to_string();
            let (first, rest) = told.split_once('\n').unwrap_or((&told, ""));
            out.status(BAD, word, first)?;
            out.text(rest)?;
            read.notes.iter().try_for_each(|note| out.status(PLAIN, "Note", note))
        }
        MessageFormat::Json => {
            let verdict = if refusal.too_many.is_some() { "given up" } else { "refused" };
            let possible: Vec<String> = refusal.possible.iter().map(|seen| recording.seen(seen)).collect();
            out.json(&json!({
                "file": path.to_string_lossy(), "profile": profile.name, "verdict": verdict,
                "line": recording.line_number(refusal.line), "possible": possible, "states": refusal.too_many,
                "notes": read.notes,
            }))
        }
    }
}

/// A recording, and the profile it is held against.
fn recording(args: &AdmitArgs, mapping: &Mapping, path: &Path) -> Result<(Foreign, Profile), Failure> {
    let help = "give a recording: docs/recordings.md has the formats";
    if path.is_dir() {
        return Err(Failure::Input(format!("{} is a folder\n  = help: {help}, and name its files", shown(path))));
    }
    let text = input::text_or(path, RECORDING_BYTES_MAX, help)?;
    let read = Foreign::parse(&path.to_string_lossy(), &text, mapping)?;
    let mut profile = match &args.profile {
        Some(name) => read.recording.set_up(named(name)?)?,
        None => read.recording.profile()?,
    };
    profile = mapping.set_up(profile)?;
    for (name, value) in &args.set {
        profile = profile.with(name, value.clone()).map_err(|error| Failure::Input(format!("--set: {error}")))?;
    }
    Ok((read, profile))
}

/// What scenarios are played on that are for any broker: no recording is of it.
const ADVERSARIAL: &str = "adversarial";

/// What that is.
const ABOUT_ADVERSARIAL: &str = "no broker: all of them at once";

/// The profile of that name.
fn named(name: &str) -> Result<Profile, Failure> {
    Profile::named(name).ok_or_else(|| {
        if name == ADVERSARIAL {
            let message = "`adversarial` is no broker, so no recording is of it: it is what scenarios are played on";
            return Failure::Input(format!("{message}\n  = help: `pellmell profiles` lists the brokers"));
        }
        let names = Profile::names();
        let near = nearest(name, names.iter().copied()).map(|near| format!("\n  = help: did you mean `{near}`?"));
        let message = format!("there is no profile `{name}`: there are {}", names.join(", "));
        Failure::Input(message + &near.unwrap_or_default())
    })
}

pub(super) fn profiles(args: &ProfilesArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let told = match args.name.as_deref() {
        Some(ADVERSARIAL) => Vec::new(),
        Some(name) => vec![named(name)?],
        None => Profile::all(),
    };
    for profile in &told {
        let Profile { name, about, rules, sees, .. } = profile;
        match format {
            MessageFormat::Json => {
                let set = |value: &str| serde_json::from_str(value).unwrap_or(Value::Null);
                let settings = profile.settings().into_iter().map(|setting| (setting.name, set(&setting.value)));
                let settings: serde_json::Map<String, Value> = settings.collect();
                out.json(&json!({"profile": name, "about": about, "engine": rules.engine(), "settings": settings}))?;
            }
            MessageFormat::Human if args.name.is_none() => out.behind(Style::new(), &format!("{name:<24}"), about)?,
            MessageFormat::Human => {
                out.line(about)?;
                out.line("")?;
                out.line(format!("engine = {}", rules.engine()))?;
                for setting in profile.settings() {
                    out.line(format!("{} = {}", setting.name, setting.value))?;
                }
                out.line("")?;
                out.line(match sees {
                    Sees::Count => "A consumer sees how often a message was sent to its subscription.",
                    Sees::Flag => "A consumer sees whether a message was sent before.",
                    _ => "A consumer does not see whether a message was sent before.",
                })?;
                out.line(format!("docs/brokers/{name}.md says what it may do to you and what backs that."))?;
            }
        }
    }
    if args.name.as_deref().is_none_or(|name| name == ADVERSARIAL) {
        tell_adversarial(&mut out, args.name.is_some(), format)?;
    }
    Ok(Ending::Held)
}

/// What is no broker and can be named where one can: in a line of the list, or at length.
fn tell_adversarial(out: &mut Out, at_length: bool, format: MessageFormat) -> Result<(), Failure> {
    match format {
        MessageFormat::Json => {
            out.json(&json!({
                "profile": ADVERSARIAL, "about": ABOUT_ADVERSARIAL, "engine": null, "settings": {},
            }))?;
        }
        MessageFormat::Human if !at_length => {
            out.behind(Style::new(), &format!("{ADVERSARIAL:<24}"), ABOUT_ADVERSARIAL)?;
        }
        MessageFormat::Human => {
            out.line(ABOUT_ADVERSARIAL)?;
            out.line("")?;
            out.line(
                "Any delivery comes at any time, in any order, and again as soon as no ack came. It loses nothing, \
                 gives nothing up and says which attempt it is; `max_deliver`, `sees`, `start` and `[faults]` take \
                 that back.",
            )?;
            out.line("")?;
            out.line("docs/broker.md has its parameters and says what a design that holds on it is safe from.")?;
        }
    }
    Ok(())
}
