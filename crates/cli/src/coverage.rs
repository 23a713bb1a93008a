//! What a sweep says of how much its runs came through.

use std::collections::BTreeMap;
use std::ops::Range;

use pellmell_core::search::{Coverage, PctBound, Seen, Standing};
use pellmell_core::vacuity::Findings;
use pellmell_scenario::any::AnyScenario;
use serde_json::json;

use super::{BAD, DIM, Failure, GOOD, Out, PLAIN, count, grouped};

/// How many lines of misses are shown if not all are asked for.
const LINES_MAX: usize = 10;
/// How many lanes or pairs one such line names.
const NAMED_MAX: usize = 3;
/// Why something did not come about that nothing rules out.
const NO_OCCASION: &str = "no run published the messages it takes";

/// Prints what was covered: the misses, or with `full` everything.
pub(super) fn show(
    out: &mut Out,
    coverage: &Coverage,
    scenario: &dyn AnyScenario,
    seeds: &Range<u64>,
    full: bool,
    findings: &Findings,
) -> Result<(), Failure> {
    if coverage.runs == 0 {
        return Ok(());
    }
    let (seen, of) = coverage.seen_of();
    let runs = grouped(seeds.end - seeds.start);
    let last = coverage.last_new().map_or_else(
        || "none in any run".to_owned(),
        |seed| format!("the last new one in run {} of {runs}", grouped(seed - seeds.start + 1)),
    );
    let style = if seen == of { GOOD } else { PLAIN };
    out.status(style, "Coverage", format_args!("{} of {} situations and pairs, {last}", grouped(seen), grouped(of)))?;
    if full {
        table(out, coverage)?
    } else {
        misses(out, coverage)?
    }
    goals(out, coverage, scenario)?;
    match findings.void.first() {
        // A bound on what was missed would be about schedules with it as well.
        Some(vacuous) => out.status(DIM, "Bound", format_args!("none: {} never happened", vacuous.what())),
        None => bounds(out, coverage),
    }
}

/// What no run met and runs could have, by situation.
fn misses(out: &mut Out, coverage: &Coverage) -> Result<(), Failure> {
    let missed = |all: &BTreeMap<String, Seen>| -> Vec<String> {
        all.iter().filter(|(_, seen)| seen.standing() == Standing::Missed).map(|(name, _)| name.clone()).collect()
    };
    let of_situations = coverage.situations.iter().map(|(situation, lanes)| (situation.name(), missed(lanes)));
    let of_pairs = std::iter::once(("pair", missed(&coverage.pairs)));
    let lines: Vec<_> = of_situations.chain(of_pairs).filter(|(_, missed)| !missed.is_empty()).collect();
    for (what, missed) in lines.iter().take(LINES_MAX) {
        let named = missed[..missed.len().min(NAMED_MAX)].join(", ");
        let more = match missed.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {} more", grouped(more as u64)),
        };
        out.status(BAD, "MISS", format_args!("{what}: {named}{more}"))?;
    }
    let (left, others) = (lines.len().saturating_sub(LINES_MAX), unreachable(coverage));
    if left > 0 {
        out.status(DIM, "", format_args!("and {}: --coverage shows them", count(left as u64, "situation")))?;
    }
    if others > 0 {
        let of = count(others, "situation");
        out.status(DIM, "", format_args!("{of} or pairs could not come about: --coverage says why"))?;
    }
    Ok(())
}

/// How many situations and pairs could not come about.
fn unreachable(coverage: &Coverage) -> u64 {
    let could = |seen: &&Seen| matches!(seen.standing(), Standing::NoOccasion | Standing::RuledOut(_));
    coverage.all().filter(could).count() as u64
}

/// Everything: what could come about a line each, the rest by what keeps it from coming about.
fn table(out: &mut Out, coverage: &Coverage) -> Result<(), Failure> {
    let pairs = std::iter::once(("pair", &coverage.pairs));
    for (what, all) in coverage.situations.iter().map(|(situation, all)| (situation.name(), all)).chain(pairs) {
        let mut others = BTreeMap::<(&str, &str), Vec<&str>>::new();
        for (name, seen) in all {
            match seen.standing() {
                Standing::Seen => {
                    let first = seen.first.map(|seed| format!(", first seed {seed}")).unwrap_or_default();
                    out.status(GOOD, "Seen", format_args!("{what}: {name}   {}{first}", count(seen.runs, "run")))?;
                }
                Standing::Missed => {
                    let could = count(seen.occasions, "run");
                    out.status(BAD, "MISS", format_args!("{what}: {name}   {could} could have"))?;
                }
                Standing::NoOccasion => others.entry(("No occasion", NO_OCCASION)).or_default().push(name),
                Standing::RuledOut(why) => others.entry(("Ruled out", why.why())).or_default().push(name),
            }
        }
        for ((word, why), names) in others {
            out.status(DIM, word, format_args!("{what}, {why}: {}", names.join(", ")))?;
        }
    }
    Ok(())
}

/// What is to be reached in some run.
fn goals(out: &mut Out, coverage: &Coverage, scenario: &dyn AnyScenario) -> Result<(), Failure> {
    let (all, never) = (coverage.sometimes.len(), coverage.never_reached().count());
    if all == 0 {
        return Ok(());
    }
    let style = if never == 0 { GOOD } else { PLAIN };
    out.status(style, "Reached", format_args!("{} of {all} sometimes-properties", all - never))?;
    for (goal, about) in scenario.sometimes() {
        if coverage.never_reached().any(|name| name == goal) {
            out.status(BAD, "MISS", format_args!("{goal}: in no run {about}"))?;
        }
    }
    Ok(())
}

fn bounds(out: &mut Out, coverage: &Coverage) -> Result<(), Failure> {
    let (worth, others): (Vec<_>, Vec<_>) =
        coverage.pct_bounds().into_iter().flatten().partition(PctBound::is_worth_naming);
    if worth.is_empty() && others.is_empty() {
        return out.status(DIM, "Bound", format_args!("none: no seed was played by pctcp-1, pctcp-2 or pctcp-3"));
    }
    let mut told: Vec<String> = worth.iter().map(ToString::to_string).collect();
    if !others.is_empty() {
        let depths: Vec<String> = others.iter().map(|bound| bound.depth.to_string()).collect();
        let wanted: Vec<String> = others.iter().map(|bound| grouped(bound.more_runs)).collect();
        let depth = if others.len() == 1 { "depth" } else { "depths" };
        told.push(format!("{depth} {}: none, for want of {} pctcp runs", depths.join(", "), wanted.join(", ")));
    }
    out.status(PLAIN, "Bound", told.join("; "))
}

/// Says that with `--strict` the sweep fails, and what to do.
pub(super) fn show_strict(out: &mut Out, coverage: &Coverage, again: &str) -> Result<(), Failure> {
    let never = count(coverage.never_reached().count() as u64, "sometimes-property");
    out.status(
        BAD,
        "Strict",
        format_args!("{never} never reached: let clients do what leads there, or take more seeds"),
    )?;
    out.command(PLAIN, "Next", again)
}

/// All that was covered as one object.
pub(super) fn as_json(coverage: &Coverage) -> serde_json::Value {
    let (seen, of) = coverage.seen_of();
    json!({
        "reason": "coverage",
        "seen": seen,
        "possible": of,
        "last_new_seed": coverage.last_new(),
        "never_reached": coverage.never_reached().collect::<Vec<_>>(),
        "bounds": coverage.pct_bounds(),
        "coverage": coverage,
    })
}
