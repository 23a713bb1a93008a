//! The keys by which schedulers know what happens in the course of a handling.

use crate::hash;

/// The key of the late ack of a delivery.
pub(crate) fn ack_key(delivery: u64) -> u64 {
    hash::mix(delivery, 4)
}

/// The key of the pause of what is handled.
pub(crate) fn pause_key(handled: u64) -> u64 {
    hash::mix(handled, 5)
}

/// The key of the moment at which a handler goes on that has paused.
pub(crate) fn resume_key(handled: u64) -> u64 {
    hash::mix(handled, 3)
}

/// By which key departures name a handler that goes on, and is offered with a key: by that of what it handles if it has
/// paused, by its own if it was interrupted at an await.
pub(crate) fn going_on_key(offered: u64, handled: u64) -> u64 {
    if offered == resume_key(handled) { handled } else { offered }
}

/// The key of the moment at which a handler begins to work on what it handles.
pub(crate) fn start_key(handled: u64) -> u64 {
    hash::mix(handled, 8)
}

/// The key of the publishing of what a handler was slow to publish.
pub(crate) fn publish_key(handled: u64) -> u64 {
    hash::mix(handled, 7)
}

/// The key of the end of the ack wait of a delivery.
pub(crate) fn ack_wait_key(delivery: u64) -> u64 {
    hash::mix(delivery, 6)
}

/// The key of a command by the parts of its name.
pub(crate) fn command_key(client_hash: u64, label_hash: u64, nth: u32) -> u64 {
    hash::mix3(client_hash, label_hash, nth.into())
}
