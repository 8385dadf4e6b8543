//! The parts of a run in a file, beside the model and its optimiser.
//!
//! A part `NAME` has the metadata `rewind.part.NAME` with its kind, `rewind.part.NAME.setting.X` and `rewind.part.NAME.value.X`, and
//! tensors with the prefix `NAME:`, which no field of a struct can have.

use std::collections::BTreeMap;

use rewind_autograd::Scalar;

use super::training::tensors_of;
use super::{Metadata, NamedTensors, TensorFile, about};
use crate::error::{ErrorKind, Result};
use crate::train::resume::{Part, Saved};

const PART: &str = "rewind.part.";

/// The names of parts that cannot be saved under.
pub(super) fn unusable<'a>(names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let word = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let unusable = move |(i, name): &(usize, &&str)| !word(name) || **name == "optimizer" || names[..*i].contains(name);
    names.iter().enumerate().filter(unusable).map(|(_, name)| *name)
}

/// Adds the state of a part to what is written.
pub(super) fn put<T: Scalar>(name: &str, saved: Saved<T>, tensors: &mut NamedTensors<T>, own: &mut Metadata) {
    own.insert(format!("{PART}{name}"), saved.kind);
    own.extend(saved.settings.into_iter().map(|(key, value)| (format!("{PART}{name}.setting.{key}"), value)));
    own.extend(saved.values.into_iter().map(|(key, value)| (format!("{PART}{name}.value.{key}"), value)));
    tensors.extend(saved.tensors.into_iter().map(|(key, tensor)| (format!("{name}:{key}"), tensor)));
}

/// Whether a tensor belongs to a part.
pub(super) fn has(file: &TensorFile, tensor: &str) -> bool {
    let part = tensor.split_once(':').map(|(part, _)| format!("{PART}{part}"));
    part.is_some_and(|key| file.metadata().contains_key(&key))
}

/// The saved states of these parts, in their order, if their kinds and settings are those of the file, and it has no others.
pub(super) fn read<T: Scalar>(file: &TensorFile, parts: &[(&str, &mut dyn Part<T>)]) -> Result<Vec<Saved<T>>> {
    let mut wrong = Vec::new();
    let mut all = Vec::with_capacity(parts.len());
    for (name, part) in parts {
        let here = part.saved();
        let Some(kind) = file.metadata().get(&format!("{PART}{name}")) else {
            wrong.push(format!("it has no part `{name}`; expected the state of {}", here.kind));
            continue;
        };
        if *kind != here.kind {
            wrong.push(format!("its part `{name}` is the state of {kind}; expected that of {}", here.kind));
            continue;
        }
        let settings = entries(file, &format!("{PART}{name}.setting."));
        let keys: std::collections::BTreeSet<_> = settings.keys().chain(here.settings.keys()).collect();
        for key in keys.into_iter().filter(|&key| settings.get(key) != here.settings.get(key)) {
            let shown = |map: &BTreeMap<String, String>| map.get(key).cloned().unwrap_or("missing".to_owned());
            let (found, expected) = (shown(&settings), shown(&here.settings));
            wrong.push(format!("its part `{name}` was saved with {key} = {found}; expected {expected}, as here"));
        }
        let values = entries(file, &format!("{PART}{name}.value."));
        let tensors = tensors_of(file, &format!("{name}:"))?;
        all.push(Saved { kind: here.kind, settings, values, tensors });
    }
    let known = |name: &str| parts.iter().any(|(known, _)| *known == name);
    for (name, kind) in entries(file, PART).iter().filter(|(name, _)| !name.contains('.') && !known(name)) {
        wrong.push(format!("it has a part `{name}`, the state of {kind}, that is not resumed here"));
    }
    if wrong.is_empty() {
        return Ok(all);
    }
    let why = format!("belongs to another run:\n  {}", wrong.join("\n  "));
    Err(about(file.path(), ErrorKind::Run, why))
}

/// The metadata under a prefix, by their keys without it.
fn entries(file: &TensorFile, prefix: &str) -> BTreeMap<String, String> {
    let entries = file.metadata().iter();
    entries.filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))).collect()
}
