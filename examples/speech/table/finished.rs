//! The trainings that are done, in a file: a table that was stopped goes on without them.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;

use rewind_examples::files::write_whole;

use crate::tabs::Table;

const HEADER: [&str; 8] = ["network", "seed", "parameters", "epochs", "edits", "phones", "per", "recipe"];

/// A training that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) network: String,
    pub(crate) seed: u64,
    pub(crate) parameters: usize,
    pub(crate) epochs: usize,
    /// Of the best paths in the test part.
    pub(crate) edits: usize,
    pub(crate) phones: usize,
}

impl Row {
    /// The phone error rate.
    pub(crate) fn rate(&self) -> f64 {
        self.edits as f64 / self.phones as f64
    }

    fn written_rate(&self) -> String {
        format!("{:.4}", self.rate())
    }
}

/// The trainings of one recipe on one corpus.
#[derive(Debug)]
pub(crate) struct Finished {
    path: PathBuf,
    /// What all trainings have in common, in one line.
    recipe: String,
    rows: Vec<Row>,
    /// Where the training of a network from a seed is among them.
    places: HashMap<(String, u64), usize>,
}

impl Finished {
    /// Those in a file; none if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be read, or a row is no training of this recipe: with the line.
    pub(crate) fn read(path: PathBuf, recipe: String) -> Result<Finished, Box<dyn Error>> {
        let mut finished = Finished { path, recipe, rows: Vec::new(), places: HashMap::new() };
        if !finished.path.exists() {
            return Ok(finished);
        }
        let table = Table::read(finished.path.clone())?;
        if !table.header().eq(HEADER) {
            let (at, expected) = (finished.path.display(), HEADER.join(", "));
            let found: Vec<_> = table.header().collect();
            return Err(format!("{at} has the columns {}; expected {expected}", found.join(", ")).into());
        }
        for line in table.rows() {
            let row = finished.row(&line.cells()).map_err(|reason| format!("{}: {reason}", table.at(line.number)))?;
            finished.push(row);
        }
        Ok(finished)
    }

    fn row(&self, cells: &[&str]) -> Result<Row, String> {
        let number = |place: usize| {
            let wrong = || format!("{} is {:?}; expected a whole number", HEADER[place], cells[place]);
            cells[place].parse::<usize>().map_err(|_| wrong())
        };
        let row = Row {
            network: cells[0].to_owned(),
            seed: number(1)? as u64,
            parameters: number(2)?,
            epochs: number(3)?,
            edits: number(4)?,
            phones: number(5)?,
        };
        // More edits than phones were said: what was not said was heard.
        let rate = row.written_rate();
        if row.phones == 0 || cells[6] != rate {
            return Err(format!("{} is {:?}; expected edits divided by phones, {rate}", HEADER[6], cells[6]));
        }
        if self.of(&row.network, row.seed).is_some() {
            return Err(format!("{}, seed {}, is there a second time", row.network, row.seed));
        }
        if cells[7] != self.recipe {
            let (found, own) = (&cells[7], &self.recipe);
            let advice = "name another folder by --out, or remove the file";
            return Err(format!("it was trained with {found}; this table has {own}: {advice}"));
        }
        Ok(row)
    }

    /// The trainings so far, in their order.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The training of a network from a seed.
    pub(crate) fn of(&self, network: &str, seed: u64) -> Option<&Row> {
        self.places.get(&(network.to_owned(), seed)).map(|&place| &self.rows[place])
    }

    fn push(&mut self, row: Row) {
        self.places.insert((row.network.clone(), row.seed), self.rows.len());
        self.rows.push(row);
    }

    /// Adds a training, and writes the file. What another program has written to it meanwhile stays.
    ///
    /// # Errors
    /// If it cannot be read or written; then it is as it was.
    pub(crate) fn add(&mut self, row: Row) -> Result<(), Box<dyn Error>> {
        let there = Finished::read(self.path.clone(), self.recipe.clone())?;
        let own = std::mem::replace(self, there);
        for row in own.rows.into_iter().chain([row]) {
            if self.of(&row.network, row.seed).is_none() {
                self.push(row);
            }
        }
        let mut text = HEADER.join("\t") + "\n";
        for row in &self.rows {
            let Row { network, seed, parameters, epochs, edits, phones } = row;
            let (rate, recipe) = (row.written_rate(), &self.recipe);
            text += &format!("{network}\t{seed}\t{parameters}\t{epochs}\t{edits}\t{phones}\t{rate}\t{recipe}\n");
        }
        Ok(write_whole(&self.path, text.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use rewind_examples::testing::Place;

    use super::*;

    fn row(network: &str, seed: u64) -> Row {
        Row { network: network.to_owned(), seed, parameters: 1000, epochs: 7, edits: 3, phones: 12 }
    }

    fn read(place: &Place, recipe: &str) -> Result<Finished, String> {
        let told = Finished::read(place.at("table.tsv").into(), recipe.to_owned());
        told.map_err(|error| error.to_string().replace(&place.at("table.tsv"), "FILE"))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let place = Place::new();
        let mut finished = read(&place, "rate 0.1").unwrap();
        assert_eq!(finished.rows(), []);
        let rows = [row("1l-5h", 1), row("1l-5h", 2)];
        for row in rows.clone() {
            finished.add(row).unwrap();
        }
        let again = read(&place, "rate 0.1").unwrap();
        assert_eq!(again.rows(), rows);
        assert_eq!((again.of("1l-5h", 2), again.of("1l-5h", 3), again.of("3l-5h", 1)), (Some(&rows[1]), None, None));
        assert_eq!(rows[0].rate(), 0.25);
        // Two that write to one file lose nothing, and nothing is there twice.
        let mut other = read(&place, "rate 0.1").unwrap();
        finished.add(row("3l-5h", 1)).unwrap();
        other.add(row("3l-5h", 2)).unwrap();
        other.add(row("3l-5h", 1)).unwrap();
        let all = [rows.to_vec(), vec![row("3l-5h", 1), row("3l-5h", 2)]].concat();
        assert_eq!((other.rows(), read(&place, "rate 0.1").unwrap().rows()), (&all[..], &all[..]));
    }

    #[test]
    fn what_belongs_to_another_table_is_refused() {
        let place = Place::new();
        read(&place, "rate 0.1").unwrap().add(row("1l-5h", 1)).unwrap();
        assert_eq!(
            read(&place, "rate 0.2").unwrap_err(),
            "FILE, line 2: it was trained with rate 0.1; this table has rate 0.2: name another folder by --out, or \
             remove the file"
        );
        let text = std::fs::read_to_string(place.at("table.tsv")).unwrap();
        place.file("table.tsv", text.replace("\t7\t", "\tx\t"));
        assert_eq!(read(&place, "rate 0.1").unwrap_err(), "FILE, line 2: epochs is \"x\"; expected a whole number");
        for edited in [text.replace("\t3\t12\t", "\t2\t12\t"), text.replace("0.2500", "?")] {
            place.file("table.tsv", edited);
            let told = read(&place, "rate 0.1").unwrap_err();
            assert!(told.contains("expected edits divided by phones, 0."), "{told}");
        }
        place.file("table.tsv", text.replace("\t12\t", "\t0\t"));
        assert!(read(&place, "rate 0.1").is_err());
        let twice = text.clone() + text.lines().last().unwrap();
        place.file("table.tsv", twice);
        assert_eq!(read(&place, "rate 0.1").unwrap_err(), "FILE, line 3: 1l-5h, seed 1, is there a second time");
        place.file("table.tsv", "file\tphones\n");
        assert_eq!(
            read(&place, "rate 0.1").unwrap_err(),
            "FILE has the columns file, phones; expected network, seed, parameters, epochs, edits, phones, per, recipe"
        );
    }
}
