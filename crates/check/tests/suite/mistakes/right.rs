//! Functions whose gradients are right: at ordinary points, near kinks, and badly scaled.

use rewind_autograd::{Tape, Tensor, Var};
use rewind_check as check;

use super::{Function, cells};
use crate::op_table::rows;

/// A right function; `tells` if differences can tell so.
pub(crate) struct Right {
    pub(crate) name: String,
    pub(crate) inputs: Vec<Tensor<f64>>,
    pub(crate) f: Function,
    pub(crate) tells: bool,
}

pub(crate) fn all() -> Vec<Right> {
    let mut all = Vec::new();
    for row in rows() {
        let (name, build) = (row.name(), row.build);
        for scale in [1.0, 1e-6, 1e-3, 1e3, 1e6] {
            let inputs = row.inputs.iter().map(|x| x.tensor::<f64>().map(|x| scale * x)).collect();
            let name = format!("{name} of numbers near {scale:e}");
            all.push(Right { name, inputs, f: Box::new(build), tells: scale == 1.0 });
        }
        // Large and small numbers side by side.
        let mixed = |x: &Tensor<f64>| {
            let numbers = x.to_vec();
            Tensor::from_fn(x.shape(), |k| numbers[k] * [1e-4, 1.0, 1e4][k % 3])
        };
        let inputs = row.inputs.iter().map(|x| mixed(&x.tensor())).collect();
        all.push(Right { name: format!("{name} of mixed numbers"), inputs, f: Box::new(build), tells: false });
    }
    for cell in cells::right() {
        all.push(Right { name: cell.op.to_owned(), inputs: cell.inputs, f: cell.f, tells: true });
    }
    all.extend(kinks());
    all.extend(hard());
    all
}

fn right(name: String, inputs: Vec<Tensor<f64>>, tells: bool, f: Function) -> Right {
    Right { name, inputs, f, tells }
}

/// Kinks at the point, and nearer and farther beside it.
fn kinks() -> Vec<Right> {
    let mut all = Vec::new();
    for distance in [0.0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5, 1e-3] {
        let x = || vec![Tensor::from_vec(vec![distance, 0.7, -distance, -1.1], &[4])];
        let tells = distance > 1e-10;
        let name = |what: &str| format!("{what}, {distance:e} from its kink");
        all.push(right(name("relu"), x(), tells, Box::new(|_, v| v[0].relu())));
        all.push(right(name("abs"), x(), tells, Box::new(|_, v| v[0].abs() * v[0].sin())));
        all.push(right(name("clamp"), x(), tells, Box::new(|_, v| v[0].clamp(0.0, 1.0).exp())));
        let largest: Function = Box::new(|_, v| v[0].maximum(v[0] * 0.5) + v[0]);
        all.push(right(name("maximum"), x(), tells, largest));
        let deep: Function = Box::new(|_, v| (v[0].relu().tanh() * 3.0).sum() + (v[0] * v[0]).sum());
        // One sum of everything: the rounding of the whole hides the kinks of a part for longer.
        all.push(right(name("relu below tanh"), x(), distance > 1e-6, deep));
        all.push(right(name("heaviside"), x(), false, Box::new(|_, v| v[0].heaviside() * v[0].sin())));
    }
    all
}

/// Functions that differences have trouble with.
fn hard() -> Vec<Right> {
    let x = || vec![check::sample(&[2, 3], 5)];
    let named = |name: &str, tells: bool, f: Function| right(name.to_owned(), x(), tells, f);
    vec![
        named("a large constant added and taken away", false, Box::new(|_, v| (v[0] + 1e8) - 1e8)),
        named("a larger one", false, Box::new(|_, v| (v[0] + 1e13) - 1e13)),
        named("on top of a large number", true, Box::new(|_, v| v[0].sin() + 1e6)),
        named("fast waves", true, Box::new(|_, v| (v[0] * 1e4).sin())),
        named("a steep step", true, Box::new(|_, v| (v[0] * 1e3).tanh())),
        named("saturated", false, Box::new(|_, v| (v[0] * 30.0).tanh())),
        named("a sum over a softmax", false, Box::new(|_, v| v[0].softmax(1).sum())),
        named("a tiny function", true, Box::new(|_, v| v[0].sin() * 1e-30)),
        named("a huge function", true, Box::new(|_, v| v[0].sin() * 1e30)),
        named("a high power", true, Box::new(|_, v| v[0].powf(20.0))),
        named("logits of hundreds", false, Box::new(|_, v| (v[0] * 500.0).log_softmax(1))),
        named(
            "a penalty on a gradient",
            true,
            Box::new(|_: &Tape<f64>, v: &[Var<'_, f64>]| {
                let slope = v[0].tanh().sum().grad(&[v[0]])[0];
                slope * slope
            }),
        ),
    ]
}
