//! What was asked for and did not happen is said, with the reason, and such a result is not green.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, Most, Sweep};
use pellmell::testing::{self, Check, Checked, Replay, at_quiescence, check, replay, service};
use pellmell::ticketing::Scenario;
use pellmell::vacuity::Kind;
use pellmell::{
    FaultPlan, Judges, Limits, Moment, Outcome, Profile, Property, RecordId, Rejection, Simulation, Sometimes, Subject,
    Verdict, Version, View, Violation, Watch,
};

// Scenarios.

const EDITS: &str = r#"
[[client]]
name = "alice"
commands = [
    { create_ticket = { ticket = "t1", price = 5 } },
    { edit_ticket = { ticket = "t1", price = 10 } },
    { edit_ticket = { ticket = "t1", price = 15 } },
]
"#;

/// A scenario with one seller: `top` are keys, `broker` those of its table, `tables` come behind.
fn edits(top: &str, broker: &str, tables: &str) -> Scenario {
    let broker = if broker.contains("ack_wait") { broker.to_owned() } else { format!("ack_wait = [\"5s\"]\n{broker}") };
    let text =
        format!("version = 1\nabout = \"a test\"\n{top}\n[broker]\nprofile = \"stan\"\n{broker}\n{tables}\n{EDITS}");
    Scenario::parse("edits.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

/// What the run of a scenario rests on that did not happen, a line each.
fn void(scenario: &Scenario) -> Vec<String> {
    let findings = scenario.vacuous_in(scenario.seed).expect("the parts fit");
    findings.void.iter().map(ToString::to_string).collect()
}

/// A way to ask for something that cannot happen: keys, the broker's keys, tables; the kind and the words
/// by which it is reported.
struct Idle(&'static str, &'static str, &'static str, Kind, &'static str);

const OVERLAPPING: &str = "[services.orders]\noverlapping = true";
const FIRST: &str = "ticket:created t1@0 -> orders";

/// Course and a property that holds whatever comes late: its handlers give no answer to what they refuse.
fn departing(lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{:?}", line.replace('D', FIRST))).collect();
    format!("design = \"course\"\nproperties = [\"MonotoneReplica\"]\nschedule = [{}]", lines.join(", "))
}

/// Departures made ineffective: the lines of a schedule with `D` for the ticket's first delivery, of which
/// the last is reported, the broker's keys, tables, the kind and the words.
const DEPARTURES: [(&[&str], &str, &str, Kind, &str); 19] = [
    (
        &["hold ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders"],
        "",
        "",
        Kind::EndedEarly,
        "`ticket:updated t1@2 -> orders` cannot come before it: stan keeps the order of a subject",
    ),
    (
        &["hold ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders"],
        "ordering = \"key\"",
        "",
        Kind::EndedEarly,
        "cannot come before it: stan keeps the order of a record",
    ),
    (
        &["hold alice: edit t1 to 10 until alice: edit t1 to 15"],
        "",
        "",
        Kind::EndedEarly,
        "a client sends its commands one after the other, and `alice: edit t1 to 10` comes first",
    ),
    (
        &["hold D until ticket:updated t1@7 -> orders"],
        "",
        "",
        Kind::EndedEarly,
        "`ticket:updated t1@7 -> orders` never came",
    ),
    (
        &["hold D until D #2"],
        "",
        "",
        Kind::EndedEarly,
        "comes only after `ticket:created t1@0 -> orders` was handed out",
    ),
    (
        &["pause D until D #2"],
        "",
        OVERLAPPING,
        Kind::EndedEarly,
        "brings `ticket:created t1@0 -> orders #2` about: write `pause ticket:created t1@0 -> orders until ack wait of \
         ticket:created t1@0 -> orders` beside it",
    ),
    (
        &["pause D until D #2"],
        "ack_wait = []",
        OVERLAPPING,
        Kind::EndedEarly,
        "the broker has no ack wait, so nothing brings `ticket:created t1@0 -> orders #2` about before it ends",
    ),
    (
        &["pause ticket:updated t1@1 -> orders until D"],
        "",
        OVERLAPPING,
        Kind::UnusedDeparture,
        "`ticket:created t1@0 -> orders` happened before it began",
    ),
    (&["lose ack of ticket:updated t1@9 -> orders"], "", "", Kind::UnusedDeparture, "-> orders` never came"),
    (
        &["hold D until ticket:updated t1@1 -> orders", "lose ack of ticket:updated t1@1 -> orders"],
        "ordering = \"none\"",
        "",
        Kind::UnusedDeparture,
        "its handler gave no answer that could be lost",
    ),
    (
        &[
            "hold D until ticket:updated t1@1 -> orders",
            "delay ack of ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders",
        ],
        "ordering = \"none\"",
        "",
        Kind::UnusedDeparture,
        "its handler gave no ack that could come late",
    ),
    (&["delay ack of D until ticket:updated t1@7 -> orders"], "", "", Kind::EndedEarly, "t1@7 -> orders` never came"),
    (&["run past ack wait of D"], "ack_wait = []", "", Kind::EndedEarly, "no ack wait, so it never redelivers"),
    (&["run past ack wait of D"], "max_deliver = 1", "", Kind::EndedEarly, "the broker delivers a message once"),
    (&["crash tickets before save of D"], "", "", Kind::UnusedDeparture, "`tickets` does not handle it, `orders` does"),
    (&["lose D", "lose ack of D"], "", "", Kind::UnusedDeparture, "another departure about the same takes its place"),
    (
        &["duplicate ticket:created t1@0 -> tickets"],
        "",
        "",
        Kind::UnusedDeparture,
        "no group `tickets` listens to `ticket:created`",
    ),
    (
        &["hold ticket:updated t1@1 -> orders until ack wait of D"],
        "ack_wait = []",
        "",
        Kind::EndedEarly,
        "the broker has no ack wait that could end",
    ),
    (
        &["lose ack of D", "hold alice: edit t1 to 10 until D #2"],
        "",
        "",
        Kind::EndedEarly,
        "write `hold alice: edit t1 to 10 until ack wait of ticket:created t1@0 -> orders` beside it",
    ),
];

/// Faults, properties and commands made ineffective.
const OTHERS: [Idle; 10] = [
    Idle("", "", "[faults]\npause = \"1/1\"", Kind::IdleFault, "pause: no service has several members or `overlapping"),
    Idle(
        "",
        "ack_wait = []\nmax_in_flight = \"unlimited\"\nrelease_on_crash = false",
        "[faults]\ndelay_ack = \"1/2\"",
        Kind::IdleFault,
        "delay_ack: the broker has no ack wait and no limit in flight",
    ),
    Idle(
        "",
        "",
        "[faults]\ncrash = \"1/2\"\nattempts = 0",
        Kind::IdleFault,
        "crash: faults fall on the first 0 attempts",
    ),
    Idle(
        "",
        "",
        "[faults]\nlose_ack = \"1/2\"\nlose_ack_most = 0",
        Kind::IdleFault,
        "lose_ack: it may happen at most 0",
    ),
    Idle(
        "scheduler = \"rounds\"",
        "",
        "[faults]\nlose_ack = \"1/2\"",
        Kind::IdleFault,
        "the rounds scheduler draws no faults",
    ),
    Idle(
        "",
        "max_deliver = 20",
        "[faults]\nlose_ack = \"1/10\"",
        Kind::UnreachableMaxDeliver,
        "20: faults fall on the first 3 attempts of a message",
    ),
    Idle(
        "properties = [\"AtMostOnePayment\"]",
        "",
        "",
        Kind::PropertyWithoutOccasion,
        "AtMostOnePayment: `payments` does not take part",
    ),
    Idle(
        "properties = [\"AtMostOnePayment\"]",
        "",
        "[services.payments]",
        Kind::PropertyWithoutOccasion,
        "AtMostOnePayment: no client sends a command `pay ...`",
    ),
    Idle(
        "properties = [\"NoEditWhileLocked\"]",
        "",
        "",
        Kind::PropertyWithoutOccasion,
        "NoEditWhileLocked: no client sends a command `order ...`",
    ),
    Idle(
        "properties = [\"BoundedRedelivery\"]",
        "",
        "",
        Kind::PropertyWithoutOccasion,
        "BoundedRedelivery: it judges the rounds scheduler alone",
    ),
];

/// Checks that a scenario's result rests on one thing that did not happen, of this kind, told so, and that
/// it is green if that is allowed by name.
#[track_caller]
fn reported(mut scenario: Scenario, kind: Kind, words: &str) {
    let findings = scenario.vacuous_in(scenario.seed).expect("the parts fit");
    let told: Vec<String> = findings.void.iter().map(ToString::to_string).collect();
    assert_eq!(findings.void.iter().map(|vacuous| vacuous.kind).collect::<Vec<_>>(), [kind], "{words}: {told:#?}");
    assert!(told[0].contains(words), "expected {words}\nfound {}", told[0]);
    assert_eq!(told[0].lines().count(), 1, "{}", told[0]);
    let allow = findings.void[0].what();
    scenario.allow.push(allow.parse().unwrap_or_else(|error| panic!("{error}")));
    let allowed = scenario.vacuous_in(scenario.seed).expect("the parts fit");
    assert!(allowed.void.is_empty() && allowed.notes.iter().all(|note| note.kind != Kind::UnusedAllow), "{allow}");
}

#[test]
fn departures_made_ineffective_one_by_one_are_all_reported_with_the_reason() {
    for (lines, broker, tables, kind, words) in DEPARTURES {
        reported(edits(&departing(lines), broker, tables), kind, words);
    }
}

#[test]
fn faults_and_properties_made_ineffective_one_by_one_are_all_reported_with_the_reason() {
    for Idle(top, broker, tables, kind, words) in OTHERS {
        reported(edits(top, broker, tables), kind, words);
    }
    let nobody = "version = 1\nabout = \"a test\"\n[[client]]\nname = \"zoe\"\ncommands = []\n";
    let nobody = Scenario::parse("nobody.toml", nobody).unwrap_or_else(|error| panic!("{error}"));
    reported(nobody, Kind::NothingRan, "no client has a command to send");
}

#[test]
fn departures_that_are_done_are_not_reported() {
    let second = "ticket:updated t1@1 -> orders";
    let (wait, again) = ("pause D until ack wait of D", "pause D until D #2");
    let done: [(&[&str], &str, &str); 10] = [
        (&["hold D until ticket:updated t1@1 -> orders"], "ordering = \"none\"", ""),
        (&["hold D until quiescence"], "", ""),
        (&["hold alice: edit t1 to 10 until quiescence"], "", ""),
        (&[wait, again], "", "[services.orders]\nmembers = 2"),
        (&["pause D until quiescence"], "", OVERLAPPING),
        (&["lose ack of D", "duplicate ticket:updated t1@1 -> orders"], "", ""),
        (&["run past ack wait of D"], "", ""),
        (&["delay ack of D until ticket:updated t1@1 -> orders"], "ordering = \"none\"", ""),
        (&["crash orders before ack of D"], "", ""),
        (&["crash tickets before publish of alice: edit t1 to 10"], "", ""),
    ];
    for (lines, broker, tables) in done {
        let none = Vec::<String>::new();
        assert_eq!(void(&edits(&departing(lines), broker, tables)), none, "{lines:?}, then {second}");
    }
}

#[test]
fn what_the_rules_make_impossible_is_known_before_anything_runs() {
    let foreseen = |scenario: &Scenario| scenario.foreseen().expect("the parts fit").void;
    let held = "hold ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders";
    for (scenario, kind) in [
        (edits(&departing(&[held]), "", ""), Kind::EndedEarly),
        (edits(&departing(&["pause D until D #2"]), "", OVERLAPPING), Kind::EndedEarly),
        (edits(&departing(&["crash tickets before save of D"]), "", ""), Kind::UnusedDeparture),
        (edits("", "", "[faults]\npause = \"1/1\""), Kind::IdleFault),
        (edits("", "max_deliver = 20", "[faults]\nlose_ack = \"1/10\""), Kind::UnreachableMaxDeliver),
        (edits("properties = [\"AtMostOnePayment\"]", "", ""), Kind::PropertyWithoutOccasion),
    ] {
        assert_eq!(foreseen(&scenario).iter().map(|vacuous| vacuous.kind).collect::<Vec<_>>(), [kind]);
    }
    let orders = "[services.orders]\nmembers = 2";
    assert_eq!(foreseen(&edits(&departing(&[held]), "", orders)), [], "two members race");
    assert_eq!(foreseen(&edits(&departing(&[held]), "ordering = \"none\"", "")), []);
    assert_eq!(foreseen(&edits("", "", &format!("{orders}\n[faults]\npause = \"1/1\""))), []);
}

#[test]
fn a_sweep_says_what_never_happened_whatever_its_threads() {
    let idle = |scenario: &Scenario, threads| {
        let result = Sweep { source: scenario, judges: &scenario.judges_with_sometimes(), seeds: 0..60, threads }
            .run(|_, _| ())
            .expect("the parts fit");
        let findings = scenario.vacuous_in_sweep(&result).expect("the parts fit");
        // What a broker makes of the design is another matter.
        let notes = findings.notes.iter().filter(|note| note.kind != Kind::UnheardNak);
        findings.void.iter().chain(notes).map(ToString::to_string).collect::<Vec<_>>()
    };
    for threads in [1, 3] {
        let pauses = edits("", "", "[faults]\npause = \"1/1\"");
        assert_eq!(
            idle(&pauses, threads),
            ["idle-fault pause: no service has several members or `overlapping = true`"]
        );
        let held = idle(&edits(&departing(&["hold D until D #2"]), "", ""), threads);
        assert!(held.len() == 1 && held[0].starts_with("ended-early hold ticket:created"), "{held:?}");
        let refused = "[[client]]\nname = \"zoe\"\ncommands = [{ edit_ticket = { ticket = \"t1\", price = 1 } }]";
        let refused = idle(&edits("", "", refused), threads);
        assert_eq!(refused, ["refused-client zoe: none of its commands was accepted in any run"]);
    }
}

#[test]
fn bounds_of_a_complete_search_that_nothing_can_use_are_named() {
    let bounds = Bounds { pauses: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
    let told = |hosting: &str| {
        let simulation = edits("", "", hosting).simulation(0).expect("the parts fit");
        bounds.idle_in(&simulation).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(""), ["idle-fault pauses: no service has several members or `overlapping = true`"]);
    assert_eq!(told(OVERLAPPING), Vec::<String>::new());
}

// Systems of a user.

const ITEM_CHANGED: &[Subject] = &[Subject::new("item:changed")];

fn change(price: u32) -> Change {
    Change { item: RecordId::new('i', 1), price }
}

/// A shop that publishes each price.
fn shop() -> testing::Closures<Shop> {
    service::<Shop>("shop").on_command(|change, ctx| {
        if change.price == 13 {
            return Err(Rejection { status: 400, reason: "an unlucky price" });
        }
        let version = Version(change.price.into());
        ctx.publish(Changed { item: change.item, version, price: change.price });
        Ok(())
    })
}

/// A search that notes the highest price.
fn search() -> testing::Closures<Shop> {
    service::<Shop>("search").keeps::<Item>(pellmell::VersionPolicy::EVERY_SAVE).on_event(ITEM_CHANGED, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|item| (item.version, item.price));
        if held.is_none_or(|(_, price)| price < event.price) {
            ctx.store.overwrite(event.item, Item { price: event.price }, held.map(|(version, _)| version));
        }
        Outcome::Ack
    })
}

fn built(services: Vec<testing::Closures<Shop>>, clients: &[(&str, &[u32])]) -> Simulation<Shop> {
    let on = Simulation::on(Profile::adversarial());
    let builder = services.into_iter().fold(on, |builder, service| builder.service(service));
    let builder = clients.iter().fold(builder, |builder, (name, prices)| {
        builder.client(*name, prices.iter().map(|price| change(*price)).collect())
    });
    builder.build().expect("the parts fit")
}

fn right() -> Simulation<Shop> {
    built(vec![shop(), search()], &[("seller", &[5, 10, 15])])
}

/// Search holds the highest price in the end, and the same at every moment at rest.
fn judges() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("Cheap", |moment: &Moment<'_, Shop>| {
        let prices = moment.store_of("search").all::<Item>().map(|(_, item)| item.price);
        if prices.max().is_some_and(|price| price > 100) { Err(Violation::at("search")) } else { Ok(()) }
    })])
}

fn panic_of<T: std::fmt::Debug>(work: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("a panic");
    *panic.downcast::<String>().expect("a panic with a text")
}

/// Checks that a check panics with this, and is green if that is allowed as its last line says.
#[track_caller]
fn refused(simulation: &Simulation<Shop>, judges: &Judges<Shop>, plan: FaultPlan, line: &str) {
    let check = || Check::new(simulation, judges).with_seeds(0..100).with_faults(plan);
    let told = panic_of(|| check().run());
    assert!(told.contains(&format!("\n    {line}\n")), "{told}");
    let call = told.lines().last().expect("a line");
    let allowed = call.split("allowing(\"").skip(1).map(|rest| rest.split("\")").next().expect("an end"));
    let allowing = allowed.fold(check(), |check, text| check.allowing(text));
    let checked = allowing.run();
    assert_eq!(checked.runs, 100);
}

#[test]
fn a_system_that_is_not_wired_up_is_refused_with_the_name_by_which_it_is_allowed() {
    let none = FaultPlan::NONE;
    let judges = &judges();
    let reached = |_: &View<'_, Shop>| false;
    refused(&right(), &Judges::new(Vec::new()), none, "no-properties: nothing is judged: every run holds");
    refused(
        &built(vec![shop(), search()], &[("seller", &[5]), ("zoe", &[13, 13])]),
        judges,
        none,
        "refused-client zoe: none of its commands was accepted in any run",
    );
    let typo: &[Subject] = const { &[Subject::new("item:chagned")] };
    let deaf = service::<Shop>("search").keeps::<Item>(pellmell::VersionPolicy::EVERY_SAVE);
    let deaf = deaf.on_event(typo, |_, _| Outcome::Ack);
    let told = panic_of(|| check(&built(vec![shop(), deaf], &[("seller", &[5])]), 0..50, none, judges));
    let unheard = "unheard-subject item:changed: it is published, and no service listens to it";
    assert!(told.contains(unheard), "{told}");
    let unpublished = "unpublished-subject item:chagned -> search: it listens to a subject on which no run published";
    assert!(told.contains(unpublished), "{told}");
    let mute = service::<Shop>("shop");
    refused(
        &built(vec![mute, search(), service("other").on_event(ITEM_CHANGED, |_, _| Outcome::Ack)], &[("seller", &[5])]),
        judges,
        none,
        "nothing-ran: no command was accepted",
    );
    let goal = Sometimes::new("PriceFell", "a price falls", reached);
    let some = judges_with(goal);
    refused(&right(), &some, none, "never-reached PriceFell: in no run a price falls");
    let idle = FaultPlan { pause: FaultPlan::SOME.pause, ..none };
    refused(&right(), judges, idle, "idle-fault pause: no service has several members or `overlapping = true`");
}

fn judges_with(goal: Sometimes<Shop>) -> Judges<Shop> {
    judges().with_sometimes(vec![goal])
}

#[test]
fn a_service_without_a_handler_for_commands_is_named() {
    let clerk = built(vec![shop(), search()], &[("seller", &[5])]);
    assert!(check(&clerk, 0..30, FaultPlan::NONE, &judges()).notes.is_empty());
    // A mute service beside one that takes commands.
    let simulation = Simulation::<Shop>::on(Profile::adversarial()).service(service::<Shop>("shop"));
    let simulation = simulation.service(search()).client("seller", vec![change(5)]).build().expect("the parts fit");
    let told = panic_of(|| Check::new(&simulation, &judges()).allowing("nothing-ran").with_seeds(0..30).run());
    let named = "unhandled-command shop: it is sent commands and takes none: give it `on_command`, or implement";
    assert!(told.contains(named), "{told}");
}

#[test]
fn a_property_whose_steps_never_come_is_named() {
    struct Publishes;
    impl Property<Shop> for Publishes {
        fn name(&self) -> &'static str {
            "Publishes"
        }
        fn watches(&self) -> Watch {
            Watch::PUBLISHES
        }
    }
    let quiet = service::<Shop>("shop").on_command(|_, _| Ok(()));
    let simulation = built(vec![quiet], &[("seller", &[5])]);
    refused(
        &simulation,
        &Judges::new(vec![Box::new(Publishes)]),
        FaultPlan::NONE,
        "property-without-occasion Publishes: it watches steps in which a service publishes, and none came",
    );
}

#[test]
fn nothing_to_run_is_no_success() {
    let plan = FaultPlan::NONE;
    let nothing = Simulation::<Shop>::on(Profile::stan()).build().expect("the parts fit");
    refused(&nothing, &judges_of_nothing(), plan, "nothing-ran: there are no services");
    refused(&built(vec![shop()], &[]), &judges_of_nothing(), plan, "nothing-ran: there are no clients");
    refused(
        &built(vec![shop()], &[("zoe", &[])]),
        &judges_of_nothing(),
        plan,
        "nothing-ran: no client has a command to send",
    );
}

fn judges_of_nothing() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("Anything", |_: &Moment<'_, Shop>| Ok(()))])
}

#[test]
fn a_second_handler_that_would_replace_the_first_is_refused() {
    let told = panic_of(|| drop(shop().on_command(|_, _| Ok(()))));
    assert_eq!(told, "service `shop` has two handlers for commands: give it one");
    let told = panic_of(|| drop(search().on_event(ITEM_CHANGED, |_, _| Outcome::Ack)));
    assert_eq!(told, "service `search` has two handlers for events: give it one with the subjects of both");
}

#[test]
fn a_check_says_what_its_runs_came_through() {
    let dear = Sometimes::new("Dear", "search learns of 15", |view: &View<'_, Shop>| {
        view.changes::<Item>().any(|change| change.after.is_some_and(|item| item.price == 15))
    });
    let Checked { runs, counts, coverage, reached, notes, .. } =
        check(&right(), 0..300, FaultPlan::SOME, &judges_with(dear));
    assert_eq!((runs, coverage.runs, counts.commands), (300, 100, 900));
    assert!(counts.messages > 800 && counts.moments_judged > 300, "few commands crash, and nothing waits for long");
    assert!(counts.deliveries > 900 && counts.acks_lost > 0 && counts.duplicates > 0 && counts.overtakings > 0);
    assert!(reached.keys().copied().eq(["Dear"]) && reached["Dear"] > 200, "{reached:?}");
    assert!(coverage.seen_of().0 > 0);
    // Some of everything is asked for, and nothing can pause here.
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["idle-fault pause: no service has several members or `overlapping = true`"]);
}

#[test]
fn moments_that_were_never_judged_are_counted_with_the_reason() {
    // What is refused once comes again, and so nothing is at rest before the end.
    let late = service::<Shop>("search").on_event(ITEM_CHANGED, |_, ctx| match ctx.attempt() {
        1 => Outcome::Silent("not now"),
        _ => Outcome::Ack,
    });
    let on = Simulation::on(Profile::stan()).service(shop()).service(late);
    let simulation = on.client("seller", vec![change(5)]).build().expect("the parts fit");
    let Checked { counts, notes, .. } = check(&simulation, 0..20, FaultPlan::NONE, &judges_of_nothing());
    assert_eq!((counts.moments_judged, counts.moments_before_redelivery), (40, 20));
    let told: Vec<String> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "not-judged-at-rest: between the first step and the end convergence was never judged; at 20 moments it was put off: 20 times \
          because a message waits that may still change something, 0 times because a group had not joined"
        ]
    );
}

#[test]
fn a_check_ends_at_the_limits_it_is_given() {
    let echo = service::<Shop>("search").on_event(ITEM_CHANGED, |event: &Changed, ctx| {
        ctx.publish(Changed { item: event.item, version: Version(event.version.0 + 1), price: event.price });
        Outcome::Ack
    });
    let simulation = built(vec![shop(), echo], &[("seller", &[5])]);
    let limits = Limits { messages_max: 50, ..Limits::default() };
    let told = panic_of(|| Check::new(&simulation, &judges_of_nothing()).with_limits(limits).run());
    assert!(told.contains("messages limit reached: 50 messages") && told.contains(".with_limits("), "{told}");
}

#[test]
fn a_replay_stays_green_when_its_messages_are_gone_and_says_so() {
    let (simulation, judges) = (right(), judges());
    let noted = |lines: &[&str]| {
        let notes = replay(&simulation, lines, &judges).notes;
        let noted = notes.iter().filter(|note| matches!(note.kind, Kind::UnusedDeparture | Kind::EndedEarly));
        noted.map(ToString::to_string).collect::<Vec<_>>()
    };
    let lost = "lose ack of item:changed i1@7 -> search";
    assert_eq!(noted(&[lost]), [format!("unused-departure {lost}: `item:changed i1@7 -> search` never came")]);
    let held = "hold item:changed i1@5 -> search until item:changed i1@7 -> search";
    assert_eq!(noted(&[held]).len(), 1);
    let allowed = Replay::new(&simulation, &[lost], &judges).allowing(&format!("unused-departure {lost}")).run();
    assert!(allowed.notes.iter().all(|note| note.kind != Kind::UnusedDeparture), "{:?}", allowed.notes);
}

#[test]
fn a_replay_of_what_cannot_exist_is_refused_and_can_be_allowed() {
    let (simulation, judges) = (right(), judges());
    for (line, why) in [
        (
            "lose ack of item:changed i1@7 -> serach",
            "no group `serach` listens to `item:changed`; those that do are `search`",
        ),
        ("lose ack of item:renamed i1@7 -> search", "no group `search` listens to `item:renamed`"),
        ("hold item:changed i1@5 -> search until timer i1 of clock", "there is no service `clock`"),
        ("hold item:changed i1@5 -> search until bob: change i1 to 7", "no client sends that"),
        ("hold join of serach until quiescence", "there is no group `serach`"),
        ("pause item:changed i1@5 -> search until quiescence", "handlers of `search` cannot pause: it has one member"),
        ("crash serach before save of item:changed i1@5 -> search", "`serach` does not handle it, `search` does"),
    ] {
        let told = panic_of(|| replay(&simulation, &[line], &judges));
        assert!(told.contains(line) && told.contains(why), "{line}: {told}");
        let (_, allow) = told.rsplit_once(".allowing(").expect("how to allow it");
        let name: String = serde_json::from_str(allow.trim_end_matches(").run();")).expect("a string");
        assert_eq!(Replay::new(&simulation, &[line], &judges).allowing(&name).run().runs, 1);
    }
    let told = panic_of(|| replay(&simulation, &[], &Judges::new(Vec::new())));
    assert!(told.contains("no-properties"), "{told}");
}

#[test]
fn a_kind_that_does_not_exist_cannot_be_allowed() {
    let told = panic_of(|| drop(Check::new(&right(), &judges()).allowing("unheard")));
    assert!(told.contains("`unheard` is no kind") && told.contains("unheard-subject"), "{told}");
    let text = "version = 1\nabout = \"a test\"\nallow = [\"unheard\"]\n";
    let error = Scenario::parse("allow.toml", &format!("{text}{EDITS}")).expect_err("no such kind").to_string();
    assert!(error.contains("allow.toml:3:10") && error.contains("`unheard` is no kind"), "{error}");
}

// Hidden state.

/// A search that keeps in memory what it has seen, and handles that no second time.
fn caching() -> Simulation<Shop> {
    let seen = Mutex::new(BTreeMap::<Version, u32>::new());
    let search = service::<Shop>("search").keeps::<Item>(pellmell::VersionPolicy::EVERY_SAVE).on_event(
        ITEM_CHANGED,
        move |event: &Changed, ctx| {
            let mut seen = seen.lock().expect("no handler panics");
            if seen.insert(event.version, event.price).is_none() {
                let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
                ctx.store.overwrite(event.item, Item { price: event.price }, held);
            }
            Outcome::Ack
        },
    );
    built(vec![shop(), search], &[("seller", &[5, 10])])
}

#[test]
fn a_cache_that_outlives_a_run_is_found_by_a_plain_check() {
    for seeds in [0..1, 0..3, 0..1000] {
        let told = panic_of(|| check(&caching(), seeds.clone(), FaultPlan::SOME, &judges()));
        assert!(told.starts_with("seed 0 was played twice, with other seeds in between"), "{seeds:?}: {told}");
        assert!(told.contains("two runs differ at step ") && told.contains("item:changed i1@"), "{told}");
    }
}

#[test]
fn a_reason_that_is_made_up_anew_is_found_by_a_plain_check() {
    let calls = AtomicU64::new(0);
    let search = service::<Shop>("search").on_event(ITEM_CHANGED, move |_, ctx| {
        let reason = if calls.fetch_add(1, Relaxed).is_multiple_of(7) { "busy" } else { "not now" };
        if ctx.attempt() == 1 { Outcome::nak(reason) } else { Outcome::Ack }
    });
    let simulation = built(vec![shop(), search], &[("seller", &[5, 10])]);
    let told = panic_of(|| check(&simulation, 0..100, FaultPlan::NONE, &judges_of_nothing()));
    assert!(told.contains("in the answer: first deliver item:changed i1@"), "{told}");
    assert!(told.contains("nak (busy)") && told.contains("nak (not now)"), "{told}");
}

#[test]
fn a_cache_that_outlives_a_run_is_found_by_a_complete_search() {
    let simulation = caching();
    let exhausted = Exhaust::new(&simulation, &judges()).run();
    let verdict = exhausted.failing.map(|failing| failing.verdict);
    assert!(matches!(verdict, Some(Verdict::Panicked { .. })), "{verdict:?}");
}

#[test]
fn a_sweep_finds_nothing_between_two_runs_of_its_own_services() {
    let scenario = edits("", "", "[faults]\nlose_ack = \"1/3\"").for_seeds();
    let judges = scenario.judges_with_sometimes();
    let sweep = Sweep { source: &scenario, judges: &judges, seeds: 3..40, threads: 1 };
    let sample = sweep.sample().expect("the parts fit");
    sweep.run(|_, _| ()).expect("the parts fit");
    assert_eq!(sweep.compare(&sample), Ok(()));
}
