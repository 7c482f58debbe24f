// Runs before the first paint, so that nobody who works in the dark is flashed with white.
(function () {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function chosen() {
    try {
      return localStorage.getItem("trellis-theme");
    } catch {
      return null; // storage may be forbidden; the system's wish still counts
    }
  }
  function apply() {
    root.dataset.bsTheme = chosen() || (dark.matches ? "dark" : "light");
  }
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  window.switchTheme = function () {
    const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("trellis-theme", next);
    } catch {
      /* the choice then lasts for this page only */
    }
    root.dataset.bsTheme = next;
    document.dispatchEvent(new CustomEvent("themechange"));
  };
})();
