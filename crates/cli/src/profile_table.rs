//! `pellmell zoo --profiles`: which designs and defects hold on which broker.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use anstyle::Style;
use pellmell_core::broker::Profile;
use pellmell_core::faults::{FaultPlan, Rate};
use pellmell_core::prng::Ratio;
use pellmell_core::schedule::Departure;
use pellmell_core::search::Part as SweptPart;
use pellmell_core::simulation::BuildError;
use pellmell_report::report::{Cell as Shown, Fact, Part, Report, Row as ShownRow, Story, Table, To, Tone};
use pellmell_scenario::any::{AnyScenario, AnySystem, departed};
use serde_json::json;

use super::layout::{columns_of, width};
use super::report::{self, Fails, ReportArgs};
use super::shrink::texts;
use super::table::{self, Column};
use super::zoo::read;
use super::{BAD, Ending, Failure, MessageFormat, Out, PLAIN, count};

/// How many seeds are played where no schedule of the hold sweep fails.
const SEEDS: u64 = 200;
/// How many brokers the heading of a story names.
const NAMED_MAX: usize = 3;
/// What the signs in the table mean.
const MEANINGS: [(&str, &str); 4] =
    [(".", "holds"), ("3", "violated by 3 departures at least"), ("s", "violated by a seed"), ("-", "not played")];
/// How many runs a failing seed may take to be shrunk.
const EXECUTIONS_MAX: u32 = 2_000;

/// What came of a design on a broker.
struct Cell {
    design: String,
    profile: &'static str,
    /// How often it was played, in all files.
    runs: u64,
    failing: Option<Failing>,
    /// Why it cannot be played there.
    misfit: Option<String>,
}

impl Cell {
    /// What stands in the table.
    fn in_brief(&self) -> String {
        match &self.failing {
            _ if self.misfit.is_some() => "-".to_owned(),
            None => ".".to_owned(),
            Some(Failing { departures: Some(departures), .. }) => departures.len().to_string(),
            Some(_) => "s".to_owned(),
        }
    }
}

/// The shortest counterexample that was found.
struct Failing {
    file: String,
    detail: String,
    /// How it departs from the calm run; nothing if no departures tell it.
    departures: Option<Vec<Departure>>,
    seed: Option<u64>,
}

impl Failing {
    /// The fewer departures the better; what none tell comes last.
    fn length(&self) -> usize {
        self.departures.as_ref().map_or(usize::MAX, Vec::len)
    }
}

/// What is played on each broker.
struct Row {
    name: String,
    design: &'static str,
    defect: Option<&'static str>,
    files: Vec<String>,
}

/// What the table is of: these defects alone, if any are named, and this file alone, if one is.
pub(super) struct Which<'a> {
    pub(super) defects: &'a [String],
    pub(super) file: Option<&'a String>,
}

/// The designs, each in all files that defects name, and the usual design with each of its defects, in those that it
/// names; with named defects no others than those, and with a file there and nowhere else.
fn rows(system: &dyn AnySystem, Which { defects: named, file }: &Which<'_>) -> Vec<Row> {
    let defects = system.defects();
    let of = |scenarios: &[&str]| -> Vec<String> {
        file.map_or_else(|| scenarios.iter().map(|file| (*file).to_owned()).collect(), |file| vec![file.clone()])
    };
    let all: BTreeSet<&str> = defects.iter().flat_map(|defect| defect.scenarios.iter().copied()).collect();
    let all: Vec<&str> = all.into_iter().collect();
    let designs: Vec<&'static str> = system.designs().into_iter().map(|(name, _)| name).collect();
    let usual = designs.first().copied().unwrap_or_default();
    let of_design = |design: &&'static str| Row { name: (*design).to_owned(), design, defect: None, files: of(&all) };
    let is_named = |name: &str, id: &str| named.is_empty() || named.iter().any(|named| named == name || named == id);
    let planted = defects.iter().filter(|defect| is_named(defect.name, defect.id));
    let planted = planted.map(|defect| Row {
        name: defect.name.to_owned(),
        design: usual,
        defect: Some(defect.name),
        files: of(defect.scenarios),
    });
    let designs = designs.iter().filter(|_| named.is_empty()).map(of_design);
    designs.chain(planted).collect()
}

/// Plays the designs, and the usual one with its defects, on each broker.
pub(super) fn table(
    system: &dyn AnySystem,
    which: &Which<'_>,
    threads: u32,
    asked: &ReportArgs,
    format: MessageFormat,
) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let rows = rows(system, which);
    let mut scenarios = BTreeMap::new();
    for file in rows.iter().flat_map(|row| &row.files) {
        if !scenarios.contains_key(file) {
            scenarios.insert(file, system.scenario(file, &read(file)?)?);
        }
    }
    let (usual, _) = system.designs().first().copied().unwrap_or_default();
    let (many, profiles) = (count(rows.len() as u64, "design"), count(Profile::NAMES.len() as u64, "profile"));
    let (what, judged) = (format!("{many} on {profiles}"), format!("judged as {usual} is"));
    if format == MessageFormat::Human {
        out.status(PLAIN, "Playing", format_args!("{what}, {judged}"))?;
    }
    let mut cells = Vec::new();
    for row in &rows {
        for profile in Profile::NAMES {
            let mut cell = Cell { design: row.name.clone(), profile, runs: 0, failing: None, misfit: None };
            for file in &row.files {
                let scenario = placed(system, &*scenarios[file], row, profile);
                cell.misfit = play(&mut cell, file, &*scenario, threads).err().map(|error| error.to_string());
            }
            cells.push(cell);
        }
    }
    let written = asked.write(|| {
        let placed = |failing: &Failing, design: &str, profile: &str| {
            let row = rows.iter().find(|row| row.name == design)?;
            let placed = placed(system, &**scenarios.get(&failing.file)?, row, profile);
            // Its file says on which broker it is, so that what is left of it is a file that fails.
            let mut scenario = placed.on_broker(Some(&format!("profile = \"{profile}\""))).ok()?;
            let (settings, before) = (scenario.settings_mut(), placed.settings());
            (settings.scheduler, settings.faults) = (before.scheduler, before.faults);
            Some(match (&failing.departures, failing.seed) {
                (Some(departures), None) => departed(&*scenario, departures),
                _ => scenario,
            })
        };
        report((what, judged), &rows, &cells, &placed)
    });
    match format {
        MessageFormat::Json => {
            for cell in &cells {
                let failing = cell.failing.as_ref().map(|failing| {
                    let departures = failing.departures.as_deref().map(texts);
                    json!({
                        "scenario": failing.file, "detail": failing.detail, "departures": departures,
                        "seed": failing.seed,
                    })
                });
                let Cell { design, profile, runs, .. } = cell;
                let verdict = match (&cell.misfit, &failing) {
                    (Some(_), _) => "not played",
                    (None, Some(_)) => "violated",
                    (None, None) => "held",
                };
                out.json(&json!({
                    "design": design, "profile": profile, "verdict": verdict, "runs": runs, "failing": failing,
                    "misfit": cell.misfit,
                }))?;
            }
            if asked.is_asked() {
                out.json(&json!({ "reason": "summary", "report": written.as_json() }))?;
            }
        }
        MessageFormat::Human => {
            show(&mut out, &rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), &cells)?;
            written.tell(&mut out)?;
        }
    }
    written.ending(Ending::Held)
}

/// The scenario of a file with the design of a row, on a broker.
fn placed(system: &dyn AnySystem, scenario: &dyn AnyScenario, row: &Row, profile: &str) -> Box<dyn AnyScenario> {
    let mut scenario = scenario.copy();
    scenario.choose(row.design);
    let settings = scenario.settings_mut();
    settings.defects = row.defect.iter().map(|defect| (*defect).to_owned()).collect();
    settings.properties = system.promises();
    settings.profile = Profile::named(profile).expect("it is one of the names");
    settings.faults = FaultPlan { lose_message: settings.faults.lose_message, ..FaultPlan::SOME };
    if settings.profile.engine.is_some() {
        let (often, seldom) = (Rate::of(Ratio::new(1, 10)), Rate::of(Ratio::new(1, 20)));
        settings.faults = FaultPlan { fetch: often, change: often, republish: seldom, ..settings.faults };
    }
    scenario
}

/// Plays a scenario's schedules that depart once and, if all hold, some seeds.
fn play(cell: &mut Cell, file: &str, scenario: &dyn AnyScenario, threads: u32) -> Result<(), BuildError> {
    let mut held = None;
    scenario.with_hold_plan(None, threads, &mut |plan| {
        held = Some(plan.go_on(plan.none(0), plan.schedules(), &mut |_| ControlFlow::Continue(())).result);
    })?;
    let held = held.unwrap_or_default();
    cell.runs += 1 + held.departed();
    let first = held.buckets.values().min_by_key(|bucket| (bucket.departures.len(), bucket.place));
    if let Some(bucket) = first {
        let departures = Some(bucket.departures.clone());
        note(cell, Failing { file: file.to_owned(), detail: bucket.detail.clone(), departures, seed: None });
        return Ok(());
    }
    let seeds = 0..SEEDS;
    let part = scenario.sweep(&seeds, threads, SweptPart::none(0), &mut |_| ControlFlow::Continue(()))?;
    cell.runs += part.result.totals.runs();
    if let Some(bucket) = part.result.buckets.values().min_by_key(|bucket| bucket.seed) {
        let smallest = scenario.shrink(bucket.seed, EXECUTIONS_MAX).ok().flatten();
        let departures = smallest.map(|smallest| smallest.shrunk.departures);
        let (detail, seed) = (bucket.detail.clone(), Some(bucket.seed));
        note(cell, Failing { file: file.to_owned(), detail, departures, seed });
    }
    Ok(())
}

/// Keeps the shorter one.
fn note(cell: &mut Cell, failing: Failing) {
    if cell.failing.as_ref().is_none_or(|known| failing.length() < known.length()) {
        cell.failing = Some(failing);
    }
}

fn show(out: &mut Out, designs: &[&str], cells: &[Cell]) -> Result<(), Failure> {
    // There are more brokers than columns fit beside each other, so they have numbers.
    let numbered: Vec<(usize, &str)> = (1..).zip(Profile::NAMES).collect();
    for some in numbered.chunks((width() / 27).clamp(1, 3)) {
        let named: Vec<String> = some.iter().map(|(number, name)| format!("{number:>2} {name:<24}")).collect();
        out.line(named.concat().trim_end())?;
    }
    out.line("")?;
    for (sign, meaning) in MEANINGS {
        out.line(format_args!("{sign}  {meaning}"))?;
    }
    // As many of them beside each other as there is room for.
    let named = designs.iter().map(|design| columns_of(design)).max().unwrap_or_default();
    for some in numbered.chunks((width().saturating_sub(named) / 4).max(1)) {
        out.line("")?;
        let numbers: Vec<String> = some.iter().map(|(number, _)| number.to_string()).collect();
        let columns = std::iter::once("design").chain(numbers.iter().map(String::as_str));
        let columns: Vec<Column<'_>> = columns.map(|heading| Column { heading, goes: 0 }).collect();
        let rows = designs.iter().map(|design| {
            let cell = |profile: &str| cells.iter().find(|cell| cell.design == *design && cell.profile == profile);
            let of_it = some.iter().map(|(_, profile)| cell(profile).map_or_else(String::new, Cell::in_brief));
            std::iter::once((*design).to_owned()).chain(of_it).collect()
        });
        table::show(out, &columns, &rows.collect::<Vec<Vec<String>>>())?;
    }
    for design in designs {
        for Way { departures, file, on, first } in ways(cells, design) {
            out.line("")?;
            out.below(BAD, format_args!("{design} on {}", on.join(", ")))?;
            out.below(Style::new(), format_args!("    {}", first.detail))?;
            match (departures, first.seed) {
                (Some(departures), _) if departures.is_empty() => {
                    out.below(Style::new(), format_args!("    in {file}, with no departure"))?
                }
                (Some(departures), _) => {
                    out.below(Style::new(), format_args!("    in {}:", Path::new(file).display()))?;
                    departures
                        .iter()
                        .try_for_each(|departure| out.below(Style::new(), format_args!("    {departure}")))?;
                }
                (None, seed) => {
                    out.below(Style::new(), format_args!("    in {file}, seed {}", seed.unwrap_or_default()))?
                }
            }
        }
    }
    for (design, why) in misfits(cells) {
        out.line("")?;
        out.below(PLAIN, format_args!("{design} is not played where a column has `-`"))?;
        out.below(Style::new(), format_args!("    {why}"))?;
    }
    out.line("")?;
    out.status(PLAIN, "Summary", in_figures(cells))
}

/// A way in which a design fails, on one broker or on several.
struct Way<'a> {
    departures: &'a Option<Vec<Departure>>,
    file: &'a str,
    on: Vec<&'static str>,
    /// What came of it on the first of them.
    first: &'a Failing,
}

/// The ways in which a design fails. What fails in the same way on several brokers is told once.
fn ways<'a>(cells: &'a [Cell], design: &str) -> Vec<Way<'a>> {
    let of_it = cells.iter().filter(|cell| cell.design == design);
    let failing: Vec<(&'static str, &Failing)> =
        of_it.filter_map(|cell| Some((cell.profile, cell.failing.as_ref()?))).collect();
    // In the order of their words.
    let mut ways = BTreeMap::<(Option<Vec<String>>, &str), Way<'a>>::new();
    for (profile, failing) in failing {
        let Failing { file, departures, .. } = failing;
        let way = ways.entry((departures.as_deref().map(texts), file));
        way.or_insert(Way { departures, file, on: Vec::new(), first: failing }).on.push(profile);
    }
    ways.into_values().collect()
}

/// The designs that are not played on some broker, and why.
fn misfits(cells: &[Cell]) -> BTreeSet<(&str, &String)> {
    cells.iter().filter_map(|cell| Some((cell.design.as_str(), cell.misfit.as_ref()?))).collect()
}

fn in_figures(cells: &[Cell]) -> String {
    let runs: u64 = cells.iter().map(|cell| cell.runs).sum();
    let held = cells.iter().filter(|cell| cell.failing.is_none() && cell.misfit.is_none()).count();
    format!("{held} of {} hold, {}", count(cells.len() as u64, "pair"), count(runs, "run"))
}

/// The scenario of what fails, with a design by its name in the table and on a broker.
type Placed<'a> = dyn Fn(&Failing, &str, &str) -> Option<Box<dyn AnyScenario>> + 'a;

/// What is printed, as pages: the table, and a story with a picture for each way to fail.
fn report(
    (title, place): (String, String),
    rows: &[Row],
    cells: &[Cell],
    placed: &Placed<'_>,
) -> Result<Report, Failure> {
    let heading = "WHICH DESIGN HOLDS ON WHICH BROKER".to_owned();
    let details = vec![in_figures(cells)];
    let mut report = Report { verb: "zoo", title, place, heading, details, ..Report::default() };
    let mut stories = Vec::new();
    let mut pages = BTreeMap::new();
    for Row { name: design, .. } in rows {
        for Way { departures, file, on, first } in ways(cells, design) {
            let Some(scenario) = on.first().and_then(|profile| placed(first, design, profile)) else { continue };
            let often = match (departures, first.seed) {
                (Some(departures), _) if departures.is_empty() => format!("in {file}, with no departure"),
                (Some(departures), _) => format!("in {file}, {}", count(departures.len() as u64, "departure")),
                (None, seed) => format!("in {file}, seed {}", seed.unwrap_or_default()),
            };
            let on_first = if on.len() > 1 { format!("; its page shows the first, {}", on[0]) } else { String::new() };
            let texts = departures.as_deref().map(texts).unwrap_or_default();
            let mut facts = vec![Fact::new(Tone::Plain, "On", on.join(", "))];
            facts.extend(texts.iter().map(|text| Fact::new(Tone::Plain, "Found with", format_args!("`{text}`"))));
            let many = if on.len() > NAMED_MAX { count(on.len() as u64, "profile") } else { on.join(", ") };
            let story = Story {
                heading: format!("{design} on {many}"),
                tone: Tone::Bad,
                often: often + &on_first,
                detail: first.detail.clone(),
                facts,
                ..Story::default()
            };
            let (seed, executions) = (first.seed.unwrap_or(scenario.settings().seed), EXECUTIONS_MAX);
            let fails =
                Fails { scenario: &*scenario, seed, words: design, executions, commands: Vec::new(), text: None };
            pages.extend(on.iter().map(|profile| ((design.as_str(), *profile), report.pages.len())));
            stories.push(report::tell(&mut report, fails, story)?);
        }
    }
    let mut table = Table {
        caption: "Rows are designs, columns are profiles of brokers".to_owned(),
        columns: std::iter::once("design").chain(Profile::NAMES).map(str::to_owned).collect(),
        rows: Vec::new(),
        is_matrix: true,
    };
    for Row { name: design, .. } in rows {
        let of_it = cells.iter().filter(|cell| cell.design == *design);
        let in_brief = of_it.map(|cell| {
            let page = pages.get(&(design.as_str(), cell.profile)).copied();
            let (tone, said) = match &cell.failing {
                _ if cell.misfit.is_some() => (Tone::Unsure, "not played".to_owned()),
                None => (Tone::Good, "holds".to_owned()),
                Some(Failing { departures: Some(departures), .. }) => {
                    (Tone::Bad, format!("violated by {}", count(departures.len() as u64, "departure")))
                }
                Some(_) => (Tone::Bad, "violated by a seed".to_owned()),
            };
            Shown { text: cell.in_brief(), spoken: Some(said), tone, to: page.map(To::Page) }
        });
        table.rows.push(ShownRow { heading: Shown::from(design.as_str()), cells: in_brief.collect() });
    }
    let meanings = Part::Text(MEANINGS.map(|(sign, meaning)| format!("`{sign}` {meaning}")).join(" · "));
    report.add_section("Designs and brokers", [meanings, Part::Table(table)]);
    let not_played = misfits(cells).into_iter().map(|(design, why)| {
        let said = format!("{design} is not played where a column has `-`: {why}");
        Fact::new(Tone::Unsure, "Not played", said)
    });
    report.add_section("What was not played", Part::facts(not_played.collect()));
    report.add_section("How each fails", stories);
    Ok(report)
}
