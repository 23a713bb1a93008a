//! A loop that recovers what dead workers left claims what a live one is at work on.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "claimed-at-work",
    source: "https://github.com/mastra-ai/mastra/issues/23648",
    about: "a handler takes longer than entries may be idle: its entry is claimed, and handled a second time beside it",
    fix: "the result of an entry is saved once, and only who saved it goes on",
    departures: &["pause run:wanted r1 -> agents until quiescence", "claim run:wanted r1 -> agents"],
    faults: MEMBERS,
    system,
    properties: || vec![at_most_once("ToolCalledOnce", "agents", "tool:called")],
};

const R1: RecordId = RecordId::new('r', 1);
record!(Run(), "runs", 'r');

fn system(fixed: bool) -> Simulation<Facts> {
    let app = service("app").on_command(|request, ctx| {
        ctx.publish(Fact::of("run:wanted", request.record));
        Ok(())
    });
    let agents = service("agents").keeps::<Run>(EVERY).on_event(subjects(["run:wanted"]), move |run, ctx| {
        // It knows that entries come again, and looks whether this one is done.
        let held = ctx.store.find::<Run>(run.record).map(|held| held.version);
        if held.is_some() {
            return Outcome::Ack;
        }
        if !fixed {
            ctx.store.overwrite(run.record, Run(), held);
        } else if ctx.store.insert(run.record, Run()).is_err() {
            return Outcome::Ack;
        }
        ctx.publish(Fact::of("tool:called", run.record));
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("redis-streams")).service(app).hosted(agents, TWO);
    simulation.client("user", vec![Request::of("app", "run", R1)]).build().expect("the parts fit")
}
