//! First-order optimisers, by PyTorch's definitions.
//!
//! All share one trait, [`Optimizer`], and keep their moments in a [`Memory`], in the order of the leaves; an optimiser
//! of your own does the same in a few lines. Parameters are updated in place: drop or clear the tape they were put on
//! first, or the numbers it still holds are copied once.
//!
//! ```
//! use rewind_autograd::{OnTape, Tape, Tensor, parameters};
//! use rewind_rnn::optim::{Adam, Optimizer};
//!
//! parameters! { struct Point<P> { x: P } }
//!
//! let mut point = Point { x: Tensor::from_vec(vec![3.0, -2.0], &[2]) };
//! let mut adam = Adam::new(0.1);
//! for _ in 0..400 {
//!     let gradients = {
//!         let tape = Tape::new();
//!         let p = point.on(&tape);
//!         (p.x * p.x).sum().backward().of(&p)
//!     };
//!     adam.step(&mut point, &gradients)?;
//! }
//! assert!(point.x.norm() < 1e-2);
//! # Ok::<(), rewind_rnn::optim::OptimError>(())
//! ```

mod adam;
mod memory;
mod rules;
pub mod schedule;

use rewind_autograd::{Parameters, Scalar, Tensor};

use crate::NonFinite;

pub use adam::{Adam, AdamW};
pub use memory::{Memory, State};
pub use rules::{Adagrad, RmsProp, Sgd};

/// A first-order optimiser over the leaves of a module.
pub trait Optimizer<T: Scalar> {
    /// Changes the parameters once, against the gradients.
    ///
    /// The first call makes the moments; from then on the parameters must keep their names and shapes, and no numbers
    /// are allocated any more.
    ///
    /// # Errors
    /// If the gradients have other names or shapes than the parameters, or the parameters than those of the first
    /// step; if a gradient is infinite or NaN; if a setting is out of its range. Nothing is changed then, and the step
    /// is not counted.
    fn step<M: Parameters<Tensor<T>>>(&mut self, parameters: &mut M, gradients: &M) -> Result<(), OptimError>;

    /// What kind of optimiser it is, the name of its type unless it says otherwise: `Adam`. A saved run goes on with the same kind,
    /// which the names of moments alone do not tell.
    fn name(&self) -> String {
        let full = std::any::type_name::<Self>();
        let path = full.split('<').next().unwrap_or(full);
        path.rsplit("::").next().unwrap_or(path).to_owned()
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the next step, by a [`schedule`], say. The moments stay.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// The number of steps taken and the moments by name, to be saved;
    /// [`save_training`](crate::checkpoint::save_training) does so beside the model.
    fn state(&self) -> State<T>;

    /// Goes on from a saved state. Whether it fits the parameters is checked by the next step.
    ///
    /// # Errors
    /// If a tensor's name does not end in the name of a moment of this optimiser, or a moment is missing, doubled,
    /// infinite or NaN; nothing is changed then.
    fn load_state(&mut self, state: &State<T>) -> Result<(), OptimError>;
}

/// Why an optimiser did not take a step, or did not take over a state. Nothing has been changed then.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimError {
    /// Two modules do not have the same leaves.
    #[error("optimiser: leaf {at} is {wanted} of {expected} and {found} of {other}; expected the same names")]
    Names {
        /// The number of the leaf, from 0.
        at: usize,
        /// Its quoted name in the module that decides, or `none`.
        wanted: String,
        /// Which module decides: `the parameters`, or `the first step`.
        expected: &'static str,
        /// Its quoted name in the other module, or `none`.
        found: String,
        /// Which the other is: `the gradients`, `the parameters` or `the loaded state`.
        other: &'static str,
    },
    /// A leaf has another shape.
    #[error("optimiser: `{name}` has shape {found:?} in {other}; expected {wanted:?}, as in {expected}")]
    Shape {
        /// The dotted name of the leaf.
        name: String,
        /// The shape it should have.
        wanted: Vec<usize>,
        /// Which module decides.
        expected: &'static str,
        /// The shape it has.
        found: Vec<usize>,
        /// Where it has it.
        other: &'static str,
    },
    /// A gradient is infinite or NaN.
    #[error("optimiser: the gradient of {0}")]
    NonFinite(#[from] NonFinite),
    /// A setting is out of its range.
    #[error("optimiser: {name} is {value}; expected {expected}")]
    Setting {
        /// The name of the setting.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A saved state does not hold what this optimiser keeps.
    #[error("optimiser: the loaded state {0}")]
    State(String),
}

/// Learning rates, decays and eps: finite and not negative.
fn not_negative(name: &'static str, value: f64) -> Result<(), OptimError> {
    if value >= 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(OptimError::Setting { name, value, expected: "a finite number >= 0" })
    }
}

/// Factors of running means: in [0, 1).
fn fraction(name: &'static str, value: f64) -> Result<(), OptimError> {
    if (0.0..1.0).contains(&value) {
        Ok(())
    } else {
        Err(OptimError::Setting { name, value, expected: "a number in [0, 1)" })
    }
}

/// The methods that read or write the learning rate and the memory, the same for every optimiser here.
macro_rules! state_methods {
    ($t:ident) => {
        fn learning_rate(&self) -> f64 {
            self.learning_rate
        }
        fn set_learning_rate(&mut self, learning_rate: f64) {
            self.learning_rate = learning_rate;
        }
        fn state(&self) -> $crate::optim::State<$t> {
            self.memory.state()
        }
        fn load_state(&mut self, state: &$crate::optim::State<$t>) -> Result<(), $crate::optim::OptimError> {
            self.memory.load(state)
        }
    };
}
use state_methods;
