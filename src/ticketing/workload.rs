//! Generated commands: sellers who put tickets up and change prices, buyers who order and cancel.

use std::sync::Arc;

use serde::Deserialize;

use super::messages::{Request, What};
use crate::ids::RecordId;
use crate::prng::{Prng, Stream};
use crate::scenario;
use crate::simulation::Client;

/// The most records a generated workload may have of one kind.
const RECORDS_MAX: u64 = 1_000_000;

/// What a generated workload consists of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// How many tickets; each has a seller of its own.
    pub tickets: u32,
    /// The price each ticket is created at, and then those it is changed to.
    pub prices: Vec<u32>,
    /// How many more changes of price each seller makes.
    #[serde(default)]
    pub edits: u32,
    /// How many buyers.
    #[serde(default)]
    pub buyers: u32,
    /// How many tickets each buyer orders.
    #[serde(default)]
    pub orders: u32,
    /// How many of a buyer's orders, on average of four, are cancelled.
    #[serde(default)]
    pub cancels: u32,
    /// How many of a buyer's orders, on average of four, are paid.
    #[serde(default)]
    pub pays: u32,
}

impl scenario::Workload<Request> for Workload {
    fn clients(&self, seed: u64) -> Vec<Client<Request>> {
        let mut prng = Prng::new(seed, Stream::Workload);
        let sellers = (1..=self.tickets).map(|number| self.seller(number, &mut prng)).collect::<Vec<_>>();
        let buyers = (1..=self.buyers).map(|number| self.buyer(number, &mut prng));
        sellers.into_iter().chain(buyers.collect::<Vec<_>>()).collect()
    }

    fn names(&self, name: &str) -> bool {
        let of = |kind: &str, most: u32| {
            let number = name.strip_prefix(kind).and_then(|digits| digits.parse::<u32>().ok());
            number.is_some_and(|number| (1..=most).contains(&number) && name == format!("{kind}{number}"))
        };
        of("seller-", self.tickets) || of("buyer-", self.buyers)
    }

    fn verbs(&self) -> Vec<String> {
        let buys = self.buyers > 0 && self.orders > 0;
        let verbs = [
            ("create", self.tickets > 0),
            ("edit", self.tickets > 0 && (self.prices.len() > 1 || self.edits > 0)),
            ("order", buys),
            ("cancel", buys && self.cancels > 0),
            ("pay", buys && self.pays > 0),
        ];
        verbs.into_iter().filter(|(_, asked)| *asked).map(|(verb, _)| verb.to_owned()).collect()
    }

    fn varies(&self) -> bool {
        self.edits > 0 || self.buyers > 0
    }

    fn creates(&self) -> Vec<RecordId> {
        let orders = 1..=self.buyers * self.orders;
        let tickets = (1..=self.tickets).map(|number| RecordId::new('t', number));
        let paid = orders.clone().filter(|_| self.pays > 0).map(|number| RecordId::new('p', number));
        tickets.chain(orders.map(|number| RecordId::new('o', number))).chain(paid).collect()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let Workload { tickets, prices, edits, buyers, orders, cancels, pays } = self;
        let refuse = |key, message: &str| Err((key, message.to_owned()));
        if prices.is_empty() {
            return refuse("prices", "a workload needs at least one price, for example `prices = [5, 10, 15]`");
        }
        if *cancels > 4 {
            return refuse("cancels", "at most 4 of 4 orders can be cancelled: `cancels` is from 0 to 4");
        }
        if *pays > 4 {
            return refuse("pays", "at most 4 of 4 orders can be paid: `pays` is from 0 to 4");
        }
        if *tickets == 0 {
            return refuse("tickets", "a workload has at least 1 ticket");
        }
        // Each by itself as well: a product with 0 says nothing of the other factor.
        for (key, factor) in [("tickets", tickets), ("buyers", buyers), ("orders", orders)] {
            if u64::from(*factor) > RECORDS_MAX {
                return refuse(key, &format!("a workload has at most {RECORDS_MAX} {key}"));
            }
        }
        if u64::from(*buyers) * u64::from(*orders) > RECORDS_MAX {
            let message = format!("a workload has at most {RECORDS_MAX} orders: {buyers} buyers make more");
            return refuse("orders", &message);
        }
        let of_one = prices.len() as u64 + u64::from(*edits);
        if u64::from(*tickets) * of_one > 4 * RECORDS_MAX {
            let key = if *edits > 0 { "edits" } else { "tickets" };
            return refuse(key, &format!("a workload has at most {} commands of sellers", 4 * RECORDS_MAX));
        }
        Ok(())
    }
}

impl Workload {
    fn seller(&self, number: u32, prng: &mut Prng) -> Client<Request> {
        let ticket = RecordId::new('t', number);
        let name = format!("seller-{number}");
        let create = What::CreateTicket { ticket, title: "ticket".into(), price: self.prices[0] };
        let edit = |price| What::EditTicket { ticket, title: None, price };
        let changes = self.prices[1..].iter().map(|price| edit(*price)).collect::<Vec<_>>();
        let more = (0..self.edits).map(|_| edit(1 + prng.below(100))).collect::<Vec<_>>();
        client(name, std::iter::once(create).chain(changes).chain(more))
    }

    fn buyer(&self, number: u32, prng: &mut Prng) -> Client<Request> {
        let mut wishes = Vec::new();
        for nth in 0..self.orders {
            let order = RecordId::new('o', (number - 1) * self.orders + nth + 1);
            let ticket = RecordId::new('t', 1 + prng.below(self.tickets.max(1)));
            wishes.push(What::CreateOrder { order, ticket });
            // Nothing is drawn for payments where there are none, so older scenarios stay what they are.
            if self.pays > 0 && prng.below(4) < self.pays {
                wishes.push(What::Pay { payment: RecordId::new('p', order.number()), order, token: "token".into() });
            }
            if prng.below(4) < self.cancels {
                wishes.push(What::CancelOrder { order });
            }
        }
        client(format!("buyer-{number}"), wishes)
    }
}

fn client(name: String, wishes: impl IntoIterator<Item = What>) -> Client<Request> {
    let user: Arc<str> = name.as_str().into();
    let commands = wishes.into_iter().map(|what| Request { user: Some(Arc::clone(&user)), what }.into());
    Client { commands: commands.collect(), name }
}
