/** A group of verbs (verb-table.ts): exec. */
import { exec } from "./exec.ts";
import { offerVerbs } from "./verb-table.ts";

offerVerbs({ exec });
