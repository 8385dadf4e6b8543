//! Safetensors files of any program, as bytes.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rewind_autograd::{Tensor, parameters};
use rewind_examples::testing::sealed;
use rewind_fuzz::{Bound, Folder, seed_up_to, tensors};
use rewind_rnn::file::{self, Metadata, Precision, TensorFile};

parameters! { struct Model<P> { weight: P, bias: P } }

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

fuzz_target!(init: seeds(), |data: &[u8]| {
    // As it is, with the length that belongs to its header, and with the checksum that belongs to its contents.
    let header = data.iter().rposition(|&byte| byte == b'}').map_or(0, |end| end + 1);
    let framed = tensors::framed(&data[..header], &data[header..]);
    for bytes in [data.to_vec(), framed.clone(), sealed(framed)] {
        let path = FOLDER.file("a.safetensors", &bytes);
        Bound::TEN.check(bytes.len(), || read(&path));
    }
});

fn seeds() {
    let path = FOLDER.path().join("seed.safetensors");
    let (weight, bias) = (Tensor::full(&[2, 3], 0.5_f32), Tensor::zeros(&[3]));
    let metadata = Metadata::from([("epoch".to_owned(), "12".to_owned())]);
    file::save(&path, &Model { weight, bias }, &metadata).expect("TMPDIR can be written to");
    let bytes = std::fs::read(&path).expect("it was written");
    seed_up_to(tensors::LARGE, "model", &bytes);
    seed_up_to(tensors::LARGE, "header", &bytes[8..]);
    for dtype in ["F64", "BF16", "F16", "I64"] {
        let header = format!("{{\"a\":{{\"dtype\":\"{dtype}\",\"shape\":[1],\"data_offsets\":[0,8]}}}}");
        seed_up_to(tensors::LARGE, dtype, tensors::framed(header.as_bytes(), &[63; 8]));
    }
}

/// All that can be asked of a file. What is read must have the shape of its header, and come back from a file.
fn read(path: &Path) {
    let _ = file::metadata(path).map_err(|error| error.to_string());
    let Ok(file) = TensorFile::open(path) else { return };
    let _ = (file.to_string(), format!("{file:?}"));
    for info in file.tensors() {
        for precision in [Precision::AsStored, Precision::Converted] {
            let narrow = file.tensor::<f32>(&info.name, precision).map_err(|error| error.to_string());
            let wide = file.tensor::<f64>(&info.name, precision).map_err(|error| error.to_string());
            let shapes = [narrow.ok().map(|x| x.shape().to_vec()), wide.ok().map(|x| x.shape().to_vec())];
            assert!(shapes.into_iter().flatten().all(|shape| shape == info.shape));
        }
    }
    let mut model = Model { weight: Tensor::<f32>::zeros(&[2, 3]), bias: Tensor::zeros(&[3]) };
    let _ = file::load(path, &mut model).map_err(|error| error.to_string());
    let _ = file::load_leaves(path, &mut model, Precision::Converted).map_err(|error| error.to_string());
    if let Ok((tensors, metadata)) = file::load_tensors::<f32>(path) {
        let again = path.with_extension("again");
        file::save_tensors(&again, &tensors, &metadata).expect("what was loaded can be saved");
        assert_eq!(file::load_tensors::<f32>(&again).expect("it was saved"), (tensors, metadata));
    }
}
