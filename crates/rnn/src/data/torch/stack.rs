//! Whole networks of PyTorch: every layer and direction of one, from and to a safetensors file.

use std::collections::BTreeSet;
use std::path::Path;

use rewind_autograd::{Parameters, Scalar, Tensor};

use super::cells::TorchCell;
use super::file::{check_network, joined};
use super::{FromTorch, LayerName, TorchLayer};
use crate::data::file::{self, Metadata, NamedTensors, Precision, Problem, TensorFile, TensorInfo};
use crate::error::{Error, ErrorKind, Result, problem};
use crate::{Bidirectional, Merge, Recurrent};

/// A layer of a stack that is a `torch.nn.RNN`, `LSTM` or `GRU`: [`Recurrent`] in one direction, [`Bidirectional`] cells of one kind in
/// both.
pub trait TorchStackLayer: Parameters<Tensor<<Self::Cell as TorchCell>::Scalar>> + Clone {
    /// The cell.
    type Cell: TorchCell;

    /// The layer of its cells, one for each direction.
    fn from_cells(next: &mut dyn FnMut() -> Self::Cell) -> Self;

    /// Its cells, forward in time first.
    fn cells(&self) -> Vec<&Self::Cell>;

    /// A setting with which the layer computes what PyTorch's does not, as the end of a sentence about the layer.
    fn unlike_torch(&self) -> Option<&'static str> {
        self.cells().into_iter().find_map(TorchCell::unlike_torch)
    }

    /// Whether there is a cell backward in time.
    const BIDIRECTIONAL: bool;
}

impl<C: TorchCell> TorchStackLayer for Recurrent<C> {
    type Cell = C;
    const BIDIRECTIONAL: bool = false;

    fn from_cells(next: &mut dyn FnMut() -> C) -> Self {
        Recurrent(next())
    }

    fn cells(&self) -> Vec<&C> {
        vec![&self.0]
    }
}

impl<T: Scalar, C: TorchCell<Scalar = T>> TorchStackLayer for Bidirectional<Tensor<T>, Recurrent<C>, Recurrent<C>> {
    type Cell = C;
    const BIDIRECTIONAL: bool = true;

    fn from_cells(next: &mut dyn FnMut() -> C) -> Self {
        let forward = next();
        Bidirectional::of(Recurrent(forward), Recurrent(next()))
    }

    fn cells(&self) -> Vec<&C> {
        vec![&self.forward.0, &self.backward.0]
    }

    fn unlike_torch(&self) -> Option<&'static str> {
        let sum = (self.merge == Merge::Sum).then_some("adds its directions; PyTorch concatenates them");
        sum.or_else(|| self.cells().into_iter().find_map(TorchCell::unlike_torch))
    }
}

/// The type of the elements of a layer.
type Element<L> = <<L as TorchStackLayer>::Cell as TorchCell>::Scalar;

/// The layer of PyTorch of every cell.
type Layers<L> = Vec<TorchLayer<Element<L>>>;

/// Loads all layers and directions of the network named `network` in the file at `path` into `stack`, a stack of the same
/// architecture: as many layers of the same cells, in the same directions, of the same sizes, with or without biases. The name is
/// empty if the network was saved alone; other modules of the file are not read. For a file whose depth and sizes are not known,
/// see [`FromTorch`].
///
/// ```no_run
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::file::Precision;
/// use rewind_rnn::{Bidirectional, Gru, torch};
///
/// // In Python: model.encoder = nn.GRU(3, 5, num_layers=2, bidirectional=True); save_file(model.state_dict(), "model.safetensors")
/// let rng = &mut StdRng::seed_from_u64(1);
/// let mut layer = |inputs| Bidirectional::cells(Gru::<Tensor<f32>>::new(inputs, 5, rng), Gru::new(inputs, 5, rng));
/// let mut stack = vec![layer(3), layer(10)];
/// torch::load_stack("model.safetensors", "encoder", &mut stack, Precision::AsStored)?; // encoder.weight_ih_l0, ...
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// As [`TensorFile::open`]; or with the names of the networks in the file, if it has none of that name; or with all parameters of the
/// stack that the file lacks, that have another shape or type there, or infinite or NaN elements, and all that the file has beyond the
/// stack. So it is with what PyTorch's network does not have: a learned first state, heads, a GRU that resets before the product, a sum of both directions. The stack is then unchanged.
///
/// # Panics
/// If there is no layer.
#[track_caller]
pub fn load_stack<L: TorchStackLayer>(
    path: impl AsRef<Path>,
    network: &str,
    stack: &mut [L],
    precision: Precision,
) -> Result<()> {
    check_depth("load_stack", stack);
    let file = TensorFile::open(path)?;
    check_network(&file, network)?;
    let names = names(network, stack.len(), L::BIDIRECTIONAL);
    let expected = layers(stack);
    let mut problems = Vec::new();
    for (name, layer) in names.iter().zip(&expected) {
        for (parameter, tensor) in layer.tensors() {
            problems.extend(difference(&file, name.parameter(parameter), tensor, precision));
        }
    }
    let known: BTreeSet<_> = names
        .iter()
        .zip(&expected)
        .flat_map(|(name, layer)| layer.tensors().into_iter().map(|(p, _)| name.parameter(p)))
        .collect();
    problems.extend(surplus(&file, network, |name| known.contains(name)));
    let again = rebuilt::<L>(&expected)?;
    problems.extend(beyond_torch(stack, &again, true));
    if !problems.is_empty() {
        return Err(file.mismatch(problems));
    }
    let read = names.iter().map(|name| TorchLayer::read(&file, name, precision)).collect::<Result<Vec<_>>>()?;
    stack.clone_from_slice(&rebuilt::<L>(&read)?);
    Ok(())
}

/// Saves a stack as PyTorch saves a `torch.nn.RNN`, `LSTM` or `GRU`, so that `load_state_dict` accepts it: the tensors of
/// [`stack_tensors`].
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::file::TensorFile;
/// use rewind_rnn::{Lstm, Recurrent, torch};
///
/// let rng = &mut StdRng::seed_from_u64(1);
/// let stack = vec![Recurrent(Lstm::<Tensor<f32>>::new(3, 5, rng)), Recurrent(Lstm::new(5, 5, rng))];
/// let path = std::env::temp_dir().join(format!("rewind-doc-stack-{}.safetensors", std::process::id()));
/// torch::save_stack(&path, "", &stack)?;
/// // In Python: nn.LSTM(3, 5, num_layers=2).load_state_dict(load_file(path))
/// let file = TensorFile::open(&path)?;
/// assert_eq!(file.tensors()[7].name, "weight_ih_l1");
/// assert_eq!(file.tensors()[7].shape, [20, 5]);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// As [`stack_tensors`] and [`file::save_tensors`].
///
/// # Panics
/// If there is no layer.
#[track_caller]
pub fn save_stack<L: TorchStackLayer>(path: impl AsRef<Path>, network: &str, stack: &[L]) -> Result<()> {
    check_depth("save_stack", stack);
    let pt = Metadata::from([("format".to_owned(), "pt".to_owned())]);
    file::save_tensors(path, &stack_tensors(network, stack)?, &pt)
}

/// The tensors of a stack under PyTorch's names and in its layouts, for a file with other modules ([`file::save_tensors`]). The second
/// bias is 0 where PyTorch adds two; a recurrent weight in heads becomes a dense one with 0 outside its blocks.
///
/// # Errors
/// With everything that PyTorch's network cannot have: a learned first state, a GRU that resets before the product, a sum of both
/// directions, layers of different sizes or with and without biases, a projection that is not to fewer units.
///
/// # Panics
/// If there is no layer.
#[track_caller]
pub fn stack_tensors<L: TorchStackLayer>(network: &str, stack: &[L]) -> Result<NamedTensors<Element<L>>> {
    check_depth("stack_tensors", stack);
    let names = names(network, stack.len(), L::BIDIRECTIONAL);
    let layers = layers(stack);
    let again = rebuilt::<L>(&layers)?;
    let mut problems = beyond_torch(stack, &again, false);
    problems.extend(unlike_first(&names, &layers));
    if !problems.is_empty() {
        let why = format!("torch: the stack is no network of PyTorch, {}", problem::listed(&problems));
        return Err(Error::new(ErrorKind::Refused(problems), why));
    }
    let named = names.iter().zip(&layers).flat_map(|(name, layer)| {
        layer.tensors().into_iter().map(|(parameter, tensor)| (name.parameter(parameter), tensor.clone()))
    });
    Ok(named.collect())
}

/// A stack as deep and wide as the network of that name in the file: its layers are numbered from 0.
impl<L: TorchStackLayer> FromTorch for Vec<L> {
    type Name = str;

    fn read_torch(file: &TensorFile, network: &str, precision: Precision) -> Result<Self> {
        check_network(file, network)?;
        let layer = |info: &TensorInfo| LayerName::layer_of(network, &info.name);
        let layers: BTreeSet<usize> = file.tensors().iter().filter_map(layer).collect();
        // With a gap among the numbers, the layers above it are surplus.
        let depth = (0..).find(|depth| !layers.contains(depth)).unwrap_or(0).max(1);
        let names = names(network, depth, L::BIDIRECTIONAL);
        let (mut problems, mut read) = (Vec::new(), Vec::new());
        for name in &names {
            match L::Cell::read_torch(file, name, precision) {
                Ok(_) => read.push(TorchLayer::read(file, name, precision)?),
                Err(error) => match error.kind() {
                    ErrorKind::Mismatch(all) => problems.extend(all.iter().cloned()),
                    _ => return Err(error),
                },
            }
        }
        let directions = if L::BIDIRECTIONAL { 2 } else { 1 };
        let known = |found: &str| {
            let layer = LayerName::layer_of(network, found).filter(|&layer| layer < depth);
            layer.is_some_and(|layer| names[directions * layer..][..directions].iter().any(|name| name.covers()(found)))
        };
        problems.extend(surplus(file, network, known));
        if problems.is_empty() {
            problems = unlike_first(&names, &read);
        }
        if problems.is_empty() { rebuilt(&read) } else { Err(file.mismatch(problems)) }
    }
}

#[track_caller]
fn check_depth<L>(function: &str, stack: &[L]) {
    if stack.is_empty() {
        panic!("{function}: there is no layer; expected one at least");
    }
}

/// The names of all layers and directions of a network, as PyTorch orders them.
fn names(network: &str, depth: usize, bidirectional: bool) -> Vec<LayerName> {
    let directions = |layer| {
        let forward = LayerName::new(network, layer);
        let backward = bidirectional.then(|| forward.clone().reverse());
        std::iter::once(forward).chain(backward)
    };
    (0..depth).flat_map(directions).collect()
}

fn layers<L: TorchStackLayer>(stack: &[L]) -> Layers<L> {
    stack.iter().flat_map(L::cells).map(TorchCell::to_torch).collect()
}

/// The stack with these weights.
fn rebuilt<L: TorchStackLayer>(layers: &[TorchLayer<Element<L>>]) -> Result<Vec<L>> {
    let mut cells = layers.iter().map(L::Cell::from_torch).collect::<Result<Vec<_>>>()?.into_iter();
    let depth = layers.len() / if L::BIDIRECTIONAL { 2 } else { 1 };
    Ok((0..depth).map(|_| L::from_cells(&mut || cells.next().expect("one for each direction"))).collect())
}

/// What is wrong with tensor `name` of the file.
fn difference<T: Scalar>(file: &TensorFile, name: String, expected: &Tensor<T>, precision: Precision) -> Vec<Problem> {
    let expected = expected.shape().to_vec();
    let Some(info) = file.info(&name) else {
        return vec![Problem::Missing { name, shape: expected }];
    };
    let elements = file::read_finite::<T>(file, &name, precision).err();
    let found = info.shape.clone();
    let shape = (found != expected).then_some(Problem::Shape { name, found, expected });
    shape.into_iter().chain(elements).collect()
}

/// The tensors of the network itself, not of modules within, that are not known.
fn surplus<'a>(
    file: &'a TensorFile,
    network: &str,
    known: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = Problem> + 'a {
    let prefix = joined(network, "");
    let own = move |name: &str| name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('.'));
    file.tensors()
        .iter()
        .filter(move |info| own(&info.name) && !known(&info.name))
        .map(|TensorInfo { name, shape, .. }| Problem::Unexpected { name: name.clone(), shape: shape.clone() })
}

/// What a stack has and computes that PyTorch's network does not, given the stack that came back from PyTorch's layout. If it is to be
/// loaded, its leaves must also keep their shapes, and there must be no more of them.
fn beyond_torch<L: TorchStackLayer>(stack: &[L], again: &[L], loading: bool) -> Vec<Problem> {
    let unlike = |name, difference: String| Problem::Unlike { name, difference };
    let mut problems = Vec::new();
    for (k, (layer, again)) in stack.iter().zip(again).enumerate() {
        problems.extend(layer.unlike_torch().map(|difference| unlike(k.to_string(), difference.to_owned())));
        let [ours, theirs] = [layer, again].map(shapes);
        for (name, shape) in &ours {
            let path = format!("{k}.{name}");
            match theirs.iter().find(|(theirs, _)| theirs == name) {
                None => problems.push(unlike(path, format!("of shape {shape:?} has no counterpart in PyTorch"))),
                Some((_, theirs)) if loading && theirs != shape => {
                    problems.push(unlike(path, format!("has shape {shape:?}; PyTorch's has {theirs:?}")));
                }
                Some(_) => {}
            }
        }
        let more = theirs.iter().filter(|(name, _)| loading && !ours.iter().any(|(ours, _)| ours == name));
        problems.extend(more.map(|(name, shape)| {
            unlike(format!("{k}.{name}"), format!("is absent; PyTorch's network has it, of shape {shape:?}"))
        }));
    }
    problems
}

/// The names and shapes of all leaves.
fn shapes<T: Scalar, M: Parameters<Tensor<T>>>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    module.visit(|name, tensor| all.push((name.to_owned(), tensor.shape().to_vec())));
    all
}

/// How layers differ from those of one network of PyTorch, which has the sizes of the first in all of them: those above it read the
/// outputs of all directions.
fn unlike_first<T: Scalar>(names: &[LayerName], layers: &[TorchLayer<T>]) -> Vec<Problem> {
    let directions = names.iter().filter(|name| name.is_in_layer(0)).count();
    let first = &layers[0];
    let outputs = first.weight_hh.shape()[1];
    let mut problems = Vec::new();
    for (name, layer) in names.iter().zip(layers) {
        let inputs = if name.is_in_layer(0) { first.weight_ih.shape()[1] } else { directions * outputs };
        for (parameter, tensor) in layer.tensors() {
            let mut expected =
                first.tensors().into_iter().find(|(p, _)| *p == parameter).map(|(_, t)| t.shape().to_vec());
            if let ("weight_ih", Some(shape)) = (parameter, &mut expected) {
                shape[1] = inputs;
            }
            let (name, found) = (name.parameter(parameter), tensor.shape().to_vec());
            match expected {
                Some(expected) if expected == found => {}
                Some(expected) => {
                    let expected = format!("{expected:?}, as in a network with the sizes of its first layer");
                    problems.push(Problem::Layout { name, found, expected });
                }
                None => problems.push(Problem::Unexpected { name, shape: found }),
            }
        }
        if let (Some((bias, _)), None) = (&first.biases, &layer.biases) {
            let missing = ["bias_ih", "bias_hh"].map(|bias| name.parameter(bias));
            problems.extend(missing.map(|name| Problem::Missing { name, shape: bias.shape().to_vec() }));
        }
    }
    if let Some(projection) = &first.weight_hr
        && projection.shape()[0] >= projection.shape()[1]
    {
        let difference = format!("has shape {:?}; PyTorch projects to fewer units", projection.shape());
        problems.push(Problem::Unlike { name: names[0].parameter("weight_hr"), difference });
    }
    problems
}
