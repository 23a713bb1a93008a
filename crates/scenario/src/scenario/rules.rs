//! The tables about the broker and about faults.

use std::ops::Range;

use toml::Spanned;

use super::FileError;
use super::file::{
    BrokerTable, DispatchWord, ExhaustedWord, File, OrderingWord, RedeliverWord, ScopeWord, SeesWord, StaleWord,
};
use super::source::Source;
use pellmell_core::broker::{
    Dedup, Dispatch, Exhausted, MaxDeliver, Ordering, Profile, RedeliverAt, Scope, Sees, Stale, Start,
};
use pellmell_core::engine::{self, ProfileError};
use pellmell_core::faults::{FaultPlan, Rate};
use pellmell_core::prng::Ratio;

pub(super) fn profile(source: &Source<'_>, table: &BrokerTable) -> Result<Profile, FileError> {
    let mut profile = match driven(source, table)? {
        Some(profile) => profile,
        None => in_parameters(source, table)?,
    };
    if let Some(dedup) = &table.dedup {
        profile.dedup_window = dedup_of(source, dedup, profile.name)?;
    }
    if let Some(start) = table.start.as_ref().filter(|_| !keeps_offsets(table)) {
        profile.start = match start.get_ref().as_str() {
            Some("earliest") => Start::Earliest,
            Some("new") => Start::New,
            _ => return Err(source.at(start.span(), "`start`: expected \"earliest\" or \"new\"")),
        };
    }
    if let Some(sees) = &table.sees {
        if profile.name != "adversarial" {
            let error = source.at(sees.span(), format!("what a consumer sees is a matter of {}", profile.name));
            return Err(error.help("leave `sees` out, or write `profile = \"adversarial\"`"));
        }
        profile.sees = match sees.get_ref() {
            SeesWord::Count => Sees::Count,
            SeesWord::Flag => Sees::Flag,
            SeesWord::Nothing => Sees::Nothing,
        };
    }
    Ok(profile)
}

/// Whether a table names a broker at which groups keep offsets, whose engine knows where they start.
fn keeps_offsets(table: &BrokerTable) -> bool {
    let named = table.profile.as_ref().and_then(|name| engine::Profile::named(name.get_ref()));
    named.is_some_and(|broker| matches!(broker.rules, engine::Rules::Offsets(_)))
}

/// How a broker is to recognise what a publisher sends once more.
fn dedup_of(source: &Source<'_>, dedup: &Spanned<String>, name: &'static str) -> Result<Dedup, FileError> {
    let value = || serde_json::Value::from(dedup.get_ref().as_str());
    let refused = |error: ProfileError| {
        let help = match error {
            ProfileError::Unknown { .. } => "leave it out, or take one of those, or `adversarial`",
            _ => "`pellmell profiles NAME` shows the settings of a profile",
        };
        source.at(dedup.span(), error.to_string()).help(help)
    };
    // A broker of no name may do it as any of them does.
    let like = if dedup.get_ref() == "producer-session" { "kafka" } else { "jetstream" };
    let broker = engine::Profile::named(name).or_else(|| engine::Profile::named(like));
    let broker = broker.map(|broker| broker.with("dedup", value())).transpose().map_err(refused)?;
    Ok(broker.map_or(Dedup::None, |broker| Dedup::of(broker.recognises)))
}

/// The broker as its parameters say it.
fn in_parameters(source: &Source<'_>, table: &BrokerTable) -> Result<Profile, FileError> {
    let mut profile = match &table.profile {
        None => Profile::adversarial(),
        Some(name) => match Profile::named(name.get_ref()) {
            Some(profile) => profile,
            None => {
                source.stand_in(source.unknown(name, "profile", &Profile::NAMES))?;
                Profile::adversarial()
            }
        },
    };
    if let Some(partitions) = &table.partitions
        && (*partitions.get_ref() == 0
            || !matches!(table.ordering.as_ref().map(Spanned::get_ref), Some(OrderingWord::Key)))
    {
        let error = source.at(partitions.span(), "partitions go with `ordering = \"key\"` and are at least 1");
        return Err(error.help("leave `partitions` out to give each record its own"));
    }
    match table.ordering.as_ref().map(Spanned::get_ref) {
        None => {}
        Some(OrderingWord::None) => profile.ordering = Ordering::None,
        Some(OrderingWord::Log) => profile.ordering = Ordering::Log,
        Some(OrderingWord::Subscription) => profile.ordering = Ordering::Subscription,
        Some(OrderingWord::Key) => {
            profile.ordering = Ordering::Key { partitions: table.partitions.as_ref().map(|n| *n.get_ref()) };
        }
    }
    if let Some(window) = &table.reorder_window {
        if profile.ordering == Ordering::None {
            let error = source.at(window.span(), "`reorder_window` has no effect where `ordering` is none");
            return Err(error.help("leave it out, or say `ordering = \"log\"`, `\"subscription\"` or `\"key\"`"));
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
    match table.max_in_flight_of.as_ref().map(Spanned::get_ref) {
        None => {}
        Some(ScopeWord::Member) => profile.max_in_flight.scope = Scope::Member,
        Some(ScopeWord::Group) => profile.max_in_flight.scope = Scope::Group,
    }
    acks(source, table, &mut profile)?;
    Ok(profile)
}

/// The broker as its engine plays it, if one is to: because nothing else can, or because a setting of it or `engine`
/// is there.
fn driven(source: &Source<'_>, table: &BrokerTable) -> Result<Option<Profile>, FileError> {
    let named = table.profile.as_ref().map(Spanned::get_ref).and_then(|name| engine::Profile::named(name));
    let wanted = table.engine.as_ref().filter(|engine| *engine.get_ref());
    let keeps_offsets = keeps_offsets(table);
    let settings = || table.settings().filter(|(name, _)| *name != "start" || keeps_offsets);
    let first = settings().next();
    let Some(mut broker) = named else {
        let place = first.map(|(_, value)| value.span()).or_else(|| wanted.map(Spanned::span));
        let Some(place) = place else { return Ok(None) };
        let name = table.profile.as_ref().map_or("adversarial", |name| name.get_ref());
        let error = source.at(place, format!("no engine plays `{name}`, so it has no such setting"));
        return Err(error.help("name a broker beside it, for example `profile = \"kafka\"`; `profiles` lists them"));
    };
    let has_parameters = Profile::of(&broker).engine.is_none();
    if has_parameters && wanted.is_none() && first.is_none() {
        return Ok(None);
    }
    let names = || broker.settings().into_iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ");
    if let Some((name, place)) = table.parameters().next() {
        let error = source.at(place, format!("`{name}` is no setting of {}, which its engine plays", broker.name));
        return Err(error.help(format!("its settings are {}", names())));
    }
    if let Some(engine) = table.engine.as_ref().filter(|engine| !*engine.get_ref()) {
        let error = source.at(engine.span(), format!("only its engine plays {} so", broker.name));
        return Err(error.help("leave `engine` out"));
    }
    let partitions = table
        .partitions
        .as_ref()
        .map(|partitions| ("partitions", partitions.span(), serde_json::Value::from(*partitions.get_ref())));
    let settings =
        settings().map(|(name, value)| (name, value.span(), serde_json::to_value(value.get_ref()).unwrap_or_default()));
    for (name, place, value) in partitions.into_iter().chain(settings) {
        broker = broker.with(name, value).map_err(|error| {
            source.at(place, error.to_string()).help("`pellmell profiles NAME` shows the settings of a profile")
        })?;
    }
    Ok(Some(Profile::driven(&broker)))
}

fn acks(source: &Source<'_>, table: &BrokerTable, profile: &mut Profile) -> Result<(), FileError> {
    match table.stale_acks.as_ref().map(Spanned::get_ref) {
        None => {}
        Some(StaleWord::Accept) => profile.ack.stale = Stale::Accept,
        Some(StaleWord::Reject) => profile.ack.stale = Stale::Reject,
    }
    if let Some(waits) = &table.ack_wait {
        profile.ack_wait = waits.get_ref().iter().map(|wait| wait.0).collect();
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
    if let Some(naks) = &table.nak {
        profile.naks = *naks.get_ref();
    }
    if let Some(release) = &table.release_on_crash {
        profile.release_on.crash = *release.get_ref();
    }
    if let Some(times) = &table.max_deliver {
        profile.max_deliver = MaxDeliver::Times { times: *times.get_ref(), action: Exhausted::DeadLetter };
        is_simulated(source, times.span(), profile)?;
    }
    if let Some(word) = &table.when_exhausted {
        let MaxDeliver::Times { times, .. } = profile.max_deliver else {
            return Err(source.at(word.span(), "`when_exhausted` goes with `max_deliver`"));
        };
        let action = match word.get_ref() {
            ExhaustedWord::DeadLetter => Exhausted::DeadLetter,
            ExhaustedWord::Drop => Exhausted::Drop,
            ExhaustedWord::Park => Exhausted::Park,
        };
        profile.max_deliver = MaxDeliver::Times { times, action };
    }
    Ok(())
}

/// Whether the simulation can do what the profile says, now that the value at a place is in it.
fn is_simulated(source: &Source<'_>, place: Range<usize>, profile: &Profile) -> Result<(), FileError> {
    profile.supported().map_err(|error| source.at(place, error.to_string()).help("see docs/broker.md"))
}

pub(super) fn faults(source: &Source<'_>, read: &File) -> Result<FaultPlan, FileError> {
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
        fetch: rate(table.fetch, table.fetch_most.as_ref())?,
        change: rate(table.member_change, table.member_change_most.as_ref())?,
        broker_failure: rate(table.broker_failure, table.broker_failure_most.as_ref())?,
        truncate: rate(table.truncate, table.truncate_most.as_ref())?,
        forget_counts: rate(table.forget_counts, table.forget_counts_most.as_ref())?,
        redrive: rate(table.redrive, table.redrive_most.as_ref())?,
        compact: rate(table.compact, table.compact_most.as_ref())?,
        expire: rate(table.expire, table.expire_most.as_ref())?,
        republish: rate(table.publish_twice, table.publish_twice_most.as_ref())?,
        slow_publish: rate(table.slow_publish, table.slow_publish_most.as_ref())?,
        crash_between_saves: rate(table.crash_between_saves, table.crash_between_saves_most.as_ref())?,
        stale_answer: rate(table.stale_answer, table.stale_answer_most.as_ref())?,
        no_answer: rate(table.no_answer, table.no_answer_most.as_ref())?,
        attempts_max: table.attempts.unwrap_or(FaultPlan::NONE.attempts_max),
        swarm: table.swarm.unwrap_or(true),
    })
}
