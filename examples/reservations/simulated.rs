//! What stands behind the traits of the orders service in a simulation, and what must be true of it.

use pellmell::Outside;
use pellmell::prelude::*;
use pellmell::testing::{Closures, at_quiescence, service};

use super::orders::{Order, Orders, OrdersService, Publisher, Refused, Ticket, Tickets};

/// A row of the table of tickets, and one of the table of orders.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct TicketRow {
    price: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct OrderRow {
    ticket: u32,
    price: u32,
}

impl Record for TicketRow {
    const COLLECTION: &'static str = "tickets";
    const KIND: char = 't';
}

impl Record for OrderRow {
    const COLLECTION: &'static str = "orders";
    const KIND: char = 'o';
}

/// What a client can ask for.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub struct Create {
    pub order: u32,
    pub ticket: u32,
}

impl Command for Create {
    fn service(&self) -> &str {
        "orders"
    }

    fn record(&self) -> RecordId {
        RecordId::new('o', self.order)
    }

    fn label(&self) -> String {
        format!("order t{} as o{}", self.ticket, self.order)
    }
}

pub struct Reservations;

impl System for Reservations {
    type Event = Snapshot<OrderRow>;
    type Command = Create;
}

/// What stands behind the service's traits in a simulation: each method is one await.
struct Simulated(Port<Reservations>);

impl Tickets for Simulated {
    async fn find(&self, ticket: u32) -> Option<Ticket> {
        let id = RecordId::new('t', ticket);
        self.0.read(move |store| store.find::<TicketRow>(id).map(|row| Ticket { price: row.price })).await
    }
}

impl Orders for Simulated {
    async fn of_ticket(&self, ticket: u32) -> Vec<Order> {
        let orders = self.0.read(move |store| {
            let rows = store.all::<OrderRow>().filter(|(_, row)| row.ticket == ticket);
            rows.map(|(id, row)| Order { id: id.number(), ticket, price: row.price }).collect()
        });
        orders.await
    }

    async fn insert(&self, Order { id, ticket, price }: Order) {
        self.0.call(move |ctx| ctx.store.overwrite(RecordId::new('o', id), OrderRow { ticket, price }, None)).await;
    }

    async fn insert_unique(&self, Order { id, ticket, price }: Order) -> Result<(), Refused> {
        let inserted = self.0.call(move |ctx| {
            let row = OrderRow { ticket, price };
            ctx.store.insert_unless(RecordId::new('o', id), row, |other| other.ticket == ticket).is_ok()
        });
        if inserted.await { Ok(()) } else { Err(Refused::Reserved) }
    }
}

impl Publisher for Simulated {
    async fn order_created(&self, Order { id, ticket, price }: Order) {
        let id = RecordId::new('o', id);
        let event = Snapshot { id, version: Version(0), value: OrderRow { ticket, price } };
        self.0.call(move |ctx| ctx.publish(event)).await;
    }
}

/// The service, whose two ways to take an order are tried.
fn orders(unique: bool) -> Closures<Reservations> {
    let orders = service::<Reservations>("orders").keeps::<TicketRow>(VersionPolicy::EVERY_SAVE);
    orders.owns::<OrderRow>(VersionPolicy::EVERY_SAVE).on_command_async(move |command, port| async move {
        let Create { order, ticket } = command;
        let service = OrdersService { repository: Simulated(port.clone()), publisher: Simulated(port) };
        let created = match unique {
            true => service.create_unique(order, ticket).await,
            false => service.create(order, ticket).await,
        };
        created.map_err(|refused| Rejection::new(409, format!("{refused:?}")))
    })
}

/// Tells people that they have a ticket.
fn mail() -> Closures<Reservations> {
    service::<Reservations>("mail").on_event(const { &[Snapshot::<OrderRow>::SUBJECT] }, |event, ctx| {
        ctx.outside(Outside::of("mail", event.id));
        Outcome::Ack
    })
}

/// Two people order the same ticket from a service that handles requests side by side.
pub fn simulation(unique: bool) -> Simulation<Reservations> {
    let side_by_side = Hosting { overlapping: true, ..Hosting::ALONE };
    let on = Simulation::on(Profile::named("jetstream").expect("it ships"))
        .hosted(orders(unique), side_by_side)
        .service(mail());
    let on = on.seeded("orders", |store| _ = store.overwrite(RecordId::new('t', 1), TicketRow { price: 5 }, None));
    let order = |order| vec![Create { order, ticket: 1 }];
    on.client("ann", order(1)).client("bob", order(2)).build().expect("the parts fit")
}

/// A ticket is sold once.
pub fn sold_once() -> Judges<Reservations> {
    Judges::new(vec![at_quiescence("SoldOnce", |moment: &Moment<'_, Reservations>| {
        let orders = moment.store_of("orders").all::<OrderRow>().filter(|(_, row)| row.ticket == 1);
        match orders.count() {
            0 | 1 => Ok(()),
            orders => Err(Violation::at("orders").of(RecordId::new('t', 1)).because(format!("it has {orders} orders"))),
        }
    })])
}
