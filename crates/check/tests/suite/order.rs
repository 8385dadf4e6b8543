//! The files of the check import one way.

use std::path::Path;

/// In the order of their imports: each uses only those before it.
const ORDER: [&str; 18] = [
    "caught",
    "elements",
    "pattern",
    "report",
    "display",
    "guess",
    "sample",
    "judge",
    "prober",
    "compare",
    "objective",
    "node",
    "off_tape",
    "suspect",
    "origin",
    "run",
    "settings",
    "strategies",
];

#[test]
fn every_file_imports_only_those_before_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<_> =
        std::fs::read_dir(&src).expect("sources").map(|file| file.expect("a file").path()).collect();
    files.retain(|file| file.file_stem().is_some_and(|name| name != "lib"));
    assert_eq!(files.len(), ORDER.len(), "{files:?}");
    for (place, name) in ORDER.into_iter().enumerate() {
        let text = std::fs::read_to_string(src.join(name).with_extension("rs")).expect("a file of that name");
        for import in text.lines().filter_map(|line| line.trim().strip_prefix("use crate::")) {
            let used = import.split([':', ';']).next().expect("a module");
            assert!(ORDER[..place].contains(&used), "{name} imports {used}, which does not stand before it");
        }
    }
}
