//! W1 as every peer gets it: the messages, the replica, the broker's choices, and the checks.
//!
//! It is as cheap as it can be made: a message is three bytes, the replica two arrays, chance one
//! multiplication or two. What a peer costs beyond the hand-written loop is then the peer's own.

pub const TICKETS: usize = 8;
pub const VERSIONS: usize = 8;

/// What the owner saved: the price of each version of each ticket.
pub type History = [[u8; VERSIONS]; TICKETS];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Message {
    pub ticket: u8,
    pub version: u8,
    pub price: u8,
}

/// The owner's 8 creates and 56 updates, round robin over its tickets, and the events of them.
pub fn owner() -> (History, Vec<Message>) {
    let mut history = [[0; VERSIONS]; TICKETS];
    let mut published = Vec::with_capacity(128);
    for i in 0..(TICKETS * VERSIONS) as u8 {
        let (ticket, version, price) = (i % 8, i / 8, 10 + (u32::from(i) * 7 % 13) as u8);
        history[usize::from(ticket)][usize::from(version)] = price;
        published.push(Message { ticket, version, price });
    }
    (history, published)
}

/// The replica's copies. `next` is the version it waits for: 0 if it has no copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replica {
    pub next: [u8; TICKETS],
    pub prices: [u8; TICKETS],
}

impl Replica {
    /// Handles a delivery and says whether it acks: what it has or applies, but no gap.
    pub fn handle(&mut self, message: Message) -> bool {
        let ticket = usize::from(message.ticket);
        if message.version == self.next[ticket] {
            self.next[ticket] += 1;
            self.prices[ticket] = message.price;
        }
        message.version < self.next[ticket]
    }

    /// The step properties: this copy is a version of the owner's, it is not older than before,
    /// and an ack follows only what was applied.
    pub fn check_step(&self, before: &Replica, history: &History, message: Message, acked: bool) {
        let ticket = usize::from(message.ticket);
        let next = self.next[ticket];
        assert!(next >= before.next[ticket], "the version fell");
        assert!(self.is_prefix(ticket, history), "not in the owner's history");
        assert!(!acked || next > message.version, "acked, not applied");
    }

    pub fn is_prefix(&self, ticket: usize, history: &History) -> bool {
        match self.next[ticket] {
            0 => self.prices[ticket] == 0,
            next => history[ticket][usize::from(next) - 1] == self.prices[ticket],
        }
    }

    /// The property at quiescence: replica and owner are equal.
    pub fn equals(&self, history: &History) -> bool {
        (0..TICKETS).all(|ticket| {
            usize::from(self.next[ticket]) == VERSIONS && self.prices[ticket] == history[ticket][VERSIONS - 1]
        })
    }
}

/// A replica that checks its steps.
pub struct Checked {
    pub replica: Replica,
    pub history: History,
}

impl Checked {
    pub fn new() -> Checked {
        Checked { replica: Replica::default(), history: owner().0 }
    }

    pub fn handle(&mut self, message: Message) -> bool {
        let before = self.replica;
        let acked = self.replica.handle(message);
        self.replica.check_step(&before, &self.history, message, acked);
        acked
    }

    pub fn check_end(&self) {
        assert!(self.replica.equals(&self.history), "replica and owner differ");
    }
}

/// Chance for peers that leave it to the test: splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        (((self.word() >> 32) * bound as u64) >> 32) as usize
    }

    pub fn fate(&mut self) -> Fate {
        Fate::of(self.word())
    }
}

/// What goes wrong with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fate {
    pub duplicate: bool,
    pub lose_ack: bool,
}

impl Fate {
    /// From a random word: each with 1/10.
    pub fn of(word: u64) -> Fate {
        Fate { duplicate: ((word & 0xffff_ffff) * 10) >> 32 == 0, lose_ack: ((word >> 32) * 10) >> 32 == 0 }
    }
}

/// Takes a delivery out of the pending ones, or leaves it, or adds a copy.
pub fn settle(pending: &mut Vec<Message>, place: usize, fate: Fate, acked: bool) {
    if fate.duplicate {
        pending.push(pending[place]);
    }
    if acked && !fate.lose_ack {
        pending.swap_remove(place);
    }
}

/// The broker's side of a run for peers in which it is a host that asks the replica's host.
pub struct Broker {
    dice: Dice,
    pending: Vec<Message>,
    place: usize,
    pub deliveries: u64,
}

impl Broker {
    pub fn new(seed: u64) -> Broker {
        Broker { dice: Dice::new(seed), pending: owner().1, place: 0, deliveries: 0 }
    }

    /// The next delivery, uniform among the pending; `None` at quiescence.
    pub fn next(&mut self) -> Option<Message> {
        if self.pending.is_empty() {
            return None;
        }
        self.deliveries += 1;
        self.place = self.dice.below(self.pending.len());
        Some(self.pending[self.place])
    }

    /// What the replica answered to it.
    pub fn answered(&mut self, acked: bool) {
        settle(&mut self.pending, self.place, self.dice.fate(), acked);
    }
}

/// A message as bytes on a simulated network.
pub fn encode(message: Message) -> [u8; 3] {
    [message.ticket, message.version, message.price]
}

pub fn decode([ticket, version, price]: [u8; 3]) -> Message {
    Message { ticket, version, price }
}
