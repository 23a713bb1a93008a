//! No text makes the reader of traces panic, and what it reads is written as it was read.
#![no_main]

use pellmell::trace::Trace;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(trace) = Trace::parse("fuzzed.jsonl", text) {
        let written = trace.to_jsonl().expect("a trace can be written");
        assert_eq!(Trace::parse("written.jsonl", &written), Ok(trace));
    }
});
