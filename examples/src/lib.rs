//! The examples are programs: `cargo run --release --example music_genre`, and so on. This library is empty.
