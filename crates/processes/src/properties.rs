//! Properties of records of which nothing is known but what services say of them.

use std::collections::BTreeMap;

use crate::documents::{Document, kinds, of_kind};
use crate::suite::Processes;
use pellmell_core::ids::RecordId;
use pellmell_core::property::{Moment, Property, View, Violation, Watch};
use pellmell_core::simulation::Simulation;
use pellmell_core::store::{Store, Versioned};
use serde_json::Value;

/// Whenever nothing is under way, each service that keeps copies of records which another one owns has all of them, in
/// the same version, and with the same values in the fields that both have.
#[derive(Clone, Copy, Debug)]
pub struct Converged;

impl Property<Processes> for Converged {
    fn name(&self) -> &str {
        "Converged"
    }

    fn about(&self) -> &'static str {
        "whenever nothing is under way, each copy of a record is what its owner has"
    }

    fn without_occasion(&self, simulation: &Simulation<Processes>) -> Option<String> {
        let world = simulation.world();
        let stores: Vec<&Store> = simulation.service_names().map(|name| world.store_of(name)).collect();
        let is_copied = |kind: char| {
            let owns = |store: &&Store| of_kind!(kind, K => store.owns::<Document<K>>(), else false);
            let has = |store: &&Store| of_kind!(kind, K => store.has::<Document<K>>(), else false);
            stores.iter().copied().any(|store| owns(&store)) && stores.iter().copied().filter(has).count() > 1
        };
        let is_compared = kinds().any(is_copied);
        (!is_compared).then(|| "no service keeps copies of what another one owns".to_owned())
    }

    fn at_quiescence(&self, moment: &Moment<'_, Processes>) -> Result<(), Violation> {
        let names: Vec<&'static str> = moment.simulation().service_names().collect();
        kinds().try_for_each(|kind| of_kind!(kind, K => compare::<K>(moment, &names), else Ok(())))
    }
}

fn compare<const KIND: char>(moment: &Moment<'_, Processes>, names: &[&'static str]) -> Result<(), Violation> {
    let stores = names.iter().map(|name| (*name, moment.store_of(name)));
    let stores: Vec<(&str, &Store)> = stores.filter(|(_, store)| store.has::<Document<KIND>>()).collect();
    let Some((owner, _)) = stores.iter().find(|(_, store)| store.owns::<Document<KIND>>()) else { return Ok(()) };
    let mut copies = stores.iter().filter(|(name, _)| name != owner);
    copies.try_for_each(|(copies, _)| moment.judge_copies(owner, copies, difference::<KIND>))
}

/// How a copy differs from what its owner has, if it does.
fn difference<const KIND: char>(
    own: &Versioned<Document<KIND>>,
    copy: Option<&Versioned<Document<KIND>>>,
) -> Option<String> {
    let shown = |row: &Versioned<Document<KIND>>| format!("version {} {:?}", row.version, row.value);
    let Some(copy) = copy else { return Some(format!("expected {}, found no copy", shown(own))) };
    let same = match (own.value.0.value(), copy.value.0.value()) {
        (Value::Object(own), Value::Object(copy)) => {
            own.iter().all(|(field, value)| copy.get(field).is_none_or(|other| other == value))
        }
        (own, copy) => own == copy,
    };
    let is_right = same && own.version == copy.version;
    (!is_right).then(|| format!("expected {}, found {}", shown(own), shown(copy)))
}

/// No save gives a record a lower version than it had.
#[derive(Clone, Copy, Debug)]
pub struct VersionsNeverFall;

impl Property<Processes> for VersionsNeverFall {
    fn name(&self) -> &str {
        "VersionsNeverFall"
    }

    fn about(&self) -> &'static str {
        "no save gives a record a lower version than it had"
    }

    fn watches(&self) -> Watch {
        Watch::SAVES
    }

    fn on_step(&self, view: &View<'_, Processes>) -> Result<(), Violation> {
        kinds().try_for_each(|kind| of_kind!(kind, K => fell::<K>(view), else Ok(())))
    }
}

fn fell<const KIND: char>(view: &View<'_, Processes>) -> Result<(), Violation> {
    for change in view.changes::<Document<KIND>>() {
        if let (Some(before), Some(after)) = (change.before, change.after)
            && after.version < before.version
        {
            let why = format!("saved in version {}, and it was in version {}", after.version, before.version);
            return Err(Violation::at(view.service()).of(change.id).because(why));
        }
    }
    Ok(())
}

/// What services do outside of their state they do once for each record.
#[derive(Clone, Copy, Debug)]
pub struct DoneOnce;

impl Property<Processes> for DoneOnce {
    fn name(&self) -> &str {
        "DoneOnce"
    }

    fn about(&self) -> &'static str {
        "what is done outside of the services is done at most once for each record"
    }

    fn watches(&self) -> Watch {
        Watch::OUTSIDE
    }

    fn on_step(&self, view: &View<'_, Processes>) -> Result<(), Violation> {
        let mut times: BTreeMap<(&str, RecordId), u32> = BTreeMap::new();
        for outside in view.outside() {
            let count = times.entry((outside.name(), outside.record())).or_default();
            *count += 1;
            if *count > 1 {
                let why = format!("`{}` was done more than once", outside.name());
                return Err(Violation::at(view.service()).of(outside.record()).because(why));
            }
        }
        Ok(())
    }
}
