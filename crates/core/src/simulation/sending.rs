//! How clients send their commands.

use std::fmt;
use std::ops::Deref;

use crate::ids::{RecordId, ServiceIndex};

/// A command and how its client sends it. Reads through to the command.
///
/// Any command is one that is sent at once and once; [`SimulationBuilder::client`] takes both.
///
/// ```
/// # use pellmell::doc_example::{Change, Item, Shop};
/// use pellmell::simulation::Sending;
/// use pellmell::testing::service;
/// use pellmell::{Profile, RecordId, Simulation, VersionPolicy};
///
/// let i1 = RecordId::new('i', 1);
/// let open = Sending::of(Change { item: i1, price: 5 }).setup();
/// let later = Sending::of(Change { item: i1, price: 6 }).waits_for(i1, "shop").until_accepted();
/// let simulation = Simulation::<Shop>::on(Profile::stan())
///     .service(service("shop").owns::<Item>(VersionPolicy::EVERY_SAVE))
///     .client("seller", vec![open])
///     .client("other", vec![later])
///     .build()
///     .unwrap();
/// assert_eq!(simulation.world().waiting_clients()[0].to_string(), "other: change i1 to 6 waits for i1 at shop");
/// ```
///
/// [`SimulationBuilder::client`]: crate::simulation::SimulationBuilder::client
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending<C> {
    /// The command.
    pub command: C,
    /// The records that must be found before it is sent; none: it does not wait.
    pub waits_for: Vec<Awaited>,
    /// Whether it is sent again after a refusal and after a crash that kept the answer from the client.
    pub until_accepted: bool,
    /// Whether shrinking always keeps it and no fault falls on it.
    pub setup: bool,
}

impl<C> Sending<C> {
    /// A command that is sent as soon as the one before it has returned, and once.
    #[must_use]
    pub const fn of(command: C) -> Sending<C> {
        Sending { command, waits_for: Vec::new(), until_accepted: false, setup: false }
    }

    /// The client waits until the store of a service has a record of this id, whatever its version.
    /// Of several records it waits for all. It may also be sent much later than then; and if a record
    /// never comes, the run ends without it (see [`World::waiting_clients`](crate::World::waiting_clients)).
    #[must_use]
    pub fn waits_for(mut self, record: RecordId, service: impl Into<String>) -> Sending<C> {
        self.waits_for.push(Awaited { record, service: service.into() });
        self
    }

    /// The client tries again until the command is accepted.
    ///
    /// What was refused would be refused again as long as its service's store has not changed, so it is
    /// not sent again before that; a service that looked at the time ([`Context::now`]) is asked again
    /// also when the time has changed. After a crash that kept the answer from the client, it is sent again
    /// at once, whatever the crash has left behind. An attempt that is refused takes no time. The second
    /// attempt is called as the first with ` #2` behind its label, and may be executed by another member.
    ///
    /// [`Context::now`]: crate::Context::now
    #[must_use]
    pub fn until_accepted(mut self) -> Sending<C> {
        self.until_accepted = true;
        self
    }

    /// The command sets the stage: shrinking always keeps it as it is, no member crashes while it
    /// executes it, and its handler does not pause. In what order it comes with other things is up to the
    /// scheduler all the same.
    #[must_use]
    pub fn setup(mut self) -> Sending<C> {
        self.setup = true;
        self
    }
}

impl<C> From<C> for Sending<C> {
    fn from(command: C) -> Sending<C> {
        Sending::of(command)
    }
}

impl<C> Deref for Sending<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.command
    }
}

/// A record at a service, for which a client waits; written `t1 at orders`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Awaited {
    /// The record.
    pub record: RecordId,
    /// The service in whose store it must be found.
    pub service: String,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.record, self.service)
    }
}

/// How a command is sent, if not at once, once and like any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) waits_for: Vec<(RecordId, ServiceIndex)>,
    pub(crate) until_accepted: bool,
    pub(crate) is_setup: bool,
    /// Whether its client waits until it would be accepted, as long as anything else may happen.
    pub(crate) is_held_back: bool,
}
