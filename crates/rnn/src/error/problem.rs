//! Problems with the tensors of a file, and their messages.

use std::fmt::{self, Write};

use crate::nonfinite::NonFinite;

/// One problem of one tensor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// The module has a leaf that the file lacks.
    Missing {
        /// Its dotted name.
        name: String,
        /// The shape it should have.
        shape: Vec<usize>,
    },
    /// The file has a tensor that the module lacks.
    Unexpected {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor has another shape than the leaf.
    Shape {
        /// Its name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape in the module.
        expected: Vec<usize>,
    },
    /// A foreign file lacks a tensor.
    NotInFile {
        /// Its name.
        name: String,
        /// The first names in the file, or the first 100 letters of each: a network has many tensors, and each of them may be missing.
        others: Vec<String>,
        /// How many more names there are.
        more: usize,
    },
    /// A tensor of a foreign file has a shape that does not belong to the module.
    Layout {
        /// Its name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// What was expected.
        expected: String,
    },
    /// An element is out of the range of the type that it is converted to.
    Range {
        /// The name of the tensor.
        name: String,
        /// Its index, one position per axis.
        index: Vec<usize>,
        /// The element.
        value: f64,
        /// The type.
        expected: &'static str,
    },
    /// A tensor has elements of another type than the leaf.
    Type {
        /// Its name.
        name: String,
        /// The type in the file.
        found: String,
        /// The type in the module.
        expected: &'static str,
    },
    /// A type or a setting of the saved module is another one than that of the module to be loaded.
    Setting {
        /// The dotted name of the struct or of the setting; empty for the module itself.
        name: String,
        /// That of the file.
        found: String,
        /// That of the module.
        expected: String,
    },
    /// A foreign file has no recurrent network of that name.
    NoNetwork {
        /// The name.
        name: String,
        /// The names of all networks in the file; empty for one that was saved alone.
        networks: Vec<String>,
    },
    /// An element is infinite or NaN.
    NonFinite(NonFinite),
    /// A part of a module computes what its like in another library does not.
    Unlike {
        /// The dotted name of the part.
        name: String,
        /// The difference, as the end of a sentence about the part.
        difference: String,
    },
    /// A name to save under is used twice or cannot be used.
    Name {
        /// The name.
        name: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing { name, shape } => write!(f, "`{name}` is missing; expected shape {shape:?}"),
            Problem::Unexpected { name, shape } => write!(f, "`{name}` of shape {shape:?} is not part of the module"),
            Problem::Shape { name, found, expected } => {
                write!(f, "`{name}` has shape {found:?}; expected {expected:?}")
            }
            Problem::NotInFile { name, others, more } => {
                write!(f, "`{name}` is not in the file, which holds {}", quoted(others))?;
                if *more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
            Problem::Layout { name, found, expected } => write!(f, "`{name}` has shape {found:?}; expected {expected}"),
            Problem::Range { name, index, value, expected } => {
                write!(f, "`{name}` is {value:e} at {index:?}; expected a number in the range of {expected}")
            }
            Problem::Type { name, found, expected } => write!(f, "`{name}` holds {found}; expected {expected}"),
            Problem::Setting { name, found, expected } if name.is_empty() => {
                write!(f, "the module is {found}; expected {expected}")
            }
            Problem::Setting { name, found, expected } => write!(f, "`{name}` is {found}; expected {expected}"),
            Problem::NoNetwork { name, networks } => {
                let shown = |name: &str| if name.is_empty() { "\"\"".to_owned() } else { name.to_owned() };
                write!(f, "there is no network `{}`; ", shown(name))?;
                let networks: Vec<_> = networks.iter().map(|name| shown(name)).collect();
                match networks.len() {
                    0 => write!(f, "the file has none, since no tensor is named like `weight_ih_l0`"),
                    1 => write!(f, "the file has the network {}", quoted(&networks)),
                    _ => write!(f, "the file has the networks {}", quoted(&networks)),
                }
            }
            Problem::NonFinite(e) => e.fmt(f),
            Problem::Unlike { name, difference } => write!(f, "`{name}` {difference}"),
            Problem::Name { name } => write!(f, "`{name}` is used twice or reserved; expected a name of its own"),
        }
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "no tensor".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The number of problems, and one problem per line.
pub(crate) fn listed(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 thing".to_owned(),
        n => format!("{n} things"),
    };
    let mut text = format!("{count} wrong:");
    for problem in problems {
        // Writing to a String does not fail.
        write!(text, "\n  {problem}").ok();
    }
    text
}
