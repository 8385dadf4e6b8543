//! Folders of recordings: a table of files, with the phones of each.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use rewind_examples::text;

use crate::phones;

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
    pub(crate) phones: Vec<usize>,
    /// `train` and others; empty if the manifest has no such column.
    pub(crate) split: String,
    pub(crate) speaker: String,
}

/// A table with a header: columns that tabs separate.
struct Table {
    path: PathBuf,
    header: Vec<String>,
    /// Lines by number, from 2.
    rows: Vec<(usize, Vec<String>)>,
}

impl Table {
    fn read(path: PathBuf) -> Result<Table, Box<dyn Error>> {
        let text = text::read(&path)?;
        let columns = |line: &str| line.split('\t').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let mut lines = (1..).zip(text.split('\n')).filter(|(_, line)| !line.trim().is_empty());
        let (_, header) = lines.next().ok_or_else(|| format!("{} has no header", path.display()))?;
        let header = columns(header);
        let mut rows = Vec::new();
        for (line, row) in lines {
            let row = columns(row);
            if row.len() != header.len() {
                let (found, expected) = (row.len(), header.len());
                return Err(
                    format!("{}, line {line}: {found} columns; the header has {expected}", path.display()).into()
                );
            }
            rows.push((line, row));
        }
        Ok(Table { path, header, rows })
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    fn expect(&self, name: &str) -> Result<usize, String> {
        let columns = self.header.join(", ");
        self.column(name).ok_or_else(|| format!("{} has no column \"{name}\" among {columns}", self.path.display()))
    }

    fn at(&self, line: usize) -> String {
        format!("{}, line {line}", self.path.display())
    }
}

/// The phones of words: for words of the column of this name.
struct Lexicon {
    column: String,
    phones: HashMap<String, Vec<usize>>,
    path: PathBuf,
}

/// The lexicon of a folder, if it has one. Of several pronunciations of a word, the first one counts.
fn lexicon(folder: &Path) -> Result<Option<Lexicon>, Box<dyn Error>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(LEXICON)).collect();
    names.sort();
    let Some(name) = names.first() else { return Ok(None) };
    let table = Table::read(folder.join(name))?;
    let spelled = table.expect("phones")?;
    let mut phones = HashMap::new();
    for (line, row) in &table.rows {
        let said = phones::parse(&row[spelled]).map_err(|reason| format!("{}: {reason}", table.at(*line)))?;
        phones.entry(row[0].clone()).or_insert(said);
    }
    Ok(Some(Lexicon { column: table.header[0].clone(), phones, path: table.path }))
}

/// The rows of the manifest of `folder`, in order. Phones are in a column `phones`; or a table whose name ends in
/// `_phones.tsv`, in this folder or in `other`, gives those of the words in its first column.
///
/// # Errors
/// If a table cannot be read or lacks a column, a phone or a word is unknown, or a row has no phones: with file and line.
pub(crate) fn read(folder: &Path, other: Option<&Path>) -> Result<Vec<Row>, Box<dyn Error>> {
    let table = Table::read(folder.join(MANIFEST))?;
    let file = table.expect("file")?;
    let [split, speaker, spelled] = ["split", "speaker", "phones"].map(|name| table.column(name));
    let lexicon = match (spelled, lexicon(folder)?, other) {
        (Some(_), _, _) => None,
        (None, Some(own), _) => Some(own),
        (None, None, Some(other)) => self::lexicon(other)?,
        (None, None, None) => None,
    };
    let phones_of = |row: &[String]| match (spelled, &lexicon) {
        (Some(column), _) => phones::parse(&row[column]),
        (None, Some(lexicon)) => {
            let word = &row[table.expect(&lexicon.column)?];
            let unknown = || format!("{word:?} is no {} of {}", lexicon.column, lexicon.path.display());
            lexicon.phones.get(word).cloned().ok_or_else(unknown)
        }
        (None, None) => {
            Err(format!("no phones: there is neither a column \"phones\" nor a table *{LEXICON} in the folder"))
        }
    };
    let mut rows = Vec::new();
    for (line, row) in &table.rows {
        let at = table.at(*line);
        let cell = |column: Option<usize>| column.map_or_else(String::new, |column| row[column].clone());
        let phones = phones_of(row).map_err(|reason| format!("{at}: {reason}"))?;
        rows.push(Row {
            name: row[file].clone(),
            file: folder.join(&row[file]),
            phones,
            split: cell(split),
            speaker: cell(speaker),
            at,
        });
    }
    Ok(rows)
}
