//! Models with inputs and the outputs that this project computes for them. The tests run them in tract, and `runtime/check.py` in ONNX
//! Runtime, by the files that the example `cases` writes.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rewind_autograd::{Module, OnTape, Parameters, Scalar, Tape, Tensor, Var, parameters};
use rewind_onnx::{Export, Model};
use rewind_rnn::{
    Bidirectional, Cell, CoupledLstm, Dropout, ForgetGate, Gru, IndRnn, Layer, LayerModule, LayerNorm, LayerNormLstm,
    LayerOutputs, Linear, Lru, Lstm, MLstm, Merge, Mgu, MinGru, MinLstm, PeepholeLstm, ProjectedLstm, Recurrent,
    ReluRnn, Reset, Residual, SLstm, Scan, State, TanhRnn, Unroll, Zoneout, unroll,
};

/// T, B, I and H: none is a size of the recordings that an export makes.
pub(crate) const STEPS: usize = 9;
pub(crate) const BATCH: usize = 4;
pub(crate) const FEATURES: usize = 3;
const HIDDEN: usize = 6;
const LENGTHS: [usize; BATCH] = [9, 1, 4, 8];

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) model: Model,
    /// Inputs by name, without the lengths.
    pub(crate) inputs: Vec<(String, Tensor<f32>)>,
    pub(crate) lengths: Option<Vec<usize>>,
    pub(crate) expected: Vec<(String, Tensor<f32>)>,
}

parameters! {
    /// The cell of the README.
    pub(crate) struct Own<P> { w_f: P, u_f: P, w_n: P, u_n: P }
}

impl<'t, T: Scalar> Cell<'t, T> for Own<Var<'t, T>> {
    type State = Var<'t, T>;
    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let f = (x.matmul(self.w_f) + h.matmul(self.u_f)).sigmoid();
        let n = (x.matmul(self.w_n) + (f * h).matmul(self.u_n)).tanh();
        h + f * (n - h)
    }
    fn initial(&self, batch: usize) -> Var<'t, T> {
        self.u_f.tape().zeros(&[batch, self.u_f.shape()[0]])
    }
}

parameters! {
    /// The layer of the docs of `Layer`: a highway connection.
    pub(crate) struct Highway<P, L> { layer: L, weight: P }
}

impl<'t, T: Scalar, L: Layer<'t, T>> Layer<'t, T> for Highway<Var<'t, T>, L> {
    type State = L::State;
    fn initial_state(&self, batch: usize) -> L::State {
        self.layer.initial_state(batch)
    }
    fn forward(&self, x: Var<'t, T>, state: L::State, how: Unroll<'_>) -> LayerOutputs<'t, T, L::State> {
        let within = self.layer.forward(x, state, how);
        let g = x.affine(self.weight, None).sigmoid();
        within.map(|y| x + g * (y - x))
    }
}

fn random(rng: &mut StdRng, shape: &[usize]) -> Tensor<f32> {
    Tensor::from_fn(shape, |_| rng.random_range(-1.0..1.0))
}

/// The model with every parameter changed, so that no bias, gain or first state is 0 or 1.
fn shaken<M: Parameters<Tensor<f32>>>(mut model: M, rng: &mut StdRng) -> M {
    model.visit_mut(|_, parameter| {
        let changed = parameter.to_vec().into_iter().map(|p| p + rng.random_range(-0.3..0.3)).collect();
        *parameter = Tensor::from_vec(changed, parameter.shape());
    });
    model
}

fn parts<'t, S: State<'t, f32>>(state: &S) -> Vec<Var<'t, f32>> {
    let mut parts = Vec::new();
    state.clone().zip(state.clone(), &mut |part, _| {
        parts.push(part);
        part
    });
    parts
}

/// What a layer is run with.
#[derive(Clone, Copy, Default)]
pub(crate) struct With {
    pub(crate) lengths: bool,
    pub(crate) states: bool,
}

fn layer<M: LayerModule<f32>>(name: &str, model: M, with: With) -> Case {
    let rng = &mut StdRng::seed_from_u64(7);
    let model = shaken(model, rng);
    let mut export = Export::new();
    let mut name = name.to_owned();
    if with.lengths {
        export = export.lengths();
        name += "_lengths";
    }
    if with.states {
        export = export.states();
        name += "_states";
    }
    let exported = export.layer(&model, FEATURES).unwrap_or_else(|error| panic!("{name}: {error}"));
    let x = random(rng, &[STEPS, BATCH, FEATURES]);
    let tape = Tape::quiet();
    let on_tape = model.on(&tape);
    let how = if with.lengths { Unroll::new().lengths(&LENGTHS) } else { Unroll::new() };
    let first = on_tape.initial_state(BATCH);
    let names = if parts(&first).is_empty() { Vec::new() } else { first.part_names() };
    let mut inputs = vec![("x".to_owned(), x.clone())];
    let mut given = names.iter();
    let first = first.clone().zip(first, &mut |part, _| {
        let Some(name) = given.next().filter(|_| with.states) else { return part };
        let shape = part.shape();
        let value = part.value().zip(&random(rng, &shape), |a, b| a + b / 2.0);
        inputs.push((format!("first.{name}"), value.clone()));
        tape.constant(value)
    });
    let run = how.through_from(&on_tape, tape.constant(x), first);
    let mut expected = vec![("y".to_owned(), run.outputs.value())];
    expected.extend(names.iter().zip(parts(&run.last)).map(|(name, part)| (format!("last.{name}"), part.value())));
    Case { name, model: exported, inputs, lengths: with.lengths.then(|| LENGTHS.to_vec()), expected }
}

pub(crate) fn function<M, F>(name: &str, module: M, f: F) -> Case
where
    M: Module<f32> + OnTape<f32>,
    F: for<'t> Fn(&M::With<Var<'t, f32>>, Var<'t, f32>) -> Vec<(String, Var<'t, f32>)>,
{
    let rng = &mut StdRng::seed_from_u64(8);
    let module = shaken(module, rng);
    let model = Export::new().function(&module, FEATURES, &f).unwrap_or_else(|error| panic!("{name}: {error}"));
    let x = random(rng, &[STEPS, BATCH, FEATURES]);
    let tape = Tape::quiet();
    let results = f(&module.on(&tape), tape.constant(x.clone()));
    let expected = results.into_iter().map(|(name, v)| (name, v.value())).collect();
    Case { name: name.to_owned(), model, inputs: vec![("x".to_owned(), x)], lengths: None, expected }
}

/// A classifier of padded sequences: the last output of each is that at its own end.
fn padded_classifier() -> Case {
    let rng = &mut rng();
    let module = shaken((Lstm::new(FEATURES, HIDDEN, rng), Linear::new(HIDDEN, 2, rng)), rng);
    let exported = Export::new()
        .lengths()
        .function(&module, FEATURES, |(lstm, readout), x| y(readout.forward(unroll(lstm, x).last_output()).softmax(1)));
    let x = random(rng, &[STEPS, BATCH, FEATURES]);
    let tape = Tape::quiet();
    let (lstm, readout) = module.on(&tape);
    let last = Unroll::new().lengths(&LENGTHS).run(&lstm, tape.constant(x.clone())).last_output();
    let expected = vec![("y".to_owned(), readout.forward(last).softmax(1).value())];
    let model = exported.unwrap_or_else(|error| panic!("padded_classifier: {error}"));
    let (name, inputs) = ("padded_classifier".to_owned(), vec![("x".to_owned(), x)]);
    Case { name, model, inputs, lengths: Some(LENGTHS.to_vec()), expected }
}

fn y<'t>(v: Var<'t, f32>) -> Vec<(String, Var<'t, f32>)> {
    vec![("y".to_owned(), v)]
}

pub(crate) fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// Cells that are ops of ONNX.
pub(crate) fn forms(with: With) -> Vec<Case> {
    let padded = (with.lengths && !with.states).then(padded_classifier);
    let rng = &mut rng();
    let [i, h] = [FEATURES, HIDDEN];
    let gru = Gru::new(i, h, rng);
    let before = Gru { reset: Reset::BeforeProduct, ..gru.clone() };
    let bare = Lstm { bias: None, ..Lstm::new(i, h, rng) };
    let cells = vec![
        layer("lstm", Recurrent(Lstm::new(i, h, rng)), with),
        layer("lstm_without_bias", Recurrent(bare), with),
        layer("lstm_learned_state", Recurrent(Lstm::new(i, h, rng).with_learned_state()), with),
        layer("peephole", Recurrent(PeepholeLstm::new(i, h, rng)), with),
        layer("gru_before", Recurrent(Gru { bias_hn: None, ..before.clone() }), with),
        layer("gru_before_two_biases", Recurrent(before), with),
        layer("gru_after", Recurrent(gru.clone()), with),
        layer("gru_without_bias", Recurrent(Gru { bias: None, ..gru }), with),
        layer("tanh", Recurrent(TanhRnn::new(i, h, rng)), with),
    ];
    cells.into_iter().chain(padded).collect()
}

/// Stacks, both directions and what else is made of those cells.
pub(crate) fn networks(with: With) -> Vec<Case> {
    let rng = &mut rng();
    let [i, h] = [FEATURES, HIDDEN];
    let both = Bidirectional::cells(Lstm::new(i, h, rng), Lstm::new(i, h, rng));
    let above = Bidirectional::cells(Gru::new(2 * h, 5, rng), Gru::new(2 * h, 5, rng)).with_merge(Merge::Sum);
    let unlike = Bidirectional::cells(Lstm::new(i, h, rng), TanhRnn::new(i, 4, rng));
    let residual = Residual::new(Recurrent(Gru::new(i, i, rng)));
    let like: Vec<_> = (0..3).map(|_| Recurrent(Lstm::new(i, i, rng))).collect();
    vec![
        layer("bidirectional", both.clone(), with),
        layer("stack", (both, Dropout::new(0.3), above, Linear::new(5, 2, rng)), with),
        layer("unlike_directions", unlike, with),
        layer("residual", (residual, LayerNorm::new(i), Linear::without_bias(i, 4, rng)), with),
        layer("like", like, with),
        layer("linear", Linear::new(i, 2, rng), with),
        layer("highway", Highway { layer: Recurrent(Gru::new(i, i, rng)), weight: random(rng, &[i, i]) }, with),
    ]
}

/// Cells that become `Scan`.
pub(crate) fn scans(with: With) -> Vec<Case> {
    let rng = &mut rng();
    let [i, h] = [FEATURES, HIDDEN];
    let own = Own {
        w_f: random(rng, &[i, h]),
        u_f: random(rng, &[h, h]),
        w_n: random(rng, &[i, h]),
        u_n: random(rng, &[h, h]),
    };
    vec![
        layer("own_cell", Recurrent(own.clone()), with),
        layer("own_forward", Bidirectional::new(Recurrent(own.clone()), Recurrent(Lstm::new(i, h, rng))), with),
        layer("own_backward", Bidirectional::new(Recurrent(Gru::new(i, h, rng)), Recurrent(own)), with),
        layer("relu", Recurrent(ReluRnn::new(i, h, rng)), with),
        layer("ind", Recurrent(IndRnn::new(i, h, rng)), with),
        layer("mgu", Recurrent(Mgu::new(i, h, rng)), with),
        layer("coupled", Recurrent(CoupledLstm::new(i, h, rng)), with),
        layer("layer_norm_lstm", Recurrent(LayerNormLstm::new(i, h, rng)), with),
        layer("projected", Recurrent(ProjectedLstm::new(i, h, 4, rng)), with),
        layer("heads", Recurrent(Lstm::new(i, h, rng).with_heads(2, rng)), with),
        layer("zoneout", Recurrent(Zoneout::new(Lstm::new(i, h, rng), &[0.1])), with),
        layer("slstm", Recurrent(SLstm::new(i, h, rng)), with),
        layer("mlstm", Recurrent(MLstm::new(i, h, 3, rng)), with),
        layer("slstm_exponential", Recurrent(SLstm { forget: ForgetGate::Exponential, ..SLstm::new(i, h, rng) }), with),
        layer("min_gru", Recurrent(MinGru::new(i, h, rng)), with),
        layer("min_lstm", Recurrent(MinLstm::new(i, h, rng)), with),
        layer("lru", Recurrent(Lru::new(i, h, rng)), with),
        layer("scan_min_gru", Scan(MinGru::new(i, h, rng)), with),
    ]
}

/// Models without lengths: what reads several time steps outside of a loop, and functions.
pub(crate) fn others() -> Vec<Case> {
    let rng = &mut rng();
    let [i, h] = [FEATURES, HIDDEN];
    let with = With::default();
    let classifier = (Lstm::new(i, h, rng), Linear::new(h, 2, rng));
    vec![
        layer("scan_both", Bidirectional::new(Scan(MinGru::new(i, h, rng)), Scan(MinLstm::new(i, h, rng))), with),
        function("lstm_backward", Lstm::new(i, h, rng), |lstm, x| {
            let run = Unroll::new().backward().run(lstm, x);
            vec![("y".to_owned(), run.outputs()), ("c".to_owned(), run.last.cell)]
        }),
        function("tanh_backward", TanhRnn::new(i, h, rng), |rnn, x| y(Unroll::new().backward().run(rnn, x).outputs())),
        function("gru_backward", Gru::new(i, h, rng), |gru, x| y(Unroll::new().backward().run(gru, x).outputs())),
        function("relu_backward", ReluRnn::new(i, h, rng), |rnn, x| y(Unroll::new().backward().run(rnn, x).outputs())),
        function("classifier", classifier, |(lstm, readout), x| {
            y(readout.forward(unroll(lstm, x).last_output()).log_softmax(1))
        }),
        function("cells", Lstm::new(i, h, rng), |lstm, x| {
            let cells: Vec<_> = unroll(lstm, x).states.iter().map(|state| state.cell).collect();
            y(rewind_autograd::ops::layout::stack(&cells, 0)) // every c, which the op of ONNX does not give
        }),
        function("pooled", (Gru::new(i, h, rng), Linear::new(h, 2, rng)), |(gru, readout), x| {
            let outputs = unroll(gru, x).outputs();
            let pooled = outputs.max_axis(0) + outputs.mean_axis(0) + outputs.flip(0).index(0, 0);
            y(readout.forward(pooled).softplus().sqrt())
        }),
        function("attention", (Gru::new(i, h, rng), [random(rng, &[h, h])]), |(gru, [weight]), x| {
            let outputs = unroll(gru, x).outputs().permute(&[1, 0, 2]); // [B, T, H]
            let scores = outputs.matmul(*weight).matmul(outputs.transpose()).softmax(2);
            y(scores.matmul(outputs).permute(&[1, 0, 2]))
        }),
    ]
}
