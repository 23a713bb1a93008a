//! Where the defects are looked for: small situations, each a scenario file with what its clients may want,
//! under a level of delivery.

use crate::scenario::{Design, FileError, Level, Scenario, Suite};
use pellmell_core::broker::Profile;
use pellmell_core::faults::{FaultPlan, Rate};
use pellmell_core::prng::Ratio;
use pellmell_core::search::{DeliveryOrder, ShortestBounds};
use pellmell_core::simulation::{BuildError, Simulation};

/// Reads the text of the file in which defects are looked for.
///
/// # Errors
/// If it is no scenario, or says what a zoo decides itself.
pub fn scenario<T: Suite>(file: &str, text: &str) -> Result<Scenario<T>, FileError> {
    let scenario: Scenario<T> = Scenario::parse(file, text)?;
    let decided = [
        ("design", scenario.design.name() != T::usual().name()),
        ("defects", !scenario.defects.is_empty()),
        ("schedule", !scenario.schedule.is_empty()),
        ("[broker", scenario.profile != Profile::adversarial()),
        ("[faults", scenario.faults != FaultPlan::NONE),
    ];
    if let Some((key, _)) = decided.into_iter().find(|(_, is_said)| *is_said) {
        let starts = |at: &usize| *at == 0 || text[..*at].ends_with('\n');
        let at = text.match_indices(key).map(|(at, _)| at).find(starts).unwrap_or_default();
        let name = key.trim_start_matches('[');
        let message = format!("a zoo decides `{name}` itself: it plays its own design under every delivery");
        let error = FileError::new(file, text, at..at + key.len(), message);
        return Err(error.help(format!("leave `{name}` out, or name a scenario without it")));
    }
    Ok(scenario)
}

/// A design in the situation of a scenario, under these rules of a broker; with `splits` handlers may overlap.
///
/// # Errors
/// If its parts do not fit.
pub fn simulation<T: Suite>(
    design: &T::Design,
    scenario: &Scenario<T>,
    profile: Profile,
    splits: bool,
) -> Result<Simulation<T>, BuildError> {
    let mut placed = scenario.clone();
    placed.design = design.clone();
    placed.profile = profile;
    placed.hostings.each_mut().for_each(|(_, hosting)| hosting.overlapping = splits);
    placed.simulation(placed.seed)
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
