//! What the search relies on: nodes with one key go on in one way and are judged in one way.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ids::RecordId;
use crate::prng::{Prng, Stream};
use crate::simulation::Hosting;
use crate::store::VersionPolicy;
use crate::ticketing::{
    ApplyRule, Design, LockRules, Orders, OrdersRules, ReplicaRules, Request, Ticketing, Tickets, TicketsRules, What,
    properties,
};

/// How many nodes of each setting are looked at.
const LOOKS: u32 = 1_000;

/// The orders service that follows tickets by another rule.
fn follows(apply: ApplyRule, orders: OrdersRules) -> OrdersRules {
    OrdersRules { tickets: ReplicaRules { apply, ..orders.tickets }, ..orders }
}

const T1: RecordId = RecordId::new('t', 1);

fn simulation(
    order: DeliveryOrder,
    hosting: &Hosting,
    tickets: TicketsRules,
    orders: OrdersRules,
) -> Simulation<Ticketing> {
    let request = |user: &str, what: What| Request { user: Some(user.into()), what };
    let create = What::CreateTicket { ticket: T1, title: "concert".into(), price: 5 };
    let edit = |price| What::EditTicket { ticket: T1, title: None, price };
    let order_as = |number| What::CreateOrder { order: RecordId::new('o', number), ticket: T1 };
    let cancel = What::CancelOrder { order: RecordId::new('o', 1) };
    Simulation::on(order.profile())
        .hosted(Tickets(tickets), hosting.clone())
        .hosted(Orders(orders), hosting.clone())
        .client("sue", vec![request("sue", create), request("sue", edit(10)), request("sue", edit(15))])
        .client("ann", vec![request("ann", order_as(1)), request("ann", cancel)])
        .client("bob", vec![request("bob", order_as(2))])
        .build()
        .expect("tickets and orders fit together")
}

/// Where a node leads and what is broken there: keys, properties and costs.
#[derive(Debug, PartialEq, Eq)]
struct Outlook {
    leads_to: BTreeSet<(Cost, u64)>,
    breaks: Vec<Option<Cost>>,
}

/// Looks at a node alone. Returns the outlook and the nodes it leads to.
fn outlook(shortest: &Shortest<'_, Ticketing>, node: &Node<Ticketing>) -> (Outlook, Vec<Node<Ticketing>>) {
    let mut search = Search::new(shortest);
    search.expand(node);
    let breaks = search.best.iter().map(|best| match best {
        Best::Candidate(cost, ..) => Some(*cost),
        Best::None | Best::Final => None,
    });
    let breaks = breaks.collect();
    let next: Vec<Node<Ticketing>> = search.frontier.into_values().flatten().collect();
    (Outlook { leads_to: next.iter().map(|node| (node.cost, node.key)).collect(), breaks }, next)
}

/// Looks at so many nodes, in random order, each by up to three ways to it. Returns how often that
/// was a way to a node that was known.
fn meet_again(shortest: &Shortest<'_, Ticketing>, looks: u32, about: &str) -> u32 {
    let mut known: BTreeMap<u64, (Outlook, Vec<u64>)> = BTreeMap::new();
    let mut prng = Prng::new(7, Stream::Workload);
    let mut open = vec![Search::new(shortest).first()];
    let mut met_again = 0;
    for _ in 0..looks {
        if open.is_empty() {
            break;
        }
        let mut node = open.swap_remove(prng.below(open.len() as u32) as usize);
        node.cost = Cost::NOTHING;
        let way = node.world.fingerprint();
        let ways = known.get(&node.key).map_or(&[] as &[u64], |(_, ways)| ways);
        if ways.len() == 3 || ways.contains(&way) {
            continue;
        }
        let (found, next) = outlook(shortest, &node);
        open.extend(next);
        match known.get_mut(&node.key) {
            Some((before, ways)) => {
                assert_eq!(*before, found, "{about}: {:?}", node.world);
                ways.push(way);
                met_again += 1;
            }
            None => {
                known.insert(node.key, (found, vec![way]));
            }
        }
    }
    met_again
}

#[test]
fn nodes_with_one_key_lead_to_the_same_nodes_at_the_same_costs_and_break_the_same_properties() {
    let overlapping = Hosting { overlapping: true, ..Hosting::ALONE };
    let two = Hosting { members: 2, ..Hosting::ALONE };
    let (course, reference) = (Design::COURSE, Design::REFERENCE);
    let boolean = TicketsRules { lock: LockRules::BOOLEAN, ..reference.tickets };
    let dirty = TicketsRules { versions: VersionPolicy::DIRTY_ONLY, ..reference.tickets };
    let rules = [
        ("reference", reference.tickets, reference.orders),
        ("course", course.tickets, course.orders),
        ("boolean, chain", boolean, follows(ApplyRule::Chain, reference.orders)),
        ("dirty, last writer", dirty, follows(ApplyRule::LastWriter, course.orders)),
    ];
    let judges = Judges::new(properties::all());
    let mut met_again = 0;
    for order in [DeliveryOrder::Lockstep, DeliveryOrder::PerSubject, DeliveryOrder::Any] {
        for (hosted, hosting) in [("alone", &Hosting::ALONE), ("overlapping", &overlapping), ("two", &two)] {
            for (name, tickets, orders) in rules {
                let simulation = simulation(order, hosting, tickets, orders);
                let bounds = ShortestBounds { lost_acks: 1, crashes: 1, pauses: 2, ..ShortestBounds::of(order) };
                let shortest = Shortest::new(&simulation, &judges).with_bounds(bounds).with_states_max(0);
                let about = format!("{order:?}, {hosted}, {name}");
                met_again += meet_again(&shortest, LOOKS, &about);
            }
        }
    }
    assert!(met_again > 4_000, "only {met_again} nodes were met again by another way");
}
