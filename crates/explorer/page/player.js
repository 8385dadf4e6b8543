"use strict";

// Play, pause and step: the buttons under the network, and the keys.
const Player = (() => {
    const { html, svg, setText, setAttribute } = Dom;
    const SPEEDS = [0.5, 1, 2, 5, 15];
    const SECONDS_PER_EVENT = 0.8;
    const ICONS = {
        first: "M5 4v12M16 4 8 10l8 6z",
        back: "M14 4 6 10l8 6z",
        play: "M6 3.5 16 10 6 16.5z",
        pause: "M6.5 4v12M13.5 4v12",
        forward: "M6 4l8 6-8 6z",
        last: "M15 4v12M4 4l8 6-8 6z",
    };
    let timer = null;
    let speed = 1;
    let made = null;

    const icon = (name) =>
        svg("svg", { viewBox: "0 0 20 20", "aria-hidden": "true", class: "icon" }, svg("path", { d: ICONS[name] }));

    function build(network) {
        const button = (name, act) =>
            html(
                "button",
                {
                    type: "button",
                    class: "icon-button",
                    id: `sweep-${name}`,
                    "aria-label": Texts.t(`sweep.${name}`),
                    title: Texts.t(`sweep.${name}`),
                    onclick: act,
                },
                icon(name),
            );
        const play = button("play", toggle);
        play.classList.add("primary");
        const scrubber = html("input", {
            type: "range",
            id: "scrubber",
            min: "-1",
            step: "1",
            "aria-label": Texts.t("sweep.position"),
            oninput: () => seek(Number(scrubber.value)),
        });
        const count = html("output", { class: "count", for: "scrubber" });
        const rate = html(
            "select",
            { id: "speed", onchange: () => setSpeed(Number(rate.value)) },
            SPEEDS.map((value) => html("option", { value, selected: value === speed }, `${value}×`)),
        );
        const losses = lossChooser(network);
        const bar = [
            html(
                "div",
                { class: "buttons", role: "group", "aria-label": Texts.t("sweep.label") },
                button("first", () => seek(-1)),
                button("back", () => step(-1)),
                play,
                button("forward", () => step(1)),
                button("last", () => seek(Infinity)),
            ),
            html("div", { class: "scrub" }, scrubber, count),
            losses,
            html("label", { class: "speed" }, html("span", { class: "visually-hidden" }, Texts.t("sweep.speed")), rate),
        ];
        Dom.byId("transport").replaceChildren(...bar);
        Dom.byId("transport").hidden = !network.sweeps.length;
        made = { network, scrubber, count, play };
        showPlaying();
    }

    /** Buttons for a few losses, a list for many. */
    function lossChooser(network) {
        const choose = (loss) => {
            pause();
            Store.set({ loss, event: -1 });
        };
        const names = [
            ["all", Texts.t("sweep.all")],
            ...[...network.losses].reverse().map((own) => [String(own.step), own.name]),
        ];
        if (network.losses.length === 1) names.shift();
        if (names.length > 6) {
            const list = html(
                "select",
                { id: "loss", onchange: () => choose(list.value) },
                names.map(([value, name]) => html("option", { value }, Details.subscripts(name))),
            );
            return html("label", { class: "losses" }, html("span", null, Texts.t("sweep.loss")), list);
        }
        const buttons = names.map(([value, name]) =>
            html(
                "button",
                { type: "button", class: "chip", "data-loss": value, onclick: () => choose(value) },
                value === "all" ? name : Dom.math(name),
            ),
        );
        return html("div", { class: "losses", role: "group", "aria-label": Texts.t("sweep.loss") }, buttons);
    }

    function show(state) {
        const { network, scrubber, count } = made;
        const total = Sweep.length(network, state.loss);
        setAttribute(scrubber, "max", total - 1);
        if (Number(scrubber.value) !== state.event) scrubber.value = state.event;
        scrubber.style.setProperty("--share", total ? (state.event + 1) / total : 0);
        setAttribute(scrubber, "aria-valuetext", Texts.t("sweep.count", { n: state.event + 1, total }));
        setText(count, `${state.event + 1} / ${total}`);
        const chosen = network.losses.length === 1 ? String(network.losses[0].step) : state.loss;
        for (const button of document.querySelectorAll("#transport [data-loss]")) {
            setAttribute(button, "aria-pressed", String(button.dataset.loss === chosen));
        }
        const list = Dom.byId("loss");
        if (list) list.value = chosen;
        if (timer && state.event >= total - 1) pause();
    }

    const count = () => Sweep.length(Store.network(), Store.state().loss);

    function step(by) {
        pause();
        go(Store.state().event + by);
    }

    function seek(event) {
        pause();
        go(Math.min(event, count() - 1));
    }

    const go = (event) => Store.set({ event: Math.min(count() - 1, Math.max(-1, event)) }, "replace");

    /** To the next or previous event of another time step. */
    function stepOfTime(by) {
        pause();
        const { loss, event } = Store.state();
        const network = Store.network();
        const model = Model.of(network);
        const column = (number) => {
            const place = Sweep.locate(network, loss, number);
            const own = Sweep.events(network, place.k)[place.at];
            return own ? `${place.k}/${model.places[own.node]?.t}` : null;
        };
        const from = column(event);
        let to = event + by;
        while (to > -1 && to < count() - 1 && column(to) === from) to += by;
        go(to);
    }

    function toggle() {
        if (timer) return pause();
        if (Store.state().event >= count() - 1) go(-1);
        if (count() === 0) return undefined;
        timer = setInterval(() => go(Store.state().event + 1), (1000 * SECONDS_PER_EVENT) / speed);
        go(Store.state().event + 1);
        return showPlaying();
    }

    function pause() {
        clearInterval(timer);
        timer = null;
        showPlaying();
    }

    function setSpeed(value) {
        speed = value;
        if (!timer) return;
        pause();
        toggle();
    }

    function showPlaying() {
        if (!made) return;
        const name = timer ? "pause" : "play";
        setAttribute(made.play.querySelector("path"), "d", ICONS[name]);
        setAttribute(made.play, "aria-label", Texts.t(`sweep.${name}`));
        setAttribute(made.play, "title", Texts.t(`sweep.${name}`));
        setAttribute(made.play, "data-playing", String(Boolean(timer)));
    }

    /** Keys for the whole page, except where an element has a use for them. */
    function key(event) {
        if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
        if (event.target.closest("input, select, textarea, [role=grid], [role=tablist], summary")) return;
        if (event.key === " " && event.target.closest("button, a")) return;
        const acts = {
            " ": toggle,
            ArrowRight: () => (event.shiftKey ? stepOfTime(1) : step(1)),
            ArrowLeft: () => (event.shiftKey ? stepOfTime(-1) : step(-1)),
            Home: () => seek(-1),
            End: () => seek(Infinity),
        };
        const act = acts[event.key];
        if (!act || Store.state().view !== "sweep") return;
        event.preventDefault();
        act();
    }

    return { build, show, pause, key, playing: () => timer !== null };
})();
