"use strict";

// The gradient of a parameter as a table: rows are losses E_s, columns the steps t in which the parameter was used.
const Table = (() => {
    const { html, setText, setAttribute, math } = Dom;
    const MOST_CELLS = 4096;
    const ROOMY = 9;
    const SIDE_BY_SIDE = 4;
    let made = null;

    function build(network, parameterIndex) {
        const model = Model.of(network);
        const parameter = network.parameters[parameterIndex];
        const { table, cells, sums, total } = grid(network, parameter, parameterIndex);
        const status = Dom.byId("table-status");
        const note = rowsOf(network, parameter).left
            ? html(
                  "p",
                  { class: "note" },
                  Texts.t("table.toolarge", {
                      n: network.losses.length * parameter.steps.length,
                      rows: rowsOf(network, parameter).rows.length,
                  }),
              )
            : "";
        Dom.byId("terms").replaceChildren(
            chooser(network, parameterIndex),
            html("div", { class: "table-scroll", tabindex: "-1" }, table),
            note,
        );
        Dom.byId("terms-card").classList.toggle("stacked", parameter.steps.length > SIDE_BY_SIDE);
        made = { network, model, parameter, parameterIndex, cells, sums, total, status };
    }

    /** Buttons for the parameters, as letters where the lecture has one. */
    function chooser(network, chosen) {
        const buttons = network.parameters.map((parameter, index) =>
            html(
                "button",
                {
                    type: "button",
                    class: "chip",
                    "aria-pressed": String(index === chosen),
                    "data-parameter": parameter.name,
                    title: `${parameter.name}, ${TensorView.shapeText(parameter.shape)}`,
                    onclick: () => Store.set({ parameter: parameter.name, term: null }),
                },
                chipLabel(network, parameter),
            ),
        );
        return html(
            "div",
            { class: "chooser", role: "group", "aria-label": Texts.t("table.of") },
            html("span", { class: "chooser-label" }, Texts.t("table.of")),
            buttons,
        );
    }

    /** The letter, and the name too where two parameters share a letter. */
    function chipLabel(network, parameter) {
        const letter = Model.letterOf(parameter);
        const shared = network.parameters.filter((other) => Model.letterOf(other) === letter).length > 1;
        return shared && parameter.letter
            ? [math(letter), html("small", null, Model.shortName(parameter.name))]
            : [math(letter)];
    }

    /** The losses that get a row: the last ones, if a table of all would be too large for a page. */
    function rowsOf(network, parameter) {
        const all = network.losses.map((_, k) => k);
        const most = Math.max(1, Math.floor(MOST_CELLS / parameter.steps.length));
        return { rows: all.slice(-most), left: Math.max(0, all.length - most) };
    }

    function grid(network, parameter, parameterIndex) {
        const roomy = parameter.steps.length <= ROOMY;
        const cells = new Map();
        const sums = [];
        const header = html(
            "tr",
            null,
            html("td", { class: "corner", title: Texts.t("table.norms") }, roomy ? "‖·‖" : "10ⁿ"),
            parameter.steps.map((step, column) =>
                html(
                    "th",
                    { scope: "col" },
                    step === null
                        ? Texts.t("table.outside")
                        : roomy
                          ? math(`t = ${step}`)
                          : column % 2 === 0 || parameter.steps.length < 16
                            ? String(step)
                            : "",
                ),
            ),
            network.losses.length > 1 ? html("th", { scope: "col", class: "sum" }, "Σ") : html("td"),
        );
        const body = rowsOf(network, parameter).rows.map((k) => {
            const row = parameter.steps.map((step, column) => {
                const tensor = parameter.items[k]?.[column] ?? null;
                const cell = tensor ? cellOf(network, parameterIndex, k, step, column) : html("td", { class: "never" });
                if (tensor) cells.set(`${k}:${column}`, { element: cell, tensor });
                return cell;
            });
            const sum = html("td", { class: "sum" });
            sums.push({ k, element: sum });
            return html("tr", null, html("th", { scope: "row" }, math(network.losses[k].name)), row, sum);
        });
        const total = html("td", { class: "sum total" });
        body.push(
            html(
                "tr",
                { class: "totals" },
                html("th", { scope: "row", colspan: parameter.steps.length + 1 }, Texts.t("table.sofar")),
                total,
            ),
        );
        const table = html(
            "table",
            {
                class: `items ${roomy ? "roomy" : "narrow"}`,
                id: "items",
                role: "grid",
                "aria-label": `${Texts.t("table.of")} ${parameter.name}`,
                onkeydown: move,
            },
            html("thead", null, header),
            html("tbody", null, body),
        );
        return { table, cells, sums, total };
    }

    function cellOf(network, parameterIndex, k, step, column) {
        const s = network.losses[k].step;
        const term = step === null ? null : `${s},${step}`;
        const point = (value) => () => Terms.hover(value);
        return html("td", {
            class: "item",
            role: "gridcell",
            tabindex: "0",
            "data-loss": k,
            "data-column": column,
            "data-term": term,
            onmouseenter: point(term),
            onmouseleave: point(null),
            onfocus: point(term),
            onblur: point(null),
            onclick: () => Store.set({ term: Store.state().term === term ? null : term }),
        });
    }

    /** The arrows move between the cells of the table; the sweep does not hear them there. */
    function move(event) {
        const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        const own = event.target.closest("td.item");
        if (!own) return;
        if (event.key === "Enter" || event.key === " ") {
            event.preventDefault();
            event.stopPropagation();
            own.click();
        }
        if (!steps || event.shiftKey) return;
        event.preventDefault();
        event.stopPropagation();
        const [row, column] = [Number(own.dataset.loss) + steps[0], Number(own.dataset.column) + steps[1]];
        made.cells.get(`${row}:${column}`)?.element.focus();
    }

    function show(state) {
        const { network, model, parameterIndex, cells, sums, total } = made;
        const place = Sweep.locate(network, state.loss, state.event);
        const current = Sweep.events(network, place.k)[place.at];
        const terms = current?.terms.filter(({ parameter }) => parameter === parameterIndex) ?? [];
        const ready = new Map();
        for (const k of Sweep.tabled(network, state.loss)) {
            for (const item of model.items(k)) {
                if (item.parameter !== parameterIndex || !(Sweep.isMade(place, k, item.at) || !network.sweeps.length)) continue;
                if (!ready.has(k)) ready.set(k, []);
                ready.get(k).push(item);
            }
        }
        const complete = new Set([...ready].flatMap(([k, items]) => items.map(({ column }) => `${k}:${column}`)));
        for (const [key, { element, tensor }] of cells) {
            const on = complete.has(key);
            const [k, column] = key.split(":").map(Number);
            const step = made.parameter.steps[column];
            const fresh = on && k === place.k && terms.some((term) => term.step === step);
            setText(element, on ? cellText(tensor.norm) : "");
            setAttribute(element, "data-level", on ? Colour.level(tensor.norm) : null);
            setAttribute(element, "data-here", fresh ? "at" : null);
            if (fresh) keepInSight(element);
            setAttribute(element, "data-chosen", state.term && element.dataset.term === state.term ? "" : null);
            setAttribute(
                element,
                "aria-label",
                Texts.t("table.cell", {
                    loss: Dom.spoken(network.losses[k].name),
                    t: step ?? Texts.t("table.outside"),
                    norm: on ? Colour.format(tensor.norm) : Texts.t("table.pending"),
                }),
            );
        }
        for (const { k, element } of sums) {
            setText(element, ready.has(k) && network.losses.length > 1 ? sumText(ready.get(k)) : "");
        }
        const all = [...ready.values()].flat();
        setText(total, all.length ? totalText(place, state, all) : "–");
        setText(made.status, statusText(all));
    }

    /** Scrolls a wide table, and not the page. */
    function keepInSight(cell) {
        const frame = cell.closest(".table-scroll");
        if (frame.scrollWidth <= frame.clientWidth) return;
        frame.scrollLeft = cell.offsetLeft - frame.offsetLeft - frame.clientWidth / 2;
    }

    const cellText = (norm) => (made.parameter.steps.length <= ROOMY ? Colour.format(norm) : Colour.exponent(norm));

    /** The norm of a sum of terms, where their values were kept. */
    function sumText(items) {
        const { norm, exact } = Model.normOfSum(items.map(({ tensor }) => tensor));
        return exact ? Colour.format(norm) : "";
    }

    /** From the sweep itself where it has the number; a single loss has none of its own, but its terms have. */
    function totalText(place, state, items) {
        if (state.loss !== "all" && made.network.losses.length > 1) return sumText(items) || "–";
        const after = lastAfter(place);
        return after === null ? sumText(items) || "–" : Colour.format(after);
    }

    /** The norm of the accumulated gradient after the last term that the sweeps made. */
    function lastAfter(place) {
        const { network, parameterIndex } = made;
        const played = [[place.k, place.at], ...[...place.done].reverse().map((k) => [k, Infinity])];
        for (const [k, at] of played) {
            const events = Sweep.events(network, k);
            for (let e = Math.min(at, events.length - 1); e >= 0; e--) {
                const term = events[e].terms.findLast(({ parameter }) => parameter === parameterIndex);
                if (term) return term.after;
            }
        }
        return null;
    }

    function statusText(items) {
        const { parameter } = made;
        const all = parameter.items.flat().filter(Boolean).length;
        const gradient = Texts.t("table.gradient", { g: Colour.format(parameter.gradient.norm) });
        const cells = [Texts.t("table.norms"), parameter.steps.length > ROOMY ? Texts.t("table.powers") : ""].join(" ").trim();
        if (items.length < all) return `${gradient} ${cells}`;
        return `${gradient} ${cells} ${Texts.t("table.complete", { r: Colour.format(parameter.residual, 2) })}`;
    }

    return { build, show };
})();
