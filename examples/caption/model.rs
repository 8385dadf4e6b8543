//! The model: an image becomes the first state of a recurrent network, which writes words.

use rand::Rng;
use rewind_autograd::{Tensor, Var, parameters};
use rewind_examples::image::{Image, Size};
use rewind_examples::{AnyCell, AnyState, CellKind};
use rewind_rnn::{Linear, LstmState, Unroll, Unrolled, init};

use crate::arguments::ModelKind;
use crate::words::MARK;

/// The side of a patch in pixels, and how far the next one lies: patches overlap, so that a shape is whole in one.
const PATCH: usize = 8;
const STRIDE: usize = 4;
/// What is seen in a patch: F features.
const FEATURES: usize = 32;
/// E, the length of a word's vector.
const EMBEDDING: usize = 32;

parameters! {
    /// Images and words in, logits of the next words out.
    pub(crate) struct Captioner<P> {
        /// The features of a patch: one map for all patches, which is a convolution.
        pub(crate) eye: Linear<P>,
        /// The first state, from the features of all patches.
        pub(crate) first: Linear<P>,
        /// A vector for each word, `[V, E]`.
        pub(crate) embedding: P,
        pub(crate) cell: AnyCell<P>,
        pub(crate) readout: Linear<P>,
        #[setting]
        pub(crate) design: Design,
    }
}

/// The shapes of the parameters of a captioner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Design {
    pub(crate) kind: ModelKind,
    /// H, units.
    pub(crate) hidden: usize,
    /// V, words and the mark.
    pub(crate) words: usize,
    /// The size of the images.
    pub(crate) size: Size,
}

impl Design {
    /// Patches across and down.
    fn patches(self) -> [usize; 2] {
        [self.size.width, self.size.height].map(|side| (side - PATCH) / STRIDE + 1)
    }

    /// The values of a first state: h, and c of an LSTM.
    fn first_values(self) -> usize {
        if self.kind.cell() == CellKind::Lstm { 2 * self.hidden } else { self.hidden }
    }

    /// The parameters of its captioner.
    pub(crate) fn parameter_count(self) -> u64 {
        let [across, down] = self.patches().map(|n| n as u64);
        let [hidden, words, first] = [self.hidden, self.words, self.first_values()].map(|n| n as u64);
        let [features, embedding, pixels] = [FEATURES, EMBEDDING, PATCH * PATCH * 3].map(|n| n as u64);
        features * (pixels + 1)
            + first * (across * down * features + 1)
            + words * (embedding + hidden + 1)
            + self.kind.cell().parameters(EMBEDDING, self.hidden)
    }
}

impl Captioner<Tensor<f32>> {
    pub(crate) fn new(design: Design, rng: &mut impl Rng) -> Self {
        let Design { kind, hidden, words, .. } = design;
        let patches = design.patches().iter().product::<usize>();
        Captioner {
            eye: Linear::new(PATCH * PATCH * 3, FEATURES, rng),
            first: Linear::new(patches * FEATURES, design.first_values(), rng),
            embedding: init::normal(&[words, EMBEDDING], 1.0, rng),
            cell: AnyCell::new(kind.cell(), EMBEDDING, hidden, 1.0, rng),
            readout: Linear::new(hidden, words, rng),
            design,
        }
    }
}

impl<'t> Captioner<Var<'t, f32>> {
    /// The first state for the patches `[B, P, 192]` of images.
    pub(crate) fn look(&self, patches: Var<'t, f32>) -> AnyState<'t> {
        let [batch, count, pixels] = patches.shape()[..] else { unreachable!("patches are [B, P, 192]") };
        let features = self.eye.forward(patches.reshape(&[batch * count, pixels])).relu();
        let first = self.first.forward(features.reshape(&[batch, count * FEATURES])).tanh();
        let hidden = self.design.hidden;
        match self.design.kind.cell() {
            CellKind::Lstm => {
                AnyState::Two(LstmState { hidden: first.slice(1, 0..hidden), cell: first.slice(1, hidden..2 * hidden) })
            }
            CellKind::Tanh | CellKind::Gru => AnyState::One(first),
        }
    }

    /// The network unrolled from `state` over the words before those to predict: `words` `[T, B]` row-major, their places.
    pub(crate) fn write(&self, words: &[usize], batch: usize, state: AnyState<'t>) -> Unrolled<'t, f32, AnyState<'t>> {
        // The baseline hears the mark at every step.
        let deaf = vec![MARK; words.len()];
        let heard = if self.design.kind == ModelKind::Baseline { &deaf } else { words };
        let vectors = self.embedding.index_select(0, heard);
        Unroll::new().run_from(&self.cell, vectors.reshape(&[words.len() / batch, batch, EMBEDDING]), state)
    }

    /// The logits `[T·B, V]` of outputs `[T, B, H]`.
    pub(crate) fn logits(&self, outputs: Var<'t, f32>) -> Var<'t, f32> {
        let [steps, batch, hidden] = outputs.shape()[..] else { unreachable!("outputs are [T, B, H]") };
        self.readout.forward(outputs.reshape(&[steps * batch, hidden]))
    }
}

/// The patches of images as a model sees them, `[B, P, 192]`: values from 0 to 1, patch by patch and row by row.
///
/// # Panics
///
/// If there is no image, or a side is shorter than a patch.
pub(crate) fn patches<'a>(images: impl IntoIterator<Item = &'a Image>) -> Tensor<f32> {
    const ROW: usize = PATCH * 3;
    let images: Vec<_> = images.into_iter().collect();
    let Size { width, height } = images[0].size;
    let corners = |side: usize| (0..=side - PATCH).step_by(STRIDE);
    let places: Vec<_> = corners(height).flat_map(|y| corners(width).map(move |x| (x, y))).collect();
    let mut values = Vec::with_capacity(images.len() * places.len() * PATCH * ROW);
    for image in &images {
        for (x, y) in &places {
            for row in 0..PATCH {
                let start = ((y + row) * width + x) * 3;
                values.extend(image.bytes[start..start + ROW].iter().map(|&v| f32::from(v) / 255.0));
            }
        }
    }
    Tensor::from_vec(values, &[images.len(), places.len(), PATCH * ROW])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use rewind_autograd::{OnTape, Tape};
    use rewind_examples::image::Channels;

    use super::*;

    const KINDS: [ModelKind; 4] = [ModelKind::Baseline, ModelKind::Tanh, ModelKind::Lstm, ModelKind::Gru];

    fn design(kind: ModelKind) -> Design {
        Design { kind, hidden: 7, words: 5, size: Size { width: 18, height: 13 } }
    }

    #[test]
    fn patches_are_parts_of_the_image() {
        let size = Size { width: 18, height: 13 };
        let of = |seed: usize| {
            let value = |x: usize, y: usize, c: usize| ((seed + 3 * x + 5 * y + 7 * c) % 17) as f32 / 16.0;
            Image::from_fn(size, Channels::Rgb, |x, y| [value(x, y, 0), value(x, y, 1), value(x, y, 2)])
        };
        let images = [of(0), of(1)];
        let all = patches(&images);
        // Three across, from 0, 4 and 8, and two down, from 0 and 4.
        assert_eq!(all.shape(), [2, 6, 192]);
        for (b, image) in images.iter().enumerate() {
            for (patch, [left, top]) in [[0, 0], [4, 0], [8, 0], [0, 4], [4, 4], [8, 4]].into_iter().enumerate() {
                for (y, x, c) in [(0, 0, 0), (0, 7, 2), (3, 5, 1), (7, 7, 2)] {
                    let expected = f32::from(image.pixel(left + x, top + y)[c]) / 255.0;
                    assert_eq!(all.at(&[b, patch, (y * 8 + x) * 3 + c]), expected);
                }
            }
        }
    }

    #[test]
    fn only_the_baseline_is_deaf() {
        for kind in KINDS {
            let model = Captioner::new(design(kind), &mut ChaCha8Rng::seed_from_u64(1));
            let tape = Tape::quiet();
            let on_tape = model.on(&tape);
            let seen = Tensor::from_fn(&[2, 6, 192], |i| (i % 13) as f32 / 13.0);
            let logits = |words: &[usize]| {
                let state = on_tape.look(tape.constant(seen.clone()));
                on_tape.logits(on_tape.write(words, 2, state).outputs()).value()
            };
            let (a, b) = (logits(&[0, 0, 1, 2, 3, 1]), logits(&[0, 0, 2, 2, 3, 1]));
            assert_eq!(a.shape(), [6, 5]);
            let row = |logits: &Tensor<f32>, t: usize, b: usize| logits.index(0, t * 2 + b).to_vec();
            for (t, column) in (0..3).flat_map(|t| [(t, 0), (t, 1)]) {
                // The first word of sequence 0 differs, which its later steps hear.
                let differs = kind != ModelKind::Baseline && column == 0 && t > 0;
                assert_eq!(row(&a, t, column) != row(&b, t, column), differs, "{kind:?} {t} {column}");
            }
        }
    }

    #[test]
    fn parameters_are_counted() {
        for kind in KINDS {
            let (design, rng) = (design(kind), &mut ChaCha8Rng::seed_from_u64(0));
            let real = Captioner::new(design, rng).parameter_count() as u64;
            assert_eq!(design.parameter_count(), real, "{kind:?}");
        }
    }
}
