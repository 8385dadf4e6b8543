"use strict";

// What the page knows of a network beyond its data: the place of each node in the picture, and what lights up when.
//
// A place is { kind, t, part }: "cell" for the ops of a time step, "loss" for those between h_t and E_t, "first" for the
// state before step 0. A key names an element of the picture: "s:p:t" a part of a state, "y:t", "E:t", "g:name:t" a gate,
// "e:from:to:lag:t" an arrow into step t from `lag` steps before ("e:s0:s1:1:2" is h_1 → c_2), "w:letter:t" the use of a weight.
const Model = (() => {
    const known = new WeakMap();

    function of(network) {
        if (!known.has(network)) known.set(network, build(network));
        return known.get(network);
    }

    function build(network) {
        const elements = elementsOf(network);
        const places = placesOf(network, elements);
        const parameters = new Map(network.parameters.map((parameter, index) => [parameter.node, index]));
        const model = { network, elements, places, parameters, sweeps: network.sweeps.map((sweep) => sweep.events) };
        model.gates = gatesOf(network);
        Object.assign(model, Wiring.of(model));
        model.lights = cached((k) => lightsOf(model, k));
        model.items = cached((k) => itemsOf(model, k));
        model.group = cached((place) => places.flatMap((own, id) => (own && keyOf(own) === place ? [id] : [])));
        return model;
    }

    function cached(make) {
        const made = new Map();
        return (key) => {
            if (!made.has(key)) made.set(key, make(key));
            return made.get(key);
        };
    }

    const keyOf = (place) => (place ? `${place.kind}:${place.t}` : null);

    /** What opens and shuts, then the candidates; one that has the name of a part is the state itself, and drawn as such. */
    function gatesOf(network) {
        const gates = (network.flow?.gates ?? []).map((gate) => ({ ...gate, switches: gate.kind === "switch" }));
        const shown = gates.filter(({ name }) => !network.parts.includes(name));
        return shown.sort((a, b) => b.switches - a.switches);
    }

    /** The elements of the picture with their nodes, as [key, node]: what comes first in time comes first. */
    function drawn(network) {
        const found = network.first.map((id, p) => [`s:${p}:-1`, id]);
        network.xs.forEach((id, t) => {
            found.push([`x:${t}`, id]);
            network.states.forEach((part, p) => found.push([`s:${p}:${t}`, part[t]]));
            if (network.ys[t] !== null) found.push([`y:${t}`, network.ys[t]]);
        });
        return [...found, ...network.losses.map((loss) => [`E:${loss.step}`, loss.node])];
    }

    /** The key of each node that the picture draws as an element of its own; the first, where a value is passed on unchanged. */
    function elementsOf(network) {
        const elements = new Map();
        for (const [key, id] of drawn(network)) if (!elements.has(id)) elements.set(id, key);
        return elements;
    }

    function placesOf(network, elements) {
        const places = network.nodes.map(() => null);
        const borders = new Set([...network.states.flat(), ...network.first, ...network.xs]);
        network.parameters.forEach((parameter) => borders.add(parameter.node));
        const walk = (root, place) => {
            const open = [root];
            while (open.length) {
                const id = open.pop();
                if (places[id] || (id !== root && borders.has(id))) continue;
                places[id] = place;
                open.push(...network.nodes[id].inputs);
            }
        };
        network.first.forEach((id, part) => walk(id, { kind: "first", t: -1, part }));
        network.states[0].forEach((_, t) => {
            // The memory is the last part: what it is made of belongs to it, and the rest to the output.
            for (let part = network.states.length - 1; part >= 0; part--) {
                walk(network.states[part][t], { kind: "cell", t, part });
            }
        });
        network.losses.forEach((loss) => walk(loss.node, { kind: "loss", t: loss.step, part: 0 }));
        network.nodes.forEach((node, id) => {
            if (!places[id] && node.step !== null && !elements.has(id) && node.inputs.length) {
                places[id] = { kind: "cell", t: node.step, part: 0 };
            }
        });
        return places;
    }

    /** The key of the element at which a node is: its own, its gate's, or that of the state it belongs to. */
    function whereIs(model, id) {
        const own = model.elements.get(id);
        if (own) return { key: own, inside: false };
        const place = model.places[id];
        if (!place) return { key: null, inside: false };
        const gate = model.network.nodes[id].gate;
        if (place.kind === "cell" && model.gates.some(({ name }) => name === gate)) {
            return { key: `g:${gate}:${place.t}`, inside: false };
        }
        if (place.kind === "loss") return { key: `E:${place.t}`, inside: true };
        return { key: `s:${place.part}:${place.t}`, inside: true };
    }

    /** For each element that sweep k reaches: the event that completes its gradient, and the norm of that. */
    function lightsOf(model, k) {
        const { network, elements } = model;
        if (!model.sweeps.length) return wholeFlow(network);
        const parts = new Map();
        const lights = new Map();
        const add = (key, at, tensor) => {
            if (!parts.has(key)) parts.set(key, { at, tensors: [] });
            const part = parts.get(key);
            part.at = at;
            part.tensors.push(tensor);
        };
        (model.sweeps[k] ?? []).forEach((event, at) => {
            const here = whereIs(model, event.node);
            if (here.key && !here.inside && !lights.has(here.key)) {
                lights.set(here.key, { at, norm: event.arrives.norm, exact: true });
            }
            for (const { to, tensor } of event.leaves) {
                const target = elements.get(to);
                for (const edge of target ? model.along(event.node, target) : []) add(edge, at, tensor);
                if (target && !network.nodes[to].inputs.length) add(target, at, tensor);
            }
        });
        for (const [key, { at, tensors }] of parts) {
            if (!lights.has(key)) lights.set(key, { at, ...normOfSum(tensors) });
        }
        for (const item of model.items(k)) {
            if (item.step === null) continue;
            const key = `w:${tagOf(network.parameters[item.parameter])}:${item.step}`;
            const before = lights.get(key);
            if (!before || !(before.norm > item.tensor.norm)) {
                lights.set(key, { at: item.at, norm: item.tensor.norm, exact: true });
            }
        }
        for (const { key, edge, same } of model.passed) {
            const light = lights.get(same);
            if (light) lights.set(key, light).set(edge, light);
        }
        return lights;
    }

    /** Without sweeps, what the gradient of the whole loss is at each state. */
    function wholeFlow(network) {
        const found = (network.flow?.parts ?? []).flatMap((part, p) =>
            part.map((norm, t) => [`s:${p}:${t}`, { at: -1, norm, exact: true }]),
        );
        return new Map(found);
    }

    /** The norm of a sum; of the largest term alone, and not exact, where the values were not kept. */
    function normOfSum(tensors) {
        if (tensors.length === 1) return { norm: tensors[0].norm, exact: true };
        if (tensors.some((tensor) => !tensor.values)) {
            return { norm: Math.max(...tensors.map((tensor) => tensor.norm ?? NaN)), exact: false };
        }
        return { norm: Math.hypot(...sum(tensors)), exact: true };
    }

    const sum = (tensors) =>
        tensors[0].values.map((_, k) => tensors.reduce((total, { values }) => total + (values[k] ?? NaN), 0));

    /** The items of loss k: { parameter, column, step, tensor, at: the event that completes it }. */
    function itemsOf(model, k) {
        const { network } = model;
        const last = new Map();
        const events = model.sweeps[k] ?? [];
        events.forEach((event, at) => event.terms.forEach(({ parameter, step }) => last.set(`${parameter}:${step}`, at)));
        return network.parameters.flatMap((parameter, index) =>
            parameter.steps.flatMap((step, column) => {
                const tensor = parameter.items[k]?.[column];
                if (!tensor) return [];
                return [{ parameter: index, column, step, tensor, at: last.get(`${index}:${step}`) ?? events.length - 1 }];
            }),
        );
    }

    /** What a node is called: its place in the picture, its parameter, or else its op. */
    function label(model, id) {
        const own = model.elements.get(id);
        if (own) {
            const [kind, first, second] = own.split(":");
            if (kind === "s") return `${partLetter(model.network, first)}_{${second}}`;
            return `${kind}_{${first}}`;
        }
        const parameter = model.parameters.get(id);
        if (parameter !== undefined) return letterOf(model.network.parameters[parameter]);
        return model.network.nodes[id].op;
    }

    /** The letter of a part of the state: c for "cell". Parts that would share a letter keep their names. */
    function partLetter(network, part) {
        const name = network.parts[part];
        const letters = network.parts.map((other) => other[0]);
        return letters.filter((letter) => letter === name[0]).length > 1 ? name : name[0];
    }

    const shortName = (name) => name.split(".").at(-1);
    /** What names the use of a parameter in keys: parameters of one letter share it. */
    const tagOf = (parameter) => parameter.letter || parameter.name;
    const letterOf = (parameter) => (parameter.letter === "h0" ? "h_{-1}" : parameter.letter || shortName(parameter.name));

    /** Every norm that the picture, the table and the charts of a scene may show. */
    function* norms(scene) {
        for (const network of scene.networks) {
            for (const sweep of network.sweeps) for (const event of sweep.events) yield event.arrives.norm;
            for (const parameter of network.parameters) {
                for (const row of parameter.items) for (const item of row) yield item?.norm;
            }
            for (const part of network.flow?.parts ?? []) yield* part;
        }
    }

    const memory = (network) => network.parts.length - 1;

    return { of, drawn, keyOf, whereIs, label, tagOf, letterOf, partLetter, shortName, normOfSum, sum, norms, memory };
})();

// The arrows of the picture, from the graph: there is one from a to b where b is computed from a without another element between.
//
// A gate that is drawn counts as such an element, with the state that its ops belong to: in an LSTM whose gates are one product,
// x and h_(t-1) lead to c, and the output gate has no arrow of its own to h.
const Wiring = (() => {
    /**
     * The arrows of a network, { edges: [{ key, from, to, lag, t, labels }] }, the arrows that a term passes from a node to an
     * element, `along(node, element)`, the uses of its parameters, [{ parameter, to }], and the elements that are `passed` on unchanged.
     */
    function of(model) {
        const edges = new Map();
        const uses = [];
        const targets = new Map();
        const passed = [];
        for (const [key, root] of Model.drawn(model.network)) {
            const same = model.elements.get(root);
            if (same !== key) {
                passed.push({ key, same, edge: add(edges, same, key).key });
                continue;
            }
            for (const id of opsOf(model, key, root)) {
                if (!targets.has(id)) targets.set(id, []);
                targets.get(id).push(key);
                visit(model, id, key, edges, uses);
            }
        }
        const along = (id, from) => (targets.get(id) ?? []).map((to) => edges.get(keyOf(sourceOf(model, from, to), to)).key);
        return { edges: [...edges.values()], along, uses, passed };
    }

    /** The ops from which an element is computed, up to the next elements. */
    function opsOf(model, key, root) {
        const { nodes } = model.network;
        const gates = new Set(model.gates.map(({ name }) => name));
        const owns = (id) => {
            const place = model.places[id];
            return place?.kind === "cell" && `s:${place.part}:${place.t}` === key;
        };
        const found = new Map();
        const open = [[root, false]];
        while (open.length) {
            const [id, gated] = open.pop();
            if (found.has(id) && (gated || !found.get(id))) continue;
            if (model.parameters.has(id) || (id !== root && model.elements.has(id)) || (gated && !owns(id))) continue;
            found.set(id, gated);
            const inside = gated || (id !== root && gates.has(nodes[id].gate));
            open.push(...nodes[id].inputs.map((input) => [input, inside]));
        }
        return found.keys();
    }

    /** Notes the elements and the parameters that one op takes. The arrow of x in x·W + h·U + b has the label W. */
    function visit(model, id, to, edges, uses) {
        const { op, inputs } = model.network.nodes[id];
        const behind = inputs.map((input) => parameterBehind(model, input));
        for (const parameter of behind) if (parameter !== null) uses.push({ parameter, to });
        inputs.forEach((input, k) => {
            const from = model.elements.get(input);
            if (from === undefined) return;
            const edge = add(edges, sourceOf(model, from, to), to);
            const factor = behind[k + 1] ?? (inputs.length === 2 ? behind[1 - k] : null);
            if (factor !== null && op !== "add") edge.labels.add(Model.tagOf(model.network.parameters[factor]));
        });
    }

    /** The parameter that a node is, or is a view of. */
    function parameterBehind(model, id) {
        const { inputs } = model.network.nodes[id];
        if (model.parameters.has(id)) return model.parameters.get(id);
        return inputs.length === 1 && !model.elements.has(id) ? parameterBehind(model, inputs[0]) : null;
    }

    /** A loss of the output of a network without a read-out takes y, though the node is that of h. */
    function sourceOf({ network, elements }, from, to) {
        const [kind, t] = to.split(":");
        return kind === "E" && network.ys[t] !== null && elements.get(network.ys[t]) === from ? `y:${t}` : from;
    }

    const split = (key) => {
        const parts = key.split(":");
        return [parts.slice(0, -1).join(""), Number(parts.at(-1))];
    };

    function keyOf(from, to) {
        const [[start, before], [end, t]] = [split(from), split(to)];
        return `e:${start}:${end}:${t - before}:${t}`;
    }

    function add(edges, from, to) {
        const key = keyOf(from, to);
        if (!edges.has(key)) {
            edges.set(key, { key, from, to, lag: split(to)[1] - split(from)[1], t: split(to)[1], labels: new Set() });
        }
        return edges.get(key);
    }

    /** The keys of the elements and arrows on the way from where a parameter is used at step t to the loss of step s. */
    function path(model, parameter, s, t) {
        const starts = model.uses.filter((use) => use.parameter === parameter && split(use.to)[1] === t).map(({ to }) => to);
        const ahead = reach(starts, model.edges, "from", "to");
        const behind = reach([`E:${s}`], model.edges, "to", "from");
        const keys = new Set([...ahead].filter((key) => behind.has(key)));
        for (const { key, from, to } of model.edges) if (keys.has(from) && keys.has(to)) keys.add(key);
        const tag = Model.tagOf(model.network.parameters[parameter]);
        for (const { key, to, labels } of model.edges) if (starts.includes(to) && keys.has(to) && labels.has(tag)) keys.add(key);
        return keys.add(`w:${tag}:${t}`);
    }

    function reach(starts, edges, near, far) {
        const next = new Map();
        for (const edge of edges) next.set(edge[near], [...(next.get(edge[near]) ?? []), edge[far]]);
        const found = new Set();
        const open = [...starts];
        while (open.length) {
            const key = open.pop();
            if (found.has(key)) continue;
            found.add(key);
            open.push(...(next.get(key) ?? []));
        }
        return found;
    }

    return { of, path };
})();
