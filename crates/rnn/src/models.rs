//! Networks of the literature, as compositions of the layers of this crate.

pub mod graves2013;
