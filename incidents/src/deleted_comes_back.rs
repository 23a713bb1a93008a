//! An update comes after the deletion, and the document is there again.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "deleted-comes-back",
    source: "https://github.com/AWS-South-Wales-User-Group/qldb-simple-demo/issues/17",
    about: "an update comes after the deletion, and the index makes the document anew",
    fix: "the index keeps the version of a deletion",
    departures: &["hold licence:updated l1@0 -> index until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("NothingDeletedIsFound", nothing_deleted)],
};

const L1: RecordId = RecordId::new('l', 1);
record!(Licence(bool), "licences", 'l');
record!(Document(bool, u64), "documents", 'l');

fn system(fixed: bool) -> Simulation<Facts> {
    let ledger = service("ledger").owns::<Licence>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Licence>(request.record).map(|held| held.version);
        let is_there = request.what != "delete";
        let version = ctx.store.overwrite(request.record, Licence(is_there), held);
        let what = if is_there { "licence:updated" } else { "licence:deleted" };
        ctx.publish(Fact::of(what, request.record).at(version));
        Ok(())
    });
    let stream = subjects(["licence:updated", "licence:deleted"]);
    let index = service("index").keeps::<Document>(EVERY).on_event(stream, move |change, ctx| {
        let held = ctx.store.find::<Document>(change.record).cloned();
        let forgotten = !fixed && held.as_ref().is_some_and(|held| !held.0);
        if !forgotten && held.as_ref().is_some_and(|held| held.1 >= change.number()) {
            return Outcome::Ack;
        }
        let document = Document(change.what == "licence:updated", change.number());
        ctx.store.overwrite(change.record, document, held.map(|held| held.version));
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("adversarial")).service(ledger).service(index);
    let requests = ["update", "delete"].map(|what| Request::of("ledger", what, L1));
    simulation.client("clerk", requests.to_vec()).build().expect("the parts fit")
}

fn nothing_deleted(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let found = moment.store_of("index").find::<Document>(L1).is_some_and(|document| document.0);
    let is_there = moment.store_of("ledger").find::<Licence>(L1).is_some_and(|licence| licence.0);
    match found && !is_there {
        true => Err(Violation::at("index").of(L1).because("a deleted licence is found")),
        false => Ok(()),
    }
}
