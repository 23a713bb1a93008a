//! The part of `pellmell sweep` in which nothing is drawn: the schedules nearest to the calm run.

use std::path::Path;

use pellmell_core::search::{HoldSweepResult, Tally};
use pellmell_core::trace::hex;
use pellmell_scenario::any::{AnyScenario, departed};
use serde_json::json;

use super::sweep::{SHRUNK_MAX, show_shrunk};
use super::{BAD, Failure, GOOD, Out, PLAIN, command, shrink};

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
    out.status(if result.is_held() { GOOD } else { BAD }, "Departed", result.summary())
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
