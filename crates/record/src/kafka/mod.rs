//! Kafka's consumer groups: the client librdkafka, and a cluster that it brings along as a mock of a broker.
//! Each member is a process, so that it can be killed or stand still.

mod member;
mod mock;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::get_rdkafka_version;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;

pub use self::member::consume;
pub use self::mock::serve;
use crate::Fallible;
use crate::run::{Delivery, Event, Inbox, Server};
use crate::script::{Answer, How, Part, Script};

/// How long a message may take to be published, and a member to close.
const GRACE: Duration = Duration::from_secs(5);

pub struct Kafka {
    producer: FutureProducer,
    topic: &'static str,
    /// What a member is started with.
    consumer: Vec<String>,
    members: BTreeMap<&'static str, Member>,
}

struct Member {
    /// It is killed with its last owner.
    process: Child,
    tell: ChildStdin,
    /// What it was told, and what should come of it.
    expected: UnboundedSender<(String, &'static str)>,
    /// Where what it is handed goes; another one after it has joined again.
    inbox: Arc<Mutex<Inbox<Place>>>,
}

/// Where a message is.
#[derive(Clone, Copy)]
pub struct Place {
    partition: i32,
    offset: i64,
}

impl Member {
    /// Tells the process to do something, of which this should come.
    async fn ask(&mut self, what: String, expected: &'static str) -> Fallible<()> {
        self.tell.write_all(format!("{what}\n").as_bytes()).await?;
        Ok(self.expected.send((what, expected))?)
    }

    /// Sends its process a signal.
    async fn signal(&self, name: &str) -> Fallible<()> {
        let id = self.process.id().ok_or("the member's process has ended")?;
        let status = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status().await?;
        if status.success() { Ok(()) } else { Err(format!("kill -{name}: {status}").into()) }
    }
}

/// What a member's process says of a message that it was handed.
fn got(line: &str) -> Option<Delivery<Place>> {
    let mut words = line.strip_prefix("got ")?.split(' ');
    let handle = Place { partition: words.next()?.parse().ok()?, offset: words.next()?.parse().ok()? };
    Some(Delivery { message: words.next()?.to_owned(), count: None, redelivered: None, handle })
}

impl Server for Kafka {
    type Handle = Place;
    const CLIENT: &str = "rdkafka";
    const FILES: &str = "librdkafka-mock";
    /// Most of what they do is to wait.
    const AT_ONCE: usize = 64;

    async fn version(_: SocketAddr) -> Fallible<(&'static str, String)> {
        Ok(("librdkafka's mock cluster", get_rdkafka_version().1))
    }

    async fn open(address: SocketAddr, script: &Script, _: UnboundedSender<Event<Place>>) -> Fallible<Kafka> {
        let session = script.session.ok_or("a group of Kafka needs a session")?;
        let commits_by_itself = script.profile == "kafka-auto-commit";
        let strategy = if script.profile == "kafka-cooperative" { "cooperative-sticky" } else { "range" };
        let start = if script.earliest { "earliest" } else { "latest" };
        let mut consumer = vec!["kafka-member".to_owned(), script.name.to_owned()];
        consumer.extend([
            format!("bootstrap.servers={address}"),
            format!("group.id={}", script.name),
            format!("session.timeout.ms={session}"),
            // Longer than any script, so that only its session ends a member, and it joins once when it is back.
            "max.poll.interval.ms=120000".to_owned(),
            "heartbeat.interval.ms=500".to_owned(),
            "fetch.wait.max.ms=50".to_owned(),
            "reconnect.backoff.max.ms=100".to_owned(),
            format!("enable.auto.commit={commits_by_itself}"),
            format!("partition.assignment.strategy={strategy}"),
            format!("auto.offset.reset={start}"),
        ]);
        let producer = ClientConfig::new().set("bootstrap.servers", address.to_string()).create()?;
        Ok(Kafka { producer, topic: script.name, consumer, members: BTreeMap::new() })
    }

    async fn publish(&mut self, message: &str, part: Part) -> Fallible<()> {
        let partition = match part {
            Part::All => 0,
            Part::Partition(partition) => partition.into(),
            Part::Key(_) => return Err("a script of Kafka says partitions".into()),
        };
        let record = FutureRecord::<(), str>::to(self.topic).partition(partition).payload(message);
        self.producer.send(record, GRACE).await.map_err(|(error, _)| error)?;
        Ok(())
    }

    /// A member that stood still and was given up joins again by itself.
    async fn join(&mut self, member: &'static str, inbox: Inbox<Place>) -> Fallible<()> {
        if let Some(member) = self.members.get(member) {
            *member.inbox.lock().map_err(|_| "an inbox that failed")? = inbox;
            return Ok(());
        }
        let mut process = Command::new(std::env::current_exe()?)
            .args(&self.consumer)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let tell = process.stdin.take().ok_or("a process without an input")?;
        let mut says = BufReader::new(process.stdout.take().ok_or("a process without an output")?).lines();
        let (expected, mut due) = unbounded_channel::<(String, &str)>();
        let inbox = Arc::new(Mutex::new(inbox));
        let its = inbox.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = says.next_line().await {
                let Ok(inbox) = its.lock() else { return };
                match got(&line) {
                    Some(delivery) => inbox.got(delivery),
                    None => match due.try_recv() {
                        Ok((_, expected)) if line == expected => {}
                        asked => inbox.failed(format!("it was asked for {asked:?}, and it says {line}")),
                    },
                }
            }
        });
        self.members.insert(member, Member { process, tell, expected, inbox });
        Ok(())
    }

    async fn leave(&mut self, member: &'static str, how: How) -> Fallible<()> {
        if how == How::Stall {
            return self.members.get(member).ok_or("nobody of that name is there")?.signal("STOP").await;
        }
        let mut left = self.members.remove(member).ok_or("nobody of that name is there")?;
        match how {
            How::Crash => left.process.kill().await?,
            // It ends when there is nothing more that it could be told.
            How::Close => {
                drop(left.tell);
                timeout(GRACE, left.process.wait()).await??;
            }
            How::Cancel | How::Stall => return Err("there is no such way to leave here".into()),
        }
        Ok(())
    }

    async fn answer(&mut self, member: &'static str, place: &Place, answer: Answer) -> Fallible<()> {
        let member = self.members.get_mut(member).ok_or("nobody of that name is there")?;
        let Place { partition, offset } = *place;
        let (ask, expected) = match answer {
            Answer::Commit => (format!("commit {partition} {}", offset + 1), "done"),
            Answer::CommitInVain => {
                member.signal("CONT").await?;
                (format!("commit {partition} {}", offset + 1), "refused UnknownMemberId")
            }
            Answer::Seek => (format!("seek {partition} {offset}"), "done"),
            _ => return Err("there is no such answer here".into()),
        };
        member.ask(ask, expected).await
    }
}
