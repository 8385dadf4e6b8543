//! The pictures of a task, as SVG files: [`learning_curves`], [`gradient_norms`], [`probabilities()`],
//! [`confusion_matrix`], [`intervals()`], [`attention()`], [`gallery()`] and [`utterance()`].
//!
//! An SVG file holds text as text, so no font is needed to draw one. The colours are those of Okabe and Ito (2008),
//! which people with any colour vision can tell apart. The order of the models gives the colours, so a model has the
//! same one in every picture.

mod attention;
mod canvas;
mod charts;
mod confusion;
mod gallery;
mod intervals;
#[cfg(test)]
mod tests;
mod utterance;

pub use attention::{Attention, attention};
pub use charts::{GradientNorms, gradient_norms, learning_curves, probabilities};
pub use confusion::{Confusion, confusion_matrix};
pub use gallery::{Exhibit, gallery};
pub use intervals::{Repeated, intervals};
pub use utterance::{Utterance, utterance};
