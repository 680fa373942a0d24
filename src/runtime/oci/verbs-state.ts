/** A group of verbs (verb-table.ts): what is called most, and needs least. */
import { listContainers } from "./list.ts";
import { start } from "./start.ts";
import { state } from "./state.ts";
import { offerVerbs } from "./verb-table.ts";

offerVerbs({ list: listContainers, start, state });
