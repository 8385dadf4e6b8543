//! The mLSTM in chunks of time steps: matrix products within a chunk, a state between chunks (Beck et al. 2024).

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Scalar, Tensor, Var};

use crate::cell::{Cell, parts};
use crate::cells::{HeadSizes, MLstm, MLstmState, norm, scaled};
use crate::sizes::{StateShapes, check_features, check_input, check_lengths, check_tape};
use crate::time::Unroll;

/// The logarithm of the weight of an input that is padding or lies in the future: less than any, even than that of an empty first state.
const UNSEEN: f64 = -2e30;

/// A sequence that was computed in chunks.
#[derive(Clone, Copy, Debug)]
pub struct Chunks<'t, T: Scalar> {
    /// The outputs of all time steps, `[T, B, H]`; 0 after the end of a sequence.
    pub outputs: Var<'t, T>,
    /// The state after the last step of each sequence (after its first, backward in time).
    pub last: MLstmState<'t, T>,
}

impl Unroll<'_> {
    /// The outputs and the last state of `cell` over `x` `[T, B, I]`, from the cell's first state: those of [`run`](Unroll::run) up to
    /// rounding, computed `every` time steps at once.
    ///
    /// With F_jk = Σ ln f_l over k < l ≤ j, and step 0 for the state (C, n, m) before the chunk, with ĩ_0 = m:
    ///
    /// ```text
    /// m_j = max_k (F_jk + ĩ_k)                          k ≤ j: as step by step
    /// P_jk = exp(F_jk + ĩ_k - m_j)
    /// r_j = Σ_(k>0) P_jk·(q_j·k_k)·v_k/√D + P_j0·q_j·C    and the same with 1 in place of v and n in place of C: q_j·n_j
    /// h_j = sigmoid(õ_j) ∘ r_j/max(|q_j·n_j|, exp(-m_j))
    /// ```
    ///
    /// A chunk of S steps takes 2·B·H·(S² + S·D) multiplications, forward, where S steps take 3·B·H·S·D that read and write
    /// the whole of C at each. An S near D is a good choice. F is summed along its rows rather than subtracted, so that no large ln f
    /// cancels.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape, Tensor};
    /// use rewind_rnn::{MLstm, Unroll, unroll};
    ///
    /// let mlstm = MLstm::new(3, 8, 2, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f64>::new();
    /// let (cell, x) = (mlstm.on(&tape), tape.constant(Tensor::from_fn(&[7, 5, 3], |i| (i as f64).sin())));
    /// let chunks = Unroll::new().in_chunks(4, &cell, x);
    /// let difference = chunks.outputs - unroll(&cell, x).outputs();
    /// assert!(difference.value().norm() < 1e-14);
    /// assert_eq!(chunks.last.cell.shape().as_slice(), [5, 2, 4, 4]);
    /// ```
    ///
    /// # Panics
    /// As [`run`](Unroll::run), and if `every` is 0.
    #[track_caller]
    pub fn in_chunks<'t, T: Scalar>(self, every: usize, cell: &MLstm<Var<'t, T>>, x: Var<'t, T>) -> Chunks<'t, T> {
        self.chunks(every, cell, x, None)
    }

    /// [`in_chunks`](Unroll::in_chunks), from `state`.
    ///
    /// # Panics
    /// As [`in_chunks`](Unroll::in_chunks), and if the state does not fit the cell.
    #[track_caller]
    pub fn in_chunks_from<'t, T: Scalar>(
        self,
        every: usize,
        cell: &MLstm<Var<'t, T>>,
        x: Var<'t, T>,
        state: MLstmState<'t, T>,
    ) -> Chunks<'t, T> {
        self.chunks(every, cell, x, Some(state))
    }

    #[track_caller]
    fn chunks<'t, T: Scalar>(
        self,
        every: usize,
        cell: &MLstm<Var<'t, T>>,
        x: Var<'t, T>,
        first: Option<MLstmState<'t, T>>,
    ) -> Chunks<'t, T> {
        if every == 0 {
            panic!("unroll: chunks of 0 time steps; expected at least one in each");
        }
        let [steps, batch, _] = check_input(x);
        if let Some(lengths) = self.lengths {
            check_lengths(lengths, steps, batch);
        }
        check_features(cell, x);
        let first = match first {
            Some(state) => state,
            None => cell.initial(batch),
        };
        check_tape(cell, &first, x);
        StateShapes::of_first(cell, &first, x);
        cell.check_step(x.index(0, 0), &first);
        self.all_chunks(every, cell, x, first)
    }

    fn all_chunks<'t, T: Scalar>(
        self,
        every: usize,
        cell: &MLstm<Var<'t, T>>,
        x: Var<'t, T>,
        first: MLstmState<'t, T>,
    ) -> Chunks<'t, T> {
        let (tape, start) = (x.tape(), x.tape().len());
        let [steps, batch] = [0, 1].map(|axis| x.shape()[axis]);
        let in_time = |x: Var<'t, T>| if self.backward { x.flip(0) } else { x };
        let padding = self.lengths.map(|lengths| in_time(tape.constant(running(lengths, steps))));
        let zero = tape.scalar(T::ZERO);
        let masked = |x: Var<'t, T>| padding.map_or(x, |mask| mask.select(x, zero));

        let sequence = Projected::new(cell, masked(in_time(x)), padding);
        let HeadSizes { heads, width, .. } = cell.sizes();
        let mut memory = Memory::of(first);
        let mut found = tape.list(steps.div_ceil(every));
        for (chunk, start) in (0..steps).step_by(every).enumerate() {
            let _chunk = tape.numbered_scope("chunk", chunk);
            let read;
            (read, memory) = sequence.part(start..steps.min(start + every)).read(memory);
            found.push(read);
        }
        let open = sequence.open.reshape(&[steps, batch, heads, width]).sigmoid();
        let outputs = (open * concat(&found, 2).permute(&[2, 0, 1, 3])).reshape(&[steps, batch, heads * width]);
        let outputs = in_time(masked(outputs));

        let hidden = match self.lengths {
            Some(lengths) if !self.backward => {
                let rows: Vec<_> = lengths.iter().enumerate().map(|(b, length)| (length - 1) * batch + b).collect();
                outputs.reshape(&[steps * batch, heads * width]).index_select(0, &rows)
            }
            _ => outputs.index(0, if self.backward { 0 } else { steps - 1 }),
        };
        let last = memory.state(hidden);
        let mut kept = parts(&last);
        kept.push(outputs);
        tape.release_unread(start, &kept);
        Chunks { outputs, last }
    }
}

/// `[T, B, 1]`: 1 in the steps of a sequence, 0 after its end.
fn running<T: Scalar>(lengths: &[usize], steps: usize) -> Tensor<T> {
    let batch = lengths.len();
    Tensor::from_fn(&[steps, batch, 1], |at| if at / batch < lengths[at % batch] { T::ONE } else { T::ZERO })
}

/// C and n between two chunks, and m. n is one more column of C: that of a value that is always 1.
#[derive(Clone, Copy)]
struct Memory<'t, T: Scalar> {
    /// `[B, N, D, D + 1]`.
    stored: Var<'t, T>,
    /// `[B, N]`.
    stabiliser: Var<'t, T>,
}

impl<'t, T: Scalar> Memory<'t, T> {
    fn of(state: MLstmState<'t, T>) -> Self {
        Memory { stored: concat(&[state.cell, state.normaliser.unsqueeze(3)], 3), stabiliser: state.stabiliser }
    }

    fn state(self, hidden: Var<'t, T>) -> MLstmState<'t, T> {
        let width = self.stored.shape()[2];
        let (cell, normaliser) = (self.stored.slice(3, 0..width), self.stored.index(3, width));
        MLstmState { hidden, cell, normaliser, stabiliser: self.stabiliser }
    }
}

/// What the cell reads of the steps of a sequence, or of a chunk.
struct Projected<'t, T: Scalar> {
    /// `[B, N, S, D]`.
    query: Var<'t, T>,
    /// Times 1/√D, `[B, N, S, D]`.
    key: Var<'t, T>,
    /// And a 1, `[B, N, S, D + 1]`.
    value: Var<'t, T>,
    /// ĩ, `[B, N, S]`.
    input: Var<'t, T>,
    /// ln f, `[B, N, S]`.
    forget: Var<'t, T>,
    /// õ of all time steps, `[T, B, H]`.
    open: Var<'t, T>,
}

impl<'t, T: Scalar> Projected<'t, T> {
    /// Of the whole sequence x `[T, B, I]`. Padding, where the mask `[T, B, 1]` is 0, has no weight and forgets nothing.
    fn new(cell: &MLstm<Var<'t, T>>, x: Var<'t, T>, padding: Option<Var<'t, T>>) -> Self {
        let (HeadSizes { heads, width, .. }, tape) = (cell.sizes(), x.tape());
        let [steps, batch] = [0, 1].map(|axis| x.shape()[axis]);
        let gates = x.affine(cell.weight_gates, cell.bias_gates).permute(&[1, 2, 0]);
        let [input, forget] = gates.split_named(1, &["i", "f"]);
        let forget = cell.forget.logarithm(forget);
        let number = |number: f64| tape.scalar(T::from_f64(number));
        let (input, forget) = match padding {
            None => (input, forget),
            Some(mask) => {
                let mask = mask.permute(&[1, 2, 0]);
                (mask.select(input, number(UNSEEN)), mask.select(forget, number(0.0)))
            }
        };
        let read = x.affine(cell.weight_ih, cell.bias);
        let [query, key, value, open] = read.split_named(2, &["q", "k", "v", "o"]);
        let by_head = |part: Var<'t, T>| part.reshape(&[steps, batch, heads, width]).permute(&[1, 2, 0, 3]);
        let ones = tape.constant(Tensor::full(&[batch, heads, steps, 1], T::ONE));
        let value = concat(&[by_head(value), ones], 3);
        Projected { query: by_head(query), key: scaled(by_head(key), width), value, input, forget, open }
    }

    fn part(&self, steps: std::ops::Range<usize>) -> Self {
        let part = |x: Var<'t, T>| x.slice(2, steps.clone());
        Projected {
            query: part(self.query),
            key: part(self.key),
            value: part(self.value),
            input: part(self.input),
            forget: part(self.forget),
            open: self.open,
        }
    }

    /// q·C/max(|q·n|, exp(-m)) of every step of a chunk, `[B, N, S, D]`, and the memory after it.
    fn read(&self, memory: Memory<'t, T>) -> (Var<'t, T>, Memory<'t, T>) {
        let (steps, width) = (self.query.shape()[2], self.query.shape()[3]);
        let logarithms = self.log_weights(memory.stabiliser);
        // The stabiliser cancels in h, so that h needs no gradient through it; in the state after the chunk it does not.
        let stabiliser = logarithms.detach().max_axis(3);
        let weights = (logarithms - stabiliser.unsqueeze(3)).exp();
        let within = weights.slice(3, 1..steps + 1) * self.query.matmul(self.key.transpose());
        let before = weights.slice(3, 0..1) * self.query.matmul(memory.stored);
        let found = within.matmul(self.value) + before;
        let norm = norm(found.index(3, width), stabiliser).unsqueeze(3);

        let last = logarithms.index(2, steps - 1);
        let stabiliser = last.max_axis(2);
        let weights = (last - stabiliser.unsqueeze(2)).exp().unsqueeze(3);
        let keys = self.key * weights.slice(2, 1..steps + 1);
        let stored = weights.slice(2, 0..1) * memory.stored + keys.transpose().matmul(self.value);
        (found.slice(3, 0..width) / norm, Memory { stored, stabiliser })
    }

    /// The logarithms of the weights at step j of what came at step k, `[B, N, S, 1 + S]`: first of the memory before the chunk, then of
    /// its steps.
    fn log_weights(&self, stabiliser: Var<'t, T>) -> Var<'t, T> {
        let steps = self.input.shape()[2];
        // One number on and below the diagonal of `[S, 1 + S]`, or on and below the one right of it, and another above.
        let triangle = |right: usize, below: f64, above: f64| {
            let element = |row: usize, column: usize| if column <= row + right { below } else { above };
            let at = |at: usize| T::from_f64(element(at / (steps + 1), at % (steps + 1)));
            self.input.tape().constant(Tensor::from_fn(&[steps, steps + 1], at))
        };
        let decay = (self.forget.unsqueeze(3) * triangle(0, 1.0, 0.0)).cumsum(2);
        let sources = concat(&[stabiliser.unsqueeze(2), self.input], 2).unsqueeze(2);
        decay + sources + triangle(1, 0.0, UNSEEN)
    }
}
