//! NATS JetStream: a durable consumer, pushed to a group of subscribers or pulled.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull, push};
use async_nats::jetstream::{self, AckKind, Message};
use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::Fallible;
use crate::relay::Relay;
use crate::run::{Delivery, Event, Inbox, Server};
use crate::script::{Answer, How, Part, Script};

const GROUP: &str = "group";

pub struct Nats {
    address: SocketAddr,
    client: Client,
    name: &'static str,
    pulls: bool,
    members: BTreeMap<&'static str, Member>,
}

struct Member {
    relay: Relay,
    client: Client,
    task: Option<JoinHandle<()>>,
}

async fn connect(address: SocketAddr) -> Fallible<Client> {
    Ok(ConnectOptions::new().max_reconnects(1).connect(address.to_string()).await?)
}

fn delivery(message: Message) -> Fallible<Delivery<Message>> {
    let count = u64::try_from(message.info()?.delivered)?;
    let name = String::from_utf8(message.payload.to_vec())?;
    Ok(Delivery { message: name, count: Some(count), redelivered: None, handle: message })
}

impl Server for Nats {
    type Handle = Message;
    const CLIENT: &str = "async-nats";
    const FILES: &str = "nats-server";

    async fn version(address: SocketAddr) -> Fallible<(&'static str, String)> {
        Ok(("nats-server", connect(address).await?.server_info().version))
    }

    async fn open(address: SocketAddr, script: &Script, events: UnboundedSender<Event<Message>>) -> Fallible<Nats> {
        let client = connect(address).await?;
        let context = jetstream::new(client.clone());
        let name = script.name;
        let config = jetstream::stream::Config {
            name: name.to_owned(),
            subjects: vec![format!("messages.{name}")],
            storage: jetstream::stream::StorageType::Memory,
            ..Default::default()
        };
        let stream = context.create_stream(config).await?;
        let waits: Vec<Duration> = script.wait.iter().map(|ms| Duration::from_millis(*ms)).collect();
        let ack_wait = waits.first().copied().unwrap_or_default();
        let backoff = if waits.len() > 1 { waits } else { Vec::new() };
        let max_ack_pending = script.window.map_or(0, i64::from);
        let max_deliver = script.deliveries.map_or(0, i64::from);
        let durable_name = Some(GROUP.to_owned());
        let ack_policy = AckPolicy::Explicit;
        if script.pulls {
            let config = pull::Config {
                durable_name,
                ack_policy,
                ack_wait,
                backoff,
                max_ack_pending,
                max_deliver,
                ..Default::default()
            };
            stream.create_consumer(config).await?;
        } else {
            let config = push::Config {
                deliver_subject: format!("deliver.{name}"),
                deliver_group: Some(GROUP.to_owned()),
                durable_name,
                ack_policy,
                ack_wait,
                backoff,
                max_ack_pending,
                max_deliver,
                ..Default::default()
            };
            stream.create_consumer(config).await?;
        }
        // Messages are called by their numbers, so a message's place in the stream is its name.
        let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{name}.{GROUP}");
        let mut advisories = client.subscribe(subject).await?;
        client.flush().await?;
        tokio::spawn(async move {
            while let Some(advisory) = advisories.next().await {
                let told: serde_json::Value = serde_json::from_slice(&advisory.payload).unwrap_or_default();
                let _ = events.send(Event::GaveUp(told["stream_seq"].to_string()));
            }
        });
        Ok(Nats { address, client, name, pulls: script.pulls, members: BTreeMap::new() })
    }

    async fn publish(&mut self, message: &str, _: Part) -> Fallible<()> {
        let context = jetstream::new(self.client.clone());
        context.publish(format!("messages.{}", self.name), message.to_owned().into()).await?.await?;
        Ok(())
    }

    async fn join(&mut self, member: &'static str, inbox: Inbox<Message>) -> Fallible<()> {
        let relay = Relay::to(self.address).await?;
        let client = connect(relay.address).await?;
        let mut task = None;
        if !self.pulls {
            let mut sent = client.queue_subscribe(format!("deliver.{}", self.name), GROUP.to_owned()).await?;
            client.flush().await?;
            let context = jetstream::new(client.clone());
            task = Some(tokio::spawn(async move {
                while let Some(message) = sent.next().await {
                    // Words of the server that are no messages carry nothing.
                    if let Ok(delivery) = delivery(Message { message, context: context.clone() }) {
                        inbox.got(delivery);
                    }
                }
            }));
        }
        self.members.insert(member, Member { relay, client, task });
        Ok(())
    }

    async fn leave(&mut self, member: &'static str, how: How) -> Fallible<()> {
        let Member { relay, client, task } = self.members.remove(member).ok_or("nobody of that name is there")?;
        match how {
            How::Crash => relay.cut().await,
            How::Close => {
                client.drain().await?;
                // It ends when the server has said that nothing more comes.
                if let Some(task) = task {
                    let _ = tokio::time::timeout(Duration::from_secs(2), task).await;
                }
            }
            How::Cancel | How::Stall => return Err("there is no such way to leave here".into()),
        }
        Ok(())
    }

    async fn answer(&mut self, _: &'static str, message: &Message, answer: Answer) -> Fallible<()> {
        let kind = match answer {
            Answer::Ack => AckKind::Ack,
            Answer::Nak => AckKind::Nak(None),
            Answer::NakFor(ms) => AckKind::Nak(Some(Duration::from_millis(ms))),
            Answer::Term => AckKind::Term,
            Answer::Extend => AckKind::Progress,
            _ => return Err("there is no such answer here".into()),
        };
        message.ack_with(kind).await?;
        Ok(())
    }

    async fn read(&mut self, member: &'static str, count: usize) -> Fallible<Vec<Delivery<Message>>> {
        let client = &self.members.get(member).ok_or("nobody of that name is there")?.client;
        let context = jetstream::new(client.clone());
        let consumer: PullConsumer = context.get_consumer_from_stream(GROUP, self.name).await?;
        let mut messages = consumer.fetch().max_messages(count).messages().await?;
        let mut deliveries = Vec::new();
        while let Some(message) = messages.next().await {
            deliveries.push(delivery(message?)?);
        }
        Ok(deliveries)
    }
}
