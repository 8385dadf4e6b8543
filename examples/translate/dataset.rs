//! Sentences with their translations: made by the program, or lines `source<TAB>target`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use rewind_examples::division::test_part;
use rewind_examples::labelled::Source;
use rewind_examples::{say, text};

use crate::numbers;
use crate::words::{MAX_LENGTH, Unit};

/// Of a file that is not divided yet, one sentence in so many is for testing.
const TEST_SHARE: usize = 5;

/// A sentence of the source language with its translations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) source: String,
    /// One at least, in the order of the file.
    pub(crate) targets: Vec<String>,
}

/// The sentences of a file, each distinct source once. More columns than two, such as the source of a sentence, are ignored.
pub(crate) fn read(path: &Path, unit: Unit) -> Result<Vec<Sentence>, Box<dyn Error>> {
    let (at, text) = (path.display(), text::read(path)?);
    let (mut sentences, mut places, mut known) = (Vec::<Sentence>::new(), BTreeMap::new(), BTreeSet::new());
    let (mut long, mut first, mut empty) = (0, None, 0);
    for (line, row) in (1..).zip(text::lines(&text)) {
        if row.trim().is_empty() {
            empty += 1;
            continue;
        }
        let mut columns = row.split('\t').map(str::trim);
        let (Some(source), Some(target)) = (columns.next(), columns.next()) else {
            let start = text::start(row);
            return Err(format!("{at}, line {line}: {start:?} has no tab; expected source, tab, target").into());
        };
        for (name, text) in [("source", source), ("target", target)] {
            if text.is_empty() {
                return Err(format!("{at}, line {line}: the {name} is empty; expected source, tab, target").into());
            }
        }
        // A word has a letter at least: long texts need not be cut.
        let is_long = |text: &str, unit: Unit| text.len() > 100 * MAX_LENGTH || unit.split(text).len() > MAX_LENGTH;
        if is_long(source, Unit::Words) || is_long(target, unit) {
            long += 1;
            first.get_or_insert(line);
            continue;
        }
        let place = *places.entry(source).or_insert_with(|| {
            sentences.push(Sentence { source: source.to_owned(), targets: Vec::with_capacity(1) });
            sentences.len() - 1
        });
        if known.insert((place, target)) {
            sentences[place].targets.push(target.to_owned());
        }
    }
    if empty > 0 {
        say(format!("left out of {at}: {empty} empty lines"));
    }
    if let Some(first) = first {
        let unit = unit.name();
        say(format!(
            "left out of {at}: {long} lines with more than {MAX_LENGTH} words, or {unit} of the target, the first of them line {first}"
        ));
    }
    if sentences.is_empty() {
        return Err(format!("{at} has no line to translate").into());
    }
    Ok(sentences)
}

/// The training part and the test part.
pub(crate) fn parts(source: &Source, unit: Unit) -> Result<[Vec<Sentence>; 2], Box<dyn Error>> {
    match (&source.data, &source.test) {
        (None, None) => Ok(numbers::make(source.seed)),
        (None, Some(_)) => Err("--test needs a file to train on, --data FILE, or a saved model, --load".into()),
        (Some(data), Some(test)) => Ok([read(data, unit)?, read(test, unit)?]),
        (Some(data), None) => {
            let all = read(data, unit)?;
            if all.len() < TEST_SHARE {
                let (at, count) = (data.display(), all.len());
                return Err(
                    format!("{at} has {count} sentences; expected {TEST_SHARE} at least, or --test FILE").into()
                );
            }
            let in_test = test_part(&vec![0; all.len()], 1, all.len() / TEST_SHARE, source.seed);
            let of =
                |wanted: bool| all.iter().zip(&in_test).filter(move |(_, own)| **own == wanted).map(|(s, _)| s.clone());
            Ok([of(false).collect(), of(true).collect()])
        }
    }
}

/// The part that a saved model is tested on.
pub(crate) fn test_part_of(source: &Source, unit: Unit) -> Result<Vec<Sentence>, Box<dyn Error>> {
    match &source.test {
        Some(test) => read(test, unit),
        None => parts(source, unit).map(|[_, test]| test),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(contents: impl AsRef<[u8]>) -> Result<Vec<Sentence>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        std::fs::write(&path, contents).unwrap();
        let at = path.display().to_string();
        read(&path, Unit::Words).map_err(|error| error.to_string().replace(&at, "FILE"))
    }

    fn sentence(source: &str, targets: &[&str]) -> Sentence {
        Sentence { source: source.to_owned(), targets: targets.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn a_source_has_all_its_translations() {
        let long = format!("{}\tx\na\t{}\nb\t{}\n", "x".repeat(100_000), "a ".repeat(61), "a ".repeat(60));
        let found =
            of(format!("\u{feff}Hi.\tSalut !\tby someone\r\n\nHi.\tSalut.\nHi.\tSalut.\n Go. \t Va ! \n{long}"));
        let found = found.unwrap();
        assert_eq!(found[..2], [sentence("Hi.", &["Salut !", "Salut."]), sentence("Go.", &["Va !"])]);
        assert_eq!((found.len(), found[2].source.as_str()), (3, "b"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let refused = |contents: &[u8]| of(contents).unwrap_err();
        assert_eq!(refused(b""), "FILE is empty; expected text");
        assert_eq!(refused(b"\n \n"), "FILE has no line to translate");
        assert_eq!(refused(b"a\tb\nno tab\n"), "FILE, line 2: \"no tab\" has no tab; expected source, tab, target");
        assert_eq!(refused(b"a\tb\n\n \tb\n"), "FILE, line 3: the source is empty; expected source, tab, target");
        assert_eq!(refused(b"a\t \tb\n"), "FILE, line 1: the target is empty; expected source, tab, target");
        let latin = "FILE, line 2: byte 10 is 0xe9; expected UTF-8: convert the file, from Latin-1 perhaps";
        assert_eq!(refused(b"a\tb\na\tcaf\xe9\n"), latin);
        assert!(refused(b"PK\x03\0").starts_with("FILE, line 1: byte 4 is 0; expected text"));
        assert_eq!(refused(format!("a\t{}", "a ".repeat(61)).as_bytes()), "FILE has no line to translate");
    }

    #[test]
    fn a_file_is_divided_by_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        let lines: String = (0..40).map(|i| format!("source {}\ttarget {i}\n", i / 2)).collect();
        std::fs::write(&path, lines).unwrap();
        let of = |seed| parts(&Source { data: Some(path.clone()), test: None, seed }, Unit::Words).unwrap();
        let [train, test] = of(1);
        assert_eq!((train.len(), test.len()), (16, 4));
        assert!(test.iter().all(|sentence| sentence.targets.len() == 2 && !train.contains(sentence)));
        assert_eq!(of(1), [train, test.clone()]);
        assert_ne!(of(2)[1], test);
    }
}
