//! Labelled lines, `label<TAB>item`, and where those of a run come from.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use rewind_rnn::file::Metadata;

use crate::arguments::RunArguments;
use crate::division::{counts, test_part};
use crate::folders::expect_two;
use crate::{say, text};

/// More labels than this are no classes: the columns are in another order, perhaps.
const MAX_CLASSES: usize = 1000;
/// The most characters of a label: a longer one is no label.
const MAX_LABEL: usize = 100;
/// Of a file that is not divided yet, one item in so many is for testing.
const TEST_SHARE: usize = 5;

/// Labelled items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labelled<X> {
    /// The names of the C classes.
    pub classes: Vec<String>,
    /// The items.
    pub items: Vec<X>,
    /// The class of each item.
    pub labels: Vec<usize>,
}

impl<X> Labelled<X> {
    /// `12 ham, 3 spam`: how many items each class has.
    pub fn summary(&self) -> String {
        let counts = counts(&self.labels, self.classes.len());
        let of = |(class, count): (&String, usize)| format!("{count} {class}");
        self.classes.iter().zip(counts).map(of).collect::<Vec<_>>().join(", ")
    }

    /// The items that `wanted` chooses by their places.
    fn part(&self, wanted: impl Fn(usize) -> bool) -> Self
    where
        X: Clone,
    {
        let (items, labels) =
            (0..self.items.len()).filter(|&i| wanted(i)).map(|i| (self.items[i].clone(), self.labels[i])).unzip();
        Labelled { classes: self.classes.clone(), items, labels }
    }
}

/// Reads a file of lines `label<TAB>item`.
///
/// `classes` are the labels that there may be, in order; `None` takes those of the file, sorted, two at least. `parse`
/// gives an item, `None` if there is nothing in it, or what is wrong with it. Empty lines and items are left out, and
/// their number is reported.
///
/// ```
/// use rewind_examples::labelled::read;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("numbers.tsv");
/// std::fs::write(&path, "odd\t7\neven\t2\n")?;
/// let number = |text: &str| text.parse::<u32>().map(Some).map_err(|_| format!("{text:?} is no number"));
/// let found = read(&path, None, number)?;
/// assert_eq!((found.items, found.labels), (vec![7, 2], vec![1, 0]));
/// assert_eq!(found.classes, ["even", "odd"]);
///
/// std::fs::write(&path, "odd\t7\neven\ttwo\n")?;
/// let told = read(&path, None, number).unwrap_err().to_string();
/// assert!(told.ends_with("numbers.tsv, line 2: \"two\" is no number"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`text::read`]; a line without a tab or without a label, a label that is none of `classes`, an item that `parse`
/// refuses: with the line; and if no item is left or there are fewer than two classes.
pub fn read<X>(
    path: &Path,
    classes: Option<&[String]>,
    mut parse: impl FnMut(&str) -> Result<Option<X>, String>,
) -> Result<Labelled<X>, Box<dyn Error>> {
    let at = path.display();
    let text = text::read(path)?;
    // Room for as many items as there may be: a line of one has four bytes. Room that is doubled would be many times the text.
    let most = text::lines(&text).filter(|row| row.contains('\t')).count().min(text.len() / 4 + 1);
    let (mut items, mut labels, mut left_out) = (Vec::with_capacity(most), Vec::with_capacity(most), 0);
    // The labels with their numbers, in the order in which they come.
    let mut names = BTreeMap::new();
    // Only \n ends a line; other controls belong to the item.
    for (line, row) in (1..).zip(text::lines(&text)) {
        let wrong = |reason: String| format!("{at}, line {line}: {reason}");
        if row.trim().is_empty() {
            left_out += 1;
            continue;
        }
        let Some((label, item)) = row.split_once('\t') else {
            return Err(wrong(format!("{:?} has no tab; expected label, tab, item", text::start(row))).into());
        };
        let label = label.trim();
        if label.is_empty() {
            return Err(wrong("the label before the tab is empty".to_owned()).into());
        }
        let length = label.chars().count();
        if length > MAX_LABEL {
            let label = text::start(label);
            return Err(
                wrong(format!("the label {label:?} has {length} characters; expected {MAX_LABEL} at most")).into()
            );
        }
        if let Some(classes) = classes
            && !names.contains_key(label)
            && !classes.iter().any(|class| class == label)
        {
            let known = text::start(&classes.join(", "));
            return Err(wrong(format!("the label {:?} is none of the classes: {known}", text::start(label))).into());
        }
        match parse(item).map_err(wrong)? {
            Some(item) => {
                let next = names.len();
                labels.push(*names.entry(label).or_insert(next));
                items.push(item);
                if classes.is_none() && names.len() > MAX_CLASSES {
                    // They are refused when all labels are counted.
                    (items, labels) = (Vec::new(), Vec::new());
                }
            }
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        say(format!("left out of {at}: {left_out} lines with nothing to classify"));
    }
    if names.is_empty() {
        return Err(format!("{at} has no line with a label and something to classify").into());
    }
    let classes = match classes {
        Some(classes) => classes.to_vec(),
        None => found(&names, path)?,
    };
    let place = |name: &str| classes.iter().position(|class| class == name).unwrap_or(classes.len());
    let mut places = vec![0; names.len()];
    names.into_iter().for_each(|(name, number)| places[number] = place(name));
    labels.iter_mut().for_each(|label| *label = places[*label]);
    Ok(Labelled { labels, items, classes })
}

/// The distinct labels of a file.
fn found(names: &BTreeMap<&str, usize>, path: &Path) -> Result<Vec<String>, String> {
    let (at, count) = (path.display(), names.len());
    if count > MAX_CLASSES {
        return Err(format!("{at} has {count} labels; expected {MAX_CLASSES} at most, before the tab of each line"));
    }
    let classes: Vec<String> = names.keys().map(|&name| name.to_owned()).collect();
    expect_two(&classes, &format!("{at} has"))?;
    Ok(classes)
}

/// Where the items of a run come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file to train on, and to take the test part from if there is no other.
    pub data: Option<PathBuf>,
    /// The file to test on.
    pub test: Option<PathBuf>,
    /// What items that the program makes follow from, and the division of a file.
    pub seed: u64,
}

/// Displays as what is tested on.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.data, &self.test) {
            (_, Some(test)) => write!(f, "{}", test.display()),
            (Some(data), None) => write!(f, "a fifth of {}, chosen by seed {}", data.display(), self.seed),
            (None, None) => write!(f, "the test part of what seed {} makes", self.seed),
        }
    }
}

impl Source {
    /// What the command line names.
    pub fn named(run: &RunArguments) -> Source {
        Source { data: run.data.clone(), test: run.test.clone(), seed: run.seed() }
    }

    /// What a model of this source is tested on: what the command line names, or its own test part.
    pub fn for_loaded(&self, run: &RunArguments) -> Source {
        let (named, seed) = (Source::named(run), run.seed.unwrap_or(self.seed));
        let is_named = named.data.is_some() || named.test.is_some();
        Source { seed, ..if is_named { named } else { self.clone() } }
    }

    /// The training part and the test part. `parse` is that of [`read`]; `make` gives the two parts of a seed. `classes`
    /// are those of a model that is only tested: then the training part is empty where it need not be read.
    ///
    /// # Errors
    ///
    /// As [`read`]; if a file is too small to be divided; and for a test file without one to train on.
    pub fn parts<X: Clone>(
        &self,
        classes: Option<&[String]>,
        parse: impl Fn(&str) -> Result<Option<X>, String>,
        make: impl FnOnce(u64) -> [Labelled<X>; 2],
    ) -> Result<[Labelled<X>; 2], Box<dyn Error>> {
        match (&self.data, &self.test, classes) {
            (None, None, _) => Ok(make(self.seed)),
            (None, Some(_), None) => {
                Err("--test needs a file to train on, --data FILE, or a saved model, --load".into())
            }
            (_, Some(test), Some(classes)) => {
                let none = Labelled { classes: classes.to_vec(), items: Vec::new(), labels: Vec::new() };
                Ok([none, read(test, Some(classes), parse)?])
            }
            (Some(data), Some(test), None) => {
                let train = read(data, None, &parse)?;
                let test = read(test, Some(&train.classes), &parse)?;
                Ok([train, test])
            }
            (Some(data), None, classes) => {
                let all = read(data, classes, parse)?;
                let count = all.items.len();
                if count < TEST_SHARE {
                    let at = data.display();
                    return Err(
                        format!("{at} has {count} items; expected {TEST_SHARE} at least, or --test FILE").into()
                    );
                }
                let in_test = test_part(&all.labels, all.classes.len(), count / TEST_SHARE, self.seed);
                let [train, test] = [false, true].map(|of_test| all.part(|i| in_test[i] == of_test));
                if let Some(class) = counts(&train.labels, train.classes.len()).iter().position(|&count| count == 0) {
                    return Err(format!(
                        "{} has too few items of {:?} to divide it: none is left to train on; expected more, or --test FILE",
                        data.display(),
                        all.classes[class]
                    )
                    .into());
                }
                Ok([train, test])
            }
        }
    }

    /// The settings of a source, as a file has them.
    pub fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::from([("seed".to_owned(), self.seed.to_string())]);
        for (key, path) in [("data", &self.data), ("test", &self.test)] {
            let whole = path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
            metadata.extend(whole.map(|path| (key.to_owned(), path.display().to_string())));
        }
        metadata
    }

    /// The source in the settings of a file; `None` if there is none.
    pub fn of_metadata(metadata: &Metadata) -> Option<Source> {
        let path = |key| metadata.get(key).map(PathBuf::from);
        Some(Source { data: path("data"), test: path("test"), seed: metadata.get("seed")?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<String>, String> {
        if text.contains('!') {
            return Err("there is a !".to_owned());
        }
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    fn of(contents: impl AsRef<[u8]>, classes: Option<&[&str]>) -> Result<Labelled<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        std::fs::write(&path, contents).unwrap();
        let classes: Option<Vec<String>> = classes.map(|names| names.iter().map(ToString::to_string).collect());
        let at = path.display().to_string();
        read(&path, classes.as_deref(), parse).map_err(|error| error.to_string().replace(&at, "FILE"))
    }

    fn refused(contents: impl AsRef<[u8]>) -> String {
        of(contents, None).unwrap_err()
    }

    #[test]
    fn lines_are_read_as_they_are() {
        let long = "x".repeat(100_000);
        let found = of(format!("\u{feff}b\tone\ttwo\r\n\n a \t\u{85}\nb\t\nb\t{long}"), None).unwrap();
        assert_eq!(found.classes, ["a", "b"]);
        assert_eq!(
            (&found.items[..], &found.labels[..]),
            (&["one\ttwo".into(), "\u{85}".into(), long][..], &[1, 0, 1][..])
        );
        assert_eq!(found.summary(), "1 a, 2 b");
        let known = of("b\tx\n", Some(&["c", "b"])).unwrap();
        assert_eq!((known.classes.len(), known.labels), (2, vec![1]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(refused(""), "FILE is empty; expected text");
        assert_eq!(refused("a\t\nb\t\n"), "FILE has no line with a label and something to classify");
        assert_eq!(refused("a\tx\nno label\n"), "FILE, line 2: \"no label\" has no tab; expected label, tab, item");
        let long = format!("a\tx\n\n{}\n", "é".repeat(100_000));
        let told = format!("FILE, line 3: \"{}…\" has no tab; expected label, tab, item", "é".repeat(60));
        assert_eq!(refused(long), told);
        assert_eq!(refused("a\tx\n \tx\n"), "FILE, line 2: the label before the tab is empty");
        assert_eq!(refused("a\tx\nb\t!\n"), "FILE, line 2: there is a !");
        assert_eq!(refused("a\tx\na\ty\n"), "FILE has one class alone, \"a\"; expected two at least, to tell apart");
        let latin = refused(b"a\tx\nb\tcaf\xe9\n");
        assert_eq!(latin, "FILE, line 2: byte 10 is 0xe9; expected UTF-8: convert the file, from Latin-1 perhaps");
        assert_eq!(refused(b"PK\x03\0"), "FILE, line 1: byte 4 is 0; expected text, and no binary file");
        let label = format!("a\tx\n{}\tx\n", "é".repeat(100_000));
        assert_eq!(
            refused(label),
            format!("FILE, line 2: the label \"{}…\" has 100000 characters; expected 100 at most", "é".repeat(60))
        );
        let unknown = of("b\tx\nd\tx\n", Some(&["c", "b"])).unwrap_err();
        assert_eq!(unknown, "FILE, line 2: the label \"d\" is none of the classes: c, b");
        let many: String = (0..1001).map(|i| format!("{i}\tx\n")).collect();
        assert_eq!(refused(many), "FILE has 1001 labels; expected 1000 at most, before the tab of each line");
    }

    #[test]
    fn a_file_is_divided_by_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        let lines: String = (0..33).map(|i| format!("{}\tline {i}\n", ["a", "b"][i % 2])).collect();
        std::fs::write(&path, lines).unwrap();
        let parts = |seed| {
            let source = Source { data: Some(path.clone()), test: None, seed };
            source.parts(None, parse, |_| unreachable!("there is a file")).unwrap()
        };
        let [train, test] = parts(1);
        assert_eq!((train.items.len(), test.items.len()), (27, 6));
        let mut all = [&train.items[..], &test.items].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 33);
        assert_eq!(parts(1), [train, test.clone()]);
        assert_ne!(parts(2)[1], test);
        // Five classes of one item each: that of the first is for testing.
        std::fs::write(&path, "a\tx\nb\tx\nc\tx\nd\tx\ne\tx\n").unwrap();
        let source = Source { data: Some(path.clone()), test: None, seed: 1 };
        let told = source.parts(None, parse, |_| unreachable!("there is a file")).unwrap_err().to_string();
        let advice = "has too few items of \"a\" to divide it: none is left to train on; expected more, or --test FILE";
        assert_eq!(told, format!("{} {advice}", path.display()));
        std::fs::write(&path, "a\tx\nb\tx\n").unwrap();
        let source = Source { data: Some(path.clone()), test: None, seed: 1 };
        let told = source.parts(None, parse, |_| unreachable!("there is a file")).unwrap_err().to_string();
        assert_eq!(told, format!("{} has 2 items; expected 5 at least, or --test FILE", path.display()));
        assert_eq!(Source::of_metadata(&source.metadata()), Some(source));
    }
}
