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
