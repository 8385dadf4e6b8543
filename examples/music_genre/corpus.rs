//! Real scores: a folder with one folder for each class, and the class's MIDI files in it.

use std::error::Error;
use std::path::{Path, PathBuf};

use rewind_examples::folders::{self, Kind};

use crate::dataset::{Dataset, Piece};
use crate::midi::{self, Oddities, Reading};

const KIND: Kind = Kind { item: "score", file: "MIDI file", endings: &["mid", "midi", "smf", "kar", "rmi"] };

/// The contents of a folder.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    /// The scores, class by class, sorted by file name within a class.
    pub(crate) dataset: Dataset,
    /// The files that could not be read, and why.
    pub(crate) broken: Vec<String>,
    /// What was odd in files that could.
    pub(crate) odd: Vec<(PathBuf, Oddities)>,
}

/// Reads a folder of class folders; `classes` names those to read, `None` all but hidden ones. A broken file is named in
/// [`Corpus::broken`].
///
/// # Errors
///
/// As [`folders::read`].
pub(crate) fn read_folder(root: &Path, classes: Option<&[String]>) -> Result<Corpus, Box<dyn Error>> {
    let mut odd = Vec::new();
    let found = folders::read(root, classes, KIND, |path| {
        let Reading { score, oddities } = midi::read_file(path).map_err(|reason| reason.to_string())?;
        if !oddities.is_empty() {
            odd.push((path.to_owned(), oddities));
        }
        Ok(score)
    })?;
    let pieces = found.items.into_iter().map(|(score, class)| Piece { score, class }).collect();
    Ok(Corpus { dataset: Dataset { classes: found.classes, pieces }, broken: found.broken, odd })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::score::{Note, Score};

    /// A folder with the given files; those whose contents are `None` are good scores.
    fn folder(files: &[(&str, Option<&str>)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let note = Note { onset: 0, pitch: 60, duration: 1, velocity: 64 };
        let good = Score::new("", 1, vec![note]).to_midi(120).unwrap();
        for (name, contents) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents.map_or(&good[..], str::as_bytes)).unwrap();
        }
        root
    }

    fn message(root: &Path) -> String {
        let text = read_folder(root, None).unwrap_err().to_string();
        text.replace(&root.display().to_string(), "ROOT").replace('\\', "/")
    }

    #[test]
    fn reads_in_order_of_names_and_names_what_is_broken() {
        let root = folder(&[
            ("rock/b.MID", None),
            ("rock/a.mid", None),
            ("rock/notes.txt", Some("not tried")),
            ("blues/x.mid", Some("lyrics")),
            ("blues/y.midi", None),
            (".hidden/z.mid", None),
            ("README.md", Some("passed over")),
        ]);
        let corpus = read_folder(root.path(), None).unwrap();
        assert_eq!(corpus.dataset.classes, ["blues", "rock"]);
        let read: Vec<(&str, usize)> =
            corpus.dataset.pieces.iter().map(|piece| (piece.score.name(), piece.class)).collect();
        assert_eq!(read, [("y", 0), ("a", 1), ("b", 1)]);
        assert_eq!(corpus.broken.len(), 1);
        assert!(
            corpus.broken[0]
                .ends_with("x.mid is not a MIDI file: expected it to begin with \"MThd\", found \"lyrics\"")
        );
    }

    #[test]
    fn a_class_without_a_readable_score_gives_the_first_reasons() {
        let names = ["rock/1.mid", "rock/2.mid", "rock/3.mid", "rock/4.mid"];
        let root = folder(&names.map(|name| (name, Some(""))));
        let reason = "is not a MIDI file: expected it to begin with \"MThd\", found nothing";
        assert_eq!(
            message(root.path()),
            format!(
                "ROOT/rock has no readable score: 4 tried; ROOT/rock/1.mid {reason}; ROOT/rock/2.mid {reason}; \
                 ROOT/rock/3.mid {reason}; and so on"
            )
        );
        let root = folder(&[("rock/readme.txt", Some("no music"))]);
        assert_eq!(
            message(root.path()),
            "ROOT/rock has no readable score: no file in it ends in one of .mid, .midi, .smf, .kar, .rmi"
        );
    }

    #[test]
    fn what_is_odd_is_counted_by_file() {
        let root = folder(&[("a/good.mid", None), ("a/odd.mid", None)]);
        let path = root.path().join("a/odd.mid");
        let bytes = [fs::read(&path).unwrap(), vec![0; 3]].concat();
        fs::write(&path, bytes).unwrap();
        let corpus = read_folder(root.path(), None).unwrap();
        assert_eq!(corpus.dataset.pieces.len(), 2);
        let odd = corpus.odd.iter().map(|(path, oddities)| (path.as_path(), oddities));
        assert_eq!(midi::summary(odd), [format!("bytes after the last track: 1 in {}", path.display())]);
    }
}
