//! Real scores: a folder with one folder for each class, and the class's MIDI files in it.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::dataset::{Dataset, Piece, expect_each_once};
use crate::midi::{self, Oddities, Reading};

/// The endings of the files that are read, in any case.
const ENDINGS: [&str; 5] = ["mid", "midi", "smf", "kar", "rmi"];

/// How many reasons an error message gives before it says "and so on".
const REASONS: usize = 3;

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

/// Reads a folder of class folders.
///
/// `classes` names the folders to read, in the order of the classes; `None` reads all but hidden ones, sorted by name.
/// Within a class, files with a MIDI ending are read in the order of their names; other files and folders are skipped.
/// A broken file is named in [`Corpus::broken`].
///
/// # Errors
///
/// A folder that cannot be listed, a class that is missing, named twice or has a comma in its name, and a class without
/// a readable score.
pub(crate) fn read_folder(root: &Path, classes: Option<&[String]>) -> Result<Corpus, Box<dyn Error>> {
    let found: Vec<String> = sorted_entries(root)?
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .filter(|name| !name.starts_with('.'))
        .collect();
    let at = root.display();
    if found.is_empty() {
        return Err(format!("{at} holds no folders: expected one folder of MIDI files for each class").into());
    }
    let classes = classes.unwrap_or(&found);
    expect_each_once(classes, &found, |class| {
        format!("{at} has no folder for the class \"{class}\"; the folders there are: {}", found.join(", "))
    })?;
    if let Some(class) = classes.iter().find(|class| class.contains(',')) {
        let advice = "separates classes: rename it, or name others with --classes";
        return Err(format!("{} has a comma in its name, which {advice}", root.join(class).display()).into());
    }
    let mut corpus = Corpus::default();
    for (class, name) in classes.iter().enumerate() {
        read_class(&root.join(name), class, &mut corpus)?;
    }
    corpus.dataset.classes = classes.to_vec();
    Ok(corpus)
}

/// Adds a class's files to `corpus`.
fn read_class(folder: &Path, class: usize, corpus: &mut Corpus) -> Result<(), Box<dyn Error>> {
    let (pieces_before, broken_before) = (corpus.dataset.pieces.len(), corpus.broken.len());
    for path in sorted_entries(folder)? {
        let is_midi =
            path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)));
        if !is_midi || path.is_dir() {
            continue;
        }
        match midi::read_file(&path) {
            Ok(Reading { score, oddities }) => {
                corpus.dataset.pieces.push(Piece { score, class });
                if !oddities.is_empty() {
                    corpus.odd.push((path, oddities));
                }
            }
            Err(reason) => corpus.broken.push(format!("{} {reason}", path.display())),
        }
    }
    if corpus.dataset.pieces.len() == pieces_before {
        let reasons = reasons(&corpus.broken[broken_before..]);
        return Err(format!("{} has no readable score: {reasons}", folder.display()).into());
    }
    Ok(())
}

fn reasons(broken: &[String]) -> String {
    if broken.is_empty() {
        return format!("no file in it ends in one of .{}", ENDINGS.join(", ."));
    }
    let more = if broken.len() > REASONS { "; and so on" } else { "" };
    format!("{} tried; {}{more}", broken.len(), broken[..broken.len().min(REASONS)].join("; "))
}

/// The entries of a folder, sorted by name: the order of a file system differs from machine to machine.
fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> =
        entries.map_err(|source: io::Error| format!("cannot list the folder {}: {source}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
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

    fn message(root: &Path, classes: Option<&[&str]>) -> String {
        let classes = classes.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let text = read_folder(root, classes.as_deref()).unwrap_err().to_string();
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
    fn classes_are_read_in_the_order_asked_for() {
        let root = folder(&[("a/1.mid", None), ("b/1.mid", None), ("c/1.mid", Some(""))]);
        let corpus = read_folder(root.path(), Some(&["b".to_owned(), "a".to_owned()])).unwrap();
        assert_eq!(corpus.dataset.classes, ["b", "a"]);
        assert!(corpus.broken.is_empty());
    }

    #[test]
    fn a_missing_class_names_the_folders_there_are() {
        let root = folder(&[("rock/1.mid", None), ("jazz/1.mid", None)]);
        assert_eq!(
            message(root.path(), Some(&["rock", "blues"])),
            "ROOT has no folder for the class \"blues\"; the folders there are: jazz, rock"
        );
        assert_eq!(message(root.path(), Some(&["rock", "rock"])), "the class \"rock\" is asked for twice");
    }

    #[test]
    fn a_class_without_a_readable_score_gives_the_first_reasons() {
        let names = ["rock/1.mid", "rock/2.mid", "rock/3.mid", "rock/4.mid"];
        let root = folder(&names.map(|name| (name, Some(""))));
        let reason = "is not a MIDI file: expected it to begin with \"MThd\", found nothing";
        assert_eq!(
            message(root.path(), None),
            format!(
                "ROOT/rock has no readable score: 4 tried; ROOT/rock/1.mid {reason}; ROOT/rock/2.mid {reason}; \
                 ROOT/rock/3.mid {reason}; and so on"
            )
        );
        let root = folder(&[("rock/readme.txt", Some("no music"))]);
        assert_eq!(
            message(root.path(), None),
            "ROOT/rock has no readable score: no file in it ends in one of .mid, .midi, .smf, .kar, .rmi"
        );
    }

    #[test]
    fn a_class_that_no_list_could_name_is_refused() {
        let root = folder(&[("rock, pop/1.mid", None), ("jazz/1.mid", None), ("rock/1.mid", None)]);
        assert_eq!(
            message(root.path(), None),
            "ROOT/rock, pop has a comma in its name, which separates classes: rename it, or name others with --classes"
        );
        assert!(read_folder(root.path(), Some(&["jazz".to_owned(), "rock".to_owned()])).is_ok());
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

    #[test]
    fn folders_that_are_none() {
        let root = folder(&[("a.mid", None)]);
        assert_eq!(
            message(root.path(), None),
            "ROOT holds no folders: expected one folder of MIDI files for each class"
        );
        let none = message(&root.path().join("none"), None);
        assert!(none.starts_with("cannot list the folder ROOT: "), "{none}");
    }
}
