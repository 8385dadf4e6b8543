"use strict";

// Where the elements of the unrolled network are: x below, the memory and h in the middle, y and E above, a column a step.
const Layout = (() => {
    const ROOMY_STEPS = 8;
    // The width of the picture by its height, so that few steps fill a slide.
    const ASPECT = 2.5;
    const MOST_STEPS = 64;

    /** Gates that guard the way from one step to the next, as the forget gate of an LSTM does. */
    const KEEPERS = ["f", "z"];
    const OUTPUTS = ["o"];

    /** The layout of a whole network, or of one rolled up into a single column. */
    function of(model, rolled = false) {
        const { network, gates } = model;
        const steps = rolled ? 1 : network.xs.length;
        const roomy = steps <= ROOMY_STEPS;
        const radius = roomy ? 22 : 9.5;
        const left = roomy ? 74 : 54;
        const parts = network.parts.length;
        const below = gates.some(({ name }) => !KEEPERS.includes(name) && !OUTPUTS.includes(name));
        const rows = roomy
            ? { E: 32, y: 104, h: 182, part: 86, x: below ? 98 : 84 }
            : { E: 20, y: 58, h: 102, part: 84, x: below ? 76 : 56 };
        const memory = rows.h + rows.part * (parts - 1);
        const height = memory + rows.x + radius + (roomy ? 16 : 30);
        const pitch = roomy
            ? Math.max(118, (ASPECT * height - left) / (steps + 0.15))
            : Math.max(31, Math.min(60, 880 / steps));
        return {
            roomy,
            pitch,
            radius,
            steps,
            rolled,
            // A number of four digits and a power of ten fits beside the last column.
            width: left + pitch * (steps - (roomy ? 0.1 : 0)) + (roomy ? 112 : 24),
            height,
            x: (t) => (rolled ? (ASPECT * height) / 2 : left + pitch * (t + (roomy ? 0.9 : 1))),
            E: rows.E,
            y: rows.y,
            state: (part) => rows.h + rows.part * part,
            input: memory + rows.x,
            // The letters at the arrows make room for the gates on them.
            weightAt: gates.some(({ name }) => KEEPERS.includes(name)) ? 0.4 : 0.5,
            besideInput: below ? [22, 25] : [17, 0],
        };
    }

    const place = (layout, key) => {
        const [kind, first, second] = key.split(":");
        if (kind === "s") return [layout.x(Number(second)), layout.state(Number(first))];
        const t = Number(first);
        return [layout.x(t), { x: layout.input, y: layout.y, E: layout.E }[kind]];
    };

    /** The centre of a gate: on the way from the step before, out of the memory, or below. */
    function gatePlace(layout, model, name, t) {
        const parts = model.network.parts.length;
        const memory = layout.state(parts - 1);
        if (KEEPERS.includes(name)) {
            return layout.roomy ? [layout.x(t) - layout.radius - 38, memory] : [layout.x(t) - layout.pitch / 2, memory + 14];
        }
        if (OUTPUTS.includes(name)) {
            const top = layout.state(0);
            return [layout.x(t), parts > 1 ? (top + memory) / 2 : top - layout.radius - 14];
        }
        const row = model.gates
            .map((gate) => gate.name)
            .filter((other) => !KEEPERS.includes(other) && !OUTPUTS.includes(other));
        const step = layout.roomy ? 42 : 14;
        const offset = (row.indexOf(name) - (row.length - 1) / 2) * step;
        return [layout.x(t) + offset, (memory + layout.input) / 2 + (layout.roomy ? -2 : 4)];
    }

    /** The arrows of the network; those that come from another step lead back into the one column of a rolled network. */
    const edges = (model, layout) =>
        model.edges.map((edge) => {
            const [kind, part] = edge.from.split(":");
            const from = layout.rolled ? (kind === "s" ? `s:${part}:${edge.t}` : `${kind}:${edge.t}`) : edge.from;
            return { ...edge, from, loop: layout.rolled && edge.lag !== 0 };
        });

    return { of, place, gatePlace, edges, MOST_STEPS };
})();
