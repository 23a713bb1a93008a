//! One request over HTTP on loopback, and what comes back.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

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
    pub(super) stream: TcpStream,
    out: Vec<u8>,
    read: Vec<u8>,
    is_over: bool,
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
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let length = body.len();
        let out = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        Ok(Exchange { stream, out: out.into_bytes(), read: Vec::new(), is_over: false })
    }

    pub(super) fn wants_to_write(&self) -> bool {
        !self.out.is_empty()
    }

    /// Writes and reads what can be written and read at once; says whether there was anything.
    pub(super) fn go_on(&mut self) -> bool {
        let mut has_any = false;
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(written) if written > 0 => drop(self.out.drain(..written)),
                _ => break,
            }
            has_any = true;
        }
        let mut chunk = [0; 1 << 14];
        while !self.is_over {
            match self.stream.read(&mut chunk) {
                Ok(read) if read > 0 => self.read.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                _ => self.is_over = true,
            }
            has_any = true;
        }
        has_any
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// What came back, if that is HTTP.
    pub(super) fn response(&self) -> Option<Response> {
        let head = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let first = String::from_utf8_lossy(&self.read[..head]).lines().next()?.to_owned();
        let mut words = first.split(' ');
        words.next().filter(|version| version.starts_with("HTTP/"))?;
        let status = words.next()?.parse().ok()?;
        Some(Response { status, body: self.read[head + 4..].to_vec() })
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
