//! `optim_*` and `clip_grad_norm`.

use rewind_autograd::{Tensor, parameters};
use rewind_rnn::clip;
use rewind_rnn::optim::{Adagrad, Adam, AdamW, Optimizer, RmsProp, Sgd};

use super::{Case, Found};

parameters! { struct Leaves<P> { all: Vec<One<P>> } }
parameters! { struct One<P> { p: P } }

pub(crate) fn optimizer(case: &Case) -> Found {
    let rate = case.needed("lr")?;
    let or = |key: &str, default: f64| case.number(key).map(|x| x.unwrap_or(default));
    let betas = case.numbers("betas")?.unwrap_or_else(|| vec![0.9, 0.999]);
    let [beta1, beta2] = *betas.as_slice() else { return Err(format!("betas {betas:?} are not two")) };
    match case.name.split('_').nth(1) {
        Some("sgd") => {
            let nesterov = case.text("nesterov") == Some("true");
            let sgd = Sgd::new(rate).momentum(or("momentum", 0.0)?).nesterov(nesterov);
            trajectory(case, sgd.weight_decay(or("weight_decay", 0.0)?))
        }
        Some("rmsprop") => {
            let rmsprop = RmsProp::new(rate).alpha(or("alpha", 0.99)?).eps(or("eps", 1e-8)?);
            trajectory(case, rmsprop.weight_decay(or("weight_decay", 0.0)?))
        }
        Some("adagrad") => {
            let adagrad = Adagrad::new(rate).eps(or("eps", 1e-10)?);
            trajectory(case, adagrad.weight_decay(or("weight_decay", 0.0)?))
        }
        Some("adam") => {
            let adam = Adam::new(rate).betas(beta1, beta2).eps(or("eps", 1e-8)?);
            trajectory(case, adam.weight_decay(or("weight_decay", 0.0)?))
        }
        Some("adamw") => {
            let adamw = AdamW::new(rate).betas(beta1, beta2).eps(or("eps", 1e-8)?);
            trajectory(case, adamw.weight_decay(or("weight_decay", 0.01)?))
        }
        other => Err(format!("no optimiser is known for {other:?}")),
    }
}

/// The parameter after every step, one below the other.
fn trajectory(case: &Case, mut optimizer: impl Optimizer<f64>) -> Found {
    let gradients = case.tensor::<f64>("in.grads")?;
    let mut parameters = One { p: case.tensor::<f64>("in.p0")? };
    let mut found = Vec::new();
    for step in 0..gradients.shape()[0] {
        let gradient = One { p: gradients.index(0, step) };
        optimizer.step(&mut parameters, &gradient).map_err(|e| e.to_string())?;
        found.extend(parameters.p.to_vec());
    }
    case.compare("out.trajectory", &Tensor::from_vec(found, gradients.shape()))
}

pub(crate) fn clip_norm(case: &Case) -> Found {
    let one = |i| Ok(One { p: case.tensor::<f64>(&format!("in.g{i}"))? });
    let mut gradients = Leaves { all: (0..case.names("in.g").len()).map(one).collect::<Result<_, String>>()? };
    let norm = clip::clip_norm(&mut gradients, case.needed("max_norm")?).map_err(|e| e.to_string())?;
    case.compare("out.total_norm", &Tensor::full(&[1], norm))?;
    gradients.all.iter().enumerate().try_for_each(|(i, g)| case.compare(&format!("out.g{i}"), &g.p))
}
