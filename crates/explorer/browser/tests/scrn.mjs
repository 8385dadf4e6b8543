// The data of a cell that no program here has: the structurally constrained recurrent network (Mikolov et al. 2015), in which
// s_t = s_(t-1) + x_t·B and h_t = σ(s_t·P + x_t·A + h_(t-1)·R). Every norm is 1: only the graph is of interest.
const STEPS = 3;
const NAMES = ["cell.b", "cell.p", "cell.a", "cell.r", "readout.weight"];
const [B, P, A, R, V] = NAMES.keys();
const one = { shape: [1, 1], norm: 1, values: [1] };

/** A page's data with this network alone. */
export function scrn() {
    const nodes = [];
    const add = (op, step, inputs = [], name = "") =>
        nodes.push({ op, step, scope: "", gate: "", name, inputs, value: one, rule: null, file: 0, line: 1, column: 1 }) - 1;
    NAMES.forEach((name) => add("leaf", null, [], name));
    const first = [add("leaf", null), add("leaf", null)];
    const [xs, ys, losses, states] = [[], [], [], [[], []]];
    let [h, s] = first;
    for (let t = 0; t < STEPS; t++) {
        xs.push(add("leaf", t));
        s = add("add", t, [add("matmul", t, [xs[t], B]), s]);
        const sum = add("add", t, [add("matmul", t, [s, P]), add("matmul", t, [xs[t], A])]);
        h = add("sigmoid", t, [add("add", t, [sum, add("matmul", t, [h, R])])]);
        states[0].push(h);
        states[1].push(s);
        ys.push(add("matmul", t, [h, V]));
        losses.push({ name: `E_${t}`, step: t, node: add("sum", t, [add("square", t, [ys[t]])]), value: 1 });
    }
    const steps = [...xs.keys()];
    const network = {
        id: "scrn",
        title: "SCRN",
        hidden: 1,
        equations: [],
        parts: ["h", "s"],
        ...{ states, first, xs, ys, losses, nodes, total: STEPS, rules: [], files: ["scrn.rs"] },
        parameters: NAMES.map((name, node) => {
            const items = losses.map(({ step: last }) => steps.map((t) => (t === last || (t < last && node !== V) ? one : null)));
            return { name, letter: "", node, shape: [1, 1], gates: [], gradient: one, residual: 0, steps, items };
        }),
        sweeps: losses.map(({ node }, loss) => ({ loss, events: sweep(nodes, node) })),
        flow: { parts: [], growth: [], radius: null, gates: [] },
        jacobians: [],
        influence: [],
        check: null,
    };
    const inputs = steps.map(() => [1]);
    const scene = { id: "own", title: "SCRN", steps: STEPS, inputs, targets: inputs, settings: null, networks: [network] };
    return { version: 1, served: false, bounds: null, scenes: [scene], cliff: null };
}

/** The ops below a loss, last first, each of which sends 1 to every input. */
function sweep(nodes, root) {
    const reached = new Set([root]);
    for (let id = root; id >= 0; id--) if (reached.has(id)) nodes[id].inputs.forEach((input) => reached.add(input));
    return [...reached]
        .sort((a, b) => b - a)
        .map((node) => ({
            node,
            arrives: one,
            leaves: nodes[node].inputs.map((to, input) => ({ input, to, tensor: one })),
            terms: nodes[node].inputs
                .filter((input) => input < NAMES.length)
                .map((parameter) => ({ parameter, step: nodes[node].step, after: 1 })),
        }));
}
