/**
 * systemd as the one who makes a container's cgroup (--systemd-cgroup): a transient scope with the container's limits as its
 * properties. Then the cgroup exists, and the plan sets in it what systemd has no word for, and enters it, as without systemd.
 *
 * A scope is started with a process in it and lives as long as one is there. The container's does not exist yet, so that a
 * placeholder stands in until it has entered:
 *
 *   1. `systemdScope(...)` (systemd-unit.ts) gives the path, which takes the place of the config's cgroupsPath
 *   2. `startScope(io, …, pid of the placeholder)`; planContainer with `systemdCgroup: true`; launch
 *   3. the placeholder ends; at a failure `stopScope`
 *   4. update: `setScopeProperties`, then updateResources. delete: `stopScope`, then removeCgroup
 */
import { GantryError } from "../lib/index.ts";
import { DbusConnection, DbusError, type DbusIo } from "./dbus-connection.ts";
import type { DbusCall, DbusMessage, DbusValue } from "./dbus-wire.ts";
import type { UnitProperty } from "./systemd-properties.ts";

export interface SystemdAddress {
  readonly socket: string;
  /** systemd's own socket, where no bus is: no names, no matches. */
  readonly peer?: boolean;
}

const service = "org.freedesktop.systemd1";
const manager = { path: "/org/freedesktop/systemd1", interface: `${service}.Manager` } as const;
const bus = {
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
  destination: "org.freedesktop.DBus",
} as const;
const defaultDeadlineMs = 30_000;

/**
 * Where the system's or the user's bus listens.
 * @throws {GantryError} "unavailable" when the user has none
 */
export function systemdAddress(
  isUser: boolean,
  env: (name: string) => string | undefined,
  exists: (path: string) => boolean,
): SystemdAddress {
  const given = env(isUser ? "DBUS_SESSION_BUS_ADDRESS" : "DBUS_SYSTEM_BUS_ADDRESS") ?? "";
  if (given !== "") return { socket: socketOf(given) };
  if (!isUser) {
    const socket = "/run/dbus/system_bus_socket";
    const own = "/run/systemd/private";
    return !exists(socket) && exists(own) ? { socket: own, peer: true } : { socket };
  }
  const runtimeDir = env("XDG_RUNTIME_DIR") ?? "";
  if (runtimeDir !== "" && exists(`${runtimeDir}/bus`)) return { socket: `${runtimeDir}/bus` };
  throw new GantryError(
    "unavailable",
    "the user has no D-Bus: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR/bus",
    {
      hint: "log in anew with dbus-user-session installed, or leave --systemd-cgroup out",
    },
  );
}

/** `unix:path=/run/bus,guid=…`; several by semicolons: the first with a path. */
function socketOf(address: string): string {
  for (const way of address.split(";")) {
    const path = /^unix:(?:.*,)?path=([^,]*)/.exec(way)?.[1];
    if (path !== undefined) return decodeURIComponent(path);
  }
  throw new GantryError("unsupported", `the D-Bus address ${JSON.stringify(address)} is not unix:path=…`);
}

export interface ScopeRequest {
  readonly unit: string;
  readonly properties: readonly UnitProperty[];
}

/** systemd, for a few calls. Every wait ends at the deadline. */
export class Systemd {
  readonly #connection: DbusConnection;
  readonly #peer: boolean;

  /** @throws {GantryError} "unavailable" when systemd does not run here */
  constructor(io: DbusIo, address: SystemdAddress, deadlineMs = defaultDeadlineMs) {
    this.#peer = address.peer === true;
    try {
      this.#connection = new DbusConnection(io, address.socket, deadlineMs);
    } catch (error) {
      if (error instanceof GantryError && error.code === "unavailable")
        throw new GantryError("unavailable", `systemd cannot be asked to make the cgroup: ${error.message}`, {
          cause: error,
          hint: "leave --systemd-cgroup out on a machine without systemd",
        });
      throw error;
    }
    if (!this.#peer) this.#connection.call({ ...bus, member: "Hello" });
  }

  close(): void {
    this.#connection.close();
  }

  /** 252 of "252.39-1~deb12u1"; 0 when it does not tell. */
  version(): number {
    return Number(/\d+/.exec(this.#property("Version"))?.[0] ?? 0);
  }

  /** Below which its units have their cgroups; empty for the root. */
  cgroup(): string {
    return this.#property("ControlGroup");
  }

  /** @throws {GantryError} with systemd's words; "timeout" */
  startScope({ unit, properties }: ScopeRequest): void {
    this.#watchJobs();
    const start = (): DbusMessage["body"] =>
      this.#manager("StartTransientUnit", "ssa(sv)a(sa(sv))", [unit, "replace", asValues(properties), []]);
    let job: DbusMessage["body"];
    try {
      job = start();
    } catch (error) {
      if (!(error instanceof DbusError && error.errorName.endsWith(".UnitExists"))) throw named(error, unit);
      // One that failed earlier and was left: systemd forgets it when asked to.
      this.#resetFailed(unit);
      job = again(start, unit);
    }
    const result = this.#jobResult(job);
    if (result === "done") return;
    this.#resetFailed(unit);
    throw new GantryError("internal", `error creating systemd unit ${unit}: got ${result}`, {
      hint: `see: systemctl status ${unit}; journalctl -u ${unit}`,
    });
  }

  /** A unit that is gone is fine. */
  stopScope(unit: string): void {
    this.#watchJobs();
    try {
      this.#jobResult(this.#manager("StopUnit", "ss", [unit, "replace"]));
    } catch (error) {
      if (!(error instanceof DbusError && error.errorName.endsWith(".NoSuchUnit"))) throw named(error, unit);
    }
    this.#resetFailed(unit);
  }

  /** Until the machine or the unit ends. */
  setProperties(unit: string, properties: readonly UnitProperty[]): void {
    if (properties.length === 0) return;
    try {
      this.#manager("SetUnitProperties", "sba(sv)", [unit, true, asValues(properties)]);
    } catch (error) {
      throw named(error, unit);
    }
  }

  #watchJobs(): void {
    if (!this.#peer)
      this.#connection.call({
        ...bus,
        member: "AddMatch",
        signature: "s",
        body: [`type='signal',interface='${manager.interface}',member='JobRemoved'`],
      });
    try {
      this.#manager("Subscribe", "", []);
    } catch (error) {
      // "already subscribed": a peer is by itself.
      if (!(error instanceof DbusError)) throw error;
    }
  }

  /** "done", "canceled", "timeout", "failed", "dependency" or "skipped". */
  #jobResult([job]: DbusMessage["body"]): string {
    const [, , , result] = this.#connection.signal("JobRemoved", ([, path]) => path === job);
    return String(result);
  }

  #resetFailed(unit: string): void {
    try {
      this.#manager("ResetFailedUnit", "s", [unit]);
    } catch (error) {
      // It has not failed, or is gone.
      if (!(error instanceof DbusError)) throw error;
    }
  }

  #property(name: string): string {
    const [variant] = this.#connection.call(
      this.#addressed({
        path: manager.path,
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
        signature: "ss",
        body: [manager.interface, name],
      }),
    );
    return typeof variant === "object" && "value" in variant ? String(variant.value) : "";
  }

  #manager(member: string, signature: string, body: readonly DbusValue[]): DbusMessage["body"] {
    return this.#connection.call(this.#addressed({ ...manager, member, signature, body }));
  }

  #addressed(call: DbusCall): DbusCall {
    return this.#peer ? call : { ...call, destination: service };
  }
}

function again(start: () => DbusMessage["body"], unit: string): DbusMessage["body"] {
  try {
    return start();
  } catch (error) {
    throw named(error, unit);
  }
}

function named(error: unknown, unit: string): unknown {
  if (!(error instanceof DbusError)) return error;
  return new GantryError(error.code, `systemd unit ${unit}: ${error.message}`, {
    fields: { ...error.fields, unit },
  });
}

function asValues(properties: readonly UnitProperty[]): readonly DbusValue[] {
  return properties.map(([name, value]) => [name, value]);
}
