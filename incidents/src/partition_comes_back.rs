//! A partition leaves a process and comes back, and the process goes on from what it remembers.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "partition-comes-back",
    source: "https://github.com/argoproj-labs/old-argo-dataflow/issues/382",
    about: "a partition goes to another replica and comes back: the first still remembers where it was, and sees a gap",
    fix: "what was seen last is read from where all replicas keep it",
    departures: &["rebalance after line:read p1@0 -> steps", "rebalance after line:read p1@1 -> steps"],
    faults: MEMBERS,
    system,
    properties: || vec![at_quiescence("NothingIsMissing", nothing_missing)],
};

const P1: RecordId = RecordId::new('p', 1);
record!(Lines(), "lines", 'p');
record!(Seen(u64), "seen", 'p');

fn system(fixed: bool) -> Simulation<Facts> {
    let source = service("source").owns::<Lines>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Lines>(request.record).map(|held| held.version);
        let version = ctx.store.overwrite(request.record, Lines(), held);
        ctx.publish(Fact::of("line:read", request.record).at(version));
        Ok(())
    });
    let steps = service("steps").keeps::<Seen>(EVERY).on_event(subjects(["line:read"]), move |line, ctx| {
        let held = ctx.store.find::<Seen>(line.record).cloned();
        let Some(seen) = held else { return Outcome::nak("there is no such partition") };
        // What the replica remembers; it asks the store only the first time.
        let remembered = *ctx.memory::<Option<u64>>().get_or_insert(seen.0);
        let next = if fixed { seen.0 } else { remembered };
        if line.number() > next {
            ctx.publish(Fact::of("line:missing", line.record).saying(1));
        }
        let after = seen.0.max(line.number() + 1);
        if ctx.store.save_if_current(line.record, Seen(after), seen.version).is_err() {
            return Outcome::nak("another replica was faster");
        }
        *ctx.memory::<Option<u64>>() = Some(next.max(line.number() + 1));
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("kafka")).service(source).hosted(steps, TWO);
    let simulation = simulation.seeded("steps", |store| _ = store.overwrite(P1, Seen(0), None));
    let requests = [1, 2, 3].map(|line| Request::of("source", "read", P1).saying(line));
    simulation.client("file", requests.to_vec()).build().expect("the parts fit")
}

fn nothing_missing(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    match published(moment, "line:missing", P1) {
        0 => Ok(()),
        _ => Err(Violation::at("steps").of(P1).because("lines are called missing, and all were handled")),
    }
}
