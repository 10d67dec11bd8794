// Nicer, never needed: a countdown, notice when somebody else has answered, and what was typed, after the browser's
// own button led back.
"use strict";
const main = document.querySelector("main");
const countdown = document.querySelector(".countdown");
const notice = document.querySelector(".settled-elsewhere");

if (countdown) {
  const until = new Date(countdown.dataset.until).getTime();
  const show = () => {
    const left = Math.round((until - Date.now()) / 1000);
    const parts = [[86400, "d"], [3600, "h"], [60, "min"]].find(([size]) => left >= size) || [1, "s"];
    countdown.textContent = left > 0 ? ` (${Math.floor(left / parts[0])} ${parts[1]} left)` : " (over)";
  };
  show();
  setInterval(show, 1000);
}

// A browser forgets fields that it must not complete. The history's own entry of this page remembers them, in this tab.
const form = document.querySelector("form");
if (form) {
  const kinds = { text: "value", textarea: "value", "select-one": "value", radio: "checked" };
  const fields = [...form.elements].filter((field) => field.type in kinds);
  form.addEventListener("submit", () => {
    history.replaceState({ typed: fields.map((field) => field[kinds[field.type]]) }, "");
  });
  const typed = history.state?.typed;
  if (typed?.length === fields.length) {
    fields.forEach((field, index) => { field[kinds[field.type]] = typed[index]; });
    const more = form.querySelector("details.more");
    if (more) more.open = [...more.querySelectorAll("input, textarea")].some((field) => field.value);
  }
}

async function look() {
  if (document.hidden) return;
  const headers = main.dataset.token ? { Authorization: `Bearer ${main.dataset.token}` } : {};
  const reply = await fetch(`${main.dataset.base}/status/${main.dataset.request}`, { headers });
  if (!reply.ok) return;
  const { status } = await reply.json();
  if (status !== "completed") return;
  const link = notice.querySelector("a");
  link.href = `${main.dataset.base}/form/${main.dataset.request}?token=${encodeURIComponent(main.dataset.token)}`;
  notice.hidden = false;
  clearInterval(timer);
}
const timer = main.dataset.request && notice ? setInterval(() => look().catch(() => {}), 5000) : 0;
