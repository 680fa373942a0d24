import { expect, test } from "bun:test";
import { commands, globalFlags } from "./commands.ts";
import { commandHelp, helpText } from "./help.ts";

test("the help of each command names it and all its flags", () => {
  for (const [name, command] of Object.entries(commands)) {
    const text = commandHelp(name, command);
    expect(text).toStartWith(
      `NAME:\n   gantry-oci ${name} - ${command.summary}\n\nUSAGE:\n   gantry-oci ${name}`,
    );
    for (const flag of Object.keys(command.flags)) expect(text).toMatch(new RegExp(`^   --${flag}[ ,]`, "m"));
    for (const { about } of Object.values(command.flags)) expect(about, name).not.toBe("");
  }
});

test("the help of the program names its commands and flags", () => {
  const text = helpText();
  for (const name of Object.keys(commands)) expect(text).toMatch(new RegExp(`^   ${name} `, "m"));
  for (const flag of Object.keys(globalFlags)) expect(text).toMatch(new RegExp(`^   --${flag}[ ,]`, "m"));
});

test("no line is wider than a terminal should be asked for", () => {
  for (const [name, command] of Object.entries(commands))
    for (const line of commandHelp(name, command).split("\n")) expect(line.length, line).toBeLessThan(125);
});
