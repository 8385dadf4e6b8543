//! Values of ops and losses, their gradients and second-order gradients against those of PyTorch.
//!
//! Every safetensors file of the folder in `REWIND_REFERENCE` is read (default: `crates/fixtures/reference`, which
//! `rewind-rnn` reads too). The name says what kind of case it is, the tensors say the sizes. An error is
//! |found - expected| / max(1, |expected|).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::{Tape, Var};
use safetensors::{Dtype, SafeTensors};

use crate::naive::{Array, distance};

const FIRST_ORDER: f64 = 1e-9;
const SECOND_ORDER: f64 = 1e-7;

/// One file.
#[derive(Clone)]
pub(crate) struct Case {
    /// The file's name without the ending.
    name: String,
    tensors: BTreeMap<String, Array>,
    metadata: BTreeMap<String, String>,
}

impl Case {
    /// A file beside this suite.
    pub(crate) fn fixture(name: &str) -> Case {
        Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name))
    }

    fn read(path: &Path) -> Case {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        fn numbers<const N: usize>(data: &[u8], number: fn([u8; N]) -> f64) -> Vec<f64> {
            data.chunks_exact(N).map(|bytes| number(bytes.try_into().expect("N bytes"))).collect()
        }
        let tensors = file.iter().filter_map(|(name, view)| {
            let numbers = match view.dtype() {
                Dtype::F64 => numbers(view.data(), f64::from_le_bytes),
                Dtype::F32 => numbers(view.data(), |bytes| f32::from_le_bytes(bytes).into()),
                Dtype::I64 => numbers(view.data(), |bytes| i64::from_le_bytes(bytes) as f64),
                _ => return None, // missed by name if the case needs it
            };
            Some((name.to_owned(), Array::new(view.shape(), numbers)))
        });
        Case {
            name: path.file_stem().expect("a file name").to_string_lossy().into_owned(),
            tensors: tensors.collect(),
            metadata: header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }

    pub(crate) fn tensor(&self, name: &str) -> &Array {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.name))
    }

    /// `prefix.0`, `prefix.1`, … as far as they go.
    fn numbered(&self, prefix: &str) -> Vec<&Array> {
        (0..).map_while(|i| self.tensors.get(&format!("{prefix}{i}"))).collect()
    }

    fn setting(&self, name: &str) -> &str {
        self.metadata.get(name).unwrap_or_else(|| panic!("{}: no setting {name}", self.name))
    }
}

type Function<'a> = Box<dyn for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64> + 'a>;

/// The function that an `op_*` file is about.
fn op<'a>(case: &'a Case) -> Option<Function<'a>> {
    /// Pins the lifetimes of a closure to those of [`Function`].
    fn boxed<'a>(f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64> + 'a) -> Option<Function<'a>> {
        Some(Box::new(f))
    }
    let expected = || case.tensor("out.y").shape.clone();
    match case.name.strip_prefix("op_")? {
        "exp" => boxed(|x| x[0].exp()),
        "tanh" => boxed(|x| x[0].tanh()),
        "sigmoid" => boxed(|x| x[0].sigmoid()),
        "softplus" => boxed(|x| x[0].softplus()),
        "sin" => boxed(|x| x[0].sin()),
        "cos" => boxed(|x| x[0].cos()),
        "neg" => boxed(|x| -x[0]),
        "relu" => boxed(|x| x[0].relu()),
        "elu" => boxed(|x| x[0].elu()),
        "gelu" => boxed(|x| x[0].gelu()),
        "silu" => boxed(|x| x[0].silu()),
        "erf" => boxed(|x| x[0].erf()),
        "log" => boxed(|x| x[0].ln()),
        "sqrt" => boxed(|x| x[0].sqrt()),
        "reciprocal" => boxed(|x| x[0].reciprocal()),
        "pow3" => boxed(|x| x[0].powf(3.0)),
        "pow_half" => boxed(|x| x[0].powf(0.5)),
        "add_broadcast" => boxed(|x| x[0] + x[1]),
        "sub_broadcast" => boxed(|x| x[0] - x[1]),
        "mul_broadcast" => boxed(|x| x[0] * x[1]),
        "div_broadcast" => boxed(|x| x[0] / x[1]),
        "matmul" | "matmul_batched" | "matmul_batched_broadcast" => boxed(|x| x[0].matmul(x[1])),
        "softmax_last" => boxed(|x| x[0].softmax(x[0].rank() - 1)),
        "softmax_axis0" => boxed(|x| x[0].softmax(0)),
        "log_softmax_last" => boxed(|x| x[0].log_softmax(x[0].rank() - 1)),
        "logsumexp_last" => boxed(|x| x[0].log_sum_exp(x[0].rank() - 1)),
        "sum_axis1" => boxed(|x| x[0].sum_axis(1)),
        "mean_axis0" => boxed(|x| x[0].mean_axis(0)),
        "max_axis1" => boxed(|x| x[0].max_axis(1)),
        "sum_all" => boxed(|x| x[0].sum().reshape(&[1])),
        "transpose" => boxed(|x| x[0].transpose()),
        "reshape" => boxed(move |x| x[0].reshape(&expected())),
        "permute" => boxed(|x| x[0].permute(&[2, 0, 1])),
        "slice_axis1" => boxed(|x| x[0].slice(1, 1..x[0].shape()[1])),
        "index_axis0" => boxed(|x| x[0].index(0, 1)),
        "concat_axis1" => boxed(|x| concat(x, 1)),
        "stack_axis0" => boxed(|x| stack(x, 0)),
        "flip_axis0" => boxed(|x| x[0].flip(0)),
        "broadcast_to" => boxed(move |x| x[0].broadcast_to(&expected())),
        "index_select_axis0" => {
            let list = case.setting("index").trim_matches(['[', ']']);
            let index: Vec<usize> = list.split(',').map(|i| i.trim().parse().expect("a list of positions")).collect();
            boxed(move |x| x[0].index_select(0, &index))
        }
        "clamp" => boxed(|x| x[0].clamp(-0.7, 0.7)),
        "maximum" => boxed(|x| x[0].maximum(x[1])),
        "layer_norm" => {
            let eps = case.setting("eps").parse().expect("a number");
            boxed(move |x| x[0].layer_norm(x[1], x[2], eps))
        }
        "cumsum_axis0" => boxed(|x| x[0].cumsum(0)),
        _ => None,
    }
}

/// The loss of a `loss_*` file as a function of its first input; the target is a constant.
fn loss<'t>(case: &Case, x: Var<'t, f64>) -> Option<Var<'t, f64>> {
    let tape = x.tape();
    let target = || case.tensor("in.1");
    match case.name.strip_prefix("loss_")? {
        "mse" => Some(x.squared_error(tape.constant(target().tensor())).mean()),
        "bce_with_logits" => Some(x.binary_cross_entropy(tape.constant(target().tensor())).mean()),
        kind @ ("cross_entropy" | "cross_entropy_ignore" | "cross_entropy_smoothing" | "cross_entropy_extreme") => {
            // A distribution per row: 1 at the class, spread evenly in part, or nothing where the target is ignored.
            let smoothing = if kind == "cross_entropy_smoothing" { 0.1 } else { 0.0 };
            let classes = x.shape()[1];
            let rows = Array::from_index(&x.shape(), |at| match target().data[at[0]] {
                class if class < 0.0 => 0.0,
                class if class == at[1] as f64 => 1.0 - smoothing + smoothing / classes as f64,
                _ => smoothing / classes as f64,
            });
            let counted = target().data.iter().filter(|&&class| class >= 0.0).count();
            Some(x.cross_entropy(tape.constant(rows.tensor())).sum() / counted as f64)
        }
        _ => None,
    }
}

/// What became of a file.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// As many arrays were compared; those that are off.
    Compared(usize, Vec<String>),
    /// A case of this crate that it cannot compute yet.
    Skipped,
    /// A layer, an optimiser, a clipping rule: compared by the crate that has them.
    Elsewhere,
}

fn compare(case: &Case) -> Outcome {
    let mut compared = 0;
    let mut wrong = Vec::new();
    let mut expect = |name: String, found: Var<'_, f64>, tolerance: f64| {
        compared += 1;
        let error = distance(&found.value(), case.tensor(&name));
        if error > tolerance || error.is_nan() {
            wrong.push(format!("{}: {name} is off by {error:.1e}", case.name));
        }
    };
    let tape = Tape::new();
    let x: Vec<_> = case.numbered("in.").iter().map(|x| tape.leaf(x.tensor())).collect();
    if let Some(f) = op(case) {
        let constant = |name: &str| tape.constant(case.tensor(name).tensor());
        let y = f(&x);
        expect("out.y".into(), y, FIRST_ORDER);
        let gradients = y.grad_from(constant("in.weight"), &x);
        let plain = y.backward_from(&case.tensor("in.weight").tensor());
        let mut projection = tape.scalar(0.0);
        for (i, &gradient) in gradients.iter().enumerate() {
            expect(format!("grad.{i}"), gradient, FIRST_ORDER);
            expect(format!("grad.{i}"), tape.constant(plain.get(x[i])), FIRST_ORDER);
            projection = projection + (gradient * constant(&format!("in.v{i}"))).sum();
        }
        for (i, second) in projection.grad(&x).into_iter().enumerate() {
            expect(format!("grad2.{i}"), second, SECOND_ORDER);
        }
    } else if let Some(loss) = x.first().and_then(|&logits| loss(case, logits)) {
        expect("out.loss".into(), loss.reshape(&[1]), FIRST_ORDER);
        expect("grad.0".into(), loss.grad(&x[..1])[0], FIRST_ORDER);
    } else {
        let here = ["op_", "loss_"].iter().any(|kind| case.name.starts_with(kind));
        return if here { Outcome::Skipped } else { Outcome::Elsewhere };
    }
    Outcome::Compared(compared, wrong)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/reference")
}

fn cases(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("REWIND_REFERENCE {}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry of the folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}

#[test]
fn every_file_agrees() {
    let folder = std::env::var_os("REWIND_REFERENCE").map_or_else(fixtures, PathBuf::from);
    let (mut files, mut arrays, mut wrong) = (0, 0, Vec::new());
    let (mut skipped, mut elsewhere) = (Vec::new(), Vec::new());
    for case in cases(&folder) {
        match compare(&case) {
            Outcome::Compared(n, off) => {
                files += 1;
                arrays += n;
                wrong.extend(off);
            }
            Outcome::Skipped => skipped.push(case.name),
            Outcome::Elsewhere => elsewhere.push(case.name),
        }
    }
    println!(
        "reference: {files} files compared ({arrays} arrays), {} skipped {skipped:?}, {} elsewhere {elsewhere:?}",
        skipped.len(),
        elsewhere.len()
    );
    assert!(wrong.is_empty(), "{} arrays are off:\n{}", wrong.len(), wrong.join("\n"));
    assert!(files > 0, "{} holds no file that could be compared", folder.display());
}

#[test]
fn of_the_fixtures_only_ctc_is_skipped() {
    let (mut compared, mut elsewhere, mut skipped) = (0, Vec::new(), Vec::new());
    for case in cases(&fixtures()) {
        match compare(&case) {
            Outcome::Compared(..) => compared += 1,
            Outcome::Elsewhere => elsewhere.push(case.name),
            Outcome::Skipped => skipped.push(case.name),
        }
    }
    assert_eq!(skipped, ["loss_ctc_0", "loss_ctc_1", "loss_ctc_2", "loss_ctc_3"]);
    let of_the_cells = ["rnn_", "lstm_", "gru_", "optim_", "clip_"];
    assert!(elsewhere.iter().all(|name| of_the_cells.iter().any(|kind| name.starts_with(kind))), "{elsewhere:?}");
    assert_eq!((compared, elsewhere.len()), (52, 37));
}

#[test]
fn one_wrong_number_is_noticed() {
    for case in cases(&fixtures()) {
        let Outcome::Compared(..) = compare(&case) else { continue };
        for name in case.tensors.keys().filter(|name| name.starts_with("out.") || name.starts_with("grad")) {
            let mut spoiled = case.clone();
            let numbers = &mut spoiled.tensors.get_mut(name).expect("a tensor of the case").data;
            let last = numbers.len() - 1;
            numbers[last] += 2.0 * SECOND_ORDER * numbers[last].abs().max(1.0);
            let Outcome::Compared(_, wrong) = compare(&spoiled) else { unreachable!("the kind is the same") };
            assert!(!wrong.is_empty() && wrong.iter().all(|w| w.contains(name)), "{}: {name}: {wrong:?}", case.name);
        }
    }
}

#[test]
fn kinds_are_told_apart_by_name() {
    let mut case = cases(&fixtures()).into_iter().find(|case| case.name == "op_exp").expect("a fixture");
    let mut outcome_as = |name: &str| {
        case.name = name.to_owned();
        compare(&case)
    };
    assert_eq!(outcome_as("op_never_heard_of"), Outcome::Skipped);
    assert_eq!(outcome_as("lstm_1layer"), Outcome::Elsewhere);
    assert!(matches!(outcome_as("op_sin"), Outcome::Compared(_, wrong) if wrong.len() == 4), "sin is not exp");
}
