//! What a sweep says of how much its runs came through.

use std::collections::BTreeMap;
use std::ops::Range;

use pellmell_core::search::{Coverage, PctBound, Seen, Standing};
use pellmell_core::vacuity::Findings;
use pellmell_report::report::{Cell, Fact, Part, Report, Row, Tone};
use pellmell_scenario::any::AnyScenario;
use serde_json::json;

use super::{BAD, DIM, Failure, GOOD, Out, count, grouped};

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
    out.fact(&summary(coverage, seeds))?;
    if full {
        table(out, coverage)?
    } else {
        misses(out, coverage)?
    }
    out.facts(&goals(coverage, scenario))?;
    out.fact(&bound(coverage, findings))
}

/// How much was covered, and when the last new thing was.
fn summary(coverage: &Coverage, seeds: &Range<u64>) -> Fact {
    let (seen, of) = coverage.seen_of();
    let runs = grouped(seeds.end - seeds.start);
    let last = coverage.last_new().map_or_else(
        || "none in any run".to_owned(),
        |seed| format!("the last new one in run {} of {runs}", grouped(run_of(seed, seeds))),
    );
    let tone = if seen == of { Tone::Good } else { Tone::Plain };
    Fact::new(tone, "Coverage", format_args!("{} of {} situations and pairs, {last}", grouped(seen), grouped(of)))
}

/// Which run of a sweep a seed is, from 1.
fn run_of(seed: u64, seeds: &Range<u64>) -> u64 {
    seed.saturating_sub(seeds.start) + 1
}

/// All situations and pairs, each with what it is of: its situation, or that it is a pair.
fn all(coverage: &Coverage) -> impl Iterator<Item = (&'static str, &BTreeMap<String, Seen>)> {
    let of_situations = coverage.situations.iter().map(|(situation, lanes)| (situation.name(), lanes));
    of_situations.chain(std::iter::once(("pair", &coverage.pairs)))
}

/// A report's sections about what was covered, and how it came to be.
pub(super) fn report(
    report: &mut Report,
    coverage: &Coverage,
    scenario: &dyn AnyScenario,
    seeds: &Range<u64>,
    findings: &Findings,
) {
    if coverage.runs == 0 {
        return;
    }
    let mut facts = vec![summary(coverage, seeds)];
    facts.extend(goals(coverage, scenario));
    facts.push(bound(coverage, findings));
    let (mut missed, mut met, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut news = BTreeMap::<u64, u64>::new();
    for (what, all) in all(coverage) {
        let mut not_there = BTreeMap::<(&str, &str), Vec<&str>>::new();
        for (name, seen) in all {
            let row = |cells: Vec<Cell>| Row { heading: Cell::from(name.as_str()), cells };
            match seen.standing() {
                Standing::Seen => {
                    let first = seen.first.map(|seed| seed.to_string()).unwrap_or_default();
                    met.push(row(vec![what.into(), grouped(seen.runs).into(), first.into()]));
                    if let Some(first) = seen.first {
                        *news.entry(run_of(first, seeds)).or_default() += 1;
                    }
                }
                Standing::Missed => {
                    let miss = Cell { tone: Tone::Bad, ..Cell::from(format!("MISS {what}")) };
                    missed.push(row(vec![miss, grouped(seen.occasions).into()]));
                }
                Standing::NoOccasion => not_there.entry(("No occasion", NO_OCCASION)).or_default().push(name),
                Standing::RuledOut(why) => not_there.entry(("Ruled out", why.why())).or_default().push(name),
            }
        }
        others.extend(not_there.into_iter().map(|((word, why), names)| left_out(word, what, why, &names)));
    }
    let mut parts = vec![Part::Facts(facts)];
    let caption = "MISS: no run met it, and runs could have";
    parts.extend(Part::table(caption, &["where", "what", "runs that could"], missed));
    parts.extend(Part::table("Met", &["where", "what", "runs", "first seed"], met));
    report.add_section("Coverage", parts);
    report.add_section("What could not come about", Part::facts(others));
    let mut so_far = 0;
    let rows = news.into_iter().map(|(run, new)| {
        so_far += new;
        Row { heading: grouped(run).into(), cells: vec![grouped(new).into(), grouped(so_far).into()] }
    });
    let caption = format!("The runs, of {}, that met what none before them did", grouped(seeds.end - seeds.start));
    let table = Part::table(&caption, &["run", "new", "met by then"], rows.collect());
    report.add_section("Saturation", table);
}

/// What no run met and runs could have, by situation.
fn misses(out: &mut Out, coverage: &Coverage) -> Result<(), Failure> {
    let missed = |all: &BTreeMap<String, Seen>| -> Vec<String> {
        all.iter().filter(|(_, seen)| seen.standing() == Standing::Missed).map(|(name, _)| name.clone()).collect()
    };
    let lines = all(coverage).map(|(what, all)| (what, missed(all)));
    let lines: Vec<_> = lines.filter(|(_, missed)| !missed.is_empty()).collect();
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
    for (what, all) in all(coverage) {
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
            out.fact(&left_out(word, what, why, &names))?;
        }
    }
    Ok(())
}

/// What could not come about, and why.
fn left_out(word: &str, what: &str, why: &str, names: &[&str]) -> Fact {
    Fact::new(Tone::Dim, word, format_args!("{what}, {why}: {}", names.join(", ")))
}

/// What is to be reached in some run.
fn goals(coverage: &Coverage, scenario: &dyn AnyScenario) -> Vec<Fact> {
    let (all, never) = (coverage.sometimes.len(), coverage.never_reached().count());
    if all == 0 {
        return Vec::new();
    }
    let tone = if never == 0 { Tone::Good } else { Tone::Plain };
    let reached = Fact::new(tone, "Reached", format_args!("{} of {all} sometimes-properties", all - never));
    let missed = scenario.sometimes().into_iter().filter(|(goal, _)| coverage.never_reached().any(|name| name == goal));
    let missed = missed.map(|(goal, about)| Fact::new(Tone::Bad, "MISS", format_args!("{goal}: in no run {about}")));
    std::iter::once(reached).chain(missed).collect()
}

/// How sure one may be that nothing was missed.
fn bound(coverage: &Coverage, findings: &Findings) -> Fact {
    if let Some(vacuous) = findings.void.first() {
        // A bound on what was missed would be about schedules with it as well.
        return Fact::new(Tone::Dim, "Bound", format_args!("none: {} never happened", vacuous.what()));
    }
    let (worth, others): (Vec<_>, Vec<_>) =
        coverage.pct_bounds().into_iter().flatten().partition(PctBound::is_worth_naming);
    if worth.is_empty() && others.is_empty() {
        return Fact::new(Tone::Dim, "Bound", "none: no seed was played by pctcp-1, pctcp-2 or pctcp-3");
    }
    let mut told: Vec<String> = worth.iter().map(ToString::to_string).collect();
    if !others.is_empty() {
        let depths: Vec<String> = others.iter().map(|bound| bound.depth.to_string()).collect();
        let wanted: Vec<String> = others.iter().map(|bound| grouped(bound.more_runs)).collect();
        let depth = if others.len() == 1 { "depth" } else { "depths" };
        told.push(format!("{depth} {}: none, for want of {} pctcp runs", depths.join(", "), wanted.join(", ")));
    }
    Fact::new(Tone::Plain, "Bound", told.join("; "))
}

/// Why a sweep fails with `--strict`.
pub(super) fn strict(coverage: &Coverage) -> Fact {
    let never = count(coverage.never_reached().count() as u64, "sometimes-property");
    let next = "let clients do what leads there, or take more seeds";
    Fact::new(Tone::Bad, "Strict", format_args!("{never} never reached: {next}"))
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
