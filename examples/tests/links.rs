//! Links in the repository's pages have targets, and the tests that a page names exist.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Markdown file of the repository, without build output, downloaded packages and hidden folders.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !["target", "node_modules"].contains(&&*name) && !name.starts_with('.') {
            pages(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}

/// Text and target of every `[text](target)`. Code blocks have none.
fn links(page: &str) -> Vec<(&str, &str)> {
    let prose = page.split("```").step_by(2);
    let ends = prose.flat_map(|part| part.match_indices("](").map(move |(end, _)| (part, end)));
    ends.filter_map(|(part, end)| {
        let start = part[..end].rfind('[')?;
        let length = part[end + 2..].find(')')?;
        Some((&part[start + 1..end], &part[end + 2..end + 2 + length]))
    })
    .collect()
}

/// The names by which GitHub lets a link lead to the headings of a page.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.split("```").step_by(2).flat_map(str::lines).filter_map(|line| line.strip_prefix('#'));
    let name = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
    };
    headings.map(name).collect()
}

/// What is wrong with the links of a page in `folder`.
fn broken(page: &str, folder: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for (text, target) in links(page) {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        if path.contains("://") {
            continue;
        }
        let file = folder.join(path);
        let there = match path {
            "" => page.to_owned(),
            _ => fs::read_to_string(&file).unwrap_or_default(),
        };
        if !path.is_empty() && !file.exists() || !anchor.is_empty() && !anchors(&there).iter().any(|a| a == anchor) {
            wrong.push(format!("[{text}]({target}) leads nowhere"));
        } else if let Some(name) = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'))
            && path.ends_with(".rs")
            && !name.contains(['/', '.', ':'])
            && !there.contains(&format!("fn {name}("))
        {
            wrong.push(format!("there is no test {name} in {target}"));
        }
    }
    wrong
}

#[test]
fn every_link_leads_somewhere() {
    let mut all = Vec::new();
    pages(&root(), &mut all);
    assert!(all.len() > 10, "{} pages: too few to be the repository's", all.len());
    let mut wrong = Vec::new();
    for path in &all {
        let page = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let found = broken(&page, path.parent().expect("a folder"));
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readme_leads_to_every_page() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README is there");
    let mut all = Vec::new();
    pages(&root().join("docs"), &mut all);
    assert!(all.len() > 10, "{} pages: too few to be those of docs", all.len());
    for page in all {
        let link = format!("(docs/{})", page.file_name().unwrap_or_default().to_string_lossy());
        assert!(readme.contains(&link), "the README has no link {link}");
    }
}

#[test]
fn a_broken_link_is_noticed() {
    let page = "# Any `Thing`, here\n[a](examples) [b](no/such/file.md#part) <https://x.y> [c](https://x.y/z)\n```\n\
                [d](nowhere)\n```\n[e](#any-thing-here) [f](#any-thing) [g](README.md#licence) [h](README.md#none)\n\
                [`a_broken_link_is_noticed`](examples/tests/links.rs) [`nobody`](examples/tests/links.rs)";
    let wrong = broken(page, &root());
    assert_eq!(
        wrong,
        [
            "[b](no/such/file.md#part) leads nowhere",
            "[f](#any-thing) leads nowhere",
            "[h](README.md#none) leads nowhere",
            "there is no test nobody in examples/tests/links.rs",
        ]
    );
}
