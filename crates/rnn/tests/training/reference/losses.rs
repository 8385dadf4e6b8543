//! `loss_*`: a loss of outputs `in.0` and targets `in.1`, and its gradient on the outputs; `loss_ctc_*`, with names of their own.

use rewind_autograd::Tape;
use rewind_rnn::loss::{self, CrossEntropy, Ctc, Reduction};

use super::{Case, Found};

pub(crate) fn loss(case: &Case) -> Found {
    let tape = Tape::<f64>::new();
    let outputs = tape.leaf(case.tensor("in.0")?);
    let value = if case.name.starts_with("loss_cross_entropy") {
        let targets: Vec<_> = case.integers("in.1")?.into_iter().map(|class| usize::try_from(class).ok()).collect();
        let settings = CrossEntropy { smoothing: smoothing(case)?, ..CrossEntropy::default() };
        loss::cross_entropy(outputs, &targets, settings)
    } else {
        let target = case.tensor("in.1")?;
        match case.name.as_str() {
            "loss_mse" => loss::mean_squared_error(outputs, &target, Reduction::Mean),
            "loss_bce_with_logits" => loss::binary_cross_entropy(outputs, &target, Reduction::Mean),
            other => return Err(format!("no loss is known for {other}")),
        }
    };
    let value = value.map_err(|e| e.to_string())?;
    case.compare("out.loss", &value.value().reshape(&[1]))?;
    case.compare("grad.0", &value.backward().get(outputs))
}

/// From `label smoothing 0.1, mean` in the description; 0 where it says nothing of it.
fn smoothing(case: &Case) -> Result<f64, String> {
    let what = case.text("what").unwrap_or_default();
    let Some((_, rest)) = what.split_once("label smoothing ") else { return Ok(0.0) };
    let number = rest.split(',').next().unwrap_or_default().trim();
    number.parse().map_err(|e| format!("smoothing {number:?} in {what:?}: {e}"))
}

/// CTC of `in.logits` `[T, B, C]` and padded targets `[B, L]`, blank 0. Impossible alignments count as 0 in the case that may have some.
pub(crate) fn ctc(case: &Case) -> Found {
    let tape = Tape::<f64>::new();
    let logits = tape.leaf(case.tensor("in.logits")?);
    let whole = |name: &str| -> Result<Vec<usize>, String> {
        let numbers = case.integers(name)?.into_iter().map(usize::try_from);
        numbers.collect::<Result<_, _>>().map_err(|e| format!("{name}: {e}"))
    };
    let (labels, counts) = (whole("in.targets")?, whole("in.target_lengths")?);
    let longest = labels.len() / counts.len().max(1);
    let targets: Vec<_> = counts.iter().enumerate().map(|(b, &count)| &labels[b * longest..][..count]).collect();
    let zero_infinity = case.name == "loss_ctc_3";
    let settings = Ctc { blank: 0, reduction: Reduction::Sum, zero_infinity };
    let losses = loss::ctc(logits, &targets, &whole("in.input_lengths")?, settings).map_err(|e| e.to_string())?;
    case.compare("out.loss", &losses.per_sequence.value())?;
    case.compare("grad.logits", &losses.total.backward().get(logits))
}
