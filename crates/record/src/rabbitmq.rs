//! RabbitMQ: a classic queue, or a quorum queue with and without a delivery limit.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    BasicRejectOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Acker, BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;

use crate::Fallible;
use crate::relay::Relay;
use crate::run::{Delivery, Event, Inbox, Server};
use crate::script::{Answer, How, Part, Script};

pub struct RabbitMq {
    address: SocketAddr,
    /// It is only held, because it ends with its last owner.
    _connection: Connection,
    channel: Channel,
    name: &'static str,
    window: Option<u16>,
    is_quorum: bool,
    members: BTreeMap<&'static str, Member>,
}

struct Member {
    relay: Relay,
    connection: Connection,
    channel: Channel,
}

async fn connect(address: SocketAddr) -> Fallible<Connection> {
    Ok(Connection::connect(&format!("amqp://guest:guest@{address}/%2f"), ConnectionProperties::default()).await?)
}

/// A count that the server wrote as one of several kinds of integers.
fn count(value: &AMQPValue) -> Option<u64> {
    match value {
        AMQPValue::LongLongInt(count) => u64::try_from(*count).ok(),
        AMQPValue::LongInt(count) => u64::try_from(*count).ok(),
        AMQPValue::LongUInt(count) => Some((*count).into()),
        AMQPValue::ShortInt(count) => u64::try_from(*count).ok(),
        AMQPValue::ShortShortInt(count) => u64::try_from(*count).ok(),
        AMQPValue::ShortShortUInt(count) => Some((*count).into()),
        AMQPValue::ShortUInt(count) => Some((*count).into()),
        _ => None,
    }
}

impl Server for RabbitMq {
    type Handle = Acker;
    const CLIENT: &str = "lapin";
    const FILES: &str = "rabbitmq";

    /// The server says it in the first thing that it says, which the client library keeps to itself.
    async fn version(address: SocketAddr) -> Fallible<(&'static str, String)> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        let mut head = [0; 7];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut frame = vec![0; usize::try_from(length)?];
        stream.read_exact(&mut frame).await?;
        // A short string, the kind of the value, and a long string.
        let key = b"\x07versionS";
        let place = frame.windows(key.len()).position(|window| window == key).ok_or("the server has no version")?;
        let value = frame.get(place + key.len()..).unwrap_or_default();
        let (length, value) = value.split_first_chunk::<4>().ok_or("the server's version is cut off")?;
        let length = usize::try_from(u32::from_be_bytes(*length))?;
        let version = value.get(..length).ok_or("the server's version is cut off")?;
        Ok(("RabbitMQ", String::from_utf8(version.to_vec())?))
    }

    async fn open(address: SocketAddr, script: &Script, _: UnboundedSender<Event<Acker>>) -> Fallible<RabbitMq> {
        let connection = connect(address).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let is_quorum = script.profile != "rabbitmq-classic";
        let kind = if is_quorum { "quorum" } else { "classic" };
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from(kind)));
        if let Some(deliveries) = script.deliveries {
            // How often it may come again.
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(i32::from(deliveries) - 1));
        }
        if script.exclusive {
            arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        }
        channel.queue_declare(script.name.into(), QueueDeclareOptions::durable(), arguments).await?;
        Ok(RabbitMq {
            address,
            _connection: connection,
            channel,
            name: script.name,
            window: script.window,
            is_quorum,
            members: BTreeMap::new(),
        })
    }

    async fn publish(&mut self, message: &str, _: Part) -> Fallible<()> {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        let confirm = self.channel.basic_publish("".into(), self.name.into(), options, message.as_bytes(), properties);
        confirm.await?.await?;
        Ok(())
    }

    async fn join(&mut self, member: &'static str, inbox: Inbox<Acker>) -> Fallible<()> {
        let relay = Relay::to(self.address).await?;
        let connection = connect(relay.address).await?;
        let channel = connection.create_channel().await?;
        if let Some(window) = self.window {
            channel.basic_qos(window, BasicQosOptions::default()).await?;
        }
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer = channel.basic_consume(self.name.into(), member.into(), options, arguments).await?;
        let is_quorum = self.is_quorum;
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = consumer.next().await {
                let headers = delivery.properties.headers().as_ref();
                let again = headers.and_then(|headers| count(headers.inner().get("x-delivery-count")?));
                inbox.got(Delivery {
                    message: String::from_utf8_lossy(&delivery.data).into_owned(),
                    // The header is not there the first time.
                    count: is_quorum.then(|| again.unwrap_or_default() + 1),
                    redelivered: Some(delivery.redelivered),
                    handle: delivery.acker,
                });
            }
        });
        self.members.insert(member, Member { relay, connection, channel });
        Ok(())
    }

    async fn leave(&mut self, member: &'static str, how: How) -> Fallible<()> {
        if how == How::Cancel {
            let member_of = self.members.get(member).ok_or("nobody of that name is there")?;
            member_of.channel.basic_cancel(member.into(), BasicCancelOptions::default()).await?;
            return Ok(());
        }
        // A channel that nobody holds closes itself, which is not for now.
        let left = self.members.remove(member).ok_or("nobody of that name is there")?;
        let Member { relay, connection, channel: _channel } = left;
        match how {
            How::Crash => relay.cut().await,
            How::Close => connection.close(200, "done".into()).await?,
            How::Cancel | How::Stall => return Err("there is no such way to leave here".into()),
        }
        Ok(())
    }

    async fn answer(&mut self, _: &'static str, acker: &Acker, answer: Answer) -> Fallible<()> {
        match answer {
            Answer::Ack => acker.ack(BasicAckOptions::default()).await?,
            Answer::Nak => acker.nack(BasicNackOptions { requeue: true, ..Default::default() }).await?,
            Answer::Term => acker.reject(BasicRejectOptions { requeue: false }).await?,
            _ => return Err("there is no such answer here".into()),
        };
        Ok(())
    }
}
