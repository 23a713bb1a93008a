//! Whether stdout was closed when the process began.
//!
//! Rust opens `/dev/null` in its place before `main`, so that it looks as if somebody had asked for
//! that. Hence it is looked at before: the system's loader calls what stands in a section of its own.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether nobody can read what is printed.
pub(super) fn stdout_was_closed() -> bool {
    WAS_CLOSED.load(Relaxed)
}

#[cfg(target_os = "linux")]
#[used]
#[expect(unsafe_code, reason = "what stands in this section is called before `main`, as a function without arguments")]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        // A system call and nothing else: nothing of Rust's is set up yet.
        let is_closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()) == Err(rustix::io::Errno::BADF);
        WAS_CLOSED.store(is_closed, Relaxed);
    }
    look
};
