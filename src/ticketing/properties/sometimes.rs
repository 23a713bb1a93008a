//! What some run should reach: where none does, the runs say little about the races that begin there.

use crate::event::Event;
use crate::ids::Subject;
use crate::property::{Sometimes, View, Watch};
use crate::scenario::TakingPart;
use crate::service::Rejection;
use crate::ticketing::designs::Design;
use crate::ticketing::messages::{EXPIRATION_COMPLETE, REFUND_REQUESTED, Ticketing};
use crate::ticketing::records::{Lock, Order, Reservation, Status, Ticket};
use crate::ticketing::{orders, tickets};
use crate::world::Answer;

/// Something to reach, and what a scenario must have for that.
struct Goal {
    name: &'static str,
    about: &'static str,
    /// The services that must take part.
    services: &'static [&'static str],
    /// What clients must ask for, as `What::verb` says it.
    asked: &'static [&'static str],
    /// Which designs can get there.
    design: fn(&Design) -> bool,
    /// The steps that may get there; any if there is none.
    watches: Option<Watch>,
    reached: fn(&View<'_, Ticketing>) -> bool,
}

const LOCKS: Option<Watch> = Some(Watch::saves_of::<Ticket>().and(Watch::saves_of::<Reservation>()));
const ORDERS: Option<Watch> = Some(Watch::saves_of::<Order>());
const TWO: &[&str] = &["tickets", "orders"];
const PAID: &[&str] = &["tickets", "orders", "payments"];
const TIMED: &[&str] = &["tickets", "orders", "expiration"];

const GOALS: [Goal; 9] = [
    Goal {
        name: "TicketEdited",
        about: "a ticket that was created is edited",
        services: &["tickets"],
        asked: &["create", "edit"],
        design: |_| true,
        watches: Some(Watch::saves_of::<Ticket>()),
        reached: |view| {
            let edited = matches!(view.step.answer, Some(Answer::Command(Ok(()))));
            edited && view.changes::<Ticket>().any(|change| change.before.is_some())
        },
    },
    Goal {
        name: "TicketReserved",
        about: "a ticket is locked by an order",
        services: TWO,
        asked: &["create", "order"],
        design: listens,
        watches: LOCKS,
        reached: |view| lock_changed(view, |before, after| before == Lock::Free && after != Lock::Free),
    },
    Goal {
        name: "ReservationReleased",
        about: "a ticket that was locked is free again",
        services: TWO,
        asked: &["create", "order", "cancel"],
        design: listens,
        watches: LOCKS,
        reached: |view| lock_changed(view, |before, after| before != Lock::Free && after == Lock::Free),
    },
    Goal {
        name: "ReservedEditRefused",
        about: "an edit of a reserved ticket is refused",
        services: TWO,
        asked: &["create", "edit", "order"],
        design: |design| listens(design) && design.tickets.reject_reserved_edits,
        watches: None,
        reached: |view| is_refused(view, tickets::RESERVED),
    },
    Goal {
        name: "TicketContended",
        about: "an order is refused because another one has the ticket",
        services: TWO,
        asked: &["create", "order"],
        design: |_| true,
        watches: None,
        reached: |view| is_refused(view, orders::RESERVED),
    },
    Goal {
        name: "OrderCancelled",
        about: "a buyer cancels an order",
        services: TWO,
        asked: &["create", "order", "cancel"],
        design: |_| true,
        watches: ORDERS,
        reached: |view| view.delivery().is_none() && became(view, Status::Cancelled),
    },
    Goal {
        name: "OrderExpired",
        about: "an order is cancelled because nobody paid in time",
        services: TIMED,
        asked: &["create", "order"],
        design: |_| true,
        watches: ORDERS,
        reached: |view| delivered(view, EXPIRATION_COMPLETE) && became(view, Status::Cancelled),
    },
    Goal {
        name: "OrderCompleted",
        about: "an order is paid and complete",
        services: PAID,
        asked: &["create", "order", "pay"],
        design: |_| true,
        watches: ORDERS,
        reached: |view| became(view, Status::Complete),
    },
    Goal {
        name: "RefundRequested",
        about: "a payment comes too late and is to be given back",
        services: PAID,
        asked: &["create", "order", "pay", "cancel"],
        design: |design| design.orders.paid.refunds && !design.orders.paid.revives,
        watches: Some(Watch::PUBLISHES),
        reached: |view| view.published().iter().any(|message| message.event.subject() == REFUND_REQUESTED),
    },
];

/// What is to be reached with a design where these services take part and clients ask for this (see
/// [`What::verb`](crate::ticketing::What::verb)).
#[must_use]
pub fn sometimes(design: &Design, part: &TakingPart) -> Vec<Sometimes<Ticketing>> {
    let goals = GOALS
        .into_iter()
        .filter(|goal| part.has_services(goal.services) && part.has_verbs(goal.asked) && (goal.design)(design));
    let sometimes = goals.map(|goal| {
        let reached = Sometimes::new(goal.name, goal.about, goal.reached);
        match goal.watches {
            Some(watches) => reached.watching(watches),
            None => reached,
        }
    });
    sometimes.collect()
}

/// Whether the tickets service learns of orders.
fn listens(design: &Design) -> bool {
    !design.tickets.listens.is_empty()
}

fn delivered(view: &View<'_, Ticketing>, subject: Subject) -> bool {
    view.delivery().is_some_and(|(_, message)| message.name.subject == subject)
}

fn is_refused(view: &View<'_, Ticketing>, why: Rejection) -> bool {
    matches!(view.step.answer, Some(Answer::Command(Err(rejection))) if rejection == why)
}

fn became(view: &View<'_, Ticketing>, status: Status) -> bool {
    view.changes::<Order>().any(|change| {
        let was = change.before.is_some_and(|before| before.status == status);
        !was && change.after.is_some_and(|after| after.status == status)
    })
}

fn lock_changed(view: &View<'_, Ticketing>, judge: fn(Lock, Lock) -> bool) -> bool {
    let mut tickets = view.changes::<Ticket>().filter_map(|change| change.before.zip(change.after));
    let mut reservations = view.changes::<Reservation>().map(|change| {
        let before = change.before.map_or(Lock::Free, |kept| kept.lock);
        (before, change.after.map_or(Lock::Free, |kept| kept.lock))
    });
    tickets.any(|(before, after)| judge(before.lock, after.lock))
        || reservations.any(|(before, after)| judge(before, after))
}
