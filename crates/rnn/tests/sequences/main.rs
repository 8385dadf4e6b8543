//! Sequences: layers, unrolling, segments, streams, batches, and losses and decoders of sequences.

mod batch;
#[path = "../common/mod.rs"]
mod common;
mod ctc;
mod ctc_misuse;
mod decode;
mod layers;
mod linear_recurrent;
mod misuse;
#[path = "../../../autograd/tests/suite/refused.rs"]
mod refused;
mod scan;
mod segments;
mod streams;
mod streams_state;
mod time;
