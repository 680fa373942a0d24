/**
 * The entry: a switch on the program's name and first word, one import() a command group, so that nothing is loaded in
 * vain. The OCI runtime is a program of its own (native/oci), which this file carries; `internal` words are the confined children that Gantry starts itself.
 */
/** Undoes the build's --compile-jit-policy for what runs longer than a moment. */
const runsLong = (): void => Bun.unsafe.setJITPolicy(1);

const words = process.argv.slice(2);
const name = process.argv0.slice(process.argv0.lastIndexOf("/") + 1);

async function main(): Promise<number> {
  if (name === "gantry-oci") return becomeOci(words);
  switch (words[0]) {
    case "oci":
      return becomeOci(words.slice(1));
    case "internal":
      runsLong();
      return (await import("./internal.ts")).main(words.slice(1));
    case "engine":
      runsLong();
      // Joined streams of clients may still be open: the engine ends all the same.
      return process.exit(await runEngine(words.slice(1)));
    case "registry":
      if (words[1] !== "serve") return (await import("./cli/main.ts")).main(words);
      runsLong();
      return process.exit(await (await import("./cli/main.ts")).main(words));
    default:
      return (await import("./cli/main.ts")).main(words);
  }
}

async function becomeOci(args: readonly string[]): Promise<never> {
  return (await import("./kernel/index.ts")).becomeOciRuntime(args);
}

async function runEngine(flags: readonly string[]): Promise<number> {
  const help = async (): Promise<string> => (await import("./cli/engine-help.ts")).engineHelp();
  return (await import("./engine/main.ts")).main(flags, help);
}

process.exitCode = await main();

export {};
