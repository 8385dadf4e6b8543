//! Recurrent networks as plain graphs of differentiable ops, on the tape of [`rewind_autograd`].
//!
//! A cell is a struct of parameters and one time step, written in ops; [`unroll`] applies it to a sequence. The reverse pass
//! over the unrolled steps is backpropagation through time. Custom cells are written like the built-in ones.
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use rewind_autograd::{OnTape, Tape, Tensor};
//! use rewind_rnn::optim::{Adam, Optimizer};
//! use rewind_rnn::{Lstm, clip, unroll};
//!
//! let mut lstm = Lstm::new(3, 5, &mut StdRng::seed_from_u64(1));
//! let mut adam = Adam::new(0.01);
//! let x = Tensor::<f32>::full(&[7, 2, 3], 0.5); // 7 time steps, 2 sequences, 3 features
//! let mut tape = Tape::new();
//! for _ in 0..3 {
//!     let mut gradients = {
//!         let cell = lstm.on(&tape);
//!         let outputs = unroll(&cell, tape.constant(x.clone())).outputs();
//!         (outputs * outputs).mean().backward().of(&cell)
//!     };
//!     tape.clear();
//!     clip::clip_norm(&mut gradients, 1.0)?;
//!     adam.step(&mut lstm, &gradients)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Cell`], [`State`]: the traits of a cell; [`RecurrentModule`]: the bound of code that is generic in a cell.
//! - Cells: [`TanhRnn`], [`Lstm`], [`Gru`]; [`ReluRnn`], [`IndRnn`], [`Mgu`], [`PeepholeLstm`], [`ProjectedLstm`], [`CoupledLstm`],
//!   [`LayerNormLstm`]; [`SLstm`], [`MLstm`] of xLSTM; [`MinGru`], [`MinLstm`], [`Lru`], which are linear in their state ([`LinearRecurrence`]).
//!   Most can have heads. [`Zoneout`], [`RecurrentDropout`]: around any cell;
//!   [`CandidateDropout`]: around a [`GatedCell`].
//! - [`unroll`], [`Unroll`]: a cell or a layer over padded batches, from any first state, in both directions; [`Segments`]: with the memory of
//!   one segment; [`InChunks`]: an [`MLstm`] by matrix products.
//! - [`Layer`]: what maps a sequence to a sequence; [`LayerModule`]: the bound of generic code. [`Recurrent`]: a cell, unrolled; [`Scan`]: a
//!   linear one, all time steps at once; [`Bidirectional`], [`Linear`], [`Dropout`], [`LayerNorm`], [`Residual`]. A stack is a tuple of two to
//!   eight unlike layers or a vector of like ones; they nest. [`Noise`]: the masks of dropout.
//! - [`Stream`]: step by step, without a record; [`TruncatedBptt`].
//! - [`batch`]: sequences of varying length in padded batches of similar lengths, and their targets in the same order.
//! - [`loss`]: losses at each time step or at the last, CTC, accuracy; [`decode`]: labelings from the outputs of CTC networks, error rates.
//! - [`optim`], [`clip`], [`init`]: optimisers and schedules, gradient clipping, seeded initial values.
//! - [`Accumulator`], [`Average`], [`EarlyStopping`]: gradients of several batches, averaged weights, the best module.
//! - [`Shards`]: a batch on several threads, with the same bits on any number of them.
//!   `Ranks`, with the feature `mpi`: on several machines.
//! - [`mod@file`], [`resume`]: modules and runs in safetensors files; a run goes on from its file with the same bits.
//! - [`torch`], [`keras`]: weights from and to PyTorch and Keras; networks from and to the files of PyTorch.
//! - [`models`]: networks of the literature, as compositions of layers.
//! - [`check`]: a gradient check of any cell or layer in one line.
//! - [`lens`]: the gradient in time: itemised by loss and time step of use, the factors of each item, its flow through the states, and more.
//! - [`Error`]: the error of this crate, with an [`ErrorKind`] to match on.

mod cell;
mod cells;
pub mod check;
mod data;
pub mod decode;
mod error;
pub mod init;
mod layers;
pub mod lens;
pub mod loss;
pub mod models;
mod noise;
mod nonfinite;
mod sizes;
mod time;
mod train;
mod transparent;
mod wrappers;

pub use cell::{Cell, GatedCell, RecurrentModule, State};
pub use cells::{CoupledLstm, IndRnn, LayerNormLstm, Mgu, PeepholeLstm, ProjectedLstm, ReluRnn};
pub use cells::{ForgetGate, MLstm, MLstmState, SLstm, SLstmState};
pub use cells::{Gru, Lru, Lstm, LstmState, MinGru, MinLstm, Reset, TanhRnn};
pub use data::{batch, file, keras, torch};
pub use error::{Error, ErrorKind, Result};
pub use layers::{Bidirectional, Dropout, InChunks, LayerNorm, Linear, LinearRecurrence, Merge, Residual, Scan};
pub use noise::Noise;
pub use nonfinite::NonFinite;
pub use rewind_autograd as autograd;
pub use time::segments::{self, Segments};
pub use time::{
    Layer, LayerModule, LayerOutputs, Recurrent, Stream, StreamState, TruncatedBptt, Unroll, Unrolled, Window, unroll,
};
#[cfg(feature = "mpi")]
pub use train::Ranks;
pub use train::{Accumulator, Average, EarlyStopping, Progress, ShardedStep, Shards, clip, optim, resume};
pub use wrappers::{CandidateDropout, RecurrentDropout, Zoneout};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
