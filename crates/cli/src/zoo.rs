//! `pellmell zoo`: every known defect, and what catches it.

use std::path::Path;

use pellmell_core::escape::file_for_shell;
use pellmell_core::search::{Cost, Found};
use pellmell_core::shrink::Shrunk;
use pellmell_report::report::{Cell, Fact, Part, Report, Row, Story, To, Tone};
use pellmell_scenario::any::{AnySystem, ZooPlan};
use pellmell_scenario::scenario::{Defect, FileError, Level};
use pellmell_scenario::zoo::{Alarm, Complaint, DefectRow, ZooResult};
use serde_json::json;

use super::environment::Threads;
use super::profile_table::Which;
use super::report::{self, ReportArgs, Steps, Written};
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
    #[command(flatten)]
    report: ReportArgs,
}

pub(super) fn zoo(system: &dyn AnySystem, args: &ZooArgs, format: MessageFormat) -> Result<Ending, Failure> {
    args.report.check()?;
    let (defects, tries, all_levels) = (args.defects.clone(), args.tries, args.matrix);
    let threads = args.threads.count()? as usize;
    let plan = ZooPlan { defects, scenario: args.scenario.clone(), tries, all_levels, threads };
    let mut out = Out::new();
    if system.defects().is_empty() {
        let message = format!("the system {} declares no defects, so there is nothing to play", system.name());
        return Err(Failure::Input(format!("{message}\n  = help: declare them: `Suite::defects`")));
    }
    if args.profiles {
        let which = Which { defects: &args.defects, file: args.scenario.as_ref() };
        return profile_table::table(system, &which, args.threads.count()?, &args.report, format);
    }
    let (usual, _) = system.designs().first().copied().unwrap_or_default();
    let mut begun = Ok(());
    let played = system.zoo(&plan, &read, &mut |defects| {
        if format == MessageFormat::Human {
            begun = out.status(PLAIN, "Playing", what_is_played(usual, defects, tries));
        }
    })?;
    begun?;
    let written = args.report.write(|| Ok(report(&what_is_played(usual, defects_in(&played), tries), args, &played)));
    match format {
        MessageFormat::Json => show_json(&mut out, &played, &written)?,
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
            written.tell(&mut out)?;
        }
    }
    written.ending(if played.is_good() { Ending::Held } else { Ending::Failed })
}

fn what_is_played(usual: &str, defects: usize, tries: u32) -> String {
    let (what, tries) = (count(defects as u64, "defect"), count(tries.into(), "try"));
    format!("{what} of the design {usual}, {tries} each")
}

/// How many defects were played.
fn defects_in(played: &ZooResult) -> usize {
    played.defects().len()
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

/// The headings of the columns of an overview, and which of them go where there is no room.
const OVERVIEW: [(&str, u8); 10] = [
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

/// What catches each defect, and how soon.
fn overview(out: &mut Out, rows: &[DefectRow]) -> Result<(), Failure> {
    let columns = OVERVIEW.map(|(heading, goes)| Column { heading, goes });
    table::show(out, &columns, &rows.iter().map(overview_of).collect::<Vec<_>>())
}

fn overview_of(row: &DefectRow) -> Vec<String> {
    let number = |width: usize, number: Option<usize>| number.map_or_else(nothing, |n| format!("{n:>width$}"));
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
    table::show(out, &columns, &rows.iter().map(matrix_of).collect::<Vec<_>>())
}

fn matrix_of(row: &DefectRow) -> Vec<String> {
    let cost_at = |level: &Level| {
        let at = row.by_level.iter().find(|(at, _)| at == level).map(|(_, cost)| *cost);
        at.map_or_else(String::new, |cost| cost.map_or_else(|| "·".to_owned(), |cost| cost.to_string()))
    };
    let at = Level::ALL.iter().map(cost_at);
    let weakest = row.weakest.as_ref().map(|(level, _)| *level);
    let differs = if weakest == Some(row.defect.needs) { "" } else { " differs" };
    let known = row.defect.needs.name().to_owned() + differs;
    std::iter::once(name(&row.defect)).chain(at).chain([known, row.scenario.clone()]).collect()
}

/// The shortest way of one defect, step by step.
fn story(out: &mut Out, row: &DefectRow) -> Result<(), Failure> {
    let (Some((level, found)), Some((services, records))) = (&row.shortest, &row.story) else { return Ok(()) };
    out.line("")?;
    let defect = &row.defect;
    out.status(PLAIN, "Defect", format_args!("{}: {}", defect.name, defect.about))?;
    out.status(PLAIN, "Shortest", shortest(*level, found))?;
    out.line("")?;
    timeline::all_steps(out, services, records)?;
    out.line("")?;
    out.status(BAD, "VIOLATED", format_args!("{} {}", found.property, found.violation))?;
    let Some(shrunk) = &row.shrunk else { return Ok(()) };
    out.status(PLAIN, "Drawn", "the first schedule that shows it, shrunk to what is needed")?;
    out.facts(&needed(shrunk))
}

fn shortest(level: Level, found: &Found) -> String {
    format!("{} under delivery in {}", found.cost, level.name())
}

fn needed(shrunk: &Shrunk<String>) -> Vec<Fact> {
    shrunk.reasons().map(|(item, why)| Fact::new(Tone::Plain, "Needed", format_args!("`{item}`: {why}"))).collect()
}

fn summary(out: &mut Out, played: &ZooResult) -> Result<(), Failure> {
    out.line("────────────")?;
    for row in &played.rows {
        for complaint in row.complaints() {
            out.fact(&failed(row, &complaint))?;
            out.command(PLAIN, "See", &see(row))?;
        }
    }
    out.facts(&alarms(played))?;
    out.status(if played.is_good() { GOOD } else { BAD }, "Summary", in_figures(played))?;
    out.status(DIM, "", LEGEND)
}

/// What the columns of an overview are.
const LEGEND: &str = "departures: of a drawn schedule, shrunk; shortest, known: deliveries and commands; \
                      * names the fault too, and sees it first";

fn failed(row: &DefectRow, complaint: &Complaint) -> Fact {
    let why = in_words(complaint, &row.defect);
    Fact::new(Tone::Bad, "FAILED", format_args!("{} in {}: {why}", row.defect.name, row.scenario))
}

/// The command that shows a defect step by step.
fn see(row: &DefectRow) -> String {
    let scenario = file_for_shell(Path::new(row.scenario.as_str()));
    format!("{} zoo {} --scenario {scenario}", program(), row.defect.name)
}

/// What is wrong with the zoo itself.
fn alarms(played: &ZooResult) -> Vec<Fact> {
    let alarm = |alarm: &Alarm| {
        let place = format!("{} ({}, {})", alarm.design, alarm.scenario, alarm.level.name());
        Fact::new(Tone::Bad, "FALSE ALARM", format_args!("{place}: {}", alarm.verdict))
    };
    let missed = "the canary was not caught: the zoo finds nothing, or not what it should";
    let canary = (played.canary == Some(false)).then(|| Fact::new(Tone::Bad, "FAILED", missed));
    played.alarms.iter().map(alarm).chain(canary).collect()
}

fn in_figures(played: &ZooResult) -> String {
    let (caught, as_known) = (played.caught(), played.as_known());
    let all = count(defects_in(played) as u64, "defect");
    let canary = played.canary.map_or("", |caught| if caught { " canary caught;" } else { " canary missed;" });
    let alarms = count(played.alarms.len() as u64, "false alarm");
    let worlds = count(played.quiet + played.alarms.len() as u64, "world");
    format!("{all}: {caught} caught, {as_known} as short as known;{canary} {alarms} in {worlds}")
}

/// What is printed, as pages: a table of all defects, with --matrix one of what they cost, and how each shows.
fn report(title: &str, args: &ZooArgs, played: &ZooResult) -> Report {
    let (tone, heading) = if played.is_good() { (Tone::Good, "ALL CAUGHT") } else { (Tone::Bad, "FAILED") };
    let mut report = Report {
        verb: "zoo",
        title: title.to_owned(),
        place: "what catches each known defect, and how soon".to_owned(),
        tone,
        heading: heading.to_owned(),
        details: vec![in_figures(played)],
        ..Report::default()
    };
    let mut wrong = Vec::new();
    for row in &played.rows {
        let seen =
            |complaint: &Complaint| [failed(row, complaint), Fact::new(Tone::Plain, "See", format!("`{}`", see(row)))];
        wrong.extend(row.complaints().iter().flat_map(seen));
    }
    wrong.extend(alarms(played));
    report.add_section("What is wrong", Part::facts(wrong));
    let stories: Vec<Story> = played.rows.iter().map(|row| story_of(&mut report, row)).collect();
    let pages: Vec<Option<usize>> = stories.iter().map(|story| story.page).collect();
    // In the tables a defect leads to its story.
    let rows = |cells_of: &dyn Fn(&DefectRow) -> Vec<String>| {
        let row = |(place, row): (usize, &DefectRow)| {
            let is_bad = !row.complaints().is_empty();
            let mut cells = cells_of(row).into_iter().map(|text| Cell::from(text.trim()));
            let heading = Cell { to: Some(To::Story(place)), ..cells.next().unwrap_or_default() };
            let tone = if is_bad { Tone::Bad } else { Tone::Plain };
            Row { heading, cells: cells.map(|cell| Cell { tone, ..cell }).collect() }
        };
        played.rows.iter().enumerate().map(row).collect::<Vec<Row>>()
    };
    let columns = OVERVIEW.map(|(heading, _)| heading);
    let mut parts = Vec::from_iter(Part::table("Each defect, and what catches it", &columns, rows(&overview_of)));
    parts.push(Part::Text(LEGEND.to_owned()));
    report.add_section("Defects", parts);
    if args.matrix {
        let columns: Vec<&str> =
            ["defect"].into_iter().chain(Level::ALL.map(Level::name)).chain(["known", "scenario"]).collect();
        let caption = "What the cheapest violation costs under each delivery: deliveries and commands";
        let mut of_it = rows(&matrix_of);
        for ((row, shown), page) in played.rows.iter().zip(&mut of_it).zip(&pages) {
            for (level, cell) in Level::ALL.iter().zip(&mut shown.cells) {
                let costs = row.by_level.iter().any(|(at, cost)| at == level && cost.is_some());
                // The run of the page can happen under that delivery, and under whatever may do more.
                let leads = costs && row.shortest.as_ref().is_some_and(|(at, _)| at <= level);
                cell.to = page.filter(|_| leads).map(To::Page);
            }
        }
        let mut parts = Vec::from_iter(Part::table(caption, &columns, of_it));
        parts.push(Part::Text("·: no violation; an empty cell: not searched".to_owned()));
        report.add_section("Matrix", parts);
    }
    report.add_section("How each shows", stories.into_iter().map(Part::story));
    report
}

/// The shortest way of a defect, with its picture.
fn story_of(report: &mut Report, row: &DefectRow) -> Story {
    let defect = &row.defect;
    let complaints = row.complaints();
    let mut story = Story {
        heading: format!("{}: {}", defect.name, defect.about),
        tone: if complaints.is_empty() { Tone::Plain } else { Tone::Bad },
        facts: complaints.iter().map(|complaint| failed(row, complaint)).collect(),
        commands: vec![("See".to_owned(), see(row))],
        ..Story::default()
    };
    let (Some((level, found)), Some((services, records))) = (&row.shortest, &row.story) else { return story };
    story.often = format!("Shortest: {}", shortest(*level, found));
    story.detail = format!("VIOLATED {} {}", found.property, found.violation);
    let steps = Steps {
        scenario: defect.name,
        about: defect.about,
        design: format!("{} in {}", defect.name, row.scenario),
        profile: level.name(),
        by: "shortest",
        services,
        records,
        verdict: "violated",
        property: Some(found.property),
        detail: Some(found.violation.to_string()),
    };
    let picture = report::picture_of(steps, &[("See", see(row))], &[]);
    story.page = Some(report.add_page(defect.name, picture, None));
    if let Some(shrunk) = &row.shrunk {
        let drawn = "the first schedule that shows it, shrunk to what is needed";
        story.facts.push(Fact::new(Tone::Plain, "Drawn", drawn));
        let departs =
            texts(&shrunk.departures).into_iter().map(|text| Fact::new(Tone::Plain, "Departs", format!("`{text}`")));
        story.facts.extend(departs);
        story.facts.extend(needed(shrunk));
    }
    story
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

fn show_json(out: &mut Out, played: &ZooResult, written: &Written) -> Result<(), Failure> {
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
        "report": written.as_json(),
    }))
}
