//! Groups that services share: who gets what, and when nobody can do anything with it.

use pellmell::broker::{Ordering, RedeliverAt, Scope};
use pellmell::property::NoPoison;
use pellmell::testing::{Closures, service};
use pellmell::{
    Calm, FaultPlan, Hosting, Judges, Keyed, Limits, Outcome, Profile, Scheduler, Simulation, Subject, Verdict,
    Version, VersionPolicy, World, run,
};

use super::common::{Fact, Note, Notes, Publish, exclusive, limited, note, ordered, stan};
use super::redelivering;

const ADDED: &[Subject] = &[Subject::new("note:added")];
const COPIED: &[Subject] = &[Subject::new("note:copied")];
const BOTH: &[Subject] = &[Subject::new("note:added"), Subject::new("note:copied")];

/// A member of the group that saves and acks what `takes`, and is silent on the rest. It panics on
/// what it does not listen to.
fn listener(name: &'static str, subjects: &'static [Subject], takes: fn(&Fact, bool) -> bool) -> Closures<Notes> {
    service::<Notes>(name).keeps::<Note>(VersionPolicy::EVERY_SAVE).on_event(subjects, move |fact, ctx| {
        let subject = if fact.copied { COPIED[0] } else { ADDED[0] };
        assert!(subjects.contains(&subject), "{name} got {}", subject.name());
        let has_first = ctx.store.find::<Note>(note(1)).is_some();
        if !takes(fact, has_first) {
            return Outcome::Silent("not for me");
        }
        let held = ctx.store.find::<Note>(fact.note).map(|held| (held.version, held.saves));
        match held {
            None => drop(ctx.store.insert(fact.note, Note { saves: 1 })),
            Some((version, saves)) => drop(ctx.store.save_if_current(fact.note, Note { saves: saves + 1 }, version)),
        }
        Outcome::Ack
    })
}

/// Notes 1 to `notes` are added and, after all of them, copied.
fn simulation(profile: Profile, notes: u32, members: Vec<(Closures<Notes>, u16)>) -> Simulation<Notes> {
    let publisher = service::<Notes>("publisher").on_command(|publish, ctx| {
        for copied in [false, true] {
            for (number, version) in &publish.notes {
                ctx.publish(Fact { copied, note: note(*number), version: Version(*version) });
            }
        }
        Ok(())
    });
    let mut builder = Simulation::on(profile).service(publisher).client("client", vec![Publish::now(1..=notes)]);
    for (member, members) in members {
        let group = Some("shared".to_owned());
        builder = builder.hosted(member, Hosting { members, group, ..Hosting::ALONE });
    }
    builder.build().expect("the parts fit")
}

fn judged(simulation: &Simulation<Notes>, mut scheduler: impl Scheduler) -> (World<Notes>, Verdict) {
    let mut world = simulation.world();
    let limits = Limits { steps_max: 20_000, ..Limits::default() };
    let report = run(&mut world, &mut scheduler, &Judges::new(vec![Box::new(NoPoison)]), limits, &mut ());
    (world, report.verdict)
}

fn profiles() -> Vec<Profile> {
    let mut profiles = vec![stan(), Profile::adversarial(), exclusive(), ordered(Ordering::Key { partitions: None })];
    profiles.extend([limited(1, Scope::Member), limited(2, Scope::Group), ordered(Ordering::None)]);
    profiles.extend([Profile { ordering: Ordering::Key { partitions: Some(2) }, ..exclusive() }]);
    profiles.extend([RedeliverAt::Back, RedeliverAt::Any].map(redelivering));
    profiles
}

/// How often a service saved a note.
fn saves(world: &World<Notes>, service: &str, number: u32) -> u32 {
    world.store_of(service).find::<Note>(note(number)).map_or(0, |held| held.saves)
}

#[test]
fn a_member_gets_only_what_its_service_listens_to() {
    let all = |_: &Fact, _| true;
    for profile in profiles() {
        let members = vec![(listener("adds", ADDED, all), 2), (listener("copies", COPIED, all), 1)];
        let apart = simulation(profile.clone(), 4, members);
        let members = vec![(listener("adds", ADDED, all), 1), (listener("both", BOTH, all), 2)];
        let overlapping = simulation(profile.clone(), 4, members);
        for seed in 0..20 {
            let plan = FaultPlan { swarm: false, ..FaultPlan::SOME };
            let (world, verdict) = judged(&apart, Keyed::new(seed, plan));
            assert_eq!(verdict, Verdict::Held, "seed {seed} under {profile:?}");
            assert!((1..=4).all(|number| saves(&world, "adds", number) > 0 && saves(&world, "copies", number) > 0));
            let (world, verdict) = judged(&overlapping, Keyed::new(seed, plan));
            assert_eq!(verdict, Verdict::Held, "seed {seed} under {profile:?}");
            assert!((1..=4).all(|number| saves(&world, "both", number) > 0), "only it listens to copies");
        }
    }
}

#[test]
fn a_member_that_nobody_competes_with_for_a_subject_gets_it_in_order() {
    let all = |_: &Fact, _| true;
    let ready = |profile: Profile, adders: u16| {
        let members = vec![(listener("adds", ADDED, all), adders), (listener("copies", COPIED, all), 1)];
        let mut world = simulation(profile, 3, members).world();
        let publish = world.enabled().get(0);
        world.step(publish, pellmell::Fate::CALM);
        world.broker().ready().len()
    };
    assert_eq!(ready(stan(), 1), 2, "the first note added and the first note copied");
    assert_eq!(ready(stan(), 2), 4, "all notes added and the first note copied");
    assert_eq!(ready(limited(1, Scope::Member), 2), 3, "one note added for each member");
}

#[test]
fn in_one_order_over_all_subjects_only_what_was_published_first_is_ready() {
    let all = |_: &Fact, _| true;
    let ready = |profile: Profile, members: u16| {
        let mut world = simulation(profile, 3, vec![(listener("both", BOTH, all), members)]).world();
        let publish = world.enabled().get(0);
        world.step(publish, pellmell::Fate::CALM);
        world.broker().ready().len()
    };
    let in_one_order = ordered(Ordering::Subscription);
    assert_eq!(ready(stan(), 1), 2, "the first note added and the first note copied");
    assert_eq!(ready(in_one_order.clone(), 1), 1, "the first of all");
    assert_eq!(ready(in_one_order, 2), 6, "whatever fits into the inboxes of two members");
    for seed in 0..20 {
        let plan = FaultPlan { swarm: false, ..FaultPlan::SOME };
        let one = simulation(ordered(Ordering::Subscription), 4, vec![(listener("both", BOTH, all), 1)]);
        let (world, verdict) = judged(&one, Keyed::new(seed, plan));
        assert_eq!(verdict, Verdict::Held, "seed {seed}");
        assert!((1..=4).all(|number| saves(&world, "both", number) > 0));
    }
}

#[test]
fn services_with_different_subjects_cannot_share_one_order() {
    let all = |_: &Fact, _| true;
    let built = std::panic::catch_unwind(|| {
        let members = vec![(listener("adds", ADDED, all), 1), (listener("copies", COPIED, all), 1)];
        simulation(ordered(Ordering::Subscription), 1, members)
    });
    assert!(built.is_err(), "a queue has no members that take only some of it");
}

#[test]
fn what_none_of_the_services_can_handle_is_poison() {
    let not_2 = |fact: &Fact, _| fact.note.number() != 2;
    for profile in profiles() {
        for (one, two) in [(ADDED, ADDED), (ADDED, COPIED), (ADDED, BOTH)] {
            let members = vec![(listener("one", one, not_2), 1), (listener("two", two, not_2), 2)];
            let simulation = simulation(profile.clone(), 3, members);
            for seed in 0..5 {
                let poison = |verdict: &Verdict| matches!(verdict, Verdict::Violated { property: "NoPoison", .. });
                let (_, verdict) = judged(&simulation, Keyed::new(seed, FaultPlan::NONE));
                assert!(poison(&verdict), "seed {seed} under {profile:?}: {verdict:?}");
                let (_, verdict) = judged(&simulation, Calm::new(seed, FaultPlan::NONE));
                assert!(poison(&verdict), "calm under {profile:?}: {verdict:?}");
            }
        }
    }
}

#[test]
fn what_one_of_the_services_can_handle_is_tried_until_it_gets_it() {
    let (all, none) = (|_: &Fact, _| true, |_: &Fact, _| false);
    for profile in profiles() {
        if profile.dispatch == pellmell::broker::Dispatch::Exclusive {
            // An owner that cannot handle a message keeps it.
            continue;
        }
        for seed in 0..20 {
            let members = vec![(listener("never", ADDED, none), 2), (listener("always", BOTH, all), 1)];
            let (world, verdict) = judged(&simulation(profile.clone(), 3, members), Keyed::new(seed, FaultPlan::NONE));
            assert_eq!(verdict, Verdict::Held, "seed {seed} under {profile:?}");
            assert!((1..=3).all(|number| saves(&world, "always", number) == 2), "each note was added and copied");
        }
    }
}

#[test]
fn what_was_parked_comes_back_when_one_of_the_services_has_changed() {
    // Only "second" can handle note 2, and only when the copy of note 1 has come.
    let never = |_: &Fact, _| false;
    let after_first = |fact: &Fact, has_first| fact.note.number() == 1 && fact.copied || has_first;
    let members = vec![(listener("first", ADDED, never), 1), (listener("second", BOTH, after_first), 1)];
    let simulation = simulation(Profile::adversarial(), 2, members);
    for seed in 0..20 {
        let (world, verdict) = judged(&simulation, Keyed::new(seed, FaultPlan::NONE));
        assert_eq!(verdict, Verdict::Held, "seed {seed}");
        assert_eq!((saves(&world, "second", 1), saves(&world, "second", 2)), (2, 2), "seed {seed}");
    }
}
