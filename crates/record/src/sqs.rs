//! SQS as an emulator has it: a standard or a FIFO queue, whose members receive when the script says so.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::Fallible;
use crate::aws::{self, sqs};
use crate::run::{Delivery, Event, Inbox, Server};
use crate::script::{Answer, How, Part, Script};

pub struct Sqs {
    address: SocketAddr,
    queue: String,
}

/// Makes a queue; its address.
async fn queue(address: SocketAddr, name: &str, attributes: Value) -> Fallible<String> {
    let told = sqs(address, "CreateQueue", json!({"QueueName": name, "Attributes": attributes})).await?;
    Ok(told["QueueUrl"].as_str().ok_or("a queue without an address")?.to_owned())
}

impl Server for Sqs {
    /// The receipt handle.
    type Handle = String;
    const CLIENT: &str = aws::CLIENT;
    const FILES: &str = "moto";
    /// Most of what they do is to wait.
    const AT_ONCE: usize = 4;

    async fn version(_: SocketAddr) -> Fallible<(&'static str, String)> {
        Ok((aws::EMULATOR, aws::VERSION.to_owned()))
    }

    async fn open(address: SocketAddr, script: &Script, _: UnboundedSender<Event<String>>) -> Fallible<Sqs> {
        let is_fifo = script.profile == "sqs-fifo";
        let name = |of: &str| format!("{of}{}", if is_fifo { ".fifo" } else { "" });
        let kind = if is_fifo { json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"}) } else { json!({}) };
        let mut attributes = kind.clone();
        let seconds = script.wait.first().copied().unwrap_or_default() / 1000;
        attributes["VisibilityTimeout"] = seconds.to_string().into();
        if let Some(deliveries) = script.deliveries {
            let dead = queue(address, &name(&format!("{}-dead", script.name)), kind).await?;
            let of_dead = json!({"QueueUrl": dead, "AttributeNames": ["QueueArn"]});
            let dead = &sqs(address, "GetQueueAttributes", of_dead).await?["Attributes"]["QueueArn"];
            let redrive = json!({"deadLetterTargetArn": dead, "maxReceiveCount": deliveries});
            attributes["RedrivePolicy"] = redrive.to_string().into();
        }
        Ok(Sqs { address, queue: queue(address, &name(script.name), attributes).await? })
    }

    async fn publish(&mut self, message: &str, part: Part) -> Fallible<()> {
        let mut body = json!({"QueueUrl": self.queue, "MessageBody": message});
        if let Part::Key(key) = part {
            body["MessageGroupId"] = key.into();
        }
        sqs(self.address, "SendMessage", body).await?;
        Ok(())
    }

    /// The queue knows of no members.
    async fn join(&mut self, _: &'static str, _: Inbox<String>) -> Fallible<()> {
        Ok(())
    }

    async fn leave(&mut self, _: &'static str, _: How) -> Fallible<()> {
        Ok(())
    }

    async fn answer(&mut self, _: &'static str, receipt: &String, answer: Answer) -> Fallible<()> {
        let mut body = json!({"QueueUrl": self.queue, "ReceiptHandle": receipt});
        let action = match answer {
            Answer::Ack => "DeleteMessage",
            Answer::Nak => {
                body["VisibilityTimeout"] = 0.into();
                "ChangeMessageVisibility"
            }
            _ => return Err("there is no such answer here".into()),
        };
        sqs(self.address, action, body).await?;
        Ok(())
    }

    async fn read(&mut self, _: &'static str, count: usize) -> Fallible<Vec<Delivery<String>>> {
        let body = json!({
            "QueueUrl": self.queue,
            "MaxNumberOfMessages": count,
            "MessageSystemAttributeNames": ["ApproximateReceiveCount"],
        });
        let told = sqs(self.address, "ReceiveMessage", body).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let delivery = |sent: &Value| Delivery {
            message: text(&sent["Body"]),
            count: sent["Attributes"]["ApproximateReceiveCount"].as_str().and_then(|count| count.parse().ok()),
            redelivered: None,
            handle: text(&sent["ReceiptHandle"]),
        };
        Ok(told["Messages"].as_array().into_iter().flatten().map(delivery).collect())
    }
}
