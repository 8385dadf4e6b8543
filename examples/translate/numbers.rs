//! What the program translates without data: numbers, dates and times in English words, to digits.
//!
//! ```text
//! four thousand three hundred and five          4305
//! the twenty third of march nineteen ninety     1990-03-23
//! twenty to six in the evening                  17:40
//! ```

use std::collections::BTreeSet;

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};

use crate::dataset::Sentence;

/// How many different sentences there are to train on and to test on.
const TRAIN: usize = 8_000;
const TEST: usize = 1_000;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The training part and the test part of a seed: no sentence is in both.
pub(crate) fn make(seed: u64) -> [Vec<Sentence>; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut known, mut all) = (BTreeSet::new(), Vec::with_capacity(TRAIN + TEST));
    while all.len() < TRAIN + TEST {
        let (source, target) = match rng.random_range(0..3) {
            0 => number(&mut rng),
            1 => date(&mut rng),
            _ => time(&mut rng),
        };
        if known.insert(source.clone()) {
            all.push(Sentence { source, targets: vec![target] });
        }
    }
    let test = all.split_off(TRAIN);
    [all, test]
}

/// 0 to 999,999, as many of each length.
fn number(rng: &mut impl Rng) -> (String, String) {
    let digits = rng.random_range(2..=6);
    let n = rng.random_range(0..10_u32.pow(digits));
    (cardinal(n, rng), n.to_string())
}

/// A number in words: with `and` or without, and hundreds up to ninety-nine.
fn cardinal(n: u32, rng: &mut impl Rng) -> String {
    let (hundreds, rest) = (n / 100, n % 100);
    let after = |words: String, rest: u32, rng: &mut _| match rest {
        0 => words,
        1..100 => format!("{words} {}{}", ["", "and "].choose(rng).expect("two"), cardinal(rest, rng)),
        _ => format!("{words} {}", cardinal(rest, rng)),
    };
    match n {
        0..20 => SMALL[n as usize].to_owned(),
        20..100 => match n % 10 {
            0 => TENS[n as usize / 10].to_owned(),
            one => format!("{} {}", TENS[n as usize / 10], SMALL[one as usize]),
        },
        100..1000 => after(format!("{} hundred", SMALL[hundreds as usize]), rest, rng),
        1000..10_000 if hundreds % 10 > 0 && rng.random_bool(0.3) => {
            let count = cardinal(hundreds, rng);
            after(format!("{count} hundred"), rest, rng)
        }
        _ => {
            let thousands = cardinal(n / 1000, rng);
            after(format!("{thousands} thousand"), n % 1000, rng)
        }
    }
}

/// A day of a month, in words.
fn ordinal(day: u32) -> String {
    const SMALL_ORDINALS: [&str; 20] = [
        "",
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
    ];
    match day {
        20 => "twentieth".to_owned(),
        30 => "thirtieth".to_owned(),
        0..20 => SMALL_ORDINALS[day as usize].to_owned(),
        _ => format!("{} {}", TENS[day as usize / 10], SMALL_ORDINALS[day as usize % 10]),
    }
}

/// A day from 1100 to 2099.
fn date(rng: &mut impl Rng) -> (String, String) {
    let (year, month) = (rng.random_range(1100..2100), rng.random_range(0..12));
    let day = rng.random_range(1..=DAYS[month]);
    let (day_words, name) = (ordinal(day), MONTHS[month]);
    let in_words = match (year / 100, year % 100) {
        (20, rest @ 0..10) => {
            if rest == 0 {
                "two thousand".to_owned()
            } else {
                format!("two thousand and {}", SMALL[rest])
            }
        }
        (century, 0) => format!("{} hundred", cardinal(century as u32, rng)),
        (century, rest @ 1..10) => format!("{} oh {}", cardinal(century as u32, rng), SMALL[rest]),
        (century, rest) => format!("{} {}", cardinal(century as u32, rng), cardinal(rest as u32, rng)),
    };
    let source = match rng.random_range(0..3) {
        0 => format!("the {day_words} of {name} {in_words}"),
        1 => format!("{name} the {day_words} , {in_words}"),
        _ => format!("in {in_words} , on {name} {day_words}"),
    };
    (source, format!("{year}-{:02}-{day:02}", month + 1))
}

/// A time of day: minutes past an hour, or to the next one.
fn time(rng: &mut impl Rng) -> (String, String) {
    let (hour, minute) = (rng.random_range(0..24_u32), rng.random_range(0..60));
    let said = |hour: u32| {
        SMALL[match hour % 12 {
            0 => 12,
            hour => hour as usize,
        }]
    };
    let part = |hour: u32| match hour % 24 {
        0..5 => "at night",
        5..12 => "in the morning",
        12..18 => "in the afternoon",
        _ => "in the evening",
    };
    let (named, words) = match minute {
        0 => (hour, format!("{} o'clock", said(hour))),
        15 if rng.random_bool(0.5) => (hour, format!("quarter past {}", said(hour))),
        30 if rng.random_bool(0.5) => (hour, format!("half past {}", said(hour))),
        45 if rng.random_bool(0.5) => (hour + 1, format!("quarter to {}", said(hour + 1))),
        1..=30 => (hour, format!("{} past {}", cardinal(minute, rng), said(hour))),
        _ => (hour + 1, format!("{} to {}", cardinal(60 - minute, rng), said(hour + 1))),
    };
    (format!("{words} {}", part(named)), format!("{hour:02}:{minute:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_all_and_no_sentence_comes_twice() {
        let parts = make(3);
        assert_eq!(parts, make(3));
        assert_ne!(parts, make(4));
        let [train, test] = &parts;
        assert_eq!((train.len(), test.len()), (TRAIN, TEST));
        let sources: BTreeSet<_> = train.iter().chain(test).map(|sentence| &sentence.source).collect();
        assert_eq!(sources.len(), TRAIN + TEST);
    }

    /// A sentence has one meaning: read by hand, and no two that are equal mean two things.
    #[test]
    fn words_and_digits_agree() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let forms: BTreeSet<String> = (0..50).map(|_| cardinal(4305, &mut rng)).collect();
        let expected = [
            "forty three hundred and five",
            "forty three hundred five",
            "four thousand three hundred and five",
            "four thousand three hundred five",
        ];
        assert_eq!(forms.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(
            [1, 12, 20, 23, 30, 31].map(ordinal),
            ["first", "twelfth", "twentieth", "twenty third", "thirtieth", "thirty first"]
        );
        let mut meanings = std::collections::BTreeMap::new();
        for _ in 0..100_000 {
            let (source, target) = match rng.random_range(0..3) {
                0 => number(&mut rng),
                1 => date(&mut rng),
                _ => time(&mut rng),
            };
            assert_eq!(*meanings.entry(source.clone()).or_insert_with(|| target.clone()), target, "{source}");
        }
        assert_eq!(meanings["quarter to six in the evening"], "17:45");
        assert_eq!(meanings["twelve o'clock at night"], "00:00");
    }
}
