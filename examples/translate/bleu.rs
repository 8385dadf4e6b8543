//! How close translations are to those of people: corpus BLEU.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

/// n-grams of one to so many tokens are compared.
const ORDERS: usize = 4;

/// BLEU of a corpus (Papineni et al. 2002), in 0..=1: (p₁ p₂ p₃ p₄)^¼ · min(1, e^(1 - r/c)). It is case-sensitive.
///
/// - pₙ is the share of the n-grams of all hypotheses that are in a reference of their sentence; an n-gram counts at
///   most as often as the reference that has it most often.
/// - c is the number of tokens of all hypotheses, and r that of the references: for each sentence the one whose length
///   is closest to the hypothesis, the shorter of two.
///
/// Tokens (`13a`) and the smoothing of a pₙ without matches (`exp`) are the defaults of sacreBLEU (Post 2018), so its
/// figures are 100 times those from here. As there, BLEU is 0 if no token matches or no hypothesis has four tokens.
///
/// `references` holds one or more of each sentence; their number may differ between sentences.
///
/// # Panics
///
/// If there are not as many hypotheses as sentences with references, or a sentence has no reference.
#[track_caller]
pub(crate) fn bleu<S: AsRef<str>>(hypotheses: &[S], references: &[Vec<S>]) -> f64 {
    let (found, expected) = (hypotheses.len(), references.len());
    assert_eq!(found, expected, "bleu: {found} hypotheses, but references of {expected} sentences");
    let mut counts = Counts::default();
    for (sentence, (hypothesis, references)) in hypotheses.iter().zip(references).enumerate() {
        assert!(!references.is_empty(), "bleu: sentence {sentence} has no reference");
        let references: Vec<_> = references.iter().map(|reference| prepared(reference.as_ref())).collect();
        counts.add(&prepared(hypothesis.as_ref()), &references);
    }
    counts.bleu()
}

/// What BLEU is computed from, summed over sentences.
#[derive(Default)]
struct Counts {
    /// Tokens of the hypotheses.
    length: usize,
    /// Tokens of the references with the closest lengths.
    reference_length: usize,
    /// The n-grams of the hypotheses, from n = 1.
    ngrams: [usize; ORDERS],
    /// Those of them that are in a reference.
    matches: [usize; ORDERS],
}

impl Counts {
    /// Adds a sentence; hypothesis and references are [`prepared`].
    fn add(&mut self, hypothesis: &str, references: &[String]) {
        let hypothesis: Vec<_> = tokens(hypothesis).collect();
        let references: Vec<Vec<_>> = references.iter().map(|reference| tokens(reference).collect()).collect();
        self.length += hypothesis.len();
        let lengths = references.iter().map(Vec::len);
        let closest = lengths.min_by_key(|&length| (length.abs_diff(hypothesis.len()), length));
        self.reference_length += closest.unwrap_or(0);
        for order in 1..=ORDERS {
            let mut most: HashMap<&[&str], usize> = HashMap::new();
            for (ngram, count) in references.iter().flat_map(|reference| ngrams(reference, order)) {
                let most = most.entry(ngram).or_default();
                *most = count.max(*most);
            }
            for (ngram, count) in ngrams(&hypothesis, order) {
                self.ngrams[order - 1] += count;
                self.matches[order - 1] += most.get(ngram).map_or(0, |&most| count.min(most));
            }
        }
    }

    fn bleu(&self) -> f64 {
        if self.matches[0] == 0 {
            return 0.0;
        }
        // NIST's smoothing: the k-th order without matches has 1/2ᵏ of a match.
        let mut smoothed = 1.0;
        let mut log_precisions = 0.0;
        for (&matches, &ngrams) in self.matches.iter().zip(&self.ngrams) {
            let matches = match (matches, ngrams) {
                (_, 0) => return 0.0,
                (0, _) => {
                    smoothed /= 2.0;
                    smoothed
                }
                _ => matches as f64,
            };
            log_precisions += (matches / ngrams as f64).ln();
        }
        let log_brevity = (1.0 - self.reference_length as f64 / self.length as f64).min(0.0);
        (log_precisions / ORDERS as f64 + log_brevity).exp()
    }
}

/// The n-grams of `order` tokens, each with the number of its places.
fn ngrams<'a, 't>(tokens: &'a [&'t str], order: usize) -> HashMap<&'a [&'t str], usize> {
    let mut counts = HashMap::new();
    for ngram in tokens.windows(order) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

/// The text with white space around its tokens: sacreBLEU's tokenisation `13a`, that of NIST's `mteval-v13a`.
fn prepared(text: &str) -> String {
    static SPACED: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
        [
            // Punctuation and symbols of ASCII, but no apostrophe, comma, hyphen or full stop.
            (r"([{-~\[-` -&(-+:-@/])", " $1 "),
            // Commas and full stops, except between digits.
            (r"([^0-9])([.,])", "$1 $2 "),
            (r"([.,])([^0-9])", " $1 $2"),
            // A hyphen after a digit.
            (r"([0-9])(-)", "$1 $2 "),
        ]
        .map(|(pattern, spaced)| (Regex::new(pattern).expect("the pattern is valid"), spaced))
    });
    // The order matters: "&amp;lt;" becomes "<".
    const REPLACED: [(&str, &str); 7] =
        [("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")];
    let plain =
        REPLACED.iter().fold(text.trim_end_matches(is_space).to_owned(), |text, (from, to)| text.replace(from, to));
    SPACED.iter().fold(format!(" {plain} "), |text, (pattern, spaced)| pattern.replace_all(&text, *spaced).into_owned())
}

/// The tokens of a [`prepared`] text.
fn tokens(prepared: &str) -> impl Iterator<Item = &str> {
    prepared.split(is_space).filter(|token| !token.is_empty())
}

/// White space as in Python: that of Unicode and the separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The figures of these tests are those of sacreBLEU 2.6.0, of lists `hypotheses` and `references` as below:
    // `BLEU().corpus_score(hypotheses, list(itertools.zip_longest(*references))).score / 100`

    /// Sentences: hypothesis and references.
    type Corpus<'a> = &'a [(&'a str, &'a [&'a str])];

    #[track_caller]
    fn assert_bleu(expected: f64, corpus: Corpus<'_>) {
        let (hypotheses, references): (Vec<_>, Vec<_>) =
            corpus.iter().map(|&(hypothesis, references)| (hypothesis, references.to_vec())).unzip();
        let found = bleu(&hypotheses, &references);
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }

    #[test]
    fn several_references() {
        assert_bleu(
            0.7419446627365011,
            &[
                (
                    "the cat sat on the mat today",
                    &["a cat sat on the mat", "the cat was on the mat today", "today the cat sat"],
                ),
                (
                    "it is raining in the north",
                    &["it rains in the north", "there is rain in the north", "in the north it is raining"],
                ),
            ],
        );
    }

    #[test]
    fn unequal_numbers_of_references() {
        assert_bleu(
            0.5570374286431408,
            &[
                ("two dogs play in the snow", &["two dogs are playing in the snow"]),
                (
                    "a man rides a red bicycle",
                    &["a man is riding a red bike", "a man rides a bicycle", "a person rides a red bicycle"],
                ),
                ("children at the beach", &["children are at the beach", "kids on the beach"]),
            ],
        );
    }

    #[test]
    fn an_ngram_counts_as_often_as_in_one_reference() {
        assert_bleu(
            0.07809849842300637,
            &[("the the the the the the the", &["the cat is on the mat", "there is a cat on the mat"])],
        );
    }

    #[test]
    fn the_closest_length_of_two_is_the_shorter() {
        assert_bleu(1.0, &[("one two three four five", &["one two three four", "one two three four five six"])]);
    }

    #[test]
    fn the_closest_length_may_be_the_longer() {
        assert_bleu(0.8187307530779823, &[("one two three four five", &["one two", "one two three four five six"])]);
    }

    #[test]
    fn a_longer_hypothesis_has_no_penalty() {
        assert_bleu(0.6147881529512643, &[("one two three four five six seven", &["one two three four five"])]);
    }

    #[test]
    fn a_perfect_translation() {
        assert_bleu(1.0, &[("Un homme, une femme et deux enfants.", &["Un homme, une femme et deux enfants."])]);
    }

    #[test]
    fn a_perfect_translation_of_three_tokens() {
        assert_bleu(0.0, &[("deux chiens blancs", &["deux chiens blancs"])]);
    }

    #[test]
    fn short_hypotheses_beside_a_long_one() {
        assert_bleu(
            0.3594441934411556,
            &[
                ("oui", &["oui"]),
                ("le chat", &["le chat noir"]),
                ("", &["rien du tout"]),
                ("un garçon court dans le parc", &["un garçon court dans un parc"]),
            ],
        );
    }

    #[test]
    fn only_empty_hypotheses() {
        assert_bleu(0.0, &[("", &["un chat"]), (" \t", &["un chien"])]);
    }

    #[test]
    fn an_empty_reference() {
        assert_bleu(0.7788007830714052, &[("", &[""]), ("the cat sat down", &["", "the cat sat down there"])]);
    }

    #[test]
    fn no_token_matches() {
        assert_bleu(0.0, &[("alpha beta gamma delta", &["one two three four five"])]);
    }

    #[test]
    fn only_single_tokens_match() {
        assert_bleu(0.12703318703865377, &[("a b c d e f", &["f e d c b a"])]);
    }

    #[test]
    fn no_four_tokens_match() {
        assert_bleu(0.4111336169005196, &[("a b c x d e f", &["a b c y d e f"])]);
    }

    #[test]
    fn case_matters() {
        assert_bleu(0.508132748154615, &[("The Cat sat on the mat", &["the cat sat on the mat"])]);
    }

    #[test]
    fn french() {
        assert_bleu(
            0.7360668062941591,
            &[
                (
                    "Où est l’hôtel\u{202f}? Il est à 10\u{202f}% près",
                    &["Où est l’hôtel\u{a0}? Il est à 10\u{202f}% près."],
                ),
                (
                    "«\u{202f}L’œuvre est finie\u{202f}», dit-elle à l'été",
                    &["«\u{a0}L’œuvre est finie\u{a0}», dit elle à l’été"],
                ),
                (
                    "Aujourd'hui, c'est l'anniversaire de grand-père",
                    &["Aujourd'hui c'est l'anniversaire de grand-père"],
                ),
            ],
        );
    }

    #[test]
    fn other_scripts() {
        assert_bleu(
            0.4889230224349009,
            &[
                ("это не очень хорошо 😀 сегодня", &["это не очень хорошо 😀", "это хорошо сегодня"]),
                ("我 喜欢 红色 的 苹果 。", &["我 喜欢 红 苹果 。"]),
                ("cafe\u{301} au lait ici", &["café au lait ici"]),
            ],
        );
    }

    #[test]
    fn numbers() {
        assert_bleu(
            0.7094439494924896,
            &[
                ("3.5 of 1,000 in 10-20 days, or .5 and 7.", &["3.5 of 1000 in 10 - 20 days , or .5 and 7 ."]),
                ("from 1.2.3 to 4,5,6 - about -7 or 8-bit", &["from 1.2.3 to 4,5,6 - about - 7 or 8 -bit"]),
            ],
        );
    }

    #[test]
    fn entities() {
        assert_bleu(
            1.0,
            &[(
                "Tom &amp; Jerry say &quot;hi&quot; &lt;b&gt; &amp;lt; &apos;",
                &["Tom & Jerry say \"hi\" < b > < & apos ;"],
            )],
        );
    }

    #[test]
    fn punctuation() {
        assert_bleu(
            1.0,
            &[
                (
                    "Wait... what?!?! (really) -- no; yes: [a/b] {c|d} ~e_f @g #h $5 50% 2*3+4=10",
                    &[
                        "Wait . . . what ? ! ? ! ( really ) -- no ; yes : [ a / b ] { c | d } ~ e _ f @ g # h $ 5 50 % 2 * 3 + 4 = 10",
                    ],
                ),
                ("well,,, that.is...it,.", &["well , , , that . is ... it , ."]),
            ],
        );
    }

    #[test]
    fn white_space() {
        assert_bleu(
            1.0,
            &[
                ("  a cat-\nlike  animal\nsleeps\there \n", &["a catlike animal sleeps here"]),
                ("one\u{1c}two\u{2028}three\u{85}four <skipped>five-\n", &["one two three four five-"]),
            ],
        );
    }

    #[test]
    fn texts_are_split_as_13a_does() {
        let split = |text: &str| tokens(&prepared(text)).map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(
            split("a b. c.d 3.5 1,000 10-20 .5 5. a,b -7 8-bit"),
            "a b . c . d 3.5 1,000 10 - 20 . 5 5 . a , b -7 8 - bit"
        );
        assert_eq!(split("Wait...what?! l'eau l’eau x_y @a"), "Wait . . . what ? ! l'eau l’eau x _ y @ a");
        assert_eq!(split("&amp;lt; &quot;a&quot; <skipped>"), "< \" a \"");
        assert_eq!(split("«\u{202f}oui\u{202f}» 10\u{202f}%"), "« oui » 10 %");
        assert_eq!(split(" a-\nb c\nd "), "ab c d");
        for c in ('!'..='~').filter(|&c| !c.is_ascii_alphanumeric()) {
            let expected = if "-'".contains(c) { format!("a{c}b") } else { format!("a {c} b") };
            assert_eq!(split(&format!("a{c}b")), expected);
        }
    }

    /// Hypothesis | reference | reference ...
    const CORPUS: &str = "\
Deux chiens jouent dans la neige. | Deux chiens jouent dans la neige. | Deux chiens s'amusent dans la neige.
Un homme à vélo attend au feu rouge. | Un homme sur un vélo attend au feu rouge.
Une femme lit un livre sous un arbre. | Une femme lit un livre à l'ombre d'un arbre. | Une dame lit sous un arbre.
Trois enfants courent sur plage. | Trois enfants courent sur la plage.
Le garçon en t-shirt bleu saute de le mur. | Le garçon en t-shirt bleu saute du mur.
Un chat dort sur le canapé. | Le chat dort sur un canapé. | Un chat est endormi sur le canapé.
Il y a beaucoup de gens dans la rue. | Beaucoup de gens marchent dans la rue.
Une fille joue de la guitare. | Une jeune fille joue de la guitare sur scène.
Un train rouge passe devant la gare. | Un train rouge passe devant la vieille gare.
L'homme porte un chapeau et des lunettes. | L'homme porte un chapeau noir et des lunettes.
Un bateau blanc sur l'eau calme. | Un bateau blanc flotte sur l'eau calme. | Bateau blanc sur une eau calme.
Les ouvriers réparent le toit. | Des ouvriers réparent le toit d'une maison.
Un oiseau. | Un oiseau se pose sur une branche.
La foule regarde le match de football. | La foule regarde un match de football.
Un cuisinier coupe des légumes dans la cuisine. | Un cuisinier coupe des légumes dans une grande cuisine.
Quatre femmes dansent en robes de couleur. | Quatre femmes en robes colorées dansent.
Un vieil homme est assis sur un banc. | Un vieil homme est assis seul sur un banc. | Un homme âgé est assis sur un banc.
Le marché est ouvert de 8 h à 12 h. | Le marché est ouvert de 8 h à 12 h 30.
Elle achète 1,5 kg de pommes, des poires et du pain. | Elle achète 1,5 kg de pommes, des poires et du pain.
Un camion de pompiers devant un immeuble. | Un camion de pompiers est garé devant un immeuble.
Une petite fille souffle ses bougies d'anniversaire. | Une petite fille souffle les bougies de son gâteau d'anniversaire.
Un cheval brun et un cheval blanc dans un champ. | Un cheval brun et un cheval blanc courent dans un champ.
Des gens attendent le bus sous la pluie. | Des personnes attendent le bus sous la pluie. | Des gens sous la pluie attendent un bus.
Quelqu'un grimpe un rocher. | Quelqu'un escalade un rocher avec une corde.
Un musicien joue du violon dans le métro. | Un musicien joue du violon dans le métro.
Deux filles rient et mangent une glace. | Deux filles mangent une glace en riant.
Un surfeur dans une grosse vague. | Un surfeur prend une grosse vague.
Le bébé dort. | Le bébé dort dans son lit. | Le bébé est endormi.
Une équipe en maillots verts fête son but. | L'équipe aux maillots verts fête son but.
Un avion survole les montagnes, au coucher du soleil. | Un avion survole les montagnes au coucher du soleil.
Rien ici ne correspond. | Personne devant cette porte fermée
 | Une route vide dans le désert.
Une femme âgée nourrit les pigeons dans un parc public près de la fontaine. | Une femme âgée nourrit des pigeons dans un parc.";

    #[test]
    fn a_corpus_of_many_sentences() {
        let corpus: Vec<Vec<_>> = CORPUS.lines().map(|line| line.split(" | ").collect()).collect();
        let corpus: Vec<_> = corpus.iter().map(|sentence| (sentence[0], &sentence[1..])).collect();
        assert_eq!(corpus.len(), 33);
        assert_bleu(0.5939835321820833, &corpus);
    }

    #[test]
    fn no_sentence_scores_zero() {
        assert_eq!(bleu::<&str>(&[], &[]), 0.0);
    }

    #[test]
    #[should_panic(expected = "bleu: 2 hypotheses, but references of 1 sentences")]
    fn refuses_unequal_numbers_of_sentences() {
        bleu(&["a", "b"], &[vec!["a"]]);
    }

    #[test]
    #[should_panic(expected = "bleu: sentence 1 has no reference")]
    fn refuses_a_sentence_without_a_reference() {
        bleu(&["a", "b"], &[vec!["a"], vec![]]);
    }
}
