//! What a run has besides its scenario file's text, by name.

use super::{Scenario, SchedulerKind, Suite};
use pellmell_core::faults::FaultPlan;
use pellmell_core::run::Limits;
use pellmell_core::trace::Header;

/// What decides the runs of a scenario besides the seed and its file's text, as traces and results of
/// sweeps keep it.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    /// The design.
    pub design: &'a str,
    /// All defects planted in it.
    pub defects: &'a [String],
    /// The scheduler, or `departures`.
    pub scheduler: &'a str,
    /// The departures, if they are others than the file's.
    pub departures: &'a [String],
    /// Whether nothing could go wrong but the order, whatever the file's faults are.
    pub no_faults: bool,
    /// The properties judged; those the design promises if empty.
    pub properties: &'a [String],
    /// How far a run may go.
    pub limits: Limits,
}

/// A name that means nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// What it was the name of.
    pub what: &'static str,
    /// The name.
    pub name: String,
}

impl<'a> Changes<'a> {
    /// What a trace's header has besides the scenario file's text.
    #[must_use]
    pub fn of(header: &'a Header) -> Changes<'a> {
        let Header { design, defects, scheduler, departures, no_faults, properties, limits, .. } = header;
        let (no_faults, limits) = (*no_faults, *limits);
        Changes { design, defects, scheduler, departures, no_faults, properties, limits }
    }

    /// Gives them to the scenario that was read from the file's text.
    ///
    /// # Errors
    /// The first name that means nothing any more.
    pub fn apply<T: Suite>(&self, scenario: &mut Scenario<T>) -> Result<(), Gone> {
        let gone = |what, name: &str| Gone { what, name: name.to_owned() };
        scenario.design = T::design(self.design).ok_or_else(|| gone("design", self.design))?;
        let planted = self.defects.iter().map(|name| T::defect(name).ok_or_else(|| gone("defect", name)));
        let planted = planted.map(|defect| defect.map(|defect| defect.name.to_owned()));
        scenario.defects = planted.collect::<Result<_, _>>()?;
        if self.no_faults {
            scenario.faults = FaultPlan::NONE;
        }
        if !self.departures.is_empty() {
            let read = self.departures.iter().map(|text| text.parse().map_err(|_| gone("departure", text)));
            scenario.schedule = read.collect::<Result<_, _>>()?;
        }
        if self.scheduler != "departures" {
            let named = SchedulerKind::named(self.scheduler);
            scenario.scheduler = Some(named.ok_or_else(|| gone("scheduler", self.scheduler))?);
            scenario.schedule.clear();
        }
        let known = T::all_properties();
        let is_known = |name: &&String| known.iter().any(|property| property.name() == name.as_str());
        if let Some(name) = self.properties.iter().find(|name| !is_known(name)) {
            return Err(gone("property", name));
        }
        (scenario.properties, scenario.limits) = (self.properties.to_vec(), self.limits);
        Ok(())
    }
}
