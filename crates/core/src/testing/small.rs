//! Services, events and properties of a small system in few words.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use crate::event::{Event, System};
use crate::ids::{RecordId, Subject, Version};
use crate::property::{Moment, Property, View, Violation, Watch};
use crate::service::{
    AckTiming, Context, NO_COMMANDS, NO_EVENTS, Outcome, Port, PublishMode, Rejection, Relay, Service, Timer, Work,
};
use crate::store::{Record, Schema, VersionPolicy, Versioned};

/// An event that carries a whole record: this is what it is from this version on.
///
/// ```
/// # use pellmell::doc_example::Item;
/// use pellmell::testing::Snapshot;
/// use pellmell::{Event, RecordId, Version};
/// let event = Snapshot { id: RecordId::new('i', 1), version: Version(2), value: Item { price: 15 } };
/// assert_eq!(event.subject(), Snapshot::<Item>::SUBJECT);
/// assert_eq!(event.subject().name(), "items");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Snapshot<R> {
    /// The record.
    pub id: RecordId,
    /// Its version.
    pub version: Version,
    /// Its value in this version.
    pub value: R,
}

impl<R: Record> Snapshot<R> {
    /// The feed of these events: it is named like the collection.
    pub const SUBJECT: Subject = Subject::new(R::COLLECTION);
}

impl<R: Record> Event for Snapshot<R> {
    fn subject(&self) -> Subject {
        Snapshot::<R>::SUBJECT
    }

    fn record(&self) -> RecordId {
        self.id
    }

    fn version(&self) -> Option<Version> {
        Some(self.version)
    }
}

/// Begins a service made of closures.
///
/// ```
/// # use pellmell::doc_example::{Item, Shop};
/// use pellmell::{Outcome, Service, Subject, VersionPolicy, testing};
///
/// const SUBJECTS: &[Subject] = &[Subject::new("item:changed")];
/// let search = testing::service::<Shop>("search")
///     .keeps::<Item>(VersionPolicy::EVERY_SAVE)
///     .on_event(SUBJECTS, |event, ctx| match ctx.store.insert(event.item, Item { price: event.price }) {
///         Ok(_) => Outcome::Ack,
///         Err(_) => Outcome::Silent("duplicate key"),
///     });
/// assert_eq!(search.subjects(), SUBJECTS);
/// ```
#[must_use]
pub fn service<S: System>(name: impl Into<Cow<'static, str>>) -> Closures<S> {
    let (name, subjects) = (name.into(), Cow::Borrowed(&[] as &[Subject]));
    let (publish, ack, relay) = (PublishMode::default(), AckTiming::default(), Relay::default());
    let (declare, asks, takes) = (Vec::new(), Vec::new(), [Duration::ZERO; 3]);
    Closures {
        name,
        declare,
        subjects,
        handle: None,
        execute: None,
        fire: None,
        publish,
        ack,
        relay,
        asks,
        takes,
        awaits: false,
    }
}

type Declare = dyn Fn(&mut Schema) + Send + Sync;
type Handle<S> = dyn Fn(&<S as System>::Event, &mut Context<'_, S>) -> Outcome + Send + Sync;
type Execute<S> = dyn Fn(&<S as System>::Command, &mut Context<'_, S>) -> Result<(), Rejection> + Send + Sync;

type Fire<S> = dyn Fn(&Timer, &mut Context<'_, S>) + Send + Sync;

/// A service made of closures; [`service`] begins one.
pub struct Closures<S: System> {
    name: Cow<'static, str>,
    declare: Vec<Box<Declare>>,
    subjects: Cow<'static, [Subject]>,
    handle: Option<Box<Handle<S>>>,
    execute: Option<Box<Execute<S>>>,
    fire: Option<Box<Fire<S>>>,
    publish: PublishMode,
    ack: AckTiming,
    relay: Relay,
    asks: Vec<&'static str>,
    takes: [Duration; 3],
    awaits: bool,
}

impl<S: System> Closures<S> {
    /// Declares a collection whose records this service alone changes.
    #[must_use]
    pub fn owns<R: Record>(mut self, policy: VersionPolicy) -> Closures<S> {
        self.declare.push(Box::new(move |schema| {
            schema.owns::<R>(policy);
        }));
        self
    }

    /// Declares a collection of replicas or of private notes.
    #[must_use]
    pub fn keeps<R: Record>(mut self, policy: VersionPolicy) -> Closures<S> {
        self.declare.push(Box::new(move |schema| {
            schema.keeps::<R>(policy);
        }));
        self
    }

    /// Listens to these subjects and handles their events so. A vector of subjects that are put together
    /// ([`Subject::named`]) will do as well.
    ///
    /// # Panics
    /// If it was given a handler for events before, which would never run.
    #[must_use]
    #[track_caller]
    pub fn on_event(
        mut self,
        subjects: impl Into<Cow<'static, [Subject]>>,
        handle: impl Fn(&S::Event, &mut Context<'_, S>) -> Outcome + Send + Sync + 'static,
    ) -> Closures<S> {
        let name = &self.name;
        assert!(
            self.handle.is_none(),
            "service `{name}` has two handlers for events: give it one with the subjects of both"
        );
        self.subjects = subjects.into();
        self.handle = Some(Box::new(handle));
        self
    }

    /// Listens to these subjects and handles their events with an `async fn` ([`Context::run`]), which may be
    /// interrupted at each of its awaits ([`Service::awaits`]). It has the event for itself.
    ///
    /// # Panics
    /// If it was given a handler for events before, which would never run.
    #[must_use]
    #[track_caller]
    pub fn on_event_async<F: Future<Output = Outcome>>(
        mut self,
        subjects: impl Into<Cow<'static, [Subject]>>,
        handle: impl Fn(S::Event, Port<S>) -> F + Send + Sync + 'static,
    ) -> Closures<S> {
        self.awaits = true;
        self.on_event(subjects, move |event, ctx| ctx.run(|port| handle(event.clone(), port)))
    }

    /// Executes commands with an `async fn` ([`Context::run`]), which may be interrupted at each of its awaits.
    ///
    /// # Panics
    /// If it was given a handler for commands before, which would never run.
    #[must_use]
    #[track_caller]
    pub fn on_command_async<F: Future<Output = Result<(), Rejection>>>(
        mut self,
        execute: impl Fn(S::Command, Port<S>) -> F + Send + Sync + 'static,
    ) -> Closures<S> {
        self.awaits = true;
        self.on_command(move |command, ctx| ctx.run(|port| execute(command.clone(), port)))
    }

    /// Executes commands so.
    ///
    /// # Panics
    /// If it was given a handler for commands before, which would never run.
    #[must_use]
    #[track_caller]
    pub fn on_command(
        mut self,
        execute: impl Fn(&S::Command, &mut Context<'_, S>) -> Result<(), Rejection> + Send + Sync + 'static,
    ) -> Closures<S> {
        let name = &self.name;
        assert!(self.execute.is_none(), "service `{name}` has two handlers for commands: give it one");
        self.execute = Some(Box::new(execute));
        self
    }

    /// Handles timers that are due so.
    ///
    /// ```
    /// # use pellmell::doc_example::{Changed, Item, Shop};
    /// use pellmell::{Time, Timer, VersionPolicy, testing};
    ///
    /// let shop = testing::service::<Shop>("shop")
    ///     .owns::<Item>(VersionPolicy::EVERY_SAVE)
    ///     .on_command(|change, ctx| {
    ///         let due = Time(ctx.now().0 + 60_000_000);
    ///         ctx.arm_timer(Timer::of(change.item, due).with_purpose("sale-ends").carrying(change.price));
    ///         Ok(())
    ///     })
    ///     .on_timer(|timer, ctx| {
    ///         let price = *timer.payload::<u32>().expect("each is armed with one");
    ///         let version = ctx.store.overwrite(timer.record(), Item { price }, None);
    ///         ctx.publish(Changed { item: timer.record(), version, price });
    ///     });
    /// ```
    ///
    /// # Panics
    /// If it was given a handler for timers before, which would never run.
    #[must_use]
    #[track_caller]
    pub fn on_timer(mut self, fire: impl Fn(&Timer, &mut Context<'_, S>) + Send + Sync + 'static) -> Closures<S> {
        let name = &self.name;
        assert!(self.fire.is_none(), "service `{name}` has two handlers for timers: give it one");
        self.fire = Some(Box::new(fire));
        self
    }

    /// Publishes in this way whatever a handler runs for; [`PublishMode::Outbox`] unless said otherwise.
    #[must_use]
    pub fn publishing(mut self, mode: PublishMode) -> Closures<S> {
        self.publish = mode;
        self
    }

    /// Lets the relay of the outbox publish in this order if it lags; [`Relay::InOrder`] unless said otherwise.
    #[must_use]
    pub fn relaying(mut self, relay: Relay) -> Closures<S> {
        self.relay = relay;
        self
    }

    /// Lets its handlers ask these services ([`Context::ask`]), by name.
    #[must_use]
    pub fn asking(mut self, services: &[&'static str]) -> Closures<S> {
        self.asks.extend(services);
        self
    }

    /// Lets its handlers work for so long when they run for this ([`Service::takes`]); no time unless said otherwise.
    #[must_use]
    pub fn taking(mut self, work: Work, takes: Duration) -> Closures<S> {
        self.takes[work as usize] = takes;
        self
    }

    /// Acks at this time; [`AckTiming::AfterSave`] unless said otherwise.
    #[must_use]
    pub fn acking(mut self, timing: AckTiming) -> Closures<S> {
        self.ack = timing;
        self
    }
}

impl<S: System> Service<S> for Closures<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn collections(&self, schema: &mut Schema) {
        self.declare.iter().for_each(|declare| declare(schema));
    }

    fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    fn handle(&self, event: &S::Event, ctx: &mut Context<'_, S>) -> Outcome {
        self.handle.as_ref().map_or(Outcome::Silent(NO_EVENTS), |handle| handle(event, ctx))
    }

    fn execute(&self, command: &S::Command, ctx: &mut Context<'_, S>) -> Result<(), Rejection> {
        self.execute.as_ref().map_or(Err(NO_COMMANDS), |execute| execute(command, ctx))
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, S>) {
        match &self.fire {
            Some(fire) => fire(timer, ctx),
            None => panic!("service `{}` arms timers and has no handler for them: give it `on_timer`", self.name),
        }
    }

    fn publish_mode(&self, _work: Work) -> PublishMode {
        self.publish
    }

    fn ack_timing(&self) -> AckTiming {
        self.ack
    }

    fn relay(&self) -> Relay {
        self.relay
    }

    fn asks(&self) -> &[&str] {
        &self.asks
    }

    fn takes(&self, work: Work) -> Duration {
        self.takes[work as usize]
    }

    fn awaits(&self) -> bool {
        self.awaits
    }
}

/// A property that judges every moment at rest (see [`Property::at_quiescence`]), the end among them,
/// with a closure.
///
/// ```
/// # use pellmell::doc_example::{Item, Shop};
/// use pellmell::{Violation, testing};
/// let cheap = testing::at_quiescence::<Shop>("Cheap", |moment| {
///     match moment.store_of("shop").all::<Item>().find(|(_, item)| item.price > 100) {
///         Some((id, _)) => Err(Violation::at("shop").of(id).because("expected a price up to 100")),
///         None => Ok(()),
///     }
/// });
/// assert_eq!(cheap.name(), "Cheap");
/// ```
#[must_use]
pub fn at_quiescence<S: System>(
    name: impl Into<Cow<'static, str>>,
    judge: impl Fn(&Moment<'_, S>) -> Result<(), Violation> + Send + Sync + 'static,
) -> Box<dyn Property<S>> {
    Box::new(AtQuiescence { name: name.into(), judge })
}

/// A property: something of this name is done outside of the stores at most once for each record
/// ([`Context::outside`]): nobody is charged twice.
///
/// ```
/// # use pellmell::doc_example::Shop;
/// use pellmell::testing;
/// let charged_once = testing::at_most_once_outside::<Shop>("ChargedOnce", "charge");
/// assert_eq!(charged_once.name(), "ChargedOnce");
/// ```
#[must_use]
pub fn at_most_once_outside<S: System>(
    name: impl Into<Cow<'static, str>>,
    outside: impl Into<Cow<'static, str>>,
) -> Box<dyn Property<S>> {
    Box::new(AtMostOnceOutside { name: name.into(), outside: outside.into() })
}

/// A property: whenever nothing is under way, the service `copies` has a copy, under the same id, of each record that
/// `owner` has, and of no other, so of none that its owner has removed ([`Moment::judge_copies`]). `agree` says
/// whether a copy is what it should be.
///
/// ```
/// # use pellmell::doc_example::{Item, Shop};
/// use pellmell::testing;
/// let converged = testing::converges::<Shop, Item, Item>("SearchConverged", "shop", "search", |item, copy| {
///     (copy.version, copy.price) == (item.version, item.price)
/// });
/// assert_eq!(converged.name(), "SearchConverged");
/// ```
#[must_use]
pub fn converges<S: System, O: Record, C: Record>(
    name: impl Into<Cow<'static, str>>,
    owner: &'static str,
    copies: &'static str,
    agree: impl Fn(&Versioned<O>, &Versioned<C>) -> bool + Send + Sync + 'static,
) -> Box<dyn Property<S>> {
    at_quiescence(name, move |moment: &Moment<'_, S>| {
        moment.judge_copies(owner, copies, |record: &Versioned<O>, copy: Option<&Versioned<C>>| {
            if copy.is_some_and(|copy| agree(record, copy)) {
                return None;
            }
            let found = copy.map_or("nothing".to_owned(), |copy| format!("version {} {:?}", copy.version, copy.value));
            Some(format!("expected version {} {:?}, found {found}", record.version, record.value))
        })
    })
}

struct AtMostOnceOutside {
    name: Cow<'static, str>,
    outside: Cow<'static, str>,
}

impl<S: System> Property<S> for AtMostOnceOutside {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &'static str {
        "what is done outside of the stores is done at most once for each record"
    }

    fn watches(&self) -> Watch {
        Watch::OUTSIDE
    }

    fn on_step(&self, view: &View<'_, S>) -> Result<(), Violation> {
        for done in view.done_outside().filter(|done| done.name() == self.outside) {
            let times = view.times_outside(&self.outside, done.record());
            if times > 1 {
                let detail = format!("`{}` was done {times} times, expected at most 1", self.outside);
                return Err(Violation::at(view.service()).of(done.record()).because(detail));
            }
        }
        Ok(())
    }
}

struct AtQuiescence<F> {
    name: Cow<'static, str>,
    judge: F,
}

impl<S: System, F: Fn(&Moment<'_, S>) -> Result<(), Violation> + Send + Sync> Property<S> for AtQuiescence<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn at_quiescence(&self, moment: &Moment<'_, S>) -> Result<(), Violation> {
        (self.judge)(moment)
    }
}
