import assert from "node:assert/strict";
import { test } from "node:test";
import { setUp, stateOf } from "./pages.mjs";

const { write, open } = setUp();

/** Sentences end with a point before a space or the end; 0.1 and E₂ have none. */
const sentences = (text) => text.trim().split(/(?<=\.)\s+(?=[\p{Lu}\d∂])/u);

for (const lang of ["en", "fr"]) {
    test(`every stop of the tour opens (${lang})`, async () => {
        const { url } = write(`tour-${lang}.html`);
        const page = await open(`${url}#lang=${lang}`);
        await page.click("#tour-button");
        const stops = await page.evaluate("Tour.stops()");
        assert.deepEqual(
            slides(stops),
            [19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 45, 46, 47, 48, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60],
        );
        for (const [number, stop] of stops.entries()) {
            if (number > 0) await page.click("#tour-next");
            const state = await stateOf(page);
            assert.equal(state.tour, number);
            assert.equal(state.scene, stop.scene);
            assert.equal(state.view, stop.view);
            assert.equal(state.event === -1, stop.at === "start", `slide ${stop.slide} shows a moment of the sweep`);
            const words = await page.locator("#tour-text").innerText();
            assert.equal(words.replace(/\s+/g, " "), stop.text[lang === "fr" ? 1 : 0]);
            assert.equal(sentences(words).length, 2, words);
            await assertMoment(page, stop);
        }
        assert.deepEqual(page.problems, []);
    });
}

const slides = (stops) => stops.map(({ slide }) => slide);

/** What a stop speaks of is what the page marks. */
async function assertMoment(page, stop) {
    if (stop.view !== "sweep" || !stop.at.includes(":")) return;
    const here = page.locator(`#stage [data-key="${stop.at}"]`);
    assert.notEqual(await here.getAttribute("data-level"), null, `${stop.slide}: ${stop.at} is reached`);
    if (!stop.term) return;
    assert.notEqual(
        await page.locator(`#items [data-term="${stop.term}"]`).getAttribute("data-level"),
        null,
        `${stop.slide}: its term is made`,
    );
    assert.notEqual(await page.locator("#stage [data-path]").count(), 0);
}

test("an address that names a stop alone opens it", async () => {
    const { url } = write("stop.html");
    const page = await open(`${url}#tour=7&lang=en`);
    const state = await stateOf(page);
    assert.equal(state.term, "2,1");
    assert.ok(state.event > 0);
    await page.click("#tour-close");
    assert.equal((await stateOf(page)).tour, null);
    assert.equal(await page.locator("#tour").isVisible(), false);
});
