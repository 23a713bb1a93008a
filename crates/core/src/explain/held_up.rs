//! What holds up a message that never came: a limit that is full, or that it was given up.

use super::observed::ObservedRun;
use crate::broker::{Broker, DeliveryIndex, FullLimit, State};
use crate::event::{Event, System};
use crate::ids::RecordId;
use crate::world::World;

/// How many of those that fill a limit are named.
const NAMED_MAX: usize = 3;

/// Says of the first message to a service that was published and never handled, or never with success, what holds
/// it up: of those about records that `is_told` picks.
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
    let mut deliveries = (0..broker.deliveries().len() as u32).map(DeliveryIndex).filter(is_about);
    deliveries.find_map(|index| held_up(world, observed, index))
}

fn held_up<S: System>(world: &World<S>, observed: &ObservedRun<S>, index: DeliveryIndex) -> Option<String> {
    let broker = world.broker();
    let (delivery, name) = (broker.delivery(index), broker.message(broker.delivery(index).message).name);
    let group = broker.group_name(delivery.group);
    if delivery.state == State::Dead {
        let times = if delivery.tries == 1 { "1 attempt".to_owned() } else { format!("{} attempts", delivery.tries) };
        return Some(format!("The broker gives up `{name}` for {group} after {times}."));
    }
    // As long as something is under way it may have its turn yet.
    let FullLimit { limit, by } = broker.full_limit(index).filter(|_| world.is_still())?;
    let named = by.iter().take(NAMED_MAX).map(|index| format!("`{}`", without_group(broker, *index)));
    let mut named: Vec<String> = named.collect();
    if by.len() > named.len() {
        named.push(format!("{} more", by.len() - named.len()));
    }
    let last = named.pop().unwrap_or_default();
    let named = if named.is_empty() { last } else { format!("{} and {last}", named.join(", ")) };
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
