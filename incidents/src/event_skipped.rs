//! A poller passes an event whose number was given out and whose transaction is still open.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "event-skipped",
    source: "https://github.com/JasperFx/marten/issues/4964",
    about: "a projection goes on behind the highest event it sees, over one whose transaction is still open",
    fix: "it goes on up to the first number that is missing",
    departures: &["pause ann: append e1 until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("EachEventIsProjected", each_is_projected)],
};

const M1: RecordId = RecordId::new('m', 1);
record!(Appended(), "events", 'e');
record!(Projected(), "projected", 'p');
record!(Mark(u32), "marks", 'm');

fn system(fixed: bool) -> Simulation<Facts> {
    // The number of an event is given out at the start of its transaction: the requests have them.
    let store = service("store").owns::<Appended>(EVERY).keeps::<Projected>(EVERY).keeps::<Mark>(EVERY);
    let store = store.on_command(|request, ctx| {
        let _ = ctx.store.insert(request.record, Appended());
        ctx.publish(Fact::of("store:changed", request.record));
        Ok(())
    });
    let store = store.on_event(subjects(["store:changed"]), move |_, ctx| {
        let held = ctx.store.find::<Mark>(M1).cloned();
        let mut mark = held.as_ref().map_or(0, |mark| mark.0);
        let numbers = ctx.store.all::<Appended>().map(|(id, _)| id.number());
        let newer: Vec<u32> = numbers.filter(|number| *number > mark).collect();
        for number in newer {
            if fixed && number != mark + 1 {
                break;
            }
            let _ = ctx.store.insert(RecordId::new('p', number), Projected());
            mark = number;
        }
        ctx.store.overwrite(M1, Mark(mark), held.map(|mark| mark.version));
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("stan")).hosted(store, ASYNC);
    let append = |number| vec![Request::of("store", "append", RecordId::new('e', number))];
    simulation.client("ann", append(1)).client("bob", append(2)).build().expect("the parts fit")
}

fn each_is_projected(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let store = moment.store_of("store");
    let is_missing = |id: &RecordId| store.find::<Projected>(RecordId::new('p', id.number())).is_none();
    let mark = store.find::<Mark>(M1).map_or(0, |mark| mark.0);
    match store.all::<Appended>().map(|(id, _)| id).find(is_missing) {
        Some(id) if id.number() <= mark => Err(Violation::at("store").of(id).because("the projection has passed it")),
        _ => Ok(()),
    }
}
