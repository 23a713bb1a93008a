//! The cheapest violations of the ticketing services: known minima are found, the reference has
//! none, and the digest the search relies on tells states apart as it must.

use pellmell::scheduler::Scripted;
use pellmell::search::{Cost, DeliveryOrder, Found, Shortest, ShortestBounds, ShortestResult};
use pellmell::ticketing::{
    ApplyRule, CreateRule, Design, LockRules, Orders, OrdersRules, PublishRules, ReplicaRules, Ticketing, Tickets,
    TicketsRules, properties,
};
use pellmell::{Hosting, Judges, Limits, PublishMode, Service, Simulation, Verdict, run};

use crate::support::request;

const TICKETS: TicketsRules = Design::REFERENCE.tickets;
const ORDERS: OrdersRules = Design::REFERENCE.orders;
const SILENT: LockRules = LockRules { publish_taken: false, publish_released: false, ..TICKETS.lock };

/// The orders service that follows tickets by another rule.
fn follows(apply: ApplyRule) -> OrdersRules {
    OrdersRules { tickets: ReplicaRules { apply, ..ORDERS.tickets }, ..ORDERS }
}

/// One ticket and two edits of it, one order and its cancel, another order.
const CLIENTS: [&[&str]; 3] = [
    &["sue create t1 5", "sue edit t1 10", "sue edit t1 15"],
    &["ann order t1 as o1", "ann cancel o1"],
    &["bob order t1 as o2"],
];

/// Tickets and orders on a broker that has the order of these bounds.
fn simulation(
    bounds: ShortestBounds,
    tickets: impl Service<Ticketing> + 'static,
    orders: impl Service<Ticketing> + 'static,
) -> Simulation<Ticketing> {
    let hosting = Hosting { overlapping: bounds.pauses > 0, ..Hosting::ALONE };
    let services = Simulation::on(bounds.order.profile()).hosted(tickets, hosting.clone()).hosted(orders, hosting);
    let hosted = CLIENTS.iter().fold(services, |builder, texts| {
        let name = texts[0].split(' ').next().expect("a client's name");
        builder.client(name, texts.iter().map(|text| request(text)).collect())
    });
    hosted.build().expect("tickets and orders fit together")
}

fn judges() -> Judges<Ticketing> {
    Judges::new(properties::promised_by(&Design::REFERENCE))
}

fn search(simulation: &Simulation<Ticketing>, bounds: ShortestBounds) -> ShortestResult {
    let judges = judges();
    Shortest::new(simulation, &judges).with_bounds(bounds).with_states_max(3_000_000).run()
}

/// The cost at which a property is broken first, searched at most to `cost_max`.
fn least(simulation: &Simulation<Ticketing>, bounds: ShortestBounds, property: &str, cost_max: Cost) -> Option<Found> {
    let judges = judges();
    let shortest = Shortest::new(simulation, &judges).with_bounds(bounds).with_states_max(3_000_000);
    let searched = shortest.with_cost_max(cost_max).run_until(|found| found.property == property);
    searched.found.into_iter().find(|found| found.property == property)
}

const ANY: ShortestBounds = ShortestBounds::of(DeliveryOrder::Any);
const PER_SUBJECT: ShortestBounds = ShortestBounds::of(DeliveryOrder::PerSubject);
const LOCKSTEP: ShortestBounds = ShortestBounds::of(DeliveryOrder::Lockstep);

const ANY_ACK_LOST: ShortestBounds = ShortestBounds { lost_acks: 1, ..ANY };
const LOCKSTEP_ACK_LOST: ShortestBounds = ShortestBounds { lost_acks: 1, ..LOCKSTEP };
const ANY_CRASH: ShortestBounds = ShortestBounds { crashes: 1, ..ANY };
const LOCKSTEP_CRASH: ShortestBounds = ShortestBounds { crashes: 1, ..LOCKSTEP };

const ANY_PAUSE: ShortestBounds = ShortestBounds { pauses: 1, ..ANY };
const LOCKSTEP_PAUSE: ShortestBounds = ShortestBounds { pauses: 1, ..LOCKSTEP };

/// A defect, the property it breaks, and at which cost under which bounds; never, if there is none.
struct Minimum {
    defect: &'static str,
    tickets: TicketsRules,
    orders: OrdersRules,
    property: &'static str,
    costs: &'static [(ShortestBounds, Option<(u32, u32)>)],
}

fn minima() -> Vec<Minimum> {
    let locked_by_id = TicketsRules { lock: LockRules::ORDER_ID, ..TICKETS };
    let dual_write =
        TicketsRules { publish: PublishRules { commands: PublishMode::DualWrite, ..PublishRules::OUTBOX }, ..TICKETS };
    let blind = follows(ApplyRule::Blind);
    vec![
        Minimum {
            defect: "Z2: the replica takes every update",
            tickets: TICKETS,
            orders: blind,
            property: "PrefixConsistency",
            costs: &[(ANY, Some((2, 3))), (PER_SUBJECT, Some((2, 3))), (LOCKSTEP, None)],
        },
        Minimum {
            defect: "Z2 at rest",
            tickets: TICKETS,
            orders: blind,
            property: "TicketReplicaConverged",
            costs: &[(ANY, Some((3, 3))), (PER_SUBJECT, Some((3, 3))), (LOCKSTEP, None)],
        },
        Minimum {
            defect: "Z8: a ticket that comes again is a duplicate key",
            tickets: TICKETS,
            orders: OrdersRules { tickets: ReplicaRules { create: CreateRule::Insert, ..ORDERS.tickets }, ..ORDERS },
            property: "NoPoison",
            costs: &[(ANY, None), (ANY_ACK_LOST, Some((1, 1))), (LOCKSTEP_ACK_LOST, Some((1, 1)))],
        },
        Minimum {
            defect: "Z7: an update that was applied is refused",
            tickets: TICKETS,
            orders: follows(ApplyRule::Strict),
            property: "NoPoison",
            costs: &[(ANY, None), (ANY_ACK_LOST, Some((2, 2))), (LOCKSTEP_ACK_LOST, Some((2, 2)))],
        },
        Minimum {
            defect: "Z12a: a lock raises the version and nobody is told",
            tickets: TicketsRules { lock: SILENT, ..TICKETS },
            orders: ORDERS,
            property: "PublishedVersionsContiguous",
            costs: &[(ANY, Some((2, 2))), (PER_SUBJECT, Some((2, 2))), (LOCKSTEP, Some((2, 2)))],
        },
        Minimum {
            defect: "Z12a at rest",
            tickets: TicketsRules { lock: SILENT, ..TICKETS },
            orders: ORDERS,
            property: "TicketReplicaConverged",
            costs: &[(ANY, Some((2, 2))), (LOCKSTEP, Some((2, 2)))],
        },
        Minimum {
            defect: "Z14b: a later order takes the lock",
            tickets: locked_by_id,
            orders: ORDERS,
            property: "NoLockOverwrite",
            costs: &[(ANY, Some((3, 4))), (PER_SUBJECT, Some((3, 4))), (LOCKSTEP, None)],
        },
        Minimum {
            defect: "Z13a: a cancel frees whatever lock there is",
            tickets: locked_by_id,
            orders: ORDERS,
            property: "NoForeignRelease",
            costs: &[(ANY, Some((3, 4))), (PER_SUBJECT, Some((4, 4))), (LOCKSTEP, None)],
        },
        Minimum {
            defect: "Z14a: the lock is a flag without a memory of cancels",
            tickets: TicketsRules { lock: LockRules::BOOLEAN, ..TICKETS },
            orders: ORDERS,
            property: "ReservationAgreement",
            costs: &[(ANY, Some((5, 3))), (LOCKSTEP, None)],
        },
        Minimum {
            defect: "Z16: a reserved ticket can be edited",
            tickets: TicketsRules { reject_reserved_edits: false, ..TICKETS },
            orders: ORDERS,
            property: "NoEditWhileLocked",
            costs: &[(ANY, Some((2, 3))), (PER_SUBJECT, Some((2, 3))), (LOCKSTEP, Some((3, 3)))],
        },
        Minimum {
            defect: "G15: an order that comes again locks its ticket again",
            tickets: locked_by_id,
            orders: ORDERS,
            property: "EffectivelyOnce",
            costs: &[(ANY, None), (ANY_ACK_LOST, Some((3, 2))), (LOCKSTEP_ACK_LOST, Some((3, 2)))],
        },
        Minimum {
            defect: "Z22: a route looks for a live order and inserts later",
            tickets: TICKETS,
            orders: OrdersRules { unique_live_order: false, ..ORDERS },
            property: "AtMostOneLiveOrder",
            costs: &[(ANY, None), (ANY_PAUSE, Some((1, 4))), (LOCKSTEP_PAUSE, Some((1, 4)))],
        },
        Minimum {
            defect: "Z21a: a route saves, crashes and never publishes",
            tickets: dual_write,
            orders: ORDERS,
            property: "TicketReplicaConverged",
            costs: &[(ANY, None), (ANY_CRASH, Some((0, 1))), (LOCKSTEP_CRASH, Some((0, 1)))],
        },
        Minimum {
            defect: "Z21b: a listener saves, crashes and never publishes",
            tickets: TicketsRules {
                publish: PublishRules { listeners: PublishMode::DualWrite, ..PublishRules::OUTBOX },
                ..TICKETS
            },
            orders: ORDERS,
            property: "TicketReplicaConverged",
            costs: &[(ANY, None), (ANY_CRASH, Some((3, 2)))],
        },
    ]
}

impl Minimum {
    fn simulation(&self, bounds: ShortestBounds) -> Simulation<Ticketing> {
        simulation(bounds, Tickets(self.tickets), Orders(self.orders))
    }
}

fn in_numbers(cost: Cost) -> (u32, u32) {
    (cost.deliveries, cost.commands)
}

#[test]
fn known_minima_are_found_and_nothing_cheaper() {
    for minimum in minima() {
        for (bounds, expected) in minimum.costs {
            let (deliveries, commands) = expected.unwrap_or((7, 6));
            let most = Cost { deliveries, commands };
            let found = least(&minimum.simulation(*bounds), *bounds, minimum.property, most);
            let cost = found.map(|found| in_numbers(found.cost));
            assert_eq!(cost, *expected, "{} breaks {} under {bounds:?}", minimum.defect, minimum.property);
        }
    }
}

#[test]
fn a_message_that_no_member_ever_takes_is_poison_as_soon_as_all_others_are_done() {
    for bounds in [LOCKSTEP, PER_SUBJECT, ANY] {
        let simulation = simulation(bounds, Tickets(TICKETS), Orders(follows(ApplyRule::OffByOne)));
        // Z5. The ticket:created is taken, the ticket:updated is not.
        let found = least(&simulation, bounds, "NoPoison", Cost { deliveries: 1, commands: 2 });
        let found = found.unwrap_or_else(|| panic!("no poison under {bounds:?}"));
        assert_eq!(found.cost.to_string(), "1d/2c");
        let said = found.violation.to_string();
        let expected = "at orders, t1, ticket:updated t1@1: still unacked: ticket:updated t1@1 -> orders #";
        assert!(said.starts_with(expected) && said.ends_with(", redelivery changes nothing"), "{said}");
    }
}

#[test]
fn what_was_found_is_played_again_by_a_script() {
    for minimum in minima() {
        for (bounds, _) in minimum.costs.iter().filter(|(_, expected)| expected.is_some()) {
            let simulation = minimum.simulation(*bounds);
            let found = least(&simulation, *bounds, minimum.property, Cost { deliveries: 9, commands: 9 });
            let found = found.unwrap_or_else(|| panic!("{} breaks nothing under {bounds:?}", minimum.defect));
            let judge = properties::promised_by(&Design::REFERENCE)
                .into_iter()
                .filter(|property| property.name() == minimum.property);
            let judges = Judges::new(judge.collect());
            let (mut world, steps) = (simulation.world(), found.path.len() as u64);
            let report = run(&mut world, &mut Scripted::new(found.path), &judges, Limits::default(), &mut ());
            let Verdict::Violated { property, violation } = report.verdict else {
                panic!("{} under {bounds:?}: {:?}", minimum.defect, report.verdict)
            };
            assert_eq!(property, found.property);
            assert!(report.steps >= steps, "{}", minimum.defect);
            // Poison shows at the end of a run only.
            if property != "NoPoison" {
                assert_eq!((report.steps, *violation), (steps, found.violation), "{} under {bounds:?}", minimum.defect);
            }
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the numbers of states are worth knowing and no claim")]
fn the_reference_and_its_correct_variants_have_no_violation_within_the_moves() {
    let last_writer = follows(ApplyRule::LastWriter);
    let chain = follows(ApplyRule::Chain);
    let all = [LOCKSTEP, PER_SUBJECT, ANY, LOCKSTEP_ACK_LOST, ANY_ACK_LOST, ANY_CRASH, LOCKSTEP_CRASH];
    for (name, orders, bounds) in
        [("reference", ORDERS, &all[..]), ("last writer", last_writer, &all[2..]), ("chain", chain, &all[2..4])]
    {
        for bounds in bounds {
            let searched = search(&simulation(*bounds, Tickets(TICKETS), Orders(orders)), *bounds);
            println!("{name}, {bounds:?}: {} states", searched.states);
            assert_eq!(searched.found, [], "{name}, {bounds:?}");
            assert!(searched.complete, "{name}, {bounds:?}");
        }
    }
}

#[test]
fn the_course_is_broken_in_every_way_it_is_known_to_be_in_order_of_cost() {
    let bounds = ShortestBounds { lost_acks: 1, crashes: 1, ..ANY };
    let course = Design::COURSE;
    let simulation = simulation(bounds, Tickets(course.tickets), Orders(course.orders));
    let most = Cost { deliveries: 4, commands: 4 };
    let judges = judges();
    let shortest = Shortest::new(&simulation, &judges).with_bounds(bounds).with_states_max(3_000_000);
    let shortest = shortest.with_cost_max(most);
    let searched = shortest.run();
    assert!(searched.complete);
    let found = searched.found.iter().map(|found| format!("{} {}", found.cost, found.property));
    expect_test::expect![[r#"
        0d/1c TicketReplicaConverged
        0d/2c PublishedVersionsContiguous
        0d/2c NoPoison
        1d/2c ReservationAgreement
        3d/2c EffectivelyOnce
        3d/4c NoLockOverwrite
        3d/4c NoForeignRelease"#]]
    .assert_eq(&found.collect::<Vec<_>>().join("\n"));
    assert_eq!(searched, shortest.run(), "the same search gives the same result");
}

#[test]
fn a_search_ends_where_it_is_told_to() {
    let simulation = simulation(ANY, Tickets(TICKETS), Orders(follows(ApplyRule::Blind)));
    let judges = judges();
    let shortest = || Shortest::new(&simulation, &judges);
    let all = shortest().run();
    assert!(all.complete && all.found.len() > 1 && all.found.is_sorted_by_key(|found| found.cost));
    let first = shortest().run_until(|_| true);
    assert_eq!((&first.found[..], first.complete), (&all.found[..1], false), "one is enough");
    let few = shortest().with_states_max(10).run();
    assert_eq!((few.states, few.complete), (10, false), "so many states are enough");
    let cheap = shortest().with_cost_max(Cost { deliveries: 2, commands: 2 }).run();
    assert!(cheap.complete && cheap.found.is_empty() && cheap.states < all.states, "nothing is as cheap as that");
}
