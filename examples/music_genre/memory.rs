//! Whether a run fits into memory, by an upper estimate before it starts: a failed allocation ends a program without an
//! explanation.

use std::fs;

use crate::dataset::Dataset;
use crate::evaluate::BATCH;
use crate::model::{CellKind, Design, ReadOut};
use crate::recipe::Recipe;

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

/// The parameters of a classifier.
fn parameters(Design { kind, hidden, classes, encoding, .. }: Design) -> u64 {
    let gates = match kind {
        CellKind::Tanh => 1,
        CellKind::Lstm => 4,
        CellKind::Gru => 3,
    };
    let [inputs, hidden, classes] = [encoding.width(), hidden, classes].map(|size| size as u64);
    // A GRU has two biases for each gate.
    gates * hidden * (inputs + hidden + 2) + (hidden + 1) * classes
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
    FLOAT * (kept + 2 * total * design.encoding.width() as u64 + parameters(design))
}

/// Bytes that training takes at its peak, the test after every epoch included.
fn training_bytes(&Recipe { design, batch, .. }: &Recipe, [train, test]: [&Dataset; 2], threads: usize) -> u64 {
    let [longest, _, total] = extent(train, design.max_steps);
    let kept = values_a_unit(design) * design.hidden as u64 * longest * batch as u64;
    let own = FLOAT * (COPIES * parameters(design) + kept + total * design.encoding.width() as u64);
    own + testing_bytes(design, test, threads)
}

/// Checks that there is memory to train a network.
pub(crate) fn require_for_training(recipe: &Recipe, parts: [&Dataset; 2], threads: usize) -> Result<(), String> {
    let Design { kind, hidden, .. } = recipe.design;
    require(&format!("training {} with {hidden} units", kind.name()), training_bytes(recipe, parts, threads))
}

/// Checks that there is memory to test a network.
pub(crate) fn require_for_testing(design: Design, data: &Dataset, threads: usize) -> Result<(), String> {
    let Design { kind, hidden, .. } = design;
    require(&format!("testing {} with {hidden} units", kind.name()), testing_bytes(design, data, threads))
}

/// Checks that `needed` bytes are free for `what`, as far as the limits of the system and of this process are known.
fn require(what: &str, needed: u64) -> Result<(), String> {
    require_of(free(), what, needed)
}

fn require_of(free: u64, what: &str, needed: u64) -> Result<(), String> {
    if needed <= free {
        return Ok(());
    }
    let [needed, free] = [needed, free].map(size);
    Err(format!("{what} takes about {needed} of memory, and {free} are free; {ADVICE}"))
}

/// The bytes that can still be allocated: the least of the system's free memory, the limit of the process's group, and
/// that of its address space. `u64::MAX` where none of them is known.
fn free() -> u64 {
    let read = |path: &str| fs::read_to_string(path).ok();
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let group = |limit: &str, used: &str| Some(number(limit)?.saturating_sub(number(used)?));
    let status = read("/proc/self/status");
    let address_space = || {
        let limit = address_limit(&read("/proc/self/limits")?)?;
        Some(limit.saturating_sub(kilobytes(status.as_deref()?, "VmSize:")?))
    };
    let known = [
        read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:")),
        group("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        group("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        address_space(),
    ];
    known.into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// The bytes in a line such as `MemAvailable:   16 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit of the address space in bytes, from the text of `/proc/self/limits`; `None` if there is no limit.
fn address_limit(limits: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix("Max address space"))?.split_whitespace().next()?.parse().ok()
}

/// A number of bytes in readable units.
fn size(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
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
    fn no_cell_has_more_parameters_than_are_counted() {
        for kind in [CellKind::Tanh, CellKind::Lstm, CellKind::Gru] {
            let design = Design { kind, ..tanh(40, 3) };
            let model = Classifier::new(design, 1.0, &mut ChaCha8Rng::seed_from_u64(0));
            let (counted, real) = (parameters(design), model.parameter_count() as u64);
            assert!((real..=real * 21 / 20).contains(&counted), "{kind:?}: {counted} for {real}");
        }
    }

    #[test]
    fn testing_is_the_sum_of_its_parts() {
        let piece = |steps| Piece { score: Score::new("", steps, vec![]), class: 0 };
        let data = Dataset { classes: vec![], pieces: vec![piece(10), piece(130), piece(0)] };
        assert_eq!(extent(&data, 50), [50, 4, 140]);
        // Of a tanh cell: 8 (12 + 8 + 2) + 9 2 parameters; 3 values a unit, 8 units, 50 steps, 4 excerpts; 140 rows
        // twice.
        let expected = 4 * (194 + 3 * 8 * 50 * 4 + 2 * 140 * 12);
        assert_eq!(testing_bytes(tanh(8, 2), &data, 2), expected);
    }

    #[test]
    fn too_much_is_refused_with_both_numbers() {
        assert_eq!(require_of(1 << 30, "training lstm", 1 << 30), Ok(()));
        assert_eq!(
            require_of(300 << 20, "training lstm", 5 << 29).unwrap_err(),
            "training lstm takes about 2.5 GiB of memory, and 300 MiB are free; \
             a smaller --hidden, --max-steps or --threads takes less"
        );
    }

    #[test]
    fn what_the_system_tells_is_understood() {
        let text = "MemTotal:       32 kB\nMemAvailable:   16 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(16 * 1024));
        assert_eq!(kilobytes(text, "MemFree:"), None);
        let limits =
            |value: &str| format!("Max processes  7 7 processes\nMax address space   {value}  unlimited  bytes\n");
        assert_eq!(address_limit(&limits("2097152")), Some(2_097_152));
        assert_eq!(address_limit(&limits("unlimited")), None);
    }

    #[test]
    fn no_machine_has_an_exbibyte_free_and_each_has_a_page() {
        assert_eq!(require("nothing", 4096), Ok(()));
        if cfg!(target_os = "linux") {
            assert!(require("everything", 1 << 60).is_err());
        }
    }
}
