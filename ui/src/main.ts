import { mount } from "svelte";

import App from "./App.svelte";
import "./app.css";
import { locale } from "./lib/i18n.svelte";
import { live } from "./lib/live.svelte";
import { session } from "./lib/session.svelte";

/** ms that the first picture waits for its numbers: drawn once with them is sooner than drawn without and again. */
const NUMBERS = 800;

let close: (() => void) | null = null;
let drawn = false;
async function numbers(): Promise<void> {
  await session.first();
  if (drawn || !session.user) return;
  close = live.open("main");
  await live.answered();
}

const over = new Promise((done) => setTimeout(done, NUMBERS));
const target = document.getElementById("app");
if (target)
  void Promise.all([locale.ready(), Promise.race([numbers().catch(() => undefined), over])]).then(() => {
    drawn = true;
    mount(App, { target });
    setTimeout(() => close?.()); // the pages' own frame has opened the same meanwhile
  });
