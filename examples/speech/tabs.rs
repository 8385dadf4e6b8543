//! Tables with a header, whose columns tabs separate.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;

use rewind_examples::files::expect_file;
use rewind_examples::text;

/// A table, as its text: the cells of a row are cut when they are asked for, since a list of all takes many times the text.
pub(crate) struct Table {
    pub(crate) path: PathBuf,
    text: String,
}

/// A row of a table that is not empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'t> {
    /// From 1; that of the header is one of them.
    pub(crate) number: usize,
    /// Where it begins in the text.
    start: usize,
    text: &'t str,
}

impl<'t> Line<'t> {
    /// Its cells, as many as the header has.
    pub(crate) fn cells(self) -> Vec<&'t str> {
        cells(self.text).collect()
    }
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split('\t').map(str::trim)
}

/// The lines of a text that are not empty.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut end = 0;
    let lines = (1..).zip(text.split('\n')).map(move |(number, text)| {
        let start = end;
        end += text.len() + 1;
        Line { number, start, text }
    });
    lines.filter(|line| !line.text.trim().is_empty())
}

impl Table {
    pub(crate) fn read(path: PathBuf) -> Result<Table, Box<dyn Error>> {
        expect_file(&path).map_err(|reason| format!("{} {reason}", path.display()))?;
        let text = text::read(&path)?;
        let header = lines(&text).next().ok_or_else(|| format!("{} has no header", path.display()))?;
        let mut before = BTreeSet::new();
        if let Some((place, name)) = cells(header.text).enumerate().find(|(_, name)| !before.insert(*name)) {
            let (at, number) = (path.display(), place + 1);
            return Err(format!("{at}: column {number} is called {:?}, as one before it", text::start(name)).into());
        }
        for Line { number, text, .. } in lines(&text).skip(1) {
            let (found, expected) = (cells(text).count(), before.len());
            if found != expected {
                return Err(
                    format!("{}, line {number}: {found} columns; the header has {expected}", path.display()).into()
                );
            }
        }
        Ok(Table { path, text })
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> impl Iterator<Item = &str> {
        lines(&self.text).next().into_iter().flat_map(|line| cells(line.text))
    }

    /// The rows, without the header.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Line<'_>> {
        lines(&self.text).skip(1)
    }

    /// The places of the rows, sorted by their first cells. [`Table::cells_at`] gives the cells.
    pub(crate) fn places(&self) -> Vec<usize> {
        let mut places = Vec::with_capacity(self.rows().count());
        places.extend(self.rows().map(|line| line.start));
        places.sort_by_key(|&place| self.cells_at(place).next());
        places
    }

    /// The cells of the row at a place.
    pub(crate) fn cells_at(&self, place: usize) -> impl Iterator<Item = &str> {
        cells(self.text[place..].split('\n').next().unwrap_or_default())
    }

    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header().position(|column| column == name)
    }

    pub(crate) fn expect(&self, name: &str) -> Result<usize, String> {
        self.column(name).ok_or_else(|| {
            // The start shows fewer.
            let columns = text::start(&self.header().take(100).collect::<Vec<_>>().join(", "));
            format!("{} has no column \"{name}\" among {columns}", self.path.display())
        })
    }

    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}, line {line}", self.path.display())
    }
}
