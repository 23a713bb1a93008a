//! The rules a ticketing service can follow, known-good and known-bad ones side by side.

use crate::ids::Version;
use crate::service::PublishMode;
use crate::store::VersionPolicy;

/// How the replica of a versioned record takes an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyRule {
    /// Finds the record by id and saves what the event says. Sees no gap and no stale event.
    Blind,
    /// Finds the record by id and the version before the event's; anything else is an error, also
    /// an event that was applied already.
    Strict,
    /// The version before: apply. The same or an older one: ack. A gap or no record: not yet.
    ThreeWay,
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

/// How the tickets service locks a ticket that is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockStrategy {
    /// It does not listen to orders.
    None,
    /// A flag: reserved or not.
    Boolean,
    /// The order's id, set by every `order:created` and cleared by every `order:cancelled`.
    OrderId,
    /// The order's id, and a ledger of the last version seen of each order: a lock is taken only
    /// when free, released only by its order, and an order known to be cancelled takes none.
    OrderIdWithLedger,
}

/// The rules of the tickets service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketsRules {
    /// How it locks.
    pub lock: LockStrategy,
    /// Whether it publishes `ticket:updated` when it takes or releases a lock.
    pub publish_locks: bool,
    /// Whether it refuses edits of a reserved ticket.
    pub reject_reserved_edits: bool,
    /// How its versions grow.
    pub versions: VersionPolicy,
    /// How saves and publishes hang together.
    pub publish: PublishMode,
}

/// The rules of the orders service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrdersRules {
    /// How it takes `ticket:created`.
    pub create: CreateRule,
    /// How it takes `ticket:updated`.
    pub apply: ApplyRule,
    /// Whether the store itself keeps a ticket from having two live orders; otherwise the service
    /// looks first and inserts then.
    pub unique_live_order: bool,
    /// Whether cancelling depends on the status: a cancelled order stays as it is, a complete one
    /// is refused.
    pub guarded_cancel: bool,
    /// How saves and publishes hang together.
    pub publish: PublishMode,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_next_stale_a_gap_or_unknown() {
        let check = |held: Option<u64>, event: u64, expected: Fit| {
            assert_eq!(fit(held.map(Version), Version(event)), expected, "held {held:?}, event {event}");
        };
        check(None, 0, Fit::Unknown);
        check(None, 1, Fit::Unknown);
        check(Some(0), 0, Fit::Stale);
        check(Some(0), 1, Fit::Next);
        check(Some(0), 2, Fit::Gap);
        check(Some(0), 10, Fit::Gap);
        check(Some(5), 3, Fit::Stale);
    }

    #[test]
    fn in_a_chain_the_predecessor_decides() {
        let held = Some((Version(77), Some(Version(12))));
        assert_eq!(fit_in_chain(held, Version(3), Some(Version(77))), Fit::Next);
        assert_eq!(fit_in_chain(held, Version(77), Some(Version(12))), Fit::Stale);
        assert_eq!(fit_in_chain(held, Version(12), None), Fit::Stale);
        assert_eq!(fit_in_chain(held, Version(3), Some(Version(9))), Fit::Gap);
        assert_eq!(fit_in_chain(None, Version(3), None), Fit::Unknown);
    }
}
