//! Departures as text.

use super::*;
use proptest::prelude::*;

fn record(kind: char) -> impl Strategy<Value = RecordId> {
    prop_oneof![
        4 => (0u32..99).prop_map(move |number| RecordId::new(kind, number)),
        1 => "[a-z0-9.:-]{0,4}[a-z0-9](/[0-9]{1,2}){0,2}".prop_map(move |text| RecordId::named(kind, text)),
    ]
}

pub(super) fn spec() -> impl Strategy<Value = DeliverySpec> {
    let record = record('t');
    let version = proptest::option::of((0u64..9).prop_map(Version));
    ("[a-z]{1,8}:[a-z]{1,8}", record, version, 1u32..4, "[a-z-]{1,9}", 1u16..5).prop_map(
        |(subject, record, version, nth, group, attempt)| DeliverySpec {
            subject,
            record,
            version,
            nth,
            group,
            attempt,
        },
    )
}

pub(super) fn command() -> impl Strategy<Value = Target> {
    let label = prop_oneof!["[a-z]{1,6}( [a-z0-9/]{1,4}){0,3}", "[a-z]{1,4}/[0-9]{1,2}", "[a-z] until [a-z]"];
    ("[a-z]{1,6}(-[0-9])?", label, 1u32..4)
        .prop_map(|(client, label, nth)| Target::Command(CommandSpec { client, label, nth }))
}

fn timer() -> impl Strategy<Value = Target> {
    (record('o'), prop_oneof![Just(String::new()), "[a-z._-]{3,9}"], "[a-z-]{1,9}", 1u32..3, 1u16..3).prop_map(
        |(record, purpose, service, nth, attempt)| Target::Timer(TimerSpec { record, purpose, service, nth, attempt }),
    )
}

pub(super) fn handled() -> impl Strategy<Value = Target> {
    prop_oneof![spec().prop_map(Target::Delivery), command()]
}

fn join() -> impl Strategy<Value = Target> {
    "[a-z-]{1,9}".prop_map(Target::Join)
}

pub(super) fn target() -> impl Strategy<Value = Target> {
    prop_oneof![handled(), timer()]
}

pub(super) fn moment() -> impl Strategy<Value = Target> {
    let pause = handled().prop_map(|what| Target::Pause(Box::new(what)));
    let publish = handled().prop_map(|what| Target::Publish(Box::new(what)));
    prop_oneof![target(), pause, spec().prop_map(Target::Ack), spec().prop_map(Target::AckWait), join(), publish]
}

fn departure() -> impl Strategy<Value = Departure> {
    prop_oneof![
        (prop_oneof![handled(), join()], proptest::option::of(moment()))
            .prop_map(|(what, until)| Departure::Hold { what, until }),
        (handled(), proptest::option::of(moment())).prop_map(|(what, until)| Departure::Pause { what, until }),
        (spec(), proptest::option::of(moment())).prop_map(|(what, until)| Departure::DelayAck { what, until }),
        (handled(), proptest::option::of(moment())).prop_map(|(what, until)| Departure::SlowPublish { what, until }),
        spec().prop_map(Departure::Duplicate),
        spec().prop_map(Departure::Lose),
        spec().prop_map(Departure::LoseAck),
        spec().prop_map(Departure::RunPast),
        (target(), 0usize..5, "[a-z]{1,9}").prop_map(|(what, window, service)| {
            let window = Window::ALL.get(window).copied().unwrap_or(Window::BetweenSaves);
            Departure::Crash { service, window, what }
        }),
        (1u8..=Fate::FETCH_MAX, spec()).prop_map(|(inbox, what)| Departure::Fetch { inbox, what }),
        (0..MemberChange::all().count(), spec()).prop_map(|(change, what)| Departure::MemberChange {
            change: MemberChange::all().nth(change).expect("a change"),
            what,
        }),
        target().prop_map(Departure::Republish),
        (0..2usize, target()).prop_map(|(at, what)| Departure::Answer { fault: AnswerFault::ALL[at], what }),
    ]
}

proptest! {
    #[test]
    fn a_departure_reads_back_as_it_was_printed(departure in departure()) {
        prop_assert_eq!(departure.to_string().parse::<Departure>(), Ok(departure));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}") {
        let verbs = ["", "hold ", "pause ", "pause é: ", "hold timer ", "delay ack of ", "slow publish of "];
        for verb in verbs.into_iter().chain(["crash a after ack of "]) {
            let _ = format!("{verb}{text}").parse::<Departure>();
            let _ = format!("{verb}{text} until {text}").parse::<Departure>();
        }
    }
}

#[test]
fn what_is_no_departure_is_refused_with_the_form_it_should_have() {
    let refused = |text: &str, part: &str| {
        let error = text.parse::<Departure>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    refused("", "expected `hold H until X`");
    refused("hold ticket:created t1@0 -> orders", "without `until`");
    refused("lose ack of ticket:created t1@0", "names no group");
    refused("lose ack of ticket:created -> orders", "names no record");
    refused("lose ack of ticket:created t:a,b@0 -> orders", "no `,`");
    refused("lose ack of ticket:created t1@x -> orders", "no version after `@`");
    refused("lose ack of ticket:created t1@0 -> orders #0", "is not a delivery");
    refused("lose ack of ticket:created t1@0 -> orders #99999", "too large an attempt");
    refused("crash orders at noon of ticket:created t1@0 -> orders", "expected `hold H until X`");
    refused("pause alice: edit t1 to 6", "`pause` without `until`");
    refused("pause alice:  until quiescence", "is not a command");
    refused("pause alice: edit t1 to 6/0 until quiescence", "is not a command");
    refused("pause timer o1 of expiration until quiescence", "`timer o1 of expiration` cannot pause");
    refused("hold alice: edit t1 to 6 till quiescence", "`hold` without `until`");
    refused("hold timer o1 of expiration until quiescence", "cannot be held, the clock moves last");
    refused("hold ack of ticket:created t1@0 -> orders until quiescence", "cannot be held: expected");
    refused("hold join of until quiescence", "names no group");
    refused("hold alice: edit t1 to 6 until pause of timer o1 of expiration", "cannot pause");
    refused("delay ack of alice: edit t1 to 6 until quiescence", "names no group");
    refused("slow publish of alice: edit t1 to 6", "`slow publish of` without `until`");
    refused("slow publish of timer o1 of expiration until quiescence", "has no slow publish: expected");
    refused("hold alice: edit t1 to 6 until publish of join of a", "is not slow to publish");
    refused("crash a after ack of join of a", "nobody crashes at `join of a`");
    refused("hold ticket:created t1@0 -> orders until timer o1", "names no service");
    refused("crash a after ack of timer o01 of a", "names no record");
    refused("crash a after ack of timer o1 of a /x", "no number after `/`");
    refused("crash a after ack of timer o1 of a /0", "is not a timer");
    refused("crash a after ack of timer o1 a b of a", "a purpose that is no word");
}

#[test]
fn the_form_of_a_departure_names_every_change() {
    for change in MemberChange::all() {
        let verb = change.verb();
        let named = verb.strip_suffix(" after").map_or_else(|| format!("`{verb} D`"), str::to_owned);
        assert!(FORMS.contains(&named), "{verb}");
    }
}

#[test]
fn a_label_may_have_until_and_counts_in_it() {
    let pause: Departure = "pause a: wait until dawn until b: split 1/2/1".parse().expect("a departure");
    let command = |client: &str, label: &str| {
        Target::Command(CommandSpec { client: client.to_owned(), label: label.to_owned(), nth: 1 })
    };
    assert_eq!(pause.what(), command("a", "wait until dawn"));
    assert_eq!(pause.until(), Some(&command("b", "split 1/2")));
}
