//! A runtime in which a service and its server run on one thread, whose clock stands still until every byte is read.
//!
//! tokio's paused clock moves by itself whenever no task is runnable, and bytes that are under way on a socket do not
//! hinder it. So each time before the thread would be parked, what drives the server is woken instead, and it alone
//! lets the clock move: when all that was written is known to be read, and nothing was said since.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::door::{BEGINS_WITHIN, Door, Handed};
use crate::service::Running;
use pellmell_code::{Answer, Failure};

/// How many ack waits longer a service gets that has not answered in time: a handler that is only slow ends meanwhile,
/// so that it has nothing in hand when it is told the next input.
const LATE_WAITS: u32 = 4;
/// How often is looked whether a client connects, while there is none, before the clock moves.
const LOOKS: u32 = 20;
/// After how many looks in vain other threads are let go first.
const LOOKS_ALONE: u32 = 100;

/// Tells when no task can go on.
#[derive(Debug, Default)]
struct Idle {
    count: AtomicU64,
    /// Whether the clock may move once.
    may_move: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Idle {
    /// The thread is about to be parked.
    fn parks(&self) {
        if self.may_move.swap(false, Ordering::Relaxed) {
            return;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    /// When no task can go on.
    async fn reached(&self) {
        let before = self.count.load(Ordering::Relaxed);
        poll_fn(|context| {
            if self.count.load(Ordering::Relaxed) != before {
                return Poll::Ready(());
            }
            *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A service that runs, from its start to a crash.
pub(crate) struct Life {
    runtime: Runtime,
    service: JoinHandle<String>,
    clock: Clock,
}

struct Clock {
    idle: Arc<Idle>,
    origin: Instant,
    /// The simulated time at that moment.
    base: Duration,
}

impl Life {
    /// Starts a service at the server's time, and waits until messages on these subjects can be handed over.
    pub(crate) fn start(service: Running, server: &mut impl Door, subjects: &[String]) -> Result<Life, Failure> {
        let idle = Arc::new(Idle::default());
        let parks = Arc::clone(&idle);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .on_thread_park(move || parks.parks())
            .build()
            .map_err(|error| Failure::new(format!("a runtime cannot be made: {error}")))?;
        let origin = runtime.block_on(async { Instant::now() });
        let clock = Clock { idle, origin, base: server.talk().now };
        let mut life = Life { service: runtime.spawn(service), runtime, clock };
        let Life { runtime, service, clock } = &mut life;
        runtime.block_on(async {
            let last = server.talk().now + BEGINS_WITHIN;
            loop {
                clock.settle(server).await?;
                let mut missing = None;
                for subject in subjects {
                    if !server.is_ready_for(subject)? {
                        missing = Some(subject);
                    }
                }
                if missing.is_none() && server.has_connections() {
                    return Ok(());
                }
                ended(service, server).await?;
                if server.talk().now >= last {
                    let what = match missing {
                        Some(subject) => format!("listen to `{subject}`: it has {}", server.takers_in_words()),
                        None => "connect to the server whose address it was given".to_owned(),
                    };
                    let within = BEGINS_WITHIN.as_secs();
                    let what = format!("within {within} s of simulated time it does not {what}");
                    return Err(server.talk().with_lines(Failure::new(what)));
                }
                clock.step(server, last).await;
            }
        })?;
        Ok(life)
    }

    /// Lets it do what it does until this time.
    pub(crate) fn advance(&mut self, server: &mut impl Door, to: Duration) -> Result<(), Failure> {
        self.runtime.block_on(self.clock.advance(server, to))
    }

    /// Lets it do what it does until it has answered what was handed over.
    pub(crate) fn until_answered(&mut self, server: &mut impl Door) -> Result<Answer, Failure> {
        let Life { runtime, service, clock } = self;
        runtime.block_on(async {
            let asks_within = server.asks_within();
            let last_to_ask = server.talk().now + asks_within;
            loop {
                clock.settle(server).await?;
                let (words, late) = match server.handed() {
                    Some(Handed { what, sent, within }) => (what, sent.map(|sent| (sent + within, within))),
                    None => ("nothing".to_owned(), None),
                };
                let is_late = late.is_some_and(|(end, _)| server.talk().now >= end);
                match server.answer() {
                    // It was in time, or there is no time.
                    Some(answer) if !is_late => return Ok(answer),
                    Some(_) => return Ok(Answer::Failed(format!("{words} is answered too late"))),
                    None => {}
                }
                ended(service, server).await?;
                let last = match late {
                    Some((end, _)) if !is_late => end,
                    Some((end, within)) => end + within * LATE_WAITS,
                    None => last_to_ask,
                };
                if server.talk().now >= last {
                    let Some((_, within)) = late else {
                        if let Some(answer) = server.never_asked() {
                            return Ok(answer);
                        }
                        let within = asks_within.as_secs();
                        let what = format!("within {within} s of simulated time it does not ask for {words}");
                        return Err(server.talk().with_lines(Failure::new(what)));
                    };
                    return Ok(Answer::Failed(format!("{words} is not answered within {} ms", within.as_millis())));
                }
                clock.step(server, last).await;
            }
        })
    }
}

/// A failure if the service has ended.
async fn ended(service: &mut JoinHandle<String>, server: &impl Door) -> Result<(), Failure> {
    if !service.is_finished() {
        return Ok(());
    }
    let what = match service.await {
        Ok(ended) => format!("it has ended with `{ended}`"),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => format!("it panicked: {}", panic_in_words(&*panic)),
            Err(error) => format!("it was cut off: {error}"),
        },
    };
    Err(server.talk().with_lines(Failure::new(what)))
}

/// What a panic said.
pub(crate) fn panic_in_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("something that is no text").to_owned()
}

impl Clock {
    fn now(&self) -> Duration {
        self.base + self.origin.elapsed()
    }

    /// Lets everything come to rest at this time: no task can go on, and every byte is read by whom it is for.
    async fn settle(&self, server: &mut impl Door) -> Result<(), Failure> {
        loop {
            let was_read = server.ask_whether_read();
            let (mut heard, mut looks) = (false, 0);
            loop {
                self.idle.reached().await;
                heard |= server.turn();
                if let Some(wrong) = server.talk_mut().wrong() {
                    return Err(wrong);
                }
                looks += 1;
                if if server.has_connections() { !server.waits() } else { looks >= LOOKS } {
                    break;
                }
                if looks >= LOOKS_ALONE || !server.has_connections() {
                    std::thread::yield_now();
                }
            }
            if was_read && !heard && server.is_read() {
                return Ok(());
            }
        }
    }

    /// Moves to the next time at which something happens, or to the last.
    async fn step(&self, server: &mut impl Door, last: Duration) {
        let until = server.next_due().map_or(last, |due| due.min(last));
        let mut sleep = pin!(sleep_until(self.origin + until.saturating_sub(self.base)));
        self.idle.may_move.store(true, Ordering::Relaxed);
        let mut reached = pin!(self.idle.reached());
        poll_fn(|context| {
            if !sleep.is_elapsed() {
                // That it is over is seen when all that it wakes has run.
                let _ = sleep.as_mut().poll(context);
            }
            reached.as_mut().poll(context)
        })
        .await;
        server.at(self.now());
    }

    async fn advance(&self, server: &mut impl Door, to: Duration) -> Result<(), Failure> {
        while self.now() < to {
            self.step(server, to).await;
            self.settle(server).await?;
        }
        Ok(())
    }
}
