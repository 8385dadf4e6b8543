//! Folders of recordings: a table of files, with the phones of each.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use rewind_examples::text;

use crate::phones::{self, Pronunciations};
use crate::tabs::Table;

/// The table of a folder.
pub(crate) const MANIFEST: &str = "manifest.tsv";
/// The end of the name of a table that gives the phones of words: `digits_phones.tsv`.
const LEXICON: &str = "_phones.tsv";

/// A row of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The manifest and the line, as messages begin.
    pub(crate) at: String,
    /// The file as the manifest names it, and where it is.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) pronunciations: Pronunciations,
    /// `train` and others; empty if the manifest has no such column.
    pub(crate) split: String,
    pub(crate) speaker: String,
}

/// The pronunciations of words: for words of the column of this name.
struct Lexicon {
    column: String,
    pronunciations: HashMap<String, Pronunciations>,
    path: PathBuf,
}

/// The lexicon of a folder, if it has one. A word has a line for each of its pronunciations.
fn lexicon(folder: &Path) -> Result<Option<Lexicon>, Box<dyn Error>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(LEXICON) && !name.starts_with('.')).collect();
    names.sort();
    let name = match &names[..] {
        [] => return Ok(None),
        [name] => name,
        [first, second, ..] => {
            let at = folder.display();
            return Err(format!("{at} has {first} and {second}; expected one table of pronunciations").into());
        }
    };
    let table = Table::read(folder.join(name))?;
    let spelled = table.expect("phones")?;
    let mut pronunciations: HashMap<_, Vec<_>> = HashMap::new();
    for (line, row) in &table.rows {
        let said = phones::parse(&row[spelled]).map_err(|reason| format!("{}: {reason}", table.at(*line)))?;
        pronunciations.entry(row[0].clone()).or_default().push(said);
    }
    let pronunciations = pronunciations.into_iter().map(|(word, said)| (word, said.into())).collect();
    Ok(Some(Lexicon { column: table.header[0].clone(), pronunciations, path: table.path }))
}

/// The rows of the manifest of `folder`, in order. Phones are in a column `phones`; or a table whose name ends in
/// `_phones.tsv`, in this folder or in `other`, gives those of the words in its first column.
///
/// # Errors
/// If a table cannot be read or lacks a column, a phone or a word is unknown, or a row has no phones: with file and line.
pub(crate) fn read(folder: &Path, other: Option<&Path>) -> Result<Vec<Row>, Box<dyn Error>> {
    if folder.is_file() {
        return Err(format!("{} is a file; expected the folder that has the table {MANIFEST}", folder.display()).into());
    }
    let table = Table::read(folder.join(MANIFEST))?;
    let file = table.expect("file")?;
    let [split, speaker, spelled] = ["split", "speaker", "phones"].map(|name| table.column(name));
    let lexicon = match (spelled, lexicon(folder)?, other) {
        (Some(_), _, _) => None,
        (None, Some(own), _) => Some(own),
        (None, None, Some(other)) => self::lexicon(other)?,
        (None, None, None) => None,
    };
    let pronunciations_of = |row: &[String]| match (spelled, &lexicon) {
        (Some(column), _) => phones::parse(&row[column]).map(|phones| [phones].into()),
        (None, Some(lexicon)) => {
            let word = &row[table.expect(&lexicon.column)?];
            let unknown = || format!("{:?} is no {} of {}", text::start(word), lexicon.column, lexicon.path.display());
            lexicon.pronunciations.get(word).cloned().ok_or_else(unknown)
        }
        (None, None) => {
            Err(format!("no phones: there is neither a column \"phones\" nor a table *{LEXICON} in the folder"))
        }
    };
    let mut rows = Vec::new();
    for (line, row) in &table.rows {
        let at = table.at(*line);
        let cell = |column: Option<usize>| column.map_or_else(String::new, |column| row[column].clone());
        if split.is_some_and(|split| row[split].is_empty()) {
            return Err(format!("{at}: the split is empty; expected train, or another name").into());
        }
        let pronunciations = pronunciations_of(row).map_err(|reason| format!("{at}: {reason}"))?;
        rows.push(Row {
            name: row[file].clone(),
            file: folder.join(&row[file]),
            pronunciations,
            split: cell(split),
            speaker: cell(speaker),
            at,
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn rows_of_a_word_share_its_pronunciations() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MANIFEST), "file\tword\na.wav\tsix\nb.wav\tone\nc.wav\tsix\n").unwrap();
        let lexicon = "word\tphones\nsix\tS IH K S\none\tW AH N\nsix\tS IH S\n";
        fs::write(folder.path().join("words_phones.tsv"), lexicon).unwrap();
        let rows = read(folder.path(), None).unwrap();
        let [a, b, c] = [0, 1, 2].map(|row| &rows[row].pronunciations);
        assert_eq!([a.len(), b.len()], [2, 1]);
        assert!(Arc::ptr_eq(a, c), "a copy for each row takes rows times pronunciations");
    }
}
