//! A conference is published before the read model has heard that it exists.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "conference-published-first",
    source: "https://github.com/microsoftarchive/cqrs-journey/issues/301",
    about: "a conference is published before the read model has heard of it, and is never shown",
    fix: "the row is made by whichever event comes first",
    departures: &["hold conference:created c1 -> site until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("PublishedIsShown", published_is_shown)],
};

const C1: RecordId = RecordId::new('c', 1);
const KNOWN: u32 = 1;
const SHOWN: u32 = 2;
record!(Conference(u32), "conferences", 'c');

fn system(fixed: bool) -> Simulation<Facts> {
    let management = service("management").on_command(|request, ctx| {
        let what = if request.what == "create" { "conference:created" } else { "conference:published" };
        ctx.publish(Fact::of(what, request.record));
        Ok(())
    });
    let both = subjects(["conference:created", "conference:published"]);
    let site = service("site").keeps::<Conference>(EVERY).on_event(both, move |event, ctx| {
        let held = ctx.store.find::<Conference>(event.record).cloned();
        let flag = if event.what == "conference:created" { KNOWN } else { SHOWN };
        if held.is_none() && flag == SHOWN && !fixed {
            // An update of a row that is not there changes none.
            return Outcome::Ack;
        }
        let next = Conference(held.as_ref().map_or(0, |row| row.0) | flag);
        let saved = match held {
            None => ctx.store.insert(event.record, next).is_ok(),
            Some(row) => ctx.store.save_if_current(event.record, next, row.version).is_ok(),
        };
        if saved { Outcome::Ack } else { Outcome::nak("the row was changed") }
    });
    let simulation = Simulation::on(broker("servicebus")).service(management).hosted(site, TWO);
    let requests = ["create", "publish"].map(|what| Request::of("management", what, C1));
    simulation.client("owner", requests.to_vec()).build().expect("the parts fit")
}

fn published_is_shown(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let both = ["conference:created", "conference:published"].iter().all(|what| published(moment, what, C1) > 0);
    let row = moment.store_of("site").find::<Conference>(C1).map_or(0, |row| row.0);
    match both && row != KNOWN | SHOWN {
        true => Err(Violation::at("site").of(C1).because("is published and not shown")),
        false => Ok(()),
    }
}
