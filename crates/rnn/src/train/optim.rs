//! First-order optimisers, by PyTorch's definitions.
//!
//! All implement [`Optimizer`] and keep their moments in a [`Memory`], in the order of the leaves, as a custom optimiser
//! does in a few lines. Parameters are updated in place: first drop or clear the tape that they were put on, or it still
//! shares their values, and they are copied once.
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
//! # Ok::<(), rewind_rnn::Error>(())
//! ```

mod adam;
pub(super) mod memory;
mod plateau;
mod rules;
pub mod schedule;

use std::collections::BTreeMap;
use std::fmt::Debug;

use rewind_autograd::{Parameters, Scalar, Tensor};

use crate::error::{Error, ErrorKind, Result};

pub use adam::{Adam, AdamW};
pub use memory::{Memory, Moments};
pub use plateau::Plateau;
pub use rules::{Adagrad, RmsProp, Sgd};

/// The settings of an optimiser by name, as text that `Debug` wrote: the shortest that reads back to the same number.
pub type Settings = BTreeMap<String, String>;

/// A first-order optimiser over the leaves of a module.
pub trait Optimizer<T: Scalar> {
    /// Updates the parameters once, against the gradients.
    ///
    /// The first call allocates the moments; later calls allocate nothing, and the parameters must keep their names and
    /// shapes.
    ///
    /// # Errors
    /// If the gradients have other names or shapes than the parameters, or the parameters than those of the first
    /// step; if a gradient is infinite or NaN; if a new parameter or moment would be, as by the square of a gradient that
    /// overflows; if a setting is out of its range. Nothing is changed then, and the step is not counted.
    fn step<M: Parameters<Tensor<T>>>(&mut self, parameters: &mut M, gradients: &M) -> Result<()>;

    /// The kind of optimiser, such as `Adam`; by default the name of its type. A saved run is resumed with the same kind, which the
    /// names of the moments alone do not identify.
    fn name(&self) -> String {
        let full = std::any::type_name::<Self>();
        let path = full.split('<').next().unwrap_or(full);
        path.rsplit("::").next().unwrap_or(path).to_owned()
    }

    /// The settings other than the learning rate, by name; by default none. A saved run is resumed with the same settings. An optimiser
    /// of your own lists those that change its steps, written by `Debug`.
    ///
    /// ```
    /// use rewind_rnn::optim::{Optimizer, Sgd};
    ///
    /// let settings = Sgd::<f32>::new(0.1).momentum(0.9).settings();
    /// assert_eq!((settings["momentum"].as_str(), settings["nesterov"].as_str()), ("0.9", "false"));
    /// assert!(!settings.contains_key("learning_rate"));
    /// ```
    fn settings(&self) -> Settings {
        Settings::new()
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the next step, for example by a [`schedule`]. The moments do not change.
    ///
    /// ```
    /// use rewind_rnn::optim::schedule::cosine;
    /// use rewind_rnn::optim::{Adam, Optimizer};
    ///
    /// let mut adam = Adam::<f32>::new(0.1).betas(0.9, 0.99).eps(1e-6);
    /// adam.set_learning_rate(0.1 * cosine(500, 1000));
    /// assert!((adam.learning_rate() - 0.05).abs() < 1e-12);
    /// ```
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// The number of steps taken and the moments by name, to be saved;
    /// [`save_training`](crate::file::save_training) does so beside the model.
    fn moments(&self) -> Moments<T>;

    /// Resumes from saved moments. The next step checks whether they fit the parameters.
    ///
    /// # Errors
    /// If a tensor's name does not end in the name of a moment of this optimiser, or a moment is missing, doubled,
    /// infinite or NaN; nothing is changed then.
    fn load_moments(&mut self, moments: &Moments<T>) -> Result<()>;
}

/// Learning rates, decays and eps: finite, not negative, and also as an element only 0 if they are 0.
fn not_negative<T: Scalar>(name: &'static str, value: f64) -> Result<()> {
    if !(value >= 0.0 && value.is_finite()) {
        return Err(setting(name, value, "a finite number >= 0"));
    }
    let element = T::from_f64(value);
    if element.is_finite() && (element == T::ZERO) == (value == 0.0) {
        return Ok(());
    }
    let text = format!(
        "optimiser: {name} is {value:e}, which is {element} as {}; expected 0 or a number in its range",
        T::NAME
    );
    Err(Error::new(ErrorKind::Setting, text))
}

/// Factors of running means: in [0, 1), also as an element.
fn fraction<T: Scalar>(name: &'static str, value: f64) -> Result<()> {
    if !(0.0..1.0).contains(&value) {
        return Err(setting(name, value, "a number in [0, 1)"));
    }
    if T::from_f64(value) < T::ONE {
        return Ok(());
    }
    Err(setting(name, value, &format!("a number in [0, 1) that is not rounded to 1 as {}", T::NAME)))
}

/// A setting is out of its range.
fn setting(name: &str, value: f64, expected: &str) -> Error {
    Error::new(ErrorKind::Setting, format!("optimiser: {name} is {value}; expected {expected}"))
}

/// Settings by name.
fn settings(named: &[(&str, &dyn Debug)]) -> Settings {
    named.iter().map(|(name, value)| ((*name).to_owned(), format!("{value:?}"))).collect()
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
        fn moments(&self) -> $crate::optim::Moments<$t> {
            self.memory.moments()
        }
        fn load_moments(&mut self, moments: &$crate::optim::Moments<$t>) -> $crate::Result<()> {
            self.memory.load(moments)
        }
    };
}
use state_methods;
