//! Wrappers over any cell: cells themselves, with randomness in training.

mod recurrent_dropout;
mod zoneout;

pub use recurrent_dropout::RecurrentDropout;
pub use zoneout::Zoneout;
