//! As many messages as may be in flight fail for ever, and no other message comes any more.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "bad-messages-fill-the-window",
    source: "https://github.com/nats-io/stan.go/issues/214",
    about: "as many messages as may be in flight fail for ever: nothing behind them is delivered",
    fix: "what cannot be handled is set aside and acked",
    departures: &[],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("GoodOnesAreHandled", good_ones_are_handled)],
};

const BAD: u32 = 0;
const GOOD: u32 = 1;
const J3: RecordId = RecordId::new('j', 3);
record!(Job(u32), "jobs", 'j');

fn system(fixed: bool) -> Simulation<Facts> {
    let mut stan = broker("stan");
    stan.max_in_flight.limit = Limit::Of(2);
    let api = service("api").on_command(|request, ctx| {
        ctx.publish(Fact::of("job:added", request.record).saying(request.value.unwrap_or(BAD)));
        Ok(())
    });
    let worker = service("worker").keeps::<Job>(EVERY).on_event(subjects(["job:added"]), move |job, ctx| {
        if job.value == BAD && !fixed {
            return Outcome::Silent("the service behind it refuses it");
        }
        // With the fix a bad one is set aside in the same way.
        let _ = ctx.store.insert(job.record, Job(job.value));
        Outcome::Ack
    });
    let simulation = Simulation::on(stan).service(api).service(worker);
    let job = |number, value| Request::of("api", "add", RecordId::new('j', number)).saying(value);
    simulation.client("user", vec![job(1, BAD), job(2, BAD), job(3, GOOD)]).build().expect("the parts fit")
}

fn good_ones_are_handled(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let is_added = published(moment, "job:added", J3) > 0;
    match is_added && moment.store_of("worker").find::<Job>(J3).is_none() {
        true => Err(Violation::at("worker").of(J3).because("is good and never comes")),
        false => Ok(()),
    }
}
