//! Defects: known faults that can be planted in a design, and under which delivery each shows.

use super::suite::Design;

/// One deviation from a design that is right.
#[derive(Debug)]
pub struct Defect<D> {
    /// Its number.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Where it is known from: a chapter, an incident.
    pub heading: &'static str,
    /// What is wrong.
    pub about: &'static str,
    /// The property that names its fault.
    pub property: &'static str,
    /// Other properties that name it too, and may see it first.
    pub also: &'static [&'static str],
    /// The weakest delivery under which it shows.
    pub needs: Level,
    /// The fewest deliveries and commands that break `property`, if that is known.
    pub known: Option<(u32, u32)>,
    /// The scenario files in which it shows, each by itself, from where the program runs; `known` is of the
    /// first.
    pub scenarios: &'static [&'static str],
    /// Whether it takes two handlers that overlap: one reads, another saves, the first one saves.
    pub splits: bool,
    /// Changes the design.
    pub plant: fn(&mut D),
}

// Derived, they would ask the same of the design.
impl<D> Clone for Defect<D> {
    fn clone(&self) -> Defect<D> {
        *self
    }
}

impl<D> Copy for Defect<D> {}

impl<D> Clone for Alternative<D> {
    fn clone(&self) -> Alternative<D> {
        *self
    }
}

impl<D> Copy for Alternative<D> {}

impl<D> Defect<D> {
    /// A defect that `plant` brings about and `property` names. Its number is its name, it needs any order,
    /// and it names no scenario file, so that no zoo looks for it.
    #[must_use]
    pub const fn new(name: &'static str, about: &'static str, property: &'static str, plant: fn(&mut D)) -> Defect<D> {
        let (heading, also, needs, known, scenarios) = ("", &[] as &[_], Level::AnyOrder, None, &[] as &[_]);
        Defect { id: name, name, heading, about, property, also, needs, known, scenarios, splits: false, plant }
    }

    /// The weakest delivery under which it shows.
    #[must_use]
    pub const fn with_needs(self, needs: Level) -> Defect<D> {
        Defect { needs, ..self }
    }

    /// The scenario files in which it shows, such as `scenarios/zoo/two-buyers.toml`: small ones, because all that
    /// can happen in them is tried. A zoo complains of each in which it does not.
    #[must_use]
    pub const fn with_scenarios(self, scenarios: &'static [&'static str]) -> Defect<D> {
        Defect { scenarios, ..self }
    }

    /// Other properties that name it, too.
    #[must_use]
    pub const fn with_also(self, also: &'static [&'static str]) -> Defect<D> {
        Defect { also, ..self }
    }

    /// It takes two handlers that overlap.
    #[must_use]
    pub const fn with_overlap(self) -> Defect<D> {
        Defect { splits: true, ..self }
    }

    /// The fewest deliveries and commands that show it.
    #[must_use]
    pub const fn with_known(self, deliveries: u32, commands: u32) -> Defect<D> {
        Defect { known: Some((deliveries, commands)), ..self }
    }

    /// Whether a property names the fault.
    #[must_use]
    pub fn is_named_by(&self, property: &str) -> bool {
        self.property == property || self.also.contains(&property)
    }

    /// The same without what plants it: what is to be said of it.
    #[must_use]
    pub const fn described(self) -> Defect<()> {
        let Defect { id, name, heading, about, property, also, needs, known, scenarios, splits, plant: _ } = self;
        let plant: fn(&mut ()) = |()| ();
        Defect { id, name, heading, about, property, also, needs, known, scenarios, splits, plant }
    }
}

/// A rule other than the usual design's that is right as well.
#[derive(Debug)]
pub struct Alternative<D> {
    /// Its name.
    pub name: &'static str,
    /// What it does instead.
    pub about: &'static str,
    /// Changes the design.
    pub plant: fn(&mut D),
}

/// A design with defects.
#[must_use]
pub fn planted<D: Design>(design: &D, defects: &[Defect<D>]) -> D {
    let mut design = design.clone();
    defects.iter().for_each(|defect| (defect.plant)(&mut design));
    design
}

/// How a broker delivers, from the tamest to the wildest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// In publish order, exactly once, and everything before the next command.
    Lockstep,
    /// Each subject in publish order for each group, exactly once.
    PerSubject,
    /// In any order, exactly once.
    AnyOrder,
    /// In any order, and one ack is lost, so that one message comes twice.
    Duplicate,
    /// In any order, and one member crashes.
    Crash,
    /// In any order, and one message is lost.
    Loss,
}

impl Level {
    /// All levels.
    pub const ALL: [Level; 6] =
        [Level::Lockstep, Level::PerSubject, Level::AnyOrder, Level::Duplicate, Level::Crash, Level::Loss];

    /// The level in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Lockstep => "lockstep",
            Level::PerSubject => "per subject",
            Level::AnyOrder => "any order",
            Level::Duplicate => "duplicate",
            Level::Crash => "crash",
            Level::Loss => "loss",
        }
    }
}
