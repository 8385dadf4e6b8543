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

/// The pronunciations of the words in the first column of a table.
struct Lexicon {
    table: Table,
    /// The column of the phones.
    spelled: usize,
    /// The places of the rows, sorted by their words.
    places: Vec<usize>,
}

impl Lexicon {
    /// That of a folder, if it has one. A word has a line for each of its pronunciations.
    fn of(folder: &Path) -> Result<Option<Lexicon>, Box<dyn Error>> {
        let entries =
            std::fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
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
        for line in table.rows() {
            phones::parse(line.cells()[spelled]).map_err(|reason| format!("{}: {reason}", table.at(line.number)))?;
        }
        Ok(Some(Lexicon { spelled, places: table.places(), table }))
    }

    /// What its words are called: the column of a manifest that has such words.
    fn column(&self) -> &str {
        self.table.header().next().unwrap_or_default()
    }

    /// The places of the rows of a word.
    fn rows_of(&self, word: &str) -> &[usize] {
        let word_at = |place: usize| self.table.cells_at(place).next().unwrap_or_default();
        let start = self.places.partition_point(|&place| word_at(place) < word);
        let rest = &self.places[start..];
        &rest[..rest.partition_point(|&place| word_at(place) == word)]
    }

    /// The pronunciations of a word; none if it is unknown.
    fn pronunciations(&self, word: &str) -> Pronunciations {
        let spelled = |&place| self.table.cells_at(place).nth(self.spelled).unwrap_or_default();
        let said = |place| phones::parse(spelled(place)).expect("all phones were looked up when the table was read");
        self.rows_of(word).iter().map(said).collect()
    }
}

/// Where the phones of a row are.
enum Phones {
    /// In this column.
    Column(usize),
    Lexicon(Lexicon),
    Nowhere,
}

/// The table of a folder of recordings. Its rows are made when they are asked for: they take many times the text.
pub(crate) struct Manifest {
    folder: PathBuf,
    table: Table,
    file: usize,
    split: Option<usize>,
    speaker: Option<usize>,
    phones: Phones,
}

impl Manifest {
    /// The manifest of `folder`. Phones are in a column `phones`; or a table whose name ends in `_phones.tsv`, in this folder or in
    /// `other`, gives those of the words in its first column.
    ///
    /// # Errors
    /// If a table cannot be read or lacks a column, a phone or a word is unknown, or a row has no phones: with file and line.
    pub(crate) fn read(folder: &Path, other: Option<&Path>) -> Result<Manifest, Box<dyn Error>> {
        if folder.is_file() {
            let at = folder.display();
            return Err(format!("{at} is a file; expected the folder that has the table {MANIFEST}").into());
        }
        let table = Table::read(folder.join(MANIFEST))?;
        let file = table.expect("file")?;
        let [split, speaker, spelled] = ["split", "speaker", "phones"].map(|name| table.column(name));
        let lexicon = match (spelled, Lexicon::of(folder)?, other) {
            (Some(_), _, _) => None,
            (None, Some(own), _) => Some(own),
            (None, None, Some(other)) => Lexicon::of(other)?,
            (None, None, None) => None,
        };
        let phones = spelled.map(Phones::Column).or_else(|| lexicon.map(Phones::Lexicon)).unwrap_or(Phones::Nowhere);
        let manifest = Manifest { folder: folder.to_owned(), table, file, split, speaker, phones };
        for line in manifest.table.rows() {
            manifest.check(&line.cells()).map_err(|reason| format!("{}: {reason}", manifest.table.at(line.number)))?;
        }
        Ok(manifest)
    }

    /// Checks that a row has all that is needed.
    fn check(&self, cells: &[&str]) -> Result<(), String> {
        if self.split.is_some_and(|split| cells[split].is_empty()) {
            return Err("the split is empty; expected train, or another name".to_owned());
        }
        match &self.phones {
            Phones::Column(column) => phones::parse(cells[*column]).map(drop),
            Phones::Lexicon(lexicon) => {
                let word = cells[self.table.expect(lexicon.column())?];
                if lexicon.rows_of(word).is_empty() {
                    let (word, at) = (text::start(word), lexicon.table.path.display());
                    return Err(format!("{word:?} is no {} of {at}", lexicon.column()));
                }
                Ok(())
            }
            Phones::Nowhere => {
                Err(format!("no phones: there is neither a column \"phones\" nor a table *{LEXICON} in the folder"))
            }
        }
    }

    /// The rows, in order. Those of one word share its pronunciations.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> {
        let mut said: HashMap<&str, Pronunciations> = HashMap::new();
        self.table.rows().map(move |line| {
            let cells = line.cells();
            let cell = |column: Option<usize>| column.map_or_else(String::new, |column| cells[column].to_owned());
            let pronunciations = match &self.phones {
                Phones::Column(column) => phones::parse(cells[*column]).into_iter().collect(),
                Phones::Lexicon(lexicon) => {
                    let word = self.table.column(lexicon.column()).map_or("", |column| cells[column]);
                    said.entry(word).or_insert_with(|| lexicon.pronunciations(word)).clone()
                }
                Phones::Nowhere => Pronunciations::default(),
            };
            Row {
                at: self.table.at(line.number),
                name: cell(Some(self.file)),
                file: self.folder.join(cells[self.file]),
                pronunciations,
                split: cell(self.split),
                speaker: cell(self.speaker),
            }
        })
    }
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
        let rows: Vec<Row> = Manifest::read(folder.path(), None).unwrap().rows().collect();
        let [a, b, c] = [0, 1, 2].map(|row| &rows[row].pronunciations);
        assert_eq!([a.len(), b.len()], [2, 1]);
        assert_eq!(a[..], ["S IH K S", "S IH S"].map(|said| phones::parse(said).unwrap()), "the first comes first");
        assert!(Arc::ptr_eq(a, c), "a copy for each row takes rows times pronunciations");
    }
}
