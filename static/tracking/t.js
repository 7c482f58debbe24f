/* Trellis: tells your own Trellis what visitors of this site look at. No dependencies, no inline code, about 2 KB.

   <script src="https://trellis.example.com/t.js" defer></script>

   data-consent="wait"   nothing is recorded or remembered before trellis("consent", true)
   data-page-views="off" page views are left to trellis("page")
   trellis("event", "Trial started", {plan: "team"})      a custom event
   Do Not Track and Global Privacy Control are respected. */
(function () {
  "use strict";
  var script = document.currentScript;
  var queued = (window.trellis && window.trellis.q) || [];
  if (!script || (window.trellis && window.trellis.ready)) return;

  var nav = navigator, doc = document, here = location;
  var endpoint = script.src.replace(/\/t\.js.*$/, "/t/events");
  var refused = nav.doNotTrack === "1" || window.doNotTrack === "1" || nav.globalPrivacyControl === true;
  var files = /\.(pdf|docx?|xlsx?|pptx?|odt|ods|odp|csv|zip|gz|7z|rar|epub|mp3|mp4|mov|avi|dmg|exe|msi|pkg|deb|apk)$/i;
  var pageId, shownSince = 0, looked = 0, reports = 0, path = "";

  function recall(name) { try { return localStorage.getItem(name); } catch (e) { return null; } }
  function keep(name, value) { try { localStorage.setItem(name, value); } catch (e) { /* private window: forget */ } }
  function random() {
    var bytes = crypto.getRandomValues(new Uint8Array(16)), text = "";
    for (var i = 0; i < bytes.length; i++) text += (bytes[i] + 256).toString(16).slice(1);
    return text;
  }
  function allowed() {
    if (refused) return false;
    return script.getAttribute("data-consent") !== "wait" || recall("trellis_consent") === "yes";
  }
  function visitor() {
    var id = recall("trellis_visitor") || visitor.id || random();
    visitor.id = id;
    keep("trellis_visitor", id);
    return id;
  }
  // A link in a mail may say whose it was; the address bar is tidied at once so that it is not passed on.
  function arrival() {
    var query = new URLSearchParams(here.search), token = query.get("trl");
    if (!token) return null;
    query.delete("trl");
    var rest = query.toString();
    history.replaceState(history.state, "", here.pathname + (rest ? "?" + rest : "") + here.hash);
    return token;
  }
  function send(event) {
    if (!allowed()) return;
    event.key = event.key || random();
    event.host = here.host;
    var report = { visitor: visitor(), events: [event] };
    if (came) { report.arrival = came; came = null; }
    var body = JSON.stringify(report);
    if (nav.sendBeacon && nav.sendBeacon(endpoint, body)) return;
    fetch(endpoint, { method: "POST", body: body, keepalive: true, credentials: "omit" }).catch(function () {});
  }
  function campaign() {
    var tags = {}, query = new URLSearchParams(here.search);
    ["source", "medium", "campaign", "term", "content"].forEach(function (name) {
      var value = query.get("utm_" + name);
      if (value) tags[name] = value.slice(0, 200);
    });
    return tags;
  }
  function page() {
    leave();
    path = here.pathname;
    pageId = random();
    looked = reports = 0;
    shownSince = doc.visibilityState === "visible" ? Date.now() : 0;
    send({ kind: "page_viewed", path: path, title: doc.title.slice(0, 300), referrer: doc.referrer, utm: campaign(), key: pageId });
  }
  function leave() {
    if (shownSince) looked += Date.now() - shownSince;
    shownSince = 0;
    var seconds = Math.round(looked / 1000);
    if (!pageId || seconds < 1) return;
    looked = 0;
    reports += 1;
    send({ kind: "time_spent", path: path, seconds: seconds, key: pageId + "." + reports });
  }
  function follow(event) {
    var link = event.target && event.target.closest && event.target.closest("a[href]");
    if (!link || !/^https?:$/.test(link.protocol) || !files.test(link.pathname)) return;
    send({ kind: "file_downloaded", path: link.pathname, title: (link.textContent || "").trim().slice(0, 300), page: here.pathname });
  }
  function moved() { if (here.pathname !== path) page(); }
  function call(name, first, second) {
    if (name === "event" && first) send({ kind: "custom", name: String(first), props: second || {} });
    if (name === "page") page();
    if (name === "consent") {
      keep("trellis_consent", first ? "yes" : "no");
      if (first) page();
      else try { localStorage.removeItem("trellis_visitor"); } catch (e) { /* nothing was kept */ }
    }
  }

  var came = arrival();
  window.trellis = call;
  window.trellis.ready = true;
  window.trellis.visitor = function () { return allowed() ? visitor() : ""; };
  doc.addEventListener("visibilitychange", function () {
    if (doc.visibilityState === "hidden") leave(); else shownSince = Date.now();
  });
  window.addEventListener("pagehide", leave);
  doc.addEventListener("click", follow, true);
  doc.addEventListener("auxclick", follow, true);
  if (script.getAttribute("data-page-views") !== "off") {
    page();
    window.addEventListener("popstate", moved);
    var push = history.pushState;
    history.pushState = function () { push.apply(history, arguments); setTimeout(moved, 0); };
  }
  queued.forEach(function (args) { call.apply(null, args); });
})();
