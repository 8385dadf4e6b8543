//! The examples are programs: `cargo run --release --example music_genre`, and so on. This library is empty. Its
//! only doctest proves that the program in the project's README compiles and holds.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeRuns;
