//! The rates: how many mistakes are killed, how many right functions are called wrong, here and by the recipes of others.

use std::collections::BTreeMap;

use rewind_check::{self as check, Culprit, Pattern, Report, Verdict};

use super::recipes::Recipe;
use super::{Kind, Mistake, all, cells, right};

fn checked(mistake: &Mistake) -> Report {
    check::function(&mistake.inputs, &mistake.f)
}

/// The op that a report blames.
fn blamed(report: &Report) -> Option<&'static str> {
    match &report.culprit {
        Some(Culprit::Op(suspect)) => Some(suspect.op),
        Some(Culprit::OffTape(off)) => off.rule_of,
        _ => None,
    }
}

/// What is wrong with the report of a mistake; `None` if it names the mistake.
fn missed(mistake: &Mistake, report: &Report) -> Option<String> {
    let order = report.worst.as_ref().map(|worst| worst.order);
    if report.verdict != Verdict::Wrong {
        Some(format!("{}: not killed: {report}", mistake.op))
    } else if blamed(report) != Some(mistake.op) {
        Some(format!("{}: {:?} is blamed: {report}", mistake.op, blamed(report)))
    } else if order.is_some_and(|order| order != mistake.order) {
        Some(format!("{}: wrong at order {}, found at another: {report}", mistake.op, mistake.order))
    } else {
        None
    }
}

#[test]
fn the_rates() {
    let mistakes = all();
    assert!(mistakes.len() >= 60, "{} mistakes", mistakes.len());
    let recipes = [Recipe::Gradcheck, Recipe::GradcheckFast, Recipe::CheckGrads];
    let mut kinds: BTreeMap<Kind, [usize; 6]> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut missed_by_others: [Vec<&str>; 3] = Default::default();
    for mistake in &mistakes {
        let report = checked(mistake);
        let failure = missed(mistake, &report);
        let fast = check::fast().orders(2).function(&mistake.inputs, &mistake.f);
        let row = kinds.entry(mistake.kind).or_default();
        row[0] += 1;
        row[1] += usize::from(failure.is_none());
        row[2] += usize::from(fast.is_wrong() && blamed(&fast) == Some(mistake.op));
        for (k, recipe) in recipes.into_iter().enumerate() {
            let killed = !recipe.passes(&mistake.inputs, &mistake.f);
            row[3 + k] += usize::from(killed);
            if !killed {
                missed_by_others[k].push(mistake.op);
            }
        }
        failures.extend(failure);
    }
    let rights = right::all();
    let (mut alarms, mut doubts) = ([0; 5], [0; 2]);
    for right in &rights {
        let report = check::function(&right.inputs, &right.f);
        if report.verdict == Verdict::Wrong || (right.tells && !report.passed()) {
            failures.push(format!("{}: a false alarm: {report}", right.name));
        }
        doubts[0] += usize::from(matches!(report.verdict, Verdict::CannotTell(_)));
        alarms[0] += usize::from(report.verdict == Verdict::Wrong);
        let fast = check::fast().orders(2).function(&right.inputs, &right.f);
        if fast.verdict == Verdict::Wrong {
            failures.push(format!("{}: a false alarm of the fast mode: {fast}", right.name));
        }
        doubts[1] += usize::from(matches!(fast.verdict, Verdict::CannotTell(_)));
        alarms[1] += usize::from(fast.verdict == Verdict::Wrong);
        for (k, recipe) in recipes.into_iter().enumerate() {
            alarms[2 + k] += usize::from(!recipe.passes(&right.inputs, &right.f));
        }
    }

    println!("mistakes killed, at the right op by the first two (orders 1 and 2)");
    println!(
        "{:<20} {:>4} {:>6} {:>6} {:>10} {:>12} {:>12}",
        "", "all", "check", "fast", "gradcheck", "its fast", "check_grads"
    );
    let mut totals = [0; 6];
    for (kind, row) in &kinds {
        println!(
            "{:<20} {:>4} {:>6} {:>6} {:>10} {:>12} {:>12}",
            format!("{kind:?}"),
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            row[5]
        );
        totals.iter_mut().zip(row).for_each(|(total, n)| *total += n);
    }
    let [n, a, b, c, d, e] = totals;
    println!("{:<20} {n:>4} {a:>6} {b:>6} {c:>10} {d:>12} {e:>12}", "sum");
    let [a, b, c, d, e] = alarms;
    println!("{:<20} {:>4} {a:>6} {b:>6} {c:>10} {d:>12} {e:>12}", "false alarms", rights.len());
    println!("{:<20} {:>4} {:>6} {:>6}", "cannot tell", "", doubts[0], doubts[1]);
    for (recipe, missed) in recipes.iter().zip(&missed_by_others) {
        println!("{recipe:?} misses {missed:?}");
    }

    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n\n"));
    assert_eq!((totals[1], totals[2]), (mistakes.len(), mistakes.len()));
    assert!(rights.len() >= 100, "{} right functions", rights.len());
}

#[test]
fn every_kind_of_mistake_is_there() {
    use Kind::{
        BroadcastNotSummed, Factor, MissingMask, MissingTerm, OffByOne, SecondOrder, Sign, Stale, Transposed,
        WrongAxis, WrongInput,
    };
    let mistakes = all();
    for kind in [
        BroadcastNotSummed,
        Factor,
        MissingMask,
        MissingTerm,
        OffByOne,
        SecondOrder,
        Sign,
        Stale,
        Transposed,
        WrongAxis,
        WrongInput,
    ] {
        let count = mistakes.iter().filter(|mistake| mistake.kind == kind).count();
        assert!(count >= 4, "{kind:?}: {count}");
    }
    let mut names: Vec<_> = mistakes.iter().map(|mistake| mistake.op).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), mistakes.len(), "every mistake has a name of its own");
}

#[test]
fn the_cells_pass_without_their_mistakes() {
    for cell in cells::right() {
        checked(&cell).assert();
        assert!(missed(&cell, &checked(&cell)).is_some(), "what is right must not count as killed");
    }
}

#[test]
fn patterns_are_guessed() {
    let product = |product: &str| product.to_owned();
    let expected = [
        ("cubic_residual", Pattern::Term { factor: 1.0, product: product("ȳ") }),
        ("gauss_slope", Pattern::Term { factor: -2.0, product: product("ȳ·x0·y") }),
        ("sigmoid_without_complement", Pattern::Term { factor: -1.0, product: product("ȳ·y·y") }),
        ("cosine", Pattern::Sign),
        ("gru_update_sign", Pattern::Sign),
        ("lstm_sign_of_forget", Pattern::SignInPart { entries: 9 }),
        ("square", Pattern::Factor(0.5)),
        ("mean_of_the_wrong_length", Pattern::Factor(4.0 / 3.0)),
        ("product_right", Pattern::Transposed),
        ("flipped_matrix", Pattern::Transposed),
        ("bias_over_columns", Pattern::WrongAxis { over: 1, instead_of: 0 }),
        ("gain_over_columns", Pattern::WrongAxis { over: 1, instead_of: 0 }),
        ("delay", Pattern::Shifted { axis: 0, by: 1 }),
        ("exclusive_sum", Pattern::Shifted { axis: 0, by: -1 }),
        ("middle_rows", Pattern::Shifted { axis: 0, by: 1 }),
        ("product", Pattern::OfInput(1)),
        ("tanh_step_weights_swapped", Pattern::OfInput(3)),
        ("rectifier", Pattern::Unmasked { leaking: 5 }),
        ("padded_sum", Pattern::Unmasked { leaking: 2 }),
        ("bias", Pattern::WrongShape),
        ("bias_first_row", Pattern::NotSummed { axis: 0 }),
        ("column_factor", Pattern::NotSummed { axis: 1 }),
        ("tanh_step_cut", Pattern::Missing),
        ("lstm_forget_path_lost", Pattern::Partly { missing: 6 }),
    ];
    let mistakes = all();
    for (op, expected) in expected {
        let mistake = mistakes.iter().find(|mistake| mistake.op == op).expect("a mistake of that name");
        let report = checked(mistake);
        let guessed = report.suspect().and_then(|suspect| suspect.pattern.clone());
        let same = match (&guessed, &expected) {
            (Some(Pattern::Factor(a)), Pattern::Factor(b)) => (a - b).abs() < 1e-6,
            (Some(Pattern::Term { factor: a, product: p }), Pattern::Term { factor: b, product: q }) => {
                (a - b).abs() < 1e-6 && p == q
            }
            _ => guessed.as_ref() == Some(&expected),
        };
        assert!(same, "{op}: {guessed:?} and not {expected:?}: {report}");
    }
}
