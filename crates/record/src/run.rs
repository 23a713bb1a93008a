//! Plays a script against a server, and notes what happens, line by line.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Duration, Instant, sleep_until, timeout};

use crate::Fallible;
use crate::script::{Answer, How, Part, Script, Step};

/// How exact the times are that are written.
const SLACK: &str = "50ms";
/// What a member says arrives after so long at most.
const LATENCY: &str = "300ms";
/// How much longer than its script a run may take before it is given up.
const GRACE: Duration = Duration::from_secs(15);

/// A message that a member was handed, as its client library shows it.
pub struct Delivery<H> {
    pub message: String,
    pub count: Option<u64>,
    pub redelivered: Option<bool>,
    /// What an answer to it needs.
    pub handle: H,
}

/// What comes from a server by itself.
pub enum Event<H> {
    /// A member was handed a message.
    Got { by: &'static str, session: u32, delivery: Delivery<H> },
    /// The server said that it gave a message up.
    GaveUp(String),
    /// It did what the script does not allow for.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code))]
    Failed(String),
}

/// Where a member puts what it is handed.
pub struct Inbox<H> {
    by: &'static str,
    session: u32,
    events: UnboundedSender<Event<H>>,
}

impl<H> Inbox<H> {
    /// Notes a delivery; nobody looks at it any more if the run is over.
    pub fn got(&self, delivery: Delivery<H>) {
        let _ = self.events.send(Event::Got { by: self.by, session: self.session, delivery });
    }

    /// Ends the run.
    #[cfg(feature = "kafka")]
    pub fn failed(&self, what: String) {
        let _ = self.events.send(Event::Failed(format!("{}: {what}", self.by)));
    }
}

/// One subscription at a server: a durable consumer, a queue, a consumer group, a session.
pub trait Server: Sized {
    /// What an answer to a delivery needs.
    type Handle;
    /// The client library, as the lock file calls it.
    const CLIENT: &str;
    /// What the names of files begin with.
    const FILES: &str;
    /// How many scripts are played at once.
    const AT_ONCE: usize = 1;

    /// The server's name and version, as it says itself.
    async fn version(address: SocketAddr) -> Fallible<(&'static str, String)>;
    /// Makes what the script asks for anew.
    async fn open(address: SocketAddr, script: &Script, events: UnboundedSender<Event<Self::Handle>>)
    -> Fallible<Self>;
    /// Publishes a message, and waits until the server has it.
    async fn publish(&mut self, message: &str, part: Part) -> Fallible<()>;
    /// A member joins on a connection of its own.
    async fn join(&mut self, member: &'static str, inbox: Inbox<Self::Handle>) -> Fallible<()>;
    /// It leaves.
    async fn leave(&mut self, member: &'static str, how: How) -> Fallible<()>;
    /// A member answers a delivery.
    async fn answer(&mut self, member: &'static str, handle: &Self::Handle, answer: Answer) -> Fallible<()>;
    /// A member asks for so many messages that wait.
    async fn read(&mut self, _: &'static str, _: usize) -> Fallible<Vec<Delivery<Self::Handle>>> {
        Err("members do not ask for messages here".into())
    }
    /// A member takes over everything that is pending.
    async fn claim(&mut self, _: &'static str) -> Fallible<Vec<Delivery<Self::Handle>>> {
        Err("members do not take over messages here".into())
    }
}

/// The version of a dependency, as the lock file has it.
fn locked(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let package = lock.split("[[package]]").find(|package| package.contains(&format!("name = \"{name}\"\n")));
    let version = package.and_then(|package| package.split("version = \"").nth(1)?.split('"').next());
    version.unwrap_or("of no known version")
}

/// What is asked for on the command line.
pub struct Asked {
    pub address: SocketAddr,
    pub out: PathBuf,
    /// The one script that is played, if it is not all of them.
    pub only: Option<String>,
    /// The version of a server that does not say it.
    pub version: Option<String>,
}

/// Plays scripts, each on something of its own, and writes a file for each.
pub async fn all<S: Server>(asked: &Asked, scripts: &'static [Script]) -> Fallible<()> {
    std::fs::create_dir_all(&asked.out)?;
    let (name, told) = timeout(GRACE, S::version(asked.address)).await??;
    let version = asked.version.clone().unwrap_or(told);
    let picked = scripts.iter().filter(|script| asked.only.as_deref().is_none_or(|only| only == script.name));
    let files = stream::iter(picked).map(|script| one::<S>(asked, script, name, &version)).buffered(S::AT_ONCE);
    files
        .try_for_each(|file| async move {
            println!("{}", file.display());
            Ok(())
        })
        .await
}

/// Plays a script, and writes its file.
async fn one<S: Server>(asked: &Asked, script: &'static Script, name: &str, version: &str) -> Fallible<PathBuf> {
    let header = json!({
        "recording": 1,
        "about": script.about,
        "server": format!("{name} {version}"),
        "client": format!("{} {}", S::CLIENT, locked(S::CLIENT)),
        "profile": script.profile,
        "set": script.set(),
        "slack": SLACK,
        "latency": LATENCY,
    });
    let most = Duration::from_millis(script.ends) + GRACE;
    let lines = timeout(most, Run::<S>::play(asked.address, script)).await;
    let lines = lines.map_err(|_| format!("{}: not over after {most:?}", script.name))?;
    let lines = lines.map_err(|error| format!("{}: {error}", script.name))?;
    let file = asked.out.join(format!("{}-{version}-{}.jsonl", S::FILES, script.name));
    std::fs::write(&file, format!("{header}\n{}", lines.concat()))?;
    Ok(file)
}

/// A run of a script.
struct Run<'a, S: Server> {
    script: &'a Script,
    server: S,
    began: Instant,
    lines: Vec<String>,
    events: UnboundedSender<Event<S::Handle>>,
    /// The members that are there, and the how-manieth time each is.
    sessions: BTreeMap<&'static str, u32>,
    joined: u32,
    /// How often each message was seen.
    seen: BTreeMap<String, u16>,
    /// What each member was handed last of each message.
    handles: BTreeMap<(&'static str, String), S::Handle>,
    /// Answers that are given later, by when.
    later: Vec<(Instant, &'static str, u32, String, Answer)>,
}

impl<'a, S: Server> Run<'a, S> {
    async fn play(address: SocketAddr, script: &'a Script) -> Fallible<Vec<String>> {
        let (events, mut arriving) = unbounded_channel();
        let server = S::open(address, script, events.clone()).await?;
        let began = Instant::now();
        let mut run = Run {
            script,
            server,
            began,
            lines: Vec::new(),
            events,
            sessions: BTreeMap::new(),
            joined: 0,
            seen: BTreeMap::new(),
            handles: BTreeMap::new(),
            later: Vec::new(),
        };
        let ends = began + Duration::from_millis(script.ends);
        let mut steps = script.steps.iter().map(|(ms, step)| (began + Duration::from_millis(*ms), *step)).peekable();
        loop {
            let step = steps.peek().map(|(due, _)| *due);
            let answer = run.later.iter().map(|(due, ..)| *due).min();
            let next = step.into_iter().chain(answer).min();
            tokio::select! {
                biased;
                Some(event) = arriving.recv() => run.event(event).await?,
                () = sleep_until(next.unwrap_or(ends)) => match next {
                    None => return Ok(run.lines),
                    Some(_) if step == next => {
                        if let Some((_, step)) = steps.next() {
                            run.step(step).await?;
                        }
                    }
                    Some(_) => {
                        let place = run.later.iter().position(|(due, ..)| Some(*due) == next);
                        if let Some((_, by, session, message, answer)) = place.map(|place| run.later.remove(place))
                            && run.is_there(by, session)
                        {
                            run.say(by, &message, answer).await?;
                        }
                    }
                },
            }
        }
    }

    fn is_there(&self, member: &str, session: u32) -> bool {
        self.sessions.get(member) == Some(&session)
    }

    /// Notes something under the present time.
    fn note(&mut self, what: Value) {
        let mut line = Map::new();
        line.insert("ms".to_owned(), json!(self.began.elapsed().as_millis() as u64));
        if let Value::Object(what) = what {
            line.extend(what.into_iter().filter(|(_, value)| !value.is_null()));
        }
        self.lines.push(format!("{}\n", Value::Object(line)));
    }

    async fn step(&mut self, step: Step) -> Fallible<()> {
        match step {
            Step::Publish(first, last) => self.publish(Part::All, first, last).await?,
            Step::PublishTo(part, first, last) => self.publish(part, first, last).await?,
            Step::Join(member) => {
                self.joined += 1;
                self.sessions.insert(member, self.joined);
                self.note(json!({"join": member}));
                let inbox = Inbox { by: member, session: self.joined, events: self.events.clone() };
                self.server.join(member, inbox).await?;
            }
            Step::Leave(member, how) => {
                self.note(json!({"leave": member, "how": how.name()}));
                if how != How::Cancel {
                    self.sessions.remove(member);
                }
                self.server.leave(member, how).await?;
            }
            Step::Say(member, message, answer) => self.say(member, message, answer).await?,
            Step::Read(member, count) => {
                for delivery in self.server.read(member, count).await? {
                    self.got(member, delivery).await?;
                }
            }
            Step::Claim(member) => {
                let claimed = self.server.claim(member).await?;
                let messages: Vec<&str> = claimed.iter().map(|delivery| delivery.message.as_str()).collect();
                self.note(json!({"claim": messages, "by": member}));
                for delivery in claimed {
                    self.got(member, delivery).await?;
                }
            }
        }
        Ok(())
    }

    async fn publish(&mut self, part: Part, first: u32, last: u32) -> Fallible<()> {
        let (key, partition) = match part {
            Part::All => (None, None),
            Part::Key(key) => (Some(key), None),
            Part::Partition(partition) => (None, Some(partition)),
        };
        for message in first..=last {
            let message = message.to_string();
            self.note(json!({"publish": message, "key": key, "partition": partition}));
            self.server.publish(&message, part).await?;
        }
        Ok(())
    }

    async fn event(&mut self, event: Event<S::Handle>) -> Fallible<()> {
        match event {
            // What a member is handed after it is gone nobody sees.
            Event::Got { by, session, delivery } if self.is_there(by, session) => self.got(by, delivery).await,
            Event::Got { .. } => Ok(()),
            Event::Failed(what) => Err(what.into()),
            Event::GaveUp(message) => {
                self.note(json!({"gave_up": message}));
                Ok(())
            }
        }
    }

    /// A member is handed a message, and answers as the script says.
    async fn got(&mut self, by: &'static str, delivery: Delivery<S::Handle>) -> Fallible<()> {
        let Delivery { message, count, redelivered, handle } = delivery;
        self.note(json!({"got": message, "by": by, "count": count, "redelivered": redelivered}));
        let seen = self.seen.entry(message.clone()).or_default();
        *seen += 1;
        let answers = self.script.answers(by, &message, *seen);
        self.handles.insert((by, message.clone()), handle);
        for (after, answer) in answers {
            if *after == 0 {
                self.say(by, &message, *answer).await?;
            } else {
                let due = Instant::now() + Duration::from_millis(*after);
                let session = self.sessions.get(by).copied().unwrap_or_default();
                self.later.push((due, by, session, message.clone(), *answer));
            }
        }
        Ok(())
    }

    async fn say(&mut self, by: &'static str, message: &str, answer: Answer) -> Fallible<()> {
        let (verb, delay) = match answer {
            Answer::Ack => ("ack", None),
            Answer::Nak => ("nak", None),
            Answer::NakFor(ms) => ("nak", Some(format!("{ms}ms"))),
            Answer::Term => ("term", None),
            Answer::Extend => ("extend", None),
            Answer::Commit | Answer::CommitInVain => ("commit", None),
            Answer::Seek => ("seek", None),
        };
        self.note(json!({verb: message, "by": by, "delay": delay}));
        let handle = self.handles.get(&(by, message.to_owned()));
        let handle = handle.ok_or_else(|| format!("{by} never saw {message}"))?;
        self.server.answer(by, handle, answer).await
    }
}
