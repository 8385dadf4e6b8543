//! Opinions that the program writes itself. Which words a sentence has says little about its class: it counts what is
//! negated, how often, and which part of the sentence has the last word.
//!
//! - A clause: `the plot is very dull`. A negation before the adjective turns it (`the plot is not dull`), two cancel
//!   (`nobody says that the plot is not dull`), and words may stand between.
//! - `C and C`: two clauses that mean the same.
//! - `C , but S`, `although C , S` and `S , although C`: the sentence means what S means, a sentence itself.
//! - `it is wrong to say : S` and `S : all of this is wrong`: the opposite of the whole of S.

use std::collections::BTreeSet;

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use rewind_examples::labelled::Labelled;

use crate::words::{self, Words};

/// Sentences for training and for testing.
const COUNTS: [usize; 2] = [4000, 1000];

const SUBJECTS: [&str; 8] =
    ["the plot", "the cast", "the music", "the ending", "the camera", "the dialogue", "this film", "the first half"];
const GOOD: [&str; 8] = ["good", "funny", "moving", "clever", "fresh", "gripping", "warm", "convincing"];
const BAD: [&str; 8] = ["bad", "dull", "shallow", "clumsy", "stale", "tedious", "cold", "hollow"];
const DEGREES: [&str; 4] = ["very", "really", "quite", "so"];
const ASIDES: [&str; 4] = ["for most of the time", "as far as i can see", "in my view", "at least in part"];
const NEGATIONS: [&str; 2] = ["not", "never"];
const NOBODY: [&str; 3] = ["nobody says that", "i do not think that", "few would say that"];
const BEFORE: &str = "it is wrong to say : ";
const AFTER: &str = " : all of this is wrong";
/// The most clauses whose meaning does not count.
const CONCESSIONS: usize = 3;

/// The names of the two classes.
pub(crate) const CLASSES: [&str; 2] = ["negative", "positive"];

fn one_of<'a>(choices: &[&'a str], rng: &mut impl Rng) -> &'a str {
    choices[rng.random_range(0..choices.len())]
}

/// A clause that is positive or not.
fn clause(is_positive: bool, rng: &mut impl Rng) -> String {
    let (is_turned, is_reported) = (rng.random_bool(0.5), rng.random_bool(0.25));
    let mut parts = Vec::new();
    if is_reported {
        parts.push(one_of(&NOBODY, rng));
    }
    parts.extend([one_of(&SUBJECTS, rng), "is"]);
    if is_turned {
        parts.push(one_of(&NEGATIONS, rng));
    }
    if rng.random_bool(0.2) {
        parts.push(one_of(&ASIDES, rng));
    }
    if rng.random_bool(0.3) {
        parts.push(one_of(&DEGREES, rng));
    }
    let adjectives = if is_positive ^ is_turned ^ is_reported { GOOD } else { BAD };
    parts.push(one_of(&adjectives, rng));
    parts.join(" ")
}

/// A sentence that is positive or not.
fn sentence(is_positive: bool, rng: &mut impl Rng) -> String {
    let [before, after] = [(); 2].map(|()| rng.random_bool(0.2));
    let is_main_positive = is_positive ^ before ^ after;
    let mut text = clause(is_main_positive, rng);
    if rng.random_bool(0.2) {
        text = format!("{text} and {}", clause(is_main_positive, rng));
    }
    for _ in 0..rng.random_range(0..=CONCESSIONS) {
        let other = clause(rng.random_bool(0.5), rng);
        text = match rng.random_range(0..3) {
            0 => format!("{other} , but {text}"),
            1 => format!("although {other} , {text}"),
            _ => format!("{text} , although {other}"),
        };
    }
    format!("{}{text}{}", if before { BEFORE } else { "" }, if after { AFTER } else { "" })
}

/// The training part and the test part of a seed: no sentence is in both, and none comes twice.
pub(crate) fn write(seed: u64) -> [Labelled<Words>; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut seen = BTreeSet::new();
    COUNTS.map(|count| {
        let (mut items, mut labels) = (Vec::new(), Vec::new());
        while items.len() < count {
            let label = items.len() % 2;
            let text = sentence(label == 1, &mut rng);
            if seen.insert(text.clone()) {
                items.push(words::of(&text));
                labels.push(label);
            }
        }
        Labelled { classes: CLASSES.map(str::to_owned).into(), items, labels }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a clause means, by its negations.
    fn of_clause(text: &str) -> bool {
        let has = |words: &[&str]| words.iter().any(|word| format!(" {text} ").contains(&format!(" {word} ")));
        assert!(has(&GOOD) ^ has(&BAD), "{text}");
        let is_turned = has(&["is not", "is never"]);
        has(&GOOD) ^ is_turned ^ has(&NOBODY)
    }

    /// What a sentence means, read back: what is left without concessions counts.
    fn meaning(text: &str) -> bool {
        if let Some(rest) = text.strip_prefix(BEFORE) {
            return !meaning(rest);
        }
        if let Some(rest) = text.strip_suffix(AFTER) {
            return !meaning(rest);
        }
        if let Some((_, rest)) = text.rsplit_once(" , but ") {
            return meaning(rest);
        }
        if let Some(rest) = text.strip_prefix("although ") {
            return meaning(rest.split_once(" , ").unwrap().1);
        }
        if let Some((rest, _)) = text.split_once(" , although ") {
            return meaning(rest);
        }
        let meanings: Vec<bool> = text.split(" and ").map(of_clause).collect();
        assert!(meanings.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        meanings[0]
    }

    #[test]
    fn a_sentence_means_what_its_class_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for round in 0..3000 {
            let is_positive = round % 2 == 0;
            let text = sentence(is_positive, &mut rng);
            assert_eq!(meaning(&text), is_positive, "{text}");
        }
        assert!(meaning("the plot is never as far as i can see dull , although the cast is bad"));
        assert!(!meaning("it is wrong to say : i do not think that the plot is bad"));
    }

    #[test]
    fn the_two_parts_share_no_sentence() {
        let [train, test] = write(5);
        assert_eq!((train.items.len(), test.items.len()), (COUNTS[0], COUNTS[1]));
        let known: BTreeSet<_> = train.items.iter().collect();
        assert!(known.len() == COUNTS[0] && test.items.iter().all(|item| !known.contains(item)));
        assert_eq!(test.summary(), "500 negative, 500 positive");
        assert_eq!(write(5), [train, test]);
        assert_ne!(write(6)[0], write(5)[0]);
    }
}
