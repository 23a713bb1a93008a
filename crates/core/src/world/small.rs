//! What of a world is small, and so is copied as a whole where a search marks a moment and goes back to it.

use super::Paused;
use super::clients::Tried;
use super::working::TooSlow;
use crate::broker::{DeliveryIndex, GroupIndex, copy_few};
use crate::ids::Time;
use crate::scheduler::{ClientIndex, PauseIndex, PublishIndex};
use crate::service::{AskedAt, Memories, Told};
use crate::store::heap_bytes_of;

/// Clients, what is under way, and the numbers of a run.
#[derive(Debug, Default)]
pub(super) struct Small {
    /// For each client, how many of its commands were sent.
    pub(super) sent: Vec<u32>,
    /// The clients whose next command can be sent.
    pub(super) idle: Vec<ClientIndex>,
    /// The others that have one and nothing under way.
    pub(super) waiting: Vec<ClientIndex>,
    /// For each client, what it has tried of its next command; nothing if none tries anything again.
    pub(super) tried: Vec<Tried>,
    pub(super) paused: Vec<Paused>,
    pub(super) paused_indices: Vec<PauseIndex>,
    /// Of paused handlers that may ask other services, how far the stores of those were.
    pub(super) asked_at: Vec<AskedAt>,
    /// What interrupted handlers were told that are `async fn`s, by their pause.
    pub(super) told: Vec<(u32, Told)>,
    pub(super) pauses: u32,
    pub(super) acks: Vec<DeliveryIndex>,
    /// What may be published of what is to be published late.
    pub(super) publishes: Vec<PublishIndex>,
    /// How much was to be published late so far.
    pub(super) late: u32,
    pub(super) absent: Vec<GroupIndex>,
    /// What members keep in memory.
    pub(super) memories: Memories,
    pub(super) now: Time,
    pub(super) steps: u64,
    pub(super) commands_run: u32,
    pub(super) fingerprint: u64,
    /// What takes as long as its ack wait each time.
    pub(super) too_slow: Option<TooSlow>,
}

impl Clone for Small {
    fn clone(&self) -> Small {
        let mut copy = Small::default();
        copy.clone_from(self);
        copy
    }

    /// Takes no new memory where what it has is enough.
    fn clone_from(&mut self, source: &Small) {
        let Small { sent, idle, waiting, tried, paused, paused_indices, pauses, acks, absent, memories, .. } = source;
        let Small { now, steps, commands_run, fingerprint, late, .. } = *source;
        self.sent.clone_from(sent);
        copy_few(&mut self.idle, idle);
        copy_few(&mut self.waiting, waiting);
        copy_few(&mut self.tried, tried);
        copy_few(&mut self.paused, paused);
        copy_few(&mut self.paused_indices, paused_indices);
        copy_few(&mut self.asked_at, &source.asked_at);
        if !(self.told.is_empty() && source.told.is_empty()) {
            self.told.clone_from(&source.told);
        }
        copy_few(&mut self.acks, acks);
        copy_few(&mut self.absent, absent);
        copy_few(&mut self.publishes, &source.publishes);
        (self.late, self.too_slow) = (late, source.too_slow);
        self.memories.clone_from(memories);
        (self.pauses, self.now, self.steps) = (*pauses, now, steps);
        (self.commands_run, self.fingerprint) = (commands_run, fingerprint);
    }
}

impl Small {
    /// What it is before the first step, but for clients and groups that are still to be offered.
    pub(super) fn clear(&mut self) {
        self.sent.fill(0);
        self.idle.clear();
        self.waiting.clear();
        self.tried.fill(Tried::default());
        self.paused.clear();
        self.paused_indices.clear();
        self.asked_at.clear();
        self.told.clear();
        self.acks.clear();
        self.absent.clear();
        self.publishes.clear();
        (self.late, self.too_slow) = (0, None);
        self.memories.clear();
        (self.pauses, self.now, self.steps) = (0, Time(0), 0);
        (self.commands_run, self.fingerprint) = (0, 0);
    }

    /// What it has taken of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        let Small { sent, idle, waiting, tried, paused, paused_indices, acks, absent, memories, .. } = self;
        let clients = heap_bytes_of(sent) + heap_bytes_of(idle) + heap_bytes_of(waiting) + heap_bytes_of(tried);
        let under_way = heap_bytes_of(paused) + heap_bytes_of(paused_indices) + heap_bytes_of(acks);
        let under_way =
            under_way + heap_bytes_of(&self.publishes) + heap_bytes_of(&self.asked_at) + heap_bytes_of(&self.told);
        clients + under_way + heap_bytes_of(absent) + memories.heap_bytes()
    }
}
