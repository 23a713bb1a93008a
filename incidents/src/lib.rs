//! Public incidents as small systems, in which pellmell finds what went wrong.
//!
//! Each has a file of its name beside this one, with the services and the switch that mends them, and a page that
//! tells it, with its source. [`ALL`] are all of them.

mod parts;
mod played;
mod reported;

use pellmell::{FaultPlan, Judges, Property, Simulation};

pub use parts::{Fact, Facts, Request};
pub use played::{Found, table};
pub use reported::report;

/// Declares the modules of the incidents, and lists them in the order of their names.
macro_rules! incidents {
    ($($name:ident)+) => {
        $(mod $name;)+

        /// All incidents, by name.
        pub const ALL: &[Incident] = &[$($name::INCIDENT),+];
    };
}

incidents! {
    alarm_again
    attempts_used_up
    bad_messages_fill_the_window
    batch_goes_on
    cache_keeps_old_value
    claimed_at_work
    commit_covers_earlier
    committed_before_the_work
    conference_published_first
    deleted_comes_back
    email_sent_again
    event_of_nothing
    event_skipped
    expired_in_the_buffer
    given_up_unhandled
    nak_to_the_back
    old_price_comes_back
    one_build_blocks_all
    paid_after_cancel
    parked_in_memory
    partition_comes_back
    projected_twice
    publish_lost
    published_again
    reading_forgotten
    relay_overtakes
    reservation_beside_its_ticket
    row_read_before_commit
    run_tracked_twice
    saga_replaced
    save_without_a_change
    server_never_started
    session_runs_twice
    shutdown_loses_order
    stale_worker_writes
    status_before_the_group
    subscription_stays_incomplete
    ticket_sold_twice
    webhook_with_a_new_id
    zombie_publishes_last
}

/// A public incident: what was told of it, as services that can be played.
#[derive(Clone, Copy)]
pub struct Incident {
    /// Its name, which its page and its file have too.
    pub name: &'static str,
    /// Where it is told.
    pub source: &'static str,
    /// What went wrong, as half a sentence.
    pub about: &'static str,
    /// What the fix does, as half a sentence.
    pub fix: &'static str,
    /// The departures from the calm run that show it; none: the calm run does.
    pub departures: &'static [&'static str],
    /// What a search for it draws, and departs with once.
    pub faults: FaultPlan,
    /// Its services, its broker and its clients; without the fix or with it.
    pub system: fn(fixed: bool) -> Simulation<Facts>,
    /// What was expected.
    pub properties: fn() -> Vec<Box<dyn Property<Facts>>>,
}

impl Incident {
    /// The incident of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Incident> {
        ALL.iter().copied().find(|incident| incident.name == name)
    }

    /// What judges its runs.
    #[must_use]
    pub fn judges(&self) -> Judges<Facts> {
        Judges::new((self.properties)())
    }
}
