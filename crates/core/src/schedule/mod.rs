//! Schedules: how a run departs from the calm one, in words a person can write.
//!
//! A schedule is a list of departures. Each names a delivery by subject, record, version, group and
//! attempt, a command by client and label, a timer by record and service, never by a position, so it
//! means the same after the services changed around it. The list's length is the depth of a bug:
//! most need one or two.

mod attempts;
mod keys;
mod likeness;
mod rewrite;
mod step;
mod timer;

use std::fmt;
use std::str::FromStr;

use crate::broker::{delivery_key, message_key, write_message_name};
use crate::faults::{AnswerFault, Fate, FaultPlan, MemberChange, Rate, Window};
use crate::hash;
use crate::ids::{RecordId, Version};
use crate::service::Awaits;

pub(crate) use attempts::attempt_label;
pub(crate) use keys::{
    ack_key, ack_wait_key, command_key, going_on_key, pause_key, publish_key, resume_key, start_key,
};
pub use step::NamedStep;
pub use timer::TimerSpec;
pub(crate) use timer::timer_key;

/// One way in which a run departs from the calm run.
///
/// ```
/// use pellmell::schedule::Departure;
/// for text in [
///     "hold order:created o1@0 -> tickets until order:cancelled o1@1 -> tickets",
///     "hold ticket:created t1@0 -> orders until quiescence",
///     "hold payment:created p1 -> orders until timer o1 of expiration",
///     "hold bob: order t1 as o2 until ann: cancel o1",
///     "hold join of orders until ticket:updated t1@1 -> tickets",
///     "hold ticket:created t1@0 -> orders until pause of ticket:updated t1@1 -> orders",
///     "pause alice: edit t1 to 6 until bob: edit t1 to 7",
///     "pause await 2 of ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders",
///     "duplicate ticket:updated t1@1 -> orders",
///     "lose ticket:updated t1@1 -> orders",
///     "lose ack of ticket:created t1@0 -> orders #2",
///     "lose ack of order:created o:6f1c-2b@0/2 -> tickets",
///     "slow publish of bob: edit t1 to 7 until ticket:updated t1@1 -> orders",
///     "hold bob: edit t1 to 7 until publish of alice: edit t1 to 6",
///     "crash tickets before publish of order:created o1@0 -> tickets",
///     "crash tickets between saves of alice: edit t1 to 6",
///     "crash expiration before publish of timer o1 of expiration",
///     "crash orders before save of timer o1 remind of orders /2",
///     "run past ack wait of ticket:updated t1@2 -> orders",
///     "delay ack of ticket:updated t1@2 -> orders until ack wait of ticket:updated t1@2 -> orders",
///     "delay ack of ticket:updated t1@2 -> orders until ack of ticket:updated t1@1 -> orders",
///     "fetch 3 with ticket:created t1@0 -> orders",
///     "rebalance after ticket:updated t1@1 -> orders",
///     "commit ahead of ticket:updated t1@1 -> orders #2",
///     "publish twice alice: edit t1 to 6",
///     "stale answer to ticket:created t1@0 -> orders",
///     "no answer to alice: edit t1 to 6",
/// ] {
///     let departure: Departure = text.parse().unwrap();
///     assert_eq!(departure.to_string(), text);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Departure {
    /// A delivery, a command or the join of a group waits until something else happened, or until
    /// nothing else can happen.
    Hold {
        /// What waits.
        what: Target,
        /// For what; `None`: until quiescence.
        until: Option<Target>,
    },
    /// The handler reads, and saves only after something else happened, or when nothing else can
    /// happen. It must be one that can pause (see [`Hosting`](crate::Hosting)).
    Pause {
        /// What it handles: a delivery or a command.
        what: Target,
        /// What it waits for; `None`: until quiescence.
        until: Option<Target>,
    },
    /// The message becomes pending once more when the delivery is handled.
    Duplicate(DeliverySpec),
    /// The broker loses the message on its way to the group: no handler runs, and nobody is told.
    Lose(DeliverySpec),
    /// The ack of the delivery is lost.
    LoseAck(DeliverySpec),
    /// The member that handles something crashes in a window.
    Crash {
        /// The member's service.
        service: String,
        /// Where.
        window: Window,
        /// What it handles.
        what: Target,
    },
    /// The ack comes only after the ack wait has passed and the redelivery was handled.
    RunPast(DeliverySpec),
    /// The ack comes only after something else happened, or when nothing else can happen.
    DelayAck {
        /// Whose ack.
        what: DeliverySpec,
        /// What it waits for; `None`: until quiescence.
        until: Option<Target>,
    },
    /// The member that is handed the delivery has fetched so many of the messages that come next with it. They wait
    /// in its inbox while it handles, their waits run there, and they are gone with it.
    Fetch {
        /// How many.
        inbox: u8,
        /// With which delivery.
        what: DeliverySpec,
    },
    /// Something happens to the member that was handed the delivery, or to what it has, as soon as it has answered
    /// or paused.
    MemberChange {
        /// What.
        change: MemberChange,
        /// After which delivery.
        what: DeliverySpec,
    },
    /// What the handler publishes is published twice: the publisher heard no confirm of the first time.
    Republish(Target),
    /// The handler saves, and what it publishes is out only after something else happened, or when nothing
    /// else can happen (see [`Fate::slow_publish`](crate::Fate::slow_publish)).
    SlowPublish {
        /// What it handles: a delivery or a command.
        what: Target,
        /// What it waits for; `None`: until quiescence.
        until: Option<Target>,
    },
    /// What other services answer to a handler that asks them is wrong, or there is no answer (see
    /// [`Context::ask`](crate::Context::ask)).
    Answer {
        /// What is wrong with it.
        fault: AnswerFault,
        /// What the handler handles.
        what: Target,
    },
}

impl FaultPlan {
    /// At this rate each kind of fault that is among the departures, and no other.
    #[must_use]
    pub fn of_schedule(departures: &[Departure], rate: Rate) -> FaultPlan {
        let mut plan = FaultPlan::NONE;
        for departure in departures {
            let kind = match departure {
                Departure::Hold { .. } => continue,
                Departure::Pause { .. } => &mut plan.pause,
                Departure::Duplicate(_) => &mut plan.duplicate,
                Departure::Lose(_) => &mut plan.lose_message,
                Departure::LoseAck(_) => &mut plan.lose_ack,
                Departure::Crash { window: Window::BetweenSaves, .. } => &mut plan.crash_between_saves,
                Departure::Crash { .. } => &mut plan.crash,
                Departure::RunPast(_) | Departure::DelayAck { .. } => &mut plan.delay_ack,
                Departure::Fetch { .. } => &mut plan.fetch,
                Departure::MemberChange { change, .. } => plan.of_change(*change),
                Departure::Republish(_) => &mut plan.republish,
                Departure::SlowPublish { .. } => &mut plan.slow_publish,
                Departure::Answer { fault, .. } => plan.of_answer(*fault),
            };
            *kind = rate;
        }
        plan
    }
}

impl Departure {
    /// What it is about.
    #[must_use]
    pub fn what(&self) -> Target {
        match self {
            Departure::DelayAck { what, .. }
            | Departure::Duplicate(what)
            | Departure::Lose(what)
            | Departure::LoseAck(what)
            | Departure::Fetch { what, .. }
            | Departure::MemberChange { what, .. }
            | Departure::RunPast(what) => Target::Delivery(what.clone()),
            Departure::Hold { what, .. }
            | Departure::Pause { what, .. }
            | Departure::Republish(what)
            | Departure::SlowPublish { what, .. }
            | Departure::Answer { what, .. }
            | Departure::Crash { what, .. } => what.clone(),
        }
    }

    /// What ends it, if it lasts until something happened.
    #[must_use]
    pub fn until(&self) -> Option<&Target> {
        match self {
            Departure::Hold { until, .. }
            | Departure::Pause { until, .. }
            | Departure::DelayAck { until, .. }
            | Departure::SlowPublish { until, .. } => until.as_ref(),
            _ => None,
        }
    }

    /// The same, ended by something else: `None` is quiescence. What does not last stays as it is.
    #[must_use]
    pub fn ended_by(mut self, end: Option<Target>) -> Departure {
        if let Departure::Hold { until, .. }
        | Departure::Pause { until, .. }
        | Departure::DelayAck { until, .. }
        | Departure::SlowPublish { until, .. } = &mut self
        {
            *until = end;
        }
        self
    }

    /// Whether it lasts: until something happened, or until quiescence.
    pub(crate) fn lasts(&self) -> bool {
        matches!(
            self,
            Departure::Hold { .. }
                | Departure::Pause { .. }
                | Departure::DelayAck { .. }
                | Departure::SlowPublish { .. }
        )
    }
}

/// Something that happens in a run, by name. A handler runs for the first three.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A delivery, which happens when its handler is done.
    Delivery(DeliverySpec),
    /// A client's command, which happens when its handler is done.
    Command(CommandSpec),
    /// A timer of a service.
    Timer(TimerSpec),
    /// The handler of a delivery or a command has read and pauses, written `pause of H`.
    Pause(Box<Target>),
    /// The handler of a delivery or a command, an `async fn` that was interrupted at one of its awaits, goes on from
    /// there, written `await 2 of H`.
    Await {
        /// What it handles.
        what: Box<Target>,
        /// Which await it is, from 1.
        place: u8,
    },
    /// The handler of a delivery or a command begins to work, which takes some time
    /// ([`Service::takes`](crate::Service::takes)), written `start of H`.
    Start(Box<Target>),
    /// The late ack of a delivery arrives, written `ack of D`.
    Ack(DeliverySpec),
    /// The ack wait of a delivery ends, written `ack wait of D`.
    AckWait(DeliverySpec),
    /// A group joins that was not there from the start, written `join of GROUP`.
    Join(String),
    /// What the handler of a delivery or a command was slow to publish is out, written `publish of H`.
    Publish(Box<Target>),
}

impl Target {
    /// The hash by which schedulers know it.
    #[must_use]
    pub fn key(&self) -> u64 {
        match self {
            Target::Delivery(delivery) => delivery.key(),
            Target::Command(command) => command.key(),
            Target::Timer(timer) => timer.key(),
            Target::Pause(what) => pause_key(what.key()),
            Target::Start(what) => start_key(what.key()),
            Target::Await { what, place } => Awaits::key(what.key(), *place),
            Target::Ack(delivery) => ack_key(delivery.key()),
            Target::AckWait(delivery) => ack_wait_key(delivery.key()),
            Target::Join(group) => hash::of_name(group),
            Target::Publish(what) => publish_key(what.key()),
        }
    }
}

/// A delivery by name, written `ticket:updated t1@2 -> orders #1`; `#1` may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeliverySpec {
    /// The message's subject.
    pub subject: String,
    /// The record it is about.
    pub record: RecordId,
    /// The version it announces.
    pub version: Option<Version>,
    /// Which message of this name it is, from 1.
    pub nth: u32,
    /// The group it goes to.
    pub group: String,
    /// The attempt, from 1.
    pub attempt: u16,
}

impl DeliverySpec {
    /// The next attempt to deliver the same message to the same group.
    #[must_use]
    pub(crate) fn again(mut self) -> DeliverySpec {
        self.attempt = self.attempt.saturating_add(1);
        self
    }

    /// The hash by which schedulers know the delivery.
    #[must_use]
    pub fn key(&self) -> u64 {
        let message = message_key(hash::of_name(&self.subject), self.record, self.version, self.nth);
        delivery_key(message, hash::of_name(&self.group), self.attempt)
    }
}

/// A command by name, written `alice: edit t1 to 6`; the second equal one of a client ends in `/2`. The
/// second attempt of one that is tried again is called `alice: edit t1 to 6 #2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandSpec {
    /// The client's name.
    pub client: String,
    /// The command's label; from the second attempt on, with the attempt behind it.
    pub label: String,
    /// Which command of this label the client sends, from 1.
    pub nth: u32,
}

impl CommandSpec {
    /// The hash by which schedulers know the command.
    #[must_use]
    pub fn key(&self) -> u64 {
        command_key(hash::of_name(&self.client), hash::of_name(&self.label), self.nth)
    }
}

impl fmt::Display for CommandSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.client, self.label)?;
        // A label that looks as if it were counted is counted from the first.
        if self.nth > 1 || split_count(&self.label).is_some() {
            write!(f, "/{}", self.nth)?;
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Delivery(delivery) => delivery.fmt(f),
            Target::Command(command) => command.fmt(f),
            Target::Timer(timer) => timer.fmt(f),
            Target::Pause(what) => write!(f, "pause of {what}"),
            Target::Start(what) => write!(f, "start of {what}"),
            Target::Await { what, place } => write!(f, "await {place} of {what}"),
            Target::Ack(delivery) => write!(f, "ack of {delivery}"),
            Target::AckWait(delivery) => write!(f, "ack wait of {delivery}"),
            Target::Join(group) => write!(f, "join of {group}"),
            Target::Publish(what) => write!(f, "publish of {what}"),
        }
    }
}

impl fmt::Display for DeliverySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_message_name(f, &self.subject, self.record, self.version, self.nth)?;
        write!(f, " -> {}", self.group)?;
        if self.attempt > 1 {
            write!(f, " #{}", self.attempt)?;
        }
        Ok(())
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Departure::Hold { what, .. } => write!(f, "hold {what}")?,
            Departure::Pause { what, .. } => write!(f, "pause {what}")?,
            Departure::DelayAck { what, .. } => write!(f, "delay ack of {what}")?,
            Departure::Duplicate(what) => write!(f, "duplicate {what}")?,
            Departure::Lose(what) => write!(f, "lose {what}")?,
            Departure::LoseAck(what) => write!(f, "lose ack of {what}")?,
            Departure::Crash { service, window, what } => write!(f, "crash {service} {} of {what}", window.name())?,
            Departure::RunPast(what) => write!(f, "run past ack wait of {what}")?,
            Departure::Fetch { inbox, what } => write!(f, "fetch {inbox} with {what}")?,
            Departure::MemberChange { change, what } => write!(f, "{} {what}", change.verb())?,
            Departure::Republish(what) => write!(f, "publish twice {what}")?,
            Departure::SlowPublish { what, .. } => write!(f, "slow publish of {what}")?,
            Departure::Answer { fault, what } => write!(f, "{} to {what}", fault.name())?,
        }
        match (self, self.until()) {
            (_, Some(until)) => write!(f, "{UNTIL}{until}"),
            (lasting, None) if lasting.lasts() => write!(f, "{UNTIL}quiescence"),
            _ => Ok(()),
        }
    }
}

/// Says why a text is not a departure, or not a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParseDepartureError(String);

impl fmt::Display for ParseDepartureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseDepartureError {}

/// What is longer is no departure, and would take long to read.
const TEXT_BYTES_MAX: usize = 10_000;

fn too_long(what: &str) -> ParseDepartureError {
    ParseDepartureError(format!("a {what} is not longer than {TEXT_BYTES_MAX} bytes"))
}

const FORMS: &str = "expected `hold H until X`, `hold join of GROUP until X`, `pause H until X`, \
`pause await N of H until X`, `duplicate D`, `lose D`, `lose ack of D`, `delay ack of D until X`, \
`run past ack wait of D`, `slow publish of H until X`, \
`crash SERVICE before save|between saves|before publish|before ack|after ack of T`, `fetch N with D`, \
`rebalance|reconnect|close|cancel after D`, `claim D`, `commit ahead of D`, \
`restart broker|rewind|truncate log|compact log|expire log|forget counts|redrive dead letters after D`, \
`forget ack of D`, `publish twice T`, `stale answer to T` or `no answer to T`, \
where D is a delivery like `item:changed i1@2 -> search #1`, H is D or a command like `seller: change i1 to 6`, \
T is H or a timer like `timer i1 of shop`, \
X is T, `pause of H`, `await N of H`, `start of H`, `publish of H`, `ack of D`, `ack wait of D`, `join of GROUP` or \
`quiescence`";

impl FromStr for Departure {
    type Err = ParseDepartureError;

    fn from_str(text: &str) -> Result<Departure, ParseDepartureError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(too_long("departure"));
        }
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("hold ") {
            let (what, until) = parse_until("hold", rest)?;
            return match what {
                Target::Delivery(_) | Target::Command(_) | Target::Join(_) => Ok(Departure::Hold { what, until }),
                Target::Timer(_) => Err(ParseDepartureError(format!("`{what}` cannot be held, the clock moves last"))),
                _ => Err(ParseDepartureError(format!("`{what}` cannot be held: {FORMS}"))),
            };
        }
        if let Some(rest) = text.strip_prefix("delay ack of ") {
            let (what, until) = parse_until("delay ack of", rest)?;
            return Ok(Departure::DelayAck { what, until });
        }
        if let Some(rest) = text.strip_prefix("pause ") {
            let (what, until) = parse_until("pause", rest)?;
            return match what {
                Target::Delivery(_) | Target::Command(_) | Target::Await { .. } => Ok(Departure::Pause { what, until }),
                _ => Err(ParseDepartureError(format!("`{what}` cannot pause: {FORMS}"))),
            };
        }
        if let Some(rest) = text.strip_prefix("slow publish of ") {
            let (what, until) = parse_until("slow publish of", rest)?;
            return match what {
                Target::Delivery(_) | Target::Command(_) => Ok(Departure::SlowPublish { what, until }),
                _ => Err(ParseDepartureError(format!("`{what}` has no slow publish: {FORMS}"))),
            };
        }
        if let Some(what) = text.strip_prefix("duplicate ") {
            return Ok(Departure::Duplicate(what.parse()?));
        }
        if let Some(what) = text.strip_prefix("lose ack of ") {
            return Ok(Departure::LoseAck(what.parse()?));
        }
        if let Some(what) = text.strip_prefix("lose ") {
            return Ok(Departure::Lose(what.parse()?));
        }
        if let Some(what) = text.strip_prefix("run past ack wait of ") {
            return Ok(Departure::RunPast(what.parse()?));
        }
        if let Some((inbox, what)) = text.strip_prefix("fetch ").and_then(|rest| rest.split_once(" with ")) {
            let inbox = inbox.parse().ok().filter(|inbox| (1..=Fate::FETCH_MAX).contains(inbox));
            let most = Fate::FETCH_MAX;
            let inbox = inbox.ok_or_else(|| ParseDepartureError(format!("`fetch` takes a number from 1 to {most}")))?;
            return Ok(Departure::Fetch { inbox, what: what.parse()? });
        }
        for change in MemberChange::all() {
            if let Some(what) = text.strip_prefix(change.verb()).and_then(|rest| rest.strip_prefix(' ')) {
                return Ok(Departure::MemberChange { change, what: what.parse()? });
            }
        }
        if let Some(what) = text.strip_prefix("publish twice ") {
            return match what.parse()? {
                what @ (Target::Delivery(_) | Target::Command(_) | Target::Timer(_)) => Ok(Departure::Republish(what)),
                what => Err(ParseDepartureError(format!("nobody publishes at `{what}`: {FORMS}"))),
            };
        }
        for fault in AnswerFault::ALL {
            if let Some(what) = text.strip_prefix(fault.name()).and_then(|rest| rest.strip_prefix(" to ")) {
                return match what.parse()? {
                    what @ (Target::Delivery(_) | Target::Command(_) | Target::Timer(_)) => {
                        Ok(Departure::Answer { fault, what })
                    }
                    what => Err(ParseDepartureError(format!("nobody asks anybody at `{what}`: {FORMS}"))),
                };
            }
        }
        if let Some((service, rest)) = text.strip_prefix("crash ").and_then(|rest| rest.split_once(' ')) {
            for window in Window::every() {
                if let Some(what) = rest.strip_prefix(window.name()).and_then(|rest| rest.strip_prefix(" of ")) {
                    let (service, what) = (service.to_owned(), what.parse()?);
                    return match what {
                        Target::Delivery(_) | Target::Command(_) | Target::Timer(_) => {
                            Ok(Departure::Crash { service, window, what })
                        }
                        _ => Err(ParseDepartureError(format!("nobody crashes at `{what}`: {FORMS}"))),
                    };
                }
            }
        }
        Err(ParseDepartureError(FORMS.to_owned()))
    }
}

const UNTIL: &str = " until ";

/// Reads what stands around `until`. A label may have the word in it, so every place is tried.
fn parse_until<T>(verb: &str, rest: &str) -> Result<(T, Option<Target>), ParseDepartureError>
where
    T: FromStr<Err = ParseDepartureError>,
{
    let mut wrong = None;
    // Where the word stands twice, the second one begins with the space that the first one ends with.
    for (place, _) in rest.match_indices(' ').filter(|(place, _)| rest[*place..].starts_with(UNTIL)) {
        let until = rest[place + UNTIL.len()..].trim_matches(' ');
        let until = if until == "quiescence" { Ok(None) } else { until.parse().map(Some) };
        match (rest[..place].parse(), until) {
            (Ok(what), Ok(until)) => return Ok((what, until)),
            (Err(error), _) | (_, Err(error)) => wrong = wrong.or(Some(error)),
        }
    }
    Err(wrong.unwrap_or_else(|| ParseDepartureError(format!("`{verb}` without `until`: {FORMS}"))))
}

impl FromStr for DeliverySpec {
    type Err = ParseDepartureError;

    fn from_str(text: &str) -> Result<DeliverySpec, ParseDepartureError> {
        let wrong = |why: &str| wrong(text, why, "a delivery is like `item:changed i1@2 -> search #1`");
        let (message, to) = text.split_once("->").ok_or_else(|| wrong("names no group"))?;
        let (subject, about) = message.trim().split_once(' ').ok_or_else(|| wrong("names no record"))?;
        let about = about.trim();
        let (record, version) = match about.split_once('@') {
            Some((record, version)) => (record, Some(version)),
            None => (about, None),
        };
        // The key of a record may have `/` in it: what stands behind its last one is a part of it or a count.
        let (rest, nth) = match version {
            None if record.contains(':') => split_count(record).unwrap_or((record, 1)),
            _ => split_number(version.unwrap_or(record), '/').ok_or_else(|| wrong("has no number after `/`"))?,
        };
        let (record, version) = if version.is_some() { (record, Some(rest)) } else { (rest, None) };
        let version = version.map(|version| version.parse().map(Version)).transpose();
        let version = version.map_err(|_| wrong("has no version after `@`"))?;
        let record = record.parse().map_err(|error| wrong(&format!("names no record ({error})")))?;
        let (group, attempt) = split_number(to.trim(), '#').ok_or_else(|| wrong("has no attempt after `#`"))?;
        let attempt = u16::try_from(attempt).map_err(|_| wrong("has too large an attempt"))?;
        let group = group.trim();
        if !is_service(group) || nth == 0 || attempt == 0 {
            return Err(wrong("is not a delivery"));
        }
        Ok(DeliverySpec { subject: subject.to_owned(), record, version, nth, group: group.to_owned(), attempt })
    }
}

impl FromStr for Target {
    type Err = ParseDepartureError;

    fn from_str(text: &str) -> Result<Target, ParseDepartureError> {
        let text = text.trim_start();
        if let Some(what) = text.strip_prefix("pause of ") {
            return match what.parse()? {
                what @ (Target::Delivery(_) | Target::Command(_)) => Ok(Target::Pause(Box::new(what))),
                _ => Err(wrong(what, "cannot pause", "a delivery or a command can")),
            };
        }
        if let Some(what) = text.strip_prefix("start of ") {
            return match what.parse()? {
                what @ (Target::Delivery(_) | Target::Command(_)) => Ok(Target::Start(Box::new(what))),
                _ => Err(wrong(what, "takes no time", "a delivery or a command can")),
            };
        }
        if let Some((place, what)) = text.strip_prefix("await ").and_then(|rest| rest.split_once(" of "))
            && let Ok(place) = place.parse::<u32>()
        {
            let most = Awaits::LAST;
            let place = u8::try_from(place).ok().filter(|place| (1..=most).contains(place));
            let place = place.ok_or_else(|| ParseDepartureError(format!("awaits are counted from 1 to {most}")))?;
            return match what.parse()? {
                what @ (Target::Delivery(_) | Target::Command(_)) => Ok(Target::Await { what: Box::new(what), place }),
                _ => Err(wrong(what, "awaits nothing", "a delivery or a command can")),
            };
        }
        if let Some(what) = text.strip_prefix("publish of ") {
            return match what.parse()? {
                what @ (Target::Delivery(_) | Target::Command(_)) => Ok(Target::Publish(Box::new(what))),
                _ => Err(wrong(what, "is not slow to publish", "a delivery or a command can be")),
            };
        }
        // A subject has no space behind its colon.
        if text.contains(": ") {
            text.parse().map(Target::Command)
        } else if text.starts_with("timer ") {
            text.parse().map(Target::Timer)
        } else if let Some(delivery) = text.strip_prefix("ack of ") {
            delivery.parse().map(Target::Ack)
        } else if let Some(delivery) = text.strip_prefix("ack wait of ") {
            delivery.parse().map(Target::AckWait)
        } else if let Some(group) = text.strip_prefix("join of ") {
            let group = group.trim();
            match is_service(group) {
                true => Ok(Target::Join(group.to_owned())),
                false => Err(wrong(text, "names no group", "a join is like `join of orders`")),
            }
        } else {
            text.parse().map(Target::Delivery)
        }
    }
}

impl FromStr for CommandSpec {
    type Err = ParseDepartureError;

    fn from_str(text: &str) -> Result<CommandSpec, ParseDepartureError> {
        let wrong =
            |why: &str| wrong(text, why, "a command is like `alice: edit t1 to 6`, `/2` behind it for the second");
        let (client, label) = text.split_once(": ").ok_or_else(|| wrong("names no command"))?;
        // Other white space is a part of the name: it is printed, and stands where it stood.
        let (client, label) = (client.trim_matches(' '), label.trim_matches(' '));
        let (label, nth) = split_count(label).unwrap_or((label, 1));
        if client.is_empty() || client.contains(UNTIL) || label.is_empty() || nth == 0 {
            return Err(wrong("is not a command"));
        }
        Ok(CommandSpec { client: client.to_owned(), label: label.to_owned(), nth })
    }
}

/// Whether a word can name a service or its group: with a colon it would look like a client's command.
fn is_service(word: &str) -> bool {
    !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c == ':')
}

/// Why `text` does not name what it should, and how it should look.
fn wrong(text: &str, why: &str, form: &str) -> ParseDepartureError {
    let shown: String = text.chars().take(80).collect();
    ParseDepartureError(format!("`{shown}` {why}: {form}"))
}

/// Splits a count such as `/2` off the end of a label, if it has one.
fn split_count(label: &str) -> Option<(&str, u32)> {
    let (rest, count) = label.rsplit_once('/')?;
    let number: u32 = count.parse().ok()?;
    // `/02` and `/+2` would be second spellings of `/2`.
    (number.to_string() == count && !rest.is_empty() && rest.trim_end() == rest).then_some((rest, number))
}

/// Splits off a number behind `mark`; 1 if there is no mark.
fn split_number(text: &str, mark: char) -> Option<(&str, u32)> {
    match text.split_once(mark) {
        Some((rest, number)) => Some((rest, number.trim().parse().ok()?)),
        None => Some((text, 1)),
    }
}

#[cfg(test)]
mod tests;
