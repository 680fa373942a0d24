/** The loopback device of a new network namespace, which the kernel makes switched off. Pure. */
import type { ExtraSteps } from "./plan-input.ts";
import type { OciConfig } from "./oci-types.ts";

const NETLINK_ROUTE = 0;
const RTM_NEWLINK = 16;
const requestWithAck = 0x5;
const IFF_UP = 1;
/** The first device of every network namespace. */
const loIndex = 1;

/** Steps for a container that gets no other network; none when it shares one or joins one by path. */
export function planLoopback(config: OciConfig): ExtraSteps {
  const network = config.linux?.namespaces?.find(({ type }) => type === "network");
  const isNew = network !== undefined && (network.path ?? "") === "";
  return {
    monitor: [],
    container: isNew
      ? [
          {
            do: "netlink",
            protocol: NETLINK_ROUTE,
            messages: [{ message: switchOn(loIndex), description: "switch on lo" }],
            because: "the default: a new network namespace has its loopback",
          },
        ]
      : [],
    teardown: [],
  };
}

/** nlmsghdr and ifinfomsg, see rtnetlink(7). */
function switchOn(index: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, RTM_NEWLINK, true);
  view.setUint16(6, requestWithAck, true);
  view.setUint32(20, index, true);
  view.setUint32(24, IFF_UP, true);
  view.setUint32(28, IFF_UP, true);
  return bytes;
}
