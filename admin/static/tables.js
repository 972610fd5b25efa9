// piccolo-admin would show pages for what the back office does itself: go there instead.
const INSTEAD = { "#/login": "/sign-in?next=/tables/", "#/change-password": "/account" };

function go() {
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
