//! Handlers that are `async fn`s: each await is a place where others may come between.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use expect_test::expect;
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::explain::Explain;
use pellmell::extract::extract;
use pellmell::schedule::{Departure, NamedStep, Target};
use pellmell::scheduler::{Calm, Departing, DepartureOutcome, Scripted, Tie};
use pellmell::search::{Bounds, DeliveryOrder, Ended, Exhaust, HoldSweep, Most};
use pellmell::shrink::Shrink;
use pellmell::testing::{Closures, at_quiescence, service};
use pellmell::trace::{Naming, Recorder};
use pellmell::{
    FaultPlan, Hosting, Judges, Keyed, Limits, Moment, Outcome, Outside, Port, Profile, Rate, Ratio, RecordId,
    Rejection, Replayed, Report, Scheduler, Simulation, Subject, Verdict, Version, VersionPolicy, Violation, Work,
};

const ITEM: RecordId = RecordId::new('i', 1);
const CHANGED: &[Subject] = &[Subject::new("item:changed")];

// The services as they are in production.

trait Items {
    async fn find(&self, id: RecordId) -> Option<(u32, Version)>;
    /// Whoever saves last wins.
    async fn save(&self, id: RecordId, price: u32, read: Option<Version>) -> Version;
    /// Saves if nobody has since.
    async fn save_if(&self, id: RecordId, price: u32, read: Option<Version>) -> Result<Version, String>;
}

trait Publisher {
    async fn publish(&self, event: Changed);
}

trait Pages {
    async fn index(&self, id: RecordId);
}

struct ShopService<I, P> {
    items: I,
    publisher: P,
}

impl<I: Items, P: Publisher> ShopService<I, P> {
    async fn change(&self, Change { item, price }: Change) -> Result<(), String> {
        let held = self.items.find(item).await;
        let version = self.items.save(item, price, held.map(|(_, version)| version)).await;
        self.publisher.publish(Changed { item, version, price }).await;
        Ok(())
    }

    async fn change_if(&self, Change { item, price }: Change) -> Result<(), String> {
        let held = self.items.find(item).await;
        let version = self.items.save_if(item, price, held.map(|(_, version)| version)).await?;
        self.publisher.publish(Changed { item, version, price }).await;
        Ok(())
    }
}

async fn follow(event: Changed, items: &impl Items, pages: &impl Pages) -> Result<(), String> {
    let held = items.find(event.item).await;
    if held.is_some_and(|(_, version)| version >= event.version) {
        return Ok(());
    }
    pages.index(event.item).await;
    items.save(event.item, event.price, held.map(|(_, version)| version)).await;
    Ok(())
}

// What stands behind their traits in a simulation.

impl Items for Port<Shop> {
    async fn find(&self, id: RecordId) -> Option<(u32, Version)> {
        self.read(move |store| store.find::<Item>(id).map(|held| (held.price, held.version))).await
    }

    async fn save(&self, id: RecordId, price: u32, read: Option<Version>) -> Version {
        self.call(move |ctx| ctx.store.overwrite(id, Item { price }, read)).await
    }

    async fn save_if(&self, id: RecordId, price: u32, read: Option<Version>) -> Result<Version, String> {
        self.call(move |ctx| match read {
            Some(read) => ctx.store.save_if_current(id, Item { price }, read).map_err(|error| error.to_string()),
            None => ctx.store.insert(id, Item { price }).map_err(|error| error.to_string()),
        })
        .await
    }
}

impl Publisher for Port<Shop> {
    async fn publish(&self, event: Changed) {
        self.call(move |ctx| ctx.publish(event)).await;
    }
}

impl Pages for Port<Shop> {
    async fn index(&self, id: RecordId) {
        self.call(move |ctx| ctx.outside(Outside::of("index", id))).await;
    }
}

fn refused(error: String) -> Rejection {
    Rejection::new(409, error)
}

fn shop() -> Closures<Shop> {
    let shop = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE);
    shop.on_command_async(|change, port: Port<Shop>| async move {
        let shop = ShopService { items: port.clone(), publisher: port };
        shop.change(change).await.map_err(refused)
    })
}

fn careful_shop() -> Closures<Shop> {
    let shop = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE);
    shop.on_command_async(|change, port: Port<Shop>| async move {
        let shop = ShopService { items: port.clone(), publisher: port };
        shop.change_if(change).await.map_err(refused)
    })
}

fn search() -> Closures<Shop> {
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    search.on_event_async(CHANGED, |event, port: Port<Shop>| async move {
        match follow(event, &port, &port).await {
            Ok(()) => Outcome::Ack,
            Err(_) => Outcome::nak("it was refused"),
        }
    })
}

const TWO: Hosting = Hosting { overlapping: true, ..Hosting::ALONE };

/// Ann and Bob change an item, of which a search hears.
fn simulation(shop: Closures<Shop>) -> Simulation<Shop> {
    let on = Simulation::on(Profile::stan()).hosted(shop, TWO).hosted(search(), TWO);
    let change = |price| vec![Change { item: ITEM, price }];
    on.client("ann", change(1)).client("bob", change(2)).build().expect("the parts fit")
}

fn both_prices_are_kept() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("NoLostUpdate", |moment: &Moment<'_, Shop>| {
        let version = moment.store_of("shop").find::<Item>(ITEM).map(|held| held.version.0);
        match version {
            Some(0) if moment.world().broker().messages().len() == 2 => {
                Err(Violation::at("shop").of(ITEM).because("two changes were accepted, and one of them is there"))
            }
            _ => Ok(()),
        }
    })])
}

fn steps(simulation: &Simulation<Shop>, scheduler: &mut dyn Scheduler) -> (Vec<String>, Report) {
    let mut recorder = Recorder::default();
    let nobody = Judges::new(Vec::new());
    let report = pellmell::run::run(&mut simulation.world(), scheduler, &nobody, Limits::default(), &mut recorder);
    let steps = recorder.into_records().into_iter().map(|record| {
        let list = |name: &str, of: Vec<String>| match of.is_empty() {
            true => String::new(),
            false => format!("; {name} {}", of.join(", ")),
        };
        let saved = record.saved.iter().map(|saved| format!("{}@{}", saved.id, saved.version)).collect();
        let rest = list("saves", saved) + &list("publishes", record.published) + &list("does", record.outside);
        format!("{}: {}{rest}", record.action, record.answer.unwrap_or_default())
    });
    (steps.collect(), report)
}

fn departing(simulation: &Simulation<Shop>, schedule: &[&str]) -> (String, Vec<DepartureOutcome>) {
    let schedule = schedule.iter().map(|line| line.parse().expect("a departure")).collect();
    let mut scheduler = Departing::new(schedule);
    let (steps, _) = steps(simulation, &mut scheduler);
    (steps.join("\n"), scheduler.outcomes().map(|(_, came)| came).collect())
}

#[test]
fn the_calm_run_is_that_of_handlers_that_await_nothing() {
    let (awaiting, report) = steps(&simulation(shop()), &mut Calm::new(0, FaultPlan::NONE));
    assert!(report.verdict.is_held());
    let plain = search_of_rules();
    let on = Simulation::on(Profile::stan()).hosted(crate::shop::shop(), TWO).hosted(plain, TWO);
    let change = |price| vec![Change { item: ITEM, price }];
    let plain = on.client("ann", change(1)).client("bob", change(2)).build().expect("the parts fit");
    let (at_once, of_plain) = steps(&plain, &mut Calm::new(0, FaultPlan::NONE));
    assert_eq!(awaiting, at_once);
    assert_eq!(report.fingerprint, of_plain.fingerprint);
}

fn search_of_rules() -> Closures<Shop> {
    service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|held| held.version);
        if held.is_none_or(|held| held < event.version) {
            ctx.outside(Outside::of("index", event.item));
            ctx.store.overwrite(event.item, Item { price: event.price }, held);
        }
        Outcome::Ack
    })
}

#[test]
fn at_each_await_others_come_between() {
    let shop = simulation(shop());
    let at = |place: u8| {
        departing(&shop, &[&format!("pause await {place} of ann: change i1 to 1 until bob: change i1 to 2")])
    };
    // Before it has read: one after the other.
    expect![[r#"
        ann: change i1 to 1: paused
        bob: change i1 to 2: accepted; saves i1@0; publishes item:changed i1@0
        resume ann: change i1 to 1: accepted; saves i1@1; publishes item:changed i1@1
        deliver item:changed i1@0 -> search #1: ack; saves i1@0; does index i1
        deliver item:changed i1@1 -> search #1: ack; saves i1@1; does index i1"#]]
    .assert_eq(&at(1).0);
    // Between what it reads and what it saves: one of the changes is lost.
    expect![[r#"
        ann: change i1 to 1: paused
        bob: change i1 to 2: accepted; saves i1@0; publishes item:changed i1@0
        resume ann: change i1 to 1: accepted; saves i1@0; publishes item:changed i1@0/2
        deliver item:changed i1@0 -> search #1: ack; saves i1@0; does index i1
        deliver item:changed i1@0/2 -> search #1: ack"#]]
    .assert_eq(&at(2).0);
    // Between what it saves and what it publishes: the later change is told first.
    expect![[r#"
        ann: change i1 to 1: paused
        bob: change i1 to 2: accepted; saves i1@1; publishes item:changed i1@1
        resume ann: change i1 to 1: accepted; publishes item:changed i1@0
        deliver item:changed i1@1 -> search #1: ack; saves i1@0; does index i1
        deliver item:changed i1@0 -> search #1: ack"#]]
    .assert_eq(&at(3).0);
    assert!((1..=3).all(|place| at(place).1 == [DepartureOutcome::InFull]));
}

#[test]
fn a_handler_is_interrupted_as_often_as_it_awaits_and_does_nothing_twice() {
    let shop = simulation(shop());
    let (steps, came) = departing(
        &shop,
        &[
            "pause await 2 of item:changed i1@0 -> search until bob: change i1 to 2",
            "pause await 3 of item:changed i1@0 -> search until item:changed i1@1 -> search",
            "hold bob: change i1 to 2 until pause of item:changed i1@0 -> search",
        ],
    );
    expect![[r#"
        ann: change i1 to 1: accepted; saves i1@0; publishes item:changed i1@0
        deliver item:changed i1@0 -> search #1: paused
        bob: change i1 to 2: accepted; saves i1@1; publishes item:changed i1@1
        resume item:changed i1@0 -> search #1: paused; does index i1
        deliver item:changed i1@1 -> search #1: ack; saves i1@0; does index i1
        resume item:changed i1@0 -> search #1: ack; saves i1@0"#]]
    .assert_eq(&steps);
    assert_eq!(came, [DepartureOutcome::InFull; 3]);
}

#[test]
fn without_a_number_a_handler_is_interrupted_before_its_first_change() {
    let shop = simulation(shop());
    let plain = "pause ann: change i1 to 1 until bob: change i1 to 2";
    let (steps, came) = departing(&shop, &[plain]);
    let (same, _) = departing(&shop, &["pause await 2 of ann: change i1 to 1 until bob: change i1 to 2"]);
    assert_eq!(steps, same);
    assert_eq!(came, [DepartureOutcome::InFull]);
    // What changes nothing is not interrupted.
    let (_, came) = departing(
        &shop,
        &["duplicate item:changed i1@0 -> search", "pause item:changed i1@0 -> search #2 until quiescence"],
    );
    assert_eq!(came, [DepartureOutcome::InFull, DepartureOutcome::NothingAwaited]);
}

#[test]
fn an_interruption_that_cannot_be_is_reported() {
    let came = |simulation: &Simulation<Shop>, line: &str| departing(simulation, &[line]).1[0];
    let shop = simulation(shop());
    assert_eq!(came(&shop, "pause await 7 of ann: change i1 to 1 until quiescence"), DepartureOutcome::NothingAwaited);
    let (until, on) =
        ("pause await 2 of bob: change i1 to 2 until ann: change i1 to 1", Simulation::on(Profile::stan()));
    assert_eq!(came(&shop, until), DepartureOutcome::TooLate);
    let rules = on.hosted(crate::shop::shop(), TWO).client("ann", vec![Change { item: ITEM, price: 1 }]);
    let rules = rules.build().expect("the parts fit");
    assert_eq!(came(&rules, "pause await 1 of ann: change i1 to 1 until quiescence"), DepartureOutcome::CannotAwait);
    for text in ["pause await 0 of a: b until quiescence", "pause await 16 of a: b until quiescence"] {
        let error = text.parse::<Departure>().expect_err(text).to_string();
        assert!(error.contains("awaits are counted from 1 to 15"), "{text}: {error}");
    }
    let error = "pause await 1 of timer i1 of shop until quiescence".parse::<Departure>().expect_err("a timer");
    assert!(error.to_string().contains("awaits nothing"), "{error}");
}

#[test]
fn what_was_saved_stays_if_the_handler_then_refuses_or_its_member_crashes() {
    let refusing = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE);
    let refusing = refusing.on_command_async(|Change { item, price }, port: Port<Shop>| async move {
        let version = port.save(item, price, None).await;
        port.publish(Changed { item, version, price }).await;
        Err(Rejection { status: 500, reason: "the mail server is down" })
    });
    let on = Simulation::on(Profile::stan()).hosted(refusing, TWO).hosted(search(), TWO);
    let refusing = on.client("ann", vec![Change { item: ITEM, price: 1 }]).build().expect("the parts fit");
    let (steps, _) = steps(&refusing, &mut Calm::new(0, FaultPlan::NONE));
    expect![[r#"
        ann: change i1 to 1: rejected 500: the mail server is down; saves i1@0; publishes item:changed i1@0
        deliver item:changed i1@0 -> search #1: ack; saves i1@0; does index i1"#]]
    .assert_eq(&steps.join("\n"));
    let crashed = departing(&simulation(shop()), &["crash shop before publish of ann: change i1 to 1"]).0;
    expect![[r#"
        ann: change i1 to 1: accepted; saves i1@0
        bob: change i1 to 2: accepted; saves i1@1; publishes item:changed i1@1
        deliver item:changed i1@1 -> search #1: ack; saves i1@0; does index i1"#]]
    .assert_eq(&crashed);
}

#[test]
fn a_crash_of_its_member_ends_a_handler_that_was_interrupted_and_the_message_comes_again() {
    let steps = departing(
        &simulation(shop()),
        &[
            "pause await 2 of item:changed i1@0 -> search until quiescence",
            "crash search before save of item:changed i1@1 -> search",
        ],
    );
    expect![[r#"
        ann: change i1 to 1: accepted; saves i1@0; publishes item:changed i1@0
        deliver item:changed i1@0 -> search #1: paused
        bob: change i1 to 2: accepted; saves i1@1; publishes item:changed i1@1
        deliver item:changed i1@1 -> search #1: crashed; does index i1
        clock: ack wait of item:changed i1@0 -> search #1 ends: 
        deliver item:changed i1@0 -> search #2: ack; saves i1@0; does index i1
        clock: ack wait of item:changed i1@1 -> search #1 ends: 
        deliver item:changed i1@1 -> search #2: ack; saves i1@1; does index i1"#]]
    .assert_eq(&steps.0);
}

#[test]
fn a_crash_of_one_service_leaves_what_handlers_of_others_were_told() {
    let (steps, came) = departing(
        &simulation(shop()),
        &[
            "pause await 3 of bob: change i1 to 2 until quiescence",
            "hold item:changed i1@0 -> search until pause of bob: change i1 to 2",
            "crash search before save of item:changed i1@0 -> search",
        ],
    );
    expect![[r#"
        ann: change i1 to 1: accepted; saves i1@0; publishes item:changed i1@0
        bob: change i1 to 2: paused
        deliver item:changed i1@0 -> search #1: crashed; does index i1
        resume bob: change i1 to 2: accepted; publishes item:changed i1@1
        deliver item:changed i1@1 -> search #1: ack; saves i1@0; does index i1
        clock: ack wait of item:changed i1@0 -> search #1 ends: 
        deliver item:changed i1@0 -> search #2: ack"#]]
    .assert_eq(&steps);
    assert_eq!(came, [DepartureOutcome::InFull; 3]);
}

/// Polls both until both are done, as `join!` does.
async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other, mut first, mut second) = (pin!(one), pin!(other), None, None);
    poll_fn(|polling| {
        if first.is_none()
            && let Poll::Ready(value) = one.as_mut().poll(polling)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = other.as_mut().poll(polling)
        {
            second = Some(value);
        }
        match first.is_some() && second.is_some() {
            true => Poll::Ready(first.take().zip(second.take()).expect("both are there")),
            false => Poll::Pending,
        }
    })
    .await
}

fn ann_alone(shop: Closures<Shop>) -> Simulation<Shop> {
    let on = Simulation::on(Profile::stan()).hosted(shop, TWO).client("ann", vec![Change { item: ITEM, price: 1 }]);
    on.build().expect("the parts fit")
}

#[test]
fn what_is_awaited_together_is_done_in_the_order_in_which_it_was_polled() {
    let shop = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE);
    let shop = shop.on_command_async(|Change { item, price }, port: Port<Shop>| async move {
        let other = RecordId::new('i', 2);
        both(port.save(item, price, None), port.save(other, price, None)).await;
        // One that nobody waits for is not done.
        drop(port.save(RecordId::new('i', 3), price, None));
        Ok(())
    });
    let simulation = ann_alone(shop);
    let steps = |place: u8| {
        departing(&simulation, &[&format!("pause await {place} of ann: change i1 to 1 until quiescence")]).0
    };
    expect![[r#"
        ann: change i1 to 1: paused
        resume ann: change i1 to 1: accepted; saves i2@0"#]]
    .assert_eq(&steps(2));
}

#[test]
fn a_handler_that_waits_for_something_else_than_its_port_panics_with_that() {
    let shop = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE);
    let shop = shop.on_command_async(|_, _: Port<Shop>| async move {
        std::future::pending::<()>().await;
        Ok(())
    });
    let (_, report) = steps(&ann_alone(shop), &mut Calm::new(0, FaultPlan::NONE));
    let Verdict::Panicked { message, .. } = &report.verdict else { panic!("{:?}", report.verdict) };
    assert!(message.contains("waits for something that does not come from its port"), "{message}");
}

#[test]
fn a_handler_that_does_something_else_when_it_goes_on_is_found_out() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let runs = Arc::new(AtomicU32::new(0));
    let shop = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE);
    let shop = shop.on_command_async(move |Change { item, .. }, port: Port<Shop>| {
        let is_first = runs.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if is_first {
                port.find(item).await;
            } else {
                port.save(item, 7, None).await;
            }
            port.save(item, 8, None).await;
            Ok(())
        }
    });
    let schedule = vec!["pause await 2 of ann: change i1 to 1 until quiescence".parse().expect("a departure")];
    let (_, report) = steps(&ann_alone(shop), &mut Departing::new(schedule));
    let Verdict::Panicked { message, .. } = &report.verdict else { panic!("{:?}", report.verdict) };
    assert!(message.contains("asks for something else than before"), "{message}");
}

#[test]
fn a_service_that_takes_time_awaits_nothing() {
    let slow = shop().taking(Work::Command, Duration::from_secs(1));
    let error = Simulation::on(Profile::stan()).service(slow).build().map(|_| ()).expect_err("it takes time");
    assert!(error.to_string().contains("service `shop` takes time, and its handlers are `async fn`s"), "{error}");
}

fn pausing() -> FaultPlan {
    FaultPlan { pause: Rate::of(Ratio::new(1, 2)), swarm: false, ..FaultPlan::NONE }
}

#[test]
fn runs_with_interruptions_are_recorded_replayed_and_named_by_departures() {
    let simulation = simulation(shop());
    let (mut interrupted, mut twice) = (0, 0);
    for seed in 0..300 {
        let mut naming = Naming::default();
        let (nobody, limits) = (Judges::new(Vec::new()), Limits::default());
        let report =
            pellmell::run::run(&mut simulation.world(), &mut Keyed::new(seed, pausing()), &nobody, limits, &mut naming);
        let named = naming.into_steps();
        interrupted += usize::from(named.iter().any(|step| matches!(step.what, Target::Await { .. })));
        let of = |step: &NamedStep| match &step.what {
            Target::Await { what, .. } => Some(what.to_string()),
            _ => None,
        };
        let awaited: Vec<String> = named.iter().filter_map(of).collect();
        twice += usize::from(awaited.iter().enumerate().any(|(place, what)| awaited[..place].contains(what)));
        for step in &named {
            assert_eq!(step.to_string().parse::<NamedStep>().as_ref(), Ok(step), "seed {seed}");
        }
        let (_, again) = steps(&simulation, &mut Replayed::new(named));
        assert_eq!(again.fingerprint, report.fingerprint, "seed {seed}: its steps by name");
        let extracted = extract(&simulation, Keyed::new(seed, pausing()), &nobody, limits, Tie::InOrder);
        let extracted = extracted.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(extracted.report.fingerprint, report.fingerprint, "seed {seed}");
        let (_, scripted) = steps(&simulation, &mut Scripted::new(extracted.steps));
        assert_eq!(scripted.fingerprint, report.fingerprint, "seed {seed}: its steps");
    }
    assert!(interrupted > 200 && twice > 100, "{interrupted}, {twice}");
}

#[test]
fn the_hold_sweep_interrupts_at_each_await_and_what_it_finds_is_shrunk_and_explained() {
    let (shop, judges) = (simulation(shop()), both_prices_are_kept());
    let swept = HoldSweep::new(&shop, &judges).with_faults(pausing()).run();
    let first = swept.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    let lines: Vec<String> = first.departures.iter().map(ToString::to_string).collect();
    expect!["pause await 2 of ann: change i1 to 1 until quiescence"].assert_eq(&lines.join("\n"));
    let shrunk = Shrink::new(&shop, &judges).run(first.departures.clone()).expect("it fails");
    let lines: Vec<String> = shrunk.departures.iter().map(ToString::to_string).collect();
    expect!["pause await 2 of ann: change i1 to 1 until quiescence"].assert_eq(&lines.join("\n"));
    let told = Explain::new(&shop, &judges).run(&shrunk).expect("it is small").to_string();
    expect![[r#"
        told:
          Explaining a failure, shrunk to 5 steps, 1 departure, 2 commands
             Departs pause await 2 of ann: change i1 to 1 until quiescence

         step          t │ service │ what happens                                 │ P(violated)
            0            │         │ before the first step                        │    7%
            1    +0.001s │ shop    │ ann: change i1 to 1 …                        │   42%
            2    +0.002s │ shop    │ bob: change i1 to 2 ✓ saves i1@0             │  100% ▲
            3    +0.002s │ search  │ item:changed i1@0 ✓ saves i1@0 does index i1 │  100%
            4    +0.002s │ shop    │ resume ann: change i1 to 1 ✓ saves i1@0      │  100%
            5    +0.002s │ search  │ item:changed i1@0/2 ✓                        │  100%

                     P(violated): how many of 200 continuations fail as this run does if all after the step is drawn anew, faults like this run's with 1/10 each
               Turns at step 2 ▲, from 42% to 100%
           Any order step 3: wherever else it can stand, the run fails all the same
            Calm run differs first at step 1, where the same happens and nothing goes wrong; in it every property holds
            VIOLATED NoLostUpdate at shop   step 5, t = +0.002s
                 Why At step 2 shop handles `bob: change i1 to 2` and saves i1@0; in the calm run it saves i1@1.
                     At step 4 shop, which holds i1@0 price 2, goes on with `await 2 of ann: change i1 to 1` and saves i1@0 price 1.
                     So NoLostUpdate is violated for i1 at shop: two changes were accepted, and one of them is there.
             Changes without `pause await 2 of ann: change i1 to 1 until quiescence`: every property holds
                     without `ann: change i1 to 1` or `bob: change i1 to 2`: every property holds
                     `pause await 2 of ann: change i1 to 1` until step 2 (`bob: change i1 to 2`) is enough
                     it fails as well if the calm run serves the groups in other orders
    "#]].assert_eq(&format!("told:\n{told}"));
    // Who saves only what nobody has saved since loses nothing.
    let careful = simulation(careful_shop());
    assert!(HoldSweep::new(&careful, &judges).with_faults(pausing()).run().is_held());
}

#[test]
fn complete_searches_interrupt_it_before_its_first_change() {
    let (bounds, judges) =
        (Bounds { pauses: Most::Of(1), ..Bounds::of(DeliveryOrder::Broker) }, both_prices_are_kept());
    let result = |shop| Exhaust::new(&simulation(shop), &judges).with_bounds(bounds).run();
    assert_eq!(result(shop()).ended, Ended::Failing, "{}", result(shop()));
    assert_eq!(result(careful_shop()).ended, Ended::All, "{}", result(careful_shop()));
}

#[test]
fn interruptions_go_with_all_other_faults_on_every_kind_of_broker() {
    let plan = FaultPlan {
        slow_publish: FaultPlan::SOME.pause,
        crash_between_saves: FaultPlan::SOME.crash,
        ..FaultPlan::SOME
    };
    let (nobody, limits) = (Judges::new(Vec::new()), Limits::default());
    let mut interrupted = 0;
    for name in ["adversarial", "stan", "kafka", "jetstream", "sqs-standard", "redis-streams", "servicebus-session"] {
        let profile = Profile::named(name).expect("it ships");
        let two = Hosting { members: 2, ..TWO };
        let on = Simulation::on(profile).hosted(shop(), two.clone()).hosted(search(), two);
        let change = |price| vec![Change { item: ITEM, price }];
        let simulation = on.client("ann", change(1)).client("bob", change(2)).build().expect("the parts fit");
        for seed in 0..150 {
            let mut naming = Naming::default();
            let keyed = Keyed::new(seed, plan);
            let world = &mut simulation.world();
            let report = pellmell::run::run(world, &mut keyed.clone(), &nobody, limits, &mut naming);
            let named = naming.into_steps();
            interrupted += usize::from(named.iter().any(|step| matches!(step.what, Target::Await { .. })));
            let (_, again) = steps(&simulation, &mut Replayed::new(named));
            assert_eq!(again.fingerprint, report.fingerprint, "{name}, seed {seed}: its steps by name");
            let extracted = extract(&simulation, keyed, &nobody, limits, Tie::InOrder);
            let extracted = extracted.unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
            assert_eq!(extracted.report.fingerprint, report.fingerprint, "{name}, seed {seed}");
        }
    }
    assert!(interrupted > 300, "{interrupted}");
}
