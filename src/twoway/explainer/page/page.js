"use strict";
(() => {
  const marked = [];
  const light = (name) => {
    while (marked.length) marked.pop().classList.remove("lit");
    if (!name) return;
    for (const one of document.querySelectorAll(`[data-f="${name}"]`)) {
      one.classList.add("lit");
      marked.push(one);
    }
  };
  const named = (event) => event.target.closest && event.target.closest("[data-f]");
  document.addEventListener("mouseover", (event) => light(named(event)?.dataset.f));
  document.addEventListener("click", (event) => {
    const found = named(event);
    if (!found) return;
    light(found.dataset.f);
    const other = [...document.querySelectorAll(`[data-f="${found.dataset.f}"]`)].find((one) => one !== found);
    other?.scrollIntoView({ block: "nearest" });
  });
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
