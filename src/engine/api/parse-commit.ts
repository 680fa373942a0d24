/** The body of POST /commit: a container's configuration, of which an image keeps what concerns it. Pure. */
import type { ContainerDefaults } from "../../image/index.ts";
import type { Fields } from "./json-fields.ts";

/** Only what is set. @throws {GantryError} "invalid" with the field's name */
export function parseCommitConfig(fields: Fields): ContainerDefaults {
  const texts = {
    User: fields.string("User"),
    WorkingDir: fields.string("WorkingDir"),
    StopSignal: fields.string("StopSignal"),
  };
  const lists = {
    Env: fields.strings("Env"),
    Cmd: fields.strings("Cmd"),
    Entrypoint: fields.strings("Entrypoint"),
  };
  const maps = {
    ExposedPorts: fields.set("ExposedPorts"),
    Volumes: fields.set("Volumes"),
    Labels: fields.stringMap("Labels"),
  };
  const set = Object.entries({ ...texts, ...lists, ...maps }).filter(([, value]) =>
    typeof value === "string" ? value !== "" : Object.keys(value).length > 0,
  );
  return Object.fromEntries(set) as ContainerDefaults;
}
