//! The lock of a session ends, and another receiver runs the session while the first one is not done.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "session-runs-twice",
    source: "https://github.com/Azure/azure-sdk-for-net/issues/35267",
    about: "a function outlives the lock of its session: the session runs elsewhere, and then the first one ends",
    fix: "a step is saved only on the state that it was begun with",
    departures: &[
        "pause flow:step f1@0 -> functions until ack wait of flow:step f1@0 -> functions",
        "pause flow:step f1@0 -> functions until quiescence",
    ],
    faults: SLOW,
    system,
    properties: || vec![at_quiescence("TheLastStepStands", last_step_stands)],
};

const F1: RecordId = RecordId::new('f', 1);
record!(Flow(u64), "flows", 'f');

fn system(fixed: bool) -> Simulation<Facts> {
    let app = service("app").on_command(|request, ctx| {
        for step in 0..2 {
            ctx.publish(Fact::of("flow:step", request.record).at(Version(step)));
        }
        Ok(())
    });
    let functions = service("functions").keeps::<Flow>(EVERY).on_event(subjects(["flow:step"]), move |step, ctx| {
        let held = ctx.store.find::<Flow>(step.record).cloned();
        let Some(flow) = held else { return Outcome::nak("there is no such flow") };
        // The session brings steps in order, so one that was done is one that comes again.
        if step.number() < flow.0 {
            return Outcome::Ack;
        }
        let next = Flow(step.number() + 1);
        if !fixed {
            ctx.store.overwrite(step.record, next, Some(flow.version));
        } else if ctx.store.save_if_current(step.record, next, flow.version).is_err() {
            return Outcome::Ack;
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("servicebus-session")).service(app).hosted(functions, TWO);
    let simulation = simulation.seeded("functions", |store| _ = store.overwrite(F1, Flow(0), None));
    simulation.client("user", vec![Request::of("app", "start", F1)]).build().expect("the parts fit")
}

fn last_step_stands(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let done = moment.store_of("functions").find::<Flow>(F1).map_or(0, |flow| flow.0);
    match published(moment, "flow:step", F1) == 2 && done < 2 {
        true => Err(Violation::at("functions").of(F1).because(format!("two steps are done, {done} stand"))),
        false => Ok(()),
    }
}
