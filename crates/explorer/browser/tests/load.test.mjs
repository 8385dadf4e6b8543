import assert from "node:assert/strict";
import { test } from "node:test";
import { setUp } from "./pages.mjs";

const { write, open } = setUp();

test("every scene, network and view opens in both languages without an error and without a request", async () => {
    const { url, data } = write("page.html");
    const page = await open(url);
    for (const lang of ["en", "fr"]) {
        for (const scene of data.scenes) {
            for (const network of scene.networks) {
                for (const view of ["sweep", "flow", ...(data.cliff ? ["cliff"] : [])]) {
                    await page.evaluate((patch) => Store.set(patch), { lang, scene: scene.id, net: network.id, view });
                    assert.equal(await page.locator(`#${view}`).isVisible(), true);
                }
                const pressed = page.locator("#networks [aria-pressed=true]");
                assert.match(await pressed.textContent(), new RegExp(escaped(titleOf(network, lang))));
            }
        }
    }
    assert.deepEqual(page.problems, []);
    assert.deepEqual(page.requests, []);
});

const titleOf = ({ title }, lang) => (typeof title === "string" ? title : title[lang]);
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

test("no text is missing in either language", async () => {
    const { url } = write("texts.html");
    const page = await open(`${url}#lang=fr`);
    assert.equal(await page.evaluate("document.documentElement.lang"), "fr");
    await page.click("#lang");
    assert.equal(await page.evaluate("document.documentElement.lang"), "en");
    assert.match(await page.title(), /A gradient travelling through time/);
    assert.equal(await page.locator("text=/undefined|NaN|\\[object/").count(), 0);
});

test("the picture has a title and a description, and each gate says whether it is open", async () => {
    const { url, data } = write("words.html");
    const page = await open(`${url}#lang=en&net=lstm`);
    assert.match(await page.locator("#network-title").textContent(), /LSTM, unrolled over 3 time steps/);
    const lstm = data.scenes[0].networks.find(({ id }) => id === "lstm");
    for (const gate of lstm.flow.gates.filter(({ name }) => name !== "g")) {
        for (const [t, mean] of gate.mean.entries()) {
            const words = await page.locator(`[data-key="g:${gate.name}:${t}"] title`).textContent();
            assert.match(words, mean >= 0.5 ? /open/ : /shut/);
        }
    }
});
