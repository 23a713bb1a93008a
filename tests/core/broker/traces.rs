//! Deliveries recorded from real brokers, which the rules must allow; those numbered T are of NATS
//! Streaming 0.17.0.

use pellmell::broker::{RedeliverAt, Scope};
use pellmell::scheduler::Action;
use pellmell::{AckFate, Fate, Outcome, Profile, Window};

use super::common::{Play, Publish, Setup, limited};
use super::{NAK, NAK_FOR_700_MS, SILENT, releasing_on_crash, with_naks};

/// Plays a recorded trace, such as `A1@0.00 B2@0.00 B1r1@1.00`: member, message, redelivery, and
/// second. Lets the clock run where the trace does, and says where the profile cannot follow.
///
/// Behind the second stands what becomes of the delivery besides: `!` means that its member crashes
/// before it saves, so a real one had it in its inbox and nobody saw it; `^` that it crashes after its
/// ack; `~` that its ack is late. A token
/// `ack1@2.30` is that ack. Without a member, a token is followed whoever gets it.
fn follow(setup: &Setup, trace: &str) -> Result<Play, String> {
    let mut play = setup.after(&"publish;".repeat(setup.commands[0].len()));
    let mut members: Vec<(char, u16)> = Vec::new();
    for token in trace.split_whitespace() {
        let (what, seconds) = token.split_once('@').expect("a token has a time");
        let fate = match seconds.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.') {
            "!" => Fate { crash: Some(Window::BeforeSave), ..Fate::CALM },
            "^" => Fate { crash: Some(Window::AfterAck), ..Fate::CALM },
            "~" => Fate { ack: AckFate::Late, ..Fate::CALM },
            _ => Fate::CALM,
        };
        let (what, is_ack) = what.strip_prefix("ack").map_or((what, false), |what| (what, true));
        let tenth: u64 = seconds.replace('.', "")[..2].parse().expect("seconds");
        let letter = what.chars().next().filter(char::is_ascii_uppercase);
        let what = what.trim_start_matches(|c: char| c.is_ascii_uppercase());
        let (number, redeliveries) = what.split_once('r').unwrap_or((what, "0"));
        let attempt = redeliveries.parse::<u16>().expect("a count of redeliveries") + 1;
        let happens = if is_ack { "late ack of" } else { "deliver" };
        let text = format!("{happens} note:added n{number}@0 -> consumer #{attempt}");
        let action = loop {
            let found = play.world.enabled().iter().find(|action| play.world.describe(*action) == text);
            match found {
                Some(action) if play.now_ms() / 100 == tenth => break action,
                _ if play.now_ms() / 100 > tenth || play.world.enabled().clock().is_none() => {
                    return Err(format!("{token} after `{}`; ready: {}", play.handled(), play.ready()));
                }
                _ => play.step(Action::Advance, Fate::CALM),
            };
        };
        let step = play.step(action, fate);
        if let (Some(letter), Some(actor)) = (letter, step.actor) {
            let member = actor.member;
            match members.iter().find(|(known, _)| *known == letter) {
                None => members.push((letter, member)),
                Some((_, known)) if *known == member => {}
                Some(_) => return Err(format!("{token} goes to another member")),
            }
        }
    }
    Ok(play)
}

struct Recording {
    name: &'static str,
    trace: &'static str,
    published: Vec<Publish>,
    members: u16,
    unacked: &'static [(u32, u16, Outcome)],
    in_flight: u32,
    /// Whether a member that is gone gives back at once what it had.
    gives_back: bool,
}

impl Recording {
    fn setup(&self, scope: Scope) -> Setup {
        let profile = limited(self.in_flight, scope);
        let profile = if self.gives_back { releasing_on_crash(profile) } else { profile };
        let mut setup = Setup::on(profile, 0).members(self.members).answers(self.unacked);
        setup.commands[0] = self.published.clone();
        setup
    }
}

/// Nothing is acked on first delivery.
const NONE_AT_FIRST: &[(u32, u16, Outcome)] =
    &[(1, 1, SILENT), (2, 1, SILENT), (3, 1, SILENT), (4, 1, SILENT), (5, 1, SILENT), (6, 1, SILENT)];

fn recordings() -> [Recording; 8] {
    [
        Recording {
            name: "T1 one member, 2 not acked first time; 6,7 @.5; 8,9 @1.4",
            trace: "1@0.00 2@0.00 3@0.00 4@0.00 5@0.00 6@0.50 7@0.50 2r1@1.00 8@1.40 9@1.40",
            published: vec![Publish::now(1..=5), Publish::at(500, [6, 7]), Publish::at(1_400, [8, 9])],
            members: 1,
            unacked: &[(2, 1, SILENT)],
            in_flight: 1024,
            gives_back: false,
        },
        Recording {
            name: "T2 nothing acked on first delivery (1,2,3 @0; 4,5 @.6)",
            trace: "1@0.00 2@0.00 3@0.00 4@0.60 5@0.60 1r1@1.00 2r1@1.00 3r1@1.00 4r1@1.60 5r1@1.60",
            published: vec![Publish::now(1..=3), Publish::at(600, [4, 5])],
            members: 1,
            unacked: NONE_AT_FIRST,
            in_flight: 1024,
            gives_back: false,
        },
        Recording {
            name: "T4 MaxInflight=1, one member, 2 acked only on 2nd redelivery",
            trace: "1@0.00 2@0.00 2r1@1.00 2r2@2.00 3@2.00 4@2.00",
            published: vec![Publish::now(1..=4)],
            members: 1,
            unacked: &[(2, 1, SILENT), (2, 2, SILENT)],
            in_flight: 1,
            gives_back: false,
        },
        Recording {
            name: "T5 MaxInflight=1 each, two members, 1 not acked first time",
            trace: "A1@0.00 B2@0.00 B3@0.00 B4@0.01 B5@0.01 B1r1@1.00",
            published: vec![Publish::now(1..=5)],
            members: 2,
            unacked: &[(1, 1, SILENT)],
            in_flight: 1,
            gives_back: false,
        },
        Recording {
            name: "T10 MaxInflight=2, nothing acked on first delivery",
            trace: "1@0.00 2@0.00 1r1@1.00 2r1@1.00 3@1.00 4@1.00 3r1@2.00 4r1@2.00 5@2.00 5r1@3.00",
            published: vec![Publish::now(1..=5)],
            members: 1,
            unacked: NONE_AT_FIRST,
            in_flight: 2,
            gives_back: false,
        },
        Recording {
            // A close gives back at once what a member had, as a crash does here if the profile says so.
            name: "T6 durable queue: 1,2 unacked, close, 4,5 published, resubscribe",
            trace: "1@0.00 2@0.00 3@0.00^ 1r1@0.50 2r1@0.50 4@0.50 5@0.50",
            published: vec![Publish::now(1..=3), Publish::at(500, [4, 5])],
            members: 1,
            unacked: &[(1, 1, SILENT), (2, 1, SILENT)],
            in_flight: 1024,
            gives_back: true,
        },
        Recording {
            // The server sends 2 and 8 to B, which is dead. Here a member does not stay away, so each of the two
            // is lost in a crash of its own, and who has something after that is not compared.
            name: "T7 two members, B crashes with unacked",
            trace: "A1@0.00 B2@0.00! A3@0.00 A4@0.00 A5@0.20 A6@0.20 A7@0.20 8@0.20! 2r1@1.00 8r1@1.20",
            published: vec![Publish::now(1..=4), Publish::at(200, 5..=8)],
            members: 2,
            unacked: &[],
            in_flight: 1024,
            gives_back: false,
        },
        Recording {
            name: "T9 ack of the FIRST delivery sent 2.3 s later, AckWait 1 s",
            // 9 is no part of the recording: it moves the clock there.
            trace: "1@0.00~ 1r1@1.00 1r2@2.00 ack1@2.30 9@2.30",
            published: vec![Publish::now([1]), Publish::at(2_300, [9])],
            members: 1,
            unacked: &[(1, 2, SILENT), (1, 3, SILENT)],
            in_flight: 1024,
            gives_back: false,
        },
    ]
}

#[test]
fn stan_can_do_what_nats_streaming_was_recorded_doing() {
    for recording in recordings() {
        let followed = follow(&recording.setup(Scope::Member), recording.trace);
        let play = followed.unwrap_or_else(|wrong| panic!("{}: cannot do {wrong}", recording.name));
        assert_eq!(play.open(), "", "{}: the recording ends with everything acked", recording.name);
    }
}

#[test]
fn a_tighter_limit_cannot_do_what_was_recorded_without_it() {
    let tighter = |place: usize, in_flight, scope| {
        let recording = &recordings()[place];
        let setup = Recording { in_flight, published: recording.published.clone(), ..*recording }.setup(scope);
        follow(&setup, recording.trace).err().map(|wrong| wrong.split(' ').next().unwrap_or_default().to_owned())
    };
    assert_eq!(tighter(0, 1, Scope::Member).as_deref(), Some("3@0.00"), "T1");
    assert_eq!(tighter(1, 1, Scope::Member).as_deref(), Some("2@0.00"), "T2");
    assert_eq!(tighter(3, 1, Scope::Group).as_deref(), Some("B2@0.00"), "T5");
    assert_eq!(tighter(4, 1, Scope::Member).as_deref(), Some("2@0.00"), "T10");
}

#[test]
fn a_limit_per_group_can_do_what_jetstream_was_recorded_doing() {
    // NATS JetStream 2.9.10: nothing acked on first delivery, max_ack_pending 3.
    let trace = "1@0.00 2@0.04 3@0.04 1r1@1.00 4@1.00 2r1@1.04 3r1@1.04 5@1.04 6@1.04 4r1@2.01 5r1@2.05 6r1@2.05";
    let setup = |limit, answers| Setup::on(with_naks(limited(limit, Scope::Group)), 6).answers(answers);
    assert!(follow(&setup(3, NONE_AT_FIRST), trace).is_ok());
    assert!(follow(&setup(2, NONE_AT_FIRST), trace).is_err());
    // A nak of 2 with a delay of 0.7 s, max_ack_pending 1.
    let trace = "1@0.00 2@0.05 2r1@0.75 3@0.75 4@0.75 5@0.75";
    assert!(follow(&setup(1, &[(2, 1, NAK_FOR_700_MS)]), trace).is_ok());
    assert!(follow(&setup(1, &[(2, 1, NAK)]), trace).is_err());
}

#[test]
fn the_place_of_a_released_message_tells_rabbitmq_queues_apart() {
    // RabbitMQ 3.10.8, prefetch 1, nack of 2 once.
    let classic = "1@0.00 2@0.00 2r1@0.00 3@0.00 4@0.00 5@0.00 6@0.00";
    let quorum = "1@0.00 2@0.00 3@0.00 4@0.00 5@0.00 6@0.00 2r1@0.00";
    for (redeliver_at, own, others) in [
        (RedeliverAt::Original, classic, quorum),
        (RedeliverAt::Front, classic, quorum),
        (RedeliverAt::Back, quorum, classic),
    ] {
        let profile = Profile { redeliver_at, ..limited(1, Scope::Member) };
        let setup = Setup::on(with_naks(profile), 6).answers(&[(2, 1, NAK)]);
        assert!(follow(&setup, own).is_ok(), "{redeliver_at:?}");
        assert!(follow(&setup, others).is_err(), "{redeliver_at:?}");
    }
}
