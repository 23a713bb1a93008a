//! What locks, orders and payments may do.

use super::{StepProperty, blame};
use crate::ids::RecordId;
use crate::property::{View, Violation, Watch};
use crate::store::{Change, Store, Versioned};
use crate::ticketing::messages::{Ticketing, TicketingEvent};
use crate::ticketing::records::{Lock, Order, Payment, Reservation, Text, Ticket};
use crate::ticketing::tickets::lock_of;
use crate::world::Answer;

/// Saves of locks, which are kept in the tickets or beside them.
const LOCKS: Watch = Watch::saves_of::<Ticket>().and(Watch::saves_of::<Reservation>());

/// Judges the save of a ticket by all properties of this page.
pub(super) fn all_of_ticket(view: &View<'_, Ticketing>, change: &Change<'_, Ticket>) -> Result<(), Violation> {
    lock_in(view, change, all_of_lock)?;
    is_free_when_edited(view, change)
}

/// The same of a reservation.
pub(super) fn all_of_reservation(
    view: &View<'_, Ticketing>,
    change: &Change<'_, Reservation>,
) -> Result<(), Violation> {
    lock_beside(view, change, all_of_lock)
}

/// The same of an order.
pub(super) fn all_of_order(view: &View<'_, Ticketing>, change: &Change<'_, Order>) -> Result<(), Violation> {
    is_the_only_live_one(view, change)?;
    stays_as_it_ended(view, change)
}

fn all_of_lock(cause: Option<&TicketingEvent>, before: Lock, after: Lock) -> Result<(), String> {
    is_not_passed_on(before, after)?;
    is_its_orders_own(cause, before, after)
}

/// P9. A ticket is edited only while no order has it, in the tickets service's own eyes.
pub(super) const NO_EDIT_WHILE_LOCKED: StepProperty = StepProperty {
    name: "NoEditWhileLocked",
    about: "a ticket is edited only while it is free in the tickets service's own eyes",
    watches: Watch::saves_of::<Ticket>(),
    judge: |view| view.changes::<Ticket>().try_for_each(|change| is_free_when_edited(view, &change)),
};

fn is_free_when_edited(view: &View<'_, Ticketing>, change: &Change<'_, Ticket>) -> Result<(), Violation> {
    let Some(before) = change.before else { return Ok(()) };
    // A client's command is an edit even if it says what was there; of a listener it is one that says more.
    let is_command = matches!(view.step.answer, Some(Answer::Command(Ok(()))));
    if !is_command && said(change.before) == said(change.after) {
        return Ok(());
    }
    match lock_of(view.store_of("tickets"), change.id, before) {
        Lock::Free => Ok(()),
        lock => Err(blame(view, change.id, format!("edited while locked {}", in_words(lock)))),
    }
}

/// What a client can say of a ticket.
fn said(ticket: Option<&Versioned<Ticket>>) -> Option<(&Text, u32)> {
    ticket.map(|ticket| (&ticket.title, ticket.price))
}

/// P10, first half. A lock never passes from one order to another directly.
pub(super) const NO_LOCK_OVERWRITE: StepProperty = StepProperty {
    name: "NoLockOverwrite",
    about: "a lock never passes from one order to another directly",
    watches: LOCKS,
    judge: |view| each_lock(view, |_, before, after| is_not_passed_on(before, after)),
};

fn is_not_passed_on(before: Lock, after: Lock) -> Result<(), String> {
    match (before, after) {
        (Lock::By(before), Lock::By(after)) if before != after => {
            Err(format!("the lock passed from {before} to {after}"))
        }
        _ => Ok(()),
    }
}

/// P10, second half. An order's lock is taken by its own `order:created` and released by its own
/// `order:cancelled`, and by nothing else.
pub(super) const NO_FOREIGN_RELEASE: StepProperty = StepProperty {
    name: "NoForeignRelease",
    about: "a lock is taken by its own order's `order:created` and released by its own `order:cancelled` only",
    watches: LOCKS,
    judge: |view| each_lock(view, is_its_orders_own),
};

fn is_its_orders_own(cause: Option<&TicketingEvent>, before: Lock, after: Lock) -> Result<(), String> {
    match (before, after, cause) {
        (Lock::By(order), Lock::Free, Some(TicketingEvent::OrderCancelled { id, .. })) if *id == order => Ok(()),
        (Lock::Free, Lock::By(order), Some(TicketingEvent::OrderCreated { id, .. })) if *id == order => Ok(()),
        (Lock::By(order), Lock::Free, _) => Err(format!("the lock of {order} was released by another cause")),
        (Lock::Free, Lock::By(order), _) => Err(format!("the lock of {order} was taken by another cause")),
        _ => Ok(()),
    }
}

/// Judges every lock that became another one.
fn each_lock(
    view: &View<'_, Ticketing>,
    judge: impl Fn(Option<&TicketingEvent>, Lock, Lock) -> Result<(), String>,
) -> Result<(), Violation> {
    view.changes::<Ticket>().try_for_each(|change| lock_in(view, &change, &judge))?;
    view.changes::<Reservation>().try_for_each(|change| lock_beside(view, &change, &judge))
}

/// Judges the lock of a ticket, if that became another one.
fn lock_in(
    view: &View<'_, Ticketing>,
    change: &Change<'_, Ticket>,
    judge: impl Fn(Option<&TicketingEvent>, Lock, Lock) -> Result<(), String>,
) -> Result<(), Violation> {
    match (change.before, change.after) {
        (Some(before), Some(after)) => lock(view, change.id, before.lock, after.lock, judge),
        _ => Ok(()),
    }
}

/// The same where it is kept beside the ticket.
fn lock_beside(
    view: &View<'_, Ticketing>,
    change: &Change<'_, Reservation>,
    judge: impl Fn(Option<&TicketingEvent>, Lock, Lock) -> Result<(), String>,
) -> Result<(), Violation> {
    let before = change.before.map_or(Lock::Free, |before| before.lock);
    let after = change.after.map_or(Lock::Free, |after| after.lock);
    lock(view, change.id, before, after, judge)
}

fn lock(
    view: &View<'_, Ticketing>,
    ticket: RecordId,
    before: Lock,
    after: Lock,
    judge: impl Fn(Option<&TicketingEvent>, Lock, Lock) -> Result<(), String>,
) -> Result<(), Violation> {
    if before == after {
        return Ok(());
    }
    let cause = view.delivery().map(|(_, message)| &message.event);
    judge(cause, before, after).map_err(|detail| blame(view, ticket, detail))
}

pub(super) fn in_words(lock: Lock) -> String {
    match lock {
        Lock::Free => "by nobody".to_owned(),
        Lock::Taken => "by somebody".to_owned(),
        Lock::By(order) => format!("by {order}"),
    }
}

/// P11. A ticket has at most one live order.
pub(super) const AT_MOST_ONE_LIVE_ORDER: StepProperty = StepProperty {
    name: "AtMostOneLiveOrder",
    about: "a ticket has at most one live order",
    watches: Watch::saves_of::<Order>(),
    judge: |view| view.changes::<Order>().try_for_each(|change| is_the_only_live_one(view, &change)),
};

fn is_the_only_live_one(view: &View<'_, Ticketing>, change: &Change<'_, Order>) -> Result<(), Violation> {
    let Some(after) = change.after.filter(|after| after.status.is_live()) else { return Ok(()) };
    let store = view.store_of("orders");
    let mut live = store.all::<Order>().filter(|(_, order)| order.ticket == after.ticket && order.status.is_live());
    match live.find(|(id, _)| *id != change.id) {
        Some((other, _)) => {
            let detail = format!("{} has two live orders, {other} and {}", after.ticket, change.id);
            Err(blame(view, change.id, detail))
        }
        None => Ok(()),
    }
}

/// P12. A cancelled or complete order stays so.
pub(super) const TERMINAL_STATUS: StepProperty = StepProperty {
    name: "TerminalStatus",
    about: "an order that is cancelled or complete stays so",
    watches: Watch::saves_of::<Order>(),
    judge: |view| view.changes::<Order>().try_for_each(|change| stays_as_it_ended(view, &change)),
};

fn stays_as_it_ended(view: &View<'_, Ticketing>, change: &Change<'_, Order>) -> Result<(), Violation> {
    match (change.before, change.after) {
        (Some(before), Some(after)) if before.status.is_terminal() && before.status != after.status => {
            let detail = format!("{:?} became {:?}", before.status, after.status);
            Err(blame(view, change.id, detail))
        }
        _ => Ok(()),
    }
}

/// P13. An order has at most one payment that was not given back.
pub(super) const AT_MOST_ONE_PAYMENT: StepProperty = StepProperty {
    name: "AtMostOnePayment",
    about: "an order has at most one payment that was not given back",
    watches: Watch::saves_of::<Payment>(),
    judge: |view| view.changes::<Payment>().try_for_each(|change| is_the_only_one(view, &change)),
};

pub(super) fn is_the_only_one(view: &View<'_, Ticketing>, change: &Change<'_, Payment>) -> Result<(), Violation> {
    let Some(after) = change.after else { return Ok(()) };
    match kept_payments(view.store_of("payments"), after.order) {
        0 | 1 => Ok(()),
        kept => Err(blame(view, change.id, format!("{} was charged {kept} times", after.order))),
    }
}

/// How many payments of an order were not given back.
pub(super) fn kept_payments(payments: &Store, order: RecordId) -> usize {
    payments.all::<Payment>().filter(|(_, payment)| payment.order == order && !payment.refunded).count()
}

/// G8. An order is paid only after its ticket was reserved for it.
pub(super) const RESERVED_BEFORE_PAID: StepProperty = StepProperty {
    name: "ReservedBeforePaid",
    about: "an order is paid only after its ticket was reserved for it",
    watches: Watch::saves_of::<Payment>(),
    judge: |view| view.changes::<Payment>().try_for_each(|change| is_for_what_was_reserved(view, &change)),
};

fn is_for_what_was_reserved(view: &View<'_, Ticketing>, change: &Change<'_, Payment>) -> Result<(), Violation> {
    let Some(after) = change.after.filter(|_| change.before.is_none()) else { return Ok(()) };
    let Some(order) = view.store_of("orders").find::<Order>(after.order) else { return Ok(()) };
    let history = view.store_of("tickets").history::<Ticket>(order.ticket);
    if history.iter().any(|ticket| ticket.lock == Lock::By(after.order)) {
        return Ok(());
    }
    let detail = format!("{} was paid and {} was never reserved for it", after.order, order.ticket);
    Err(blame(view, change.id, detail))
}
