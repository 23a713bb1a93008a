//! C6: what comes of a run depends on what was accepted and not on the schedule.
//!
//! It compares runs, so it is no [`Property`](crate::Property) of one. Versions are left out: even
//! where everything is right, a ticket whose order was cancelled before tickets heard of it is never
//! locked and has fewer of them. So is the price of an order, which is what orders happened to know
//! when it was made.

use std::collections::BTreeMap;

use crate::hash;
use crate::ids::RecordId;
use crate::property::View;
use crate::run::Observer;
use crate::scenario::Comparison;
use crate::store::{Store, Versioned};
use crate::ticketing::messages::{Ticketing, TicketingEvent};
use crate::ticketing::records::{Lock, Order, Payment, Status, Text, Ticket, TicketReplica};
use crate::ticketing::tickets::lock_of;
use crate::world::{Answer, Step, World};

/// Notes what the services of a run accept: commands, in the order in which each service accepted
/// them, and orders that expired.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    by_service: BTreeMap<&'static str, u64>,
}

impl Observer<Ticketing> for Accepted {
    fn after(&mut self, world: &World<Ticketing>, step: &Step) {
        let view = View::new(world, step);
        let what = match step.answer {
            Some(Answer::Command(Ok(()))) => step.key(),
            Some(Answer::Delivery(_)) => match view.delivery() {
                Some((_, message)) if matches!(message.event, TicketingEvent::ExpirationComplete { .. }) => {
                    let Some(change) = view.changes::<Order>().next() else { return };
                    hash::mix(hash::of(&change.id), 1)
                }
                _ => return,
            },
            _ => return,
        };
        let so_far = self.by_service.entry(view.service()).or_default();
        *so_far = hash::mix(*so_far, what);
    }
}

/// What a run came to, without versions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    tickets: Vec<(RecordId, Text, u32, Lock)>,
    replicas: Vec<(RecordId, Text, u32)>,
    orders: Vec<(RecordId, Text, RecordId, Status)>,
    payments: Vec<(RecordId, RecordId, bool)>,
}

impl Fields {
    fn of(world: &World<Ticketing>) -> Fields {
        let (tickets, orders) = (world.store_of("tickets"), world.store_of("orders"));
        let of_ticket = |(id, ticket): (RecordId, &Versioned<Ticket>)| {
            (id, ticket.title.clone(), ticket.price, lock_of(tickets, id, ticket))
        };
        let payments = world.service("payments").map(|service| world.store(service));
        Fields {
            tickets: tickets.all::<Ticket>().map(of_ticket).collect(),
            replicas: orders.all::<TicketReplica>().map(|(id, held)| (id, held.title.clone(), held.price)).collect(),
            orders: orders
                .all::<Order>()
                .map(|(id, order)| (id, order.user.clone(), order.ticket, order.status))
                .collect(),
            payments: payments.map(payments_of).unwrap_or_default(),
        }
    }
}

fn payments_of(store: &Store) -> Vec<(RecordId, RecordId, bool)> {
    store.all::<Payment>().map(|(id, payment)| (id, payment.order, payment.refunded)).collect()
}

/// Compares runs of one simulation.
#[derive(Clone, Debug, Default)]
pub struct ScheduleIndependence {
    seen: BTreeMap<BTreeMap<&'static str, u64>, (u64, Fields)>,
}

impl ScheduleIndependence {
    /// Its name in reports.
    pub const NAME: &'static str = "ScheduleIndependence";

    /// Adds a run that ended, under the number it is known by.
    ///
    /// # Errors
    /// Which earlier run accepted the same and came to something else, and what.
    pub fn add(&mut self, number: u64, accepted: Accepted, world: &World<Ticketing>) -> Result<(), String> {
        let fields = Fields::of(world);
        match self.seen.get(&accepted.by_service) {
            None => {
                self.seen.insert(accepted.by_service, (number, fields));
                Ok(())
            }
            Some((_, before)) if *before == fields => Ok(()),
            Some((first, before)) => {
                Err(format!("runs {first} and {number} accepted the same and came to {before:?} and {fields:?}"))
            }
        }
    }

    /// How many runs with different accepted commands were added.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.seen.len()
    }
}

/// The same for a zoo: each run is noted from its first step.
#[derive(Clone, Debug, Default)]
pub struct Independence {
    accepted: Accepted,
    runs: ScheduleIndependence,
}

impl Comparison<Ticketing> for Independence {
    fn begin(&mut self) {
        self.accepted = Accepted::default();
    }

    fn step(&mut self, world: &World<Ticketing>, step: &Step) {
        self.accepted.after(world, step);
    }

    fn end(&mut self, number: u64, world: &World<Ticketing>) -> Result<(), String> {
        let same = self.runs.add(number, std::mem::take(&mut self.accepted), world);
        same.map_err(|difference| format!("{}: {difference}", ScheduleIndependence::NAME))
    }
}
