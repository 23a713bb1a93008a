//! The part of `pellmell sweep` in which nothing is drawn: the schedules nearest to the calm run.

use std::path::Path;

use pellmell_core::search::{HoldSweepResult, Tally};
use pellmell_core::trace::hex;
use pellmell_report::report::{Fact, Part, Report, Story, Tone};
use pellmell_scenario::any::{AnyScenario, departed};
use serde_json::json;

use super::report::{self, Fails};
use super::sweep::{EXECUTIONS_MAX, SHRUNK_MAX, show_shrunk};
use super::{BAD, Failure, Out, PLAIN, command, export, shrink};

pub(super) fn show(
    out: &mut Out,
    path: &Path,
    scenario: &dyn AnyScenario,
    result: &HoldSweepResult,
) -> Result<(), Failure> {
    for (place, (signature, bucket)) in result.buckets_in_order().into_iter().enumerate() {
        out.status(BAD, &bucket.verdict.to_uppercase(), format_args!("{signature}   {bucket}"))?;
        let departed = departed(scenario, &bucket.departures);
        if place < SHRUNK_MAX {
            show_shrunk(out, &*departed, scenario.settings().seed)?;
        }
        out.command(PLAIN, "Reproduce", &command("run", path, &*departed, scenario.settings().seed))?;
    }
    out.fact(&summary(result))
}

fn summary(result: &HoldSweepResult) -> Fact {
    Fact::new(if result.is_held() { Tone::Good } else { Tone::Bad }, "Departed", result.summary())
}

/// A report's part about it.
pub(super) fn report(
    report: &mut Report,
    path: &Path,
    scenario: &dyn AnyScenario,
    result: &HoldSweepResult,
) -> Result<(), Failure> {
    let mut parts = vec![Part::Facts(vec![summary(result)])];
    let seed = scenario.settings().seed;
    for (place, (signature, bucket)) in result.buckets_in_order().into_iter().enumerate() {
        let departed = departed(scenario, &bucket.departures);
        let commands = export::commands(path, &*departed, seed, true);
        let story = Story {
            heading: format!("{} {signature}", bucket.verdict.to_uppercase()),
            tone: Tone::Bad,
            often: bucket.to_string(),
            detail: bucket.detail.clone(),
            ..Story::default()
        };
        let words = report::first_word(signature);
        let fails = Fails { scenario: &*departed, seed, words, executions: EXECUTIONS_MAX, commands, text: None };
        parts.push(report::bucket(report, place, fails, story, &shrink::texts(&bucket.departures))?);
    }
    report.add_section("Near the calm run", parts);
    Ok(())
}

pub(super) fn show_json(
    out: &mut Out,
    path: &Path,
    scenario: &dyn AnyScenario,
    result: &HoldSweepResult,
) -> Result<(), Failure> {
    for (signature, bucket) in result.buckets_in_order() {
        out.json(&json!({
            "reason": "departed bucket",
            "signature": signature,
            "verdict": bucket.verdict,
            "detail": bucket.detail,
            "place": bucket.place,
            "count": bucket.count,
            "departures": shrink::texts(&bucket.departures),
            "reproduce": command("run", path, &*departed(scenario, &bucket.departures), scenario.settings().seed),
        }))?;
    }
    let tally = |tally: &Tally| json!({ "all": tally.all, "played": tally.played, "held": tally.held });
    out.json(&json!({
        "reason": "departed",
        "deliveries": result.deliveries,
        "singles": tally(&result.singles),
        "pairs": tally(&result.pairs),
        "fingerprint": hex(result.fingerprint),
    }))
}
