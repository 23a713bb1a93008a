//! The expiration service: sets a timer for every order and says when its time is over.

use super::coded::{Declared, Declares};
use super::messages::{ORDER_CREATED, Request, Ticketing, TicketingEvent};
use super::records::Job;
use super::rules::ExpirationRules;
use crate::event::Event;
use crate::ids::Subject;
use crate::service::{Context, Outcome, PublishMode, Rejection, Service, Timer, Work};
use crate::store::{Schema, VersionPolicy};

/// The expiration service.
#[derive(Clone, Copy, Debug)]
pub struct Expiration(pub ExpirationRules);

type Ctx<'a> = Context<'a, Ticketing>;

impl Declares for Expiration {
    fn declare(&self, to: &mut impl Declared) {
        to.keeps::<Job>(VersionPolicy::EVERY_SAVE);
    }
}

impl Service<Ticketing> for Expiration {
    fn name(&self) -> &'static str {
        "expiration"
    }

    fn collections(&self, schema: &mut Schema) {
        self.declare(schema);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[ORDER_CREATED] }
    }

    /// L9: an order was made. One that comes late is over at once.
    fn handle(&self, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
        let TicketingEvent::OrderCreated { id, expires_at: due, .. } = *event else {
            unreachable!("{} is not subscribed to", event.subject());
        };
        let held = ctx.store.find::<Job>(id).cloned();
        let saved = match held {
            Some(_) if self.0.one_job => return Outcome::Ack,
            Some(held) => {
                let job = Job { due, made: held.made + 1, ..held.value };
                ctx.store.save_if_current(id, job, held.version).is_ok()
            }
            None => ctx.store.insert(id, Job { due, made: 1, fired: 0 }).is_ok(),
        };
        if !saved {
            return Outcome::Silent("version error");
        }
        if self.0.in_memory {
            ctx.arm_in_memory(id, due)
        } else {
            ctx.arm(id, due)
        }
        Outcome::Ack
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Ctx<'_>) {
        let order = timer.record();
        let Some(held) = ctx.store.find::<Job>(order).cloned() else { return };
        let job = Job { fired: held.fired + 1, ..held.value };
        if ctx.store.save_if_current(order, job, held.version).is_ok() {
            ctx.publish(TicketingEvent::ExpirationComplete { order });
        }
    }

    fn execute(&self, _request: &Request, _ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        unreachable!("nobody sends it commands")
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        self.0.publish.of(work)
    }
}
