// Runs before the first paint, so that nobody who works in the dark is flashed with white.
(function () {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function wanted() {
    try {
      return localStorage.getItem("trellis-theme") || system();
    } catch {
      return system(); // storage may be forbidden; the system's wish still counts
    }
  }
  function system() {
    return dark.matches ? "dark" : "light";
  }
  function show(theme) {
    root.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent("themechange")); // charts are drawn with the colours of their moment
  }
  root.dataset.bsTheme = wanted();
  dark.addEventListener("change", () => show(wanted()));
  addEventListener("storage", () => show(wanted()));
  window.switchTheme = function () {
    const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("trellis-theme", next);
    } catch {
      /* the choice then lasts for this page only */
    }
    show(next);
  };
})();
