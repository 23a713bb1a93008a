//! The store by itself: conditions, versions, reads from the past, undoing a step.

use super::*;
use crate::prng::{Prng, Stream};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
struct Ticket {
    price: u32,
}

impl Record for Ticket {
    const COLLECTION: &'static str = "tickets";
    const KIND: char = 't';
}

const T1: RecordId = RecordId::new('t', 1);

fn store(policy: VersionPolicy) -> Store {
    let mut schema = Schema::default();
    schema.owns::<Ticket>(policy);
    schema.into_store(false)
}

fn save(store: &mut Store, price: u32, expected: u64) -> Result<u64, VersionConflict> {
    store.save_if_current(T1, Ticket { price }, Version(expected)).map(|version| version.0)
}

#[test]
fn of_two_saves_based_on_the_same_version_the_second_is_refused_and_changes_nothing() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    assert_eq!(save(&mut store, 10, 0), Ok(1));
    assert_eq!(save(&mut store, 15, 0), Err(VersionConflict { expected: Version(0), found: Some(Version(1)) }));
    assert_eq!(store.find::<Ticket>(T1).map(|row| row.price), Some(10));
}

#[test]
fn three_saves_without_change_count_to_two_or_stay_at_zero_by_policy() {
    for (policy, expected) in [(VersionPolicy::EVERY_SAVE, 2), (VersionPolicy::DIRTY_ONLY, 0)] {
        let mut store = store(policy);
        let mut version = store.insert(T1, Ticket { price: 5 }).expect("free key");
        for _ in 0..2 {
            version = store.save_if_current(T1, Ticket { price: 5 }, version).expect("current");
        }
        assert_eq!(version, Version(expected));
    }
}

#[test]
#[should_panic(expected = "t1 has the version 18446744073709551615, after which there is none")]
fn after_the_last_number_there_is_no_version() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.insert_as(T1, Ticket { price: 5 }, Version(u64::MAX)).expect("free key");
    let _ = save(&mut store, 10, u64::MAX);
}

#[test]
#[should_panic(expected = "after which there is none")]
fn after_the_last_number_there_is_no_version_of_a_chain_either() {
    let mut store = store(VersionPolicy { scheme: VersionScheme::Chain, bump: Bump::EverySave });
    store.insert_as(T1, Ticket { price: 5 }, Version(u64::MAX)).expect("free key");
    let _ = save(&mut store, 10, u64::MAX);
}

#[test]
fn a_scheme_decides_the_numbers() {
    let versions = |scheme| {
        let mut store = store(VersionPolicy { scheme, bump: Bump::EverySave });
        store.begin_step(Time(5_000), None);
        let first = store.insert(T1, Ticket { price: 1 }).expect("free key");
        store.begin_step(Time(7_000), None);
        let second = store.save_if_current(T1, Ticket { price: 2 }, first).expect("current");
        (first.0, second.0)
    };
    assert_eq!(versions(VersionScheme::Step { first: 100, by: 100 }), (100, 200));
    assert_eq!(versions(VersionScheme::Timestamp { unit_us: 1_000 }), (5, 7));
    assert_eq!(versions(VersionScheme::Timestamp { unit_us: 10_000 }), (0, 0));
    let (first, second) = versions(VersionScheme::Chain);
    assert_ne!(first + 1, second);
}

#[test]
fn a_chain_names_its_predecessor() {
    let mut store = store(VersionPolicy { scheme: VersionScheme::Chain, bump: Bump::EverySave });
    let first = store.insert(T1, Ticket { price: 1 }).expect("free key");
    store.save_if_current(T1, Ticket { price: 2 }, first).expect("current");
    assert_eq!(store.find::<Ticket>(T1).expect("saved").previous, Some(first));
}

#[test]
fn an_insert_over_a_taken_key_is_refused() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    assert_eq!(store.insert(T1, Ticket { price: 6 }), Err(DuplicateKey(T1)));
}

#[test]
fn a_handler_that_read_earlier_sees_the_past_and_its_save_meets_the_present() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    let read = store.tick();
    store.begin_step(Time(1), Some(read));
    save(&mut store, 10, 0).expect("current");
    store.begin_step(Time(2), Some(read));
    store.open_at(read);
    assert_eq!(store.find::<Ticket>(T1).map(|row| (row.price, row.version)), Some((5, Version(0))));
    assert_eq!(store.all::<Ticket>().map(|(_, row)| row.price).collect::<Vec<_>>(), [5]);
    assert!(save(&mut store, 15, 0).is_err());
    store.close();
    assert_eq!(store.find::<Ticket>(T1).map(|row| row.price), Some(10));
}

#[test]
fn a_rolled_back_step_leaves_no_trace() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.begin_step(Time(0), None);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    store.begin_step(Time(1), None);
    let (digest, tick) = (store.digest(), store.tick());
    save(&mut store, 10, 0).expect("current");
    save(&mut store, 15, 1).expect("current");
    assert_eq!(store.changes::<Ticket>().count(), 2);
    store.roll_back();
    assert_eq!((store.digest(), store.tick()), (digest, tick));
    assert_eq!(store.history::<Ticket>(T1).len(), 1);
    assert!(!store.changed());
}

#[test]
fn changes_of_a_step_name_what_was_before_and_after_each_save() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.begin_step(Time(0), None);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    store.begin_step(Time(1), None);
    save(&mut store, 10, 0).expect("current");
    save(&mut store, 15, 1).expect("current");
    let seen: Vec<_> = store
        .changes::<Ticket>()
        .map(|change| (change.before.map(|row| row.price), change.after.map(|row| row.price)))
        .collect();
    assert_eq!(seen, [(Some(5), Some(10)), (Some(10), Some(15))]);
}

#[test]
fn the_owner_keeps_every_version() {
    let mut store = store(VersionPolicy { scheme: VersionScheme::Step { first: 100, by: 100 }, bump: Bump::EverySave });
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    save(&mut store, 10, 100).expect("current");
    let prices: Vec<_> = store.history::<Ticket>(T1).iter().map(|row| row.price).collect();
    assert_eq!(prices, [5, 10]);
    assert_eq!(store.position::<Ticket>(T1, Version(200)), Some(1));
    assert_eq!(store.position::<Ticket>(T1, Version(1)), None);
}

#[test]
fn a_removed_record_is_not_there_and_may_be_inserted_again_with_the_first_version() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    assert_eq!(store.remove::<Ticket>(T1), None);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    save(&mut store, 10, 0).expect("current");
    let conflict = VersionConflict { expected: Version(0), found: Some(Version(1)) };
    assert_eq!(store.remove_if_current::<Ticket>(T1, Version(0)), Err(conflict));
    assert_eq!(store.remove_if::<Ticket>(T1, |ticket| ticket.price == 5), None);
    let removed = store.remove_if::<Ticket>(T1, |ticket| ticket.price == 10);
    assert_eq!(removed.map(|row| (row.price, row.version)), Some((10, Version(1))));
    assert!(store.find::<Ticket>(T1).is_none() && store.all::<Ticket>().next().is_none() && !store.holds(T1));
    assert!(store.texts().is_empty() && store.was_removed::<Ticket>(T1));
    assert_eq!(save(&mut store, 15, 1), Err(VersionConflict { expected: Version(1), found: None }));
    assert_eq!(store.change::<Ticket>(T1, |ticket| ticket.price = 15), None);
    let gone = VersionConflict { expected: Version(1), found: None };
    assert_eq!(store.remove_if_current::<Ticket>(T1, Version(1)), Err(gone));
    assert_eq!(store.insert(T1, Ticket { price: 20 }), Ok(Version(0)));
    assert!(!store.was_removed::<Ticket>(T1));
    assert_eq!(store.remove_if_current::<Ticket>(T1, Version(0)).map(|row| row.price), Ok(20));
}

#[test]
fn the_history_of_a_record_goes_on_behind_its_removal_and_a_version_is_found_at_its_last_place() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    save(&mut store, 10, 0).expect("current");
    store.remove::<Ticket>(T1).expect("it is there");
    let prices = |store: &Store| store.history::<Ticket>(T1).iter().map(|row| row.price).collect::<Vec<_>>();
    assert_eq!(prices(&store), [5, 10]);
    store.insert(T1, Ticket { price: 15 }).expect("free key");
    assert_eq!(prices(&store), [5, 10, 15]);
    assert_eq!(store.position::<Ticket>(T1, Version(0)), Some(2));
    assert_eq!(store.position::<Ticket>(T1, Version(1)), Some(1));
    assert_eq!(store.at_version::<Ticket>(T1, Version(0)).map(|row| row.price), Some(15));
}

#[test]
fn a_handler_that_read_before_a_removal_sees_the_record_and_its_save_is_refused() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    let read = store.tick();
    store.begin_step(Time(1), Some(read));
    store.remove::<Ticket>(T1).expect("it is there");
    store.begin_step(Time(2), Some(read));
    store.open_at(read);
    assert_eq!(store.find::<Ticket>(T1).map(|row| row.price), Some(5));
    assert_eq!(store.all::<Ticket>().count(), 1);
    assert_eq!(save(&mut store, 10, 0), Err(VersionConflict { expected: Version(0), found: None }));
    assert_eq!(store.overwrite(T1, Ticket { price: 10 }, Some(Version(0))), Version(1));
    store.remove::<Ticket>(T1).expect("it is there again");
    assert!(store.find::<Ticket>(T1).is_none(), "who removes sees that it is removed");
    store.close();
    assert!(store.find::<Ticket>(T1).is_none());
}

#[test]
fn a_removal_is_a_change_of_its_step_and_is_taken_back_with_it() {
    let mut store = store(VersionPolicy::EVERY_SAVE);
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    store.begin_step(Time(1), None);
    let (digest, tick) = (store.digest(), store.tick());
    save(&mut store, 10, 0).expect("current");
    let saved = store.saved();
    let point = store.point();
    store.remove::<Ticket>(T1).expect("it is there");
    assert!(store.saved() != saved && store.changed());
    let prices = |row: Option<&Versioned<Ticket>>| row.map(|row| row.price);
    let seen: Vec<_> = store.changes::<Ticket>().map(|change| (prices(change.before), prices(change.after))).collect();
    assert_eq!(seen, [(Some(5), Some(10)), (Some(10), None)]);
    let texts: Vec<_> = store.changed_texts().iter().map(|row| (row.version.0, row.removed)).collect();
    assert_eq!(texts, [(1, false), (1, true)]);
    store.roll_back_to(point);
    assert_eq!((prices(store.find::<Ticket>(T1)), store.history::<Ticket>(T1).len()), (Some(10), 2));
    store.remove::<Ticket>(T1).expect("it is there");
    store.roll_back();
    assert_eq!((store.digest(), store.tick(), store.history::<Ticket>(T1).len()), (digest, tick, 1));
}

/// A replica that has removed a record is as one that never had it, and an owner is not: it knows what was there.
#[test]
fn what_was_removed_leaves_something_where_a_history_is_kept_and_nothing_elsewhere() {
    for owned in [true, false] {
        let mut schema = Schema::default();
        if owned {
            schema.owns::<Ticket>(VersionPolicy::EVERY_SAVE)
        } else {
            schema.keeps::<Ticket>(VersionPolicy::EVERY_SAVE)
        };
        let mut store = schema.into_store(false);
        let never = store.digest();
        store.insert(T1, Ticket { price: 5 }).expect("free key");
        let there = store.digest();
        store.remove::<Ticket>(T1).expect("it is there");
        assert!(store.digest() != there);
        assert_eq!((store.digest() != never, store.was_removed::<Ticket>(T1)), (owned, owned));
    }
}

#[test]
fn a_stale_answer_about_what_was_removed_is_what_it_was_and_about_what_is_back_that_it_is_not_there() {
    let mut schema = Schema::default();
    schema.owns::<Ticket>(VersionPolicy::EVERY_SAVE);
    let mut store = schema.into_store(true);
    let asked = |store: &Store| {
        let (told, there) = store.asked::<Ticket>(T1, None, true);
        (told.map(|row| row.price), there.map(|row| row.price))
    };
    store.insert(T1, Ticket { price: 5 }).expect("free key");
    store.remove::<Ticket>(T1).expect("it is there");
    assert_eq!(asked(&store), (Some(5), None));
    store.insert(T1, Ticket { price: 10 }).expect("free key");
    assert_eq!(asked(&store), (None, Some(10)));
}

#[test]
fn the_digest_depends_on_the_rows_alone() {
    let mut one = store(VersionPolicy::EVERY_SAVE);
    let mut two = store(VersionPolicy::EVERY_SAVE);
    let t2 = RecordId::new('t', 2);
    for (store, order) in [(&mut one, [T1, t2]), (&mut two, [t2, T1])] {
        for id in order {
            store.insert(id, Ticket { price: 5 }).expect("free key");
        }
    }
    assert_eq!(one.digest(), two.digest());
}

/// Saves and removes at random, takes that back or keeps it, and begins anew.
#[test]
fn the_digest_that_is_kept_is_the_one_worked_out_anew() {
    let mut prng = Prng::new(7, Stream::Workload);
    let mut store = store(VersionPolicy::EVERY_SAVE);
    let mut taken_back = 0;
    for step in 0..2_000u64 {
        store.begin_step(Time(step), None);
        let before = store.digest();
        for _ in 0..prng.below(4) {
            let (id, price) = (RecordId::new('t', 1 + prng.below(5)), prng.below(3));
            if prng.below(4) == 0 {
                store.remove::<Ticket>(id);
            } else {
                store.overwrite(id, Ticket { price }, None);
            }
        }
        if prng.below(3) == 0 {
            taken_back += u32::from(store.changed());
            store.roll_back();
            assert_eq!(store.digest(), before);
        }
        if prng.below(200) == 0 {
            store.clear();
        }
        for table in store.tables.iter() {
            assert_eq!((table.rows_digest(), table.history_digest()), table.digests_anew(), "step {step}");
        }
    }
    assert!(taken_back > 100);
}
