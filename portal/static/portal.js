// What makes the pages better and is never needed: copying, a menu that is closed on phones, rows that update.
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

// On a phone the menu covers the page until it is asked for.
const menu = document.querySelector("details.menu");
if (menu) {
  const wide = window.matchMedia("(min-width: 60rem)");
  const fit = () => { menu.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
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
