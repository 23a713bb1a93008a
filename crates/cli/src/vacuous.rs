//! What a verb says of what was asked for and did not happen.

use pellmell_core::vacuity::{Findings, Kind, Vacuous};
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

/// Prints what a broker makes of a design, which is worth knowing whatever came of it.
pub(super) fn show_broker(out: &mut Out, findings: &Findings) -> Result<(), Failure> {
    let told = |note: &&Vacuous| matches!(note.kind, Kind::UnheardNak | Kind::WithoutEffect);
    show_notes(out, findings.notes.iter().filter(told))
}

/// Prints what is worth knowing and no more, a line each.
pub(super) fn show_notes<'a>(out: &mut Out, notes: impl IntoIterator<Item = &'a Vacuous>) -> Result<(), Failure> {
    notes.into_iter().try_for_each(|vacuous| out.status(PLAIN, "Note", vacuous))
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
