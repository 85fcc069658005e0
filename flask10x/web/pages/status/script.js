// The page of refused readings with a script: pickers and keys. All else works without.

import * as forms from "./forms.js";
import * as keys from "./keys.js";

forms.addPickers();
forms.leaveOutEmpty();
keys.listen();
