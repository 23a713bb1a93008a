//! What a verb says of what was asked for and did not happen.

use pellmell::vacuity::{Findings, Vacuous};
use serde_json::{Value, json};

use super::{BAD, Failure, Out, PLAIN};

/// Prints what makes a result void, a line each, and how to allow it.
pub(super) fn show(out: &mut Out, findings: &Findings) -> Result<(), Failure> {
    let Some(first) = findings.void.first() else { return Ok(()) };
    for vacuous in &findings.void {
        out.status(BAD, "Vacuous", vacuous)?;
    }
    let kind = first.kind.name();
    out.status(PLAIN, "Next", format_args!("if that is meant: --allow {kind}, or `allow = [\"{kind}\"]` in the file"))
}

/// Prints what is worth knowing and no more, a line each.
pub(super) fn show_notes(out: &mut Out, notes: &[Vacuous]) -> Result<(), Failure> {
    notes.iter().try_for_each(|vacuous| out.status(PLAIN, "Note", vacuous))
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
