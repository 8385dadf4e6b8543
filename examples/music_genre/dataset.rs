//! Pieces with their classes: dividing them into a training and a test part, cutting them into excerpts, and averaging
//! over the excerpts of a piece.

use rewind_examples::division::{counts, test_part};
use rewind_examples::folders::expect_each_once;

use crate::score::Score;

/// A score and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The music.
    pub(crate) score: Score,
    /// Index into [`Dataset::classes`].
    pub(crate) class: usize,
}

/// Labelled pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dataset {
    /// The names of the C classes.
    pub(crate) classes: Vec<String>,
    /// The pieces.
    pub(crate) pieces: Vec<Piece>,
}

/// A part of a piece, short enough to be unrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The music of this part.
    pub(crate) score: Score,
    /// Index of the piece in [`Dataset::pieces`].
    pub(crate) piece: usize,
    /// The piece's class.
    pub(crate) class: usize,
}

impl Dataset {
    /// How many pieces each class has, `[C]`.
    pub(crate) fn class_counts(&self) -> Vec<usize> {
        counts(&self.labels(), self.classes.len())
    }

    /// The pieces of these classes alone, whose order is the order of the classes.
    ///
    /// # Errors
    ///
    /// A class that is not there, or is named twice.
    pub(crate) fn only(&self, classes: &[String]) -> Result<Dataset, String> {
        expect_each_once(classes, &self.classes, |class| {
            format!("there is no class \"{class}\"; the classes there are: {}", self.classes.join(", "))
        })?;
        let place = |piece: &Piece| classes.iter().position(|class| *class == self.classes[piece.class]);
        let kept = |piece: &Piece| place(piece).map(|class| Piece { score: piece.score.clone(), class });
        Ok(Dataset { classes: classes.to_vec(), pieces: self.pieces.iter().filter_map(kept).collect() })
    }

    fn labels(&self) -> Vec<usize> {
        self.pieces.iter().map(|piece| piece.class).collect()
    }

    /// Divides the pieces at random into a training part and a test part of `test_count` pieces, every class in the same
    /// proportion. Within a part the pieces keep their order.
    ///
    /// # Panics
    ///
    /// If `test_count` is more than the number of pieces.
    #[track_caller]
    pub(crate) fn split(&self, test_count: usize, seed: u64) -> (Dataset, Dataset) {
        let in_test = test_part(&self.labels(), self.classes.len(), test_count, seed);
        let part = |wanted: bool| Dataset {
            classes: self.classes.clone(),
            pieces: self
                .pieces
                .iter()
                .zip(&in_test)
                .filter(|&(_, &test)| test == wanted)
                .map(|(piece, _)| piece.clone())
                .collect(),
        };
        (part(false), part(true))
    }

    /// Every piece cut into excerpts of at most `max_steps`, as [`Score::excerpts`] does, in the order of the pieces.
    ///
    /// # Panics
    ///
    /// If `max_steps` is 0.
    pub(crate) fn excerpts(&self, max_steps: usize) -> Vec<Excerpt> {
        let cut = |(index, piece): (usize, &Piece)| {
            let class = piece.class;
            let parts = piece.score.excerpts(max_steps).into_iter();
            parts.map(move |score| Excerpt { score, piece: index, class }).collect::<Vec<_>>()
        };
        self.pieces.iter().enumerate().flat_map(cut).collect()
    }
}

/// For each piece the mean of the rows of its excerpts.
///
/// `excerpt_rows` is `[E, C]` row-major, the log-probabilities of the classes for each excerpt; `pieces` is `[E]`, the
/// piece that each excerpt is from. The result is `[piece_count, C]`; a piece without excerpts has a row of zeros.
///
/// # Panics
///
/// If the lengths do not fit, `class_count` is 0, or a piece is `piece_count` or more.
#[track_caller]
pub(crate) fn mean_over_excerpts(
    excerpt_rows: &[f32],
    pieces: &[usize],
    piece_count: usize,
    class_count: usize,
) -> Vec<f32> {
    assert!(
        class_count > 0 && excerpt_rows.len() == pieces.len() * class_count,
        "mean_over_excerpts: {} values are not {} excerpts of {class_count} classes",
        excerpt_rows.len(),
        pieces.len()
    );
    let mut sums = vec![0.0; piece_count * class_count];
    let mut counts = vec![0u32; piece_count];
    for (row, &piece) in excerpt_rows.chunks_exact(class_count).zip(pieces) {
        counts[piece] += 1;
        for (sum, x) in sums[piece * class_count..][..class_count].iter_mut().zip(row) {
            *sum += x;
        }
    }
    for (row, &count) in sums.chunks_exact_mut(class_count).zip(&counts) {
        row.iter_mut().for_each(|sum| *sum /= count.max(1) as f32);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A data set with `counts[c]` pieces of class c; a piece's length is its index.
    fn dataset(counts: &[usize]) -> Dataset {
        let classes = (0..counts.len()).map(|c| format!("class {c}")).collect();
        let labels = counts.iter().enumerate().flat_map(|(class, &count)| std::iter::repeat_n(class, count));
        let pieces = labels
            .enumerate()
            .map(|(i, class)| Piece { score: Score::new(format!("{i}"), i as u32, vec![]), class })
            .collect();
        Dataset { classes, pieces }
    }

    #[test]
    fn the_composed_data_set_is_divided_evenly() {
        let (train, test) = dataset(&[167, 167, 166]).split(100, 7);
        assert_eq!(train.class_counts(), [133, 134, 133]);
        assert_eq!(test.class_counts(), [34, 33, 33]);
    }

    #[test]
    fn excerpts_know_their_piece() {
        let excerpts = dataset(&[40, 30]).excerpts(32);
        // Pieces 0 to 69 have as many steps as their index: none, one, two or three excerpts.
        let of = |piece| excerpts.iter().filter(|e| e.piece == piece).map(|e| e.score.steps()).collect::<Vec<_>>();
        assert_eq!((of(0), of(1), of(32), of(40)), (vec![], vec![1], vec![32], vec![16, 24]));
        assert!(excerpts.iter().all(|e| e.class == usize::from(e.piece >= 40)));
    }

    #[test]
    fn a_piece_is_the_mean_of_its_excerpts() {
        let rows = [1.0, 0.0, 0.5, 0.5, 0.25, 0.75];
        assert_eq!(mean_over_excerpts(&rows, &[0, 0, 2], 3, 2), [0.75, 0.25, 0.0, 0.0, 0.25, 0.75]);
    }

    proptest! {
        #[test]
        fn every_piece_is_in_one_part(counts in prop::collection::vec(0usize..12, 1..5), share in 0.0..1.0f64) {
            let all = dataset(&counts);
            let test_count = (share * all.pieces.len() as f64) as usize;
            let (train, test) = all.split(test_count, 3);
            prop_assert_eq!(test.pieces.len(), test_count);
            let mut names: Vec<usize> =
                train.pieces.iter().chain(&test.pieces).map(|piece| piece.score.steps()).collect();
            names.sort_unstable();
            prop_assert_eq!(names, (0..all.pieces.len()).collect::<Vec<_>>());
        }
    }
}
