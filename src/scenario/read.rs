//! From the file as it is written to a scenario: what serde cannot check is checked here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::departures::{self, Known};
use super::entry;
use super::file::{
    BrokerTable, ClientTable, CommandTable, DispatchWord, ExhaustedWord, File, OrderingWord, RecordTable,
    RedeliverWord, ScopeWord, ServiceTable, ServicesTable, StaleWord, WhatTable, WorkloadTable,
};
use super::{Expectation, FileError, Scenario, SchedulerKind, nearest};
use crate::broker::{Dispatch, Exhausted, MaxDeliver, Ordering, Profile, RedeliverAt, Scope, Stale};
use crate::event::Command;
use crate::faults::{FaultPlan, Rate};
use crate::ids::RecordId;
use crate::prng::Ratio;
use crate::run::Limits;
use crate::simulation::{Awaited, Client, Hosting, Sending};
use crate::ticketing::{Defect, Design, Hostings, Request, StoredTicket, What, Workload, properties};
use crate::vacuity::ParseAllowError;
use toml::Spanned;

/// The most records a generated workload may have of one kind.
const RECORDS_MAX: u64 = 1_000_000;

/// Makes errors that point into the file.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn of(file: &'a str, text: &'a str) -> Source<'a> {
        Source { file, text }
    }

    pub(super) fn text(&self) -> &str {
        self.text
    }

    pub(super) fn at(&self, span: Range<usize>, message: impl Into<String>) -> FileError {
        FileError::new(self.file, self.text, span, message)
    }

    /// A name that is none of the known ones.
    pub(super) fn unknown(&self, name: &Spanned<String>, what: &str, known: &[&str]) -> FileError {
        let written: String = name.get_ref().chars().take(40).collect();
        let error = self.at(name.span(), format!("unknown {what} `{written}`")).about_a_name();
        match nearest(&written, known.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`? Known are {}", known.join(", "))),
            None => error.help(format!("expected one of {}", known.join(", "))),
        }
    }
}

pub(super) fn scenario(file: &str, text: &str) -> Result<Scenario, FileError> {
    let source = Source { file, text };
    let read: File = toml::from_str(text).map_err(|error| parse_error(&source, &error))?;
    if *read.version.get_ref() != 1 {
        let error = source.at(read.version.span(), format!("unknown format version {}", read.version.get_ref()));
        return Err(error.help("this version of pellmell reads `version = 1`"));
    }
    let design = design(&source, read.design.as_ref())?;
    let known = |name: &Spanned<String>| {
        let unknown = || source.unknown(name, "scheduler", &SchedulerKind::NAMES);
        SchedulerKind::named(name.get_ref()).ok_or_else(unknown)
    };
    let scheduler = read.scheduler.as_ref().map(known).transpose()?;
    let workload = read.workload.as_ref().map(|table| self::workload(&source, table)).transpose()?;
    check_names(&source, &read.client, workload.as_ref())?;
    let hostings = hostings(&source, &read.services)?;
    let services = hostings.named().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let clients = read.client.iter().map(|client| self::client(&source, client, &services));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let made = check_records(&source, &read, workload.as_ref())?;
    check_payments(&source, &read, &hostings)?;
    let names_things = !read.schedule.is_empty() || read.entry.as_ref().is_some_and(|entry| !entry.trace.is_empty());
    let generated = workload.as_ref().filter(|_| names_things).map(|workload| workload.clients(read.seed));
    let known = Known {
        records: &made,
        services: &hostings.named(),
        written: &clients,
        generated: &generated.unwrap_or_default(),
    };
    let schedule = departures::read(&source, &read.schedule)?;
    departures::check(&source, &schedule, &known)?;
    let entry = entry::entry(&source, &read, &known)?;
    let allow = read
        .allow
        .iter()
        .map(|text| text.get_ref().parse().map_err(|error: ParseAllowError| source.at(text.span(), error.to_string())));
    let allow = allow.collect::<Result<_, _>>()?;
    if clients.is_empty() && workload.is_none() {
        let error = source.at(0..0, "the scenario has no clients");
        return Err(error.help("add a [[client]] with commands, or a [workload]"));
    }
    let faults = faults(&source, &read)?;
    let limits = Limits::default();
    Ok(Scenario {
        name: stem(file),
        about: read.about,
        seed: read.seed,
        design,
        profile: profile(&source, &read.broker)?,
        scheduler,
        schedule: schedule.into_iter().map(Spanned::into_inner).collect(),
        faults,
        defects: defects(&source, &read.defects)?,
        hostings,
        stored: read.record.iter().map(|table| stored(table.get_ref())).collect(),
        clients,
        workload,
        properties: property_names(&source, read.properties.as_deref().unwrap_or_default())?,
        limits: Limits {
            steps_max: read.limits.steps.unwrap_or(limits.steps_max),
            messages_max: read.limits.messages.unwrap_or(limits.messages_max),
            in_flight_max: read.limits.in_flight.unwrap_or(limits.in_flight_max),
        },
        allow,
        expect: expectations(&source, &read.expect)?,
        entry,
        source: text.to_owned(),
    })
}

/// The file's name without folder and ending.
fn stem(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(".toml").unwrap_or(name).to_owned()
}

fn parse_error(source: &Source<'_>, error: &toml::de::Error) -> FileError {
    let message = error.message().lines().collect::<Vec<_>>().join(": ");
    let place = source.at(error.span().unwrap_or(0..0), message);
    if source.text.trim().is_empty() {
        return place.help("the file is empty: a scenario begins with `version = 1`");
    }
    let other = OTHER_KEYS.iter().find(|(key, _)| error.message().starts_with(&format!("unknown field `{key}`")));
    place.help(other.map_or("see docs/scenarios.md for what a scenario file may say", |(_, help)| help))
}

/// Keys that one may expect of a broker, and what to write instead.
const OTHER_KEYS: [(&str, &str); 7] = [
    ("ack_timeout", "write `ack_wait`"),
    ("ack", "each message is acked alone; cumulative acks are not simulated yet: see docs/broker.md"),
    ("dedup_window", "a publisher's retry is not simulated yet, so there is nothing to recognise: see docs/broker.md"),
    ("release_on", "write `release_on_crash`; other events of a member are not simulated yet: see docs/broker.md"),
    ("release_on_close", "members do not close their subscription: not simulated yet, see docs/broker.md"),
    ("release_on_reconnect", "members do not reconnect: not simulated yet, see docs/broker.md"),
    ("release_on_claim", "members do not claim: not simulated yet, see docs/broker.md"),
];

fn design(source: &Source<'_>, name: Option<&Spanned<String>>) -> Result<Design, FileError> {
    let Some(name) = name else { return Ok(Design::REFERENCE) };
    Design::named(name.get_ref()).ok_or_else(|| source.unknown(name, "design", &Design::ALL.map(|design| design.name)))
}

fn defects(source: &Source<'_>, names: &[Spanned<String>]) -> Result<Vec<Defect>, FileError> {
    let known: Vec<&str> = Defect::ALL.iter().map(|defect| defect.name).collect();
    let find =
        |name: &Spanned<String>| Defect::named(name.get_ref()).ok_or_else(|| source.unknown(name, "defect", &known));
    names.iter().map(find).collect()
}

fn profile(source: &Source<'_>, table: &BrokerTable) -> Result<Profile, FileError> {
    let mut profile = match &table.profile {
        None => Profile::adversarial(),
        Some(name) => Profile::named(name.get_ref()).ok_or_else(|| source.unknown(name, "profile", &Profile::NAMES))?,
    };
    if let Some(partitions) = &table.partitions
        && (*partitions.get_ref() == 0 || !matches!(table.ordering, Some(OrderingWord::Key)))
    {
        let error = source.at(partitions.span(), "partitions go with `ordering = \"key\"` and are at least 1");
        return Err(error.help("leave `partitions` out to give each record its own"));
    }
    match table.ordering {
        None => {}
        Some(OrderingWord::None) => profile.ordering = Ordering::None,
        Some(OrderingWord::Log) => profile.ordering = Ordering::Log,
        Some(OrderingWord::Key) => {
            profile.ordering = Ordering::Key { partitions: table.partitions.as_ref().map(|n| *n.get_ref()) };
        }
    }
    if let Some(window) = &table.reorder_window {
        if profile.ordering == Ordering::None {
            let error = source.at(window.span(), "`reorder_window` has no effect where `ordering` is none");
            return Err(error.help("leave it out, or say `ordering = \"log\"` or `\"key\"`"));
        }
        profile.reorder_window = window.get_ref().0;
    }
    if let Some(word) = &table.dispatch {
        profile.dispatch = match word.get_ref() {
            DispatchWord::Competing => Dispatch::Competing,
            DispatchWord::Exclusive => Dispatch::Exclusive,
            DispatchWord::BlockWhileInFlight => Dispatch::BlockWhileInFlight { batch: 1 },
        };
        is_simulated(source, word.span(), &profile)?;
    }
    if let Some(limit) = &table.max_in_flight {
        profile.max_in_flight.limit = limit.get_ref().0;
        is_simulated(source, limit.span(), &profile)?;
    }
    match table.max_in_flight_of {
        None => {}
        Some(ScopeWord::Member) => profile.max_in_flight.scope = Scope::Member,
        Some(ScopeWord::Group) => profile.max_in_flight.scope = Scope::Group,
    }
    acks(source, table, &mut profile)?;
    Ok(profile)
}

fn acks(source: &Source<'_>, table: &BrokerTable, profile: &mut Profile) -> Result<(), FileError> {
    match table.stale_acks {
        None => {}
        Some(StaleWord::Accept) => profile.ack.stale = Stale::Accept,
        Some(StaleWord::Reject) => profile.ack.stale = Stale::Reject,
    }
    if let Some(waits) = &table.ack_wait {
        profile.ack_wait = waits.iter().map(|wait| wait.0).collect();
    }
    if let Some(word) = &table.redeliver_at {
        profile.redeliver_at = match word.get_ref() {
            RedeliverWord::Front => RedeliverAt::Front,
            RedeliverWord::Original => RedeliverAt::Original,
            RedeliverWord::Back => RedeliverAt::Back,
            RedeliverWord::Any => RedeliverAt::Any,
            RedeliverWord::Rewind => RedeliverAt::Rewind,
        };
        is_simulated(source, word.span(), profile)?;
    }
    profile.naks = table.nak.unwrap_or(profile.naks);
    if let Some(release) = table.release_on_crash {
        profile.release_on.crash = release;
    }
    if let (None, Some(action)) = (&table.max_deliver, &table.when_exhausted) {
        return Err(source.at(action.span(), "`when_exhausted` goes with `max_deliver`"));
    }
    if let Some(times) = &table.max_deliver {
        let action = match table.when_exhausted.as_ref().map(Spanned::get_ref) {
            None | Some(ExhaustedWord::DeadLetter) => Exhausted::DeadLetter,
            Some(ExhaustedWord::Drop) => Exhausted::Drop,
            Some(ExhaustedWord::Park) => Exhausted::Park,
        };
        profile.max_deliver = MaxDeliver::Times { times: *times.get_ref(), action };
        let place = table.when_exhausted.as_ref().filter(|_| *times.get_ref() > 0);
        is_simulated(source, place.map_or(times.span(), Spanned::span), profile)?;
    }
    Ok(())
}

/// Whether the simulation can do what the profile says, now that the value at a place is in it.
fn is_simulated(source: &Source<'_>, place: Range<usize>, profile: &Profile) -> Result<(), FileError> {
    profile.supported().map_err(|error| source.at(place, error.to_string()).help("see docs/broker.md"))
}

fn faults(source: &Source<'_>, read: &File) -> Result<FaultPlan, FileError> {
    let Some(table) = &read.faults else { return Ok(FaultPlan::NONE) };
    if !read.schedule.is_empty() {
        let error = source.at(table.span(), "faults have no effect beside a `schedule`");
        return Err(error.help("leave one of them out: a schedule says itself what goes wrong"));
    }
    let table = table.get_ref();
    let rate = |ratio: Option<Ratio>, most: Option<&Spanned<u32>>| match (ratio, most) {
        (None, Some(most)) => Err(source.at(most.span(), "a number of times needs a probability beside it")),
        (None, None) => Ok(Rate::NEVER),
        (Some(ratio), most) => Ok(Rate { ratio, most: most.map_or(u32::MAX, |most| *most.get_ref()) }),
    };
    Ok(FaultPlan {
        lose_ack: rate(table.lose_ack, table.lose_ack_most.as_ref())?,
        delay_ack: rate(table.delay_ack, table.delay_ack_most.as_ref())?,
        duplicate: rate(table.duplicate, table.duplicate_most.as_ref())?,
        crash: rate(table.crash, table.crash_most.as_ref())?,
        pause: rate(table.pause, table.pause_most.as_ref())?,
        lose_message: rate(table.lose_message, table.lose_message_most.as_ref())?,
        attempts_max: table.attempts.unwrap_or(FaultPlan::NONE.attempts_max),
        swarm: table.swarm.unwrap_or(true),
    })
}

fn hostings(source: &Source<'_>, table: &ServicesTable) -> Result<Hostings, FileError> {
    let one = |table: &ServiceTable| hosting(source, table);
    let or_alone = |table: Option<&ServiceTable>| table.map_or(Ok(Hosting::ALONE), one);
    Ok(Hostings {
        tickets: or_alone(table.tickets.as_ref())?,
        orders: or_alone(table.orders.as_ref())?,
        expiration: table.expiration.as_ref().map(one).transpose()?,
        payments: table.payments.as_ref().map(one).transpose()?,
    })
}

fn hosting(source: &Source<'_>, table: &ServiceTable) -> Result<Hosting, FileError> {
    let members = match &table.members {
        Some(members) if !(1..=1_000).contains(members.get_ref()) => {
            return Err(source.at(members.span(), "a service has from 1 to 1000 members"));
        }
        Some(members) => *members.get_ref(),
        None => 1,
    };
    Ok(Hosting { members, overlapping: table.overlapping, joins_late: table.joins_late, ..Hosting::ALONE })
}

fn property_names(source: &Source<'_>, names: &[Spanned<String>]) -> Result<Vec<String>, FileError> {
    let known = properties::names();
    let check = |name: &Spanned<String>| match known.contains(&name.get_ref().as_str()) {
        true => Ok(name.get_ref().clone()),
        false => Err(source.unknown(name, "property", &known)),
    };
    names.iter().map(check).collect()
}

fn expectations(
    source: &Source<'_>,
    table: &BTreeMap<String, Spanned<String>>,
) -> Result<BTreeMap<String, Expectation>, FileError> {
    let mut expectations = BTreeMap::new();
    for (design, verdict) in table {
        let known = Design::ALL.map(|design| design.name);
        if !known.contains(&design.as_str()) {
            let named = Spanned::new(verdict.span(), design.clone());
            return Err(source.unknown(&named, "design", &known));
        }
        let expected = expectation(source, verdict)?;
        expectations.insert(design.clone(), expected);
    }
    Ok(expectations)
}

pub(super) fn expectation(source: &Source<'_>, verdict: &Spanned<String>) -> Result<Expectation, FileError> {
    match verdict.get_ref().split_once(' ') {
        None if verdict.get_ref() == "held" => Ok(Expectation::Held),
        Some(("violated", property)) if properties::names().contains(&property) => {
            Ok(Expectation::Violated(property.to_owned()))
        }
        Some(("violated", property)) => {
            let named = Spanned::new(verdict.span(), property.to_owned());
            Err(source.unknown(&named, "property", &properties::names()))
        }
        _ => {
            let error = source.at(verdict.span(), "this is no verdict");
            Err(error.help("write \"held\" or \"violated PROPERTY\""))
        }
    }
}

fn workload(source: &Source<'_>, table: &Spanned<WorkloadTable>) -> Result<Workload, FileError> {
    let WorkloadTable { tickets, prices, edits, buyers, orders, cancels, pays } = table.get_ref();
    let refuse = |at: &Spanned<u32>, message: &str| Err(source.at(at.span(), message));
    if prices.get_ref().is_empty() {
        let message = "a workload needs at least one price, for example `prices = [5, 10, 15]`";
        return Err(source.at(prices.span(), message));
    }
    if *cancels.get_ref() > 4 {
        return refuse(cancels, "at most 4 of 4 orders can be cancelled: `cancels` is from 0 to 4");
    }
    if *pays.get_ref() > 4 {
        return refuse(pays, "at most 4 of 4 orders can be paid: `pays` is from 0 to 4");
    }
    if *tickets.get_ref() == 0 {
        return refuse(tickets, "a workload has at least 1 ticket");
    }
    // Each by itself as well: a product with 0 says nothing of the other factor.
    for (factor, what) in [(tickets, "tickets"), (buyers, "buyers"), (orders, "orders")] {
        if u64::from(*factor.get_ref()) > RECORDS_MAX {
            return refuse(factor, &format!("a workload has at most {RECORDS_MAX} {what}"));
        }
    }
    if u64::from(*buyers.get_ref()) * u64::from(*orders.get_ref()) > RECORDS_MAX {
        return refuse(
            orders,
            &format!("a workload has at most {RECORDS_MAX} orders: {} buyers make more", buyers.get_ref()),
        );
    }
    let of_one = prices.get_ref().len() as u64 + u64::from(*edits.get_ref());
    if u64::from(*tickets.get_ref()) * of_one > 4 * RECORDS_MAX {
        let at = if *edits.get_ref() > 0 { edits.span() } else { tickets.span() };
        return Err(source.at(at, format!("a workload has at most {} commands of sellers", 4 * RECORDS_MAX)));
    }
    Ok(Workload {
        tickets: *tickets.get_ref(),
        prices: prices.get_ref().clone(),
        edits: *edits.get_ref(),
        buyers: *buyers.get_ref(),
        orders: *orders.get_ref(),
        cancels: *cancels.get_ref(),
        pays: *pays.get_ref(),
    })
}

fn client(source: &Source<'_>, table: &ClientTable, services: &[&str]) -> Result<Client<Request>, FileError> {
    let name = table.name.get_ref().clone();
    if name.is_empty() {
        return Err(source.at(table.name.span(), "a client has a name"));
    }
    let user = table.signs_in_as.clone().unwrap_or_else(|| name.clone());
    let user: Option<Arc<str>> = (!user.is_empty()).then(|| user.as_str().into());
    let commands = table.commands.iter().map(|command| {
        let CommandTable { waits_for, until_accepted, setup, .. } = command.get_ref();
        let what = command.get_ref().what().ok_or_else(|| {
            let error = source.at(command.span(), "this is not one command");
            error.help(
                "each command has braces of its own, with one of `create_ticket`, `edit_ticket`, `show_ticket`, \
                 `create_order`, `show_order`, `cancel_order` and `pay`",
            )
        })?;
        let command = Request { user: user.clone(), what: self::what(what) };
        let waits_for = waits_for.iter().map(|text| awaited(source, text, command.service(), services));
        let waits_for = waits_for.collect::<Result<_, _>>()?;
        Ok(Sending { command, waits_for, until_accepted: *until_accepted, setup: *setup })
    });
    Ok(Client { name, commands: commands.collect::<Result<_, FileError>>()? })
}

/// Refuses a name that two clients have: departures and steps could not tell them apart.
fn check_names(source: &Source<'_>, clients: &[ClientTable], workload: Option<&Workload>) -> Result<(), FileError> {
    let mut names = BTreeSet::new();
    for name in clients.iter().map(|client| &client.name) {
        let by = if workload.is_some_and(|workload| workload.names(name.get_ref())) {
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

fn stored(table: &RecordTable) -> StoredTicket {
    let RecordTable { ticket, title, price, seller, replica } = table;
    let (title, seller) = (title.as_str().into(), seller.as_str().into());
    StoredTicket { ticket: *ticket, title, price: *price, seller, replica: *replica }
}

fn what(what: WhatTable) -> What {
    match what {
        WhatTable::CreateTicket(c) => {
            What::CreateTicket { ticket: c.ticket, title: c.title.as_str().into(), price: c.price }
        }
        WhatTable::EditTicket(c) => {
            What::EditTicket { ticket: c.ticket, title: c.title.map(|title| title.as_str().into()), price: c.price }
        }
        WhatTable::ShowTicket(c) => What::ShowTicket { ticket: c.ticket },
        WhatTable::CreateOrder(c) => What::CreateOrder { order: c.order, ticket: c.ticket },
        WhatTable::ShowOrder(c) => What::ShowOrder { order: c.order },
        WhatTable::CancelOrder(c) => What::CancelOrder { order: c.order },
        WhatTable::Pay(c) => What::Pay { payment: c.payment, order: c.order, token: c.token.as_str().into() },
    }
}

/// The records that are there from the start or made by commands, checked to be made once.
fn made(source: &Source<'_>, read: &File, workload: Option<&Workload>) -> Result<BTreeSet<RecordId>, FileError> {
    let generated = workload.into_iter().flat_map(|workload| {
        let orders = 1..=workload.buyers * workload.orders;
        let tickets = (1..=workload.tickets).map(|number| RecordId::new('t', number));
        let paid = orders.clone().filter(|_| workload.pays > 0).map(|number| RecordId::new('p', number));
        tickets.chain(orders.map(|number| RecordId::new('o', number))).chain(paid)
    });
    let mut made: BTreeSet<RecordId> = generated.collect();
    let stored = read.record.iter().map(|table| (table.get_ref().ticket, table.span()));
    let commands = read.client.iter().flat_map(|client| &client.commands);
    let created = commands.filter_map(|command| match command.get_ref().what()? {
        WhatTable::CreateTicket(c) => Some((c.ticket, command.span())),
        WhatTable::CreateOrder(c) => Some((c.order, command.span())),
        WhatTable::Pay(c) => Some((c.payment, command.span())),
        _ => None,
    });
    for (id, span) in stored.chain(created) {
        if !made.insert(id) {
            return Err(source.at(span, format!("`{id}` is created twice")).help("give it another number"));
        }
    }
    Ok(made)
}

/// Checks that commands name what is made, and tells that.
fn check_records(
    source: &Source<'_>,
    read: &File,
    workload: Option<&Workload>,
) -> Result<BTreeSet<RecordId>, FileError> {
    let made = made(source, read, workload)?;
    let missing = |id: RecordId, span| {
        source.at(span, format!("no command creates `{id}`")).help(known_records(&made, id.kind()))
    };
    for table in &read.record {
        check_kind(source, (table.get_ref().ticket, 't'), table.span())?;
    }
    for command in read.client.iter().flat_map(|client| &client.commands) {
        let named: &[(RecordId, char)] = match command.get_ref().what() {
            Some(WhatTable::CreateTicket(c)) => &[(c.ticket, 't')],
            Some(WhatTable::EditTicket(c)) => &[(c.ticket, 't')],
            Some(WhatTable::ShowTicket(c)) => &[(c.ticket, 't')],
            Some(WhatTable::CreateOrder(c)) => &[(c.order, 'o'), (c.ticket, 't')],
            Some(WhatTable::ShowOrder(c) | WhatTable::CancelOrder(c)) => &[(c.order, 'o')],
            Some(WhatTable::Pay(c)) => &[(c.payment, 'p'), (c.order, 'o')],
            None => &[],
        };
        for (id, kind) in named {
            check_kind(source, (*id, *kind), command.span())?;
            if !made.contains(id) {
                return Err(missing(*id, command.span()));
            }
        }
        for awaited in &command.get_ref().waits_for {
            let record = awaited.get_ref().split(' ').next().and_then(|record| record.parse().ok());
            if let Some(id) = record.filter(|id| !made.contains(id)) {
                return Err(missing(id, awaited.span()));
            }
        }
    }
    Ok(made)
}

/// Checks that an id is of the kind it has to be here.
fn check_kind(source: &Source<'_>, (id, kind): (RecordId, char), span: Range<usize>) -> Result<(), FileError> {
    let what = match kind {
        _ if id.kind() == kind => return Ok(()),
        't' => "tickets are named `t1`, `t2`, …",
        'o' => "orders are named `o1`, `o2`, …",
        _ => "payments are named `p1`, `p2`, …",
    };
    Err(source.at(span, format!("`{id}` cannot be used here")).help(what))
}

/// Payments need the service that takes them.
fn check_payments(source: &Source<'_>, file: &File, hostings: &Hostings) -> Result<(), FileError> {
    if hostings.payments.is_some() {
        return Ok(());
    }
    let mut commands = file.client.iter().flat_map(|client| &client.commands);
    let paid = commands.find(|command| matches!(command.get_ref().what(), Some(WhatTable::Pay(_)))).map(Spanned::span);
    let generated = file.workload.as_ref().filter(|workload| *workload.get_ref().pays.get_ref() > 0).map(Spanned::span);
    match paid.or(generated) {
        None => Ok(()),
        Some(span) => {
            let error = source.at(span, "there is no payments service that could take a payment");
            Err(error.help("add the line `[services.payments]`"))
        }
    }
}

pub(super) fn known_records(made: &BTreeSet<RecordId>, kind: char) -> String {
    let known: Vec<String> = made.iter().filter(|id| id.kind() == kind).take(8).map(ToString::to_string).collect();
    if known.is_empty() {
        "nothing of this kind is created".to_owned()
    } else {
        format!("created are {}", known.join(", "))
    }
}
