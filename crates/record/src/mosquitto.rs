//! MQTT with quality of service 1 and a session that the server keeps.

use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::{AsyncClient, EventLoop, Incoming, MqttOptions, Publish, QoS};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::Fallible;
use crate::relay::Relay;
use crate::run::{Delivery, Event, Inbox, Server};
use crate::script::{Answer, How, Part, Script};

pub struct Mosquitto {
    address: SocketAddr,
    name: &'static str,
    publisher: AsyncClient,
    /// What the server says to the publisher.
    told: UnboundedReceiver<Incoming>,
    member: Option<Member>,
    has_subscribed: bool,
}

struct Member {
    relay: Relay,
    client: AsyncClient,
    task: JoinHandle<()>,
}

fn client(id: &str, address: SocketAddr, is_kept: bool) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, address.ip().to_string(), address.port());
    options.set_clean_session(!is_kept).set_manual_acks(true).set_keep_alive(Duration::from_secs(30));
    AsyncClient::new(options, 64)
}

/// Hands on what the server says until the connection ends.
async fn listen(mut events: EventLoop, told: UnboundedSender<Incoming>) {
    while let Ok(event) = events.poll().await {
        if let rumqttc::Event::Incoming(packet) = event
            && told.send(packet).is_err()
        {
            return;
        }
    }
}

/// Waits until the server says something of this kind.
async fn until(told: &mut UnboundedReceiver<Incoming>, is_it: fn(&Incoming) -> bool) -> Fallible<Incoming> {
    loop {
        let packet = told.recv().await.ok_or("the connection ended")?;
        if is_it(&packet) {
            return Ok(packet);
        }
    }
}

const fn is_connected(packet: &Incoming) -> bool {
    matches!(packet, Incoming::ConnAck(_))
}

impl Server for Mosquitto {
    type Handle = Publish;
    const CLIENT: &str = "rumqttc";
    const FILES: &str = "mosquitto";

    async fn version(address: SocketAddr) -> Fallible<(&'static str, String)> {
        let (client, events) = client("version", address, false);
        let (tell, mut told) = unbounded_channel();
        tokio::spawn(listen(events, tell));
        client.subscribe("$SYS/broker/version", QoS::AtMostOnce).await?;
        let packet = until(&mut told, |packet| matches!(packet, Incoming::Publish(_))).await?;
        let Incoming::Publish(publish) = packet else { return Err("the server has no version".into()) };
        let version = String::from_utf8(publish.payload.to_vec())?;
        Ok(("mosquitto", version.trim_start_matches("mosquitto version ").to_owned()))
    }

    async fn open(address: SocketAddr, script: &Script, _: UnboundedSender<Event<Publish>>) -> Fallible<Mosquitto> {
        let name = script.name;
        let (publisher, events) = client(&format!("publisher of {name}"), address, false);
        let (tell, mut told) = unbounded_channel();
        tokio::spawn(listen(events, tell));
        until(&mut told, is_connected).await?;
        Ok(Mosquitto { address, name, publisher, told, member: None, has_subscribed: false })
    }

    async fn publish(&mut self, message: &str, _: Part) -> Fallible<()> {
        self.publisher.publish(self.name, QoS::AtLeastOnce, false, message).await?;
        until(&mut self.told, |packet| matches!(packet, Incoming::PubAck(_))).await?;
        Ok(())
    }

    async fn join(&mut self, member: &'static str, inbox: Inbox<Publish>) -> Fallible<()> {
        let relay = Relay::to(self.address).await?;
        let (client, events) = client(&format!("{member} of {}", self.name), relay.address, true);
        let (tell, mut told) = unbounded_channel();
        let listening = tokio::spawn(listen(events, tell));
        until(&mut told, is_connected).await?;
        if !self.has_subscribed {
            client.subscribe(self.name, QoS::AtLeastOnce).await?;
            until(&mut told, |packet| matches!(packet, Incoming::SubAck(_))).await?;
            self.has_subscribed = true;
        }
        let task = tokio::spawn(async move {
            while let Some(packet) = told.recv().await {
                if let Incoming::Publish(publish) = packet {
                    inbox.got(Delivery {
                        message: String::from_utf8_lossy(&publish.payload).into_owned(),
                        count: None,
                        redelivered: Some(publish.dup),
                        handle: publish,
                    });
                }
            }
            let _ = listening.await;
        });
        self.member = Some(Member { relay, client, task });
        Ok(())
    }

    async fn leave(&mut self, _: &'static str, how: How) -> Fallible<()> {
        let Member { relay, client, task } = self.member.take().ok_or("nobody is there")?;
        match how {
            How::Crash => relay.cut().await,
            How::Close => client.disconnect().await?,
            How::Cancel | How::Stall => return Err("there is no such way to leave here".into()),
        }
        // It ends with the connection.
        let _ = tokio::time::timeout(Duration::from_secs(2), task).await;
        Ok(())
    }

    async fn answer(&mut self, _: &'static str, publish: &Publish, answer: Answer) -> Fallible<()> {
        match answer {
            Answer::Ack => Ok(self.member.as_ref().ok_or("nobody is there")?.client.ack(publish).await?),
            _ => Err("there is no such answer here".into()),
        }
    }
}
