//! The models: a perceptron, which sees all pixels at once, and recurrent networks, which read row by row.

use rand::Rng;
use rewind_autograd::parameters::Path;
use rewind_autograd::{Parameters, Tensor, Var, parameters};
use rewind_examples::AnyCell;
use rewind_examples::image::{Image, Size};
use rewind_rnn::{Linear, Unroll};

use crate::arguments::ModelKind;

/// What comes before the readout.
#[derive(Clone, Debug)]
pub(crate) enum Body<P> {
    /// A layer over all pixels.
    Hidden(Linear<P>),
    /// A cell whose time steps are the rows, from the top.
    Rows(AnyCell<P>),
}

impl<P> Parameters<P> for Body<P> {
    type With<Q> = Body<Q>;

    fn visit_mut_at(&mut self, path: &mut Path, f: &mut dyn FnMut(&str, &mut P)) {
        match self {
            Body::Hidden(layer) => layer.visit_mut_at(path, f),
            Body::Rows(cell) => cell.visit_mut_at(path, f),
        }
    }

    fn map_at<'a, Q>(&'a self, path: &mut Path, f: &mut dyn FnMut(&str, &'a P) -> Q) -> Body<Q> {
        match self {
            Body::Hidden(layer) => Body::Hidden(layer.map_at(path, f)),
            Body::Rows(cell) => Body::Rows(cell.map_at(path, f)),
        }
    }
}

parameters! {
    /// Images in, logits of the classes out.
    pub(crate) struct Classifier<P> {
        pub(crate) body: Body<P>,
        pub(crate) readout: Linear<P>,
        #[setting]
        pub(crate) design: Design,
    }
}

/// The shapes of the parameters of a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Design {
    pub(crate) kind: ModelKind,
    /// H, units.
    pub(crate) hidden: usize,
    /// C, classes.
    pub(crate) classes: usize,
    /// R rows of W pixels.
    pub(crate) size: Size,
}

impl Design {
    /// The parameters of its classifier.
    pub(crate) fn parameter_count(self) -> u64 {
        let Size { width, height } = self.size;
        let body = match self.kind.cell() {
            None => self.hidden as u64 * (width * height + 1) as u64,
            Some(cell) => cell.parameters(width, self.hidden),
        };
        body + self.classes as u64 * (self.hidden as u64 + 1)
    }
}

impl Classifier<Tensor<f32>> {
    pub(crate) fn new(design: Design, rng: &mut impl Rng) -> Self {
        let Design { kind, hidden, classes, size } = design;
        let body = match kind.cell() {
            None => Body::Hidden(Linear::new(size.width * size.height, hidden, rng)),
            Some(cell) => Body::Rows(AnyCell::new(cell, size.width, hidden, 1.0, rng)),
        };
        Classifier { body, readout: Linear::new(hidden, classes, rng), design }
    }
}

impl<'t> Classifier<Var<'t, f32>> {
    /// The logits `[B, C]` of images `[R, B, W]`, row by row.
    pub(crate) fn forward(&self, rows: Var<'t, f32>) -> Var<'t, f32> {
        let seen = match &self.body {
            Body::Hidden(layer) => {
                let [height, batch, width] = rows.shape()[..] else { unreachable!("images are [R, B, W]") };
                let pixels = rows.permute(&[1, 0, 2]).reshape(&[batch, height * width]);
                layer.forward(pixels).relu()
            }
            Body::Rows(cell) => Unroll::new().run(cell, rows).last_output(),
        };
        self.readout.forward(seen)
    }
}

/// Images as a model reads them, `[R, B, W]`: row t of image b at `[t, b]`, with values from 0 to 1.
///
/// # Panics
///
/// If there is no image.
pub(crate) fn input<'a>(images: impl IntoIterator<Item = &'a Image>) -> Tensor<f32> {
    let images: Vec<_> = images.into_iter().collect();
    let (Size { width, height }, batch) = (images[0].size, images.len());
    Tensor::from_fn(&[height, batch, width], |i| {
        let (t, b, x) = (i / (batch * width), i / width % batch, i % width);
        f32::from(images[b].bytes[t * width + x]) / 255.0
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use rewind_autograd::{OnTape, Tape};
    use rewind_examples::image::Channels;

    use super::*;

    const KINDS: [ModelKind; 4] = [ModelKind::Perceptron, ModelKind::Tanh, ModelKind::Lstm, ModelKind::Gru];

    fn image(seed: usize) -> Image {
        let at = |x: usize, y: usize| [((seed * 31 + x * 7 + y * 13) % 11) as f32 / 10.0];
        Image::from_fn(Size { width: 3, height: 5 }, Channels::Grey, at)
    }

    #[test]
    fn rows_are_time_steps() {
        let (a, b) = (image(1), image(2));
        let x = input([&a, &b]);
        assert_eq!(x.shape(), [5, 2, 3]);
        for (number, image) in [&a, &b].into_iter().enumerate() {
            for (t, c) in (0..5).flat_map(|t| (0..3).map(move |c| (t, c))) {
                assert_eq!(x.at(&[t, number, c]), f32::from(image.pixel(c, t)[0]) / 255.0);
            }
        }
    }

    #[test]
    fn an_answer_does_not_depend_on_the_batch() {
        for kind in KINDS {
            let design = Design { kind, hidden: 7, classes: 4, size: image(0).size };
            let model = Classifier::new(design, &mut ChaCha8Rng::seed_from_u64(1));
            let logits = |images: &[&Image]| {
                let tape = Tape::quiet();
                model.on(&tape).forward(tape.constant(input(images.iter().copied()))).value()
            };
            let [a, b] = [image(1), image(2)];
            let both = logits(&[&a, &b]);
            assert_eq!(both.shape(), [2, 4]);
            for (number, image) in [&a, &b].into_iter().enumerate() {
                for (one, all) in logits(&[image]).to_vec().iter().zip(&both.index(0, number).to_vec()) {
                    assert!((one - all).abs() < 1e-5, "{kind:?}: {one} {all}");
                }
            }
        }
    }

    #[test]
    fn parameters_are_counted() {
        for kind in KINDS {
            let design = Design { kind, hidden: 40, classes: 3, size: Size { width: 9, height: 7 } };
            let model = Classifier::new(design, &mut ChaCha8Rng::seed_from_u64(0));
            let (counted, real) = (design.parameter_count(), model.parameter_count() as u64);
            assert_eq!(counted, real, "{kind:?}");
        }
    }
}
