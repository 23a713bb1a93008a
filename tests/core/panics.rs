//! A panic of a handler: the step in which it comes is shown like any other, and it is printed once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::scheduler::Tie;
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, Most};
use pellmell::trace::{Naming, Recorder, TraceRecord};
use pellmell::{
    Context, Departing, Departure, FaultPlan, Hosting, Judges, Limits, Outcome, Profile, RecordId, Replayed, Report,
    Scheduler, Simulation, Subject, Time, Verdict, Version, VersionPolicy, run, testing,
};

const ITEM: RecordId = RecordId::new('i', 1);

/// A shop that publishes what it is told, search with two members and a timer, and who panics, if any:
/// search panics at a price that it has, as all but one of what works on it may.
fn panicking(who: &'static str) -> Simulation<Shop> {
    panicking_on(Profile::stan(), who)
}

fn panicking_on(profile: Profile, who: &'static str) -> Simulation<Shop> {
    let panics = move |here: &str| assert!(here != who, "out of paper\nin the {here}");
    let shop = testing::service::<Shop>("shop").on_command(move |change, ctx| {
        panics("shop");
        ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
        Ok(())
    });
    let listens = const { &[Subject::new("item:changed")] };
    let search = testing::service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    let search = search.on_event(listens, move |event, ctx: &mut Context<'_, Shop>| {
        panics("search");
        if ctx.store.find::<Item>(event.item).is_some() {
            panics("search, the second time");
        }
        let held = ctx.store.find::<Item>(event.item).map(|held| held.version);
        ctx.store.overwrite(event.item, Item { price: event.price }, held);
        ctx.arm(event.item, Time(0).after(Duration::from_secs(40)));
        Outcome::Ack
    });
    let search = search.on_timer(move |_, _| panics("timer"));
    let two = Hosting { members: 2, ..Hosting::ALONE };
    let simulation = Simulation::on(profile).service(shop).hosted(search, two);
    simulation.client("ann", vec![Change { item: ITEM, price: 5 }]).build().expect("the parts fit")
}

fn recorded(simulation: &Simulation<Shop>, scheduler: &mut impl Scheduler) -> (Report, Vec<TraceRecord>) {
    let mut recorder = Recorder::default();
    let judges = Judges::new(Vec::new());
    let report = run(&mut simulation.world(), scheduler, &judges, Limits::default(), &mut recorder);
    (report, recorder.into_records())
}

#[test]
fn the_step_in_which_a_handler_panics_is_recorded_with_who_worked_on_what() {
    let cases = [
        ("shop", "", "ann: change i1 to 5", "shop", ""),
        ("search", "", "deliver item:changed i1@0 -> search #1", "search", ""),
        (
            "search",
            "lose ack of item:changed i1@0 -> search",
            "deliver item:changed i1@0 -> search #1",
            "search",
            "ack lost",
        ),
        (
            "search",
            "pause item:changed i1@0 -> search until quiescence",
            "resume item:changed i1@0 -> search #1",
            "search",
            "",
        ),
        (
            "search",
            "crash search before publish of item:changed i1@0 -> search",
            "deliver item:changed i1@0 -> search #1",
            "search",
            "crash before publish",
        ),
        (
            "search, the second time",
            "lose ack of item:changed i1@0 -> search",
            "deliver item:changed i1@0 -> search #2",
            "search",
            "",
        ),
        ("timer", "", "clock: timer i1 of search fires", "search", ""),
    ];
    for (who, departure, action, service, faults) in cases {
        let simulation = panicking(who);
        let schedule: Vec<Departure> =
            departure.split_terminator('\n').map(|line| line.parse().expect("a departure")).collect();
        let (report, records) = recorded(&simulation, &mut Departing::new(schedule.clone()));
        assert!(matches!(&report.verdict, Verdict::Panicked { message } if message.starts_with("out of paper\nin")));
        assert_eq!(records.len() as u64, report.steps, "{who}: {departure}");
        let last = records.last().expect("a step");
        assert_eq!((last.action.as_str(), last.service.as_deref()), (action, Some(service)), "{who}: {departure}");
        assert_eq!(last.answer.as_deref(), Some("panics: out of paper"));
        assert_eq!(last.faults.join(", "), faults);
        assert_eq!((last.saved.len(), last.published.len(), last.step), (0, 0, report.steps));
        // By departures and by names it is the same run.
        let (judges, limits) = (Judges::new(Vec::new()), Limits::default());
        let scheduler = Departing::new(schedule.clone());
        let extracted = pellmell::extract::extract(&simulation, scheduler, &judges, limits, Tie::InOrder);
        let extracted = extracted.expect("departures lead to it");
        assert_eq!(recorded(&simulation, &mut Departing::new(extracted.departures)), (report.clone(), records));
        let mut naming = Naming::default();
        run(&mut simulation.world(), &mut Departing::new(schedule), &judges, limits, &mut naming);
        let steps = naming.into_steps();
        assert_eq!(steps.len() as u64, report.steps);
        let (again, _) = recorded(&simulation, &mut Replayed::new(steps));
        assert_eq!(again, report);
    }
}

#[test]
fn a_failing_test_shows_the_step_that_panics() {
    let check = || testing::check(&panicking("search, the second time"), 0..50, FaultPlan::SOME, &Judges::new(vec![]));
    let told = catch_unwind(AssertUnwindSafe(check)).expect_err("it fails");
    let told = told.downcast::<String>().expect("a text");
    assert!(told.contains("deliver item:changed i1@0 -> search #2   panics: out of paper\nso fail "), "{told}");
}

/// What the next test looks at from outside.
#[test]
#[ignore = "the next test runs it in a process of its own"]
fn panics_again_and_again() {
    let judges = Judges::new(Vec::new());
    for who in ["search, the second time", "timer"] {
        let simulation = panicking(who);
        let swept = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME).with_threads(2).run();
        assert!(swept.failed() > 10, "{swept:?}");
        let bounds = Bounds { lost_acks: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
        let simulation = panicking_on(bounds.order.profile(), who);
        assert!(Exhaust::new(&simulation, &judges).with_bounds(bounds).with_threads(2).run().failing.is_some());
        // In no run, so it is told each time.
        let _ = catch_unwind(|| panic!("on purpose"));
    }
    testing::check(&panicking("timer"), 0..50, FaultPlan::SOME, &judges);
}

#[test]
fn a_panic_that_is_caught_is_printed_once_and_others_each_time() {
    let this = std::env::current_exe().expect("a program");
    let panicking = ["--exact", "panics::panics_again_and_again", "--ignored", "--nocapture"];
    let output = Command::new(this).args(panicking).env("RUST_BACKTRACE", "1").output().expect("it runs");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{printed}");
    let times = |what: &str| printed.lines().filter(|line| line.contains(what)).count();
    // All handlers panic in one line of one closure.
    let caught = printed.lines().filter(|line| line.contains("panicked at")).count();
    assert_eq!((times("on purpose"), caught), (2, 1 + 2 + 1), "{printed}");
    assert_eq!(times("stack backtrace:"), caught, "{printed}");
}
