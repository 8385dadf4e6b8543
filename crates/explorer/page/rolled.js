"use strict";

// A network of more steps than can be drawn: one column with a loop, and a ruler of time on which a step is chosen.
const Rolled = (() => {
    const { html, svg } = Dom;
    let chosen = 0;

    /** Draws one column; returns the drawing with its ruler. */
    function draw(model, onChoose) {
        const steps = model.network.xs.length;
        chosen = Math.min(chosen, steps - 1);
        const drawing = column(model);
        const bars = Array.from({ length: steps }, (_, t) => bar(t, steps));
        const strip = svg(
            "svg",
            { class: "ruler", viewBox: "0 0 1000 58", preserveAspectRatio: "none", "aria-hidden": "true" },
            bars,
        );
        const slider = html("input", {
            type: "range",
            id: "ruler-step",
            min: 0,
            max: steps - 1,
            value: chosen,
            "aria-label": Texts.t("rolled.ruler"),
            oninput: () => onChoose((chosen = Number(slider.value))),
        });
        const text = html("output", { for: "ruler-step" }, `t = ${chosen}`);
        const ruler = html("div", { class: "rolled-ruler" }, strip, slider, text);
        return { ...drawing, ruler, bars, slider, text };
    }

    /** The column of the chosen step, labelled as such; the state loops back into it. */
    function column(model) {
        const { network } = model;
        const t = chosen;
        const single = {
            ...model,
            edges: model.edges
                .filter((edge) => edge.t === t)
                .map((edge) => ({ ...edge, key: Light.shifted(edge.key, -t), to: Light.shifted(edge.to, -t), t: 0 })),
            network: {
                ...network,
                ys: [network.ys[t]],
                losses: network.losses.filter(({ step }) => step === t).map((loss) => ({ ...loss, step: 0 })),
            },
        };
        const layout = Layout.of(model, true);
        return Network.draw(single, layout, t);
    }

    function bar(t, steps) {
        const width = 1000 / steps;
        return svg("rect", { class: "swatch", x: t * width, y: 4, width: Math.max(1, width - 0.6), height: 50 });
    }

    /** Colours the ruler by the gradient that has reached each state. */
    function light(drawing, model, k, at) {
        const lights = model.lights(k);
        drawing.bars.forEach((own, t) => {
            const found = lights.get(`s:0:${t}`);
            Dom.setAttribute(own, "data-level", found && found.at <= at ? Colour.level(found.norm) : null);
            Dom.setAttribute(own, "data-here", t === chosen ? "at" : null);
        });
    }

    const choose = (t) => (chosen = t);

    return { draw, column, light, choose, step: () => chosen };
})();
