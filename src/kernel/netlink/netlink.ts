/** A netlink conversation: requests out, replies in, kernel errors as sentences. */
import { constants } from "node:os";

import { GantryError, toGantryError } from "../../lib/index.ts";
import type { Sys } from "../sys.ts";
import { fromCString, viewOf } from "./bytes.ts";
import {
  attributeMap,
  headerLength,
  type NetlinkReply,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseMessages,
} from "./message.ts";

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

/** A request with words for its error; the runtime's plan steps have this shape too. */
export interface DescribedMessage {
  readonly message: Uint8Array;
  /** "create bridge gantry0": the error becomes "create bridge gantry0: file exists". */
  readonly description: string;
}

const NLMSGERR_ATTR_MSG = 1;
/** In an acknowledgement: the request is not echoed; the kernel's texts follow. */
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
/** A dump that ran while the table changed is asked again, so often. */
const dumpAttempts = 10;

/** One socket. Synchronous: the kernel answers within the system call. */
export class Netlink implements Disposable {
  readonly #sys: Sys;
  #fd: number;
  #sequence = 1;

  /**
   * @param netnsPath the network namespace to speak to (`/proc/PID/ns/net`); absent: our own
   * @throws an errno error of socket or setns
   */
  constructor(sys: Sys, protocol: number, netnsPath?: string) {
    this.#sys = sys;
    this.#fd = netnsPath === undefined ? sys.netlinkOpen(protocol) : sys.netlinkOpenAt(protocol, netnsPath);
  }

  /**
   * Sends the messages one after the other, each with its own answer, and returns what was answered besides acks (the rows of
   * dumps). Stops at the first that fails. A message may hold several nlmsgs, such as an nftables batch: these are sent at once.
   * @throws {GantryError} the errno's code; fields `errno` and `index` (of the message)
   */
  request(messages: readonly (Uint8Array | DescribedMessage)[]): NetlinkReply[] {
    return messages.flatMap((item, index) => {
      const described = item instanceof Uint8Array ? { message: item, description: "netlink" } : item;
      return this.#exchange(described, index);
    });
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#sys.close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #exchange({ message, description }: DescribedMessage, index: number): NetlinkReply[] {
    for (let attempt = 1; attempt <= dumpAttempts; attempt++) {
      const replies = this.#send(message, description, index);
      if (!replies.some((reply) => (reply.flags & NLM_F_DUMP_INTR) !== 0)) {
        return replies.filter((reply) => reply.type !== NLMSG_ERROR && reply.type !== NLMSG_DONE);
      }
    }
    throw new GantryError(
      "conflict",
      `${description}: the table changed during each of ${dumpAttempts} dumps`,
    );
  }

  #send(message: Uint8Array, description: string, index: number): NetlinkReply[] {
    if (this.#fd < 0) throw new GantryError("internal", `${description}: the netlink socket is closed`);
    const { bytes, expected, first } = this.#number(message);
    let datagrams: Uint8Array[];
    try {
      datagrams = this.#sys.netlinkExchange(this.#fd, bytes, expected);
    } catch (error) {
      throw toGantryError(error, description);
    }
    // An answer to an earlier request that ended in a timeout has a lower sequence number.
    const replies = datagrams
      .flatMap((datagram) => parseMessages(datagram))
      .filter((reply) => reply.sequence >= first);
    for (const reply of replies) throwOnError(reply, description, index);
    return replies;
  }

  /** A copy with sequence numbers, and how many answers it will get. */
  #number(message: Uint8Array): {
    readonly bytes: Uint8Array;
    readonly expected: number;
    readonly first: number;
  } {
    const bytes = message.slice();
    const view = viewOf(bytes);
    const first = this.#sequence;
    let expected = 0;
    for (let offset = 0; offset + headerLength <= bytes.length;) {
      const flags = view.getUint16(offset + 6, true);
      if ((flags & NLM_F_ACK) !== 0 || (flags & NLM_F_DUMP) === NLM_F_DUMP) expected++;
      view.setUint32(offset + 8, this.#sequence++, true);
      offset += Math.max(headerLength, (view.getUint32(offset, true) + 3) & ~3);
    }
    return { bytes, expected, first };
  }
}

function throwOnError(reply: NetlinkReply, description: string, index: number): void {
  if (reply.type !== NLMSG_ERROR && reply.type !== NLMSG_DONE) return;
  if (reply.payload.length < 4) return;
  const errno = -viewOf(reply.payload).getInt32(0, true);
  if (errno <= 0) return;
  const name = errnoName(errno);
  const words = [constantWords(name), kernelText(reply)].filter((text) => text !== "").join(": ");
  const { code } = toGantryError(Object.assign(new Error(name), { code: name }));
  throw new GantryError(code, `${description}: ${words}`, { fields: { errno: name, index } });
}

/** What the kernel says beyond the errno: NLMSGERR_ATTR_MSG, such as "Invalid prefix for given prefix length". */
function kernelText(reply: NetlinkReply): string {
  if (reply.type !== NLMSG_ERROR || (reply.flags & NLM_F_ACK_TLVS) === 0) return "";
  const echoed = (reply.flags & NLM_F_CAPPED) !== 0 ? headerLength : viewOf(reply.payload).getUint32(4, true);
  const text = attributeMap(reply.payload.subarray(4 + echoed)).get(NLMSGERR_ATTR_MSG);
  return text === undefined ? "" : fromCString(text);
}

function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(constants.errno)) if (value === errno) return name;
  return `errno ${errno}`;
}

const errnoWords: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "no such address",
  EAFNOSUPPORT: "address family not supported",
  EBUSY: "in use",
  EEXIST: "exists already",
  EINVAL: "the kernel finds the request invalid",
  ENETDOWN: "network is down",
  ENETUNREACH: "network is unreachable",
  ENODEV: "no such interface",
  ENOENT: "does not exist",
  ENOMEM: "out of memory",
  ENOSPC: "no space left",
  EOPNOTSUPP: "not supported by this kernel",
  EPERM: "operation not permitted",
  ERANGE: "out of range",
  ESRCH: "no such process or entry",
};

function constantWords(name: string): string {
  const words = errnoWords[name];
  return words === undefined ? name : `${words} (${name})`;
}
