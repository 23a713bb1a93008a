//! The part of `pellmell sweep` in which nothing is drawn: the schedules nearest to the calm run.

use std::path::Path;

use pellmell_core::search::{DepartedBucket, HoldSweepResult, Tally};
use pellmell_core::trace::hex;
use pellmell_scenario::any::{AnyScenario, departed};
use serde_json::json;

use super::sweep::{SHRUNK_MAX, show_shrunk};
use super::{BAD, Failure, GOOD, Out, PLAIN, command, count, grouped, shrink};

pub(super) fn show(
    out: &mut Out,
    path: &Path,
    scenario: &dyn AnyScenario,
    result: &HoldSweepResult,
) -> Result<(), Failure> {
    for (place, (signature, bucket)) in in_order(result).into_iter().enumerate() {
        let first = match bucket.departures.len() {
            0 => "the calm run fails".to_owned(),
            departures => format!("first with {}", count(departures as u64, "departure")),
        };
        let word = bucket.verdict.to_uppercase();
        out.status(BAD, &word, format_args!("{signature}   {}, {first}", count(bucket.count, "schedule")))?;
        let departed = departed(scenario, &bucket.departures);
        if place < SHRUNK_MAX {
            show_shrunk(out, &*departed, scenario.settings().seed)?;
        }
        out.status(PLAIN, "Reproduce", command("run", path, &*departed, scenario.settings().seed))?;
    }
    out.status(if result.is_held() { GOOD } else { BAD }, "Departed", in_words(result))
}

/// `all 412 one-departure schedules and 13,041 of 84,666 pairs hold`.
fn in_words(result: &HoldSweepResult) -> String {
    let (singles, pairs) = (&result.singles, &result.pairs);
    if singles.held + pairs.held == singles.played + pairs.played {
        return format!("{} one-departure schedules and {} pairs hold", part(singles), part(pairs));
    }
    let failed = |tally: &Tally| format!("{} of {}", grouped(tally.played - tally.held), grouped(tally.played));
    let left_out = (singles.all - singles.played) + (pairs.all - pairs.played);
    let rest = if left_out > 0 { format!("; {} not played", grouped(left_out)) } else { String::new() };
    let of_pairs = if pairs.played > 0 { format!(" and {} pairs", failed(pairs)) } else { String::new() };
    format!("{} one-departure schedules{of_pairs} fail{rest}", failed(singles))
}

/// How many of how many were played.
fn part(tally: &Tally) -> String {
    if tally.played == tally.all {
        format!("all {}", grouped(tally.all))
    } else {
        format!("{} of {}", grouped(tally.played), grouped(tally.all))
    }
}

/// The buckets, what was played first first.
fn in_order(result: &HoldSweepResult) -> Vec<(&String, &DepartedBucket)> {
    let mut buckets: Vec<_> = result.buckets.iter().collect();
    buckets.sort_by_key(|(_, bucket)| bucket.place);
    buckets
}

pub(super) fn show_json(
    out: &mut Out,
    path: &Path,
    scenario: &dyn AnyScenario,
    result: &HoldSweepResult,
) -> Result<(), Failure> {
    for (signature, bucket) in in_order(result) {
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
