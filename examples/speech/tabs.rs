//! Tables with a header, whose columns tabs separate.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;

use rewind_examples::files::expect_file;
use rewind_examples::text;

/// The cells of a table, as texts.
pub(crate) struct Table {
    pub(crate) path: PathBuf,
    pub(crate) header: Vec<String>,
    /// Lines by number, from 2.
    pub(crate) rows: Vec<(usize, Vec<String>)>,
}

impl Table {
    pub(crate) fn read(path: PathBuf) -> Result<Table, Box<dyn Error>> {
        expect_file(&path).map_err(|reason| format!("{} {reason}", path.display()))?;
        let text = text::read(&path)?;
        let columns = |line: &str| line.split('\t').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let mut lines = (1..).zip(text.split('\n')).filter(|(_, line)| !line.trim().is_empty());
        let (_, header) = lines.next().ok_or_else(|| format!("{} has no header", path.display()))?;
        let header = columns(header);
        let mut before = BTreeSet::new();
        if let Some((place, name)) = header.iter().enumerate().find(|(_, name)| !before.insert(*name)) {
            let (at, number) = (path.display(), place + 1);
            return Err(format!("{at}: column {number} is called {:?}, as one before it", text::start(name)).into());
        }
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

    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    pub(crate) fn expect(&self, name: &str) -> Result<usize, String> {
        let columns = text::start(&self.header.join(", "));
        self.column(name).ok_or_else(|| format!("{} has no column \"{name}\" among {columns}", self.path.display()))
    }

    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}, line {line}", self.path.display())
    }
}
