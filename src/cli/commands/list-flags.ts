/** Flags that many commands share. */
import type { Flag } from "../flags/flag.ts";

export const listFormat: Flag = {
  name: "format",
  kind: "string",
  help: "Format of the output:\n'table': a table (default)\n'table TEMPLATE': a table with the columns of a Go template\n'json': one JSON object a line\n'TEMPLATE': a Go template for each line",
};

export const objectFormat: Flag = {
  name: "format",
  short: "f",
  kind: "string",
  help: "Format of the output:\n'json': JSON\n'TEMPLATE': a Go template",
};

export const force: Flag = { name: "force", short: "f", kind: "bool", help: "Do not ask" };
