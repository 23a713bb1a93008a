//! Ticketing services that are processes, each in the place of the one in Rust.

use serde::de::DeserializeOwned;

use super::designs::Design;
use super::messages::Ticketing;
use crate::scenario::Coded;
use crate::service::Service;
use crate::store::{Record, Schema, VersionPolicy};

/// What a service owns and keeps, said once for rules and for processes.
pub(super) trait Declares {
    /// Declares it; of two collections with one kind, a process means the first.
    fn declare(&self, to: &mut impl Declared);
}

/// Whom a service tells what it owns and keeps.
pub(super) trait Declared {
    /// Records that this service alone changes.
    fn owns<R: Record + DeserializeOwned>(&mut self, policy: VersionPolicy);

    /// Replicas, or private notes.
    fn keeps<R: Record + DeserializeOwned>(&mut self, policy: VersionPolicy);
}

impl Declared for Schema {
    fn owns<R: Record + DeserializeOwned>(&mut self, policy: VersionPolicy) {
        Schema::owns::<R>(self, policy);
    }

    fn keeps<R: Record + DeserializeOwned>(&mut self, policy: VersionPolicy) {
        Schema::keeps::<R>(self, policy);
    }
}

/// A service of a design that is a process: it listens to what the one in Rust listens to, owns and keeps the same
/// records, and publishes and acks as that one does, unless the file says how it publishes. It is told the name of the
/// design in `PELLMELL_DESIGN`.
#[cfg(unix)]
pub(super) fn service(design: &Design, name: &str, coded: &Coded) -> Result<Box<dyn Service<Ticketing>>, String> {
    use super::{Expiration, Orders, Payments, Tickets};
    match name {
        "tickets" => process(&Tickets(design.tickets), design, coded),
        "orders" => process(&Orders(design.orders), design, coded),
        "expiration" => process(&Expiration(design.expiration), design, coded),
        "payments" => process(&Payments(design.payments), design, coded),
        _ => Err(format!("there is no service `{name}`")),
    }
}

#[cfg(unix)]
fn process(
    rules: &(impl Service<Ticketing> + Declares),
    design: &Design,
    coded: &Coded,
) -> Result<Box<dyn Service<Ticketing>>, String> {
    let said =
        [("listens", !coded.listens.is_empty()), ("owns", !coded.owns.is_empty()), ("keeps", !coded.keeps.is_empty())];
    if let Some((key, _)) = said.iter().find(|(_, is_said)| *is_said) {
        return Err(format!("`{key}` is known of `{}` from its design: leave it out", rules.name()));
    }
    let environment = [("PELLMELL_DESIGN", design.name)];
    let started = pellmell_processes::started(rules.name(), coded, !rules.subjects().is_empty(), &environment)?;
    let service = pellmell_code::CodeService::of(rules.name(), started, super::wire::Wire).like(rules);
    let service = coded.publishing.into_iter().fold(service, pellmell_code::CodeService::publishing);
    let mut replaced = Replaced(Some(service));
    rules.declare(&mut replaced);
    Ok(replaced.0.map(Box::new).ok_or("a service that is a process was lost")?)
}

/// A process to which collections are added.
#[cfg(unix)]
struct Replaced(Option<pellmell_code::CodeService<Ticketing>>);

#[cfg(unix)]
impl Declared for Replaced {
    fn owns<R: Record + DeserializeOwned>(&mut self, policy: VersionPolicy) {
        self.0 = self.0.take().map(|service| service.collection::<R>(policy, true));
    }

    fn keeps<R: Record + DeserializeOwned>(&mut self, policy: VersionPolicy) {
        self.0 = self.0.take().map(|service| service.collection::<R>(policy, false));
    }
}

#[cfg(not(unix))]
pub(super) fn service(_: &Design, name: &str, _: &Coded) -> Result<Box<dyn Service<Ticketing>>, String> {
    Err(format!("`{name}` cannot be a process here: that is for Unix"))
}
