//! What a handler leaves behind: by how its service publishes, what it answers and where it is cut off.

use super::*;
use crate::broker::State;
use crate::doc_example::{Change, Changed, Item, Shop};
use crate::faults::Window;
use crate::ids::{RecordId, Subject, Time};
use crate::scheduler::ClientIndex;
use crate::service::{Context, PublishMode, Service, Work};
use crate::simulation::Simulation;
use crate::store::{Schema, VersionPolicy};

const ITEM: RecordId = RecordId::new('i', 1);
const REFUSED: u32 = 0;
const ACCEPTED: u32 = 1;

/// Saves, says so and arms a timer, and then refuses if the price is [`REFUSED`].
struct Does {
    name: &'static str,
    mode: PublishMode,
}

impl Does {
    fn all(ctx: &mut Context<'_, Shop>, price: u32) {
        let version = ctx.store.overwrite(ITEM, Item { price }, None);
        ctx.publish(Changed { item: ITEM, version, price });
        ctx.arm(ITEM, Time(90_000_000));
    }
}

impl Service<Shop> for Does {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<Item>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        if self.name == "search" { const { &[Subject::new("item:changed")] } } else { &[] }
    }

    fn publish_mode(&self, _: Work) -> PublishMode {
        self.mode
    }

    fn execute(&self, command: &Change, ctx: &mut Context<'_, Shop>) -> Result<(), Rejection> {
        Does::all(ctx, command.price);
        if command.price == REFUSED { Err(Rejection { status: 400, reason: "refused" }) } else { Ok(()) }
    }

    fn handle(&self, event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
        Does::all(ctx, event.price);
        if event.price == REFUSED { Outcome::Silent("refused") } else { Outcome::Ack }
    }
}

const MODES: [PublishMode; 3] = [PublishMode::Outbox, PublishMode::DualWrite, PublishMode::BeforeSave];

/// Whether it saved and published, by the rules in the docs of [`PublishMode`].
fn leaves(mode: PublishMode, price: u32, crash: Option<Window>) -> (bool, bool) {
    match (mode, crash) {
        (_, Some(Window::BeforeSave)) => (false, false),
        (PublishMode::Outbox, _) => (price != REFUSED, price != REFUSED),
        (PublishMode::DualWrite, Some(Window::BeforePublish)) => (true, false),
        (PublishMode::BeforeSave, Some(Window::BeforePublish)) => (false, true),
        (PublishMode::DualWrite | PublishMode::BeforeSave, _) => (true, true),
    }
}

/// A shop that does as it is asked, and a search service that publishes so.
fn world(shop: PublishMode, search: PublishMode, price: u32) -> World<Shop> {
    let simulation = Simulation::on(Profile::adversarial())
        .service(Does { name: "shop", mode: shop })
        .service(Does { name: "search", mode: search })
        .client("seller", vec![Change { item: ITEM, price }])
        .build();
    simulation.expect("the parts fit").world()
}

/// Whether the last step saved, published and armed at that service.
fn left(world: &World<Shop>, service: &str, published: usize, armed_before: u32) -> (bool, bool, bool) {
    let has_saved = world.store_of(service).find::<Item>(ITEM).is_some();
    (has_saved, published > 0, world.timers_armed() > armed_before)
}

#[test]
fn a_command_leaves_what_its_service_says_it_does() {
    for (mode, price) in MODES.into_iter().flat_map(|mode| [(mode, ACCEPTED), (mode, REFUSED)]) {
        for crash in Window::ALL.map(Some).into_iter().chain([None]) {
            let mut world = world(mode, mode, price);
            let (action, fate) = (Action::Command(ClientIndex(0)), Fate { crash, ..Fate::CALM });
            let step = world.step(action, fate);
            let (saved, published, armed) = left(&world, "shop", step.published.len(), 0);
            let words = format!("{mode:?}, price {price}, {crash:?}");
            assert_eq!((saved, published), leaves(mode, price, crash), "{words}");
            assert_eq!(armed && crash.is_none(), crash.is_none() && saved, "{words}");
        }
    }
}

#[test]
fn a_delivery_leaves_what_its_service_says_it_does_and_is_done_if_its_ack_was_sent() {
    for (mode, price) in MODES.into_iter().flat_map(|mode| [(mode, ACCEPTED), (mode, REFUSED)]) {
        for crash in Window::ALL.map(Some).into_iter().chain([None]) {
            // The shop says it whatever it answers, and is not looked at.
            let mut world = world(PublishMode::DualWrite, mode, price);
            world.step(Action::Command(ClientIndex(0)), Fate::CALM);
            let armed_before = world.timers_armed();
            let index = world.broker.ready()[0];
            let (action, fate) = (Action::Deliver(index), Fate { crash, ..Fate::CALM });
            let step = world.step(action, fate);
            let (saved, published, armed) = left(&world, "search", step.published.len(), armed_before);
            let words = format!("{mode:?}, price {price}, {crash:?}");
            assert_eq!((saved, published), leaves(mode, price, crash), "{words}");
            assert_eq!(armed && crash.is_none(), crash.is_none() && saved, "{words}");
            let is_done = price == ACCEPTED && matches!(crash, None | Some(Window::AfterAck));
            assert_eq!(world.broker.delivery(index).state == State::Settled, is_done, "{words}");
        }
    }
}

/// It counts as handed out again, although it was not handed out before.
#[test]
fn a_duplicate_is_a_delivery_of_its_own_that_comes_again() {
    let mut world = world(PublishMode::DualWrite, PublishMode::Outbox, ACCEPTED);
    world.step(Action::Command(ClientIndex(0)), Fate::CALM);
    let index = world.broker.ready()[0];
    world.step(Action::Deliver(index), Fate { duplicate: true, ..Fate::CALM });
    let duplicates: Vec<_> =
        world.broker.ready().iter().filter(|ready| world.broker.delivery(**ready).duplicate).copied().collect();
    let [duplicate] = duplicates[..] else { panic!("expected one duplicate, found {duplicates:?}") };
    assert_eq!(world.broker.delivery(duplicate).attempt, 2);
    world.step(Action::Deliver(duplicate), Fate::CALM);
    assert_eq!([index, duplicate].map(|index| world.broker.delivery(index).is_repeated()), [false, true]);
}
