// Public forms: one press sends once, a refused answer is shown first, and a frame tells its page how tall it is.
const form = document.querySelector("form.public-form");

if (form) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button[type=submit]");
    setTimeout(() => { button.disabled = true; button.setAttribute("aria-busy", "true"); }, 0);
  });
  window.addEventListener("pageshow", () => {
    const button = form.querySelector("button[type=submit]");
    button.disabled = false;
    button.removeAttribute("aria-busy");
  });
  form.querySelector("[aria-invalid=true]")?.focus();
}

if (window.parent !== window) {
  const tell = () => window.parent.postMessage({ trellisHeight: document.querySelector("main").offsetHeight + 2 }, "*");
  new ResizeObserver(tell).observe(document.querySelector("main"));
  tell();
}
