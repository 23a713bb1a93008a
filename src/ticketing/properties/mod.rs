//! What must be true of the ticketing services, in the numbering of docs/properties.md.
//!
//! Each property says in its first sentence what it claims. Where several are broken by one step
//! the first in [`all`] is reported, so those that name a fault precisely come before those that
//! only notice its consequences.

mod convergence;
mod independence;
mod orders;
mod owners;
mod replicas;
mod sometimes;

pub use independence::{Accepted, Independence, ScheduleIndependence};
pub use sometimes::sometimes;

use super::designs::Design;
use super::messages::Ticketing;
use super::records::{Order, Payment, Reservation, Ticket};
use crate::ids::RecordId;
use crate::property::{BoundedRedelivery, NoPoison, NoUnboundedGrowth, Property, Together, View, Violation, Watch};
use crate::run::Judges;
use crate::simulation::Simulation;

/// All properties, the most telling first.
#[must_use]
pub fn all() -> Vec<Box<dyn Property<Ticketing>>> {
    vec![
        Box::new(replicas::REPLICA_IDENTITY),
        Box::new(replicas::REPLICA_NEVER_AHEAD),
        Box::new(replicas::MONOTONE_REPLICA),
        Box::new(replicas::PREFIX_CONSISTENCY),
        Box::new(owners::NO_LOST_UPDATE),
        Box::new(owners::SINGLE_VERSION_AUTHORITY),
        Box::new(orders::NO_LOCK_OVERWRITE),
        Box::new(orders::NO_FOREIGN_RELEASE),
        Box::new(orders::NO_EDIT_WHILE_LOCKED),
        Box::new(orders::AT_MOST_ONE_LIVE_ORDER),
        Box::new(orders::AT_MOST_ONE_PAYMENT),
        Box::new(orders::RESERVED_BEFORE_PAID),
        Box::new(orders::TERMINAL_STATUS),
        Box::new(owners::PUBLISHED_VERSIONS_CONTIGUOUS),
        Box::new(owners::EFFECTIVELY_ONCE),
        Box::new(replicas::ACK_ONLY_AFTER_APPLY),
        Box::new(owners::PUBLISHED_ONCE),
        Box::new(NoPoison),
        Box::new(BoundedRedelivery),
        Box::new(NoUnboundedGrowth { messages_max: 1_000 }),
        Box::new(convergence::EventuallyExpires),
        Box::new(convergence::TicketReplicaConverged),
        Box::new(convergence::OrderReplicaConverged),
        Box::new(convergence::ReservationAgreement),
        Box::new(convergence::PaymentAgreement),
        Box::new(convergence::PriceAgreement),
    ]
}

/// What only a design with a reservation saga promises.
const OF_THE_SAGA: [&str; 2] = ["ReservedBeforePaid", "PriceAgreement"];

/// The properties a design promises: what it is judged by unless somebody asks for others.
#[must_use]
pub fn promised_by(design: &Design) -> Vec<Box<dyn Property<Ticketing>>> {
    let mut promised = all();
    promised.retain(|property| design.orders.saga || !OF_THE_SAGA.contains(&property.name()));
    promised
}

/// Of each property that needs more than tickets and orders, or commands of certain kinds, the services
/// that must take part and what clients must ask for, as [`What::verb`](super::What::verb) says it.
const NEEDS: [(&str, &[&str], &[&str]); 12] = [
    ("NoLockOverwrite", &[], &["order"]),
    ("NoForeignRelease", &[], &["order"]),
    ("NoEditWhileLocked", &[], &["order", "edit"]),
    ("AtMostOneLiveOrder", &[], &["order"]),
    ("TerminalStatus", &[], &["order"]),
    ("ReservationAgreement", &[], &["order"]),
    ("PriceAgreement", &[], &["order"]),
    ("AtMostOnePayment", &["payments"], &["pay"]),
    ("ReservedBeforePaid", &["payments"], &["pay"]),
    ("PaymentAgreement", &["payments"], &["pay"]),
    ("OrderReplicaConverged", &["payments"], &["order"]),
    ("EventuallyExpires", &["expiration"], &["order"]),
];

/// What a property needs that the simulation does not have.
fn missing(property: &str, simulation: &Simulation<Ticketing>) -> Option<String> {
    let (_, services, asked) = NEEDS.iter().find(|(name, ..)| *name == property)?;
    let is_there = |name: &str| simulation.service_names().any(|known| known == name);
    let is_asked = |verb: &str| simulation.each_command().any(|request| request.what.verb() == verb);
    let absent = services.iter().find(|name| !is_there(name)).map(|name| format!("`{name}` does not take part"));
    absent.or_else(|| {
        let verb = asked.iter().find(|verb| !is_asked(verb))?;
        Some(format!("no client sends a command `{verb} ...`"))
    })
}

/// The names of all properties.
#[must_use]
pub fn names() -> Vec<&'static str> {
    Judges::new(all()).names().collect()
}

/// A property that judges single steps.
struct StepProperty {
    name: &'static str,
    about: &'static str,
    watches: Watch,
    judge: fn(&View<'_, Ticketing>) -> Result<(), Violation>,
}

impl Property<Ticketing> for StepProperty {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn watches(&self) -> Watch {
        self.watches
    }

    fn together(&self) -> Option<&'static Together<Ticketing>> {
        (!OF_THE_SAGA.contains(&self.name)).then_some(&TOGETHER)
    }

    fn without_occasion(&self, simulation: &Simulation<Ticketing>) -> Option<String> {
        missing(self.name, simulation)
    }

    fn on_step(&self, view: &View<'_, Ticketing>) -> Result<(), Violation> {
        (self.judge)(view)
    }
}

/// Judges steps by all step properties that every design promises.
static TOGETHER: Together<Ticketing> = Together(|view, kinds| all_hold(view, kinds).is_ok());

/// Looks at what a step did once and asks what each property asks.
fn all_hold(view: &View<'_, Ticketing>, kinds: Watch) -> Result<(), Violation> {
    replicas::all(view, kinds)?;
    for change in view.changes::<Ticket>() {
        owners::all_of_owned(view, &change)?;
        orders::all_of_ticket(view, &change)?;
    }
    view.changes::<Reservation>().try_for_each(|change| orders::all_of_reservation(view, &change))?;
    for change in view.changes::<Order>() {
        owners::all_of_owned(view, &change)?;
        orders::all_of_order(view, &change)?;
    }
    view.changes::<Payment>().try_for_each(|change| orders::is_the_only_one(view, &change))?;
    owners::all(view, kinds)
}

fn blame(view: &View<'_, Ticketing>, record: RecordId, detail: impl Into<String>) -> Violation {
    let violation = Violation::at(view.service()).of(record).because(detail);
    match view.delivery() {
        Some((_, message)) => violation.on(message.name),
        None => violation,
    }
}
