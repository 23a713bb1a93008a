//! Timers on the virtual clock: they fire once each, in time, also twins, and those in memory die
//! with a crash.

use std::time::Duration;

use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::property::End;
use pellmell::scheduler::Action;
use pellmell::search::{DeliveryOrder, Shortest, ShortestBounds};
use pellmell::{
    Calm, Context, Departing, Fate, FaultPlan, Hosting, Judges, Limits, Profile, Property, PublishMode, Rate, Ratio,
    RecordId, Rejection, Schema, Service, Simulation, Time, Version, VersionPolicy, Violation, Window, Work, World,
    run,
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

    fn on_timer(&self, item: RecordId, ctx: &mut Context<'_, Shop>) {
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

    fn on_timer(&self, item: RecordId, ctx: &mut Context<'_, Shop>) {
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
        let silent = end.world.store_of("shop").all::<Item>().find(|(_, item)| item.price == 0);
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
