//! The command lines of the programs: a word in each line, the first of which chooses the program.

#![no_main]
#![allow(dead_code, unused_imports, reason = "modules of programs, of which the target uses the command lines")]

#[path = "../../examples/caption/arguments.rs"]
mod caption;
#[path = "../../examples/char_model/arguments.rs"]
mod char_model;
#[path = "../../examples/heartbeat/arguments.rs"]
mod heartbeat;
#[path = "../../examples/image_class/arguments.rs"]
mod image_class;
#[path = "../../examples/music_genre/arguments.rs"]
mod music_genre;
#[path = "../../examples/speech/arguments.rs"]
mod speech;
#[path = "../../examples/text_class/arguments.rs"]
mod text_class;
#[path = "../../examples/translate/arguments.rs"]
mod translate;

// What they import, each from its own program.
#[path = "../../examples/image_class/idx.rs"]
mod idx;
#[path = "../../examples/music_genre/midi/mod.rs"]
mod midi;
#[path = "../../examples/music_genre/model.rs"]
mod model;
#[path = "../../examples/music_genre/score.rs"]
mod score;
#[path = "../../examples/translate/words.rs"]
mod words;

use libfuzzer_sys::fuzz_target;
use rewind_examples::{CommandLine, Task};
use rewind_fuzz::large::{SIZE, large, repeated};
use rewind_fuzz::{Bound, seed};

/// The parser of the arguments has a description of each, whatever is given, and keeps a word of one letter three times, in lists that double.
const BOUND: Bound = Bound { ratio: 160, fixed: 1 << 20 };

fuzz_target!(init: seeds(), |data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut words = text.lines();
    let Some(program) = words.next() else { return };
    let words: Vec<&str> = words.collect();
    BOUND.check(data.len(), || match program {
        "caption" => parse::<caption::Arguments>(&words),
        "char_model" => parse::<char_model::Arguments>(&words),
        "heartbeat" => parse::<heartbeat::Arguments>(&words),
        "image_class" => parse::<image_class::Arguments>(&words),
        "music_genre" => parse::<music_genre::Arguments>(&words),
        "speech" => parse::<speech::Arguments>(&words),
        "text_class" => parse::<text_class::Arguments>(&words),
        _ => parse::<translate::Arguments>(&words),
    });
});

/// A command line is understood, or what is wrong with it can be told.
fn parse<A: Task>(words: &[&str]) {
    match CommandLine::<A>::parse([&[A::NAME], words].concat()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(line) => {
            let (seed, threads) = (line.arguments.run().seed(), line.arguments.run().threads);
            assert!((1..=256).contains(&threads) && line.metadata("x")["command"].starts_with('{'), "{seed}");
        }
    }
}

fn seeds() {
    for program in
        ["caption", "char_model", "heartbeat", "image_class", "music_genre", "speech", "text_class", "translate"]
    {
        seed(
            program,
            format!("{program}\n--seed\n3\n--epochs=2\n--hidden\n7\n--batch\n4\n--rate\n1e-3\n--dropout\n0.5\n"),
        );
    }
    seed("load", "caption\n--load\nnet\n--describe\na.png\nb.png\n--threads=4\n");
    seed("cell", "heartbeat\n--cell\ngru\n--read-out=mean\n--both-ways\ntrue\n--shift\n2\n--scale\n0.1\n");
    seed("sample", "char_model\n--sample\n-x\n--length=300\n--temperature\n0.7\n--recurrent-dropout\n0.1\n");
    seed("help", "speech\n--help\n");
    large("words", || [&b"caption\n--load\nnet\n--describe\n"[..], &repeated(b"a\n", SIZE)].concat());
    large("empty", || [&b"caption\n--load\nnet\n--describe\n"[..], &repeated(b"\n", SIZE)].concat());
}
