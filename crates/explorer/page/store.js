"use strict";

// The one state of the page, and where a sweep stands.
const Store = (() => {
    // `loss` is the step of a loss, or "all" for every sweep in the order of the lecture: the last loss first. `event` counts
    // through the chosen sweeps; -1 is the moment before the first.
    const defaults = () => ({
        scene: null,
        net: null,
        view: "sweep",
        loss: "all",
        event: -1,
        parameter: null,
        term: null,
        tour: null,
        lang: (navigator.language ?? "en").startsWith("fr") ? "fr" : "en",
    });

    let data = null;
    let state = defaults();
    const listeners = [];

    const scene = () => data.scenes.find(({ id }) => id === state.scene);
    const network = () => scene().networks.find(({ id }) => id === state.net);
    const parameter = () => network().parameters.findIndex(({ name }) => name === state.parameter);

    function start(loaded, wanted) {
        data = loaded;
        state = settled({ ...state, ...Tour.settled(wanted) });
    }

    /** Changes the state and tells every listener; `how` says what becomes of the address: "push", "replace" or "keep". */
    function set(patch, how = "push") {
        const before = state;
        state = settled({ ...state, ...patch });
        listeners.forEach((listener) => listener(state, before, how));
    }

    /** A scene that the server computed, in place of the one before it. */
    function putScene(made) {
        const place = data.scenes.findIndex(({ id }) => id === made.id);
        if (place < 0) data.scenes.push(made);
        else data.scenes[place] = made;
        set({ scene: made.id, event: -1, term: null, tour: null }, "replace");
    }

    /** The nearest state that the data have. */
    function settled(wanted) {
        const own = data.scenes.find(({ id }) => id === wanted.scene) ?? data.scenes[0];
        const net = own.networks.find(({ id }) => id === wanted.net) ?? own.networks[0];
        const loss = net.losses.some(({ step }) => String(step) === String(wanted.loss)) ? String(wanted.loss) : "all";
        const chosen = net.parameters.find(({ name }) => name === wanted.parameter) ?? preferred(net);
        const last = Sweep.length(net, loss) - 1;
        const event = Math.min(last, Math.max(-1, Number.isInteger(wanted.event) ? wanted.event : -1));
        const view = wanted.view === "flow" || (wanted.view === "cliff" && data.cliff) ? wanted.view : "sweep";
        const lang = wanted.lang === "fr" ? "fr" : "en";
        return {
            ...wanted,
            scene: own.id,
            net: net.id,
            loss,
            event,
            parameter: chosen?.name ?? null,
            term: termOf(net, wanted.term),
            view,
            lang,
        };
    }

    /** The recurrent weight: the first parameter that meets the state of the step before, of h rather than of the memory. */
    function preferred(net) {
        const recurrent = Model.of(net).edges.filter(({ from, lag, labels }) => from.startsWith("s:") && lag > 0 && labels.size);
        const edge = recurrent.find(({ from }) => from.startsWith("s:0:")) ?? recurrent[0];
        return net.parameters.find((own) => edge?.labels.has(Model.tagOf(own))) ?? net.parameters[0];
    }

    /** "2,0" if it names a loss and a step of the network. */
    function termOf(net, term) {
        const [s, t] = String(term ?? "")
            .split(",")
            .map(Number);
        const fits = net.losses.some(({ step }) => step === s) && Number.isInteger(t) && t >= 0 && t <= s;
        return fits ? `${s},${t}` : null;
    }

    const listen = (listener) => listeners.push(listener);

    return { defaults, start, set, putScene, listen, scene, network, parameter, state: () => state, data: () => data };
})();

// The order in which sweeps are played.
const Sweep = (() => {
    /** The indices of the losses whose sweeps are played, in order. */
    function order(network, loss) {
        const all = network.sweeps.map((sweep) => sweep.loss).reverse();
        return loss === "all" ? all : all.filter((k) => String(network.losses[k].step) === loss);
    }

    const events = (network, k) => network.sweeps.find((sweep) => sweep.loss === k)?.events ?? [];
    const length = (network, loss) => order(network, loss).reduce((total, k) => total + events(network, k).length, 0);

    /** Where event number `event` is: { k: the loss, at: the event of its sweep, done: the losses swept before }. */
    function locate(network, loss, event) {
        const done = [];
        const played = order(network, loss);
        let rest = event;
        for (const k of played) {
            const count = events(network, k).length;
            if (rest < count) return { k, at: rest, done };
            rest -= count;
            done.push(k);
        }
        return { k: played.at(-1) ?? 0, at: -1, done: [] };
    }

    /** The number of the event `at` of the sweep of loss k. */
    function numberOf(network, loss, k, at) {
        let before = 0;
        for (const other of order(network, loss)) {
            if (other === k) return before + at;
            before += events(network, other).length;
        }
        return -1;
    }

    /** Whether an item of loss k is made when the sweeps stand there. */
    const isMade = (place, k, at) => place.done.includes(k) || (place.k === k && at <= place.at);

    /** The losses whose terms the table shows as they are made; all of them, at once, if the sweeps were left out. */
    const tabled = (network, loss) => (network.sweeps.length ? order(network, loss) : network.losses.map((_, k) => k));

    return { order, events, length, locate, numberOf, isMade, tabled };
})();
