//! `pellmell-record SERVER --address 127.0.0.1:PORT --out FOLDER`: plays scripts against a server that runs, and
//! writes what happened as recordings, a file for each script. docs/recordings.md says more.

mod mosquitto;
mod nats;
mod rabbitmq;
mod redis;
mod relay;
mod run;
mod script;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// What goes wrong with a server or a file ends the recording, and is only shown.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "pellmell-record nats|rabbitmq|redis|mosquitto --address 127.0.0.1:PORT --out FOLDER [--only NAME]";

struct Args {
    server: String,
    address: SocketAddr,
    out: PathBuf,
    only: Option<String>,
}

fn args() -> Fallible<Args> {
    let mut given = std::env::args().skip(1);
    let server = given.next().ok_or(USAGE)?;
    let (mut address, mut out, mut only) = (None, None, None);
    while let Some(flag) = given.next() {
        let value = given.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--address" => address = Some(value.parse::<SocketAddr>()?),
            "--out" => out = Some(PathBuf::from(value)),
            "--only" => only = Some(value),
            _ => return Err(USAGE.into()),
        }
    }
    let address = address.ok_or(USAGE)?;
    if !address.ip().is_loopback() {
        return Err("only servers on loopback are recorded".into());
    }
    Ok(Args { server, address, out: out.ok_or(USAGE)?, only })
}

async fn record() -> Fallible<()> {
    let Args { server, address, out, only } = args()?;
    let only = only.as_deref();
    match server.as_str() {
        "nats" => run::all::<nats::Nats>(address, &out, script::NATS, only).await,
        "rabbitmq" => run::all::<rabbitmq::RabbitMq>(address, &out, script::RABBITMQ, only).await,
        "redis" => run::all::<redis::Redis>(address, &out, script::REDIS, only).await,
        "mosquitto" => run::all::<mosquitto::Mosquitto>(address, &out, script::MOSQUITTO, only).await,
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
