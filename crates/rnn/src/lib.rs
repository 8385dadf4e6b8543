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
//! - [`Cell`], [`State`]: the traits of a cell; [`RecurrentModule`]: the bound of code that is generic in a cell;
//!   [`TanhRnn`], [`Lstm`], [`Gru`]: the built-in cells, dense or in heads.
//! - [`ReluRnn`], [`IndRnn`], [`Mgu`], [`PeepholeLstm`], [`ProjectedLstm`], [`CoupledLstm`], [`LayerNormLstm`]: more of them.
//!   [`MinGru`], [`MinLstm`], [`Lru`]: those that are linear in their state. [`Zoneout`], [`RecurrentDropout`]: around any cell.
//! - [`unroll`], [`Unroll`]: a cell applied to padded batches, from any first state, in both directions.
//! - [`Layer`]: what maps a sequence to a sequence: [`Recurrent`], [`Bidirectional`], [`Dropout`], [`LayerNorm`], [`Residual`], stacks of
//!   them as tuples and vectors. [`Stream`]: step by step; [`TruncatedBptt`]; [`Noise`]: the masks of dropout.
//! - [`batch`]: sequences of varying length in padded batches of similar lengths.
//! - [`loss`]: losses at each time step or at the last, and CTC; [`Linear`]: the readout; [`decode`]: labelings from outputs.
//! - [`optim`], [`clip`], [`init`]: optimisers and schedules, gradient clipping, seeded initial values.
//! - [`Accumulator`], [`Average`], [`EarlyStopping`]: gradients of several batches, averaged weights, the best module.
//! - [`resume`]: the parts of a run that goes on from a file with the same bits.
//! - [`models`]: networks of the literature, as compositions of layers.
//! - [`Shards`]: a batch on several threads, with the same bits on any number of them.
//! - [`Error`]: the error of this crate, with an [`ErrorKind`] to match on.
//! - [`check`]: a gradient check of any cell in one line.
//! - [`mod@file`], [`torch`], [`keras`]: modules and training runs in safetensors files; weights from and to the layouts of PyTorch and
//!   Keras; networks from and to the files of PyTorch.

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
mod wrappers;

pub use cell::{Cell, RecurrentModule, State};
pub use cells::{CoupledLstm, IndRnn, LayerNormLstm, Mgu, PeepholeLstm, ProjectedLstm, ReluRnn};
pub use cells::{ForgetGate, MLstm, MLstmState, SLstm, SLstmState};
pub use cells::{Gru, Lru, Lstm, LstmState, MinGru, MinLstm, Reset, TanhRnn};
pub use data::{batch, file, keras, torch};
pub use error::{Error, ErrorKind, Result};
pub use layers::{Bidirectional, Dropout, LayerNorm, Linear, LinearRecurrence, Merge, Residual, Scan};
pub use noise::Noise;
pub use nonfinite::NonFinite;
pub use rewind_autograd as autograd;
pub use time::segments::{self, Segments};
pub use time::{
    Chunks, Layer, LayerModule, LayerOutputs, Recurrent, Stream, TruncatedBptt, Unroll, Unrolled, Window, unroll,
};
pub use train::{Accumulator, Average, EarlyStopping, Progress, ShardedStep, Shards, clip, optim, resume};
pub use wrappers::{RecurrentDropout, Zoneout};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
