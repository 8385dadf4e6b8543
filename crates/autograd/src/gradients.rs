//! What a first-order sweep gives back.

use std::marker::PhantomData;

use crate::parameters::Parameters;
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// Gradients by variable: of every leaf, or of the variables that were asked for.
pub struct Gradients<'t, T: Scalar> {
    tape: &'t Tape<T>,
    /// Positions on the tape, ascending.
    wanted: Vec<u32>,
    totals: Vec<Option<Tensor<T>>>,
    /// Whether every leaf that the result may depend on is among the wanted.
    all_leaves: bool,
    lifetime: PhantomData<Var<'t, T>>,
}

impl<'t, T: Scalar> Gradients<'t, T> {
    pub(crate) fn of_leaves(tape: &'t Tape<T>, leaves: Vec<u32>, totals: Vec<Option<Tensor<T>>>) -> Self {
        Gradients { tape, wanted: leaves, totals, all_leaves: true, lifetime: PhantomData }
    }

    pub(crate) fn of_some(tape: &'t Tape<T>, wanted: Vec<u32>, totals: Vec<Option<Tensor<T>>>) -> Self {
        Gradients { tape, wanted, totals, all_leaves: false, lifetime: PhantomData }
    }

    /// The gradient with respect to `v`, of its shape; 0 where the result does not depend on it.
    ///
    /// # Panics
    /// If `v` is of another tape, or was not among the variables that gradients were asked for.
    #[track_caller]
    pub fn get(&self, v: Var<'t, T>) -> Tensor<T> {
        if !std::ptr::eq(v.tape(), self.tape) {
            panic!("gradients: the variable lives on another tape than these gradients");
        }
        match self.wanted.binary_search(&v.id()) {
            Ok(place) => self.totals[place].clone().unwrap_or_else(|| Tensor::zeros(&v.shape())),
            // A leaf recorded after the result cannot have influenced it.
            Err(_) if self.all_leaves && self.tape.is_leaf(v.id()) => Tensor::zeros(&v.shape()),
            Err(_) if self.tape.is_leaf(v.id()) => panic!("gradients: {v:?} was not asked for; name it in backward_to"),
            Err(_) => panic!("gradients: {v:?} is no leaf; ask for it by name with backward_to"),
        }
    }

    /// The gradients of all parameters of a module, in the same structure.
    ///
    /// # Panics
    /// As [`get`](Gradients::get).
    #[track_caller]
    pub fn of<M: Parameters<Var<'t, T>>>(&self, module: &M) -> M::With<Tensor<T>> {
        // Not in the closure below, which would take the blame for a variable of another tape.
        let mut gradients = Vec::new();
        for v in module.leaves() {
            gradients.push(self.get(*v));
        }
        let mut rest = gradients.into_iter();
        module.map(|_, _| rest.next().expect("one gradient per leaf"))
    }
}
