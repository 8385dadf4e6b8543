//! The gradient of several results, item by item: one for each result and each time step in which a variable is used.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::checkpoint::ByNode;
use crate::gradients::HOW_TO_TRACK;
use crate::inspect::NodeOp;
use crate::naming::Names;
use crate::op::Op;
use crate::sweep::sweep_values;
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// The gradients of `results` with respect to `wrt`, itemised by the time step of use: the step is the number of the
/// innermost [scope](Tape::numbered_scope) called `step`, such as `"t"` in an unrolled network.
///
/// Item (s, t) of a variable is the part of dE_s/dw that flows back to w through its uses in step t: in the notation of
/// backpropagation through time, `∂E_s/∂h_s · (Π ∂h_j/∂h_(j-1)) · ∂⁺h_t/∂w`. A variable may be used through ops outside of
/// all steps, such as a transpose or a broadcast; what is used in no step at all is the item (s, `None`). The items of a
/// result sum to its gradient. Checkpoints are looked into.
///
/// It costs one sweep for each result, and keeps one cotangent for each result and use. An item itself is computed when
/// it is asked for.
///
/// ```
/// use rewind_autograd::{Tape, Tensor, derive};
/// let tape = Tape::new();
/// let u = tape.leaf(Tensor::scalar(0.5));
/// let mut h = tape.constant(Tensor::scalar(1.0));
/// let mut errors = Vec::new();
/// for t in 0..3 {
///     let _step = tape.numbered_scope("t", t);
///     h = h * u; // h_t = u^(t+1)
///     errors.push(h);
/// }
/// let items = derive::itemised(&errors, &[u], "t");
/// let item = |s, t| items.item(0, s, Some(t)).map(|item| item.item());
/// // dh_2/du = 3·u²: a term u² for each of the three uses.
/// assert_eq!([item(2, 0), item(2, 1), item(2, 2)], [Some(0.25); 3]);
/// assert_eq!(item(1, 2), None); // h_1 does not depend on step 2
/// ```
///
/// # Panics
/// If a result has more than one element, a variable lives on another tape or is a constant, or the tape is quiet.
#[track_caller]
pub fn itemised<'t, T: Scalar>(results: &[Var<'t, T>], wrt: &[Var<'t, T>], step: &str) -> Itemised<T> {
    let mut items = Itemised { nodes: Vec::new(), variables: wrt.len(), arriving: vec![Vec::new(); results.len()] };
    let Some(first) = results.first() else { return items };
    for (s, &result) in results.iter().enumerate() {
        super::check_scalar("itemised", result);
        result.check_recorded("itemised");
        if !std::ptr::eq(result.tape(), first.tape()) {
            panic!("itemised: result {s} lives on another tape than the first");
        }
    }
    for (k, v) in wrt.iter().enumerate() {
        if !std::ptr::eq(v.tape(), first.tape()) {
            panic!("itemised: variable {k} lives on another tape than the results");
        }
        if !v.is_tracked() {
            panic!("itemised: variable {k}, {v:?}, is a constant. {HOW_TO_TRACK}");
        }
        items.nodes.push(Local { op: None, inputs: Vec::new(), from: Vec::new(), step: None, gates: Vec::new() });
    }
    let seeds = results.iter().enumerate().map(|(s, &y)| (s, y, Tensor::full(&y.shape(), T::ONE))).collect::<Vec<_>>();
    let roots = wrt.iter().enumerate().map(|(k, v)| (v.id(), k)).collect();
    items.explore(first.tape(), roots, &seeds, (step, None));
    items.arriving.iter_mut().for_each(|list| list.sort_by_key(|&(node, _)| node));
    items
}

/// A node on the way from a variable to its uses, with all that its rule needs.
#[derive(Clone)]
struct Local<T: Scalar> {
    /// `None` for the variables themselves.
    op: Option<NodeOp<T>>,
    inputs: Vec<Tensor<T>>,
    /// Which node each input is, if it is one of those on the way.
    from: Vec<Option<usize>>,
    step: Option<usize>,
    /// The named parts that its value is split into.
    gates: Vec<String>,
}

/// Gradients by result, variable and time step of use: made by [`itemised`].
#[derive(Clone)]
pub struct Itemised<T: Scalar> {
    /// The variables, then the nodes that they reach without a time step and the first nodes in a step behind those; every
    /// node after its inputs.
    nodes: Vec<Local<T>>,
    variables: usize,
    /// The cotangents that arrive at nodes from each result, ascending by node.
    arriving: Vec<Vec<(usize, Tensor<T>)>>,
}

impl<T: Scalar> Itemised<T> {
    /// The number of results.
    pub fn results(&self) -> usize {
        self.arriving.len()
    }

    /// The time steps in which variable number `variable` is used, ascending; first `None`, if it is used outside of all.
    pub fn steps(&self, variable: usize) -> Vec<Option<usize>> {
        let reaches = self.reaches(variable);
        let arriving = self.arriving.iter().flatten();
        let steps: BTreeSet<_> =
            arriving.filter(|(node, _)| reaches[*node]).map(|&(node, _)| self.nodes[node].step).collect();
        steps.into_iter().collect()
    }

    /// Item (`result`, `step`) of variable number `variable`, of its shape; `None` if nothing flows that way.
    pub fn item(&self, variable: usize, result: usize, step: Option<usize>) -> Option<Tensor<T>> {
        self.item_of(variable, result, step, |_, cotangent| Some(cotangent.clone()))
    }

    /// The part of an [`item`](Itemised::item) that flows through row `row` of the uses: through one sequence of a batch,
    /// where the first axis of every use is the batch.
    ///
    /// # Panics
    /// If a use has no such row, or is of the variable alone, as a transpose or an exponential within a time step is.
    #[track_caller]
    pub fn item_of_row(&self, variable: usize, result: usize, step: Option<usize>, row: usize) -> Option<Tensor<T>> {
        self.item_of(variable, result, step, |node, cotangent| {
            let (node, rows) = (&self.nodes[node], cotangent.shape().first().copied().unwrap_or(0));
            if node.op.is_some() && node.from.iter().all(Option::is_some) {
                let name = node.op.as_ref().map_or("", |op| op.name());
                panic!("item_of_row: variable {variable} is used by {name} alone, without rows of a batch; expected a use beside them");
            }
            assert!(row < rows, "item_of_row: there is no row {row}; a use of variable {variable} has {rows} rows");
            let mut only = Tensor::zeros(cotangent.shape());
            only.add_slice(0, row, &cotangent.slice(0, row..row + 1));
            Some(only)
        })
    }

    /// The names of the gates that the uses of a variable are split into, in the order of the columns: `["i", "f", "g", "o"]`.
    pub fn gates(&self, variable: usize) -> &[String] {
        let reaches = self.reaches(variable);
        let used = self.nodes.iter().zip(&reaches).find(|(node, reaches)| **reaches && !node.gates.is_empty());
        used.map_or(&[], |(node, _)| &node.gates)
    }

    /// By node, whether a gradient flows from it to a variable without passing through a time step.
    fn reaches(&self, variable: usize) -> Vec<bool> {
        assert!(variable < self.variables, "itemised: there is no variable {variable} among {}", self.variables);
        let mut reaches: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for (k, node) in self.nodes.iter().enumerate() {
            reaches.push(k == variable || node.from.iter().flatten().any(|&input| reaches[input]));
        }
        reaches
    }

    fn item_of(
        &self,
        variable: usize,
        result: usize,
        step: Option<usize>,
        part: impl Fn(usize, &Tensor<T>) -> Option<Tensor<T>>,
    ) -> Option<Tensor<T>> {
        let reaches = self.reaches(variable);
        let mut sums: BTreeMap<usize, Tensor<T>> = BTreeMap::new();
        for (node, cotangent) in &self.arriving[result] {
            if reaches[*node] && self.nodes[*node].step == step {
                add(&mut sums, *node, part(*node, cotangent)?);
            }
        }
        while let Some((node, cotangent)) = sums.pop_last() {
            if node == variable {
                return Some(cotangent);
            }
            for (input, term) in self.nodes[node].pull(&cotangent, &reaches) {
                add(&mut sums, input, term);
            }
        }
        None
    }
}

/// The cotangents of one sweep, copied to one buffer. Thousands of small ones that stay would lie between the buffers of the next sweep, and
/// the memory of these would never be whole again: 5.6 GB instead of 0.1 for an LSTM over 200 steps.
fn in_one_buffer<T: Scalar>(cotangents: ByNode<Tensor<T>>) -> Vec<(u32, Tensor<T>)> {
    let mut all = Vec::with_capacity(cotangents.iter().map(|(_, cotangent)| cotangent.len()).sum());
    cotangents.iter().for_each(|(_, cotangent)| all.extend(cotangent.to_vec()));
    let (length, mut first) = (all.len(), 0);
    let all = Tensor::from_vec(all, &[length]);
    let part = |(node, cotangent): (u32, Tensor<T>)| {
        let range = first..first + cotangent.len();
        first = range.end;
        (node, all.slice(0, range).reshape(cotangent.shape()))
    };
    cotangents.into_iter().map(part).collect()
}

/// Adds a term to the cotangent of a node.
fn add<T: Scalar>(sums: &mut BTreeMap<usize, Tensor<T>>, node: usize, term: Tensor<T>) {
    match sums.get_mut(&node) {
        Some(sum) => sum.add_assign(&term),
        None => drop(sums.insert(node, term)),
    }
}

impl<T: Scalar> Local<T> {
    /// What the rules of this node send to those of its inputs that are `wanted`.
    fn pull(&self, cotangent: &Tensor<T>, wanted: &[bool]) -> Vec<(usize, Tensor<T>)> {
        let Some(op) = &self.op else { return Vec::new() };
        let tape = Tape::new();
        let mut targets = Vec::new();
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for (value, &from) in self.inputs.iter().zip(&self.from) {
            inputs.push(match from.filter(|&from| wanted[from]) {
                Some(from) => {
                    let leaf = tape.leaf(value.clone());
                    targets.push((from, leaf));
                    leaf
                }
                None => tape.constant(value.clone()),
            });
        }
        let gradients = tape.apply(op.clone(), &inputs).backward_from(cotangent);
        targets.into_iter().map(|(from, leaf)| (from, gradients.get(leaf))).collect()
    }
}

/// A result with the seed of its sweep.
type Seeded<'t, T> = (usize, Var<'t, T>, Tensor<T>);

impl<T: Scalar> Itemised<T> {
    /// Adds the nodes between `known` ones, by position on `tape`, and their uses, and the cotangents that arrive there
    /// from the results. `step` is the name of steps, and the number of the one around, which the function of a checkpoint
    /// belongs to where it enters none of its own.
    fn explore<'t>(
        &mut self,
        tape: &'t Tape<T>,
        known: HashMap<u32, usize>,
        results: &[Seeded<'t, T>],
        step: (&str, Option<usize>),
    ) {
        let (name, around) = step;
        // Nodes through which a variable is used without a step, with those themselves; and the uses in a step.
        let (mut outside, mut uses, mut checkpoints) = (known, BTreeMap::new(), Vec::new());
        let lowest = outside.keys().copied().min().unwrap_or(0);
        for node in lowest..tape.len() as u32 {
            let inputs = tape.graph.borrow().inputs(node).to_vec();
            if !inputs.iter().any(|input| outside.contains_key(input)) || outside.contains_key(&node) {
                continue;
            }
            let Some(op) = tape.op(node as usize) else { continue };
            let (number, gates) = Names::with(tape, |names| (names.step_of(node, name), names.gates_behind(node)));
            let number = number.or(around);
            if op.is_checkpoint() {
                checkpoints.push((node, op, inputs, number));
                continue;
            }
            let from = inputs.iter().map(|input| outside.get(input).copied()).collect();
            let values = inputs.iter().map(|&input| Var::new(tape, input).value()).collect();
            if number.is_some() {
                uses.insert(node, self.nodes.len());
            } else {
                outside.insert(node, self.nodes.len());
            }
            self.nodes.push(Local { op: Some(op), inputs: values, from, step: number, gates });
        }
        let mut requested: Vec<u32> = uses.keys().copied().chain(checkpoints.iter().map(|(node, ..)| *node)).collect();
        requested.sort_unstable();
        let mut of_checkpoints: HashMap<u32, Vec<(usize, Tensor<T>)>> = HashMap::new();
        for (s, result, seed) in results {
            if let Some(&place) = outside.get(&result.id()) {
                self.arriving[*s].push((place, seed.clone()));
            }
            let below: Vec<u32> = requested.iter().copied().take_while(|&node| node <= result.id()).collect();
            for (node, cotangent) in in_one_buffer(sweep_values(*result, seed.clone(), Some(&below))) {
                match uses.get(&node) {
                    Some(&place) => self.arriving[*s].push((place, cotangent)),
                    None => of_checkpoints.entry(node).or_default().push((*s, cotangent)),
                }
            }
        }
        for (node, op, inputs, number) in checkpoints {
            let cotangents = of_checkpoints.remove(&node).unwrap_or_default();
            let inner = Tape::new();
            let vars: Vec<_> = inputs.iter().map(|&input| inner.leaf(Var::new(tape, input).value())).collect();
            let known =
                inputs.iter().zip(&vars).filter_map(|(input, v)| Some((v.id(), *outside.get(input)?))).collect();
            let Some(y) = op.rerun(&inner, &vars) else { continue };
            let seeds: Vec<_> = cotangents.into_iter().map(|(s, cotangent)| (s, y, cotangent)).collect();
            self.explore(&inner, known, &seeds, (name, number));
        }
    }
}
