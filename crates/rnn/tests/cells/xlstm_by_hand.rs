//! The cells of xLSTM in plain loops over numbers, without a stabiliser that is carried: every source of a memory is listed with the
//! logarithm of its weight.

use rewind_autograd::Tensor;
use rewind_rnn::{ForgetGate, MLstm, SLstm};

/// A first state of one sequence: parts in the order of the state, row-major.
pub(crate) type First = [Vec<f64>; 4];

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn ln_forget(gate: ForgetGate, f: f64) -> f64 {
    match gate {
        ForgetGate::Exponential => f,
        ForgetGate::Sigmoid if f > 0.0 => -(-f).exp().ln_1p(),
        ForgetGate::Sigmoid => f - f.exp().ln_1p(),
    }
}

fn affine(x: &[f64], weight: &Tensor<f64>, bias: Option<&Tensor<f64>>, column: usize) -> f64 {
    let product: f64 = x.iter().enumerate().map(|(k, x)| x * weight.at(&[k, column])).sum();
    product + bias.map_or(0.0, |bias| bias.at(&[column]))
}

/// What a memory holds: the logarithm of a weight, and what is weighted.
struct Source<S> {
    ln: f64,
    what: S,
}

/// Σ of what is weighted, in units of the largest weight, and the logarithm of that.
fn sum<S>(sources: &[Source<S>], what: impl Fn(&S) -> f64) -> f64 {
    let most = largest(sources);
    sources.iter().map(|source| (source.ln - most).exp() * what(&source.what)).sum()
}

fn largest<S>(sources: &[Source<S>]) -> f64 {
    sources.iter().map(|source| source.ln).fold(f64::NEG_INFINITY, f64::max)
}

/// The hidden states of all steps, each of one sequence x `[T][I]`.
pub(crate) fn slstm(cell: &SLstm<Tensor<f64>>, x: &[Vec<f64>], first: &First) -> Vec<Vec<f64>> {
    let [hidden, c, n, m] = first;
    let units = hidden.len();
    let mut h = hidden.clone();
    let mut memories: Vec<_> = (0..units).map(|j| vec![Source { ln: m[j], what: [c[j], n[j]] }]).collect();
    let step = |x: &Vec<f64>| {
        let gate = |gate: usize, j: usize| {
            let column = gate * units + j;
            affine(x, &cell.weight_ih, cell.bias.as_ref(), column) + recurrent(&cell.weight_hh, &h, gate, j)
        };
        let next: Vec<f64> = (0..units)
            .map(|j| {
                let memory = &mut memories[j];
                let decay = ln_forget(cell.forget, gate(1, j));
                memory.iter_mut().for_each(|source| source.ln += decay);
                memory.push(Source { ln: gate(0, j), what: [gate(2, j).tanh(), 1.0] });
                sigmoid(gate(3, j)) * sum(memory, |what| what[0]) / sum(memory, |what| what[1])
            })
            .collect();
        h.clone_from(&next);
        next
    };
    x.iter().map(step).collect()
}

/// h·U for one unit of one gate: in heads, of the units of its head alone.
fn recurrent(weight: &Tensor<f64>, h: &[f64], gate: usize, j: usize) -> f64 {
    match *weight.shape() {
        [_, width, _] => {
            let (head, column) = (j / width, gate * width + j % width);
            (0..width).map(|k| h[head * width + k] * weight.at(&[head, k, column])).sum()
        }
        _ => affine(h, weight, None, gate * h.len() + j),
    }
}

/// A key and a value, or the first C and n.
enum Stored {
    Pair { key: Vec<f64>, value: Vec<f64> },
    First { cell: Vec<f64>, normaliser: Vec<f64> },
}

impl Stored {
    /// Element `d` of q·C, or q·n.
    fn read(&self, q: &[f64], d: Option<usize>) -> f64 {
        let dot = |a: &[f64]| q.iter().zip(a).map(|(q, a)| q * a).sum::<f64>();
        match (self, d) {
            (Stored::Pair { key, value }, d) => dot(key) * d.map_or(1.0, |d| value[d]),
            (Stored::First { cell, .. }, Some(d)) => (0..q.len()).map(|k| q[k] * cell[k * q.len() + d]).sum(),
            (Stored::First { normaliser, .. }, None) => dot(normaliser),
        }
    }
}

/// The hidden states of all steps, each of one sequence x `[T][I]`, with `heads` heads.
pub(crate) fn mlstm(cell: &MLstm<Tensor<f64>>, heads: usize, x: &[Vec<f64>], first: &First) -> Vec<Vec<f64>> {
    let [hidden, cells, normalisers, m] = first;
    let width = hidden.len() / heads;
    let part = |all: &[f64], head: usize, size: usize| all[head * size..(head + 1) * size].to_vec();
    let mut memories: Vec<_> = (0..heads)
        .map(|head| {
            let (cell, normaliser) = (part(cells, head, width * width), part(normalisers, head, width));
            vec![Source { ln: m[head], what: Stored::First { cell, normaliser } }]
        })
        .collect();
    let step = |x: &Vec<f64>| {
        let gate = |column| affine(x, &cell.weight_gates, cell.bias_gates.as_ref(), column);
        let unit = |column| affine(x, &cell.weight_ih, cell.bias.as_ref(), column);
        let mut h = Vec::new();
        for (head, memory) in memories.iter_mut().enumerate() {
            let units =
                |kind: usize| (0..width).map(|d| unit(kind * heads * width + head * width + d)).collect::<Vec<_>>();
            let (query, value) = (units(0), units(2));
            let key = units(1).iter().map(|k| k / (width as f64).sqrt()).collect();
            let decay = ln_forget(cell.forget, gate(heads + head));
            memory.iter_mut().for_each(|source| source.ln += decay);
            memory.push(Source { ln: gate(head), what: Stored::Pair { key, value } });
            let norm = sum(memory, |stored| stored.read(&query, None)).abs().max((-largest(memory)).exp());
            let open = units(3);
            h.extend((0..width).map(|d| sigmoid(open[d]) * sum(memory, |stored| stored.read(&query, Some(d))) / norm));
        }
        h
    };
    x.iter().map(step).collect()
}
