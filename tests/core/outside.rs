//! What handlers do outside of their stores: nothing takes it back, and properties see it.

use pellmell::doc_example::{Change, Item, Shop};
use pellmell::explain::Explain;
use pellmell::schedule::Departure;
use pellmell::scheduler::Departing;
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, Most};
use pellmell::shrink::Shrink;
use pellmell::testing::{at_most_once_outside, at_quiescence, service};
use pellmell::trace::Recorder;
use pellmell::{
    FaultPlan, Hosting, Judges, Limits, Moment, Outside, Profile, PublishMode, RecordId, Rejection, Sending,
    Simulation, Verdict, VersionPolicy, Violation,
};

const ITEM: RecordId = RecordId::new('i', 1);
const ANN: &str = "ann: change i1 to 1";

/// What a shop does besides.
#[derive(Clone, Copy)]
enum Design {
    /// It charges, saves, and sends a mail.
    Plain,
    /// The same with an idempotency key.
    Keyed,
    /// It charges and refuses.
    Refuses,
}

/// A shop that sells each item once: it looks, charges, saves and sends a mail.
fn selling(design: Design, mode: PublishMode, hosting: Hosting) -> Simulation<Shop> {
    let shop = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).publishing(mode);
    let shop = shop.on_command(move |change, ctx| {
        if ctx.store.find::<Item>(change.item).is_some() {
            return Ok(());
        }
        let charge = Outside::of("charge", change.item).carrying(change.price);
        ctx.outside(if matches!(design, Design::Keyed) { charge.with_key(change.item.to_string()) } else { charge });
        let saved = ctx.store.insert(change.item, Item { price: change.price });
        ctx.outside(Outside::of("mail", change.item).after_saving());
        if matches!(design, Design::Refuses) || saved.is_err() {
            return Err(Rejection { status: 409, reason: "sold" });
        }
        Ok(())
    });
    let on = Simulation::on(Profile::adversarial()).hosted(shop, hosting);
    let sends = |price| vec![Sending::of(Change { item: ITEM, price }).until_accepted()];
    on.client("ann", sends(1)).client("bob", sends(2)).build().expect("the parts fit")
}

fn schedule(lines: &[&str]) -> Vec<Departure> {
    lines.iter().map(|line| line.parse().expect("a departure")).collect()
}

/// What is done outside in a run, step by step.
fn done(simulation: &Simulation<Shop>, lines: &[&str]) -> Vec<String> {
    let (mut scheduler, mut recorder) = (Departing::new(schedule(lines)), Recorder::default());
    let limits = Limits::default();
    pellmell::run::run(&mut simulation.world(), &mut scheduler, &Judges::new(Vec::new()), limits, &mut recorder);
    let records = recorder.into_records().into_iter().filter(|record| !record.outside.is_empty());
    records.map(|record| format!("{}: {}", record.action, record.outside.join(", "))).collect()
}

fn charged_once() -> Judges<Shop> {
    Judges::new(vec![at_most_once_outside("ChargedOnce", "charge")])
}

/// At rest whatever is charged is sold.
fn sold_if_charged() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("SoldIfCharged", |moment: &Moment<'_, Shop>| {
        let sold = moment.store_of("shop").find::<Item>(ITEM).is_some();
        match moment.times_outside("charge", ITEM) > 0 && !sold {
            true => Err(Violation::at("shop").of(ITEM).because("it is charged and not sold")),
            false => Ok(()),
        }
    })])
}

#[test]
fn what_is_done_before_the_save_stays_and_what_is_done_after_it_goes_with_the_save() {
    let once = format!("{ANN}: charge i1 1, mail i1");
    let again = "ann: change i1 to 1 #2: charge i1 1, mail i1";
    let charged = format!("{ANN}: charge i1 1");
    for mode in [PublishMode::Outbox, PublishMode::DualWrite] {
        let simulation = selling(Design::Plain, mode, Hosting::ALONE);
        let crashed = |window| done(&simulation, &[&format!("crash shop {window} of {ANN}")]);
        assert_eq!(done(&simulation, &[]), [&*once]);
        assert_eq!(crashed("before save"), [&*charged, again]);
        assert_eq!(crashed("before publish"), [&*charged]);
        assert_eq!(crashed("before ack"), [&*once]);
    }
    let keyed = selling(Design::Keyed, PublishMode::Outbox, Hosting::ALONE);
    let crashed = done(&keyed, &[&format!("crash shop before save of {ANN}")]);
    assert_eq!(crashed, [&*format!("{ANN}: charge i1 1 (key i1)"), "ann: change i1 to 1 #2: mail i1"]);
}

#[test]
fn a_handler_that_refuses_has_done_it_and_what_it_does_after_its_saves_depends_on_them() {
    let first = |mode| done(&selling(Design::Refuses, mode, Hosting::ALONE), &[])[0].clone();
    assert_eq!(first(PublishMode::Outbox), format!("{ANN}: charge i1 1"));
    assert_eq!(first(PublishMode::DualWrite), format!("{ANN}: charge i1 1, mail i1"));
}

#[test]
fn two_handlers_that_look_at_the_same_moment_both_do_it() {
    let overlapping = Hosting { overlapping: true, ..Hosting::ALONE };
    let race = format!("pause {ANN} until bob: change i1 to 2");
    let plain = selling(Design::Plain, PublishMode::Outbox, overlapping.clone());
    let resumed = format!("resume {ANN}: charge i1 1");
    assert_eq!(done(&plain, &[&race]), ["bob: change i1 to 2: charge i1 2, mail i1", &*resumed]);
    let report = |simulation: &Simulation<Shop>| {
        let mut scheduler = Departing::new(schedule(&[&race]));
        pellmell::run::run(&mut simulation.world(), &mut scheduler, &charged_once(), Limits::default(), &mut ())
    };
    let Verdict::Violated { violation, .. } = report(&plain).verdict else { panic!("it is charged twice") };
    assert_eq!(violation.to_string(), "at shop, i1: `charge` was done 2 times, expected at most 1");
    assert!(report(&selling(Design::Keyed, PublishMode::Outbox, overlapping)).verdict.is_held());
}

#[test]
fn a_hold_sweep_finds_it_and_it_is_explained() {
    let simulation = selling(Design::Plain, PublishMode::Outbox, Hosting::ALONE);
    let judges = charged_once();
    let swept = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME).run();
    let first = swept.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    let crash = format!("crash shop before save of {ANN}");
    assert_eq!(first.departures, schedule(&[&crash]));
    let shrunk = Shrink::new(&simulation, &judges).run(schedule(&[&crash])).expect("it fails");
    let told = Explain::new(&simulation, &judges).run(&shrunk).expect("it is small").to_string();
    let sentence =
        format!("shop crashes before save of `{ANN}` (step 1): nothing of it is saved, and `charge i1 1` is done.");
    assert!(told.contains(&sentence), "{told}");
    let keyed = selling(Design::Keyed, PublishMode::Outbox, Hosting::ALONE);
    assert!(HoldSweep::new(&keyed, &judges).with_faults(FaultPlan::SOME).run().buckets.is_empty());
}

#[test]
fn a_complete_search_finds_it_and_tells_states_apart_by_it() {
    let bounds = Bounds { crashes: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
    let searched = |design, judges: &Judges<Shop>, reduced| {
        let simulation = selling(design, PublishMode::Outbox, Hosting::ALONE);
        Exhaust::new(&simulation, judges).with_bounds(bounds).with_reduction(reduced).run()
    };
    for reduced in [true, false] {
        let twice = searched(Design::Plain, &charged_once(), reduced).failing.expect("it is charged twice");
        assert_eq!(twice.steps.len(), 2, "{:?}", twice.names);
        assert!(searched(Design::Keyed, &charged_once(), reduced).failing.is_none());
        // Before Ann tries again.
        let crashed = searched(Design::Keyed, &sold_if_charged(), reduced).failing.expect("it is charged and not sold");
        assert_eq!(crashed.steps.len(), 1, "{:?}", crashed.names);
    }
}
