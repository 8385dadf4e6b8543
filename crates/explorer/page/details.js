"use strict";

// The card of the current event: op, rule, line, what arrives and what leaves; and the ops of its time step.
const Details = (() => {
    const { html, setText, setAttribute } = Dom;
    // Tensors of more values are folded, so that the ops below stay in sight.
    const FOLD = 9;
    let made = null;

    /** Builds the card for the network shown. */
    function build(network) {
        const model = Model.of(network);
        const card = {
            where: html("p", { class: "event-where" }),
            op: html("h2", { class: "event-op", id: "event-op" }),
            rules: network.rules.map(({ text }) => html("p", { class: "event-rule", hidden: true }, Dom.math(tidy(text)))),
            noRule: html("p", { class: "event-rule", hidden: true }, Texts.t("event.norule")),
            line: html("p", { class: "event-line" }),
            value: flow(0),
            arrives: flow(),
            leaves: [],
            leavesList: html("div", { class: "event-leaves" }),
            none: html("p", { class: "event-none", hidden: true }, Texts.t("event.nothing")),
            body: html("div", { class: "event-body" }),
            start: startCard(network),
            graph: html("figure", { class: "graph-frame", id: "graph" }),
            caption: html("figcaption", null, ""),
        };
        card.body.append(
            ...[
                html("div", { class: "event-head" }, card.op, card.where),
                card.rules,
                card.noRule,
                card.line,
                html(
                    "div",
                    { class: "event-flows" },
                    html("h3", null, Texts.t("event.value")),
                    card.value.root,
                    html("h3", null, Texts.t("event.arrives")),
                    card.arrives.root,
                    html("h3", null, Texts.t("event.leaves")),
                    html("div", null, card.leavesList, card.none),
                ),
            ].flat(),
        );
        card.graph.append(card.caption);
        Dom.byId("details").replaceChildren(card.body, card.start, card.graph);
        card.value.root.classList.add("value");
        made = { network, model, card, graphs: new Map(), live: null };
    }

    function startCard(network) {
        const equations = network.equations.map((equation) => html("li", null, Dom.math(equation)));
        const left = network.sweeps_left_out;
        return html(
            "div",
            { class: "event-start", hidden: true },
            html("h2", null, Texts.of(network.title)),
            html("ul", { class: "equations" }, equations),
            html("p", null, left ? Texts.t("sweep.none", { reason: left }) : Texts.t("event.start.text")),
        );
    }

    /** One cotangent: where it goes, and the tensor. */
    function flow(fold = FOLD) {
        const to = html("span", { class: "flow-to" });
        const note = html("span", { class: "flow-note" });
        const view = TensorView.create(fold);
        return {
            root: html("div", { class: "flow-item" }, html("div", { class: "flow-head" }, to, note), view.root),
            to,
            note,
            view,
            labels: new Map(),
        };
    }

    function show(state) {
        const network = Store.network();
        const { model, card } = made;
        const place = Sweep.locate(network, state.loss, state.event);
        const event = Sweep.events(network, place.k)[place.at] ?? null;
        card.body.hidden = !event;
        card.start.hidden = Boolean(event);
        if (event) showEvent(model, card, event, place);
        showGraph(model, card, event, place);
        setText(Dom.byId("live"), event ? spoken(model, event, state) : Texts.t("event.start"));
    }

    function showEvent(model, card, event, place) {
        const { network } = model;
        const node = network.nodes[event.node];
        setText(card.op, node.name || node.op);
        const loss = network.losses[place.k].name;
        const words = [
            stepOf(model, event.node),
            node.gate ? Texts.t("event.gate", { gate: node.gate }) : null,
            Texts.t("event.loss", { loss: subscripts(loss) }),
        ];
        setText(card.where, words.filter(Boolean).join(" · "));
        card.rules.forEach((rule, index) => (rule.hidden = index !== node.rule));
        card.noRule.hidden = Boolean(network.rules[node.rule]) || node.op === "leaf";
        setText(card.line, `${network.files[node.file] ?? ""}:${node.line}:${node.column}`);
        write(card.value, nameOf(model, event.node), "", node.value);
        write(card.arrives, `∂${loss}/∂${nameOf(model, event.node)}`, "", event.arrives);
        while (card.leaves.length < event.leaves.length) {
            const item = flow();
            card.leaves.push(item);
            card.leavesList.append(item.root);
        }
        card.leaves.forEach((item, index) => {
            const leaf = event.leaves[index];
            item.root.hidden = !leaf;
            if (!leaf) return;
            const parameter = model.parameters.get(leaf.to);
            const term = event.terms.find((one) => one.parameter === parameter);
            const note = term ? Texts.t("event.term", { p: network.parameters[parameter].name }) : "";
            write(item, `→ ${nameOf(model, leaf.to)}`, note, leaf.tensor, network.parameters[parameter]?.gates);
        });
        card.none.hidden = event.leaves.length > 0;
        const parameter = network.parameters[model.parameters.get(event.node)];
        setText(card.none, parameter ? Texts.t("event.complete", { p: parameter.name }) : Texts.t("event.nothing"));
    }

    function write(item, label, note, tensor, gates) {
        if (!item.labels.has(label)) {
            item.labels.set(label, Dom.math(label));
            item.to.append(item.labels.get(label));
        }
        for (const [own, element] of item.labels) element.hidden = own !== label;
        setText(item.note, note);
        item.view.show(tensor, gates);
    }

    /** h_2 for a state; for the value of an op inside a step, its name. */
    function nameOf(model, id) {
        const gate = model.elements.has(id) || model.parameters.has(id) ? "" : model.network.nodes[id].gate;
        return gate ? `${Model.label(model, id)} (${gate})` : Model.label(model, id);
    }

    function stepOf(model, id) {
        const place = model.places[id];
        return place && place.t >= 0 ? Texts.t("event.step", { t: place.t }) : null;
    }

    /** "E_2" as E₂, where only text can stand. */
    const subscripts = (name) =>
        name.replace(/_(\d+)/, (_, digits) => [...digits].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join(""));

    /** Docs as one paragraph: the marks of a code block and of code fall away. */
    const tidy = (text) =>
        text
            .replace(/```\w*/g, "")
            .replace(/`/g, "")
            .replace(/\^-x/g, "⁻ˣ")
            .replace(/\s+/g, " ")
            .trim();

    function showGraph(model, card, event, place) {
        const group = event ? Model.keyOf(model.places[event.node]) : `loss:${model.network.losses[place.k]?.step}`;
        const known = group && model.group(group).some((id) => model.network.nodes[id].inputs.length);
        card.graph.hidden = !known;
        if (!known) return;
        if (!made.graphs.has(group)) {
            const graph = Graph.draw(model, group);
            made.graphs.set(group, graph);
            card.graph.append(graph.svg);
        }
        for (const [key, graph] of made.graphs) setAttribute(graph.svg, "hidden", key === group ? null : "");
        setText(card.caption, Texts.t(`graph.${group.split(":")[0]}`, { t: group.split(":")[1] }));
        made.graphs.get(group).show(place.k, place.at);
    }

    function spoken(model, event, state) {
        const node = model.network.nodes[event.node];
        const total = Sweep.length(model.network, state.loss);
        const where = node.scope || Dom.spoken(Model.label(model, event.node));
        return Texts.t("event.spoken", {
            n: state.event + 1,
            total,
            op: node.op,
            where,
            norm: Colour.format(event.arrives.norm),
        });
    }

    return { build, show, subscripts };
})();
