"use strict";

// The form of a page with a server behind it: each change asks for a new scene.
const Settings = (() => {
    const { html } = Dom;
    const PAUSE = 300;
    const FALLBACK = { steps: 6, hidden: 3, scale: 1, forget_bias: 1, seed: 1 };
    const NUMBERS = [
        ["steps", 1],
        ["hidden", 1],
        ["scale", 0.05],
        ["forget_bias", 0.1],
    ];
    let asked = 0;
    let waiting = null;
    let values = null;

    const served = () => Store.data().served && Store.data().bounds;

    function build() {
        if (!served()) return;
        values ??= { ...first(), ...(Store.state().settings ?? {}) };
        Dom.byId("settings").replaceChildren(form(Store.data().bounds));
    }

    /** The settings of the first computed scene, as the texts that the fields hold. */
    function first() {
        const own = Store.data().scenes.find(({ settings }) => settings)?.settings ?? {};
        const cells = own.cells ?? Store.data().bounds.cells ?? [];
        const texts = { cells: cells.join(","), losses: (own.losses ?? []).join(","), inputs: rowsText(own.inputs) };
        for (const key of Object.keys(FALLBACK)) texts[key] = String(own[key] ?? FALLBACK[key]);
        return texts;
    }

    const rowsText = (rows) => (rows ?? []).map((row) => row.join(" ")).join("; ");

    /** The title of a cell, as its networks on the page have it. */
    function titleOf(cell) {
        const networks = Store.data().scenes.flatMap((scene) => scene.networks);
        const network = networks.find(({ id }) => id === cell);
        return network ? Texts.of(network.title) : cell;
    }

    function form(bounds) {
        const cells = (bounds.cells ?? []).map((cell) => {
            const box = html("input", {
                type: "checkbox",
                name: "cell",
                value: cell,
                checked: values.cells.split(",").includes(cell),
                onchange: chooseCells,
            });
            return html("label", { class: "check" }, box, titleOf(cell));
        });
        const rows = NUMBERS.filter(([key]) => bounds[key]).map(([key, step]) => slider(key, bounds[key], step));
        return html(
            "form",
            { onsubmit: (event) => event.preventDefault(), "aria-label": Texts.t("settings.label") },
            html("fieldset", null, html("legend", null, Texts.t("settings.cells")), html("div", { class: "checks" }, cells)),
            rows,
            field("seed"),
            field("losses"),
            field("inputs"),
        );
    }

    /** A slider and a field for the same number; the field also takes what is out of bounds, and the server says so. */
    function slider(key, [low, high], step) {
        const id = `setting-${key}`;
        const number = html("input", {
            type: "text",
            inputmode: "decimal",
            id,
            value: values[key],
            autocomplete: "off",
            oninput: () => change(key, number.value, range),
        });
        const range = html("input", {
            type: "range",
            min: low,
            max: high,
            step,
            value: values[key],
            "aria-label": Texts.t(`settings.${key}`),
            oninput: () => change(key, range.value, number),
        });
        return html("div", { class: "setting" }, html("label", { for: id }, Texts.t(`settings.${key}`)), range, number);
    }

    function field(key) {
        const id = `setting-${key}`;
        const input = html("input", {
            type: "text",
            id,
            value: values[key],
            autocomplete: "off",
            oninput: () => change(key, input.value),
        });
        return html("div", { class: `setting text ${key}` }, html("label", { for: id }, Texts.t(`settings.${key}`)), input);
    }

    function chooseCells() {
        const chosen = [...document.querySelectorAll("#settings [name=cell]:checked")].map(({ value }) => value);
        change("cells", chosen.join(","));
    }

    function change(key, value, partner) {
        if (values[key] === value) return;
        values[key] = value;
        // A slider keeps its place where the field has no number within its range.
        const number = Number(value.replace(",", "."));
        const fits = value.trim() !== "" && number >= Number(partner?.min || -Infinity) && number <= Number(partner?.max || Infinity);
        if (partner && (partner.type !== "range" || fits)) partner.value = value.replace(",", ".");
        clearTimeout(waiting);
        waiting = setTimeout(compute, PAUSE);
    }

    /** The body of the request; throws where a text is no number. */
    function request() {
        const number = (key, text = values[key]) => {
            const value = Number(text.trim().replace(",", "."));
            if (text.trim() === "" || !Number.isFinite(value)) {
                throw new Error(Texts.t("settings.number", { field: Texts.t(`settings.${key}`), value: text }));
            }
            return value;
        };
        const body = { cells: values.cells.split(",").filter(Boolean) };
        for (const key of Object.keys(FALLBACK)) body[key] = number(key);
        const losses = values.losses
            .split(/[\s,;]+/)
            .filter(Boolean)
            .map((text) => number("losses", text));
        body.losses = losses.length ? losses : everyStep(body.steps);
        const rows = values.inputs
            .split(";")
            .map((row) => row.trim())
            .filter(Boolean);
        body.inputs = rows.length ? rows.map((row) => row.split(/\s+/).map((text) => number("inputs", text))) : null;
        return body;
    }

    /** A loss at every step, or at the last alone where the table would be too large for the server. */
    function everyStep(steps) {
        const { steps: range, items } = Store.data().bounds;
        const known = Number.isInteger(steps) && steps >= 1 && steps <= range[1] ? steps : 1;
        return known * known <= items ? [...Array(known).keys()] : [known - 1];
    }

    /** Asks the server; an answer to an older question is dropped. */
    async function compute() {
        const question = ++asked;
        Dom.byId("settings").setAttribute("aria-busy", "true");
        try {
            const scene = await answer(request());
            if (question !== asked) return;
            say("");
            Store.state().settings = { ...values };
            Store.putScene(scene);
        } catch (error) {
            if (question === asked) say(error.message);
        } finally {
            if (question === asked) Dom.byId("settings").removeAttribute("aria-busy");
        }
    }

    async function answer(body) {
        let response;
        try {
            response = await fetch("/compute", {
                method: "POST",
                headers: { "Content-Type": "application/json" },
                body: JSON.stringify(body),
            });
        } catch (error) {
            throw new Error(Texts.t("settings.unreachable", { error: error.message }), { cause: error });
        }
        const json = await response.json().catch(() => ({ error: `${response.status} ${response.statusText}` }));
        if (!response.ok) throw new Error(json.error ?? `${response.status}`);
        return json;
    }

    const say = (text) => Dom.setText(Dom.byId("error"), text);

    /** Whether an address asks for another computed scene than the one shown. */
    const differ = ({ settings }) => Boolean(served() && settings && JSON.stringify({ ...first(), ...settings }) !== JSON.stringify(values));

    /** A pasted address with settings: computes them, then goes to its moment. */
    async function restore(wanted) {
        if (!served() || !wanted.settings) return;
        values = { ...first(), ...wanted.settings };
        build();
        await compute();
        Store.set({ ...wanted, settings: { ...values } }, "keep");
    }

    return { build, restore, differ, served };
})();
