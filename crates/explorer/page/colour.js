"use strict";

// One scale for every norm of a scene: the logarithm, in LEVELS steps, as a colour, a thickness and a text.
const Colour = (() => {
    const LEVELS = 32;
    const MOST_DECADES = 12;
    // From small to large on a dark page; reversed on a light one, so that the large stands out on both. The lightness in
    // OKLab rises evenly, so the order survives in grey and for every kind of colour vision.
    const STOPS = [
        [0.27, 0.02, -0.12],
        [0.42, -0.04, -0.1],
        [0.56, -0.09, -0.035],
        [0.7, -0.11, 0.06],
        [0.82, -0.07, 0.14],
        [0.94, -0.02, 0.15],
    ];
    const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

    let range = { low: -3, high: 0 };
    const sheet = document.createElement("style");

    /** Linear sRGB from OKLab (Ottosson 2020). */
    function linear([l, a, b]) {
        const [x, y, z] = [
            (l + 0.3963377774 * a + 0.2158037573 * b) ** 3,
            (l - 0.1055613458 * a - 0.0638541728 * b) ** 3,
            (l - 0.0894841775 * a - 1.291485548 * b) ** 3,
        ];
        return [
            4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z,
            -1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z,
            -0.0041960863 * x - 0.7034186147 * y + 1.707614701 * z,
        ].map((value) => Math.min(1, Math.max(0, value)));
    }

    function at(share) {
        const place = share * (STOPS.length - 1);
        const k = Math.min(STOPS.length - 2, Math.floor(place));
        return STOPS[k].map((value, axis) => value + (STOPS[k + 1][axis] - value) * (place - k));
    }

    const gamma = (value) => (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055);
    const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

    /** The colour of a share of the scale, and black or white for text on it. */
    function swatch(share, dark) {
        const rgb = linear(at(dark ? share : 1 - share));
        const [red, green, blue] = rgb.map((value) => Math.round(255 * gamma(value)));
        return { fill: `rgb(${red} ${green} ${blue})`, ink: luminance(rgb) > 0.179 ? "#000000" : "#ffffff" };
    }

    /** One rule a level: elements carry data-level, and a change of theme touches no element. */
    function writeRules(dark) {
        const rules = [];
        for (let step = 0; step < LEVELS; step++) {
            const part = step / (LEVELS - 1);
            const { fill, ink } = swatch(part, dark);
            rules.push(`[data-level="${step}"]{--fill:${fill};--ink:${ink};--wide:${(1.5 + 5.5 * part).toFixed(2)}px}`);
        }
        sheet.textContent = rules.join("\n");
        if (!sheet.isConnected) document.head.append(sheet);
    }

    /** Takes the smallest and the largest decade of a list of norms, at most MOST_DECADES apart. */
    function setRange(norms) {
        let [low, high] = [Infinity, -Infinity];
        for (const norm of norms) {
            if (!(norm > 0) || !Number.isFinite(norm)) continue;
            low = Math.min(low, norm);
            high = Math.max(high, norm);
        }
        if (high === -Infinity) [low, high] = [1, 1];
        const top = Math.ceil(Math.log10(high) - 1e-9);
        const bottom = Math.max(top - MOST_DECADES, Math.floor(Math.log10(low) + 1e-9));
        range = { low: Math.min(bottom, top - 1), high: top };
    }

    const share = (norm) => Math.min(1, Math.max(0, (Math.log10(norm) - range.low) / (range.high - range.low)));

    /** The data-level of a norm: a number, "zero", "nan", or null for no norm. In the data, null is a number that is not finite. */
    function level(norm) {
        if (norm === undefined) return null;
        if (norm === 0) return "zero";
        if (norm === null || !Number.isFinite(norm)) return "nan";
        return Math.round(share(norm) * (LEVELS - 1));
    }

    const power = (decade) => `10${String(decade).replace(/./g, (digit) => SUPERSCRIPTS[digit])}`;

    /** A number in `digits` significant digits: 0.0123, 4.56·10⁻⁷; in French 0,0123. */
    const format = (value, digits) => (Texts.lang() === "fr" ? plain(value, digits).replace(".", ",") : plain(value, digits));

    function plain(value, digits = 3) {
        if (value === undefined) return "–";
        if (value === null || !Number.isFinite(value)) return "∞/NaN";
        if (value === 0) return "0";
        const power10 = Math.floor(Math.log10(Math.abs(value)));
        if (power10 >= -3 && power10 < 5) {
            return String(Number(value.toPrecision(digits))).replace("-", "−");
        }
        const [mantissa, e] = value.toExponential(digits - 1).split("e");
        return `${Number(mantissa)}·${power(Number(e))}`.replace("-", "−").replace(/^(−?)1·/, "$1");
    }

    /** A norm in three characters, for narrow cells: its power of ten. */
    function exponent(norm) {
        if (norm === undefined) return "";
        if (norm === 0) return "0";
        if (norm === null || !Number.isFinite(norm)) return "!";
        return String(Math.floor(Math.log10(norm) + 1e-12)).replace("-", "−");
    }

    return { LEVELS, writeRules, setRange, level, share, swatch, power, format, exponent, range: () => range };
})();
