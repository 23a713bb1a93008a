//! Ctrl-C and its like: the first one asks to stop, the second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{Ending, Failure};

/// Whether somebody asked to stop.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on Ctrl-C only asks, as do SIGTERM, which container engines send before they kill, and
    /// SIGHUP, which comes when the terminal goes away.
    pub(super) fn listen() -> Result<Interrupt, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM].into_iter().chain(hangup()) {
            // The order matters: the second signal finds the flag that the first one sets.
            flag::register_conditional_shutdown(signal, Ending::Interrupted as i32, Arc::clone(&asked))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)))
                .map_err(|error| Failure::Io(format!("cannot listen for Ctrl-C: {error}")))?;
        }
        Ok(Interrupt(asked))
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The signal of a terminal that goes away, unless it is ignored: under `nohup` the process is to go on.
/// Where that cannot be seen, the signal ends the process.
#[cfg(unix)]
fn hangup() -> Option<i32> {
    use signal_hook::consts::SIGHUP;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let ignored = u64::from_str_radix(ignored.trim(), 16).ok()?;
    (ignored >> (SIGHUP - 1) & 1 == 0).then_some(SIGHUP)
}

#[cfg(not(unix))]
fn hangup() -> Option<i32> {
    None
}

/// From now on a file that becomes larger than it may is an error of who writes it, and does not end
/// the process.
pub(super) fn survive_full_files() -> Result<(), Failure> {
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
        .map_err(|error| Failure::Io(format!("cannot listen for signals: {error}")))?;
    Ok(())
}
