//! What the network learns and is judged on: recordings of a folder, or speech of the program's own.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rewind_autograd::Tensor;
use rewind_examples::labelled::Source;
use rewind_examples::say;

use crate::audio;
use crate::features::FrontEnd;
use crate::manifest::{MANIFEST, Manifest, Row};
use crate::normal::{Normal, Scales};
use crate::phones::{Pronunciations, least_steps};
use crate::streams::streams;
use crate::synth::{Speaker, speak, words};

/// Utterances that the program makes, for training and for testing.
const MADE: [usize; 2] = [1600, 200];
/// Of the training part, one clip in so many is held out: it decides when training stops.
const HELD_OUT: usize = 16;
/// The split of the rows that are trained on.
const TRAIN: &str = "train";

/// A recording as the network reads it.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) name: String,
    /// `[L, FEATURES]`.
    pub(crate) features: Tensor<f32>,
    pub(crate) pronunciations: Pronunciations,
}

impl Clip {
    /// How many phones are said, in the usual pronunciation.
    pub(crate) fn count(&self) -> usize {
        self.pronunciations[0].len()
    }

    /// The least number of time steps in which CTC can say every pronunciation.
    pub(crate) fn least_steps(&self) -> usize {
        self.pronunciations.iter().map(|phones| least_steps(phones)).max().unwrap_or(0)
    }
}

/// A recording before the front end and after it.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) clip: Clip,
    /// At 8 kHz.
    pub(crate) samples: Vec<f32>,
    /// Empty if nobody is named.
    pub(crate) speaker: String,
}

/// The parts of a corpus that are wanted beside the test part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// What a network is trained on.
    pub(crate) train: bool,
    /// Recordings one after the other ([`streams`]), in the training part too.
    pub(crate) streams: bool,
}

/// The parts of a corpus, as the front end gives them or normalised.
#[derive(Clone, Debug, Default)]
pub(crate) struct Corpus {
    pub(crate) train: Vec<Clip>,
    /// Held out of the training part.
    pub(crate) held_out: Vec<Clip>,
    pub(crate) test: Vec<Clip>,
    /// The recordings of the test part in streams, if the corpus has them.
    pub(crate) test_streams: Vec<Clip>,
}

impl Corpus {
    /// How features are normalised for a network that is trained on this corpus: it reads `one_way` or both.
    pub(crate) fn normal(&self, one_way: bool) -> Normal {
        if one_way {
            Normal::Training(Scales::of(self.train.iter().map(|clip| &clip.features)))
        } else {
            Normal::Recording
        }
    }

    /// Normalises all clips.
    pub(crate) fn normalised(mut self, normal: &Normal) -> Corpus {
        let parts = [&mut self.train, &mut self.held_out, &mut self.test, &mut self.test_streams];
        for clip in parts.into_iter().flatten() {
            clip.features = normal.apply(&clip.features);
        }
        self
    }

    /// The corpus of a source, not normalised yet. `leave_out` is a speaker who is only tested.
    ///
    /// # Errors
    /// As [`Manifest::read`]; if a recording cannot be used; or if a part is empty.
    pub(crate) fn read(source: &Source, leave_out: Option<&str>, parts: Parts) -> Result<Corpus, Box<dyn Error>> {
        let Parts { train, streams: in_streams } = parts;
        let [learned, test] = match (&source.data, &source.test) {
            (None, None) => made(source.seed, train),
            (None, Some(_)) if train => {
                return Err("--test needs a folder to train on, --data DIR, or a saved network, --load".into());
            }
            (data, test) => {
                let data = data.as_deref();
                let manifest = data.filter(|_| train || test.is_none());
                let manifest = manifest.map(|data| Manifest::read(data, None)).transpose()?;
                let rows = || manifest.iter().flat_map(Manifest::rows);
                let learned = recordings(rows().filter(|row| train && is_trained_on(row, leave_out)), true)?;
                let is_judged = |row: &Row| is_judged(row, leave_out);
                let judged = match test {
                    Some(test) => recordings(Manifest::read(test, data)?.rows().filter(is_judged), false)?,
                    // A row without a split was trained on.
                    None => {
                        let others = rows().filter(|row| leave_out.is_some() || !row.split.is_empty());
                        recordings(others.filter(is_judged), false)?
                    }
                };
                [learned, judged]
            }
        };
        if test.is_empty() {
            return Err(nothing_to_test(leave_out, source).into());
        }
        let rng = || ChaCha8Rng::seed_from_u64(source.seed);
        let in_streams =
            |recordings: &[Recording], rng: &mut _| if in_streams { streams(recordings, rng) } else { Vec::new() };
        let test_streams = in_streams(&test, &mut rng());
        let test = alone(test);
        if !train {
            return Ok(Corpus { test, test_streams, ..Corpus::default() });
        }
        if learned.len() < 2 {
            let found = learned.len();
            return Err(format!(
                "there are {found} recordings to train on; expected 2 at least, of the split \"{TRAIN}\""
            )
            .into());
        }
        let mut train = learned;
        let rng = &mut rng();
        train.shuffle(rng);
        let held_out = alone(train.split_off(train.len() - train.len().div_ceil(HELD_OUT)));
        let train_streams = in_streams(&train, rng);
        let train = [alone(train), train_streams].concat();
        Ok(Corpus { train, held_out, test, test_streams })
    }
}

/// Recordings that are heard each for itself.
fn alone(recordings: Vec<Recording>) -> Vec<Clip> {
    recordings.into_iter().map(|recording| recording.clip).collect()
}

fn nothing_to_test(leave_out: Option<&str>, source: &Source) -> String {
    let folder = source.test.as_ref().or(source.data.as_ref());
    let manifest = folder.and_then(|folder| Manifest::read(folder, source.data.as_deref()).ok());
    let names = |of: fn(Row) -> String| {
        let rows = manifest.iter().flat_map(Manifest::rows);
        let names: BTreeSet<_> = rows.map(of).filter(|name| !name.is_empty()).collect();
        if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
    };
    let expected = match leave_out {
        Some(speaker) => {
            format!("of the speaker {speaker:?} in {MANIFEST}; its speakers: {}", names(|row| row.speaker))
        }
        None => format!("in {MANIFEST} whose split is not \"{TRAIN}\"; its splits: {}", names(|row| row.split)),
    };
    format!("there is nothing to test on: expected rows {expected}")
}

fn is_trained_on(row: &Row, leave_out: Option<&str>) -> bool {
    (row.split == TRAIN || row.split.is_empty()) && leave_out != Some(&row.speaker)
}

/// The rows to be judged on are all of the speaker that is left out, or those whose split is not that of training.
fn is_judged(row: &Row, leave_out: Option<&str>) -> bool {
    match leave_out {
        Some(speaker) => row.speaker == speaker,
        None => row.split != TRAIN,
    }
}

/// The recordings of rows. Those to be trained on must be long enough for their phones; shorter ones are left out and counted.
fn recordings(rows: impl Iterator<Item = Row>, train: bool) -> Result<Vec<Recording>, Box<dyn Error>> {
    let front_end = FrontEnd::new();
    let (mut recordings, mut short, mut first) = (Vec::new(), 0, None);
    for Row { at, name, file, pronunciations, speaker, .. } in rows {
        let samples = audio::read(&file).map_err(|reason| format!("{at}: {reason}"))?;
        let features = front_end.features(&samples);
        if features.is_none() && !train {
            return Err(format!("{at}: {}: it is shorter than 25 ms", file.display()).into());
        }
        let clip = features.map(|features| Clip { name, features, pronunciations });
        match clip.filter(|clip| !train || clip.features.shape()[0] >= clip.least_steps()) {
            Some(clip) => recordings.push(Recording { clip, samples, speaker }),
            None => {
                short += 1;
                first.get_or_insert(at);
            }
        }
    }
    if let Some(at) = first {
        say(format!(
            "left out: {short} recordings too short for their phones, one step of 10 ms each; the first: {at}"
        ));
    }
    Ok(recordings)
}

/// Utterances of the program's own, before the front end.
pub(crate) struct Spoken {
    pub(crate) samples: Vec<f32>,
    pub(crate) phones: Vec<usize>,
}

/// Utterance `number` of a seed: no other depends on it.
pub(crate) fn utterance(seed: u64, number: usize) -> Spoken {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number as u64 + 1);
    let speaker = Speaker::draw(&mut rng);
    let phones = words(&mut rng);
    Spoken { samples: speak(&phones, speaker, &mut rng), phones }
}

/// The training part and the test part of what a seed makes.
fn made(seed: u64, train: bool) -> [Vec<Recording>; 2] {
    let front_end = FrontEnd::new();
    let [first, second] = MADE;
    let recording = |number: usize| {
        let Spoken { samples, phones } = utterance(seed, number);
        let features = front_end.features(&samples).expect("there is silence of more than a window");
        let clip = Clip { name: format!("utterance {}", number + 1), features, pronunciations: [phones].into() };
        Recording { clip, samples, speaker: String::new() }
    };
    let learned = if train { (0..first).map(recording).collect() } else { Vec::new() };
    [learned, (first..first + second).map(recording).collect()]
}

/// Writes the first `count` utterances of a seed into a folder, with a manifest: the folder can be given to `--data`.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write(folder: &Path, seed: u64, count: usize) -> Result<(), Box<dyn Error>> {
    use rewind_examples::files::write_whole;
    let mut manifest = "file\tsplit\tphones\n".to_owned();
    for number in 0..count {
        let Spoken { samples, phones } = utterance(seed, number);
        let name = format!("{:03}.wav", number + 1);
        write_whole(&folder.join(&name), &audio::wav(&samples)?)?;
        let split = if number % 4 == 3 { "valid" } else { TRAIN };
        let phones: Vec<_> = phones.iter().map(|&class| crate::phones::PHONES[class - 1]).collect();
        manifest += &format!("{name}\t{split}\t{}\n", phones.join(" "));
    }
    write_whole(&folder.join(MANIFEST), manifest.as_bytes())?;
    Ok(())
}
