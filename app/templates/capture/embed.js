/* Shows the form of your Trellis where this script stands, in a frame that grows with it. */
(function () {
  "use strict";
  var script = document.currentScript, frame = document.createElement("iframe");
  var address = {{ (base_url ~ url_for("capture_public.form", public_id=form.public_id)) | tojson }};
  var visitor = window.trellis && window.trellis.visitor ? window.trellis.visitor() : "";
  frame.src = address + "?_embed=1" + (visitor ? "&_visitor=" + encodeURIComponent(visitor) : "");
  frame.title = {{ (form.settings.get("title") or form.name) | tojson }};
  frame.setAttribute("scrolling", "no");
  frame.style.cssText = "width:100%;height:480px;border:0;display:block;color-scheme:normal";
  script.parentNode.insertBefore(frame, script.nextSibling);
  window.addEventListener("message", function (event) {
    var data = event.data;
    if (event.source !== frame.contentWindow || !data || typeof data.trellisHeight !== "number") return;
    frame.style.height = Math.max(120, Math.min(4000, Math.ceil(data.trellisHeight))) + "px";
  });
})();
