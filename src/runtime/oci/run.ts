/** `gantry-oci run`: create and start, and stay until the end unless --detach. */
import { begin, type Beginning, launchAndStore } from "./begin.ts";
import type { VerbInput } from "./context.ts";
import type { ParsedFlags } from "./flags.ts";
import { followToEnd, SignalForwarder } from "./follow.ts";

export async function run(input: VerbInput): Promise<number> {
  const detach = input.flags.is("detach");
  const started = await begin("run", input, { detach, waits: false }, async (beginning) => {
    const wait = await startOne(beginning, detach);
    const hooks = beginning.bundle.config.hooks?.poststart;
    if (hooks !== undefined) await poststart(beginning);
    return { wait, beginning };
  });
  if (detach) return 0;
  const exitCode = await started.wait();
  await tidy(started.beginning, input.flags);
  return exitCode;
}

/** Starts the process; what is returned waits for its end and gives the exit code. */
async function startOne(beginning: Beginning, detach: boolean): Promise<() => Promise<number>> {
  if (beginning.options.terminal !== undefined && !detach) {
    const { launchOnTerminal } = await import("./run-terminal.ts");
    return await launchOnTerminal(beginning);
  }
  const signals = detach ? undefined : new SignalForwarder();
  const running = await launchAndStore(beginning);
  signals?.to(running.runnerPid);
  if (!detach) return () => followToEnd(running).finally(() => signals?.[Symbol.dispose]());
  running.control.close();
  return () => Promise.resolve(0);
}

async function poststart({ dir, stored, bundle }: Beginning): Promise<void> {
  const [{ runHooks }, { shownState }] = await Promise.all([import("./hooks.ts"), import("./oci-state.ts")]);
  const state = await shownState(dir, dir.read());
  await runHooks("poststart", bundle.config.hooks?.poststart, { ...state, id: stored.id });
}

/** gantry-init has removed the cgroups already. */
async function tidy({ dir, bundle }: Beginning, flags: ParsedFlags): Promise<void> {
  if (flags.is("keep")) return;
  const hooks = bundle.config.hooks?.poststop;
  if (hooks !== undefined) {
    const [{ runHooks }, { shownState }] = await Promise.all([
      import("./hooks.ts"),
      import("./oci-state.ts"),
    ]);
    await runHooks("poststop", hooks, await shownState(dir, dir.read()));
  }
  dir.remove();
}
