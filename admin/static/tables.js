// piccolo-admin would show pages for what the back office does itself: go there instead.
const INSTEAD = { "#/login": "/sign-in?next=/tables/", "#/change-password": "/account" };

// piccolo-admin's forms have no place for a reason: ours stands below them, and goes along with each change of a row.
const reason = document.createElement("input");
reason.maxLength = 500;
reason.name = "pe-reason";
reason.placeholder = "Stands in the audit with your name";
const label = document.createElement("label");
label.id = "pe-reason";
label.append("Why you change rows here", reason);
document.body.append(label);

// What was said of one row is not said of the next.
let here = location.hash;
function turn() {
  if (location.hash === here) return;
  here = location.hash;
  reason.value = "";
}

const open = XMLHttpRequest.prototype.open, send = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.open = function (method, ...more) {
  this.peChanges = !["GET", "HEAD"].includes(method.toUpperCase());
  return open.call(this, method, ...more);
};
XMLHttpRequest.prototype.send = function (...given) {
  const said = reason.value.trim();
  if (this.peChanges && said) this.setRequestHeader("X-Reason", encodeURIComponent(said));
  return send.apply(this, given);
};

function go() {
  turn();
  for (const [begin, path] of Object.entries(INSTEAD)) {
    if (location.hash.startsWith(begin)) location.replace(path);
  }
}

addEventListener("hashchange", go);
addEventListener("popstate", go);
// Its router changes the address without an event of the browser.
const push = history.pushState, replace = history.replaceState;
history.pushState = function (...given) { push.apply(this, given); go(); };
history.replaceState = function (...given) { replace.apply(this, given); go(); };
go();
