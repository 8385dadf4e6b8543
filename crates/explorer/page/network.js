"use strict";

// The unrolled network as one SVG: built once, then only attributes change as the gradient passes.
const Network = (() => {
    const { svg, svgMath } = Dom;
    // How far the loops of a rolled network reach.
    const LOOP = 150;

    /** Draws a network; returns { svg, elements by key, layout, the texts of the norms }. */
    function draw(model, layout = Layout.of(model), first = 0) {
        const { network } = model;
        const title = svg(
            "title",
            { id: "network-title" },
            Texts.t("network.title", { name: Texts.of(network.title), steps: network.xs.length }),
        );
        const desc = svg("desc", { id: "network-desc" }, describe(model));
        const root = svg("svg", {
            class: `network ${layout.roomy ? "roomy" : "compact"}`,
            viewBox: `0 0 ${layout.width.toFixed(0)} ${layout.height.toFixed(0)}`,
            role: "img",
            "aria-labelledby": "network-title network-desc",
        });
        root.append(title, desc);
        const elements = new Map();
        const layers = ["bands", "arrows", "nodes", "gates", "weights"].map((name) => svg("g", { class: name }));
        const [bands, arrows, nodes, gates, weights] = layers;
        const put = (layer, key, element) => {
            elements.set(key, element);
            layer.append(element);
        };
        for (let t = 0; t < layout.steps; t++) put(bands, `band:${t}`, band(layout, t));
        const keys = nodeKeys(model, layout);
        const places = keys.map((key) => Layout.place(layout, key));
        for (const plain of Layout.edges(model, layout)) {
            const edge = { ...plain, bow: plain.loop ? null : bow(layout, plain, places) };
            put(arrows, edge.key, arrow(layout, edge));
            [...edge.labels].forEach((tag, k) => {
                const key = `w:${tag}:${edge.t}`;
                if (!elements.has(key)) put(weights, key, weight(model, layout, edge, tag, k));
            });
        }
        for (const key of keys) put(nodes, key, node(model, layout, key, first));
        for (const gate of model.gates) {
            for (let t = 0; t < layout.steps; t++) put(gates, `g:${gate.name}:${t}`, gateSign(model, layout, gate, t, first));
        }
        root.append(...layers, ...rowLabels(model, layout));
        const norms = new Map([...elements].map(([key, element]) => [key, element.querySelector(".norm")]));
        return { svg: root, elements, norms, layout };
    }

    function nodeKeys(model, layout) {
        const { network } = model;
        const keys = [];
        for (let t = layout.rolled ? 0 : -1; t < layout.steps; t++) {
            network.parts.forEach((_, part) => keys.push(`s:${part}:${t}`));
        }
        for (let t = 0; t < layout.steps; t++) {
            keys.push(`x:${t}`);
            if (network.ys[t] !== null) keys.push(`y:${t}`);
            if (network.losses.some(({ step }) => step === t)) keys.push(`E:${t}`);
        }
        return keys;
    }

    function band(layout, t) {
        const width = layout.roomy ? Math.min(layout.pitch - 8, 200) : layout.pitch - 3;
        return svg("rect", {
            class: "band",
            x: layout.x(t) - width / 2,
            y: 4,
            width,
            height: layout.height - 8,
            rx: layout.roomy ? 14 : 6,
        });
    }

    function node(model, layout, key, first) {
        const [kind, a, b] = key.split(":");
        const [x, y] = Layout.place(layout, key);
        const t = Number(kind === "s" ? b : a);
        const r = kind === "x" ? layout.radius * 0.82 : layout.radius;
        const shape =
            kind === "E"
                ? svg("rect", { class: "shape", x: x - r, y: y - r, width: 2 * r, height: 2 * r, rx: layout.roomy ? 7 : 4 })
                : svg("circle", { class: "shape", cx: x, cy: y, r });
        const ring =
            kind === "E"
                ? svg("rect", {
                      class: "ring",
                      x: x - r - 5,
                      y: y - r - 5,
                      width: 2 * r + 10,
                      height: 2 * r + 10,
                      rx: layout.roomy ? 11 : 7,
                  })
                : svg("circle", { class: "ring", cx: x, cy: y, r: r + 5 });
        const letter = kind === "s" ? Model.partLetter(model.network, a) : kind;
        const group = svg("g", { class: `node ${kind}`, "data-key": key }, ring, shape);
        if (layout.roomy) {
            group.append(svg("text", { class: "name", x, y: y + 5.5 }, svgMath(`${letter}_{${t + first}}`)));
            group.append(svg("text", { class: "norm", x: x + r + 8, y: y - r * 0.62 }, ""));
        } else if (kind === "x" && (t % tickEvery(layout) === 0 || t === layout.steps - 1)) {
            group.append(svg("text", { class: "tick", x, y: y + r + 15 }, String(t + first)));
        }
        return group;
    }

    const tickEvery = (layout) => (layout.steps > 40 ? 4 : layout.steps > 12 ? 2 : 1);

    /** A line with two heads: the thin one is the data's, the coloured one the gradient's, which runs back. */
    function arrow(layout, edge) {
        const head = layout.roomy ? 6 : 3;
        const { start, end, leaving, entering, curve } = route(layout, edge);
        const d = `M${start.map(round)}${curve}${end.map(round)}`;
        return svg(
            "g",
            { class: "arrow", "data-key": edge.key },
            svg("path", { class: "wire", d }),
            svg("path", { class: "tip", d: triangle(end, entering, head) }),
            svg("path", { class: "halo", d }),
            svg("path", { class: "flow", d: `M${towards(start, leaving, head).map(round)}${curve}${end.map(round)}` }),
            svg("path", { class: "flow-tip", d: triangle(start, leaving, head * 1.75) }),
        );
    }

    /** The point that an arrow bends towards so as to pass the elements that are on the straight way; null if there are none. */
    function bow(layout, edge, places) {
        const [from, to] = [Layout.place(layout, edge.from), Layout.place(layout, edge.to)];
        const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        const length = Math.hypot(dx, dy);
        const blocks = places.some(([x, y]) => {
            const along = ((x - from[0]) * dx + (y - from[1]) * dy) / length;
            const beside = Math.abs((x - from[0]) * dy - (y - from[1]) * dx) / length;
            return along > 1 && along < length - 1 && beside < layout.radius;
        });
        const reach = 3.4 * layout.radius;
        return blocks ? [(from[0] + to[0]) / 2 + (reach * dy) / length, (from[1] + to[1]) / 2 - (reach * dx) / length] : null;
    }

    /** Start and end of an arrow, the points that it leaves for and comes from, and the command between them. */
    function route(layout, edge) {
        const [from, to] = [Layout.place(layout, edge.from), Layout.place(layout, edge.to)];
        const gap = layout.radius + (layout.roomy ? 4 : 2.5);
        const further = gap + (layout.roomy ? 3 : 1);
        if (edge.bow) {
            const [start, end] = [towards(from, edge.bow, gap), towards(to, edge.bow, further)];
            return { start, end, leaving: edge.bow, entering: edge.bow, curve: `Q${edge.bow.map(round)} ` };
        }
        if (!edge.loop) {
            const [start, end] = [towards(from, to, gap), towards(to, from, further)];
            return { start, end, leaving: end, entering: start, curve: "L" };
        }
        // Back into its own row on the left; from one row into another on the right.
        const level = from[1] === to[1];
        const [reach, rise] = level ? [-LOOP, LOOP * 0.5] : [LOOP * 0.85, 0];
        const [leaving, entering] = [
            [from[0] + reach, from[1] - rise],
            [to[0] + reach, to[1] + rise],
        ];
        const [start, end] = [towards(from, leaving, gap), towards(to, entering, further)];
        return { start, end, leaving, entering, curve: `C${[...leaving, ...entering].map(round)} ` };
    }

    const round = (value) => Number(value.toFixed(2));

    function towards([x, y], [toX, toY], distance) {
        const length = Math.hypot(toX - x, toY - y) || 1;
        return [x + ((toX - x) * distance) / length, y + ((toY - y) * distance) / length];
    }

    /** A triangle whose tip is at `tip`, pointing away from `from`. */
    function triangle(tip, from, size) {
        const [baseX, baseY] = towards(tip, from, size * 1.3);
        const [dx, dy] = [(tip[1] - baseY) / 1.3, (baseX - tip[0]) / 1.3].map((value) => value * 0.72);
        return `M${[tip[0], tip[1], baseX + dx, baseY + dy, baseX - dx, baseY - dy].map(round).join(" ")}Z`;
    }

    /** The letter of a weight at its arrow, or its name: filled once its term of this step is made. */
    function weight(model, layout, edge, tag, k) {
        const group = svg("g", { class: "weight", "data-key": `w:${tag}:${edge.t}` });
        if (!layout.roomy) return group;
        const parameter = model.network.parameters.find((own) => Model.tagOf(own) === tag);
        const [letter, name] = [parameter.letter, Model.letterOf(parameter)];
        const width = letter || name.length === 1 ? 22 : 10 + 7.2 * name.length;
        const [centre, y] = weightPlace(layout, edge);
        const x = centre + k * (width + 3);
        group.append(svg("rect", { class: "shape", x: x - width / 2, y: y - 11, width, height: 22, rx: 11 }));
        group.append(svg("text", { x, y: y + 4.5, class: "var" }, letter || name));
        return group;
    }

    function weightPlace(layout, edge) {
        const [from, to] = [Layout.place(layout, edge.from), Layout.place(layout, edge.to)];
        const level = from[1] === to[1];
        if (edge.loop) return [from[0] + LOOP * (level ? -0.78 : 0.66), (from[1] + to[1]) / 2];
        if (edge.bow) return [0, 1].map((axis) => (from[axis] + to[axis]) / 4 + edge.bow[axis] / 2);
        const upright = from[0] === to[0];
        const share = upright ? 0.5 : level ? layout.weightAt : 0.36;
        const side = upright ? (edge.from.startsWith("x") ? layout.besideInput : [17, 0]) : [0, level ? 19 : 0];
        return [0, 1].map((axis) => from[axis] + (to[axis] - from[axis]) * share + side[axis]);
    }

    /** Graves' signs: ○ for an open gate, – for a shut one, by its mean value; a candidate has neither. */
    function gateSign(model, layout, gate, t, first) {
        const [x, y] = Layout.gatePlace(layout, model, gate.name, t);
        const mean = gate.mean[t + first];
        const open = mean >= 0.5;
        const words = gate.switches ? Texts.t(open ? "gate.open" : "gate.shut") : Texts.t("gate.candidate");
        const half = Math.max(18, 12 + 4.6 * gate.name.length);
        const group = svg("g", {
            class: `gate ${gate.switches ? (open ? "open" : "shut") : "candidate"}`,
            "data-key": `g:${gate.name}:${t}`,
        });
        group.append(
            svg("title", null, `${gate.name}, t = ${t + first}: ${words}, ${Texts.t("gate.mean")} ${Colour.format(mean)}`),
        );
        if (layout.roomy) {
            group.append(svg("rect", { class: "shape", x: x - half, y: y - 11, width: 2 * half, height: 22, rx: 11 }));
            group.append(svg("text", { class: "var", x: gate.switches ? x - 7 : x, y: y + 4.5 }, gate.name));
        } else {
            group.append(svg("circle", { class: "shape", cx: x, cy: y, r: 6.2 }));
        }
        if (gate.switches) group.append(sign(open, layout.roomy ? x + half - 10 : x, y, layout.roomy ? 4.5 : 3));
        return group;
    }

    const sign = (open, x, y, r) =>
        open ? svg("circle", { class: "sign", cx: x, cy: y, r }) : svg("path", { class: "sign", d: `M${x - r} ${y}h${2 * r}` });

    function rowLabels(model, layout) {
        if (layout.roomy) return [];
        const rows = [
            ["E", layout.E],
            ["y", layout.y],
            ...model.network.parts.map((_, p) => [Model.partLetter(model.network, p), layout.state(p)]),
            ["x", layout.input],
        ];
        return rows.map(([letter, y]) => svg("text", { class: "row", x: 16, y: y + 4.5 }, svgMath(letter)));
    }

    function describe(model) {
        const { network } = model;
        const gates = model.gates
            .filter((gate) => gate.switches)
            .map((gate) => {
                const signs = gate.mean.map((mean) => Texts.t(mean >= 0.5 ? "gate.open" : "gate.shut"));
                return `${gate.name}: ${signs.join(", ")}`;
            });
        return [
            Texts.t("network.desc", {
                parts: network.parts.join(", "),
                losses: network.losses.map(({ name }) => Dom.spoken(name)).join(", "),
            }),
            ...gates,
        ].join(". ");
    }

    return { draw };
})();

// The gradient in the drawn network: attributes only, and only where they change.
const Light = (() => {
    const { setAttribute, setText } = Dom;

    /** Shows the sweep of loss k after its event `at`. */
    function show(drawing, model, k, at, shift = 0) {
        const lights = model.lights(k);
        for (const [key, element] of drawing.elements) {
            const light = lights.get(shift ? shifted(key, shift) : key);
            const on = light !== undefined && light.at <= at;
            setAttribute(element, "data-level", on ? Colour.level(light.norm) : null);
            const text = drawing.norms.get(key);
            if (text) setText(text, on ? (light.exact ? "" : "≥ ") + Colour.format(light.norm, 2) : "");
        }
    }

    /** The key of the same element `shift` steps later, for a drawing of one column of many. */
    function shifted(key, shift) {
        const parts = key.split(":");
        parts.push(Number(parts.pop()) + shift);
        return parts.join(":");
    }

    /** Marks where the current event is. */
    function point(drawing, { key, inside }) {
        const column = key ? key.split(":").at(-1) : null;
        for (const [own, element] of drawing.elements) {
            const band = own === `band:${column}`;
            setAttribute(element, "data-here", own === key ? (inside ? "inside" : "at") : band ? "column" : null);
        }
    }

    /** Marks the elements of a path through time. */
    function path(drawing, keys) {
        drawing.svg.classList.toggle("tracing", keys.size > 0);
        for (const [key, element] of drawing.elements) setAttribute(element, "data-path", keys.has(key) ? "" : null);
    }

    return { show, point, path, shifted };
})();
