//! Zoneout: units that keep their state.

use std::marker::PhantomData;

use rewind_autograd::{Parameters, Scalar, Tensor, Var, parameters};

use crate::cell::{Cell, State};
use crate::noise::{Noise, check_rate};

parameters! {
    /// Zoneout (Krueger et al. 2017) over any cell. For every part s of the state, of rate z:
    ///
    /// ```text
    /// s_t = d ∘ s_(t-1) + (1 - d) ∘ ŝ_t    in training; every element of d is 1 with probability z, drawn anew at each step
    /// s_t = z · s_(t-1) + (1 - z) · ŝ_t    without noise: the expected value
    /// ```
    ///
    /// where ŝ_t is the state that the cell gives. In a state [with units](State::has_units), as that of `SLstm` or `MLstm`, only the output
    /// may have a rate: its c and n are in units of e^m, which are others at each step. Masks are drawn from the noise of the pass; see [`Unroll::noise`](crate::Unroll::noise).
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Lstm, Noise, Unroll, Zoneout};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let cell = Zoneout::new(Lstm::new(3, 5, rng), &[0.05, 0.5]); // rates of h and of c
    /// let tape = Tape::<f32>::new();
    /// let unrolled = Unroll::new().noise(Noise::draw(rng)).run(&cell.on(&tape), tape.zeros(&[7, 2, 3]));
    /// assert_eq!(unrolled.last.cell.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct Zoneout<P, C> {
        /// The cell.
        pub cell: C,
        /// The rate of every part of the state, in the order of [`State::zip`]; one rate is that of all parts.
        #[setting]
        pub rates: Vec<f64>,
        leaf: PhantomData<P>,
    }
}

impl<T: Scalar, C: Parameters<Tensor<T>>> Zoneout<Tensor<T>, C> {
    /// Zoneout of `cell`, with a rate for each part of its state or one for all.
    ///
    /// # Panics
    /// If a rate is not in [0, 1), or there is none.
    #[track_caller]
    pub fn new(cell: C, rates: &[f64]) -> Self {
        if rates.is_empty() {
            panic!("Zoneout: no rate; expected one, or one for each part of the state");
        }
        for &rate in rates {
            check_rate("Zoneout", rate);
        }
        Zoneout { cell, rates: rates.to_vec(), leaf: PhantomData }
    }
}

impl<P, C> Zoneout<P, C> {
    /// The next state, made from that of the cell and the one before by `f`, which gets the number of a part, its rate, and both of its
    /// values.
    #[track_caller]
    fn keep<'t, T: Scalar, S: State<'t, T>>(
        &self,
        next: S,
        before: S,
        f: impl Fn((usize, f64), Var<'t, T>, Var<'t, T>) -> Var<'t, T>,
    ) -> S {
        let (mut part, mut refused) = (0, None);
        let output = next.has_units().then(|| next.output().position());
        let state = next.zip(before, &mut |new, old| {
            let rate = if self.rates.len() == 1 { Some(&self.rates[0]) } else { self.rates.get(part) };
            part += 1;
            match rate {
                Some(&rate) if rate > 0.0 => {
                    if output.is_some_and(|output| new.position() != output) {
                        refused = refused.or(Some((part - 1, rate)));
                    }
                    f((part, rate), new, old)
                }
                _ => new,
            }
        });
        if let Some((part, rate)) = refused {
            let name = &state.part_names()[part];
            panic!(
                "Zoneout: the part `{name}` of the state has rate {rate}, but its unit changes from step to step (it is e^m in SLstm and MLstm); \
                 expected rate 0 for every part except the output"
            );
        }
        if self.rates.len() != 1 && self.rates.len() != part {
            panic!(
                "Zoneout: {} rates for a state of {part} parts; expected one for each, or one for all",
                self.rates.len()
            );
        }
        state
    }

    /// Without noise: the expected value.
    #[track_caller]
    fn expected<'t, T: Scalar, S: State<'t, T>>(&self, next: S, before: S) -> S {
        self.keep(next, before, |(_, rate), new, old| new + (old - new) * T::from_f64(rate))
    }
}

impl<'t, T: Scalar, C: Cell<'t, T>> Cell<'t, T> for Zoneout<Var<'t, T>, C> {
    type State = C::State;

    #[track_caller]
    fn step(&self, x: Var<'t, T>, state: C::State) -> C::State {
        self.expected(self.cell.step(x, state.clone()), state)
    }

    #[track_caller]
    fn equations(&self, x: Var<'t, T>, state: C::State) -> C::State {
        self.expected(self.cell.equations(x, state.clone()), state)
    }

    #[track_caller]
    fn noisy_step(&self, x: Var<'t, T>, state: C::State, noise: Noise) -> C::State {
        let next = self.cell.noisy_step(x, state.clone(), noise.part(0));
        self.keep(next, state, |(part, rate), new, old| {
            let kept: Tensor<T> = noise.part(part).choose(&new.shape(), rate, T::ONE, T::ZERO);
            new.tape().constant(kept).select(old, new)
        })
    }

    #[track_caller]
    fn initial(&self, batch: usize) -> C::State {
        self.cell.initial(batch)
    }

    #[track_caller]
    fn features(&self) -> Option<usize> {
        self.cell.features()
    }
}
