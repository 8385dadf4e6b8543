//! The networks of Graves, Mohamed and Hinton 2013, "Speech recognition with deep recurrent neural networks", Table 1.
//!
//! Each reads 123 features a frame (40 filter banks and the energy, with their first and second differences) and gives the logits of
//! 62 classes, the 61 phones of TIMIT and the blank of connectionist temporal classification: x `[T, B, 123]`, logits `[T, B, 62]`.
//! The hidden layers are of [`PeepholeLstm`] or [`TanhRnn`]; unless the name ends in `uni`, there is one in each direction of time, and the
//! layers above read the outputs of both. All weights are drawn uniformly from ±0.1, as in the paper.
//!
//! Parameters, for I inputs and H units in one direction:
//!
//! ```text
//! tanh      I·H + H² + H                     W, U, b
//! LSTM      4·(I·H + H² + H) + 3·H           of four gates, and three peepholes
//! readout   62·N + 62                        from N = H, or N = 2·H of both directions
//! ```
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use rewind_autograd::{OnTape, Tape};
//! use rewind_rnn::Unroll;
//! use rewind_rnn::models::graves2013;
//!
//! let network = graves2013::ctc_1l_250h::<f32>(&mut StdRng::seed_from_u64(1));
//! let tape = Tape::new();
//! let x = tape.zeros(&[7, 2, graves2013::INPUTS]);
//! let logits = Unroll::new().lengths(&[7, 4]).through(&network.on(&tape), x).outputs;
//! assert_eq!(logits.shape().as_slice(), [7, 2, graves2013::CLASSES]);
//! ```

use rand::Rng;
use rewind_autograd::{Parameters, Scalar, Tensor};

use crate::init;
use crate::layers::{Bidirectional, Linear};
use crate::time::Recurrent;
use crate::{PeepholeLstm, TanhRnn};

/// The features of a frame.
pub const INPUTS: usize = 123;

/// The classes: 61 phones and the blank.
pub const CLASSES: usize = 62;

/// A stack of layers and the readout.
pub type Network<T, L> = (Vec<L>, Linear<Tensor<T>>);

/// A layer of cells in both directions of time.
pub type BothWays<T, C> = Bidirectional<Tensor<T>, Recurrent<C>, Recurrent<C>>;

/// CTC-3l-500h-tanh: 3 layers of 500 tanh units in both directions; 3.7 million parameters.
///
/// ```text
/// layer 1        2 · (123·500 + 500² + 500)      =   624,000
/// layers 2, 3    2 · 2 · (1000·500 + 500² + 500) = 3,002,000
/// readout        62·1000 + 62                    =    62,062
///                                                  3,688,062
/// ```
pub fn ctc_3l_500h_tanh<T: Scalar>(rng: &mut impl Rng) -> Network<T, BothWays<T, TanhRnn<Tensor<T>>>> {
    both_ways(3, 500, rng, TanhRnn::new)
}

/// CTC-1l-250h: 1 layer of 250 LSTM units in both directions; 0.8 million parameters.
///
/// ```text
/// layer 1     2 · (4·(123·250 + 250² + 250) + 3·250) = 749,500
/// readout     62·500 + 62                            =  31,062
///                                                      780,562
/// ```
pub fn ctc_1l_250h<T: Scalar>(rng: &mut impl Rng) -> Network<T, BothWays<T, PeepholeLstm<Tensor<T>>>> {
    both_ways(1, 250, rng, PeepholeLstm::new)
}

/// CTC-1l-622h: 1 layer of 622 LSTM units in both directions, as many parameters as three layers of 250; 3.8 million.
///
/// ```text
/// layer 1     2 · (4·(123·622 + 622² + 622) + 3·622) = 3,715,828
/// readout     62·1244 + 62                           =    77,190
///                                                      3,793,018
/// ```
pub fn ctc_1l_622h<T: Scalar>(rng: &mut impl Rng) -> Network<T, BothWays<T, PeepholeLstm<Tensor<T>>>> {
    both_ways(1, 622, rng, PeepholeLstm::new)
}

/// CTC-3l-250h: 3 layers of 250 LSTM units in both directions; 3.8 million parameters.
///
/// ```text
/// layer 1        2 · (4·(123·250 + 250² + 250) + 3·250)     =   749,500
/// layers 2, 3    2 · 2 · (4·(500·250 + 250² + 250) + 3·250) = 3,007,000
/// readout        62·500 + 62                                =    31,062
///                                                             3,787,562
/// ```
pub fn ctc_3l_250h<T: Scalar>(rng: &mut impl Rng) -> Network<T, BothWays<T, PeepholeLstm<Tensor<T>>>> {
    both_ways(3, 250, rng, PeepholeLstm::new)
}

/// CTC-3l-421h-uni: 3 layers of 421 LSTM units forward in time; 3.8 million parameters.
///
/// ```text
/// layer 1        4·(123·421 + 421² + 421) + 3·421       =   919,043
/// layers 2, 3    2 · (4·(421·421 + 421² + 421) + 3·421) = 2,841,750
/// readout        62·421 + 62                            =    26,164
///                                                         3,786,957
/// ```
pub fn ctc_3l_421h_uni<T: Scalar>(rng: &mut impl Rng) -> Network<T, Recurrent<PeepholeLstm<Tensor<T>>>> {
    const HIDDEN: usize = 421;
    let layers = [INPUTS, HIDDEN, HIDDEN].map(|inputs| Recurrent(PeepholeLstm::new(inputs, HIDDEN, rng)));
    drawn((layers.into(), Linear::new(HIDDEN, CLASSES, rng)), rng)
}

/// `depth` layers of `hidden` units in each direction, and the readout.
fn both_ways<T: Scalar, C: Parameters<Tensor<T>>, R: Rng>(
    depth: usize,
    hidden: usize,
    rng: &mut R,
    cell: fn(usize, usize, &mut R) -> C,
) -> Network<T, BothWays<T, C>> {
    let layer = |k: usize| {
        let inputs = if k == 0 { INPUTS } else { 2 * hidden };
        Bidirectional::cells(cell(inputs, hidden, rng), cell(inputs, hidden, rng))
    };
    let layers = (0..depth).map(layer).collect();
    let readout = Linear::new(2 * hidden, CLASSES, rng);
    drawn((layers, readout), rng)
}

/// The network with weights drawn as in the paper.
fn drawn<T: Scalar, M: Parameters<Tensor<T>>>(mut network: M, rng: &mut impl Rng) -> M {
    network.visit_mut(|_, weight| *weight = init::uniform(weight.shape(), 0.1, rng));
    network
}
