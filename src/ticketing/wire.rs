//! The events and commands of the ticketing services as a process knows them: JSON in the shapes of the course.

use std::collections::BTreeMap;

use pellmell_code::Codec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::messages::{
    EXPIRATION_COMPLETE, ORDER_CANCELLED, ORDER_COMPLETED, ORDER_CREATED, ORDER_RESERVED, PAYMENT_CREATED,
    REFUND_REQUESTED, Request, TICKET_CREATED, TICKET_UPDATED, Ticketing, TicketingEvent, What, order, payment, ticket,
};
use super::records::{Lock, Status, Text};
use crate::ids::{RecordId, Time, Version};

/// The events and commands of the ticketing services in the shapes of the course, for services that are code.
///
/// `ticket:updated` is `{ id, version, title, price, userId, orderId }` with `orderId` where it is reserved,
/// `order:created` is `{ id, version, status, userId, expiresAt, ticket: { id, price } }`; `expiresAt` is text of
/// ISO 8601, and a run begins with 1970. A command has the name that it has in scenario files, and carries what the
/// course's requests do, the `id` of what it creates or is about, and who is signed in: `{ id: "o1", ticketId: "t1",
/// currentUser: { id: "ann" } }`. What a process publishes must have these fields and no others.
#[derive(Clone, Copy, Debug)]
pub struct Wire;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TicketBody {
    #[serde(deserialize_with = "ticket")]
    id: RecordId,
    version: Version,
    title: Text,
    price: u32,
    user_id: Text,
    /// Absent or null where it is free; true where it is reserved, and by which order was not kept.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    order_id: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OrderBody {
    #[serde(deserialize_with = "order")]
    id: RecordId,
    version: Version,
    status: Status,
    user_id: Text,
    #[serde(serialize_with = "as_iso", deserialize_with = "of_iso")]
    expires_at: Time,
    ticket: PricedTicket,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PricedTicket {
    #[serde(deserialize_with = "ticket")]
    id: RecordId,
    price: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelledBody {
    #[serde(deserialize_with = "order")]
    id: RecordId,
    version: Version,
    ticket: OnlyTicket,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyTicket {
    #[serde(deserialize_with = "ticket")]
    id: RecordId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MovedBody {
    #[serde(deserialize_with = "order")]
    id: RecordId,
    version: Version,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpiredBody {
    #[serde(deserialize_with = "order")]
    order_id: RecordId,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PaymentBody {
    #[serde(deserialize_with = "payment")]
    id: RecordId,
    #[serde(deserialize_with = "order")]
    order_id: RecordId,
    /// What the card company calls it: nobody looks at that.
    #[serde(default, skip_serializing)]
    #[expect(dead_code, reason = "the course's events have it")]
    stripe_id: Option<String>,
}

/// How the body of a message becomes an event.
type OfBody = fn(Value) -> Result<TicketingEvent, String>;

impl Codec<Ticketing> for Wire {
    fn body(&self, event: &TicketingEvent) -> Value {
        match *event {
            TicketingEvent::TicketCreated { id, version, ref title, price, ref user } => {
                ticket_body(id, version, title, price, user, Lock::Free)
            }
            TicketingEvent::TicketUpdated { id, version, ref title, price, ref user, lock, .. } => {
                ticket_body(id, version, title, price, user, lock)
            }
            TicketingEvent::OrderCreated { id, version, status, ref user, expires_at, ticket, price } => {
                let ticket = PricedTicket { id: ticket, price };
                written(&OrderBody { id, version, status, user_id: user.clone(), expires_at, ticket })
            }
            TicketingEvent::OrderCancelled { id, version, ticket } => {
                written(&CancelledBody { id, version, ticket: OnlyTicket { id: ticket } })
            }
            TicketingEvent::OrderReserved { id, version } | TicketingEvent::OrderCompleted { id, version } => {
                written(&MovedBody { id, version })
            }
            TicketingEvent::ExpirationComplete { order } => written(&ExpiredBody { order_id: order }),
            TicketingEvent::PaymentCreated { id, order } => {
                written(&PaymentBody { id, order_id: order, stripe_id: None })
            }
            TicketingEvent::RefundRequested { payment, order } => {
                written(&PaymentBody { id: payment, order_id: order, stripe_id: None })
            }
            TicketingEvent::Elsewhere { ref event, .. } => self.body(event),
        }
    }

    fn event(&self, subject: &str, headers: BTreeMap<String, String>, body: Value) -> Result<TicketingEvent, String> {
        if let Some(name) = headers.keys().next() {
            return Err(format!("it has a header `{name}`, and events of `ticketing` have none"));
        }
        let known: [(&str, OfBody); 9] = [
            (TICKET_CREATED.name(), ticket_created),
            (TICKET_UPDATED.name(), ticket_updated),
            (ORDER_CREATED.name(), order_created),
            (ORDER_CANCELLED.name(), |body| {
                let CancelledBody { id, version, ticket } = read(body)?;
                Ok(TicketingEvent::OrderCancelled { id, version, ticket: ticket.id })
            }),
            (ORDER_RESERVED.name(), |body| {
                read(body).map(|MovedBody { id, version }| TicketingEvent::OrderReserved { id, version })
            }),
            (ORDER_COMPLETED.name(), |body| {
                read(body).map(|MovedBody { id, version }| TicketingEvent::OrderCompleted { id, version })
            }),
            (EXPIRATION_COMPLETE.name(), |body| {
                read(body).map(|ExpiredBody { order_id: order }| TicketingEvent::ExpirationComplete { order })
            }),
            (PAYMENT_CREATED.name(), |body| {
                read(body).map(|PaymentBody { id, order_id: order, .. }| TicketingEvent::PaymentCreated { id, order })
            }),
            (REFUND_REQUESTED.name(), |body| {
                read(body).map(|PaymentBody { id: payment, order_id: order, .. }| TicketingEvent::RefundRequested {
                    payment,
                    order,
                })
            }),
        ];
        let event = known.iter().find(|(name, _)| *name == subject).map(|(_, event)| event(body));
        event.unwrap_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            Err(format!("no event of `ticketing` is on this subject: there are {}", names.join(", ")))
        })
    }

    fn call(&self, request: &Request) -> (String, Value) {
        let (name, mut body) = match &request.what {
            What::CreateTicket { ticket, title, price } => {
                ("create_ticket", json!({ "id": ticket, "title": title, "price": price }))
            }
            What::EditTicket { ticket, title: None, price } => ("edit_ticket", json!({ "id": ticket, "price": price })),
            What::EditTicket { ticket, title, price } => {
                ("edit_ticket", json!({ "id": ticket, "title": title, "price": price }))
            }
            What::ShowTicket { ticket } => ("show_ticket", json!({ "id": ticket })),
            What::CreateOrder { order, ticket } => ("create_order", json!({ "id": order, "ticketId": ticket })),
            What::ShowOrder { order } => ("show_order", json!({ "id": order })),
            What::CancelOrder { order } => ("cancel_order", json!({ "id": order })),
            What::Pay { payment, order, token } => ("pay", json!({ "id": payment, "orderId": order, "token": token })),
        };
        if let Some(user) = &request.user {
            body["currentUser"] = json!({ "id": user });
        }
        (name.to_owned(), body)
    }
}

fn ticket_body(id: RecordId, version: Version, title: &Text, price: u32, user: &Text, lock: Lock) -> Value {
    let order_id = match lock {
        Lock::Free => Value::Null,
        Lock::Taken => true.into(),
        Lock::By(order) => json!(order),
    };
    written(&TicketBody { id, version, title: title.clone(), price, user_id: user.clone(), order_id })
}

fn ticket_created(body: Value) -> Result<TicketingEvent, String> {
    let TicketBody { id, version, title, price, user_id: user, order_id } = read(body)?;
    match order_id {
        Value::Null => Ok(TicketingEvent::TicketCreated { id, version, title, price, user }),
        other => Err(format!("`orderId` is {other}, and a ticket that was just created is free")),
    }
}

fn ticket_updated(body: Value) -> Result<TicketingEvent, String> {
    let TicketBody { id, version, title, price, user_id: user, order_id } = read(body)?;
    let lock = match order_id {
        Value::Null => Lock::Free,
        Value::Bool(true) => Lock::Taken,
        other => Lock::By(order(&other).map_err(|error| format!("`orderId`: {error}"))?),
    };
    // A process counts versions by one.
    let previous = version.0.checked_sub(1).map(Version);
    Ok(TicketingEvent::TicketUpdated { id, version, previous, title, price, user, lock })
}

fn order_created(body: Value) -> Result<TicketingEvent, String> {
    let OrderBody { id, version, status, user_id: user, expires_at, ticket } = read(body)?;
    let PricedTicket { id: ticket, price } = ticket;
    Ok(TicketingEvent::OrderCreated { id, version, status, user, expires_at, ticket, price })
}

fn written(body: &impl Serialize) -> Value {
    // There is no map with keys that are no texts in it.
    serde_json::to_value(body).unwrap_or_default()
}

fn read<B: DeserializeOwned>(body: Value) -> Result<B, String> {
    let shown = body.to_string();
    serde_json::from_value(body).map_err(|error| format!("{error}: {shown}"))
}

const MICROS_OF_A_SECOND: u64 = 1_000_000;
const SECONDS_OF_A_DAY: u64 = 86_400;
/// Days of the Gregorian calendar repeat after 400 years.
const DAYS_OF_AN_ERA: u64 = 146_097;
/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: u64 = 719_468;

/// A moment as the course's events have it: a run begins with 1970.
fn as_iso<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    let (seconds, micros) = (time.0 / MICROS_OF_A_SECOND, time.0 % MICROS_OF_A_SECOND);
    let (days, second) = (seconds / SECONDS_OF_A_DAY + DAYS_TO_1970, seconds % SECONDS_OF_A_DAY);
    let (era, day) = (days / DAYS_OF_AN_ERA, days % DAYS_OF_AN_ERA);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Counted from March, so that a leap day is the last of its year.
    let from_march = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * from_march + 2) / 5 + 1, (from_march + 2) % 12 + 1);
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let fraction = match micros % 1_000 {
        0 => format!("{:03}", micros / 1_000),
        _ => format!("{micros:06}"),
    };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    serializer.serialize_str(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction}Z"))
}

fn of_iso<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    moment(&text).ok_or_else(|| {
        let expected = "expected a moment since 1970 such as 1970-01-01T00:01:00.000Z";
        serde::de::Error::custom(format!("`{text}` is no moment: {expected}"))
    })
}

fn moment(text: &str) -> Option<Time> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let is_fraction = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let is_there = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !is_fraction || !is_there {
        return None;
    }
    let micros: u64 = format!("{fraction:0<6}")[..6].parse().ok()?;
    let year = year - u64::from(month <= 2 && year > 0);
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let in_era = year % 400;
    let days = year / 400 * DAYS_OF_AN_ERA + in_era * 365 + in_era / 4 - in_era / 100 + day_of_year;
    let seconds = days.checked_sub(DAYS_TO_1970)? * SECONDS_OF_A_DAY + hour * 3_600 + minute * 60 + second;
    Some(Time(seconds * MICROS_OF_A_SECOND + micros))
}

fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let parts: Vec<&str> = text.split(between).collect();
    let [one, two, three] = parts[..] else { return None };
    let number = |text: &str, digits: usize| {
        let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { text.parse().ok() } else { None }
    };
    Some([number(one, digits[0])?, number(two, digits[1])?, number(three, digits[2])?])
}
