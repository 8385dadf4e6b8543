//! Where nodes were recorded: a tree of scopes. A node stores the index of its scope.
//!
//! A time step is one entry of the tree: entering it takes nanoseconds and, once the tape has its memory, no
//! allocation. Text is formatted on demand (`naming.rs`).

use crate::list::length;

/// What the text of the tree is in a message.
const NAMES: &str = "bytes of names";

/// Start and end of a name in the text of the tree.
type Name = (u32, u32);

/// One level of the tree.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Name(Name),
    /// The dotted name of the parameter at position `node`.
    Parameter {
        name: Name,
        node: u32,
    },
    /// `name=number`: a time step.
    Numbered {
        name: &'static str,
        number: usize,
    },
    /// The nodes from position `first` on are the parts of a split, with these names.
    Named {
        names: &'static [&'static str],
        first: u32,
    },
    /// The nodes from position `first` on are the `of` parts of a split.
    Counted {
        of: u32,
        first: u32,
    },
}

#[derive(Clone, Copy)]
struct Entry {
    parent: u32,
    part: Part,
}

/// The scopes of a tape: a tree in which every entry knows its parent. 0 is the tape itself; entry k is `entries[k - 1]`.
#[derive(Default)]
pub(crate) struct Scopes {
    entries: Vec<Entry>,
    text: String,
    current: u32,
    /// Whether any node has been recorded as a part of a split.
    parts: bool,
}

impl Scopes {
    pub(crate) fn current(&self) -> u32 {
        self.current
    }

    /// Removes all scopes; the memory is retained.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.text.clear();
        self.current = 0;
        self.parts = false;
    }

    /// Makes `scope` the current one; returns the previous one.
    pub(crate) fn set(&mut self, scope: u32) -> u32 {
        std::mem::replace(&mut self.current, scope)
    }

    /// Whether any node has a name as a part of a split.
    pub(crate) fn has_parts(&self) -> bool {
        self.parts
    }

    /// Makes a scope within the current one and enters it; returns the previous one.
    pub(crate) fn enter(&mut self, part: impl FnOnce(&mut Scopes) -> Part) -> u32 {
        let part = part(self);
        self.parts |= matches!(part, Part::Named { .. } | Part::Counted { .. });
        self.entries.push(Entry { parent: self.current, part });
        self.set(length(self.entries.len(), "scopes"))
    }

    pub(crate) fn write(&mut self, name: &str) -> Name {
        let start = length(self.text.len(), NAMES);
        self.text.push_str(name);
        (start, length(self.text.len(), NAMES))
    }

    fn entry(&self, scope: u32) -> Option<Entry> {
        Some(self.entries[(scope as usize).checked_sub(1)?])
    }

    /// The scope around another; that of the tape is its own.
    pub(crate) fn parent(&self, scope: u32) -> u32 {
        self.entry(scope).map_or(0, |entry| entry.parent)
    }

    /// The scope, without the level for the parts of a split.
    pub(crate) fn without_parts(&self, scope: u32) -> u32 {
        match self.entry(scope) {
            Some(Entry { parent, part: Part::Named { .. } | Part::Counted { .. } }) => parent,
            _ => scope,
        }
    }

    /// Whether `outer` is `scope` or one of the scopes around it. A scope has a larger index than those around it.
    pub(crate) fn is_within(&self, mut scope: u32, outer: u32) -> bool {
        while scope > outer {
            scope = self.entry(scope).map_or(0, |entry| entry.parent);
        }
        scope == outer
    }

    /// The name of a node as a part of a split: `f`, `2 of 4`.
    pub(crate) fn part(&self, scope: u32, node: u32) -> Option<String> {
        match self.entry(scope)?.part {
            Part::Named { names, first } => names.get((node - first) as usize).map(|&name| name.to_owned()),
            Part::Counted { of, first } => Some(node - first + 1).filter(|&k| k <= of).map(|k| format!("{k} of {of}")),
            _ => None,
        }
    }

    /// The innermost level `name=number`: its place in the tree, which differs each time it is entered, and its number.
    pub(crate) fn numbered(&self, mut scope: u32, name: &str) -> Option<(u32, usize)> {
        while let Some(Entry { parent, part }) = self.entry(scope) {
            match part {
                Part::Numbered { name: own, number } if own == name => return Some((scope, number)),
                _ => scope = parent,
            }
        }
        None
    }

    pub(crate) fn is_parameter(&self, scope: u32, node: u32) -> bool {
        matches!(self.entry(scope), Some(Entry { part: Part::Parameter { node: own, .. }, .. }) if own == node)
    }

    /// The names of all levels, the outermost first, without the parts of splits.
    pub(crate) fn path(&self, mut scope: u32) -> String {
        let mut levels = Vec::new();
        while let Some(Entry { parent, part }) = self.entry(scope) {
            match part {
                Part::Name((start, end)) | Part::Parameter { name: (start, end), .. } => {
                    levels.push(self.text[start as usize..end as usize].to_owned());
                }
                Part::Numbered { name, number } => levels.push(format!("{name}={number}")),
                Part::Named { .. } | Part::Counted { .. } => {}
            }
            scope = parent;
        }
        levels.reverse();
        levels.join("/")
    }
}
