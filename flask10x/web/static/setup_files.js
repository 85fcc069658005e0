// Backups and files with a script: how far a command is without a new page, and files that are dropped.

import { t } from "./texts.js";

const AGAIN_MS = 1000;

/** Take the part of the page with what runs from a new one, until nothing runs; then the whole page. */
async function follow() {
  const shown = document.getElementById("run");
  if (!shown?.dataset.running) return;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.getElementById("run");
    if (now && !now.dataset.running) {
      location.replace(`${location.pathname}#run`);
      location.reload();
      return;
    }
    const [bar, next] = [shown, now].map((part) => part?.querySelector("progress"));
    if (bar && next) bar.closest("p").replaceWith(next.closest("p"));
  } catch {
    // The service may be on its way to new workers.
  }
  setTimeout(follow, AGAIN_MS);
}

const form = document.getElementById("upload");

/** Send the files with a bar; the page that answers takes the place of this one. */
function send(files) {
  const [progress, error] = [form.querySelector(".progress"), form.querySelector("p.error")];
  const bytes = [...files].reduce((sum, file) => sum + file.size, 0);
  error.hidden = true;
  if (bytes > Number(form.dataset.max)) {
    complain(form.dataset.tooLarge.replace("{size}", `${(bytes / 1e9).toFixed(1)} GB`));
    return;
  }
  const body = new FormData();
  for (const field of form.querySelectorAll("input[type=hidden]")) body.append(field.name, field.value);
  for (const file of files) body.append("files", file, file.name);
  const request = new XMLHttpRequest();
  const bar = progress.querySelector("progress");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    bar.value = total ? (100 * loaded) / total : 0;
    const [n, all] = [loaded, total].map((bytes) => (bytes / 1e6).toFixed(1));
    progress.querySelector("span").textContent = t("Sending: {n} MB of {all} MB", { n, all });
  });
  request.addEventListener("load", () => {
    if (request.status === 200) {
      location.replace(`${location.pathname}#run`);
      location.reload();
      return;
    }
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    complain(page.querySelector(".error")?.textContent ?? form.dataset.failed);
  });
  request.addEventListener("error", () => complain(form.dataset.failed));
  request.addEventListener("abort", () => (progress.hidden = true));
  progress.querySelector("button").onclick = () => request.abort();
  progress.hidden = false;
  request.open("POST", form.action);
  request.send(body);

  function complain(text) {
    progress.hidden = true;
    error.textContent = text;
    error.hidden = false;
  }
}

if (form) {
  form.querySelector(".dropping").hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form.querySelector("input[type=file]").files);
  });
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("over");
  });
  document.addEventListener("dragleave", () => form.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    form.classList.remove("over");
    send(event.dataTransfer.files);
  });
}
setTimeout(follow, AGAIN_MS);
