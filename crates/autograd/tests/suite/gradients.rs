//! Every row of the table: its value, its gradient, and the gradient of its gradient, in several layouts.

use std::collections::BTreeSet;
use std::path::Path;

use rewind_autograd::{Scalar, Tape, Tensor, Var};
use rewind_check as check;

use crate::naive::assert_close;
use crate::op_table::{Build, Row, rows};

/// The inputs of a row, contiguous and as views of larger tensors whose other numbers are NaN.
fn layouts<T: Scalar>(row: &Row) -> [(&'static str, Vec<Tensor<T>>); 2] {
    [
        ("contiguous", row.inputs.iter().map(|x| x.tensor()).collect()),
        ("strided", row.inputs.iter().map(|x| x.strided_tensor()).collect()),
    ]
}

fn value<T: Scalar>(build: Build<T>, inputs: &[Tensor<T>]) -> Tensor<T> {
    let tape = Tape::new();
    let vars: Vec<_> = inputs.iter().map(|x| tape.leaf(x.clone())).collect();
    build(&tape, &vars).value()
}

#[test]
fn values_are_those_of_plain_loops() {
    for row in rows() {
        let expected = (row.value)(&row.inputs);
        for (layout, inputs) in layouts(&row) {
            assert_close(&value(row.build, &inputs), &expected, 1e-13, &format!("{} {layout} f64", row.name()));
        }
        for (layout, inputs) in layouts(&row) {
            assert_close(&value(row.build_f32, &inputs), &expected, 2e-6, &format!("{} {layout} f32", row.name()));
        }
    }
}

#[test]
fn both_orders_agree_with_differences() {
    for row in rows() {
        for (layout, inputs) in layouts(&row) {
            let report = check::function(&inputs, row.build);
            let elements: usize = inputs.iter().map(Tensor::len).sum();
            assert_eq!(report.entries, 2 * elements, "{}: every entry at two orders", row.name());
            assert!(report.passed(), "{} {layout}: {report}", row.name());
        }
    }
}

#[test]
fn single_precision_gradients_are_those_of_double() {
    for row in rows() {
        let [(_, wide), _] = layouts::<f64>(&row);
        let [(_, narrow), _] = layouts::<f32>(&row);
        let (double, single) = (Tape::new(), Tape::new());
        let x: Vec<_> = wide.iter().map(|x| double.leaf(x.clone())).collect();
        let z: Vec<_> = narrow.iter().map(|x| single.leaf(x.clone())).collect();
        let exact = (row.build)(&double, &x).sum().backward();
        let rounded = (row.build_f32)(&single, &z).sum().backward();
        for (&x, &z) in x.iter().zip(&z) {
            let expected = crate::naive::Array::new(&x.shape(), exact.get(x).to_vec());
            assert_close(&rounded.get(z), &expected, 1e-5, &row.name());
        }
    }
}

/// The names that a tape gives the nodes of a row.
fn recorded_names(row: &Row) -> BTreeSet<String> {
    let tape = Tape::new();
    let vars: Vec<Var<'_, f64>> = row.inputs.iter().map(|x| tape.leaf(x.tensor())).collect();
    (row.build)(&tape, &vars);
    (0..tape.len()).map(|i| tape.node(i).name.to_owned()).collect()
}

fn ops_of_the_crate() -> BTreeSet<String> {
    rewind_autograd::ops::names().map(str::to_owned).collect()
}

/// The names in the `impl` blocks of a source text that are written by hand, not by a table of `ops!`.
fn by_hand(source: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut lines = source.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    while let Some(line) = lines.next() {
        let Some((_, op)) = line.split_once("Op<T> for ") else { continue };
        if op.starts_with('$') {
            continue; // the template of the tables
        }
        let name = lines.by_ref().take(4).find_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
        names.push(name.ok_or_else(|| format!("no name found for {op}"))?.to_owned());
    }
    Ok(names)
}

fn without_a_row(ops: &BTreeSet<String>, rows: &[Row]) -> Vec<String> {
    ops.iter().filter(|op| !rows.iter().any(|row| row.ops.contains(&op.as_str()))).cloned().collect()
}

#[test]
fn every_op_has_a_row() {
    let missing = without_a_row(&ops_of_the_crate(), &rows());
    assert!(missing.is_empty(), "ops without a row in op_table.rs: {missing:?}");
}

#[test]
fn every_row_records_the_ops_that_it_names() {
    let known = ops_of_the_crate();
    for row in rows() {
        let recorded = recorded_names(&row);
        for op in row.ops {
            assert!(recorded.contains(*op), "{} records no {op}: {recorded:?}", row.name());
            assert!(known.contains(*op), "{op} is recorded but not in the list of ops");
        }
        let unknown: Vec<_> = recorded.iter().filter(|op| !known.contains(*op)).collect();
        assert!(
            unknown.iter().all(|op| ["leaf", "constant"].contains(&op.as_str())),
            "not in the list of ops: {unknown:?}"
        );
    }
}

#[test]
fn an_op_without_a_row_is_noticed() {
    let ops = ops_of_the_crate();
    for op in &ops {
        let rest: Vec<_> = rows().into_iter().filter(|row| !row.ops.contains(&op.as_str())).collect();
        assert!(without_a_row(&ops, &rest).contains(op), "{op} would not be missed");
    }
    assert_eq!(rewind_autograd::ops::names().count(), ops.len(), "a name stands twice in the list of ops");
}

/// A table writes its names into the list by itself. Somebody has to write those of an `impl` block.
#[test]
fn an_op_written_by_hand_is_in_the_list_of_ops() {
    let known = ops_of_the_crate();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops");
    let mut found = 0;
    for entry in std::fs::read_dir(&folder).expect("the sources of the ops") {
        let path = entry.expect("an entry of the folder").path();
        let source = std::fs::read_to_string(&path).expect("a readable source");
        for name in by_hand(&source).unwrap_or_else(|why| panic!("{}: {why}", path.display())) {
            assert!(known.contains(&name), "{}: {name} is not in `BY_HAND` of ops/mod.rs", path.display());
            found += 1;
        }
    }
    assert!(found >= 5, "only {found} found: is this still how they are written?");

    let block = "impl<T: Scalar> Op<T> for Cube {\n    fn name(&self) -> &'static str {\n        \"cube\"\n    }\n}\n";
    assert_eq!(by_hand(block), Ok(vec!["cube".to_owned()]));
    assert!(by_hand("impl<T: Scalar> Op<T> for Nameless {\n}\n").is_err());
}
