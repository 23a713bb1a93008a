//! Catching what handlers and properties panic with, and printing each such panic once.
//!
//! What panics in a run is a verdict, and whoever searches plays many runs that panic alike; the panic hook
//! would print each of them, with a backtrace where one is asked for.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

thread_local! {
    /// How many panics would be caught here: by a run, or by a search in which it is played.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
}

/// Where something panicked in this process: file, line and column.
type Places = BTreeSet<(String, u32, u32)>;

/// Does some work; if it panics, returns the message.
///
/// The first to call it puts a panic hook before the one that is there. That one is told of all panics but
/// those of caught work whose place in the source it was told of before.
pub(crate) fn catching<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    tell_once();
    CATCHING.set(CATCHING.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(CATCHING.get() - 1);
    done.map_err(|panic| message(&*panic))
}

fn tell_once() {
    static HOOK: Once = Once::new();
    // While it panics, a thread must not change the hook.
    if !std::thread::panicking() {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                if !is_told(panic) {
                    before(panic);
                }
            }));
        });
    }
}

/// Whether a panic is caught and one at its place was told before.
fn is_told(panic: &PanicHookInfo<'_>) -> bool {
    static TOLD: Mutex<Places> = Mutex::new(Places::new());
    let Some(place) = panic.location() else { return false };
    let place = (place.file().to_owned(), place.line(), place.column());
    let is_new = TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(place);
    !is_new && CATCHING.try_with(Cell::get).is_ok_and(|catching| catching > 0)
}

fn message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    }
}
