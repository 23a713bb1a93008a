//! What a verb says of what was asked for and did not happen.

use pellmell_core::vacuity::{Findings, Kind, Vacuous};
use pellmell_report::report::{Fact, Tone};
use serde_json::{Value, json};

use super::{Failure, Out};

/// Prints what makes a result void, a line each, and how to allow it.
pub(super) fn show(out: &mut Out, findings: &Findings) -> Result<(), Failure> {
    out.facts(&facts(findings))
}

/// What makes a result void, and how to allow it.
pub(super) fn facts(findings: &Findings) -> Vec<Fact> {
    let Some(first) = findings.void.first() else { return Vec::new() };
    let kind = first.kind.name();
    let next = format!("if that is meant: --allow {kind}, or `allow = [\"{kind}\"]` in the file");
    let void = findings.void.iter().map(|vacuous| Fact::new(Tone::Bad, "Vacuous", vacuous));
    void.chain([Fact::new(Tone::Plain, "Next", next)]).collect()
}

/// Prints what a broker makes of a design, which is worth knowing whatever came of it.
pub(super) fn show_broker(out: &mut Out, findings: &Findings) -> Result<(), Failure> {
    out.facts(&of_broker(findings))
}

/// What a broker makes of a design.
pub(super) fn of_broker(findings: &Findings) -> Vec<Fact> {
    let told = |note: &&Vacuous| matches!(note.kind, Kind::UnheardNak | Kind::WithoutEffect);
    notes(findings.notes.iter().filter(told))
}

/// What is worth knowing and no more.
pub(super) fn notes<'a>(notes: impl IntoIterator<Item = &'a Vacuous>) -> Vec<Fact> {
    notes.into_iter().map(|vacuous| Fact::new(Tone::Plain, "Note", vacuous)).collect()
}

/// As values: what makes a result void, and what does not.
pub(super) fn as_json(findings: &Findings) -> Value {
    let one = |vacuous: &Vacuous, is_note: bool| {
        let kind = vacuous.kind.name();
        json!({ "kind": kind, "name": vacuous.name, "reason": vacuous.reason, "note": is_note })
    };
    let void = findings.void.iter().map(|vacuous| one(vacuous, false));
    void.chain(findings.notes.iter().map(|vacuous| one(vacuous, true))).collect()
}
