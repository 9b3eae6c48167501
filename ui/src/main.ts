import { mount } from "svelte";

import App from "./App.svelte";
import "./app.css";
import { locale } from "./lib/i18n.svelte";
import { session } from "./lib/session.svelte";

void session.first().catch(() => undefined); // beside the words
const target = document.getElementById("app");
if (target) void locale.ready().then(() => mount(App, { target }));
