//! From the file as it is written to a scenario: what serde cannot check is checked here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::coded::{self, Coded};
use super::departures::{self, Known};
use super::file::{ClientTable, File, ServiceTable};
use super::own::{self, Own, WrittenClient};
use super::source::{Source, Unknown, parse_error, stem};
use super::suite::{Design, Part, Services, Suite, Workload};
use super::{Build, Expectation, FileError, Hostings, Scenario, SchedulerKind, Settings, entry, rules};
use pellmell_core::broker::Profile;
use pellmell_core::event::Command;
use pellmell_core::ids::Subject;
use pellmell_core::run::Limits;
use pellmell_core::schedule::Departure;
use pellmell_core::simulation::Hosting;
use pellmell_core::vacuity::{Allow, ParseAllowError};

pub(super) fn scenario<T: Suite>(file: &str, text: &str) -> Result<Scenario<T>, FileError> {
    read(&Source::of(file, text), &|scenario| scenario.simulation(scenario.seed))
}

/// The same with the unknown names beside it that are left out of it.
pub(super) fn leniently<T: Suite>(
    file: &str,
    text: &str,
    build: &Build<'_, T>,
) -> Result<(Scenario<T>, Unknown), FileError> {
    let source = Source::noting(file, text);
    let scenario = read(&source, build)?;
    Ok((scenario, source.into_noted()))
}

fn read<T: Suite>(source: &Source<'_>, build: &Build<'_, T>) -> Result<Scenario<T>, FileError> {
    let (read, own) = written(source)?;
    if let Some(system) = read.system.as_ref().filter(|system| system.get_ref() != T::NAME) {
        return Err(source.unknown(system, "system", &[T::NAME]));
    }
    let design = design::<T>(source, read.design.as_ref())?;
    let scheduler = scheduler(source, &read)?;
    let workload = own.workload::<T>(source)?;
    check_names(source, &read.client, |name| workload.as_ref().is_some_and(|workload| workload.names(name)))?;
    let (known_services, coded) = services::<T>(source, &read, &design)?;
    let profile = rules::profile(source, &read.broker)?;
    let mut hostings = hostings(source, &read.services, &known_services, &profile)?;
    hostings.coded = coded;
    let services: Vec<&str> = hostings.names().collect();
    let clients = read.client.iter().enumerate().map(|client| own.client::<T>(source, client, &services));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let stored = own.stored::<T>(source)?;
    let mut created = own::created(source, &stored, &clients, workload.as_ref())?;
    let optional: Vec<&str> = known_services.names().filter(|name| !services.contains(name)).collect();
    match source.is_in_parts() {
        // What is missing may create them.
        true => created.clear(),
        false => own::check(source, &clients, &created, (&services, &optional))?,
    }
    if let Some((workload, table)) = workload.as_ref().zip(read.workload.as_ref()) {
        let generated = workload.clients(read.seed);
        for sending in generated.iter().flat_map(|client| &client.commands) {
            own::check_service(source, sending.command.service(), table.span(), (&services, &optional))?;
        }
    }
    let clients: Vec<_> = clients.into_iter().map(|WrittenClient { client, .. }| client).collect();
    let known_properties = T::all_properties();
    let properties: Vec<&str> = known_properties.iter().map(|property| property.name()).collect();
    let allow = allowed(source, &read)?;
    if clients.is_empty() && workload.is_none() {
        let error = source.at(0..0, "the scenario has no clients");
        return Err(error.help("add a [[client]] with commands, or a [workload]"));
    }
    let designs: Vec<&str> = T::designs().iter().map(Design::name).collect();
    let settings = Settings {
        name: stem(source.file()),
        faults: rules::faults(source, &read)?,
        profile,
        on_profile: None,
        defects: defects::<T>(source, &read.defects)?,
        properties: property_names(source, read.properties.as_deref().unwrap_or_default(), &properties)?,
        limits: limits(&read),
        expect: expectations(source, &read.expect, &designs, &properties)?,
        about: read.about.clone(),
        seed: read.seed,
        scheduler,
        schedule: Vec::new(),
        hostings,
        allow,
        entry: None,
        source: source.text().to_owned(),
    };
    let stored = stored.into_iter().map(Spanned::into_inner).collect();
    let mut scenario = Scenario { settings, design, stored, clients, workload };
    let schedule = departures::read(source, &read.schedule)?;
    let names_things = !schedule.is_empty() || read.entry.as_ref().is_some_and(|entry| !entry.trace.is_empty());
    // Whatever keeps it from being put together is told to who plays it.
    let simulation = if names_things { build(&scenario).ok() } else { None };
    let generated = if names_things { scenario.generated(scenario.seed) } else { Vec::new() };
    let departures: Vec<Departure> = schedule.iter().map(|departure| departure.get_ref().clone()).collect();
    let known = Known::of(&scenario, simulation.as_ref(), departures.clone(), &created, &generated);
    departures::check(source, &schedule, &known)?;
    let entry = entry::entry(source, &read, &known, &properties)?;
    drop(known);
    scenario.settings.schedule = departures;
    scenario.settings.entry = entry;
    Ok(scenario)
}

/// The file as it is written, and what of it is up to the system.
fn written<'a>(source: &Source<'a>) -> Result<(File, Own<'a>), FileError> {
    let table = DeTable::parse(source.text()).map_err(|error| parse_error(source, &error))?;
    let own = Own::of(table.get_ref());
    let read = File::deserialize(toml::Deserializer::from(table)).map_err(|error| parse_error(source, &error))?;
    if *read.version.get_ref() != 1 {
        let error = source.at(read.version.span(), format!("unknown format version {}", read.version.get_ref()));
        return Err(error.help("this version of pellmell reads `version = 1`"));
    }
    Ok((read, own))
}

fn scheduler(source: &Source<'_>, read: &File) -> Result<Option<SchedulerKind>, FileError> {
    let Some(name) = &read.scheduler else { return Ok(None) };
    let named = SchedulerKind::named(name.get_ref());
    if named.is_none() {
        source.stand_in(source.unknown(name, "scheduler", &SchedulerKind::NAMES))?;
    }
    Ok(named)
}

fn allowed(source: &Source<'_>, read: &File) -> Result<Vec<Allow>, FileError> {
    let one = |text: &Spanned<String>| {
        text.get_ref().parse().map_err(|error: ParseAllowError| source.at(text.span(), error.to_string()))
    };
    read.allow.iter().map(one).collect()
}

fn limits(read: &File) -> Limits {
    let (limits, usual) = (&read.limits, Limits::default());
    Limits {
        steps_max: limits.steps.unwrap_or(usual.steps_max),
        messages_max: limits.messages.unwrap_or(usual.messages_max),
        in_flight_max: limits.in_flight.unwrap_or(usual.in_flight_max),
    }
}

/// The subjects a scenario can speak of: those that a service listens to under some design.
pub(super) fn subjects<T: Suite>() -> Vec<String> {
    let services = T::designs().into_iter().flat_map(|design| T::services(&design).parts);
    let mut subjects: Vec<String> = Vec::new();
    for part in services {
        for subject in part.service.subjects() {
            if subjects.iter().all(|known| known != subject.name()) {
                subjects.push(subject.name().to_owned());
            }
        }
    }
    subjects
}

fn design<T: Suite>(source: &Source<'_>, name: Option<&Spanned<String>>) -> Result<T::Design, FileError> {
    let Some(name) = name else { return Ok(T::usual()) };
    let designs = T::designs();
    let known: Vec<&str> = designs.iter().map(Design::name).collect();
    match T::design(name.get_ref()) {
        Some(design) => Ok(design),
        None => source.stand_in(source.unknown(name, "design", &known)).map(|()| T::usual()),
    }
}

fn defects<T: Suite>(source: &Source<'_>, names: &[Spanned<String>]) -> Result<Vec<String>, FileError> {
    let defects = T::defects();
    let known: Vec<&str> = defects.iter().map(|defect| defect.name).collect();
    let find = |name: &Spanned<String>| match T::defect(name.get_ref()) {
        Some(defect) => Ok(Some(defect.name.to_owned())),
        None => source.stand_in(source.unknown(name, "defect", &known)).map(|()| None),
    };
    names.iter().filter_map(|name| find(name).transpose()).collect()
}

/// The services of a design, and those that are processes because the file says so.
#[expect(clippy::type_complexity, reason = "two lists that come of one")]
fn services<T: Suite>(
    source: &Source<'_>,
    read: &File,
    design: &T::Design,
) -> Result<(Services<T>, Vec<(String, Arc<Coded>)>), FileError> {
    let mut services = T::services(design);
    let known: Vec<String> = services.names().map(str::to_owned).collect();
    let mut all = Vec::new();
    for (name, coded) in coded::read(source, &read.services, &read.messages, !read.record.is_empty())? {
        if !T::OF_PROCESSES && !known.contains(name.get_ref()) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(source.unknown(&name, "service", &known));
        }
        let service = T::coded(design, name.get_ref(), &coded);
        let command = read.services.get(&name).and_then(|table| table.command.as_ref());
        let place = command.map_or_else(|| name.span(), Spanned::span);
        services.put(service.map_err(|message| source.at(place, message))?);
        all.push((name.into_inner(), coded));
    }
    if let Some((subjects, _)) = read.messages.first_key_value().filter(|_| !T::OF_PROCESSES) {
        let error = source.at(subjects.span(), "this system knows what its messages are about");
        return Err(error.help("leave the table [messages] out"));
    }
    Ok((services, all))
}

fn hostings<T: Suite>(
    source: &Source<'_>,
    tables: &BTreeMap<Spanned<String>, ServiceTable>,
    services: &Services<T>,
    profile: &Profile,
) -> Result<Hostings, FileError> {
    let known: Vec<&str> = services.names().collect();
    for name in tables.keys().filter(|name| !known.contains(&name.get_ref().as_str())) {
        source.leave_out(source.unknown(name, "service", &known))?;
    }
    let mut hostings = Hostings::default();
    for part in &services.parts {
        let name = part.service.name();
        let table = tables.get(name);
        if table.is_some() || !part.is_optional {
            let hosting = match table {
                Some(table) => hosting(source, table, part, profile)?,
                None => part.hosting.clone(),
            };
            hostings.push(name, hosting);
        }
    }
    Ok(hostings)
}

fn hosting<T: Suite>(
    source: &Source<'_>,
    table: &ServiceTable,
    part: &Part<T>,
    profile: &Profile,
) -> Result<Hosting, FileError> {
    let usual = &part.hosting;
    let members = match &table.members {
        Some(members) if !(1..=1_000).contains(members.get_ref()) => {
            return Err(source.at(members.span(), "a service has from 1 to 1000 members"));
        }
        Some(members) => *members.get_ref(),
        None => usual.members,
    };
    let dead_letters = table.dead_letters.as_ref().map(|subject| dead_letters(source, subject, part, profile));
    let takes = table.takes.as_ref().map(|takes| match part.service.subjects() {
        [] => {
            let message = format!("`{}` listens to nothing, so it handles no delivery", part.service.name());
            Err(source.at(takes.span(), message).help("`takes` is how long its handlers work for each delivery"))
        }
        _ => Ok(takes.get_ref().0),
    });
    let (overlapping, joins_late) = (table.overlapping, table.joins_late);
    Ok(Hosting {
        dead_letters: dead_letters.transpose()?.or(usual.dead_letters),
        members,
        overlapping: overlapping.unwrap_or(usual.overlapping),
        joins_late: joins_late.unwrap_or(usual.joins_late),
        takes: takes.transpose()?.or(usual.takes),
        ..usual.clone()
    })
}

/// The subject that a service's dead letters go to.
fn dead_letters<T: Suite>(
    source: &Source<'_>,
    subject: &Spanned<String>,
    part: &Part<T>,
    profile: &Profile,
) -> Result<Subject, FileError> {
    let (place, name) = (subject.span(), subject.get_ref());
    if !coded::is_subject(name) {
        return Err(coded::no_subject(source, subject));
    }
    if part.service.subjects().is_empty() {
        return Err(source.at(place, format!("`{}` listens to nothing, so nothing of it dies", part.service.name())));
    }
    profile.dead_letters().map_err(|reason| source.at(place, reason).help("see docs/broker.md, Dead letters"))?;
    Ok(Subject::named(name))
}

fn property_names(source: &Source<'_>, names: &[Spanned<String>], known: &[&str]) -> Result<Vec<String>, FileError> {
    let check = |name: &Spanned<String>| match known.contains(&name.get_ref().as_str()) {
        true => Ok(Some(name.get_ref().clone())),
        false => source.stand_in(source.unknown(name, "property", known)).map(|()| None),
    };
    names.iter().filter_map(|name| check(name).transpose()).collect()
}

fn expectations(
    source: &Source<'_>,
    table: &BTreeMap<String, Spanned<String>>,
    designs: &[&str],
    properties: &[&str],
) -> Result<BTreeMap<String, Expectation>, FileError> {
    let mut expectations = BTreeMap::new();
    for (design, verdict) in table {
        if !designs.contains(&design.as_str()) {
            let named = Spanned::new(verdict.span(), design.clone());
            source.stand_in(source.unknown(&named, "design", designs))?;
        }
        expectations.insert(design.clone(), expectation(source, verdict, properties)?);
    }
    Ok(expectations)
}

pub(super) fn expectation(
    source: &Source<'_>,
    verdict: &Spanned<String>,
    properties: &[&str],
) -> Result<Expectation, FileError> {
    match verdict.get_ref().split_once(' ') {
        None if verdict.get_ref() == "held" => Ok(Expectation::Held),
        Some(("violated", property)) if properties.contains(&property) => {
            Ok(Expectation::Violated(property.to_owned()))
        }
        Some(("violated", property)) => {
            let named = Spanned::new(verdict.span(), property.to_owned());
            source.stand_in(source.unknown(&named, "property", properties))?;
            Ok(Expectation::Violated(property.to_owned()))
        }
        _ => {
            let error = source.at(verdict.span(), "this is no verdict");
            Err(error.help("write \"held\" or \"violated PROPERTY\""))
        }
    }
}

/// Refuses a name that two clients have: departures and steps could not tell them apart.
fn check_names(
    source: &Source<'_>,
    clients: &[ClientTable],
    is_generated: impl Fn(&str) -> bool,
) -> Result<(), FileError> {
    let mut names = BTreeSet::new();
    for name in clients.iter().map(|client| &client.name) {
        let by = if is_generated(name.get_ref()) {
            "the workload has a client"
        } else if !names.insert(name.get_ref()) {
            "another client is"
        } else {
            continue;
        };
        let error = source.at(name.span(), format!("{by} named `{}`", name.get_ref()));
        return Err(error.help("give this one another name: departures and steps name clients"));
    }
    Ok(())
}
