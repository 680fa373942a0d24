/** `gantry-oci run`: create and start, and stay until the end unless --detach. */
import { GantryError } from "../../lib/index.ts";
import { begin, type Beginning, type BeginOptions } from "./begin.ts";
import { killCgroups, removeCgroups } from "./cleanup.ts";
import { BareError, type VerbInput } from "./context.ts";
import { endContainer } from "./delete.ts";
import { followToEnd, SignalForwarder } from "./follow.ts";
import { poststart } from "./start.ts";
import { runHooksToTheEnd } from "./hooks.ts";
import { hookState, shownState } from "./oci-state.ts";
import { ownsPids } from "./kill.ts";
import { relay } from "./relay.ts";

export function run(input: VerbInput): number {
  const { flags } = input;
  const detach = flags.is("detach");
  const keeps = flags.is("keep");
  if (!detach && !flags.is("no-subreaper")) host.becomeSubreaper();
  const signals = detach ? undefined : new SignalForwarder();
  const beginning = beginRun(input, { detach, waits: false, keeps });
  const { notify, stored } = beginning;
  if (detach && stored.process !== undefined) notify?.relayUntilReady(stored.process);
  if (signals === undefined) return 0;
  try {
    const code = stay(beginning, signals);
    if (!keeps) tidy(beginning);
    else if (!ownsPids(stored)) killCgroups(stored);
    return code;
  } catch (error) {
    // Nobody would hear of its end.
    endContainer(beginning.stored);
    if (!keeps) tidy(beginning);
    throw error;
  }
}

function beginRun(input: VerbInput, how: BeginOptions): Beginning {
  try {
    return begin("run", input, how, (begun) => {
      if (how.detach) host.close(begun.running.control);
      poststart(begun.dir, begun.stored);
      return begun;
    });
  } catch (error) {
    throw execveError(error) ?? error;
  }
}

/** The kernel's no to a program that was found is told as if by the program itself: `exec /run.sh: exec format error`. */
function execveError(error: unknown): GantryError | undefined {
  if (!(error instanceof GantryError)) return undefined;
  const [, words] = /^unable to start container process: (exec [^:]+: .*)$/s.exec(error.message) ?? [];
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  return words === undefined ? undefined : new BareError(error.code, words, { cause: error, ...hint });
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
