//! The tensors of a file by the module and the layer that PyTorch's names put them in: reading each layer of a stack looks for the
//! parameters that it should not have, and would walk all names each time.

use std::collections::BTreeSet;
use std::ops::Range;

use super::file::PARAMETERS;
use crate::data::file::TensorInfo;

/// Made once for a file, in O(n log n) comparisons of its n names.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// The places of all tensors, ordered by module and layer.
    order: Vec<usize>,
    /// The names of the modules that have a parameter of a recurrent network, in their order. Empty for one that was saved alone.
    networks: Vec<String>,
}

impl Index {
    pub(crate) fn new(tensors: &[TensorInfo]) -> Index {
        let mut order: Vec<_> = (0..tensors.len()).collect();
        order.sort_by(|&a, &b| key(&tensors[a].name).cmp(&key(&tensors[b].name)));
        let network = |info: &TensorInfo| {
            let (module, parameter) = info.name.rsplit_once('.').unwrap_or(("", &info.name));
            PARAMETERS.iter().any(|known| parameter.starts_with(known)).then(|| module.to_owned())
        };
        let networks = tensors.iter().filter_map(network).collect::<BTreeSet<_>>().into_iter().collect();
        Index { order, networks }
    }

    /// The names of all networks, in their order.
    pub(super) fn networks(&self) -> &[String] {
        &self.networks
    }

    /// The places of the tensors of a module, or of one layer in it: with the ending `_l3` or `_l3_reverse` of its parameters.
    pub(super) fn places(&self, tensors: &[TensorInfo], module: &str, layer: Option<&str>) -> &[usize] {
        let module = (!module.is_empty()).then_some(module);
        let found = |at: &usize| {
            let (of, ending) = key(&tensors[*at].name);
            (of, layer.map(|_| ending))
        };
        let Range { start, end } = self.order.partition_point(|at| found(at) < (module, layer))
            ..self.order.partition_point(|at| found(at) <= (module, layer));
        &self.order[start..end]
    }
}

/// The module of a tensor, none for one without a `.`, and the ending of its name that tells its layer, empty if there is none.
fn key(name: &str) -> (Option<&str>, &str) {
    let (module, own) = name.rsplit_once('.').map_or((None, name), |(module, own)| (Some(module), own));
    let forward = own.strip_suffix("_reverse").unwrap_or(own);
    let layer = forward.rfind("_l").filter(|at| {
        let number = &forward[at + 2..];
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    (module, layer.map_or("", |at| &own[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch::LayerName;

    fn tensors(mut names: Vec<String>) -> Vec<TensorInfo> {
        names.sort();
        names.into_iter().map(|name| TensorInfo { name, shape: vec![], dtype: "f32".to_owned() }).collect()
    }

    /// The names of a layer's tensors, by the index and by a walk over all names.
    fn both<'a>(tensors: &'a [TensorInfo], index: &Index, name: &LayerName) -> [Vec<&'a str>; 2] {
        let covers = name.covers();
        let found = name.places(index, tensors).iter().map(|&at| tensors[at].name.as_str());
        let mut found: Vec<_> = found.filter(|name| covers(name)).collect();
        found.sort_unstable();
        let walked = tensors.iter().map(|info| info.name.as_str());
        [found, walked.filter(|name| covers(name)).collect()]
    }

    #[test]
    fn a_layer_has_the_tensors_that_a_walk_finds() {
        let modules = ["", "a.", "a.b.", "a.b..", ".", "_l1."];
        let owns =
            ["w_l0", "w_l1", "w_l01", "w_l1_reverse", "w_l1_l0", "w_reverse", "_l0", "_l", "w_l10", "w", "", "_l1x"];
        let all = modules.iter().flat_map(|module| owns.iter().map(move |own| format!("{module}{own}")));
        let (tensors, mut found) = (tensors(all.collect()), 0);
        let index = Index::new(&tensors);
        for module in ["", "a", "a.b", "a.b.", "b", "_l1"] {
            for layer in [0, 1, 10, 7] {
                let forward = LayerName::new(module, layer);
                for name in
                    [forward.clone(), forward.reverse(), LayerName::cell(module), LayerName::cell(module).reverse()]
                {
                    let [indexed, walked] = both(&tensors, &index, &name);
                    assert_eq!(indexed, walked, "{name:?}");
                    found += indexed.len();
                }
            }
        }
        assert!(found > 100, "{found}");
    }

    /// All layers together look at each tensor once, however many there are.
    #[test]
    fn the_work_of_all_layers_is_the_number_of_tensors() {
        const LAYERS: usize = 5000;
        let parameters = |layer| PARAMETERS.map(|parameter| format!("net.{parameter}_l{layer}"));
        let others = (0..LAYERS).map(|k| format!("head.{k}.weight"));
        let tensors = tensors((0..LAYERS).flat_map(parameters).chain(others).collect());
        let index = Index::new(&tensors);
        let looked_at = (0..LAYERS).map(|layer| LayerName::new("net", layer).places(&index, &tensors).len());
        assert_eq!(looked_at.sum::<usize>(), PARAMETERS.len() * LAYERS);
        assert_eq!(index.networks(), ["net"]);
    }
}
