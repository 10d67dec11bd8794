// Nicer, never needed: a countdown, and notice when somebody else has answered.
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

async function look() {
  if (document.hidden) return;
  const headers = main.dataset.token ? { Authorization: `Bearer ${main.dataset.token}` } : {};
  const reply = await fetch(`/status/${main.dataset.request}`, { headers });
  if (!reply.ok) return;
  const { status } = await reply.json();
  if (status !== "completed") return;
  const link = notice.querySelector("a");
  link.href = `/form/${main.dataset.request}?token=${encodeURIComponent(main.dataset.token)}`;
  notice.hidden = false;
  clearInterval(timer);
}
const timer = main.dataset.request && notice ? setInterval(() => look().catch(() => {}), 5000) : 0;
