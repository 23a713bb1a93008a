//! A service of a test as code that the simulation starts, tells and cuts off: one thread for each instance.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::about::About;
use crate::door::Door;
use crate::runtime::{Life, panic_in_words};
use crate::service::{Conversation, Host, Hosted, Seen};
use pellmell_code::serving::{Publishes, TakesDown, Talk};
use pellmell_code::{Answer, Code, Delivered, Failure, Input, Port, Put, Running, State};
use pellmell_core::event::Event;
use pellmell_core::ids::{Subject, Version};

/// What a service of a test is started from.
pub(crate) struct Program<D: Door> {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) about: Arc<About>,
    pub(crate) subjects: Vec<String>,
    pub(crate) conversation: Option<Conversation>,
    pub(crate) within: Duration,
    /// What its consumers ask of the broker, once one has started.
    pub(crate) wanted: Arc<Mutex<Vec<D::Wanted>>>,
}

struct Instance {
    name: String,
    jobs: Option<Sender<Job>>,
    replies: Receiver<Reply>,
    thread: Option<JoinHandle<()>>,
    within: Duration,
    is_hung: bool,
}

enum Job {
    Tell(Box<Input<'static>>),
    Crash,
    Reset,
}

type Reply = Result<Told, Failure>;

/// What a service did and answered.
struct Told {
    published: Vec<Publishes>,
    said: Vec<String>,
    seen: Vec<Seen>,
    answer: Answer,
}

impl<D: Door> Code for Program<D> {
    fn start(&self, service: &str) -> Result<Box<dyn Running>, Failure> {
        let (jobs, to_do) = channel();
        let (done, replies) = channel();
        let takes_down = self.conversation.clone();
        let takes_down = takes_down.map(|conversation| -> TakesDown { Box::new(move |line| conversation.add(line)) });
        let server = D::open(Arc::clone(&self.about), Talk::new(takes_down))
            .map_err(|error| Failure::new(format!("its clients cannot have a server: {error}")))?;
        let (host, subjects, wanted) = (Arc::clone(&self.host), self.subjects.clone(), Arc::clone(&self.wanted));
        let work = move || serve(&*host, server, &subjects, &wanted, &to_do, &done);
        let thread = thread::Builder::new().name(format!("service {service}")).spawn(work);
        let thread = thread.map_err(|error| Failure::new(format!("no thread can be had: {error}")))?;
        let mut instance = Instance {
            name: service.to_owned(),
            jobs: Some(jobs),
            replies,
            thread: Some(thread),
            within: self.within,
            is_hung: false,
        };
        instance.reply("start")?;
        Ok(Box::new(instance))
    }
}

impl Instance {
    fn send(&mut self, job: Job, what: &str) -> Result<Told, Failure> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent || self.is_hung {
            return Err(Failure::new("its thread has ended"));
        }
        self.reply(what)
    }

    fn reply(&mut self, what: &str) -> Result<Told, Failure> {
        match soon(&self.replies).map_or_else(|| self.replies.recv_timeout(self.within), Ok) {
            Ok(reply) => reply,
            Err(RecvTimeoutError::Timeout) => {
                self.is_hung = true;
                let within = self.within.as_millis();
                let what = format!("it hangs: it did not come to rest within {within} ms of real time ({what})");
                let next = "something in it blocks its thread, waits for no socket of its clients, or never waits; \
                            `.answering_within(...)` gives it more time";
                Err(Failure::new(format!("{what}: {next}")))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Failure::new("its thread has ended")),
        }
    }
}

/// What comes before it is worth to let the thread sleep: to be woken takes longer than an input.
fn soon<T>(from: &Receiver<T>) -> Option<T> {
    const LOOKS: u32 = 1_000;
    (0..LOOKS).find_map(|_| {
        std::thread::yield_now();
        from.try_recv().ok()
    })
}

impl Drop for Instance {
    /// Ends the thread, and with it the service and its port, unless it hangs: nothing ends that.
    fn drop(&mut self) {
        self.jobs = None;
        let mut ends = !self.is_hung;
        while ends {
            match self.replies.recv_timeout(self.within) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => ends = false,
            }
        }
        if ends && let Some(thread) = self.thread.take() {
            // It has caught what panics in it.
            let _ = thread.join();
        }
    }
}

impl Running for Instance {
    fn state(&self) -> State {
        State::Own
    }

    fn tell(&mut self, input: &Input<'_>, port: &mut dyn Port) -> Result<Answer, Failure> {
        let input = owned(input)?;
        let what = match &input {
            Input::Delivery(Delivered { subject, attempt, .. }) => format!("attempt {attempt} on `{subject}`"),
            Input::Call { name, .. } => format!("the request on `{name}`"),
            Input::Timer { purpose, .. } => format!("the timer `{purpose}`"),
        };
        let told = self.send(Job::Tell(Box::new(input)), &what)?;
        for line in told.said {
            port.log(&format!("{}: {line}", self.name));
        }
        for seen in told.seen {
            match seen {
                Seen::Saved(record, version, value) => port.saved(record, version, value)?,
                Seen::Removed(record) => port.removed(record)?,
                Seen::Outside(name, record) => port.outside_after_saving(name, record),
            }
        }
        for Publishes { subject, headers, body } in told.published {
            port.publish(&subject, headers, body)?;
        }
        Ok(told.answer)
    }

    fn crash(&mut self) -> Result<(), Failure> {
        self.send(Job::Crash, "a start after a crash").map(|_| ())
    }

    fn reset(&mut self) -> Result<(), Failure> {
        self.send(Job::Reset, "a new start").map(|_| ())
    }
}

/// An input for another thread. Subjects live as long as the program.
fn owned(input: &Input<'_>) -> Result<Input<'static>, Failure> {
    Ok(match input {
        Input::Delivery(Delivered { subject, body, headers, attempt, now }) => Input::Delivery(Delivered {
            subject: Subject::named(subject).name(),
            body: body.clone(),
            headers: headers.clone(),
            attempt: *attempt,
            now: *now,
        }),
        Input::Call { name, record, body, now } => {
            Input::Call { name: name.clone(), record: *record, body: body.clone(), now: *now }
        }
        Input::Timer { .. } => return Err(Failure::new("a timer is due that it has not armed")),
    })
}

/// What an instance's thread does until nobody has anything more to do for it.
fn serve<D: Door>(
    host: &dyn Host,
    server: D,
    subjects: &[String],
    wanted: &Mutex<Vec<D::Wanted>>,
    jobs: &Receiver<Job>,
    done: &Sender<Reply>,
) {
    let mut server = Some(server);
    let mut hosted = host.fresh();
    let mut life = None;
    let mut job = Some(Job::Reset);
    while let Some(next) = job {
        let work = AssertUnwindSafe(|| -> Reply {
            let now = server.as_mut().ok_or_else(|| Failure::new("its server is gone"))?;
            match next {
                Job::Tell(input) => {
                    return tell(&input, &mut life, &mut *hosted, now, host.goes_on_for());
                }
                Job::Crash => {
                    drop(life.take());
                    now.cut_off();
                }
                Job::Reset => {
                    drop(life.take());
                    hosted = host.fresh();
                    server = server.take().map(D::renewed);
                }
            }
            let now = server.as_mut().ok_or_else(|| Failure::new("its server is gone"))?;
            start(&mut life, &*hosted, now, subjects)?;
            *wanted.lock().unwrap_or_else(PoisonError::into_inner) = now.wanted();
            let (published, said, seen) = (Vec::new(), Vec::new(), Vec::new());
            Ok(Told { published, said, seen, answer: Answer::Done })
        });
        let reply = catch_unwind(work);
        let reply = reply.unwrap_or_else(|panic| {
            Err(Failure::new(format!("what looks at it, or what starts it, panicked: {}", panic_in_words(&*panic))))
        });
        if done.send(reply).is_err() {
            break;
        }
        job = soon(jobs).or_else(|| jobs.recv().ok());
    }
}

fn start(
    life: &mut Option<Life>,
    hosted: &dyn Hosted,
    server: &mut impl Door,
    subjects: &[String],
) -> Result<(), Failure> {
    let url = server.url().map_err(|error| Failure::new(format!("its address is gone: {error}")))?;
    *life = Some(Life::start(hosted.run(url), server, subjects)?);
    Ok(())
}

fn tell(
    input: &Input<'static>,
    life: &mut Option<Life>,
    hosted: &mut dyn Hosted,
    server: &mut impl Door,
    goes_on_for: Duration,
) -> Reply {
    let (Input::Delivery(Delivered { now, .. }) | Input::Call { now, .. } | Input::Timer { now, .. }) = input;
    server.talk_mut().begin();
    let running = life.as_mut().ok_or_else(|| Failure::new("it is not running"))?;
    running.advance(server, Duration::from_micros(now.0))?;
    match input {
        Input::Delivery(Delivered { subject, body, headers, attempt, .. }) => {
            server.deliver(subject, headers, body, *attempt)?;
        }
        Input::Call { name, body, .. } => server.call(name, body)?,
        Input::Timer { .. } => {}
    }
    if server.is_asked_for_at_start() {
        server.talk_mut().said.push("it starts again, as it asks only then for what is left to it".to_owned());
        drop(life.take());
        server.cut_off();
        start(life, hosted, server, &[])?;
    }
    let life = life.as_mut().ok_or_else(|| Failure::new("it is not running"))?;
    let answer = life.until_answered(server)?;
    if !goes_on_for.is_zero() {
        let until = server.talk().now + goes_on_for;
        life.advance(server, until)?;
    }
    let seen = hosted.look().map_err(Failure::new)?;
    let talk = server.talk_mut();
    let (published, said) = (std::mem::take(&mut talk.published), std::mem::take(&mut talk.said));
    server.over(answer != Answer::Done && published.is_empty() && seen.is_empty());
    Ok(Told { published, said, seen, answer })
}

/// A service that publishes what it is called for: events from elsewhere.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(crate) about: Arc<About>,
    /// The kinds of records that it owns.
    pub(crate) owns: BTreeSet<char>,
}

impl Code for Publisher {
    fn start(&self, _: &str) -> Result<Box<dyn Running>, Failure> {
        Ok(Box::new(self.clone()))
    }
}

impl Running for Publisher {
    fn state(&self) -> State {
        State::Records
    }

    fn tell(&mut self, input: &Input<'_>, port: &mut dyn Port) -> Result<Answer, Failure> {
        let Input::Call { name, record, body, .. } = input else {
            return Err(Failure::new("it only publishes"));
        };
        let message = self.about.message(name, body.clone()).map_err(Failure::new)?;
        if self.owns.contains(&record.kind()) {
            // What it says last counts, whatever is there.
            let version = message.version().unwrap_or(Version(0));
            let _ = port.save(*record, body.clone(), Put::Overwrite, Some(version))?;
        }
        port.publish(name, BTreeMap::new(), body.clone())?;
        Ok(Answer::Done)
    }

    fn crash(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
