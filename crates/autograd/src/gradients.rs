//! What a first-order sweep gives back.

use std::marker::PhantomData;

use crate::parameters::Parameters;
use crate::sweep::Totals;
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// Gradients by variable: of every leaf, or of the variables that were asked for.
pub struct Gradients<'t, T: Scalar> {
    tape: &'t Tape<T>,
    totals: Totals<Tensor<T>>,
    /// Positions that were asked for, ascending; `None` for every leaf.
    wanted: Option<Vec<u32>>,
    lifetime: PhantomData<Var<'t, T>>,
}

impl<'t, T: Scalar> Gradients<'t, T> {
    pub(crate) fn of_leaves(tape: &'t Tape<T>, totals: Totals<Tensor<T>>) -> Self {
        Gradients { tape, totals, wanted: None, lifetime: PhantomData }
    }

    pub(crate) fn of_some(tape: &'t Tape<T>, wanted: Vec<u32>, totals: Totals<Tensor<T>>) -> Self {
        Gradients { tape, totals, wanted: Some(wanted), lifetime: PhantomData }
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
        if let Ok(place) = self.totals.binary_search_by_key(&v.id(), |(node, _)| *node) {
            return self.totals[place].1.clone();
        }
        let is_leaf = self.tape.is_leaf(v.id());
        match &self.wanted {
            Some(wanted) if wanted.binary_search(&v.id()).is_ok() => Tensor::zeros(&v.shape()),
            Some(_) if is_leaf => panic!("gradients: {v:?} was not asked for; name it in backward_to"),
            // Nothing flows to it, or it was recorded after the result.
            None if is_leaf => Tensor::zeros(&v.shape()),
            _ => panic!("gradients: {v:?} is no leaf; ask for it by name with backward_to"),
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
