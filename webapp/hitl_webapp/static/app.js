// Nicer, never needed: local times, a countdown, notice when the question is settled or over, and what was typed, after
// the browser's own button led back.
"use strict";
const main = document.querySelector("main");
const form = document.querySelector("form");
const countdown = document.querySelector(".countdown");
const notice = document.querySelector(".settled-elsewhere");
// By how many milliseconds the server's clock is ahead of this machine's.
let ahead = 0;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const utcClock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const utcDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
// Also of what a script puts into the page later.
function localTimes(place) {
  for (const each of place.querySelectorAll("time[datetime]")) localTime(each);
}
function localTime(each) {
  const moment = new Date(each.dateTime);
  const today = day.format(new Date());
  const its = day.format(moment);
  each.title = each.textContent;
  const here = moment.getTimezoneOffset() === 0 ? " UTC" : "";
  each.textContent = `${clock.format(moment)}${here} ${its === today ? "today" : `on ${its}`}`;
  if (!here) {
    const beside = document.createElement("span");
    beside.className = "utc";
    beside.textContent = `, ${utcClock.format(moment)} UTC${utcDay.format(moment) === its ? "" : ` on ${utcDay.format(moment)}`}`;
    each.after(beside);
  }
}
localTimes(document);

let ticking = 0;
if (countdown) {
  const until = new Date(countdown.dataset.until).getTime();
  const sizes = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const show = () => {
    const left = Math.ceil((until - Date.now() - ahead) / 1000);
    if (left <= 0) {
      close(until);
      return;
    }
    const [size, name] = sizes.find(([seconds]) => left >= seconds);
    const count = Math.floor(left / size);
    countdown.textContent = ` (${count} ${name}${count === 1 ? "" : "s"} left)`;
  };
  ticking = setInterval(show, 1000);
  show();
}

// The server decides when the deadline has passed. This machine's clock may be wrong, so it is compared first.
let closing = false;
async function close(until) {
  // A page that nobody sees is compared when it is seen again.
  if (closing || document.hidden) return;
  closing = true;
  await look().catch(() => {});
  closing = false;
  if (Date.now() + ahead < until) return;
  clearInterval(ticking);
  countdown.textContent = " (over)";
  document.querySelector(".over").hidden = false;
  if (!form) return;
  for (const field of form.elements) {
    if (["radio", "checkbox", "select-one"].includes(field.type)) field.addEventListener("click", (event) => event.preventDefault());
    else if (field.type === "text" || field.type === "textarea") field.readOnly = true;
  }
  // It still leads to the page that says how the question ended, with what was typed.
  const send = form.querySelector(".primary, .decline");
  send.textContent = "See how it ended";
  for (const other of form.querySelectorAll(".other, .quiet, .pick")) other.hidden = true;
}

// The field stays text, which says every date and every zone. The browser's own picker writes into it.
const pickers = { date: "date", time: "time", moment: "datetime-local", local: "datetime-local" };
for (const field of document.querySelectorAll("[data-pick]")) {
  const picker = document.createElement("input");
  picker.type = pickers[field.dataset.pick];
  if (picker.type === "text" || !picker.showPicker) continue;
  picker.className = "picker";
  picker.tabIndex = -1;
  picker.ariaHidden = "true";
  if (picker.type !== "date") picker.step = "1";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet pick";
  button.textContent = "Pick";
  button.setAttribute("aria-label", `Pick for ${field.labels[0]?.textContent.trim() ?? "this field"}`);
  button.addEventListener("click", () => {
    const [, date, time] = field.value.trim().match(/^(?:(\d{4}-\d\d-\d\d)[Tt ]*)?(\d\d:\d\d(?::\d\d)?)?/);
    const before = { date, time, "datetime-local": date && time && `${date}T${time}` };
    picker.value = before[picker.type] ?? "";
    picker.showPicker();
  });
  picker.addEventListener("change", () => {
    if (picker.value) field.value = withSeconds(picker.value, picker.type) + (field.dataset.pick === "moment" ? zone(picker.value) : "");
  });
  const around = document.createElement("span");
  around.className = "picked";
  field.replaceWith(around);
  around.append(field, button, picker);
}

function withSeconds(text, kind) {
  return kind !== "date" && /(^|T)\d\d:\d\d$/.test(text) ? `${text}:00` : text;
}

// The difference from UTC that this machine's zone has at that very moment. Where clocks are changed, a time comes twice
// or not at all: then it is left out, and the form asks which moment is meant.
function zone(text) {
  const around = [-1, 1].map((days) => new Date(new Date(text).getTime() + days * 86400000).getTimezoneOffset());
  const fits = (offset) => new Date(Date.parse(`${text}Z`) + offset * 60000).getTimezoneOffset() === offset;
  const offsets = [...new Set(around)].filter(fits);
  if (offsets.length !== 1) return "";
  const minutes = -offsets[0];
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}

// A browser forgets fields that it must not complete. The history's own entry of this page remembers them, in this tab.
if (form && main.dataset.request) {
  const kinds = { text: "value", textarea: "value", "select-one": "value", radio: "checked", checkbox: "checked" };
  const fields = [...form.elements].filter((field) => field.type in kinds);
  // After a row more or less, the page that is loaded again may have as many fields, and others.
  const names = fields.map((field) => (kinds[field.type] === "checked" ? `${field.name}=${field.value}` : field.name)).join("\n");
  const remember = () => ({ names, typed: fields.map((field) => field[kinds[field.type]]) });
  const typed = history.state?.typed;
  if (typed && history.state.names === names) {
    fields.forEach((field, index) => { field[kinds[field.type]] = typed[index]; });
    const more = form.querySelector("details.more");
    if (more) more.open = more.open || [...more.querySelectorAll("input, textarea")].some((field) => field.value);
  }
  // A page that came by a form would be sent again by Back and by a reload: the question's own address is not.
  if (location.pathname.endsWith("/submit")) history.replaceState(remember(), "", address());
  form.addEventListener("submit", () => history.replaceState(remember(), ""));
}

function address() {
  const { base, request, token } = main.dataset;
  return `${base}/form/${request}${token ? `?token=${encodeURIComponent(token)}` : ""}`;
}

async function look() {
  if (document.hidden) return;
  const headers = main.dataset.token ? { Authorization: `Bearer ${main.dataset.token}` } : {};
  const reply = await fetch(`${main.dataset.base}/status/${main.dataset.request}`, { headers });
  const date = Date.parse(reply.headers.get("date"));
  // The header has whole seconds.
  if (Math.abs(date - Date.now()) > 2000) ahead = date - Date.now();
  if (!reply.ok) return;
  const { status } = await reply.json();
  if (status !== "completed") return;
  notice.querySelector("a").href = address();
  notice.hidden = false;
  clearInterval(timer);
}
const timer = main.dataset.request && notice ? setInterval(() => look().catch(() => {}), 5000) : 0;
