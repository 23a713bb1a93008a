//! Tickets that are there before a run begins.

use serde::{Deserialize, Serialize};

use super::designs::Design;
use super::messages::{Ticketing, is_usual_title, ticket, usual_title};
use super::records::{Lock, Text, Ticket, TicketReplica};
use super::replicas::Announced;
use crate::ids::{RecordId, Time};
use crate::scenario::Stored;
use crate::simulation::SimulationBuilder;

/// A ticket that is for sale from the start: nobody creates it, and no event says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredTicket {
    /// Its id.
    #[serde(deserialize_with = "ticket")]
    pub ticket: RecordId,
    /// What it is for.
    #[serde(default = "usual_title", skip_serializing_if = "is_usual_title")]
    pub title: Text,
    /// What it costs.
    pub price: u32,
    /// Who sells it.
    pub seller: Text,
    /// Whether orders knows it, too.
    #[serde(default = "is_there", skip_serializing_if = "Clone::clone")]
    pub replica: bool,
}

fn is_there() -> bool {
    true
}

impl Stored<Ticketing> for StoredTicket {
    fn record(&self) -> RecordId {
        self.ticket
    }

    fn seed(&self, design: &Design, on: SimulationBuilder<Ticketing>) -> SimulationBuilder<Ticketing> {
        design.with_stored(on, self)
    }
}

impl Design {
    /// Lets the services, with this design's rules, begin with a ticket.
    #[must_use]
    pub fn with_stored(&self, on: SimulationBuilder<Ticketing>, stored: &StoredTicket) -> SimulationBuilder<Ticketing> {
        let StoredTicket { ticket: id, title, price, seller, replica } = stored.clone();
        let version = self.tickets.versions.scheme.next(id, None, Time(0));
        let owned = Ticket { title: title.clone(), price, user: seller, lock: Lock::Free };
        // Of two with one id the first counts.
        let builder = on.seeded("tickets", move |store| {
            let _version = store.insert(id, owned.clone());
        });
        if !replica {
            return builder;
        }
        let (rules, copy) = (self.orders.tickets, TicketReplica { title, price });
        builder.seeded("orders", move |store| {
            let _answer = rules.take_first(store, Announced { id, version, previous: None }, copy.clone());
        })
    }
}
