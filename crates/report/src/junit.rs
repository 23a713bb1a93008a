//! `--to junit`: the run as a test case, for what shows test results: CI servers, IDEs.

use std::fmt::Write;

use pellmell_core::Time;

use crate::picture::Picture;
use crate::text::xml;

/// How a report begins.
pub const BEGIN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pellmell export\"";

/// The most steps that the report of a case lists: the last ones.
const STEPS_LISTED: usize = 400;

/// The picture as a JUnit report of one test case.
///
/// A violation is a failure, a panic and a run that got stuck are errors. No time is said, because none that was
/// measured would be the same again.
#[must_use]
pub fn junit(picture: &Picture) -> String {
    let verdict = &picture.verdict;
    let (failures, errors, element) = match verdict.word.as_str() {
        "held" => (0, 0, None),
        "violated" => (1, 0, Some("failure")),
        _ => (0, 1, Some("error")),
    };
    let counts = format!("tests=\"1\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\"");
    let scenario = xml(&picture.scenario);
    let name = xml(&format!("seed {}, design {}", picture.seed, picture.design));
    let mut report = format!(
        "{BEGIN} {counts}>\n<testsuite name=\"{scenario}\" {counts}>\n\
         <testcase classname=\"{scenario}\" name=\"{name}\">\n<properties>\n"
    );
    for (name, value) in [
        ("design", picture.design.clone()),
        ("broker", picture.profile.clone()),
        ("scheduler", picture.scheduler.clone()),
        ("seed", picture.seed.to_string()),
        ("fingerprint", picture.fingerprint.clone()),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(report, "<property name=\"{name}\" value=\"{}\"/>", xml(&value));
    }
    report += "</properties>\n";
    if let Some(element) = element {
        let kind = xml(&verdict.heading());
        let message = xml(verdict.detail.as_deref().unwrap_or_default());
        let _ = writeln!(
            report,
            "<{element} type=\"{kind}\" message=\"{message}\">{}</{element}>",
            xml_lines(&why(picture))
        );
    }
    let _ = write!(
        report,
        "<system-out>{}</system-out>\n</testcase>\n</testsuite>\n</testsuites>\n",
        xml_lines(&steps(picture))
    );
    report
}

/// Lines in XML, each escaped on its own, so that what breaks them is ours.
fn xml_lines(lines: &[String]) -> String {
    lines.iter().map(|line| xml(line)).collect::<Vec<_>>().join("\n")
}

/// Why the run fails, what it takes, and what to type.
fn why(picture: &Picture) -> Vec<String> {
    let mut lines: Vec<String> = picture.verdict.detail.iter().cloned().collect();
    lines.extend(picture.departures.iter().map(|departs| format!("Departs: {}", departs.text)));
    lines.extend(picture.why.iter().cloned());
    lines.extend(picture.notes.iter().map(|note| format!("Note: {note}")));
    lines.extend(picture.commands.iter().map(|(word, command)| format!("{word}: {command}")));
    lines
}

fn steps(picture: &Picture) -> Vec<String> {
    let skipped = picture.run.steps.len().saturating_sub(STEPS_LISTED);
    let hidden = (skipped > 0).then(|| format!("{skipped} steps before these are not listed"));
    let line = |step: &crate::picture::Step| {
        let faults: String = step.faults.iter().map(|fault| format!("  ◀ {fault}")).collect();
        let needed = step.necessary.as_ref().map(|names| format!("  ◀ needed: {names}")).unwrap_or_default();
        let place = &picture.columns[step.column].name;
        let (number, time) = (step.number, Time(step.time_us));
        format!("{number} {time} {place}: {}  {}{faults}{needed}", step.what, step.outcome)
    };
    hidden.into_iter().chain(picture.run.steps[skipped..].iter().map(line)).collect()
}
