//! A member of a consumer group, in a process of its own: it says what it is handed, a line for each, and does what
//! its input tells it.

use std::io::{BufRead, stdin};
use std::sync::mpsc::{TryRecvError, channel};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::Fallible;

const GRACE: Duration = Duration::from_secs(3);

/// Consumes a topic with settings of the client library, `KEY=VALUE`, until its input ends.
pub fn consume(mut given: impl Iterator<Item = String>) -> Fallible<()> {
    let topic = given.next().ok_or("which topic?")?;
    let mut config = ClientConfig::new();
    for setting in given {
        let (key, value) = setting.split_once('=').ok_or("a setting is KEY=VALUE")?;
        config.set(key, value);
    }
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[&topic])?;
    let (tell, told) = channel();
    thread::spawn(move || stdin().lock().lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    loop {
        match told.try_recv() {
            Ok(line) => println!("{}", came_of(act(&consumer, &topic, &line)?)),
            // It closes with its owner.
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        // What goes wrong meanwhile, such as being given up, the library mends by itself.
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(5)) {
            let name = String::from_utf8_lossy(message.payload().unwrap_or_default());
            println!("got {} {} {name}", message.partition(), message.offset());
        }
    }
}

/// Does what a line says, `commit PARTITION OFFSET` or `seek PARTITION OFFSET`.
fn act(consumer: &BaseConsumer, topic: &str, line: &str) -> Fallible<KafkaResult<()>> {
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or("a line is cut off");
    let (what, partition, offset) = (word()?, word()?.parse()?, Offset::Offset(word()?.parse()?));
    match what {
        "commit" => {
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(topic, partition, offset)?;
            Ok(consumer.commit(&offsets, CommitMode::Sync))
        }
        "seek" => Ok(consumer.seek(topic, partition, offset, GRACE)),
        _ => Err(format!("nobody can {what}").into()),
    }
}

/// What came of it, in words.
fn came_of(result: KafkaResult<()>) -> String {
    match result {
        Ok(()) => "done".to_owned(),
        Err(error) => error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("refused {code:?}")),
    }
}
