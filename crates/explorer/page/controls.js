"use strict";

// The head of the page: scenes, views, networks, tour, language, theme, export.
const Controls = (() => {
    const { html, svg, setAttribute } = Dom;
    const ICONS = {
        theme: "M10 3a7 7 0 1 0 0 14V3z",
        export: "M10 3v9m0 0 3.5-3.5M10 12 6.5 8.5M4 14v2.5h12V14",
        settings: "M3 6h8m4 0h2M3 14h2m4 0h8M13 4v4M7 12v4",
    };
    const icon = (name) =>
        svg(
            "svg",
            { viewBox: "0 0 20 20", class: `icon icon-${name}`, "aria-hidden": "true" },
            svg("path", { d: ICONS[name] }),
        );

    function build() {
        const data = Store.data();
        setAttribute(document.body, "data-served", data.served ? "" : null);
        Dom.byId("page-title").textContent = Texts.t("page.title");
        document.title = `Rewind · ${Texts.t("page.title")}`;
        Dom.byId("skip").textContent = Texts.t("page.skip");
        const views = ["sweep", "flow", ...(data.cliff ? ["cliff"] : [])];
        Dom.byId("scenes").replaceChildren(
            segments(
                "scene.label",
                data.scenes.map(({ id, title }) => ["scene", id, Texts.of(title)]),
                (scene) => ({ scene, loss: "all", event: -1, term: null, tour: null }),
            ),
        );
        Dom.byId("views").replaceChildren(
            segments(
                "view.label",
                views.map((view) => ["view", view, Texts.t(`view.${view}`)]),
                (view) => ({ view, tour: null }),
            ),
        );
        Dom.byId("tools").replaceChildren(...tools());
        buildNetworks();
    }

    /** A row of buttons of which one is pressed. */
    function segments(label, entries, patch) {
        const choose = (value) => {
            Player.pause();
            Store.set(patch(value));
        };
        const buttons = entries.map(([key, value, text]) =>
            html("button", { type: "button", [`data-${key}`]: value, onclick: () => choose(value) }, text),
        );
        return html("div", { class: "segments", role: "group", "aria-label": Texts.t(label) }, buttons);
    }

    function buildNetworks() {
        const entries = Store.scene().networks.map((network) => {
            const units = Texts.t(network.hidden === 1 ? "net.unit" : "net.units", { n: network.hidden });
            return html(
                "button",
                { type: "button", "data-net": network.id, title: units, onclick: () => chooseNetwork(network.id) },
                Texts.of(network.title),
                network.check?.passed === false
                    ? html("span", { class: "fault", "aria-label": Texts.t("check.failed") }, "✕")
                    : "",
            );
        });
        Dom.byId("networks").replaceChildren(
            html("div", { class: "tabs", role: "group", "aria-label": Texts.t("net.label") }, entries),
        );
    }

    /** Another network at the start of the same sweep: its events are others. */
    function chooseNetwork(net) {
        Player.pause();
        Store.set({ net, event: -1, term: null, tour: null });
    }

    function tools() {
        const tour = html(
            "button",
            { type: "button", class: "button", id: "tour-button", onclick: Tour.toggle },
            Texts.t("tool.tour"),
        );
        const lang = html(
            "button",
            {
                type: "button",
                class: "button quiet",
                id: "lang",
                lang: Texts.lang() === "en" ? "fr" : "en",
                onclick: () => Store.set({ lang: Texts.lang() === "en" ? "fr" : "en" }),
            },
            Texts.t("tool.lang"),
        );
        const theme = html(
            "button",
            {
                type: "button",
                class: "icon-button",
                id: "theme",
                "aria-label": Texts.t("tool.theme"),
                title: Texts.t("tool.theme"),
                onclick: Theme.toggle,
            },
            icon("theme"),
        );
        const found = [tour, lang, theme, exportMenu()];
        if (Settings.served()) found.unshift(settingsButton());
        return found;
    }

    function settingsButton() {
        const button = html(
            "button",
            {
                type: "button",
                class: "button",
                id: "settings-button",
                "aria-expanded": String(!Dom.byId("settings").hidden),
                "aria-controls": "settings",
            },
            icon("settings"),
            Texts.t("tool.settings"),
        );
        button.addEventListener("click", () => {
            const box = Dom.byId("settings");
            box.hidden = !box.hidden;
            setAttribute(button, "aria-expanded", String(!box.hidden));
        });
        return button;
    }

    function exportMenu() {
        const entry = (what, kind) =>
            html(
                "button",
                { type: "button", id: `export-${what}-${kind}`, onclick: () => Export.run(what, kind) },
                Texts.t(`export.${what}.${kind}`),
            );
        const menu = html(
            "details",
            { class: "menu", id: "export" },
            html(
                "summary",
                { class: "icon-button", "aria-label": Texts.t("tool.export"), title: Texts.t("tool.export") },
                icon("export"),
            ),
            html(
                "div",
                { class: "menu-list" },
                entry("network", "svg"),
                entry("network", "png"),
                entry("table", "svg"),
                entry("table", "png"),
                html("button", { type: "button", onclick: () => window.print() }, Texts.t("export.print")),
            ),
        );
        const close = () => menu.removeAttribute("open");
        menu.addEventListener("click", (event) => event.target.closest(".menu-list button") && close());
        menu.addEventListener("keydown", (event) => event.key === "Escape" && close());
        menu.addEventListener("focusout", (event) => event.relatedTarget && !menu.contains(event.relatedTarget) && close());
        return menu;
    }

    function show(state) {
        for (const [key, value] of [
            ["scene", state.scene],
            ["view", state.view],
            ["net", state.net],
        ]) {
            for (const button of document.querySelectorAll(`header [data-${key}], #networks [data-${key}]`)) {
                setAttribute(button, "aria-pressed", String(button.dataset[key] === value));
            }
        }
        for (const id of ["sweep", "flow", "cliff"]) Dom.byId(id).hidden = state.view !== id;
        Dom.byId("bar").hidden = state.view === "cliff";
        setAttribute(Dom.byId("tour-button"), "aria-pressed", String(state.tour !== null));
        for (const entry of document.querySelectorAll("[id^=export-table]")) entry.hidden = state.view !== "sweep";
    }

    return { build, buildNetworks, show };
})();

// Light or dark: as the system says, until the switch is used. Paper is light.
const Theme = (() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    let chosen = null;

    const dark = () => (chosen ?? (system.matches ? "dark" : "light")) === "dark";

    function apply(isDark = dark()) {
        document.documentElement.dataset.theme = isDark ? "dark" : "light";
        Colour.writeRules(isDark);
    }

    function toggle() {
        chosen = dark() ? "light" : "dark";
        apply();
    }

    function start() {
        apply();
        system.addEventListener("change", () => apply());
        addEventListener("beforeprint", () => {
            apply(false);
            const date = new Date().toLocaleDateString(Texts.lang());
            Dom.setText(Dom.byId("printed"), `${document.title} · ${date} · ${location.href}`);
        });
        addEventListener("afterprint", () => apply());
    }

    return { start, toggle };
})();
