//! A worker that was given up goes on and writes over what its successor has done.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "stale-worker-writes",
    source: "https://github.com/maxcountryman/underway/pull/111",
    about: "a worker that was given up wakes, and its old result replaces that of the attempt that took over",
    fix: "a result is saved only if nobody saved one since the attempt began",
    departures: &[
        "pause report:wanted r1 -> workers until ack wait of report:wanted r1 -> workers",
        "pause report:wanted r1 -> workers until quiescence",
    ],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("TheLastResultIsTheNewest", last_is_newest)],
};

const R1: RecordId = RecordId::new('r', 1);
const F1: RecordId = RecordId::new('f', 1);
record!(Report(u32), "reports", 'r');
record!(Figures(u32), "figures", 'f');

fn system(fixed: bool) -> Simulation<Facts> {
    let office = service("office").on_command(|request, ctx| {
        ctx.publish(Fact::of("report:wanted", request.record));
        Ok(())
    });
    let workers = service("workers").keeps::<Report>(EVERY).keeps::<Figures>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Figures>(request.record).map(|held| held.version);
        ctx.store.overwrite(request.record, Figures(request.value.unwrap_or_default()), held);
        Ok(())
    });
    let workers = workers.on_event(subjects(["report:wanted"]), move |task, ctx| {
        let figures = ctx.store.find::<Figures>(F1).map_or(0, |figures| figures.0);
        let held = ctx.store.find::<Report>(task.record).map(|report| report.version);
        let Some(held) = held else { return Outcome::nak("there is no such report") };
        if !fixed {
            ctx.store.overwrite(task.record, Report(figures), Some(held));
        } else if ctx.store.save_if_current(task.record, Report(figures), held).is_err() {
            return Outcome::Ack;
        }
        ctx.publish(Fact::of("report:done", task.record).saying(figures));
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("servicebus")).service(office).hosted(workers, TWO);
    let simulation = simulation.seeded("workers", |store| _ = store.overwrite(R1, Report(0), None));
    let simulation = simulation.client("boss", vec![Request::of("office", "report", R1)]);
    let figures = vec![Request::of("workers", "figures", F1).saying(1)];
    simulation.client("clerk", figures).build().expect("the parts fit")
}

fn last_is_newest(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let messages = moment.world().broker().messages().iter().map(|message| &message.event);
    let done: Vec<u32> = messages.filter(|fact| fact.what == "report:done").map(|fact| fact.value).collect();
    match done.last() < done.iter().max() {
        true => Err(Violation::at("workers").of(R1).because(format!("results {done:?}, in this order"))),
        false => Ok(()),
    }
}
