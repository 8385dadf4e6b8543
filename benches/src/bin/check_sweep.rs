//! The gradient check over all modules: `cargo run --release -p rewind-benches --bin check_sweep -- --seeds 200`.

use std::collections::BTreeMap;

use std::process::ExitCode;

use clap::Parser;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{Parameters, Scalar, Tensor};
use rewind_rnn::check::{self, Check, Report, Verdict};
use rewind_rnn::{
    Bidirectional, CoupledLstm, Dropout, ForgetGate, Gru, IndRnn, LayerModule, LayerNorm, LayerNormLstm, Linear, Lru,
    Lstm, MLstm, Merge, Mgu, MinGru, MinLstm, PeepholeLstm, ProjectedLstm, Recurrent, RecurrentDropout,
    RecurrentModule, ReluRnn, Reset, Residual, SLstm, Scan, TanhRnn, Zoneout,
};

/// Checks the gradient of every cell, wrapper and layer at sizes from 1 to 33, in both precisions and modes, and prints how often each verdict
/// was given. All gradients are right: what is called wrong is a false alarm, and the program fails.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many seeds, each with other parameters, weights and sizes.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Prints the report of everything that is not right.
    #[arg(long)]
    reports: bool,
}

/// Checks a module over so many time steps and sequences.
type Checked = Box<dyn Fn(Check, [usize; 2]) -> Report>;

/// The modules for I features and H units.
struct Modules<T: Scalar> {
    all: Vec<(&'static str, Checked)>,
    features: usize,
    /// By what the parameters are multiplied.
    scale: T,
}

impl<T: Scalar> Modules<T> {
    fn scaled<M: Parameters<Tensor<T>, With<Tensor<T>> = M>>(&self, module: &M) -> M {
        module.map(|_, p| p.map(|p| self.scale * p))
    }

    fn cell<M: RecurrentModule<T> + Parameters<Tensor<T>, With<Tensor<T>> = M>>(
        &mut self,
        name: &'static str,
        module: M,
    ) {
        let (module, features) = (self.scaled(&module), self.features);
        self.all
            .push((name, Box::new(move |check, [t, b]| check::cell_with::<T, _>(check, &module, [t, b, features]))));
    }

    fn layer<M: LayerModule<T> + Parameters<Tensor<T>, With<Tensor<T>> = M>>(&mut self, name: &'static str, module: M) {
        let (module, features) = (self.scaled(&module), self.features);
        self.all
            .push((name, Box::new(move |check, [t, b]| check::layer_with::<T, _>(check, &module, [t, b, features]))));
    }
}

/// Every module of the crate.
fn modules<T: Scalar>([i, h]: [usize; 2], scale: f64, seed: u64) -> Vec<(&'static str, Checked)> {
    let rng = &mut StdRng::seed_from_u64(seed);
    let heads = (2..=h).find(|heads| h.is_multiple_of(*heads)).unwrap_or(1);
    let mut list = Modules::<T> { all: Vec::new(), features: i, scale: T::from_f64(scale) };
    list.cell("TanhRnn", TanhRnn::new(i, h, rng));
    list.cell("TanhRnn, learned state", TanhRnn::new(i, h, rng).with_learned_state());
    list.cell("TanhRnn in heads", TanhRnn::new(i, h, rng).with_heads(heads, rng));
    list.cell("ReluRnn", ReluRnn::new(i, h, rng));
    list.cell("ReluRnn, identity", ReluRnn::identity(i, h, rng));
    list.cell("IndRnn", IndRnn::new(i, h, rng));
    list.cell("Mgu", Mgu::new(i, h, rng));
    list.cell("Lstm", Lstm::new(i, h, rng));
    list.cell("Lstm, learned state", Lstm::new(i, h, rng).with_learned_state().with_forget_bias(T::ONE));
    list.cell("Lstm in heads", Lstm::new(i, h, rng).with_heads(heads, rng));
    list.cell("Gru", Gru::new(i, h, rng));
    list.cell("Gru, reset before", Gru { reset: Reset::BeforeProduct, ..Gru::new(i, h, rng).with_learned_state() });
    list.cell("Gru in heads", Gru::new(i, h, rng).with_heads(heads, rng));
    list.cell("PeepholeLstm", PeepholeLstm::new(i, h, rng));
    list.cell("ProjectedLstm", ProjectedLstm::new(i, h + 1, h, rng));
    list.cell("CoupledLstm", CoupledLstm::new(i, h, rng));
    list.cell("LayerNormLstm", LayerNormLstm::new(i, h, rng));
    list.cell("MinGru", MinGru::new(i, h, rng));
    list.cell("MinLstm", MinLstm::new(i, h, rng).with_learned_state());
    list.cell("Lru", Lru::new(i, h, rng));
    list.cell("SLstm", SLstm::new(i, h, rng));
    list.cell(
        "SLstm, learned state",
        SLstm { forget: ForgetGate::Exponential, ..SLstm::new(i, h, rng).with_learned_state() },
    );
    list.cell("SLstm in heads", SLstm::new(i, h, rng).with_heads(heads, rng));
    list.cell("MLstm", MLstm::new(i, h, heads, rng));
    list.cell("MLstm, exponential", MLstm { forget: ForgetGate::Exponential, ..MLstm::new(i, h, 1, rng) });
    list.cell("Zoneout", Zoneout::new(Lstm::new(i, h, rng), &[0.1, 0.5]));
    list.cell("Zoneout, mLSTM", Zoneout::new(MLstm::new(i, h, 1, rng), &[0.2]));
    list.cell("RecurrentDropout", RecurrentDropout::new(Gru::new(i, h, rng), 0.5));
    list.layer("Recurrent", Recurrent(Lstm::new(i, h, rng)));
    list.layer("Bidirectional", Bidirectional::cells(Gru::new(i, h, rng), Lstm::new(i, h, rng)));
    list.layer(
        "Bidirectional, sum",
        Bidirectional::cells(TanhRnn::new(i, h, rng), Mgu::new(i, h, rng)).with_merge(Merge::Sum),
    );
    list.layer("Scan", Scan(MinGru::new(i, h, rng)));
    list.layer("Bidirectional scans", Bidirectional::new(Scan(Lru::new(i, h, rng)), Scan(MinLstm::new(i, h, rng))));
    list.layer("Linear", Linear::new(i, h, rng));
    list.layer("LayerNorm", LayerNorm::new(i));
    list.layer("Dropout", Dropout::new(0.5));
    list.layer("Dropout of a sequence", Dropout::of_sequence(0.5));
    list.layer("Residual", Residual::new(Recurrent(TanhRnn::new(i, i, rng))));
    list.layer("vector of layers", vec![Recurrent(Mgu::new(i, i, rng)), Recurrent(Mgu::new(i, i, rng))]);
    let dropped = Recurrent(RecurrentDropout::new(Zoneout::new(Lstm::new(h, h, rng), &[0.2]), 0.2));
    list.layer(
        "stack with every dropout",
        (Dropout::of_sequence(0.2), Recurrent(Gru::new(i, h, rng)), Dropout::new(0.3), dropped, Linear::new(h, 2, rng)),
    );
    list.layer("stack with mLSTM", (Recurrent(MLstm::new(i, h, heads, rng)), Recurrent(SLstm::new(h, h, rng))));
    list.all
}

/// How often each verdict was given, by precision and mode.
#[derive(Default)]
struct Verdicts {
    counts: BTreeMap<(String, String), usize>,
    /// What is not right.
    reports: Vec<String>,
}

impl Verdicts {
    fn add(&mut self, kind: String, verdict: &Verdict, report: impl FnOnce() -> String) {
        let name = match verdict {
            Verdict::Right => "right".to_owned(),
            Verdict::Wrong => "WRONG".to_owned(),
            Verdict::CannotTell(doubt) => format!("{doubt:?}").chars().take_while(|c| c.is_alphabetic()).collect(),
            Verdict::Invalid(_) => "INVALID".to_owned(),
        };
        if *verdict != Verdict::Right {
            self.reports.push(report());
        }
        *self.counts.entry((kind, name)).or_default() += 1;
    }

    /// Checks all modules at `[T, B, I, H]`, with parameters from small to large.
    fn sweep<T: Scalar>(&mut self, mode: &str, check: Check, sizes: [usize; 4], seed: u64) {
        let ([t, b, i, h], scale) = (sizes, [1.0, 2.0, 0.3][seed as usize % 3]);
        for (name, checked) in modules::<T>([i, h], scale, seed) {
            let report = checked(check.seed(seed), [t, b]);
            let kind = format!("{} {mode}", T::NAME);
            let place = format!("{name}, T, B, I, H = {sizes:?}, seed {seed}, {kind}");
            self.add(kind.clone(), &report.verdict, || format!("{place}: {report}"));
            for point in report.points.iter().skip(1) {
                self.add(format!("{kind}, further points"), &point.verdict, || format!("{place}: {point}"));
            }
        }
    }
}

fn main() -> ExitCode {
    let Arguments { seeds, first, reports } = Arguments::parse();
    let mut verdicts = Verdicts::default();
    for seed in first..first + seeds {
        let pick = |from: &[usize], by: u64| from[(seed / by) as usize % from.len()];
        let small = [pick(&[4, 1, 7, 2], 1), pick(&[2, 1, 3], 2), pick(&[2, 1, 3, 7], 3), pick(&[3, 2, 1, 7], 5)];
        let large = [pick(&[7, 1, 33], 1), pick(&[2, 1, 7], 2), pick(&[7, 1, 33], 3), pick(&[33, 7, 1], 5)];
        verdicts.sweep::<f64>("full, orders 1 and 2", check::full(), small, seed);
        verdicts.sweep::<f64>("fast, orders 1 and 2", check::fast().orders(2), large, seed);
        verdicts.sweep::<f32>("full, order 1", check::full().orders(1), small, seed);
        verdicts.sweep::<f32>("fast, order 1", check::fast(), large, seed);
    }
    for ((kind, found), count) in &verdicts.counts {
        println!("{kind:<40} {found:<16} {count:>6}");
    }
    if reports {
        verdicts.reports.iter().for_each(|report| println!("\n{report}"));
    }
    let bad = |found: &str| found == "WRONG" || found == "INVALID";
    if verdicts.counts.keys().any(|(_, found)| bad(found)) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
