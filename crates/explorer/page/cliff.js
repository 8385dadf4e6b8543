"use strict";

// The cliff of Pascanu et al. (2013): the loss over w and b as a surface, with a path of gradient descent with and without
// clipping.
const Cliff = (() => {
    const { html, svg, svgMath } = Dom;
    const SIZE = { width: 640, height: 440 };
    let turn = 150;
    let shown = null;

    function show(state) {
        const cliff = Store.data().cliff;
        if (!cliff || shown === state.lang) return;
        shown = state.lang;
        const surface = svg("svg", {
            class: "surface",
            id: "surface",
            viewBox: `0 0 ${SIZE.width} ${SIZE.height}`,
            role: "img",
            "aria-label": Texts.t("cliff.label"),
        });
        const slider = html("input", {
            type: "range",
            id: "turn",
            min: "-180",
            max: "180",
            value: turn,
            oninput: () => draw(surface, cliff, (turn = Number(slider.value))),
        });
        draw(surface, cliff, turn);
        Dom.byId("cliff").replaceChildren(
            html(
                "section",
                { class: "card wide" },
                html("h2", null, Texts.t("cliff.label")),
                html("p", { class: "note" }, Dom.math(Texts.t("cliff.note"))),
                surface,
                html("label", { class: "turn" }, Texts.t("cliff.turn"), slider),
            ),
            html("section", { class: "card" }, html("h2", null, Texts.t("cliff.loss")), losses(cliff), key(cliff)),
        );
    }

    const names = (cliff) => [Texts.t("cliff.plain"), Texts.t("cliff.clipped", { threshold: cliff.threshold })];

    function key(cliff) {
        return html(
            "ul",
            { class: "paths-key" },
            names(cliff).map((name, series) => html("li", { class: series ? "clipped" : "plain" }, name)),
        );
    }

    function losses(cliff) {
        const short = [Texts.t("cliff.plain.short"), Texts.t("cliff.clipped.short")];
        const lines = [cliff.plain, cliff.clipped].map((path, series) => ({
            name: short[series],
            series,
            dashed: series === 0,
            points: path.map(([, , loss]) => loss),
        }));
        return Chart.lines({
            size: [440, 260],
            lines,
            label: Texts.t("cliff.loss"),
            xLabel: Texts.t("cliff.update"),
            log: true,
        });
    }

    /** Draws the surface from the back to the front, then the paths on it. */
    function draw(root, cliff, degrees) {
        const view = projection(cliff, (degrees * Math.PI) / 180);
        const { weights, biases, loss } = cliff;
        const quads = [];
        for (let i = 0; i + 1 < biases.length; i++) {
            for (let j = 0; j + 1 < weights.length; j++) {
                const corners = [
                    [i, j],
                    [i, j + 1],
                    [i + 1, j + 1],
                    [i + 1, j],
                ].map(([row, column]) => view(weights[column], biases[row], loss[row][column]));
                const mean = (loss[i][j] + loss[i + 1][j] + loss[i][j + 1] + loss[i + 1][j + 1]) / 4;
                quads.push({ corners, depth: corners.reduce((sum, corner) => sum + corner[2], 0), mean });
            }
        }
        quads.sort((a, b) => b.depth - a.depth);
        const top = Math.max(...loss.flat());
        const surface = svg("g", { class: "quads" });
        for (const { corners, mean } of quads) {
            const level = Math.round((Colour.LEVELS - 1) * Math.sqrt(mean / top));
            surface.append(
                svg("path", {
                    "data-level": level,
                    class: "quad",
                    d: `M${corners.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}Z`,
                }),
            );
        }
        root.replaceChildren(svg("title", null, Texts.t("cliff.label")), surface, ...axes(cliff, view), ...paths(cliff, view));
    }

    /** Places (w, b, E) on the page: turned about the vertical, seen from above; the third number is the depth. */
    function projection(cliff, angle) {
        const [w0, w1] = [cliff.weights[0], cliff.weights.at(-1)];
        const [b0, b1] = [cliff.biases[0], cliff.biases.at(-1)];
        const top = Math.max(...cliff.loss.flat());
        const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
        return (w, b, loss) => {
            const [u, v] = [(2 * (w - w0)) / (w1 - w0) - 1, (2 * (b - b0)) / (b1 - b0) - 1];
            const [right, back] = [u * cos - v * sin, u * sin + v * cos];
            return [SIZE.width / 2 + 205 * right, SIZE.height * 0.7 - 78 * back - 165 * (Math.min(loss, top) / top), back];
        };
    }

    function axes(cliff, view) {
        const { weights, biases } = cliff;
        const [w0, w1, b0, b1] = [weights[0], weights.at(-1), biases[0], biases.at(-1)];
        const frame = [
            [w0, b0],
            [w1, b0],
            [w1, b1],
            [w0, b1],
        ].map(([w, b]) => view(w, b, 0));
        const front = [...frame.keys()]
            .sort((p, q) => frame[p][2] + frame[(p + 1) % 4][2] - frame[q][2] - frame[(q + 1) % 4][2])
            .slice(0, 2);
        return front.flatMap((side) => {
            const [a, b] = [frame[side], frame[(side + 1) % 4]];
            const [letter, from, to] =
                side % 2 === 0
                    ? ["w", side === 0 ? w0 : w1, side === 0 ? w1 : w0]
                    : ["b", side === 1 ? b0 : b1, side === 1 ? b1 : b0];
            const label = (share, children, kind) =>
                svg("text", { class: kind, x: a[0] + (b[0] - a[0]) * share, y: a[1] + (b[1] - a[1]) * share + 20 }, children);
            return [
                svg("path", { class: "edge", d: `M${a[0]} ${a[1]}L${b[0]} ${b[1]}` }),
                label(0.06, Colour.format(from, 2), "tick"),
                label(0.94, Colour.format(to, 2), "tick"),
                label(0.5, svgMath(letter), "axis-name"),
            ];
        });
    }

    /** A path is cut where it leaves the grid; an arrow says so. */
    function paths(cliff, view) {
        const inside = ([w, b]) =>
            w >= cliff.weights[0] && w <= cliff.weights.at(-1) && b >= cliff.biases[0] && b <= cliff.biases.at(-1);
        return [
            ["plain", cliff.plain],
            ["clipped", cliff.clipped],
        ].map(([kind, path]) => {
            const out = path.findIndex((point) => !inside(point));
            const kept = out < 0 ? path : path.slice(0, out);
            const points = kept.map(([w, b, loss]) => view(w, b, loss));
            const group = svg("g", { class: `descent ${kind}` });
            group.append(
                svg("path", { class: "stroke", d: `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` }),
            );
            points.forEach(([x, y], k) =>
                group.append(svg("circle", { class: k === 0 ? "start" : "dot", cx: x, cy: y, r: k === 0 ? 6 : 2 })),
            );
            if (out > 0) group.append(...leaving(points.at(-1), view(...clamped(cliff, path[out]))));
            return group;
        });
    }

    /** A point beyond the grid, moved to just outside of its border. */
    function clamped(cliff, [w, b, loss]) {
        const hold = (value, list) => {
            const margin = 0.12 * (list.at(-1) - list[0]);
            return Math.min(list.at(-1) + margin, Math.max(list[0] - margin, value));
        };
        return [hold(w, cliff.weights), hold(b, cliff.biases), loss];
    }

    function leaving([x, y], [toX, toY]) {
        const end = toX > SIZE.width / 2;
        return [
            svg("path", { class: "stroke out", d: `M${x} ${y}L${toX} ${toY}` }),
            svg("circle", { class: "away", cx: toX, cy: toY, r: 4 }),
            svg(
                "text",
                { class: `out-name ${end ? "end" : ""}`, x: toX + (end ? -10 : 10), y: toY - 10 },
                Texts.t("cliff.out"),
            ),
        ];
    }

    return { show };
})();
