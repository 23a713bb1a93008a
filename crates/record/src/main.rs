//! `pellmell-record SERVER --address 127.0.0.1:PORT --out FOLDER`: plays scripts against a server that runs, and
//! writes what happened as recordings, a file for each script. docs/recordings.md says more.

mod aws;
#[cfg(feature = "kafka")]
mod kafka;
mod mosquitto;
mod nats;
mod rabbitmq;
mod redis;
mod relay;
mod run;
mod script;
mod sns;
mod sqs;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::run::Asked;

/// What goes wrong with a server or a file ends the recording, and is only shown.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "pellmell-record nats|rabbitmq|redis|mosquitto|kafka|sqs|sns --address 127.0.0.1:PORT --out FOLDER \
    [--only NAME] [--version VERSION]";

/// The server that is asked for, and what of it.
fn asked(mut given: impl Iterator<Item = String>) -> Fallible<Asked> {
    let (mut address, mut out, mut only, mut version) = (None, None, None, None);
    while let Some(flag) = given.next() {
        let value = given.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--address" => address = Some(on_loopback(&value)?),
            "--out" => out = Some(PathBuf::from(value)),
            "--only" => only = Some(value),
            "--version" => version = Some(value),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(Asked { address: address.ok_or(USAGE)?, out: out.ok_or(USAGE)?, only, version })
}

fn on_loopback(address: &str) -> Fallible<SocketAddr> {
    let address: SocketAddr = address.parse()?;
    if address.ip().is_loopback() { Ok(address) } else { Err("only servers on loopback are recorded".into()) }
}

async fn record() -> Fallible<()> {
    let mut given = std::env::args().skip(1);
    let server = given.next().ok_or(USAGE)?;
    match server.as_str() {
        "nats" => run::all::<nats::Nats>(&asked(given)?, script::NATS).await,
        "rabbitmq" => run::all::<rabbitmq::RabbitMq>(&asked(given)?, script::RABBITMQ).await,
        "redis" => run::all::<redis::Redis>(&asked(given)?, script::REDIS).await,
        "mosquitto" => run::all::<mosquitto::Mosquitto>(&asked(given)?, script::MOSQUITTO).await,
        "sqs" => run::all::<sqs::Sqs>(&asked(given)?, script::SQS).await,
        "sns" => run::all::<sns::Sns>(&asked(given)?, script::SNS).await,
        #[cfg(feature = "kafka")]
        "kafka" => run::all::<kafka::Kafka>(&asked(given)?, script::KAFKA).await,
        // A server that can be recorded, and a member of a group there.
        #[cfg(feature = "kafka")]
        "kafka-mock" => kafka::serve(on_loopback(&given.next().ok_or(USAGE)?)?).await,
        #[cfg(feature = "kafka")]
        "kafka-member" => kafka::consume(given),
        #[cfg(not(feature = "kafka"))]
        "kafka" | "kafka-mock" => Err("it was built without the feature `kafka`".into()),
        _ => Err(USAGE.into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match record().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
