//! What helps to type: two examples for each verb, completions for shells, manual pages.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use pellmell_scenario::any::AnySystem;
use serde_json::json;

use super::layout::{command_lines, width};
use super::{Ending, Failure, GOOD, MessageFormat, Out, PLAIN, count, files, shown};

/// What stands before an example.
const INDENT: &str = "  ";

#[derive(clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// The folder they are written to; it is made if it is not there.
    folder: PathBuf,
}

/// The examples of a verb, without the program; `SCENARIO` stands for a scenario file of the system and `DEFECT` for
/// one of its defects.
fn examples(verb: &str) -> Option<[&'static str; 2]> {
    Some(match verb {
        "" => ["run SCENARIO", "sweep SCENARIO --seeds 0..1000"],
        "run" => ["run SCENARIO --seed 7", "run SCENARIO --trace run.jsonl"],
        "sweep" => ["sweep SCENARIO --seeds 0..1000", "sweep SCENARIO --for 10m --out results"],
        "merge" => ["merge results", "merge results/result.json --coverage"],
        "exhaust" => ["exhaust SCENARIO --lost-acks 1", "exhaust --from run.jsonl@2"],
        "replay" => ["replay SCENARIO --seed 7", "replay run.jsonl"],
        "shrink" => ["shrink SCENARIO", "shrink SCENARIO --seed 7 --write small.toml"],
        "explain" => ["explain SCENARIO", "explain run.jsonl"],
        "export" => ["export SCENARIO --to html -o run.html", "export run.jsonl --to svg -o run.svg"],
        "check" => ["check SCENARIO", "check SCENARIO run.jsonl"],
        "corpus" => ["corpus check", "corpus add SCENARIO --reason 'why it is kept'"],
        "corpus check" => ["corpus check", "corpus check scenarios/corpus --message-format json"],
        "corpus list" => ["corpus list", "corpus list scenarios/corpus"],
        "corpus add" => {
            ["corpus add SCENARIO --reason 'why it is kept'", "corpus add SCENARIO --seed 7 --reason poison"]
        }
        "corpus renew" => ["corpus renew", "corpus renew --write"],
        "corpus prune" => ["corpus prune", "corpus prune --write"],
        "zoo" => ["zoo", "zoo DEFECT"],
        "admit" => ["admit recording.jsonl", "admit recording.jsonl --profile kafka"],
        "profiles" => ["profiles", "profiles kafka"],
        "completions" => ["completions bash > completions.bash", "completions zsh"],
        "man" => ["man man1", "man /usr/local/share/man/man1"],
        _ => return None,
    })
}

/// Lets the help of the command line and of each verb begin with two examples.
pub(super) fn with_examples(command: Command, system: &dyn AnySystem) -> Command {
    with_examples_of(command, "", system)
}

fn with_examples_of(command: Command, verb: &str, system: &dyn AnySystem) -> Command {
    let command = command.mut_subcommands(|below| with_examples_of(below.clone(), &within(verb, &below), system));
    let Some(examples) = examples_of(verb, system) else { return command };
    let lines = examples.map(|example| {
        let lines = command_lines(&example, INDENT.len(), "      ", width());
        format!("{INDENT}{PLAIN}{}{PLAIN:#}", lines.join("\n"))
    });
    command.before_help(format!("Examples:\n{}", lines.join("\n")))
}

/// A verb in words, with those of the verb that it is below.
fn within(verb: &str, below: &Command) -> String {
    format!("{verb} {}", below.get_name()).trim_start().to_owned()
}

/// The examples of a verb as they are typed.
fn examples_of(verb: &str, system: &dyn AnySystem) -> Option<[String; 2]> {
    let defect = system.defects().first().map_or("DEFECT", |defect| defect.name);
    let typed = |example: &str| {
        let example = example.replace("SCENARIO", system.example()).replace("DEFECT", defect);
        format!("{} {example}", system.program())
    };
    examples(verb).map(|examples| examples.map(typed))
}

pub(super) fn completions(mut command: Command, args: &CompletionsArgs) -> Result<Ending, Failure> {
    let mut script = Vec::new();
    let program = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, program, &mut script);
    Out::new().write(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Ending::Held)
}

pub(super) fn man(
    system: &dyn AnySystem,
    mut command: Command,
    args: &ManArgs,
    format: MessageFormat,
) -> Result<Ending, Failure> {
    command.build();
    files::make_folder(&args.folder)?;
    let pages = pages(system, &command, "")?;
    for (name, text) in &pages {
        files::write(&args.folder.join(name), text)?;
    }
    let (written, folder) = (count(pages.len() as u64, "page"), shown(&args.folder));
    match format {
        MessageFormat::Human => Out::new().status(GOOD, "Wrote", format_args!("{written} to {folder}"))?,
        MessageFormat::Json => {
            let names = pages.iter().map(|(name, _)| name).collect::<Vec<_>>();
            Out::new().json(&json!({ "reason": "man", "folder": args.folder.to_string_lossy(), "pages": names }))?;
        }
    }
    Ok(Ending::Held)
}

/// The manual pages of a command and of all below it, each with the name of its file.
fn pages(system: &dyn AnySystem, command: &Command, verb: &str) -> Result<Vec<(String, String)>, Failure> {
    let name = format!("{} {verb}", system.program()).trim_end().replace(' ', "-");
    let mut pages = vec![(format!("{name}.1"), page(system, command, verb, name)?)];
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        pages.extend(self::pages(system, below, &within(verb, below))?);
    }
    Ok(pages)
}

/// A manual page: what the help says, in the order of manual pages, with the examples below the synopsis.
fn page(system: &dyn AnySystem, command: &Command, verb: &str, name: String) -> Result<String, Failure> {
    let man = Man::new(command.clone()).title(name.to_uppercase());
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    if let Some(examples) = examples_of(verb, system) {
        let lines = examples.map(|line| line.replace('\\', "\\\\").replace('-', "\\-").replace('\'', "\\(aq"));
        text.extend(format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", lines.join("\n")).bytes());
    }
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    if command.get_after_help().is_some() {
        man.render_extra_section(&mut text)?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
