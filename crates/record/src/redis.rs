//! Redis Streams: a consumer group whose members read when the script says so.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use redis::{Client, Cmd, cmd};
use tokio::sync::mpsc::UnboundedSender;

use crate::Fallible;
use crate::run::{Delivery, Event, Inbox, Server};
use crate::script::{Answer, How, Part, Script};

const GROUP: &str = "group";

pub struct Redis {
    address: SocketAddr,
    connection: MultiplexedConnection,
    name: &'static str,
    members: BTreeMap<&'static str, MultiplexedConnection>,
}

async fn connect(address: SocketAddr) -> Fallible<MultiplexedConnection> {
    Ok(Client::open(format!("redis://{address}/"))?.get_multiplexed_async_connection().await?)
}

impl Redis {
    fn member(&self, member: &str) -> Fallible<MultiplexedConnection> {
        Ok(self.members.get(member).ok_or("nobody of that name is there")?.clone())
    }

    /// A command about the stream and the group.
    fn of_group(&self, name: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(self.name).arg(GROUP);
        command
    }

    /// What was sent, with how often each was by now.
    async fn deliveries(&mut self, sent: Vec<StreamId>) -> Fallible<Vec<Delivery<String>>> {
        let mut pending = self.of_group("XPENDING");
        pending.arg("-").arg("+").arg(1000);
        let pending: Vec<(String, String, u64, u64)> = pending.query_async(&mut self.connection).await?;
        let counts: BTreeMap<String, u64> = pending.into_iter().map(|(id, .., count)| (id, count)).collect();
        let delivery = |sent: StreamId| Delivery {
            message: sent.get("message").unwrap_or_default(),
            count: counts.get(&sent.id).copied(),
            redelivered: None,
            handle: sent.id,
        };
        Ok(sent.into_iter().map(delivery).collect())
    }
}

impl Server for Redis {
    type Handle = String;
    const CLIENT: &str = "redis";
    const FILES: &str = "redis";

    async fn version(address: SocketAddr) -> Fallible<(&'static str, String)> {
        let told: String = cmd("INFO").arg("server").query_async(&mut connect(address).await?).await?;
        let version = told.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(("redis", version.ok_or("the server has no version")?.trim().to_owned()))
    }

    async fn open(address: SocketAddr, script: &Script, _: UnboundedSender<Event<String>>) -> Fallible<Redis> {
        let connection = connect(address).await?;
        let mut redis = Redis { address, connection, name: script.name, members: BTreeMap::new() };
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(script.name).arg(GROUP).arg("0").arg("MKSTREAM");
        create.query_async::<()>(&mut redis.connection).await?;
        Ok(redis)
    }

    async fn publish(&mut self, message: &str, _: Part) -> Fallible<()> {
        let mut add = cmd("XADD");
        add.arg(self.name).arg("*").arg("message").arg(message);
        Ok(add.query_async::<()>(&mut self.connection).await?)
    }

    async fn join(&mut self, member: &'static str, _: Inbox<String>) -> Fallible<()> {
        self.members.insert(member, connect(self.address).await?);
        Ok(())
    }

    /// The server knows of no way to leave.
    async fn leave(&mut self, member: &'static str, _: How) -> Fallible<()> {
        self.members.remove(member);
        Ok(())
    }

    async fn answer(&mut self, member: &'static str, id: &String, answer: Answer) -> Fallible<()> {
        match answer {
            Answer::Ack => {
                let mut ack = self.of_group("XACK");
                Ok(ack.arg(id).query_async::<()>(&mut self.member(member)?).await?)
            }
            _ => Err("there is no such answer here".into()),
        }
    }

    async fn read(&mut self, member: &'static str, count: usize) -> Fallible<Vec<Delivery<String>>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(member).arg("COUNT").arg(count).arg("STREAMS").arg(self.name).arg(">");
        let read: Option<StreamReadReply> = read.query_async(&mut self.member(member)?).await?;
        let sent = read.into_iter().flat_map(|read| read.keys).flat_map(|key| key.ids).collect();
        self.deliveries(sent).await
    }

    async fn claim(&mut self, member: &'static str) -> Fallible<Vec<Delivery<String>>> {
        let mut claim = self.of_group("XAUTOCLAIM");
        let claimed: StreamAutoClaimReply =
            claim.arg(member).arg(0).arg("0").query_async(&mut self.member(member)?).await?;
        self.deliveries(claimed.claimed).await
    }
}
