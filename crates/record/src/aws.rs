//! Requests to an emulator of AWS, which asks for a signature and looks at none.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Fallible;

/// What the servers are called in recordings, so that nobody takes them for the service.
pub const EMULATOR: &str = "moto (an emulator)";
/// It does not say its version.
pub const VERSION: &str = "of no known version";
/// The client library.
pub const CLIENT: &str = "hyper";

/// Asks a service for something in a form of its own.
async fn ask(address: SocketAddr, service: &str, headers: &[(&str, &str)], body: String) -> Fallible<String> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    tokio::spawn(connection);
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential=record/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut request = Request::post("/").header("host", address.to_string()).header("authorization", signed);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::<Bytes>::from(body))?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let body = String::from_utf8(body.to_vec())?;
    if status == StatusCode::OK { Ok(body) } else { Err(format!("{service} says {status}: {body}").into()) }
}

/// Asks SQS for something, in JSON.
pub async fn sqs(address: SocketAddr, action: &str, body: Value) -> Fallible<Value> {
    let target = format!("AmazonSQS.{action}");
    let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
    Ok(serde_json::from_str(&ask(address, "sqs", &headers, body.to_string()).await?)?)
}

/// Asks SNS for something, in a form, and gives what the answer has between tags of this name.
pub async fn sns(address: SocketAddr, action: &str, form: &[(&str, &str)], tag: &str) -> Fallible<String> {
    let mut body = format!("Version=2010-03-31&Action={action}");
    for (name, value) in form {
        // All that a form would take for its own.
        let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        body += &format!("&{name}={value}");
    }
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let told = ask(address, "sns", &headers, body).await?;
    let value = told.split(&format!("<{tag}>")).nth(1).and_then(|rest| rest.split('<').next());
    Ok(value.ok_or_else(|| format!("SNS answers {action} without {tag}: {told}"))?.to_owned())
}
