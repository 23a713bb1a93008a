//! Which pairs of profiles the recordings tell apart: of two, whether some recording of the one is impossible under
//! the other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pellmell_core::engine::{Profile, Recording};

/// More states than that explain no line of a recording that matters here, unless there is no end of copies.
const STATES_MAX: u32 = 1_000;

/// The pairs that no recording tells apart: given the same window, all that the first does the second may do.
/// docs/brokers/README.md says why.
const INCLUDED: [(&str, &[&str]); 15] = [
    ("stan", &["pubsub"]),
    ("jetstream", &["sqs-standard", "pubsub"]),
    ("kafka", &["kafka-auto-commit"]),
    ("kafka-cooperative", &["kafka", "kafka-auto-commit"]),
    ("rabbitmq-classic", &["pubsub"]),
    ("rabbitmq-quorum-3", &["pubsub"]),
    ("rabbitmq-single-active", &["rabbitmq-quorum"]),
    ("sqs-standard", &["pubsub"]),
    ("sqs-fifo", &["pubsub", "pubsub-exactly-once"]),
    ("pubsub-ordered", &["pubsub"]),
    ("pubsub-exactly-once", &["pubsub"]),
    ("redis-streams", &["pubsub"]),
    ("mqtt-qos1", &["sqs-standard", "pubsub"]),
    ("mqtt-qos1-clean", &["kafka-share", "sns", "mqtt-qos0"]),
    ("mqtt-qos2", &["sqs-standard", "pubsub"]),
];

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether a recording is of no server, but was written to tell profiles apart.
pub(crate) fn is_documented(recording: &Recording) -> bool {
    recording.header.source == "documentation"
}

/// The recordings that are kept, by name, those first that were written to tell profiles apart.
pub(crate) fn recordings() -> Vec<(String, Recording)> {
    let entries = std::fs::read_dir(repository().join("tests/recordings")).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // Those of other tools are in a folder of their own.
    paths.retain(|path| path.is_file());
    paths.sort();
    let read = paths.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).expect("it is text");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let recording = Recording::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        (name, recording)
    });
    let mut recordings: Vec<(String, Recording)> = read.collect();
    recordings.sort_by_key(|(_, recording)| !is_documented(recording));
    recordings
}

/// The pairs that are told apart: the profile of a recording, and one that it is impossible under.
fn told_apart() -> BTreeSet<(&'static str, &'static str)> {
    let profiles = Profile::all();
    let mut told = BTreeSet::new();
    for (_, recording) in recordings() {
        let own = recording.profile().unwrap_or_else(|error| panic!("{error}")).name;
        for other in profiles.iter().filter(|other| other.name != own) {
            if told.contains(&(own, other.name)) {
                continue;
            }
            let profile = recording.profile_named(other.name).unwrap_or_else(|error| panic!("{error}"));
            if recording.admit(&profile, STATES_MAX).is_err_and(|refusal| refusal.too_many.is_none()) {
                told.insert((own, other.name));
            }
        }
    }
    told
}

#[test]
fn the_recordings_tell_all_profiles_apart_but_those_that_may_do_all_that_another_does() {
    let told = told_apart();
    let names = Profile::names();
    let others = |own: &str| names.iter().copied().filter(move |other| *other != own).collect::<Vec<_>>();
    let page = std::fs::read_to_string(repository().join("docs/brokers/README.md")).expect("the page is there");
    let mut rows = String::new();
    for own in &names {
        let (from, not): (Vec<&str>, Vec<&str>) = others(own).into_iter().partition(|o| told.contains(&(*own, *o)));
        let included = INCLUDED.iter().find(|(name, _)| name == own).map_or(&[][..], |(_, others)| others);
        assert_eq!(not, included, "what {own} is not told apart from");
        let not: Vec<String> = not.iter().map(|other| format!("`{other}`")).collect();
        rows += &format!("| `{own}` | {} | {} |\n", from.len(), not.join(", "));
    }
    assert!(page.contains(&rows), "docs/brokers/README.md has other rows than\n{rows}");
    let all = names.len() * (names.len() - 1);
    let figure = format!("{} of {all} ordered pairs", told.len());
    assert!(page.contains(&figure), "docs/brokers/README.md does not say: {figure}");
    assert!(told.len() * 100 >= all * 95, "{figure} are fewer than 95 in 100");
    let either = |one: &str, other: &str| told.contains(&(one, other)) || told.contains(&(other, one));
    let apart = names.iter().all(|one| others(one).iter().all(|other| either(one, other)));
    assert!(apart, "of any two profiles one does what the other does not");
}
