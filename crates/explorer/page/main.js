"use strict";

// Starts the page, and tells each part what has changed.
(() => {
    let drawing = null;
    let model = null;
    let lastEvent = null;

    function drawNetwork() {
        model = Model.of(Store.network());
        const stage = Dom.byId("stage");
        const rolled = model.network.xs.length > Layout.MOST_STEPS;
        drawing = rolled ? Rolled.draw(model, () => redraw(Store.state())) : Network.draw(model);
        drawing.rolled = rolled;
        stage.replaceChildren(drawing.svg);
        Dom.byId("ruler").replaceChildren(...(rolled ? [drawing.ruler] : []));
        Check.mark(drawing.elements.get(Check.key(model)));
        stage.style.setProperty("--natural", `${drawing.layout.width}px`);
        stage.style.setProperty("--least", `${0.74 * drawing.layout.height}px`);
        stage.dataset.kind = rolled ? "rolled" : drawing.layout.roomy ? "roomy" : "compact";
    }

    /** Another step of a rolled network; the ruler keeps the focus. */
    function redraw(state) {
        const fresh = Rolled.column(model);
        drawing.svg.replaceWith(fresh.svg);
        Object.assign(drawing, { svg: fresh.svg, elements: fresh.elements, norms: fresh.norms });
        Dom.setText(drawing.text, `t = ${Rolled.step()}`);
        if (Number(drawing.slider.value) !== Rolled.step()) drawing.slider.value = Rolled.step();
        light(state);
    }

    function light(state) {
        const place = Sweep.locate(model.network, state.loss, state.event);
        const event = Sweep.events(model.network, place.k)[place.at];
        const moved = event && state.event !== lastEvent;
        lastEvent = state.event;
        const here = event ? Model.whereIs(model, event.node) : { key: null, inside: false };
        if (drawing.rolled) {
            const t = here.key ? Number(here.key.split(":").at(-1)) : Rolled.step();
            if (moved && t >= 0 && t !== Rolled.step()) {
                Rolled.choose(t);
                redraw(state);
                return;
            }
            Rolled.light(drawing, model, place.k, place.at);
            Light.show(drawing, model, place.k, place.at, Rolled.step());
            Light.point(drawing, { ...here, key: here.key ? Light.shifted(here.key, -Rolled.step()) : null });
        } else {
            Light.show(drawing, model, place.k, place.at);
            Light.point(drawing, here);
            keepInSight(here.key);
        }
    }

    /** Scrolls a long network so that the current column is seen. */
    function keepInSight(key) {
        const stage = Dom.byId("stage");
        if (!key || stage.scrollWidth <= stage.clientWidth) return;
        const box = drawing.elements.get(key)?.getBoundingClientRect();
        const frame = stage.getBoundingClientRect();
        if (box && (box.left < frame.left + 90 || box.right > frame.right - 90)) {
            stage.scrollLeft += box.left - frame.left - frame.width / 2;
        }
    }

    function trace(keys) {
        const marked = keys.size ? keys : Tour.marks(Store.state());
        const shift = drawing.rolled ? -Rolled.step() : 0;
        Light.path(drawing, shift ? new Set([...marked].map((key) => Light.shifted(key, shift))) : marked);
    }

    function setScale() {
        Colour.setRange(Model.norms(Store.scene()));
        Legend.build();
    }

    /** Draws what depends on the parts of the state that changed. */
    function render(state, before) {
        const changed = (...keys) => !before || keys.some((key) => state[key] !== before[key]);
        const scene = Store.scene();
        const fresh = scene !== render.scene;
        render.scene = scene;
        if (changed("lang")) {
            Texts.use(state.lang);
            Settings.build();
        }
        if (changed("lang", "scene") || fresh) {
            setScale();
            Controls.build();
            Check.show();
        }
        if (changed("lang", "scene", "net") || fresh) {
            Player.build(Store.network());
            Details.build(Store.network());
            Terms.build(trace);
            drawNetwork();
        }
        if (changed("lang", "scene", "net", "parameter") || fresh) Table.build(Store.network(), Store.parameter());
        Controls.show(state);
        Tour.show(state);
        if (state.view === "flow") Flow.show(state);
        if (state.view === "cliff") Cliff.show(state);
        light(state);
        Player.show(state);
        Details.show(state);
        Table.show(state);
        Terms.show(state);
    }

    function start() {
        Theme.start();
        const wanted = Address.read(location.hash);
        Store.start(JSON.parse(Dom.byId("data").textContent), wanted);
        Texts.use(Store.state().lang);
        Store.listen((state, before, how) => {
            render(state, before);
            Address.write(state, how);
        });
        const follow = () => {
            Player.pause();
            const there = Tour.settled(Address.read(location.hash));
            if (Settings.differ(there)) Settings.restore(there);
            else Store.set(there, "keep");
        };
        addEventListener("popstate", follow);
        addEventListener("keydown", Player.key);
        Dom.byId("skip").addEventListener("click", () => Dom.byId("stage").focus());
        render(Store.state(), null);
        Settings.restore(wanted);
    }

    start();
})();
