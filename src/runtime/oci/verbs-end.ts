/** A group of verbs (verb-table.ts): signals, processes, the end. */
import { deleteContainer } from "./delete.ts";
import { kill } from "./kill.ts";
import { pause, resume } from "./pause.ts";
import { ps } from "./ps.ts";
import { offerVerbs } from "./verb-table.ts";

offerVerbs({ delete: deleteContainer, kill, pause, resume, ps });
