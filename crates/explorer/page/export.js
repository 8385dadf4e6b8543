"use strict";

// The picture or the table as an SVG or a PNG file, with its styles inside.
const Export = (() => {
    const { svg } = Dom;
    const PROPERTIES = [
        "fill",
        "fill-opacity",
        "stroke",
        "stroke-width",
        "stroke-dasharray",
        "stroke-linecap",
        "stroke-linejoin",
        "paint-order",
        "opacity",
        "font-family",
        "font-size",
        "font-style",
        "font-weight",
        "font-variant-numeric",
        "text-anchor",
        "visibility",
        "display",
    ];
    const SCALE = 2;

    /** The SVG of the view shown: the network, the charts' first one, or the surface. */
    function picture() {
        const view = Store.state().view;
        if (view === "cliff") return document.querySelector("#surface");
        if (view === "flow") return document.querySelector("#flow-norms svg");
        return document.querySelector("#stage svg.network");
    }

    /** A copy whose elements carry their computed styles. */
    function standalone(source) {
        const copy = source.cloneNode(true);
        const originals = [source, ...source.querySelectorAll("*")];
        [copy, ...copy.querySelectorAll("*")].forEach((element, k) => {
            const style = getComputedStyle(originals[k]);
            const rules = PROPERTIES.map((name) => `${name}:${style.getPropertyValue(name)}`);
            element.setAttribute("style", rules.join(";"));
            element.removeAttribute("class");
        });
        const [, , width, height] = copy.getAttribute("viewBox").split(" ").map(Number);
        copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
        copy.setAttribute("width", width);
        copy.setAttribute("height", height);
        copy.insertBefore(background(copy.getAttribute("viewBox").split(" ").map(Number)), copy.firstChild);
        return copy;
    }

    function background([x, y, width, height]) {
        return svg("rect", { x, y, width, height, fill: getComputedStyle(document.body).backgroundColor });
    }

    /** A table as SVG: a rectangle and a text for each cell, where the browser has put them. */
    function tablePicture(table) {
        const frame = table.getBoundingClientRect();
        const root = svg("svg", {
            viewBox: `0 0 ${Math.ceil(frame.width)} ${Math.ceil(frame.height)}`,
            xmlns: "http://www.w3.org/2000/svg",
            width: Math.ceil(frame.width),
            height: Math.ceil(frame.height),
        });
        root.append(background([0, 0, Math.ceil(frame.width), Math.ceil(frame.height)]));
        for (const cell of table.querySelectorAll("th, td")) {
            const box = cell.getBoundingClientRect();
            const style = getComputedStyle(cell);
            const [x, y] = [box.left - frame.left, box.top - frame.top];
            root.append(
                svg("rect", {
                    x: x + 1,
                    y: y + 1,
                    width: Math.max(0, box.width - 2),
                    height: Math.max(0, box.height - 2),
                    fill: style.backgroundColor,
                    rx: 4,
                }),
            );
            const words = cell.textContent.trim();
            if (!words) continue;
            root.append(
                svg(
                    "text",
                    {
                        x: x + box.width / 2,
                        y: y + box.height / 2 + 4.5,
                        "text-anchor": "middle",
                        style: `fill:${style.color};font-family:${style.fontFamily.replace(/"/g, "'")};font-size:${style.fontSize}`,
                    },
                    words,
                ),
            );
        }
        return root;
    }

    const source = (what) => (what === "table" ? tablePicture(document.querySelector("#items")) : standalone(picture()));
    const textOf = (element) => new XMLSerializer().serializeToString(element);
    const fileName = (what, kind) => `rewind-${Store.state().scene}-${Store.state().net}-${what}.${kind}`;

    function save(blob, name) {
        const link = Dom.html("a", { href: URL.createObjectURL(blob), download: name });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }

    function saveSvg(what) {
        save(new Blob([textOf(source(what))], { type: "image/svg+xml" }), fileName(what, "svg"));
    }

    async function savePng(what) {
        const element = source(what);
        const image = new Image();
        image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(textOf(element))}`;
        await image.decode();
        const canvas = document.createElement("canvas");
        canvas.width = SCALE * Number(element.getAttribute("width"));
        canvas.height = SCALE * Number(element.getAttribute("height"));
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
        if (!blob) throw new Error(Texts.t("export.failed"));
        save(blob, fileName(what, "png"));
    }

    async function run(what, kind) {
        try {
            if (kind === "svg") saveSvg(what);
            else await savePng(what);
        } catch (error) {
            Dom.byId("error").textContent = error.message || Texts.t("export.failed");
        }
    }

    return { run };
})();
