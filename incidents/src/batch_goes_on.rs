//! The first message of a batch fails, and the consumer goes on with the next one of its group.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "batch-goes-on",
    source: "https://github.com/elixir-broadway/broadway_sqs/issues/78",
    about: "a message of a FIFO group fails, the rest of its batch is handled, and the failed one comes last",
    fix: "what is not the next of its group is not handled, and comes again behind the failed one",
    departures: &["fetch 1 with plan:changed c1@0 -> billing"],
    faults: MEMBERS,
    system,
    properties: || vec![at_quiescence("PlanIsTheLatest", is_the_latest)],
};

const C1: RecordId = RecordId::new('c', 1);
record!(Plan(u64, u32), "plans", 'c');

fn system(fixed: bool) -> Simulation<Facts> {
    let accounts = service("accounts").on_command(|request, ctx| {
        for (version, plan) in [(0, 10), (1, 20)] {
            ctx.publish(Fact::of("plan:changed", request.record).at(Version(version)).saying(plan));
        }
        Ok(())
    });
    let changed = subjects(["plan:changed"]);
    let billing = service("billing").keeps::<Plan>(EVERY).on_event(changed, move |change, ctx| {
        let held = ctx.store.find::<Plan>(change.record).cloned();
        let Some(plan) = held else { return Outcome::nak("there is no such customer") };
        if change.number() == 0 && ctx.attempt() == 1 {
            return Outcome::Silent("a call takes too long");
        }
        match change.number() {
            number if fixed && number < plan.0 => return Outcome::Ack,
            number if fixed && number > plan.0 => return Outcome::Silent("it is not the next one"),
            _ => {}
        }
        let next = Plan(change.number() + 1, change.value);
        match ctx.store.save_if_current(change.record, next, plan.version) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::nak("another consumer was faster"),
        }
    });
    let simulation = Simulation::on(broker("sqs-fifo")).service(accounts).service(billing);
    let simulation = simulation.seeded("billing", |store| _ = store.overwrite(C1, Plan(0, 0), None));
    simulation.client("customer", vec![Request::of("accounts", "upgrade", C1)]).build().expect("the parts fit")
}

fn is_the_latest(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let plan = moment.store_of("billing").find::<Plan>(C1).map_or(0, |plan| plan.1);
    match published(moment, "plan:changed", C1) > 1 && plan == 10 {
        true => Err(Violation::at("billing").of(C1).because("the plan is 10, and was changed to 20 after that")),
        false => Ok(()),
    }
}
