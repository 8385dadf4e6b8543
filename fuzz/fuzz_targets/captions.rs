//! Folders of images with a table of captions.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/caption/dataset.rs"]
mod dataset;
#[path = "../../examples/caption/scenes.rs"]
mod scenes;
#[path = "../../examples/caption/words.rs"]
mod words;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rewind_examples::image::{Channels, Image, Size};
use rewind_fuzz::large::{SIZE, large, numbered, repeated};
use rewind_fuzz::{Bound, Folder, seed};
use words::Vocabulary;

static FOLDER: LazyLock<Folder> = LazyLock::new(folder);

/// With the images, of 8 × 8 pixels, and what they are read through.
const BOUND: Bound = Bound { fixed: 256 << 10, ..Bound::TEN };

fuzz_target!(init: seeds(), |data: &[u8]| {
    // No image of this machine is part of the input.
    if data.contains(&b'/') {
        return;
    }
    FOLDER.file(dataset::CAPTIONS, data);
    let source = dataset::Source { data: Some(FOLDER.path().to_owned()), test: None, seed: 1 };
    let read = BOUND.check(data.len(), || source.read_parts().map_err(|error| error.to_string()));
    let Ok([train, test]) = read else { return };
    let captions = || train.iter().chain(&test).flat_map(|item| &item.captions).map(String::as_str);
    let words = Vocabulary::of(captions()).expect("a caption is not empty");
    assert_eq!(Vocabulary::of([words.text().as_str()]).as_ref(), Ok(&words));
    assert!(captions().all(|caption| words.places(caption).is_some()));
});

fn folder() -> Folder {
    let folder = Folder::default();
    for (at, side) in [8, 8, 8, 8, 8, 9, 4].into_iter().enumerate() {
        let image = Image::from_fn(Size { width: side, height: side }, Channels::Rgb, |x, y| {
            [x as f32 / 9.0, y as f32 / 9.0, 0.5]
        });
        image.write(&folder.path().join(format!("{at}.png"))).expect("TMPDIR can be written to");
    }
    folder.file("7.png", "no image");
    folder
}

fn seeds() {
    let line = |at: usize| format!("{at}.png\ta red circle above a {at}\n");
    seed("five", (0..5).map(line).collect::<String>());
    seed("all", (0..9).map(line).collect::<String>());
    large("short", || (0..5).flat_map(|at| repeated(format!("{at}.png\ta\n").as_bytes(), SIZE / 5)).collect());
    large("missing", || numbered(SIZE, |number| format!("{number:x}\ta\n")));
}
