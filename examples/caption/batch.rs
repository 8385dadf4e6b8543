//! Images and words as the model reads them.

use rewind_autograd::Tensor;

use crate::dataset::Item;
use crate::model::patches;
use crate::words::{MARK, Vocabulary};

/// An image, by its place in the data, and the words of one of its captions, without the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) item: usize,
    pub(crate) words: Vec<usize>,
}

/// Every image with each of its captions that has only known words.
pub(crate) fn pairs(items: &[Item], vocabulary: &Vocabulary) -> Vec<Pair> {
    let of = |(item, Item { captions, .. }): (usize, &Item)| {
        let words = captions.iter().filter_map(|caption| vocabulary.places(caption));
        words.map(move |words| Pair { item, words }).collect::<Vec<_>>()
    };
    items.iter().enumerate().flat_map(of).collect()
}

/// A batch of B images and captions, the longest of T - 1 words.
pub(crate) struct Batch {
    /// `[B, P, 192]`.
    pub(crate) patches: Tensor<f32>,
    /// `[T, B]` row-major: the word before each, the mark before the first.
    pub(crate) before: Vec<usize>,
    /// `[T, B]` row-major: the words, then the mark, then nothing.
    pub(crate) targets: Vec<Option<usize>>,
    pub(crate) size: usize,
}

impl Batch {
    pub(crate) fn new(items: &[Item], pairs: &[&Pair]) -> Batch {
        let steps = 1 + pairs.iter().map(|pair| pair.words.len()).max().unwrap_or(0);
        let rows = || (0..steps).flat_map(|t| pairs.iter().map(move |pair| (t, &pair.words)));
        let word = |t: usize, words: &[usize]| words.get(t).copied();
        Batch {
            patches: patches(pairs.iter().map(|pair| &items[pair.item].image)),
            before: rows().map(|(t, words)| t.checked_sub(1).and_then(|t| word(t, words)).unwrap_or(MARK)).collect(),
            targets: rows().map(|(t, words)| word(t, words).or((t == words.len()).then_some(MARK))).collect(),
            size: pairs.len(),
        }
    }

    /// The words and marks to predict.
    pub(crate) fn count(&self) -> usize {
        self.targets.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use rewind_examples::image::{Channels, Image, Size};

    use super::*;

    #[test]
    fn captions_are_padded_and_end_with_the_mark() {
        let image = Image::from_fn(Size { width: 8, height: 8 }, Channels::Rgb, |_, _| [0.5; 3]);
        let item = |captions: &[&str]| Item {
            image: image.clone(),
            captions: captions.iter().map(ToString::to_string).collect(),
        };
        let items = [item(&["a b c", "x"]), item(&["a", "c"])];
        let vocabulary = Vocabulary::of(["a b c"]).unwrap();
        let pairs = pairs(&items, &vocabulary);
        assert_eq!(pairs.iter().map(|pair| pair.item).collect::<Vec<_>>(), [0, 1, 1]);
        let batch = Batch::new(&items, &[&pairs[0], &pairs[2]]);
        assert_eq!(batch.before, [0, 0, 1, 3, 2, 0, 3, 0]);
        assert_eq!(batch.targets, [Some(1), Some(3), Some(2), Some(0), Some(3), None, Some(0), None]);
        assert_eq!((batch.count(), batch.size, batch.patches.shape()), (6, 2, &[2, 1, 192][..]));
    }
}
