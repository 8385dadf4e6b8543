//! The page shows what the example prints, and every picture can be drawn.

use std::path::Path;

use crate::{compute, pictures, report};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/gradient_in_time.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text blocks of a page that show output: all but formulas.
fn shown(page: &str) -> Vec<&str> {
    page.split("```text\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| !block.contains("Σ_s"))
        .collect()
}

#[test]
fn the_page_shows_what_is_printed() {
    let (page, printed) = (page(), report(&compute()).expect("a report"));
    let blocks = shown(&page);
    assert!(blocks.len() >= 7, "the page shows {} outputs", blocks.len());
    for block in blocks {
        // On the wall, the last bit of a number decides where a descent goes: what comes before is compared.
        let lines = if block.contains("without clipping") { 4 } else { usize::MAX };
        let block: String = block.lines().take(lines).map(|line| format!("{line}\n")).collect();
        assert!(printed.contains(&block), "the page shows\n{block}\nwhich is not in\n{printed}");
    }
}

#[test]
fn the_results_tell_the_story() {
    let results = compute();
    assert!(results.residual < 1e-12 && results.path.residual() < 1e-12);
    let [tanh, lstm] = &results.flows;
    let faded = |norms: &[f64]| norms[0] / norms[norms.len() - 1];
    assert!(faded(&tanh.states[0].norms) < 1e-3, "the gradient of a tanh-RNN vanishes");
    assert!(faded(&lstm.states[1].norms) > 0.1, "that of the memory of an LSTM does not");
    let [short, long] = &results.truncations;
    assert!(short.keeps(0.9) < long.keeps(0.9));
}

#[test]
fn every_picture_is_well_formed_and_on_the_page() {
    let page = page();
    let results = compute();
    let pictures = pictures::draw(&results).expect("pictures");
    for (name, text) in pictures.iter().filter(|(name, _)| name.ends_with(".svg")) {
        let document = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(document.descendants().filter(|node| node.has_tag_name("text")).count() > 5, "{name} has no labels");
        assert!(page.contains(&format!("gradient_in_time/{name}")), "{name} is not on the page");
    }
    assert_eq!(pictures.len(), 7);
}
