//! Handlers that are `async fn`s: what they ask for at each await is done here, and each is a place where others may
//! come between.
//!
//! Nothing of it needs a runtime or a thread. A handler is polled until it asks for something through its [`Port`],
//! that is done, and it is polled again. Where its fate says so it is left at an await instead. When it goes on it runs
//! from its beginning once more, and is told what it was told before, up to that await.

use std::any::{Any, type_name};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Wake};

use super::{Context, Outcome, Rejection};
use crate::event::System;
use crate::hash;
use crate::store::Store;

/// Some of the awaits of a handler, which are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Awaits(u16);

impl Awaits {
    /// None of them.
    pub const NONE: Awaits = Awaits(0);

    /// The last that a schedule can name.
    pub const LAST: u8 = 15;

    /// This one; none if there is no such one.
    #[must_use]
    pub const fn of(place: u8) -> Awaits {
        if place == 0 || place > Awaits::LAST { Awaits::NONE } else { Awaits(1 << place) }
    }

    /// They as one word, for hashing.
    #[inline(always)]
    pub(crate) fn word(self) -> u64 {
        self.0.into()
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, place: u8) -> bool {
        place <= Awaits::LAST && self.0 >> place & 1 == 1
    }

    /// Whether there is none.
    #[must_use]
    #[inline(always)]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// They, in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=Awaits::LAST).filter(move |place| self.has(*place))
    }

    /// The key of what a handler that handles something does from one of its awaits on.
    pub(crate) fn key(handled: u64, place: u8) -> u64 {
        hash::mix3(handled, 9, place.into())
    }

    /// Adds one.
    pub(crate) fn add(&mut self, place: u8) {
        self.0 |= Awaits::of(place).0;
    }
}

/// What was done at an await came to.
type Answer = Arc<dyn Any + Send + Sync>;

/// What a handler that was interrupted was told so far, await by await.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Vec<Answer>>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "told {} times", self.0.len())
    }
}

/// How far a handler comes, and has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    told: Told,
    /// At which await it was left, and goes on; 0 if it begins.
    from: u32,
    /// Whether it is left before its first change, and at which awaits.
    pause: bool,
    awaits: Awaits,
    /// How many awaits it came to.
    passed: u32,
    left: Option<Left>,
}

/// Where a handler was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Before its first change.
    BeforeChange,
    /// At one of its awaits.
    At(u8),
}

impl Progress {
    /// That of a handler that begins.
    pub(crate) fn begins(&mut self, pause: bool, awaits: Awaits) {
        *self = Progress { pause, awaits, ..Progress::default() };
    }

    /// That of one that goes on where it was left.
    pub(crate) fn goes_on(&mut self, told: Told, awaits: Awaits) {
        let from = told.0.len() as u32 + 1;
        *self = Progress { told, from, awaits, ..Progress::default() };
    }

    pub(crate) const fn left(&self) -> Option<Left> {
        self.left
    }

    /// How many awaits it came to.
    pub(crate) fn passed(&self) -> u8 {
        self.passed.min(Awaits::LAST.into()) as u8
    }

    /// Whether what it is told is needed once more.
    const fn may_be_left(&self) -> bool {
        self.pause || !self.awaits.is_none()
    }

    pub(crate) fn take_told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }

    /// Where it is left, if it is left before it does what comes next.
    fn is_left(&self, changes: bool) -> Option<Left> {
        let place = u8::try_from(self.passed).ok().filter(|place| self.awaits.has(*place));
        match place {
            Some(place) if self.passed != self.from => Some(Left::At(place)),
            _ => (self.pause && changes).then_some(Left::BeforeChange),
        }
    }
}

type Read = dyn FnOnce(&Store) -> Answer + Send;
type Call<S> = dyn FnOnce(&mut Context<'_, S>) -> Answer + Send;

/// What a handler asks for at an await.
enum Request<S: System> {
    Read(Box<Read>),
    Call(Box<Call<S>>),
}

/// What is asked for and answered between a handler and who polls it.
struct Desk<S: System> {
    asked: u64,
    requests: VecDeque<(u64, Request<S>)>,
    answers: BTreeMap<u64, Answer>,
}

/// What stands behind the repositories and publishers of a handler that is an `async fn`: each of their methods is one
/// await, and what it does, it does in the simulation's store.
///
/// ```
/// # use pellmell::doc_example::{Change, Changed, Item, Shop};
/// use pellmell::{Port, RecordId, Rejection, Version, VersionPolicy, testing};
///
/// // Of the service, as it is in production.
/// trait Prices {
///     async fn version_of(&self, item: RecordId) -> Option<Version>;
///     async fn save(&self, item: RecordId, price: u32, read: Option<Version>) -> Version;
/// }
/// trait Publisher {
///     async fn publish(&self, event: Changed);
/// }
/// async fn change(change: Change, prices: &impl Prices, publisher: &impl Publisher) {
///     let read = prices.version_of(change.item).await;
///     let version = prices.save(change.item, change.price, read).await;
///     publisher.publish(Changed { item: change.item, version, price: change.price }).await;
/// }
///
/// // Of the test.
/// impl Prices for Port<Shop> {
///     async fn version_of(&self, item: RecordId) -> Option<Version> {
///         self.read(move |store| store.find::<Item>(item).map(|held| held.version)).await
///     }
///     async fn save(&self, item: RecordId, price: u32, read: Option<Version>) -> Version {
///         self.call(move |ctx| ctx.store.overwrite(item, Item { price }, read)).await
///     }
/// }
/// impl Publisher for Port<Shop> {
///     async fn publish(&self, event: Changed) {
///         self.call(move |ctx| ctx.publish(event)).await
///     }
/// }
/// let shop = testing::service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).on_command_async(
///     |order: Change, port| async move {
///         change(order, &port, &port).await;
///         Ok(())
///     },
/// );
/// ```
pub struct Port<S: System> {
    desk: Arc<Mutex<Desk<S>>>,
}

impl<S: System> Clone for Port<S> {
    fn clone(&self) -> Port<S> {
        Port { desk: Arc::clone(&self.desk) }
    }
}

impl<S: System> fmt::Debug for Port<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Port")
    }
}

impl<S: System> Port<S> {
    fn new() -> Port<S> {
        let desk = Desk { asked: 0, requests: VecDeque::new(), answers: BTreeMap::new() };
        Port { desk: Arc::new(Mutex::new(desk)) }
    }

    fn desk(&self) -> MutexGuard<'_, Desk<S>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the store: an await that changes nothing.
    pub fn read<T: Clone + Send + Sync + 'static>(
        &self,
        read: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Awaited<S, T> {
        self.ask(Request::Read(Box::new(move |store| Arc::new(read(store)))))
    }

    /// Does something in the store, publishes or asks another service: an await that may change something. All that
    /// one call does is one transaction, and is there when it is done ([`Context::commit`]), whatever comes of the rest
    /// of the handler; what it publishes without saving anything is out when the handler is done or interrupted.
    pub fn call<T: Clone + Send + Sync + 'static>(
        &self,
        call: impl FnOnce(&mut Context<'_, S>) -> T + Send + 'static,
    ) -> Awaited<S, T> {
        self.ask(Request::Call(Box::new(move |ctx| Arc::new(call(ctx)))))
    }

    fn ask<T>(&self, request: Request<S>) -> Awaited<S, T> {
        Awaited { port: self.clone(), state: State::New(request), answer: PhantomData }
    }
}

/// The future of what a handler asks for through its [`Port`].
#[must_use = "nothing is done before it is awaited"]
pub struct Awaited<S: System, T> {
    port: Port<S>,
    state: State<S>,
    answer: PhantomData<fn() -> T>,
}

enum State<S: System> {
    New(Request<S>),
    Asked(u64),
    Done,
}

impl<S: System, T> fmt::Debug for Awaited<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Awaited")
    }
}

impl<S: System, T> Unpin for Awaited<S, T> {}

impl<S: System, T: Clone + Send + Sync + 'static> Future for Awaited<S, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<T> {
        let awaited = self.get_mut();
        let mut desk = awaited.port.desk();
        match std::mem::replace(&mut awaited.state, State::Done) {
            State::New(request) => {
                let number = desk.asked;
                desk.asked += 1;
                desk.requests.push_back((number, request));
                awaited.state = State::Asked(number);
                Poll::Pending
            }
            State::Asked(number) => match desk.answers.remove(&number) {
                Some(answer) => Poll::Ready(answer.downcast_ref::<T>().cloned().unwrap_or_else(|| another::<T>())),
                None => {
                    awaited.state = State::Asked(number);
                    Poll::Pending
                }
            },
            State::Done => panic!("what was asked for is polled although it was answered"),
        }
    }
}

/// What nobody waits for any more is not done, unless it was done before.
impl<S: System, T> Drop for Awaited<S, T> {
    fn drop(&mut self) {
        if let State::Asked(number) = self.state {
            let mut desk = self.port.desk();
            desk.requests.retain(|(other, _)| *other != number);
            desk.answers.remove(&number);
        }
    }
}

#[cold]
fn another<T>() -> ! {
    let wanted = type_name::<T>();
    panic!(
        "a handler that goes on asks for something else than before (a {wanted}): what it does must depend on its \
         event and on what it was told alone"
    )
}

/// What a handler answers: what stands for that as long as it was interrupted, which nobody looks at.
pub trait Answers: private::Sealed {
    #[doc(hidden)]
    fn of_nobody() -> Self;
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::Outcome {}
    impl Sealed for Result<(), super::Rejection> {}
    impl Sealed for () {}
}

impl Answers for Outcome {
    fn of_nobody() -> Outcome {
        Outcome::Silent("it was interrupted")
    }
}

impl Answers for Result<(), Rejection> {
    fn of_nobody() -> Result<(), Rejection> {
        Ok(())
    }
}

impl Answers for () {
    fn of_nobody() {}
}

/// Whether something was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<S: System> Context<'_, S> {
    /// Runs a handler that is an `async fn`, on the spot and without a runtime, up to its answer, or to an await at
    /// which it is interrupted.
    ///
    /// A service whose handlers do that says so ([`Service::awaits`](crate::Service::awaits)), or none is interrupted.
    /// Everything that they wait for comes from their [`Port`]. What is polled at once, as by `join!`, is done in the
    /// order in which it was polled. A handler that was interrupted runs from its beginning once more when it goes on,
    /// and what it asks for up to there is answered as before and not done again: so what it does depends on its event
    /// and on what it is told alone.
    ///
    /// # Panics
    /// If the handler waits for something that does not come from its port and wakes nobody, such as a timer of a
    /// runtime; or if it asks for something else when it goes on than before.
    pub fn run<T: Answers, F: Future<Output = T>>(&mut self, handler: impl FnOnce(Port<S>) -> F) -> T {
        let port = Port::new();
        let mut future = pin!(handler(port.clone()));
        let woken = Arc::new(Woken::default());
        let waker = Arc::clone(&woken).into();
        let mut polling = task::Context::from_waker(&waker);
        loop {
            if let Poll::Ready(answer) = future.as_mut().poll(&mut polling) {
                return answer;
            }
            let was_woken = woken.0.swap(false, Ordering::Relaxed);
            let Some((number, request)) = port.desk().requests.pop_front() else {
                assert!(was_woken, "a handler waits for something that does not come from its port");
                continue;
            };
            let Some(answer) = self.answer(request) else { return T::of_nobody() };
            port.desk().answers.insert(number, answer);
        }
    }

    /// Does what a handler asks for at an await, unless it did so before; `None` if it is left there.
    fn answer(&mut self, request: Request<S>) -> Option<Answer> {
        let Some(progress) = self.progress.as_deref_mut() else { return Some(self.do_now(request)) };
        progress.passed += 1;
        if let Some(told) = progress.told.0.get(progress.passed as usize - 1) {
            return Some(Arc::clone(told));
        }
        progress.left = progress.is_left(matches!(request, Request::Call(_)));
        if progress.left.is_some() {
            return None;
        }
        let answer = self.do_now(request);
        if let Some(progress) = self.progress.as_deref_mut().filter(|progress| progress.may_be_left()) {
            Arc::make_mut(&mut progress.told.0).push(Arc::clone(&answer));
        }
        Some(answer)
    }

    fn do_now(&mut self, request: Request<S>) -> Answer {
        match request {
            Request::Read(read) => read(self.store),
            Request::Call(call) => {
                let before = self.store.tick();
                let answer = call(self);
                if self.store.tick() != before {
                    self.commit();
                }
                answer
            }
        }
    }
}
