"use strict";

// The flow of the gradient through all networks of a scene: norms, growth, gates, influence.
const Flow = (() => {
    const { html, math } = Dom;
    let shown = null;

    function show(state) {
        const scene = Store.scene();
        const key = `${scene.id}/${state.net}/${state.lang}`;
        if (shown?.key === key && shown.scene === scene) return;
        shown = { key, scene };
        const network = Store.network();
        const cards = [norms(scene), influence(scene), growth(scene), gates(network, scene)];
        Dom.byId("flow").replaceChildren(...cards.filter(Boolean));
    }

    const name = (network) => Texts.of(network.title);
    const card = (id, title, note, ...content) =>
        html(
            "section",
            { class: "card", id, "aria-labelledby": `${id}-title` },
            html("h2", { id: `${id}-title` }, title),
            note ? html("p", { class: "note" }, math(note)) : "",
            content,
        );
    const nothing = () => html("p", { class: "note" }, Texts.t("flow.nothing"));
    const SIZE = [460, 205];

    function norms(scene) {
        // The parts of a state that stay within the cell, such as c of an LSTM, are dashed.
        const lines = scene.networks.flatMap((network, series) =>
            (network.flow?.parts ?? []).map((points, part) => ({
                name: part ? `${name(network)} ${Model.partLetter(network, part)}` : name(network),
                series,
                points,
                dashed: part > 0,
            })),
        );
        const label = Texts.t("flow.norms");
        return card(
            "flow-norms",
            label,
            Texts.t("flow.norms.axis"),
            lines.length ? Chart.lines({ size: SIZE, lines, log: true, label, xLabel: Texts.t("flow.step") }) : nothing(),
        );
    }

    function growth(scene) {
        const own = scene.networks
            .map((network, series) => ({ network, series }))
            .filter(({ network }) => network.flow?.growth?.some((value) => value !== null));
        const lines = own.map(({ network, series }) => ({ name: name(network), series, points: network.flow.growth }));
        const guides = own.map(({ network, series }) => ({ at: network.flow.radius, series, name: name(network) }));
        const label = Texts.t("flow.growth");
        return card(
            "flow-growth",
            label,
            Texts.t("flow.growth.note"),
            lines.length
                ? Chart.lines({ size: SIZE, lines, guides, log: true, label, xLabel: Texts.t("flow.step"), first: 1 })
                : nothing(),
        );
    }

    /** The gates of the network shown, or else of the first that has some. */
    function gates(chosen, scene) {
        const gated = ({ flow }) => flow?.gates?.some(({ kind }) => kind === "switch");
        const network = [chosen, ...scene.networks].find(gated);
        if (!network) return null;
        const title = Texts.t("flow.gates", { name: name(network) });
        const list = network.flow.gates;
        const low = list.some(({ mean }) => mean.some((value) => value < 0)) ? -1 : 0;
        const lines = list.map((gate, series) => ({ name: gate.name, series, points: gate.mean }));
        const chart = Chart.lines({ size: [700, 128], lines, range: [low, 1], label: title, xLabel: Texts.t("flow.step") });
        return card("flow-gates", title, Texts.t("flow.gates.note"), chart, saturation(list));
    }

    /** A strip for each gate: the share of saturated units at each step, as a height. */
    function saturation(list) {
        const { svg } = Dom;
        const [left, width, height] = [46, 576, 13];
        const root = svg("svg", {
            class: "chart",
            viewBox: `0 0 700 ${list.length * (height + 4) + 2}`,
            role: "img",
            "aria-label": Texts.t("flow.gates.note"),
        });
        list.forEach((gate, row) => {
            const y = 2 + row * (height + 4);
            const side = width / gate.saturated.length;
            root.append(svg("text", { class: "tick end var", x: left - 7, y: y + 11 }, gate.name));
            root.append(svg("rect", { class: "strip", x: left, y, width, height }));
            gate.saturated.forEach((share, t) => {
                const bar = svg("rect", {
                    class: "bar",
                    "data-series": row,
                    x: left + t * side + 1,
                    y: y + height * (1 - share),
                    width: Math.max(1, side - 2),
                    height: height * share,
                });
                bar.append(svg("title", null, `${gate.name}, t = ${t}: ${Math.round(100 * share)} %`));
                root.append(bar);
            });
        });
        return root;
    }

    function influence(scene) {
        const maps = scene.networks.flatMap((network) => {
            if (!network.influence?.length) return [];
            const label = `${Texts.t("flow.influence")}: ${name(network)}`;
            const chosen = network.id === Store.state().net;
            return [
                html(
                    "figure",
                    { class: chosen ? "chosen" : null },
                    html("figcaption", null, name(network)),
                    Chart.heat({ size: 150, matrix: network.influence, label }),
                ),
            ];
        });
        return card(
            "flow-influence",
            Texts.t("flow.influence"),
            Texts.t("flow.influence.note"),
            maps.length ? html("div", { class: "heats" }, maps) : nothing(),
        );
    }

    return { show };
})();
