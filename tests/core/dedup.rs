//! What a publisher says once more because it has heard no confirm, and brokers that recognise it.

use std::time::Duration;

use pellmell::broker::Dedup;
use pellmell::doc_example::{Change, Item, Shop};
use pellmell::extract::extract;
use pellmell::run::Observer;
use pellmell::schedule::NamedStep;
use pellmell::scheduler::{Departing, DepartureOutcome, Tie};
use pellmell::search::HoldSweep;
use pellmell::testing::{Check, at_quiescence, replay, service};
use pellmell::trace::Naming;
use pellmell::{
    FaultPlan, Hosting, Judges, Keyed, Limits, Moment, Outcome, Profile, PublishMode, Rate, Ratio, RecordId, Replayed,
    Scheduler, Simulation, Step, Subject, Time, VersionPolicy, Violation, World,
};

const ITEM: RecordId = RecordId::new('i', 1);
const CHANGED: Subject = Subject::new("item:changed");
const ANN: &str = "ann: change i1 to 1";
const CREATED: &str = "item:changed i1@0 -> search";
const NONE: Dedup = Dedup::None;
const SESSION: Dedup = Dedup::ProducerSession;
const SHORT: Dedup = Dedup::Window(Duration::from_secs(10));
const LONG: Dedup = Dedup::Window(Duration::from_secs(600));

/// A shop whose prices Ann and Bob change, and a search; its broker waits half a minute for answers.
fn shop(mode: PublishMode, dedup_window: Dedup) -> Simulation<Shop> {
    let shop = crate::shop::shop().publishing(mode);
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    let search = search.on_event(const { &[CHANGED] }, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
        ctx.store.overwrite(event.item, Item { price: event.price }, held);
        Outcome::Ack
    });
    let change = |price| Change { item: ITEM, price };
    let on = Simulation::on(Profile { dedup_window, ..Profile::stan() });
    let on = on.client("ann", vec![change(1)]).client("bob", vec![change(2), change(3)]);
    let several = Hosting { overlapping: true, ..Hosting::ALONE };
    on.hosted(shop, several).hosted(search, Hosting::ALONE).build().expect("the parts fit")
}

/// Plays a schedule: the log, in which what was said before has a `+`, how much was recognised, and what came of
/// the departures.
fn play(simulation: &Simulation<Shop>, schedule: &[String]) -> (String, u64, Vec<DepartureOutcome>) {
    let schedule = schedule.iter().map(|line| line.parse().expect("a departure")).collect();
    let (mut scheduler, mut world, nobody) = (Departing::new(schedule), simulation.world(), Judges::new(Vec::new()));
    let report = pellmell::run::run(&mut world, &mut scheduler, &nobody, Limits::default(), &mut ());
    let messages = world.broker().messages().iter();
    let messages =
        messages.map(|message| format!("{}{}", message.event.price, if message.is_retry { "+" } else { "" }));
    let came = scheduler.outcomes().map(|(_, came)| came).collect();
    (messages.collect::<Vec<_>>().join(" "), report.counts.recognised, came)
}

/// Ann's change is published twice, and the second time when the clock has moved by half a minute.
fn after_half_a_minute() -> Vec<String> {
    let until = format!("ack wait of {CREATED}");
    vec![
        format!("publish twice {ANN}"),
        format!("slow publish of {ANN} until {until}"),
        format!("lose ack of {CREATED}"),
    ]
}

#[test]
fn what_comes_once_more_at_once_is_in_the_log_only_where_nothing_recognises_it() {
    let twice = [format!("publish twice {ANN}")];
    let (log, recognised, came) = play(&shop(PublishMode::Outbox, NONE), &twice);
    assert_eq!((log.as_str(), recognised, came), ("1 1+ 2 3", 0, vec![DepartureOutcome::InFull]));
    for dedup in [SHORT, LONG, SESSION] {
        let (log, _, came) = play(&shop(PublishMode::Outbox, dedup), &twice);
        assert_eq!((log.as_str(), came), ("1 2 3", vec![DepartureOutcome::Overruled]), "{dedup}");
    }
}

#[test]
fn what_comes_once_more_after_the_window_is_another_message() {
    let schedule = after_half_a_minute();
    for (mode, dedup, log, recognised) in [
        // A relay that keeps order says the others when it has said this again.
        (PublishMode::Outbox, NONE, "1 1+ 2 3", 0),
        (PublishMode::Outbox, SHORT, "1 1+ 2 3", 0),
        (PublishMode::Outbox, LONG, "1 2 3", 1),
        (PublishMode::DualWrite, NONE, "1 2 3 1+", 0),
        (PublishMode::DualWrite, SHORT, "1 2 3 1+", 0),
        (PublishMode::DualWrite, LONG, "1 2 3", 1),
        // A process that goes on is one session, a relay that says it again is another.
        (PublishMode::Outbox, SESSION, "1 1+ 2 3", 0),
        (PublishMode::DualWrite, SESSION, "1 2 3", 1),
    ] {
        let (played, times, came) = play(&shop(mode, dedup), &schedule);
        assert_eq!((played.as_str(), times), (log, recognised), "{mode:?}, {dedup}");
        assert_eq!(came, [DepartureOutcome::InFull; 3], "{mode:?}, {dedup}");
    }
}

/// Notes when each event came into the log.
#[derive(Default)]
struct Published(Vec<(u32, Time)>);

impl Observer<Shop> for Published {
    fn after(&mut self, world: &World<Shop>, step: &Step) {
        let messages = &world.broker().messages()[step.published.clone()];
        self.0.extend(messages.iter().map(|message| (message.event.price, step.time)));
    }
}

/// Draws everything, as often as may be.
fn plan() -> FaultPlan {
    let rate = Rate::of(Ratio::new(1, 2));
    FaultPlan { republish: rate, slow_publish: rate, lose_ack: rate, crash: rate, swarm: false, ..FaultPlan::SOME }
}

#[test]
fn in_no_run_does_an_event_come_twice_within_the_window() {
    let mut came_later = [0; 3];
    for (place, dedup) in [NONE, SHORT, LONG].into_iter().enumerate() {
        let simulation = shop(PublishMode::Outbox, dedup);
        let window = if let Dedup::Window(window) = dedup { window } else { Duration::ZERO };
        for seed in 0..300 {
            let (mut world, mut published) = (simulation.world(), Published::default());
            let (mut keyed, nobody) = (Keyed::new(seed, plan()), Judges::new(Vec::new()));
            pellmell::run::run(&mut world, &mut keyed, &nobody, Limits::default(), &mut published);
            for (at, (price, again)) in published.0.iter().enumerate() {
                let first = published.0[..at].iter().find(|(other, _)| other == price);
                let is_too_soon = first.is_some_and(|(_, first)| *again < first.after(window));
                assert!(!is_too_soon, "{dedup}, seed {seed}: {:?}", published.0);
                came_later[place] += u32::from(first.is_some());
            }
        }
    }
    assert!(came_later[0] > came_later[1] && came_later[1] > 0 && came_later[2] == 0, "{came_later:?}");
}

/// No message is one that its publisher had published before.
fn once() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("Once", |moment: &Moment<'_, Shop>| {
        let retry = moment.world().broker().messages().iter().find(|message| message.is_retry);
        retry.map_or(Ok(()), |retry| Err(Violation::at("search").because(retry.name.to_string())))
    })])
}

#[test]
fn that_nothing_came_twice_is_said_with_the_reason() {
    let refused = |work: &dyn Fn()| {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).expect_err("it is refused");
        *told.downcast::<String>().expect("a text")
    };
    let (simulation, judges) = (shop(PublishMode::Outbox, LONG), once());
    let swept = |plan| refused(&|| drop(Check::new(&simulation, &judges).with_seeds(0..50).with_faults(plan).run()));
    let told = swept(FaultPlan { slow_publish: Rate::NEVER, ..plan() });
    assert!(told.contains("idle-fault publish_twice: `stan` recognises what comes once more at once"), "{told}");
    let told = swept(plan());
    assert!(told.contains("idle-fault publish_twice: `stan` recognised it each time, "), "{told}");
    let twice = format!("publish twice {ANN}");
    let told = refused(&|| drop(replay(&simulation, &[&twice], &judges)));
    assert!(told.contains("`stan` recognises what comes once more at once (`dedup = \"10m\"`): write `slow"), "{told}");
}

#[test]
fn a_search_of_what_departs_once_lets_it_come_later_where_it_would_be_recognised() {
    let found = |dedup| {
        let (simulation, judges) = (shop(PublishMode::Outbox, dedup), once());
        let result = HoldSweep::new(&simulation, &judges).with_faults(plan()).within(1, 100_000).run();
        let finds = result.finds().into_iter().filter(|find| find[0].to_string().contains(ANN));
        finds.map(|find| find.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")).collect::<Vec<_>>()
    };
    let (at_once, later) = (format!("publish twice {ANN}"), format!("slow publish of {ANN} until quiescence"));
    assert_eq!(found(NONE), std::slice::from_ref(&at_once));
    assert_eq!(found(SESSION), [format!("{at_once}; {later}")]);
    assert_eq!(found(LONG), Vec::<String>::new());
}

#[test]
fn runs_in_which_it_comes_later_are_extracted_and_played_again() {
    for (mode, dedup) in [(PublishMode::Outbox, NONE), (PublishMode::DualWrite, SHORT), (PublishMode::Outbox, SESSION)]
    {
        let (simulation, nobody, mut later) = (shop(mode, dedup), Judges::new(Vec::new()), 0);
        for seed in 0..200 {
            let keyed = || Keyed::new(seed, plan());
            let extracted = extract(&simulation, keyed(), &nobody, Limits::default(), Tie::InOrder);
            let extracted = extracted.unwrap_or_else(|error| panic!("{mode:?}, {dedup}, seed {seed}: {error}"));
            later += extracted.report.counts.republished.min(extracted.report.counts.slow_publishes);
            let steps_of = |scheduler: &mut dyn Scheduler| {
                let mut naming = Naming::default();
                pellmell::run::run(&mut simulation.world(), scheduler, &nobody, Limits::default(), &mut naming);
                naming.into_steps()
            };
            let steps = steps_of(&mut keyed());
            let texts = steps.iter().map(|step| step.to_string().parse::<NamedStep>().expect("a step"));
            assert_eq!(steps_of(&mut Replayed::new(texts.collect())), steps, "{mode:?}, {dedup}, seed {seed}");
        }
        assert!(later > 20, "{later}");
    }
}
