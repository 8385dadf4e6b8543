//! The parts of a run in a file, beside the model and its optimiser.
//!
//! A part `NAME` has the metadata `rewind.part.NAME` with its kind, `rewind.part.NAME.setting.X` and `rewind.part.NAME.value.X`, and
//! tensors with the prefix `NAME:`, which no field of a struct can have.

use std::collections::{BTreeMap, BTreeSet};

use rewind_autograd::Scalar;

use super::training::tensors_of;
use super::{Metadata, NamedTensors, TensorFile};
use crate::error::Result;
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

/// The saved states of these parts, in their order. What differs from the file is added to `wrong`: other kinds, other settings, parts that
/// one of the two lacks.
pub(super) fn read<T: Scalar>(
    file: &TensorFile,
    parts: &[(&str, &mut dyn Part<T>)],
    wrong: &mut Vec<String>,
) -> Result<Vec<Saved<T>>> {
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
        wrong.extend(other_settings(&format!("its part `{name}`"), &settings, &here.settings));
        let values = entries(file, &format!("{PART}{name}.value."));
        let tensors = tensors_of(file, &format!("{name}:"))?;
        all.push(Saved { kind: here.kind, settings, values, tensors });
    }
    let known = |name: &str| parts.iter().any(|(known, _)| *known == name);
    for (name, kind) in entries(file, PART).iter().filter(|(name, _)| !name.contains('.') && !known(name)) {
        wrong.push(format!("it has a part `{name}`, the state of {kind}, that is not resumed here"));
    }
    Ok(all)
}

/// The settings that `what` was saved with and does not have here, each with both values.
pub(super) fn other_settings(
    what: &str,
    found: &BTreeMap<String, String>,
    here: &BTreeMap<String, String>,
) -> Vec<String> {
    let keys: BTreeSet<_> = found.keys().chain(here.keys()).collect();
    let differ = keys.into_iter().filter(|&key| found.get(key) != here.get(key));
    let shown = |map: &BTreeMap<String, String>, key| map.get(key).cloned().unwrap_or("missing".to_owned());
    let text =
        |key| format!("{what} was saved with {key} = {}; expected {}, as here", shown(found, key), shown(here, key));
    differ.map(text).collect()
}

/// The metadata under a prefix, by their keys without it.
pub(super) fn entries(file: &TensorFile, prefix: &str) -> BTreeMap<String, String> {
    let entries = file.metadata().iter();
    entries.filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))).collect()
}
