//! Wrappers over any cell: cells themselves, with randomness in training.

mod candidate_dropout;
mod recurrent_dropout;
mod zoneout;

pub use candidate_dropout::CandidateDropout;
pub use recurrent_dropout::RecurrentDropout;
pub use zoneout::Zoneout;
