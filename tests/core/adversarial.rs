//! What the broker without promises lets pass and other brokers do not, and the parameter that takes it back.

use pellmell::broker::{Exhausted, MaxDeliver, Sees, Start};
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::testing::{at_quiescence, service};
use pellmell::vacuity::{Asked, Kind};
use pellmell::{
    Context, FaultPlan, Hosting, Judges, Keyed, Limits, Moment, Outcome, Profile, Rate, Ratio, RecordId, Simulation,
    Subject, Version, VersionPolicy, Violation,
};

const CHANGED: Subject = Subject::new("item:changed");
/// How many changes search counted.
const COUNT: RecordId = RecordId::new('i', 9);

/// How a search counts what it is sent.
type Count = fn(&Changed, &mut Context<'_, Shop>) -> Outcome;

fn counted(ctx: &Context<'_, Shop>) -> u32 {
    ctx.store.find::<Item>(COUNT).map_or(0, |item| item.price)
}

fn count(ctx: &mut Context<'_, Shop>) -> Outcome {
    let (so_far, held) = (counted(ctx), ctx.store.find::<Item>(COUNT).map(|item| item.version));
    ctx.store.overwrite(COUNT, Item { price: so_far + 1 }, held);
    Outcome::Ack
}

/// Takes every attempt but the first for a copy.
fn first_attempts(_: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
    if ctx.attempt() > 1 { Outcome::Ack } else { count(ctx) }
}

/// Waits for the one before.
fn in_order(event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
    match counted(ctx).cmp(&(event.price - 1)) {
        std::cmp::Ordering::Less => Outcome::Nak { delay: None, reason: "too early" },
        std::cmp::Ordering::Equal => count(ctx),
        std::cmp::Ordering::Greater => Outcome::Ack,
    }
}

/// How many of 200 runs end with another count than the three changes that were published.
fn failed(profile: Profile, by: Count, joins_late: bool, plan: FaultPlan) -> u64 {
    let shop = service::<Shop>("shop").on_command(|change, ctx| {
        ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
        Ok(())
    });
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).on_event(const { &[CHANGED] }, by);
    let change = |number: u32| Change { item: RecordId::new('i', number), price: number };
    let on = Simulation::on(profile).client("ann", (1..=3).map(change).collect());
    let on = on.service(shop).hosted(search, Hosting { joins_late, ..Hosting::ALONE });
    let simulation = on.build().expect("the parts fit");
    let judges = Judges::new(vec![at_quiescence("Counted", |moment: &Moment<'_, Shop>| {
        let count = moment.store_of("search").find::<Item>(COUNT).map_or(0, |item| item.price);
        let published = moment.world().broker().messages().iter().filter(|message| !message.is_retry).count();
        if u32::try_from(published) == Ok(count) { Ok(()) } else { Err(Violation::at("search")) }
    })]);
    let run = |seed| {
        let mut keyed = Keyed::new(seed, plan);
        let report = pellmell::run::run(&mut simulation.world(), &mut keyed, &judges, Limits::default(), &mut ());
        u64::from(!report.verdict.is_held())
    };
    (0..200).map(run).sum()
}

#[test]
fn what_holds_without_promises_fails_where_a_parameter_takes_back_what_that_broker_promises() {
    let rate = Rate::of(Ratio::new(1, 4));
    let calm = FaultPlan { swarm: false, ..FaultPlan::NONE };
    let copies = FaultPlan { duplicate: rate, ..calm };
    let retries = FaultPlan { republish: rate, ..calm };
    let limit = MaxDeliver::Times { times: 3, action: Exhausted::Drop };
    let adversarial = Profile::adversarial;
    let driven = |name: &str| pellmell::engine::Profile::named(name).map(|broker| Profile::driven(&broker));
    let driven = |name| driven(name).expect("it ships");
    for (what, profile, by, joins_late, plan, fails) in [
        ("a copy says so", adversarial(), first_attempts as Count, false, copies, false),
        ("or says nothing", Profile { sees: Sees::Nothing, ..adversarial() }, first_attempts, false, copies, true),
        ("or is flagged", Profile { sees: Sees::Flag, ..adversarial() }, first_attempts, false, copies, false),
        ("a retry is a first attempt", adversarial(), first_attempts, false, retries, true),
        ("Pub/Sub says nothing", driven("pubsub"), first_attempts, false, copies, true),
        (
            "also by parameters",
            Profile::named("pubsub-exactly-once").expect("it ships"),
            first_attempts,
            false,
            copies,
            true,
        ),
        ("it is sent again for ever", adversarial(), in_order, false, calm, false),
        ("or three times", Profile { max_deliver: limit, ..adversarial() }, in_order, false, calm, true),
        ("who joins late gets all", adversarial(), in_order, true, calm, false),
        ("or what is new", Profile { start: Start::New, ..adversarial() }, in_order, true, calm, true),
        ("on an engine, too", Profile { start: Start::New, ..driven("rabbitmq-classic") }, in_order, true, calm, true),
        ("unless it does not", driven("rabbitmq-classic"), in_order, true, calm, false),
    ] {
        let failed = failed(profile, by, joins_late, plan);
        assert_eq!(failed > 0, fails, "{what}: {failed} of 200");
    }
}

#[test]
fn a_start_that_no_group_begins_at_is_said_to_have_no_effect() {
    let told = |joins_late| -> Vec<String> {
        let shop = service::<Shop>("shop").on_command(|_, _| Ok(()));
        let search = service::<Shop>("search").on_event(const { &[CHANGED] }, |_, _| Outcome::Ack);
        let on = Simulation::on(Profile { start: Start::New, ..Profile::adversarial() }).service(shop);
        let simulation = on.hosted(search, Hosting { joins_late, ..Hosting::ALONE }).build().expect("the parts fit");
        let (judges, plan) = (Judges::new(Vec::new()), FaultPlan::NONE);
        let asked = Asked { simulation: &simulation, judges: &judges, plan: &plan, schedule: &[] };
        asked.foreseen().iter().filter(|found| found.kind == Kind::WithoutEffect).map(ToString::to_string).collect()
    };
    let why = "without-effect start: every group is there from the beginning, so there is nothing that it could miss";
    assert_eq!(told(false), [why]);
    assert_eq!(told(true), Vec::<String>::new());
}
