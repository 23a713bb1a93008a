//! Search as it was first written.
use super::shop::{Item, POLICY, Shop};
use pellmell::prelude::*;
use pellmell::testing::{Closures, service};

pub fn search() -> Closures<Shop> {
    let subjects = const { &[Snapshot::<Item>::SUBJECT] };
    service::<Shop>("search").keeps::<Item>(POLICY).on_event(subjects, |event, ctx| {
        let held = ctx.store.find::<Item>(event.id).map(|held| held.version);
        ctx.store.overwrite(event.id, event.value.clone(), held);
        Outcome::Ack
    })
}
