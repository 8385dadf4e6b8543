//! What is differentiated: the value of a closure, or the gradient of its projection, as numbers from numbers.

use super::report::Invalid;
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// A function of variables, as users hand it over.
pub(super) type Function<'f, T> = dyn for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T> + 'f;

/// Numbers from numbers, and nothing else: what differences are taken of.
pub(super) trait Subject<T: Scalar> {
    /// Writes the values at `inputs` to `out`.
    fn evaluate(&mut self, inputs: &[Tensor<T>], out: &mut Vec<T>) -> Result<(), Invalid>;
}

/// Numbers in ±[0.5, 1.5) that follow no pattern: weights of a projection. Never near 0, so that nothing is hidden, and of
/// both signs, so that errors of one sign cannot cancel against each other unseen.
pub(super) fn direction<T: Scalar>(shape: &[usize], seed: u64, stream: u64) -> Tensor<T> {
    let mut state = (stream ^ seed.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    Tensor::from_fn(shape, |_| {
        // splitmix64 (Steele et al. 2014): a check must not depend on anybody's generator.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let size = 0.5 + (z >> 11) as f64 / (1_u64 << 53) as f64;
        T::from_f64(if z & 1 == 0 { size } else { -size })
    })
}

/// The gradients of Σ seed·y with respect to `x` (ascending, each once), as numbers.
pub(super) fn gradients_of<T: Scalar>(y: Var<'_, T>, seed: Tensor<T>, x: &[Var<'_, T>]) -> Vec<Tensor<T>> {
    let gradients = y.backward_from_to(&seed, x);
    x.iter().map(|&x| gradients.get(x)).collect()
}

/// A closure at an order: L_1 = Σ weight·f(x), and L_(k+1) = Σ weight·∇L_k. At order k, what is differentiated is f itself
/// (k = 1) or ∇L_(k-1), and its projection is L_k.
pub(super) struct Objective<'f, T: Scalar> {
    f: &'f Function<'f, T>,
    /// The dotted names of the inputs, if they are the parameters of a module.
    parameters: &'f [String],
    order: usize,
    seed: u64,
    tape: Tape<T>,
    shape: Option<Vec<usize>>,
}

impl<'f, T: Scalar> Objective<'f, T> {
    pub(super) fn new(f: &'f Function<'f, T>, parameters: &'f [String], order: usize, seed: u64) -> Self {
        // Not a quiet tape: f may ask for gradients itself (a penalty on a gradient, say).
        Objective { f, parameters, order, seed, tape: Tape::new(), shape: None }
    }

    /// The same closure at another order.
    pub(super) fn at_order(&self, order: usize) -> Objective<'f, T> {
        Objective::new(self.f, self.parameters, order, self.seed)
    }

    /// The same objective with other weights.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    fn leaves<'t>(tape: &'t Tape<T>, inputs: &[Tensor<T>]) -> Vec<Var<'t, T>> {
        inputs.iter().map(|x| tape.leaf(x.clone())).collect()
    }

    /// The same with the names of the parameters, from which the scopes of nodes are read.
    fn named<'t>(&self, tape: &'t Tape<T>, inputs: &[Tensor<T>]) -> Vec<Var<'t, T>> {
        if self.parameters.is_empty() {
            return Self::leaves(tape, inputs);
        }
        self.parameters.iter().zip(inputs).map(|(name, x)| tape.parameter(name, x.clone())).collect()
    }

    /// L_k of the variables.
    fn projected<'t>(&self, tape: &'t Tape<T>, x: &[Var<'t, T>], k: usize) -> Var<'t, T> {
        let y = (self.f)(tape, x);
        let mut sum = (y * tape.constant(direction(&y.shape(), self.seed, 0))).sum();
        for order in 2..=k {
            let gradients = sum.grad(x);
            sum = tape.scalar(T::ZERO);
            for (i, &g) in gradients.iter().enumerate() {
                sum = sum + (g * tape.constant(direction(&g.shape(), self.seed, stream(order, i)))).sum();
            }
        }
        sum
    }

    /// The weights of the values that [`evaluate`](Subject::evaluate) gives: ∇L_k is the gradient of their weighted sum.
    pub(super) fn weights(&self, inputs: &[Tensor<T>]) -> Vec<f64> {
        let numbers = |w: Tensor<T>| w.to_vec().into_iter().map(T::to_f64).collect::<Vec<_>>();
        match (self.order, &self.shape) {
            (1, Some(shape)) => numbers(direction(shape, self.seed, 0)),
            (1, None) => Vec::new(),
            (order, _) => {
                let of = |(i, x): (usize, &Tensor<T>)| numbers(direction(x.shape(), self.seed, stream(order, i)));
                inputs.iter().enumerate().flat_map(of).collect()
            }
        }
    }

    /// Records L_k on `tape`; returns the leaves and L_k.
    pub(super) fn record<'t>(&self, tape: &'t Tape<T>, inputs: &[Tensor<T>]) -> (Vec<Var<'t, T>>, Var<'t, T>) {
        let x = self.named(tape, inputs);
        let sum = self.projected(tape, &x, self.order);
        (x, sum)
    }

    /// Records what the projection of order k reads, f or L_(k-1) and its gradient, on `tape`; returns it.
    pub(super) fn record_before<'t>(&self, tape: &'t Tape<T>, inputs: &[Tensor<T>]) -> Vec<Var<'t, T>> {
        let x = self.named(tape, inputs);
        if self.order == 1 {
            return vec![(self.f)(tape, &x)];
        }
        let sum = self.projected(tape, &x, self.order - 1);
        let mut roots = sum.grad(&x);
        roots.push(sum);
        roots
    }

    /// ∇L_k, by the tape.
    pub(super) fn gradient(&self, inputs: &[Tensor<T>]) -> Vec<Tensor<T>> {
        let tape = Tape::new();
        let (x, sum) = self.record(&tape, inputs);
        let gradients = sum.backward();
        x.iter().map(|&x| gradients.get(x)).collect()
    }
}

/// Streams 1, 2, … belong to order two; the weights of f have stream 0.
fn stream(order: usize, input: usize) -> u64 {
    input as u64 + 1 + (order as u64 - 2) * (1 << 32)
}

impl<T: Scalar> Subject<T> for Objective<'_, T> {
    fn evaluate(&mut self, inputs: &[Tensor<T>], out: &mut Vec<T>) -> Result<(), Invalid> {
        out.clear();
        let result = {
            let x = Self::leaves(&self.tape, inputs);
            if self.order == 1 {
                let y = (self.f)(&self.tape, &x).value();
                out.resize(y.len(), T::ZERO);
                y.copy_to(out);
                let shape = self.shape.get_or_insert_with(|| y.shape().to_vec());
                if y.shape() == shape.as_slice() {
                    Ok(())
                } else {
                    Err(Invalid::ShapeChanged { at: shape.clone(), beside: y.len() })
                }
            } else {
                let gradients = self.projected(&self.tape, &x, self.order - 1).backward();
                x.iter().for_each(|&x| out.extend(gradients.get(x).to_vec()));
                Ok(())
            }
        };
        self.tape.clear();
        result
    }
}
