//! Colours and shapes, which the page and the drawing share.

use std::fmt::Write;

use pellmell_core::Fate;

use crate::picture::{ColumnKind, Picture, Run, Step};
use crate::step::{Kind, Mark};

/// What the legend says of an arrow that nobody was handed.
pub(crate) const WAITING: &str = "not delivered by the end";

/// The name of each colour, and what it is on light ground and on dark ground.
pub(crate) const PALETTE: [(&str, &str, &str); 14] = [
    ("bg", "#ffffff", "#15181c"),
    ("panel", "#f4f6f8", "#1d2126"),
    ("ink", "#1b1f24", "#e6e9ed"),
    ("dim", "#57606a", "#a3adb8"),
    ("line", "#d0d7de", "#3d454d"),
    ("bad", "#b3261e", "#ff8a80"),
    ("bad-bg", "#fdebe9", "#3b1d1c"),
    ("need", "#8a4b00", "#ffb74d"),
    ("need-bg", "#fff3dc", "#362a14"),
    ("good", "#1a6b32", "#7ddc95"),
    ("good-bg", "#e6f4ea", "#17311f"),
    ("chosen", "#0b57d0", "#8ab4f8"),
    ("chosen-bg", "#e3edfd", "#1f2d47"),
    ("mark-bg", "#fff59d", "#5c4d00"),
];

/// The symbols of all shapes, and the heads of arrows, as what stands in `defs`.
pub(crate) const GLYPHS: &str = include_str!("page/glyphs.svg");
/// The style that all pages share.
pub(crate) const COMMON: &str = include_str!("page/common.css");
/// The style of what is drawn.
pub(crate) const DIAGRAM: &str = include_str!("page/diagram.css");

/// A style sheet whose colours are written out, first those on light ground and then those on dark ground: for
/// viewers that know no variables.
#[must_use]
pub(crate) fn written_out(css: &str) -> String {
    let with = |dark: bool| {
        PALETTE.iter().fold(css.to_owned(), |css, (name, light, on_dark)| {
            css.replace(&format!("var(--{name})"), if dark { on_dark } else { light })
        })
    };
    // Only what has a colour is said again.
    let dark = with(true);
    let again = css.lines().zip(dark.lines()).filter(|(line, _)| line.contains("var(--")).map(|(_, line)| line);
    format!("{}@media (prefers-color-scheme: dark) {{\n{}\n}}\n", with(false), again.collect::<Vec<_>>().join("\n"))
}

/// The palette as variables.
#[must_use]
pub(crate) fn variables() -> String {
    let block = |dark: bool| {
        let mut block = String::new();
        for (name, light, on_dark) in PALETTE {
            // Writing to a string cannot fail.
            let _ = write!(block, " --{name}: {};", if dark { on_dark } else { light });
        }
        block
    };
    let (light, dark) = (block(false), block(true));
    // Paper is light.
    format!(":root {{{light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n")
}

/// The shape of a step, and the colour that goes with it.
#[must_use]
pub(crate) fn glyph(step: &Step) -> (&'static str, &'static str) {
    let shapes = [
        (Mark::Panic, "panic", "bad"),
        (Mark::Crash, "crash", "bad"),
        (Mark::DeadLetter, "dead", "bad"),
        (Mark::Lost, "lost", "bad"),
        (Mark::Paused, "paused", "need"),
        (Mark::Refused, "refused", "need"),
        (Mark::AckLost, "ack-lost", "need"),
        (Mark::AckLate, "ack-late", "need"),
    ];
    if let Some((_, shape, colour)) = shapes.into_iter().find(|(mark, ..)| step.is(*mark)) {
        return (shape, colour);
    }
    match step.kind {
        Kind::Command => ("accepted", ""),
        Kind::Delivery | Kind::Resume => ("handled", ""),
        Kind::Publish => ("publish", ""),
        Kind::Timer => ("timer", ""),
        Kind::AckWait => ("ack-wait", "dim"),
        Kind::Ack => ("ack", "dim"),
        Kind::Join => ("rebalance", ""),
    }
}

/// What stands beside the shape of a step.
pub(crate) fn badges(step: &Step) -> impl Iterator<Item = &'static str> {
    let copied = step.faults.iter().any(|fault| fault == Fate::DUPLICATED || fault == Fate::REPUBLISHED);
    let all = [
        (step.is(Mark::Outside), "outside"),
        (step.is(Mark::Rebalance) && step.kind != Kind::Join, "rebalance"),
        (copied, "duplicate"),
    ];
    all.into_iter().filter(|(is_there, _)| *is_there).map(|(_, badge)| badge)
}

/// Each shape with its words, for those that a picture has.
#[must_use]
pub(crate) fn legend(picture: &Picture) -> Vec<(&'static str, &'static str, &'static str)> {
    let all = [
        ("accepted", "", "command accepted"),
        ("handled", "", "handled and acked"),
        ("refused", "need", "refused or no answer"),
        ("ack-lost", "need", "ack lost"),
        ("ack-late", "need", "ack comes late"),
        ("paused", "need", "paused after its read, or works"),
        ("crash", "bad", "crash"),
        ("lost", "bad", "message lost"),
        ("dead", "bad", "given up: dead letter"),
        ("panic", "bad", "panic"),
        ("timer", "", "timer fires"),
        ("ack-wait", "dim", "ack wait is over"),
        ("ack", "dim", "late ack arrives"),
        ("publish", "", "published later"),
        ("rebalance", "", "rebalance, members change"),
        ("outside", "", "effect outside"),
        ("duplicate", "", "copy to come"),
    ];
    let has = |shape: &str| {
        picture.run.steps.iter().any(|step| glyph(step).0 == shape || badges(step).any(|badge| badge == shape))
    };
    all.into_iter().filter(|(shape, ..)| has(shape)).collect()
}

/// The class of each kind of arrow with its words, for those that a picture has.
#[must_use]
pub(crate) fn legend_of_arrows(picture: &Picture) -> Vec<(&'static str, &'static str)> {
    let all = [
        (Mark::Redelivery, "redelivery", "redelivery"),
        (Mark::Duplicate, "duplicate", "duplicate"),
        (Mark::Departing, "departing", "departs from the calm run"),
    ];
    let has = |mark: Mark| picture.run.steps.iter().any(|step| step.is(mark));
    all.into_iter().filter(|(mark, ..)| has(*mark)).map(|(_, class, words)| (class, words)).collect()
}

/// The classes of the arrow that leads to a step.
#[must_use]
pub(crate) fn arrow(step: &Step) -> String {
    let kinds = [(Mark::Redelivery, " redelivery"), (Mark::Duplicate, " duplicate"), (Mark::Departing, " departing")];
    kinds.into_iter().filter(|(mark, _)| step.is(*mark)).fold("arrow".to_owned(), |all, (_, class)| all + class)
}

/// The part of a step's message that tells it from others of its subject: `t1@2`.
#[must_use]
pub(crate) fn label<'a>(run: &'a Run, step: &Step) -> Option<&'a str> {
    let is_handed = matches!(step.kind, Kind::Delivery | Kind::Resume);
    let flight = step.flight.filter(|_| is_handed).map(|flight| &run.flights[flight])?;
    flight.message.split_once(' ').map(|(_, rest)| rest)
}

/// The place of the column of clients, if there is one.
#[must_use]
pub(crate) fn clients(picture: &Picture) -> Option<usize> {
    picture.columns.iter().position(|column| column.of == ColumnKind::Clients)
}
