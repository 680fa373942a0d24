/** A plan and its options as bytes for gantry-init: native/PROTOCOL.md, "A plan on the wire". */
import { GantryError } from "../lib/index.ts";
import { ByteWriter } from "./byte-writer.ts";
import { writeStep } from "./encode-step.ts";
import type { AnyStep, AttachStreams, MonitorOptions, Plan } from "./plan-step.ts";

export const planMagic = 0x314c5047;
/** gantry-init refuses longer ones. */
export const maxPlanBytes = 4 << 20;

const sections = { options: 0, monitor: 1, container: 2, teardown: 3, hooks: 4 } as const;

/** In wire order. */
export const planSections = ["monitor", "hooks", "container", "teardown"] as const;

/**
 * The bytes of a plan. The index of a step, as FAILED frames name it, is its position in `allSteps(plan)`.
 * @throws {GantryError} "invalid" when a text holds a NUL byte, "exhausted" when the plan is over 4 MiB
 */
export function encodePlan(plan: Plan, options: MonitorOptions): Uint8Array {
  const out = new ByteWriter();
  out.u32(planMagic).u32(0);
  encodeOptions(out, options);
  for (const section of planSections)
    for (const step of plan[section] ?? []) record(out, sections[section], step);
  out.patchU32(4, out.length - 8);
  if (out.length > maxPlanBytes)
    throw new GantryError(
      "exhausted",
      `the plan has ${out.length} bytes, more than the ${maxPlanBytes} allowed`,
      {
        hint: "use fewer mounts, environment variables or arguments",
      },
    );
  return out.finish();
}

/** Every step in wire order. */
export function allSteps(plan: Plan): readonly AnyStep[] {
  return planSections.flatMap((section): readonly AnyStep[] => plan[section] ?? []);
}

/** The bits of an attach connection's streams. */
export function streamBits(streams: AttachStreams): number {
  return (streams.stdin ? 1 : 0) | (streams.stdout ? 2 : 0) | (streams.stderr ? 4 : 0);
}

function record(out: ByteWriter, section: number, step: AnyStep): void {
  const start = out.length;
  out
    .u16(0)
    .u8(section)
    .u8(step.optional === true ? 1 : 0)
    .u32(0);
  const op = writeStep(out, step);
  close(out, start, op);
}

function close(out: ByteWriter, start: number, op: number): void {
  out.patchU16(start, op);
  out.patchU32(start + 4, out.length - start - 8);
}

function encodeOptions(out: ByteWriter, options: MonitorOptions): void {
  const option = (op: number, write: (writer: ByteWriter) => void): void => {
    const start = out.length;
    out.u16(0).u8(sections.options).u8(0).u32(0);
    write(out);
    close(out, start, op);
  };
  const { socketPath, statusPath, log, terminal, stdin, oomPath, consoleSocket, processTitle } = options;
  if (socketPath !== undefined) option(1, (w) => w.string(socketPath));
  if (statusPath !== undefined) option(2, (w) => w.string(statusPath));
  if (log !== undefined) option(3, (w) => w.string(log.path).u64(BigInt(log.maxBytes)).u32(log.maxFiles));
  if (terminal !== undefined) option(4, (w) => w.u16(terminal.rows).u16(terminal.cols));
  if (stdin !== undefined) option(5, (w) => w.flag(stdin.once));
  if (oomPath !== undefined) option(6, (w) => w.string(oomPath));
  for (const streams of options.attach ?? []) option(7, (w) => w.u8(streamBits(streams)));
  if (options.holdFds !== undefined && options.holdFds > 0) option(8, (w) => w.u32(options.holdFds ?? 0));
  if (options.detach === true) option(9, () => {});
  if (consoleSocket !== undefined) option(10, (w) => w.string(consoleSocket));
  if (processTitle !== undefined) option(11, (w) => w.string(processTitle));
  if (options.preserveFds !== undefined) option(12, (w) => w.u32(options.preserveFds ?? 0));
  if (options.noLogRelay === true) option(13, () => {});
}
