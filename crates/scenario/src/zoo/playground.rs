//! Where the defects are looked for: small situations, each with what its clients may want, under a level of
//! delivery.

use crate::scenario::{FileError, Level, Scenario, Suite};
use pellmell_core::broker::Profile;
use pellmell_core::faults::{FaultPlan, Rate};
use pellmell_core::prng::Ratio;
use pellmell_core::search::{DeliveryOrder, ShortestBounds};
use pellmell_core::simulation::{BuildError, Simulation};

/// Reads the playground of a name; `None` if there is none.
///
/// # Errors
/// If its text is no scenario.
pub fn scenario<T: Suite>(name: &str) -> Result<Option<Scenario<T>>, FileError> {
    let text = T::playgrounds().into_iter().find(|(known, _)| *known == name).map(|(_, text)| text);
    text.map(|text| Scenario::parse(&format!("{name}.toml"), text)).transpose()
}

/// A design in a playground, under these rules of a broker; with `splits` handlers may overlap.
///
/// # Errors
/// If its parts do not fit.
///
/// # Panics
/// If there is no playground of that name, or its text is no scenario.
pub fn playground<T: Suite>(
    design: &T::Design,
    name: &str,
    profile: Profile,
    splits: bool,
) -> Result<Simulation<T>, BuildError> {
    let read = scenario(name).unwrap_or_else(|error| panic!("{error}"));
    let mut scenario: Scenario<T> = read.unwrap_or_else(|| panic!("there is no playground `{name}`"));
    scenario.design = design.clone();
    scenario.profile = profile;
    scenario.hostings.each_mut().for_each(|(_, hosting)| hosting.overlapping = splits);
    scenario.simulation(scenario.seed)
}

/// The broker rules of a level.
#[must_use]
pub fn profile(level: Level) -> Profile {
    order(level).profile()
}

fn order(level: Level) -> DeliveryOrder {
    match level {
        Level::Lockstep => DeliveryOrder::Lockstep,
        Level::PerSubject => DeliveryOrder::PerSubject,
        _ => DeliveryOrder::Any,
    }
}

/// What may happen at a level.
#[must_use]
pub fn bounds(level: Level, splits: bool) -> ShortestBounds {
    ShortestBounds {
        lost_acks: u8::from(level == Level::Duplicate),
        crashes: u8::from(level == Level::Crash),
        lost_messages: u8::from(level == Level::Loss),
        pauses: u8::from(splits),
        ..ShortestBounds::of(order(level))
    }
}

/// What is drawn at a level where schedules are drawn.
#[must_use]
pub fn faults(level: Level, splits: bool) -> FaultPlan {
    let once = |wanted: bool, of_20: u32| match wanted {
        true => Rate { ratio: Ratio::new(of_20, 20), most: 1 },
        false => Rate::NEVER,
    };
    FaultPlan {
        lose_ack: once(level == Level::Duplicate, 4),
        crash: once(level == Level::Crash, 2),
        lose_message: once(level == Level::Loss, 4),
        pause: if splits { Rate::of(Ratio::new(9, 10)) } else { Rate::NEVER },
        ..FaultPlan::NONE
    }
}
