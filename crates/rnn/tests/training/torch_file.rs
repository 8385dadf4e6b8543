//! Files of other programs: PyTorch's, read into cells that compute what PyTorch computed, and broken ones.

use std::path::{Path, PathBuf};

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Scalar, Tape, Tensor, Var, parameters};
use rewind_rnn::file::{self, Metadata, Precision, TensorFile};
use rewind_rnn::torch::{FromTorch, LayerName, TorchLayer};
use rewind_rnn::{Cell, ErrorKind, Gru, Linear, Lstm, TanhRnn, Unroll};

fn fixture(name: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/torch_file");
    std::env::var_os("REWIND_TORCH_FILES").map_or_else(|| PathBuf::from(fixtures), PathBuf::from).join(name)
}

/// What PyTorch computed, in the type in which it was stored.
fn output<T: Scalar>(name: &str) -> Tensor<T> {
    let file = TensorFile::open(fixture("outputs.safetensors")).expect("a fixture");
    file.tensor(name, Precision::AsStored).expect("an output in this type")
}

fn widened(tensor: &Tensor<f32>) -> Tensor<f64> {
    Tensor::from_vec(tensor.to_vec().into_iter().map(f64::from).collect(), tensor.shape())
}

#[track_caller]
fn assert_close<T: Scalar>(found: &Tensor<T>, expected: &Tensor<T>, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape());
    for (found, expected) in found.to_vec().into_iter().zip(expected.to_vec()) {
        let (found, expected) = (found.to_f64(), expected.to_f64());
        assert!((found - expected).abs() <= tolerance, "{found}; PyTorch has {expected}");
    }
}

/// `cell` unrolled over `x`, and backward in time if there is another cell for it.
fn outputs<'t, T: Scalar, C: Cell<'t, T>>(cell: &C, reverse: Option<&C>, x: Var<'t, T>) -> Var<'t, T> {
    let mut sides = vec![Unroll::new().run(cell, x).outputs()];
    sides.extend(reverse.map(|cell| Unroll::new().backward().run(cell, x).outputs()));
    concat(&sides, 2)
}

#[test]
fn cells_from_a_file_compute_what_torch_computed() {
    let path = fixture("model.safetensors");
    let tape = Tape::<f32>::new();
    let x = tape.constant(output("x"));
    let close = |y: Var<'_, f32>, name: &str| assert_close(&y.value(), &output(name), 1e-6);

    let lstm = |name| Lstm::load_torch(&path, &name, Precision::AsStored).expect("the file has it").on(&tape);
    let mut y = x;
    for layer in 0..2 {
        let forward = LayerName::new("rnn", layer);
        y = outputs(&lstm(forward.clone()), Some(&lstm(forward.reverse())), y);
    }
    close(y, "rnn");
    close(outputs(&lstm(LayerName::cell("cell")), None, x), "cell");

    let file = TensorFile::open(&path).expect("a fixture");
    let name = LayerName::new("decoder.plain", 0);
    let plain = TanhRnn::read_torch(&file, &name, Precision::AsStored).expect("the file has it");
    assert_eq!(plain.bias, None, "it was made with bias=False");
    close(outputs(&plain.on(&tape), None, x), "plain");
    let gru = Gru::read_torch(&file, &LayerName::new("decoder.gru", 0), Precision::AsStored).expect("the file has it");
    let y = outputs(&gru.on(&tape), None, x);
    close(y, "gru");
    for name in ["head", "map"] {
        let linear = Linear::read_torch(&file, name, Precision::AsStored).expect("the file has it");
        assert_eq!(linear.bias.is_some(), name == "head");
        close(linear.on(&tape).forward(y), name);
    }
}

#[test]
fn other_types_are_converted_where_it_is_asked_for() {
    let name = LayerName::new("gru", 0);
    let tape = Tape::<f64>::new();
    let x = tape.constant(widened(&output("x")));
    for (file, dtype) in [("half", "f16"), ("bfloat", "bf16"), ("wide", "f64")] {
        let path = fixture(&format!("{file}.safetensors"));
        // Exact in f64, so the outputs are PyTorch's to the last digits.
        let gru = Gru::<Tensor<f64>>::load_torch(&path, &name, Precision::Converted).expect("the file has it");
        let y = outputs(&gru.on(&tape), None, x).value();
        assert_close(&y, &output(&format!("gru_{file}")), 1e-14);
        // In f32 the two narrow types are exact too, and values of the wide one are rounded to the nearest.
        let narrow = Gru::<Tensor<f32>>::load_torch(&path, &name, Precision::Converted).expect("the file has it");
        let back = widened(&narrow.weight_ih);
        let error = back.zip(&gru.weight_ih, |a, b| (a - b).abs()).to_vec().into_iter().fold(0.0, f64::max);
        assert!(if file == "wide" { error > 0.0 && error < 6e-8 } else { error == 0.0 }, "{dtype}: {error}");

        let refused = Gru::<Tensor<f32>>::load_torch(&path, &name, Precision::AsStored).expect_err("another type");
        let expected =
            format!("file {path:?}: does not fit, 4 things wrong:\n  `gru.weight_ih_l0` holds {dtype}; expected f32");
        assert!(refused.to_string().starts_with(&expected), "{refused}");
    }
}

#[test]
fn a_file_says_what_it_holds() {
    let file = TensorFile::open(fixture("model.safetensors")).expect("a fixture");
    assert_eq!(file.metadata(), &Metadata::from([("format".to_owned(), "pt".to_owned())]));
    let cell: Vec<_> = file.tensors().iter().filter(|tensor| tensor.name.starts_with("cell.")).collect();
    let listed: Vec<_> = cell.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), t.dtype.as_str())).collect();
    assert_eq!(
        listed,
        [
            ("cell.bias_hh", &[12][..], "f32"),
            ("cell.bias_ih", &[12], "f32"),
            ("cell.weight_hh", &[12, 3], "f32"),
            ("cell.weight_ih", &[12, 2], "f32"),
        ]
    );
    let text = file.to_string();
    assert!(text.contains(": 29 tensors, 4728 bytes\n  cell.bias_hh                f32  [12]\n"), "{text}");
    assert!(text.ends_with("\n  format = \"pt\""), "{text}");
}

parameters! { struct Pair<P> { a: P, b: P } }

#[test]
fn a_module_of_one_type_is_loaded_into_one_of_another() {
    let file = Scratch::new();
    let wide = Pair { a: Tensor::full(&[2], 0.1_f64), b: Tensor::full(&[1], -3.0) };
    file::save(&file.0, &wide, &Metadata::new()).expect("a good module");
    let mut narrow = Pair { a: Tensor::<f32>::zeros(&[2]), b: Tensor::zeros(&[1]) };
    file::load(&file.0, &mut narrow).expect_err("another type");
    file::load_converted(&file.0, &mut narrow).expect("a conversion that was asked for");
    assert_eq!((narrow.a.to_vec(), narrow.b.to_vec()), (vec![0.1_f32; 2], vec![-3.0]));

    let beyond = Pair { a: Tensor::full(&[2], 0.5), b: Tensor::full(&[1], -1e39_f64) };
    file::save(&file.0, &beyond, &Metadata::new()).expect("a good module");
    let refused = file::load_converted(&file.0, &mut narrow).expect_err("beyond f32").to_string();
    assert!(
        refused.ends_with("1 thing wrong:\n  `b` is -1e39 at [0]; expected a number in the range of f32"),
        "{refused}"
    );
    assert_eq!(narrow.a.to_vec(), [0.1; 2], "nothing was changed");
    // The largest f32, and the smallest f64 that rounds to infinity.
    for (value, fits) in [(f64::from(f32::MAX), true), (f64::from(f32::MAX) * (1.0 + f64::EPSILON * 1e9), false)] {
        let edge = Pair { a: Tensor::full(&[2], value), b: Tensor::zeros(&[1]) };
        file::save(&file.0, &edge, &Metadata::new()).expect("a good module");
        assert_eq!(file::load_converted(&file.0, &mut narrow).is_ok(), fits, "{value:e}");
    }
}

/// Opening a pipe would wait for its writer, and reading a device would never end.
#[cfg(unix)]
#[test]
fn only_a_regular_file_is_opened() {
    let pipe = Scratch::new();
    assert!(std::process::Command::new("mkfifo").arg(&pipe.0).status().expect("a command of POSIX").success());
    let folder = std::env::temp_dir();
    for (path, what) in [(pipe.0.as_path(), "a pipe"), (&folder, "a folder"), (Path::new("/dev/zero"), "a device")] {
        let error = TensorFile::open(path).expect_err("no regular file");
        assert!(matches!(error.kind(), ErrorKind::Read(_)));
        assert_eq!(error.to_string(), format!("file {path:?}: cannot be read: it is {what}; expected a regular file"));
    }
}

/// A temporary file for one test.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Scratch(std::env::temp_dir().join(format!("rewind-torch-{}-{number}.safetensors", std::process::id())))
    }
    /// With these bytes.
    fn of(bytes: &[u8]) -> Self {
        let file = Scratch::new();
        std::fs::write(&file.0, bytes).expect("a writable folder for temporary files");
        file
    }
    /// With these tensors of `f32`, all elements 0.25.
    pub(crate) fn holding(tensors: &[(&str, &[usize])]) -> Self {
        let (mut header, mut end) = (Vec::new(), 0);
        for (name, shape) in tensors {
            let start = end;
            end += 4 * shape.iter().product::<usize>();
            header.push(format!("{name:?}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"));
        }
        Self::of(&bytes(&format!("{{{}}}", header.join(",")), &0.25_f32.to_le_bytes().repeat(end / 4)))
    }
    /// The message of the error of `read`, without the path.
    #[track_caller]
    pub(crate) fn refused<R>(&self, read: impl FnOnce(&PathBuf) -> Result<R, rewind_rnn::Error>) -> String {
        let error = read(&self.0).err().expect("this must be refused").to_string();
        let named = format!("file {:?}: ", self.0);
        error.strip_prefix(&named).unwrap_or_else(|| panic!("{error} does not name {named}")).to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// A file with that header.
fn bytes(header: &str, numbers: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), numbers].concat()
}

fn open(path: &PathBuf) -> Result<TensorFile, rewind_rnn::Error> {
    TensorFile::open(path)
}

fn lstm(path: &PathBuf) -> Result<Lstm<Tensor<f32>>, rewind_rnn::Error> {
    Lstm::load_torch(path, &LayerName::new("rnn", 0), Precision::AsStored)
}

#[test]
fn a_layer_that_does_not_fit_is_named() {
    const WEIGHTS: [(&str, &[usize]); 2] = [("rnn.weight_ih_l0", &[12, 2]), ("rnn.weight_hh_l0", &[12, 3])];
    let with = |more: &[(&str, &[usize])]| Scratch::holding(&[&WEIGHTS[..], more].concat());
    let both: [(&str, &[usize]); 2] = [("rnn.bias_ih_l0", &[12]), ("rnn.bias_hh_l0", &[12])];
    assert!(lstm(&with(&[]).0).expect("bias=False").bias.is_none());
    assert_eq!(lstm(&with(&both).0).expect("both").bias, Some(Tensor::full(&[12], 0.5)), "biases are added");

    assert_eq!(
        with(&both[..1]).refused(lstm),
        "does not fit, 1 thing wrong:\n  `rnn.bias_hh_l0` is not in the file, which holds `rnn.bias_ih_l0`, \
         `rnn.weight_hh_l0`, `rnn.weight_ih_l0`"
    );
    assert_eq!(
        with(&[both[0], ("rnn.bias_hh_l0", &[9])]).refused(lstm),
        "does not fit, 1 thing wrong:\n  `rnn.bias_hh_l0` has shape [9]; expected [12] for an LSTM of 3 units"
    );
    assert_eq!(
        with(&[]).refused(|path| Gru::<Tensor<f32>>::load_torch(path, &LayerName::new("rnn", 0), Precision::AsStored)),
        "does not fit, 1 thing wrong:\n  `rnn.weight_hh_l0` has shape [12, 3]; expected [3·H, H] with H at least 1 for a \
         GRU of 3 units"
    );
    // A projection is another function and must not be ignored. Other layers and modules may be.
    assert_eq!(
        with(&[("rnn.weight_hr_l0", &[2, 3])]).refused(lstm),
        "does not fit, 1 thing wrong:\n  `rnn.weight_hr_l0` of shape [2, 3] is not part of the module"
    );
    lstm(&with(&[("rnn.weight_hr_l1", &[2, 3]), ("rnn.weight_ih_l0_reverse", &[1]), ("rnn.x.y_l0", &[1])]).0)
        .expect("one");
    let message = with(&both).refused(|path| {
        TorchLayer::<f32>::read(&TensorFile::open(path)?, &LayerName::new("lstm", 0), Precision::AsStored)
    });
    assert_eq!(message, "does not fit, 1 thing wrong:\n  there is no network `lstm`; the file has the network `rnn`");
    let axes = Scratch::holding(&[("rnn.weight_ih_l0", &[24]), ("rnn.weight_hh_l0", &[])]);
    assert!(axes.refused(lstm).contains("`rnn.weight_hh_l0` has shape []; expected [4·H, H]"));

    let linear = |path: &PathBuf| Linear::<Tensor<f32>>::load_torch(path, "head", Precision::AsStored);
    let head = |shape: &[usize], bias: &[usize]| Scratch::holding(&[("head.weight", shape), ("head.bias", bias)]);
    assert_eq!(linear(&head(&[4, 3], &[4]).0).expect("it fits").weight.shape(), [3, 4]);
    assert!(
        head(&[4, 3], &[3])
            .refused(linear)
            .ends_with("`head.bias` has shape [3]; expected [4], as the weight has rows")
    );
    assert!(
        head(&[4], &[4]).refused(linear).ends_with("`head.weight` has shape [4]; expected [O, I], outputs and inputs")
    );
}

#[test]
fn numbers_that_are_none_are_named() {
    let header = |dtype: &str, end: usize| {
        format!("{{\"head.weight\":{{\"dtype\":\"{dtype}\",\"shape\":[1,2],\"data_offsets\":[0,{end}]}}}}")
    };
    let linear = |path: &PathBuf| Linear::<Tensor<f32>>::load_torch(path, "head", Precision::Converted);
    let whole = Scratch::of(&bytes(&header("I32", 8), &[0; 8]));
    let expected = "expected f16, bf16, f32 or f64";
    assert_eq!(whole.refused(linear), format!("does not fit, 1 thing wrong:\n  `head.weight` holds i32; {expected}"));
    let both = "{\"head.bias\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},\
                \"head.weight\":{\"dtype\":\"I32\",\"shape\":[1,2],\"data_offsets\":[8,16]}}";
    assert_eq!(
        Scratch::of(&bytes(both, &[0; 16])).refused(linear),
        format!(
            "does not fit, 2 things wrong:\n  `head.weight` holds i32; {expected}\n  `head.bias` holds i64; {expected}"
        )
    );
    let nan = Scratch::of(&bytes(&header("F16", 4), &[0, 0, 0, 0x7e]));
    let found = nan.refused(linear);
    assert_eq!(found, "does not fit, 1 thing wrong:\n  `head.weight` is NaN at [0, 1]; expected finite numbers");
    // A single tensor may have infinite elements, and an infinity is no overflow.
    let infinite = [1.5_f64.to_le_bytes(), f64::INFINITY.to_le_bytes()].concat();
    let file = Scratch::of(&bytes(&header("F64", 16), &infinite));
    let file = TensorFile::open(&file.0).expect("a whole file");
    assert_eq!(
        file.tensor::<f32>("head.weight", Precision::Converted).expect("two numbers").to_vec(),
        [1.5, f32::INFINITY]
    );
}

#[test]
fn broken_files_are_refused_and_never_panic() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!("{{\"a\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
    };
    // Eight tensors that end 8 bytes before the largest possible offset.
    let piece = (1_u64 << 61) - 1;
    let huge: Vec<_> = (0..8_u64)
        .map(|i| {
            let (start, end) = (i * piece, (i + 1) * piece);
            format!("\"{i}\":{{\"dtype\":\"U8\",\"shape\":[{piece}],\"data_offsets\":[{start},{end}]}}")
        })
        .collect();
    let cases: [(&str, String, usize, &str); 12] = [
        ("no JSON", "{".to_owned(), 0, "invalid header: EOF"),
        ("no object", "[]".to_owned(), 0, "invalid header: "),
        ("no tensor", "{\"a\":3}".to_owned(), 0, "invalid header: "),
        ("unknown type", one("F7", "[1]", "[0,4]"), 4, "invalid header: unknown variant `F7`"),
        ("a gap", one("F32", "[1]", "[4,8]"), 8, "invalid header: invalid offset for tensor `a`"),
        ("backwards", one("F32", "[1]", "[4,0]"), 4, "invalid header: invalid offset for tensor `a`"),
        ("a part of a number", one("F32", "[1]", "[0,3]"), 3, "invalid header: invalid shape, data type, or offset"),
        ("negative", one("F32", "[-1]", "[0,4]"), 4, "invalid header: "),
        ("more than is there", one("F32", "[2]", "[0,8]"), 4, "8 bytes of numbers are listed, 4 are there"),
        ("less than is there", one("F32", "[1]", "[0,4]"), 5, "4 bytes of numbers are listed, 5 are there"),
        ("a count that overflows", one("F32", "[4294967296,4294967296,2]", "[0,4]"), 4, "invalid header: overflow"),
        (
            "a sum that overflows",
            format!("{{{}}}", huge.join(",")),
            0,
            "18446744073709551608 bytes of numbers are listed",
        ),
    ];
    for (what, header, numbers, expected) in cases {
        let message = Scratch::of(&bytes(&header, &vec![0; numbers])).refused(open);
        assert!(message.contains(expected) && message.contains("no whole safetensors file"), "{what}: {message}");
    }
    // No elements, and axes that no memory could hold otherwise.
    let axes = one("F32", "[0,4294967296,4294967296]", "[0,0]");
    let message = Scratch::of(&bytes(&axes, &[])).refused(open);
    assert!(message.contains("`a` has shape [0, 4294967296, 4294967296], more than memory can hold"), "{message}");
    let long = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    assert!(Scratch::of(&long).refused(open).contains("is said to be 18446744073709551615 bytes long"));

    // A real file, cut anywhere, and with any one byte of its header changed: an error, or a file that can be read.
    let whole = std::fs::read(fixture("half.safetensors")).expect("a fixture");
    let scratch = Scratch::new();
    for length in 0..whole.len() {
        std::fs::write(&scratch.0, &whole[..length]).expect("writable");
        assert!(TensorFile::open(&scratch.0).is_err(), "{length} bytes of {}", whole.len());
    }
    let header = 8 + usize::from(whole[0]) + 256 * usize::from(whole[1]);
    for at in 0..header {
        for change in [1, 16] {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            std::fs::write(&scratch.0, damaged).expect("writable");
            let Ok(file) = TensorFile::open(&scratch.0) else { continue };
            for tensor in file.tensors() {
                file.tensor::<f32>(&tensor.name, Precision::Converted).ok();
            }
            Gru::<Tensor<f64>>::read_torch(&file, &LayerName::new("gru", 0), Precision::Converted).ok();
        }
    }
}
