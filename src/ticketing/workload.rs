//! Generated commands: sellers who put tickets up and change prices, buyers who order and cancel.

use std::sync::Arc;

use super::messages::{Request, What};
use crate::ids::RecordId;
use crate::prng::{Prng, Stream};
use crate::simulation::Client;

/// What a generated workload consists of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Workload {
    /// How many tickets; each has a seller of its own.
    pub tickets: u32,
    /// The price each ticket is created at, and then those it is changed to.
    pub prices: Vec<u32>,
    /// How many more changes of price each seller makes.
    pub edits: u32,
    /// How many buyers.
    pub buyers: u32,
    /// How many tickets each buyer orders.
    pub orders: u32,
    /// How many of a buyer's orders, on average of four, are cancelled.
    pub cancels: u32,
    /// How many of a buyer's orders, on average of four, are paid.
    pub pays: u32,
}

impl Workload {
    /// The clients of this workload for `seed`.
    #[must_use]
    pub fn clients(&self, seed: u64) -> Vec<Client<Request>> {
        let mut prng = Prng::new(seed, Stream::Workload);
        let sellers = (1..=self.tickets).map(|number| self.seller(number, &mut prng)).collect::<Vec<_>>();
        let buyers = (1..=self.buyers).map(|number| self.buyer(number, &mut prng));
        sellers.into_iter().chain(buyers.collect::<Vec<_>>()).collect()
    }

    /// Whether one of the clients has this name, under whatever seed.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        let of = |kind: &str, most: u32| {
            let number = name.strip_prefix(kind).and_then(|digits| digits.parse::<u32>().ok());
            number.is_some_and(|number| (1..=most).contains(&number) && name == format!("{kind}{number}"))
        };
        of("seller-", self.tickets) || of("buyer-", self.buyers)
    }

    /// What the clients ask for under some seed or other, as [`What::verb`] says it.
    #[must_use]
    pub fn verbs(&self) -> Vec<&'static str> {
        let buys = self.buyers > 0 && self.orders > 0;
        let verbs = [
            ("create", self.tickets > 0),
            ("edit", self.tickets > 0 && (self.prices.len() > 1 || self.edits > 0)),
            ("order", buys),
            ("cancel", buys && self.cancels > 0),
            ("pay", buys && self.pays > 0),
        ];
        verbs.into_iter().filter_map(|(verb, asked)| asked.then_some(verb)).collect()
    }

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
