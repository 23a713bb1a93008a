//! What is read as a departure or a step reads back as it is printed.
#![no_main]

use pellmell::{Departure, NamedStep};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(departure) = text.parse::<Departure>() {
        assert_eq!(departure.to_string().parse(), Ok(departure));
    }
    if let Ok(step) = text.parse::<NamedStep>() {
        assert_eq!(step.to_string().parse(), Ok(step));
    }
});
