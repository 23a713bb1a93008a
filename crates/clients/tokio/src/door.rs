//! What a server has to be that the clients of a service are connected to.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::about::About;
use pellmell_code::serving::Talk;
use pellmell_code::{Answer, Failure};
use pellmell_core::broker::Profile;

/// How much simulated time a service may take to begin to listen, and unless said otherwise to ask for a message that
/// is there.
pub const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// A server for the clients of one instance of a service: their front door into a simulation.
///
/// It decides nothing. It is told what to hand over, says what came of it, and moves bytes without waiting, on the
/// thread on which its clients run; what it hears is in its [`Talk`].
pub trait Door: Send + Sized + 'static {
    /// What a service's clients ask of the broker: how long it waits for an ack, say.
    type Wanted: Clone + Send + 'static;

    /// A server for a service of a test of which this is said, at an address of its own on this machine.
    ///
    /// # Errors
    /// If no address can be had.
    fn open(about: Arc<About>, talk: Talk) -> io::Result<Self>;

    /// Where it is, as its clients are told it.
    ///
    /// # Errors
    /// If its address is gone.
    fn url(&self) -> io::Result<String>;

    /// The same address with nothing of what was heard there.
    #[must_use]
    fn renewed(self) -> Self;

    /// Lets go of all connections, and of what does not outlive them.
    fn cut_off(&mut self);

    /// What it has heard.
    fn talk(&self) -> &Talk;

    /// The same, to be changed.
    fn talk_mut(&mut self) -> &mut Talk;

    // Which broker.

    /// What its clients ask of the broker.
    fn wanted(&self) -> Vec<Self::Wanted>;

    /// The broker of a test that does not say one, as the clients of its services ask for it.
    ///
    /// # Errors
    /// If they ask for several.
    fn profile(wanted: &[Self::Wanted]) -> Result<Profile, String>;

    /// Whether messages can be on a subject.
    ///
    /// # Errors
    /// What is expected instead.
    fn check_subject(_subject: &str) -> Result<(), String> {
        Ok(())
    }

    /// Whether a subject is one that a pattern means.
    fn fits(pattern: &str, subject: &str) -> bool;

    // What moves bytes.

    /// Whether there is a client.
    fn has_connections(&self) -> bool;

    /// Writes what is to be written and begins to find out whether clients have read all of it. Returns whether all
    /// was known to be read before.
    fn ask_whether_read(&mut self) -> bool;

    /// Whether it is not known yet whether clients have read all.
    fn waits(&self) -> bool;

    /// Whether nothing was written since it was asked, and all is read.
    fn is_read(&self) -> bool;

    /// Reads what clients wrote and does it. Returns whether there was anything but that all is read.
    fn turn(&mut self) -> bool;

    /// When it does something by itself next.
    fn next_due(&self) -> Option<Duration>;

    /// Does what it does by itself at this time.
    fn at(&mut self, now: Duration);

    // What is handed over.

    /// Whether a message on a subject can be handed over now.
    ///
    /// # Errors
    /// If more than one would take it.
    fn is_ready_for(&self, subject: &str) -> Result<bool, Failure>;

    /// What the service listens to, in words.
    fn takers_in_words(&self) -> String;

    /// Hands a delivery over.
    ///
    /// # Errors
    /// If nobody takes messages on its subject.
    fn deliver(
        &mut self,
        subject: &str,
        headers: &BTreeMap<String, String>,
        body: &Value,
        attempt: u16,
    ) -> Result<(), Failure>;

    /// Hands a command over.
    ///
    /// # Errors
    /// If nobody answers it.
    fn call(&mut self, name: &str, body: &Value) -> Result<(), Failure>;

    /// Whether a service asks for what was handed over when it starts, and only then.
    fn is_asked_for_at_start(&self) -> bool {
        false
    }

    /// What was handed over, if it is not over.
    fn handed(&self) -> Option<Handed>;

    /// What came of what was handed over where all is at rest; nothing yet if it is not answered.
    fn answer(&self) -> Option<Answer>;

    /// How long it may take to ask for what was handed over.
    fn asks_within(&self) -> Duration {
        BEGINS_WITHIN
    }

    /// What comes of it that a service has not asked in that time for what was handed over; nothing if nothing can be
    /// said of such a service.
    fn never_asked(&self) -> Option<Answer> {
        None
    }

    /// What was handed over is over; if it came to nothing it is as if it had never been.
    fn over(&mut self, to_nothing: bool);
}

/// Something that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// What it is, in words.
    pub what: String,
    /// When it was sent, if it was.
    pub sent: Option<Duration>,
    /// How long the service may take from then.
    pub within: Duration,
}

/// A server that keeps messages in streams, each with a name and the subjects of its messages.
pub trait HasStreams: Door {}
