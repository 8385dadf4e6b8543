//! A safetensors file of any program: its list of tensors, and their elements.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rewind_autograd::{Scalar, Tensor};
use safetensors::Dtype;

use super::{Metadata, Problem, about, checksum, expect_regular, format};
use crate::data::torch::Index;
use crate::error::{Error, ErrorKind, Result, problem};

/// How to read elements of another type than the requested one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Return an error.
    #[default]
    AsStored,
    /// Convert `f16`, `bf16`, `f32` and `f64`. To a wider type this is exact; from `f64` to `f32` it rounds to the
    /// nearest value, and a value out of the range of `f32` is an error. Other types (integers, 8-bit floats) are errors.
    Converted,
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of its elements, such as `f32`, `bf16` or `i64`.
    pub dtype: String,
}

/// A safetensors file of this library or of another program, complete and valid. It displays as the list of its tensors.
///
/// ```
/// # use rewind_autograd::{Tensor, parameters};
/// # use rewind_rnn::file::{self, Metadata};
/// use rewind_rnn::file::{Precision, TensorFile};
///
/// # parameters! { struct Model<P> { weight: P, bias: P } }
/// # let path = std::env::temp_dir().join(format!("rewind-doc-file-{}.safetensors", std::process::id()));
/// # let model = Model { weight: Tensor::full(&[2, 3], 0.5_f32), bias: Tensor::zeros(&[3]) };
/// # file::save(&path, &model, &Metadata::new())?;
/// let file = TensorFile::open(&path)?;
/// println!("{file}");
/// assert_eq!((file.tensors()[1].name.as_str(), file.tensors()[1].shape.as_slice()), ("weight", &[2, 3][..]));
/// let weight: Tensor<f64> = file.tensor("weight", Precision::Converted)?; // stored as f32
/// assert_eq!(weight.to_vec(), [0.5; 6]);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
    tensors: Vec<TensorInfo>,
    /// The type and the range in `bytes` of every tensor.
    places: Vec<(Dtype, Range<usize>)>,
    metadata: Metadata,
    /// Of the names, when the first layer of PyTorch is read.
    index: OnceLock<Index>,
}

impl TensorFile {
    /// Reads the file at `path` and checks that it contains every tensor of its header, and has its [`checksum`](super::checksum()) if it
    /// was saved with one.
    ///
    /// # Errors
    /// If the file cannot be read, is a folder, a pipe or a device, is truncated or is not a safetensors file, or its contents are not
    /// those that it was saved with.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let bytes = match expect_regular(&path).and_then(|()| fs::read(&path)) {
            Ok(bytes) => bytes,
            Err(source) => {
                let why = format!("cannot be read: {source}");
                return Err(about(&path, ErrorKind::Read(source), why));
            }
        };
        let parsed = format::parse(&bytes).map_err(|reason| {
            let why = format!(
                "{} bytes that are no whole safetensors file ({reason}); expected 8 bytes of header length, a JSON \
                 header, and exactly the numbers it lists",
                bytes.len()
            );
            about(&path, ErrorKind::Malformed, why)
        })?;
        if let Some(damage) = checksum::damage(&parsed, &bytes) {
            let why = format!("was damaged or edited after it was written: {damage}");
            return Err(about(&path, ErrorKind::Checksum, why));
        }
        let format::Parsed { tensors, places, metadata } = parsed;
        Ok(TensorFile { path, bytes, tensors, places, metadata, index: OnceLock::new() })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensors, in the order of their names.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// All metadata of the file.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Tensor `name`. Its elements may be infinite or NaN.
    ///
    /// # Errors
    /// If there is no such tensor, it has another type that `precision` does not convert, or an element is out of the range
    /// of `T`.
    pub fn tensor<T: Scalar>(&self, name: &str, precision: Precision) -> Result<Tensor<T>> {
        self.read(name, precision).map_err(|problem| self.mismatch(vec![problem]))
    }

    /// [`tensor`](TensorFile::tensor) with a [`Problem`] as its error, which does not name the file.
    pub(crate) fn read<T: Scalar>(&self, name: &str, precision: Precision) -> std::result::Result<Tensor<T>, Problem> {
        let Some(at) = self.position(name) else {
            return Err(self.lacks(name.to_owned()));
        };
        let (dtype, place) = &self.places[at];
        format::decode(name, *dtype, &self.tensors[at].shape, &self.bytes[place.clone()], precision)
    }

    /// The problem that there is no tensor of that name.
    pub(crate) fn lacks(&self, name: String) -> Problem {
        // Every layer of a network may lack a tensor, each in a message of its own.
        const SHOWN: usize = 4;
        const LETTERS: usize = 100;
        let shown = |name: &String| match name.char_indices().nth(LETTERS) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name.clone(),
        };
        let others: Vec<_> = self.tensors.iter().take(SHOWN).map(|tensor| shown(&tensor.name)).collect();
        let more = self.tensors.len() - others.len();
        Problem::NotInFile { name, others, more }
    }

    /// Whether there is a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// The tensor of that name.
    pub(crate) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.position(name).map(|at| &self.tensors[at])
    }

    /// Where PyTorch's names put the tensors.
    pub(crate) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.tensors))
    }

    /// The error with all problems of the file.
    pub(crate) fn mismatch(&self, problems: Vec<Problem>) -> Error {
        let why = format!("does not fit, {}", problem::listed(&problems));
        about(&self.path, ErrorKind::Mismatch(problems), why)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()
    }
}

impl fmt::Display for TensorFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} tensors, {} bytes", self.path.display(), self.tensors.len(), self.bytes.len())?;
        let widest = |text: fn(&TensorInfo) -> &String| self.tensors.iter().map(|t| text(t).chars().count()).max();
        // Columns as wide as their widest text, but not as a name that no terminal shows in a line.
        const WIDEST: usize = 80;
        let column = |text: fn(&TensorInfo) -> &String| widest(text).unwrap_or(0).min(WIDEST);
        let (names, types) = (column(|t| &t.name), column(|t| &t.dtype));
        for TensorInfo { name, shape, dtype } in &self.tensors {
            write!(f, "\n  {name:<names$}  {dtype:<types$}  {shape:?}")?;
        }
        self.metadata.iter().try_for_each(|(key, value)| write!(f, "\n  {key} = {value:?}"))
    }
}

/// Without the elements.
impl fmt::Debug for TensorFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TensorFile { path, tensors, metadata, .. } = self;
        f.debug_struct("TensorFile")
            .field("path", path)
            .field("tensors", tensors)
            .field("metadata", metadata)
            .finish_non_exhaustive()
    }
}
