//! Where a node was recorded: its time step and gate, and the file.

/// The time step and the gate of a scope: `cell/t=2/f`.
pub(crate) fn place(scope: &str) -> (Option<usize>, &str) {
    let mut rest = scope;
    let (mut step, mut gate) = (None, "");
    while !rest.is_empty() {
        let (level, after) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some(number) = level.strip_prefix("t=").and_then(|number| number.parse().ok()) {
            (step, gate) = (Some(number), after);
        }
        rest = after;
    }
    (step, gate)
}

/// A path from its crate on: that of a crate from a registry starts at the root of the file system.
pub(crate) fn short_path(path: &str) -> &str {
    let is_absolute = path.starts_with('/') || path.get(1..3) == Some(":\\");
    let Some(source) = path.rfind("/src/").or_else(|| path.rfind("\\src\\")).filter(|_| is_absolute) else {
        return path;
    };
    let before = path[..source].rfind(['/', '\\']).map_or(0, |at| at + 1);
    &path[before..]
}

#[cfg(test)]
mod tests {
    use super::{place, short_path};

    #[test]
    fn a_scope_says_step_and_gate() {
        assert_eq!(place("cell/t=12/f"), (Some(12), "f"));
        assert_eq!(place("cell.inner/t=0"), (Some(0), ""));
        assert_eq!(place("t=3/r/2 of 4"), (Some(3), "r/2 of 4"));
        assert_eq!(place("cell.weight_hh"), (None, ""));
        assert_eq!(place("t=x/f"), (None, ""));
    }

    #[test]
    fn a_path_starts_at_its_crate() {
        assert_eq!(short_path("crates/rnn/src/cells/lstm.rs"), "crates/rnn/src/cells/lstm.rs");
        assert_eq!(
            short_path("/home/me/registry/rewind-rnn-0.1.0/src/cells/lstm.rs"),
            "rewind-rnn-0.1.0/src/cells/lstm.rs"
        );
        assert_eq!(short_path("/home/me/my_cell.rs"), "/home/me/my_cell.rs");
        assert_eq!(short_path(r"C:\me\cells\src\lib.rs"), r"cells\src\lib.rs");
    }
}
