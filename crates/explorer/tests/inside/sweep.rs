//! What leaves arrives, in every sweep of every cell, and sums to the gradient that `backward` gives.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::{Module, Tape, Tensor, Var, checkpoint};
use rewind_rnn::{
    Cell, CoupledLstm, ForgetGate, Gru, IndRnn, LayerNormLstm, Linear, Lru, Lstm, MLstm, Mgu, MinGru, MinLstm,
    PeepholeLstm, ProjectedLstm, RecurrentModule, ReluRnn, Reset, SLstm, State, TanhRnn, Zoneout,
};

use super::{passing, sweeps};
use crate::data::{Network, Text};
use crate::network::{Around, Named, network};
use crate::numbers::Detail;
use crate::parameters::{Uses, parameters};
use crate::place::place;
use crate::record::{Model, record, width};
use crate::sequence::Sequence;

const STEPS: usize = 4;

fn random(shape: &[usize], seed: u64) -> Tensor<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    Tensor::from_fn(shape, |_| rng.random_range(-1.0..1.0))
}

/// All parameters random: biases and first states are not zero.
fn randomised<M: Module<f64>>(module: &M) -> M {
    let mut seed = 10;
    module.map(|_, p| {
        seed += 1;
        random(p.shape(), seed)
    })
}

fn close(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
    a.shape() == b.shape() && a.zip(b, |a, b| a - b).norm() <= 1e-12 * a.norm().max(b.norm())
}

fn model<C: RecurrentModule<f64>>(cell: &C) -> Model<Tensor<f64>, C> {
    let readout = Linear::new(width(cell).expect("rows"), 2, &mut StdRng::seed_from_u64(1));
    randomised(&Model { cell: cell.clone(), readout })
}

fn sequence() -> Sequence {
    Sequence::with_losses(random(&[STEPS, 3], 1), random(&[3, 2], 2), &[0, 1, 3]).expect("it fits")
}

/// In every sweep, what arrives at a node is the sum of what leaves to it.
fn conserved<C: RecurrentModule<f64>>(cell: &C) {
    let tape = Tape::new();
    let recorded = record(&tape, &model(cell), &sequence()).expect("it fits");
    let nodes: Vec<_> = (0..recorded.nodes).map(|node| tape.node(node)).collect();
    for (k, &loss) in recorded.losses.iter().enumerate() {
        let events = passing(loss, &nodes);
        let mut sums: BTreeMap<usize, Tensor<f64>> = BTreeMap::new();
        sums.insert(loss.position(), Tensor::scalar(1.0));
        for (_, to, term) in events.iter().flat_map(|event| &event.leaves) {
            match sums.get_mut(to) {
                Some(sum) => sum.add_assign(term),
                None => drop(sums.insert(*to, term.clone())),
            }
        }
        assert_eq!(sums.len(), events.len(), "loss {k}: cotangents at nodes that nothing leaves to, or the reverse");
        for event in &events {
            let (sum, node) = (&sums[&event.node], &nodes[event.node]);
            assert!(close(sum, &event.arrives), "loss {k}, {node:?}: {sum:?} leaves and {:?} arrives", event.arrives);
        }
        let gradients = loss.backward();
        for (name, v) in &recorded.parameters {
            if let Some(sum) = sums.get(&v.position()) {
                assert!(close(sum, &gradients.get(*v)), "loss {k}: {name}");
            }
        }
    }
}

/// The items of every parameter, and the terms of all events, sum to the gradient of `backward`.
fn complete<C: RecurrentModule<f64>>(cell: &C) {
    let tape = Tape::new();
    let recorded = record(&tape, &model(cell), &sequence()).expect("it fits");
    let nodes: Vec<_> = (0..recorded.nodes).map(|node| tape.node(node)).collect();
    let steps: Vec<_> = nodes.iter().map(|node| place(&node.scope).0).collect();
    let parameters = parameters(&recorded, &nodes, Detail::Values);
    let sweeps = sweeps(&recorded, &nodes, &Uses::new(&recorded, &nodes, &steps), &parameters, Detail::Norms);
    assert_eq!(parameters.len(), recorded.parameters.len());
    let total = recorded.losses.iter().copied().reduce(|a, b| a + b).expect("losses");
    let gradients = total.backward();
    for (k, parameter) in parameters.iter().enumerate() {
        let expected = gradients.get(recorded.parameters[k].1).norm();
        assert!(parameter.residual < 1e-12, "{}: {}", parameter.name, parameter.residual);
        assert!(expected > 0.0, "{}: no gradient, nothing is compared", parameter.name);
        let mut last = None;
        for sweep in sweeps.iter().rev() {
            let terms = sweep.events.iter().flat_map(|event| &event.terms).filter(|term| term.parameter == k);
            for term in terms {
                last = Some(term.after);
                let column = parameter.steps.iter().position(|&step| step == term.step).expect("a column of the table");
                assert!(
                    parameter.items[sweep.loss][column].is_some(),
                    "{}: a term where there is no item",
                    parameter.name
                );
            }
        }
        let last = last.expect("a term");
        assert!((last / expected - 1.0).abs() < 1e-3, "{}: {last} and {expected}", parameter.name);
    }
}

/// The whole network, with what the lens sees of it.
fn shown<C: RecurrentModule<f64>>(cell: &C) -> Network {
    let named = Named { id: "cell".to_owned(), title: Text::Plain("cell".to_owned()), equations: Vec::new() };
    let model = model(cell);
    let network = network(named, &model.cell, &model.readout, &sequence(), Around::default()).expect("it fits");
    assert_eq!((network.flow.parts.len(), network.flow.growth.len()), (network.parts.len(), STEPS));
    // The output of step 2, which has no loss, is read by nobody in a cell that carries its memory alone.
    assert!([0, 1, 3].iter().all(|&t| network.flow.parts[0][t] > 0.0), "{:?}", network.flow.parts);
    assert_eq!((network.jacobians.len(), network.influence.len()), (STEPS - 1, STEPS));
    assert!(network.influence[3][0] > 0.0 && network.influence[0][3] == 0.0, "{:?}", network.influence);
    network
}

fn both<C: RecurrentModule<f64>>(cell: C) {
    conserved(&cell);
    complete(&cell);
    shown(&cell);
}

#[test]
fn what_leaves_arrives_in_every_cell() {
    let rng = &mut StdRng::seed_from_u64(1);
    both(TanhRnn::new(3, 5, rng));
    both(TanhRnn::new(3, 5, rng).with_learned_state());
    both(TanhRnn::new(3, 4, rng).with_heads(2, rng));
    both(ReluRnn::new(3, 5, rng).with_learned_state());
    both(IndRnn::new(3, 5, rng).with_learned_state());
    both(Lstm::new(3, 5, rng));
    both(Lstm::new(3, 5, rng).with_learned_state());
    both(Lstm::new(3, 4, rng).with_heads(2, rng));
    both(PeepholeLstm::new(3, 5, rng).with_learned_state());
    both(CoupledLstm::new(3, 5, rng).with_learned_state());
    both(LayerNormLstm::new(3, 5, rng).with_learned_state());
    both(ProjectedLstm::new(3, 5, 2, rng));
    both(Gru::new(3, 5, rng).with_learned_state());
    both(Gru { reset: Reset::BeforeProduct, ..Gru::new(3, 5, rng) });
    both(Mgu::new(3, 5, rng).with_learned_state());
    both(MinGru::new(3, 5, rng).with_learned_state());
    both(MinLstm::new(3, 5, rng));
    both(SLstm::new(3, 5, rng).with_learned_state());
    both(MLstm::new(3, 4, 2, rng));
    both(MLstm { forget: ForgetGate::Exponential, ..MLstm::new(3, 4, 2, rng) });
    both(Lru::new(3, 5, rng));
    both(Zoneout::new(Lstm::new(3, 5, rng), &[0.1, 0.2]));
    both(Lstm::new(3, 1, rng).with_forget_bias(1.0));
}

mod odd {
    use rewind_autograd::parameters;

    parameters! {
        /// h' = tanh(h ∘ h + x·Uᵀ·scale) in a checkpoint, from the row `first`. U `[H, I]`, scale and first `[H]`.
        pub(super) struct Odd<P> { pub(super) u: P, pub(super) scale: P, pub(super) first: P }
    }
}

impl<'t> Cell<'t, f64> for odd::Odd<Var<'t, f64>> {
    type State = Var<'t, f64>;

    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        checkpoint(&[x.matmul_transposed(self.u), h, self.scale], |_, v| (v[1] * v[1] + v[0] * v[2]).tanh())
    }

    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.first.square().broadcast_to(&[batch, self.first.shape()[0]])
    }
}

/// A checkpoint, an input that is used twice, and a parameter behind ops outside of all steps.
#[test]
fn what_leaves_arrives_in_a_cell_of_ones_own() {
    both(odd::Odd { u: random(&[5, 3], 1), scale: random(&[5], 2), first: random(&[5], 3) });
}

mod delayed {
    use super::*;

    rewind_autograd::parameters! {
        /// h' = tanh(x·W + h_(t-2)·U): the state holds the last two outputs as they are.
        pub(super) struct Delayed<P> { pub(super) w: P, pub(super) u: P }
    }

    #[derive(Clone)]
    pub(super) struct LastTwo<'t>(Var<'t, f64>, Var<'t, f64>);

    impl<'t> State<'t, f64> for LastTwo<'t> {
        fn output(&self) -> Var<'t, f64> {
            self.0
        }
        fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>) -> Self {
            LastTwo(f(self.0, other.0), f(self.1, other.1))
        }
    }

    impl<'t> Cell<'t, f64> for Delayed<Var<'t, f64>> {
        type State = LastTwo<'t>;
        fn step(&self, x: Var<'t, f64>, LastTwo(last, older): LastTwo<'t>) -> LastTwo<'t> {
            LastTwo((x.matmul(self.w) + older.matmul(self.u)).tanh(), last)
        }
        fn initial(&self, batch: usize) -> LastTwo<'t> {
            let zeros = self.u.tape().zeros(&[batch, 5]);
            LastTwo(zeros, zeros)
        }
    }
}

/// A step that reads what an older one has recorded.
#[test]
fn a_state_that_holds_older_values() {
    let cell = delayed::Delayed { w: random(&[3, 5], 1), u: random(&[5, 5], 2) };
    conserved(&cell);
    complete(&cell);
    let tape = Tape::new();
    let recorded = record(&tape, &model(&cell), &sequence()).expect("it fits");
    assert_eq!(recorded.states[3][1].position(), recorded.states[2][0].position());
    let named = Named { id: "cell".to_owned(), title: Text::Plain("cell".to_owned()), equations: Vec::new() };
    let model = model(&cell);
    let network = network(named, &model.cell, &model.readout, &sequence(), Around::default()).expect("it fits");
    // x_1 reaches h_3 and not h_2.
    assert!(network.influence[3][1] > 0.0 && network.influence[2][1] == 0.0, "{:?}", network.influence);
    assert!(network.flow.gates.is_empty() && network.flow.parts[0][3] > 0.0);
}

/// The check above can fail: a rule that says something else in a sweep than alone.
#[test]
#[should_panic(expected = "leaves and")]
fn a_rule_that_depends_on_its_surroundings_is_seen() {
    use rewind_autograd::{Op, Site, Term};

    /// The identity, whose cotangent grows with the number of nodes on its tape.
    struct Moody;
    impl Op<f64> for Moody {
        fn name(&self) -> &'static str {
            "moody"
        }
        fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
            inputs[0].clone()
        }
        fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
            Term::Dense(at.cotangent() * at.output().position() as f64)
        }
    }
    mod moody {
        rewind_autograd::parameters! { pub(super) struct Unit<P> { pub(super) w: P } }
    }
    impl<'t> Cell<'t, f64> for moody::Unit<Var<'t, f64>> {
        type State = Var<'t, f64>;
        fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
            h + x.tape().apply(Moody, &[x.matmul(self.w)])
        }
        fn initial(&self, batch: usize) -> Var<'t, f64> {
            self.w.tape().zeros(&[batch, 5])
        }
    }
    conserved(&moody::Unit { w: random(&[3, 5], 1) });
}
