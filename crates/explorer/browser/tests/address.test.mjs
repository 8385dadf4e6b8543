import assert from "node:assert/strict";
import { test } from "node:test";
import { setUp, stateOf, text } from "./pages.mjs";

const { write, open } = setUp();

test("a pasted address restores the moment", async () => {
    const { url } = write("page.html");
    const first = await open(url);
    await first.click('[data-net="lstm"]');
    await first.click('#transport [data-loss="1"]');
    for (let k = 0; k < 14; k++) await first.keyboard.press("ArrowRight");
    await first.click('#terms [data-parameter="cell.weight_ih"]');
    await first.click('#items [data-term="1,0"]');
    await first.click("#lang");
    await first.waitForFunction(() => location.hash.includes("event=13"));
    const address = first.url();
    const second = await open(address, { locale: "de-DE" });
    const shown = async (page) => [
        await stateOf(page),
        await text(page, "#event-op"),
        await text(page, "#term"),
        await text(page, "#items"),
    ];
    assert.deepEqual(await shown(second), await shown(first));
    assert.equal((await stateOf(second)).lang, "fr");
    assert.match(address, /net=lstm&loss=1&event=13&parameter=cell\.weight_ih&term=1,0&lang=fr/);
});

test("back and forward restore the moments between", async () => {
    const { url } = write("back.html");
    const page = await open(`${url}#net=tanh`);
    await page.click('[data-net="gru"]');
    await page.click('[data-view="flow"]');
    await page.goBack();
    assert.equal((await stateOf(page)).view, "sweep");
    assert.equal((await stateOf(page)).net, "gru");
    await page.goBack();
    assert.equal((await stateOf(page)).net, "tanh");
    await page.goForward();
    assert.equal((await stateOf(page)).net, "gru");
});

test("an address with nonsense opens the nearest moment", async () => {
    const { url } = write("nonsense.html");
    const page = await open(`${url}#scene=none&net=%3Cb%3E&loss=77&event=999999&term=9,9&tour=zz&parameter=x&lang=xx&view=no`);
    const state = await stateOf(page);
    assert.deepEqual(
        [state.scene, state.loss, state.term, state.tour, state.lang, state.view],
        ["lecture", "all", null, null, "en", "sweep"],
    );
    assert.deepEqual(page.problems, []);
});
