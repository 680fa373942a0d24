/** Hooks that run while a container is made (runtime-spec config.md, "POSIX-platform Hooks"). Pure. */
import type { OciConfig, OciHook } from "./oci-types.ts";
import type { Because, HookContext } from "./plan-input.ts";
import type { ContainerStep, HookStep, Plan } from "./plan-step.ts";

/** A hook without a time-out of its own may not hang a start for ever. Seconds. */
export const defaultHookTimeout = 600;

/** Of the state, whatever the config's version is (runtime.md, "State"). */
const stateVersion = "1.3.0";

/** What the pid takes in the state; gantry-init puts it there instead. */
const pidRoom = " ".repeat(8);

export interface PlannedHooks {
  /** prestart and createRuntime: in the host's namespaces, by the monitor. */
  readonly runtime: readonly HookStep[];
  /** createContainer: in the container's namespaces, with the host's files still in sight. */
  readonly create: readonly ContainerStep[];
  /** startContainer: in the container, right before its program. */
  readonly start: readonly ContainerStep[];
}

/**
 * What runs when, and what each hook is told. Without an `env` of its own a hook gets the runtime's, as with runc, and a
 * startContainer hook the program's. A createContainer hook does not: it is a host program with the host's rights, and the
 * program's environment may come from an image (LD_PRELOAD).
 */
export function planHooks(config: OciConfig, context: HookContext, because: Because): PlannedHooks {
  const { hooks } = config;
  const creating = stateText(config, context, "creating");
  const created = stateText(config, context, "created");
  const steps = (kind: keyof NonNullable<OciConfig["hooks"]>, state: StateText, where: Where): HookStep[] =>
    (hooks?.[kind] ?? []).map((hook, index) => ({
      do: "run-hook",
      label: `${kind} hook #${index}`,
      path: hook.path,
      argv: hookArgv(hook),
      env: hook.env === undefined || hook.env.length === 0 ? where.env : hook.env,
      seconds: hook.timeout ?? defaultHookTimeout,
      ...state,
      cwd: where.cwd,
      because: because("the config's hooks", `hooks.${kind}`, "hooks"),
    }));
  const onHost = { env: context.env, cwd: context.bundle };
  return {
    runtime: [...steps("prestart", creating, onHost), ...steps("createRuntime", creating, onHost)],
    // As runc: the root file system is the working directory.
    create: steps("createContainer", creating, { env: context.env, cwd: context.rootfs }),
    start: steps("startContainer", created, { env: config.process?.env ?? [], cwd: "" }),
  };
}

/** The steps of a child with its hooks put in. */
export function withHooks(steps: readonly ContainerStep[], hooks: PlannedHooks): readonly ContainerStep[] {
  const asked: readonly ContainerStep[] =
    hooks.runtime.length === 0 ? [] : [{ do: "ask-hooks", because: hooks.runtime[0]?.because ?? "" }];
  return steps.flatMap((step) => {
    if (step.do === "pivot-root") return [...asked, ...hooks.create, step];
    return step.do === "exec" ? [...hooks.start, step] : [step];
  });
}

/** How long the hooks of a plan may take together, for the deadline of a start. Seconds. */
export function hookSeconds(plan: Plan): number {
  const seconds = (steps: readonly (HookStep | ContainerStep)[]): number =>
    steps.reduce((sum, step) => sum + (step.do === "run-hook" ? step.seconds : 0), 0);
  return seconds(plan.hooks ?? []) + seconds(plan.container);
}

/** Without args the path is all there is. */
export function hookArgv({ path, args = [] }: OciHook): readonly string[] {
  return args.length === 0 ? [path] : args;
}

interface Where {
  readonly env: readonly string[];
  readonly cwd: string;
}

interface StateText {
  readonly state: string;
  readonly pidAt: number;
}

/** runtime.md, "State", with room for the pid. */
function stateText(
  { annotations }: OciConfig,
  { id, bundle }: HookContext,
  status: "creating" | "created",
): StateText {
  const head = `${JSON.stringify({ ociVersion: stateVersion, id, status }).slice(0, -1)},"pid":`;
  const rest = JSON.stringify({ bundle, ...(annotations === undefined ? {} : { annotations }) });
  return { state: `${head}${pidRoom},${rest.slice(1)}`, pidAt: new TextEncoder().encode(head).length };
}
