/** Flat table: the architectures of the specification (SCMP_ARCH_*), as the kernel tells them apart in a filter. */
import { GantryError } from "../../lib/index.ts";
import type { SyscallRow } from "./syscalls.ts";

export interface SeccompArchitecture {
  readonly row: SyscallRow;
  /** AUDIT_ARCH_*: `struct seccomp_data.arch`. @see linux/audit.h */
  readonly audit: number;
  /** One kernel runs programs of all members of a family. */
  readonly family: string;
  /** Added to the numbers of the row. */
  readonly base?: number;
  readonly bigEndian?: true;
  /** Arguments are of 32 bits: only the lower half of what a rule says counts, as with libseccomp. */
  readonly narrow?: true;
}

/** On x86_64: the bit of x32 calls, which are otherwise of the same architecture. */
export const x32Bit = 0x40000000;

export const seccompArchitectures: Readonly<Record<string, SeccompArchitecture>> = {
  SCMP_ARCH_X86_64: { row: "x86_64", audit: 0xc000003e, family: "x86" },
  SCMP_ARCH_X86: { row: "x86", audit: 0x40000003, family: "x86", narrow: true },
  SCMP_ARCH_X32: { row: "x32", audit: 0xc000003e, family: "x86", base: x32Bit },
  SCMP_ARCH_AARCH64: { row: "aarch64", audit: 0xc00000b7, family: "arm" },
  SCMP_ARCH_ARM: { row: "arm", audit: 0x40000028, family: "arm", narrow: true },
  SCMP_ARCH_RISCV64: { row: "riscv64", audit: 0xc00000f3, family: "riscv" },
  SCMP_ARCH_LOONGARCH64: { row: "loongarch64", audit: 0xc0000102, family: "loongarch" },
  SCMP_ARCH_MIPS: { row: "mips", audit: 0x8, family: "mips", base: 4000, bigEndian: true, narrow: true },
  SCMP_ARCH_MIPS64: { row: "mips64", audit: 0x80000008, family: "mips", base: 5000, bigEndian: true },
  SCMP_ARCH_MIPS64N32: {
    row: "mips64n32",
    audit: 0xa0000008,
    family: "mips",
    base: 6000,
    bigEndian: true,
    narrow: true,
  },
  SCMP_ARCH_MIPSEL: { row: "mips", audit: 0x40000008, family: "mipsel", base: 4000, narrow: true },
  SCMP_ARCH_MIPSEL64: { row: "mips64", audit: 0xc0000008, family: "mipsel", base: 5000 },
  SCMP_ARCH_MIPSEL64N32: { row: "mips64n32", audit: 0xe0000008, family: "mipsel", base: 6000, narrow: true },
  SCMP_ARCH_PPC: { row: "ppc", audit: 0x14, family: "ppc", bigEndian: true, narrow: true },
  SCMP_ARCH_PPC64: { row: "ppc64", audit: 0x80000015, family: "ppc", bigEndian: true },
  SCMP_ARCH_PPC64LE: { row: "ppc64", audit: 0xc0000015, family: "ppcle" },
  SCMP_ARCH_S390: { row: "s390", audit: 0x16, family: "s390", bigEndian: true, narrow: true },
  SCMP_ARCH_S390X: { row: "s390x", audit: 0x80000016, family: "s390", bigEndian: true },
  SCMP_ARCH_PARISC: { row: "parisc", audit: 0xf, family: "parisc", bigEndian: true, narrow: true },
  SCMP_ARCH_PARISC64: { row: "parisc64", audit: 0x8000000f, family: "parisc", bigEndian: true },
  SCMP_ARCH_M68K: { row: "m68k", audit: 0x4, family: "m68k", bigEndian: true, narrow: true },
  SCMP_ARCH_SH: { row: "sh", audit: 0x4000002a, family: "sh", narrow: true },
  SCMP_ARCH_SHEB: { row: "sh", audit: 0x2a, family: "sheb", bigEndian: true, narrow: true },
};

/** @throws {GantryError} "invalid" for a name that is no architecture's */
export function architectureOf(name: string): SeccompArchitecture {
  const known = Object.prototype.hasOwnProperty.call(seccompArchitectures, name)
    ? seccompArchitectures[name]
    : undefined;
  if (known === undefined)
    throw new GantryError(
      "invalid",
      `linux.seccomp.architectures: there is no architecture ${JSON.stringify(name)}`,
      { hint: "names are such as SCMP_ARCH_X86_64" },
    );
  return known;
}

/** The name of the architecture that this program runs on; gantry-oci's bundler puts in the one that it is built for. */
export function nativeArchitecture(): string {
  return nativeNames[process.arch] ?? "SCMP_ARCH_X86_64";
}

const nativeNames: Readonly<Record<string, string>> = {
  x64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
  x86_64: "SCMP_ARCH_X86_64",
  aarch64: "SCMP_ARCH_AARCH64",
  riscv64: "SCMP_ARCH_RISCV64",
  ppc64le: "SCMP_ARCH_PPC64LE",
  s390x: "SCMP_ARCH_S390X",
  loongarch64: "SCMP_ARCH_LOONGARCH64",
};
