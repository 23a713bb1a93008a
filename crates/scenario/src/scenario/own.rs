//! What of a scenario file is up to the system: commands, a workload, records. Read by the system's own serde
//! types, with the place of each mistake.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use super::file::{ClientTable, HowTable};
use super::source::{Source, parse_error_at, unknown_name};
use super::suite::{Stored, Suite, Workload};
use super::{FileError, nearest};
use pellmell_core::event::Command;
use pellmell_core::ids::RecordId;
use pellmell_core::simulation::{Awaited, Client, Sending};

/// The keys of a command that say how it is sent, and not what it is.
const HOW: [&str; 3] = ["waits_for", "until_accepted", "setup"];

type Value<'a> = Spanned<DeValue<'a>>;

/// These tables as they stand in the file.
pub(super) struct Own<'a> {
    /// For each client its commands.
    commands: Vec<Vec<Value<'a>>>,
    workload: Option<Value<'a>>,
    records: Vec<Value<'a>>,
}

impl<'a> Own<'a> {
    pub(super) fn of(table: &DeTable<'a>) -> Own<'a> {
        let tables = |key: &str| table.get(key).and_then(|value| value.get_ref().as_array());
        let commands = |client: &Value<'a>| {
            let commands = client.get_ref().get("commands")?.get_ref().as_array()?;
            Some(commands.iter().cloned().collect())
        };
        let clients = tables("client").into_iter().flat_map(|clients| clients.iter());
        Own {
            commands: clients.map(|client| commands(client).unwrap_or_default()).collect(),
            workload: table.get("workload").cloned(),
            records: tables("record").into_iter().flat_map(|records| records.iter()).cloned().collect(),
        }
    }

    pub(super) fn workload<T: Suite>(&self, source: &Source<'_>) -> Result<Option<T::Workload>, FileError> {
        let Some(value) = &self.workload else { return Ok(None) };
        let workload: T::Workload = read(source, value.clone())?;
        match workload.check() {
            Ok(()) => Ok(Some(workload)),
            Err((key, message)) => {
                let place = value.get_ref().get(key).map_or(value.span(), Spanned::span);
                Err(source.at(place, message))
            }
        }
    }

    pub(super) fn stored<T: Suite>(&self, source: &Source<'_>) -> Result<Vec<Spanned<T::Stored>>, FileError> {
        let one = |value: &Value<'a>| Ok(Spanned::new(value.span(), read(source, value.clone())?));
        self.records.iter().map(one).collect()
    }

    /// The commands of the client at a place, each with where it stands.
    pub(super) fn client<T: Suite>(
        &self,
        source: &Source<'_>,
        (place, table): (usize, &ClientTable),
        services: &[&str],
    ) -> Result<WrittenClient<T>, FileError> {
        let name = table.name.get_ref().clone();
        if name.is_empty() {
            return Err(source.at(table.name.span(), "a client has a name"));
        }
        let user = table.signs_in_as.clone().unwrap_or_else(|| name.clone());
        let user = (!user.is_empty()).then_some(user.as_str());
        let (mut commands, mut places) = (Vec::new(), Vec::new());
        for value in &self.commands[place] {
            let Written { sending, awaited } = match sending::<T>(source, value, user, services) {
                Ok(written) => written,
                Err(error) => {
                    source.stand_in(error)?;
                    continue;
                }
            };
            commands.push(sending);
            places.push(Places { command: value.span(), awaited });
        }
        Ok(WrittenClient { client: Client { name, commands }, places })
    }
}

/// A client, and where its commands stand.
pub(super) struct WrittenClient<T: Suite> {
    pub(super) client: Client<T::Command>,
    pub(super) places: Vec<Places>,
}

/// Where a command stands, and what it waits for.
pub(super) struct Places {
    pub(super) command: Range<usize>,
    pub(super) awaited: Vec<Range<usize>>,
}

/// A command as it is sent, and where stands what it waits for.
struct Written<C> {
    sending: Sending<C>,
    awaited: Vec<Range<usize>>,
}

fn sending<T: Suite>(
    source: &Source<'_>,
    value: &Value<'_>,
    user: Option<&str>,
    services: &[&str],
) -> Result<Written<T::Command>, FileError> {
    let place = value.span();
    let DeValue::Table(mut what) = value.get_ref().clone() else {
        // A command that is no table says by itself how it is written.
        let command: T::Command = read(source, value.clone())?;
        return Ok(Written { sending: Sending::from(command.sent_by(user)), awaited: Vec::new() });
    };
    let how: DeTable<'_> = HOW.iter().filter_map(|key| what.remove_entry(*key)).collect();
    let how: HowTable = read(source, Spanned::new(place.clone(), DeValue::Table(how)))?;
    let keys = what.keys().map(|key| Spanned::new(key.span(), key.get_ref().to_string()));
    let keys: Vec<Spanned<String>> = keys.collect();
    let command = read::<T::Command>(source, Spanned::new(place.clone(), DeValue::Table(what)));
    let command = command.map_err(|error| match known_commands::<T::Command>() {
        Some(known) if keys.len() != 1 => {
            let (commands, others): (Vec<_>, Vec<_>) = keys.iter().partition(|key| known.contains(key.get_ref()));
            if let ([_, ..], [other, ..]) = (&commands[..], &others[..]) {
                return source.unknown(other, "field", &HOW);
            }
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            let error = source.at(place.clone(), "this is not one command");
            error.help(format!("each command has braces of its own, with one of {}", in_words(&known)))
        }
        _ => error,
    })?;
    let command = command.sent_by(user);
    let waits_for = how.waits_for.iter().map(|text| awaited(source, text, command.service(), services));
    let waits_for = waits_for.collect::<Result<_, _>>()?;
    let places = how.waits_for.iter().map(Spanned::span).collect();
    let sending = Sending { command, waits_for, until_accepted: how.until_accepted, setup: how.setup };
    Ok(Written { sending, awaited: places })
}

/// `a, b and c`.
fn in_words(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// What a client waits for: `t1 at orders`, or `t1` where the command goes.
fn awaited(source: &Source<'_>, text: &Spanned<String>, own: &str, services: &[&str]) -> Result<Awaited, FileError> {
    let (record, service) = text.get_ref().split_once(" at ").unwrap_or((text.get_ref(), own));
    if !services.contains(&service) {
        return Err(source.unknown(&Spanned::new(text.span(), service.to_owned()), "service", services));
    }
    let record = record.trim().parse().map_err(|error| {
        let error = source.at(text.span(), format!("`{}` is nothing to wait for: {error}", text.get_ref()));
        error.help("write a record and a service, such as `t1 at orders`")
    })?;
    Ok(Awaited { record, service: service.to_owned() })
}

/// Reads a value by the system's own type.
fn read<V: DeserializeOwned>(source: &Source<'_>, value: Value<'_>) -> Result<V, FileError> {
    let place = value.span();
    V::deserialize(ValueDeserializer::from(value)).map_err(|error| parse_error_at(source, &error, place))
}

/// The names of a system's commands, if they are an enum: it says them when it is asked for none of them.
fn known_commands<C: DeserializeOwned>() -> Option<Vec<String>> {
    let key = Spanned::new(0..0, DeString::from(""));
    let none = DeTable::from_iter([(key, Spanned::new(0..0, DeValue::Table(DeTable::new())))]);
    let value = Spanned::new(0..0, DeValue::Table(none));
    let error = C::deserialize(ValueDeserializer::from(value)).err()?;
    let (_, known) = unknown_name("variant", error.message())?;
    Some(known.into_iter().map(str::to_owned).collect())
}

/// The records that are there from the start or are created, of which each is created once.
pub(super) fn created<T: Suite>(
    source: &Source<'_>,
    stored: &[Spanned<T::Stored>],
    clients: &[WrittenClient<T>],
    workload: Option<&T::Workload>,
) -> Result<BTreeSet<RecordId>, FileError> {
    let mut created: BTreeSet<RecordId> = workload.map(Workload::creates).unwrap_or_default().into_iter().collect();
    let stored = stored.iter().map(|stored| (stored.get_ref().record(), stored.span()));
    let by_commands = clients.iter().flat_map(|written| written.client.commands.iter().zip(&written.places));
    let by_commands =
        by_commands.filter_map(|(sending, places)| Some((sending.command.creates()?, places.command.clone())));
    for (id, span) in stored.chain(by_commands) {
        if !created.insert(id) {
            return Err(source.at(span, format!("`{id}` is created twice")).help("give it another number"));
        }
    }
    Ok(created)
}

/// Checks that commands need and wait for what is created, and go to services that take part.
pub(super) fn check<T: Suite>(
    source: &Source<'_>,
    clients: &[WrittenClient<T>],
    created: &BTreeSet<RecordId>,
    (services, optional): (&[&str], &[&str]),
) -> Result<(), FileError> {
    // Where no command says what it creates, nothing is known to be missing.
    let missing = |id: &RecordId| !created.is_empty() && !created.contains(id);
    for written in clients {
        for (sending, places) in written.client.commands.iter().zip(&written.places) {
            if let Some(id) = sending.command.needs().iter().find(|id| !created.contains(id)) {
                return Err(never_created(source, *id, places.command.clone(), created));
            }
            for (awaited, place) in sending.waits_for.iter().zip(&places.awaited) {
                if missing(&awaited.record) {
                    return Err(never_created(source, awaited.record, place.clone(), created));
                }
            }
            check_service(source, sending.command.service(), places.command.clone(), (services, optional))?;
        }
    }
    Ok(())
}

/// A record that a file names and nothing brings into being.
pub(super) fn never_created(
    source: &Source<'_>,
    id: RecordId,
    place: Range<usize>,
    created: &BTreeSet<RecordId>,
) -> FileError {
    let of_kind = created.iter().filter(|known| known.kind() == id.kind()).take(8);
    let known: Vec<String> = of_kind.map(ToString::to_string).collect();
    let help = match known.is_empty() {
        true => "nothing of this kind is created".to_owned(),
        false => format!("created are {}", known.join(", ")),
    };
    source.at(place, format!("no command creates `{id}`")).help(help)
}

/// Checks that the service a command goes to takes part.
pub(super) fn check_service(
    source: &Source<'_>,
    service: &str,
    place: Range<usize>,
    (services, optional): (&[&str], &[&str]),
) -> Result<(), FileError> {
    if services.contains(&service) {
        return Ok(());
    }
    let error = source.at(place, format!("there is no service `{service}` that could execute the command"));
    Err(match optional.contains(&service) {
        true => error.help(format!("add the line `[services.{service}]`")),
        false => {
            let known = services.iter().chain(optional).copied();
            match nearest(service, known) {
                Some(near) => error.help(format!("`Command::service` names it: did you mean `{near}`?")),
                None => error.help(format!("`Command::service` names it: expected one of {}", services.join(", "))),
            }
        }
    })
}
