//! Bad input is refused with a message that says what is wrong, at the line of the program that is wrong.

use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::{Op, Parameters, Site, Tape, Tensor, Term, Var, derive};

use crate::refused::{panic_of, refused};

mod counts;
mod rules;

fn of<'t>(tape: &'t Tape<f64>, shape: &[usize]) -> Var<'t, f64> {
    tape.leaf(Tensor::full(shape, 0.5))
}

#[test]
fn elementwise_shapes() {
    let tape = Tape::new();
    let (a, b) = (of(&tape, &[2, 3]), of(&tape, &[4]));
    let fit = "do not fit: expected lengths that are equal or 1, aligned at the last axis";
    refused!(format!("add: shapes [2, 3] and [4] {fit}"), a + b);
    refused!(format!("sub: shapes [4] and [2, 3] {fit}"), b - a);
    refused!(format!("mul: shapes [2, 3] and [4] {fit}"), a * b);
    refused!(format!("div: shapes [2, 3] and [4] {fit}"), a / b);
    refused!(format!("maximum: shapes [2, 3] and [4] {fit}"), a.maximum(b));
    refused!(format!("select: shapes [2, 3] and [4] {fit}"), a.select(a, b));
    refused!(format!("select: shapes [4] and [2, 3] {fit}"), b.select(a, a));
    refused!(
        "squared_error: shapes [2, 3] and [4] do not fit: expected two variables of the same shape",
        a.squared_error(b)
    );
    refused!(
        "binary_cross_entropy: shapes [2, 3] and [4] do not fit: expected logits and a target of the same shape",
        a.binary_cross_entropy(b)
    );
    refused!(
        "cross_entropy: shapes [2, 3] and [4] do not fit: expected logits […, C] and a target of the same shape",
        a.cross_entropy(b)
    );
    let scalar = of(&tape, &[]);
    refused!(
        "cross_entropy: shapes [] and [] do not fit: expected logits […, C] and a target of the same shape",
        scalar.cross_entropy(scalar)
    );
}

#[test]
fn products() {
    let tape = Tape::new();
    let (a, b, v) = (of(&tape, &[2, 3]), of(&tape, &[4, 5]), of(&tape, &[3]));
    let fit = "do not fit: expected […, m, k] and […, k, n], leading axes equal or 1";
    refused!(format!("matmul: shapes [2, 3] and [4, 5] {fit}"), a.matmul(b));
    refused!(format!("matmul: shapes [2, 3] and [3] {fit}"), a.matmul(v));
    let (two, three) = (of(&tape, &[2, 3, 3]), of(&tape, &[3, 3, 3]));
    refused!(format!("matmul: shapes [2, 3, 3] and [3, 3, 3] {fit}"), two.matmul(three));
    let fit = "do not fit: expected […, m, k] and [n, k]";
    refused!(format!("matmul_transposed: shapes [2, 3] and [4, 5] {fit}"), a.matmul_transposed(b));
    refused!(format!("matmul_transposed: shapes [2, 3] and [3] {fit}"), a.matmul_transposed(v));
    refused!(format!("matmul_transposed: shapes [3] and [2, 3] {fit}"), v.matmul_transposed(a));
    refused!(format!("matmul_transposed: shapes [2, 3] and [2, 3, 3] {fit}"), a.matmul_transposed(two));
    let fit = "do not fit: expected x […, m] and w [m, n], the leading axes and n the same for every product";
    refused!(format!("affine: shapes [2, 3] and [4, 5] {fit}"), a.affine(b, None));
    refused!(format!("affine: shapes [3] and [3, 5] {fit}"), v.affine(of(&tape, &[3, 5]), None));
    refused!(format!("affine: shapes [] and [3, 5] {fit}"), of(&tape, &[]).affine(of(&tape, &[3, 5]), None));
    let w = of(&tape, &[3, 5]);
    refused!(format!("affine: shapes [2, 3] and [3, 4] {fit}"), affine(&[(a, w), (a, of(&tape, &[3, 4]))], None));
    refused!(format!("affine: shapes [4, 3] and [3, 5] {fit}"), affine(&[(a, w), (of(&tape, &[4, 3]), w)], None));
    refused!(
        "affine: shapes [4] and [5] do not fit: expected a bias of the second shape",
        a.affine(w, Some(of(&tape, &[4])))
    );
    refused!("affine: no product given; expected one (x, w) at least", affine::<f64>(&[], None));
}

#[test]
fn layouts() {
    let tape = Tape::new();
    let (x, v, s) = (of(&tape, &[2, 3]), of(&tape, &[3]), of(&tape, &[]));
    refused!("reshape: shapes [2, 3] and [5] do not fit: expected the same number of elements", x.reshape(&[5]));
    refused!("unsqueeze: axis 3 lies beyond shape [2, 3]", x.unsqueeze(3));
    refused!("transpose: shape [3] has fewer than two axes", v.transpose());
    refused!("permute: [0, 0] does not name every axis of shape [2, 3] once", x.permute(&[0, 0]));
    refused!("permute: [1, 0, 2] does not name every axis of shape [2, 3] once", x.permute(&[1, 0, 2]));
    let fit = "do not fit: expected a length of 1 wherever they differ";
    refused!(format!("broadcast_to: shapes [2, 3] and [2, 4] {fit}"), x.broadcast_to(&[2, 4]));
    refused!(format!("broadcast_to: shapes [2, 3] and [3] {fit}"), x.broadcast_to(&[3]));
    refused!(format!("sum_to: shapes [2, 3] and [4] {fit}"), x.sum_to(&[4]));
    refused!("slice: axis 2 is not an axis of shape [2, 3], which has 2", x.slice(2, 0..1));
    refused!("slice: range 1..4 does not lie within axis 1 of shape [2, 3]", x.slice(1, 1..4));
    #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
    let backwards = 2..1;
    refused!("slice: range 2..1 does not lie within axis 1 of shape [2, 3]", x.slice(1, backwards.clone()));
    refused!("index: range 2..3 does not lie within axis 0 of shape [2, 3]", x.index(0, 2));
    refused!("index: axis 0 is not an axis of shape [], which has 0", s.index(0, 0));
    refused!("split: axis 1 of shape [2, 3] does not fall into 2 equal parts", x.split::<2>(1));
    refused!(
        "split: axis 0 of shape [], which has 0".replace("axis 0 of", "axis 0 is not an axis of"),
        s.split::<2>(0)
    );
    refused!("flip: axis 2 is not an axis of shape [2, 3], which has 2", x.flip(2));
    refused!("index_select: index 3 does not lie in axis 1 of shape [2, 3]", x.index_select(1, &[0, 3]));
    refused!("index_select: axis 5 is not an axis of shape [2, 3], which has 2", x.index_select(5, &[0]));
    let row = of(&tape, &[1, 4]);
    refused!(
        "concat: shapes [2, 3] and [1, 4] do not fit: expected the same lengths on every axis but 0",
        concat(&[x, row], 0)
    );
    refused!("concat: axis 2 is not an axis of shape [2, 3], which has 2", concat(&[x], 2));
    refused!("concat: no variable given; expected one at least", concat::<f64>(&[], 0));
    refused!("stack: shapes [2, 3] and [1, 4] do not fit: expected one shape for all", stack(&[x, row], 0));
    refused!("stack: axis 3 lies beyond shape [2, 3]", stack(&[x], 3));
    refused!("stack: no variable given; expected one at least", stack::<f64>(&[], 0));
}

#[test]
fn axes_and_ranges() {
    let tape = Tape::new();
    let (x, empty) = (of(&tape, &[2, 3]), of(&tape, &[2, 0]));
    let no_axis = "axis 2 is not an axis of shape [2, 3], which has 2";
    refused!(format!("sum_axis: {no_axis}"), x.sum_axis(2));
    refused!(format!("mean_axis: {no_axis}"), x.mean_axis(2));
    refused!(format!("max_axis: {no_axis}"), x.max_axis(2));
    refused!(format!("log_sum_exp: {no_axis}"), x.log_sum_exp(2));
    refused!(format!("softmax: {no_axis}"), x.softmax(2));
    refused!(format!("log_softmax: {no_axis}"), x.log_softmax(2));
    refused!(format!("cumsum: {no_axis}"), x.cumsum(2));
    refused!("max_axis: axis 1 of shape [2, 0] is empty and has no largest number", empty.max_axis(1));
    refused!("clamp: 1 to 0 is no range", x.clamp(1.0, 0.0));
    refused!("clamp: NaN to 0 is no range", x.clamp(f64::NAN, 0.0));
    refused!("layer_norm: shape [] has no axis to normalise over", of(&tape, &[]).layer_norm(x, x, 1e-5));
    let (gain, wide) = (of(&tape, &[3]), of(&tape, &[4, 2, 3]));
    let fit = "do not fit: expected gain and bias that stretch to x";
    refused!(format!("layer_norm: shapes [2, 3], [4, 2, 3] and [3] {fit}"), x.layer_norm(wide, gain, 1e-5));
    refused!(format!("layer_norm: shapes [2, 3], [3] and [4, 2, 3] {fit}"), x.layer_norm(gain, wide, 1e-5));
}

#[test]
fn tensors() {
    let x = Tensor::<f64>::zeros(&[2, 3]);
    refused!("from_vec: 3 numbers do not fill shape [2, 2], which holds 4", Tensor::from_vec(vec![0.0; 3], &[2, 2]));
    refused!("at: index [2, 0] does not lie in shape [2, 3]", x.at(&[2, 0]));
    refused!("at: index [0] does not lie in shape [2, 3]", x.at(&[0]));
    refused!("item: shape [2, 3] holds 6 numbers, expected one", x.item());
    refused!("slice: range 0..4 does not lie within axis 1 of shape [2, 3]", x.slice(1, 0..4));
    refused!("index: range 2..3 does not lie within axis 0 of shape [2, 3]", x.index(0, 2));
    refused!("permute: [0] does not name every axis of shape [2, 3] once", x.permute(&[0]));
    refused!("transpose: shape [] has fewer than two axes", Tensor::scalar(1.0).transpose());
    refused!("unsqueeze: axis 3 lies beyond shape [2, 3]", x.unsqueeze(3));
    refused!("reshape: shapes [2, 3] and [7] do not fit: expected the same number of elements", x.reshape(&[7]));
    let stretch = "do not fit: expected a length of 1 wherever they differ";
    refused!(format!("broadcast_to: shapes [2, 3] and [3] {stretch}"), x.broadcast_to(&[3]));
    refused!(format!("sum_to: shapes [2, 3] and [2] {stretch}"), x.sum_to(&[2]));
    refused!("sum_axis: axis 2 is not an axis of shape [2, 3], which has 2", x.sum_axis(2));
    refused!("max_axis: axis 2 is not an axis of shape [2, 3], which has 2", x.max_axis(2));
    refused!("matmul: shapes [2, 3] and [2, 3] do not fit: expected [m, k] and [k, n]", x.matmul(&x));
    let y = Tensor::zeros(&[4]);
    refused!(
        "zip: shapes [2, 3] and [4] do not fit: expected lengths that are equal or 1, aligned at the last axis",
        x.zip(&y, |a, _| a)
    );
    let mut sum = x.clone();
    refused!(format!("broadcast_to: shapes [4] and [2, 3] {stretch}"), sum.add_assign(&y));
}

#[test]
fn variables_of_two_tapes() {
    let (one, two) = (Tape::new(), Tape::new());
    let (a, b) = (of(&one, &[2, 2]), of(&two, &[2, 2]));
    let elsewhere = "lives on another tape than this one";
    refused!(format!("add: input 1 {elsewhere}"), a + b);
    refused!(format!("div: input 1 {elsewhere}"), a / b);
    refused!(format!("maximum: input 1 {elsewhere}"), a.maximum(b));
    refused!(format!("matmul: input 1 {elsewhere}"), a.matmul(b));
    refused!(format!("matmul_transposed: input 1 {elsewhere}"), a.matmul_transposed(b));
    refused!(format!("affine: input 2 {elsewhere}"), a.affine(a, Some(of(&two, &[2]))));
    refused!(format!("where: input 2 {elsewhere}"), a.select(a, b));
    refused!(format!("concat: input 1 {elsewhere}"), concat(&[a, b], 0));
    refused!(format!("stack: input 1 {elsewhere}"), stack(&[a, b], 0));
    refused!(format!("grad: variable 1 {elsewhere}"), a.sum().grad(&[a, b]));
    refused!(format!("grad_from: variable 0 {elsewhere}"), a.grad_from(a, &[b]));
    refused!(format!("grad_from: the seed {elsewhere}"), a.grad_from(b, &[a]));
    refused!(format!("backward_to: variable 0 {elsewhere}"), a.sum().backward_to(&[b]));
    refused!("gradients: the variable lives on another tape than these gradients", a.sum().backward().get(b));
}

#[test]
fn gradients_that_make_no_sense() {
    let tape = Tape::new();
    let (x, w) = (of(&tape, &[2, 3]), of(&tape, &[3]));
    let y = x * w;
    refused!("backward: shape [2, 3] is not a scalar; backward_from takes a seed of that shape", y.backward());
    refused!(
        "backward_to: shape [2, 3] is not a scalar; backward_from takes a seed of that shape",
        y.backward_to(&[x])
    );
    refused!("grad: shape [2, 3] is not a scalar; grad_from takes a seed of that shape", y.grad(&[x]));
    refused!(
        "backward_from: shapes [3] and [2, 3] do not fit: expected a seed of the variable's shape",
        y.backward_from(&Tensor::zeros(&[3]))
    );
    refused!(
        "grad_from: shapes [3] and [2, 3] do not fit: expected a seed of the variable's shape",
        y.grad_from(w, &[x])
    );
    let gradients = y.sum().backward();
    refused!(format!("gradients: {y:?} is no leaf; ask for it by name with backward_to"), gradients.get(y));
    refused!("node: there is no node 99 on a tape of 4", tape.node(99));
}

#[test]
fn a_leaf_that_was_not_asked_for_has_no_gradient_of_zero() {
    let tape = Tape::new();
    let (x, w) = (of(&tape, &[2]), of(&tape, &[2]));
    let only_x = (x * w).sum().backward_to(&[x]);
    assert_eq!(only_x.get(x).to_vec(), [0.5, 0.5]);
    refused!(format!("gradients: {w:?} was not asked for; name it in backward_to"), only_x.get(w));
    let late = of(&tape, &[2]);
    assert_eq!((x * w).sum().backward().get(late).to_vec(), [0.0, 0.0]);
}

#[test]
fn a_constant_has_no_gradient_of_zero() {
    let tape = Tape::new();
    let (x, c) = (of(&tape, &[2]), tape.constant(Tensor::full(&[2], 3.0)));
    let (from_constants, y) = (c * 2.0, (x * c).sum());
    let how = "No gradient flows to it, nor to what is computed from constants alone; record what it depends on with \
               `Tape::leaf`";
    refused!(format!("gradients: {c:?} is a constant. {how}"), y.backward().get(c));
    refused!(format!("gradients: {from_constants:?} is a constant. {how}"), y.backward().get(from_constants));
    refused!(format!("gradients: {c:?} is a constant. {how}"), y.backward_to(&[x]).get(c));
    refused!(format!("backward_to: variable 1, {c:?}, is a constant. {how}"), y.backward_to(&[x, c]));
    refused!(format!("grad: variable 0, {c:?}, is a constant. {how}"), y.grad(&[c]));
    refused!(
        format!("grad_from: variable 0, {c:?}, is a constant. {how}"),
        (x * c).grad_from(tape.constant(Tensor::full(&[2], 1.0)), &[c])
    );
    // As the message says: a leaf has a gradient.
    let leaf = tape.leaf(c.value());
    assert_eq!((x * leaf).sum().backward().get(leaf).to_vec(), [0.5, 0.5]);
}

#[test]
fn a_module_is_refused_at_the_caller_too() {
    let tape = Tape::new();
    let x = of(&tape, &[2]);
    let gradients = (x * x).sum().backward();
    let elsewhere = Tape::new();
    let module = vec![Weight { w: of(&elsewhere, &[2]) }];
    refused!("gradients: the variable lives on another tape than these gradients", gradients.of(&module));
    let (short, long) = (vec![Weight { w: 1 }], vec![Weight { w: 1 }, Weight { w: 2 }]);
    let (_, _, text) = panic_of(|| short.zip(&long, |_, a, b| a + b));
    assert!(text.starts_with("zip: modules of 1 and 2 leaves do not pair up"), "{text}");
}

rewind_autograd::parameters! {
    struct Weight<P> { w: P }
}

#[test]
fn a_quiet_tape_has_no_gradients_to_give() {
    let tape = Tape::quiet();
    let x = of(&tape, &[]);
    let y = x * x;
    assert_eq!(y.value().item(), 0.25);
    let quiet = "the tape is quiet and keeps no record to read backwards";
    refused!(format!("backward: {quiet}"), y.backward());
    refused!(format!("backward_from: {quiet}"), y.backward_from(&Tensor::scalar(1.0)));
    refused!(format!("backward_to: {quiet}"), y.backward_to(&[x]));
    refused!(format!("grad: {quiet}"), y.grad(&[x]));
    refused!(format!("grad_from: {quiet}"), y.grad_from(x, &[x]));
}

/// y = 2x, whose rule sweeps the tape that is being swept.
struct Sweeper;

impl Op<f64> for Sweeper {
    fn name(&self) -> &'static str {
        "sweeper"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].map(|x| 2.0 * x)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let x = at.input(0);
        (x * 2.0).sum().backward();
        at.cotangent().into()
    }
}

#[test]
fn a_rule_cannot_sweep_its_tape() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::scalar(0.5));
    let y = tape.apply(Sweeper, &[x]);
    let message = "backward: a sweep over this tape is under way; a rule gives its term and sweeps nothing";
    assert_eq!(panic_of(|| y.backward()).2, message);
}

#[test]
fn positions_at_the_end_of_all_numbers() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::<f64>::full(&[2, 3], 0.5));
    assert!(panic_of(|| x.index(0, usize::MAX)).2.starts_with("index: "));
    assert!(panic_of(|| x.value().index(0, usize::MAX)).2.starts_with("index: range "));
}

#[test]
fn derivatives_of_the_wrong_shape() {
    let row = |n| Tensor::<f64>::full(&[n], 0.5);
    let at = [row(2), row(3)];
    refused!(
        "gradient: the function has a value of shape [2]; expected one number",
        derive::gradient(&at, |_, &[x, _]| x)
    );
    refused!(
        "hessian: the function has a value of shape [2]; expected one number",
        derive::hessian(&at, |_, &[x, _]| x)
    );
    refused!(
        "per_sample: the function has a value of shape [2]; expected one number",
        derive::per_sample(&at, &[1.0], |_, &[x, _], &s| x * s)
    );
    refused!(
        "vjp: shapes [3] and [2] do not fit: expected a cotangent of the shape of the value",
        derive::vjp(&at, &row(3), |_, &[x, _]| x)
    );
    let other = [row(2), row(2)];
    refused!("jvp: `1` has shape [3], its direction [2]; expected the same", derive::jvp(&at, &other, |_, &[x, _]| x));
    let (short, long) = (vec![[row(1)]], vec![[row(1)], [row(1)]]);
    refused!(
        "hvp: the point has leaves [\"0.0\"], the direction [\"0.0\", \"1.0\"]; expected the same",
        derive::hvp(&short, &long, |_, x| x[0][0])
    );
    let quiet = Tape::<f64>::quiet();
    let x = quiet.leaf(Tensor::scalar(0.5));
    refused!(
        "backward_watched: the tape is quiet and keeps no record to read backwards",
        x.backward_watched(|_, _| {})
    );
    refused!("find_nonfinite: the tape is quiet and keeps no record to read backwards", x.find_nonfinite());
    let tape = Tape::new();
    let seven = tape.leaf(Tensor::<f64>::full(&[2, 7], 0.5));
    refused!("split_named: axis 1 of shape [2, 7] does not fall into 2 equal parts", seven.split_named(1, &["a", "b"]));
}

#[test]
fn matrices_that_no_memory_holds_are_refused() {
    const WIDE: usize = 1 << 43;
    let x = [Tensor::<f64>::full(&[8], 1.0)];
    let at_most = "expected at most 1152921504606846975, and memory for them";
    let message =
        |name: &str| format!("{name}: shapes [{WIDE}, 8] and [8] make a matrix of 562949953421312 numbers; {at_most}");
    refused!(message("jacobian"), derive::jacobian(&x, |_, &[x]| x.broadcast_to(&[WIDE, 8])));
    refused!(message("jacobian_forward"), derive::jacobian_forward(&x, |_, &[x]| x.broadcast_to(&[WIDE, 8])));
    // The number of elements itself overflows.
    let x = [Tensor::<f32>::zeros(&[1 << 20])];
    let huge = [1 << 30, 1 << 20];
    let message = |name: &str| {
        let shapes = "shapes [1073741824, 1048576] and [1048576]";
        format!("{name}: {shapes} make a matrix of 1180591620717411303424 numbers; {at_most}")
    };
    refused!(message("jacobian"), derive::jacobian(&x, |_, &[x]| x.broadcast_to(&huge)));
    refused!(message("jacobian_forward"), derive::jacobian_forward(&x, |_, &[x]| x.broadcast_to(&huge)));
    let long = |length: usize| [Tensor::scalar(1.0_f64).broadcast_to(&[length])];
    for (length, count) in [(1 << 40, "1208925819614629174706176"), (1 << 29, "288230376151711744")] {
        refused!(
            format!("hessian: shapes [{length}] and [{length}] make a matrix of {count} numbers; {at_most}"),
            derive::hessian(&long(length), |_, &[x]| x.index(0, 0))
        );
    }
}
