//! Data in folders: one folder for each class, and the files of the class in it.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::expect_file;

/// How many reasons an error message gives before it says "and so on".
const REASONS: usize = 3;

/// What the files are, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// One item, such as `score`.
    pub item: &'static str,
    /// One file, such as `MIDI file`.
    pub file: &'static str,
    /// The endings of the files that are read, in any case.
    pub endings: &'static [&'static str],
}

/// The contents of a folder of class folders.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassFolders<X> {
    /// The names of the C classes.
    pub classes: Vec<String>,
    /// The items with their classes, class by class, sorted by file name within a class.
    pub items: Vec<(X, usize)>,
    /// The files that could not be read, and why.
    pub broken: Vec<String>,
}

/// Reads a folder of class folders.
///
/// `classes` names the folders to read, in the order of the classes; `None` reads all but hidden ones, sorted by name.
/// Within a class, files with one of the endings are read in the order of their names; other files and folders are
/// skipped. `read` gives an item, or what is wrong with the file.
///
/// ```
/// use rewind_examples::folders::{Kind, read};
///
/// let root = tempfile::tempdir()?;
/// for (class, text) in [("even", "2"), ("odd", "7")] {
///     std::fs::create_dir(root.path().join(class))?;
///     std::fs::write(root.path().join(class).join("a.txt"), text)?;
/// }
/// let kind = Kind { item: "number", file: "text file", endings: &["txt"] };
/// let number = |path: &std::path::Path| {
///     std::fs::read_to_string(path).map_err(|error| error.to_string())?.parse().map_err(|_| "holds no number".to_owned())
/// };
/// let found = read::<u32>(root.path(), None, kind, number)?;
/// assert_eq!((found.classes, found.items), (vec!["even".to_owned(), "odd".to_owned()], vec![(2, 0), (7, 1)]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A folder that cannot be listed, a class that is missing, named twice or has a comma in its name, and a class without
/// a readable file.
pub fn read<X>(
    root: &Path,
    classes: Option<&[String]>,
    kind: Kind,
    mut read: impl FnMut(&Path) -> Result<X, String>,
) -> Result<ClassFolders<X>, Box<dyn Error>> {
    let found: Vec<String> = sorted_entries(root)?
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .filter(|name| !name.starts_with('.'))
        .collect();
    let at = root.display();
    if found.is_empty() {
        return Err(format!("{at} holds no folders: expected one folder of {}s for each class", kind.file).into());
    }
    let classes = classes.unwrap_or(&found);
    expect_each_once(classes, &found, |class| {
        format!("{at} has no folder for the class \"{class}\"; the folders there are: {}", found.join(", "))
    })?;
    if let Some(class) = classes.iter().find(|class| class.contains(',')) {
        let advice = "separates classes: rename it, or name others with --classes";
        return Err(format!("{} has a comma in its name, which {advice}", root.join(class).display()).into());
    }
    let (mut items, mut broken) = (Vec::new(), Vec::new());
    for (class, name) in classes.iter().enumerate() {
        let (folder, items_before, broken_before) = (root.join(name), items.len(), broken.len());
        for path in files(&folder, kind)? {
            match expect_file(&path).and_then(|()| read(&path)) {
                Ok(item) => items.push((item, class)),
                Err(reason) => broken.push(format!("{} {reason}", path.display())),
            }
        }
        if items.len() == items_before {
            let mut reasons = reasons(&broken[broken_before..], kind);
            if sorted_entries(&folder)?.iter().any(|path| path.is_dir()) {
                reasons += &format!(
                    "; but it has folders: if those are the classes, give {} instead of {at}",
                    folder.display()
                );
            }
            return Err(format!("{} has no readable {}: {reasons}", folder.display(), kind.item).into());
        }
    }
    Ok(ClassFolders { classes: classes.to_vec(), items, broken })
}

/// The files of a folder that have one of the endings.
fn files(folder: &Path, kind: Kind) -> Result<impl Iterator<Item = PathBuf>, String> {
    let is_wanted = move |path: &PathBuf| {
        let has = |ending: &std::ffi::OsStr| kind.endings.iter().any(|known| ending.eq_ignore_ascii_case(known));
        path.extension().is_some_and(has) && !path.is_dir()
    };
    Ok(sorted_entries(folder)?.into_iter().filter(is_wanted))
}

fn reasons(broken: &[String], kind: Kind) -> String {
    if broken.is_empty() {
        return format!("no file in it ends in one of .{}", kind.endings.join(", ."));
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

/// Checks that each of `classes` is one of `among` and is named once. `missing` is the message for one that is not.
///
/// # Errors
///
/// That message, or that a class is asked for twice.
pub fn expect_each_once(classes: &[String], among: &[String], missing: impl Fn(&str) -> String) -> Result<(), String> {
    for (index, class) in classes.iter().enumerate() {
        if !among.contains(class) {
            return Err(missing(class));
        }
        if classes[..index].contains(class) {
            return Err(format!("the class \"{class}\" is asked for twice"));
        }
    }
    Ok(())
}

/// Checks that there are two classes at least; `who` begins the message, such as `--classes names`.
///
/// # Errors
///
/// If there are not.
pub fn expect_two(classes: &[String], who: &str) -> Result<(), String> {
    match classes {
        [] => Err(format!("{who} no class; expected two at least, to tell apart")),
        [one] => Err(format!("{who} one class alone, \"{one}\"; expected two at least, to tell apart")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { item: "number", file: "text file", endings: &["txt", "text"] };

    fn number(path: &Path) -> Result<u32, String> {
        let text = fs::read_to_string(path).unwrap();
        text.parse().map_err(|_| format!("holds \"{text}\"; expected a number"))
    }

    /// A folder with the given files.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        root
    }

    fn names(classes: &[&str]) -> Vec<String> {
        classes.iter().map(ToString::to_string).collect()
    }

    fn message(root: &Path, classes: Option<&[&str]>) -> String {
        let text = read(root, classes.map(names).as_deref(), KIND, number).unwrap_err().to_string();
        text.replace(&root.display().to_string(), "ROOT").replace('\\', "/")
    }

    /// A pipe that nobody writes to is not waited for.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_no_file() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        fs::create_dir(&folder).unwrap();
        let pipe = folder.join("pipe.txt");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::write(folder.join("x.txt"), "1").unwrap();
        let kind = Kind { item: "number", file: "text file", endings: &["txt"] };
        let found = read(root.path(), None, kind, |path| fs::read_to_string(path).map_err(|e| e.to_string())).unwrap();
        assert_eq!(found.items, [("1".to_owned(), 0)]);
        let told = format!("{} cannot be read: it is a pipe; expected a regular file", pipe.display());
        assert_eq!(found.broken, [told]);
    }

    #[test]
    fn reads_in_order_of_names_and_names_what_is_broken() {
        let root = folder(&[
            ("odd/b.TXT", "7"),
            ("odd/a.txt", "5"),
            ("odd/notes.md", "not tried"),
            ("even/x.txt", "two"),
            ("even/y.text", "4"),
            (".hidden/z.txt", "1"),
            ("README.txt", "passed over"),
        ]);
        let found = read(root.path(), None, KIND, number).unwrap();
        assert_eq!((found.classes, found.items), (names(&["even", "odd"]), vec![(4, 0), (5, 1), (7, 1)]));
        let broken = root.path().join("even").join("x.txt").display().to_string();
        assert_eq!(found.broken, [format!("{broken} holds \"two\"; expected a number")]);
    }

    #[test]
    fn classes_are_read_in_the_order_asked_for() {
        let root = folder(&[("a/1.txt", "1"), ("b/1.txt", "2"), ("c/1.txt", "")]);
        let found = read(root.path(), Some(&names(&["b", "a"])), KIND, number).unwrap();
        assert_eq!((found.classes, found.items), (names(&["b", "a"]), vec![(2, 0), (1, 1)]));
        assert_eq!(message(root.path(), Some(&["a", "d"])), {
            "ROOT has no folder for the class \"d\"; the folders there are: a, b, c"
        });
        assert_eq!(message(root.path(), Some(&["a", "a"])), "the class \"a\" is asked for twice");
    }

    #[test]
    fn a_class_without_a_readable_file_gives_the_first_reasons() {
        let root = folder(&["a/1.txt", "a/2.txt", "a/3.txt", "a/4.txt"].map(|name| (name, "")));
        let reason = "holds \"\"; expected a number";
        assert_eq!(
            message(root.path(), None),
            format!(
                "ROOT/a has no readable number: 4 tried; ROOT/a/1.txt {reason}; ROOT/a/2.txt {reason}; \
                 ROOT/a/3.txt {reason}; and so on"
            )
        );
        let root = folder(&[("a/1.md", "")]);
        assert_eq!(
            message(root.path(), None),
            "ROOT/a has no readable number: no file in it ends in one of .txt, .text"
        );
        let root = folder(&[("train/a/1.txt", "1"), ("train/b/1.txt", "2")]);
        assert_eq!(
            message(root.path(), None),
            "ROOT/train has no readable number: no file in it ends in one of .txt, .text; but it has folders: if those are the classes, \
             give ROOT/train instead of ROOT"
        );
    }

    #[test]
    fn names_that_no_list_could_hold_are_refused() {
        let root = folder(&[("a, b/1.txt", "1"), ("c/1.txt", "1")]);
        assert_eq!(
            message(root.path(), None),
            "ROOT/a, b has a comma in its name, which separates classes: rename it, or name others with --classes"
        );
    }

    #[test]
    fn folders_that_are_none() {
        let root = folder(&[("a.txt", "1")]);
        assert_eq!(
            message(root.path(), None),
            "ROOT holds no folders: expected one folder of text files for each class"
        );
        let none = message(&root.path().join("none"), None);
        assert!(none.starts_with("cannot list the folder ROOT: "), "{none}");
    }

    #[test]
    fn one_class_is_none_to_tell_apart() {
        assert_eq!(expect_two(&names(&["a", "b"]), "x names"), Ok(()));
        let told = expect_two(&names(&["a"]), "x names").unwrap_err();
        assert_eq!(told, "x names one class alone, \"a\"; expected two at least, to tell apart");
    }
}
