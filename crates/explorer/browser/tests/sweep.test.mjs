import assert from "node:assert/strict";
import { test } from "node:test";
import { assertShows, eventsOf, setUp, stateOf, text } from "./pages.mjs";

const { write, open } = setUp();

test("every sweep plays to its end", async () => {
    const { url, data } = write("page.html");
    const page = await open(url);
    for (const scene of data.scenes) {
        for (const network of scene.networks.filter(({ sweeps }) => sweeps.length)) {
            const total = eventsOf(network);
            await page.evaluate((patch) => Store.set(patch), { scene: scene.id, net: network.id, loss: "all", event: -1 });
            await page.evaluate((last) => {
                for (let event = 0; event <= last; event++) Store.set({ event }, "replace");
            }, total - 1);
            assert.equal(await text(page, "#transport output"), `${total} / ${total}`, `${scene.id}, ${network.id}`);
        }
    }
    assert.deepEqual(page.problems, []);
});

test("the play button runs to the end, stops there, and starts again", async () => {
    const { url, data } = write("play.html");
    const page = await open(`${url}#net=tanh`);
    const total = eventsOf(data.scenes[0].networks[0]);
    await page.selectOption("#speed", "15");
    await page.click("#sweep-play");
    assert.equal(await page.getAttribute("#sweep-play", "data-playing"), "true");
    await page.waitForFunction((last) => Store.state().event === last, total - 1);
    assert.equal(await page.getAttribute("#sweep-play", "data-playing"), "false");
    await page.click("#sweep-play");
    await page.waitForFunction((last) => Store.state().event > 2 && Store.state().event < last, total - 1);
});

test("space, the arrows, Home and End move through the sweep", async () => {
    const { url, data } = write("keys.html");
    const page = await open(`${url}#net=tanh`);
    const total = eventsOf(data.scenes[0].networks[0]);
    const event = async () => (await stateOf(page)).event;
    const press = async (...keys) => {
        for (const key of keys) await page.keyboard.press(key);
        return event();
    };
    assert.equal(await press("ArrowRight", "ArrowRight", "ArrowRight"), 2);
    assert.equal(await press("ArrowLeft"), 1);
    assert.equal(await press("End"), total - 1);
    assert.equal(await press("Home"), -1);
    const before = await press("ArrowRight");
    assert.ok((await press("Shift+ArrowRight")) > before + 1, "a whole time step");
    await press(" ");
    assert.equal(await page.getAttribute("#sweep-play", "data-playing"), "true");
    await press(" ");
    assert.equal(await page.getAttribute("#sweep-play", "data-playing"), "false");
});

test("the table shows the numbers of the data, and the residual at the end", async () => {
    const { url, data } = write("table.html");
    const page = await open(url);
    let compared = 0;
    for (const network of data.scenes[0].networks) {
        for (const parameter of network.parameters) {
            const end = { scene: data.scenes[0].id, net: network.id, loss: "all", event: 1e9, parameter: parameter.name };
            await page.evaluate((patch) => Store.set(patch), end);
            for (const [k, row] of parameter.items.entries()) {
                for (const [column, item] of row.entries()) {
                    const cell = page.locator(`#items [data-loss="${k}"][data-column="${column}"]`);
                    if (!item) {
                        assert.equal(await cell.count(), 0);
                        continue;
                    }
                    assertShows(await cell.textContent(), item.norm, `${network.id} ${parameter.name} E ${k} t ${column}`);
                    compared++;
                }
            }
            assertShows(await text(page, "#items .total"), parameter.gradient.norm, `the gradient of ${parameter.name}`);
            assert.match(await text(page, "#table-status"), /All terms are made/);
        }
    }
    assert.ok(compared > 60, `${compared} items`);
});

test("a term appears with the event that makes it, and not before", async () => {
    const { url, data } = write("appears.html");
    const network = data.scenes[0].networks.find(({ id }) => id === "lstm");
    const index = network.parameters.findIndex(({ letter }) => letter === "U");
    const k = network.losses.length - 1;
    const at = network.sweeps[k].events.findIndex(({ terms }) =>
        terms.some(({ parameter, step }) => parameter === index && step === 1),
    );
    const page = await open(`${url}#net=lstm&parameter=${network.parameters[index].name}&event=${at - 1}`);
    const cell = page.locator(`#items [data-loss="${k}"][data-column="1"]`);
    assert.equal(await cell.textContent(), "");
    await page.keyboard.press("ArrowRight");
    assertShows(await cell.textContent(), network.parameters[index].items[k][1].norm, "the term");
    assert.equal(await cell.getAttribute("data-here"), "at");
});

test("the sum so far is that of the sweep", async () => {
    const { url, data } = write("sum.html");
    const network = data.scenes[0].networks[0];
    const page = await open(`${url}#net=${network.id}`);
    const index = network.parameters.findIndex(({ letter }) => letter === "U");
    const events = [...network.sweeps].reverse().flatMap((sweep) => sweep.events);
    let compared = 0;
    for (const [event, own] of events.entries()) {
        const term = own.terms.find(({ parameter }) => parameter === index);
        if (!term) continue;
        await page.evaluate((number) => Store.set({ event: number }), event);
        assertShows(await text(page, "#items .total"), term.after, `event ${event}`);
        compared++;
    }
    assert.ok(compared >= 3);
});

test("the norms at the nodes are those of the data", async () => {
    const { url, data } = write("norms.html");
    const network = data.scenes[0].networks.find(({ id }) => id === "lstm");
    const k = network.losses.length - 1;
    const { events } = network.sweeps[k];
    const page = await open(`${url}#net=lstm&loss=${network.losses[k].step}&event=${events.length - 1}`);
    for (const [part, nodes] of network.states.entries()) {
        for (const [t, node] of nodes.entries()) {
            const event = events.find((own) => own.node === node);
            assertShows(
                await page.locator(`[data-key="s:${part}:${t}"] .norm`).textContent(),
                Number(event.arrives.norm.toPrecision(2)),
                `part ${part}, t ${t}`,
            );
        }
    }
});

test("one loss can be chosen", async () => {
    const { url, data } = write("one.html");
    const page = await open(`${url}#net=tanh`);
    await page.click('#transport [data-loss="1"]');
    await page.keyboard.press("End");
    const network = data.scenes[0].networks[0];
    assert.equal(
        await text(page, "#transport output"),
        `${network.sweeps[1].events.length} / ${network.sweeps[1].events.length}`,
    );
    assert.equal(await page.locator('#items [data-loss="2"][data-level]').count(), 0);
    assert.notEqual(await page.locator('#items [data-loss="1"][data-level]').count(), 0);
});

for (const [scene, most] of [
    ["memory", 3],
    ["lecture", 12],
]) {
    test(`a step of the sweep makes few elements, and none the second time (${scene})`, async () => {
        const { url, data } = write(`nodes-${scene}.html`);
        const network = data.scenes.find(({ id }) => id === scene).networks.find(({ id }) => id === "lstm");
        const page = await open(`${url}#scene=${scene}&net=lstm`);
        const total = eventsOf(network);
        const [first, second] = [await page.evaluate(elementsMade, total), await page.evaluate(elementsMade, total)];
        assert.ok(first < most, `${first} nodes a step while the graphs and tables of each time step are drawn`);
        assert.ok(second < 0.1, `${second} nodes a step afterwards`);
    });
}

/** Runs in the page: how many nodes a step of the whole sweep adds, in the mean. */
async function elementsMade(total) {
    let count = 0;
    const observer = new MutationObserver((records) => records.forEach((record) => (count += record.addedNodes.length)));
    observer.observe(document.body, { childList: true, subtree: true });
    for (let event = -1; event < total; event++) Store.set({ event }, "replace");
    await new Promise((resolve) => setTimeout(resolve, 0));
    observer.disconnect();
    return count / total;
}
