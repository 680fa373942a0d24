/** kernel: what we ask of Linux. */
export { initProgram } from "./init-program.ts";
export { loadSys } from "./load-sys.ts";
export type { SpawnRequest, Sys } from "./sys.ts";
