//! A program that prints what a service keeps.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;

use crate::Failure;
use crate::child::{LINE_BYTES_MAX, Spawned, now};
use crate::process::{Process, StateFolder};

/// What a program prints until it ends. Whatever it does there is an end to that.
pub(super) fn printed(process: &Process, folder: &StateFolder) -> Result<Vec<u8>, Failure> {
    let shown = process.shown();
    let mut spawned = Spawned::new(process, folder)?;
    let (stdin, mut stdout) = spawned.take_pipes();
    drop(stdin);
    ioctl_fionbio(&stdout, true).map_err(|error| Failure::new(format!("nobody can read it: {error}")))?;
    let (until, mut printed, mut chunk) = (now() + process.within, Vec::new(), [0; 1 << 14]);
    loop {
        let left = until.saturating_duration_since(now());
        if left.is_zero() {
            let within = process.within.as_millis();
            return Err(spawned.wrong(Failure::new(format!("`{shown}` has not ended within {within} ms"))));
        }
        // A child that it left may hold its stdout.
        let is_over = spawned.is_over();
        let wait = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().min(20_000_000).into() };
        {
            let mut polled = vec![PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::IN)];
            polled.extend(spawned.polled());
            // That it was interrupted is no matter: it is looked at again.
            let _ = poll(&mut polled, Some(&wait));
        }
        spawned.read();
        match stdout.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => printed.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock && is_over => break,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(spawned.wrong(Failure::new(format!("`{shown}`: {error}")))),
        }
        if printed.len() > LINE_BYTES_MAX {
            let what = format!("`{shown}` printed more than {LINE_BYTES_MAX} bytes");
            return Err(spawned.wrong(Failure::new(what)));
        }
    }
    match spawned.ended() {
        Some(status) if status.success() => Ok(printed),
        Some(status) => Err(spawned.wrong(Failure::new(format!("`{shown}` ended ({status})")))),
        None => Err(spawned.wrong(Failure::new(format!("`{shown}` closed its stdout and did not end")))),
    }
}
