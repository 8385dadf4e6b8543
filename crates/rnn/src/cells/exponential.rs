//! Exponential gates with a stabiliser: what the two cells of xLSTM share (Beck et al. 2024).

use rewind_autograd::{Scalar, Var};

/// The first stabiliser, in place of -∞: a first state with it counts for nothing against the first input, whose gate may be e^-1000.
pub(super) const EMPTY: f64 = -1e30;

/// How the forget gate of an [`SLstm`](crate::SLstm) or [`MLstm`](crate::MLstm) is computed from its pre-activation f̃. The two forms
/// have the same parameters and are different functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForgetGate {
    /// f = sigmoid(f̃), as in the authors' code.
    #[default]
    Sigmoid,
    /// f = exp(f̃).
    Exponential,
}

/// Both gates, scaled by e^-m', and the new stabiliser m'.
pub(super) struct Gates<'t, T: Scalar> {
    pub(super) input: Var<'t, T>,
    pub(super) forget: Var<'t, T>,
    pub(super) stabiliser: Var<'t, T>,
}

impl ForgetGate {
    /// ln f.
    pub(crate) fn logarithm<T: Scalar>(self, pre: Var<'_, T>) -> Var<'_, T> {
        match self {
            ForgetGate::Sigmoid => -(-pre).softplus(),
            ForgetGate::Exponential => pre,
        }
    }

    /// m' = max(ln f + m, ĩ), i' = exp(ĩ - m'), f' = exp(ln f + m - m'), from ĩ, f̃ and m of one shape. Neither gate exceeds 1, and one of
    /// them is 1.
    ///
    /// The gradient flows through m', though it cancels in h: it does not in c', n' and m' themselves, which are a state that others
    /// read.
    pub(super) fn stabilised<'t, T: Scalar>(self, i: Var<'t, T>, f: Var<'t, T>, m: Var<'t, T>) -> Gates<'t, T> {
        let kept = match self {
            ForgetGate::Sigmoid => m - (-f).softplus(),
            ForgetGate::Exponential => m + f,
        };
        let stabiliser = kept.maximum(i);
        Gates { input: (i - stabiliser).exp(), forget: (kept - stabiliser).exp(), stabiliser }
    }
}
