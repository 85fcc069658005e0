// The history page with a script: keys, pickers, live updates, charts. All else works without.

import * as charts from "./charts.js";
import * as comparison from "./comparison.js";
import * as forms from "./forms.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import * as sort from "./sort.js";
import * as view from "./view.js";

function prepare() {
  forms.addPickers();
  const copy = document.getElementById("copy");
  if (copy) copy.hidden = false;
}

prepare();
view.onChange(prepare);
view.followLinks();
comparison.followChoice();
forms.leaveOutEmpty();
forms.copyCurl();
keys.listen();
if (document.getElementById("table")) {
  live.start();
  sort.start();
  charts.start();
}
