"use strict";
// Details are kept deflated and are unpacked when a scenario is opened.
async function unpacked(holder) {
  const bytes = Uint8Array.from(atob(holder.textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}
async function fill(one) {
  const body = one.querySelector(".body");
  const holder = one.querySelector("script");
  if (!body || !holder) return;
  const html = await unpacked(holder);
  holder.remove();
  body.innerHTML = html;
}
const ones = [...document.querySelectorAll("details.one")];
for (const one of ones) one.addEventListener("toggle", () => { if (one.open) fill(one); });

const form = document.getElementById("filter");
const shown = document.getElementById("shown");
const RULE = /^[kw]-?\d+$/i;
function fits(one, want) {
  const data = one.dataset;
  if (!want.verdicts.has(data.verdict)) return false;
  if (want.kernel && data.kernel !== want.kernel) return false;
  if (want.group && data.group !== want.group) return false;
  return want.words.every((word) => RULE.test(word)
    ? data.proves.toLowerCase().split(" ").includes(word)
    : data.words.includes(word));
}
function apply() {
  const data = new FormData(form);
  const want = {
    verdicts: new Set(data.getAll("verdict")),
    kernel: data.get("kernel"),
    group: data.get("group"),
    words: String(data.get("words")).toLowerCase().split(/\s+/).filter(Boolean),
  };
  let count = 0;
  for (const one of ones) {
    one.hidden = !fits(one, want);
    count += one.hidden ? 0 : 1;
  }
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = !group.querySelector("details.one:not([hidden])");
  }
  shown.textContent = `${count} of ${ones.length} shown`;
}
function everything() {
  for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = true;
  form.elements.words.value = "";
  form.elements.kernel.value = "";
  form.elements.group.value = "";
}
function goTo(id) {
  const one = document.getElementById(id);
  if (!one) return;
  if (one.matches("details.one")) {
    if (one.hidden) { everything(); apply(); }
    one.open = true;
    one.querySelector("summary").focus({ preventScroll: true });
  }
  one.closest("details:not(.one)")?.setAttribute("open", "");
  one.scrollIntoView();
}
function followHash() {
  if (location.hash.length > 1) goTo(decodeURIComponent(location.hash.slice(1)));
}
if (form) {
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("reset").addEventListener("click", () => { everything(); apply(); });
  document.getElementById("open-all").addEventListener("click", () => {
    for (const one of ones) if (!one.hidden) one.open = true;
  });
  document.getElementById("close-all").addEventListener("click", () => {
    for (const one of ones) one.open = false;
  });
  for (const button of document.querySelectorAll(".matrix button")) {
    button.addEventListener("click", () => {
      everything();
      form.elements.kernel.value = button.dataset.kernel;
      form.elements.group.value = button.dataset.group;
      apply();
      form.scrollIntoView();
    });
  }
  apply();
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(button.previousElementSibling);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "selected";
  }
});
addEventListener("hashchange", followHash);
followHash();
