//! The built-in ops, each one block: formula, struct, value, rule, and the method of [`Var`](crate::Var) that records it.
//!
//! Notation: for an op y = f(x), x̄ is the cotangent of x: the derivative of the final scalar with respect to x.

pub mod accumulate;
pub mod activation;
pub mod arithmetic;
pub mod cotangent;
pub mod elementary;
pub mod gather;
pub mod layout;
pub mod linalg;
pub mod loss;
pub mod parts;
pub mod reduce;
pub mod select;
pub mod softmax;

/// A table of elementwise ops of one input: a doc line with the formula, the method, the struct, value, what the rule reads,
/// and the rule.
///
/// What it expands to is what a user writes by hand: see `docs/add_an_op.md`.
macro_rules! unary_ops {
    ($(
        $(#[$doc:meta])*
        $method:ident = $op:ident { value: $value:expr, reads: $reads:ident, vjp: $vjp:expr $(,)? }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $op;

            impl<T: Scalar> Op<T> for $op {
                fn name(&self) -> &'static str {
                    stringify!($method)
                }
                fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
                    let value: fn(&Tensor<T>) -> Tensor<T> = $value;
                    value(inputs[0])
                }
                fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
                    let vjp: fn(&Site<'t, T>) -> Var<'t, T> = $vjp;
                    Term::dense(vjp(at))
                }
                fn reads(&self) -> Reads {
                    Reads::$reads
                }
            }
        )*

        impl<'t, T: Scalar> Var<'t, T> {
            $(
                $(#[$doc])*
                #[track_caller]
                pub fn $method(self) -> Self {
                    self.tape().apply($op, &[self])
                }
            )*
        }
    };
}
pub(crate) use unary_ops;
