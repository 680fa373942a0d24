/** cli: docker's command line on the engine's HTTP API. The entry file imports `main.ts` alone. */
export { engineHelp } from "./engine-help.ts";
export { main } from "./main.ts";
