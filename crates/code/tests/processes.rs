//! Services that are processes, in simulations beside one another.

#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what is left out is said")]

#[expect(dead_code, reason = "it is for other tests too")]
mod shop;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use pellmell::search::{Bounds, DeliveryOrder, Ended, Exhaust, Most};
use pellmell::testing;
use pellmell::{Calm, FaultPlan, Judges, Limits, Profile, PublishMode, Rate, Ratio, Simulation, Verdict, run};
use pellmell_code::{Call, CodeService, Names, Naming, Process, State};
use serde_json::json;

use shop::{I1, Item, Shop, has, judges, replay, services};

// In the examples, from where the services are that only these tests have.
const SHOP: &str = "../../../../examples/processes/shop.js";
const IN_ORDER: &str = "../../../../examples/processes/search-in-order.js";
const CARELESS: &str = "../../../../examples/processes/search.js";

/// The arguments of the same service, which takes whatever comes.
fn careless<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    match arguments {
        [IN_ORDER] => vec![CARELESS],
        _ => arguments.iter().copied().chain(["careless"]).collect(),
    }
}

fn names() -> Names {
    Names::new().on("item:changed", Naming::of('i').version_at("/version"))
}

fn process(program: &str, arguments: &[&str]) -> Process {
    Process::new(program, arguments.iter().copied()).in_folder(services())
}

fn search(program: &str, arguments: &[&str]) -> CodeService<Shop> {
    let search = CodeService::new("search", process(program, arguments), names());
    search.unwrap_or_else(|failure| panic!("{failure}")).keeps::<Item>().listening(["item:changed"])
}

/// A seller who sets prices at a shop in Node, and a search service that hears of them.
fn shop(profile: Profile, search: CodeService<Shop>, publishing: PublishMode, prices: &[u32]) -> Simulation<Shop> {
    let shop = CodeService::new("shop", process("node", &[SHOP]), names()).expect("a shop");
    let shop = shop.owns::<Item>().publishing(publishing);
    let set = |price: &u32| Call::new("shop", "set_price", I1).with(&json!({ "price": price }));
    let on = Simulation::on(profile).service(shop).service(search);
    on.client("seller", prices.iter().map(set).collect::<Vec<_>>()).build().expect("parts that fit")
}

fn mailed_once() -> Judges<Shop> {
    Judges::new(vec![testing::at_most_once_outside("MailedOnce", "mail")])
}

/// What a test says of a simulation: `held`, or the panic's text.
fn check(simulation: &Simulation<Shop>, seeds: u64) -> String {
    let lose_ack = Rate { ratio: Ratio::new(1, 4), most: 3 };
    let crash = Rate { ratio: Ratio::new(1, 4), most: 1 };
    let plan = FaultPlan { lose_ack, crash, ..FaultPlan::NONE };
    let judges = judges();
    let work = || testing::Check::new(simulation, &judges).with_seeds(0..seeds).with_faults(plan).run();
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(checked) => {
            assert!(checked.counts.acks_lost > 0 && checked.counts.crashes > 0 && checked.counts.overtakings > 0);
            "held".to_owned()
        }
        Err(panic) => panic.downcast_ref::<String>().expect("a text").clone(),
    }
}

#[test]
fn services_that_look_at_versions_hold_and_careless_ones_do_not_whatever_they_keep() {
    let cases: [(&str, &[&str], State); 3] = [
        ("node", &[IN_ORDER], State::Records),
        ("python3", &["search.py", "resets"], State::Own),
        ("python3", &["search.py", "snapshot"], State::Snapshot),
    ];
    for (program, arguments, state) in cases.into_iter().filter(|(program, ..)| has(&["node", program])) {
        let right = search(program, arguments);
        assert_eq!(right.state(), state);
        let on = |search| shop(Profile::stan(), search, PublishMode::Outbox, &[5, 10]);
        assert_eq!(check(&on(right), 6), "held", "{arguments:?}");
        let careless: Vec<&str> = careless(arguments);
        let said = check(&on(search(program, &careless)), 6);
        assert!(said.contains("SearchAgreesWithShop"), "{careless:?}: {said}");
    }
}

#[test]
fn a_shop_that_saves_and_then_publishes_loses_the_event_in_a_crash_between() {
    if has(&["node"]) {
        let simulation = shop(Profile::stan(), search("node", &[IN_ORDER]), PublishMode::DualWrite, &[5]);
        let said = check(&simulation, 1);
        assert!(said.contains("crash shop before publish of seller: set_price i1"), "{said}");
    }
}

#[test]
fn a_crash_is_one_and_what_a_process_has_in_memory_is_gone() {
    if !has(&["node", "python3"]) {
        return;
    }
    for arguments in [&["search.py", "in-memory"][..], &["search.py", "in-memory", "snapshot"]] {
        let simulation = shop(Profile::stan(), search("python3", arguments), PublishMode::Outbox, &[5]);
        let lost = replay(&simulation, &mailed_once(), &["lose ack of item:changed i1@0 -> search"]);
        assert_eq!(lost, "held", "{arguments:?}: it has seen the message");
        let crashed = replay(&simulation, &mailed_once(), &["crash search before ack of item:changed i1@0 -> search"]);
        assert!(crashed.contains("violated MailedOnce"), "{arguments:?}: {crashed}");
    }
}

#[test]
fn a_state_of_files_survives_a_crash() {
    if has(&["node", "python3"]) {
        let simulation = shop(Profile::stan(), search("python3", &["search.py"]), PublishMode::Outbox, &[5, 10]);
        let crash = ["crash search before ack of item:changed i1@0 -> search"];
        assert_eq!(replay(&simulation, &judges(), &crash), "held");
    }
}

#[test]
fn what_depends_on_chance_or_the_clock_of_the_machine_is_named() {
    if !has(&["node", "python3"]) {
        return;
    }
    for wrong in ["random", "clock"] {
        for keeps in [&["search.py", "resets", wrong][..], &["search.py", "snapshot", wrong]] {
            let simulation = shop(Profile::stan(), search("python3", keeps), PublishMode::Outbox, &[5]);
            let judges = judges();
            let said = catch_unwind(AssertUnwindSafe(|| testing::check(&simulation, 0..5, FaultPlan::NONE, &judges)));
            let said = said.expect_err("another price each time");
            let said = said.downcast_ref::<String>().expect("a text");
            assert!(said.contains("item:changed i1@0"), "{keeps:?}: {said}");
        }
    }
}

#[test]
fn all_schedules_are_searched_where_a_service_keeps_records_a_snapshot_or_its_own_state() {
    let cases: [(&str, &[&str]); 3] =
        [("node", &[IN_ORDER]), ("python3", &["search.py", "snapshot"]), ("python3", &["search.py", "resets"])];
    for (program, arguments) in cases.into_iter().filter(|(program, _)| has(&["node", program])) {
        let judges = judges();
        let bounds = Bounds { lost_acks: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
        let searched = |arguments: &[&str]| {
            let search = search(program, arguments);
            let simulation = shop(Profile::adversarial(), search, PublishMode::Outbox, &[5, 10]);
            Exhaust::new(&simulation, &judges).with_bounds(bounds).run()
        };
        let right = searched(arguments);
        assert_eq!(right.ended, Ended::All, "{arguments:?}");
        let careless: Vec<&str> = careless(arguments);
        assert_eq!(searched(&careless).ended, Ended::Failing, "{careless:?}");
    }
}

/// What comes of one call at a service whose process is a script for `sh`.
fn worker(script: &str) -> String {
    // What hangs is waited for so long, and nothing else takes long.
    let within = Duration::from_millis(if script.ends_with("sleep 600") { 1_500 } else { 30_000 });
    let process = process("sh", &["-c", script]).answering_within(within);
    let service = match CodeService::<Shop>::new("worker", process, names()) {
        Ok(service) => service.keeps::<Item>(),
        Err(failure) => return format!("does not start: {failure}"),
    };
    let simulation = Simulation::on(Profile::stan()).service(service);
    let simulation = simulation.client("ann", vec![Call::new("worker", "work", I1)]).build().expect("parts that fit");
    let judges = Judges::new(Vec::new());
    let report = run(&mut simulation.world(), &mut Calm::new(0, FaultPlan::NONE), &judges, Limits::default(), &mut ());
    match report.verdict {
        Verdict::Panicked { message } => message,
        other => format!("{other:?}"),
    }
}

const READY: &str = r#"read hello; echo '{"ready":{"protocol":1,"keeps":"own"}}'; read line; "#;

#[test]
fn a_process_that_does_not_do_its_part_is_told_of_with_its_last_lines() {
    let cases = [
        (
            "hangs",
            "echo thinking >&2; sleep 600",
            "worker: it did not answer within 1500 ms; the last it wrote:\n    thinking",
        ),
        (
            "dies",
            "echo 'out of cheese' >&2; exit 3",
            "it ended (exit status: 3) and had not answered; the last it wrote:\n    out of cheese",
        ),
        ("is killed", "kill -9 $$", "it ended (signal: 9 (SIGKILL)) and had not answered"),
        (
            "writes garbage",
            "echo hello",
            "it wrote `hello`, which is no line of the protocol (expected value at line 1 column 1); only lines",
        ),
        ("floods", r#"yes '{"log":"again"}'"#, "it wrote 100000 lines and no answer"),
        ("never ends its line", "cat /dev/zero", "it wrote a line of more than 4194304 bytes"),
        ("closes its stdout", "exec >&-; sleep 600", "it closed its stdout and had not answered"),
        ("is ready twice", r#"echo '{"ready":{"protocol":1,"keeps":"own"}}'"#, "was not asked for that"),
        (
            "publishes what has no names",
            r#"echo '{"publish":{"subject":"news","body":{}}}'"#,
            "nothing says what messages on `news` are about: there are names for `item:changed`",
        ),
        (
            "publishes what names no record",
            r#"echo '{"publish":{"subject":"item:changed","body":{"version":1}}}'"#,
            "a message on `item:changed`: nobody knows what it is about: its body has nothing at `/id`: {\"version\":1}",
        ),
        (
            "publishes what has no version",
            r#"echo '{"publish":{"subject":"item:changed","body":{"id":"i1","version":"new"}}}'"#,
            "`new` is no version: expected a whole number",
        ),
        (
            "saves a record of no kind",
            r#"echo '{"saved":{"record":"x1","version":0,"value":{}}}'"#,
            "x1: the service has no records of the kind `x`: it has those of `i`",
        ),
        (
            "saves what is no such record",
            r#"echo '{"saved":{"record":"i1","version":0,"value":{"cost":1}}}'"#,
            "`i1` is none of `items`: unknown field `cost`, expected `price`: {\"cost\":1}",
        ),
        (
            "finds what is its own",
            r#"echo '{"find":"i1"}'; read found"#,
            "its state is its own: pellmell keeps no records",
        ),
        ("answers", r#"echo '{"done":true}'"#, "Held"),
    ];
    for (what, script, expected) in cases {
        let said = worker(&format!("{READY}{script}"));
        assert!(said.contains(expected), "it {what}: {said}");
    }
}

#[test]
fn a_process_that_does_not_start_as_it_should_is_told_of_before_anything_runs() {
    let cases = [
        ("exit 1", "does not start: worker: it ended (exit status: 1) and had not answered"),
        ("sleep 600", "does not start: worker: it did not answer within 1500 ms"),
        (
            r#"echo '{"ready":{"protocol":7,"keeps":"own"}}'; sleep 600"#,
            "it speaks version 7 of the protocol, expected 1",
        ),
        (r#"echo '{"done":true}'; sleep 600"#, "the first line that it wrote does not say that it is ready"),
        (
            r#"echo '{"ready":{"protocol":1,"keeps":"files"}}'; sleep 600"#,
            "unknown variant `files`, expected one of `records`, `snapshot`, `own`",
        ),
    ];
    for (script, expected) in cases {
        let said = worker(script);
        assert!(said.contains(expected), "{script}: {said}");
    }
    let missing = Process::new("no-such-program", ["orders.js"]);
    let failure = CodeService::<Shop>::new("worker", missing, names()).expect_err("it is not there");
    assert!(failure.to_string().starts_with("worker: `no-such-program orders.js` does not start: "), "{failure}");
}

#[test]
fn what_is_written_after_an_answer_is_told_of() {
    let twice =
        // In one go, so that both are there when the next call is made.
        r#"printf '{"done":true}\n{"publish":{"subject":"item:changed","body":{}}}\n'; read line; sleep 600"#;
    let process = process("sh", &["-c", &format!("{READY}{twice}")]).answering_within(Duration::from_secs(5));
    let service = CodeService::<Shop>::new("worker", process, names()).expect("it starts").keeps::<Item>();
    let calls = vec![Call::new("worker", "work", I1), Call::new("worker", "rest", I1)];
    let simulation = Simulation::on(Profile::stan()).service(service).client("ann", calls).build().expect("it fits");
    let judges = Judges::new(Vec::new());
    let mut calm = Calm::new(0, FaultPlan::NONE);
    let report = run(&mut simulation.world(), &mut calm, &judges, Limits::default(), &mut ());
    let said = format!("{:?}", report.verdict);
    assert!(said.contains("after its answer it wrote `{") && said.contains("did not wait for"), "{said}");
}

#[test]
fn nothing_is_left_of_a_process_neither_what_it_started_nor_its_folder() {
    let scratch = std::env::temp_dir().join(format!("pellmell-left-{}", std::process::id()));
    let script = format!("sleep 600 & echo $! $PELLMELL_FOLDER > {}; {READY} sleep 600", scratch.display());
    worker(&script);
    let noted = std::fs::read_to_string(&scratch).expect("it was started");
    std::fs::remove_file(&scratch).expect("it is there");
    let (child, folder) = noted.trim().split_once(' ').expect("a number and a folder");
    assert!(!Path::new(folder).exists(), "{folder}");
    // A process that has ended is gone, or is there until somebody asks how it ended.
    let is_left = || std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|state| !state.contains(") Z "));
    let mut waited = 0;
    while is_left() && waited < 200 {
        #[expect(clippy::disallowed_methods, reason = "the system ends a process in its own time")]
        std::thread::sleep(Duration::from_millis(10));
        waited += 1;
    }
    assert!(!is_left(), "{child}");
}
