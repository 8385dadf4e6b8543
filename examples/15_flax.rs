//! Cells of JAX and Flax: their parameters here, with the outputs, gradients and Hessian-vector products that JAX computed.
//!
//! `cargo run --example 15_flax`; `docs/jax.md` explains it. It reads files that JAX wrote, from `crates/fixtures/flax`.

use std::error::Error;
use std::path::Path;

use rewind_rnn::autograd::{OnTape, Parameters, Tape, Tensor, Var, derive};
use rewind_rnn::file::{Precision, TensorFile};
use rewind_rnn::{Cell, Gru, Lstm, RecurrentModule, Reset, TanhRnn, unroll};

/// The file of a cell, as `to_rewind` arranges its parameters.
fn open(name: &str) -> rewind_rnn::Result<TensorFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/fixtures/flax");
    TensorFile::open(folder.join(name).with_extension("safetensors"))
}

/// `nn.LSTMCell(3)` or `nn.OptimizedLSTMCell(3)`.
fn lstm(file: &TensorFile) -> rewind_rnn::Result<Lstm<Tensor<f64>>> {
    let tensor = |name| file.tensor(name, Precision::AsStored);
    Ok(Lstm {
        weight_ih: tensor("weight_ih")?,
        weight_hh: tensor("weight_hh")?,
        bias: Some(tensor("bias")?),
        initial_hidden: None,
        initial_cell: None,
    })
}

/// `nn.GRUCell(3)`.
fn gru(file: &TensorFile) -> rewind_rnn::Result<Gru<Tensor<f64>>> {
    let tensor = |name| file.tensor(name, Precision::AsStored);
    Ok(Gru {
        weight_ih: tensor("weight_ih")?,
        weight_hh: tensor("weight_hh")?,
        weight_hn: tensor("weight_hn")?,
        bias: Some(tensor("bias")?),
        bias_hn: Some(tensor("bias_hn")?),
        initial: None,
        reset: Reset::AfterProduct,
    })
}

/// `nn.SimpleCell(3)`.
fn tanh(file: &TensorFile) -> rewind_rnn::Result<TanhRnn<Tensor<f64>>> {
    let tensor = |name| file.tensor(name, Precision::AsStored);
    Ok(TanhRnn {
        weight_ih: tensor("weight_ih")?,
        weight_hh: tensor("weight_hh")?,
        bias: Some(tensor("bias")?),
        initial: None,
    })
}

/// `jnp.sum(nn.RNN(cell, time_major=True).apply(params, x) ** 2)`.
fn loss<'t, C: Cell<'t, f64>>(cell: &C, x: Var<'t, f64>) -> Var<'t, f64> {
    unroll(cell, x).outputs().square().sum()
}

/// Compares what the cell computes with what JAX did: outputs, a gradient, and a Hessian times a direction.
fn compare<C: RecurrentModule<f64>>(file: &TensorFile, cell: &C) -> rewind_rnn::Result<()> {
    let tensor = |name| file.tensor::<f64>(name, Precision::AsStored);
    let x = tensor("x")?;
    let tape = Tape::new();
    let on_tape = cell.on(&tape);
    assert_same(&unroll(&on_tape, tape.constant(x.clone())).outputs().value(), &tensor("y")?);

    // jax.grad(loss)(params)
    let (_, gradient) = derive::gradient(cell, |tape, cell| loss(cell, tape.constant(x.clone())));
    assert_same(gradient.leaves()[0], &tensor("gradient")?);

    // jax.jvp(jax.grad(loss), (params,), (v,)), where v moves the biases alone
    let v = cell.map(|name, p| match name {
        "bias" => file.tensor("v", Precision::AsStored),
        "bias_hn" => file.tensor("v_hn", Precision::AsStored),
        _ => Ok(Tensor::zeros(p.shape())),
    });
    let v = v.map(|_, tensor| tensor.as_ref().expect("the file has it").clone());
    let (_, product) = derive::hvp(cell, &v, |tape, cell| loss(cell, tape.constant(x.clone())));
    let mut found = None;
    product.visit(|name, p| found = if name == "bias" { Some(p.clone()) } else { found.take() });
    assert_same(&found.expect("the cell has a bias"), &tensor("hessian_v")?);
    Ok(())
}

/// Panics if the two differ by more than rounding.
fn assert_same(ours: &Tensor<f64>, theirs: &Tensor<f64>) {
    assert_eq!(ours.shape(), theirs.shape());
    for (a, b) in ours.to_vec().into_iter().zip(theirs.to_vec()) {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{a} here, {b} in JAX");
    }
}

fn run() -> rewind_rnn::Result<()> {
    for name in ["lstm", "gru", "tanh"] {
        let file = open(name)?;
        match name {
            "lstm" => compare(&file, &lstm(&file)?)?,
            "gru" => compare(&file, &gru(&file)?)?,
            _ => compare(&file, &tanh(&file)?)?,
        }
        println!("{name}: outputs, gradient and Hessian-vector product are those of JAX");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    Ok(run()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_flax_compute_the_same_here() {
        run().unwrap();
    }

    #[test]
    #[should_panic(expected = "in JAX")]
    fn gates_in_another_order_are_noticed() {
        let file = open("lstm").unwrap();
        let mut swapped = lstm(&file).unwrap();
        let order: Vec<usize> = [1, 0, 2, 3].iter().flat_map(|gate| gate * 3..gate * 3 + 3).collect();
        let bias = swapped.bias.as_ref().unwrap().to_vec();
        swapped.bias = Some(Tensor::from_vec(order.iter().map(|&k| bias[k]).collect(), &[12]));
        compare(&file, &swapped).unwrap();
    }
}
