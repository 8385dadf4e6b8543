//! The pictures of source modules (rooms, for short) in `docs/architecture.md` are true: a file imports only from the rows below its
//! own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of every crate's picture, the lowest first. Rooms that a `=` joins may import each other.
fn pictures() -> Vec<(String, Vec<Vec<String>>)> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("the page of the architecture");
    let mut pictures: Vec<(String, Vec<Vec<String>>)> = Vec::new();
    let blocks = page.split("```").skip(1).step_by(2);
    for line in blocks.filter(|block| block.contains("/src\n")).flat_map(|block| block.lines().skip(1)) {
        if line.starts_with("crates/") {
            pictures.push((line.trim().to_owned(), Vec::new()));
        } else if let (Some((_, rows)), false) = (pictures.last_mut(), line.trim().is_empty()) {
            // The rooms stand before the first column of text.
            let rooms = line.get(..26).unwrap_or(line).replace(" = ", "=");
            rows.insert(0, rooms.split_whitespace().map(str::to_owned).collect());
        }
    }
    pictures
}

/// The room of a file: the first part of its path, without `.rs`.
fn room_of(file: &Path, source: &Path) -> String {
    let within = file.strip_prefix(source).expect("the file lies in the crate");
    let first = within.components().next().expect("a file has a name").as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs"));
    rust.chain(folders.iter().flat_map(|folder| files_in(folder))).collect()
}

/// The code of a file, without comments and unit tests.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("the file can be read");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The names that follow `path::` in some code: one, or the first of each item of a list.
fn names_after(code: &str, path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, _) in code.match_indices(path) {
        let rest = &code[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let end = list.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth < 0
        });
        let mut item = String::new();
        for c in list[..end.unwrap_or(list.len())].chars().chain([',']) {
            depth = depth.max(0) + i32::from(c == '{') - i32::from(c == '}');
            if c == ',' && depth == 0 {
                names.push(word(item.trim()));
                item.clear();
            } else {
                item.push(c);
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The room of each name that `lib.rs` exports.
fn reexports(library: &str) -> BTreeMap<String, String> {
    let mut rooms = BTreeMap::new();
    for statement in library.split(';').filter_map(|text| text.split("pub use ").nth(1)) {
        if let Some((room, _)) = statement.split_once("::") {
            let path = format!("{room}::");
            names_after(statement, &path).into_iter().for_each(|name| drop(rooms.insert(name, room.to_owned())));
        }
    }
    rooms
}

#[test]
fn every_room_imports_from_the_rows_below_it() {
    let pictures = pictures();
    assert!(pictures.len() >= 2, "the page has a picture for each crate");
    let mut wrong: Vec<String> = Vec::new();
    for (source, rows) in &pictures {
        let folder = root().join(source);
        let level: BTreeMap<&str, usize> = rows
            .iter()
            .enumerate()
            .flat_map(|(i, row)| row.iter().flat_map(move |r| r.split('=').map(move |r| (r, i))))
            .collect();
        let pair = |a: &str, b: &str| {
            rows.iter()
                .flatten()
                .any(|r| r.contains('=') && r.split('=').any(|x| x == a) && r.split('=').any(|x| x == b))
        };
        let given = reexports(&code_of(&folder.join("lib.rs")));
        let mut seen = 0;
        for file in files_in(&folder).into_iter().filter(|file| !file.ends_with("src/lib.rs")) {
            let own = room_of(&file, &folder);
            let Some(&here) = level.get(own.as_str()) else {
                wrong.push(format!("{source}: `{own}` is not in the picture"));
                continue;
            };
            for name in names_after(&code_of(&file), "crate::") {
                let room = given.get(&name).unwrap_or(&name);
                let Some(&there) = level.get(room.as_str()) else { continue }; // a macro
                seen += 1;
                if *room != own && there >= here && !pair(&own, room) {
                    wrong.push(format!(
                        "{}: `{own}` imports `{name}` of `{room}`, which is not below it",
                        file.display()
                    ));
                }
            }
        }
        assert!(seen > 20, "{source}: {seen} imports were found");
        for room in level.keys() {
            let there = folder.join(format!("{room}.rs")).exists() || folder.join(room).exists();
            if !there {
                wrong.push(format!("{source}: the picture has a room `{room}` that does not exist"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lists_of_imports_are_taken_apart() {
    let code = "use crate::a::{b, c};\nuse crate::{D, e::{f, g}, H};\nlet x = crate::i::j();";
    assert_eq!(names_after(code, "crate::"), ["a", "D", "e", "H", "i"]);
}
