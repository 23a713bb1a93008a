//! One request over HTTP on loopback, and what comes back.

use std::io;
use std::net::{Ipv4Addr, TcpStream};

use crate::serving::Stream;

/// A request, as `METHOD /PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
}

impl Request {
    /// # Errors
    /// If a text is none.
    pub(super) fn parse(text: &str) -> Result<Request, String> {
        let wrong = || format!("`{text}` is no request: expected for example \"POST /api/orders\"");
        let (method, path) = text.split_once(' ').ok_or_else(wrong)?;
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if is_method && is_path {
            Ok(Request { method: method.to_owned(), path: path.to_owned() })
        } else {
            Err(wrong())
        }
    }
}

/// A request that is under way.
pub(super) struct Exchange {
    pub(super) stream: Stream,
}

/// What came back.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Exchange {
    /// Connects, and begins to say it. In version 1.0, so that the answer ends where the connection does.
    pub(super) fn begin(port: u16, request: &Request, body: &str) -> io::Result<Exchange> {
        let Request { method, path } = request;
        let mut stream = Stream::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)?;
        let length = body.len();
        let out = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.output = out.into_bytes();
        Ok(Exchange { stream })
    }

    pub(super) fn is_over(&self) -> bool {
        self.stream.is_closed
    }

    /// What came back, if that is HTTP.
    pub(super) fn response(&self) -> Option<Response> {
        let head = self.stream.input.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let first = String::from_utf8_lossy(&self.stream.input[..head]).lines().next()?.to_owned();
        let mut words = first.split(' ');
        words.next().filter(|version| version.starts_with("HTTP/"))?;
        let status = words.next()?.parse().ok()?;
        Some(Response { status, body: self.stream.input[head + 4..].to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_method_and_a_path() {
        let request = Request::parse("PUT /api/tickets/{record}").expect("a request");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/api/tickets/{record}"));
        for wrong in ["", "/api", "get /api", "GET api", "GET /a b"] {
            assert!(Request::parse(wrong).is_err(), "{wrong}");
        }
    }
}
