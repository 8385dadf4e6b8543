//! Files and networks that do not fit each other: everything that differs is named, and nothing is changed.

use std::path::PathBuf;

use rewind_autograd::Tensor;
use rewind_rnn::file::{Precision, Problem};
use rewind_rnn::torch::{FromTorch, TorchStackLayer, load_stack, save_stack};
use rewind_rnn::{Bidirectional, Error, ErrorKind, Gru, Lstm, Merge, ProjectedLstm, Recurrent, Reset, TanhRnn};

use super::torch_file::Scratch;
use super::torch_stack::{OneWay, both_ways, fixture, one_way, plain_lstm, rng};

/// The message of a load of the fixture `name` into `stack`, without the path; the stack is unchanged.
#[track_caller]
fn refused<L: TorchStackLayer + PartialEq>(name: &str, mut stack: Vec<L>) -> String {
    let before = stack.clone();
    let path = fixture(name);
    let error = load_stack(&path, "rnn", &mut stack, Precision::AsStored).expect_err("another architecture");
    assert!(stack == before, "nothing may change");
    assert!(matches!(error.kind(), ErrorKind::Mismatch(_)), "{error:?}");
    let message = error.to_string();
    message.strip_prefix(&format!("file {path:?}: does not fit, ")).unwrap_or_else(|| panic!("{message}")).to_owned()
}

/// The lines of the problems of all parameters `NAME_SUFFIX`, in PyTorch's order.
fn each(suffixes: &[&str], parameters: &[(&str, &[usize])], line: impl Fn(&str, &[usize]) -> String) -> Vec<String> {
    let named = |suffix: &&str| {
        parameters.iter().map(|(name, shape)| line(&format!("rnn.{name}_{suffix}"), shape)).collect::<Vec<_>>()
    };
    suffixes.iter().flat_map(named).collect()
}

fn listed(lines: &[Vec<String>]) -> String {
    let lines = lines.concat();
    format!("{} things wrong:\n  {}", lines.len(), lines.join("\n  "))
}

fn missing(name: &str, shape: &[usize]) -> String {
    format!("`{name}` is missing; expected shape {shape:?}")
}

fn surplus(name: &str, shape: &[usize]) -> String {
    format!("`{name}` of shape {shape:?} is not part of the module")
}

#[test]
fn a_file_of_another_architecture_says_all_that_differs() {
    let rng = &mut rng();
    let mut lstm = |inputs| Lstm::<Tensor<f64>>::new(inputs, 3, rng);
    let weights: [(&str, &[usize]); 2] = [("weight_ih", &[12, 6]), ("weight_hh", &[12, 3])];
    let biases: [(&str, &[usize]); 2] = [("bias_ih", &[12]), ("bias_hh", &[12])];
    let layer = [&weights[..], &biases].concat();
    let sorted = |mut lines: Vec<String>| {
        lines.sort_by_key(|line| line.replace('`', " ")); // by name: a shorter one first
        lines
    };

    // 3 layers in both directions, read into 4 and into 2.
    assert_eq!(
        refused("lstm_3_both", both_ways(&[2, 6, 6, 6], &mut lstm)),
        listed(&[each(&["l3", "l3_reverse"], &layer, missing)])
    );
    assert_eq!(
        refused("lstm_3_both", both_ways(&[2, 6], &mut lstm)),
        listed(&[sorted(each(&["l2", "l2_reverse"], &layer, surplus))])
    );
    // 2 layers in one direction and without biases, read into both directions.
    let first = [("weight_ih", &[12, 2][..]), weights[1]];
    assert_eq!(
        refused("lstm_2_plain", both_ways(&[2, 6], &mut lstm)),
        listed(&[
            each(&["l0"], &biases, missing),
            each(&["l0_reverse"], &[&first[..], &biases].concat(), missing),
            vec!["`rnn.weight_ih_l1` has shape [12, 3]; expected [12, 6]".to_owned()],
            each(&["l1"], &biases, missing),
            each(&["l1_reverse"], &layer, missing),
        ])
    );
    // Both directions read into one.
    let message = refused("lstm_3_both", one_way(&[2, 3, 3], &mut lstm));
    let above = |k| format!("`rnn.weight_ih_l{k}` has shape [12, 6]; expected [12, 3]");
    let reverse = [
        each(&["l0_reverse"], &[&first[..], &biases].concat(), surplus),
        each(&["l1_reverse", "l2_reverse"], &layer, surplus),
    ];
    assert_eq!(message, listed(&[vec![above(1), above(2)], sorted(reverse.concat())]));
    // An LSTM read into a GRU, and into one with a projection; a GRU into a tanh-RNN of other sizes.
    let rng = &mut super::torch_stack::rng();
    let message = refused("lstm_2_plain", one_way(&[2, 3], |inputs| Gru::<Tensor<f64>>::new(inputs, 3, rng)));
    let other = |k, parameter, found: [usize; 2], expected: [usize; 2]| {
        format!("`rnn.weight_{parameter}_l{k}` has shape {found:?}; expected {expected:?}")
    };
    let gru = |k, inputs| {
        let shapes = [other(k, "ih", [12, inputs], [9, inputs]), other(k, "hh", [12, 3], [9, 3])];
        [&shapes[..], &["ih", "hh"].map(|bias| missing(&format!("rnn.bias_{bias}_l{k}"), &[9]))].concat()
    };
    assert_eq!(message, listed(&[gru(0, 2), gru(1, 3)]));
    let to2 = |inputs| ProjectedLstm { bias: None, ..ProjectedLstm::<Tensor<f64>>::new(inputs, 3, 2, rng) };
    assert_eq!(
        refused("lstm_2_plain", one_way(&[2, 2], to2)),
        listed(&[
            vec![other(0, "hh", [12, 3], [12, 2]), missing("rnn.weight_hr_l0", &[2, 3])],
            vec![other(1, "ih", [12, 3], [12, 2]), other(1, "hh", [12, 3], [12, 2])],
            vec![missing("rnn.weight_hr_l1", &[2, 3])],
        ])
    );
    let message = refused("lstm_3_to2_plain", one_way(&[2, 2, 2], |inputs| plain_lstm(inputs, 2, rng)));
    assert!(message.contains("\n  `rnn.weight_hr_l2` of shape [2, 3] is not part of the module"), "{message}");
    let message = refused("gru_3", one_way(&[2, 4, 4], |inputs| TanhRnn::<Tensor<f64>>::new(inputs, 4, rng)));
    assert!(
        message.starts_with("12 things wrong:\n  `rnn.weight_ih_l0` has shape [9, 2]; expected [4, 2]\n"),
        "{message}"
    );
    // Biases that the stack does not have.
    let plain =
        one_way(&[2, 3, 3], |inputs| Gru { bias: None, bias_hn: None, ..Gru::<Tensor<f64>>::new(inputs, 3, rng) });
    let biases: [(&str, &[usize]); 2] = [("bias_ih", &[9]), ("bias_hh", &[9])];
    assert_eq!(refused("gru_3", plain), listed(&[sorted(each(&["l0", "l1", "l2"], &biases, surplus))]));
    // Another name, and another type.
    let mut stack = one_way(&[2, 3], |inputs| plain_lstm(inputs, 3, rng));
    let error = load_stack(fixture("lstm_2_plain"), "", &mut stack, Precision::AsStored).expect_err("another name");
    assert!(error.to_string().ends_with("there is no network `\"\"`; the file has the network `rnn`"), "{error}");
    let mut narrow = one_way(&[2, 3], |inputs| Lstm { bias: None, ..Lstm::<Tensor<f32>>::new(inputs, 3, rng) });
    let error = load_stack(fixture("lstm_2_plain"), "rnn", &mut narrow, Precision::AsStored).expect_err("another type");
    assert!(error.to_string().contains("4 things wrong:\n  `rnn.weight_ih_l0` holds f64; expected f32\n"), "{error}");
    load_stack(fixture("lstm_2_plain"), "rnn", &mut narrow, Precision::Converted).expect("rounded");
}

#[test]
fn what_torch_does_not_have_is_not_loaded_into() {
    let rng = &mut rng();
    let mut stack = one_way(&[2, 3, 3], |inputs| Gru::<Tensor<f64>>::new(inputs, 3, rng));
    stack[0].0.reset = Reset::BeforeProduct;
    stack[1].0 = stack[1].0.clone().with_learned_state().with_heads(3, rng);
    stack[2].0.bias_hn = None;
    assert_eq!(
        refused("gru_3", stack),
        "5 things wrong:\n  `0` resets before the product; PyTorch's GRU resets after it\n  \
         `1.weight_hh` has shape [3, 1, 2]; PyTorch's has [3, 6]\n  \
         `1.weight_hn` has shape [3, 1, 1]; PyTorch's has [3, 3]\n  \
         `1.initial` of shape [3] has no counterpart in PyTorch\n  \
         `2.bias_hn` is absent; PyTorch's network has it, of shape [3]"
    );
    let mut stack = both_ways(&[2, 6], |inputs| Gru::<Tensor<f64>>::new(inputs, 3, rng));
    stack[1].merge = Merge::Sum;
    stack[0].backward.0 = stack[0].backward.0.clone().with_learned_state();
    assert_eq!(
        refused("gru_2_both", stack),
        "2 things wrong:\n  `0.backward.initial` of shape [3] has no counterpart in PyTorch\n  \
         `1` adds its directions; PyTorch concatenates them"
    );
}

#[track_caller]
fn not_saved<L: TorchStackLayer>(stack: &[L]) -> (String, Vec<Problem>) {
    let file = Scratch::new();
    let error = save_stack(&file.0, "", stack).expect_err("PyTorch has no such network");
    assert!(!file.0.exists(), "nothing is written");
    let message = error.to_string();
    let message = message.strip_prefix("torch: the stack is no network of PyTorch, ");
    let ErrorKind::Refused(problems) = error.kind() else { panic!("{error:?}") };
    (message.unwrap_or_else(|| panic!("{error}")).to_owned(), problems.clone())
}

#[test]
fn what_torch_does_not_have_is_not_saved_as_its_own() {
    let rng = &mut rng();
    let mut stack = both_ways(&[2, 7], |inputs| Gru::<Tensor<f64>>::new(inputs, 3, rng));
    stack[0].merge = Merge::Sum;
    stack[0].forward.0 = stack[0].forward.0.clone().with_learned_state();
    stack[1].backward.0.reset = Reset::BeforeProduct;
    let (message, problems) = not_saved(&stack);
    assert_eq!(
        message,
        "5 things wrong:\n  `0` adds its directions; PyTorch concatenates them\n  \
         `0.forward.initial` of shape [3] has no counterpart in PyTorch\n  \
         `1` resets before the product; PyTorch's GRU resets after it\n  \
         `weight_ih_l1` has shape [9, 7]; expected [9, 6], as in a network with the sizes of its first layer\n  \
         `weight_ih_l1_reverse` has shape [9, 7]; expected [9, 6], as in a network with the sizes of its first layer"
    );
    assert!(matches!(&problems[0], Problem::Unlike { name, .. } if name == "0"));

    let mut stack = one_way(&[2, 3, 3], |inputs| Lstm::<Tensor<f64>>::new(inputs, 3, rng));
    stack[1].0.bias = None;
    stack[2].0 = Lstm::new(3, 2, rng);
    let size = |name: &str, found: &[usize], expected: &[usize]| {
        format!(
            "`{name}` has shape {found:?}; expected {expected:?}, as in a network with the sizes of its first layer"
        )
    };
    let lines = [
        missing("bias_ih_l1", &[12]),
        missing("bias_hh_l1", &[12]),
        size("weight_ih_l2", &[8, 3], &[12, 3]),
        size("weight_hh_l2", &[8, 2], &[12, 3]),
        size("bias_ih_l2", &[8], &[12]),
        size("bias_hh_l2", &[8], &[12]),
    ];
    assert_eq!(not_saved(&stack).0, listed(&[lines.to_vec()]));
    stack.swap(0, 1);
    assert_eq!(not_saved(&stack[..2]).1.len(), 3, "two biases above a layer without, and a layer of other inputs");
    let wide = [Recurrent(ProjectedLstm::<Tensor<f64>>::new(2, 3, 3, rng))];
    assert_eq!(
        not_saved(&wide).0,
        "1 thing wrong:\n  `weight_hr_l0` has shape [3, 3]; PyTorch projects to fewer units"
    );

    let mut diverged = one_way(&[2], |inputs| TanhRnn::<Tensor<f64>>::new(inputs, 3, rng));
    diverged[0].0.weight_hh.as_mut_slice()[1] = f64::NAN;
    let file = Scratch::new();
    let error = save_stack(&file.0, "net", &diverged).expect_err("NaN").to_string();
    assert!(error.ends_with("`net.weight_hh_l0` is NaN at [1, 0]; expected finite numbers"), "{error}");
}

#[test]
fn a_stack_as_deep_as_the_file_is_read_or_all_is_said_that_is_wrong() {
    fn read<L: TorchStackLayer>(name: &str) -> Result<Vec<L>, Error> {
        Vec::load_torch(fixture(name), "rnn", Precision::AsStored)
    }
    fn problems<L: TorchStackLayer>(name: &str) -> Vec<Problem> {
        let error = read::<L>(name).err().expect("another architecture");
        let ErrorKind::Mismatch(problems) = error.kind() else { panic!("{error:?}") };
        problems.clone()
    }
    type Two<C> = Bidirectional<Tensor<f64>, Recurrent<C>, Recurrent<C>>;
    assert_eq!(read::<Recurrent<Gru<Tensor<f64>>>>("gru_3").expect("it fits").len(), 3);
    // One direction of two: twelve tensors are surplus. Two of one: two weights a layer are absent.
    assert_eq!(problems::<Recurrent<Lstm<Tensor<f64>>>>("lstm_3_both").len(), 12);
    assert_eq!(problems::<Two<Lstm<Tensor<f64>>>>("lstm_2_plain").len(), 4);
    // Each weight_hh; then the other shapes are not known.
    assert_eq!(problems::<Recurrent<Lstm<Tensor<f64>>>>("gru_3").len(), 3);
    // Each weight_hh, and each projection.
    assert_eq!(problems::<Recurrent<Lstm<Tensor<f64>>>>("lstm_3_to2_plain").len(), 6);
    let absent = problems::<Recurrent<ProjectedLstm<Tensor<f64>>>>("lstm_2_plain");
    let projection = |k: usize| format!("rnn.weight_hr_l{k}");
    assert!(matches!(&absent[..], [Problem::NotInFile { name: a, .. }, Problem::NotInFile { name: b, .. }]
        if *a == projection(0) && *b == projection(1)));

    // A gap among the layers, and layers that do not fit each other.
    let network = |layers: &[(&str, [usize; 2], [usize; 2])]| {
        let names: Vec<_> =
            layers.iter().flat_map(|(k, ..)| ["ih", "hh"].map(|name| format!("weight_{name}_{k}"))).collect();
        let shapes = layers.iter().flat_map(|(_, ih, hh)| [&ih[..], &hh[..]]);
        Scratch::holding(&names.iter().map(String::as_str).zip(shapes).collect::<Vec<_>>())
    };
    let load = |path: &PathBuf| Vec::<Recurrent<TanhRnn<Tensor<f32>>>>::load_torch(path, "", Precision::AsStored);
    assert_eq!(load(&network(&[("l0", [3, 2], [3, 3]), ("l1", [3, 3], [3, 3])]).0).expect("it fits").len(), 2);
    assert_eq!(
        network(&[("l0", [3, 2], [3, 3]), ("l2", [3, 3], [3, 3])]).refused(load),
        "does not fit, 2 things wrong:\n  `weight_hh_l2` of shape [3, 3] is not part of the module\n  \
         `weight_ih_l2` of shape [3, 3] is not part of the module"
    );
    assert_eq!(
        network(&[("l0", [3, 2], [3, 3]), ("l1", [4, 5], [4, 4])]).refused(load),
        "does not fit, 2 things wrong:\n  \
         `weight_ih_l1` has shape [4, 5]; expected [3, 3], as in a network with the sizes of its first layer\n  \
         `weight_hh_l1` has shape [4, 4]; expected [3, 3], as in a network with the sizes of its first layer"
    );
    let nothing = Scratch::holding(&[("head.weight", &[2, 3])]).refused(load);
    assert!(
        nothing
            .ends_with("there is no network `\"\"`; the file has none, since no tensor is named like `weight_ih_l0`")
    );
}

#[test]
#[should_panic(expected = "load_stack: there is no layer; expected one at least")]
fn a_stack_has_a_layer() {
    load_stack(fixture("gru_3"), "rnn", &mut OneWay::<Gru<Tensor<f64>>>::new(), Precision::AsStored).ok();
}

#[test]
fn a_network_of_another_name_is_named_once() {
    const TENSORS: [(&str, &[usize]); 4] = [
        ("decoder.gru.weight_ih_l0", &[9, 2]),
        ("rnn.weight_hh_l0", &[3, 3]),
        ("rnn.weight_ih_l0", &[3, 2]),
        ("head.weight", &[2, 3]),
    ];
    let file = Scratch::holding(&TENSORS);
    let mut stack = one_way(&[2, 3, 3, 3], |inputs| TanhRnn::<Tensor<f32>>::new(inputs, 3, &mut rng()));
    let named =
        "does not fit, 1 thing wrong:\n  there is no network `encoder`; the file has the networks `decoder.gru`, `rnn`";
    assert_eq!(file.refused(|path| load_stack(path, "encoder", &mut stack, Precision::AsStored)), named);
    let found = |path: &PathBuf| OneWay::<TanhRnn<Tensor<f32>>>::load_torch(path, "encoder", Precision::AsStored);
    assert_eq!(file.refused(found), named);

    let alone = Scratch::holding(&[("weight_ih_l0", &[3, 2]), ("weight_hh_l0", &[3, 3])]);
    let message = alone.refused(|path| load_stack(path, "rnn", &mut stack, Precision::AsStored));
    assert!(message.ends_with("there is no network `rnn`; the file has the network `\"\"`"), "{message}");
    let none = Scratch::holding(&TENSORS[3..]);
    let message = none.refused(|path| load_stack(path, "", &mut stack, Precision::AsStored));
    let expected = "there is no network `\"\"`; the file has none, since no tensor is named like `weight_ih_l0`";
    assert!(message.ends_with(expected), "{message}");
}
