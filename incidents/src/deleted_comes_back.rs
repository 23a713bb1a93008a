//! An update comes after the deletion, and the document is there again.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "deleted-comes-back",
    source: "https://github.com/AWS-South-Wales-User-Group/qldb-simple-demo/issues/17",
    about: "an update comes after the deletion, and the index makes the document anew",
    fix: "the index keeps a tombstone with the version of a deletion",
    departures: &["hold licence:updated l1@0 -> index until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![copied::<Licence>("NothingDeletedIsFound", "ledger", "index")],
};

const L1: RecordId = RecordId::new('l', 1);
const DELETED: RecordId = RecordId::new('d', 1);
const ABSENT: Rejection = Rejection { status: 404, reason: "there is no such licence" };
record!(Licence(), "licences", 'l');
record!(Tombstone(u64), "tombstones", 'd');

fn system(fixed: bool) -> Simulation<Facts> {
    let ledger = service("ledger").owns::<Licence>(EVERY).on_command(|request, ctx| {
        let Request { record, what, .. } = request;
        let fact = match *what {
            "delete" => {
                let deleted = ctx.store.remove::<Licence>(*record).ok_or(ABSENT)?;
                Fact::of("licence:deleted", *record).at(Version(deleted.version.0 + 1))
            }
            _ => {
                let held = ctx.store.find::<Licence>(*record).map(|held| held.version);
                Fact::of("licence:updated", *record).at(ctx.store.overwrite(*record, Licence(), held))
            }
        };
        ctx.publish(fact);
        Ok(())
    });
    let stream = subjects(["licence:updated", "licence:deleted"]);
    let index = service("index").keeps::<Licence>(EVERY).keeps::<Tombstone>(EVERY);
    let index = index.on_event(stream, move |change, ctx| {
        let held = ctx.store.find::<Licence>(change.record).map(|held| held.version.0);
        let deleted = ctx.store.find::<Tombstone>(DELETED).map(|tombstone| tombstone.0);
        if held.max(deleted).is_some_and(|newest| newest >= change.number()) {
            return Outcome::Ack;
        }
        if change.what == "licence:updated" {
            keep(ctx, change, Licence());
        } else {
            ctx.store.remove::<Licence>(change.record);
            if fixed {
                ctx.store.overwrite(DELETED, Tombstone(change.number()), None);
            }
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("adversarial")).service(ledger).service(index);
    let requests = ["update", "delete"].map(|what| Request::of("ledger", what, L1));
    simulation.client("clerk", requests.to_vec()).build().expect("the parts fit")
}
