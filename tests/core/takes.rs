//! Handlers that work for some time: slower than the ack wait, faster, on each kind of broker.

use std::time::Duration;

use pellmell::broker::{AckMode, Exhausted, MaxDeliver, Ordering, Stale};
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::explain::Explain;
use pellmell::extract::extract;
use pellmell::schedule::{Departure, NamedStep};
use pellmell::scheduler::{Calm, Departing, DepartureOutcome, Tie};
use pellmell::search::{Bounds, DeliveryOrder, Ended, Exhaust, HoldSweep, Shortest};
use pellmell::shrink::Shrink;
use pellmell::testing::{Closures, at_most_once_outside, service};
use pellmell::trace::{Naming, Recorder};
use pellmell::{
    FaultPlan, Hosting, Judges, Keyed, Limits, Outcome, Outside, Profile, Rate, Ratio, RecordId, Replayed, Report,
    Scheduler, Simulation, Subject, Verdict, VersionPolicy, Work,
};

const ITEM: RecordId = RecordId::new('i', 1);
const CHANGED: &[Subject] = &[Subject::new("item:changed")];

/// A search that keeps what comes last, and does something outside for each delivery.
fn search() -> Closures<Shop> {
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    search.on_event(CHANGED, |event: &Changed, ctx| {
        ctx.outside(Outside::of("index", event.item));
        let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
        ctx.store.overwrite(event.item, Item { price: event.price }, held);
        Outcome::Ack
    })
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn taking(takes: u64) -> Hosting {
    Hosting { takes: Some(secs(takes)), ..Hosting::ALONE }
}

fn two(takes: u64) -> Hosting {
    Hosting { members: 2, ..taking(takes) }
}

/// Waits ten seconds for an answer, and counts one that comes later, or does not.
fn waiting(stale: Stale) -> Profile {
    let ack = AckMode { stale, ..Profile::stan().ack };
    Profile { ack_wait: vec![secs(10)], ack, ..Profile::stan() }
}

const fn given_up_after(times: u16) -> MaxDeliver {
    MaxDeliver::Times { times, action: Exhausted::Drop }
}

fn named(name: &str) -> Profile {
    Profile::named(name).expect("it ships")
}

/// Ann changes an item so often, of which a search hears that is hosted so.
fn simulation(profile: Profile, hosting: Hosting, changes: u32) -> Simulation<Shop> {
    hosted(profile, search(), hosting, changes)
}

fn hosted(profile: Profile, search: Closures<Shop>, hosting: Hosting, changes: u32) -> Simulation<Shop> {
    let changes = (1..=changes).map(|price| Change { item: ITEM, price }).collect();
    let on = Simulation::on(profile).service(crate::shop::shop()).hosted(search, hosting);
    on.client("ann", changes).build().expect("the parts fit")
}

/// A run: each step with its time in seconds, and what came of it.
fn played(simulation: &Simulation<Shop>, scheduler: &mut dyn Scheduler) -> (Vec<String>, Report) {
    let mut recorder = Recorder::default();
    let limits = Limits { steps_max: 2_000, ..Limits::default() };
    let nobody = Judges::new(Vec::new());
    let report = pellmell::run::run(&mut simulation.world(), scheduler, &nobody, limits, &mut recorder);
    let steps = recorder.into_records().into_iter().map(|record| {
        let answer = record.answer.map(|answer| format!(": {answer}")).unwrap_or_default();
        let action = record.action.replace("item:changed ", "").replace(" -> search", "");
        format!("{} {action}{answer}", record.time_us / 1_000_000)
    });
    (steps.collect(), report)
}

fn calm(simulation: &Simulation<Shop>) -> (Vec<String>, Report) {
    played(simulation, &mut Calm::new(0, FaultPlan::NONE))
}

fn departing(simulation: &Simulation<Shop>, schedule: &[&str]) -> (Vec<String>, Vec<DepartureOutcome>) {
    let schedule = schedule.iter().map(|line| line.parse().expect("a departure")).collect();
    let mut scheduler = Departing::new(schedule);
    let (steps, _) = played(simulation, &mut scheduler);
    (steps, scheduler.outcomes().map(|(_, came)| came).collect())
}

#[track_caller]
fn assert_calm(simulation: &Simulation<Shop>, steps: &[&str]) {
    let (played, report) = calm(simulation);
    assert_eq!(played, steps);
    assert!(report.verdict.is_held(), "{:?}", report.verdict);
}

#[test]
fn slower_than_the_ack_wait_the_message_comes_again_while_the_first_handler_works() {
    let two_of = |profile: Profile, takes: u64| calm(&simulation(profile, two(takes), 1)).0;
    let steps = [
        "0 deliver i1@0 #1: works",
        "10 clock: ack wait of i1@0 #1 runs out",
        "10 deliver i1@0 #2: works",
        "12 finish i1@0 #1: ack",
    ];
    assert_eq!(two_of(waiting(Stale::Accept), 12)[1..5], steps);
    let rejecting = two_of(waiting(Stale::Reject), 12);
    assert_eq!(rejecting[1..5], steps);
    assert_eq!(rejecting[5..7], ["20 clock: ack wait of i1@0 #2 runs out", "20 deliver i1@0 #3: works"]);
    // Queues, keys, endpoints; where there is no lease, nothing comes again.
    for (name, lease, takes) in [
        ("sqs-fifo", 30, 40),
        ("kafka-share", 30, 40),
        ("servicebus", 60, 70),
        ("pubsub-exactly-once", 10, 12),
        ("pubsub-ordered", 10, 12),
        ("redis-streams", 60, 70),
    ] {
        let steps = two_of(named(name), takes);
        let seen = steps.iter().position(|step| *step == format!("{lease} deliver i1@0 #2: works"));
        let finished = steps.iter().position(|step| *step == format!("{takes} finish i1@0 #1: ack"));
        assert!(seen.is_some() && finished > seen, "{name}: {steps:?}");
    }
    let endpoint = Hosting { overlapping: true, ..taking(40) };
    let (steps, _) = calm(&simulation(named("sns"), endpoint, 1));
    assert!(steps.contains(&"35 clock: ack wait of i1@0 #1 runs out".to_owned()), "{steps:?}");
    assert!(steps.contains(&"35 deliver i1@0 #2: works".to_owned()), "{steps:?}");
    for name in ["kafka", "kafka-auto-commit", "rabbitmq-classic", "mqtt-qos1"] {
        let (played, _) = calm(&simulation(named(name), two(400), 1));
        assert_eq!(played[1..], ["0 deliver i1@0 #1: works", "400 finish i1@0 #1: ack"], "{name}");
    }
}

#[test]
fn faster_than_the_ack_wait_all_is_as_it_was_but_for_the_time() {
    for name in Profile::NAMES {
        let [before, slow] = [0, 5].map(|takes| simulation(named(name), taking(takes), 3));
        let ([quick_steps, slow_steps], [quick, slow]) = {
            let ((one, two), (three, four)) = (calm(&before), calm(&slow));
            ([one, three], [two, four])
        };
        assert_eq!(slow_steps.len(), quick_steps.len() + 3, "{name}: {slow_steps:?}");
        assert_eq!((slow.counts.redeliveries, slow.counts.worked), (0, 3), "{name}");
        assert_eq!(slow.counts.deliveries, quick.counts.deliveries, "{name}");
        assert!(slow.verdict.is_held() && slow.time.0 >= 15_000_000, "{name}: {slow:?}");
        assert!(quick.time.0 < 1_000_000, "{name}");
        let report = pellmell::run::run(
            &mut simulation(named(name), taking(5), 3).world(),
            &mut Calm::new(0, FaultPlan::NONE),
            &crate::shop::same_price(ITEM),
            Limits::default(),
            &mut (),
        );
        assert!(report.verdict.is_held(), "{name}: {:?}", report.verdict);
    }
}

#[test]
fn a_member_gets_nothing_more_until_it_is_done_unless_its_handlers_overlap() {
    let overlapping = Hosting { overlapping: true, ..taking(5) };
    let profile = || Profile { ack_wait: vec![secs(100)], ..Profile::adversarial() };
    for profile in
        [waiting(Stale::Accept), profile(), named("sqs-standard"), named("pubsub"), named("rabbitmq-classic")]
    {
        let starts = |hosting: Hosting| {
            let (steps, report) = calm(&simulation(profile.clone(), hosting, 3));
            assert!(report.verdict.is_held() && report.counts.redeliveries == 0, "{}: {report:?}", profile.name);
            let starts = steps.iter().filter(|step| step.ends_with("works"));
            starts.map(|step| step.split(' ').next().map(str::to_owned)).collect::<Option<Vec<_>>>().unwrap_or_default()
        };
        assert_eq!(starts(taking(5)), ["0", "5", "10"], "{}", profile.name);
        assert_eq!(starts(two(5)), ["0", "0", "5"], "{}", profile.name);
        assert_eq!(starts(overlapping.clone()), ["0", "0", "0"], "{}", profile.name);
    }
    // One order: what is behind waits for its member, however many there are.
    let (steps, _) = calm(&simulation(named("kafka"), two(5), 3));
    let starts: Vec<&String> = steps.iter().filter(|step| step.ends_with("works")).collect();
    assert_eq!(starts.len(), 3);
    assert!(starts.iter().zip(["0 ", "5 ", "10 "]).all(|(step, at)| step.starts_with(at)), "{steps:?}");
}

#[test]
fn commands_take_time_too_and_wait_for_the_member_that_works() {
    let clients = |hosting: Hosting| {
        let shop = crate::shop::shop().taking(Work::Command, secs(3));
        let on = Simulation::on(waiting(Stale::Accept)).hosted(shop, hosting).service(search());
        let change = |price| vec![Change { item: ITEM, price }, Change { item: ITEM, price: price + 10 }];
        on.client("ann", change(1)).client("bob", change(2)).build().expect("the parts fit")
    };
    let of_commands =
        |steps: Vec<String>| -> Vec<String> { steps.into_iter().filter(|step| step.contains("change")).collect() };
    let one_by_one = of_commands(calm(&clients(Hosting::ALONE)).0);
    assert_eq!(
        one_by_one[..5],
        [
            "0 ann: change i1 to 1: works",
            "3 finish ann: change i1 to 1: accepted",
            "3 ann: change i1 to 11: works",
            "6 finish ann: change i1 to 11: accepted",
            "6 bob: change i1 to 2: works",
        ]
    );
    assert_eq!(one_by_one.len(), 8);
    let at_once = of_commands(calm(&clients(Hosting { overlapping: true, ..Hosting::ALONE })).0);
    assert_eq!(
        at_once[..4],
        [
            "0 ann: change i1 to 1: works",
            "0 bob: change i1 to 2: works",
            "3 finish ann: change i1 to 1: accepted",
            "3 ann: change i1 to 11: works",
        ]
    );
}

#[test]
fn a_crash_of_the_member_ends_the_work_and_nothing_of_it_is_there() {
    let profile = || Profile { ordering: Ordering::None, ..waiting(Stale::Accept) };
    let overlapping = Hosting { overlapping: true, ..taking(5) };
    let schedule = [
        "hold item:changed i1@0 -> search until start of item:changed i1@1 -> search",
        "crash search before save of item:changed i1@1 -> search",
    ];
    for profile in [profile(), named("sqs-standard")] {
        let (steps, came) = departing(&simulation(profile.clone(), overlapping.clone(), 2), &schedule);
        let expected = ["0 deliver i1@1 #1: works", "0 deliver i1@0 #1: works", "5 finish i1@1 #1: crashed"];
        assert_eq!(steps[2..5], expected, "{}", profile.name);
        assert!(!steps.contains(&"5 finish i1@0 #1: ack".to_owned()), "{steps:?}");
        assert!(steps.iter().any(|step| step.contains("finish i1@0 #2: ack")), "{steps:?}");
        assert_eq!(came, [DepartureOutcome::InFull; 2]);
    }
    // One after the other, the crash comes when the work is done, and what waited goes on.
    let (steps, _) = departing(
        &simulation(waiting(Stale::Accept), taking(5), 2),
        &["crash search before save of item:changed i1@0 -> search"],
    );
    let expected = ["5 finish i1@0 #1: crashed", "5 deliver i1@1 #1: works"];
    assert_eq!(steps[3..5], expected);
}

#[test]
fn who_works_on_when_the_lease_has_ended_meets_what_the_other_one_saved() {
    let keeper = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        match ctx.store.insert(event.item, Item { price: event.price }) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::Silent("duplicate key"),
        }
    });
    let (steps, _) = calm(&hosted(waiting(Stale::Reject), keeper, two(12), 1));
    let expected = [
        "0 deliver i1@0 #1: works",
        "10 clock: ack wait of i1@0 #1 runs out",
        "10 deliver i1@0 #2: works",
        "12 finish i1@0 #1: ack",
        "20 clock: ack wait of i1@0 #2 runs out",
    ];
    assert_eq!(steps[1..6], expected);
    assert!(steps.contains(&"22 finish i1@0 #2: silent: duplicate key".to_owned()), "{steps:?}");
}

#[test]
fn a_lease_that_ends_when_the_work_does_ends_before_it() {
    let (steps, _) = calm(&simulation(waiting(Stale::Accept), two(10), 1));
    let expected = [
        "0 deliver i1@0 #1: works",
        "10 clock: ack wait of i1@0 #1 runs out",
        "10 deliver i1@0 #2: works",
        "10 finish i1@0 #1: ack",
    ];
    assert_eq!(steps[1..5], expected);
    assert_calm(
        &simulation(waiting(Stale::Accept), two(9), 1),
        &["0 ann: change i1 to 1: accepted", "0 deliver i1@0 #1: works", "9 finish i1@0 #1: ack"],
    );
}

#[test]
fn one_that_is_too_slow_each_time_is_stuck_with_the_reason_unless_something_ends_it() {
    let verdict = |profile: Profile, takes| calm(&simulation(profile, taking(takes), 1)).1.verdict;
    for (profile, takes, said) in [
        (waiting(Stale::Reject), 12, "search takes 12s, its ack wait is 10s: item:changed i1@0 was handled 20 times"),
        (waiting(Stale::Reject), 10, "search takes 10s, its ack wait is 10s: "),
        (named("pubsub-exactly-once"), 12, "search takes 12s, its ack wait is 10s: "),
        (named("sqs-fifo"), 31, "search takes 31s, its ack wait is 30s: "),
    ] {
        let stuck = verdict(profile.clone(), takes);
        let Verdict::Stuck { reason } = &stuck else { panic!("{}: {stuck:?}", profile.name) };
        assert!(reason.starts_with(said), "{reason}");
        let signature = format!("stuck: search takes {takes}s, its ack wait is ");
        assert!(stuck.signature().is_some_and(|it| it.starts_with(&signature)), "{:?}", stuck.signature());
    }
    // It counts late acks, gives up, or waits longer the next time.
    let growing = Profile { ack_wait: vec![secs(10), secs(60)], ..waiting(Stale::Reject) };
    let given_up = |times| Profile { max_deliver: given_up_after(times), ..waiting(Stale::Reject) };
    for profile in
        [waiting(Stale::Accept), growing, given_up(3), given_up(50), named("kafka-share"), named("servicebus")]
    {
        assert_eq!(verdict(profile.clone(), 12), Verdict::Held, "{}", profile.name);
    }
}

#[test]
fn a_pause_comes_before_the_work_and_both_have_names() {
    let schedule = [
        "pause item:changed i1@0 -> search until item:changed i1@1 -> search",
        "hold ann: change i1 to 3 until start of item:changed i1@0 -> search",
    ];
    let profile = Profile { ordering: Ordering::None, ack_wait: vec![secs(100)], ..Profile::stan() };
    let (steps, came) = departing(&simulation(profile, two(5), 3), &schedule);
    assert_eq!(
        steps[..8],
        [
            "0 ann: change i1 to 1: accepted",
            "0 deliver i1@0 #1: paused",
            "0 ann: change i1 to 2: accepted",
            "0 deliver i1@1 #1: works",
            "5 finish i1@1 #1: ack",
            "5 resume i1@0 #1: works",
            "5 ann: change i1 to 3: accepted",
            "5 deliver i1@2 #1: works",
        ]
    );
    assert_eq!(came, [DepartureOutcome::InFull; 2]);
    assert!(steps.contains(&"10 finish i1@0 #1: ack".to_owned()), "{steps:?}");
    // At rest nobody works.
    let held = ["hold ann: change i1 to 2 until quiescence"];
    let (steps, _) = departing(&simulation(waiting(Stale::Accept), taking(5), 2), &held);
    assert_eq!(steps[2..4], ["5 finish i1@0 #1: ack", "5 ann: change i1 to 2: accepted"]);
}

/// Some of everything.
const PLAN: FaultPlan = {
    let rate = Rate::of(Ratio::new(1, 4));
    FaultPlan { pause: rate, crash: rate, delay_ack: rate, lose_ack: rate, slow_publish: rate, ..FaultPlan::SOME }
};

/// Brokers of each kind, and services on them that take time for all that they do.
fn all_kinds() -> impl Iterator<Item = Simulation<Shop>> {
    let profiles = [
        Profile::adversarial(),
        waiting(Stale::Accept),
        Profile { max_deliver: given_up_after(4), ..waiting(Stale::Reject) },
        named("sqs-standard"),
        named("kafka"),
        named("pubsub-ordered"),
        // Two waits of one attempt have one name at `sns`, with takes or without.
        named("redis-streams"),
    ];
    let hostings = [two(12), taking(7), Hosting { overlapping: true, ..taking(12) }];
    profiles.into_iter().flat_map(move |profile| {
        let hostings = hostings.clone();
        hostings.into_iter().filter_map(move |hosting| {
            let shop = crate::shop::shop().taking(Work::Command, secs(2));
            let on = Simulation::on(profile.clone()).hosted(shop, Hosting { members: 2, ..Hosting::ALONE });
            let changes = |price| vec![Change { item: ITEM, price }, Change { item: ITEM, price: price + 10 }];
            on.hosted(search(), hosting).client("ann", changes(1)).client("bob", changes(2)).build().ok()
        })
    })
}

#[test]
fn any_run_is_extracted_exactly_and_its_steps_are_played_again() {
    let (mut kinds, mut worked, mut again) = (0, 0, 0);
    for simulation in all_kinds() {
        kinds += 1;
        for seed in 0..60 {
            let (keyed, nobody) = (Keyed::new(seed, PLAN), Judges::new(Vec::new()));
            let name = simulation.profile().name;
            let extracted = extract(&simulation, keyed.clone(), &nobody, Limits::default(), Tie::InOrder);
            let extracted = extracted.unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
            worked += extracted.report.counts.worked;
            again += extracted.report.counts.redeliveries;
            let steps_of = |scheduler: &mut dyn Scheduler| {
                let mut naming = Naming::default();
                pellmell::run::run(&mut simulation.world(), scheduler, &nobody, Limits::default(), &mut naming);
                naming.into_steps()
            };
            let steps = steps_of(&mut keyed.clone());
            let texts = steps.iter().map(|step| step.to_string().parse::<NamedStep>().expect("a step"));
            assert_eq!(steps_of(&mut Replayed::new(texts.collect())), steps, "{name}, seed {seed}");
        }
    }
    assert!(kinds >= 20 && worked > 10_000 && again > 1_000, "{kinds} kinds, {worked} worked, {again} came again");
}

#[test]
fn what_comes_of_it_is_found_shrunk_and_explained() {
    let once = || Judges::new(vec![at_most_once_outside::<Shop>("IndexedOnce", "index")]);
    let simulation = |takes| simulation(waiting(Stale::Accept), two(takes), 1);
    // In the calm run, because the lease ends.
    let (slow, judges) = (simulation(12), once());
    let swept = HoldSweep::new(&slow, &judges).with_faults(FaultPlan::SOME).run();
    assert!(!swept.is_held());
    // With a lost ack, or a pause that outlives the lease beside the work.
    let quick = simulation(7);
    let pausing = FaultPlan { pause: Rate::of(Ratio::new(1, 2)), ..FaultPlan::NONE };
    let swept = HoldSweep::new(&quick, &judges).with_faults(pausing).run();
    let first = swept.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    let lines: Vec<String> = first.departures.iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("pause item:changed i1@0 -> search until "), "{lines:?}");
    let lost: Vec<Departure> = vec!["lose ack of item:changed i1@0 -> search".parse().expect("a departure")];
    let shrunk = Shrink::new(&quick, &judges).run(lost.clone()).expect("it fails");
    assert_eq!(shrunk.departures, lost);
    let told = Explain::new(&quick, &judges).run(&shrunk).expect("it is small").to_string();
    assert!(told.contains("finish item:changed i1@0 #2 ✓ saves i1@1"), "{told}");
    assert!(HoldSweep::new(&quick, &judges).with_faults(FaultPlan::NONE).run().is_held());
}

#[test]
fn complete_searches_know_of_it_on_the_own_broker_and_refuse_it_elsewhere() {
    let judges = Judges::new(vec![at_most_once_outside::<Shop>("IndexedOnce", "index")]);
    let bounds = Bounds::of(DeliveryOrder::Broker);
    for (takes, ended) in [(7, Ended::All), (12, Ended::Failing)] {
        let simulation = simulation(waiting(Stale::Accept), two(takes), 1);
        let result = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
        assert_eq!(result.ended, ended, "{takes}: {result}");
    }
    let (stuck, nobody) = (simulation(waiting(Stale::Reject), taking(12), 1), Judges::new(Vec::new()));
    let result = Exhaust::new(&stuck, &nobody).with_bounds(bounds).with_first_failing(true).run();
    assert_eq!(result.ended, Ended::Failing, "{result}");
    assert!(result.to_string().contains("takes 12s"), "{result}");
    let any = simulation(DeliveryOrder::Any.profile(), taking(7), 1);
    let result = Exhaust::new(&any, &judges).with_bounds(Bounds::of(DeliveryOrder::Any)).run();
    assert_eq!((result.ended, result.is_complete(), result.stats.states), (Ended::Works, false, 0));
    assert!(result.to_string().contains("`--order broker`"), "{result}");
    let shortest = Shortest::new(&any, &judges).run();
    assert!(!shortest.complete && shortest.states == 0);
}

#[test]
fn what_cannot_take_time_is_refused_with_the_reason() {
    let refused = |search: Closures<Shop>, hosting: Hosting, profile: Profile, other: Option<Hosting>| {
        let on = Simulation::on(profile).service(crate::shop::shop()).hosted(search, hosting);
        let copy = service::<Shop>("copy").on_event(CHANGED, |_, _| Outcome::Ack);
        let on = match other {
            Some(other) => on.hosted(copy, other),
            None => on,
        };
        on.client::<Change>("ann", Vec::new()).build().err().map(|error| error.to_string()).unwrap_or_default()
    };
    let timer = refused(search().taking(Work::Timer, secs(1)), Hosting::ALONE, Profile::stan(), None);
    assert!(timer.contains("service `search` takes 1s for a timer: the clock stands"), "{timer}");
    let overlapping = Hosting { overlapping: true, ..taking(5) };
    let endless = refused(search(), overlapping.clone(), Profile::adversarial(), None);
    assert!(endless.contains("a message would come again without end; set an ack wait"), "{endless}");
    assert_eq!(refused(search(), overlapping, Profile::stan(), None), "");
    let group = Some("search".to_owned());
    let shared = |takes| Hosting { group: group.clone(), takes, ..Hosting::ALONE };
    let mixed = refused(search(), taking(5), Profile::stan(), Some(shared(None)));
    assert!(mixed.contains("`search` shares the group `search`, and only some who do take time"), "{mixed}");
    assert_eq!(refused(search(), taking(5), Profile::stan(), Some(shared(Some(secs(9))))), "");
    // Who says nothing takes no time, whatever the service would do; and the hosting has the last word.
    let on = |hosting| hosted(Profile::stan(), search().taking(Work::Delivery, secs(3)), hosting, 1);
    assert!(calm(&on(Hosting::ALONE)).0.contains(&"3 finish i1@0 #1: ack".to_owned()));
    assert!(calm(&on(taking(0))).0.contains(&"0 deliver i1@0 #1: ack".to_owned()));
}
