//! What the lens returns as JSON: a tensor is its shape and its values.

use rewind_autograd::Tensor;
use rewind_rnn::{Lstm, lens, unroll};
use serde_json::Value;

use super::{random, randomised, rng, step_losses};

#[test]
fn every_result_of_the_lens() {
    let lstm: Lstm<Tensor<f64>> = randomised(&Lstm::new(2, 3, &mut rng()), 5);
    let x: Tensor<f64> = random(&[4, 1, 2], 9);
    let json = |value: serde_json::Result<Value>| value.expect("a plain struct can be serialised");
    let path = lens::path(&lstm, "weight_hh", 3, 1, |tape, lstm| {
        step_losses(unroll(lstm, tape.constant(x.clone())).outputs())
    });
    let written = json(serde_json::to_value(&path));
    assert_eq!(written["factors"][0]["jacobian"]["shape"], serde_json::json!([6, 6]));
    let first = written["factors"][0]["jacobian"]["values"][7].as_f64();
    assert_eq!(first, Some(path.factors[0].jacobian.to_vec()[7]));
    assert_eq!(written["step"], 1);
    let items = lens::itemised(&lstm, |tape, lstm| {
        let run = unroll(lstm, tape.constant(x.clone()));
        (0..4).map(|t| run.output(t).square().sum()).collect()
    });
    let table = items.table("weight_hh");
    let written = json(serde_json::to_value(&table));
    assert_eq!(written["rows"][3][1].as_f64(), table.rows[3][1]);
    assert_eq!(written["rows"][0][1], Value::Null);
    let truncation = json(serde_json::to_value(items.truncation("weight_hh", &[0, 1, 2, 3])));
    assert_eq!(truncation["by_steps"][3]["steps"], 4);
    let flow = lens::flow(&lstm, |tape, lstm| step_losses(unroll(lstm, tape.constant(x.clone())).outputs()));
    assert_eq!(json(serde_json::to_value(&flow))["states"][1]["name"], "c");
    let influence = lens::influence(&lstm, &x, |_, lstm, x| unroll(lstm, x).outputs());
    assert_eq!(json(serde_json::to_value(&influence))["norms"][2][1].as_f64(), Some(influence.norms[2][1]));
    let surface = lens::cliff(&lens::Cliff { grid: [2, 3], steps: 2, ..lens::Cliff::default() });
    assert_eq!(json(serde_json::to_value(&surface))["plain"][0]["w"].as_f64(), Some(5.0));
    assert_eq!(json(serde_json::to_value(lens::chain(2.0, 3)))["gradients"][0].as_f64(), Some(8.0));
}
