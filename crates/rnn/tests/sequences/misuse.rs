//! Errors of sizes name the cell and the time step, at the caller's line.

use rewind_autograd::{OnTape, Tape, Tensor, Var, parameters};
use rewind_rnn::{Cell, Gru, Linear, Lstm, LstmState, Recurrent, Reset, Shards, State, TanhRnn, Unroll, unroll};

use crate::common::{gru, lstm, random, tanh};
use crate::refused::{panic_of, refused};

fn x<'t>(tape: &'t Tape<f64>, shape: &[usize]) -> Var<'t, f64> {
    let x = random(shape, 1);
    tape.constant(x)
}

#[test]
fn an_input_of_the_wrong_width() {
    let tape = Tape::new();
    let (tanh, lstm, gru) = (tanh(3, 5).on(&tape), lstm(3, 5).on(&tape), gru(3, 5, Reset::AfterProduct).on(&tape));
    let wrong = x(&tape, &[7, 2, 4]);
    refused!("unroll: TanhRnn takes x [T, B, 3], 3 features; got x [7, 2, 4]", unroll(&tanh, wrong));
    refused!("unroll: Lstm takes x [T, B, 3], 3 features; got x [7, 2, 4]", unroll(&lstm, wrong));
    refused!("unroll: Gru takes x [T, B, 3], 3 features; got x [7, 2, 4]", Unroll::new().backward().run(&gru, wrong));
    refused!("Linear: takes x […, 4], of two axes at least; got x [2, 5]", {
        let readout = Linear { weight: x(&tape, &[4, 1]), bias: None };
        readout.forward(x(&tape, &[2, 5]))
    });
}

#[test]
fn a_step_alone_says_what_it_takes() {
    let tape = Tape::new();
    let (one, two) = (x(&tape, &[1, 5]), x(&tape, &[2, 5]));
    let tanh = tanh(3, 5).on(&tape);
    refused!("TanhRnn: a step takes x [B, 3], h [B, 5], with one B; got x [2, 4], h [2, 5]", {
        tanh.step(x(&tape, &[2, 4]), two)
    });
    refused!("TanhRnn: a step takes x [B, 3], h [B, 5], with one B; got x [2, 3], h [1, 5]", {
        tanh.step(x(&tape, &[2, 3]), one)
    });
    refused!("TanhRnn: a step takes x [B, 3], h [B, 5], with one B; got x [7, 2, 3], h [2, 5]", {
        tanh.step(x(&tape, &[7, 2, 3]), two)
    });
    for reset in [Reset::AfterProduct, Reset::BeforeProduct] {
        let gru = gru(3, 5, reset).on(&tape);
        refused!("Gru: a step takes x [B, 3], h [B, 5], with one B; got x [2, 3], h [1, 5]", {
            gru.step(x(&tape, &[2, 3]), one)
        });
        refused!("Gru: a step takes x [B, 3], h [B, 5], with one B; got x [1, 3], h [2, 5]", {
            gru.step(x(&tape, &[1, 3]), two)
        });
    }
    let lstm = lstm(3, 5).on(&tape);
    refused!(
        "Lstm: a step takes x [B, 3], hidden [B, 5], cell [B, 5], with one B; got x [2, 3], hidden [2, 5], cell [1, 5]",
        lstm.step(x(&tape, &[2, 3]), LstmState { hidden: two, cell: one })
    );
    assert_eq!(lstm.step(x(&tape, &[2, 3]), LstmState { hidden: two, cell: two }).cell.shape().as_slice(), [2, 5]);
}

#[test]
fn parameters_that_do_not_fit_each_other_are_named() {
    let tape = Tape::new();
    let rows = x(&tape, &[7, 2, 3]);
    let step = x(&tape, &[2, 3]);
    let good = lstm(3, 5).on(&tape);
    let why = "by the rows of its weights";
    // Four gates of one unit, which would be broadcast to five.
    let narrow = Lstm { weight_ih: x(&tape, &[3, 4]), weight_hh: x(&tape, &[5, 4]), bias: None, ..good.clone() };
    refused!(format!("Lstm: weight_ih has shape [3, 4]; expected [3, 20], {why}"), unroll(&narrow, rows));
    let state = LstmState { hidden: x(&tape, &[2, 5]), cell: x(&tape, &[2, 5]) };
    refused!(format!("Lstm: weight_ih has shape [3, 4]; expected [3, 20], {why}"), narrow.step(step, state));
    refused!(format!("Lstm: weight_ih has shape [3, 4]; expected [3, 20], {why}"), {
        Unroll::new().run_from(&narrow, rows, state)
    });
    let scalar = Lstm { weight_hh: tape.scalar(0.5), ..good.clone() };
    refused!(format!("Lstm: weight_ih has shape [3, 20]; expected [3, 0], {why}"), unroll(&scalar, rows));
    let bias = Lstm { bias: Some(x(&tape, &[5])), ..good };
    refused!(format!("Lstm: bias has shape [5]; expected [20], {why}"), unroll(&bias, rows));
    for reset in [Reset::AfterProduct, Reset::BeforeProduct] {
        let good = gru(3, 5, reset).on(&tape);
        let narrow = Gru { weight_hh: x(&tape, &[5, 1]), ..good.clone() };
        refused!(format!("Gru: weight_hh has shape [5, 1]; expected [5, 10], {why}"), unroll(&narrow, rows));
        let bias = Gru { bias_hn: Some(x(&tape, &[1])), ..good };
        refused!(format!("Gru: bias_hn has shape [1]; expected [5], {why}"), unroll(&bias, rows));
    }
    let tanh = TanhRnn { weight_ih: x(&tape, &[3, 1]), ..tanh(3, 5).on(&tape) };
    refused!(format!("TanhRnn: weight_ih has shape [3, 1]; expected [3, 5], {why}"), unroll(&tanh, rows));
    let readout = Linear { weight: x(&tape, &[3, 4]), bias: Some(x(&tape, &[1])) };
    refused!(format!("Linear: bias has shape [1]; expected [4], {why}"), readout.forward(step));
}

#[test]
fn a_cell_on_another_tape_than_its_input() {
    let (tape, other) = (Tape::new(), Tape::new());
    let lstm = lstm(3, 5).on(&other);
    refused!("unroll: Lstm or its first state lives on another tape than x", unroll(&lstm, x(&tape, &[7, 2, 3])));
}

#[test]
fn a_loss_of_a_shard_that_is_no_scalar() {
    let shards = Shards::<f64>::new(2).expect("threads");
    let module = lstm(3, 5);
    refused!("gradients: the loss of shard 1 has shape [7, 2, 5]; expected a scalar", {
        shards.gradients(&module, &[1, 2], |tape, lstm, &batch| {
            let outputs = unroll(lstm, x(tape, &[7, batch, 3])).outputs();
            if batch == 1 { outputs.sum() } else { outputs }
        })
    });
}

#[test]
fn a_first_state_of_another_batch() {
    let tape = Tape::new();
    let (x, one, two) = (x(&tape, &[7, 2, 3]), x(&tape, &[1, 5]), x(&tape, &[2, 5]));
    let rows = "expected [2, …], a row for each of the 2 sequences of x [7, 2, 3]";
    let gru = gru(3, 5, Reset::AfterProduct).on(&tape);
    refused!(
        format!("unroll: Gru starts from part `h` of the state as [1, 5]; {rows}"),
        Unroll::new().run_from(&gru, x, one)
    );
    let lstm = lstm(3, 5).on(&tape);
    refused!(format!("unroll: Lstm starts from part `cell` of the state as [1, 5]; {rows}"), {
        Unroll::new().run_from(&lstm, x, LstmState { hidden: two, cell: one })
    });
    let single = x.slice(1, 0..1);
    refused!(
        "unroll: Gru starts from part `h` of the state as [2, 5]; expected [1, …], a row for each of the 1 sequences of x \
         [7, 1, 3]",
        Unroll::new().lengths(&[4]).run_from(&gru, single, two)
    );
    let stack = Stack(vec![gru.clone(), gru]);
    refused!(format!("unroll: Stack starts from part `1.h` of the state as [1, 5]; {rows}"), {
        Unroll::new().run_from(&stack, x, vec![two, one])
    });
}

#[test]
fn a_first_state_of_another_width() {
    let tape = Tape::new();
    let (x, narrow) = (x(&tape, &[7, 2, 3]), x(&tape, &[2, 4]));
    let gru = gru(3, 5, Reset::BeforeProduct).on(&tape);
    refused!("Gru: a step takes x [B, 3], h [B, 5], with one B; got x [2, 3], h [2, 4] at t=0", {
        Unroll::new().run_from(&gru, x, narrow)
    });
    refused!("Gru: a step takes x [B, 3], h [B, 5], with one B; got x [2, 3], h [2, 4] at t=6", {
        Unroll::new().backward().lengths(&[4, 5]).run_from(&gru, x, narrow)
    });
}

#[test]
fn a_learned_first_state_is_not_stretched() {
    let tape = Tape::new();
    let mut lstm = lstm(3, 5);
    lstm.initial_cell = Some(Tensor::full(&[1], 0.5));
    let lstm = lstm.on(&tape);
    let x = x(&tape, &[7, 2, 3]);
    refused!("Lstm: initial_cell has shape [1]; expected [5], a number for each unit", unroll(&lstm, x));
    refused!("Lstm: initial_cell has shape [1]; expected [5], a number for each unit", lstm.initial(2));
}

parameters! {
    /// h' = h + x·w, and in step `at` a mistake: of one sequence, of another width, or of several parts.
    struct Slipping<P> { w: P, slip: Slip }
}

#[derive(Clone, Copy, Debug)]
enum Slip {
    /// The cell starts from one row.
    Grows,
    /// From the second step on, the state is one row.
    Shrinks,
    /// The second part gets an axis.
    Rank,
    /// The step forgets a part.
    Forgets,
}

impl<'t> Cell<'t, f64> for Slipping<Var<'t, f64>> {
    type State = Vec<Var<'t, f64>>;
    fn step(&self, x: Var<'t, f64>, state: Self::State) -> Self::State {
        let (h, c) = (state[0], state[1]);
        let next = h + x.matmul(self.w);
        match self.slip {
            Slip::Grows => vec![next, c],
            Slip::Shrinks if x.scope().contains("t=2") => vec![next, c.slice(0, 0..1)],
            Slip::Rank => vec![next, c.unsqueeze(0)],
            Slip::Forgets => vec![next],
            Slip::Shrinks => vec![next, c],
        }
    }
    fn initial(&self, batch: usize) -> Self::State {
        let rows = if matches!(self.slip, Slip::Grows) { 1 } else { batch };
        vec![self.w.tape().zeros(&[rows, 4]), self.w.tape().zeros(&[batch, 4])]
    }
}

#[test]
fn a_state_that_a_step_would_stretch() {
    let slipping = |slip| Slipping { w: random(&[3, 4], 1), slip };
    let tape = Tape::new();
    let on = |slip| slipping(slip).on(&tape);
    let x = x(&tape, &[5, 2, 3]);
    refused!(
        "unroll: Slipping starts from part `0.h` of the state as [1, 4]; expected [2, …], a row for each of the 2 sequences \
         of x [5, 2, 3]",
        unroll(&on(Slip::Grows), x)
    );
    let shrinks = "unroll: the step of Slipping at t=2 gives part `1.h` of the state as [1, 4], and got it as [2, 4]; \
                   expected the same shape";
    refused!(shrinks, unroll(&on(Slip::Shrinks), x));
    refused!(shrinks, Unroll::new().backward().lengths(&[2, 5]).run(&on(Slip::Shrinks), x));
    refused!(
        "unroll: the step of Slipping at t=0 gives part `1.h` of the state as [1, 2, 4], and got it as [2, 4]; expected \
         the same shape",
        unroll(&on(Slip::Rank), x)
    );
    refused!(
        "unroll: the step of Slipping at t=0 gives a state of 1 variables, and got one of 2; expected as many",
        Unroll::new().lengths(&[1, 5]).run(&on(Slip::Forgets), x)
    );
    refused!("State: stacks of 2 and of 1 states do not pair up", { vec![x, x].zip(vec![x], &mut |a, _| a) });
}

#[test]
fn segments_refuse_what_unrolling_does() {
    let tape = Tape::new();
    let module = Recurrent(lstm(3, 5));
    let layer = module.on(&tape);
    let (long, one, two) = (x(&tape, &[9, 2, 3]), x(&tape, &[1, 5]), x(&tape, &[2, 5]));
    refused!(
        "unroll: Lstm starts from part `cell` of the state as [1, 5]; expected [2, …], a row for each of the 2 sequences \
         of x [9, 2, 3]",
        Unroll::new().through_in_segments_from(
            3,
            &module,
            &layer,
            long,
            LstmState { hidden: two, cell: one },
            |_, _, h| h.sum()
        )
    );
    let wide = x(&tape, &[9, 2, 4]);
    refused!(
        "Lstm: takes 3 features a step; x gives 4",
        Unroll::new().through_in_segments(3, &module, &layer, wide, |_, _, h| h.sum())
    );
    let narrow = x(&tape, &[2, 4]);
    refused!(
        "Lstm: a step takes x [B, 3], hidden [B, 5], cell [B, 5], with one B; got x [2, 3], hidden [2, 4], cell [2, 5] at \
         t=0",
        Unroll::new().through_in_segments_from(
            3,
            &module,
            &layer,
            long,
            LstmState { hidden: narrow, cell: two },
            |_, _, h| h.sum()
        )
    );
}

#[test]
fn segments_neither_drop_nor_stretch_a_part() {
    let tape = Tape::new();
    let x = x(&tape, &[6, 2, 3]);
    let module = |slip| Recurrent(Slipping { w: random(&[3, 4], 1), slip });
    let (forgets, part) = (module(Slip::Forgets), tape.zeros(&[2, 4]));
    refused!(
        "through_in_segments: a first state of 3 variables; that of the layer itself has 2",
        Unroll::new().through_in_segments_from(2, &forgets, &forgets.on(&tape), x, vec![part; 3], |_, _, h| h.sum())
    );
    // After the first step, the wrong segment runs within a checkpoint: the error names its time step, at a line of the library.
    let shrinks = module(Slip::Shrinks);
    let run = || Unroll::new().through_in_segments(2, &shrinks, &shrinks.on(&tape), x, |_, _, h| h.sum());
    assert_eq!(
        panic_of(run).2,
        "unroll: the step of Slipping at t=2 gives part `1.h` of the state as [1, 4], and got it as [2, 4]; expected the \
         same shape"
    );
}

/// A stack of layers.
struct Stack<C>(Vec<C>);

impl<'t, C: Cell<'t, f64>> Cell<'t, f64> for Stack<C> {
    type State = Vec<C::State>;
    fn step(&self, x: Var<'t, f64>, state: Self::State) -> Self::State {
        let mut input = x;
        let layers = self.0.iter().zip(state);
        let next = |(cell, state): (&C, C::State)| {
            let next = cell.step(input, state);
            input = next.output();
            next
        };
        layers.map(next).collect()
    }
    fn initial(&self, batch: usize) -> Self::State {
        self.0.iter().map(|cell| cell.initial(batch)).collect()
    }
}

parameters! {
    /// Fast weights: the state is a matrix for each sequence, `[B, 2, 2]`, and h `[B]`.
    struct FastWeights<P> { w: P }
}

impl<'t> Cell<'t, f64> for FastWeights<Var<'t, f64>> {
    type State = (Var<'t, f64>, Var<'t, f64>);
    fn step(&self, x: Var<'t, f64>, (sum, matrix): Self::State) -> Self::State {
        let key = x.matmul(self.w);
        let outer = key.unsqueeze(2) * key.unsqueeze(1);
        (sum + key.sum_axis(1), matrix * 0.5 + outer)
    }
    fn initial(&self, batch: usize) -> Self::State {
        (self.w.tape().zeros(&[batch]), self.w.tape().zeros(&[batch, 2, 2]))
    }
}

#[test]
fn padding_is_invisible_to_states_that_are_no_rows() {
    // As many sequences as rows in a matrix of the state: a mask along the wrong axis would fit silently.
    let module = FastWeights { w: random(&[3, 2], 4) };
    let sequences = random(&[4, 2, 3], 5);
    let lengths = [4, 2];
    let tape = Tape::new();
    let cell = module.on(&tape);
    let together = Unroll::new().lengths(&lengths).run(&cell, tape.constant(sequences.clone()));
    for (b, &length) in lengths.iter().enumerate() {
        let own = sequences.slice(1, b..b + 1).slice(0, 0..length);
        let alone = unroll(&cell, tape.constant(own));
        let (sum, matrix) = (together.last.0.value(), together.last.1.value());
        assert_eq!(sum.index(0, b).to_vec(), alone.last.0.value().to_vec());
        assert_eq!(matrix.index(0, b).to_vec(), alone.last.1.value().to_vec());
        let outputs = together.outputs().value().index(1, b);
        assert_eq!(outputs.slice(0, 0..length).to_vec(), alone.outputs().value().to_vec());
        assert!(outputs.slice(0, length..4).to_vec().iter().all(|&y| y == 0.0), "0 where a sequence is over");
    }
}
