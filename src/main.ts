/**
 * The entry: a switch on the program's name and first word, one import() a command group, so that nothing is loaded in
 * vain. `gantry-oci` is the same file by another name; `internal` words are the confined children that Gantry starts itself.
 */
const words = process.argv.slice(2);
const name = process.argv0.slice(process.argv0.lastIndexOf("/") + 1);

async function main(): Promise<number> {
  if (name === "gantry-oci") return (await import("./runtime/oci/main.ts")).main(words);
  switch (words[0]) {
    case "oci":
      return (await import("./runtime/oci/main.ts")).main(words.slice(1));
    case "internal":
      return (await import("./internal.ts")).main(words.slice(1));
    case "engine":
      return (await import("./engine/main.ts")).main(words.slice(1));
    default:
      return (await import("./cli/main.ts")).main(words);
  }
}

process.exitCode = await main();
