//! The orders service as it runs in production: `async fn`s over repositories and a publisher.

/// A copy of what the tickets service owns.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub price: u32,
}

/// What somebody has ordered.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: u32,
    pub ticket: u32,
    pub price: u32,
}

/// Why an order was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NoSuchTicket,
    Reserved,
}

pub trait Tickets {
    async fn find(&self, ticket: u32) -> Option<Ticket>;
}

pub trait Orders {
    async fn of_ticket(&self, ticket: u32) -> Vec<Order>;
    async fn insert(&self, order: Order);
    /// Inserts an order unless there is one of the same ticket: a unique constraint.
    async fn insert_unique(&self, order: Order) -> Result<(), Refused>;
}

pub trait Publisher {
    async fn order_created(&self, order: Order);
}

/// The service, whatever its database and its broker are.
pub struct OrdersService<R, P> {
    pub repository: R,
    pub publisher: P,
}

impl<R: Tickets + Orders, P: Publisher> OrdersService<R, P> {
    /// Takes an order if nobody has one of this ticket.
    pub async fn create(&self, id: u32, ticket: u32) -> Result<(), Refused> {
        let Some(Ticket { price }) = self.repository.find(ticket).await else { return Err(Refused::NoSuchTicket) };
        if !self.repository.of_ticket(ticket).await.is_empty() {
            return Err(Refused::Reserved);
        }
        let order = Order { id, ticket, price };
        self.repository.insert(order.clone()).await;
        self.publisher.order_created(order).await;
        Ok(())
    }

    /// The same, and it is the database that says whether somebody has.
    pub async fn create_unique(&self, id: u32, ticket: u32) -> Result<(), Refused> {
        let Some(Ticket { price }) = self.repository.find(ticket).await else { return Err(Refused::NoSuchTicket) };
        let order = Order { id, ticket, price };
        self.repository.insert_unique(order.clone()).await?;
        self.publisher.order_created(order).await;
        Ok(())
    }
}
