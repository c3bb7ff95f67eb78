// Follows Airflow's light or dark theme, before the first paint. The page is a frame of Airflow's, of the same origin;
// opened on its own it follows the system.
"use strict";
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const outer = window.parent !== window ? window.parent.document.documentElement : null;
  const apply = () => {
    const known = outer && (outer.classList.contains("dark") || outer.classList.contains("light"));
    const dark = known ? outer.classList.contains("dark") : system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  system.addEventListener("change", apply);
  if (outer) {
    new MutationObserver(apply).observe(outer, { attributes: true, attributeFilter: ["class"] });
  }
})();
