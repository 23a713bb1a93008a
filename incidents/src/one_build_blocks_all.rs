//! All messages are of one group, and one of them cannot be handled.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "one-build-blocks-all",
    source: "https://github.com/RobotLocomotion/drake/issues/11192",
    about: "a submission that cannot be parsed stays at the front of its FIFO group: all others wait behind it",
    fix: "each build is a group of its own",
    departures: &[],
    faults: MEMBERS,
    system,
    properties: || vec![at_quiescence("OtherBuildsAreParsed", others_are_parsed)],
};

const ALL: RecordId = RecordId::new('q', 1);
const BROKEN: RecordId = RecordId::new('b', 1);
const GOOD: RecordId = RecordId::new('b', 2);
record!(Parsed(), "parsed", 'b');

fn system(fixed: bool) -> Simulation<Facts> {
    let dashboard = service("dashboard").on_command(move |request, ctx| {
        let group = if fixed { request.record } else { ALL };
        ctx.publish(Fact::of("build:submitted", group).saying(request.record.number()));
        Ok(())
    });
    let parser = service("parser").keeps::<Parsed>(EVERY).on_event(subjects(["build:submitted"]), |build, ctx| {
        let build = RecordId::new('b', build.value);
        if build == BROKEN {
            return Outcome::Silent("the build before it cannot be deleted");
        }
        // One that is parsed already is no error.
        let _ = ctx.store.insert(build, Parsed());
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("sqs-fifo")).service(dashboard).hosted(parser, TWO);
    let requests = [BROKEN, GOOD].map(|build| Request::of("dashboard", "submit", build));
    simulation.client("jenkins", requests.to_vec()).build().expect("the parts fit")
}

fn others_are_parsed(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let submitted = moment.world().broker().messages().iter().any(|message| message.event.value == GOOD.number());
    match submitted && moment.store_of("parser").find::<Parsed>(GOOD).is_none() {
        true => Err(Violation::at("parser").of(GOOD).because("is submitted, and nobody parses it")),
        false => Ok(()),
    }
}
