//! The code in the pages of `docs/` is that of the examples: a page whose code has never run teaches mistakes.

use std::path::Path;

/// The code blocks marked as Rust, in order.
fn rust_blocks(page: &str) -> Vec<Vec<&str>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        // A fence inside a block is part of a comment and does not start its line.
        if line.starts_with("```") {
            let block = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if line == "```rust" {
                blocks.push(block);
            }
        }
    }
    blocks
}

/// Every Rust block of `page` must be a run of whole lines of `example`, one after the other in its order. Returns how
/// many lines were compared, or the first block that is not.
fn compare(page: &str, example: &str) -> Result<usize, String> {
    let example: Vec<_> = example.lines().collect();
    let mut rest = &example[..];
    let mut compared = 0;
    for (number, block) in rust_blocks(page).iter().enumerate() {
        let Some(at) = rest.windows(block.len().max(1)).position(|lines| lines == block) else {
            return Err(format!("Rust block {} is not in the example:\n{}", number + 1, block.join("\n")));
        };
        rest = &rest[at + block.len()..];
        compared += block.len();
    }
    Ok(compared)
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn assert_copy(page: &str, example: &str) {
    match compare(&read(page), &read(example)) {
        Ok(lines) => assert!(lines > 40, "{page} shows {lines} lines of {example}: too few to be its text"),
        Err(block) => panic!("{page} and {example} differ. {block}"),
    }
}

#[test]
fn add_an_op_shows_the_example() {
    assert_copy("docs/add_an_op.md", "examples/02_custom_op.rs");
}

#[test]
fn write_a_cell_shows_the_example() {
    assert_copy("docs/write_a_cell.md", "examples/03_custom_cell.rs");
}

#[test]
fn write_a_layer_shows_the_example() {
    assert_copy("docs/write_a_layer.md", "examples/10_custom_layer.rs");
}

#[test]
fn check_a_gradient_shows_the_example() {
    assert_copy("docs/check_a_gradient.md", "examples/05_check_an_op.rs");
}

#[test]
fn train_shows_the_example() {
    assert_copy("docs/train.md", "examples/09_train.rs");
}

#[test]
fn label_sequences_shows_the_example() {
    assert_copy("docs/label_sequences.md", "examples/11_label_sequences.rs");
}

#[test]
fn pytorch_shows_the_example() {
    assert_copy("docs/pytorch.md", "examples/12_pytorch.rs");
}

#[test]
fn jax_shows_the_example() {
    assert_copy("docs/jax.md", "examples/15_flax.rs");
    // And the function in Python is that of the recipe.
    let (page, recipe) = (read("docs/jax.md"), read("crates/fixtures/flax/make_flax.py"));
    let of = |text: &str| {
        let lines = text.lines().skip_while(|line| !line.starts_with("def to_rewind"));
        lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(of(&page).len() > 10);
    assert_eq!(of(&page), of(&recipe));
}

#[test]
fn gradient_in_time_shows_the_example() {
    assert_copy("docs/gradient_in_time.md", "examples/13_gradient_in_time/main.rs");
}

#[test]
fn derivatives_shows_its_two_examples() {
    let example = read("examples/07_derivatives.rs") + &read("examples/06_rtrl.rs");
    match compare(&read("docs/derivatives.md"), &example) {
        Ok(lines) => assert!(lines > 100, "the page shows {lines} lines of its examples: too few to be their text"),
        Err(block) => panic!("docs/derivatives.md and its examples differ. {block}"),
    }
}

#[test]
fn a_page_that_differs_is_noticed() {
    let example = "fn a() {}\n/// ```text\n/// x\n/// ```\nfn b() {}\nfn c() {}\n";
    let page =
        "Text.\n```rust\nfn a() {}\n/// ```text\n/// x\n/// ```\n```\n```text\nfree\n```\n```rust\nfn c() {}\n```\n";
    assert_eq!(compare(page, example), Ok(5));
    let changed = page.replace("fn c() {}", "fn c() { }");
    assert_eq!(compare(&changed, example), Err("Rust block 2 is not in the example:\nfn c() { }".to_owned()));
    assert!(compare(page, &example.replace("/// x\n", "")).is_err(), "a line was taken out of the example");
    assert!(compare("```rust\nfn c() {}\n```\n```rust\nfn a() {}\n```\n", example).is_err(), "the order is wrong");
    assert!(compare("```rust\nfn a() {}\nfn b() {}\n```\n", example).is_err(), "lines between them are missing");
}
