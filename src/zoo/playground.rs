//! Where the defects are looked for: small worlds, each with what its clients may want.

use crate::broker::Profile;
use crate::faults::{FaultPlan, Rate};
use crate::ids::RecordId;
use crate::prng::Ratio;
use crate::search::{DeliveryOrder, ShortestBounds};
use crate::simulation::{Hosting, Simulation};
use crate::ticketing::{Design, Hostings, Level, Request, Stage, Ticketing, What};

const T1: RecordId = RecordId::new('t', 1);
const O1: RecordId = RecordId::new('o', 1);
const O2: RecordId = RecordId::new('o', 2);

/// A design in a small world: one ticket, at most two orders, two edits, two cancels, two payments.
///
/// # Panics
/// If the services do not fit together, which they do.
#[must_use]
pub fn playground(design: &Design, stage: Stage, profile: Profile, splits: bool) -> Simulation<Ticketing> {
    let hosting = Hosting { overlapping: splits, ..Hosting::ALONE };
    let on = |wanted: bool| wanted.then(|| hosting.clone());
    let hostings = Hostings {
        tickets: hosting.clone(),
        orders: hosting.clone(),
        expiration: on(matches!(stage, Stage::Timed | Stage::Four)),
        payments: on(matches!(stage, Stage::Paid | Stage::Four)),
    };
    let services = design.host(Simulation::on(profile), &hostings);
    let hosted = clients(stage).into_iter().fold(services, |services, (name, user, wishes)| {
        let commands = wishes.into_iter().map(|what| Request { user: Some(user.into()), what });
        services.client(name, commands.collect())
    });
    hosted.build().expect("the services fit together")
}

/// Each client with whom it signs in as and what it asks for, one after the other.
fn clients(stage: Stage) -> Vec<(&'static str, &'static str, Vec<What>)> {
    let create = What::CreateTicket { ticket: T1, title: "concert".into(), price: 5 };
    let edit = |price| What::EditTicket { ticket: T1, title: None, price };
    let order = |order| What::CreateOrder { order, ticket: T1 };
    let cancel = What::CancelOrder { order: O1 };
    let pay = |number| What::Pay { payment: RecordId::new('p', number), order: O1, token: "token".into() };
    match stage {
        Stage::Two => vec![
            ("seller", "seller", vec![create, edit(10)]),
            ("seller-edits", "seller", vec![edit(15)]),
            ("ann", "ann", vec![order(O1), cancel.clone(), cancel]),
            ("bob", "bob", vec![order(O2)]),
        ],
        Stage::Timed => vec![
            ("seller", "seller", vec![create]),
            ("ann", "ann", vec![order(O1), cancel]),
            ("bob", "bob", vec![order(O2)]),
        ],
        Stage::Paid => vec![
            ("seller", "seller", vec![create]),
            ("ann", "ann", vec![order(O1), cancel]),
            ("ann-pays", "ann", vec![pay(1), pay(2)]),
            ("bob", "bob", vec![order(O2)]),
        ],
        Stage::Four => vec![
            ("seller", "seller", vec![create]),
            ("ann", "ann", vec![order(O1), cancel]),
            ("ann-pays", "ann", vec![pay(1)]),
        ],
    }
}

/// The broker rules of a level.
#[must_use]
pub fn profile(level: Level) -> Profile {
    order(level).profile()
}

fn order(level: Level) -> DeliveryOrder {
    match level {
        Level::Lockstep => DeliveryOrder::Lockstep,
        Level::PerSubject => DeliveryOrder::PerSubject,
        _ => DeliveryOrder::Any,
    }
}

/// What may happen at a level.
#[must_use]
pub fn bounds(level: Level, splits: bool) -> ShortestBounds {
    ShortestBounds {
        lost_acks: u8::from(level == Level::Duplicate),
        crashes: u8::from(level == Level::Crash),
        lost_messages: u8::from(level == Level::Loss),
        pauses: u8::from(splits),
        ..ShortestBounds::of(order(level))
    }
}

/// What is drawn at a level where schedules are drawn.
#[must_use]
pub fn faults(level: Level, splits: bool) -> FaultPlan {
    let once = |wanted: bool, of_20: u32| match wanted {
        true => Rate { ratio: Ratio::new(of_20, 20), most: 1 },
        false => Rate::NEVER,
    };
    FaultPlan {
        lose_ack: once(level == Level::Duplicate, 4),
        crash: once(level == Level::Crash, 2),
        lose_message: once(level == Level::Loss, 4),
        pause: if splits { Rate::of(Ratio::new(9, 10)) } else { Rate::NEVER },
        ..FaultPlan::NONE
    }
}
