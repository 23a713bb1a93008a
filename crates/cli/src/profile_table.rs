//! `pellmell zoo --profiles`: which designs and defects hold on which broker.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use anstyle::Style;
use pellmell_core::broker::Profile;
use pellmell_core::faults::{FaultPlan, Rate};
use pellmell_core::prng::Ratio;
use pellmell_core::search::Part;
use pellmell_core::simulation::BuildError;
use pellmell_scenario::any::{AnyScenario, AnySystem};
use serde_json::json;

use super::layout::{columns_of, width};
use super::shrink::texts;
use super::table::{self, Column};
use super::zoo::read;
use super::{BAD, Ending, Failure, MessageFormat, Out, PLAIN, count};

/// How many seeds are played where no schedule of the hold sweep fails.
const SEEDS: u64 = 200;
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
    departures: Option<Vec<String>>,
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

/// The designs, each in all files that defects name, and the usual design with each of its defects, in those that it
/// names; with `named` no others than those defects, and with `file` there and nowhere else.
fn rows(system: &dyn AnySystem, named: &[String], file: Option<&String>) -> Vec<Row> {
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
    defects: &[String],
    file: Option<&String>,
    threads: u32,
    format: MessageFormat,
) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let rows = rows(system, defects, file);
    let mut scenarios = BTreeMap::new();
    for file in rows.iter().flat_map(|row| &row.files) {
        if !scenarios.contains_key(file) {
            scenarios.insert(file, system.scenario(file, &read(file)?)?);
        }
    }
    if format == MessageFormat::Human {
        let (usual, _) = system.designs().first().copied().unwrap_or_default();
        let (rows, profiles) = (count(rows.len() as u64, "design"), count(Profile::NAMES.len() as u64, "profile"));
        out.status(PLAIN, "Playing", format_args!("{rows} on {profiles}, judged as {usual} is"))?;
    }
    let mut cells = Vec::new();
    for row in &rows {
        for profile in Profile::NAMES {
            let mut cell = Cell { design: row.name.clone(), profile, runs: 0, failing: None, misfit: None };
            for file in &row.files {
                let mut scenario = scenarios[file].copy();
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
                cell.misfit = play(&mut cell, file, &*scenario, threads).err().map(|error| error.to_string());
            }
            cells.push(cell);
        }
    }
    match format {
        MessageFormat::Json => {
            for cell in &cells {
                let failing = cell.failing.as_ref().map(|failing| {
                    json!({
                        "scenario": failing.file, "detail": failing.detail, "departures": failing.departures,
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
        }
        MessageFormat::Human => show(&mut out, &rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), &cells)?,
    }
    Ok(Ending::Held)
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
        let departures = texts(&bucket.departures);
        note(
            cell,
            Failing { file: file.to_owned(), detail: bucket.detail.clone(), departures: Some(departures), seed: None },
        );
        return Ok(());
    }
    let seeds = 0..SEEDS;
    let part = scenario.sweep(&seeds, threads, Part::none(0), &mut |_| ControlFlow::Continue(()))?;
    cell.runs += part.result.totals.runs();
    if let Some(bucket) = part.result.buckets.values().min_by_key(|bucket| bucket.seed) {
        let smallest = scenario.shrink(bucket.seed, EXECUTIONS_MAX).ok().flatten();
        let departures = smallest.map(|smallest| texts(&smallest.shrunk.departures));
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
    for meaning in [".  holds", "3  violated by 3 departures at least", "s  violated by a seed", "-  not played"] {
        out.line(meaning)?;
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
        let failing = cells
            .iter()
            .filter(|cell| cell.design == *design)
            .filter_map(|cell| Some((cell.profile, cell.failing.as_ref()?)));
        let failing: Vec<(&str, &Failing)> = failing.collect();
        // What fails in the same way on several brokers is told once.
        let ways: BTreeSet<_> = failing.iter().map(|(_, failing)| (&failing.departures, &failing.file)).collect();
        for (departures, file) in ways {
            let same = failing.iter().filter(|(_, failing)| (&failing.departures, &failing.file) == (departures, file));
            let same: Vec<&(&str, &Failing)> = same.collect();
            let on: Vec<&str> = same.iter().map(|(profile, _)| *profile).collect();
            let Some((_, first)) = same.first() else { continue };
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
    let misfits: BTreeSet<(&str, &String)> =
        cells.iter().filter_map(|cell| Some((cell.design.as_str(), cell.misfit.as_ref()?))).collect();
    for (design, why) in misfits {
        out.line("")?;
        out.below(PLAIN, format_args!("{design} is not played where a column has `-`"))?;
        out.below(Style::new(), format_args!("    {why}"))?;
    }
    let runs: u64 = cells.iter().map(|cell| cell.runs).sum();
    let held = cells.iter().filter(|cell| cell.failing.is_none() && cell.misfit.is_none()).count() as u64;
    out.line("")?;
    out.status(
        PLAIN,
        "Summary",
        format_args!("{} of {} hold, {}", held, count(cells.len() as u64, "pair"), count(runs, "run")),
    )
}
