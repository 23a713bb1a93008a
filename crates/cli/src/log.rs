//! What handlers log through `tracing`, kept beside the step in which they logged it.
//!
//! A subscriber is there only while a run is recorded that is shown step by step. Everywhere else, in sweeps
//! and searches, there is none, so what handlers log costs next to nothing and is not printed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What was logged in each step, by its number; one line each.
pub(super) type Log = BTreeMap<u64, Vec<String>>;

/// The flag that says how much of it is shown.
#[derive(clap::Args, Clone, Copy)]
pub(super) struct LogArgs {
    /// How much of what handlers log through `tracing` is shown: off, error, warn, info, debug or trace.
    #[arg(long = "log", value_name = "LEVEL", default_value = "info")]
    level: LevelFilter,
}

impl LogArgs {
    /// Does `work`, which tells the number of each step when it was taken.
    pub(super) fn during<R>(self, work: impl FnOnce(&mut dyn FnMut(u64)) -> R) -> (R, Log) {
        let buffer = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(self.level)
            .with_writer(buffer.clone())
            .without_time()
            .with_ansi(false)
            .finish();
        let mut log = Log::new();
        let result = tracing::subscriber::with_default(subscriber, || work(&mut |step| buffer.take(&mut log, step)));
        (result, log)
    }
}

/// What was logged since it was last asked.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    /// Moves it to the lines of a step.
    fn take(&self, log: &mut Log, step: u64) {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !bytes.is_empty() {
            let text = String::from_utf8_lossy(&bytes);
            log.entry(step).or_default().extend(text.lines().map(|line| line.trim_start().to_owned()));
        }
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Buffer;

    fn make_writer(&'a self) -> Buffer {
        self.clone()
    }
}
