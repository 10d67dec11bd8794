// Nicer, never needed: the list changes while it is looked at, and keys go through it. localTimes is app.js's.
"use strict";
const live = document.querySelector("#live");
const changes = document.querySelector("#changes");
const keysOn = document.querySelector("#keys-on");
const links = () => [...live.querySelectorAll(".entries li > a:not(.run)")];

// The page asks for itself, so that the server has one way only to make a list.
let asking = false;
async function renew() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const reply = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!reply.ok) {
      changes.textContent = "The list could not be read again. It may be old.";
      return;
    }
    const next = new DOMParser().parseFromString(await reply.text(), "text/html").querySelector("#live");
    if (!next) return;
    const at = links().indexOf(document.activeElement);
    const href = document.activeElement?.getAttribute("href");
    const fresh = document.importNode(next, true);
    const selected = new Set([...live.querySelectorAll(".select:checked")].map((each) => each.value));
    for (const each of fresh.querySelectorAll(".select")) each.checked = selected.has(each.value);
    localTimes(fresh);
    live.replaceChildren(...fresh.childNodes);
    if (at >= 0) (links().find((each) => each.getAttribute("href") === href) || links()[Math.min(at, links().length - 1)])?.focus();
    changes.textContent = "The list is up to date.";
  } catch {
    changes.textContent = "The list could not be read again. It may be old.";
  } finally {
    asking = false;
  }
}

// While nobody reports changes, the page looks for itself.
let source = null;
let polling = 0;
function poll() {
  polling ||= setInterval(() => {
    renew();
    // A stream that was cut connects again by itself; one that was refused does not.
    if (source?.readyState === EventSource.CLOSED) follow();
  }, 30000);
}
// The server compares what the page shows with what there is now, so nothing is missed between two streams.
function follow() {
  source = new EventSource(live.dataset.events);
  source.addEventListener("changed", renew);
  source.addEventListener("error", poll);
  source.addEventListener("open", () => {
    clearInterval(polling);
    polling = 0;
  });
}
follow();
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => { if (event.persisted) { poll(); renew(); follow(); } });
document.addEventListener("visibilitychange", () => { if (!document.hidden) renew(); });

// Single keys disturb who speaks to the machine, so they can be turned off.
document.querySelector(".keys").hidden = false;
keysOn.checked = localStorage.getItem("hitl-keys") !== "off";
keysOn.addEventListener("change", () => localStorage.setItem("hitl-keys", keysOn.checked ? "on" : "off"));
document.addEventListener("keydown", (event) => {
  if (!keysOn.checked || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
  const all = links();
  const at = all.indexOf(document.activeElement);
  if (event.key === "j") all[Math.min(at + 1, all.length - 1)]?.focus();
  else if (event.key === "k") all[Math.max(at - 1, 0)]?.focus();
  else if (event.key === "x") {
    const select = document.activeElement?.closest("li")?.querySelector(".select");
    if (select) select.checked = !select.checked;
  } else if (event.key === "/") document.querySelector("#f-text").focus();
  else if (event.key === "?") {
    const keys = document.querySelector(".keys");
    keys.open = !keys.open;
    keys.querySelector("summary").focus();
  } else return;
  event.preventDefault();
});
