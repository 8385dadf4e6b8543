//! Values that PyTorch computed. The folder is that of the environment variable `REWIND_REFERENCE`, or
//! `crates/fixtures/reference`, which `rewind-autograd` reads too.
//!
//! A file's metadata and name determine its kind. Supported kinds are always compared; other files are counted as
//! skipped, by name, and are allowed in a folder of one's own alone.

mod case;
mod losses;
mod recurrent;
mod training;

use std::path::PathBuf;

pub(crate) use case::{Case, Found};

/// The kind of a file, which selects its comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// `optim_*`: steps of an optimiser on given gradients.
    Optimizer,
    /// `clip_grad_norm`: clipping by the joint norm.
    ClipNorm,
    /// `rnn_*`, `lstm_*`, `gru_*`: layers, stacked or in both directions, padded or not.
    Recurrent,
    /// `loss_*`: a loss and its gradient on the outputs.
    Loss,
    /// `loss_ctc_*`: the losses of sequences and the gradient of their sum.
    Ctc,
    /// `op_*`: compared by the tests of the autograd crate.
    Elsewhere,
    /// Not supported yet.
    Unsupported,
}

/// The kind of a file. Recurrent layers have the metadata key `kind`; `layers`, `bidirectional`, `bias`, `proj` and
/// `nonlinearity` say the rest.
fn kind_of(case: &Case) -> Kind {
    match (case.text("kind"), case.name.split('_').collect::<Vec<_>>().as_slice()) {
        (Some("RNN" | "LSTM" | "GRU"), _) => Kind::Recurrent,
        (Some(_), _) => Kind::Unsupported,
        (None, ["loss", "ctc", ..]) => Kind::Ctc,
        (None, ["loss", ..]) => Kind::Loss,
        (None, ["optim", ..]) => Kind::Optimizer,
        (None, ["clip", "grad", "norm"]) => Kind::ClipNorm,
        (None, ["op", ..]) => Kind::Elsewhere,
        (None, _) => Kind::Unsupported,
    }
}

/// Compares one file; `None` if its kind is compared elsewhere or not supported.
fn check(case: &Case) -> Option<Found> {
    Some(match kind_of(case) {
        Kind::Optimizer => training::optimizer(case),
        Kind::ClipNorm => training::clip_norm(case),
        Kind::Loss => losses::loss(case),
        Kind::Ctc => losses::ctc(case),
        Kind::Recurrent if case.is_f32() => recurrent::compare_recurrent::<f32>(case),
        Kind::Recurrent => recurrent::compare_recurrent::<f64>(case),
        Kind::Elsewhere | Kind::Unsupported => return None,
    })
}

/// All files of the folder, sorted by name.
fn cases() -> Vec<Case> {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/reference");
    let folder = std::env::var_os("REWIND_REFERENCE").map_or_else(|| PathBuf::from(fixtures), PathBuf::from);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "safetensors"));
    paths.sort();
    assert!(!paths.is_empty(), "{}: no reference file; expected *.safetensors", folder.display());
    paths.iter().map(|path| Case::read(path).unwrap_or_else(|e| panic!("{e}"))).collect()
}

#[test]
fn every_supported_reference_file_agrees() {
    let (mut compared, mut elsewhere, mut skipped, mut wrong) = (0, 0, Vec::new(), Vec::new());
    for case in cases() {
        match check(&case) {
            Some(Ok(())) => compared += 1,
            Some(Err(e)) => wrong.push(format!("{}: {e}", case.name)),
            None if kind_of(&case) == Kind::Elsewhere => elsewhere += 1,
            None => skipped.push(case.name),
        }
    }
    println!("reference: {compared} compared, {elsewhere} elsewhere, {} skipped: {skipped:?}", skipped.len());
    assert!(skipped.is_empty() || std::env::var_os("REWIND_REFERENCE").is_some(), "no comparison for {skipped:?}");
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), compared + wrong.len(), wrong.join("\n"));
}

#[test]
fn a_wrong_number_is_caught_in_every_supported_file() {
    let mut spoiled = 0;
    for case in cases().iter().filter(|case| check(case).is_some()) {
        // What the file holds as results; a clipping that left everything alone has the same ones.
        for name in case.names("out.").into_iter().chain(case.names("grad.")) {
            let by = if case.is_f32() { 1e-3 } else { 1e-8 };
            let found = check(&case.spoiled(name, by));
            assert!(matches!(found, Some(Err(ref e)) if e.contains(name)), "{}: {name} spoiled: {found:?}", case.name);
            spoiled += 1;
        }
    }
    println!("reference: {spoiled} wrong numbers caught");
}
