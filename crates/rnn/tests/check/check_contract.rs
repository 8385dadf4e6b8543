//! The contract of a layer: every layer of the crate keeps it, and a mistake of each kind is found, with its place.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::{Scalar, Tensor, Var, parameters};
use rewind_rnn::check::{self, Breach, Invalid, Report, Verdict};
use rewind_rnn::{
    Bidirectional, CoupledLstm, Dropout, Gru, IndRnn, Layer, LayerModule, LayerNorm, LayerNormLstm, LayerOutputs,
    Linear, Lru, Lstm, MLstm, Merge, Mgu, MinGru, MinLstm, PeepholeLstm, ProjectedLstm, Recurrent, RecurrentDropout,
    ReluRnn, Reset, Residual, SLstm, Scan, TanhRnn, Unroll, Zoneout,
};

use super::common::{gru, lstm, random, tanh};

/// What is wrong with [`Running`].
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    None,
    /// The bias is an output after the end of a sequence too.
    OutputsAfterTheEnd,
    /// The mean over T steps, of which some are padding, is subtracted.
    CountsPadding,
    /// The mean over the batch is subtracted.
    MixesSequences,
    /// The state goes on through the padding.
    StateAtT,
    /// The first state is returned.
    FirstState,
    /// The state is not read.
    Forgets,
    /// Time runs forward, whatever the direction.
    IgnoresDirection,
    /// None: backward in time, the padding is read before the sequence, and leaves the state as it is.
    PaddingFirst,
    /// Every output has a part of the next input in it.
    ReadsAhead,
    /// Dropout draws a mask for x, whichever steps x is of.
    OneMaskForAllPieces,
    /// The state loses its axis of units.
    DropsAnAxis,
}

parameters! {
    /// h_t = d ∘ h_(t-1) + x_t·W + b: weight `[I, H]`, decay `[H]`, bias `[H]`. Its own loop over time, and all that goes with it.
    struct Running<P> {
        weight: P,
        decay: P,
        bias: P,
        #[setting]
        mistake: Mistake,
    }
}

fn running<T: Scalar>(mistake: Mistake) -> Running<Tensor<T>> {
    let narrow = |t: Tensor<f64>| Tensor::from_vec(t.to_vec().into_iter().map(T::from_f64).collect(), t.shape());
    let [weight, decay, bias] =
        [(vec![3, 2], 1), (vec![2], 2), (vec![2], 3)].map(|(shape, seed)| narrow(random(&shape, seed)));
    Running { weight, decay, bias, mistake }
}

impl<'t, T: Scalar> Layer<'t, T> for Running<Var<'t, T>> {
    type State = Var<'t, T>;

    fn initial_state(&self, batch: usize) -> Var<'t, T> {
        self.decay.tape().zeros(&[batch, 2])
    }

    fn forward(&self, x: Var<'t, T>, state: Var<'t, T>, how: Unroll<'_>) -> LayerOutputs<'t, T, Var<'t, T>> {
        use Mistake as M;
        let (tape, steps) = (x.tape(), x.shape()[0]);
        let in_order = |v: Var<'t, T>| match self.mistake {
            M::IgnoresDirection => v,
            M::PaddingFirst if how.is_backward() => v.flip(0),
            _ => how.in_order(v),
        };
        let mut u = in_order(x).affine(self.weight, Some(self.bias));
        match (self.mistake, how.pass_noise()) {
            (M::CountsPadding, _) => u = u - u.mean_axis(0).unsqueeze(0),
            (M::MixesSequences, _) => u = u - u.mean_axis(1).unsqueeze(1),
            (M::ReadsAhead, _) => {
                let next = concat(&[u.slice(0, 1..steps), u.slice(0, 0..1) * T::ZERO], 0);
                u = how.masked(u) + how.masked(next) * T::from_f64(0.1);
            }
            (M::OneMaskForAllPieces, Some(noise)) => u = u * tape.constant(noise.mask(&u.shape(), 0.5)),
            _ => {}
        }
        // 1 in the steps of a sequence, and 0 in its padding.
        let inside = how.masked(tape.constant(Tensor::full(&x.shape(), T::ONE))).slice(2, 0..1);
        let inside = if self.mistake == M::PaddingFirst { in_order(inside) } else { inside };
        let mut h = if self.mistake == M::Forgets { state * T::ZERO } else { state };
        let mut all = Vec::new();
        for t in 0..steps {
            let next = h * self.decay + u.index(0, t);
            h = if self.mistake == M::StateAtT { next } else { inside.index(0, t).select(next, h) };
            all.push(h);
        }
        let outputs = in_order(stack(&all, 0));
        let outputs = if self.mistake == M::OutputsAfterTheEnd { outputs } else { how.masked(outputs) };
        let last = match self.mistake {
            M::FirstState => state,
            M::DropsAnAxis => h.index(1, 0),
            _ => h,
        };
        LayerOutputs::new(outputs, last)
    }

    fn is_causal(&self) -> bool {
        self.mistake != Mistake::CountsPadding
    }
}

#[track_caller]
fn breaches(report: &Report) -> &[Breach] {
    let Verdict::Invalid(Invalid::Contract(breaches)) = &report.verdict else { panic!("{report}") };
    breaches
}

/// The rules that `mistake` breaks, and the places.
fn broken(mistake: Mistake) -> Vec<(&'static str, String)> {
    let report = check::layer_with(check::fast(), &running::<f64>(mistake), [3, 2, 3]);
    assert_eq!(check::contract(&running::<f64>(mistake), [3, 2, 3]), Err(breaches(&report).to_vec()));
    let text = report.to_string();
    let all = breaches(&report).iter().map(|breach| {
        let shown =
            format!("\n    {}: {}; expected {}\n    {}", breach.place, breach.found, breach.expected, breach.advice);
        assert!(text.contains(&shown) && text.starts_with("gradient check: INVALID: a rule is not kept: "), "{text}");
        (breach.rule, breach.place.clone())
    });
    all.collect()
}

#[track_caller]
fn assert_broken(mistake: Mistake, expected: &[(&str, &str)]) {
    let found = broken(mistake);
    let found: Vec<_> = found.iter().map(|(rule, place)| (*rule, place.as_str())).collect();
    assert_eq!(found, expected, "{mistake:?}");
}

const ENDS: &str = "outputs after the end of a sequence are 0";
const PADDING: &str = "more padding changes no output";
const ALONE: &str = "a sequence has the outputs in a padded batch that it has alone";
const LAST: &str = "the last state of a sequence is that at its own end";
const DIRECTION: &str = "backward in time gives what forward gives for the reversed sequences, reversed";
const AHEAD: &str = "the outputs of a causal layer depend on no later input";
const PIECES: &str =
    "from the last state of a run over the first steps, a causal layer goes on as in the whole sequence";

#[test]
fn a_layer_with_its_own_loop_keeps_the_contract() {
    for sizes in [[1, 1, 3], [2, 1, 3], [3, 2, 3], [7, 4, 3]] {
        check::layer_with(check::fast(), &running::<f64>(Mistake::None), sizes).assert();
    }
    check::layer(&running(Mistake::None), [3, 2, 3]).assert();
    check::layer_with::<f32, _>(check::fast(), &running(Mistake::None), [3, 2, 3]).assert();
}

#[test]
fn outputs_after_the_end_are_found() {
    // Lengths 6, 3 and 1 in a batch of 9 steps.
    let place = "outputs, sequence 2, step 1, index [0] after its 1 steps, in a padded batch";
    assert_broken(Mistake::OutputsAfterTheEnd, &[(ENDS, place)]);
}

#[test]
fn padding_and_other_sequences_that_reach_the_outputs_are_found() {
    let found = broken(Mistake::CountsPadding);
    assert_eq!(
        found[0],
        (PADDING, "outputs, sequence 0, step 0, index [0], with more padding".to_owned()),
        "{found:?}"
    );
    let found = broken(Mistake::MixesSequences);
    assert_eq!(found[0], (ALONE, "outputs, sequence 0, step 0, index [0], in a padded batch".to_owned()), "{found:?}");
}

#[test]
fn padding_that_reaches_a_gradient_is_found() {
    parameters! {
        /// y = gain ∘ x/|x|, and 0 after the end; x itself may be replaced where it is 0.
        struct Unit<P> { gain: P, safe: bool }
    }
    impl<'t> Layer<'t, f64> for Unit<Var<'t, f64>> {
        type State = ();
        fn initial_state(&self, _batch: usize) {}
        fn forward(&self, x: Var<'t, f64>, (): (), how: Unroll<'_>) -> LayerOutputs<'t, f64, ()> {
            let outside = how.masked(x.tape().constant(Tensor::full(&x.shape(), 1.0))).one_minus();
            let x = if self.safe { x + outside } else { x };
            let norm = x.square().sum_axis(2).sqrt().unsqueeze(2);
            LayerOutputs::new(how.masked(x / norm * self.gain), ())
        }
    }
    let unit = |safe| Unit { gain: random(&[3], 1), safe };
    check::layer(&unit(true), [3, 2, 3]).assert();
    let Err(breaches) = check::contract(&unit(false), [3, 2, 3]) else { panic!("0/0 in the padding") };
    let [Breach { rule, place, found, .. }] = &breaches[..] else { panic!("{breaches:?}") };
    assert_eq!(*rule, "a padded batch has the sum of the gradients that its sequences have alone");
    assert_eq!(place, "the gradient of `gain`, index [0], in a padded batch");
    assert!(found.contains("NaN"), "{found}");
}

#[test]
fn a_last_state_that_is_not_at_the_end_of_its_sequence_is_found() {
    let found = broken(Mistake::StateAtT);
    let place = "part `h` of the last state, sequence 0, index [0], with more padding";
    assert_eq!(found[0], (LAST, place.to_owned()), "{found:?}");
}

#[test]
fn a_state_that_does_not_go_on_is_found() {
    let pieces = "in two pieces, steps 0 to 2 and the rest";
    let outputs = format!("outputs, sequence 0, step 3, index [0], {pieces}");
    assert_broken(Mistake::FirstState, &[(PIECES, &outputs)]);
    // Of a state that is ignored, the check of gradients says that it changes nothing; the contract says what is wrong.
    assert_broken(Mistake::Forgets, &[(PIECES, &outputs)]);
}

#[test]
fn a_wrong_direction_is_found() {
    let place = "outputs, sequence 0, step 0, index [0], backward in time";
    assert_broken(Mistake::IgnoresDirection, &[(DIRECTION, place)]);
    check::layer_with(check::fast(), &running::<f64>(Mistake::PaddingFirst), [3, 2, 3]).assert();
}

#[test]
fn a_layer_that_reads_ahead_without_saying_so_is_found() {
    let found = broken(Mistake::ReadsAhead);
    let place = "outputs, sequence 0, step 0, index [0], after a change of x behind step 0";
    assert!(found.contains(&(AHEAD, place.to_owned())), "{found:?}");
}

#[test]
fn masks_that_forget_the_place_in_the_sequence_are_found() {
    let found = broken(Mistake::OneMaskForAllPieces);
    let [(PIECES, place)] = &found[..] else { panic!("{found:?}") };
    assert!(place.ends_with(", in two pieces, steps 0 to 2 and the rest, with noise"), "{place}");
}

#[test]
fn a_state_of_another_shape_is_found() {
    let report = check::layer_with(check::fast(), &running::<f64>(Mistake::DropsAnAxis), [3, 2, 3]);
    let [breach] = breaches(&report) else { panic!("{report}") };
    assert_eq!(breach.place, "the shape of part `h` of the last state, in a padded batch", "{report}");
    assert_eq!(
        (breach.found.as_str(), breach.expected.as_str()),
        ("[3]", "[3, 2], that of the first state"),
        "{report}"
    );
}

#[test]
fn a_mistake_within_a_stack_and_in_single_precision_is_found() {
    let rng = &mut StdRng::seed_from_u64(1);
    for mistake in [Mistake::OutputsAfterTheEnd, Mistake::StateAtT, Mistake::FirstState, Mistake::IgnoresDirection] {
        let stack = (Recurrent(tanh(2, 3)), running::<f64>(mistake), Linear::new(2, 2, rng));
        // Above it, the readout masks what comes after the end.
        let kept = check::contract(&stack, [3, 2, 2]);
        assert_eq!(kept.is_ok(), mistake == Mistake::OutputsAfterTheEnd, "{mistake:?}: {kept:?}");
        assert!(check::contract(&running::<f32>(mistake), [3, 2, 3]).is_err(), "{mistake:?}");
    }
}

#[test]
fn a_run_that_the_layer_refuses_is_listed() {
    parameters! {
        /// y = x ∘ gain, forward in time alone.
        struct Forward<P> { gain: P }
    }
    impl<'t> Layer<'t, f64> for Forward<Var<'t, f64>> {
        type State = ();
        fn initial_state(&self, _batch: usize) {}
        fn forward(&self, x: Var<'t, f64>, (): (), how: Unroll<'_>) -> LayerOutputs<'t, f64, ()> {
            assert!(!how.is_backward(), "Forward: the pass is backward in time");
            LayerOutputs::new(x * self.gain, ())
        }
    }
    let report = check::layer(&Forward { gain: random(&[3], 1) }, [3, 2, 3]);
    report.assert();
    assert!(
        report
            .to_string()
            .ends_with("\n  INVALID: it panicked: Forward: the pass is backward in time in a run backward in time"),
        "{report}"
    );
}

#[track_caller]
fn assert_kept<M: LayerModule<f64>>(layer: &M) {
    assert_eq!(check::contract::<f64, _>(layer, [3, 2, 3]), Ok(Vec::new()));
    assert_eq!(check::contract::<f64, _>(layer, [1, 1, 3]), Ok(Vec::new()));
}

#[test]
fn every_cell_as_a_layer_keeps_the_contract() {
    let rng = &mut StdRng::seed_from_u64(1);
    assert_kept(&Recurrent(tanh(3, 4)));
    assert_kept(&Recurrent(lstm(3, 4)));
    assert_kept(&Recurrent(gru(3, 4, Reset::AfterProduct)));
    assert_kept(&Recurrent(gru(3, 4, Reset::BeforeProduct)));
    assert_kept(&Recurrent(ReluRnn::new(3, 4, rng)));
    assert_kept(&Recurrent(IndRnn::new(3, 4, rng)));
    assert_kept(&Recurrent(Mgu::new(3, 4, rng)));
    assert_kept(&Recurrent(PeepholeLstm::new(3, 4, rng)));
    assert_kept(&Recurrent(ProjectedLstm::new(3, 4, 2, rng)));
    assert_kept(&Recurrent(CoupledLstm::new(3, 4, rng)));
    assert_kept(&Recurrent(LayerNormLstm::new(3, 4, rng)));
    assert_kept(&Recurrent(SLstm::new(3, 4, rng)));
    assert_kept(&Recurrent(MLstm::new(3, 4, 2, rng)));
    assert_kept(&Recurrent(MinGru::new(3, 4, rng)));
    assert_kept(&Recurrent(MinLstm::new(3, 4, rng)));
    assert_kept(&Recurrent(Lru::new(3, 4, rng)));
}

#[test]
fn every_layer_and_wrapper_keeps_the_contract() {
    let rng = &mut StdRng::seed_from_u64(1);
    assert_kept(&Scan(MinGru::new(3, 4, rng)));
    assert_kept(&Scan(MinLstm::new(3, 4, rng)));
    assert_kept(&Scan(Lru::new(3, 4, rng)));
    assert_kept(&Linear::new(3, 2, rng));
    assert_kept(&LayerNorm::<Tensor<f64>>::new(3));
    assert_kept(&Dropout::<Tensor<f64>>::new(0.5));
    assert_kept(&Dropout::<Tensor<f64>>::of_sequence(0.5));
    assert_kept(&Residual::new(Recurrent(tanh(3, 3))));
    assert_kept(&Recurrent(Zoneout::new(lstm(3, 4), &[0.2, 0.5])));
    assert_kept(&Recurrent(RecurrentDropout::new(gru(3, 4, Reset::AfterProduct), 0.4)));
    assert_kept(&Bidirectional::cells(lstm(3, 2), Gru::new(3, 2, rng)));
    assert_kept(&Bidirectional::cells(tanh(3, 2), TanhRnn::new(3, 2, rng)).with_merge(Merge::Sum));
    assert_kept(&Bidirectional::new(Scan(MinGru::new(3, 4, rng)), Scan(Lru::new(3, 4, rng))));
}

#[test]
fn deep_stacks_keep_the_contract() {
    let rng = &mut StdRng::seed_from_u64(1);
    assert_kept(&vec![Recurrent(tanh(3, 3)); 3]);
    let (zoned, dropped) =
        (Zoneout::new(gru(4, 4, Reset::AfterProduct), &[0.3]), RecurrentDropout::new(lstm(4, 2), 0.4));
    let forward = (Recurrent(lstm(3, 4)), Dropout::new(0.4), Residual::new(Recurrent(zoned)), Recurrent(dropped));
    assert_kept(&(forward.clone(), Linear::new(2, 2, rng), LayerNorm::new(2), Scan(MinGru::new(2, 3, rng))));
    let both = Bidirectional::cells(Lstm::new(2, 3, rng), Gru::new(2, 3, rng));
    assert_kept(&(forward, both, Dropout::of_sequence(0.3), Linear::new(6, 2, rng)));
}
