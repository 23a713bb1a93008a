//! SNS as an emulator has it: a topic with an HTTP endpoint, whose response is the answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::Fallible;
use crate::aws::{self, sns};
use crate::run::{Delivery, Event, Inbox, Server};
use crate::script::{Answer, How, Part, Script};

/// Where the response to a request goes, until it is given.
type Respond = Mutex<Option<oneshot::Sender<StatusCode>>>;

pub struct Sns {
    address: SocketAddr,
    topic: String,
    /// What is under way ends with its owner.
    tasks: JoinSet<Fallible<()>>,
}

/// A request to an endpoint: it is handed on, and the response is what the script has for it.
async fn endpoint(
    inbox: Arc<Inbox<Respond>>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (respond, responded) = oneshot::channel();
    inbox.got(Delivery {
        message: told["Message"].as_str().unwrap_or_default().to_owned(),
        count: None,
        redelivered: None,
        handle: Mutex::new(Some(respond)),
    });
    let mut response = Response::new(Empty::new());
    // If the run is over nobody responds.
    *response.status_mut() = responded.await.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    Ok(response)
}

impl Server for Sns {
    type Handle = Respond;
    const CLIENT: &str = aws::CLIENT;
    const FILES: &str = "moto";

    async fn version(_: SocketAddr) -> Fallible<(&'static str, String)> {
        Ok((aws::EMULATOR, aws::VERSION.to_owned()))
    }

    async fn open(address: SocketAddr, script: &Script, _: UnboundedSender<Event<Respond>>) -> Fallible<Sns> {
        let topic = sns(address, "CreateTopic", &[("Name", script.name)], "TopicArn").await?;
        Ok(Sns { address, topic, tasks: JoinSet::new() })
    }

    /// The emulator has the message when the endpoint has responded, so nobody waits for that.
    async fn publish(&mut self, message: &str, _: Part) -> Fallible<()> {
        let (address, topic, message) = (self.address, self.topic.clone(), message.to_owned());
        self.tasks.spawn(async move {
            let form = [("TopicArn", topic.as_str()), ("Message", &message)];
            sns(address, "Publish", &form, "MessageId").await.map(drop)
        });
        Ok(())
    }

    async fn join(&mut self, _: &'static str, inbox: Inbox<Respond>) -> Fallible<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let inbox = Arc::new(inbox);
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let stream = TokioIo::new(listener.accept().await?.0);
                let inbox = inbox.clone();
                let service = service_fn(move |request| endpoint(inbox.clone(), request));
                connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
            }
        });
        let form = [("TopicArn", self.topic.as_str()), ("Protocol", "http"), ("Endpoint", &url)];
        sns(self.address, "Subscribe", &form, "SubscriptionArn").await?;
        Ok(())
    }

    async fn leave(&mut self, _: &'static str, _: How) -> Fallible<()> {
        Err("an endpoint does not leave".into())
    }

    async fn answer(&mut self, _: &'static str, respond: &Respond, answer: Answer) -> Fallible<()> {
        let status = match answer {
            Answer::Ack => StatusCode::OK,
            Answer::Nak => StatusCode::INTERNAL_SERVER_ERROR,
            _ => return Err("there is no such answer here".into()),
        };
        let respond = respond.lock().map_err(|_| "a response that failed")?.take();
        let _ = respond.ok_or("a request is responded to once")?.send(status);
        Ok(())
    }
}
