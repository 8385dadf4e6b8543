//! Pages by the public interface: what stands in them, and what is refused.

use std::fs;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Tape, Tensor, Var, ops, parameters};
use rewind_explorer::{Cells, Error, Page, Sequence, write};
use rewind_rnn::{Cell, Gru, IndRnn, Lstm, MLstm, RecurrentModule, TanhRnn, init, unroll};
use serde_json::Value;

fn random(shape: &[usize], seed: u64) -> Tensor<f64> {
    init::uniform(shape, 1.0, &mut StdRng::seed_from_u64(seed))
}

fn sequence(steps: usize, features: usize) -> Sequence {
    Sequence::new(random(&[steps, features], 1), random(&[steps, 2], 2)).expect("it fits")
}

fn json(page: &Page) -> Value {
    serde_json::from_str(&page.json()).expect("JSON")
}

fn of<C: RecurrentModule<f64>>(cell: &C, sequence: &Sequence) -> Value {
    json(&Page::new("a cell", cell, sequence, &[]).expect("it fits"))["scenes"][0]["networks"][0].take()
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn lecture() -> Page {
    Page::lecture(&Cells::built_in()).expect("the cells fit")
}

/// The data between the marks of the page.
fn data_of(html: &str) -> &str {
    let (_, rest) = html.split_once("id=\"data\">").expect("data");
    rest.split_once("</script>").expect("an end").0
}

#[test]
fn the_page_has_its_parts_and_needs_nothing_else() {
    let page = lecture();
    let html = page.html();
    for marker in ["<!-- style -->", "<!-- data -->", "<!-- scripts -->"] {
        assert!(!html.contains(marker), "{marker} is left");
    }
    assert!(html.contains("Content-Security-Policy") && html.contains("default-src 'none'"));
    for outside in ["src=\"http", "href=\"http", "url(http", "@import", "src=\"//"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let data: Value = serde_json::from_str(data_of(&html)).expect("JSON");
    assert_eq!(data, json(&page));
    assert_eq!(page.json(), lecture().json(), "the same page every time");
}

#[test]
fn texts_end_no_element() {
    let title = "</script><script>alert(1)</script><!--";
    let html = Page::new(title, &TanhRnn::new(1, 2, &mut rng()), &sequence(2, 1), &[]).expect("it fits").html();
    assert!(!html.contains("<script>alert(1)"));
    let data: Value = serde_json::from_str(data_of(&html)).expect("JSON");
    assert_eq!(data["scenes"][0]["title"], title);
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// Against the unrolling of the library: the same loss, states and gradients.
#[test]
fn the_numbers_are_those_of_the_library() {
    let lstm: Lstm<Tensor<f64>> = Lstm::new(3, 5, &mut rng());
    let sequence = sequence(4, 3);
    let network = of(&lstm, &sequence);
    let node = |id: &Value| network["nodes"][id.as_u64().expect("a number") as usize].clone();
    let parameter = |name: &str| {
        let all = network["parameters"].as_array().expect("parameters");
        all.iter().find(|parameter| parameter["name"] == name).expect("there is one").clone()
    };
    let weights = |name: &str, shape: &[usize]| {
        Tensor::from_vec(numbers(&node(&parameter(name)["node"])["value"]["values"]), shape)
    };
    let tape = Tape::new();
    let cell = lstm.on(&tape);
    let unrolled = unroll(&cell, tape.constant(sequence.x().reshape(&[4, 1, 3])));
    let (v, c) = (weights("readout.weight", &[5, 2]), weights("readout.bias", &[2]));
    let y = unrolled.outputs().reshape(&[4, 5]).matmul(tape.constant(v)) + tape.constant(c);
    let loss = (y - tape.constant(sequence.targets().clone())).square().sum() * 0.5;
    let close = |a: &Value, b: f64| (a.as_f64().expect("a number") / b - 1.0).abs() < 2e-3;
    assert!(close(&network["total"], loss.value().item()), "{} and {}", network["total"], loss.value().item());
    for (t, state) in unrolled.states.iter().enumerate() {
        assert!(close(&node(&network["states"][0][t])["value"]["norm"], state.hidden.value().norm()), "h_{t}");
        assert!(close(&node(&network["states"][1][t])["value"]["norm"], state.cell.value().norm()), "c_{t}");
    }
    let gradients = loss.backward().of(&cell);
    assert!(close(&parameter("cell.weight_hh")["gradient"]["norm"], gradients.weight_hh.norm()));
    assert!(close(&parameter("cell.weight_ih")["gradient"]["norm"], gradients.weight_ih.norm()));
    assert_eq!(parameter("cell.weight_hh")["letter"], "U");
    assert_eq!(parameter("cell.weight_ih")["letter"], "W");
    assert_eq!(parameter("cell.bias")["letter"], "b");
    assert_eq!(parameter("cell.bias")["gates"], serde_json::json!(["i", "f", "g", "o"]));
}

/// In the chain, every step back multiplies the gradient by the factor.
#[test]
fn the_chain_explodes_and_vanishes() {
    let data = json(&lecture());
    let networks = &data["scenes"][1]["networks"];
    for (network, factor) in networks.as_array().expect("two").iter().zip([10.0, 0.1]) {
        let events = network["sweeps"][0]["events"].as_array().expect("events");
        let arrives = |node: &Value| {
            let event = events.iter().find(|event| event["node"] == *node).expect("a gradient arrives");
            event["arrives"]["norm"].as_f64().expect("a number")
        };
        let states = network["states"][0].as_array().expect("states");
        assert_eq!(states.len(), 6);
        assert_eq!(arrives(&states[5]), 1.0, "the gradient begins at 1");
        for pair in states.windows(2) {
            let ratio = arrives(&pair[0]) / arrives(&pair[1]);
            assert!((ratio / factor - 1.0).abs() < 1e-9, "{ratio} for a factor of {factor}");
        }
    }
}

/// In the scene of memory, the gradient of the tanh-RNN fades and those of the gated cells last.
#[test]
fn the_memory_fades_or_lasts() {
    let data = json(&lecture());
    for network in data["scenes"][2]["networks"].as_array().expect("networks") {
        let events = network["sweeps"][0]["events"].as_array().expect("events");
        let arrives = |part: usize, step: usize| {
            let node = &network["states"][part][step];
            let event = events.iter().find(|event| event["node"] == *node).expect("a gradient arrives");
            event["arrives"]["norm"].as_f64().expect("a number")
        };
        let kept = match network["parts"].as_array().expect("parts").len() {
            1 => arrives(0, 0) / arrives(0, 19),
            _ => arrives(1, 0) / arrives(1, 19),
        };
        match network["id"].as_str().expect("an id") {
            "tanh" => assert!(kept < 1e-5, "{kept}"),
            id => assert!(kept > 0.1, "{id}: {kept}"),
        }
    }
}

/// The flow of the chain is its factor, and that of every network is what the sweeps bring together.
#[test]
fn flow_influence_and_jacobians() {
    let data = json(&lecture());
    for (network, factor) in data["scenes"][1]["networks"].as_array().expect("two").iter().zip([10.0, 0.1]) {
        let flow = &network["flow"];
        assert_eq!((&flow["growth"][0], &flow["radius"]), (&Value::Null, &Value::from(factor)));
        assert!(
            numbers(&flow["growth"].as_array().expect("a list")[1..].into()).iter().all(|g| (g - factor).abs() < 1e-9)
        );
        for jacobian in network["jacobians"].as_array().expect("Jacobians") {
            assert_eq!((&jacobian["largest"], &jacobian["smallest"]), (&Value::from(factor), &Value::from(factor)));
        }
        // h_5 is factor⁵·x_0.
        let influence = network["influence"][5][0].as_f64().expect("a number");
        assert!((influence / factor.powi(5) - 1.0).abs() < 1e-9, "{influence}");
        assert_eq!(network["influence"][0][1], 0.0);
    }
    for network in data["scenes"][2]["networks"].as_array().expect("networks") {
        // One loss: its sweep is the whole gradient.
        let events = network["sweeps"][0]["events"].as_array().expect("events");
        for (part, states) in network["states"].as_array().expect("parts").iter().enumerate() {
            for (t, state) in states.as_array().expect("steps").iter().enumerate() {
                let event = events.iter().find(|event| event["node"] == *state).expect("a gradient arrives");
                assert_eq!(network["flow"]["parts"][part][t], event["arrives"]["norm"]);
            }
        }
        assert_eq!(network["jacobians"].as_array().map(Vec::len), Some(19));
    }
    let gates = &data["scenes"][0]["networks"][1]["flow"]["gates"];
    let named: Vec<_> = gates.as_array().expect("gates").iter().map(|gate| (&gate["name"], &gate["kind"])).collect();
    let expected = [("f", "switch"), ("g", "candidate"), ("i", "switch"), ("o", "switch")];
    assert_eq!(
        named,
        expected.map(|(name, kind)| (name.into(), kind.into())).iter().map(|(n, k)| (n, k)).collect::<Vec<_>>()
    );
}

#[test]
fn descent_is_thrown_off_at_the_wall_unless_it_is_clipped() {
    let cliff = json(&lecture())["cliff"].take();
    let last = |path: &str| {
        let points = cliff[path].as_array().expect("points");
        (points.len(), points[points.len() - 1][2].as_f64().expect("an error"))
    };
    let ((plain, high), (clipped, low)) = (last("plain"), last("clipped"));
    assert!(plain > 10 && clipped > 10 && high > 10.0 * low, "{high} and {low}");
    assert_eq!(cliff["loss"].as_array().map(Vec::len), cliff["biases"].as_array().map(Vec::len));
}

/// Sizes of one, of odd numbers, and of a state with matrices.
#[test]
fn odd_sizes() {
    let rng = &mut rng();
    for (steps, features, hidden) in [(1, 1, 1), (7, 3, 7), (2, 1, 33)] {
        let network = of(&Gru::new(features, hidden, rng), &sequence(steps, features));
        assert_eq!(network["states"][0].as_array().expect("states").len(), steps);
        assert_eq!(network["hidden"], hidden);
        for parameter in network["parameters"].as_array().expect("parameters") {
            assert!(parameter["residual"].as_f64().expect("a number") < 1e-12);
        }
    }
    let network = of(&MLstm::new(2, 4, 2, rng), &sequence(3, 2));
    assert!(network["parts"].as_array().expect("parts").len() > 2);
    let learned = of(&IndRnn::new(2, 4, rng).with_learned_state(), &sequence(3, 2));
    let letters: Vec<_> = learned["parameters"].as_array().expect("some").iter().map(|p| p["letter"].clone()).collect();
    assert_eq!(letters, ["W", "U", "b", "h0", "V", "c"]);
}

/// A long run keeps what a page can hold.
#[test]
fn sweeps_of_a_long_run_are_left_out() {
    let rng = &mut rng();
    let long = of(&Lstm::new(2, 3, rng), &sequence(60, 2));
    assert_eq!(long["sweeps"].as_array().map(Vec::len), Some(0));
    let why = long["sweeps_left_out"].as_str().expect("a reason");
    assert!(why.ends_with("nodes in all sweeps together; a page has up to 5000"), "{why}");
    assert!(of(&Lstm::new(2, 3, rng), &sequence(5, 2))["sweeps_left_out"].is_null());
}

/// A number that is not finite is null, and never a number.
#[test]
fn what_overflows_is_null() {
    let cell: IndRnn<Tensor<f64>> = IndRnn::new(1, 2, &mut rng());
    let cell = IndRnn { weight_hh: Tensor::full(&[2], 1e200), bias: Some(Tensor::full(&[2], 1.0)), ..cell };
    let network = of(&cell, &sequence(4, 1));
    assert!(network["total"].is_null() && network["losses"][3]["value"].is_null());
    assert!(network["losses"][0]["value"].is_f64());
}

ops! {
    /// The op below.
    const OPS: [(name, docs)];

    /// y = tanh x; x̄ = ȳ·(1 + y²), wrong.
    ///
    /// On purpose.
    fn wrong_tanh = WrongTanh(x) -> y {
        value: x.map(|x| x.tanh()),
        x: |g, y| g * (y * y + T::ONE),
    }
}

parameters! {
    /// h' = wrong_tanh(g) with g = x·W + h·U, the one gate.
    struct Mistaken<P> { w: P, u: P }
}

impl<'t> Cell<'t, f64> for Mistaken<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        let _gate = x.tape().scope("g");
        wrong_tanh(x.matmul(self.w) + h.matmul(self.u))
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.u.tape().zeros(&[batch, self.u.shape()[0]])
    }
    fn features(&self) -> Option<usize> {
        Some(self.w.shape()[0])
    }
}

fn mistaken() -> Mistaken<Tensor<f64>> {
    Mistaken { w: random(&[2, 3], 5), u: random(&[3, 3], 6) }
}

#[test]
fn a_wrong_rule_stands_at_its_node() {
    let page = Page::new("mine", &mistaken(), &sequence(3, 2), OPS).expect("it fits");
    let network = &json(&page)["scenes"][0]["networks"][0];
    let check = &network["check"];
    assert_eq!((&check["passed"], &check["verdict"]), (&Value::from(false), &Value::from("wrong")));
    assert_eq!((&check["op"], &check["gate"], &check["step"]), (&"wrong_tanh".into(), &"g".into(), &0.into()));
    let node = &network["nodes"][check["node"].as_u64().expect("a node") as usize];
    assert_eq!((&node["op"], &node["gate"], &node["step"]), (&"wrong_tanh".into(), &"g".into(), &0.into()));
    assert_eq!(node["line"], check["line"]);
    let [tape, differences] = ["gradient", "difference"].map(|name| check[name].as_f64().expect("a number"));
    assert!((tape - differences).abs() > 1e-3, "{tape} and {differences}");
    assert!(check["pattern"].as_str().expect("a guess").contains("2 ȳ·y·y"), "{}", check["pattern"]);
    // The rule is the first paragraph of the docs.
    let rule = &network["rules"][node["rule"].as_u64().expect("it has docs") as usize];
    assert_eq!(rule["text"], "y = tanh x; x̄ = ȳ·(1 + y²), wrong.");
    assert_eq!(of(&TanhRnn::new(2, 3, &mut rng()), &sequence(3, 2))["check"]["passed"], true);
}

#[test]
fn a_cell_that_does_not_fit_is_refused() {
    let failed = |page: Result<Page, Error>| page.map(|_| ()).expect_err("it does not fit").to_string();
    assert_eq!(
        failed(Page::new("mine", &mistaken(), &sequence(3, 4), OPS)),
        "network `mine`: it takes 2 features; got x [3, 4], [T, I]"
    );
}

parameters! {
    /// h' = tanh(m·P) with m = tanh(x·W + h·A + h·B).
    struct TwoRecurrent<P> { w: P, weight_a: P, weight_b: P, p: P }
}

impl<'t> Cell<'t, f64> for TwoRecurrent<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        let m = (x.matmul(self.w) + h.matmul(self.weight_a) + h.matmul(self.weight_b)).tanh();
        m.matmul(self.p).tanh()
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.p.tape().zeros(&[batch, self.p.shape()[0]])
    }
}

/// U is the lecture's weight from state to state: one of two has no letter, nor has a weight behind it.
#[test]
fn letters_are_unique() {
    let square = |seed| random(&[3, 3], seed);
    let letters = |data: Value| -> Vec<String> {
        let parameters = data["parameters"].as_array().expect("some").clone();
        parameters.iter().map(|p| p["letter"].as_str().expect("a letter").to_owned()).collect()
    };
    let two = TwoRecurrent { w: random(&[2, 3], 5), weight_a: square(6), weight_b: square(7), p: square(8) };
    assert_eq!(letters(of(&two, &sequence(3, 2))), ["W", "", "", "", "V", "c"]);
    let gru = Gru::new(2, 3, &mut rng());
    assert_eq!(letters(of(&gru, &sequence(3, 2))), ["W", "U", "U", "b", "b", "V", "c"]);
}

parameters! {
    /// h' = tanh(x·W + h·U), twice, in scopes that are called as the steps of the page are.
    struct Loop<P> { w: P, u: P }
}

impl<'t> Cell<'t, f64> for Loop<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        (0..2).fold(h, |h, k| {
            let _inner = x.tape().numbered_scope("t", k);
            (x.matmul(self.w) + h.matmul(self.u)).tanh()
        })
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.u.tape().zeros(&[batch, self.u.shape()[0]])
    }
}

#[test]
fn a_cell_with_steps_of_its_own_is_refused() {
    let cell = Loop { w: random(&[2, 3], 5), u: random(&[3, 3], 6) };
    assert_eq!(
        Page::new("mine", &cell, &sequence(3, 2), &[]).map(|_| ()).expect_err("it does not fit").to_string(),
        "network `mine`: it enters a scope called `t` within a time step (t=0/t=0); expected another name for a loop of its own"
    );
}

#[test]
fn sequences_that_do_not_fit_are_refused() {
    let refused = |x: &[usize], targets: &[usize], losses: &[usize]| {
        let sequence = Sequence::with_losses(Tensor::zeros(x), Tensor::zeros(targets), losses);
        sequence.expect_err("it does not fit").to_string()
    };
    type Case<'a> = (&'a [usize], &'a [usize], &'a [usize], &'a str);
    let cases: [Case<'_>; 9] = [
        (&[3], &[3, 1], &[0], "x has shape [3]; expected [T, I], one step and one feature at least"),
        (&[0, 2], &[0, 1], &[], "x has shape [0, 2]; expected [T, I], one step and one feature at least"),
        (&[3, 0], &[3, 1], &[0], "x has shape [3, 0]; expected [T, I], one step and one feature at least"),
        (&[3, 2], &[2, 1], &[0], "targets have shape [2, 1]; expected [1, O], a target for each of 1 losses"),
        (&[3, 2], &[3], &[0, 1, 2], "targets have shape [3]; expected [3, O], a target for each of 3 steps"),
        (&[3, 2], &[0, 1], &[], "there is no loss; expected the number of one step at least"),
        (&[3, 2], &[2, 1], &[1, 1], "losses at steps 1 and 1; expected ascending steps"),
        (&[3, 2], &[2, 1], &[2, 0], "losses at steps 2 and 0; expected ascending steps"),
        (&[3, 2], &[1, 1], &[3], "a loss at step 3; expected 0 to 2, the steps of x"),
    ];
    for (x, targets, losses, why) in cases {
        assert_eq!(refused(x, targets, losses), why);
    }
    let x = Tensor::from_vec(vec![0.0, 1.0, f64::NAN, 2.0], &[2, 2]);
    let error = Sequence::new(x, Tensor::zeros(&[2, 1])).expect_err("NaN").to_string();
    assert_eq!(error, "x is NaN at [1, 0]; expected a finite number");
    let targets = Tensor::from_vec(vec![0.0, f64::INFINITY], &[2, 1]);
    let error = Sequence::new(Tensor::zeros(&[2, 2]), targets).expect_err("infinite").to_string();
    assert_eq!(error, "targets is inf at [1, 0]; expected a finite number");
}

#[test]
#[should_panic(expected = "Cells: there is a cell `lstm`; expected another id")]
fn two_cells_of_one_id() {
    drop(Cells::built_in().with("lstm", "Mine", &[], |inputs, hidden, rng| Lstm::new(inputs, hidden, rng)));
}

#[test]
fn a_page_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    let (x, targets) = (random(&[2, 1], 1), random(&[2, 1], 2));
    let cell = TanhRnn::new(1, 2, &mut rng());
    fs::write(&path, "an old page").expect("written");
    write(&path, "a cell", &cell, &x, &targets).expect("it fits");
    let new = fs::read_to_string(&path).expect("a page");
    assert!(new.contains("\"title\":\"a cell\"") && new.trim_end().ends_with("</html>"));
    // Neither a folder that is not there nor one at the path loses anything.
    let lost = folder.path().join("nowhere").join("page.html");
    let error = write(&lost, "a cell", &cell, &x, &targets).expect_err("no folder").to_string();
    let system = error.strip_prefix(&lost.display().to_string()).expect("the path comes first");
    assert!(!system.contains(&folder.path().display().to_string()), "a file that the caller does not know: {error}");
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).expect("a folder");
    assert!(matches!(write(&taken, "a cell", &cell, &x, &targets), Err(Error::Write { .. })));
    #[cfg(unix)]
    {
        let link = folder.path().join("taken").join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        let error = write(&link, "a cell", &cell, &x, &targets).expect_err("a link is not replaced").to_string();
        assert!(error.ends_with("no regular file"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 2, "temporary files are left");
}

/// The equations beside the networks are those of the cells' own docs.
#[test]
fn the_equations_are_those_of_the_docs() {
    let data = json(&lecture());
    for (k, file) in ["tanh", "lstm", "gru"].into_iter().enumerate() {
        let path = format!("{}/../rnn/src/cells/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = fs::read_to_string(path).expect("the source of the cell");
        let equations = data["scenes"][0]["networks"][k]["equations"].as_array().expect("equations");
        assert!(equations.len() > 2);
        for equation in &equations[..equations.len() - 2] {
            let equation = equation.as_str().expect("a line");
            assert!(source.lines().any(|line| line.trim_start_matches("    /// ").starts_with(equation)), "{equation}");
        }
    }
}
