//! A ticket is there before the reservation that it takes the place of.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "reservation-beside-its-ticket",
    source: "https://github.com/AtB-AS/mittatb-app/pull/1271",
    about: "a ticket comes before the reservation that it replaces, and the customer has both",
    fix: "a reservation whose ticket is there already is ignored",
    departures: &["hold reservation:created o1 -> app until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("TicketReplacesReservation", replaces)],
};

const O1: RecordId = RecordId::new('o', 1);
const RESERVED: u32 = 1;
const BOUGHT: u32 = 2;
record!(Fare(u32), "fares", 'o');

fn system(fixed: bool) -> Simulation<Facts> {
    let sales = service("sales").on_command(|request, ctx| {
        let what = if request.what == "reserve" { "reservation:created" } else { "ticket:created" };
        ctx.publish(Fact::of(what, request.record));
        Ok(())
    });
    let both = subjects(["reservation:created", "ticket:created"]);
    let app = service("app").keeps::<Fare>(EVERY).on_event(both, move |event, ctx| {
        let held = ctx.store.find::<Fare>(event.record).cloned();
        let shown = held.as_ref().map_or(0, |fare| fare.0);
        let next = match event.what {
            "ticket:created" => BOUGHT,
            _ if fixed && shown & BOUGHT != 0 => return Outcome::Ack,
            _ => shown | RESERVED,
        };
        ctx.store.overwrite(event.record, Fare(next), held.map(|fare| fare.version));
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("adversarial")).service(sales).service(app);
    let requests = ["reserve", "pay"].map(|what| Request::of("sales", what, O1));
    simulation.client("customer", requests.to_vec()).build().expect("the parts fit")
}

fn replaces(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    match moment.store_of("app").find::<Fare>(O1).is_some_and(|fare| fare.0 == RESERVED | BOUGHT) {
        true => Err(Violation::at("app").of(O1).because("has a ticket and is reserved")),
        false => Ok(()),
    }
}
