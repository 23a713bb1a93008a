//! A client that is connected, and what it listens to.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    pub(crate) client: u64,
    pub(crate) input: Vec<u8>,
    pub(crate) output: Vec<u8>,
    /// Whether the client has said what it is.
    pub(crate) is_open: bool,
    pub(crate) is_closed: bool,
    pub(crate) awaits_pong: bool,
    pub(crate) subscriptions: BTreeMap<u64, Subscription>,
}

#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) subject: String,
    pub(crate) queue: Option<String>,
    /// How many messages it still gets, if it does not get all.
    pub(crate) left: Option<u64>,
}

impl Connection {
    /// Writes as much as can be written.
    pub(crate) fn write(&mut self) {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(0) => self.is_closed = true,
                Ok(written) => {
                    self.output.drain(..written);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.is_closed = true,
            }
            return;
        }
    }

    /// Reads what is there. Returns whether there was anything.
    pub(crate) fn read(&mut self) -> bool {
        let (mut some, mut buffer) = (false, [0; 16 * 1024]);
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => self.is_closed = true,
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    some = true;
                    if read == buffer.len() {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.is_closed = true,
            }
            return some;
        }
    }
}
