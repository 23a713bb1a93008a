//! What holds up a message that never came: a limit that is full, or that it was given up.

use super::observed::ObservedRun;
use super::words::enumerated;
use crate::broker::{Broker, DeliveryIndex, FullLimit, State};
use crate::event::{Event, System};
use crate::ids::RecordId;
use crate::world::World;

/// How many of those that fill a limit, or were given up, are named.
const NAMED_MAX: usize = 3;

/// Says of the first message to a service that was published and never handled, or never with success, what holds
/// it up: of those about records that `is_told` picks. If it was given up, what else was is named with it.
pub(super) fn sentence<S: System>(
    observed: &ObservedRun<S>,
    service: &str,
    is_told: impl Fn(RecordId) -> bool,
) -> Option<String> {
    let (world, _) = observed.end.as_ref()?;
    let (broker, service) = (world.broker(), world.service(service)?);
    let is_about = |index: &DeliveryIndex| {
        let delivery = broker.delivery(*index);
        broker.has_member(delivery.group, service) && is_told(broker.message(delivery.message).name.record)
    };
    let all = (0..broker.deliveries().len() as u32).map(DeliveryIndex);
    let deliveries: Vec<DeliveryIndex> = all.filter(is_about).collect();
    deliveries.iter().find_map(|index| match broker.delivery(*index).state {
        State::Dead => Some(given_up(broker, *index, &deliveries)),
        _ => held_up(world, observed, *index),
    })
}

/// Says what was given up: the first that was, and those that its group gave up after as many attempts.
fn given_up<E: Event>(broker: &Broker<E>, first: DeliveryIndex, deliveries: &[DeliveryIndex]) -> String {
    let end = |index: DeliveryIndex| {
        let delivery = broker.delivery(index);
        (delivery.state, delivery.group, delivery.tries)
    };
    let (_, group, tries) = end(first);
    let alike = deliveries.iter().filter(|index| end(**index) == end(first));
    let names = alike.map(|index| broker.message(broker.delivery(*index).message).name.to_string());
    let times = if tries == 1 { "1 attempt".to_owned() } else { format!("{tries} attempts") };
    format!("The broker gives up {} for {} after {times}.", named(&names.collect::<Vec<_>>()), broker.group_name(group))
}

/// Names the first of these, and says how many more there are.
fn named(names: &[String]) -> String {
    let mut named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    if names.len() > named.len() {
        named.push(format!("{} more", names.len() - named.len()));
    }
    enumerated(&named)
}

fn held_up<S: System>(world: &World<S>, observed: &ObservedRun<S>, index: DeliveryIndex) -> Option<String> {
    let broker = world.broker();
    let (delivery, name) = (broker.delivery(index), broker.message(broker.delivery(index).message).name);
    let group = broker.group_name(delivery.group);
    // As long as something is under way it may have its turn yet.
    let FullLimit { limit, by } = broker.full_limit(index).filter(|_| world.is_still())?;
    let names: Vec<String> = by.iter().map(|index| without_group(broker, *index)).collect();
    let named = named(&names);
    let deliveries = if limit == 1 { "1 delivery" } else { &format!("{limit} deliveries") };
    let full = format!("the limit of {deliveries} in flight is full with {named}");
    let (is_not, again) = if delivery.tries == 0 { ("is never", "") } else { ("is not", " again") };
    let why = why_in_flight(observed, broker, &by);
    Some(format!("`{name}` {is_not} handed to {group}{again}: {full}{why}."))
}

/// Why deliveries are in flight, if it is one reason for all.
fn why_in_flight<S: System>(observed: &ObservedRun<S>, broker: &Broker<S::Event>, by: &[DeliveryIndex]) -> String {
    let answer = |index: &DeliveryIndex| {
        let name = broker.name(*index).to_string();
        // Of attempts that change nothing the last ones are not made.
        let (attempts, _) = name.split_once('#')?;
        let records = observed.steps.iter().rev().map(|step| &step.record);
        let mut answers =
            records.filter(|record| record.action.contains(attempts)).filter_map(|record| record.answer.as_deref());
        answers.find_map(|answer| answer.split_once(": ")).map(|(_, reason)| reason.to_owned())
    };
    let reasons: Vec<Option<String>> = by.iter().map(answer).collect();
    match reasons.as_slice() {
        [Some(reason), others @ ..] if others.iter().all(|other| other.as_ref() == Some(reason)) => {
            let again = if broker.profile().ack_wait.is_empty() { "" } else { "come again and again and " };
            let verb = if by.len() == 1 { "gets" } else { "get" };
            let again = if by.len() == 1 { again.replace("come", "comes") } else { again.to_owned() };
            format!(", which {again}{verb} no answer ({reason})")
        }
        _ => String::new(),
    }
}

/// A delivery's message, with the attempt if it is not the first.
fn without_group<E: Event>(broker: &Broker<E>, index: DeliveryIndex) -> String {
    let delivery = broker.delivery(index);
    let attempt = if delivery.attempt > 1 { format!(" #{}", delivery.attempt) } else { String::new() };
    format!("{}{attempt}", broker.message(delivery.message).name)
}
