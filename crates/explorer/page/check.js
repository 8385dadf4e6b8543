"use strict";

// A gradient check that fails: a box at the top of the page, and a mark at the op in the network.
const Check = (() => {
    const { html } = Dom;

    function show() {
        const failed = Store.scene().networks.filter(({ check }) => check?.passed === false);
        Dom.byId("check").replaceChildren(...failed.map(box));
    }

    function box(network) {
        const { check } = network;
        const facts = [
            ["check.op", check.op],
            ["check.gate", check.gate],
            ["check.step", check.step],
            ["check.gradient", Colour.format(check.gradient, 6)],
            ["check.difference", Colour.format(check.difference, 6)],
            ["check.looks", check.pattern],
        ].filter(([, value]) => value !== null && value !== undefined && value !== "");
        return html(
            "section",
            { class: "failed-check", role: "alert" },
            html(
                "h2",
                null,
                html("span", { class: "sign", "aria-hidden": "true" }, "✕"),
                Texts.t("check.failed"),
                html("small", null, Texts.t("check.of", { name: Texts.of(network.title) })),
            ),
            html(
                "dl",
                null,
                facts.map(([name, value]) =>
                    html(
                        "div",
                        { "data-fact": name.split(".")[1] },
                        html("dt", null, Texts.t(name)),
                        html("dd", null, String(value)),
                    ),
                ),
            ),
            check.file ? html("p", { class: "event-line" }, `${check.file}:${check.line}`) : "",
            html("button", { type: "button", class: "button", onclick: () => goTo(network) }, Texts.t("check.show")),
            html("details", null, html("summary", null, Texts.t("check.report")), html("pre", null, check.message)),
        );
    }

    /** Opens the network at the event of the node at fault. */
    function goTo(network) {
        const number = eventOf(network);
        Store.set({ net: network.id, view: "sweep", loss: "all", event: number, term: null, tour: null });
    }

    function eventOf(network) {
        for (const k of Sweep.order(network, "all")) {
            const at = Sweep.events(network, k).findIndex(({ node }) => node === network.check.node);
            if (at >= 0) return Sweep.numberOf(network, "all", k, at);
        }
        return -1;
    }

    /** The key of the element at fault in the picture. */
    function key(model) {
        const { check } = model.network;
        if (check?.passed !== false || check.node === null || check.node === undefined) return null;
        return Model.whereIs(model, check.node).key;
    }

    /** Marks that element: dashed, and with a cross beside it. */
    function mark(element) {
        if (!element) return;
        element.dataset.fault = "";
        const { x, y } = element.querySelector(".shape").getBBox();
        element.append(
            Dom.svg("text", { class: "fault-mark", x: x - 5, y: y + 4 }, Dom.svg("title", null, Texts.t("check.failed")), "✕"),
        );
    }

    return { show, key, mark };
})();
