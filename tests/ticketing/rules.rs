//! How an event's version fits the one that is held.

use pellmell::Version;
use pellmell::ticketing::{Fit, fit, fit_in_chain};

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
