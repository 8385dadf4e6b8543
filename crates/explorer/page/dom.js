"use strict";

// Elements of HTML and SVG, and mathematics in both: "h_2" is an italic h with a subscript.
const Dom = (() => {
    // A subscript in braces, in brackets or of letters; a single letter, with its bar or prime; anything else.
    const MATH =
        /_\{([^}]*)\}|_\(([^)]*)\)|_([a-z\d-]+)|((?<![\p{Ll}\u0304])[a-zāēīōūȳ∂][\u0304']?(?![\p{Ll}\u0304]))|([a-z\u00c0-\u0304]+|[^a-zāēīōūȳ_]+?(?=[a-zāēīōūȳ∂_]|$)|_|.)/giu;
    const SVG = "http://www.w3.org/2000/svg";

    function fill(node, attributes, children) {
        for (const [name, value] of Object.entries(attributes ?? {})) {
            if (value === null || value === undefined || value === false) continue;
            if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
            else node.setAttribute(name, value === true ? "" : value);
        }
        node.append(...children.flat().filter((child) => child !== null && child !== undefined));
        return node;
    }

    const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
    const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

    /** Replaces the text of a node without making a new one. */
    function setText(node, text) {
        const first = node.firstChild;
        if (first?.nodeType === Node.TEXT_NODE && !first.nextSibling) {
            if (first.data !== text) first.data = text;
        } else {
            node.textContent = text;
        }
    }

    function setAttribute(node, name, value) {
        if (value === null) {
            if (node.hasAttribute(name)) node.removeAttribute(name);
        } else if (node.getAttribute(name) !== String(value)) {
            node.setAttribute(name, value);
        }
    }

    /** "h_(t-1)·U" as [["h", "var"], ["t-1", "sub"], ["·", ""], ["U", "var"]]: single letters are variables. */
    function mathParts(text) {
        const parts = [];
        for (const match of text.matchAll(MATH)) {
            const sub = match[1] ?? match[2] ?? match[3];
            if (sub !== undefined) parts.push([sub.replace(/-/g, "−"), "sub"]);
            else if (match[4]) parts.push([match[4], "var"]);
            else parts.push([match[5].replace(/ - /g, " − "), ""]);
        }
        return parts;
    }

    /** Mathematics as HTML. */
    function math(text) {
        const tags = { sub: "sub", var: "var", "": "span" };
        return html(
            "span",
            { class: "math" },
            mathParts(text).map(([part, kind]) => html(tags[kind], null, part)),
        );
    }

    /** Mathematics as the children of an SVG text. */
    function svgMath(text) {
        let lowered = false;
        return mathParts(text).map(([part, kind]) => {
            const lower = kind === "sub";
            const dy = lower === lowered ? null : lower ? "0.28em" : "-0.28em";
            lowered = lower;
            return svg("tspan", { class: kind || null, dy: dy && (lower ? "0.3em" : "-0.22em") }, part);
        });
    }

    /** "h_(t-1)" as a screen reader should say it. */
    const spoken = (text) => text.replace(/_\{([^}]*)\}|_\(([^)]*)\)|_/g, (_, a, b) => ` ${a ?? b ?? ""}`).trim();

    const byId = (id) => document.getElementById(id);

    return { html, svg, setText, setAttribute, math, svgMath, spoken, byId };
})();
