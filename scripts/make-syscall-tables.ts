/**
 * Makes src/kernel/seccomp/syscall-tables.ts from the kernel's own headers (asm/unistd*.h) of all architectures.
 *
 *     mkdir d && cd d && apt-get download linux-libc-dev-{arm64,armhf,i386,x32,ppc64el,s390x,mips64el,hppa,m68k,riscv64,sh4}-cross
 *     for d in *.deb; do dpkg -x $d root; done
 *     scripts/bun scripts/make-syscall-tables.ts d/root/usr > src/kernel/seccomp/syscall-tables.ts
 *
 * Calls that are newer than the headers have the same number everywhere, from 403 or 424 on; those are listed here.
 */
const root = process.argv[2] ?? "";
if (root === "") throw new Error("usage: make-syscall-tables.ts DIRECTORY-OF-HEADERS");

/** Later than Debian's headers (6.1): up to 7.0. */
const later =
  "cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat open_tree_attr file_getattr file_setattr listns rseq_slice_yield";
const firstLater = 451;

interface Source {
  readonly arch: string;
  readonly dir: string;
  readonly header: string;
  /** Numbers are stored without it. */
  readonly base?: number;
  readonly defines?: readonly string[];
  readonly drop?: readonly string[];
  readonly extra?: Readonly<Record<string, number>>;
}

const probes = { uretprobe: 335, uprobe: 336 };
const armPrivate = {
  breakpoint: 0xf0001,
  cacheflush: 0xf0002,
  usr26: 0xf0003,
  usr32: 0xf0004,
  set_tls: 0xf0005,
  get_tls: 0xf0006,
};
const riscv = { riscv_hwprobe: 258, riscv_flush_icache: 259 };

const sources: readonly Source[] = [
  { arch: "x86_64", dir: "i686-linux-gnu", header: "asm/unistd_64.h", extra: probes },
  { arch: "x32", dir: "i686-linux-gnu", header: "asm/unistd_x32.h", base: 0x40000000, extra: probes },
  { arch: "x86", dir: "i686-linux-gnu", header: "asm/unistd_32.h" },
  {
    arch: "arm",
    dir: "arm-linux-gnueabihf",
    header: "asm/unistd.h",
    defines: ["__ARM_EABI__"],
    extra: armPrivate,
  },
  { arch: "aarch64", dir: "aarch64-linux-gnu", header: "asm/unistd.h" },
  { arch: "riscv64", dir: "riscv64-linux-gnu", header: "asm/unistd.h", defines: ["__LP64__"], extra: riscv },
  // The generic table, with neither the old limits nor the old renameat.
  {
    arch: "loongarch64",
    dir: "aarch64-linux-gnu",
    header: "asm/unistd.h",
    drop: ["renameat", "getrlimit", "setrlimit", "newfstatat", "fstat", "memfd_secret"],
    extra: { fstat: 80, newfstatat: 79 },
  },
  { arch: "mips", dir: "mips64el-linux-gnuabi64", header: "asm/unistd_o32.h", base: 4000 },
  { arch: "mips64", dir: "mips64el-linux-gnuabi64", header: "asm/unistd_n64.h", base: 5000 },
  { arch: "mips64n32", dir: "mips64el-linux-gnuabi64", header: "asm/unistd_n32.h", base: 6000 },
  { arch: "ppc", dir: "powerpc64le-linux-gnu", header: "asm/unistd_32.h" },
  { arch: "ppc64", dir: "powerpc64le-linux-gnu", header: "asm/unistd_64.h" },
  { arch: "s390", dir: "s390x-linux-gnu", header: "asm/unistd_32.h", extra: { memfd_secret: 447 } },
  { arch: "s390x", dir: "s390x-linux-gnu", header: "asm/unistd_64.h", extra: { memfd_secret: 447 } },
  { arch: "parisc", dir: "hppa-linux-gnu", header: "asm/unistd_32.h", extra: { cacheflush: 356 } },
  { arch: "parisc64", dir: "hppa-linux-gnu", header: "asm/unistd_64.h", extra: { cacheflush: 356 } },
  { arch: "m68k", dir: "m68k-linux-gnu", header: "asm/unistd_32.h" },
  { arch: "sh", dir: "sh4-linux-gnu", header: "asm/unistd_32.h", extra: { sync_file_range2: 388 } },
];

/** The preprocessor lists the names, then says each one's number. */
function read({
  arch,
  dir,
  header,
  base = 0,
  defines = [],
  drop = [],
  extra = {},
}: Source): Map<string, number> {
  const flags = ["-E", "-undef", "-nostdinc", `-I${root}/${dir}/include`, "-include", header];
  flags.push(
    "-D__SYSCALL_COMPAT_NONE",
    `-D__NR_Linux=${base}`,
    "-D__X32_SYSCALL_BIT=0x40000000",
    "-D__SIZEOF_POINTER__=8",
  );
  flags.push(...defines.map((name) => `-D${name}`));
  const listed = preprocess([...flags, "-dM"], "");
  const names = [...listed.matchAll(/^#define __NR_([a-z_0-9]+) /gm)]
    .map((match) => match[1] ?? "")
    .filter(
      (name) =>
        !/^(syscalls|arch_specific_syscall|Linux|.*_Linux.*|(reserved|unused)\d+)$/.test(name) &&
        name !== "OABI_SYSCALL_BASE",
    );
  const asked = names.map((name) => `@${name} __NR_${name}`).join("\n");
  const numbers = new Map<string, number>();
  for (const line of preprocess([...flags, "-P"], asked).split("\n")) {
    const [, name = "", sum = ""] = /^@(\w+) ([\s0-9a-fA-Fx()+]+)$/.exec(line) ?? [];
    if (name === "" || drop.includes(name)) continue;
    const number = sum
      .replaceAll(/[()\s]/g, "")
      .split("+")
      .reduce((total, part) => total + Number(part), 0);
    numbers.set(name, number - base);
  }
  if (numbers.size < 250) throw new Error(`${arch}: only ${numbers.size} names in ${header}`);
  for (const [name, number] of Object.entries(extra)) numbers.set(name, number);
  later.split(" ").forEach((name, offset) => numbers.set(name, firstLater + offset));
  return numbers;
}

function preprocess(flags: readonly string[], input: string): string {
  const run = Bun.spawnSync(["cc", ...flags, "-x", "c", "-"], { stdin: new TextEncoder().encode(input) });
  if (run.exitCode !== 0) throw new Error(run.stderr.toString());
  return run.stdout.toString();
}

const tables = sources.map((source) => ({ arch: source.arch, numbers: read(source) }));
const names = [...new Set(tables.flatMap(({ numbers }) => [...numbers.keys()]))].sort();
const rows = tables.map(
  ({ arch, numbers }) =>
    `  ${arch}:\n    "${names.map((name) => numbers.get(name)?.toString(36) ?? "").join(",")}",`,
);
process.stdout.write(`/**
 * Flat tables: system call numbers of all architectures, made by scripts/make-syscall-tables.ts; not edited by hand.
 * One list of names, and for each architecture its numbers in the same order, in base 36; empty where it has no such call.
 * Numbers are without the architecture's base (x32: 0x40000000, mips: 4000, 5000, 6000).
 */
export const syscallNames =
  "${names.join(" ")}";

export const syscallRows = {
${rows.join("\n")}
} as const;
`);
