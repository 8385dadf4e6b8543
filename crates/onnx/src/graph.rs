//! An ONNX graph that is written node by node.

use rewind_autograd::Tensor;

use crate::merge::Dim;
use crate::proto::{
    AttributeProto, DimensionProto, FLOAT, GraphProto, INT64, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The name of a value of the graph.
pub(crate) type Name = String;

/// The names of T and B, tensors `[1]`, which the outermost graph computes if they are read.
pub(crate) const STEPS: &str = "time_steps";
pub(crate) const BATCH: &str = "batch_size";

/// A graph. A body of a `Scan` has the names of its own under a prefix, and reads those of the graphs around it.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    prefix: String,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Whether T and B are read.
    pub(crate) reads_steps: bool,
    pub(crate) reads_batch: bool,
}

impl Graph {
    pub(crate) fn new(prefix: &str) -> Self {
        Graph { prefix: prefix.to_owned(), ..Graph::default() }
    }

    /// A name that no other value has.
    pub(crate) fn fresh(&self, kind: &str) -> Name {
        format!("{}{}_{}", self.prefix, kind.to_lowercase(), self.nodes.len() + self.initializers.len())
    }

    /// A node with one output.
    pub(crate) fn op(&mut self, kind: &str, inputs: &[&str]) -> Name {
        self.op_with(kind, inputs, Vec::new())
    }

    pub(crate) fn op_with(&mut self, kind: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> Name {
        let output = self.fresh(kind);
        self.node(kind, inputs, std::slice::from_ref(&output), attributes);
        output
    }

    /// A node whose outputs have these names.
    pub(crate) fn node(&mut self, kind: &str, inputs: &[&str], outputs: &[Name], attribute: Vec<AttributeProto>) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: outputs.to_vec(),
            name: self.fresh(&format!("{kind}_node")),
            op_type: kind.to_owned(),
            attribute,
        });
    }

    /// A tensor under a name.
    pub(crate) fn tensor(&mut self, name: Name, shape: &[usize], values: &[f32]) -> Name {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, FLOAT, shape, raw_data)
    }

    /// A tensor of shape `[]`.
    pub(crate) fn scalar(&mut self, value: f32) -> Name {
        let name = self.fresh("number");
        self.tensor(name, &[], &[value])
    }

    /// Integers `[n]`.
    pub(crate) fn ints(&mut self, values: &[i64]) -> Name {
        let name = self.fresh("ints");
        self.initializer(name, INT64, &[values.len()], values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// An integer, of shape `[]`.
    pub(crate) fn int(&mut self, value: i64) -> Name {
        let name = self.fresh("int");
        self.initializer(name, INT64, &[], value.to_le_bytes().to_vec())
    }

    fn initializer(&mut self, name: Name, data_type: i32, shape: &[usize], raw_data: Vec<u8>) -> Name {
        let dims = shape.iter().map(|&length| length as i64).collect();
        self.initializers.push(TensorProto { dims, data_type, name: name.clone(), raw_data });
        name
    }

    /// A tensor that is the same along the axes whose length depends on the size, stretched along them.
    pub(crate) fn stretched(&mut self, name: Name, tensor: &Tensor<f32>, shape: &[Dim]) -> Name {
        let name = self.tensor(name, tensor.shape(), &tensor.to_vec());
        if shape.iter().all(|dim| matches!(dim, Dim::Known(_))) {
            return name;
        }
        let shape = self.shape(shape);
        self.op("Expand", &[&name, &shape])
    }

    /// A shape as a tensor.
    pub(crate) fn shape(&mut self, shape: &[Dim]) -> Name {
        if let Some(known) = known(shape) {
            return self.ints(&known);
        }
        let parts: Vec<Name> = shape.iter().map(|dim| self.length(*dim)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.op_with("Concat", &parts, vec![AttributeProto::int("axis", 0)])
    }

    /// A length as a tensor `[1]`.
    pub(crate) fn length(&mut self, dim: Dim) -> Name {
        self.reads_steps |= matches!(dim, Dim::Steps | Dim::LastStep | Dim::StepsTimesBatch);
        self.reads_batch |= matches!(dim, Dim::Batch | Dim::StepsTimesBatch);
        match dim {
            Dim::Known(length) => self.ints(&[length as i64]),
            Dim::Steps => STEPS.to_owned(),
            Dim::Batch => BATCH.to_owned(),
            Dim::StepsTimesBatch => self.op("Mul", &[STEPS, BATCH]),
            Dim::LastStep => {
                let one = self.ints(&[1]);
                self.op("Sub", &[STEPS, &one])
            }
        }
    }

    /// Axes `[n]` removed.
    pub(crate) fn squeezed(&mut self, x: &str, axes: &[i64]) -> Name {
        let axes = self.ints(axes);
        self.op("Squeeze", &[x, &axes])
    }

    /// New axes of length 1.
    pub(crate) fn unsqueezed(&mut self, x: &str, axes: &[i64]) -> Name {
        let axes = self.ints(axes);
        self.op("Unsqueeze", &[x, &axes])
    }

    /// Position `at` of `axis`, with the axis removed.
    pub(crate) fn position(&mut self, x: &str, axis: usize, at: i64) -> Name {
        let at = self.int(at);
        self.op_with("Gather", &[x, &at], vec![AttributeProto::int("axis", axis as i64)])
    }

    /// Moves the nodes of another graph before the first of this one.
    pub(crate) fn prepend(&mut self, first: Graph) {
        self.nodes.splice(0..0, first.nodes);
        self.initializers.extend(first.initializers);
    }

    pub(crate) fn finish(self, name: &str, input: Vec<ValueInfoProto>, output: Vec<ValueInfoProto>) -> GraphProto {
        GraphProto { node: self.nodes, name: name.to_owned(), initializer: self.initializers, input, output }
    }
}

/// The lengths, if all are known.
fn known(shape: &[Dim]) -> Option<Vec<i64>> {
    let length = |dim: &Dim| if let Dim::Known(length) = dim { Some(*length as i64) } else { None };
    shape.iter().map(length).collect()
}

/// The type of an input or an output of a body: lengths that depend on the size have no names there, which a runtime with known lengths
/// might take for others.
pub(crate) fn body_info(name: &str, elem_type: i32, shape: &[Dim]) -> ValueInfoProto {
    let mut typed = info(name, elem_type, shape);
    let tensor_type = typed.value_type.as_mut().and_then(|value_type| value_type.tensor_type.as_mut());
    let dims = tensor_type.and_then(|tensor_type| tensor_type.shape.as_mut()).map(|shape| &mut shape.dim);
    dims.into_iter().flatten().for_each(|dim| dim.dim_param = None);
    typed
}

/// The type of an input or an output.
pub(crate) fn info(name: &str, elem_type: i32, shape: &[Dim]) -> ValueInfoProto {
    let named = |name: &str| DimensionProto { dim_value: None, dim_param: Some(name.to_owned()) };
    let dim = |dim: &Dim| match dim {
        Dim::Known(length) => DimensionProto { dim_value: Some(*length as i64), dim_param: None },
        Dim::Steps => named("time"),
        Dim::LastStep => named("time - 1"),
        Dim::Batch => named("batch"),
        Dim::StepsTimesBatch => named("time * batch"),
    };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
    let value_type = Some(TypeProto { tensor_type: Some(TensorTypeProto { elem_type, shape }) });
    ValueInfoProto { name: name.to_owned(), value_type }
}
