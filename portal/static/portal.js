// What makes the pages better and is never needed: copying, questions that close, forms that are sent once.
"use strict";

document.documentElement.classList.add("scripted");

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// Only one question is open at a time, and Escape takes it back.
for (const question of document.querySelectorAll("details.confirm, details.chooser")) {
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !question.open) return;
    question.open = false;
    question.querySelector("summary").focus();
  });
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// A choice that changes what is shown does so at once; without a script its button does.
for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// A theme that is chosen is seen before it is saved.
const theme = document.querySelector("select[name=theme]");
if (theme) theme.addEventListener("change", () => { document.documentElement.dataset.theme = theme.value; });
// The dashboard's section `Now`: figures and latest calls as they happen. Without it there is a link that reloads.
const liveSection = document.querySelector("[data-live]");
if (liveSection && window.EventSource) {
  const figures = liveSection.querySelectorAll("[data-live-figure]");
  const calls = liveSection.querySelector("[data-live-calls]");
  const said = liveSection.querySelector("[data-live-said]");
  const dot = liveSection.querySelector("[data-live-dot]");
  const reload = liveSection.querySelector("[data-live-reload]");
  const plain = new Intl.NumberFormat("en");
  const zoned = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: liveSection.dataset.zone, ...options });
  const date = zoned({ day: "2-digit", month: "short", year: "numeric" });
  const clock = zoned({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  let saidAt = Date.now(), source = null;

  const shown = (name, value) => {
    if (name === "requests_per_second") return value.toFixed(1);
    if (name === "credits") {
      const [whole, fraction] = value.split(".");
      return plain.format(BigInt(whole)) + (fraction ? `.${fraction}` : "");
    }
    return plain.format(value);
  };
  const took = (micros) => {
    if (micros >= 10000000) return `${(micros / 1000000).toFixed(1)} s`;
    return micros < 100000 ? `${(micros / 1000).toFixed(1)} ms` : `${plain.format(Math.floor(micros / 1000))} ms`;
  };
  const cell = (row, content, kind) => {
    const made = row.insertCell();
    if (kind) made.className = kind;
    made.append(content);
  };
  const element = (tag, text, kind) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const rowOf = (call) => {
    const row = document.createElement("tr");
    const at = new Date(call.at), time = document.createElement("time");
    time.dateTime = call.at;
    time.append(element("span", `${date.format(at)}, `, "date"), clock.format(at));
    cell(row, time);
    const broken = call.outcome === "failed" || call.outcome === "cut";
    const kind = call.status < 400 && !broken ? "good" : call.status >= 500 || call.status < 400 ? "bad" : "warning";
    cell(row, element("span", call.status, `badge ${kind}`));
    const link = element("a", `${call.method} ${call.path}`, "cut");
    link.href = calls.dataset.logs + call.id;
    link.title = link.textContent;
    cell(row, link);
    cell(row, took(call.total_us), "number");
    return row;
  };
  const show = (usage) => {
    for (const figure of figures) {
      const value = usage[figure.dataset.liveFigure];
      if (value !== null) figure.textContent = shown(figure.dataset.liveFigure, value);
    }
    if (usage.newest.length && !calls.contains(document.activeElement)) calls.replaceChildren(...usage.newest.map(rowOf));
    if (Date.now() - saidAt > 30000) {
      saidAt = Date.now();
      said.textContent = `${plain.format(usage.requests_today)} requests today, ${plain.format(usage.errors_today)} errors.`;
    }
  };
  const stop = () => { if (source) source.close(); source = null; dot.hidden = true; reload.hidden = false; };
  const start = () => {
    if (source || document.hidden) return;
    source = new EventSource(liveSection.dataset.live);
    source.addEventListener("open", () => { dot.hidden = false; reload.hidden = true; });
    source.addEventListener("usage", (event) => show(JSON.parse(event.data)));
    source.addEventListener("error", () => { dot.hidden = true; reload.hidden = false; });
    source.addEventListener("end", stop);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  window.addEventListener("pagehide", stop);
  start();
}
// A search of the logs that stopped for its time goes on by itself once it was told to, until it finds something.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a.log-go-on");
  if (!link) return;
  event.preventDefault();
  let url = link.href;
  const section = link.closest("section");
  section.setAttribute("aria-busy", "true");
  for (;;) {
    const answer = await fetch(url, { headers: { accept: "text/html" } }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) break;
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("section[data-logs]");
    if (!found) break;
    const next = found.querySelector("a.log-go-on");
    if (found.querySelector("tbody") || !next || !section.isConnected) break;
    section.querySelector(".log-back-to").replaceWith(found.querySelector(".log-back-to"));
    url = next.href;
  }
  location.assign(url);
});
// A part that is not at its end yet is fetched again until it is; without a script its link reloads the page.
const fetchAgain = async (id) => {
  const part = document.getElementById(id);
  if (!part || !part.dataset.refresh) return;
  if (!document.hidden && !part.contains(document.activeElement)) {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
    if (answer && (!answer.ok || answer.redirected)) return;
    const fresh = answer && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
    if (fresh && !part.contains(document.activeElement)) part.replaceWith(fresh);
  }
  fetchAgainLater(id);
};
const fetchAgainLater = (id) => {
  const part = document.getElementById(id);
  if (part && part.dataset.refresh) setTimeout(fetchAgain, 1000 * part.dataset.refresh, id);
};
for (const part of document.querySelectorAll("[data-refresh]")) fetchAgainLater(part.id);
