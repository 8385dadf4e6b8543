//! The networks of the table, and what the paper says of their order.

use rewind_examples::CellKind;

use crate::arguments::MAX_HIDDEN;
use crate::model::Design;

/// Places in the table.
const TANH: usize = 0;
const WIDE: usize = 2;
const ONE_WAY: usize = 3;
const DEEP: usize = 4;

/// Two networks: in the paper the first one has the lower error rate.
pub(crate) struct Ordering {
    pub(crate) name: &'static str,
    pub(crate) better: usize,
    pub(crate) worse: usize,
}

/// The orderings of the paper that concern cells, layers and directions.
pub(crate) const ORDERINGS: [Ordering; 3] = [
    Ordering { name: "one LSTM layer before three tanh layers", better: WIDE, worse: TANH },
    Ordering { name: "three layers before one", better: DEEP, worse: WIDE },
    Ordering { name: "both directions before one", better: DEEP, worse: ONE_WAY },
];

/// A network of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// As in the paper: layers, units of a cell, and what is unusual.
    pub(crate) name: String,
    pub(crate) design: Design,
}

/// The networks in the order of the paper. The last one has the cells, units and layers of `design`; the second is one layer of it, and
/// the others are made as large as the last.
pub(crate) fn networks(design: Design) -> [Entry; 5] {
    let equal = |other: Design| of_size(other, design.parameters());
    [
        equal(Design { cell: CellKind::Tanh, ..design }),
        Design { layers: 1, ..design },
        equal(Design { layers: 1, ..design }),
        equal(Design { one_way: true, ..design }),
        design,
    ]
    .map(|design| Entry { name: name(design), design })
}

fn name(Design { cell, layers, hidden, one_way, .. }: Design) -> String {
    let cell = if cell == CellKind::Lstm { String::new() } else { format!("-{}", cell.name()) };
    format!("{layers}l-{hidden}h{cell}{}", if one_way { "-uni" } else { "" })
}

/// The design with the units that bring it closest to a number of parameters. A single layer is the widest, 2.5 times as wide as three.
fn of_size(design: Design, parameters: usize) -> Design {
    let widths = (1..=4 * MAX_HIDDEN as usize).map(|hidden| Design { hidden, ..design });
    widths.min_by_key(|design| design.parameters().abs_diff(parameters)).unwrap_or(design)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rewind_autograd::OnTape;

    use super::*;
    use crate::model::Network;

    fn table(hidden: usize) -> [Entry; 5] {
        networks(Design { cell: CellKind::Lstm, layers: 3, hidden, one_way: false, dropout: 0.1, gain: 1.0 })
    }

    #[test]
    fn networks_are_of_equal_size_where_they_are_compared() {
        for hidden in [32, 64, 96] {
            let entries = table(hidden);
            let sizes =
                entries.map(|entry| Network::new(entry.design, &mut StdRng::seed_from_u64(1)).parameter_count() as f64);
            for Ordering { name, better, worse } in ORDERINGS {
                let apart = (sizes[better] / sizes[worse] - 1.0).abs();
                assert!(apart < 0.03, "{name}, {hidden} units: {sizes:?}");
            }
            assert!(sizes[1] < 0.6 * sizes[4], "{sizes:?}");
        }
    }

    #[test]
    fn the_designs_are_those_of_the_paper() {
        let entries = table(250);
        let of = |entry: &Entry| (entry.design.cell, entry.design.layers, entry.design.one_way);
        use CellKind::{Lstm, Tanh};
        let expected = [(Tanh, 3, false), (Lstm, 1, false), (Lstm, 1, false), (Lstm, 3, true), (Lstm, 3, false)];
        assert_eq!(entries.each_ref().map(of), expected);
        // Table 1 has 3l-500h-tanh, 1l-250h, 1l-622h, 3l-421h-uni and 3l-250h, with peepholes and 62 classes.
        let names = entries.each_ref().map(|entry| &*entry.name);
        assert_eq!(names, ["3l-507h-tanh", "1l-250h", "1l-623h", "3l-421h-uni", "3l-250h"]);
    }
}
