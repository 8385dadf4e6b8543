//! Recurrent layers against PyTorch's values: outputs, last states and every gradient, for any sizes.
//!
//! Layers and directions are stacks of [`Recurrent`] cells and of [`Bidirectional`] ones.

use std::marker::PhantomData;

use rewind_autograd::ops::layout::stack;
use rewind_autograd::{Gradients, OnTape, Parameters, Scalar, Tape, Tensor, Var};
use rewind_rnn::torch::TorchLayer;
use rewind_rnn::{
    Bidirectional, Cell, Gru, Layer, LayerOutputs, Lstm, LstmState, ProjectedLstm, Recurrent, ReluRnn, TanhRnn, Unroll,
};

use super::{Case, Found};

/// A reference file, and the first difference found.
struct Source<'a, T> {
    case: &'a Case,
    found: Found,
    scalar: PhantomData<T>,
}

impl<T: Scalar> Source<'_, T> {
    /// The tensor of that name, if there is one.
    fn tensor(&self, name: &str) -> Option<Tensor<T>> {
        self.case.tensor(name).ok()
    }
    /// The metadata of that name.
    fn meta(&self, key: &str) -> &str {
        self.case.text(key).unwrap_or_default()
    }
    /// Compares what was computed with the tensor of that name.
    fn compare(&mut self, name: &str, ours: &Tensor<T>) {
        if self.found.is_ok() {
            self.found = self.case.compare(name, ours);
        }
    }
}

/// Compares everything in a file of kind RNN, LSTM or GRU.
pub(crate) fn compare_recurrent<T: Scalar>(case: &Case) -> Found {
    let mut file = Source { case, found: Ok(()), scalar: PhantomData };
    let projected = case.number("proj")?.unwrap_or(0.0) > 0.0;
    match (file.meta("kind"), file.meta("nonlinearity"), projected) {
        ("RNN", "tanh", _) => compare::<T, TanhRnn<Tensor<T>>>(&mut file),
        ("RNN", "relu", _) => compare::<T, ReluRnn<Tensor<T>>>(&mut file),
        ("LSTM", _, false) => compare::<T, Lstm<Tensor<T>>>(&mut file),
        ("LSTM", _, true) => compare::<T, ProjectedLstm<Tensor<T>>>(&mut file),
        ("GRU", _, _) => compare::<T, Gru<Tensor<T>>>(&mut file),
        other => return Err(format!("no recurrent layer is known as {other:?}")),
    }
    file.found
}

/// A module that also exists in PyTorch.
trait Known<T: Scalar>: Parameters<Tensor<T>> {
    /// The module of layer and direction `suffix`, such as `l0_reverse`.
    fn read(file: &Source<'_, T>, suffix: &str) -> Self;
    /// Compares its gradients, in PyTorch's layout.
    fn compare_gradients(&self, file: &mut Source<'_, T>, suffix: &str);
}

fn torch_layer<T: Scalar>(file: &Source<'_, T>, suffix: &str) -> TorchLayer<T> {
    let parameter = |name: &str| file.tensor(&format!("param.{name}_{suffix}"));
    TorchLayer {
        weight_ih: parameter("weight_ih").expect("a layer has weights"),
        weight_hh: parameter("weight_hh").expect("a layer has weights"),
        biases: parameter("bias_ih").zip(parameter("bias_hh")),
        weight_hr: parameter("weight_hr"),
    }
}

/// Compares gradients that are laid out as PyTorch's.
fn compare_layer<T: Scalar>(file: &mut Source<'_, T>, suffix: &str, layer: &TorchLayer<T>) {
    file.compare(&format!("grad.weight_ih_{suffix}"), &layer.weight_ih);
    file.compare(&format!("grad.weight_hh_{suffix}"), &layer.weight_hh);
    if let Some((bias_ih, bias_hh)) = &layer.biases {
        file.compare(&format!("grad.bias_ih_{suffix}"), bias_ih);
        file.compare(&format!("grad.bias_hh_{suffix}"), bias_hh);
    }
    if let Some(weight_hr) = &layer.weight_hr {
        file.compare(&format!("grad.weight_hr_{suffix}"), weight_hr);
    }
}

impl<T: Scalar> Known<T> for TanhRnn<Tensor<T>> {
    fn read(file: &Source<'_, T>, suffix: &str) -> Self {
        TanhRnn::from_torch(&torch_layer(file, suffix)).expect("the file's shapes fit")
    }
    fn compare_gradients(&self, file: &mut Source<'_, T>, suffix: &str) {
        compare_layer(file, suffix, &self.gradients_to_torch());
    }
}

impl<T: Scalar> Known<T> for ReluRnn<Tensor<T>> {
    fn read(file: &Source<'_, T>, suffix: &str) -> Self {
        ReluRnn::from_torch(&torch_layer(file, suffix)).expect("the file's shapes fit")
    }
    fn compare_gradients(&self, file: &mut Source<'_, T>, suffix: &str) {
        compare_layer(file, suffix, &self.gradients_to_torch());
    }
}

impl<T: Scalar> Known<T> for Lstm<Tensor<T>> {
    fn read(file: &Source<'_, T>, suffix: &str) -> Self {
        Lstm::from_torch(&torch_layer(file, suffix)).expect("the file's shapes fit")
    }
    fn compare_gradients(&self, file: &mut Source<'_, T>, suffix: &str) {
        compare_layer(file, suffix, &self.gradients_to_torch());
    }
}

impl<T: Scalar> Known<T> for ProjectedLstm<Tensor<T>> {
    fn read(file: &Source<'_, T>, suffix: &str) -> Self {
        ProjectedLstm::from_torch(&torch_layer(file, suffix)).expect("the file's shapes fit")
    }
    fn compare_gradients(&self, file: &mut Source<'_, T>, suffix: &str) {
        compare_layer(file, suffix, &self.gradients_to_torch());
    }
}

impl<T: Scalar> Known<T> for Gru<Tensor<T>> {
    fn read(file: &Source<'_, T>, suffix: &str) -> Self {
        Gru::from_torch(&torch_layer(file, suffix)).expect("the file's shapes fit")
    }
    fn compare_gradients(&self, file: &mut Source<'_, T>, suffix: &str) {
        compare_layer(file, suffix, &self.gradients_to_torch());
    }
}

/// A state from and to its parts h and c.
trait Parts<'t, T: Scalar>: Copy {
    fn from_parts(h: Var<'t, T>, c: Option<Var<'t, T>>) -> Self;
    fn parts(self) -> (Var<'t, T>, Option<Var<'t, T>>);
}

impl<'t, T: Scalar> Parts<'t, T> for Var<'t, T> {
    fn from_parts(h: Var<'t, T>, _c: Option<Var<'t, T>>) -> Self {
        h
    }
    fn parts(self) -> (Var<'t, T>, Option<Var<'t, T>>) {
        (self, None)
    }
}

impl<'t, T: Scalar> Parts<'t, T> for LstmState<'t, T> {
    fn from_parts(hidden: Var<'t, T>, c: Option<Var<'t, T>>) -> Self {
        LstmState { hidden, cell: c.expect("an LSTM file has c0") }
    }
    fn parts(self) -> (Var<'t, T>, Option<Var<'t, T>>) {
        (self.hidden, Some(self.cell))
    }
}

/// Σ weight·v with the weights of that name.
fn weighted<'t, T: Scalar>(file: &Source<'_, T>, v: Var<'t, T>, name: &str) -> Var<'t, T> {
    (v * v.tape().constant(file.tensor(name).expect("weights are given"))).sum()
}

fn through<'t, T: Scalar, L: Layer<'t, T>>(
    how: Unroll<'_>,
    layer: &L,
    x: Var<'t, T>,
    first: Option<L::State>,
) -> LayerOutputs<'t, T, L::State> {
    match first {
        Some(first) => how.through_from(layer, x, first),
        None => how.through(layer, x),
    }
}

fn compare<T, M>(file: &mut Source<'_, T>)
where
    T: Scalar,
    M: Known<T>,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T, State: Parts<'t, T>>,
{
    let layers: usize = file.meta("layers").parse().expect("the number of layers is a number");
    let bidirectional = file.meta("bidirectional") == "true";
    let lengths = file.case.integers("in.lengths").ok();
    let lengths: Option<Vec<usize>> =
        lengths.map(|all| all.into_iter().map(|l| usize::try_from(l).expect("a length is not negative")).collect());
    let directions: &[&str] = if bidirectional { &["", "_reverse"] } else { &[""] };

    let suffixes: Vec<String> =
        (0..layers).flat_map(|layer| directions.iter().map(move |name| format!("l{layer}{name}"))).collect();
    let mut modules: Vec<M> = suffixes.iter().map(|suffix| M::read(file, suffix)).collect();

    let tape = Tape::new();
    let x = tape.leaf(file.tensor("in.x").expect("a file has x"));
    let h0 = file.tensor("in.h0").map(|h| tape.leaf(h));
    let c0 = file.tensor("in.c0").map(|c| tape.leaf(c));
    let first = h0.map(|h0| {
        let part = |place| Parts::from_parts(h0.index(0, place), c0.map(|c0| c0.index(0, place)));
        (0..modules.len()).map(part).collect::<Vec<_>>()
    });
    let mut how = Unroll::new();
    if let Some(lengths) = &lengths {
        how = how.lengths(lengths);
    }
    let on_tape: Vec<M::With<Var<'_, T>>>;
    let (y, last): (_, Vec<_>) = if bidirectional {
        let mut sides = modules.drain(..);
        let pair = || Some(Bidirectional::cells(sides.next()?, sides.next()?));
        let stack = std::iter::from_fn(pair).collect::<Vec<_>>().on(&tape);
        let first = first.map(|first: Vec<_>| first.chunks(2).map(|pair| (pair[0], pair[1])).collect());
        let run = through(how, &stack, x, first);
        on_tape = stack.into_iter().flat_map(|both| [both.forward.0, both.backward.0]).collect();
        (run.outputs, run.last.into_iter().flat_map(|(forward, backward)| [forward, backward]).collect())
    } else {
        let stack = modules.into_iter().map(Recurrent).collect::<Vec<_>>().on(&tape);
        let run = through(how, &stack, x, first);
        on_tape = stack.into_iter().map(|layer| layer.0).collect();
        (run.outputs, run.last)
    };
    let (last_h, last_c): (Vec<_>, Vec<_>) = last.into_iter().map(Parts::parts).unzip();
    let last_c: Vec<_> = last_c.into_iter().flatten().collect();
    let hn = stack(&last_h, 0);
    let cn = (!last_c.is_empty()).then(|| stack(&last_c, 0));
    let mut loss = weighted(file, y, "in.weight_y") + weighted(file, hn, "in.weight_hn");
    if let Some(cn) = cn {
        loss = loss + weighted(file, cn, "in.weight_cn");
    }

    file.compare("out.y", &y.value());
    file.compare("out.hn", &hn.value());
    if let Some(cn) = cn {
        file.compare("out.cn", &cn.value());
    }
    file.compare("out.loss", &loss.value().reshape(&[1]));
    let gradients: Gradients<'_, T> = loss.backward();
    file.compare("grad.x", &gradients.get(x));
    for (name, v) in [("grad.h0", h0), ("grad.c0", c0)] {
        if let Some(v) = v {
            file.compare(name, &gradients.get(v));
        }
    }
    for (suffix, module) in suffixes.iter().zip(&on_tape) {
        gradients.of(module).compare_gradients(file, suffix);
    }
}
