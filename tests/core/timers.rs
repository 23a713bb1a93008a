//! Timers on the virtual clock: they fire once each, in time, also twins, and those in memory die
//! with a crash.

use std::time::Duration;

use pellmell::broker::MaxDeliver;
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::property::End;
use pellmell::scheduler::{Action, Tie};
use pellmell::search::{Bounds, DeliveryOrder, Ended, Exhaust, Most, Shortest, ShortestBounds};
use pellmell::{
    AckTiming, Calm, Context, Departing, Departure, Fate, FaultPlan, Hosting, Judges, Limits, Moment, Outcome, Profile,
    Property, PublishMode, Rate, Ratio, RecordId, Rejection, Replayed, Schema, Service, Simulation, Subject, Time,
    Timer, Version, VersionPolicy, Violation, Window, Work, World, run, testing,
};

/// Each command arms timers for its item; each timer that fires counts in the item's price, and
/// arms twins once more while the price is below `again`.
struct Clockwork {
    in_memory: bool,
    twins: u32,
    again: u32,
}

impl Clockwork {
    fn arm(&self, item: RecordId, ctx: &mut Context<'_, Shop>) {
        // Always the same moment: what is armed when it has passed fires at once.
        let due = Time(10_000_000).after(Duration::from_secs(1));
        for _ in 0..self.twins {
            if self.in_memory { ctx.arm_in_memory(item, due) } else { ctx.arm(item, due) }
        }
    }
}

impl Service<Shop> for Clockwork {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Item>(VersionPolicy::EVERY_SAVE);
    }

    fn execute(&self, command: &Change, ctx: &mut Context<'_, Shop>) -> Result<(), Rejection> {
        let taken = |_| Rejection { status: 409, reason: "exists" };
        ctx.store.insert(command.item, Item { price: 0 }).map_err(taken)?;
        self.arm(command.item, ctx);
        Ok(())
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, Shop>) {
        let item = timer.record();
        let held = ctx.store.find::<Item>(item).expect("the command made it").clone();
        let price = held.price + 1;
        ctx.store.save_if_current(item, Item { price }, held.version).expect("nobody races");
        if price < self.again {
            self.arm(item, ctx);
        }
    }
}

/// How often the timers of two items fired, and the time at the end.
fn play(clockwork: Clockwork, crash_second: bool) -> (u32, u32, Time, World<Shop>) {
    let (i1, i2) = (RecordId::new('i', 1), RecordId::new('i', 2));
    let commands = vec![Change { item: i1, price: 0 }, Change { item: i2, price: 0 }];
    let simulation = Simulation::on(Profile::stan()).service(clockwork).client("a", commands).build();
    let mut world = simulation.expect("the parts fit").world();
    let rate = Rate { ratio: Ratio::ALWAYS, most: 2 };
    let plan = if crash_second { FaultPlan { crash: rate, ..FaultPlan::NONE } } else { FaultPlan::NONE };
    let report = run(&mut world, &mut Calm::new(3, plan), &Judges::new(Vec::new()), Limits::default(), &mut ());
    assert!(report.verdict.is_held(), "{:?}", report.verdict);
    let fired = |id| world.store_of("shop").find::<Item>(id).map_or(0, |item| item.price);
    (fired(i1), fired(i2), report.time, world)
}

#[test]
fn every_timer_fires_once_in_its_time() {
    let (one, two, time, _) = play(Clockwork { in_memory: false, twins: 1, again: 0 }, false);
    assert_eq!((one, two, time), (1, 1, Time(11_000_000)));
}

#[test]
fn a_timer_armed_twice_fires_twice() {
    let (one, two, ..) = play(Clockwork { in_memory: false, twins: 2, again: 0 }, false);
    assert_eq!((one, two), (2, 2));
}

#[test]
fn twins_armed_while_a_twin_is_pending_are_timers_of_their_own() {
    // The first of two twins fires and arms two more while the second is pending.
    let (one, two, _, world) = play(Clockwork { in_memory: false, twins: 2, again: 2 }, false);
    assert_eq!((one, two), (4, 4));
    assert!(world.is_finished(), "no timer is left over");
}

#[test]
fn timers_in_memory_die_with_a_crash_and_durable_ones_do_not() {
    let (one, two, ..) = play(Clockwork { in_memory: true, twins: 1, again: 0 }, true);
    assert_eq!((one, two), (0, 0));
    let (one, two, _, world) = play(Clockwork { in_memory: false, twins: 1, again: 0 }, true);
    let made = world.store_of("shop").all::<Item>().count() as u32;
    assert_eq!(one + two, made, "every item that was saved has its timer");
}

#[test]
fn timers_in_memory_die_with_the_member_that_armed_them_alone() {
    let commands = (1..=7).map(|number| Change { item: RecordId::new('i', number), price: 0 }).collect();
    let clockwork = Clockwork { in_memory: true, twins: 1, again: 0 };
    let hosting = Hosting { members: 4, ..Hosting::ALONE };
    let simulation = Simulation::on(Profile::stan()).hosted(clockwork, hosting).client("a", commands).build();
    let mut world = simulation.expect("the parts fit").world();
    let client = world.enabled().iter().next().expect("a command");
    let mut armed_by = Vec::new();
    for _ in 0..7 {
        let step = world.step(client, Fate::CALM);
        armed_by.push(step.actor.expect("somebody executes it").member);
    }
    assert_eq!(world.timers_armed(), 7);
    // The timer that fires first takes its member with it, after its save.
    let crash = Fate { crash: Some(Window::AfterAck), ..Fate::CALM };
    let dying = world.step(Action::Advance, crash).actor.expect("its member").member;
    let lost = armed_by.iter().filter(|member| **member == dying).count() as u32;
    assert_eq!(world.timers_armed(), 7 - lost, "{armed_by:?}, member {dying} died");
    assert!(lost < 7, "others armed some as well: {armed_by:?}");
}

/// One timer for one item; when it fires it saves the item at price 1 and publishes that.
struct Deadline {
    mode: PublishMode,
    in_memory: bool,
}

impl Service<Shop> for Deadline {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Item>(VersionPolicy::EVERY_SAVE);
    }

    fn publish_mode(&self, _: Work) -> PublishMode {
        self.mode
    }

    fn execute(&self, command: &Change, ctx: &mut Context<'_, Shop>) -> Result<(), Rejection> {
        let due = Time(1_000_000);
        if self.in_memory {
            ctx.arm_in_memory(command.item, due)
        } else {
            ctx.arm(command.item, due)
        }
        Ok(())
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, Shop>) {
        let item = timer.record();
        ctx.store.overwrite(item, Item { price: 1 }, None);
        ctx.publish(Changed { item, version: Version(0), price: 1 });
    }
}

/// The numbers of saves, of messages, of timers that fired and of crashes, and the time at the end,
/// under a crash of the timer's handler.
fn crash_at_timer(mode: PublishMode, in_memory: bool, window: Window) -> (usize, usize, u64, u64, Time) {
    let i1 = RecordId::new('i', 1);
    let simulation = Simulation::on(Profile::stan()).service(Deadline { mode, in_memory });
    let simulation = simulation.client("a", vec![Change { item: i1, price: 0 }]).build().expect("the parts fit");
    let crash = format!("crash shop {} of timer i1 of shop", window.name());
    let mut departing = Departing::new(vec![crash.parse().expect("a departure")]);
    let mut world = simulation.world();
    let report = run(&mut world, &mut departing, &Judges::new(Vec::new()), Limits::default(), &mut ());
    assert_eq!(departing.unused().count(), 0);
    assert!(world.is_finished(), "no timer is left over");
    let saves = world.store_of("shop").history::<Item>(i1).len();
    (saves, world.broker().messages().len(), report.steps - 1, report.counts.crashes, report.time)
}

#[test]
fn a_crash_at_a_timer_leaves_what_was_done_before_its_window() {
    use PublishMode::{BeforeSave, DualWrite, Outbox};
    let due = Time(1_000_000);
    for mode in [Outbox, DualWrite, BeforeSave] {
        let before_save = crash_at_timer(mode, false, Window::BeforeSave);
        assert_eq!(before_save, (1, 1, 2, 1, due), "it fires again: {mode:?}");
        assert_eq!(crash_at_timer(mode, true, Window::BeforeSave), (0, 0, 1, 1, due), "it is forgotten: {mode:?}");
        for window in [Window::BeforeAck, Window::AfterAck] {
            assert_eq!(crash_at_timer(mode, false, window), (1, 1, 1, 1, due), "it is done: {mode:?}");
        }
    }
    let before_publish = |mode| crash_at_timer(mode, false, Window::BeforePublish);
    assert_eq!(before_publish(Outbox), (1, 1, 1, 1, due));
    assert_eq!(before_publish(DualWrite), (1, 0, 1, 1, due), "the event is lost");
    assert_eq!(before_publish(BeforeSave), (0, 1, 1, 1, due), "the save is lost");
}

#[test]
fn a_plan_that_always_crashes_lets_a_timer_through_after_so_many_attempts() {
    let simulation = Simulation::on(Profile::stan()).service(Deadline { mode: PublishMode::Outbox, in_memory: false });
    let i1 = RecordId::new('i', 1);
    let simulation = simulation.client("a", vec![Change { item: i1, price: 0 }]).build().expect("the parts fit");
    let plan = FaultPlan { crash: Rate::of(Ratio::ALWAYS), ..FaultPlan::NONE };
    let (mut fired, mut again) = (0, 0);
    for seed in 0..64 {
        let mut world = simulation.world();
        let judges = Judges::new(Vec::new());
        let report = run(&mut world, &mut Calm::new(seed, plan), &judges, Limits::default(), &mut ());
        fired += world.store_of("shop").history::<Item>(i1).len();
        again += usize::from(report.steps > 2);
        assert!(report.steps <= 5, "one command, three attempts that crash, one that does not");
        assert!(world.is_finished());
    }
    // A command that crashed before its save arms nothing: one seed in four.
    assert!((40..56).contains(&fired) && again > 5, "fired {fired}, again {again}");
}

/// In the end the timer of every item has fired.
struct EachFires;

impl Property<Shop> for EachFires {
    fn name(&self) -> &'static str {
        "EachFires"
    }

    fn at_end(&self, end: &End<'_, Shop>) -> Result<(), Violation> {
        let silent = end.store_of("shop").all::<Item>().find(|(_, item)| item.price == 0);
        silent.map_or(Ok(()), |(id, _)| Err(Violation::at("shop").of(id).because("its timer never fired")))
    }
}

#[test]
fn a_search_finds_the_crash_that_kills_a_timer_and_waits_for_those_that_are_armed() {
    for (in_memory, crashes, expected) in [(false, 2, None), (true, 0, None), (true, 1, Some("0d/1c"))] {
        let items = [1, 2].map(|number| Change { item: RecordId::new('i', number), price: 0 });
        let simulation = Simulation::on(DeliveryOrder::Lockstep.profile())
            .service(Clockwork { in_memory, twins: 1, again: 0 })
            .client("a", items.to_vec())
            .build()
            .expect("the parts fit");
        let judges = Judges::new(vec![Box::new(EachFires)]);
        let bounds = ShortestBounds { crashes, ..ShortestBounds::of(DeliveryOrder::Lockstep) };
        let shortest = Shortest::new(&simulation, &judges).with_bounds(bounds).with_states_max(1_000);
        let searched = shortest.run();
        let costs: Vec<String> = searched.found.iter().map(|found| found.cost.to_string()).collect();
        let place = format!("in memory: {in_memory}, {crashes} crashes, {} states", searched.states);
        assert_eq!(costs, Vec::from_iter(expected), "{place}");
        assert!(searched.complete && searched.states > 3, "{place}");
    }
}

/// A shop whose items are reminded of: price 0 calls off what is armed, 1 calls off and is refused, 2 calls
/// off and arms anew, any other arms two timers. Those that fire add to the price what they carry.
fn reminders() -> Simulation<Shop> {
    let shop = testing::service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).on_command(|change, ctx| {
        let due = Time(60_000_000);
        if change.price <= 2 {
            ctx.call_off(change.item, "remind");
        } else {
            let _ = ctx.store.insert(change.item, Item { price: 0 });
            ctx.arm_timer(Timer::of(change.item, due).with_purpose("close").carrying(1_000u32));
        }
        match change.price {
            0 => Ok(()),
            1 => Err(Rejection { status: 409, reason: "no" }),
            price => {
                ctx.arm_timer(Timer::of(change.item, due).with_purpose("remind").carrying(price));
                Ok(())
            }
        }
    });
    let shop = shop.on_timer(|timer, ctx| {
        let held = ctx.store.find::<Item>(timer.record()).expect("the command made it").clone();
        let more = timer.payload::<u32>().expect("each is armed with one");
        assert_eq!(timer.payload::<String>(), None);
        assert_eq!((timer.purpose() == "close", timer.due()), (*more == 1_000, Time(60_000_000)));
        let price = held.price + more;
        ctx.store.save_if_current(timer.record(), Item { price }, held.version).expect("nobody races");
    });
    let client = |simulation: pellmell::simulation::SimulationBuilder<Shop>, number, prices: &[u32]| {
        let commands = prices.iter().map(|price| Change { item: RecordId::new('i', number), price: *price });
        simulation.client(format!("client-{number}"), commands.collect::<Vec<_>>())
    };
    let simulation = Simulation::on(Profile::stan()).service(shop);
    let prices: [&[u32]; 5] = [&[10], &[10, 0], &[10, 1], &[10, 2], &[10, 20, 0]];
    (1..)
        .zip(prices)
        .fold(simulation, |on, (number, prices)| client(on, number, prices))
        .build()
        .expect("the parts fit")
}

#[test]
fn a_timer_fires_with_its_purpose_and_what_it_carries_unless_it_was_called_off() {
    let simulation = reminders();
    let mut world = simulation.world();
    let judges = Judges::new(Vec::new());
    let report = run(&mut world, &mut Calm::new(0, FaultPlan::NONE), &judges, Limits::default(), &mut ());
    assert!(report.verdict.is_held() && world.is_finished(), "{:?}", report.verdict);
    let prices: Vec<u32> = world.store_of("shop").all::<Item>().map(|(_, item)| item.price).collect();
    // Called off; called off by a transaction that was refused; called off and armed anew; two called off.
    assert_eq!(prices, [1_010, 1_000, 1_010, 1_002, 2_000]);
}

#[test]
fn what_a_timer_carries_is_a_part_of_the_world_and_how_often_it_fired_before_is_not() {
    let item = RecordId::new('i', 1);
    let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
        let due = Time(if change.price == 0 { 0 } else { 60_000_000 });
        ctx.arm_timer(Timer::of(change.item, due).with_purpose("remind").carrying(change.price / 10));
        Ok(())
    });
    let prices = [0, 10, 11, 20];
    let client = |on: pellmell::simulation::SimulationBuilder<Shop>, price: &u32| {
        on.client(format!("client-{price}"), vec![Change { item, price: *price }])
    };
    let on = Simulation::on(Profile::stan()).service(shop.on_timer(|_, _| ()));
    let simulation = prices.iter().fold(on, client).build().expect("the parts fit");
    // The commands with these prices, in this order; `None` is the clock.
    let after = |order: &[Option<u32>]| {
        let mut world = simulation.world();
        let clients: Vec<Action> = world.enabled().iter().collect();
        for price in order {
            let place = price.and_then(|price| prices.iter().position(|known| *known == price));
            let action = place.map_or(Action::Advance, |place| clients[place]);
            world.step(action, Fate::CALM);
        }
        let next = world.target(Action::Advance).map(|target| target.to_string());
        (world.digest(), next.expect("a timer"))
    };
    // Of two that carry the same it does not matter which is first; of two others it does.
    assert_eq!(after(&[Some(10), Some(11)]).0, after(&[Some(11), Some(10)]).0);
    assert_ne!(after(&[Some(10), Some(20)]).0, after(&[Some(20), Some(10)]).0);
    let (once, again) = (after(&[Some(10), Some(0), None]), after(&[Some(0), None, Some(10)]));
    assert_eq!((once.1.as_str(), again.1.as_str()), ("timer i1 remind of shop", "timer i1 remind of shop /2"));
    assert_eq!(once.0, again.0);
}

/// A job that is tried again three times, the number of tries left in the timer.
fn retrying(price: u32) -> Simulation<Shop> {
    retrying_on(Profile::stan(), price)
}

fn retrying_on(profile: Profile, price: u32) -> Simulation<Shop> {
    let retry = |item, tries: u32, ctx: &mut Context<'_, Shop>| {
        let due = ctx.now().after(Duration::from_secs(1));
        ctx.arm_timer(Timer::of(item, due).with_purpose("retry").carrying(tries));
    };
    let shop = testing::service::<Shop>("shop")
        .owns::<Item>(VersionPolicy::EVERY_SAVE)
        .on_command(move |change, ctx| {
            let _ = ctx.store.insert(change.item, Item { price: 0 });
            retry(change.item, change.price, ctx);
            Ok(())
        })
        .on_timer(move |timer, ctx| {
            let held = ctx.store.find::<Item>(timer.record()).expect("the command made it").clone();
            let price = held.price + 1;
            ctx.store.save_if_current(timer.record(), Item { price }, held.version).expect("nobody races");
            match timer.payload::<u32>() {
                Some(0) | None => {}
                Some(tries) => retry(timer.record(), tries - 1, ctx),
            }
        });
    let commands = vec![Change { item: RecordId::new('i', 1), price }];
    Simulation::on(profile).service(shop).client("a", commands).build().expect("the parts fit")
}

fn tried_at_most(most: u32) -> Judges<Shop> {
    Judges::new(vec![testing::at_quiescence("TriedAtMost", move |moment: &Moment<'_, Shop>| {
        match moment.store_of("shop").all::<Item>().find(|(_, item)| item.price > most) {
            Some((id, item)) => Err(Violation::at("shop").of(id).because(format!("tried {} times", item.price))),
            None => Ok(()),
        }
    })])
}

#[test]
fn a_timer_that_is_armed_again_after_it_fired_has_a_number_and_departures_find_it() {
    let simulation = retrying(3);
    let crash: Vec<Departure> =
        vec!["crash shop before save of timer i1 retry of shop /3".parse().expect("a departure")];
    let mut recorder = pellmell::trace::Naming::default();
    let (judges, limits) = (Judges::new(Vec::new()), Limits::default());
    run(&mut simulation.world(), &mut Departing::new(crash), &judges, limits, &mut recorder);
    let steps: Vec<String> = recorder.into_steps().iter().map(ToString::to_string).collect();
    let expected = [
        "a: change i1 to 3",
        "timer i1 retry of shop",
        "timer i1 retry of shop /2",
        "timer i1 retry of shop /3, crash before save",
        "timer i1 retry of shop /3 #2",
        "timer i1 retry of shop /4",
    ];
    assert_eq!(steps, expected);
    let steps = steps.iter().map(|step| step.parse().expect("a step")).collect();
    let report = run(&mut simulation.world(), &mut Replayed::new(steps), &judges, limits, &mut ());
    assert_eq!(report.steps, 6);
}

#[test]
fn a_failure_of_a_timer_that_was_armed_again_is_shrunk_and_played_again() {
    let simulation = retrying(3);
    let judges = tried_at_most(3);
    for seed in 0..50 {
        let keyed = pellmell::Keyed::new(seed, FaultPlan::SOME);
        let extracted = pellmell::extract::extract(&simulation, keyed, &judges, Limits::default(), Tie::InOrder);
        assert!(extracted.is_ok(), "seed {seed}: {extracted:?}");
    }
    let check = || testing::check(&simulation, 0..50, FaultPlan::NONE, &judges);
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
    let told = *told.expect_err("it fails").downcast::<String>().expect("a text");
    assert!(told.contains("violated TriedAtMost: at shop, i1: tried 4 times"), "{told}");
    assert!(told.contains("clock: timer i1 retry of shop /4 fires"), "{told}");
    assert!(!told.contains("not shrunk"), "{told}");
}

#[test]
fn a_complete_search_goes_through_timers_that_carry_something() {
    for (most, ended) in [(4, Ended::All), (3, Ended::Failing)] {
        let bounds = Bounds { crashes: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
        let exhausted =
            Exhaust::new(&retrying_on(bounds.order.profile(), 3), &tried_at_most(most)).with_bounds(bounds).run();
        assert_eq!(exhausted.ended, ended, "{exhausted:?}");
    }
}

#[test]
fn a_service_of_closures_publishes_and_acks_as_it_is_told() {
    let simulation = |mode, timing| {
        let policy = VersionPolicy::EVERY_SAVE;
        let shop = testing::service::<Shop>("shop").owns::<Item>(policy).publishing(mode).on_command(|change, ctx| {
            let _ = ctx.store.insert(change.item, Item { price: change.price });
            ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
            Ok(())
        });
        let search = testing::service::<Shop>("search").keeps::<Item>(policy).acking(timing);
        let listens = const { &[Subject::new("item:changed")] };
        let search = search.on_event(listens, |event, ctx| match ctx.store.insert(event.item, Item { price: 0 }) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::Silent("duplicate key"),
        });
        let commands = vec![Change { item: RecordId::new('i', 1), price: 0 }];
        let on = Simulation::on(Profile::stan()).service(shop).service(search);
        on.client("a", commands).build().expect("the parts fit")
    };
    let held = |mode, timing, schedule: &str| {
        let mut world = simulation(mode, timing).world();
        let departures = vec![schedule.parse().expect("a departure")];
        let judges = Judges::new(Vec::new());
        run(&mut world, &mut Departing::new(departures), &judges, Limits::default(), &mut ());
        ["shop", "search"].map(|service| world.store_of(service).all::<Item>().count())
    };
    let crash = "crash shop before publish of a: change i1 to 0";
    assert_eq!(held(PublishMode::Outbox, AckTiming::AfterSave, crash), [1, 1]);
    assert_eq!(held(PublishMode::DualWrite, AckTiming::AfterSave, crash), [1, 0]);
    let crash = "crash search before save of item:changed i1@0 -> search";
    assert_eq!(held(PublishMode::Outbox, AckTiming::AfterSave, crash), [1, 1]);
    assert_eq!(held(PublishMode::Outbox, AckTiming::BeforeSave, crash), [1, 0]);
}

#[test]
fn a_service_of_closures_has_one_handler_for_timers_and_needs_it_to_arm_any() {
    let panic_of = |work: &dyn Fn()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).expect_err("a panic");
        *panic.downcast::<String>().expect("a text")
    };
    let twice = || drop(testing::service::<Shop>("shop").on_timer(|_, _| ()).on_timer(|_, _| ()));
    assert!(panic_of(&twice).contains("service `shop` has two handlers for timers"));
    let deaf = || {
        let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
            ctx.arm(change.item, Time(0));
            Ok(())
        });
        let commands = vec![Change { item: RecordId::new('i', 1), price: 0 }];
        let simulation = Simulation::on(Profile::stan()).service(shop).client("a", commands).build();
        let mut world = simulation.expect("the parts fit").world();
        let command = world.enabled().iter().next().expect("a command");
        world.step(command, Fate::CALM);
        world.step(Action::Advance, Fate::CALM);
    };
    assert!(panic_of(&deaf).contains("service `shop` arms timers and has no handler for them"));
}

#[test]
fn a_timer_in_the_memory_of_another_member_is_not_called_off() {
    let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
        if change.price == 0 {
            ctx.call_off(change.item, "");
        } else {
            ctx.arm_in_memory(change.item, Time(60_000_000));
        }
        Ok(())
    });
    let shop = shop.on_timer(|_, _| ());
    let hosting = Hosting { members: 4, ..Hosting::ALONE };
    let commands = (1..=7).map(|price| Change { item: RecordId::new('i', 1), price });
    let call_off = Change { item: RecordId::new('i', 1), price: 0 };
    let commands: Vec<_> = commands.chain([call_off]).collect();
    let simulation = Simulation::on(Profile::stan()).hosted(shop, hosting).client("a", commands).build();
    let mut world = simulation.expect("the parts fit").world();
    let client = world.enabled().iter().next().expect("a command");
    let members: Vec<u16> = (0..8).map(|_| world.step(client, Fate::CALM).actor.expect("a member").member).collect();
    let called_off = members[..7].iter().filter(|member| **member == members[7]).count() as u32;
    assert_eq!(world.timers_armed(), 7 - called_off, "{members:?}");
    assert!((1..7).contains(&called_off), "{members:?}");
}

/// What is done at each attempt is done again at the next one, so a message that arms is no message that changes
/// nothing, though the store is as it was.
#[test]
fn a_refused_message_whose_handler_armed_a_timer_comes_again() {
    let attempts = |mode| {
        let policy = VersionPolicy::EVERY_SAVE;
        let shop = testing::service::<Shop>("shop").owns::<Item>(policy).on_command(|change, ctx| {
            ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
            Ok(())
        });
        let listens = const { &[Subject::new("item:changed")] };
        let search = testing::service::<Shop>("search").keeps::<Item>(policy).publishing(mode);
        let search = search.on_event(listens, |event, ctx| {
            ctx.arm(event.item, Time(0));
            Outcome::nak("never")
        });
        let search = search.on_timer(|_, _| ());
        let profile = Profile { max_deliver: MaxDeliver::Unlimited, ..Profile::adversarial() };
        let commands = vec![Change { item: RecordId::new('i', 1), price: 0 }];
        let on = Simulation::on(profile).service(shop).service(search).client("a", commands);
        let mut world = on.build().expect("the parts fit").world();
        let report = run(
            &mut world,
            &mut Calm::new(0, FaultPlan::NONE),
            &Judges::new(Vec::new()),
            Limits { steps_max: 100, ..Limits::default() },
            &mut (),
        );
        report.counts.deliveries
    };
    // It never ends by itself.
    assert!(attempts(PublishMode::DualWrite) > 90);
    // An outbox takes back what a refused handler asked for, so it comes again only if something changes.
    assert_eq!(attempts(PublishMode::Outbox), 1);
}
