//! Search as it is right.
use super::shop::{Item, POLICY, Shop};
use pellmell::prelude::*;
use pellmell::testing::{Closures, service};

pub fn search() -> Closures<Shop> {
    let subjects = const { &[Snapshot::<Item>::SUBJECT] };
    service::<Shop>("search").keeps::<Item>(POLICY).on_event(subjects, |event, ctx| {
        let held = ctx.store.find::<Item>(event.id).map(|held| held.version);
        let next = held.map_or(0, |held| held.0 + 1);
        if event.version.0 < next {
            return Outcome::Ack; // has it already
        }
        if event.version.0 > next {
            return Outcome::nak("a version is missing"); // shall come again
        }
        let saved = match held {
            None => ctx.store.insert(event.id, event.value.clone()).is_ok(),
            Some(held) => ctx.store.save_if_current(event.id, event.value.clone(), held).is_ok(),
        };
        if saved { Outcome::Ack } else { Outcome::nak("another member was faster") }
    })
}
