//! What may happen to the members of a group and to their broker, and which of it a broker knows.

/// What happens to the members of a group, to what one of them has, or to their broker, right after a member was
/// handed a delivery and has answered or paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MemberChange {
    /// The owners of the group's partitions change.
    Rebalance = 1,
    /// The member's connection breaks, and it is back at once: its handler goes on.
    Reconnect = 2,
    /// The member is stopped in order, and is back.
    Close = 3,
    /// The member asks for no more, keeps what it has, and asks again.
    Cancel = 4,
    /// Another member takes over the message.
    Claim = 5,
    /// What the member was handed is committed before it is handled.
    CommitAhead = 6,
    /// The broker restarts: the connections of all members of all groups break, and they are back at once.
    Restart = 7,
    /// The broker fails over to a copy that has not got the ack of the delivery: the connections of its group break,
    /// and what it had acked comes again. Where positions are committed, that is all from the delivery on.
    ForgetAck = 8,
    /// The broker has lost the positions of the group, which goes back to the first message of the partition.
    Rewind = 9,
    /// The broker fails over to a copy that has not got the last message: no group gets it that has not been sent
    /// it.
    Truncate = 10,
    /// The broker fails over to a copy that does not know how often the group was sent its messages: the connections
    /// of the group break, and all its messages count from zero.
    ForgetCounts = 11,
    /// The broker is told to put the dead letters of the group back: each is a new message there, behind all others,
    /// and counts from zero.
    Redrive = 12,
    /// The partition of the delivery is compacted: of several messages with one key only the latest is left, and no
    /// group gets the others that has not been sent them, or gets them again.
    Compact = 13,
    /// The broker deletes what it has kept for long enough from the partition of the delivery, up to the first message
    /// that some group is still to be sent.
    Expire = 14,
}

impl MemberChange {
    /// What happens to members, or to what they have.
    pub const OF_MEMBERS: [MemberChange; 6] = [
        MemberChange::Rebalance,
        MemberChange::Reconnect,
        MemberChange::Close,
        MemberChange::Cancel,
        MemberChange::Claim,
        MemberChange::CommitAhead,
    ];

    /// What happens to the broker, and loses no message.
    pub const OF_BROKERS: [MemberChange; 3] = [MemberChange::Restart, MemberChange::ForgetAck, MemberChange::Rewind];

    /// What the log is without then.
    pub const OF_LOGS: [MemberChange; 3] = [MemberChange::Truncate, MemberChange::Compact, MemberChange::Expire];

    /// All of them.
    pub fn all() -> impl Iterator<Item = MemberChange> {
        let others = [MemberChange::ForgetCounts, MemberChange::Redrive];
        let of_brokers = MemberChange::OF_BROKERS.into_iter().chain(MemberChange::OF_LOGS);
        MemberChange::OF_MEMBERS.into_iter().chain(of_brokers).chain(others)
    }

    /// Whether the broker fails in it and loses no message.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            MemberChange::Restart | MemberChange::ForgetAck | MemberChange::Rewind | MemberChange::ForgetCounts
        )
    }

    /// Those of its kind, of which one stands for another where a broker has not got it.
    const fn alike(self) -> &'static [MemberChange] {
        match self {
            MemberChange::Restart | MemberChange::ForgetAck | MemberChange::Rewind => &MemberChange::OF_BROKERS,
            // Each of these is drawn by itself.
            MemberChange::Truncate
            | MemberChange::Compact
            | MemberChange::Expire
            | MemberChange::ForgetCounts
            | MemberChange::Redrive => &[],
            _ => &MemberChange::OF_MEMBERS,
        }
    }

    /// The words before a delivery in a departure.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            MemberChange::Rebalance => "rebalance after",
            MemberChange::Reconnect => "reconnect after",
            MemberChange::Close => "close after",
            MemberChange::Cancel => "cancel after",
            MemberChange::Claim => "claim",
            MemberChange::CommitAhead => "commit ahead of",
            MemberChange::Restart => "restart broker after",
            MemberChange::ForgetAck => "forget ack of",
            MemberChange::Rewind => "rewind after",
            MemberChange::Truncate => "truncate log after",
            MemberChange::ForgetCounts => "forget counts after",
            MemberChange::Redrive => "redrive dead letters after",
            MemberChange::Compact => "compact log after",
            MemberChange::Expire => "expire log after",
        }
    }

    /// The words behind a step in a trace.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MemberChange::Rebalance => "rebalance",
            MemberChange::Reconnect => "reconnect",
            MemberChange::Close => "close",
            MemberChange::Cancel => "cancel",
            MemberChange::Claim => "claimed",
            MemberChange::CommitAhead => "committed ahead",
            MemberChange::Restart => "broker restarted",
            MemberChange::ForgetAck => "ack forgotten",
            MemberChange::Rewind => "rewound",
            MemberChange::Truncate => "log truncated",
            MemberChange::ForgetCounts => "counts forgotten",
            MemberChange::Redrive => "dead letters redriven",
            MemberChange::Compact => "log compacted",
            MemberChange::Expire => "log expired",
        }
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<MemberChange> {
        MemberChange::all().find(|change| change.name() == name)
    }
}

/// Which changes a broker knows, and whether its members fetch ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MemberChanges(u16);

impl MemberChanges {
    /// None of them.
    pub const NONE: MemberChanges = MemberChanges(0);

    /// These; its members fetch ahead.
    #[must_use]
    pub fn of(changes: &[MemberChange]) -> MemberChanges {
        changes.iter().copied().fold(MemberChanges(1), MemberChanges::with)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, change: MemberChange) -> MemberChanges {
        MemberChanges(self.0 | 1 << change as u8)
    }

    /// Whether a change is among them.
    #[must_use]
    pub const fn has(self, change: MemberChange) -> bool {
        self.0 & 1 << change as u8 != 0
    }

    /// Whether members fetch ahead.
    #[must_use]
    pub const fn fetches(self) -> bool {
        self.0 & 1 != 0
    }

    /// What of them happens to members, or to what they have.
    pub fn of_members(self) -> impl Iterator<Item = MemberChange> {
        MemberChange::OF_MEMBERS.into_iter().filter(move |change| self.has(*change))
    }

    /// What of them happens to the broker, and loses no message.
    pub fn of_brokers(self) -> impl Iterator<Item = MemberChange> {
        MemberChange::all().filter(move |change| change.is_failure() && self.has(*change))
    }

    /// What of them a log is without then.
    pub fn of_logs(self) -> impl Iterator<Item = MemberChange> {
        MemberChange::OF_LOGS.into_iter().filter(move |change| self.has(*change))
    }

    /// This change if it is among them, and else one of its kind that is.
    pub(crate) fn nearest(self, change: MemberChange) -> Option<MemberChange> {
        if self.has(change) {
            return Some(change);
        }
        let alike = change.alike().iter().copied().filter(|other| self.has(*other));
        alike.clone().nth(change as usize % alike.count().max(1))
    }
}
