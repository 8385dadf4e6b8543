//! The generators against plain loops, the baselines against counting, and the bits against the number of threads.

use clap::{CommandFactory, Parser, ValueEnum};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rewind_autograd::Tensor;

use crate::arguments::Arguments;
use crate::cells::CellKind;
use crate::repeats::Repeats;
use crate::tasks::{B, BLANK, Batch, COPIED, DELIMITER, E, KINDS, Problem, TOLERANCE, Targets, Task, X, Y};
use crate::train::Training;
use crate::{report, run, search, train_all, train_while_learnt};

fn draw(task: Task, length: usize, count: usize) -> Batch {
    Problem { task, length }.draw(count, &mut ChaCha8Rng::seed_from_u64(7))
}

/// The inputs of sequence `b`, a vector a step, and whether all after its end is 0.
fn sequence(batch: &Batch, b: usize) -> (Vec<Vec<f32>>, bool) {
    let &[_, count, width] = batch.x.shape() else { panic!("x has three axes") };
    let steps: Vec<_> = batch.x.to_vec().chunks(width).skip(b).step_by(count).map(<[f32]>::to_vec).collect();
    let (inside, padding) = steps.split_at(batch.lengths[b]);
    (inside.to_vec(), padding.iter().flatten().all(|&x| x == 0.0))
}

/// The symbols of sequence `b`, each of which must be one-hot, and its classes.
fn symbols(batch: &Batch, b: usize) -> (Vec<usize>, Vec<Option<usize>>) {
    let (inputs, is_padded) = sequence(batch, b);
    assert!(is_padded);
    let symbol = |x: &Vec<f32>| {
        assert!(x.iter().all(|&x| x == 0.0 || x == 1.0) && x.iter().sum::<f32>() == 1.0, "{x:?} is not one-hot");
        x.iter().position(|&x| x == 1.0).unwrap()
    };
    let Targets::Classes(classes) = &batch.targets else { panic!("a task with classes") };
    (inputs.iter().map(symbol).collect(), classes.iter().copied().skip(b).step_by(batch.lengths.len()).collect())
}

#[test]
fn adding_marks_two_numbers_and_asks_for_their_sum() {
    for length in [20, 33, 100] {
        let batch = draw(Task::Adding, length, 500);
        let Targets::Numbers(targets) = &batch.targets else { panic!("a task with numbers") };
        let mut zeros = 0;
        for (b, target) in targets.to_vec().into_iter().enumerate() {
            let (pairs, is_padded) = sequence(&batch, b);
            assert!(is_padded && (length..=length + length / 10).contains(&pairs.len()));
            let mut sum = 0.0;
            let mut marked = Vec::new();
            for (t, pair) in pairs.iter().enumerate() {
                assert!((-1.0..1.0).contains(&pair[0]));
                if t == 0 || t == pairs.len() - 1 {
                    assert_eq!(pair[1], -1.0);
                } else if pair[1] == 1.0 {
                    marked.push(t);
                    sum += pair[0];
                } else {
                    assert_eq!(pair[1], 0.0);
                }
            }
            assert!(marked.len() == 2 || marked.len() == 1, "{marked:?}"); // one if the first pair is the other
            assert!((marked.len() == 1 || marked[0] < 10) && marked.iter().all(|&t| t < length / 2), "{marked:?}");
            zeros += usize::from(marked.len() == 1);
            assert_eq!(target, 0.5 + sum / 4.0);
        }
        let expected = 500.0 * (0.1 + 0.9 / (length / 2 - 1) as f64);
        assert!((zeros as f64 - expected).abs() < 5.0 * expected.sqrt(), "{zeros} of 500, {expected} expected");
    }
}

#[test]
fn temporal_order_asks_for_the_order_of_two_symbols() {
    for length in [20, 33, 100] {
        let batch = draw(Task::TemporalOrder, length, 200);
        let mut seen = [0; 4];
        for b in 0..200 {
            let (symbols, classes) = symbols(&batch, b);
            let last = symbols.len() - 1;
            assert!((length..=length + length / 10).contains(&symbols.len()));
            assert_eq!([symbols[0], symbols[last]], [E, B]);
            let relevant: Vec<usize> = (0..=last).filter(|&t| symbols[t] == X || symbols[t] == Y).collect();
            assert_eq!(relevant.len(), 2);
            assert!((length / 10..=length / 5).contains(&relevant[0]), "{relevant:?}");
            assert!((length / 2..=3 * length / 5).contains(&relevant[1]), "{relevant:?}");
            assert!((1..last).all(|t| relevant.contains(&t) || symbols[t] > 3), "{symbols:?}");
            let class = match [symbols[relevant[0]], symbols[relevant[1]]] {
                [X, X] => 0,
                [X, Y] => 1,
                [Y, X] => 2,
                _ => 3,
            };
            seen[class] += 1;
            assert!((0..classes.len()).all(|t| classes[t] == if t == last { Some(class) } else { None }));
        }
        assert!(seen.iter().all(|&count| count > 20), "{seen:?}");
    }
}

#[test]
fn copy_memory_asks_for_the_first_symbols_after_the_delimiter() {
    for length in [20, 33] {
        let batch = draw(Task::CopyMemory, length, 50);
        for b in 0..50 {
            let (symbols, classes) = symbols(&batch, b);
            assert_eq!([symbols.len(), classes.len()], [length + 2 * COPIED; 2]);
            for t in 0..symbols.len() {
                match t {
                    _ if t < COPIED => assert!(symbols[t] < KINDS),
                    _ if t == length + COPIED - 1 => assert_eq!(symbols[t], DELIMITER),
                    _ => assert_eq!(symbols[t], BLANK),
                }
                let copied = t.checked_sub(length + COPIED).map(|k| symbols[k]);
                assert_eq!(classes[t], Some(copied.unwrap_or(BLANK)));
            }
        }
    }
}

/// Answers that know nothing: 0.5, and class 0, of which the score must count as many as the formula says.
#[test]
fn the_baselines_are_those_of_constant_answers() {
    for task in [Task::Adding, Task::TemporalOrder, Task::CopyMemory] {
        let problem = Problem { task, length: 20 };
        let batch = draw(task, 20, 20_000);
        let (width, rows) = (task.outputs(), batch.x.shape()[0] * 20_000);
        let constant = |i: usize| if i.is_multiple_of(width) { 0.5 } else { 0.0 };
        let outputs = Tensor::from_vec((0..rows * width).map(constant).collect(), &[rows / 20_000, 20_000, width]);
        let [right, all] = batch.score(&outputs);
        assert_eq!(all, if task == Task::CopyMemory { 200_000 } else { 20_000 });
        let share = right as f64 / all as f64;
        assert!((share - problem.baseline()).abs() < 0.012, "{share} of {task:?}, {} by formula", problem.baseline());
    }
}

#[test]
fn an_answer_is_right_within_the_tolerance_or_if_its_class_is_the_largest_alone() {
    let x = Tensor::zeros(&[2, 2, 1]);
    let numbers = Targets::Numbers(Tensor::from_vec(vec![0.5, 0.5], &[2, 1]));
    let batch = Batch { x: x.clone(), lengths: vec![2, 1], targets: numbers };
    let near = 0.5 + TOLERANCE * 0.99;
    let score = |outputs: [f32; 4]| batch.score(&Tensor::from_vec(outputs.to_vec(), &[2, 2, 1]));
    assert_eq!(score([9.0, near, near, 9.0]), [2, 2]); // the second sequence ends at the first step
    assert_eq!(score([9.0, 0.55, 0.45, 9.0]), [0, 2]);
    assert_eq!(score([9.0, f32::NAN, near, 9.0]), [1, 2]);
    let classes = Targets::Classes(vec![None, Some(1), Some(0), Some(BLANK)]);
    let batch = Batch { x, lengths: vec![2, 2], targets: classes };
    let score = |outputs: [f32; 8]| batch.score(&Tensor::from_vec(outputs.to_vec(), &[2, 2, 2]));
    assert_eq!(score([0.0, 0.0, 1.0, 2.0, 2.0, 1.0, 0.0, 0.0]), [2, 2]);
    assert_eq!(score([0.0, 0.0, 2.0, 1.0, 1.0, 1.0, 0.0, 0.0]), [0, 2]); // a tie is no answer
    assert_eq!(score([0.0, 0.0, f32::NAN, f32::NAN, f32::NAN, 1.0, 0.0, 0.0]), [0, 2]);
}

fn trained(line: &[&str]) -> Vec<Training> {
    let arguments = Arguments::parse_from(["08_long_dependencies"].iter().chain(line));
    train_all(&arguments.jobs(), arguments.threads).unwrap()
}

#[test]
fn the_seed_gives_the_bits_and_the_threads_do_not() {
    let with = |rest: &[&str]| trained(&[&["--length", "20", "--steps", "3"], rest].concat());
    let alone = with(&["--seed", "1", "--threads", "1"]);
    assert_eq!(alone.len(), 18);
    assert_eq!(with(&["--seed", "1", "--threads", "5"]), alone);
    // The seeds and cells that are trained beside do not matter, and a seed does.
    let two = with(&["--seed", "1,2", "--task", "adding", "--cell", "gru,lstm"]);
    assert_eq!([&two[0], &two[2]], [&alone[3], &alone[2]]);
    assert_ne!([&two[1].curve, &two[3].curve], [&alone[3].curve, &alone[2].curve]);
    let names: Vec<_> = alone.iter().map(|t| t.job.name()).collect();
    assert_eq!(
        [&names[0], &names[7], &names[17]],
        ["tanh adding-20", "irnn temporal-order-20", "minlstm copy-memory-20"]
    );
}

#[test]
fn a_gru_learns_what_it_is_said_to_learn() {
    let gru = &trained(&["--task", "temporal-order", "--cell", "gru", "--length", "20", "--seed", "1"])[0];
    let (last, share) = *gru.curve.last().unwrap();
    assert_eq!(gru.learnt(), Some(last));
    assert!(share >= 0.95 && last < 1000, "{share} after {last} steps");
    assert!(gru.test[1] == 512 && gru.test[0] > 460, "{:?}", gru.test);
}

#[test]
fn it_writes_a_table_results_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/folder");
    let line =
        ["x", "--task", "adding,copy-memory", "--cell", "tanh,gru", "--length", "20,25", "--steps", "1", "--out"];
    let arguments = Arguments::parse_from(line.iter().copied().chain([out.to_str().unwrap()]));
    let mut text = Vec::new();
    run(&arguments, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with("| task and length | no memory | tanh | gru |\n|---|---|---|---|\n| adding 20 | 0.15 | - (0."),
        "{text}"
    );
    assert_eq!(text.lines().filter(|line| line.starts_with("| copy-memory 2")).count(), 2, "{text}");
    assert!(text.contains("\ngru copy-memory-25 test accuracy 0."), "{text}");
    assert_eq!([text.matches("(n=512)").count(), text.matches("(n=5120)").count()], [0, 0], "{text}");
    assert_eq!([text.matches("(n=1536)").count(), text.matches("(n=15360)").count()], [4, 4], "{text}");
    let svg = std::fs::read_to_string(out.join("long_dependencies.svg")).unwrap();
    let picture = roxmltree::Document::parse(&svg).unwrap();
    let words: Vec<_> = picture.descendants().filter_map(|node| node.text()).map(str::trim).collect();
    for word in ["adding 20", "copy-memory 25", "tanh", "gru", "training steps"] {
        assert!(words.contains(&word), "{word} is not in {words:?}");
    }
}

/// Trainings of one cell on one problem with these curves, of which some diverged.
fn repeated(curves: &[&[(usize, f64)]], diverged: &[bool]) -> Vec<Training> {
    let line = ["--task", "adding", "--cell", "tanh", "--length", "20", "--steps", "200"];
    let job = Arguments::parse_from(["x"].iter().chain(&line)).jobs()[0];
    let training = |(i, (curve, diverged)): (usize, (&&[_], &bool))| Training {
        job: job.with_seed(i as u64),
        curve: curve.to_vec(),
        diverged: diverged.then_some(199),
        test: [100 + i, 512],
    };
    curves.iter().zip(diverged).enumerate().map(training).collect()
}

const FLAT: &[(usize, f64)] = &[(0, 0.1), (100, 0.3), (200, 0.2)];
const SLOW: &[(usize, f64)] = &[(0, 0.0), (100, 0.5), (200, 0.97)];
const FAST: &[(usize, f64)] = &[(0, 0.2), (100, 0.95)];

#[test]
fn the_table_tells_how_many_seeds_learnt_and_their_median() {
    let entry = |curves: &[&[_]], diverged: &[bool]| {
        let trainings = repeated(curves, diverged);
        let table = report::table(&Repeats::gather(&trainings));
        let row = table.lines().nth(2).unwrap();
        row.strip_prefix("| adding 20 | 0.15 | ").unwrap().strip_suffix(" |").unwrap().to_owned()
    };
    let none = [false; 3];
    assert_eq!(entry(&[FAST], &none), "100");
    assert_eq!(entry(&[FLAT], &none), "- (0.30)");
    assert_eq!(entry(&[FAST, SLOW], &none), "200"); // of an even number the worse of the middle two
    assert_eq!(entry(&[FAST, FLAT], &none), "- 1/2 (0.30)");
    assert_eq!(entry(&[SLOW, FAST, SLOW], &none), "200");
    assert_eq!(entry(&[SLOW, FLAT, FAST], &none), "200 2/3");
    assert_eq!(entry(&[FLAT, FAST, FLAT], &[true, false, true]), "- 1/3 (0.30), 2 diverged");
}

#[test]
fn the_median_curve_ends_where_it_has_learnt() {
    let curve = |curves: &[&[_]]| Repeats::gather(&repeated(curves, &[false; 3]))[0].curve();
    assert_eq!(curve(&[FLAT]), FLAT);
    assert_eq!(curve(&[FLAT, FAST, SLOW]), [(0, 0.1), (100, 0.5), (200, 0.95)]); // FAST keeps its last share
    assert_eq!(curve(&[FAST, FAST, SLOW]), [(0, 0.2), (100, 0.95)]);
    let trainings = repeated(&[FLAT, FAST, SLOW], &[false; 3]);
    assert_eq!(Repeats::gather(&trainings)[0].test(), [303, 1536]);
}

#[test]
fn the_search_chooses_the_smallest_mean_cost() {
    let mut trainings = repeated(&[FLAT, FAST, SLOW, FLAT], &[false; 4]);
    assert_eq!(trainings.iter().map(search::cost).collect::<Vec<_>>(), [340.0, 100.0, 200.0, 340.0]);
    trainings.iter_mut().zip([0.0003, 0.0003, 0.001, 0.001]).for_each(|(training, rate)| training.job.rate = rate);
    let table = search::table(&trainings);
    assert_eq!(table.lines().nth(2), Some("| tanh | **220** | 270 |"), "{table}");
    for &cell in CellKind::value_variants() {
        assert!(search::RATES.contains(&cell.learning_rate()), "{cell:?}");
    }
}

#[test]
fn a_search_prints_costs_and_what_they_are_made_of() {
    let line =
        ["--task", "adding,temporal-order", "--cell", "gru", "--rate", "0.003,0.01", "--length", "20", "--steps", "1"];
    let line = ["x", "--search"].into_iter().chain(line);
    let mut text = Vec::new();
    run(&Arguments::parse_from(line), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let starts = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(starts("| cell | 0.003 | 0.01 |"), 1, "{text}");
    assert_eq!(starts("| cell | rate | adding 20 | temporal-order 20 |"), 1, "{text}");
    assert_eq!([starts("| gru | "), starts("| gru | 0.003 | - (0.")], [3, 1], "{text}");
}

#[test]
fn a_long_run_leaves_out_lengths_beyond_one_that_no_seed_learns() {
    let jobs = |steps| {
        let line = ["x", "--long", "--task", "temporal-order", "--cell", "tanh,slstm", "--length", "40,50", "--steps"];
        Arguments::parse_from(line.iter().chain([&steps, &"--seed", &"1,2"])).jobs()
    };
    let lengths = |steps| {
        let trained = train_while_learnt(&jobs(steps), 2).unwrap();
        trained.iter().map(|t| (t.job.cell.name(), t.job.problem.length)).collect::<Vec<_>>()
    };
    let short = [("tanh", 40), ("tanh", 40), ("slstm", 40), ("slstm", 40)];
    assert_eq!(lengths("1"), short);
    assert_eq!(lengths("100"), [&short[..], &[("slstm", 50), ("slstm", 50)]].concat());
}

#[test]
fn wrong_arguments_are_named() {
    Arguments::command().debug_assert();
    for (line, expected) in [
        (["--length", "19"], "19 is not in 20..=10000"),
        (["--steps", "0"], "0 is not in 1..=1000000"),
        (["--threads", "0"], "0 is not in 1..=256"),
        (["--seed", "-1"], "unexpected argument"),
        (["--seed", "1,"], "invalid value ''"),
        (["--search", "--rate=0"], "not a finite number above 0"),
        (["--search", "--rate=0.1,inf"], "not a finite number above 0"),
        (["--search", "--long"], "cannot be used with"),
        (["--rate", "0.1"], "required arguments were not provided"),
        (["--cell", "rnn"], "invalid value 'rnn'"),
        (["--task", "xor"], "invalid value 'xor'"),
    ] {
        let error = Arguments::try_parse_from(["x"].into_iter().chain(line)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let arguments = Arguments::parse_from(["x", "--steps", "1", "--out", file.to_str().unwrap()]);
    let error = run(&arguments, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot create the folder {}: ", file.display())), "{error}");
    std::fs::create_dir(folder.path().join("long_dependencies.svg")).unwrap();
    let arguments = Arguments::parse_from(["x", "--steps", "1", "--out", folder.path().to_str().unwrap()]);
    let error = run(&arguments, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("long_dependencies.svg"), "{error}");
}

#[test]
fn jobs_are_those_of_the_command_line_once_each() {
    let jobs = |line: &[&str]| Arguments::parse_from(["x"].iter().chain(line)).jobs();
    let (short, long, search) = (jobs(&[]), jobs(&["--long"]), jobs(&["--search"]));
    assert_eq!([short.len(), long.len(), search.len()], [3 * 6 * 3, 3 * 3 * 6 * 3, 3 * 6 * 7 * 2]);
    assert!(search.iter().all(|job| short.iter().all(|other| job.seed != other.seed)));
    assert!(short.iter().all(|job| job.steps < long[0].steps));
    assert_eq!(jobs(&["--cell", "gru,gru", "--length", "30,40,30", "--seed", "4,5,4"]).len(), 3 * 2 * 2);
    assert_eq!(jobs(&["--steps", "20"])[0].steps, 20);
    assert_eq!(jobs(&["--search", "--rate", "0.1,0.2,0.1", "--seed", "4"]).len(), 3 * 6 * 2);
}
