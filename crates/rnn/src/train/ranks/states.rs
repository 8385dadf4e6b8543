//! The states of shards, given to the ranks that do not compute them.

use ferrompi::{Communicator, MpiDatatype};
use rewind_autograd::{Scalar, Tensor};
use serde_json::{Value, json};

use super::exchange::{blocks, shards_of};
use super::{count, error};
use crate::error::{Error, ErrorKind, Result};
use crate::train::resume::{Part, Saved};

/// Gives each rank the states of all parts.
pub(super) fn share<T: Scalar, P: Part<T>>(world: &Communicator, parts: &mut [P]) -> Result<()> {
    let (rank, ranks) = (count(world.rank()), count(world.size()));
    let own = shards_of(rank, ranks, parts.len()).map(|shard| parts[shard].saved());
    let (texts, elements): (Vec<_>, Vec<_>) = own.map(|saved: Saved<T>| written(&saved)).unzip();
    let texts = gathered(world, Value::from(texts).to_string().as_bytes())?;
    let elements = gathered(world, &elements.concat())?;
    for (from, (text, elements)) in texts.iter().zip(&elements).enumerate().filter(|&(from, _)| from != rank) {
        let mut elements = elements.iter().copied();
        let all: Vec<Value> = serde_json::from_slice(text).map_err(|_| strange(from))?;
        for (shard, text) in shards_of(from, ranks, parts.len()).zip(all) {
            let saved = read(&text, &mut elements).ok_or_else(|| strange(from))?;
            parts[shard].resume(&saved)?();
        }
    }
    Ok(())
}

/// What every rank gave.
fn gathered<W: MpiDatatype + Default>(world: &Communicator, own: &[W]) -> Result<Vec<Vec<W>>> {
    let cannot = |source| error("cannot share the states of shards", source);
    let mut lengths = vec![0; count(world.size())];
    world.allgather(&[own.len() as u64], &mut lengths).map_err(cannot)?;
    let from = blocks(lengths.iter().map(|&length| length as usize));
    let mut all = vec![W::default(); lengths.iter().sum::<u64>() as usize];
    world.allgatherv(own, &mut all, &from.counts, &from.starts).map_err(cannot)?;
    let mut rest = all.into_iter();
    Ok(lengths.iter().map(|&length| rest.by_ref().take(length as usize).collect()).collect())
}

/// A state as text and the elements of its tensors; every element is exact as an `f64`.
fn written<T: Scalar>(saved: &Saved<T>) -> (Value, Vec<f64>) {
    let Saved { kind, settings, values, tensors } = saved;
    let names: Vec<_> = tensors.iter().map(|(name, tensor)| json!([name, tensor.shape()])).collect();
    let elements = tensors.iter().flat_map(|(_, tensor)| tensor.to_vec()).map(T::to_f64);
    (json!([kind, settings, values, names]), elements.collect())
}

/// The state, if the text is one.
fn read<T: Scalar>(text: &Value, elements: &mut impl Iterator<Item = f64>) -> Option<Saved<T>> {
    let (kind, settings, values, names): (String, _, _, Vec<(String, Vec<usize>)>) =
        serde_json::from_value(text.clone()).ok()?;
    let mut tensor = |shape: &[usize]| {
        let count: usize = shape.iter().product();
        let own: Vec<T> = elements.by_ref().take(count).map(T::from_f64).collect();
        (own.len() == count).then(|| Tensor::from_vec(own, shape))
    };
    let tensors = names.into_iter().map(|(name, shape)| Some((name, tensor(&shape)?)));
    Some(Saved { kind, settings, values, tensors: tensors.collect::<Option<_>>()? })
}

/// The error of a rank that runs another program.
fn strange(rank: usize) -> Error {
    let text = format!("ranks: rank {rank} gave no states of shards; expected the same program on all ranks");
    Error::new(ErrorKind::Run, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let tensors = [(vec![2, 3], 0.1_f32), (vec![0], 0.0), (vec![], f32::MIN_POSITIVE / 4.0)];
        let named = tensors.iter().enumerate().map(|(i, (shape, x))| (format!("t{i}"), Tensor::full(shape, *x)));
        let saved = Saved::new("Kind \"quoted\"").setting("a", 1.5).value("count", u64::MAX).tensors(named.collect());
        let (text, elements) = written(&saved);
        let text: Value = serde_json::from_str(&text.to_string()).unwrap();
        assert_eq!(read(&text, &mut elements.iter().copied()), Some(saved));
        assert_eq!(read::<f32>(&text, &mut elements[1..].iter().copied()), None, "an element is missing");
        assert_eq!(read::<f32>(&json!({}), &mut elements.into_iter()), None);
    }
}
