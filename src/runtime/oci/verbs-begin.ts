/** A group of verbs (verb-table.ts): create and run: all of the planner. */
import { create } from "./create.ts";
import { run } from "./run.ts";
import { offerVerbs } from "./verb-table.ts";

offerVerbs({ create, run });
