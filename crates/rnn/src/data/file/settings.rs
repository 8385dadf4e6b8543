//! The types and settings of a module in its file: what its leaves do not say.
//!
//! They are read from what `Debug` prints of the module with its leaves erased, a line for each struct and each field. The metadata
//! `rewind.module.NAME` is the type of the struct of that dotted name or the text of that setting; `rewind.module` is the type of the module.

use std::collections::BTreeSet;
use std::fmt::Debug;

use rewind_autograd::{Parameters, Scalar, Tensor};

use super::{Metadata, Problem, TensorFile};

const MODULE: &str = "rewind.module";

/// A module that can be saved: one of tensors that prints its settings. Every struct of [`parameters!`](rewind_autograd::parameters!) is one;
/// this is the bound of code that saves any module.
///
/// ```
/// use std::path::Path;
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::file::{self, FileModule, Metadata};
/// use rewind_rnn::{Gru, Reset};
///
/// /// Saves a module and loads it into another.
/// fn copy<M: FileModule<f32>>(path: &Path, from: &M, to: &mut M) -> rewind_rnn::Result<Metadata> {
///     file::save(path, from, &Metadata::new())?;
///     file::load(path, to)
/// }
///
/// let path = std::env::temp_dir().join(format!("rewind-doc-settings-{}.safetensors", std::process::id()));
/// let mut gru = |reset| Gru { reset, ..Gru::<Tensor<f32>>::new(2, 3, &mut StdRng::seed_from_u64(1)) };
/// let (saved, mut other) = (gru(Reset::BeforeProduct), gru(Reset::AfterProduct));
/// let error = copy(&path, &saved, &mut other).expect_err("the same parameters of another function");
/// assert!(error.to_string().contains("`reset` is BeforeProduct; expected AfterProduct"));
/// # std::fs::remove_file(&path).ok();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no module that can be saved with elements of type {T}",
    note = "a struct written with `parameters!` is one; a type that implements `Parameters` by hand must be `Debug` too, since a file has its settings"
)]
pub trait FileModule<T: Scalar>: Parameters<Tensor<T>, With<()>: Debug> {}

impl<T: Scalar, M: Parameters<Tensor<T>, With<()>: Debug>> FileModule<T> for M {}

/// The metadata of a module.
pub(super) fn of<T: Scalar, M: FileModule<T>>(module: &M) -> Metadata {
    let key = |name: String| if name.is_empty() { MODULE.to_owned() } else { format!("{MODULE}.{name}") };
    described(module).into_iter().map(|(name, text)| (key(name), text)).collect()
}

/// The types and settings that the file has otherwise than `module`; none if it was saved without them.
pub(super) fn differences<T: Scalar, M: FileModule<T>>(file: &TensorFile, module: &M) -> Vec<Problem> {
    let saved: Metadata = file.metadata().iter().filter_map(|(key, text)| Some((name(key)?, text.clone()))).collect();
    if saved.is_empty() {
        return Vec::new();
    }
    let here = described(module);
    let names: BTreeSet<_> = saved.keys().chain(here.keys()).collect();
    let text = |map: &Metadata, name: &str| map.get(name).cloned().unwrap_or("absent".to_owned());
    let differing = names.into_iter().filter(|&name| saved.get(name) != here.get(name));
    differing
        .map(|name| Problem::Setting { name: name.clone(), found: text(&saved, name), expected: text(&here, name) })
        .collect()
}

/// The dotted name in a metadata key of this file.
fn name(key: &str) -> Option<String> {
    let rest = key.strip_prefix(MODULE)?;
    if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('.').map(str::to_owned) }
}

/// The types and settings of a module by dotted name.
fn described<T: Scalar, M: FileModule<T>>(module: &M) -> Metadata {
    let printed = format!("{:#?}", module.map(|_, _| ()));
    let mut found = Metadata::new();
    let mut add = |name: &str, text: &str| {
        // Of an address, as of a function pointer, another process has another.
        let says_nothing = ["", "()", "None", "Some"].contains(&text) || text.starts_with("PhantomData<");
        if says_nothing || text.contains("0x") {
            return;
        }
        match found.get_mut(name) {
            Some(around) => *around += &format!(" of {text}"),
            None => _ = found.insert(name.to_owned(), text.to_owned()),
        }
    };
    let mut open: Vec<Open> = Vec::new();
    for line in printed.lines().map(str::trim) {
        if line.starts_with(['}', ']', ')']) {
            open.pop();
            continue;
        }
        let (field, value) = field(line.strip_suffix(',').unwrap_or(line));
        let name = open.last_mut().map_or(String::new(), |parent| parent.child(field));
        match value.strip_suffix(['{', '[', '(']) {
            Some(text) if !value.starts_with('"') => {
                let text = text.trim_end();
                add(&name, text);
                // What is in `Recurrent(…)` has the name of the whole, as in `Parameters`; elements are numbered.
                let numbered = (!value.ends_with('(') || text.is_empty()).then_some(0);
                open.push(Open { name, numbered });
            }
            _ => add(&name, value),
        }
    }
    found
}

/// A struct, tuple or list whose lines are being read.
struct Open {
    name: String,
    /// The number of its next element without a name, or none if that has its own name.
    numbered: Option<usize>,
}

impl Open {
    /// The dotted name of its next part.
    fn child(&mut self, field: Option<&str>) -> String {
        let part = match (field, &mut self.numbered) {
            (Some(field), _) => field.to_owned(),
            (None, None) => return self.name.clone(),
            (None, Some(next)) => {
                *next += 1;
                (*next - 1).to_string()
            }
        };
        if self.name.is_empty() { part } else { format!("{}.{part}", self.name) }
    }
}

/// A line as the name of its field, if it has one, and what follows.
fn field(line: &str) -> (Option<&str>, &str) {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '#');
    match line.split_once(": ") {
        Some((name, value)) if is_name(name) => (Some(name), value),
        _ => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bidirectional, Dropout, Gru, Linear, Recurrent, Reset, Zoneout};
    use rand::{SeedableRng, rngs::StdRng};
    use rewind_autograd::parameters;

    #[derive(Clone, Debug, PartialEq)]
    enum Kind {
        Plain,
        Scaled { by: f64 },
    }

    parameters! {
        struct Model<P> {
            leaves: [P; 2],
            kind: Kind,
            name: String,
            limit: Option<usize>,
            #[setting]
            heads: Vec<usize>,
            #[setting]
            activation: fn(f64) -> f64,
            layers: Vec<Linear<P>>,
            bias: Option<P>,
        }
    }

    fn model(kind: Kind, limit: Option<usize>) -> Model<Tensor<f64>> {
        let linear = || Linear { weight: Tensor::zeros(&[1, 1]), bias: Some(Tensor::zeros(&[1])) };
        Model {
            leaves: [Tensor::zeros(&[1]), Tensor::zeros(&[2])],
            kind,
            name: "a: {\n\"b\" (".to_owned(),
            limit,
            heads: vec![4, 5],
            activation: f64::abs,
            layers: vec![linear(), linear()],
            bias: None,
        }
    }

    fn listed(module: &impl FileModule<f64>) -> Vec<String> {
        of(module).into_iter().map(|(key, text)| format!("{key} = {text}")).collect()
    }

    #[test]
    fn every_type_and_every_setting_has_its_dotted_name() {
        assert_eq!(
            listed(&model(Kind::Scaled { by: 0.5 }, Some(3))),
            [
                "rewind.module = Model",
                "rewind.module.heads.0 = 4",
                "rewind.module.heads.1 = 5",
                "rewind.module.kind = Scaled",
                "rewind.module.kind.by = 0.5",
                "rewind.module.layers.0 = Linear",
                "rewind.module.layers.1 = Linear",
                "rewind.module.limit = 3",
                r#"rewind.module.name = "a: {\n\"b\" (""#,
            ]
        );
        let plain = listed(&model(Kind::Plain, None));
        assert!(plain.contains(&"rewind.module.kind = Plain".to_owned()) && plain.len() == 7, "{plain:?}");
    }

    #[test]
    fn a_cell_within_a_layer_has_the_name_of_its_leaves() {
        let rng = &mut StdRng::seed_from_u64(1);
        let mut gru = || Gru { reset: Reset::BeforeProduct, ..Gru::<Tensor<f64>>::new(2, 3, rng) };
        let network = (Bidirectional::cells(gru(), gru()), Recurrent(Zoneout::new(gru(), &[0.5])), Dropout::new(0.25));
        assert_eq!(
            listed(&network),
            [
                "rewind.module.0 = Bidirectional",
                "rewind.module.0.backward = Recurrent of Gru",
                "rewind.module.0.backward.reset = BeforeProduct",
                "rewind.module.0.forward = Recurrent of Gru",
                "rewind.module.0.forward.reset = BeforeProduct",
                "rewind.module.0.merge = Concatenate",
                "rewind.module.1 = Recurrent of Zoneout",
                "rewind.module.1.cell = Gru",
                "rewind.module.1.cell.reset = BeforeProduct",
                "rewind.module.1.rates.0 = 0.5",
                "rewind.module.2 = Dropout",
                "rewind.module.2.of_sequence = false",
                "rewind.module.2.rate = 0.25",
            ]
        );
    }
}
