//! Whether a run fits into memory, by an upper estimate before it starts: a failed allocation ends a program without an
//! explanation.

use rewind_examples::memory::require;

use crate::dataset::Dataset;
use crate::evaluate::BATCH;
use crate::model::{Design, ReadOut};
use crate::recipe::Recipe;
use rewind_examples::CellKind;

const FLOAT: u64 = size_of::<f32>() as u64;

/// Advice for the user.
const ADVICE: &str = "a smaller --hidden, --max-steps or --threads takes less";

/// Copies of the parameters at the peak of training: themselves, two moments, the gradients of the two shards of a
/// batch, and the packed forms of the matrix kernel.
const COPIES: u64 = 12;

/// Values that are kept for every unit, sequence and time step, those of the gradients included. Measured (the highest
/// resident size of runs with 64 to 512 units was 0.7 to 0.9 times the estimate) and rounded up.
fn values_a_unit(design: Design) -> u64 {
    let cell = match design.kind {
        CellKind::Tanh => 3,
        CellKind::Lstm => 15,
        CellKind::Gru => 14,
    };
    cell + if design.read_out == ReadOut::Mean { 3 } else { 0 }
}

/// The steps of the longest excerpt, the excerpts, and the steps of all of them.
fn extent(data: &Dataset, max_steps: usize) -> [u64; 3] {
    data.pieces.iter().fold([0; 3], |[longest, count, total], piece| {
        let (steps, excerpts) = (piece.score.steps(), piece.score.steps().div_ceil(max_steps));
        [longest.max(steps.min(max_steps) as u64), count + excerpts as u64, total + steps as u64]
    })
}

/// Bytes that testing takes at its peak. Batches of [`BATCH`] excerpts run on every thread.
fn testing_bytes(design: Design, data: &Dataset, threads: usize) -> u64 {
    let [longest, count, total] = extent(data, design.max_steps);
    let rows = count.min((BATCH * threads) as u64);
    let kept = values_a_unit(design) * design.hidden as u64 * longest * rows;
    // Every excerpt is stored twice, alone and in its batch.
    FLOAT * (kept + 2 * total * design.encoding.width() as u64 + design.parameters())
}

/// Bytes that training takes at its peak, the test after every epoch included.
fn training_bytes(&Recipe { design, batch, .. }: &Recipe, [train, test]: [&Dataset; 2], threads: usize) -> u64 {
    let [longest, _, total] = extent(train, design.max_steps);
    let kept = values_a_unit(design) * design.hidden as u64 * longest * batch as u64;
    let own = FLOAT * (COPIES * design.parameters() + kept + total * design.encoding.width() as u64);
    own + testing_bytes(design, test, threads)
}

/// Checks that there is memory to train a network.
pub(crate) fn require_for_training(recipe: &Recipe, parts: [&Dataset; 2], threads: usize) -> Result<(), String> {
    let Design { kind, hidden, .. } = recipe.design;
    require(&format!("training {} with {hidden} units", kind.name()), training_bytes(recipe, parts, threads), ADVICE)
}

/// Checks that there is memory to test a network.
pub(crate) fn require_for_testing(design: Design, data: &Dataset, threads: usize) -> Result<(), String> {
    let Design { kind, hidden, .. } = design;
    require(&format!("testing {} with {hidden} units", kind.name()), testing_bytes(design, data, threads), ADVICE)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use rewind_autograd::OnTape;

    use super::*;
    use crate::dataset::Piece;
    use crate::model::Classifier;
    use crate::score::{Encoding, Score};

    fn tanh(hidden: usize, classes: usize) -> Design {
        let (encoding, read_out) = (Encoding::PitchClasses, ReadOut::Last);
        Design { kind: CellKind::Tanh, hidden, classes, encoding, max_steps: 50, read_out }
    }

    #[test]
    fn parameters_are_counted() {
        for kind in [CellKind::Tanh, CellKind::Lstm, CellKind::Gru] {
            let design = Design { kind, ..tanh(40, 3) };
            let model = Classifier::new(design, 1.0, &mut ChaCha8Rng::seed_from_u64(0));
            assert_eq!(design.parameters(), model.parameter_count() as u64, "{kind:?}");
        }
    }

    #[test]
    fn testing_is_the_sum_of_its_parts() {
        let piece = |steps| Piece { score: Score::new("", steps, vec![]), class: 0 };
        let data = Dataset { classes: vec![], pieces: vec![piece(10), piece(130), piece(0)] };
        assert_eq!(extent(&data, 50), [50, 4, 140]);
        // Of a tanh cell: 8 (12 + 8 + 1) + 9 2 parameters; 3 values a unit, 8 units, 50 steps, 4 excerpts; 140 rows
        // twice.
        let expected = 4 * (186 + 3 * 8 * 50 * 4 + 2 * 140 * 12);
        assert_eq!(testing_bytes(tanh(8, 2), &data, 2), expected);
    }
}
