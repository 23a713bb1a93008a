//! Each step is judged, whatever goes wrong with it.

use serde::Serialize;

use super::*;
use crate::broker::Profile;
use crate::event::{Command, Event};
use crate::faults::Window;
use crate::ids::{RecordId, Subject, Version};
use crate::scheduler::{Chosen, ClientIndex, Enabled};
use crate::service::{Context, Outcome, Rejection, Service};
use crate::simulation::Simulation;
use crate::store::{Record, Schema, VersionPolicy};

struct Talk;

impl System for Talk {
    type Event = Word;
    type Command = Word;
}

/// The word that a client asks the speaker to say; and, once said, the word that listeners hear.
#[derive(Clone, Debug, Hash, Serialize)]
enum Word {
    Said,
    Echo,
}

const SAID: Subject = Subject::new("word:said");
const ECHO: Subject = Subject::new("word:echo");
const ABOUT: RecordId = RecordId::new('n', 1);

impl Event for Word {
    fn subject(&self) -> Subject {
        match self {
            Word::Said => SAID,
            Word::Echo => ECHO,
        }
    }

    fn record(&self) -> RecordId {
        ABOUT
    }

    fn version(&self) -> Option<Version> {
        None
    }
}

impl Command for Word {
    fn service(&self) -> &'static str {
        "speaker"
    }

    fn record(&self) -> RecordId {
        ABOUT
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Note(u32);

impl Record for Note {
    const COLLECTION: &'static str = "notes";
    const KIND: char = 'n';
}

fn save(ctx: &mut Context<'_, Talk>) {
    let times = ctx.store.find::<Note>(ABOUT).map_or(0, |note| note.0);
    ctx.store.overwrite(ABOUT, Note(times + 1), None);
}

/// Says what it is asked to, and saves that it did.
struct Speaker;

impl Service<Talk> for Speaker {
    fn name(&self) -> &'static str {
        "speaker"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Note>(VersionPolicy::EVERY_SAVE);
    }

    fn execute(&self, command: &Word, ctx: &mut Context<'_, Talk>) -> Result<(), Rejection> {
        save(ctx);
        ctx.publish(command.clone());
        Ok(())
    }
}

/// What a listener does with an event in addition to acking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Nothing,
    Saves,
    Speaks,
}

struct Listener(Does);

impl Service<Talk> for Listener {
    fn name(&self) -> &'static str {
        "listener"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<Note>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[SAID] }
    }

    fn handle(&self, _event: &Word, ctx: &mut Context<'_, Talk>) -> Outcome {
        match self.0 {
            Does::Nothing => {}
            Does::Saves => save(ctx),
            Does::Speaks => ctx.publish(Word::Echo),
        }
        Outcome::Ack
    }
}

/// Breaks in the step with this number, if that is of one of these kinds.
struct Breaks {
    at: u64,
    watches: Watch,
}

impl Property<Talk> for Breaks {
    fn name(&self) -> &'static str {
        "Breaks"
    }

    fn watches(&self) -> Watch {
        self.watches
    }

    fn on_step(&self, view: &View<'_, Talk>) -> Result<(), Violation> {
        if view.step.number == self.at { Err(Violation::at("listener").because("of the number")) } else { Ok(()) }
    }
}

/// Takes what is named here, in order, each with its fate, and then whatever comes first.
struct Script(Vec<(Pick, Fate)>, Fate);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    Command,
    Delivery,
}

impl Script {
    fn new(picks: &[(Pick, Fate)]) -> Script {
        Script(picks.iter().rev().copied().collect(), Fate::CALM)
    }
}

impl Scheduler for Script {
    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let next = self.0.pop();
        self.1 = next.map_or(Fate::CALM, |(_, fate)| fate);
        match next {
            Some((Pick::Command, _)) => Action::Command(ClientIndex(0)),
            Some((Pick::Delivery, _)) => Action::Deliver(enabled.ready[0]),
            None => enabled.iter().next().expect("something is enabled"),
        }
    }

    fn fate(&mut self, _: &Chosen) -> Fate {
        self.1
    }
}

/// After how many steps a run ends that is broken in the step `at`.
fn steps(does: Does, watches: Watch, at: u64, picks: &[(Pick, Fate)]) -> u64 {
    let simulation = Simulation::on(Profile::adversarial())
        .service(Speaker)
        .service(Listener(does))
        .client("client", vec![Word::Said; 3])
        .build()
        .expect("the parts fit");
    let judges = Judges::new(vec![Box::new(Breaks { at, watches })]);
    let limits = Limits { steps_max: 50, ..Limits::default() };
    let report = run(&mut simulation.world(), &mut Script::new(picks), &judges, limits, &mut ());
    let is_broken = matches!(report.verdict, Verdict::Violated { property: "Breaks", .. });
    assert_eq!(is_broken, report.steps == at, "{does:?}, {picks:?}: {:?}", report.verdict);
    report.steps
}

/// Every fate of a handler that does not pause.
fn fates() -> impl Iterator<Item = Fate> {
    let acks = [AckFate::Prompt, AckFate::Late, AckFate::Lost];
    let crashes = [None].into_iter().chain(Window::ALL.map(Some));
    let fates = crashes.flat_map(move |crash| acks.map(|ack| Fate { ack, crash, ..Fate::CALM }));
    fates.flat_map(|fate| [false, true].map(|duplicate| Fate { duplicate, ..fate }))
}

/// What a listener does, and the kinds of steps that are watched of it.
const WATCHED: [(Does, Watch); 5] = [
    (Does::Nothing, Watch::ACKS),
    (Does::Saves, Watch::ACKS),
    (Does::Saves, Watch::SAVES),
    (Does::Speaks, Watch::ACKS),
    (Does::Speaks, Watch::PUBLISHES),
];

/// A delivery with a fault that is judged only in the next step, or never, makes a wrong verdict of a right
/// one. The first delivery is the second step of the run and the other one is the fourth.
#[test]
fn a_delivery_is_judged_in_its_step_whatever_goes_wrong_with_it() {
    let first = [(Pick::Command, Fate::CALM), (Pick::Delivery, Fate::CALM)];
    for (does, watches) in WATCHED {
        for fate in fates().filter(|fate| fate.crash != Some(Window::BeforeSave)) {
            let in_first = [first[0], (Pick::Delivery, fate)];
            assert_eq!(steps(does, watches, 2, &in_first), 2, "{does:?}, {fate:?}");
            let in_second = [first[0], first[0], first[1], (Pick::Delivery, fate)];
            assert_eq!(steps(does, watches, 4, &in_second), 4, "{does:?}, {fate:?}");
        }
    }
}

/// The second command is sent while a delivery is pending, as most are.
#[test]
fn a_command_is_judged_in_its_step_whatever_goes_wrong_with_it() {
    for watches in [Watch::SAVES, Watch::PUBLISHES] {
        for fate in fates().filter(|fate| fate.crash != Some(Window::BeforeSave)) {
            let picks = [(Pick::Command, Fate::CALM), (Pick::Command, fate)];
            assert_eq!(steps(Does::Saves, watches, 2, &picks), 2, "{fate:?}");
        }
    }
}
