// What the page says and asks: faults, what was done, and whether to go on.

import { setText } from "./text.js";

const $ = id => document.getElementById(id);

let alerting = null;

/** @param source "poll" or "action": what the fault came of, and whose next success takes it away. */
export function alertOf(source, text) {
  // What was asked for by hand is not written over by what the page asks by itself.
  if (alerting === "action" && source === "poll")
    return;
  alerting = source;
  $("alert").hidden = false;
  setText($("alert-text"), text);
}

export function clearAlert(source) {
  if (alerting !== source)
    return;
  alerting = null;
  $("alert").hidden = true;
  setText($("alert-text"), "");
}

$("alert-close").addEventListener("click", () => clearAlert(alerting));

let forgetting = 0;

/** Says what was done, to who sees and to who listens, for a while. */
export function say(text) {
  clearTimeout(forgetting);
  setText($("said"), text);
  forgetting = setTimeout(() => setText($("said"), ""), 8000);
}

/** Asks before something that hurts. @returns True for yes. */
export function confirm(title, text, yes) {
  const dialog = $("confirm");
  if (dialog.open)
    return Promise.resolve(false);
  setText($("confirm-title"), title);
  setText($("confirm-text"), text);
  setText($("confirm-yes"), yes);
  dialog.returnValue = "";
  dialog.showModal();
  $("confirm-no").focus();
  return new Promise(resolve => {
    const closed = () => {
      // The event of an earlier closing may come when the dialog is open again.
      if (dialog.open)
        return;
      dialog.removeEventListener("close", closed);
      resolve(dialog.returnValue === "yes");
    };
    dialog.addEventListener("close", closed);
  });
}

$("confirm-no").addEventListener("click", () => $("confirm").close(""));
$("confirm-yes").addEventListener("click", () => $("confirm").close("yes"));
