//! Testing: the translations of the test sentences, their BLEU, and how many are one of those that the file has.

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::{Figure, Metric};
use rewind_rnn::Shards;

use crate::batch::{Batch, Pair};
use crate::beam::{Translation, search};
use crate::bleu::bleu;
use crate::dataset::Sentence;
use crate::model::Translator;
use crate::train::unrolled;
use crate::words::{Language, Unit};

/// Pairs whose loss is computed at once.
const TOGETHER: usize = 64;

/// Sentences that are translated on one tape.
const ON_A_TAPE: usize = 32;

/// A translation as a text, and what it looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The words of the sentence and of the translation, and the weights `[target][source]`; none without attention.
    pub(crate) alignment: Option<Alignment>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alignment {
    pub(crate) source: Vec<String>,
    pub(crate) target: Vec<String>,
    pub(crate) weights: Vec<Vec<f32>>,
}

/// Translates sentences, each by a beam of `width`.
pub(crate) fn translate(
    model: &Translator<Tensor<f32>>,
    languages: [&Language; 2],
    sentences: &[&str],
    width: usize,
    shards: &Shards<f32>,
) -> Vec<Answer> {
    // On one tape the parameters are prepared for products once; what it computes stays until its end.
    let jobs: Vec<_> = sentences.chunks(ON_A_TAPE).collect();
    let answers = shards.run(jobs.len(), |i, _| {
        let quiet = Tape::quiet();
        let on_tape = model.on(&quiet);
        let of = |sentence: &&str| {
            let words = languages[0].split(sentence);
            if words.is_empty() {
                return Answer { text: String::new(), alignment: None };
            }
            let encoded = on_tape.encode(&languages[0].places(&words), &[words.len()], None);
            answer(words, search(&on_tape, &encoded, width), languages[1])
        };
        jobs[i].iter().map(of).collect::<Vec<_>>()
    });
    answers.concat()
}

/// An unknown word is copied from where the decoder looked most; without attention it is left out.
fn answer(source: Vec<String>, found: Translation, to: &Language) -> Answer {
    let looked = |k: usize| {
        let weights = found.weights.get(k)?;
        let most = (0..weights.len()).reduce(|most, s| if weights[s] > weights[most] { s } else { most })?;
        source.get(most).map(String::as_str)
    };
    let word = |(k, &place): (usize, &usize)| to.word(place).or_else(|| looked(k)).map(str::to_owned);
    let target: Vec<Option<String>> = found.places.iter().enumerate().map(word).collect();
    let text = to.join(&target.iter().flatten().collect::<Vec<_>>());
    let target = target.into_iter().map(Option::unwrap_or_default).collect();
    let alignment = (!found.weights.is_empty()).then_some(Alignment { source, target, weights: found.weights });
    Answer { text, alignment }
}

/// What a model is tested on.
pub(crate) struct Test<'a> {
    pub(crate) sentences: &'a [Sentence],
    pub(crate) pairs: Vec<Pair>,
    pub(crate) languages: [&'a Language; 2],
    /// The width of the beam after training.
    pub(crate) beam: usize,
}

/// What a test gives.
#[derive(Clone, Debug)]
pub(crate) struct Tested {
    /// The mean of -ln p of a word, over all translations of the file.
    pub(crate) loss: f64,
    pub(crate) answers: Vec<Answer>,
    pub(crate) is_right: Vec<bool>,
    /// The share of sentences whose translation is one of those of the file.
    pub(crate) exact: f64,
    /// BLEU of all, against all translations of each sentence.
    pub(crate) bleu: f64,
}

impl Test<'_> {
    /// Tests a model with a beam of `width`.
    pub(crate) fn run(&self, model: &Translator<Tensor<f32>>, width: usize, shards: &Shards<f32>) -> Tested {
        let batches: Vec<_> = self.pairs.chunks(TOGETHER).collect();
        let losses = shards.run(batches.len(), |i, _| {
            let (quiet, batch) = (Tape::quiet(), Batch::new(batches[i]));
            let (loss, _) = unrolled(&model.on(&quiet), &batch, None, None, 0.0);
            (f64::from(loss.value().item()), batch.count())
        });
        let (loss, count) = losses.into_iter().fold((0.0, 0), |(a, m), (b, n)| (a + b, m + n));
        let sources: Vec<_> = self.sentences.iter().map(|sentence| sentence.source.as_str()).collect();
        let answers = translate(model, self.languages, &sources, width, shards);
        self.tested(loss / count.max(1) as f64, answers)
    }

    /// What these answers are worth. Texts are compared as their words are, so that spaces and apostrophes make no difference.
    pub(crate) fn tested(&self, loss: f64, answers: Vec<Answer>) -> Tested {
        let unit = self.languages[1].unit;
        let plain = |text: &str| unit.join(&unit.split(text));
        let references: Vec<Vec<String>> =
            self.sentences.iter().map(|sentence| sentence.targets.iter().map(|text| plain(text)).collect()).collect();
        let said: Vec<String> = answers.iter().map(|answer| plain(&answer.text)).collect();
        let is_right: Vec<bool> = said.iter().zip(&references).map(|(said, all)| all.contains(said)).collect();
        let exact = is_right.iter().filter(|&&right| right).count() as f64 / is_right.len().max(1) as f64;
        Tested { loss, answers, is_right, exact, bleu: bleu(&said, &references) }
    }
}

impl Tested {
    /// The figure of a model: BLEU of words, the share of exact translations of characters.
    pub(crate) fn figure(&self, name: &str, unit: Unit) -> Figure {
        let (metric, value) = match unit {
            Unit::Words => (Metric::Bleu, self.bleu),
            Unit::Characters => (Metric::Exact, self.exact),
        };
        Figure { name: name.to_owned(), metric, value, count: self.answers.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_copied_from_where_it_looked() {
        let to = Language::of(["le chat"].into_iter(), Unit::Words, 1).unwrap();
        let source = ["the", "Boston", "cat"].map(str::to_owned).to_vec();
        let places = vec![3, crate::words::UNKNOWN, 2];
        let weights = vec![vec![0.8, 0.1, 0.1], vec![0.1, 0.7, 0.2], vec![0.0, 0.3, 0.7]];
        let found = Translation { places: places.clone(), weights, log_probability: -1.0 };
        let said = answer(source.clone(), found, &to);
        assert_eq!(said.text, "le Boston chat");
        assert_eq!(said.alignment.expect("it looked").target, ["le", "Boston", "chat"]);
        let said = answer(source, Translation { places, ..Translation::default() }, &to);
        assert_eq!((said.text.as_str(), said.alignment), ("le chat", None));
    }

    #[test]
    fn any_translation_of_the_file_is_right() {
        let language = Language::of(["a"].into_iter(), Unit::Words, 1).unwrap();
        let sentence = |targets: &[&str]| Sentence {
            source: "s".to_owned(),
            targets: targets.iter().map(ToString::to_string).collect(),
        };
        let sentences = [sentence(&["Es-tu là\u{202f}?", "Tu es là ?"]), sentence(&["J\u{2019}ai"])];
        let test = Test { sentences: &sentences, pairs: vec![], languages: [&language; 2], beam: 1 };
        let answers = ["Es-tu là ?", "J'avais"].map(|text| Answer { text: text.to_owned(), alignment: None });
        let tested = test.tested(0.0, answers.to_vec());
        assert_eq!((tested.is_right, tested.exact), (vec![true, false], 0.5));
    }
}
