//! The rules a ticketing service can follow, known-good and known-bad ones side by side.
//!
//! A rule is one decision a developer makes. The designs put them together; a defect changes one.

use crate::ids::{Subject, Version};
use crate::service::{PublishMode, Work};
use crate::store::VersionPolicy;

/// How a service keeps replicas of records that another service owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaRules {
    /// How it takes the event that creates the record.
    pub create: CreateRule,
    /// How it takes the events after it.
    pub apply: ApplyRule,
    /// How it takes one of those when it has no record yet.
    pub unknown: UnknownRule,
    /// How the replica's own versions grow.
    pub versions: VersionPolicy,
    /// Whether it gives replicas the ids of their owner; otherwise it makes up its own.
    pub owner_ids: bool,
}

/// How the replica of a versioned record takes an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyRule {
    /// Finds the record by id and saves what the event says. Sees no gap and no stale event.
    Blind,
    /// Like blind, and takes over the event's version as well.
    BlindSetVersion,
    /// Finds the record by id and the version before the event's; anything else is an error, also
    /// an event that was applied already.
    Strict,
    /// Like three-way, but looks for the event's version instead of the one before.
    OffByOne,
    /// The version before: apply. The same or an older one: ack. A gap: not yet.
    ThreeWay,
    /// Like three-way, but a gap is acked and not applied.
    AckGaps,
    /// Any newer version replaces what is held, gap or not; older ones are acked.
    LastWriter,
    /// Like three-way, but what follows what is told by the predecessor the event names.
    Chain,
}

/// How the replica of a record takes its first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateRule {
    /// Inserts; a taken key is an error, also when the same event comes again.
    Insert,
    /// Inserts, or acks if the record is there.
    InsertOrAck,
    /// Writes the record whether or not it is there, as version 0.
    Overwrite,
}

/// How a replica takes an update of a record it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownRule {
    /// Not yet: the creation is on its way.
    Refuse,
    /// Acks and forgets it.
    Ack,
    /// Creates the record from it, if the event says enough for that.
    Insert,
}

/// What an event is to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The next version.
    Next,
    /// The version held, or an older one.
    Stale,
    /// A version in between is missing.
    Gap,
    /// There is no record yet.
    Unknown,
}

/// Compares an event's version with the one held: the version query all replicas share.
#[must_use]
pub fn fit(held: Option<Version>, event: Version) -> Fit {
    match held {
        None => Fit::Unknown,
        Some(held) if event <= held => Fit::Stale,
        Some(held) if event.0 == held.0 + 1 => Fit::Next,
        Some(_) => Fit::Gap,
    }
}

/// Like [`fit`] where versions have no order: by the predecessor the event names.
#[must_use]
pub fn fit_in_chain(held: Option<(Version, Option<Version>)>, event: Version, previous: Option<Version>) -> Fit {
    match held {
        None => Fit::Unknown,
        Some((held, _)) if previous == Some(held) => Fit::Next,
        Some((held, before)) if event == held || before == Some(event) => Fit::Stale,
        Some(_) => Fit::Gap,
    }
}

/// How the tickets service locks tickets that are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRules {
    /// What a lock says.
    pub kind: LockKind,
    /// What is remembered of an order besides the lock.
    pub memory: OrderMemory,
    /// What an order does that finds the ticket locked.
    pub take: TakeRule,
    /// Which lock the cancel of an order releases.
    pub release: ReleaseRule,
    /// Where the lock is kept.
    pub place: LockPlace,
    /// Whether taking a lock publishes `ticket:updated`.
    pub publish_taken: bool,
    /// Whether releasing a lock publishes `ticket:updated`.
    pub publish_released: bool,
    /// Whether a save that finds another version than it read is acked as if it had worked.
    pub swallow_conflicts: bool,
}

/// What a lock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Reserved or not.
    Flag,
    /// Reserved by which order.
    OrderId,
}

/// What the tickets service remembers of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderMemory {
    /// Nothing but the lock.
    Nothing,
    /// That it was cancelled.
    Tombstones,
    /// The last version seen of it. A cancel is taken whatever was seen before.
    Ledger,
    /// Like the ledger, and a cancel waits until the version before it was seen.
    StrictLedger,
}

/// What an order does that finds the ticket locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeRule {
    /// It takes the lock, whoever has it.
    Overwrite,
    /// It comes again later: the other order's cancel is on its way.
    WhenFree,
    /// Likewise, and an order that has the lock already takes it once more.
    FreeOrOwn,
}

/// Which lock the cancel of an order releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseRule {
    /// Whatever lock there is.
    Any,
    /// Its own; if there is another one or none, there is nothing to do.
    Own,
    /// Its own; if there is another one or none, that is an error.
    OwnOrThrow,
}

/// Where a lock is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockPlace {
    /// In the ticket: a lock is a new version of it.
    InTicket,
    /// Beside the ticket: its version does not change, and nobody has to be told.
    Beside,
}

impl LockRules {
    /// An order's id, set by every `order:created` and cleared by every `order:cancelled`.
    pub const ORDER_ID: LockRules = LockRules {
        kind: LockKind::OrderId,
        memory: OrderMemory::Nothing,
        take: TakeRule::Overwrite,
        release: ReleaseRule::Any,
        place: LockPlace::InTicket,
        publish_taken: true,
        publish_released: true,
        swallow_conflicts: false,
    };

    /// A flag, set and cleared likewise.
    pub const BOOLEAN: LockRules = LockRules { kind: LockKind::Flag, ..LockRules::ORDER_ID };

    /// An order's id, and a ledger of the last version seen of each order: a lock is taken only
    /// when free, released only by its order, and an order known to be cancelled takes none.
    pub const ORDER_ID_WITH_LEDGER: LockRules = LockRules {
        memory: OrderMemory::Ledger,
        take: TakeRule::WhenFree,
        release: ReleaseRule::Own,
        ..LockRules::ORDER_ID
    };
}

/// The rules of the tickets service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketsRules {
    /// The subjects it listens to.
    pub listens: &'static [Subject],
    /// How it locks.
    pub lock: LockRules,
    /// Whether it refuses edits of a reserved ticket.
    pub reject_reserved_edits: bool,
    /// Whether an edit is saved only if nobody saved since it read.
    pub optimistic_edits: bool,
    /// How its versions grow.
    pub versions: VersionPolicy,
    /// How saves and publishes hang together.
    pub publish: PublishRules,
}

/// The rules of the orders service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrdersRules {
    /// How it keeps its replicas of tickets.
    pub tickets: ReplicaRules,
    /// Whether the store itself keeps a ticket from having two live orders; otherwise the service
    /// looks first and inserts then.
    pub unique_live_order: bool,
    /// Whether making an order raises the version of the ticket's replica.
    pub raises_replica: bool,
    /// Which orders a buyer can cancel.
    pub cancel: CloseRule,
    /// Which orders expire.
    pub expire: CloseRule,
    /// What a payment does.
    pub paid: PaidRules,
    /// Whether an order waits until tickets has reserved its ticket at the price it was made for,
    /// and is cancelled if the price is another one.
    pub saga: bool,
    /// Whether it acks a delivery before it saves what came of it.
    pub acks_early: bool,
    /// How saves and publishes hang together.
    pub publish: PublishRules,
}

/// Which orders can still be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseRule {
    /// Those that are cancelled already, with a new version and a new event.
    pub cancelled: bool,
    /// Those that are complete.
    pub complete: bool,
}

impl CloseRule {
    /// Only orders that are neither cancelled nor complete.
    pub const OPEN: CloseRule = CloseRule { cancelled: false, complete: false };
    /// Any order.
    pub const ANY: CloseRule = CloseRule { cancelled: true, complete: true };
}

/// What a payment does to its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidRules {
    /// Whether a cancelled order becomes complete.
    pub revives: bool,
    /// Whether a complete order is completed again, with a new version.
    pub again: bool,
    /// Whether completing an order publishes `order:completed`.
    pub publishes: bool,
    /// Whether the payment of a cancelled order is sent back.
    pub refunds: bool,
}

/// The rules of the payments service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentsRules {
    /// How it keeps its replicas of orders.
    pub orders: ReplicaRules,
    /// Whether an order has at most one payment, by a unique key of the store.
    pub unique_payment: bool,
    /// Whether only an order whose ticket is reserved can be paid.
    pub only_reserved: bool,
    /// The group it listens in; its own if there is none.
    pub group: Option<&'static str>,
    /// How saves and publishes hang together.
    pub publish: PublishRules,
}

/// The rules of the expiration service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpirationRules {
    /// Whether an order has one job, however often it is heard of.
    pub one_job: bool,
    /// Whether jobs are kept in memory and lost when the process restarts.
    pub in_memory: bool,
    /// How saves and publishes hang together.
    pub publish: PublishRules,
}

/// How saves and publishes hang together, for the two kinds of work a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishRules {
    /// Where a client's command leads to events.
    pub commands: PublishMode,
    /// Where an event or a timer leads to events.
    pub listeners: PublishMode,
}

impl PublishRules {
    /// Always through an outbox.
    pub const OUTBOX: PublishRules = PublishRules { commands: PublishMode::Outbox, listeners: PublishMode::Outbox };
    /// Always one after the other.
    pub const DUAL_WRITE: PublishRules =
        PublishRules { commands: PublishMode::DualWrite, listeners: PublishMode::DualWrite };

    /// The mode for a kind of work.
    #[must_use]
    pub const fn of(&self, work: Work) -> PublishMode {
        match work {
            Work::Command => self.commands,
            Work::Delivery | Work::Timer => self.listeners,
        }
    }
}
