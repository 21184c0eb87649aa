#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = ig_callbacks::fuzzing::webhook_body(bytes);
});
