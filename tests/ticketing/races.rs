//! The races a well-known course leaves in its final design, each as a schedule of departures: the
//! course falls to it and the reference does not. The numbers are those of docs/properties.md.

use pellmell::broker::{Limit, Profile, RedeliverAt};
use pellmell::scheduler::{Action, Chosen, Enabled};
use pellmell::ticketing::{
    ApplyRule, Design, Orders, OrdersRules, PublishRules, ReplicaRules, Ticketing, Tickets, TicketsRules, properties,
};
use pellmell::{Departing, Fate, Judges, Limits, Report, Rounds, Scheduler, Simulation, Verdict, Window, run};

use crate::support::request;

/// The property a verdict names.
fn broken(verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Violated { property, .. } => Some(property),
        _ => None,
    }
}

/// The named properties, or all if there are none.
fn judges(names: &[&str]) -> Judges<Ticketing> {
    let mut wanted = properties::promised_by(&Design::REFERENCE);
    wanted.retain(|property| names.is_empty() || names.contains(&property.name()));
    Judges::new(wanted)
}

/// Hands the versions 0 to `outstanding - 1` of one ticket out in rounds, newest first.
fn drain(design: Design, outstanding: usize) -> (Report, u32) {
    let edits = (1..outstanding).map(|edit| request(&format!("ann edit t1 {}", 5 + edit)));
    let requests = std::iter::once(request("ann create t1 5")).chain(edits).collect();
    let simulation = Simulation::on(Profile::adversarial())
        .service(Tickets(design.tickets))
        .service(Orders(design.orders))
        .client("ann", requests)
        .redeliver_futile(true)
        .build()
        .expect("tickets and orders fit together");
    let mut rounds = Rounds::default();
    let judges = Judges::new(properties::promised_by(&Design::REFERENCE));
    let report = run(&mut simulation.world(), &mut rounds, &judges, Limits::default(), &mut ());
    (report, rounds.rounds())
}

#[test]
fn n_outstanding_versions_drain_in_n_rounds_and_half_of_n_times_n_plus_1_deliveries() {
    for design in [Design::COURSE, Design::REFERENCE] {
        for outstanding in 1..=6 {
            let (report, rounds) = drain(design, outstanding);
            let place = format!("{outstanding} versions under {}", design.name);
            assert_eq!(report.verdict, Verdict::Held, "{place}");
            assert_eq!(report.counts.messages as usize, outstanding, "{place}");
            assert!(rounds as usize <= outstanding, "{place}: {rounds} rounds");
            // The newest goes first in each round, which is the worst order there is.
            assert_eq!(report.counts.deliveries as usize, outstanding * (outstanding + 1) / 2, "{place}");
        }
    }
}

#[test]
fn a_consumer_that_takes_any_newer_version_needs_two_rounds() {
    let orders = OrdersRules {
        tickets: ReplicaRules { apply: ApplyRule::LastWriter, ..Design::REFERENCE.orders.tickets },
        ..Design::REFERENCE.orders
    };
    let design = Design { orders, ..Design::REFERENCE };
    // The first version still has to be there, so what is newer waits for it once.
    let (report, rounds) = drain(design, 6);
    assert_eq!(report.verdict, Verdict::Held);
    assert_eq!((rounds, report.counts.deliveries), (2, 11));
}

/// A known race: what is sent, and how the run departs from the calm one.
struct Race {
    id: &'static str,
    profile: Profile,
    requests: &'static [&'static str],
    schedule: &'static [&'static str],
}

impl Race {
    /// The verdict of a design, judged by the named properties, or by all if there are none.
    fn verdict(&self, design: Design, judged_by: &[&str]) -> Verdict {
        let simulation = Simulation::on(self.profile.clone())
            .service(Tickets(design.tickets))
            .service(Orders(design.orders))
            .client("all", self.requests.iter().map(|text| request(text)).collect())
            .build()
            .expect("tickets and orders fit together");
        let schedule = self.schedule.iter().map(|text| text.parse().expect("a departure")).collect();
        let mut departing = Departing::new(schedule);
        let judges = judges(judged_by);
        let report = run(&mut simulation.world(), &mut departing, &judges, Limits::default(), &mut ());
        if report.verdict == Verdict::Held {
            let unused: Vec<String> = departing.unused().map(ToString::to_string).collect();
            assert_eq!(unused, Vec::<String>::new(), "{}: departures without effect", self.id);
        }
        report.verdict
    }

    /// Under the course's design all properties together first see `first`, and each of `alone`
    /// sees it when judged alone; under the reference all hold.
    #[track_caller]
    fn check(&self, first: &str, alone: &[&str]) {
        let course = self.verdict(Design::COURSE, &[]);
        assert_eq!(broken(&course), Some(first), "{}: {course:?}", self.id);
        for property in alone {
            let course = self.verdict(Design::COURSE, &[property]);
            assert_eq!(broken(&course), Some(*property), "{}, judged alone: {course:?}", self.id);
        }
        assert_eq!(self.verdict(Design::REFERENCE, &[]), Verdict::Held, "{}", self.id);
    }
}

#[test]
fn a_second_cancel_frees_a_ticket_that_belongs_to_another_order() {
    let race = Race {
        id: "G1",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "eve order t1 as o2", "bob cancel o1"],
        schedule: &[],
    };
    race.check("EffectivelyOnce", &["NoForeignRelease", "ReservationAgreement"]);
}

#[test]
fn a_stale_cancel_frees_a_ticket_that_belongs_to_another_order() {
    let race = Race {
        id: "G1 in any order",
        profile: Profile::adversarial(),
        requests: &["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "eve order t1 as o2"],
        schedule: &[
            "hold order:created o1@0 -> tickets until order:cancelled o1@1 -> tickets",
            "hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets",
        ],
    };
    race.check("NoForeignRelease", &["ReservationAgreement"]);
}

#[test]
fn a_cancel_that_overtakes_its_order_leaves_the_ticket_locked_by_a_dead_order() {
    let race = Race {
        id: "G2",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "bob order t1 as o1", "bob cancel o1"],
        schedule: &["hold order:created o1@0 -> tickets until order:cancelled o1@1 -> tickets"],
    };
    race.check("ReservationAgreement", &["ReservationAgreement"]);
}

#[test]
fn a_later_order_overwrites_a_lock_and_an_earlier_cancel_then_frees_it() {
    let race = Race {
        id: "G3",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "eve order t1 as o2"],
        schedule: &["hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets"],
    };
    race.check("NoLockOverwrite", &["NoForeignRelease", "ReservationAgreement"]);
}

#[test]
fn one_lost_ack_of_a_created_ticket_is_poison() {
    let race = Race {
        id: "G13",
        profile: Profile::stan(),
        requests: &["ann create t1 5"],
        schedule: &["lose ack of ticket:created t1@0 -> orders"],
    };
    race.check("NoPoison", &["NoPoison"]);
}

#[test]
fn one_lost_ack_of_an_updated_ticket_is_poison() {
    let race = Race {
        id: "G14",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "ann edit t1 10"],
        schedule: &["lose ack of ticket:updated t1@1 -> orders"],
    };
    race.check("NoPoison", &["NoPoison"]);
}

#[test]
fn a_redelivered_order_locks_its_ticket_again_with_another_version() {
    let race = Race {
        id: "G15",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "bob order t1 as o1"],
        schedule: &["lose ack of order:created o1@0 -> tickets"],
    };
    race.check("EffectivelyOnce", &["EffectivelyOnce"]);
}

#[test]
fn a_redelivered_cancel_frees_its_ticket_again_with_another_version() {
    let race = Race {
        id: "G15",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "bob order t1 as o1", "bob cancel o1"],
        schedule: &["lose ack of order:cancelled o1@1 -> tickets"],
    };
    race.check("EffectivelyOnce", &["EffectivelyOnce"]);
}

#[test]
fn an_order_redelivered_after_its_cancel_locks_the_ticket_for_a_dead_order() {
    let race = Race {
        id: "G15, late",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "bob order t1 as o1", "bob cancel o1"],
        schedule: &[
            "lose ack of order:created o1@0 -> tickets",
            "hold order:created o1@0 -> tickets #2 until order:cancelled o1@1 -> tickets",
        ],
    };
    race.check("EffectivelyOnce", &["ReservationAgreement"]);
}

#[test]
fn a_crash_between_save_and_publish_in_a_listener_loses_a_version_for_ever() {
    let race = Race {
        id: "G19",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "bob order t1 as o1"],
        schedule: &["crash tickets before publish of order:created o1@0 -> tickets"],
    };
    race.check("PublishedVersionsContiguous", &["NoPoison", "TicketReplicaConverged"]);
}

#[test]
fn a_consumer_that_acts_once_but_has_no_outbox_never_publishes_what_it_saved() {
    let race = Race {
        id: "Z21b",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "bob order t1 as o1"],
        schedule: &["crash tickets before publish of order:created o1@0 -> tickets"],
    };
    let tickets = TicketsRules { publish: PublishRules::DUAL_WRITE, ..Design::REFERENCE.tickets };
    let design = Design { tickets, ..Design::REFERENCE };
    assert_eq!(broken(&race.verdict(design, &[])), Some("TicketReplicaConverged"));
    assert_eq!(race.verdict(design, &["NoPoison"]), Verdict::Held, "nothing is pending: the event is just not there");
}

#[test]
fn a_crash_in_any_other_window_of_a_listener_loses_nothing() {
    let verdict = |schedule, design| {
        let requests = &["ann create t1 5", "bob order t1 as o1"];
        Race { id: "G19", profile: Profile::stan(), requests, schedule }.verdict(design, &[])
    };
    for schedule in [
        &["crash tickets before save of order:created o1@0 -> tickets"],
        &["crash tickets before ack of order:created o1@0 -> tickets"],
        &["crash tickets after ack of order:created o1@0 -> tickets"],
    ] {
        assert_eq!(verdict(schedule, Design::REFERENCE), Verdict::Held, "{schedule:?}");
        // The course does again what it did before it could ack.
        let again = schedule[0].contains("before ack").then_some("EffectivelyOnce");
        assert_eq!(broken(&verdict(schedule, Design::COURSE)), again, "{schedule:?}");
    }
}

/// The calm run in which the service crashes once, at the n-th command.
struct CrashAtCommand {
    left: usize,
    window: Window,
}

impl Scheduler for CrashAtCommand {
    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        enabled.calm().expect("a scheduler is asked only when something may happen")
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        if chosen.is_delivery {
            return Fate::CALM;
        }
        let hit = self.left == 1;
        self.left = self.left.saturating_sub(1);
        Fate { crash: hit.then_some(self.window), ..Fate::CALM }
    }
}

/// The verdict of a design whose service crashes between save and publish of the n-th request.
fn crash_at(nth: usize, requests: &[&str], design: Design, judged_by: &[&str]) -> Verdict {
    let simulation = Simulation::on(Profile::stan())
        .service(Tickets(design.tickets))
        .service(Orders(design.orders))
        .client("all", requests.iter().map(|text| request(text)).collect())
        .build()
        .expect("tickets and orders fit together");
    let mut crash = CrashAtCommand { left: nth, window: Window::BeforePublish };
    let judges = judges(judged_by);
    run(&mut simulation.world(), &mut crash, &judges, Limits::default(), &mut ()).verdict
}

#[test]
fn a_crash_between_save_and_publish_in_a_route_loses_the_event_in_the_course_only() {
    let check = |nth: usize, requests: &[&str], first: &str, alone: &str| {
        let course = |judged_by: &[&str]| crash_at(nth, requests, Design::COURSE, judged_by);
        assert_eq!(broken(&course(&[])), Some(first), "{requests:?}");
        assert_eq!(broken(&course(&[alone])), Some(alone), "{requests:?}");
        assert_eq!(crash_at(nth, requests, Design::REFERENCE, &[]), Verdict::Held, "{requests:?}");
    };
    check(1, &["ann create t1 5"], "TicketReplicaConverged", "TicketReplicaConverged");
    check(1, &["ann create t1 5", "ann edit t1 10"], "TicketReplicaConverged", "NoPoison");
    check(2, &["ann create t1 5", "ann edit t1 10"], "TicketReplicaConverged", "TicketReplicaConverged");
    check(2, &["ann create t1 5", "bob order t1 as o1"], "ReservationAgreement", "ReservationAgreement");
    check(
        3,
        &["ann create t1 5", "bob order t1 as o1", "bob cancel o1"],
        "ReservationAgreement",
        "ReservationAgreement",
    );
}

#[test]
fn with_a_perfect_broker_the_course_replica_follows_and_nothing_is_pending() {
    let race = Race {
        id: "lockstep",
        profile: Profile::stan(),
        requests: &["ann create t1 5", "ann edit t1 10", "bob order t1 as o1", "bob cancel o1", "eve order t1 as o2"],
        schedule: &[],
    };
    assert_eq!(race.verdict(Design::COURSE, &[]), Verdict::Held);
    assert_eq!(race.verdict(Design::REFERENCE, &[]), Verdict::Held);
}

#[test]
fn an_update_that_came_too_early_does_not_hold_up_the_one_it_waits_for() {
    for redeliver_at in [RedeliverAt::Front, RedeliverAt::Original, RedeliverAt::Back, RedeliverAt::Any] {
        for limit in [Limit::Of(1), Limit::Of(2), Limit::Unlimited] {
            let mut profile = Profile { redeliver_at, ..Profile::stan() };
            profile.max_in_flight.limit = limit;
            let race = Race {
                id: "an early update",
                profile,
                requests: &["ann create t1 5", "ann edit t1 10", "ann edit t1 15"],
                schedule: &["crash orders before save of ticket:updated t1@1 -> orders"],
            };
            let verdict = race.verdict(Design::REFERENCE, &[]);
            assert_eq!(verdict, Verdict::Held, "redelivered at {redeliver_at:?}, in flight {limit:?}");
        }
    }
}

#[test]
fn a_run_goes_on_while_a_delivery_that_changes_nothing_takes_the_only_place_in_flight() {
    let mut profile = Profile::stan();
    profile.max_in_flight.limit = Limit::Of(1);
    let race = Race {
        id: "one in flight",
        profile,
        requests: &["ann create t1 5", "ann edit t1 10"],
        schedule: &[
            "hold ticket:created t1@0 -> orders until ticket:updated t1@1 -> orders",
            "crash orders before ack of ticket:updated t1@1 -> orders",
        ],
    };
    assert_eq!(race.verdict(Design::REFERENCE, &[]), Verdict::Held);
}
