//! `pellmell zoo`: every known defect, and what catches it.

use std::path::Path;

use pellmell_core::escape::file_for_shell;
use pellmell_core::search::Cost;
use pellmell_scenario::any::{AnySystem, ZooPlan};
use pellmell_scenario::scenario::{Defect, FileError, Level};
use pellmell_scenario::zoo::{Complaint, DefectRow, ZooResult};
use serde_json::json;

use super::environment::Threads;
use super::shrink::texts;
use super::table::{self, Column};
use super::{
    BAD, DIM, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, count, input, profile_table, program, timeline,
};

#[derive(clap::Args)]
pub(super) struct ZooArgs {
    /// Plays these defects only, by name or number; a single one is shown step by step.
    #[arg(value_name = "DEFECT")]
    defects: Vec<String>,
    /// Looks for them in this scenario file, instead of those that they name.
    #[arg(long, value_name = "FILE")]
    scenario: Option<String>,
    /// Shows at what cost each defect breaks a property under each delivery.
    #[arg(long)]
    matrix: bool,
    /// Shows on which of the brokers that are simulated each design holds, and the usual one with each defect, and
    /// the shortest way to fail that was found where it does not.
    #[arg(long, conflicts_with_all = ["matrix", "tries"])]
    profiles: bool,
    /// How often schedules are drawn until one shows the defect.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    tries: u32,
    #[command(flatten)]
    threads: Threads,
}

pub(super) fn zoo(system: &dyn AnySystem, args: &ZooArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let (defects, tries, all_levels) = (args.defects.clone(), args.tries, args.matrix);
    let threads = args.threads.count()? as usize;
    let plan = ZooPlan { defects, scenario: args.scenario.clone(), tries, all_levels, threads };
    let mut out = Out::new();
    if system.defects().is_empty() {
        let message = format!("the system {} declares no defects, so there is nothing to play", system.name());
        return Err(Failure::Input(format!("{message}\n  = help: declare them: `Suite::defects`")));
    }
    if args.profiles {
        return profile_table::table(system, &args.defects, args.scenario.as_ref(), args.threads.count()?, format);
    }
    let (usual, _) = system.designs().first().copied().unwrap_or_default();
    let mut begun = Ok(());
    let played = system.zoo(&plan, &read, &mut |defects| {
        if format == MessageFormat::Human {
            let (what, tries) = (count(defects as u64, "defect"), count(tries.into(), "try"));
            begun = out.status(PLAIN, "Playing", format_args!("{what} of the design {usual}, {tries} each"));
        }
    })?;
    begun?;
    match format {
        MessageFormat::Json => show_json(&mut out, &played)?,
        MessageFormat::Human => {
            if args.matrix {
                matrix(&mut out, &played.rows)?;
            } else {
                overview(&mut out, &played.rows)?;
            }
            if let [row] = &played.rows[..] {
                story(&mut out, row)?;
            }
            summary(&mut out, &played)?;
        }
    }
    Ok(if played.is_good() { Ending::Held } else { Ending::Failed })
}

/// Reads a scenario file that a defect names; of one that is not there, says which one beside it may be meant.
pub(super) fn read(file: &str) -> Result<String, FileError> {
    std::fs::read_to_string(file).map_err(|error| {
        let unread = FileError::new(file, "", 0..0, format!("cannot read the scenario file {file} of a zoo: {error}"));
        unread.help(match input::nearest_beside(Path::new(file)) {
            Some(near) => format!("did you mean {near}?"),
            None => "name a file that is there, from where the program runs".to_owned(),
        })
    })
}

fn name(defect: &Defect<()>) -> String {
    if defect.id == defect.name { defect.name.to_owned() } else { format!("{:<5}{}", defect.id, defect.name) }
}

/// What catches each defect, and how soon.
fn overview(out: &mut Out, rows: &[DefectRow]) -> Result<(), Failure> {
    let columns = [
        ("defect", 0),
        ("heading", 9),
        ("property expected", 7),
        ("caught by", 0),
        ("weakest", 3),
        ("schedules", 5),
        ("departures", 4),
        ("shortest", 2),
        ("known", 2),
        ("scenario", 8),
    ];
    let columns = columns.map(|(heading, goes)| Column { heading, goes });
    let number = |width: usize, number: Option<usize>| number.map_or_else(nothing, |n| format!("{n:>width$}"));
    let cells = rows.iter().map(|row| {
        let defect = &row.defect;
        let shortest = row.shortest.as_ref().map_or_else(nothing, |(_, found)| found.cost.to_string());
        let weakest = row.weakest.as_ref().map_or_else(nothing, |(level, _)| level.name().to_owned());
        vec![
            name(defect),
            defect.heading.to_owned(),
            defect.property.to_owned(),
            caught_by(row),
            weakest,
            number(9, row.mean_drawn().map(|mean| mean as usize)),
            number(10, row.shrunk.as_ref().map(|shrunk| shrunk.departures.len())),
            format!("{shortest:>8}"),
            known(defect) + if row.is_as_known() { "" } else { " differs" },
            row.scenario.clone(),
        ]
    });
    table::show(out, &columns, &cells.collect::<Vec<_>>())
}

fn caught_by(row: &DefectRow) -> String {
    match row.caught_by() {
        Some(property) if property != row.defect.property && row.defect.is_named_by(property) => {
            format!("{property} *")
        }
        property => property.unwrap_or("nothing").to_owned(),
    }
}

fn nothing() -> String {
    "-".to_owned()
}

fn known(defect: &Defect<()>) -> String {
    defect.known.map_or_else(nothing, |(deliveries, commands)| Cost { deliveries, commands }.to_string())
}

/// A column for each level: what the cheapest violation costs there.
fn matrix(out: &mut Out, rows: &[DefectRow]) -> Result<(), Failure> {
    let levels = Level::ALL.map(Level::name);
    let levels = levels.into_iter().zip(1..).map(|(heading, goes)| Column { heading, goes });
    let known = Column { heading: "known", goes: 0 };
    let scenario = Column { heading: "scenario", goes: 9 };
    let columns: Vec<_> =
        [Column { heading: "defect", goes: 0 }].into_iter().chain(levels).chain([known, scenario]).collect();
    let cells = rows.iter().map(|row| {
        let cost_at = |level: &Level| {
            let at = row.by_level.iter().find(|(at, _)| at == level).map(|(_, cost)| *cost);
            at.map_or_else(String::new, |cost| cost.map_or_else(|| "·".to_owned(), |cost| cost.to_string()))
        };
        let at = Level::ALL.iter().map(cost_at);
        let weakest = row.weakest.as_ref().map(|(level, _)| *level);
        let differs = if weakest == Some(row.defect.needs) { "" } else { " differs" };
        let known = row.defect.needs.name().to_owned() + differs;
        std::iter::once(name(&row.defect)).chain(at).chain([known, row.scenario.clone()]).collect()
    });
    table::show(out, &columns, &cells.collect::<Vec<_>>())
}

/// The shortest way of one defect, step by step.
fn story(out: &mut Out, row: &DefectRow) -> Result<(), Failure> {
    let (Some((level, found)), Some((services, records))) = (&row.shortest, &row.story) else { return Ok(()) };
    out.line("")?;
    let defect = &row.defect;
    out.status(PLAIN, "Defect", format_args!("{}: {}", defect.name, defect.about))?;
    out.status(PLAIN, "Shortest", format_args!("{} under delivery in {}", found.cost, level.name()))?;
    out.line("")?;
    timeline::all_steps(out, services, records)?;
    out.line("")?;
    out.status(BAD, "VIOLATED", format_args!("{} {}", found.property, found.violation))?;
    let Some(shrunk) = &row.shrunk else { return Ok(()) };
    out.status(PLAIN, "Drawn", "the first schedule that shows it, shrunk to what is needed")?;
    shrunk.reasons().try_for_each(|(item, why)| out.status(PLAIN, "Needed", format_args!("`{item}`: {why}")))
}

fn summary(out: &mut Out, played: &ZooResult) -> Result<(), Failure> {
    out.line("────────────")?;
    for row in &played.rows {
        for complaint in row.complaints() {
            out.status(
                BAD,
                "FAILED",
                format_args!("{} in {}: {}", row.defect.name, row.scenario, in_words(&complaint, &row.defect)),
            )?;
            let scenario = file_for_shell(Path::new(row.scenario.as_str()));
            out.command(PLAIN, "See", &format!("{} zoo {} --scenario {scenario}", program(), row.defect.name))?;
        }
    }
    for alarm in &played.alarms {
        let place = format!("{} ({}, {})", alarm.design, alarm.scenario, alarm.level.name());
        out.status(BAD, "FALSE ALARM", format_args!("{place}: {}", alarm.verdict))?;
    }
    if played.canary == Some(false) {
        out.status(BAD, "FAILED", "the canary was not caught: the zoo finds nothing, or not what it should")?;
    }
    let style = if played.is_good() { GOOD } else { BAD };
    let (caught, as_known) = (played.caught(), played.as_known());
    let all = count(played.defects().len() as u64, "defect");
    let canary = played.canary.map_or("", |caught| if caught { " canary caught;" } else { " canary missed;" });
    let alarms = count(played.alarms.len() as u64, "false alarm");
    let worlds = count(played.quiet + played.alarms.len() as u64, "world");
    out.status(
        style,
        "Summary",
        format_args!("{all}: {caught} caught, {as_known} as short as known;{canary} {alarms} in {worlds}"),
    )?;
    out.status(
        DIM,
        "",
        "departures: of a drawn schedule, shrunk; shortest, known: deliveries and commands; \
         * names the fault too, and sees it first",
    )
}

fn in_words(complaint: &Complaint, defect: &Defect<()>) -> String {
    match complaint {
        Complaint::Missed => "nothing catches it".to_owned(),
        Complaint::Misnamed(property) => format!("{property} catches it, expected {}", defect.property),
        Complaint::Unnamed => format!("{} is never violated", defect.property),
        Complaint::Level(level) => {
            format!("shows only under delivery in {}, expected {}", level.name(), defect.needs.name())
        }
        Complaint::Unfinished(level) => format!("the search under delivery in {} did not end", level.name()),
        Complaint::NotDrawn => "drawn schedules do not find it".to_owned(),
    }
}

fn show_json(out: &mut Out, played: &ZooResult) -> Result<(), Failure> {
    for row in &played.rows {
        let defect = &row.defect;
        let levels = row
            .by_level
            .iter()
            .map(|(level, cost)| (level.name().to_owned(), json!(cost.map(|cost| cost.to_string()))));
        out.json(&json!({
            "reason": "defect",
            "id": defect.id,
            "name": defect.name,
            "heading": defect.heading,
            "about": defect.about,
            "scenario": row.scenario,
            "expected": defect.property,
            "also": defect.also,
            "caught_by": row.caught_by(),
            "weakest": row.weakest.as_ref().map(|(level, _)| level.name()),
            "needs": defect.needs.name(),
            "levels": levels.collect::<serde_json::Map<_, _>>(),
            "schedules": row.mean_drawn(),
            "departures": row.shrunk.as_ref().map(|shrunk| texts(&shrunk.departures)),
            "shortest": row.shortest.as_ref().map(|(_, found)| found.cost.to_string()),
            "known": known(defect),
            "states": row.states,
            "complaints": row.complaints().iter().map(|complaint| in_words(complaint, defect)).collect::<Vec<_>>(),
        }))?;
    }
    for alarm in &played.alarms {
        out.json(&json!({
            "reason": "false alarm",
            "design": alarm.design,
            "scenario": alarm.scenario,
            "level": alarm.level.name(),
            "verdict": alarm.verdict,
        }))?;
    }
    out.json(&json!({
        "reason": "summary",
        "defects": played.defects().len(),
        "caught": played.caught(),
        "as_known": played.as_known(),
        "canary": played.canary,
        "false_alarms": played.alarms.len(),
        "quiet": played.quiet,
    }))
}
