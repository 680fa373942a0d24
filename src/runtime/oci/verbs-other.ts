/** A group of verbs (verb-table.ts): all others. */
import { checkpoint } from "./checkpoint.ts";
import { events } from "./events.ts";
import { explain } from "./explain.ts";
import { features } from "./features.ts";
import { printPlan } from "./plan.ts";
import { restore } from "./restore.ts";
import { spec } from "./spec.ts";
import { update } from "./update.ts";
import { validate } from "./validate.ts";
import { offerVerbs } from "./verb-table.ts";

offerVerbs({ checkpoint, events, explain, features, plan: printPlan, restore, spec, update, validate });
