"use strict";

// Line charts and heat maps over time, in SVG, with names at the lines instead of colours alone.
const Chart = (() => {
    const { svg, svgMath } = Dom;
    const MARKS = ["circle", "square", "triangle", "diamond", "cross", "plus"];

    /**
     * Lines over time steps. `lines` is [{ name, points: [number or null], series, dashed }]; `log` takes powers of ten.
     * `size` is [width, height].
     */
    function lines({ size: [width, height], lines: list, log, label, xLabel, range, first = 0, guides = [] }) {
        const frame = { left: 46, right: 78, top: 12, bottom: 34, width, height };
        const steps = Math.max(...list.map(({ points }) => points.length));
        const values = [...list.flatMap(({ points }) => points), ...guides.map(({ at }) => at)].filter(
            (value) => Number.isFinite(value) && (!log || value > 0),
        );
        const scale = range ? linearScale(range) : log ? logScale(values) : linearScale([0, Math.max(1, ...values)]);
        const x = (t) => frame.left + ((width - frame.left - frame.right) * (t - first)) / Math.max(1, steps - 1 - first);
        const y = (value) => height - frame.bottom - (height - frame.top - frame.bottom) * scale.share(value);
        const root = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
        for (const tick of scale.ticks) {
            root.append(svg("path", { class: "grid", d: `M${frame.left} ${y(tick)}H${width - frame.right}` }));
            root.append(svg("text", { class: "tick end", x: frame.left - 7, y: y(tick) + 4 }, scale.text(tick)));
        }
        const every = [1, 2, 5, 10, 20, 50].find((step) => (steps - first) / step <= 13) ?? 100;
        for (let t = first; t < steps; t += every) {
            root.append(svg("text", { class: "tick", x: x(t), y: height - frame.bottom + 17 }, String(t)));
        }
        root.append(svg("text", { class: "axis-name", x: (frame.left + width - frame.right) / 2, y: height - 2 }, xLabel));
        for (const { at, series, name } of guides) {
            if (!Number.isFinite(at) || (log && at <= 0)) continue;
            root.append(
                svg(
                    "path",
                    { class: "guide", "data-series": series, d: `M${frame.left} ${y(at)}H${width - frame.right}` },
                    svg("title", null, `${name}: ${Colour.format(at)}`),
                ),
            );
        }
        const labels = [];
        for (const line of list) labels.push(drawLine(root, line, x, y, log));
        placeLabels(root, labels.filter(Boolean), width - frame.right + 10, frame.top + 4, height - frame.bottom);
        return root;
    }

    function drawLine(root, { name, points, series, dashed }, x, y, log) {
        const known = points.flatMap((value, t) =>
            value !== null && Number.isFinite(value) && (!log || value > 0) ? [[x(t), y(value), value, t]] : [],
        );
        if (!known.length) return null;
        const pieces = [];
        known.forEach(([px, py, , t], k) =>
            pieces.push(`${k > 0 && known[k - 1][3] === t - 1 ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`),
        );
        const group = svg("g", { class: `line${dashed ? " dashed" : ""}`, "data-series": series });
        group.append(svg("path", { class: "stroke", d: pieces.join("") }));
        const every = Math.ceil(known.length / 13);
        known.forEach(([px, py, value, t], k) => {
            if (k % every) return;
            group.append(
                svg(
                    "path",
                    { class: "mark", d: mark(MARKS[series % MARKS.length], px, py) },
                    svg("title", null, `${name}, t = ${t}: ${Colour.format(value)}`),
                ),
            );
        });
        root.append(group);
        return { name, series, y: known.at(-1)[1] };
    }

    function mark(kind, x, y) {
        const r = 3.6;
        const shapes = {
            circle: `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
            square: `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
            triangle: `M${x} ${y - r * 1.2}l${r * 1.15} ${r * 2.1}h${-r * 2.3}z`,
            diamond: `M${x} ${y - r * 1.35}l${r * 1.2} ${r * 1.35}l${-r * 1.2} ${r * 1.35}l${-r * 1.2} ${-r * 1.35}z`,
            cross: `M${x - r} ${y - r}l${2 * r} ${2 * r}M${x - r} ${y + r}l${2 * r} ${-2 * r}`,
            plus: `M${x - r} ${y}h${2 * r}M${x} ${y - r}v${2 * r}`,
        };
        return shapes[kind];
    }

    /** Names at the ends of their lines, moved apart. */
    function placeLabels(root, labels, x, top, bottom) {
        const gap = 16;
        labels.sort((a, b) => a.y - b.y);
        labels.forEach((label, k) => (label.y = Math.max(label.y, k === 0 ? top : labels[k - 1].y + gap)));
        for (let k = labels.length - 1; k >= 0; k--) {
            const limit = k === labels.length - 1 ? bottom : labels[k + 1].y - gap;
            labels[k].y = Math.min(labels[k].y, limit);
        }
        for (const { name, series, y } of labels) {
            root.append(svg("path", { class: "mark", "data-series": series, d: mark(MARKS[series % MARKS.length], x + 3, y) }));
            root.append(svg("text", { class: "line-name", x: x + 12, y: y + 4 }, svgMath(name)));
        }
    }

    /** Whole decades that hold all values, at most 24 of them; ticks at a few. */
    function logScale(values) {
        const high = values.length ? Math.ceil(Math.log10(Math.max(...values)) - 1e-9) : 0;
        const low = values.length
            ? Math.max(high - 24, Math.min(high - 1, Math.floor(Math.log10(Math.min(...values)) + 1e-9)))
            : -1;
        const every = Math.ceil((high - low) / 5);
        const ticks = [];
        for (let decade = high; decade >= low; decade -= every) ticks.push(10 ** decade);
        return {
            ticks,
            text: (tick) => Colour.power(Math.round(Math.log10(tick))),
            share: (value) => Math.max(0, (Math.log10(value) - low) / (high - low)),
        };
    }

    function linearScale([low, high]) {
        const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + (high - low) * share);
        return { ticks, text: (tick) => Colour.format(tick, 2), share: (value) => (value - low) / (high - low) };
    }

    /** A square matrix, row s and column t, by the common scale; in wide squares the power of ten. */
    function heat({ size, matrix, label }) {
        const steps = matrix.length;
        const [left, bottom] = [20, 20];
        const side = (size - left) / steps;
        const root = svg("svg", {
            class: "heat",
            viewBox: `0 0 ${size} ${size - left + bottom}`,
            role: "img",
            "aria-label": label,
        });
        matrix.forEach((row, s) =>
            row.forEach((value, t) => {
                if (t > s || value === null) return;
                const square = svg("rect", {
                    "data-level": Colour.level(value),
                    class: "swatch",
                    x: left + t * side,
                    y: s * side,
                    width: side - 0.5,
                    height: side - 0.5,
                });
                square.append(svg("title", null, `s = ${s}, t = ${t}: ${Colour.format(value)}`));
                root.append(square);
                if (side >= 11) {
                    const text = steps <= 4 ? Colour.format(value, 2) : Colour.exponent(value);
                    root.append(
                        svg(
                            "text",
                            {
                                class: "in-cell",
                                "data-level": Colour.level(value),
                                x: left + (t + 0.5) * side,
                                y: (s + 0.5) * side + 0.14 * side,
                                "font-size": Math.min(13, side * 0.42).toFixed(1),
                            },
                            text,
                        ),
                    );
                }
            }),
        );
        const every = Math.ceil(steps / 6);
        for (let k = 0; k < steps; k += every) {
            root.append(svg("text", { class: "tick end", x: left - 5, y: (k + 0.5) * side + 4 }, String(k)));
            root.append(svg("text", { class: "tick", x: left + (k + 0.5) * side, y: size - left + 15 }, String(k)));
        }
        return root;
    }

    return { lines, heat };
})();
