import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { setUp } from "./pages.mjs";

const { write, open } = setUp();
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function violations(page) {
    await page.evaluate(axeSource);
    const { violations: found } = await page.evaluate(() =>
        axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }),
    );
    return found
        .filter(({ impact }) => ["serious", "critical"].includes(impact))
        .map(({ id, nodes }) => [id, nodes.map(({ target, failureSummary }) => [String(target), failureSummary]).slice(0, 5)]);
}

for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing serious (${colorScheme})`, async () => {
        const { url } = write(`${colorScheme}.html`, "--mistake");
        for (const moment of [
            "net=lstm&event=20&term=2,1",
            "net=tanh&tour=11&lang=fr",
            "view=flow&scene=memory&net=lstm",
            "view=cliff",
            "scene=memory&net=gru&event=100",
            "",
        ]) {
            const page = await open(`${url}#${moment}`, { colorScheme });
            assert.deepEqual(await violations(page), [], moment);
            await page.close();
        }
    });
}

test("everything is reached by Tab, and the focus is seen", async () => {
    const { url } = write("tab.html");
    const page = await open(`${url}#net=tanh&lang=en`);
    const reached = new Set();
    for (let k = 0; k < 60; k++) {
        await page.keyboard.press("Tab");
        const [name, outline] = await page.evaluate(() => {
            const own = document.activeElement;
            return [
                own.id ||
                    own.dataset.net ||
                    own.dataset.view ||
                    own.dataset.scene ||
                    own.dataset.parameter ||
                    own.dataset.term ||
                    own.tagName,
                getComputedStyle(own).outlineStyle,
            ];
        });
        reached.add(name);
        if (name !== "BODY") assert.equal(outline, "solid", `the focus on ${name}`);
    }
    for (const name of [
        "skip",
        "lecture",
        "flow",
        "tour-button",
        "lang",
        "theme",
        "lstm",
        "stage",
        "sweep-play",
        "scrubber",
        "speed",
        "cell.weight_hh",
        "2,0",
    ]) {
        assert.ok(reached.has(name), `${name} is reached; only ${[...reached]}`);
    }
});

test("the current event is announced", async () => {
    const { url } = write("live.html");
    const page = await open(`${url}#net=tanh&lang=en`);
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.getAttribute("#live", "aria-live"), "polite");
    assert.match(await page.locator("#live").textContent(), /^Event 1 of \d+: \w+ at .*; arriving norm 1$/);
});

test("the page fits its three sizes without scrolling sideways", async () => {
    const { url } = write("sizes.html");
    for (const [width, height] of [
        [1280, 720],
        [1920, 1080],
        [820, 1180],
    ]) {
        for (const moment of [
            "net=lstm&event=20&lang=fr",
            "view=flow&scene=memory",
            "view=cliff",
            "scene=memory&net=lstm&tour=17",
        ]) {
            const page = await open(`${url}#${moment}`, { viewport: { width, height } });
            assert.ok((await page.evaluate("document.documentElement.scrollWidth")) <= width, `${moment} at ${width}`);
            await page.close();
        }
    }
});

test("the switch changes the theme", async () => {
    const { url } = write("theme.html");
    const page = await open(url, { colorScheme: "light" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.click("#theme");
    assert.notEqual(await ground(), light);
});

test("with reduced motion nothing glides", async () => {
    const { url } = write("motion.html");
    const page = await open(url, { reducedMotion: "reduce" });
    assert.equal(
        await page.evaluate(() => getComputedStyle(document.querySelector(".node .shape")).transitionProperty),
        "none",
    );
});
