//! `pellmell admit`: whether a recording is possible under a profile; `pellmell profiles`: which there are.

use std::path::PathBuf;

use pellmell_core::engine::{Assumed, Choice, Profile, Recording, Refusal, Sees};
use pellmell_core::trace::count;
use pellmell_scenario::scenario::nearest;
use serde_json::{Value, json};

use super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, input, number, shown};

/// A recording has a line for each thing that happened.
const RECORDING_BYTES_MAX: u64 = 1 << 26;

#[derive(clap::Args)]
pub(super) struct AdmitArgs {
    /// Recordings: a JSON object in each line, as docs/recordings.md says.
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
    // What cannot be read is told before anything is said of the others.
    let read: Result<Vec<_>, Failure> = args.files.iter().map(|path| recording(args, path)).collect();
    for (path, (recording, profile)) in args.files.iter().zip(read?) {
        let admitted = recording.admit(&profile, args.states);
        ending = match &admitted {
            Err(Refusal { too_many: None, .. }) => Ending::Failed,
            Err(_) if ending == Ending::Held => Ending::NothingRan,
            _ => ending,
        };
        let file = shown(path);
        match (format, admitted) {
            (MessageFormat::Human, Ok(admitted)) => {
                let states = count(admitted.states.into(), "state");
                let lines = count(recording.lines.len() as u64, "line");
                out.status(
                    GOOD,
                    "Admitted",
                    format!("{file} under {}: {lines}, at most {states} at a time", profile.name),
                )?;
                for (line, what) in admitted.assumed.iter().filter(|(_, assumed)| is_notable(assumed)) {
                    let text = format!("before line {}: {}", recording.line_number(*line), recording.assumed(what));
                    out.status(PLAIN, "Assumed", text)?;
                }
            }
            (MessageFormat::Human, Err(refusal)) => {
                let word = if refusal.too_many.is_some() { "Given up" } else { "Refused" };
                let told = recording.told(&profile, &refusal).to_string();
                let (first, rest) = told.split_once('\n').unwrap_or((&told, ""));
                out.status(BAD, word, first)?;
                out.text(rest)?;
            }
            (MessageFormat::Json, Ok(admitted)) => {
                let assumed = admitted.assumed.iter().filter(|(_, assumed)| is_notable(assumed));
                let assumed = assumed
                    .map(|(line, what)| json!({"line": recording.line_number(*line), "what": recording.assumed(what)}));
                out.json(&json!({
                    "file": path.to_string_lossy(), "profile": profile.name, "verdict": "admitted",
                    "states": admitted.states, "assumed": assumed.collect::<Vec<_>>(),
                }))?;
            }
            (MessageFormat::Json, Err(refusal)) => {
                let verdict = if refusal.too_many.is_some() { "given up" } else { "refused" };
                let possible: Vec<String> = refusal.possible.iter().map(|seen| recording.seen(seen)).collect();
                out.json(&json!({
                    "file": path.to_string_lossy(), "profile": profile.name, "verdict": verdict,
                    "line": recording.line_number(refusal.line), "possible": possible, "states": refusal.too_many,
                }))?;
            }
        }
    }
    Ok(ending)
}

/// A recording, and the profile it is held against.
fn recording(args: &AdmitArgs, path: &std::path::Path) -> Result<(Recording, Profile), Failure> {
    let text = input::text(path, RECORDING_BYTES_MAX)?;
    let recording = Recording::parse(&path.to_string_lossy(), &text)?;
    let mut profile = match &args.profile {
        Some(name) => recording.set_up(named(name)?)?,
        None => recording.profile()?,
    };
    for (name, value) in &args.set {
        profile = profile.with(name, value.clone()).map_err(|error| Failure::Input(format!("--set: {error}")))?;
    }
    Ok((recording, profile))
}

/// The profile of that name.
fn named(name: &str) -> Result<Profile, Failure> {
    Profile::named(name).ok_or_else(|| {
        let names = Profile::names();
        let near = nearest(name, names.iter().copied()).map(|near| format!("\n  = help: did you mean `{near}`?"));
        let message = format!("there is no profile `{name}`: there are {}", names.join(", "));
        Failure::Input(message + &near.unwrap_or_default())
    })
}

/// Whether it tells anything: that messages are sent and words arrive goes without saying.
fn is_notable(assumed: &Assumed) -> bool {
    !matches!(assumed, Assumed::Arrived(_) | Assumed::Chose(Choice::Send(..)))
}

pub(super) fn profiles(args: &ProfilesArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let told = match &args.name {
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
            MessageFormat::Human if args.name.is_none() => out.line(format!("{name:<24}{about}"))?,
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
    Ok(Ending::Held)
}
