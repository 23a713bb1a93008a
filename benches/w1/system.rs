//! The reference workload W1 as a user would write it: an owner of 8 tickets, a replica, one event.

use pellmell::{
    Command, Context, Event, Moment, Outcome, Property, Record, RecordId, Rejection, Schema, Service, Store, Subject,
    System, Version, VersionPolicy, View, Violation, Watch,
};
use serde::Serialize;

pub(crate) struct W1;

impl System for W1 {
    type Event = Priced;
    type Command = SetPrice;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Ticket {
    pub(crate) price: u32,
}

impl Record for Ticket {
    const COLLECTION: &'static str = "tickets";
    const KIND: char = 't';
}

const CREATED: Subject = Subject::new("ticket:created");
const UPDATED: Subject = Subject::new("ticket:updated");

#[derive(Clone, Debug, Hash, Serialize)]
pub(crate) struct Priced {
    pub(crate) ticket: RecordId,
    pub(crate) version: Version,
    pub(crate) price: u32,
}

impl Event for Priced {
    fn subject(&self) -> Subject {
        if self.version.0 == 0 { CREATED } else { UPDATED }
    }

    fn record(&self) -> RecordId {
        self.ticket
    }

    fn version(&self) -> Option<Version> {
        Some(self.version)
    }
}

#[derive(Clone, Debug, Hash, Serialize)]
pub(crate) struct SetPrice {
    pub(crate) ticket: RecordId,
    pub(crate) price: u32,
}

impl Command for SetPrice {
    fn service(&self) -> &'static str {
        "owner"
    }

    fn record(&self) -> RecordId {
        self.ticket
    }

    fn label(&self) -> String {
        format!("set {} to {}", self.ticket, self.price)
    }
}

pub(crate) struct Owner;

impl Service<W1> for Owner {
    fn name(&self) -> &'static str {
        "owner"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Ticket>(VersionPolicy::EVERY_SAVE);
    }

    fn execute(&self, command: &SetPrice, ctx: &mut Context<'_, W1>) -> Result<(), Rejection> {
        let (ticket, price) = (command.ticket, command.price);
        let conflict = |_| Rejection { status: 409, reason: "changed meanwhile" };
        let version = match ctx.store.find::<Ticket>(ticket).map(|held| held.version) {
            None => {
                ctx.store.insert(ticket, Ticket { price }).map_err(|_| Rejection { status: 409, reason: "exists" })?
            }
            Some(held) => ctx.store.save_if_current(ticket, Ticket { price }, held).map_err(conflict)?,
        };
        ctx.publish(Priced { ticket, version, price });
        Ok(())
    }
}

pub(crate) struct Replica;

impl Service<W1> for Replica {
    fn name(&self) -> &'static str {
        "replica"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<Ticket>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        &[CREATED, UPDATED]
    }

    fn handle(&self, event: &Priced, ctx: &mut Context<'_, W1>) -> Outcome {
        let held = ctx.store.find::<Ticket>(event.ticket).map(|held| held.version);
        let ticket = Ticket { price: event.price };
        match held {
            Some(held) if event.version <= held => Outcome::Ack,
            Some(held) if event.version.0 == held.0 + 1 => {
                match ctx.store.save_if_current(event.ticket, ticket, held) {
                    Ok(_) => Outcome::Ack,
                    Err(_) => Outcome::Silent("changed meanwhile"),
                }
            }
            None if event.version.0 == 0 => match ctx.store.insert(event.ticket, ticket) {
                Ok(_) => Outcome::Ack,
                Err(_) => Outcome::Silent("exists"),
            },
            _ => Outcome::Silent("gap"),
        }
    }
}

/// Every replica's version and price are a step of the owner's history, and an ack follows only
/// what was applied.
pub(crate) struct Prefix;

impl Property<W1> for Prefix {
    fn name(&self) -> &'static str {
        "Prefix"
    }

    fn watches(&self) -> Watch {
        Watch::SAVES
    }

    fn on_step(&self, view: &View<'_, W1>) -> Result<(), Violation> {
        if view.delivery().is_none() {
            return Ok(());
        }
        let owner = view.store_of("owner");
        for change in view.changes::<Ticket>() {
            let Some(after) = change.after else { continue };
            let known = owner.at_version::<Ticket>(change.id, after.version);
            if known.is_none_or(|known| known.value != after.value) {
                return Err(Violation::at("replica").of(change.id).because("not in the owner's history"));
            }
            if change.before.is_some_and(|before| before.version >= after.version) {
                return Err(Violation::at("replica").of(change.id).because("the version fell"));
            }
        }
        Ok(())
    }
}

/// An ack follows only what was applied.
pub(crate) struct AckedApplied;

impl Property<W1> for AckedApplied {
    fn name(&self) -> &'static str {
        "AckedApplied"
    }

    fn watches(&self) -> Watch {
        Watch::ACKS
    }

    fn on_step(&self, view: &View<'_, W1>) -> Result<(), Violation> {
        let (Some((_, message)), Some(store)) = (view.delivery(), view.store()) else {
            return Ok(());
        };
        let held = store.find::<Ticket>(message.event.ticket).map(|held| held.version);
        if held.is_none_or(|held| held < message.event.version) {
            return Err(Violation::at("replica").of(message.event.ticket).because("acked, not applied"));
        }
        Ok(())
    }
}

/// At quiescence replica and owner are equal.
pub(crate) struct Converged;

impl Property<W1> for Converged {
    fn name(&self) -> &'static str {
        "Converged"
    }

    fn at_quiescence(&self, moment: &Moment<'_, W1>) -> Result<(), Violation> {
        let (owner, replica) = (moment.store_of("owner"), moment.store_of("replica"));
        for id in owner.unjudged::<Ticket>().chain(replica.unjudged::<Ticket>()) {
            let held = |store: &Store| store.find::<Ticket>(id).map(|ticket| (ticket.version, ticket.value.price));
            if held(owner) != held(replica) {
                return Err(Violation::at("replica").of(id).because("differs from the owner"));
            }
        }
        Ok(())
    }
}
