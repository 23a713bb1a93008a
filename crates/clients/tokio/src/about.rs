//! What messages are about, which subjects are of no interest, and which streams there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use pellmell_code::{Call, Codec, Message, Names, Naming};
use pellmell_processes::Processes;

/// What a test says of subjects: what their messages are about, which are of no interest, and which streams there are.
#[derive(Debug)]
pub struct About {
    names: Names,
    ignored: Vec<String>,
    streams: Vec<(String, Vec<String>)>,
    fits: fn(&str, &str) -> bool,
}

impl About {
    /// What a test says of a subject of which nothing is said.
    pub const SAYS_A_SUBJECT: &'static str = "say what its messages are about with \
        `.about(\"SUBJECT\", Naming::of('x'))`, or that nobody cares with `.ignoring(\"SUBJECT\")`";

    /// Nothing yet, with what tells whether a pattern means a subject.
    pub(crate) fn new(fits: fn(&str, &str) -> bool) -> About {
        About { names: Names::new(), ignored: Vec::new(), streams: Vec::new(), fits }
    }

    pub(crate) fn name(&mut self, subjects: &str, naming: Naming) {
        // Where the last token is any, all that begins so is meant.
        let pattern = match subjects.strip_suffix(".>").or(subjects.strip_suffix(".*")) {
            Some(beginning) => format!("{beginning}.*"),
            None => subjects.replace('>', "*"),
        };
        self.names = std::mem::take(&mut self.names).on(pattern, naming);
    }

    pub(crate) fn ignore(&mut self, subjects: &str) {
        self.ignored.push(subjects.to_owned());
    }

    pub(crate) fn stream(&mut self, name: String, subjects: Vec<String>) {
        self.streams.push((name, subjects));
    }

    /// The streams that are there before any service starts, with their subjects.
    pub fn streams(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.streams.iter().map(|(name, subjects)| (name.as_str(), subjects.as_slice()))
    }

    /// Whether is said what messages on a subject are about.
    #[must_use]
    pub fn is_known(&self, subject: &str) -> bool {
        self.names.check(subject).is_ok()
    }

    /// Whether messages on a subject are of no interest.
    #[must_use]
    pub fn is_ignored(&self, subject: &str) -> bool {
        self.ignored.iter().any(|pattern| (self.fits)(pattern, subject))
    }

    /// The message that is published so.
    pub(crate) fn message(&self, subject: &str, body: Value) -> Result<Message, String> {
        Codec::<Processes>::event(&self.names, subject, BTreeMap::new(), body)
    }
}

/// The same for all services of a test.
pub(crate) struct Shared(pub(crate) Arc<About>);

impl Codec<Processes> for Shared {
    fn body(&self, event: &Message) -> Value {
        Codec::<Processes>::body(&self.0.names, event)
    }

    fn headers(&self, event: &Message) -> BTreeMap<String, String> {
        Codec::<Processes>::headers(&self.0.names, event)
    }

    fn event(&self, subject: &str, headers: BTreeMap<String, String>, body: Value) -> Result<Message, String> {
        Codec::<Processes>::event(&self.0.names, subject, headers, body)
    }

    fn call(&self, command: &Call) -> (String, Value) {
        Codec::<Processes>::call(&self.0.names, command)
    }
}
