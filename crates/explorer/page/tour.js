"use strict";

// The guided tour: each stop sets the page up by itself and says in two sentences what to look at.
const Tour = (() => {
    const { html } = Dom;

    let shown = null;

    /** The stops whose scenes the page has. */
    const stops = () =>
        TourTexts.filter(
            (stop) => Store.data().scenes.some(({ id }) => id === stop.scene) && (stop.view !== "cliff" || Store.data().cliff),
        );

    /** The state of a stop. */
    function stateOf(number) {
        const stop = stops()[number];
        const scene = Store.data().scenes.find(({ id }) => id === stop.scene);
        const network = networkOf(scene, stop.net);
        const parameter = network.parameters.find(({ letter }) => letter === stop.letter)?.name ?? null;
        return {
            scene: scene.id,
            net: network.id,
            view: stop.view,
            loss: "all",
            event: eventOf(network, stop),
            parameter,
            term: stop.term ?? null,
            tour: number,
        };
    }

    /** By its id, or the network whose jacobians are the largest or the smallest of the scene. */
    function networkOf(scene, wanted) {
        const named = scene.networks.find(({ id }) => id === wanted);
        if (named) return named;
        const size = (network) => network.jacobians?.[0]?.largest ?? network.flow?.radius ?? 0;
        const sorted = [...scene.networks].sort((a, b) => size(b) - size(a));
        return wanted === "least" ? sorted.at(-1) : sorted[0];
    }

    function eventOf(network, stop) {
        if (stop.at === "start") return -1;
        if (stop.at === "reached") return lastOp(network);
        const k = network.losses.findIndex(({ step }) => step === stop.sweep);
        const light = Model.of(network).lights(k).get(stop.at);
        return light ? Sweep.numberOf(network, "all", k, light.at) : -1;
    }

    /** An address that names a stop and nothing else means the moment of the stop. */
    function settled(wanted) {
        if (wanted.tour === null || wanted.scene !== null || !stops()[wanted.tour]) return wanted;
        return { ...wanted, ...stateOf(wanted.tour) };
    }

    /** The last event that is not the sum at a parameter. */
    function lastOp(network) {
        const k = Sweep.order(network, "all").at(-1);
        const at = Sweep.events(network, k ?? 0).findLastIndex(({ leaves }) => leaves.length);
        return at < 0 ? -1 : Sweep.numberOf(network, "all", k, at);
    }

    function go(number) {
        Player.pause();
        if (number >= 0 && number < stops().length) Store.set(stateOf(number));
    }

    function toggle() {
        if (Store.state().tour === null) go(0);
        else close();
    }

    const close = () => Store.set({ tour: null, term: null });

    function show(state) {
        const key = `${state.tour}/${state.lang}`;
        if (key === shown) return undefined;
        shown = key;
        const box = Dom.byId("tour");
        const stop = state.tour === null ? null : stops()[state.tour];
        box.hidden = !stop;
        if (!stop) return box.replaceChildren();
        const french = Texts.lang() === "fr" ? 1 : 0;
        const count = stops().length;
        const button = (id, act, text, disabled) =>
            html(
                "button",
                {
                    type: "button",
                    class: `button ${id === "tour-next" ? "primary" : "quiet"}`,
                    id,
                    onclick: act,
                    disabled,
                    "aria-label": text,
                },
                id === "tour-next" ? "→" : "←",
            );
        const focused = document.activeElement?.id;
        box.replaceChildren(
            html(
                "div",
                { class: "slide" },
                html("p", null, Texts.t("tour.slide", { n: stop.slide }), html("small", null, `${state.tour + 1} / ${count}`)),
                html("h2", null, stop.title[french]),
            ),
            html("p", { id: "tour-text", class: "tour-words", "aria-live": "polite" }, stop.text[french]),
            html(
                "div",
                { class: "tour-buttons" },
                button("tour-back", () => go(state.tour - 1), Texts.t("tour.back"), state.tour === 0),
                button("tour-next", () => go(state.tour + 1), Texts.t("tour.next"), state.tour === count - 1),
                html(
                    "button",
                    {
                        type: "button",
                        class: "button quiet",
                        id: "tour-close",
                        onclick: close,
                        "aria-label": Texts.t("tour.close"),
                        title: Texts.t("tour.close"),
                    },
                    "✕",
                ),
            ),
        );
        if (focused?.startsWith("tour-")) Dom.byId(focused)?.focus();
        return undefined;
    }

    /** The elements that a stop points at, where no term does. */
    const marks = (state) => new Set(state.tour === null ? [] : (stops()[state.tour]?.mark ?? []));

    return { show, go, toggle, settled, marks, stops };
})();
