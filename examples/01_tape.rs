//! The tape, node by node: one neuron, its error, and the derivative of the error with respect to everything.
//!
//! `cargo run --example 01_tape`

use rewind_autograd::{Tape, Tensor, Var};

fn main() {
    // A tape records every operation on its variables, in order.
    let tape = Tape::<f64>::new();
    let leaf = |x| tape.leaf(Tensor::scalar(x));
    let (x1, x2) = (leaf(2.0), leaf(-1.0)); // inputs
    let (w1, w2, b) = (leaf(0.5), leaf(-1.5), leaf(-2.0)); // weights and bias
    let a1 = x1 * w1;
    let a2 = x2 * w2;
    let a = a1 + a2;
    let n = a + b;
    let o = n.tanh(); // the neuron: o = tanh(x1·w1 + x2·w2 + b)
    let e = o - 1.0; // it should say 1 ...
    let loss = e * e; // ... and this is its error

    // Reading the tape backwards gives the cotangent of every node, d loss / d node: the rate at which the loss
    // changes with this value alone.
    let names = ["x1", "x2", "w1", "w2", "b", "a1", "a2", "a", "n", "o", "e", "loss"];
    let vars = [x1, x2, w1, w2, b, a1, a2, a, n, o, e, loss];
    let cotangents = loss.backward_to(&vars);

    println!("node  name  op           inputs     value   cotangent");
    for (name, var) in names.iter().zip(vars) {
        let node = tape.node(var.position());
        let inputs: Vec<_> = node.inputs.iter().map(|i| format!("#{i}")).collect();
        let (value, cotangent) = (node.value.item(), cotangents.get(var).item());
        println!(
            "#{:<4} {name:<5} {:<12} {:<7} {value:>8.4}  {cotangent:>10.4}",
            node.index,
            node.name,
            inputs.join(" ")
        );
    }

    println!();
    println!("Read the cotangents from the bottom up: the loss has 1, and every op sends terms to its inputs.");
    println!("  e is an input of the loss twice, so two terms e·1 add up: 2·e = {:.4}", 2.0 * e.value().item());
    println!("  tanh multiplies by its slope 1 - o²:              n has {:.4}", cotangents.get(n).item());
    println!("  a sum sends it on unchanged:                      b has {:.4}", cotangents.get(b).item());
    println!("  a product multiplies by the other factor, x1 = 2: w1 has {:.4}", cotangents.get(w1).item());

    // A small step against the gradient lowers the error.
    let step = 0.1;
    let stepped = |v: Var<'_, f64>| v.value().item() - step * cotangents.get(v).item();
    let o = (2.0 * stepped(w1) - stepped(w2) + stepped(b)).tanh();
    println!();
    println!(
        "After one step of {step} against the gradient of w1, w2 and b the loss is {:.4}; it was {:.4}.",
        (o - 1.0) * (o - 1.0),
        loss.value().item()
    );
}
