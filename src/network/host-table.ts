/** The nftables table of one engine in the kernel. */
import { Netlink, NETLINK_NETFILTER, nft, type Sys } from "../kernel/index.ts";
import { GantryError, messageOf } from "../lib/index.ts";
import { isKernelError } from "./host-links.ts";
import { tableName } from "./names.ts";
import { destroyElements, portElements, removeElements } from "./port-elements.ts";
import { deleteTableBatch, tableBatch, type TableInput } from "./table.ts";
import type { Endpoint } from "./types.ts";

export class HostTable {
  readonly #netlink: Netlink;
  readonly #instance: string;

  /** @throws {GantryError} "unsupported" when the kernel has no nfnetlink */
  constructor(sys: Sys, instance: string) {
    this.#instance = instance;
    try {
      this.#netlink = new Netlink(sys, NETLINK_NETFILTER);
    } catch (error) {
      throw missingNftables(error);
    }
  }

  /** @throws {GantryError} "unsupported" when the kernel lacks a part of nf_tables */
  replace(input: Omit<TableInput, "instance">): void {
    const message = tableBatch({ ...input, instance: this.#instance });
    try {
      this.#netlink.request([{ message, description: `write nftables table ${tableName(this.#instance)}` }]);
    } catch (error) {
      // What nf_tables answers for a family, chain type or expression that was not built or whose module is absent.
      if (
        isKernelError(
          error,
          "ENOENT",
          "EOPNOTSUPP",
          "EPROTONOSUPPORT",
          "EAFNOSUPPORT",
          "EINVAL",
          "ENOPROTOOPT",
        )
      )
        throw missingNftables(error);
      throw error;
    }
  }

  /** Takes a container's published ports out of the maps, if they are still there. */
  unpublish(endpoint: Endpoint): void {
    if (endpoint.ports.length === 0) return;
    const message = destroyElements(this.#instance, portElements(endpoint));
    try {
      this.#netlink.request([{ message, description: `unpublish the ports of ${endpoint.name}` }]);
    } catch (error) {
      // A kernel before 6.3 does not know the request; ENOENT: no such table.
      if (!isKernelError(error, "EINVAL", "EOPNOTSUPP", "ENOENT")) throw error;
      this.#unpublishOneByOne(endpoint);
    }
  }

  /** One transaction a port: each may be gone already, and one missing element fails all of its transaction. */
  #unpublishOneByOne({ ip, ports }: Endpoint): void {
    for (const port of ports) {
      const message = removeElements(this.#instance, portElements({ ip, ports: [port] }));
      try {
        this.#netlink.request([
          { message, description: `unpublish ${port.hostIp}:${port.hostPort}/${port.protocol}` },
        ]);
      } catch (error) {
        if (!isKernelError(error, "ENOENT")) throw error;
      }
    }
  }

  /** True when the table is there. */
  exists(): boolean {
    return nft
      .parseTables(
        this.#netlink.request([{ message: nft.dumpTables(), description: "list nftables tables" }]),
      )
      .includes(tableName(this.#instance));
  }

  delete(): void {
    this.#netlink.request([
      { message: deleteTableBatch(this.#instance), description: "delete the nftables table" },
    ]);
  }

  close(): void {
    this.#netlink.close();
  }
}

function missingNftables(cause: unknown): GantryError {
  return new GantryError(
    "unsupported",
    `bridge networks need nftables, which this kernel refuses: ${messageOf(cause)}`,
    {
      cause,
      hint: "use a kernel with nf_tables, nft_nat, nft_masq and nft_fib_ipv4, or run with --network host or none",
    },
  );
}
