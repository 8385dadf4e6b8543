"use strict";

// What the page knows of a network beyond its data: the place of each node in the picture, and what lights up when.
//
// A place is { kind, t, part }: "cell" for the ops of a time step, "loss" for those between h_t and E_t, "first" for the
// state before step 0. A key names an element of the picture: "s:p:t" a part of a state, "y:t", "E:t", "g:name:t" a gate,
// "e:…" an arrow, "w:letter:t" the use of a weight.
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

    /** What opens and shuts, then the candidates; a candidate that is the state itself is drawn as such. */
    function gatesOf(network) {
        const gates = (network.flow?.gates ?? []).map((gate) => ({ ...gate, switches: gate.kind === "switch" }));
        const drawn = gates.filter(({ name, switches }) => switches || !network.parts.includes(name));
        return drawn.sort((a, b) => b.switches - a.switches);
    }

    /** The key of each node that the picture draws as an element of its own. */
    function elementsOf(network) {
        const elements = new Map();
        network.states.forEach((part, p) => part.forEach((id, t) => elements.set(id, `s:${p}:${t}`)));
        network.first.forEach((id, p) => elements.set(id, `s:${p}:-1`));
        network.xs.forEach((id, t) => elements.set(id, `x:${t}`));
        network.ys.forEach((id, t) => id !== null && elements.set(id, `y:${t}`));
        network.losses.forEach((loss) => elements.set(loss.node, `E:${loss.step}`));
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

    /** The arrow along which a term leaves a place for a state, an output or an input. */
    function edgeTo(place, target) {
        const [kind, first, second] = target.split(":");
        if (kind === "x") return `e:input:${first}`;
        if (kind === "y") return `e:loss:${first}`;
        if (kind !== "s") return null;
        const [part, t] = [first, Number(second)];
        if (place.kind === "loss") return `e:read:${t}`;
        return place.t === t ? `e:inner:${part}:${t}` : `e:recur:${part}:${t + 1}`;
    }

    /** For each element that sweep k reaches: the event that completes its gradient, and the norm of that. */
    function lightsOf(model, k) {
        const { network, elements, places } = model;
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
                const edge = target && places[event.node] ? edgeTo(places[event.node], target) : null;
                if (edge) add(edge, at, tensor);
                if (target && !network.nodes[to].inputs.length) add(target, at, tensor);
            }
        });
        for (const [key, { at, tensors }] of parts) {
            if (!lights.has(key)) lights.set(key, { at, ...normOfSum(tensors) });
        }
        for (const item of model.items(k)) {
            const letter = network.parameters[item.parameter].letter;
            if (!letter || item.step === null) continue;
            const key = `w:${letter}:${item.step}`;
            const before = lights.get(key);
            if (!before || !(before.norm > item.tensor.norm)) {
                lights.set(key, { at: item.at, norm: item.tensor.norm, exact: true });
            }
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

    return { of, keyOf, whereIs, label, letterOf, partLetter, shortName, normOfSum, sum, norms, memory };
})();
