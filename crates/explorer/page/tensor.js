"use strict";

// A tensor as text: shape, norm, and its values where they were kept. Tables of a shape are made once and reused.
const TensorView = (() => {
    const { html, setText, setAttribute } = Dom;
    const WIDE = 4;

    /**
     * Makes a view; `show(tensor, gates)` changes what it shows. With gates, the last axis is split into one block a gate.
     * More than `fold` values are folded away.
     */
    function create(fold = Infinity) {
        const norm = html("span", { class: "tensor-norm" });
        const shape = html("span", { class: "tensor-shape" });
        const tables = html("div", { class: "tensor-tables" });
        const byShape = new Map();
        const root = html("div", { class: "tensor" }, html("div", { class: "tensor-head" }, norm, shape), tables);

        function show(tensor, gates = []) {
            setAttribute(root, "data-level", Colour.level(tensor.norm));
            setText(norm, Colour.format(tensor.norm));
            setText(shape, shapeText(tensor.shape));
            const [rows, columns] = sides(tensor.shape);
            const key = tensor.values && rows * columns > 1 ? `${rows}×${columns}/${gates}` : null;
            if (key && !byShape.has(key)) {
                const made = grid(rows, columns, gates, fold);
                byShape.set(key, made);
                tables.append(made.root);
            }
            for (const [own, made] of byShape) made.root.hidden = own !== key;
            if (key) {
                byShape
                    .get(key)
                    .cells.forEach((cell, k) => setText(cell, Colour.format(tensor.values[k], columns > WIDE ? 2 : 3)));
            }
        }
        return { root, show };
    }

    /** Blocks of columns that a card has room for. The cells are in the order of the values. */
    function grid(rows, columns, gates, fold) {
        const cells = Array.from({ length: rows * columns }, () => html("td", null, ""));
        const width = gates.length && columns % gates.length === 0 ? columns / gates.length : Math.min(columns, WIDE);
        const blocks = [];
        for (let from = 0; from < columns; from += width) {
            const to = Math.min(columns, from + width);
            const body = Array.from({ length: rows }, (_, row) =>
                html("tr", null, cells.slice(row * columns + from, row * columns + to)),
            );
            const name = gates.length
                ? html("caption", { class: "var" }, gates[from / width])
                : columns > WIDE
                  ? html("caption", null, `${from} … ${to - 1}`)
                  : "";
            blocks.push(html("table", { class: "matrix" }, name, html("tbody", null, body)));
        }
        const all = html("div", { class: "blocks" }, blocks);
        if (cells.length <= fold) return { root: all, cells };
        return {
            root: html(
                "details",
                { class: "folded" },
                html("summary", null, Texts.t("tensor.values", { n: cells.length })),
                all,
            ),
            cells,
        };
    }

    /** Rows and columns: all axes but the last are rows. */
    function sides(shape) {
        return [shape.slice(0, -1).reduce((a, b) => a * b, 1), shape.at(-1) ?? 1];
    }

    const shapeText = (shape) => (shape.length === 0 ? Texts.t("tensor.scalar") : shape.join("×"));

    return { create, shapeText };
})();
