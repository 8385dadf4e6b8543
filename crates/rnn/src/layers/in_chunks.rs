//! The mLSTM in chunks of time steps: matrix products within a chunk, a state between chunks (Beck et al. 2024).

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Scalar, Tensor, Var};

use crate::cell::{Cell, parts};
use crate::cells::{HeadSizes, MLstm, MLstmState, norm, scaled};
use crate::time::{Layer, LayerOutputs, Unroll};
use crate::transparent;

/// The logarithm of the weight of an input that is padding or lies in the future: less than any, even than that of an empty first state.
const UNSEEN: f64 = -2e30;

transparent! {
    /// An [`MLstm`] as a layer that computes `every` time steps at once. The outputs and states are those of
    /// [`Recurrent`](crate::Recurrent) over the same cell, up to rounding; so they are in a [`Stream`](crate::Stream) and in
    /// [segments](Unroll::through_in_segments), whose chunks end elsewhere. The parameters are those of the cell, under the same names.
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
    /// use rewind_rnn::{InChunks, MLstm, Recurrent, Unroll};
    ///
    /// let mlstm = MLstm::new(3, 8, 2, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f64>::new();
    /// let x = tape.constant(Tensor::from_fn(&[7, 5, 3], |i| (i as f64).sin()));
    /// let how = Unroll::new().lengths(&[7, 7, 5, 4, 1]);
    /// let chunks = how.through(&InChunks::new(mlstm.clone(), 4).on(&tape), x);
    /// let steps = how.through(&Recurrent(mlstm).on(&tape), x);
    /// assert!((chunks.outputs - steps.outputs).value().norm() < 1e-14);
    /// assert_eq!(chunks.last.cell.shape().as_slice(), [5, 2, 4, 4]);
    /// ```
    #[derive(PartialEq)]
    pub struct InChunks<C> {
        /// The cell.
        pub cell: C,
        /// S, the time steps of a chunk; the last chunk may have fewer.
        pub every: usize,
    }
}

impl<C> InChunks<C> {
    /// A cell in chunks of `every` time steps.
    ///
    /// # Panics
    /// If `every` is 0.
    #[track_caller]
    pub fn new(cell: C, every: usize) -> Self {
        check_every(every);
        InChunks { cell, every }
    }
}

#[track_caller]
fn check_every(every: usize) {
    if every == 0 {
        panic!("InChunks: chunks of 0 time steps; expected at least one in each");
    }
}

impl<'t, T: Scalar> Layer<'t, T> for InChunks<MLstm<Var<'t, T>>> {
    type State = MLstmState<'t, T>;

    #[track_caller]
    fn initial_state(&self, batch: usize) -> MLstmState<'t, T> {
        self.cell.initial(batch)
    }

    #[track_caller]
    fn forward(
        &self,
        x: Var<'t, T>,
        state: MLstmState<'t, T>,
        how: Unroll<'_>,
    ) -> LayerOutputs<'t, T, MLstmState<'t, T>> {
        check_every(self.every);
        self.cell.check_step(x.index(0, 0), state);
        self.chunks(x, state, how)
    }

    #[track_caller]
    fn input_width(&self) -> Option<usize> {
        self.cell.features()
    }
}

impl<'t, T: Scalar> InChunks<MLstm<Var<'t, T>>> {
    /// Outputs and last state. Separate from `forward`, whose `#[track_caller]` would give every node the line of the caller.
    fn chunks(
        &self,
        x: Var<'t, T>,
        first: MLstmState<'t, T>,
        how: Unroll<'_>,
    ) -> LayerOutputs<'t, T, MLstmState<'t, T>> {
        let (tape, start) = (x.tape(), x.tape().len());
        let [steps, batch] = [0, 1].map(|axis| x.shape()[axis]);
        // Backward in time the padding comes first, and leaves the first state as it is.
        let in_order = |v: Var<'t, T>| if how.backward { v.flip(0) } else { v };
        let sequence = Projected::new(&self.cell, in_order(x), how.mask(x).map(in_order));
        let HeadSizes { heads, width, .. } = self.cell.sizes();
        let mut memory = Memory::of(first);
        let mut found = tape.list(steps.div_ceil(self.every));
        for (chunk, start) in (0..steps).step_by(self.every).enumerate() {
            let _chunk = tape.numbered_scope("chunk", chunk);
            let read;
            (read, memory) = sequence.part(start..steps.min(start + self.every)).read(memory);
            found.push(read);
        }
        let open = sequence.open.reshape(&[steps, batch, heads, width]).sigmoid();
        let outputs = (open * concat(&found, 2).permute(&[2, 0, 1, 3])).reshape(&[steps, batch, heads * width]);
        let outputs = how.masked(in_order(outputs));

        let last = memory.state(last_hidden(first.hidden, outputs, how));
        let mut kept = parts(&last);
        kept.push(outputs);
        tape.release_unread(start, &kept);
        LayerOutputs::new(outputs, last)
    }
}

/// h after the last step of each sequence (after its first, backward in time): `first` `[B, H]` of one that ended before this segment.
fn last_hidden<'t, T: Scalar>(first: Var<'t, T>, outputs: Var<'t, T>, how: Unroll<'_>) -> Var<'t, T> {
    let [steps, batch, hidden] = [0, 1, 2].map(|axis| outputs.shape()[axis]);
    let Some(lengths) = how.lengths else {
        return outputs.index(0, if how.backward { 0 } else { steps - 1 });
    };
    let states = concat(&[first, outputs.reshape(&[steps * batch, hidden])], 0);
    let steps_done = lengths.iter().map(|&length| if how.backward { length.min(1) } else { length });
    let rows: Vec<_> = steps_done.enumerate().map(|(b, done)| done * batch + b).collect();
    states.index_select(0, &rows)
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
