//! A reader fills the cache with what it read before a change, after the change has emptied it.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "cache-keeps-old-value",
    source: "https://github.com/hmchangw/newchat/issues/250",
    about: "a reader puts the old value into the cache that a change has just emptied",
    fix: "a reader fills the entry only if nobody emptied it since it looked",
    departures: &["pause reader: read m1 until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("CacheIsFresh", is_fresh)],
};

const M1: RecordId = RecordId::new('m', 1);
const E1: RecordId = RecordId::new('e', 1);
record!(Message(u32), "messages", 'm');
record!(Entry(Option<u32>), "cache", 'e');

fn system(fixed: bool) -> Simulation<Facts> {
    let gateway = service("gateway").on_command(|request, ctx| {
        ctx.publish(Fact::of("message:edited", request.record).saying(request.value.unwrap_or_default()));
        Ok(())
    });
    let history = service("history").keeps::<Message>(EVERY).keeps::<Entry>(EVERY);
    let history = history.on_event(subjects(["message:edited"]), |edit, ctx| {
        let held = ctx.store.find::<Message>(M1).map(|held| held.version);
        ctx.store.overwrite(M1, Message(edit.value), held);
        let held = ctx.store.find::<Entry>(E1).map(|held| held.version);
        ctx.store.overwrite(E1, Entry(None), held);
        Outcome::Ack
    });
    let history = history.on_command(move |_, ctx| {
        let (Some(entry), Some(message)) = (ctx.store.find::<Entry>(E1).cloned(), ctx.store.find::<Message>(M1)) else {
            return Ok(());
        };
        let filled = Entry(Some(message.0));
        match entry.0 {
            Some(_) => {}
            None if fixed => _ = ctx.store.save_if_current(E1, filled, entry.version),
            None => _ = ctx.store.overwrite(E1, filled, Some(entry.version)),
        }
        Ok(())
    });
    let simulation = Simulation::on(broker("jetstream")).service(gateway).hosted(history, ASYNC);
    let simulation = simulation.seeded("history", |store| {
        store.overwrite(M1, Message(1), None);
        store.overwrite(E1, Entry(None), None);
    });
    let simulation = simulation.client("reader", vec![Request::of("history", "read", M1)]);
    simulation.client("writer", vec![Request::of("gateway", "edit", M1).saying(2)]).build().expect("the parts fit")
}

fn is_fresh(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let store = moment.store_of("history");
    let message = store.find::<Message>(M1).map(|message| message.0);
    match store.find::<Entry>(E1).and_then(|entry| entry.0) {
        Some(cached) if Some(cached) != message => {
            Err(Violation::at("history").of(E1).because(format!("{cached} is cached, {message:?} is stored")))
        }
        _ => Ok(()),
    }
}
