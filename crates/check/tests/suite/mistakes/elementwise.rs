//! Mistakes in rules of elementwise ops.

use rewind_autograd::Term;

use super::{Mistake, mistakes};

pub(crate) fn mistakes() -> Vec<Mistake> {
    mistakes! {
        // y = x·sigmoid x; x̄ = ȳ·(s + x·s·(1 - s)).
        MissingTerm "swish" [[3, 2]] |x| x[0].map(|x| x / (1.0 + (-x).exp())),
            |_, at| Term::Dense(at.cotangent() * at.input(0).sigmoid());
        // y = x·tanh(softplus x), 1 - t for 1 - t².
        MissingTerm "mish" [[4]] |x| x[0].map(|x| x * x.exp().ln_1p().tanh()),
            |_, at| {
                let (x, t) = (at.input(0), at.input(0).softplus().tanh());
                Term::Dense(at.cotangent() * (t + x * t.one_minus() * x.sigmoid()))
            };
        // y = x·tanh x; x̄ = ȳ·(t + x·(1 - t²)).
        MissingTerm "x_tanh" [[2, 3]] |x| x[0].map(|x| x * x.tanh()),
            |_, at| { let t = at.input(0).tanh(); Term::Dense(at.cotangent() * at.input(0) * (t * t).one_minus()) };
        // y = x + x³; x̄ = ȳ·(1 + 3·x²).
        MissingTerm "cubic_residual" [[5]] |x| x[0].map(|x| x + x * x * x),
            |_, at| Term::Dense(at.cotangent() * at.input(0) * at.input(0) * 3.0);
        // y = a·b + a; ā = ȳ·(b + 1).
        MissingTerm "gated_residual" [[3], [3]] |x| x[0].zip(x[1], |a, b| a * b + a),
            |i, at| Term::Dense(at.cotangent() * at.input(1 - i));
        // y = x·exp(-x²); x̄ = ȳ·(1 - 2·x²)·exp(-x²).
        MissingTerm "gauss_slope" [[2, 2]] |x| x[0].map(|x| x * (-x * x).exp()),
            |_, at| { let x = at.input(0); Term::Dense(at.cotangent() * (-(x * x)).exp()) };

        Sign "minus" [[3, 2], [3, 2]] |x| x[0].zip(x[1], |a, b| a - b), |_, at| Term::Dense(at.cotangent());
        Sign "cosine" [[4]] |x| x[0].map(f64::cos), |_, at| Term::Dense(at.cotangent() * at.input(0).sin());
        Sign "inverse" [[4]] |x| x[0].map(|x| 1.0 / x),
            |_, at| Term::Dense(at.cotangent() * at.output() * at.output());
        Sign "complement" [[2, 3]] |x| x[0].map(|x| 1.0 - x), |_, at| Term::Dense(at.cotangent());
        Sign "gaussian" [[3]] |x| x[0].map(|x| (-x * x).exp()),
            |_, at| Term::Dense(at.cotangent() * at.output() * at.input(0) * 2.0);
        Sign "quotient" [[3], [3]] |x| x[0].zip(x[1], |a, b| a / b),
            |i, at| Term::Dense(match i {
                0 => at.cotangent() / at.input(1),
                _ => at.cotangent() * at.output() / at.input(1),
            });

        Factor "square" [[3, 2]] |x| x[0].map(|x| x * x), |_, at| Term::Dense(at.cotangent() * at.input(0));
        Factor "cube" [[4]] |x| x[0].map(|x| x * x * x),
            |_, at| Term::Dense(at.cotangent() * at.input(0) * at.input(0) * 2.0);
        Factor "root" [[4]] |x| x[0].map(|x| (x * x + 1.0).sqrt()),
            |_, at| Term::Dense(at.cotangent() * at.input(0) * 0.5 / at.output());
        Factor "one_per_cent" [[4]] |x| x[0].map(f64::sin), |_, at| Term::Dense(at.cotangent() * at.input(0).cos() * 1.01);
        // Below the relative tolerance of other checks, and above that of this one.
        Factor "one_in_ten_thousand" [[4]] |x| x[0].map(f64::sin),
            |_, at| Term::Dense(at.cotangent() * at.input(0).cos() * 1.0001);
        // Gradients of a millionth: an absolute tolerance lets everything pass.
        Factor "small_gradient" [[4]] |x| x[0].map(|x| 1e-6 * x.sin()),
            |_, at| Term::Dense(at.cotangent() * at.input(0).cos() * 2e-6);
        Factor "sigmoid_without_complement" [[4]] |x| x[0].map(|x| 1.0 / (1.0 + (-x).exp())),
            |_, at| Term::Dense(at.cotangent() * at.output());

        WrongInput "product" [[3], [3]] |x| x[0].zip(x[1], |a, b| a * b),
            |i, at| Term::Dense(at.cotangent() * at.input(i));
        WrongInput "difference" [[2, 2], [2, 2]] |x| x[0].zip(x[1], |a, b| a - b),
            |i, at| Term::Dense(if i == 1 { at.cotangent() } else { -at.cotangent() });
        WrongInput "power_mix" [[3], [3]] |x| x[0].zip(x[1], |a, b| a * a * b),
            |i, at| Term::Dense(at.cotangent() * match i {
                0 => at.input(0) * at.input(0),
                _ => at.input(0) * at.input(1) * 2.0,
            });
        WrongInput "lerp" [[3], [3], [3]] |x| x[0].zip(x[1], |z, n| (1.0 - z) * n).zip(&x[0].zip(x[2], |z, h| z * h), |a, b| a + b),
            |i, at| {
                let (z, n, h, g) = (at.input(0), at.input(1), at.input(2), at.cotangent());
                Term::Dense(match i { 0 => g * (h - n), 1 => g * z, _ => g * z.one_minus() })
            };

        MissingMask "rectifier" [[3, 3]] |x| x[0].map(|x| x.max(0.0)), |_, at| Term::Dense(at.cotangent());
        MissingMask "hard_tanh" [[3, 3]] |x| x[0].map(|x| x.clamp(-0.8, 0.8)), |_, at| Term::Dense(at.cotangent());
        MissingMask "leaky" [[6]] |x| x[0].map(|x| if x > 0.0 { x } else { 0.1 * x }),
            |_, at| Term::Dense(at.cotangent());
        MissingMask "dropout" [[4], [4]] |x| x[0].zip(x[1], |x, m| if m > 0.0 { 2.0 * x } else { 0.0 }),
            |i, at| if i == 0 { Term::Dense(at.cotangent() * 2.0) } else { Term::Zero };
        MissingMask "larger" [[4], [4]] |x| x[0].zip(x[1], f64::max), |_, at| Term::Dense(at.cotangent());

        SecondOrder "tanh_from_numbers" [[3]] |x| x[0].map(f64::tanh),
            |_, at| { let y = at.output().detach(); Term::Dense(at.cotangent() * (y * y).one_minus()) };
        SecondOrder "sigmoid_from_numbers" [[3]] |x| x[0].map(|x| 1.0 / (1.0 + (-x).exp())),
            |_, at| { let y = at.tape().constant(at.output().value()); Term::Dense(at.cotangent() * y * y.one_minus()) };
        SecondOrder "detached_cotangent" [[3]] |x| x[0].map(f64::sin),
            |_, at| Term::Dense(at.cotangent().detach() * at.input(0).cos());
        SecondOrder "detached_factor" [[3], [3]] |x| x[0].zip(x[1], |a, b| a * b),
            |i, at| Term::Dense(at.cotangent() * at.input(1 - i).detach());
        SecondOrder "half_detached" [[3]] |x| x[0].map(|x| x * x * x),
            |_, at| Term::Dense(at.cotangent() * at.input(0) * at.input(0).detach() * 3.0);
        SecondOrder "slope_as_a_number" [[3]] |x| x[0].map(f64::exp),
            |_, at| Term::Dense(at.cotangent() * at.tape().constant(at.input(0).value().map(f64::exp)));
    }
}
