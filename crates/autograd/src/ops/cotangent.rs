//! The identity, with a cotangent that is mapped.

use super::table::by_hand;
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

type Map<T> = dyn for<'t> Fn(Var<'t, T>) -> Var<'t, T> + Send + Sync;

by_hand! {
    MAP_COTANGENT = "map_cotangent";

    /// y = x; x̄ = f(ȳ) for a given f.
    pub struct MapCotangent<T: Scalar> {
        map: Box<Map<T>>,
    }
}

impl<T: Scalar> Op<T> for MapCotangent<T> {
    fn name(&self) -> &'static str {
        "map_cotangent"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].clone()
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::Dense((self.map)(at.cotangent()))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The same value, whose cotangent is replaced by `map` of it in the sweep: to clip, scale or reverse a gradient.
    /// It applies to what is computed from the *returned* variable.
    ///
    /// `map` computes with variables, as every rule does, so gradients of any order can be taken; above the first they
    /// are derivatives of the changed gradient. To read cotangents without changing them, use
    /// [`backward_watched`](Var::backward_watched); to stop a cotangent, [`detach`](Var::detach).
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::from_vec(vec![0.1, 40.0], &[2]));
    /// // The cotangent of a hidden state, clipped to ±1 (Graves 2013).
    /// let h = x.map_cotangent(|cotangent| cotangent.clamp(-1.0, 1.0));
    /// let loss = (h * h).sum();
    /// assert_eq!(loss.backward().get(x).to_vec(), [0.2, 1.0]);
    /// ```
    ///
    /// # Panics
    /// The sweep panics if `map` returns a cotangent of another shape.
    #[track_caller]
    pub fn map_cotangent(self, map: impl for<'a> Fn(Var<'a, T>) -> Var<'a, T> + Send + Sync + 'static) -> Self {
        self.tape().apply(MapCotangent { map: Box::new(map) }, &[self])
    }
}
