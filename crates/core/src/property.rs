//! Properties: claims about a run, and what it means when one is broken.
//!
//! A property is judged after each step that could break it, at each moment at rest, or at the end.
//! It is a pure function of what it is shown, a [`View`], a [`Moment`] or the [`End`]; what it needs to
//! remember is in the world already (the owner's history, the log, what each delivery did).

mod copies;
mod view;

use std::borrow::Cow;
use std::fmt;

use crate::broker::{Broker, Delivery, DeliveryIndex, MessageName};
use crate::event::{Event, System};
use crate::ids::{self, RecordId};
use crate::simulation::Simulation;
use crate::store::{COLLECTION_BITS, Record, Store};
use crate::world::Step;

pub use self::view::{End, Moment, View};

/// A claim about every run.
///
/// ```
/// # use pellmell::doc_example::{Item, Shop};
/// use pellmell::{Moment, Property, Store, Violation};
///
/// /// Whenever nothing is under way, search holds the shop's items.
/// struct SearchConverged;
///
/// impl Property<Shop> for SearchConverged {
///     fn name(&self) -> &'static str {
///         "SearchConverged"
///     }
///
///     fn at_quiescence(&self, moment: &Moment<'_, Shop>) -> Result<(), Violation> {
///         let (shop, search) = (moment.store_of("shop"), moment.store_of("search"));
///         for id in shop.unjudged::<Item>().chain(search.unjudged::<Item>()) {
///             let value = |store: &Store| store.find::<Item>(id).map(|item| item.value.clone());
///             if value(shop) != value(search) {
///                 return Err(Violation::at("search").of(id).because("the copy differs from the shop's item"));
///             }
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Property<S: System>: Send + Sync {
    /// Its name, in words put together: `NoPoison`.
    fn name(&self) -> &str;

    /// What it claims, as half a sentence for reports: `a replica's version never falls`. Empty if the
    /// name says it all.
    fn about(&self) -> &'static str {
        ""
    }

    /// Which steps [`Property::on_step`] wants to see: the same ones throughout a run.
    fn watches(&self) -> Watch {
        Watch::NOTHING
    }

    /// What judges steps for this property and for all others that name the same; `None` if it is asked by
    /// itself, which is the default.
    fn together(&self) -> Option<&'static Together<S>> {
        None
    }

    /// Why nothing in this simulation could ever violate it, as half a sentence: `payments does not take
    /// part`. A result that rests on such a property says nothing (see [`vacuity`](crate::vacuity)). `None`
    /// if something could, as far as the property knows, which is the default.
    fn without_occasion(&self, _simulation: &Simulation<S>) -> Option<String> {
        None
    }

    /// Judges a step.
    ///
    /// # Errors
    /// What is wrong.
    fn on_step(&self, _view: &View<'_, S>) -> Result<(), Violation> {
        Ok(())
    }

    /// Judges a moment at rest: nothing can change any more until a command is sent or a service's timer
    /// fires. A message that is not done does not put that off if it is known to change nothing when it
    /// comes again; [`Counts`](crate::run::Counts) has the moments that were put off.
    ///
    /// A run has many of them where commands come slowly: [`Store::unjudged`] spares looking at records
    /// that did not change since the last one.
    ///
    /// # Errors
    /// What is wrong.
    fn at_quiescence(&self, _moment: &Moment<'_, S>) -> Result<(), Violation> {
        Ok(())
    }

    /// Judges the end: no commands, no timers, no faults any more, and redelivery changes nothing.
    ///
    /// # Errors
    /// What is wrong.
    fn at_end(&self, _end: &End<'_, S>) -> Result<(), Violation> {
        Ok(())
    }
}

/// Judges steps for several properties at once, which look at the same things: whether a step of these kinds
/// breaks none of them. Only where it says no is each of them asked, in their order, which and why.
///
/// ```
/// # use pellmell::doc_example::{Item, Shop};
/// use pellmell::{Property, Together, View, Violation, Watch};
///
/// /// Each is broken by steps of its own.
/// struct OfPrices(&'static str, fn(u32) -> bool);
///
/// const ALL: [OfPrices; 2] =
///     [OfPrices("PriceIsNotZero", |price| price > 0), OfPrices("PriceIsBelow1000", |price| price < 1_000)];
///
/// static TOGETHER: Together<Shop> = Together(|view, _kinds| {
///     let mut prices = view.changes::<Item>().filter_map(|change| change.after.map(|item| item.price));
///     prices.all(|price| ALL.iter().all(|OfPrices(_, may_be)| may_be(price)))
/// });
///
/// impl Property<Shop> for OfPrices {
///     fn name(&self) -> &str {
///         self.0
///     }
///
///     fn watches(&self) -> Watch {
///         Watch::saves_of::<Item>()
///     }
///
///     fn together(&self) -> Option<&'static Together<Shop>> {
///         Some(&TOGETHER)
///     }
///
///     fn on_step(&self, view: &View<'_, Shop>) -> Result<(), Violation> {
///         let wrong = view.changes::<Item>().find(|change| change.after.is_some_and(|item| !(self.1)(item.price)));
///         wrong.map_or(Ok(()), |change| Err(Violation::at(view.service()).of(change.id)))
///     }
/// }
/// ```
pub struct Together<S: System>(
    /// Is told of which kinds the step is, one of those that a property watches which names this.
    pub fn(&View<'_, S>, Watch) -> bool,
);

/// A claim that something worth reaching is reached in some run: where no run of many reaches it, they
/// say little about whatever would come of it.
///
/// ```
/// # use pellmell::doc_example::{Item, Shop};
/// use pellmell::{Answer, Judges, Sometimes};
///
/// let cheap = Sometimes::<Shop>::new("PriceFell", "an item becomes cheaper", |view| {
///     let fell = |before: u32, after: u32| after < before;
///     view.step.answer == Some(Answer::Command(Ok(())))
///         && view.changes::<Item>().any(|change| match (change.before, change.after) {
///             (Some(before), Some(after)) => fell(before.price, after.price),
///             _ => false,
///         })
/// });
/// let judges = Judges::new(Vec::new()).with_sometimes(vec![cheap]);
/// assert_eq!(judges.sometimes().map(Sometimes::name).collect::<Vec<_>>(), ["PriceFell"]);
/// ```
pub struct Sometimes<S: System> {
    name: &'static str,
    about: &'static str,
    /// The steps that are looked at; all of them if there is none.
    watches: Option<Watch>,
    reached: Box<IsReached<S>>,
}

type IsReached<S> = dyn Fn(&View<'_, S>) -> bool + Send + Sync;

impl<S: System> Sometimes<S> {
    /// A claim of that name. `about` says as half a sentence what happens then, `an order is paid`;
    /// `reached` looks at each step of a run until it says yes.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        about: impl Into<Cow<'static, str>>,
        reached: impl Fn(&View<'_, S>) -> bool + Send + Sync + 'static,
    ) -> Sometimes<S> {
        Sometimes { name: ids::kept(name), about: ids::kept(about), watches: None, reached: Box::new(reached) }
    }

    /// The same, and no other steps than these are looked at: only they can reach it.
    #[must_use]
    pub fn watching(self, watches: Watch) -> Sometimes<S> {
        Sometimes { watches: Some(watches), ..self }
    }

    /// Its name, in words put together: `OrderCompleted`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What happens when it is reached, as half a sentence.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Whether a step reaches it.
    #[must_use]
    pub fn is_reached(&self, view: &View<'_, S>) -> bool {
        self.is_reached_by(Watch::of_view(view), view)
    }

    /// [`Sometimes::is_reached`] for a step of these kinds.
    #[inline]
    pub(crate) fn is_reached_by(&self, kinds: Watch, view: &View<'_, S>) -> bool {
        self.watches.is_none_or(|watches| watches.meets(kinds)) && (self.reached)(view)
    }
}

/// A set of kinds of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch(
    /// The collections that are saved to, by their bits, which several may share, and above them the kinds.
    u64,
);

impl Watch {
    /// No step.
    pub const NOTHING: Watch = Watch(0);
    /// Steps that saved or removed a record.
    pub const SAVES: Watch = Watch((1 << COLLECTION_BITS) - 1);
    /// Steps whose handler answered ack, also if it crashed then before it saved.
    pub const ACKS: Watch = Watch(1 << COLLECTION_BITS);
    /// Steps that published.
    pub const PUBLISHES: Watch = Watch(2 << COLLECTION_BITS);
    /// Steps that did something outside of the stores that was not done before.
    pub const OUTSIDE: Watch = Watch(4 << COLLECTION_BITS);

    /// All of these.
    pub(crate) const ALL: Watch = Watch::SAVES.and(Watch::ACKS).and(Watch::PUBLISHES);

    /// Steps that saved or removed a record of this type, and perhaps some others: a property that says so is not
    /// asked about most of the rest.
    #[must_use]
    pub const fn saves_of<R: Record>() -> Watch {
        Watch(Store::collection_bit::<R>())
    }

    /// What services do in its steps: `saves or acks`.
    pub(crate) fn in_words(self) -> String {
        let words = [
            (Watch::SAVES, "saves"),
            (Watch::ACKS, "acks"),
            (Watch::PUBLISHES, "publishes"),
            (Watch::OUTSIDE, "does something outside"),
        ];
        let words: Vec<&str> = words.into_iter().filter(|(kind, _)| self.meets(*kind)).map(|(_, word)| word).collect();
        words.join(" or ")
    }

    /// Both sets.
    #[must_use]
    pub const fn and(self, other: Watch) -> Watch {
        Watch(self.0 | other.0)
    }

    /// Whether they have a kind in common.
    #[must_use]
    #[inline]
    pub const fn meets(self, other: Watch) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds a step belongs to, whichever collections it saved to.
    #[inline]
    pub(crate) fn of(step: &Step) -> Watch {
        if step.saved() { Watch::beside_saves(step).and(Watch::SAVES) } else { Watch::beside_saves(step) }
    }

    /// The kinds a step belongs to, by the collections it saved to.
    #[inline]
    pub(crate) fn of_view<S: System>(view: &View<'_, S>) -> Watch {
        let saved = view.store().filter(|_| view.step.saved()).map_or(0, Store::saved_collections);
        Watch::beside_saves(view.step).and(Watch(saved))
    }

    /// The kinds a step belongs to, its saves left out.
    #[inline]
    fn beside_saves(step: &Step) -> Watch {
        let published = step.published.end > step.published.start;
        let beside = u64::from(step.answered_ack()) | u64::from(published) << 1 | u64::from(step.acted()) << 2;
        Watch(beside << COLLECTION_BITS)
    }
}

/// What is wrong where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The service.
    pub service: String,
    /// The record.
    pub record: Option<RecordId>,
    /// The message, if one is to blame.
    pub message: Option<MessageName>,
    /// What was expected and what was found.
    pub detail: String,
}

impl Violation {
    /// Something is wrong at a service.
    #[must_use]
    pub fn at(service: impl Into<String>) -> Violation {
        Violation { service: service.into(), record: None, message: None, detail: String::new() }
    }

    /// Names the record.
    #[must_use]
    pub fn of(mut self, record: RecordId) -> Violation {
        self.record = Some(record);
        self
    }

    /// Names the message.
    #[must_use]
    pub fn on(mut self, message: MessageName) -> Violation {
        self.message = Some(message);
        self
    }

    /// Says what was expected and what was found.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Violation {
        self.detail = detail.into();
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}", self.service)?;
        if let Some(record) = self.record {
            write!(f, ", {record}")?;
        }
        if let Some(message) = self.message {
            write!(f, ", {message}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// L1. Every message is acked in the end: redelivery, offered as often as it takes, empties what is
/// pending. A message that can never be acked is poison.
#[derive(Clone, Copy, Debug)]
pub struct NoPoison;

impl<S: System> Property<S> for NoPoison {
    fn name(&self) -> &'static str {
        "NoPoison"
    }

    fn about(&self) -> &'static str {
        "every message is acked in the end, if each is redelivered as often as it takes"
    }

    fn at_end(&self, end: &End<'_, S>) -> Result<(), Violation> {
        let broker = end.world().broker();
        let Some(index) = broker.open().next() else {
            return Ok(());
        };
        let delivery = broker.delivery(index);
        let others = broker.open().count() - 1;
        let more = if others > 0 { format!("; {others} more are pending") } else { String::new() };
        let why = why_pending(delivery, broker.profile().ack_wait.is_empty());
        Err(blame(broker, index).because(format!("still unacked: {} {why}{more}", broker.name(index))))
    }
}

fn why_pending(delivery: &Delivery, for_ever: bool) -> String {
    match delivery.tries {
        0 => "was never handed out, it waits behind others".to_owned(),
        _ if for_ever => "is never redelivered: the broker has no ack wait".to_owned(),
        1 => "after 1 attempt, redelivery changes nothing".to_owned(),
        tries => format!("after {tries} attempts, redelivery changes nothing"),
    }
}

fn blame<E: Event>(broker: &Broker<E>, index: DeliveryIndex) -> Violation {
    let delivery = broker.delivery(index);
    let name = broker.message(delivery.message).name;
    Violation::at(broker.group_name(delivery.group)).of(name.record).on(name)
}

/// L2. Where every pending delivery is handed out once per round, a record with n outstanding
/// messages drains in n rounds, plus one for each other record of its kind it may have to wait
/// for. Judged under the `rounds` scheduler only; other schedules have no rounds.
#[derive(Clone, Copy, Debug)]
pub struct BoundedRedelivery;

impl<S: System> Property<S> for BoundedRedelivery {
    fn name(&self) -> &'static str {
        "BoundedRedelivery"
    }

    fn about(&self) -> &'static str {
        "with everything pending handed out once per round, no delivery is handed out more often than its group has \
         deliveries about that kind of record"
    }

    fn at_end(&self, end: &End<'_, S>) -> Result<(), Violation> {
        if !end.in_rounds {
            return Ok(());
        }
        let broker = end.world().broker();
        for (place, delivery) in broker.deliveries().iter().enumerate() {
            let record = broker.message(delivery.message).name.record;
            let at_group = broker.deliveries().iter().filter(|other| other.group == delivery.group);
            let of_kind = at_group.filter(|other| broker.message(other.message).name.record.kind() == record.kind());
            let bound = of_kind.count();
            if usize::from(delivery.tries) > bound {
                let index = DeliveryIndex(place as u32);
                let detail =
                    format!("{} was handed out {} times, expected at most {bound}", broker.name(index), delivery.tries);
                return Err(blame(broker, index).because(detail));
            }
        }
        Ok(())
    }
}

/// L4. One command leads to a bounded number of messages: services do not echo each other for
/// ever.
#[derive(Clone, Copy, Debug)]
pub struct NoUnboundedGrowth {
    /// The most messages one command may lead to.
    pub messages_max: usize,
}

impl<S: System> Property<S> for NoUnboundedGrowth {
    fn name(&self) -> &'static str {
        "NoUnboundedGrowth"
    }

    fn about(&self) -> &'static str {
        "one command leads to a bounded number of messages"
    }

    fn watches(&self) -> Watch {
        Watch::PUBLISHES
    }

    fn on_step(&self, view: &View<'_, S>) -> Result<(), Violation> {
        // Counting is quadratic in the messages of one command, so look only when there are enough.
        if view.step.published.end <= self.messages_max || view.delivery().is_none() {
            return Ok(());
        }
        let Some(last) = view.published().last() else {
            return Ok(());
        };
        let messages = view.world().broker().messages();
        let caused = messages.iter().filter(|message| message.cause == last.cause).count();
        if caused <= self.messages_max {
            return Ok(());
        }
        let detail = format!("one command led to {caused} messages, expected at most {}", self.messages_max);
        Err(Violation::at(view.service()).of(last.name.record).on(last.name).because(detail))
    }
}
