//! The 39 phones that the field reports error rates on: ARPAbet, folded as for TIMIT (Lee and Hon 1989).

use std::sync::Arc;

use rewind_examples::text;

/// The phones in every pronunciation of a word, the usual one first. All clips of the word share them: thousands of recordings may be of one
/// word, and a lexicon may have thousands of pronunciations of it.
pub(crate) type Pronunciations = Arc<[Vec<usize>]>;

/// The phones in the order of their classes, which begin at 1: class 0 is the blank of CTC. `SIL` is a pause, `DX` a flap.
pub(crate) const PHONES: [&str; 39] = [
    "AA", "AE", "AH", "AW", "AY", "B", "CH", "D", "DH", "DX", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "SIL", "T", "TH", "UH", "UW", "V", "W", "Y", "Z",
];

/// The class of the blank.
pub(crate) const BLANK: usize = 0;
/// C, the classes of the network.
pub(crate) const CLASSES: usize = PHONES.len() + 1;

/// Phones of TIMIT and CMUdict that are folded into one of the 39.
const FOLDED: [(&str, &str); 22] = [
    ("AO", "AA"),
    ("AX", "AH"),
    ("AX-H", "AH"),
    ("AXR", "ER"),
    ("HV", "HH"),
    ("IX", "IH"),
    ("EL", "L"),
    ("EM", "M"),
    ("EN", "N"),
    ("NX", "N"),
    ("ENG", "NG"),
    ("ZH", "SH"),
    ("UX", "UW"),
    ("PAU", "SIL"),
    ("EPI", "SIL"),
    ("H#", "SIL"),
    ("BCL", "SIL"),
    ("DCL", "SIL"),
    ("KCL", "SIL"),
    ("GCL", "SIL"),
    ("PCL", "SIL"),
    ("TCL", "SIL"),
];

/// The glottal stop of TIMIT, which the 39 do not have: it is left out.
const LEFT_OUT: &str = "Q";

/// The class of a phone, whatever its case and its mark of stress (a digit at its end).
pub(crate) fn class_of(name: &str) -> Option<usize> {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_uppercase();
    let folded = FOLDED.iter().find(|(from, _)| *from == plain).map_or(&*plain, |(_, to)| to);
    PHONES.iter().position(|phone| *phone == folded).map(|place| place + 1)
}

/// The classes of phones that spaces separate.
pub(crate) fn parse(text: &str) -> Result<Vec<usize>, String> {
    let class = |name: &str| {
        class_of(name)
            .ok_or_else(|| format!("the phone {:?} is none of ARPAbet: {}", text::start(name), PHONES.join(" ")))
    };
    let names = text.split_whitespace().filter(|name| !name.eq_ignore_ascii_case(LEFT_OUT));
    // Each phone takes two bytes of the text at least: room that is doubled would be many times the text.
    let mut classes = Vec::with_capacity(names.clone().count());
    for name in names {
        classes.push(class(name)?);
    }
    if classes.is_empty() {
        Err("there are no phones; expected ARPAbet, such as S IH K S".to_owned())
    } else {
        Ok(classes)
    }
}

/// `/s/`, or `/-/` for the blank.
pub(crate) fn slashed(class: usize) -> String {
    if class == BLANK { "/-/".to_owned() } else { format!("/{}/", PHONES[class - 1].to_lowercase()) }
}

/// The least number of time steps in which CTC can say these phones: one each, and a blank between two equal ones.
pub(crate) fn least_steps(phones: &[usize]) -> usize {
    phones.len() + phones.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phone_has_a_class_of_its_own_and_others_are_folded() {
        for (place, phone) in PHONES.iter().enumerate() {
            assert_eq!(class_of(phone), Some(place + 1));
        }
        assert!(FOLDED.iter().all(|(from, to)| class_of(from) == class_of(to) && class_of(to).is_some()));
        assert_eq!(
            [class_of("ih1"), class_of("AO0"), class_of("zh")],
            [class_of("IH"), class_of("AA"), class_of("SH")]
        );
        let timit = "iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h b d g p t k dx jh ch s sh z zh f th v dh m n ng em en \
                     eng nx l r w y hh hv el bcl dcl gcl pcl tcl kcl pau epi h#";
        let timit: Vec<_> = timit.split_whitespace().collect();
        // The 61 of TIMIT without the glottal stop.
        assert_eq!(timit.len(), 60);
        assert!(timit.iter().all(|name| class_of(name).is_some()));
        assert_eq!([class_of("QX"), class_of("-"), class_of("1")], [None; 3]);
    }

    #[test]
    fn phones_are_read_and_counted() {
        let six = parse("S IH1  K S").unwrap();
        assert_eq!(six.iter().map(|&c| slashed(c)).collect::<String>(), "/s//ih//k//s/");
        assert_eq!([least_steps(&six), least_steps(&parse("s s t").unwrap())], [4, 4]);
        assert_eq!(parse("q ah q"), parse("ah"));
        assert!(parse("q").unwrap_err().starts_with("there are no phones"));
        assert!(parse(" ").unwrap_err().starts_with("there are no phones"));
        assert!(parse("S QX").unwrap_err().starts_with("the phone \"QX\" is none of ARPAbet: AA AE"));
    }
}
