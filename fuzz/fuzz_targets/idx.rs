//! Images and labels in the format of MNIST, compressed or not.

#![no_main]
#![allow(dead_code, reason = "a module of a program, of which the target uses what reads")]

#[path = "../../examples/image_class/idx.rs"]
mod idx;

use std::io::Write;
use std::sync::LazyLock;

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use rewind_examples::image::MAX_SIDE;
use rewind_fuzz::large::large;
use rewind_fuzz::{Bound, Folder, seed};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

// The first byte says which of the two files are compressed: bits 0 and 1 by the target, bits 2 and 3 by their names alone. The next two
// are the length of the labels.
fuzz_target!(init: seeds(), |data: &[u8]| {
    let &[flags, low, high, ref rest @ ..] = data else { return };
    let length = usize::from(u16::from_le_bytes([low, high]));
    let (labels, images) = rest.split_at(length.min(rest.len()));
    let file = |name: &str, contents: &[u8], at: u8| {
        let [plain, other] = ["", ".gz"].map(|ending| FOLDER.path().join(format!("{name}{ending}")));
        let is_compressed = flags >> at & 5 != 0;
        let _ = std::fs::remove_file(if is_compressed { &plain } else { &other });
        let bytes = if flags >> at & 1 == 1 { compressed(contents) } else { contents.to_vec() };
        let path = if is_compressed { other } else { plain };
        std::fs::write(&path, bytes).expect("TMPDIR can be written to");
        path
    };
    let path = file("images-idx3", images, 0);
    file("labels-idx1", labels, 1);
    // A file that its name alone calls compressed may still be compressed; a byte of it is 1032 at most.
    let bytes = if flags & 12 == 0 { data.len() } else { 1032 * data.len() };
    let Ok(images) = Bound::TEN.check(bytes, || idx::read(&path)) else { return };
    for (image, _) in images.iter() {
        assert!(image.size.width.max(image.size.height) <= MAX_SIDE);
        assert_eq!(image.bytes.len(), image.size.width * image.size.height);
    }
});

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written to");
    encoder.finish().expect("memory can be written to")
}

fn seeds() {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[7; 12]].concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 2, 9, 0];
    for flags in 0..4 {
        seed(&format!("files-{flags}"), input(flags, &labels, &images));
    }
    seed("compressed", input(12, &compressed(&labels), &compressed(&images)));
    // Images of a byte, and one that is all that is read.
    let bytes = |lengths: &[u32], values: Vec<u8>| {
        let lengths_bytes = lengths.iter().flat_map(|length| length.to_be_bytes());
        [0, 0, 8, lengths.len() as u8].into_iter().chain(lengths_bytes).chain(values).collect::<Vec<_>>()
    };
    for flags in [0, 3, 12] {
        large(&format!("dots-{flags}"), || {
            let count = 60_000;
            let [labels, images] =
                [bytes(&[count], vec![1; count as usize]), bytes(&[count, 1, 1], vec![9; count as usize])];
            if flags == 12 {
                input(flags, &compressed(&labels), &compressed(&images))
            } else {
                input(flags, &labels, &images)
            }
        });
        large(&format!("image-{flags}"), || {
            input(
                flags,
                &bytes(&[1], vec![1]),
                &bytes(&[1, MAX_SIDE as u32, MAX_SIDE as u32], vec![9; MAX_SIDE * MAX_SIDE]),
            )
        });
    }
}

fn input(flags: u8, labels: &[u8], images: &[u8]) -> Vec<u8> {
    let [low, high] = u16::try_from(labels.len()).expect("there are fewer labels").to_le_bytes();
    [&[flags, low, high][..], labels, images].concat()
}
