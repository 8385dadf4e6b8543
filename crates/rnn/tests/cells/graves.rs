//! The networks of Graves et al. 2013: their sizes are those of the paper.

use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Parameters, Tape, Tensor};
use rewind_rnn::models::graves2013::{self, CLASSES, INPUTS};
use rewind_rnn::{Layer, Unroll};

/// The number of parameters, exact and in the millions of Table 1; every one is drawn from ±0.1.
fn assert_size<M: Parameters<Tensor<f32>>>(network: &M, exact: usize, millions: &str) {
    assert_eq!(network.parameter_count(), exact);
    assert_eq!(format!("{:.1}", exact as f64 / 1e6), millions);
    for leaf in network.leaves() {
        let values = leaf.to_vec();
        let largest = values.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        assert!(largest <= 0.1 && largest > 0.09, "{largest} of {} values", values.len());
    }
}

/// Logits of two sequences, the second of them padded.
macro_rules! assert_runs {
    ($network:expr) => {{
        let tape = Tape::new();
        let x = tape.constant(Tensor::from_fn(&[3, 2, INPUTS], |i| (i as f32 * 0.7).sin()));
        let on_tape = $network.on(&tape);
        let run = Unroll::new().lengths(&[3, 2]).through(&on_tape, x);
        assert_eq!(run.outputs.shape().as_slice(), [3, 2, CLASSES]);
        on_tape.is_causal()
    }};
}

#[test]
fn the_networks_have_the_sizes_of_the_paper() {
    let rng = &mut StdRng::seed_from_u64(1);
    let network = graves2013::ctc_3l_500h_tanh(rng);
    assert_size(&network, 3_688_062, "3.7");
    assert!(!assert_runs!(network));
    let network = graves2013::ctc_1l_250h(rng);
    assert_size(&network, 780_562, "0.8");
    assert!(!assert_runs!(network));
    let network = graves2013::ctc_1l_622h(rng);
    assert_size(&network, 3_793_018, "3.8");
    assert!(!assert_runs!(network));
    let network = graves2013::ctc_3l_250h(rng);
    assert_size(&network, 3_787_562, "3.8");
    assert!(!assert_runs!(network));
    let network = graves2013::ctc_3l_421h_uni(rng);
    assert_size(&network, 3_786_957, "3.8");
    assert!(assert_runs!(network), "one direction");
}
