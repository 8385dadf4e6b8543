//! What is differentiated: the value of a closure, or the gradient of its projection.

use rewind_autograd::{Scalar, Tape, Tensor, Var};

use crate::elements::{direction, elements};
use crate::report::Invalid;

/// A function of variables, as users pass it.
pub(crate) type Function<'f, T> = dyn for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T> + 'f;

/// A closure at an order: L_1 = Σ weight·f(x), and L_(k+1) = Σ weight·∇L_k. At order k, what is differentiated is f itself
/// (k = 1) or ∇L_(k-1), and its projection is L_k.
pub(crate) struct Objective<'f, T: Scalar> {
    f: &'f Function<'f, T>,
    /// The dotted names of the inputs, if they are the parameters of a module.
    parameters: &'f [String],
    order: usize,
    seed: u64,
    tape: Tape<T>,
    shape: Option<Vec<usize>>,
}

impl<'f, T: Scalar> Objective<'f, T> {
    pub(crate) fn new(f: &'f Function<'f, T>, parameters: &'f [String], order: usize, seed: u64) -> Self {
        // Not a quiet tape: f may ask for gradients itself (a penalty on a gradient, say).
        Objective { f, parameters, order, seed, tape: Tape::new(), shape: None }
    }

    /// The same closure at another order.
    pub(crate) fn at_order(&self, order: usize) -> Objective<'f, T> {
        Objective::new(self.f, self.parameters, order, self.seed)
    }

    /// The same objective with other weights.
    pub(crate) fn reseed(&mut self, seed: u64) {
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

    /// The weights of the values that [`evaluate`](Self::evaluate) gives: ∇L_k is the gradient of their weighted sum.
    pub(crate) fn weights(&self, inputs: &[Tensor<T>]) -> Vec<f64> {
        match (self.order, &self.shape) {
            (1, Some(shape)) => elements(&direction::<T>(shape, self.seed, 0)),
            (1, None) => Vec::new(),
            (order, _) => {
                let of =
                    |(i, x): (usize, &Tensor<T>)| elements(&direction::<T>(x.shape(), self.seed, stream(order, i)));
                inputs.iter().enumerate().flat_map(of).collect()
            }
        }
    }

    /// Writes the values of what is differentiated to `out`.
    pub(crate) fn evaluate(&mut self, inputs: &[Tensor<T>], out: &mut Vec<T>) -> Result<(), Invalid> {
        out.clear();
        self.tape.clear();
        let x = Self::leaves(&self.tape, inputs);
        if self.order > 1 {
            let gradients = self.projected(&self.tape, &x, self.order - 1).backward();
            x.iter().for_each(|&x| out.extend(gradients.get(x).to_vec()));
            return Ok(());
        }
        let y = (self.f)(&self.tape, &x).value();
        out.extend(y.to_vec());
        let shape = self.shape.get_or_insert_with(|| y.shape().to_vec());
        if y.shape() == shape.as_slice() {
            Ok(())
        } else {
            Err(Invalid::ShapeChanged { at: shape.clone(), beside: y.len() })
        }
    }

    /// Records L_k on `tape`; returns the leaves and L_k.
    pub(crate) fn record<'t>(&self, tape: &'t Tape<T>, inputs: &[Tensor<T>]) -> (Vec<Var<'t, T>>, Var<'t, T>) {
        let x = self.named(tape, inputs);
        let sum = self.projected(tape, &x, self.order);
        (x, sum)
    }

    /// Records what the projection of order k reads, f or L_(k-1) and its gradient, on `tape`; returns it.
    pub(crate) fn record_before<'t>(&self, tape: &'t Tape<T>, inputs: &[Tensor<T>]) -> Vec<Var<'t, T>> {
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
    pub(crate) fn gradient(&self, inputs: &[Tensor<T>]) -> Vec<Tensor<T>> {
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
