/** What --systemd-cgroup needs, for systemd.ts. */
import { offerSystemd } from "./systemd.ts";
import * as scopes from "./systemd-scopes.ts";

offerSystemd(scopes);
