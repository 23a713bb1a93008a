//! A progress bar on a terminal, a line every ten seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "how long the user waits is wall time; it reaches stderr alone")]
use std::time::Instant;

use pellmell_core::search::SearchStats;

use super::layout::{cut, width_of_progress};
use super::{count, grouped, tell};

/// After how long it is said that something is still at work.
const PAUSE: Duration = Duration::from_secs(10);

/// Tells how far a long job is.
#[expect(clippy::disallowed_types, reason = "how long the user waits is wall time; it reaches stderr alone")]
pub(super) struct Progress {
    total: u64,
    /// When it ends although not all is done.
    time_max: Option<Duration>,
    began: Instant,
    shown: Mutex<Instant>,
    terminal: bool,
}

#[expect(clippy::disallowed_types, reason = "how long the user waits is wall time; it reaches stderr alone")]
impl Progress {
    pub(super) fn new(total: u64) -> Progress {
        let now = Instant::now();
        Progress {
            total,
            time_max: None,
            began: now,
            shown: Mutex::new(now),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// The same for a job that ends after this time although not all is done.
    pub(super) fn within(self, time_max: Option<Duration>) -> Progress {
        Progress { time_max, ..self }
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn at(&self, done: u64, failed: u64) {
        let pause = if self.terminal { Duration::from_millis(100) } else { PAUSE };
        let Ok(mut shown) = self.shown.lock() else { return };
        if shown.elapsed() < pause {
            return;
        }
        *shown = Instant::now();
        let elapsed = self.began.elapsed();
        let rate = u128::from(done) * 1_000 / elapsed.as_millis().max(1);
        let left = u128::from(self.total - done.min(self.total)) / rate.max(1);
        let time_left = self.time_max.map(|time_max| time_max.saturating_sub(elapsed));
        let left = time_left.map_or(left, |time_left| left.min(time_left.as_secs().into()));
        let rate_text = count(u64::try_from(rate).unwrap_or(u64::MAX), "run");
        // Without an end only the time says how much is left.
        let all = if self.total > u64::MAX / 2 { String::new() } else { format!("/{}", grouped(self.total)) };
        let text = format!("{}{all} runs  {rate_text}/s  {failed} failed  eta {left}s", grouped(done));
        match self.terminal {
            true => again(&format!("[{:>4}s] {} {text}", elapsed.as_secs(), self.bar(done, elapsed))),
            false => tell("Progress", &text),
        }
    }

    fn bar(&self, done: u64, elapsed: Duration) -> String {
        let of_runs = u128::from(done) * 24 / u128::from(self.total.max(1));
        let of_time = self.time_max.map_or(0, |time_max| elapsed.as_millis() * 24 / time_max.as_millis().max(1));
        let full = usize::try_from(of_runs.max(of_time)).unwrap_or(24).min(24);
        format!("{}{}", "━".repeat(full), "─".repeat(24 - full))
    }

    /// Takes the bar away and says how long it took.
    pub(super) fn end(&self, runs: u64) {
        let elapsed = self.began.elapsed();
        let rate = u128::from(runs) * 1_000 / elapsed.as_millis().max(1);
        took(elapsed, self.terminal, &format!("{rate} runs/s"));
    }
}

/// Tells how far a complete search is.
#[expect(clippy::disallowed_types, reason = "how long the user waits is wall time; it reaches stderr alone")]
pub(super) struct Searching {
    began: Instant,
    shown: Instant,
    terminal: bool,
}

#[expect(clippy::disallowed_types, reason = "how long the user waits is wall time; it reaches stderr alone")]
impl Searching {
    pub(super) fn new() -> Searching {
        let now = Instant::now();
        Searching { began: now, shown: now, terminal: std::io::stderr().is_terminal() }
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn at(&mut self, stats: SearchStats) {
        let pause = if self.terminal { Duration::from_millis(100) } else { PAUSE };
        if self.shown.elapsed() < pause {
            return;
        }
        self.shown = Instant::now();
        let (states, memory) = (count(stats.states, "state"), grouped(stats.bytes >> 20));
        let way = format!("way {} of at most {} steps so far", stats.depth, stats.depth_max);
        let text = format!("{states}  {} states/s  {way}  {memory} MiB", grouped(self.rate(stats.states)));
        match self.terminal {
            true => again(&format!("[{:>4}s] {text}", self.began.elapsed().as_secs())),
            false => tell("Progress", &text),
        }
    }

    fn rate(&self, states: u64) -> u64 {
        let rate = u128::from(states) * 1_000 / self.began.elapsed().as_millis().max(1);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Takes the line away and says how long it took.
    pub(super) fn end(&self, stats: SearchStats) {
        let rate = grouped(self.rate(stats.states));
        let (states, steps) = (count(stats.states, "state"), count(stats.transitions, "step"));
        let (longest, memory) = (count(stats.depth_max.into(), "step"), grouped(stats.bytes >> 20));
        let what = format!("{rate} states/s; {states}, {steps}, the longest way {longest}, {memory} MiB");
        took(self.began.elapsed(), self.terminal, &what);
    }
}

/// Says every ten seconds that something is still at work that cannot tell how far it is, until it is
/// dropped.
pub(super) struct Waiting {
    _until: Sender<()>,
}

impl Waiting {
    /// `help` says what would end it earlier.
    pub(super) fn begin(help: &'static str) -> Waiting {
        let (until, ended) = channel();
        let wait = move || {
            let mut waited = Duration::ZERO;
            while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                waited += PAUSE;
                tell("Waiting", &format!("{} s so far{help}", waited.as_secs()));
            }
        };
        // Without a thread nothing is told, and all else goes on.
        let _ = std::thread::Builder::new().spawn(wait);
        Waiting { _until: until }
    }
}

/// Writes the line on a terminal again, as much of it as fits: what is wider would stay when it is taken away.
fn again(line: &str) {
    // Nobody to tell is no reason to stop.
    let _ = write!(std::io::stderr(), "\r{}\x1b[K", cut(line, width_of_progress()));
}

/// Takes the line on a terminal away and says how long it took, and how fast it went.
fn took(elapsed: Duration, terminal: bool, what: &str) {
    if terminal {
        again("");
    }
    let seconds = format!("{}.{:03}s", elapsed.as_secs(), elapsed.subsec_millis());
    tell("Took", &format!("{seconds}, {what}"));
}
