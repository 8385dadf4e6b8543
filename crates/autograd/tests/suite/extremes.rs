//! Ops and their rules at ±∞, NaN, ±0 and the smallest and largest finite values, at orders one and two, compared with PyTorch.
//! Where they differ, `DIFFERENCES` says what is returned here, and why; `docs/extremes.md` shows all values.

use rewind_autograd::ops::layout::stack;
use rewind_autograd::{Scalar, Tape, Tensor, Var};

use crate::op_table::Build;
use crate::reference::Case;

struct Function {
    name: &'static str,
    wide: Build<f64>,
    narrow: Build<f32>,
}

macro_rules! functions {
    ($($name:literal => |$t:tt, $v:ident| $value:expr;)*) => {
        vec![$(Function { name: $name, wide: |$t, $v| $value, narrow: |$t, $v| $value }),*]
    };
}

fn unary() -> Vec<Function> {
    functions! {
        "neg" => |_, v| -v[0];
        "one_minus" => |_, v| v[0].one_minus();
        "half" => |_, v| v[0] / 2.0;
        "exp" => |_, v| v[0].exp();
        "exp_m1" => |_, v| v[0].exp_m1();
        "ln" => |_, v| v[0].ln();
        "ln_1p" => |_, v| v[0].ln_1p();
        "square" => |_, v| v[0].square();
        "sqrt" => |_, v| v[0].sqrt();
        "reciprocal" => |_, v| v[0].reciprocal();
        "sin" => |_, v| v[0].sin();
        "cos" => |_, v| v[0].cos();
        "erf" => |_, v| v[0].erf();
        "normal_cdf" => |_, v| v[0].normal_cdf();
        "abs" => |_, v| v[0].abs();
        "tanh" => |_, v| v[0].tanh();
        "sigmoid" => |_, v| v[0].sigmoid();
        "softplus" => |_, v| v[0].softplus();
        "elu" => |_, v| v[0].elu();
        "relu" => |_, v| v[0].relu();
        "silu" => |_, v| v[0].silu();
        "gelu" => |_, v| v[0].gelu();
        "sign" => |_, v| v[0].sign();
        "clamp" => |_, v| v[0].clamp(-1.0, 2.0);
        "powf_0" => |_, v| v[0].powf(0.0);
        "powf_1" => |_, v| v[0].powf(1.0);
        "powf_2" => |_, v| v[0].powf(2.0);
        "powf_3" => |_, v| v[0].powf(3.0);
        "powf_0.5" => |_, v| v[0].powf(0.5);
        "powf_-1" => |_, v| v[0].powf(-1.0);
    }
}

/// Two columns as rows `[…, 2]`.
fn rows<'t, T: Scalar>(v: &[Var<'t, T>]) -> Var<'t, T> {
    stack(v, 1)
}

fn pairs() -> Vec<Function> {
    functions! {
        "add" => |_, v| v[0] + v[1];
        "sub" => |_, v| v[0] - v[1];
        "mul" => |_, v| v[0] * v[1];
        "div" => |_, v| v[0] / v[1];
        "maximum" => |_, v| v[0].maximum(v[1]);
        "squared_error" => |_, v| v[0].squared_error(v[1]);
        "where" => |t, v| {
            let even = Tensor::from_fn(&v[0].shape(), |i| if i % 2 == 0 { 1.0 } else { 0.0 });
            t.constant(even).select(v[0], v[1])
        };
        "sum" => |_, v| rows(v).sum_axis(1);
        "max_axis" => |_, v| rows(v).max_axis(1);
        "log_sum_exp" => |_, v| rows(v).log_sum_exp(1);
        "softmax" => |_, v| rows(v).softmax(1).index(1, 0);
        "log_softmax" => |_, v| rows(v).log_softmax(1).index(1, 0);
        "cross_entropy" => |t, v| {
            let first = Tensor::from_fn(&[v[0].element_count(), 2], |i| if i % 2 == 0 { 1.0 } else { 0.0 });
            rows(v).cross_entropy(t.constant(first))
        };
        "binary_cross_entropy" => |t, v| v[0].binary_cross_entropy(t.constant(Tensor::full(&v[0].shape(), 1.0)));
        "matmul" => |_, v| {
            let [a, b] = [0, 1].map(|k| stack(&[v[k], v[k]], 1));
            a.unsqueeze(1).matmul(b.unsqueeze(2)).reshape(&v[0].shape())
        };
    }
}

/// The value, its derivatives, and the derivatives of their sum, a row each.
fn derivatives<T: Scalar>(build: Build<T>, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let tape = Tape::new();
    let leaf = |x: &Vec<f64>| tape.leaf(Tensor::from_fn(&[x.len()], |i| T::from_f64(x[i])));
    let x: Vec<_> = inputs.iter().map(leaf).collect();
    let y = build(&tape, &x);
    let ones = tape.constant(Tensor::full(&y.shape(), T::ONE));
    let first = y.grad_from(ones, &x);
    let sum = first.iter().copied().reduce(|a, b| a + b).expect("there is an input");
    let second = sum.grad_from(ones, &x);
    let rows = [y].into_iter().chain(first).chain(second);
    rows.map(|v| v.value().to_vec().into_iter().map(Scalar::to_f64).collect()).collect()
}

/// Points at which the result differs from PyTorch's.
struct Difference {
    functions: &'static [&'static str],
    /// Value, first or second derivative.
    orders: &'static [usize],
    /// The points, in words and as a predicate.
    place: &'static str,
    holds: fn(&[f64]) -> bool,
    /// The result here, in words and as a predicate of the point and the result.
    here: &'static str,
    gives: fn(&[f64], f64) -> bool,
    why: &'static str,
}

const EVERY_ORDER: &[usize] = &[0, 1, 2];

fn has_infinity(x: &[f64]) -> bool {
    x.contains(&f64::INFINITY) && !x.iter().any(|x| x.is_nan())
}

fn only_negative_infinity(x: &[f64]) -> bool {
    x.iter().all(|&x| x == f64::NEG_INFINITY)
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        functions: &["log_sum_exp", "softmax", "log_softmax", "cross_entropy"],
        orders: EVERY_ORDER,
        place: "a row with +∞",
        holds: has_infinity,
        here: "the limit: +∞ has probability 1, shared among several",
        gives: |_, y| !y.is_nan(),
        why: "PyTorch: NaN, from ∞ - ∞",
    },
    Difference {
        functions: &["log_sum_exp", "softmax", "log_softmax", "cross_entropy"],
        orders: EVERY_ORDER,
        place: "a row with all elements -∞",
        holds: only_negative_infinity,
        here: "every probability is 0 and its logarithm -∞; no gradient flows through ln Σ e^x",
        gives: |_, y| !y.is_nan(),
        why: "such rows are common in CTC and under masks; PyTorch: NaN, or NaN gradients",
    },
    Difference {
        functions: &["log_sum_exp"],
        orders: &[1, 2],
        place: "two equal values of the largest size",
        holds: |x| x[0] == x[1] && x[0].abs() > 1e38,
        here: "½ each",
        gives: |_, y| y == 0.5 || y == 0.0,
        why: "PyTorch: 1 each, from e^(x - y), where ln 2 is lost to rounding in y",
    },
    Difference {
        functions: &["binary_cross_entropy"],
        orders: &[0],
        place: "±∞ with a target of 1",
        holds: |x| x[0].is_infinite(),
        here: "the limit: 0 at ∞, ∞ at -∞",
        gives: |x, y| if x[0] > 0.0 { y == 0.0 } else { y == f64::INFINITY },
        why: "PyTorch: NaN, from 0·∞ and ∞ - ∞",
    },
    Difference {
        functions: &["sign", "abs", "relu", "elu", "clamp", "maximum"],
        orders: EVERY_ORDER,
        place: "NaN",
        holds: |x| x.iter().any(|x| x.is_nan()),
        here: "NaN, in the value and in the gradient",
        gives: |_, y| y.is_nan(),
        why: "a result that depends on NaN must be NaN; PyTorch's gradients are 0 or 1 there",
    },
    Difference {
        functions: &["clamp"],
        orders: &[1],
        place: "the bound itself",
        holds: |x| x[0] == -1.0,
        here: "1: the bounds count as inside",
        gives: |_, y| y == 1.0,
        why: "a kink; PyTorch chooses 0",
    },
    Difference {
        functions: &["erf", "normal_cdf", "gelu"],
        orders: &[2],
        place: "the largest values",
        holds: |x| x[0].is_finite() && x[0].abs() > 1e38,
        here: "0",
        gives: |_, y| y == 0.0,
        why: "PyTorch: NaN, from 2x·0 where 2x is infinite",
    },
    Difference {
        functions: &["powf_0.5"],
        orders: &[2],
        place: "-∞",
        holds: |x| x[0] == f64::NEG_INFINITY,
        here: "NaN, as for every negative x",
        gives: |_, y| y.is_nan(),
        why: "PyTorch uses the power of -∞ of the platform, which is not NaN",
    },
    Difference {
        functions: &["ln_1p"],
        orders: &[0],
        place: "the smallest values",
        holds: |x| x[0].abs() < 1e-37,
        here: "x",
        gives: |x, y| y == x[0],
        why: "PyTorch's vectorised kernels flush subnormal values to 0",
    },
    Difference {
        functions: &["gelu"],
        orders: &[0],
        place: "+∞ in f32",
        holds: |x| x[0] == f64::INFINITY,
        here: "∞",
        gives: |_, y| y == f64::INFINITY,
        why: "PyTorch: NaN in f32, ∞ in f64",
    },
];

fn same<T: Scalar>(ours: f64, theirs: f64, order: usize) -> bool {
    // Second derivatives are differences of nearly equal values in both libraries.
    let floor = if order == 2 { 8.0 * T::EPSILON.to_f64() } else { 1e-323 };
    let near = (ours - theirs).abs() <= 64.0 * T::EPSILON.to_f64() * theirs.abs() + floor;
    near || ours == theirs || (ours.is_nan() && theirs.is_nan())
}

/// The points at which a function is evaluated: all of `points`, or all pairs of them.
fn places(points: &[f64], inputs: usize) -> Vec<Vec<f64>> {
    let each = points.iter().flat_map(|&a| points.iter().map(move |_| a)).collect();
    if inputs == 1 { vec![points.to_vec()] } else { vec![each, points.iter().flat_map(|_| points.to_vec()).collect()] }
}

/// Compares a function of `inputs` variables with PyTorch's; marks the differences that occur.
fn walk<T: Scalar>(case: &Case, name: &str, build: Build<T>, inputs: usize, met: &mut [bool]) -> Vec<String> {
    let kind = if inputs == 1 { "unary" } else { "pair" };
    let theirs = case.tensor(&format!("{kind}.{name}.{}", T::NAME));
    let places = places(&case.tensor(&format!("points.{}", T::NAME)).data, inputs);
    let count = places[0].len();
    let mut unknown = Vec::new();
    for (row, ours) in derivatives(build, &places).iter().enumerate() {
        let order = row.div_ceil(inputs);
        for (i, &ours) in ours.iter().enumerate() {
            let theirs = theirs.data[row * count + i];
            if same::<T>(ours, theirs, order) {
                continue;
            }
            let at: Vec<f64> = places.iter().map(|x| x[i]).collect();
            let applies = |d: &Difference| d.functions.contains(&name) && d.orders.contains(&order) && (d.holds)(&at);
            match DIFFERENCES.iter().position(applies) {
                Some(known) if (DIFFERENCES[known].gives)(&at, ours) => met[known] = true,
                _ => unknown.push(format!(
                    "{name} {} order {order} (row {row}) at {at:?}: {ours:e}, PyTorch {theirs:e}",
                    T::NAME
                )),
            }
        }
    }
    unknown
}

#[test]
fn extreme_values_are_those_of_pytorch_or_a_listed_difference() {
    let case = Case::fixture("extremes/extremes.safetensors");
    let mut met = vec![false; DIFFERENCES.len()];
    let mut unknown = Vec::new();
    for (inputs, functions) in [(1, unary()), (2, pairs())] {
        for Function { name, wide, narrow } in functions {
            unknown.extend(walk(&case, name, wide, inputs, &mut met));
            unknown.extend(walk(&case, name, narrow, inputs, &mut met));
        }
    }
    assert!(unknown.is_empty(), "{} unexplained:\n{}", unknown.len(), unknown.join("\n"));
    for (difference, met) in DIFFERENCES.iter().zip(met) {
        assert!(met, "this difference does not occur: {:?} at {}", difference.functions, difference.place);
    }
}

/// A value in its shortest form.
fn short(x: f64) -> String {
    match x {
        _ if x.is_nan() => "NaN".to_owned(),
        _ if x.is_infinite() => if x > 0.0 { "∞" } else { "-∞" }.to_owned(),
        0.0 => if x.is_sign_negative() { "-0" } else { "0" }.to_owned(),
        _ if x.abs() < 1e-3 || x.abs() >= 1e4 => format!("{x:.1e}"),
        _ => format!("{:.4}", x).trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// The page: the results in `f64`, and where PyTorch's differ.
fn page() -> String {
    let case = Case::fixture("extremes/extremes.safetensors");
    let points = &case.tensor("points.f64").data;
    let places = places(points, 1);
    let mut page =
        include_str!("../../../../docs/extremes.md").split("<!-- table -->").next().unwrap_or_default().to_owned();
    page.push_str("<!-- table -->\n");
    for (order, title) in ["Value", "First derivative", "Second derivative"].into_iter().enumerate() {
        let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        page.push_str(&format!("\n## {title}\n\n"));
        page.push_str(&row(["x".to_owned()].into_iter().chain(points.iter().map(|&x| short(x))).collect()));
        page.push_str(&row(vec!["---".to_owned(); points.len() + 1]));
        for function in unary() {
            let found = &derivatives(function.wide, &places)[order];
            let cells = found.iter().map(|&y| short(y));
            page.push_str(&row([format!("`{}`", function.name)].into_iter().chain(cells).collect()));
        }
    }
    page.push_str("\n## Where PyTorch differs\n\n| | where | here | why |\n|---|---|---|---|\n");
    for Difference { functions, orders, place, here, why, .. } in DIFFERENCES {
        let names = functions.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let orders = match orders {
            [0] => "value".to_owned(),
            [0, 1, 2] => "every order".to_owned(),
            _ => format!("order {}", orders.iter().map(usize::to_string).collect::<Vec<_>>().join(" and ")),
        };
        page.push_str(&format!("| {names} | {place}; {orders} | {here} | {why} |\n"));
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/extremes.md");
    let page = page();
    if std::env::var_os("REWIND_WRITE_PAGES").is_some() {
        std::fs::write(&path, &page).expect("a page that can be written");
    }
    assert!(
        std::fs::read_to_string(&path).expect("the page") == page,
        "docs/extremes.md is out of date; REWIND_WRITE_PAGES=1 rewrites it"
    );
}
