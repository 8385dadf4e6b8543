//! The ops of the engine as nodes of ONNX.

use rewind_autograd::Tensor;

use crate::error::{Error, Result};
use crate::graph::{Graph, Name};
use crate::merge::{Dim, Setting, Value};
use crate::proto::{AttributeProto, FLOAT};
use crate::record::place;

/// Ops of one node of the same inputs.
const SAME: [(&str, &str); 17] = [
    ("add", "Add"),
    ("sub", "Sub"),
    ("mul", "Mul"),
    ("div", "Div"),
    ("maximum", "Max"),
    ("exp", "Exp"),
    ("ln", "Log"),
    ("sqrt", "Sqrt"),
    ("reciprocal", "Reciprocal"),
    ("sin", "Sin"),
    ("cos", "Cos"),
    ("erf", "Erf"),
    ("abs", "Abs"),
    ("sign", "Sign"),
    ("tanh", "Tanh"),
    ("sigmoid", "Sigmoid"),
    ("relu", "Relu"),
];

/// An op that is written: the value, and the names and shapes of its inputs.
pub(crate) struct Written<'v> {
    pub(crate) value: &'v Value,
    pub(crate) inputs: Vec<Name>,
    pub(crate) shapes: Vec<&'v [Dim]>,
}

impl Written<'_> {
    /// Writes the nodes of the op.
    pub(crate) fn write(&self, graph: &mut Graph) -> Result<Name> {
        let inputs: Vec<&str> = self.inputs.iter().map(String::as_str).collect();
        let name = self.value.name;
        if let Some((_, kind)) = SAME.iter().find(|(own, _)| *own == name) {
            return Ok(graph.op(kind, &inputs));
        }
        let written = self.elementwise(graph, &inputs).transpose();
        let written = written.or_else(|| self.layout(graph, &inputs).transpose());
        let written = written.or_else(|| self.along_axis(graph, &inputs).transpose());
        written.unwrap_or_else(|| Err(self.refused("ONNX has no op for it that this crate knows")))
    }

    fn refused(&self, why: &str) -> Error {
        let Value { name, place: location, .. } = self.value;
        Error::Op { op: (*name).to_owned(), place: place(location), why: why.to_owned() }
    }

    fn number(&self, name: &str) -> Result<Dim> {
        match self.value.setting(name) {
            Some(Setting::Number(number)) => Ok(*number),
            _ => Err(self.refused(&format!("its setting `{name}` is no integer"))),
        }
    }

    /// A setting that no size changes.
    fn known(&self, name: &str) -> Result<usize> {
        match self.number(name)? {
            Dim::Known(number) => Ok(number),
            _ => Err(self.refused(&format!("its setting `{name}` depends on the number of time steps or sequences"))),
        }
    }

    fn real(&self, name: &str) -> Result<f32> {
        match self.value.setting(name) {
            Some(Setting::Real(number)) => Ok(*number),
            _ => Err(self.refused(&format!("its setting `{name}` is no number"))),
        }
    }

    /// A number, of shape `[]`: as it is, or the number of time steps or sequences.
    fn real_or_length(&self, graph: &mut Graph, name: &str) -> Result<Name> {
        let Some(Setting::Number(length)) = self.value.setting(name) else {
            return Ok(graph.scalar(self.real(name)?));
        };
        let length = graph.length(*length);
        let number = graph.op_with("Cast", &[&length], vec![AttributeProto::int("to", i64::from(FLOAT))]);
        Ok(graph.squeezed(&number, &[0]))
    }

    /// Functions of each element.
    fn elementwise(&self, graph: &mut Graph, inputs: &[&str]) -> Result<Option<Name>> {
        let &x = inputs.first().expect("an op has an input");
        Ok(Some(match self.value.name {
            "map_cotangent" => graph.op("Identity", &[x]),
            "softplus" => graph.op("Softplus", &[x]),
            "elu" => graph.op("Elu", &[x]),
            "square" => graph.op("Mul", &[x, x]),
            "scale_shift" => scale_shift(graph, x, self.real("scale")?, self.real("shift")?),
            "div_by_number" => {
                let c = self.real_or_length(graph, "c")?;
                graph.op("Div", &[x, &c])
            }
            "number_div" => {
                let c = self.real_or_length(graph, "c")?;
                graph.op("Div", &[&c, x])
            }
            "powf" => {
                let p = graph.scalar(self.real("p")?);
                graph.op("Pow", &[x, &p])
            }
            "clamp" => {
                let [lo, hi] = [self.real("lo")?, self.real("hi")?].map(|bound| graph.scalar(bound));
                graph.op("Clip", &[x, &lo, &hi])
            }
            "exp_m1" => {
                let y = graph.op("Exp", &[x]);
                scale_shift(graph, &y, 1.0, -1.0)
            }
            "ln_1p" => {
                let y = scale_shift(graph, x, 1.0, 1.0);
                graph.op("Log", &[&y])
            }
            "heaviside" => {
                let sign = graph.op("Sign", &[x]);
                scale_shift(graph, &sign, 0.5, 0.5)
            }
            "normal_cdf" => {
                let scaled = scale_shift(graph, x, std::f32::consts::FRAC_1_SQRT_2, -0.0);
                let erf = graph.op("Erf", &[&scaled]);
                scale_shift(graph, &erf, 0.5, 0.5)
            }
            "where" => {
                let is_zero = is_zero(graph, x);
                graph.op("Where", &[&is_zero, inputs[2], inputs[1]])
            }
            "weighted" => {
                let (is_zero, zero) = (is_zero(graph, x), graph.scalar(0.0));
                let product = graph.op("Mul", inputs);
                graph.op("Where", &[&is_zero, &zero, &product])
            }
            _ => return Ok(None),
        }))
    }

    /// Elements in other places.
    fn layout(&self, graph: &mut Graph, inputs: &[&str]) -> Result<Option<Name>> {
        let (x, rank) = (inputs[0], self.shapes[0].len());
        let order = |axes: Vec<i64>| vec![AttributeProto::ints("perm", axes)];
        Ok(Some(match self.value.name {
            "reshape" => {
                let shape = self.reshaped(graph);
                graph.op("Reshape", &[x, &shape])
            }
            "broadcast_to" => {
                let shape = graph.shape(&self.value.shape);
                graph.op("Expand", &[x, &shape])
            }
            "unsqueeze" => graph.unsqueezed(x, &[self.known("axis")? as i64]),
            "transpose" => graph.op_with("Transpose", &[x], order(last_two_swapped(rank))),
            "permute" => {
                let Some(Setting::Numbers(axes)) = self.value.setting("axes") else {
                    return Err(self.refused("its setting `axes` is no list"));
                };
                let axes = axes.iter().map(|&axis| if let Dim::Known(axis) = axis { axis as i64 } else { -1 });
                graph.op_with("Transpose", &[x], order(axes.collect()))
            }
            "flip" => flip(graph, x, self.known("axis")?),
            "slice" => self.slice(graph, x)?,
            "index" => {
                let (axis, at) = (self.known("axis")?, self.number("at")?);
                match (at, self.shapes[0][axis]) {
                    (Dim::Known(at), _) => graph.position(x, axis, at as i64),
                    (Dim::LastStep, Dim::Steps) => graph.position(x, axis, -1),
                    _ => return Err(self.refused("its position depends on the number of time steps or sequences")),
                }
            }
            "index_select" => {
                let Some(Setting::Numbers(indices)) = self.value.setting("indices") else {
                    return Err(self.refused("its setting `indices` is no list"));
                };
                let known = indices.iter().map(|&i| if let Dim::Known(i) = i { Some(i as i64) } else { None });
                let Some(indices) = known.collect::<Option<Vec<_>>>() else {
                    return Err(self.refused("its indices depend on the number of time steps or sequences"));
                };
                let indices = graph.ints(&indices);
                let axis = AttributeProto::int("axis", self.known("axis")? as i64);
                graph.op_with("Gather", &[x, &indices], vec![axis])
            }
            "concat" => graph.op_with("Concat", inputs, vec![AttributeProto::int("axis", self.known("axis")? as i64)]),
            "stack" => {
                let axis = self.known("axis")? as i64;
                let parts: Vec<Name> = inputs.iter().map(|x| graph.unsqueezed(x, &[axis])).collect();
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                graph.op_with("Concat", &parts, vec![AttributeProto::int("axis", axis)])
            }
            _ => return Ok(None),
        }))
    }

    fn slice(&self, graph: &mut Graph, x: &str) -> Result<Name> {
        let axis = self.known("axis")?;
        let start = self.known("start")? as i64;
        let end = match (self.number("end")?, self.shapes[0][axis]) {
            (Dim::Known(end), _) => end as i64,
            (end, length) if end == length => i64::MAX,
            (Dim::LastStep, Dim::Steps) => -1,
            _ => return Err(self.refused("its end depends on the number of time steps or sequences")),
        };
        let [start, end, axes] = [start, end, axis as i64].map(|value| graph.ints(&[value]));
        Ok(graph.op("Slice", &[x, &start, &end, &axes]))
    }

    /// The shape of a reshape. One length that is not known follows from the others.
    fn reshaped(&self, graph: &mut Graph) -> Name {
        let unknown = self.value.shape.iter().filter(|dim| !matches!(dim, Dim::Known(_))).count();
        if unknown > 1 {
            return graph.shape(&self.value.shape);
        }
        let lengths = self.value.shape.iter().map(|dim| if let Dim::Known(length) = dim { *length as i64 } else { -1 });
        let lengths: Vec<i64> = lengths.collect();
        graph.ints(&lengths)
    }

    /// Products, sums and what else works along an axis.
    fn along_axis(&self, graph: &mut Graph, inputs: &[&str]) -> Result<Option<Name>> {
        let x = inputs[0];
        Ok(Some(match self.value.name {
            "matmul" => graph.op("MatMul", inputs),
            "matmul_transposed" => {
                let order = vec![AttributeProto::ints("perm", vec![1, 0])];
                let transposed = graph.op_with("Transpose", &[inputs[1]], order);
                graph.op("MatMul", &[x, &transposed])
            }
            "affine" => affine(graph, inputs),
            "sum" => graph.op_with("ReduceSum", &[x], vec![AttributeProto::int("keepdims", 0)]),
            "sum_axis" => {
                let axes = graph.ints(&[self.known("axis")? as i64]);
                graph.op_with("ReduceSum", &[x, &axes], vec![AttributeProto::int("keepdims", 0)])
            }
            "max_axis" => self.reduced(graph, "ReduceMax", x)?,
            "log_sum_exp" => self.reduced(graph, "ReduceLogSumExp", x)?,
            "softmax" => self.of_axis(graph, "Softmax", x)?,
            "log_softmax" => self.of_axis(graph, "LogSoftmax", x)?,
            "cumsum" => {
                let axis = graph.int(self.known("axis")? as i64);
                let reversed = self.value.setting("reversed") == Some(&Setting::Flag(true));
                graph.op_with("CumSum", &[x, &axis], vec![AttributeProto::int("reverse", i64::from(reversed))])
            }
            _ => return Ok(None),
        }))
    }

    fn of_axis(&self, graph: &mut Graph, kind: &str, x: &str) -> Result<Name> {
        Ok(graph.op_with(kind, &[x], vec![AttributeProto::int("axis", self.known("axis")? as i64)]))
    }

    fn reduced(&self, graph: &mut Graph, kind: &str, x: &str) -> Result<Name> {
        let axes = AttributeProto::ints("axes", vec![self.known("axis")? as i64]);
        Ok(graph.op_with(kind, &[x], vec![axes, AttributeProto::int("keepdims", 0)]))
    }
}

/// scale·x + shift.
fn scale_shift(graph: &mut Graph, x: &str, scale: f32, shift: f32) -> Name {
    if scale == -1.0 && shift != 0.0 {
        let shift = graph.scalar(shift);
        return graph.op("Sub", &[&shift, x]);
    }
    let scaled = match scale {
        1.0 => x.to_owned(),
        -1.0 => graph.op("Neg", &[x]),
        _ => {
            let scale = graph.scalar(scale);
            graph.op("Mul", &[x, &scale])
        }
    };
    if shift == 0.0 {
        return if scaled == x { graph.op("Identity", &[x]) } else { scaled };
    }
    let shift = graph.scalar(shift);
    graph.op("Add", &[&scaled, &shift])
}

/// x with an axis reversed.
pub(crate) fn flip(graph: &mut Graph, x: &str, axis: usize) -> Name {
    let [start, end, axes, step] = [-1, i64::MIN, axis as i64, -1].map(|value| graph.ints(&[value]));
    graph.op("Slice", &[x, &start, &end, &axes, &step])
}

/// Whether each element is 0.
fn is_zero(graph: &mut Graph, x: &str) -> Name {
    let zero = graph.scalar(0.0);
    graph.op("Equal", &[x, &zero])
}

/// Σ x_k·w_k + bias; inputs as those of the op.
fn affine(graph: &mut Graph, inputs: &[&str]) -> Name {
    let pairs = inputs.chunks_exact(2);
    let mut terms: Vec<Name> = pairs.clone().map(|pair| graph.op("MatMul", pair)).collect();
    terms.extend(pairs.remainder().iter().map(|&bias| bias.to_owned()));
    let mut terms = terms.into_iter();
    let first = terms.next().expect("there is a product");
    terms.fold(first, |sum, term| graph.op("Add", &[&sum, &term]))
}

/// The axes in their order, but for the last two.
fn last_two_swapped(rank: usize) -> Vec<i64> {
    let mut axes: Vec<i64> = (0..rank as i64).collect();
    axes.swap(rank - 2, rank - 1);
    axes
}

/// Whether an op outside of a loop computes a time step from other ones, so that padding would change what is before it.
pub(crate) fn mixes_time(value: &Value, shapes: &[&[Dim]]) -> bool {
    let of_time = |dim: &Dim| matches!(dim, Dim::Steps | Dim::StepsTimesBatch);
    if !shapes.iter().any(|shape| shape.iter().any(of_time)) {
        return false;
    }
    let axis = match value.setting("axis") {
        Some(Setting::Number(Dim::Known(axis))) => Some(*axis),
        _ => None,
    };
    match value.name {
        "sum" | "sum_to" => true,
        "matmul" | "matmul_transposed" | "affine" => shapes.iter().enumerate().any(|(k, shape)| match k % 2 {
            0 => shape.last().is_some_and(of_time),
            _ => shape.iter().any(of_time),
        }),
        // In the order of the elements, T·B is T of B: of other shapes the time steps are not in their order.
        "reshape" => {
            let leading = |shape: &[Dim]| match shape {
                [Dim::Steps, Dim::Batch, rest @ ..] | [Dim::StepsTimesBatch, rest @ ..] => !rest.iter().any(of_time),
                _ => false,
            };
            !leading(shapes[0]) || !leading(&value.shape)
        }
        "unsqueeze" | "stack" => false,
        _ => axis.is_some_and(|axis| shapes.iter().any(|shape| shape.get(axis).is_some_and(of_time))),
    }
}

/// Whether all elements are 0.
pub(crate) fn is_zeros(tensor: &Tensor<f32>) -> bool {
    tensor.to_vec().iter().all(|&x| x == 0.0)
}
