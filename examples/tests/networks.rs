//! The tables of `docs/networks.md` are true: every function that it names is there, with as many lines.

use std::path::Path;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines in the body of the last method `name` of a file, without comments and empty lines.
fn lines_of(code: &str, name: &str) -> Option<usize> {
    let lines: Vec<&str> = code.lines().collect();
    let head = |line: &&str| {
        let line =
            line.strip_prefix("    ").map(|line| line.trim_start_matches("pub ").trim_start_matches("pub(crate) "));
        line.and_then(|line| line.strip_prefix("fn ")?.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with(['(', '<']))
    };
    // A trait declares a method without a body.
    let mut bodies = lines.iter().enumerate().filter(|(_, line)| head(line)).filter_map(|(at, _)| {
        let start = at + lines[at..].iter().position(|line| line.ends_with(['{', ';']))?;
        lines[start].ends_with('{').then_some(start + 1)
    });
    let start = bodies.next_back()?;
    let body = lines[start..].iter().take_while(|&&line| line != "    }").map(|line| line.trim());
    Some(body.filter(|line| !line.is_empty() && !line.starts_with("//")).count())
}

#[test]
fn every_row_has_the_lines_of_its_function() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = read(&docs.join("networks.md"));
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains("](../")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [.., link, function, lines] = cells[..] else { panic!("a row of five cells: {row}") };
        let file = link.split(['(', ')']).nth(1).expect("a link to a file");
        let found = lines_of(&read(&docs.join(file)), function.trim_matches('`'));
        assert_eq!(found.map(|lines| lines.to_string()).as_deref(), Some(lines), "{row}");
        rows += 1;
    }
    assert!(rows > 20, "{rows} rows were found");
}

#[test]
fn every_cell_layer_and_wrapper_has_a_row() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = read(&docs.join("networks.md"));
    let source = docs.join("../crates/rnn/src");
    let mut seen = 0;
    for folder in ["cells", "wrappers"] {
        for entry in std::fs::read_dir(source.join(folder)).expect("the folder can be read") {
            let path = entry.expect("an entry").path();
            if read(&path).contains("parameters! {") {
                let link =
                    format!("(../crates/rnn/src/{folder}/{})", path.file_name().expect("a name").to_string_lossy());
                assert!(page.contains(&link), "no row links to {link}");
                seen += 1;
            }
        }
    }
    assert!(seen > 12, "{seen} files with a struct of parameters were found");
}

#[test]
fn lines_are_counted_in_the_body_of_a_method() {
    let code = "trait A {\n    fn next(&self);\n}\nimpl A for B {\n    pub(crate) fn next(\n        &self,\n    ) {\n        // Why.\n        a();\n\n        b();\n    }\n    fn other() {\n        c();\n    }\n}\n";
    assert_eq!((lines_of(code, "next"), lines_of(code, "other"), lines_of(code, "none")), (Some(2), Some(1), None));
}
