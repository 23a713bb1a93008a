//! A message that is refused goes behind the later ones of its queue.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "nak-to-the-back",
    source: "https://github.com/rabbitmq/rabbitmq-server/issues/10499",
    about: "one consumer, one message at a time, and still: what it refuses comes back behind the later messages",
    fix: "a message older than what is stored is ignored",
    departures: &["pause limit:set a1@0 -> cards until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("LimitIsTheLatest", is_the_latest)],
};

const A1: RecordId = RecordId::new('a', 1);
record!(Account(u32, bool), "accounts", 'a');
record!(Limits(u32), "limits", 'a');

fn system(fixed: bool) -> Simulation<Facts> {
    // A quorum queue without a delivery limit, which was the default up to 3.13, with a prefetch of 1.
    let (redeliver_at, max_deliver) = (RedeliverAt::Back, MaxDeliver::Unlimited);
    let mut quorum = Profile { name: "rabbitmq-quorum-3", redeliver_at, max_deliver, ..broker("rabbitmq-quorum") };
    quorum.max_in_flight.limit = Limit::Of(1);
    let bank = service("bank").owns::<Limits>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Limits>(request.record).map(|held| held.version);
        let limit = request.value.unwrap_or_default();
        let version = ctx.store.overwrite(request.record, Limits(limit), held);
        ctx.publish(Fact::of("limit:set", request.record).at(version).saying(limit));
        Ok(())
    });
    let cards = service("cards").keeps::<Account>(EVERY).on_command(|request, ctx| {
        let Some(account) = ctx.store.find::<Account>(request.record).cloned() else { return Ok(()) };
        let frozen = ctx.store.save_if_current(request.record, Account(account.0, true), account.version);
        frozen.map(|_| ()).map_err(|_| Rejection { status: 409, reason: "the account was changed meanwhile" })
    });
    let cards = cards.on_event(subjects(["limit:set"]), move |limit, ctx| {
        let held = ctx.store.find::<Account>(limit.record).cloned();
        let Some(account) = held else { return Outcome::nak("there is no such account") };
        if fixed && account.0 >= limit.value {
            return Outcome::Ack;
        }
        match ctx.store.save_if_current(limit.record, Account(limit.value, account.1), account.version) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::nak("the account was changed meanwhile"),
        }
    });
    let simulation = Simulation::on(quorum).service(bank).hosted(cards, ASYNC);
    let simulation = simulation.seeded("cards", |store| _ = store.overwrite(A1, Account(0, false), None));
    let requests = [1, 2].map(|limit| Request::of("bank", "limit", A1).saying(limit));
    let simulation = simulation.client("clerk", requests.to_vec());
    simulation.client("admin", vec![Request::of("cards", "freeze", A1)]).build().expect("the parts fit")
}

fn is_the_latest(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let said = moment.store_of("bank").find::<Limits>(A1).map_or(0, |limits| limits.0);
    match moment.store_of("cards").find::<Account>(A1) {
        Some(account) if account.0 != said => {
            Err(Violation::at("cards").of(A1).because(format!("the limit is {}, expected {said}", account.0)))
        }
        _ => Ok(()),
    }
}
