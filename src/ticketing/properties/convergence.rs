//! What the services must agree on whenever nothing is under way, and what has to happen in the
//! end.

use super::missing;
use super::orders::{in_words, kept_payments};
use crate::ids::RecordId;
use crate::property::{End, Moment, Property, Violation};
use crate::simulation::Simulation;
use crate::store::{Store, Versioned};
use crate::ticketing::messages::Ticketing;
use crate::ticketing::records::{Lock, Order, OrderReplica, Payment, Reservation, Status, Ticket, TicketReplica};
use crate::ticketing::tickets::lock_of;

/// Judges records one by one, each perhaps twice; of several violations the one of the first record
/// counts.
fn judge_each(
    ids: impl Iterator<Item = RecordId>,
    judge: impl Fn(RecordId) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let (mut last, mut first): (Option<RecordId>, Option<(RecordId, Violation)>) = (None, None);
    ids.for_each(|id| {
        // Where one record changed, most often others did for its sake.
        if last.replace(id) == Some(id) {
            return;
        }
        if let Err(violation) = judge(id)
            && first.as_ref().is_none_or(|(least, _)| id < *least)
        {
            first = Some((id, violation));
        }
    });
    first.map_or(Ok(()), |(_, violation)| Err(violation))
}

/// The tickets that were saved, or whose reservations were where these are kept beside the tickets.
fn tickets_of_unjudged_locks(tickets: &Store) -> impl Iterator<Item = RecordId> {
    tickets.unjudged::<Ticket>().chain(tickets.unjudged::<Reservation>())
}

/// The tickets of the orders that were saved.
fn tickets_of_unjudged(orders: &Store) -> impl Iterator<Item = RecordId> {
    orders.unjudged::<Order>().filter_map(|id| orders.find::<Order>(id).map(|order| order.ticket))
}

/// C1. Whenever nothing is under way, the orders service holds every ticket with the version, title
/// and price the tickets service gave it.
pub(super) struct TicketReplicaConverged;

impl Property<Ticketing> for TicketReplicaConverged {
    fn name(&self) -> &'static str {
        "TicketReplicaConverged"
    }

    fn about(&self) -> &'static str {
        "orders holds every ticket with the version, title and price that tickets gave it"
    }

    fn at_quiescence(&self, moment: &Moment<'_, Ticketing>) -> Result<(), Violation> {
        moment.judge_copies(
            "tickets",
            "orders",
            |ticket: &Versioned<Ticket>, replica: Option<&Versioned<TicketReplica>>| {
                let same = |replica: &&Versioned<TicketReplica>| {
                    (replica.version, &replica.title, replica.price) == (ticket.version, &ticket.title, ticket.price)
                };
                if replica.filter(same).is_some() {
                    return None;
                }
                let found =
                    replica.map_or("nothing".to_owned(), |held| format!("version {} at {}", held.version, held.price));
                Some(format!("expected version {} at {}, found {found}", ticket.version, ticket.price))
            },
        )
    }
}

/// C3. Whenever nothing is under way, a ticket is locked by an order exactly if that order is the
/// live one, and free exactly if none is.
pub(super) struct ReservationAgreement;

impl Property<Ticketing> for ReservationAgreement {
    fn name(&self) -> &'static str {
        "ReservationAgreement"
    }

    fn without_occasion(&self, simulation: &Simulation<Ticketing>) -> Option<String> {
        missing("ReservationAgreement", simulation)
    }

    fn about(&self) -> &'static str {
        "a ticket is locked by an order exactly if that order is the ticket's live one, and free exactly if none is"
    }

    fn at_quiescence(&self, moment: &Moment<'_, Ticketing>) -> Result<(), Violation> {
        let (tickets, orders) = (moment.store_of("tickets"), moment.store_of("orders"));
        judge_each(tickets_of_unjudged_locks(tickets).chain(tickets_of_unjudged(orders)), |id| {
            let Some(ticket) = tickets.find::<Ticket>(id) else { return Ok(()) };
            let mut live = orders.all::<Order>().filter(|(_, order)| order.ticket == id && order.status.is_live());
            let live = live.next().map(|(order, _)| order);
            let lock = lock_of(tickets, id, ticket);
            let agree = match lock {
                Lock::Free => live.is_none(),
                Lock::Taken => live.is_some(),
                Lock::By(order) => live == Some(order),
            };
            if agree {
                return Ok(());
            }
            let live = live.map_or("none".to_owned(), |order| order.to_string());
            let detail = format!("the ticket is locked {}, its live order is {live}", in_words(lock));
            Err(Violation::at("tickets").of(id).because(detail))
        })
    }
}

/// C2. Whenever nothing is under way, the payments service holds every order with the version and
/// status the orders service gave it.
pub(super) struct OrderReplicaConverged;

impl Property<Ticketing> for OrderReplicaConverged {
    fn name(&self) -> &'static str {
        "OrderReplicaConverged"
    }

    fn without_occasion(&self, simulation: &Simulation<Ticketing>) -> Option<String> {
        missing("OrderReplicaConverged", simulation)
    }

    fn about(&self) -> &'static str {
        "payments holds every order with the version and status that orders gave it"
    }

    fn at_quiescence(&self, moment: &Moment<'_, Ticketing>) -> Result<(), Violation> {
        if moment.find_store("payments").is_none() {
            return Ok(());
        }
        moment.judge_copies(
            "orders",
            "payments",
            |order: &Versioned<Order>, replica: Option<&Versioned<OrderReplica>>| {
                if replica.is_some_and(|held| (held.version, held.status) == (order.version, order.status)) {
                    return None;
                }
                let found =
                    replica.map_or("nothing".to_owned(), |held| format!("version {} {:?}", held.version, held.status));
                Some(format!("expected version {} {:?}, found {found}", order.version, order.status))
            },
        )
    }
}

/// C4. Whenever nothing is under way, an order is complete exactly if one payment for it is kept,
/// and none is kept for any other order.
pub(super) struct PaymentAgreement;

impl Property<Ticketing> for PaymentAgreement {
    fn name(&self) -> &'static str {
        "PaymentAgreement"
    }

    fn without_occasion(&self, simulation: &Simulation<Ticketing>) -> Option<String> {
        missing("PaymentAgreement", simulation)
    }

    fn about(&self) -> &'static str {
        "an order is complete exactly if one payment for it is kept, and none is kept for any other order"
    }

    fn at_quiescence(&self, moment: &Moment<'_, Ticketing>) -> Result<(), Violation> {
        let Some(payments) = moment.find_store("payments") else {
            return Ok(());
        };
        let orders = moment.store_of("orders");
        let paid = payments.unjudged::<Payment>().filter_map(|id| payments.find::<Payment>(id));
        judge_each(orders.unjudged::<Order>().chain(paid.map(|payment| payment.order)), |id| {
            let Some(order) = orders.find::<Order>(id) else { return Ok(()) };
            let kept = kept_payments(payments, id);
            if kept == usize::from(order.status == Status::Complete) {
                return Ok(());
            }
            let detail = format!("the order is {:?}, payments kept for it: {kept}", order.status);
            Err(Violation::at("payments").of(id).because(detail))
        })
    }
}

/// C5. Whenever nothing is under way, an order that may be or is paid has the price of the ticket it
/// holds.
pub(super) struct PriceAgreement;

impl Property<Ticketing> for PriceAgreement {
    fn name(&self) -> &'static str {
        "PriceAgreement"
    }

    fn without_occasion(&self, simulation: &Simulation<Ticketing>) -> Option<String> {
        missing("PriceAgreement", simulation)
    }

    fn about(&self) -> &'static str {
        "a live order that holds its ticket has the price of that ticket"
    }

    fn at_quiescence(&self, moment: &Moment<'_, Ticketing>) -> Result<(), Violation> {
        let (tickets, orders) = (moment.store_of("tickets"), moment.store_of("orders"));
        let holder = |id| match lock_of(tickets, id, tickets.find::<Ticket>(id)?) {
            Lock::By(order) => Some(order),
            Lock::Free | Lock::Taken => None,
        };
        let holders = tickets_of_unjudged_locks(tickets).filter_map(holder);
        judge_each(orders.unjudged::<Order>().chain(holders), |id| {
            // Without a saga an order may be paid from the moment it is made.
            let Some(order) = orders.find::<Order>(id).filter(|order| order.status.is_live()) else { return Ok(()) };
            let Some(ticket) = tickets.find::<Ticket>(order.ticket) else { return Ok(()) };
            if holder(order.ticket) != Some(id) || ticket.price == order.price {
                return Ok(());
            }
            let detail = format!("{id} is at {}, its ticket costs {}", order.price, ticket.price);
            Err(Violation::at("orders").of(id).because(detail))
        })
    }
}

/// L3. When every timer has fired, no order waits for its payment any more.
pub(super) struct EventuallyExpires;

impl Property<Ticketing> for EventuallyExpires {
    fn name(&self) -> &'static str {
        "EventuallyExpires"
    }

    fn without_occasion(&self, simulation: &Simulation<Ticketing>) -> Option<String> {
        missing("EventuallyExpires", simulation)
    }

    fn about(&self) -> &'static str {
        "when every timer has fired, no order waits for its payment"
    }

    fn at_end(&self, end: &End<'_, Ticketing>) -> Result<(), Violation> {
        if end.world().service("expiration").is_none() || end.world().timers_armed() > 0 {
            return Ok(());
        }
        for (id, order) in end.store_of("orders").all::<Order>() {
            if !order.status.is_terminal() {
                let detail = format!("the order is {:?} and no timer will end it", order.status);
                return Err(Violation::at("orders").of(id).because(detail));
            }
        }
        Ok(())
    }
}
