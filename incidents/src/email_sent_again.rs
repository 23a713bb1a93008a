//! An email goes out again while the first one is still being sent.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "email-sent-again",
    source: "https://github.com/kannon-email/kannon/issues/425",
    about: "a sender slower than its ack deadline of a second sends the email again",
    fix: "the sender claims an email before it sends it",
    departures: &[
        "pause email:queued e1 -> sender until ack wait of email:queued e1 -> sender",
        "pause email:queued e1 -> sender until quiescence",
    ],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_most_once("SentOnce", "sender", "email:sent")],
};

const E1: RecordId = RecordId::new('e', 1);
record!(Claim(), "claims", 'e');

fn system(fixed: bool) -> Simulation<Facts> {
    // The back-off list overrides the ack wait of 30 s: the first deadline is a second.
    let jetstream = Profile { ack_wait: seconds([1, 5, 30, 60, 300]), ..broker("jetstream") };
    let dispatcher = service("dispatcher").on_command(|request, ctx| {
        ctx.publish(Fact::of("email:queued", request.record));
        Ok(())
    });
    let queued = subjects(["email:queued"]);
    let sender = service("sender").keeps::<Claim>(EVERY).on_event(queued, move |email, ctx| {
        if fixed && ctx.store.insert(email.record, Claim()).is_err() {
            return Outcome::Ack;
        }
        ctx.publish(Fact::of("email:sent", email.record));
        Outcome::Ack
    });
    let simulation = Simulation::on(jetstream).service(dispatcher).hosted(sender, TWO);
    simulation.client("user", vec![Request::of("dispatcher", "send", E1)]).build().expect("the parts fit")
}
