"use strict";

// The state in the address, after #: a pasted address restores the moment.
const Address = (() => {
    const KEYS = ["scene", "net", "view", "loss", "event", "parameter", "term", "tour", "lang"];
    // Browsers refuse more than about a hundred changes of the address in half a minute, and a playing sweep makes more.
    const PAUSE = 250;
    let waiting = null;

    function text(state) {
        const defaults = Store.defaults();
        const parts = KEYS.filter((key) => state[key] !== null && (key === "lang" || state[key] !== defaults[key]));
        const settings = state.settings ? Object.entries(state.settings) : [];
        return (
            "#" +
            [...parts.map((key) => [key, state[key]]), ...settings].map(([key, value]) => `${key}=${encode(value)}`).join("&")
        );
    }

    const encode = (value) => encodeURIComponent(value).replace(/%2C/g, ",").replace(/%3B/g, ";");

    /** What an address says; keys it does not know are settings of the server's. */
    function read(hash) {
        const found = Store.defaults();
        const settings = {};
        for (const [key, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
            if (!KEYS.includes(key)) settings[key] = value;
            else found[key] = key === "event" || key === "tour" ? Number.parseInt(value, 10) : value;
        }
        if (Number.isNaN(found.tour)) found.tour = null;
        return { ...found, settings: Object.keys(settings).length ? settings : null };
    }

    function write(state, how) {
        if (how === "push") settle();
        clearTimeout(waiting?.timer);
        waiting = null;
        if (how === "keep") return;
        const address = text(state);
        if (address === location.hash) return;
        if (how === "push") history.pushState(null, "", address);
        else waiting = { address, timer: setTimeout(settle, PAUSE) };
    }

    /** Writes the address that waits, so that "back" finds it. */
    function settle() {
        if (waiting) history.replaceState(null, "", waiting.address);
        waiting = null;
    }

    return { read, write, text };
})();
