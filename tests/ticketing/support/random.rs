//! Workloads, brokers, faults and hostings of the ticketing services, drawn at random.

use std::time::Duration;

use pellmell::broker::{AckMode, Dispatch, Granularity, InFlight, Limit, Ordering, Profile, RedeliverAt, Scope, Stale};
use pellmell::simulation::Client;
use pellmell::ticketing::{Design, Hostings, Request, Ticketing};
use pellmell::{FaultPlan, Hosting, Rate, Ratio, Simulation};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::request;

/// Sellers who create a ticket each and change its price, buyers who order tickets, pay for some of
/// their orders and cancel some, and some of that twice, and a stranger who may do neither.
pub(crate) fn workload() -> impl Strategy<Value = Vec<Client<Request>>> {
    let sellers = vec(vec(1u32..50, 1..=4), 1..=3);
    let order = (any::<prop::sample::Index>(), 0usize..=2, 0u32..=2, any::<bool>());
    let buyers = vec(vec(order, 1..=3), 0..=3);
    (sellers, buyers, any::<bool>()).prop_map(|(sellers, buyers, stranger)| {
        let tickets = sellers.len();
        let mut clients: Vec<Client<Request>> =
            sellers.iter().enumerate().map(|(place, prices)| seller(place + 1, prices)).collect();
        let mut orders = 0;
        for (place, wishes) in buyers.iter().enumerate() {
            let name = format!("buyer-{}", place + 1);
            let mut texts = Vec::new();
            for (ticket, cancels, pays, pays_last) in wishes {
                orders += 1;
                texts.push(format!("order t{} as o{orders}", ticket.index(tickets) + 1));
                let cancels = (0..*cancels).map(|_| format!("cancel o{orders}"));
                let pays = (1..=*pays).map(|nth| format!("pay o{orders} as p{}", 10 * orders + nth));
                let (mut first, then): (Vec<String>, Vec<String>) =
                    if *pays_last { (cancels.collect(), pays.collect()) } else { (pays.collect(), cancels.collect()) };
                first.extend(then);
                texts.extend(first);
            }
            clients.push(client(&name, &texts));
        }
        if stranger {
            let tries = ["edit t1 99", "show t1", "order t1 as o99", "cancel o1", "pay o1 as p99", "cancel o99"];
            clients.push(client("eve", &tries.map(str::to_owned)));
        }
        clients
    })
}

fn seller(number: usize, prices: &[u32]) -> Client<Request> {
    let name = format!("seller-{number}");
    let create = format!("create t{number} {}", prices[0]);
    let edits = prices[1..].iter().map(|price| format!("edit t{number} {price}"));
    let texts: Vec<String> = std::iter::once(create).chain(edits).collect();
    client(&name, &texts)
}

/// A client whose commands are these, each without its name in front.
pub(crate) fn client(name: &str, texts: &[String]) -> Client<Request> {
    let commands = texts.iter().map(|text| request(&format!("{name} {text}")).into());
    Client { commands: commands.collect(), name: name.to_owned() }
}

/// A shipped profile, or any combination of parameters under which no message is ever given up.
pub(crate) fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(Profile::stan()), Just(Profile::adversarial()), combination()]
}

fn combination() -> impl Strategy<Value = Profile> {
    let ordering = prop_oneof![
        Just(Ordering::None),
        Just(Ordering::Log),
        Just(Ordering::Key { partitions: None }),
        (1u32..4).prop_map(|partitions| Ordering::Key { partitions: Some(partitions) }),
    ];
    let limit = || prop_oneof![(1u32..4).prop_map(Limit::Of), Just(Limit::Unlimited)];
    let window = prop_oneof![(0u32..4).prop_map(Limit::Of), Just(Limit::Unlimited)];
    let dispatch = prop_oneof![Just(Dispatch::Competing), Just(Dispatch::Exclusive)];
    let scope = prop_oneof![Just(Scope::Member), Just(Scope::Group)];
    let stale = prop_oneof![Just(Stale::Accept), Just(Stale::Reject)];
    let waits = vec(prop_oneof![Just(0u64), Just(1), Just(5), Just(30)].prop_map(Duration::from_secs), 1..=3);
    let redeliver_at = prop_oneof![
        Just(RedeliverAt::Front),
        Just(RedeliverAt::Original),
        Just(RedeliverAt::Back),
        Just(RedeliverAt::Any),
    ];
    let release = (any::<bool>(), any::<bool>());
    (ordering, window, dispatch, (limit(), scope), stale, waits, redeliver_at, release).prop_map(
        |(ordering, reorder_window, dispatch, (limit, scope), stale, ack_wait, redeliver_at, (crash, naks))| {
            // Without an order everything may overtake.
            let reorder_window = if ordering == Ordering::None { Limit::Unlimited } else { reorder_window };
            // Redeliveries that go to the front keep what they stand for in flight. If later versions
            // can be there first, enough of them fill the limit for good and the version they wait
            // for never comes: a dead end of such a broker, whatever the services do.
            let in_front = matches!(redeliver_at, RedeliverAt::Front | RedeliverAt::Original);
            let in_order = dispatch == Dispatch::Exclusive && reorder_window == Limit::Of(0);
            let limit = if in_front && !in_order { Limit::Unlimited } else { limit };
            let mut profile = Profile {
                name: "combination",
                ordering,
                reorder_window,
                dispatch,
                max_in_flight: InFlight { limit, scope },
                ack: AckMode { granularity: Granularity::Individual, stale },
                ack_wait,
                redeliver_at,
                naks,
                ..Profile::stan()
            };
            profile.release_on.crash = crash;
            profile
        },
    )
}

/// Any faults on the first few attempts.
pub(crate) fn faults() -> impl Strategy<Value = FaultPlan> {
    let rate = || prop_oneof![Just(0u32), Just(1), Just(3), Just(10)].prop_map(|of_10| Rate::of(Ratio::new(of_10, 10)));
    (rate(), rate(), rate(), rate(), rate(), rate(), 1u16..4, any::<bool>()).prop_map(
        |(lose_ack, delay_ack, duplicate, crash, pause, lose_message, attempts_max, swarm)| FaultPlan {
            lose_ack,
            delay_ack,
            duplicate,
            crash,
            pause,
            lose_message,
            attempts_max,
            swarm,
            ..FaultPlan::NONE
        },
    )
}

fn hosting() -> impl Strategy<Value = Hosting> {
    (1u16..=3, any::<bool>(), any::<bool>()).prop_map(|(members, overlapping, joins_late)| Hosting {
        members,
        overlapping,
        joins_late,
        ..Hosting::ALONE
    })
}

/// How the four services are hosted. Payments always takes part, because buyers pay.
pub(crate) fn hostings() -> impl Strategy<Value = Hostings> {
    let expiration = proptest::option::of(hosting());
    (hosting(), hosting(), expiration, hosting()).prop_map(|(tickets, orders, expiration, payments)| Hostings {
        tickets,
        orders,
        expiration,
        payments: Some(payments),
    })
}

/// A right design and a wrong one.
pub(crate) fn design() -> impl Strategy<Value = Design> {
    prop_oneof![Just(Design::REFERENCE), Just(Design::SAGA), Just(Design::COURSE)]
}

pub(crate) fn simulation(
    design: &Design,
    profile: Profile,
    clients: Vec<Client<Request>>,
    hostings: &Hostings,
) -> Simulation<Ticketing> {
    let services = design.host(Simulation::on(profile), hostings);
    let hosted = clients.into_iter().fold(services, |builder, client| builder.client(client.name, client.commands));
    hosted.build().expect("the services fit together")
}
