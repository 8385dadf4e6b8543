//! PNG files.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use png::Encoder;
use rewind_examples::image::{Channels, Image, MAX_SIDE, Size};
use rewind_fuzz::large::{SIZE, large, repeated};
use rewind_fuzz::{Bound, Folder, seed};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

/// The largest image that is read, with 16 bits for each of four values, as it is decoded and as it is returned.
const BOUND: Bound = Bound { ratio: 10, fixed: 4 << 20 };

fuzz_target!(init: seeds(), |data: &[u8]| {
    let path = FOLDER.file("a.png", data);
    for channels in [Channels::Grey, Channels::Rgb] {
        let Ok(image) = BOUND.check(data.len(), || Image::read(&path, channels)) else { continue };
        let Size { width, height } = image.size;
        assert!(width.max(height) <= MAX_SIDE);
        assert_eq!((image.channels, image.bytes.len()), (channels, width * height * channels.count()));
    }
});

fn seeds() {
    seed("long-text", with_text(8 << 20));
    large("chunks", || {
        let image = with_text(0);
        // Behind the signature and the header: chunks of no bytes, with their checksum.
        [&image[..33], &repeated(b"\0\0\0\0quIt\xd6\x2e\xf3\x37", SIZE), &image[33..]].concat()
    });
    large("largest", || {
        let size = Size { width: MAX_SIDE, height: MAX_SIDE };
        let noise = |x: usize, y: usize, k: usize| (x * 7919 + y * 104_729 + k * 31 + x * y * x) % 256;
        let image = Image::from_fn(size, Channels::Rgb, |x, y| [0, 1, 2].map(|k| noise(x, y, k) as f32 / 255.0));
        let path = FOLDER.path().join("seed.png");
        image.write(&path).expect("TMPDIR can be written to");
        std::fs::read(&path).expect("it was written")
    });
    for (name, channels) in [("grey", Channels::Grey), ("rgb", Channels::Rgb)] {
        let path = FOLDER.path().join("seed.png");
        let size = Size { width: 9, height: 7 };
        let image = match channels {
            Channels::Grey => Image::from_fn(size, channels, |x, y| [(x * y % 7) as f32 / 7.0]),
            Channels::Rgb => Image::from_fn(size, channels, |x, y| [x as f32 / 9.0, y as f32 / 7.0, 0.5]),
        };
        image.write(&path).expect("TMPDIR can be written to");
        seed(name, std::fs::read(&path).expect("it was written"));
    }
}

/// An image of one pixel, with a text of so many zeros, compressed to a thousandth.
fn with_text(length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 1, 1);
    encoder.add_ztxt_chunk("a".to_owned(), "0".repeat(length)).expect("a usual text");
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&[0])).expect("memory can be written to");
    bytes
}
