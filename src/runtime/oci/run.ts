/** `gantry-oci run`: create and start, and stay until the end unless --detach. */
import { begin, type Beginning } from "./begin.ts";
import { removeCgroups } from "./cleanup.ts";
import type { VerbInput } from "./context.ts";
import { endContainer } from "./delete.ts";
import { followToEnd, SignalForwarder } from "./follow.ts";
import { poststart } from "./start.ts";
import { runHooksToTheEnd } from "./hooks.ts";
import { hookState, shownState } from "./oci-state.ts";
import { relay } from "./relay.ts";

export function run(input: VerbInput): number {
  const { flags } = input;
  const detach = flags.is("detach");
  if (!detach && !flags.is("no-subreaper")) host.becomeSubreaper();
  const signals = detach ? undefined : new SignalForwarder();
  const beginning = begin("run", input, { detach, waits: false }, (begun) => {
    if (detach) host.close(begun.running.control);
    poststart(begun.dir, begun.stored);
    return begun;
  });
  const { notify, stored } = beginning;
  if (detach && stored.process !== undefined) notify?.relayUntilReady(stored.process);
  if (signals === undefined) return 0;
  try {
    const code = stay(beginning, signals);
    if (!flags.is("keep")) tidy(beginning);
    return code;
  } catch (error) {
    // Nobody would hear of its end.
    endContainer(beginning.stored);
    if (!flags.is("keep")) tidy(beginning);
    throw error;
  }
}

function stay({ running, console, notify }: Beginning, signals: SignalForwarder): number {
  const watchers =
    notify === undefined ? [] : [{ fd: notify.fd, take: (): boolean => !notify.relay(host.pid()) }];
  return console === undefined
    ? followToEnd(running, signals, watchers)
    : relay(running, console, signals, watchers);
}

/** gantry-init has removed the cgroups of its plan already. */
function tidy({ dir, bundle, stored }: Beginning): void {
  if (host.access(dir.moreCgroups, 0)) removeCgroups(stored);
  const hooks = bundle.config.hooks?.poststop;
  if (hooks !== undefined) runHooksToTheEnd("poststop", hooks, hookState(shownState(dir, stored)));
  dir.remove();
}
