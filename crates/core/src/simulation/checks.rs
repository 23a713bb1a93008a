//! What must be so that a run's texts say which service, client or record they are about.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use super::{Awaited, BuildError, Hosted, Hosting, place_of};
use crate::broker::{GroupSetup, Profile};
use crate::event::System;
use crate::ids::{ServiceIndex, Subject};
use crate::nearest::nearest;
use crate::service::{AskedService, Service, Work};
use crate::store::Schema;

/// Who a name is of, for messages.
pub(super) enum Named {
    Service,
    Group,
    Client,
}

/// Whether departures and traces can name something so: `hold ticket:created t1@0 -> orders #2`, `ann:
/// edit t1 to 6`.
pub(super) fn name(of: &Named, name: &str) -> Result<(), BuildError> {
    let of = match of {
        Named::Service => "service",
        Named::Group => "group",
        Named::Client => "client",
    };
    let has_wrong = |letter: char| letter.is_whitespace() || letter.is_control() || letter == ':' || letter == '#';
    if !name.is_empty() && !name.contains(has_wrong) && !name.contains("->") {
        return Ok(());
    }
    let expected = "expected at least one letter, and no space, line break, `:`, `#` or `->`";
    Err(BuildError(format!("a {of} cannot be called {name:?}, because departures and traces name it: {expected}")))
}

/// What all services of a system declare.
#[derive(Default)]
pub(super) struct Declared {
    /// By the type of the records, the service that owns them.
    owners: Vec<(TypeId, &'static str)>,
    /// By the name of the collection and the letter of its ids, the service that owns the records.
    owned: BTreeMap<(&'static str, char), &'static str>,
    /// For each service, the letters of the ids of its records.
    kinds: BTreeMap<&'static str, BTreeSet<char>>,
}

impl Declared {
    /// Takes the collections of a service.
    pub(super) fn add(&mut self, service: &'static str, schema: &Schema) -> Result<(), BuildError> {
        let mut names = BTreeMap::new();
        self.kinds.entry(service).or_default().extend(schema.declared().iter().map(|collection| collection.kind));
        for collection in schema.declared() {
            let (name, kind) = (collection.name, collection.kind);
            match names.insert(name, collection.record) {
                Some(record) if record == collection.record => {
                    return Err(BuildError(format!("service `{service}` declares the collection `{name}` twice")));
                }
                Some(_) => {
                    let message = format!("service `{service}` declares two collections called `{name}`");
                    let next = "give one of the records another COLLECTION, so that reports tell them apart";
                    return Err(BuildError(format!("{message}: {next}")));
                }
                None => {}
            }
            if !collection.is_owned {
                continue;
            }
            if let Some((_, other)) = self.owners.iter().find(|(record, _)| *record == collection.record) {
                let message = format!("services `{other}` and `{service}` both own the records of `{name}`");
                let next = "one service alone changes what it owns, and another one keeps replicas (`keeps`)";
                return Err(BuildError(format!("{message}: {next}")));
            }
            if let Some(other) = self.owned.insert((name, kind), service) {
                let message = format!("services `{other}` and `{service}` own two kinds of records called `{name}`");
                let next = format!("with ids that begin with `{kind}`: give one another COLLECTION or KIND");
                return Err(BuildError(format!("{message}, {next}")));
            }
            self.owners.push((collection.record, service));
        }
        Ok(())
    }

    /// Checks that a service keeps records of the kind that a client waits for.
    pub(super) fn awaited(&self, label: &str, awaited: &Awaited) -> Result<(), BuildError> {
        let kept = self.kinds.get(awaited.service.as_str());
        if kept.is_none_or(|kinds| kinds.contains(&awaited.record.kind())) {
            return Ok(());
        }
        let kinds: Vec<String> = kept.into_iter().flatten().map(|kind| format!("`{kind}`")).collect();
        let known = match kinds.is_empty() {
            true => "it keeps no records".to_owned(),
            false => format!("the ids of its records begin with {}", kinds.join(", ")),
        };
        Err(BuildError(format!("`{label}` waits for `{awaited}`, which can never be there: {known}")))
    }
}

/// How long handlers of a service work, by what they run for: as it says itself, or for deliveries as its hosting says.
pub(super) fn takes<S: System>(
    service: &dyn Service<S>,
    hosting: &Hosting,
    profile: &Profile,
) -> Result<[Duration; 3], BuildError> {
    let (name, [for_commands, says, for_timers]) = (service.name(), Work::ALL.map(|work| service.takes(work)));
    let for_deliveries = hosting.takes.unwrap_or(says);
    if !for_timers.is_zero() {
        let message = format!("service `{name}` takes {for_timers:?} for a timer");
        let why = "the clock stands while a timer's handler runs, so it takes no time";
        let next = "let the timer publish an event, and take the time to handle that";
        return Err(BuildError(format!("{message}: {why}; {next}")));
    }
    if service.awaits() && (for_commands, for_deliveries) != (Duration::ZERO, Duration::ZERO) {
        let message = format!("service `{name}` takes time, and its handlers are `async fn`s");
        let why = "others come in between at their awaits, which `takes` knows nothing of";
        return Err(BuildError(format!(
            "{message}: {why}; leave `takes` out, or pause the handler until its ack wait"
        )));
    }
    let waits = profile.engine.is_some() || profile.ack_wait.last().is_none_or(|wait| !wait.is_zero());
    if !for_deliveries.is_zero() && hosting.overlapping && !waits {
        let message = format!("service `{name}` takes {for_deliveries:?} for a delivery, any number of them at a time");
        let why = format!("on `{}`, which waits for no answer, a message would come again without end", profile.name);
        return Err(BuildError(format!("{message}: {why}; set an ack wait, or leave `overlapping` out")));
    }
    Ok([for_commands, for_deliveries, for_timers])
}

/// Notes whether handlers of a group work for some time over a delivery, which all of its services do or none.
pub(super) fn one_pace<S: System>(
    groups: &mut [GroupSetup],
    service: ServiceIndex,
    takes: [Duration; 3],
    takes_turns: bool,
    before: &[Hosted<S>],
) -> Result<(), BuildError> {
    let works = !takes[Work::Delivery as usize].is_zero();
    let is_in = |group: &&mut GroupSetup| group.services.iter().any(|(other, _)| *other == service);
    let Some(group) = groups.iter_mut().find(is_in) else { return Ok(()) };
    group.takes_turns |= takes_turns;
    match group.services.iter().find(|(other, _)| *other != service) {
        Some((other, _)) if group.works != works => {
            let name = &group.name;
            let message = format!("`{}` shares the group `{name}`, and only some who do", before[other.get()].name);
            let next = "let all of them take some, or give each a group of its own";
            Err(BuildError(format!("{message} take time for a delivery: {next}")))
        }
        _ => {
            group.works = works;
            Ok(())
        }
    }
}

/// Notes who asks whom.
pub(super) fn link_askers<S: System>(services: &mut [Hosted<S>], groups: &mut [GroupSetup]) -> Result<(), BuildError> {
    for place in 0..services.len() {
        let (name, asker) = (services[place].name, ServiceIndex(place as u16));
        let asked: Vec<String> = services[place].service.asks().iter().map(|&asked| asked.to_owned()).collect();
        for asked in asked {
            let Some(service) = place_of(services, &asked) else {
                let message = format!("service `{name}` asks `{asked}`, which is no service");
                let near = nearest(&asked, services.iter().map(|hosted| hosted.name));
                let near = near.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
                return Err(BuildError(message + &near));
            };
            if service == asker {
                return Err(BuildError(format!("service `{name}` asks itself: what it holds is in `Context::store`")));
            }
            let asked = AskedService { name: services[service.get()].name, service };
            if services[place].asks.iter().all(|other| other.service != service) {
                services[place].asks.push(asked);
                services[service.get()].asked_by.push(asker);
            }
        }
        let asks = !services[place].asks.is_empty();
        let delivered = groups.iter_mut().filter(|group| group.services.iter().any(|(other, _)| *other == asker));
        delivered.for_each(|group| group.may_ask |= asks);
    }
    Ok(())
}

/// Whether all services of a group listen to the same, so that one queue can be theirs.
pub(super) fn one_order(group: &GroupSetup) -> Result<(), BuildError> {
    if group.services.iter().all(|(_, subjects)| group.subjects.iter().all(|subject| subjects.contains(subject))) {
        return Ok(());
    }
    let message = format!("the services of the group `{}` listen to different subjects", group.name);
    let next = "where one order is kept over all that a group gets, give each service a group of its own";
    Err(BuildError(format!("{message}: {next}")))
}

/// Whether the hashes of subjects, by which the broker knows them, are unique.
pub(super) fn subjects(all: impl Iterator<Item = Subject>) -> Result<(), BuildError> {
    let hashes = all.map(|subject| (subject.name(), subject.hash()));
    match same_hash(hashes) {
        None => Ok(()),
        Some((one, other)) => {
            let message = format!("the subjects `{one}` and `{other}` have the same 64-bit hash");
            Err(BuildError(format!("{message}, by which the broker knows them: rename one of them")))
        }
    }
}

/// Two names with one hash.
fn same_hash<'a>(hashes: impl Iterator<Item = (&'a str, u64)>) -> Option<(&'a str, &'a str)> {
    let mut known = BTreeMap::new();
    hashes.into_iter().find_map(|(name, hash)| {
        let other = known.insert(hash, name)?;
        (other != name).then_some((other, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Profile;
    use crate::doc_example::{Change, Item, Shop};
    use crate::service::Service;
    use crate::simulation::{Hosting, Simulation, SimulationBuilder};
    use crate::store::{Record, VersionPolicy};

    /// Another record that has the name and the letter of `Item`.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
    struct Thing;

    impl Record for Thing {
        const COLLECTION: &'static str = Item::COLLECTION;
        const KIND: char = Item::KIND;
    }

    /// A service that does nothing with the collections it has.
    struct Idle(&'static str, fn(&mut Schema));

    impl Service<Shop> for Idle {
        fn name(&self) -> &'static str {
            self.0
        }

        fn collections(&self, schema: &mut Schema) {
            (self.1)(schema);
        }
    }

    const POLICY: VersionPolicy = VersionPolicy::EVERY_SAVE;

    fn on() -> SimulationBuilder<Shop> {
        Simulation::on(Profile::stan())
    }

    #[track_caller]
    fn refused(builder: SimulationBuilder<Shop>, words: &[&str]) {
        let error = builder.build().err().expect("it is refused").to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "no `{word}` in: {error}"));
    }

    #[test]
    fn names_by_which_nothing_could_be_named_are_refused() {
        for name in ["", "a -> b", "a->b", "x #2", "x#2", "shop\n", "the shop", "shop:items", "\u{7f}"] {
            let said = format!("{name:?}");
            refused(on().service(Idle(name, |_| ())), &["a service cannot be called", &said, "expected"]);
            refused(on().client(name, Vec::<Change>::new()), &["a client cannot be called", &said]);
            let hosting = Hosting { group: Some(name.to_owned()), ..Hosting::ALONE };
            refused(on().hosted(Idle("shop", |_| ()), hosting), &["a group cannot be called", &said]);
        }
        for name in ["shop", "seller-1", "Käufer_2", "a.b/c", "a>b", "1"] {
            on().service(Idle(name, |_| ())).client(name, Vec::<Change>::new()).build().expect(name);
        }
    }

    #[test]
    fn two_clients_of_one_name_are_refused() {
        refused(
            on().client("ann", Vec::<Change>::new()).client("ann", Vec::<Change>::new()),
            &["client `ann` is added twice"],
        );
    }

    #[test]
    fn records_have_one_owner() {
        let owner = |name| Idle(name, |schema| _ = schema.owns::<Item>(POLICY));
        let keeper = |name| Idle(name, |schema| _ = schema.keeps::<Item>(POLICY));
        refused(
            on().service(owner("a")).service(owner("b")),
            &["`a` and `b` both own the records of `items`", "keeps"],
        );
        on().service(owner("a")).service(keeper("b")).service(keeper("c")).build().expect("replicas are fine");
    }

    #[test]
    fn collections_that_cannot_be_told_apart_are_refused() {
        let twice = Idle("shop", |schema| _ = schema.keeps::<Item>(POLICY).keeps::<Item>(POLICY));
        refused(on().service(twice), &["service `shop` declares the collection `items` twice"]);
        let both = Idle("shop", |schema| _ = schema.owns::<Item>(POLICY).keeps::<Thing>(POLICY));
        refused(on().service(both), &["service `shop` declares two collections called `items`", "COLLECTION"]);
        let owner = Idle("a", |schema| _ = schema.owns::<Item>(POLICY));
        let other = Idle("b", |schema| _ = schema.owns::<Thing>(POLICY));
        refused(on().service(owner).service(other), &["`a` and `b` own two kinds of records called `items`", "`i`"]);
        let owner = Idle("a", |schema| _ = schema.owns::<Item>(POLICY));
        let other = Idle("b", |schema| _ = schema.keeps::<Thing>(POLICY));
        on().service(owner).service(other).build().expect("a replica of a type of its own");
    }

    #[test]
    fn of_names_the_two_with_one_hash_are_found() {
        assert_eq!(same_hash([("a", 1), ("b", 2), ("a", 1), ("c", 3)].into_iter()), None);
        assert_eq!(same_hash([("a", 1), ("b", 2), ("c", 1)].into_iter()), Some(("a", "c")));
    }
}
