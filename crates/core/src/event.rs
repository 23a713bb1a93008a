//! What users bring: the events their services emit and the commands their clients send.
//!
//! pellmell never looks inside them. It asks what they are about, because decisions, departures
//! and reports name a message by its subject, record and version, never by a position in a list.

use std::fmt::Debug;
use std::hash::Hash;

use serde::Serialize;

use crate::ids::{RecordId, Subject, Version};

/// The events and commands of one family of services.
///
/// ```
/// use pellmell::{Command, Event, RecordId, Subject, System, Version};
/// # #[derive(Clone, Debug, Hash, serde::Serialize)] pub struct Changed { item: RecordId, version: Version }
/// # impl Event for Changed {
/// #     fn subject(&self) -> Subject { Subject::new("item:changed") }
/// #     fn record(&self) -> RecordId { self.item }
/// #     fn version(&self) -> Option<Version> { Some(self.version) }
/// # }
/// # #[derive(Clone, Debug, Hash, serde::Serialize)] pub struct Change(RecordId);
/// # impl Command for Change {
/// #     fn service(&self) -> &'static str { "shop" }
/// #     fn record(&self) -> RecordId { self.0 }
/// #     fn label(&self) -> String { format!("change {}", self.0) }
/// # }
/// struct Shop;
///
/// impl System for Shop {
///     type Event = Changed;
///     type Command = Change;
/// }
/// ```
pub trait System: Sized + 'static {
    /// Every event any of the services emits, usually one enum.
    type Event: Event;
    /// Every command any client may send, usually one enum.
    type Command: Command;
}

/// A fact that a service emits.
pub trait Event: Clone + Debug + Hash + Serialize + Send + Sync + 'static {
    /// The feed it is published on.
    fn subject(&self) -> Subject;

    /// The record it is about.
    fn record(&self) -> RecordId;

    /// The version of that record it announces; `None` where the event carries none.
    fn version(&self) -> Option<Version>;
}

/// A client's request to one service.
pub trait Command: Clone + Debug + Hash + Serialize + Send + Sync + 'static {
    /// The name of the service that executes it.
    fn service(&self) -> &str;

    /// The record it is about.
    fn record(&self) -> RecordId;

    /// What a timeline shows for it, such as `create t1 at 5`; its `Debug` form unless said otherwise.
    fn label(&self) -> String {
        format!("{self:?}")
    }

    /// Commands that ask for the same with simpler values, the simplest first: a lower price, no
    /// comment. A counterexample takes the first of them that does as well. None unless said otherwise.
    fn simpler(&self) -> Vec<Self> {
        Vec::new()
    }

    /// The record it brings into being, if it does: of all commands that are sent only one may. None unless
    /// said otherwise.
    fn creates(&self) -> Option<RecordId> {
        None
    }

    /// The records that must be there or be created by some command, so that commands which name another one
    /// are refused before anything runs. None unless said otherwise.
    fn needs(&self) -> Vec<RecordId> {
        Vec::new()
    }

    /// Who is signed in as the sender, where commands carry that. Nobody unless said otherwise.
    fn sender(&self) -> Option<&str> {
        None
    }

    /// The same command, sent by `user`: clients sign in by their names. The command as it is unless said
    /// otherwise.
    #[must_use]
    fn sent_by(self, _user: Option<&str>) -> Self {
        self
    }
}
