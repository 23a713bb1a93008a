//! Clients that wait and clients that try again, commands that set the stage, and stores that begin with
//! records.

use std::collections::BTreeSet;

use pellmell::explain::Explain;
use pellmell::scheduler::{Scripted, Tie};
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, Most};
use pellmell::shrink::Shrink;
use pellmell::simulation::{Client, Sending};
use pellmell::ticketing::Scenario;
use pellmell::ticketing::{Design, Hostings, Request, StoredTicket, Ticketing, properties};
use pellmell::{
    Answer, Calm, Departing, FaultPlan, Judges, Keyed, Limits, Profile, Rate, Ratio, RecordId, Replayed, Report,
    Scheduler, SchedulerKind, Simulation, Step, Window, World, run, testing,
};

use crate::ran;
use crate::support::request;

const LIMITS: Limits = Limits { steps_max: 20_000, messages_max: 5_000, in_flight_max: 5_000 };

/// A client with commands that are sent like any other.
fn client(name: &str, texts: &[&str]) -> Client<Request> {
    sending(name, texts, |sending| sending)
}

/// A client whose commands are sent so.
fn sending(name: &str, texts: &[&str], how: fn(Sending<Request>) -> Sending<Request>) -> Client<Request> {
    let commands = texts.iter().map(|text| how(Sending::of(request(&format!("{name} {text}")))));
    Client { name: name.to_owned(), commands: commands.collect() }
}

fn simulation(design: Design, profile: Profile, clients: Vec<Client<Request>>) -> Simulation<Ticketing> {
    let hosted = design.host(Simulation::on(profile), &Hostings::FOUR);
    let hosted = clients.into_iter().fold(hosted, |on, client| on.client(client.name, client.commands));
    hosted.build().expect("the parts fit")
}

fn id(text: &str) -> RecordId {
    text.parse().expect("a record")
}

/// What happened in a run.
#[derive(Default)]
struct Seen {
    actions: Vec<String>,
    refusals: Vec<u16>,
    crashes: BTreeSet<String>,
    action: String,
}

impl pellmell::run::Observer<Ticketing> for Seen {
    fn before(&mut self, world: &World<Ticketing>, action: pellmell::scheduler::Action) {
        self.action = world.describe(action);
    }

    fn after(&mut self, _: &World<Ticketing>, step: &Step) {
        self.actions.push(self.action.clone());
        if let Some(Answer::Command(Err(rejection))) = step.answer {
            self.refusals.push(rejection.status);
        }
        if step.fate.crash.is_some() || step.fate.pause {
            self.crashes.insert(self.action.clone());
        }
    }
}

fn played(simulation: &Simulation<Ticketing>, mut scheduler: impl Scheduler) -> (World<Ticketing>, Report, Seen) {
    let (mut world, mut seen) = (simulation.world(), Seen::default());
    let judges = Judges::new(Vec::new());
    let report = run(&mut world, &mut scheduler, &judges, LIMITS, &mut seen);
    (world, report, seen)
}

fn waits(world: &World<Ticketing>) -> Vec<String> {
    world.waiting_clients().iter().map(ToString::to_string).collect()
}

const EAGER: &str = r#"
version = 1
about = "One buyer pays an order twice."
design = "course"
[broker]
profile = "stan"
ack_wait = ["5s"]
[services.payments]
[[client]]
name = "ann"
commands = [
    { create_ticket = { ticket = "t1", price = 10 } },
    { create_order = { order = "o1", ticket = "t1" }WAIT_T },
    { pay = { payment = "p1", order = "o1" }WAIT_O },
    { pay = { payment = "p2", order = "o1" }WAIT_O },
]
"#;

/// In how many of these seeds of the uniform scheduler a request comes too early, and in how many the
/// order is paid twice.
fn too_early(wait_for_ticket: &str, wait_for_order: &str, seeds: u64) -> (usize, usize) {
    let text = EAGER.replace("WAIT_T", wait_for_ticket).replace("WAIT_O", wait_for_order);
    let scenario = Scenario::parse("eager.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let simulation = scenario.simulation(0).expect("the parts fit");
    let (mut early, mut twice) = (0, 0);
    for seed in 0..seeds {
        let (world, _, seen) =
            played(&simulation, SchedulerKind::Uniform.scheduler(&simulation, seed, FaultPlan::NONE));
        early += usize::from(seen.refusals.contains(&404));
        twice += usize::from(["p1", "p2"].iter().all(|payment| world.store_of("payments").holds(id(payment))));
    }
    (early, twice)
}

#[test]
fn a_client_that_waits_for_what_it_needs_never_comes_too_early() {
    let (early, twice) = too_early("", "", 300);
    assert!(early > 150 && twice < 150, "{early} {twice}: without waiting most buyers come too early");
    assert_eq!(too_early(r#", waits_for = ["t1"]"#, r#", waits_for = ["o1"]"#, 300), (0, 300));
    assert_eq!(too_early(r#", waits_for = ["t1 at orders"]"#, r#", waits_for = ["o1 at payments"]"#, 300), (0, 300));
}

#[test]
fn a_client_that_tries_again_is_refused_and_accepted_in_the_end() {
    let again = ", until_accepted = true";
    let (early, twice) = too_early(again, again, 300);
    assert!(early > 100 && twice == 300, "{early} {twice}");
}

#[test]
fn another_attempt_has_a_name_of_its_own_and_comes_only_when_the_store_has_changed() {
    let clients = vec![
        sending("bob", &["order t1 as o1"], Sending::until_accepted),
        client("ann", &["create t1 5", "create t2 5"]),
    ];
    let simulation = simulation(Design::REFERENCE, Profile::stan(), clients);
    let (world, _, seen) = played(&simulation, Calm::new(0, FaultPlan::NONE));
    let of_bob: Vec<&str> = seen.actions.iter().map(String::as_str).filter(|name| name.starts_with("bob")).collect();
    assert_eq!(of_bob, ["bob: order t1 as o1", "bob: order t1 as o1 #2"]);
    assert_eq!(seen.refusals, [404]);
    assert_eq!(seen.actions[2], "deliver ticket:created t1@0 -> orders #1", "{:?}", seen.actions);
    assert_eq!(waits(&world), Vec::<String>::new());

    let held = "hold bob: order t1 as o1 #2 until ann: create t2 at 5";
    let mut departing = Departing::new(vec![held.parse().expect("a departure")]);
    let mut seen = Seen::default();
    run(&mut simulation.world(), &mut departing, &Judges::new(Vec::new()), LIMITS, &mut seen);
    assert_eq!(departing.unused().count(), 0);
    let place = |name: &str| seen.actions.iter().position(|other| other == name).expect("it happens");
    assert!(place("ann: create t2 at 5") < place("bob: order t1 as o1 #2"), "{:?}", seen.actions);
}

#[test]
fn who_waits_for_ever_ends_the_run_and_is_named() {
    let late = |sending: Sending<Request>| sending.waits_for(id("t7"), "orders");
    let clients = vec![
        client("ann", &["create t1 5"]),
        sending("bob", &["order t1 as o1"], late),
        sending("eve", &["edit t1 7", "show t1"], Sending::until_accepted),
    ];
    let simulation = simulation(Design::REFERENCE, Profile::adversarial(), clients);
    for seed in 0..50 {
        let (world, report, seen) = played(&simulation, Keyed::new(seed, FaultPlan::NONE));
        assert!(report.verdict.is_held() && report.steps < 20, "{report:?}");
        let tried = seen.actions.iter().filter(|name| name.starts_with("eve")).count();
        let times = if tried == 1 { "once".to_owned() } else { format!("{tried} times") };
        let eve = format!("eve: edit t1 to 7 was tried {times} and waits for a change at tickets");
        assert_eq!(waits(&world), ["bob: order t1 as o1 waits for t7 at orders".to_owned(), eve]);
    }
}

#[test]
fn a_command_that_a_crash_cuts_off_is_lost_unless_its_client_tries_again() {
    let plan = FaultPlan { crash: Rate { ratio: Ratio::ALWAYS, most: 1 }, ..FaultPlan::NONE };
    let crashing = |how: fn(Sending<Request>) -> Sending<Request>| {
        let simulation = simulation(Design::REFERENCE, Profile::stan(), vec![sending("ann", &["create t1 5"], how)]);
        let cut_off = |seed: &u64| {
            let (_, _, seen) = played(&simulation, Calm::new(*seed, plan));
            seen.crashes.contains("ann: create t1 at 5")
        };
        let seed = (0..).find(cut_off).expect("some seed crashes the command");
        played(&simulation, Calm::new(seed, plan)).2.actions
    };
    assert!(crashing(|sending| sending).iter().all(|name| !name.contains('#') || name.contains("->")));
    let crash = |window: Window| {
        let clients = vec![sending("ann", &["create t1 5"], Sending::until_accepted)];
        let simulation = simulation(Design::REFERENCE, Profile::stan(), clients);
        let text = format!("crash tickets {} of ann: create t1 at 5", window.name());
        played(&simulation, Departing::new(vec![text.parse().expect("a departure")]))
    };
    for window in Window::ALL {
        let (world, _, seen) = crash(window);
        assert!(world.store_of("tickets").holds(id("t1")), "{window:?}");
        // What was saved before the crash is there, so the second attempt is refused and there is no third.
        let tried = seen.actions.iter().filter(|name| name.starts_with("ann")).count();
        let (attempts, refused, waiting) = match window {
            Window::BeforeSave => (2, 0, 0),
            Window::BeforePublish | Window::BeforeAck => (2, 1, 1),
            Window::AfterAck => (1, 0, 0),
            Window::BetweenSaves => unreachable!("no command is saved in two goes"),
        };
        assert_eq!((tried, seen.refusals.len(), waits(&world).len()), (attempts, refused, waiting), "{window:?}");
    }
}

#[test]
fn no_fault_falls_on_a_command_that_sets_the_stage() {
    let plan = FaultPlan { crash: Rate::of(Ratio::ALWAYS), pause: Rate::of(Ratio::ALWAYS), ..FaultPlan::NONE };
    let clients = vec![sending("ann", &["create t1 5", "edit t1 6"], Sending::setup), client("bob", &["create t2 5"])];
    let hostings =
        Hostings { tickets: pellmell::Hosting { overlapping: true, ..pellmell::Hosting::ALONE }, ..Hostings::TWO };
    let hosted = Design::REFERENCE.host(Simulation::on(Profile::stan()), &hostings);
    let hosted = clients.into_iter().fold(hosted, |on, client| on.client(client.name, client.commands));
    let simulation = hosted.build().expect("the parts fit");
    let (_, _, seen) = played(&simulation, Keyed::new(1, plan));
    assert!(seen.crashes.contains("bob: create t2 at 5"), "{:?}", seen.crashes);
    assert!(seen.crashes.iter().all(|name| !name.starts_with("ann")), "{:?}", seen.crashes);
    let mut departing = Departing::new(vec!["crash tickets before save of ann: create t1 at 5".parse().expect("one")]);
    run(&mut simulation.world(), &mut departing, &Judges::new(Vec::new()), LIMITS, &mut ());
    assert_eq!(departing.unused().count(), 1, "a crash that cannot fall is not said to have fallen");
}

const FAILING: &str = r#"
version = 1
about = "A paid order is cancelled."
design = "course"
properties = ["PaymentAgreement"]
[broker]
profile = "stan"
ack_wait = ["5s"]
[services.payments]
[[client]]
name = "stage"
commands = [{ create_ticket = { ticket = "t9", price = 3 }, setup = true }]
[[client]]
name = "seller"
commands = [{ create_ticket = { ticket = "t1", price = 10 } }, { edit_ticket = { ticket = "t1", price = 12 } }]
[[client]]
name = "ann"
commands = [
    { create_order = { order = "o1", ticket = "t1" }, until_accepted = true },
    { pay = { payment = "p1", order = "o1" }, waits_for = ["o1 at payments"] },
    { cancel_order = { order = "o1" } },
]
"#;

#[test]
fn shrinking_keeps_what_sets_the_stage_and_writes_how_commands_are_sent() {
    let scenario = Scenario::parse("failing.toml", FAILING).unwrap_or_else(|error| panic!("{error}"));
    let mut shrunken = 0;
    for seed in 0..12 {
        let seeded = scenario.clone().with(|settings| settings.scheduler = Some(SchedulerKind::Uniform));
        let Some(found) = seeded.shrink(seed, 500).unwrap_or_else(|error| panic!("{error}")) else { continue };
        shrunken += 1;
        let small = found.scenario;
        assert!(found.text.contains("setup = true") && small.clients[0].name == "stage", "{}", found.text);
        assert!(!found.shrunk.needed.iter().any(|needed| needed.item.to_string().starts_with("stage")));
        let sent = small.clients.iter().flat_map(|client| &client.commands);
        let ways: Vec<_> = sent.filter(|sent| sent.until_accepted || !sent.waits_for.is_empty()).collect();
        assert_eq!(ways.len(), 2, "{}", found.text);
    }
    assert!(shrunken > 3, "{shrunken}");
}

#[test]
fn a_replayed_schedule_keeps_what_sets_the_stage() {
    let clients = vec![sending("stage", &["create t1 5"], Sending::setup), client("bob", &["create t2 5"])];
    let simulation = simulation(Design::REFERENCE, Profile::stan(), clients);
    let watched = testing::at_quiescence::<Ticketing>("stage", |moment| {
        assert!(!moment.store_of("tickets").holds("t1".parse().expect("a record")), "the stage is set");
        assert!(!moment.store_of("tickets").holds("t2".parse().expect("a record")), "what is left out is sent");
        Ok(())
    });
    let judges = Judges::new(vec![watched]);
    let replay = || testing::replay(&simulation, &["send nothing"], &judges);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(replay)).expect_err("the stage is set");
    let message = panic.downcast_ref::<String>().expect("a text");
    assert!(message.contains("the stage is set") && message.contains("stage: create t1 at 5"), "{message}");
}

fn stored(ticket: &str, replica: bool) -> StoredTicket {
    StoredTicket { ticket: id(ticket), title: "concert".into(), price: 10, seller: "ann".into(), replica }
}

#[test]
fn stores_begin_with_records_and_no_property_alarms_about_them() {
    let clients =
        || vec![client("ann", &["edit t1 12", "edit t1 13"]), client("bob", &["order t1 as o1", "cancel o1"])];
    for design in [Design::REFERENCE, Design::SAGA] {
        let judges = Judges::new(properties::promised_by(&design));
        let hosted = design.host(Simulation::on(Profile::adversarial()), &Hostings::FOUR);
        let hosted = design.with_stored(hosted, &stored("t1", true));
        let hosted = clients().into_iter().fold(hosted, |on, client| on.client(client.name, client.commands));
        let simulation = hosted.build().expect("the parts fit");
        let world = simulation.world();
        let owned = world.store_of("tickets").history::<pellmell::ticketing::Ticket>(id("t1"));
        assert_eq!(owned.len(), 1, "the owner's history begins with it");
        assert!(!world.store_of("tickets").changed() && world.broker().messages().is_empty());
        // Nobody pays, and nothing is created.
        let check = testing::Check::new(&simulation, &judges).with_seeds(0..200);
        check.allowing("property-without-occasion").allowing("unpublished-subject").run();
    }
}

#[test]
fn a_scenario_file_may_say_which_tickets_are_there_from_the_start() {
    let text = r#"
version = 1
about = "The ticket is there already."
[[record]]
ticket = "t1"
price = 10
seller = "ann"
[[client]]
name = "bob"
commands = [{ create_order = { order = "o1", ticket = "t1" } }]
"#;
    let scenario = Scenario::parse("stored.toml", text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.stored, [StoredTicket { title: "ticket".into(), ..stored("t1", true) }]);
    for seed in 0..20 {
        let simulation = scenario.simulation(seed).expect("the parts fit");
        let (world, _, seen) = played(&simulation, scenario.scheduler(&simulation, seed));
        assert_eq!((seen.refusals, seen.actions[0].as_str()), (Vec::new(), "bob: order t1 as o1"));
        assert!(world.store_of("orders").holds(id("o1")));
    }
    let refused = |text: String, part: &str| {
        let error = Scenario::parse("stored.toml", &text).expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    };
    let again = "[[record]]\nticket = \"t1\"\nprice = 5\nseller = \"ann\"\n[[client]]";
    refused(text.replace("[[client]]", again), "`t1` is created twice");
    refused(text.replace("ticket = \"t1\"\nprice", "ticket = \"o2\"\nprice"), "`o2` cannot be used here");
    refused(text.replace("seller = \"ann\"\n", ""), "seller");
}

#[test]
fn what_a_command_may_say_besides_is_checked() {
    let file = |command: &str| {
        format!(
            "version = 1\nabout = \"a test\"\n[[client]]\nname = \"ann\"\ncommands = [\n\
             {{ create_ticket = {{ ticket = \"t1\", price = 5 }} }},\n{command}\n]\n"
        )
    };
    let order = "create_order = { order = \"o1\", ticket = \"t1\" }";
    for (more, part) in [
        (", waits_for = [\"t1 at order\"]", "did you mean `orders`"),
        (", waits_for = [\"t1 at payments\"]", "unknown service `payments`"),
        (", waits_for = [\"ticket\"]", "write a record and a service"),
        (", waits_for = [\"t2\"]", "no command creates `t2`"),
        (", waits_for = \"t1\"", "expected a sequence"),
        (", until_accepted = \"yes\"", "expected a boolean"),
        (", cancel_order = { order = \"o1\" }", "each command has braces of its own"),
        (", again = true", "unknown field `again`"),
    ] {
        let error = Scenario::parse("a.toml", &file(&format!("{{ {order}{more} }}"))).expect_err(more).to_string();
        assert!(error.contains(part) && error.contains("a.toml:7"), "{more}: {error}");
    }
    let error = Scenario::parse("a.toml", &file("{ setup = true }")).expect_err("no command").to_string();
    assert!(error.contains("this is not one command") && error.contains("a.toml:7"), "{error}");
    let schedule = |attempt: &str, until: &str| {
        let text = file(&format!("{{ {order}{until} }}"));
        let schedule = format!("schedule = [\"hold ann: order t1 as o1{attempt} until quiescence\"]\n[[client]]");
        Scenario::parse("a.toml", &text.replace("[[client]]", &schedule)).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(schedule(" #2", ", until_accepted = true"), Ok(()));
    let error = schedule(" #2", "").expect_err("it is sent once");
    assert!(error.contains("unknown command of `ann`"), "{error}");
}

#[test]
fn a_condition_that_is_true_from_the_start_changes_no_run() {
    let texts = ["edit t1 12", "order t1 as o1", "cancel o1", "order t1 as o2"];
    let run_with = |how: fn(Sending<Request>) -> Sending<Request>, seed: u64| {
        let hosted = Design::COURSE.host(Simulation::on(Profile::stan()), &Hostings::FOUR);
        let hosted = Design::COURSE.with_stored(hosted, &stored("t1", true));
        let client = sending("ann", &texts, how);
        let simulation = hosted.client(client.name, client.commands).build().expect("the parts fit");
        let (_, report, seen) = played(&simulation, Keyed::new(seed, FaultPlan::SOME));
        (report.fingerprint, report.steps, seen.actions)
    };
    for seed in 0..300 {
        let plain = run_with(|sending| sending, seed);
        let waiting = run_with(|sending| sending.waits_for(id("t1"), "tickets").waits_for(id("t1"), "orders"), seed);
        assert_eq!(plain, waiting, "seed {seed}");
    }
}

#[test]
fn a_complete_search_ends_where_clients_try_again_and_says_what_runs_say() {
    let clients = |how: fn(Sending<Request>) -> Sending<Request>| {
        let wait = |sending: Sending<Request>| sending.waits_for(id("t1"), "orders");
        vec![
            client("ann", &["create t1 5"]),
            sending("bob", &["order t1 as o1", "cancel o1"], how),
            sending("eve", &["order t1 as o2"], wait),
        ]
    };
    let mut verdicts = Vec::new();
    for design in [Design::REFERENCE, Design::COURSE] {
        let judges = Judges::new(properties::promised_by(&design));
        let bounds = Bounds { crashes: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
        let hosted = design.host(Simulation::on(bounds.order.profile()), &Hostings::TWO);
        let all = clients(Sending::until_accepted);
        let hosted = all.into_iter().fold(hosted, |on, client| on.client(client.name, client.commands));
        let simulation = hosted.build().expect("the parts fit");
        let found = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
        let plan = FaultPlan { crash: Rate { ratio: Ratio::new(1, 5), most: 1 }, ..FaultPlan::NONE };
        let fails = |seed: &u64| {
            let mut world = simulation.world();
            let mut scheduler = Keyed::new(*seed, plan);
            !run(&mut world, &mut scheduler, &judges, LIMITS, &mut ()).verdict.is_held()
        };
        let failing = (0..400).any(|seed| fails(&seed));
        assert_eq!(found.failing.is_some(), failing, "{:?}", found.failing);
        if let Some(failing) = &found.failing {
            let mut scripted = Scripted::new(failing.steps.clone());
            let again = run(&mut simulation.world(), &mut scripted, &judges, LIMITS, &mut ()).verdict;
            assert_eq!(again.signature(), failing.verdict.signature());
        } else {
            assert!(found.is_complete() && found.stats.states > 100, "{found:?}");
        }
        verdicts.push(failing);
    }
    assert_eq!(verdicts, [false, true]);
}

/// The step after which all that comes fails although nobody asks for anything more, and what is done in it.
fn settled(text: &str, property: &str) -> (String, Option<u64>, Option<u64>) {
    let scenario = Scenario::parse("settled.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let scenario = scenario.with(|settings| settings.properties = vec![property.to_owned()]);
    let (simulation, judges) = (scenario.simulation(0).expect("the parts fit"), scenario.judges());
    let shrunk =
        Shrink::new(&simulation, &judges).with_limits(scenario.limits).run(Vec::new()).expect("the calm run fails");
    let explained = Explain::new(&simulation, &judges).with_limits(scenario.limits).run(&shrunk).expect("it is small");
    let settled = explained.settled.expect("it is settled by some step");
    let row = explained.steps.iter().find(|row| row.record.step == settled).expect("a row");
    (row.record.action.clone(), explained.turning_point, Some(settled))
}

#[test]
fn an_explanation_does_not_take_the_step_that_lets_a_request_be_answered_for_the_cause() {
    let text = r#"
version = 1
about = "A replica save that changes no field keeps the version."
design = "course"
defects = ["NoOpSaveKeepsVersion"]
[broker]
profile = "stan"
ack_wait = ["5s"]
[[client]]
name = "alice"
commands = [
    { create_ticket = { ticket = "t1", title = "concert", price = 10 } },
    { create_order = { order = "o1", ticket = "t1" } },
    { cancel_order = { order = "o1" } },
]
"#;
    // Nothing is left to chance: the commands suffice, and the cancel is what it takes.
    let (action, turn, _) = settled(text, "NoPoison");
    assert_eq!((action.as_str(), turn), ("alice: cancel o1", None));
    let text = FAILING
        .replace("{ create_ticket = { ticket = \"t9\", price = 3 }, setup = true }", "")
        .replace(", until_accepted = true", "")
        .replace(", waits_for = [\"o1 at payments\"]", "");
    let (action, turn, settled) = settled(&text, "PaymentAgreement");
    assert_eq!(action, "ann: cancel o1");
    // It turns where the payment is there before the cancel, which is a race, directly before.
    assert_eq!(turn.map(|turn| turn + 1), settled);
}

#[test]
fn the_steps_of_a_run_with_attempts_are_told_again_by_name() {
    let clients = vec![
        sending("bob", &["order t1 as o1", "cancel o1"], Sending::until_accepted),
        client("ann", &["create t1 5", "edit t1 6"]),
    ];
    let simulation = simulation(Design::REFERENCE, Profile::stan(), clients);
    let judges = Judges::new(Vec::new());
    let mut attempts = 0;
    for seed in 0..100 {
        let mut naming = pellmell::trace::Naming::default();
        let mut scheduler = Keyed::new(seed, FaultPlan::SOME);
        let report = run(&mut simulation.world(), &mut scheduler, &judges, LIMITS, &mut naming);
        let texts: Vec<String> = naming.into_steps().iter().map(ToString::to_string).collect();
        attempts += texts.iter().filter(|text| text.starts_with("bob") && text.contains('#')).count();
        let steps = texts.iter().map(|text| text.parse().expect("a step")).collect();
        let again = run(&mut simulation.world(), &mut Replayed::new(steps), &judges, LIMITS, &mut ());
        assert_eq!(again.fingerprint, report.fingerprint, "{texts:?}");
        let extracted =
            pellmell::extract::extract(&simulation, Keyed::new(seed, FaultPlan::SOME), &judges, LIMITS, Tie::InOrder);
        assert!(extracted.is_ok(), "{extracted:?}");
    }
    assert!(attempts > 30, "{attempts}");
}

/// What the binary says of a file with this text.
fn told(name: &str, text: &str, args: &[&str]) -> (i32, String) {
    let path = std::env::temp_dir().join(format!("pellmell-clients-{}-{name}.toml", std::process::id()));
    std::fs::write(&path, text).expect("the file is written");
    let file = path.display().to_string();
    let ran = ran::pellmell(&[&[args[0], file.as_str()], &args[1..]].concat());
    std::fs::remove_file(&path).expect("it was there");
    (ran.code, ran.stdout + &ran.stderr)
}

#[test]
fn the_command_line_plays_files_with_clients_that_wait_or_try_again_and_with_records() {
    let eager = |ticket: &str, order: &str| EAGER.replace("WAIT_T", ticket).replace("WAIT_O", order);
    let waiting = eager(r#", waits_for = ["t1"]"#, r#", waits_for = ["o1"]"#);
    let again = eager(", until_accepted = true", ", until_accepted = true");
    let uniform = ["--scheduler", "uniform", "--property", "AtMostOnePayment", "--seed"];
    let mut attempts = 0;
    for seed in ["1", "2", "3", "4", "5"] {
        let args = [&["run"], &uniform[..], &[seed]].concat();
        let (code, text) = told("waiting", &waiting, &args);
        assert_eq!((code, text.contains("404")), (1, false), "{text}");
        let (code, text) = told("again", &again, &args);
        assert_eq!(code, 1, "{text}");
        attempts += usize::from(text.contains("ann: order t1 as o1 #2") && text.contains("404"));
    }
    assert!(attempts > 0, "no buyer came too early");
    let record = "\n[[record]]\nticket = \"t1\"\nprice = 10\nseller = \"zoe\"\n";
    let create = "    { create_ticket = { ticket = \"t1\", price = 10 } },\n";
    let stored = eager("", "").replace(create, "").replace("[[client]]", &format!("{record}[[client]]"));
    let (code, text) = told("stored", &stored, &["run", "--scheduler", "calm", "--property", "AtMostOnePayment"]);
    assert!(code == 1 && text.contains("ann: order t1 as o1") && !text.contains("create t1"), "{text}");
}

#[test]
fn a_client_that_waits_in_vain_is_told_and_is_not_green() {
    let text = r#"
version = 1
about = "Nobody creates the order that is waited for."
[[client]]
name = "ann"
commands = [{ create_ticket = { ticket = "t1", price = 10 } }]
[[client]]
name = "bob"
commands = [{ create_order = { order = "o1", ticket = "t1" }, waits_for = ["t2 at orders"] }]
[[client]]
name = "eve"
commands = [{ create_ticket = { ticket = "t2", price = 10 }, waits_for = ["o1 at orders"] }]
"#;
    let (code, printed) = told("in-vain", text, &["run"]);
    let said =
        "Vacuous waits-in-vain bob: to the end of every run it waited: bob: order t1 as o1 waits for t2 at orders";
    assert!(code == 4 && printed.contains(said), "{code}\n{printed}");
    assert_eq!(told("in-vain-allowed", text, &["run", "--allow", "waits-in-vain"]).0, 0);
}
