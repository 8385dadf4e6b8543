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
    /// If `v` is of another tape, is a constant, or was not among the variables that gradients were asked for.
    #[track_caller]
    pub fn get(&self, v: Var<'t, T>) -> Tensor<T> {
        match self.find(v) {
            Some(gradient) => gradient,
            None => self.refuse(v),
        }
    }

    /// The gradients of all parameters of a module, in the same structure.
    ///
    /// # Panics
    /// As [`get`](Gradients::get).
    #[track_caller]
    pub fn of<M: Parameters<Var<'t, T>>>(&self, module: &M) -> M::With<Tensor<T>> {
        // Refused behind the closure, which would take the blame for a variable of another tape.
        let mut missing = None;
        let gradients = module.map(|_, &v| {
            self.find(v).unwrap_or_else(|| {
                missing.get_or_insert(v);
                Tensor::zeros(&[0])
            })
        });
        match missing {
            Some(v) => self.refuse(v),
            None => gradients,
        }
    }

    /// The gradient with respect to `v`, if it is one that was asked for.
    fn find(&self, v: Var<'t, T>) -> Option<Tensor<T>> {
        if !std::ptr::eq(v.tape(), self.tape) {
            return None;
        }
        if let Ok(place) = self.totals.binary_search_by_key(&v.id(), |(node, _)| *node) {
            return Some(self.totals[place].1.clone());
        }
        // Nothing flows to it, or it was recorded after the result.
        let asked_for = match &self.wanted {
            Some(wanted) => wanted.binary_search(&v.id()).is_ok(),
            None => self.tape.is_leaf(v.id()),
        };
        asked_for.then(|| Tensor::zeros(&v.shape()))
    }

    #[cold]
    #[track_caller]
    fn refuse(&self, v: Var<'t, T>) -> ! {
        if !std::ptr::eq(v.tape(), self.tape) {
            panic!("gradients: the variable lives on another tape than these gradients");
        }
        if !v.is_tracked() {
            panic!("gradients: {v:?} is a constant. {}", v.how_to_track());
        }
        match self.wanted {
            Some(_) if self.tape.is_leaf(v.id()) => {
                panic!("gradients: {v:?} was not asked for; name it in backward_to")
            }
            _ => panic!("gradients: {v:?} is no leaf; ask for it by name with backward_to"),
        }
    }
}
