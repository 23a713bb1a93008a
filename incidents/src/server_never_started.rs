//! A message is acked when it arrives, and its worker dies before it has done anything.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "server-never-started",
    source: "https://github.com/KBVE/kbve/pull/8672",
    about: "a message is acked on arrival and its worker dies: the server that it asked for is never started",
    fix: "a message is acked when its work is done",
    departures: &["crash launcher before save of server:wanted s1 -> launcher"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("EachServerStarts", each_starts)],
};

const S1: RecordId = RecordId::new('s', 1);
record!(Server(), "servers", 's');

fn system(fixed: bool) -> Simulation<Facts> {
    let lobby = service("lobby").on_command(|request, ctx| {
        ctx.publish(Fact::of("server:wanted", request.record));
        Ok(())
    });
    let wanted = subjects(["server:wanted"]);
    let launcher = service("launcher").keeps::<Server>(EVERY).on_event(wanted, |server, ctx| {
        // One that runs already is no error.
        let _ = ctx.store.insert(server.record, Server());
        Outcome::Ack
    });
    let launcher = launcher.acking(if fixed { AckTiming::AfterSave } else { AckTiming::BeforeSave });
    let simulation = Simulation::on(broker("rabbitmq-classic")).service(lobby).service(launcher);
    simulation.client("player", vec![Request::of("lobby", "join", S1)]).build().expect("the parts fit")
}

fn each_starts(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let is_wanted = published(moment, "server:wanted", S1) > 0;
    match is_wanted && moment.store_of("launcher").find::<Server>(S1).is_none() {
        true => Err(Violation::at("launcher").of(S1).because("is wanted and does not run")),
        false => Ok(()),
    }
}
