"use strict";

// The ops of one time step as a graph: inputs below, results above, as in the network.
const Graph = (() => {
    const { svg, svgMath, setAttribute } = Dom;
    const BOX = { width: 70, narrow: 42, height: 22, gapX: 8, gapY: 15, letter: 6.6, gate: 7.8 };

    /** Draws the ops of a group of nodes; returns { svg, show(k, at, current) }. */
    function draw(model, group) {
        const own = model.group(group).filter((id) => model.network.nodes[id].inputs.length);
        const boxes = arrange(model, own);
        const width = Math.max(...boxes.map((box) => box.x + box.width / 2)) + 14;
        const top = Math.min(...boxes.map(({ y }) => y)) - BOX.height;
        const height = -top + BOX.height + 8;
        const root = svg("svg", {
            class: "graph",
            viewBox: `0 ${top} ${width} ${height}`,
            role: "img",
            "aria-label": describe(group),
            width,
            height,
        });
        const byId = new Map(boxes.filter(({ id }) => own.includes(id)).map((box) => [box.id, box]));
        const wires = [];
        for (const box of byId.values()) {
            model.network.nodes[box.id].inputs.forEach((to, input) => {
                const from = boxes.find((other) => other.id === to && (other.user === undefined || other.user === box.id));
                if (!from) return;
                const wire = svg("path", { class: "wire", d: curve(from, box) });
                wires.push({ element: wire, user: box.id, input });
                root.append(wire);
            });
        }
        const shapes = boxes.map((box) => ({ ...box, element: boxOf(model, box) }));
        root.append(...shapes.map(({ element }) => element));
        return { svg: root, show: (k, at) => show(model, shapes, wires, k, at) };
    }

    function describe(group) {
        const [kind, t] = group.split(":");
        return Texts.t(`graph.${kind}`, { t });
    }

    /** Boxes in rows: an op one row above the highest of its inputs; what comes from outside just below its first user. */
    function arrange(model, own) {
        const { nodes } = model.network;
        const inside = new Set(own);
        const row = new Map();
        for (const id of own) {
            row.set(
                id,
                1 + Math.max(0, ...nodes[id].inputs.filter((input) => inside.has(input)).map((input) => row.get(input))),
            );
        }
        const wide = (text, least, more) => Math.max(least, text.length * BOX.letter + more);
        const boxes = own.map((id) => {
            const { op, gate } = nodes[id];
            return { id, row: row.get(id), width: wide(op, BOX.width, gate ? 22 + gate.length * BOX.gate : 12) };
        });
        const seen = new Set();
        for (const id of own) {
            for (const input of nodes[id].inputs) {
                if (inside.has(input) || seen.has(`${input}:${id}`)) continue;
                seen.add(`${input}:${id}`);
                boxes.push({ id: input, user: id, row: row.get(id) - 1, width: BOX.narrow });
            }
        }
        const rows = [];
        for (const box of boxes) (rows[box.row] ??= []).push(box);
        const lengthOf = (list) => list.reduce((sum, { width }) => sum + width + BOX.gapX, 0);
        const full = Math.max(...rows.filter(Boolean).map(lengthOf));
        rows.forEach((list, index) => {
            if (index > 0) list.sort((a, b) => mean(nodes, rows, a) - mean(nodes, rows, b));
            const room = (full - lengthOf(list)) / list.length;
            let x = 14;
            list.forEach((box) => {
                box.x = x + (box.width + BOX.gapX + room) / 2;
                x += box.width + BOX.gapX + room;
                box.y = -index * (BOX.height + BOX.gapY);
            });
        });
        return boxes;
    }

    /** The mean place of a box's inputs, which are in rows placed before. */
    function mean(nodes, rows, box) {
        if (box.user !== undefined) {
            return (
                rows.flat().filter((other) => other.x !== undefined && nodes[box.user].inputs.includes(other.id))[0]?.x ?? 1e6
            );
        }
        const places = rows
            .flat()
            .filter(
                (other) =>
                    other.x !== undefined && nodes[box.id].inputs.includes(other.id) && (other.user ?? box.id) === box.id,
            );
        return places.reduce((sum, { x }) => sum + x, 0) / (places.length || 1);
    }

    function curve(from, to) {
        const [start, end] = [from.y - BOX.height / 2, to.y + BOX.height / 2];
        const bend = (start - end) / 2;
        return `M${from.x.toFixed(1)} ${start}C${from.x.toFixed(1)} ${start - bend} ${to.x.toFixed(1)} ${end + bend} ${to.x.toFixed(1)} ${end}`;
    }

    function boxOf(model, box) {
        const node = model.network.nodes[box.id];
        const outside = box.user !== undefined;
        const label = Model.label(model, box.id);
        const named = outside || model.elements.has(box.id);
        const group = svg("g", { class: `box ${outside ? "outside" : "op"}` });
        group.append(
            svg("rect", {
                class: "shape",
                x: box.x - box.width / 2,
                y: box.y - BOX.height / 2,
                width: box.width,
                height: BOX.height,
                rx: outside ? 11 : 5,
            }),
        );
        const gated = node.gate && !outside;
        const text = svg("text", { x: box.x + (gated ? 3 + (node.gate.length * BOX.gate) / 2 : 0), y: box.y + 4.5 });
        text.append(...(outside ? svgMath(label === "constant" ? "const" : shorten(label, 6)) : [node.op]));
        group.append(text);
        if (gated) {
            const x = box.x - box.width / 2 + 6 + (node.gate.length * BOX.gate) / 2;
            group.append(svg("text", { class: "gate-name var", x, y: box.y + 4 }, node.gate));
        }
        if (named && !outside) {
            group.append(svg("text", { class: "result", x: box.x - box.width / 2 - 4, y: box.y - 6 }, svgMath(label)));
        }
        return group;
    }

    const shorten = (text, most) => (text.length > most && !text.includes("_{") ? `${text.slice(0, most - 1)}…` : text);

    function show(model, shapes, wires, k, at) {
        const events = model.sweeps[k] ?? [];
        const index = new Map();
        for (let e = 0; e <= at; e++) index.set(events[e].node, e);
        const current = events[at];
        const gate = current ? model.network.nodes[current.node].gate : "";
        for (const { id, user, element } of shapes) {
            const here = current && id === current.node && user === undefined;
            const own = index.get(id);
            setAttribute(
                element,
                "data-level",
                user === undefined && own !== undefined ? Colour.level(events[own].arrives.norm) : null,
            );
            setAttribute(element, "data-here", here ? "at" : null);
            setAttribute(element, "data-mate", gate && user === undefined && model.network.nodes[id].gate === gate ? "" : null);
            setAttribute(
                element,
                "data-fault",
                model.network.check?.passed === false && model.network.check.node === id ? "" : null,
            );
        }
        for (const { element, user, input } of wires) {
            const event = index.has(user) ? events[index.get(user)] : null;
            const leaf = event?.leaves.find((term) => term.input === input);
            setAttribute(element, "data-level", leaf ? Colour.level(leaf.tensor.norm) : null);
            setAttribute(element, "data-here", leaf && event === current ? "at" : null);
        }
    }

    return { draw };
})();
