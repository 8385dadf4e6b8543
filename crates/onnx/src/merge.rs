//! Two recordings of one model, at unlike sizes, merged: what differs depends on the number of time steps or sequences, and is named
//! by it. Constants that differ depend on the input, and are refused.

use std::panic::Location;

use rewind_autograd::Tensor;

use crate::error::{Error, Result};
use crate::record::{Size, place};
use crate::roll::{Entry, Loop, What, same_bits};

/// A number of a shape or a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dim {
    Known(usize),
    /// T, the number of time steps.
    Steps,
    /// T - 1.
    LastStep,
    /// B, the number of sequences.
    Batch,
    /// T·B.
    StepsTimesBatch,
}

/// A setting of an op.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    Number(Dim),
    Numbers(Vec<Dim>),
    Real(f32),
    Flag(bool),
    Text(String),
}

/// A value of the model, for every size.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// A tensor has length 1 on the axes whose length depends on the size: it is the same along them.
    pub(crate) what: What<Value>,
    pub(crate) name: &'static str,
    pub(crate) settings: Vec<(&'static str, Setting)>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) shape: Vec<Dim>,
    pub(crate) scope: String,
    pub(crate) place: &'static Location<'static>,
}

impl Value {
    pub(crate) fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find_map(|(own, value)| (*own == name).then_some(value))
    }
}

/// The values of two recordings.
pub(crate) fn merge(sizes: [Size; 2], a: &[Entry], b: &[Entry]) -> Result<Vec<Value>> {
    if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a.name != b.name || a.inputs != b.inputs) {
        let why = format!("with more time steps or sequences, `{}` is recorded where `{}` was", b.name, a.name);
        return Err(Error::Shape { place: place(a.place), why });
    }
    if a.len() != b.len() {
        let last = a.get(b.len()).or(b.get(a.len())).expect("one list is longer");
        let why = "the number of ops depends on the number of time steps or sequences".to_owned();
        return Err(Error::Shape { place: place(last.place), why });
    }
    a.iter().zip(b).map(|(a, b)| Merger { sizes, a, b }.value()).collect()
}

/// Two entries of one value.
struct Merger<'e> {
    sizes: [Size; 2],
    a: &'e Entry,
    b: &'e Entry,
}

impl Merger<'_> {
    fn value(&self) -> Result<Value> {
        let (a, b) = (self.a, self.b);
        let shape = self.numbers("a shape", &a.shape, &b.shape)?;
        let what = match (&a.what, &b.what) {
            (What::Tensor(x), What::Tensor(y)) => What::Tensor(self.tensor(&shape, [x, y])?),
            (What::Loop(x), What::Loop(y)) if x.carried == y.carried && x.backward == y.backward => {
                let body = merge(self.sizes, &x.body, &y.body)?;
                let Loop { backward, sequences, .. } = **x;
                What::Loop(Box::new(Loop { backward, carried: x.carried.clone(), sequences, body }))
            }
            (What::Input, What::Input) => What::Input,
            (What::Op, What::Op) => What::Op,
            (&What::State(k), What::State(_)) => What::State(k),
            (&What::Sequence(k), &What::Sequence(l)) if k == l => What::Sequence(k),
            (&What::Final(k), &What::Final(l)) if k == l => What::Final(k),
            (&What::Carried(k), What::Carried(_)) => What::Carried(k),
            (&What::Scanned(k), What::Scanned(_)) => What::Scanned(k),
            (&What::Outer(k), What::Outer(_)) => What::Outer(k),
            _ => return Err(self.differs("what is recorded")),
        };
        let settings = a.settings.iter().zip(&b.settings).map(|((name, x), (_, y))| Ok((*name, self.setting(x, y)?)));
        Ok(Value {
            what,
            name: a.name,
            settings: settings.collect::<Result<_>>()?,
            inputs: a.inputs.clone(),
            shape,
            scope: a.scope.clone(),
            place: a.place,
        })
    }

    fn differs(&self, what: &str) -> Error {
        let why =
            format!("{what} of `{}` depends on the number of time steps or sequences in an unknown way", self.a.name);
        Error::Shape { place: place(self.a.place), why }
    }

    fn numbers(&self, what: &str, a: &[usize], b: &[usize]) -> Result<Vec<Dim>> {
        if a.len() != b.len() {
            return Err(self.differs(what));
        }
        a.iter().zip(b).map(|(&a, &b)| self.number(a, b).ok_or_else(|| self.differs(what))).collect()
    }

    fn number(&self, a: usize, b: usize) -> Option<Dim> {
        let is = |of: fn(Size) -> usize| self.sizes.map(of) == [a, b];
        match () {
            () if a == b => Some(Dim::Known(a)),
            () if is(|size| size.steps) => Some(Dim::Steps),
            () if is(|size| size.steps - 1) => Some(Dim::LastStep),
            () if is(|size| size.batch) => Some(Dim::Batch),
            () if is(|size| size.steps * size.batch) => Some(Dim::StepsTimesBatch),
            () => None,
        }
    }

    fn setting(&self, a: &str, b: &str) -> Result<Setting> {
        if let (Ok(a), Ok(b)) = (a.parse(), b.parse()) {
            return Ok(Setting::Number(self.number(a, b).ok_or_else(|| self.differs("a setting"))?));
        }
        if let (Some(a), Some(b)) = (list(a), list(b)) {
            return Ok(Setting::Numbers(self.numbers("a setting", &a, &b)?));
        }
        if a != b {
            // A number of type f32 that is a length, as the divisor of a mean over time.
            let whole = |text: &str| text.strip_suffix(".0").and_then(|digits| digits.parse().ok());
            let length = whole(a).zip(whole(b)).and_then(|(a, b)| self.number(a, b));
            return length.map(Setting::Number).ok_or_else(|| self.differs("a setting"));
        }
        Ok(match (a.parse(), a.parse()) {
            (Ok(flag), _) => Setting::Flag(flag),
            (_, Ok(number)) => Setting::Real(number),
            _ => Setting::Text(a.to_owned()),
        })
    }

    /// The tensor of both recordings, with length 1 on the axes whose length depends on the size.
    fn tensor(&self, shape: &[Dim], tensors: [&Tensor<f32>; 2]) -> Result<Tensor<f32>> {
        let refused = |why: &str| {
            let shape = tensors[0].shape().to_vec();
            Error::Constant { shape, place: place(self.a.place), why: why.to_owned() }
        };
        let mut reduced = tensors.map(Tensor::clone);
        for tensor in &mut reduced {
            for axis in (0..shape.len()).filter(|&axis| !matches!(shape[axis], Dim::Known(_))) {
                let first = tensor.slice(axis, 0..1);
                if !same_bits(&first.broadcast_to(tensor.shape()), tensor) {
                    return Err(refused("has other values along an axis whose length depends on the input"));
                }
                *tensor = first;
            }
        }
        let [first, second] = reduced;
        if same_bits(&first, &second) { Ok(first) } else { Err(refused("has another value for another input")) }
    }
}

/// The numbers of a list that `Debug` has printed.
fn list(text: &str) -> Option<Vec<usize>> {
    let items = text.strip_prefix('[')?.strip_suffix(']')?;
    if items.is_empty() {
        return Some(Vec::new());
    }
    items.split(", ").map(|item| item.parse().ok()).collect()
}
