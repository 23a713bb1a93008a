//! Services: what a user writes, and what a handler can do while it runs.
//!
//! A service is rules without state. Everything it remembers is in its [`Store`], or in the memory of one
//! of its members ([`Context::memory`]), which is why a run can be restarted from any step, two handlers
//! can race for a record, and a crash loses nothing that was saved and everything that was not.

mod answer;
mod asking;
mod awaiting;
mod memory;
mod outside;
mod timer;

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use crate::event::System;
use crate::ids::{self, Reason, RecordId, ServiceIndex, Subject, Time};
use crate::store::{SavePoint, Schema, Store};

pub use answer::AnswerFault;
pub use asking::NoAnswer;
pub(crate) use asking::{Asked, AskedAt, AskedService, Asking, Others};
pub use awaiting::{Answers, Awaited, Awaits, Port};
pub(crate) use awaiting::{Left, Progress, Told};
pub(crate) use memory::Memories;
pub use outside::Outside;
pub use timer::Timer;
pub(crate) use timer::{Payload, is_purpose};

/// One service: its collections, the subjects it listens to, and its handlers.
///
/// ```
/// # use pellmell::doc_example::{Change, Changed, Item, Shop};
/// use pellmell::{Context, Outcome, Rejection, Schema, Service, Subject, VersionPolicy};
///
/// /// Keeps a copy of every item of the shop.
/// struct Search;
///
/// impl Service<Shop> for Search {
///     fn name(&self) -> &'static str {
///         "search"
///     }
///
///     fn collections(&self, schema: &mut Schema) {
///         schema.keeps::<Item>(VersionPolicy::EVERY_SAVE);
///     }
///
///     fn subjects(&self) -> &[Subject] {
///         const { &[Subject::new("item:changed")] }
///     }
///
///     fn handle(&self, event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
///         let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
///         let item = Item { price: event.price };
///         let saved = match held {
///             None if event.version.0 == 0 => ctx.store.insert(event.item, item).is_ok(),
///             Some(held) if held.0 + 1 == event.version.0 => {
///                 ctx.store.save_if_current(event.item, item, held).is_ok()
///             }
///             Some(held) => held >= event.version,
///             None => false,
///         };
///         if saved { Outcome::Ack } else { Outcome::Silent("a version is missing") }
///     }
/// }
/// ```
pub trait Service<S: System>: Send + Sync {
    /// The service's name, which is also its group's name unless the simulation says otherwise. It is the
    /// same each time.
    fn name(&self) -> &str;

    /// Declares the collections of its store.
    fn collections(&self, schema: &mut Schema);

    /// The subjects its group listens to.
    fn subjects(&self) -> &[Subject] {
        &[]
    }

    /// Handles one delivery and answers it.
    ///
    /// It may run again for the same event: when the ack was lost, when it came too late, when a
    /// member crashed. It must depend on the event, the store and the context alone. By default it gives no
    /// answer, so a service that listens to subjects and handles nothing is found out.
    fn handle(&self, _event: &S::Event, _ctx: &mut Context<'_, S>) -> Outcome {
        Outcome::Silent(NO_EVENTS)
    }

    /// Executes a client's command.
    ///
    /// If the member crashes before it answered ([`Window`](crate::Window) before save, before publish or
    /// before ack), the client has no answer. It then goes on to its next command and does not send this
    /// one again, unless it tries until it is accepted (see [`Sending`](crate::Sending)): then the command
    /// may come again although it was executed. A crash behind the answer leaves the client with its answer.
    ///
    /// # Errors
    /// A [`Rejection`] if the service refuses it: by default each command, with status 404.
    fn execute(&self, _command: &S::Command, _ctx: &mut Context<'_, S>) -> Result<(), Rejection> {
        Err(NO_COMMANDS)
    }

    /// Runs when a timer is due that a handler has armed (see [`Context::arm`] and [`Context::arm_timer`]).
    fn on_timer(&self, _timer: &Timer, _ctx: &mut Context<'_, S>) {}

    /// A member has crashed: what of the service's store dies with it, such as what stands for the memory of a
    /// process. Nothing by default: what is saved survives.
    fn crashed(&self, _store: &mut Store) {}

    /// How saves and publishes hang together when a member crashes between them. By default
    /// [`PublishMode::Outbox`], which forgives: under it no crash between save and publish loses an event.
    fn publish_mode(&self, _work: Work) -> PublishMode {
        PublishMode::Outbox
    }

    /// Whether a delivery is acked after or before its handler's saves. By default
    /// [`AckTiming::AfterSave`].
    fn ack_timing(&self) -> AckTiming {
        AckTiming::AfterSave
    }

    /// How long its handlers work, in simulated time: between what one reads when it begins and the moment at which
    /// its saves and its answer are there. By default no time.
    ///
    /// Meanwhile the ack wait of its delivery runs, and one that ends at the very moment at which the work does ends
    /// before it. A member gets nothing more, neither a delivery nor a command, until it is done, unless its handlers
    /// overlap ([`Hosting::overlapping`](crate::simulation::Hosting::overlapping)). A handler that pauses as well
    /// works when it goes on. Timers take no time: a simulation of a service for which [`Work::Timer`] does is not
    /// built. [`Hosting::takes`](crate::simulation::Hosting::takes) says it from outside.
    ///
    /// ```
    /// # use pellmell::doc_example::Shop;
    /// use std::time::Duration;
    ///
    /// use pellmell::{Schema, Service, Work};
    ///
    /// /// Renders a page for each item, which takes its time.
    /// struct Pages;
    ///
    /// impl Service<Shop> for Pages {
    ///     fn name(&self) -> &'static str {
    ///         "pages"
    ///     }
    ///
    ///     fn collections(&self, _: &mut Schema) {}
    ///
    ///     fn takes(&self, work: Work) -> Duration {
    ///         if work == Work::Delivery { Duration::from_secs(12) } else { Duration::ZERO }
    ///     }
    /// }
    /// ```
    fn takes(&self, _work: Work) -> Duration {
        Duration::ZERO
    }

    /// Whether its handlers are `async fn`s ([`Context::run`]), which can be interrupted at each of their awaits. By
    /// default they are not.
    ///
    /// What such a handler saves is there when it is done, and nothing takes it back: it publishes by
    /// [`PublishMode::DualWrite`] then, unless what it saves and what it publishes is one call.
    fn awaits(&self) -> bool {
        false
    }

    /// In which order the relay of its outbox publishes, where it has one. By default [`Relay::InOrder`].
    fn relay(&self) -> Relay {
        Relay::InOrder
    }

    /// The names of the services that its handlers ask ([`Context::ask`]). By default none.
    fn asks(&self) -> &[&str] {
        &[]
    }
}

/// What a handler answers. The broker learns it only if it reaches the broker.
#[must_use = "a delivery is answered by the outcome its handler returns"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is done for this group.
    Ack,
    /// The message shall come again: at once, or after a delay.
    Nak {
        /// Why, for reports ([`Reason`] makes one of a text that is put together).
        reason: &'static str,
        /// How long the broker shall wait.
        delay: Option<Duration>,
    },
    /// No answer, as when a handler throws: the message comes again after the ack wait.
    Silent(&'static str),
}

impl Outcome {
    /// A nak without delay.
    pub const fn nak(reason: &'static str) -> Outcome {
        Outcome::Nak { reason, delay: None }
    }
}

/// A command the service refused, the way an HTTP service would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The HTTP status.
    pub status: u16,
    /// Why, for reports ([`Reason`] makes one of a text that is put together).
    pub reason: &'static str,
}

impl Rejection {
    /// A refusal with a reason that may be put together.
    #[must_use]
    pub fn new(status: u16, reason: impl Into<Reason>) -> Rejection {
        Rejection { status, reason: Reason::of(reason) }
    }
}

/// What a service says to each command if it has no handler for commands.
pub(crate) const NO_COMMANDS: Rejection = Rejection { status: 404, reason: "the service takes no commands" };

/// What a service says to each event if it has no handler for events.
pub(crate) const NO_EVENTS: &str = "the service handles no events";

/// What a handler runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A client's command.
    Command = 0,
    /// A delivery.
    Delivery = 1,
    /// A timer.
    Timer = 2,
}

impl Work {
    pub(crate) const ALL: [Work; 3] = [Work::Command, Work::Delivery, Work::Timer];
}

/// How a service publishes what it saved. The default is [`PublishMode::Outbox`], the one that forgives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PublishMode {
    /// Records and events are saved in one transaction, which is undone unless the handler
    /// succeeds, and a relay publishes the events: a crash between save and publish loses none.
    #[default]
    Outbox,
    /// Save first, then publish: a crash in between loses the events.
    DualWrite,
    /// Publish first, then save: a crash in between leaves events about what was never saved, and a
    /// handler that pauses has published by then.
    BeforeSave,
}

/// In which order the relay of an outbox publishes what handlers saved one after the other, if it lags
/// ([`Fate::slow_publish`](crate::Fate::slow_publish)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Relay {
    /// In the order of the saves: later events of the service wait behind those that are not out yet.
    #[default]
    InOrder,
    /// In any order, as several relays do, or one that reads by sequence number and comes back for what it
    /// passed over: later events are out first.
    AnyOrder,
}

/// When a handler that decided to ack sends its ack. The default is [`AckTiming::AfterSave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AckTiming {
    /// After its saves and publishes: a crash before the ack leads to a redelivery.
    #[default]
    AfterSave,
    /// As soon as it has decided, before it saves: after a crash in between, the message is done and
    /// nothing of it was applied.
    BeforeSave,
}

/// What a handler can do: read and save records, publish events, arm timers.
pub struct Context<'a, S: System> {
    /// The service's store.
    pub store: &'a mut Store,
    /// The stores of those that it may ask, if it asks any.
    pub(crate) others: Option<Others<'a>>,
    pub(crate) effects: &'a mut Effects<S::Event>,
    pub(crate) memories: &'a mut Memories,
    /// How far it comes, if it is an `async fn` that may be interrupted.
    pub(crate) progress: Option<&'a mut Progress>,
    /// Who runs the handler: service and member.
    pub(crate) member: (ServiceIndex, u16),
    pub(crate) now: Time,
    pub(crate) attempt: u16,
    pub(crate) subject: Option<Subject>,
}

impl<S: System> Context<'_, S> {
    /// Publishes an event when the handler's saves are done (see [`PublishMode`]).
    pub fn publish(&mut self, event: S::Event) {
        self.effects.has_any = true;
        self.effects.published.push(event);
    }

    /// The events that the handler has published so far, for a service that wraps another one and says what
    /// that said otherwise.
    pub fn published(&mut self) -> &mut Vec<S::Event> {
        self.effects.has_any = true;
        &mut self.effects.published
    }

    /// Calls [`Service::on_timer`] with a timer about `record` once the clock reaches `due`. Arming twice
    /// fires twice. The timer survives crashes, as a job in a durable queue does.
    pub fn arm(&mut self, record: RecordId, due: Time) {
        self.arm_timer(Timer::of(record, due));
    }

    /// Like [`Context::arm`], but the timer lives in the memory of the member whose handler runs: it
    /// fires there, and dies with that member's next crash.
    pub fn arm_in_memory(&mut self, record: RecordId, due: Time) {
        self.arm_timer(Timer::of(record, due).in_memory());
    }

    /// Arms a timer that may have a purpose and carry something, when the handler's saves are done.
    ///
    /// ```
    /// # use pellmell::doc_example::{Changed, Item, Shop};
    /// # use pellmell::{Context, Outcome, Time, Timer};
    /// # fn handle(event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
    /// let due = Time(ctx.now().0 + 60_000_000);
    /// ctx.call_off(event.item, "remind");
    /// ctx.arm_timer(Timer::of(event.item, due).with_purpose("remind").carrying(event.price));
    /// # Outcome::Ack
    /// # }
    /// ```
    pub fn arm_timer(&mut self, timer: Timer) {
        self.effects.has_any = true;
        self.effects.armed.push(Arming::Arm(timer));
    }

    /// Calls off the timers of this service about `record` that are armed for `purpose`, when the handler's
    /// saves are done; empty for those without a purpose. None of them fires any more. What this handler
    /// arms afterwards stays, and so does what is in the memory of another member. It is no error if there
    /// is none: one that is due may have fired before.
    pub fn call_off(&mut self, record: RecordId, purpose: impl Into<Cow<'static, str>>) {
        self.effects.armed.push(Arming::CallOff { record, purpose: ids::kept(purpose) });
        (self.effects.has_any, self.effects.calls_off) = (true, true);
    }

    /// Commits what the handler has done so far, as a transaction that ends in the middle of it does, or a save to
    /// a database without transactions: what it has saved, published, armed and done outside stays, whatever comes
    /// of the rest.
    ///
    /// A member can crash right after the first commit of a handler
    /// ([`Window::BetweenSaves`](crate::Window::BetweenSaves), `crash S between saves of T`); it can not between
    /// saves that are not parted by a commit. Others do not come in between.
    ///
    /// ```
    /// # use pellmell::doc_example::{Change, Item, Shop};
    /// # use pellmell::{Context, RecordId, Rejection};
    /// fn execute(change: &Change, ctx: &mut Context<'_, Shop>) -> Result<(), Rejection> {
    ///     let copy = RecordId::new('i', 100 + change.item.number());
    ///     ctx.store.overwrite(change.item, Item { price: change.price }, None);
    ///     ctx.commit();
    ///     ctx.store.overwrite(copy, Item { price: change.price }, None);
    ///     Ok(())
    /// }
    /// ```
    pub fn commit(&mut self) {
        let Effects { published, armed, outside, .. } = &*self.effects;
        let [published, armed, outside] = [published.len(), armed.len(), outside.len()];
        let commit = Commit { saves: self.store.point(), published, armed, outside };
        let first = self.effects.commits.map_or(commit, |(first, _)| first);
        if self.store.changed() || published + armed + outside > 0 {
            self.effects.commits = Some((first, commit));
        }
    }

    /// Does something outside of the store and of the broker, which nothing takes back: a charge at a card company,
    /// a mail.
    ///
    /// It happens at once, before the handler's saves are there: also if the member crashes before them, if they
    /// are refused, or if the handler answers nak. One that is made [`after_saving`](Outside::after_saving) happens
    /// when they are there, with what the handler publishes, and not at all if it does not come to that. A handler
    /// that pauses does it when it goes on.
    ///
    /// ```
    /// # use pellmell::doc_example::{Changed, Item, Shop};
    /// # use pellmell::{Context, Outcome, Outside};
    /// # fn handle(event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
    /// ctx.outside(Outside::of("charge", event.item).carrying(event.price));
    /// // A crash here leaves a charge of which the store knows nothing.
    /// if ctx.store.insert(event.item, Item { price: event.price }).is_ok() {
    ///     ctx.outside(Outside::of("mail", event.item).after_saving());
    /// }
    /// # Outcome::Ack
    /// # }
    /// ```
    pub fn outside(&mut self, outside: Outside) {
        self.effects.has_any = true;
        self.effects.acts_outside = true;
        self.effects.outside.push(outside);
    }

    /// What the member that runs the handler keeps in its memory: `T::default()` at first, and again after
    /// the member crashed. Other members of the service have a memory of their own.
    ///
    /// It is what a process keeps in a variable: no transaction takes back what a handler does to it, not
    /// even if the handler refuses, and a handler that paused finds it as it is when it goes on. It is a
    /// part of the world's state by its hash, and what a handler does that has asked for it is not taken to
    /// come to nothing when it is done again.
    ///
    /// ```
    /// # use pellmell::doc_example::{Changed, Shop};
    /// # use pellmell::{Context, Outcome, RecordId, Version};
    /// use std::collections::BTreeSet;
    ///
    /// fn handle(event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
    ///     let is_new = ctx.memory::<BTreeSet<(RecordId, Version)>>().insert((event.item, event.version));
    ///     if !is_new {
    ///         // Right until this member crashes.
    ///         return Outcome::Ack;
    ///     }
    ///     // …
    /// #   Outcome::Ack
    /// }
    /// ```
    ///
    /// # Panics
    /// If the member's memory was asked for as another type before: it is one value.
    pub fn memory<T: Default + Clone + Hash + Debug + Send + Sync + 'static>(&mut self) -> &mut T {
        self.effects.remembers = true;
        self.effects.note_impure();
        self.memories.of_mut(self.member)
    }

    /// The simulated time.
    pub fn now(&mut self) -> Time {
        self.effects.note_impure();
        self.now
    }

    /// The subject of the message that is handled; `None` outside a delivery. It is that of the event, but for a
    /// dead letter, which comes on the subject for those
    /// ([`Hosting::dead_letters`](crate::simulation::Hosting::dead_letters)).
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        self.subject
    }

    /// The attempt and the time, to be passed on to code that is told both and of which nobody knows whether it looks
    /// at them: it is taken not to, so what it does not change now it does not change when it is told the same again.
    #[must_use]
    pub fn passed_on(&self) -> (u16, Time) {
        (self.attempt, self.now)
    }

    /// Which delivery attempt this is, from 1; 0 outside a delivery.
    pub fn attempt(&mut self) -> u16 {
        self.effects.note_impure();
        self.attempt
    }
}

/// How far a handler had come when it committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) saves: SavePoint,
    published: usize,
    armed: usize,
    outside: usize,
}

/// What a handler asked for about timers.
#[derive(Clone, Debug)]
pub(crate) enum Arming {
    Arm(Timer),
    CallOff { record: RecordId, purpose: &'static str },
}

/// What a handler did besides saving. The buffers are reused from step to step.
#[derive(Clone, Debug)]
pub(crate) struct Effects<E> {
    pub(crate) published: Vec<E>,
    /// In the order in which it was asked for.
    pub(crate) armed: Vec<Arming>,
    /// What it did outside of the store, in the order in which it did it.
    pub(crate) outside: Vec<Outside>,
    /// Whether it did anything outside of the store, new or not.
    pub(crate) acts_outside: bool,
    /// The first and the last commit.
    pub(crate) commits: Option<(Commit, Commit)>,
    /// What it asked other services, in the order in which it did.
    pub(crate) asked: Vec<Asked>,
    /// What came of that.
    pub(crate) asking: Asking,
    /// The handler looked at the time, at the attempt or into its memory, so running it again on the same
    /// store may give another answer.
    pub(crate) impure: bool,
    /// It may have changed its memory.
    pub(crate) remembers: bool,
    /// Whether it called a timer off, and so did what depends on which timers there are.
    pub(crate) calls_off: bool,
    /// Whether there may be anything to say of it at all: most handlers read and save and no more.
    pub(crate) has_any: bool,
}

impl<E> Default for Effects<E> {
    fn default() -> Effects<E> {
        let (published, armed, outside) = (Vec::new(), Vec::new(), Vec::new());
        let (impure, remembers, calls_off, has_any, acts_outside) = (false, false, false, false, false);
        let (commits, asked, asking) = (None, Vec::new(), Asking::Nothing);
        Effects {
            published,
            armed,
            outside,
            acts_outside,
            commits,
            asked,
            asking,
            impure,
            remembers,
            calls_off,
            has_any,
        }
    }
}

impl<E> Effects<E> {
    /// Whether it published and armed nothing, and did nothing to its memory.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.published.is_empty() && self.armed.is_empty() && !self.remembers
    }

    /// Takes back what the handler published since a commit, or at all.
    pub(crate) fn unpublish(&mut self, commit: Option<Commit>) {
        self.published.truncate(commit.map_or(0, |commit| commit.published));
    }

    /// Takes back what it armed since a commit, or at all.
    pub(crate) fn disarm(&mut self, commit: Option<Commit>) {
        self.armed.truncate(commit.map_or(0, |commit| commit.armed));
    }

    /// Leaves out what it was to do outside after saves that are not there.
    pub(crate) fn leave_out_after_saves(&mut self, commit: Option<Commit>) {
        let (committed, mut place) = (commit.map_or(0, |commit| commit.outside), 0);
        self.outside.retain(|outside| {
            place += 1;
            place <= committed || !outside.is_after_saving()
        });
    }

    /// Ends the handler at a commit: what it did after that it has not done.
    pub(crate) fn end_at(&mut self, commit: Commit) {
        self.unpublish(Some(commit));
        self.disarm(Some(commit));
        self.outside.truncate(commit.outside);
    }

    fn note_impure(&mut self) {
        (self.has_any, self.impure) = (true, true);
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.has_any {
            self.published.clear();
            self.armed.clear();
            self.outside.clear();
            self.asked.clear();
            (self.acts_outside, self.commits, self.asking) = (false, None, Asking::Nothing);
            (self.impure, self.remembers, self.calls_off, self.has_any) = (false, false, false, false);
        }
    }
}
