//! `--listen`: phones while somebody speaks. Samples become phones step by step, and nothing of what was heard is kept but the state of
//! the network.

mod source;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use rewind_autograd::Tensor;
use rewind_examples::{say, unwritable};
use rewind_rnn::{Linear, Stream};

use crate::audio::RATE;
use crate::features::{AHEAD, FEATURES, FeatureStream, FrontEnd, HOP, WINDOW};
use crate::model::{Layers, Network, OneWay};
use crate::normal::{Normal, Scales};
use crate::phones::{BLANK, CLASSES, slashed};
use crate::resample::Resampler;
use crate::saved::Saved;

use source::Samples;

/// The name of the standard input.
const STANDARD_INPUT: &str = "-";

/// Tells the phones that the network of the file `load` hears in `input`, a WAV file or, named `-`, the standard input. With a rate it
/// has no header.
pub(crate) fn listen(
    load: &Path,
    input: &Path,
    raw_rate: Option<u32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let saved = Saved::load(load)?;
    let front_end = FrontEnd::new();
    let at = load.display();
    let ear = |rate| Listener::new(&saved, &front_end, rate).map_err(|reason| format!("{at}: {reason}"));
    if input == Path::new(STANDARD_INPUT) {
        follow(io::stdin().lock(), "the standard input", raw_rate, ear, out)
    } else {
        let file = File::open(input).map_err(|error| format!("cannot read {}: {error}", input.display()))?;
        follow(file, &input.display().to_string(), raw_rate, ear, out)
    }
}

/// Tells what a listener hears in an input of this name, to its end.
fn follow<'f>(
    input: impl Read,
    name: &str,
    raw_rate: Option<u32>,
    ear: impl Fn(u32) -> Result<Listener<'f>, String>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let about = |reason: String| format!("{name}: {reason}");
    let samples = match raw_rate {
        Some(rate) => Samples::raw(input, rate),
        None => Samples::wav(input),
    };
    let mut samples = samples.map_err(about)?;
    let mut listener = ear(samples.rate())?;
    say(format!("listening to {name}, {} Hz; a step is heard {LATENCY} ms after it begins", samples.rate()));
    while let Some(block) = samples.next().map_err(about)? {
        if !told(&listener.hear(&block), out)? {
            return Ok(());
        }
    }
    told(&listener.finish(), out)?;
    let missing = samples.missing();
    let promised = if missing > 0.0 { format!("; its header promises {missing:.2} s more") } else { String::new() };
    let rest = match samples.rest() {
        0 => String::new(),
        bytes => format!("; left out at the end: {bytes} bytes that are no whole sample"),
    };
    say(format!("{name} ended after {:.2} s{promised}{rest}", samples.seconds()));
    Ok(())
}

/// From the beginning of a window to its row of features, in ms.
const LATENCY: usize = (WINDOW + AHEAD * HOP) * 1000 / RATE as usize;

/// Writes each phone at once. `false` if nobody reads on, as at the end of a pipe.
fn told(phones: &[Phone], out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
    for Phone { step, class } in phones {
        let seconds = (step * HOP) as f64 / f64::from(RATE);
        match writeln!(out, "{seconds:.2} {}", slashed(*class)).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
            other => other.map_err(unwritable)?,
        }
    }
    Ok(true)
}

/// A phone and the time step at which the network hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Phone {
    step: usize,
    class: usize,
}

/// A network of one direction: its layers and the readout.
type Causal<P> = (Vec<OneWay<P>>, Linear<P>);

/// A network that listens: samples in, phones out.
struct Listener<'f> {
    resampler: Resampler,
    features: FeatureStream<'f>,
    scales: Scales,
    network: Stream<f32, Causal<Tensor<f32>>>,
    /// The class of the last step: a phone that goes on is told once.
    last: usize,
}

impl<'f> Listener<'f> {
    /// Listens to samples at `rate`.
    ///
    /// # Errors
    /// If the network cannot listen.
    fn new(saved: &Saved, front_end: &'f FrontEnd, rate: u32) -> Result<Self, String> {
        let Network { layers, readout } = saved.network.clone();
        let expected = "expected one that was trained with --one-way";
        let Layers::OneWay(layers) = layers else {
            return Err(format!("its network reads in both directions and must know the end first; {expected}"));
        };
        let Normal::Training(scales) = saved.normal.clone() else {
            return Err(format!("its network reads recordings that are normalised as a whole; {expected}"));
        };
        Ok(Listener {
            resampler: Resampler::new(rate, RATE),
            features: FeatureStream::new(front_end),
            scales,
            network: Stream::new((layers, readout), 1),
            last: BLANK,
        })
    }

    /// The phones that are complete with these samples.
    fn hear(&mut self, samples: &[f32]) -> Vec<Phone> {
        let samples = self.resampler.push(samples);
        let rows = self.features.push(&samples);
        self.phones(rows)
    }

    /// The phones that the end completes.
    fn finish(&mut self) -> Vec<Phone> {
        let samples = self.resampler.finish();
        let mut rows = self.features.push(&samples);
        rows.extend(self.features.finish());
        self.phones(rows)
    }

    /// The logits `[S, 1, CLASSES]` of rows of the front end.
    fn logits(&mut self, rows: &[Vec<f32>]) -> Tensor<f32> {
        let mut values = rows.concat();
        self.scales.apply(&mut values);
        self.network.steps(&Tensor::from_vec(values, &[rows.len(), 1, FEATURES]))
    }

    /// The best path through the next rows: repeats are merged and blanks removed.
    fn phones(&mut self, rows: Vec<Vec<f32>>) -> Vec<Phone> {
        if rows.is_empty() {
            return Vec::new();
        }
        let first = self.network.position();
        let logits = self.logits(&rows).to_vec();
        let mut phones = Vec::new();
        for (step, row) in (first..).zip(logits.chunks_exact(CLASSES)) {
            let class = (1..CLASSES).fold(BLANK, |best, class| if row[class] > row[best] { class } else { best });
            if class != self.last && class != BLANK {
                phones.push(Phone { step, class });
            }
            self.last = class;
        }
        phones
    }
}
