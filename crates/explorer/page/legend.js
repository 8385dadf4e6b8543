"use strict";

// The one legend: colour, thickness and decades of a norm, and the marks.
const Legend = (() => {
    const { html, svg } = Dom;
    const WIDTH = 190;

    function build() {
        const { low, high } = Colour.range();
        const bar = svg("svg", {
            class: "legend-bar",
            viewBox: `0 0 ${WIDTH + 30} 34`,
            width: WIDTH + 30,
            height: 34,
            role: "img",
            "aria-label": `${Texts.t("legend.label")}: ${Colour.power(low)} … ${Colour.power(high)}`,
        });
        for (let level = 0; level < Colour.LEVELS; level++) {
            const share = level / Colour.LEVELS;
            const height = 3 + 9 * share;
            bar.append(
                svg("rect", {
                    "data-level": level,
                    class: "swatch",
                    x: 15 + WIDTH * share,
                    y: 8 - height / 2,
                    width: WIDTH / Colour.LEVELS + 0.5,
                    height,
                }),
            );
        }
        const every = Math.ceil((high - low) / 4);
        for (let decade = high; decade >= low; decade -= every) {
            const x = 15 + (WIDTH * (decade - low)) / (high - low);
            bar.append(
                svg("path", { class: "axis", d: `M${x} 15v4` }),
                svg("text", { class: "tick", x, y: 31 }, Colour.power(decade)),
            );
        }
        const marks = [
            ["here", Texts.t("legend.here")],
            ["path", Texts.t("legend.path")],
            ["zero", Texts.t("legend.zero")],
        ].map(([kind, text]) => html("span", { class: `mark ${kind}` }, text));
        Dom.byId("legend").replaceChildren(
            html("span", { class: "legend-title" }, Texts.t("legend.label")),
            bar,
            html("span", { class: "marks" }, marks),
        );
    }

    return { build };
})();
