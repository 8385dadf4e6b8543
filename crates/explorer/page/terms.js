"use strict";

// One term of the table: its path through the network, the factors on the way, and its values.
const Terms = (() => {
    const { html, math } = Dom;
    let hovered = null;
    let view = null;
    let drawn = null;
    let onPath = () => {};

    function hover(term) {
        hovered = term;
        show(Store.state());
    }

    function build(listener) {
        onPath = listener;
        view = TensorView.create(16);
        hovered = null;
        drawn = null;
        Dom.byId("term").replaceChildren(html("p", { class: "hint" }, Texts.t("term.hint")));
    }

    function show(state) {
        const network = Store.network();
        const parameter = network.parameters[Store.parameter()];
        const term = hovered ?? state.term;
        const [s, t] = (term ?? "").split(",").map(Number);
        onPath(term ? Wiring.path(Model.of(network), Store.parameter(), s, t) : new Set());
        const key = `${parameter.name}/${term}`;
        if (key === drawn) return;
        drawn = key;
        const box = Dom.byId("term");
        if (!term) {
            box.replaceChildren(html("p", { class: "hint" }, Texts.t("term.hint")));
            return;
        }
        const k = network.losses.findIndex(({ step }) => step === s);
        const item = parameter.items[k]?.[parameter.steps.indexOf(t)];
        if (item) view.show(item, parameter.gates);
        box.replaceChildren(
            html("p", { class: "formula", id: "term-formula" }, math(formula(network, parameter, s, t))),
            item ? view.root : html("p", null, "–"),
            factors(network, s, t),
        );
    }

    /** Whether the chosen parameter makes y of h, and so has no part in the state. */
    const isReadOut = (network) => {
        const uses = Model.of(network).uses.filter(({ parameter }) => parameter === Store.parameter());
        return uses.length > 0 && uses.every(({ to }) => !to.startsWith("s:"));
    };

    /** ∂E_2/∂U at t = 0 as the product along its path. */
    function formula(network, parameter, s, t) {
        const letter = Model.letterOf(parameter);
        const out = Model.partLetter(network, 0);
        if (isReadOut(network)) return `∂E_${s}/∂y_${s} · ∂y_${s}/∂${letter}`;
        const steps = [];
        for (let step = s; step > t; step--) steps.push(`∂${out}_${step}/∂${out}_{${step - 1}}`);
        const shown = steps.length > 4 ? [steps[0], steps[1], "…", steps.at(-1)] : steps;
        return [`∂E_${s}/∂${out}_${s}`, ...shown, `∂${out}_${t}/∂${letter}`].join(" · ");
    }

    function factors(network, s, t) {
        const own = (network.jacobians ?? []).filter(({ step }) => step > t && step <= s).sort((a, b) => b.step - a.step);
        if (isReadOut(network) || s === t) return html("p", { class: "note" }, Texts.t("term.none"));
        if (!own.length) return html("p", { class: "note" }, Texts.t("flow.nothing"));
        const out = network.parts.length > 1 ? "s" : Model.partLetter(network, 0);
        const most = 6;
        const shown = own.length > most ? [...own.slice(0, most - 1), null, own.at(-1)] : own;
        const chips = shown.map((factor) =>
            factor
                ? html(
                      "li",
                      null,
                      math(`∂${out}_${factor.step}/∂${out}_{${factor.step - 1}}`),
                      html(
                          "b",
                          { "data-level": Colour.level(factor.largest), class: "level" },
                          Colour.format(factor.largest, 2),
                      ),
                      html("span", null, Colour.format(factor.smallest, 2)),
                  )
                : html("li", null, "…"),
        );
        const product = own.reduce((all, { largest }) => all * largest, 1);
        return html(
            "div",
            { class: "factors" },
            html(
                "p",
                { class: "note" },
                Texts.t("term.factors") +
                    (network.parts.length > 1
                        ? ` (s = ${network.parts.map((_, p) => Model.partLetter(network, p)).join(", ")})`
                        : ""),
            ),
            html("ul", null, chips),
            html("p", { class: "note" }, Texts.t("term.bound", { p: Colour.format(product) })),
        );
    }

    return { build, show, hover };
})();
