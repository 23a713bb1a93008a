//! Shrinking by itself.

use serde::Serialize;

use super::*;
use crate::broker::Profile;
use crate::event::{Command, Event};
use crate::ids::{Subject, Version};
use crate::property::{Property, View, Violation, Watch};
use crate::service::{Context, Rejection, Service};
use crate::store::{Record, Schema, VersionPolicy};

struct Switches;

impl System for Switches {
    type Event = Nothing;
    type Command = Press;
}

#[derive(Clone, Debug, Hash, Serialize)]
enum Nothing {}

impl Event for Nothing {
    fn subject(&self) -> Subject {
        match *self {}
    }

    fn record(&self) -> RecordId {
        match *self {}
    }

    fn version(&self) -> Option<Version> {
        match *self {}
    }
}

#[derive(Clone, Debug, Hash, Serialize)]
enum Press {
    /// Turns the light on or off.
    Switch,
    /// Breaks the lamp, if the light is off.
    Hammer,
}

const LAMP: RecordId = RecordId::new('l', 1);

impl Command for Press {
    fn service(&self) -> &'static str {
        "lamp"
    }

    fn record(&self) -> RecordId {
        LAMP
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
struct Lamp {
    is_on: bool,
    is_broken: bool,
}

impl Record for Lamp {
    const COLLECTION: &'static str = "lamps";
    const KIND: char = 'l';
}

struct Keeper;

impl Service<Switches> for Keeper {
    fn name(&self) -> &'static str {
        "lamp"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Lamp>(VersionPolicy::EVERY_SAVE);
    }

    fn execute(&self, command: &Press, ctx: &mut Context<'_, Switches>) -> Result<(), Rejection> {
        let held = ctx.store.find::<Lamp>(LAMP).map(|lamp| (lamp.version, lamp.value.clone()));
        let (version, lamp) = held.map_or((None, Lamp::default()), |(version, lamp)| (Some(version), lamp));
        let lamp = match command {
            Press::Switch => Lamp { is_on: !lamp.is_on, ..lamp },
            Press::Hammer => Lamp { is_broken: !lamp.is_on, ..lamp },
        };
        ctx.store.overwrite(LAMP, lamp, version);
        Ok(())
    }
}

struct Whole;

impl Property<Switches> for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn watches(&self) -> Watch {
        Watch::SAVES
    }

    fn on_step(&self, view: &View<'_, Switches>) -> Result<(), Violation> {
        let is_broken = view.store().and_then(|store| store.find::<Lamp>(LAMP)).is_some_and(|lamp| lamp.is_broken);
        if is_broken { Err(Violation::at("lamp").of(LAMP).because("it is broken")) } else { Ok(()) }
    }
}

/// Without one of both the light is on, and the lamp stays whole.
#[test]
fn two_commands_one_of_which_undoes_the_other_are_left_out_together() {
    let commands = vec![Press::Switch, Press::Switch, Press::Hammer];
    let simulation = Simulation::on(Profile::adversarial()).service(Keeper).client("child", commands);
    let simulation = simulation.build().expect("the parts fit");
    let judges = Judges::new(vec![Box::new(Whole)]);
    let shrunk = Shrink::new(&simulation, &judges).run(Vec::new()).expect("it is broken");
    assert_eq!(shrunk.commands, [CommandIndex { client: 0, position: 2 }]);
    assert!(shrunk.minimal);
}
