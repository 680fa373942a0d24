/**
 * Bundles gantry-oci's verbs for QuickJS: modules in build/oci/js, what several share in chunks. Fails, naming the importer, when something of node, of Bun
 * or a native file would be in it: there is neither where it runs. Touches nothing when nothing has changed.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, relative, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
const out = `${root}/build/oci/js`;
const room = `${root}/src/runtime/oci`;
const mark = "gantry-oci must not import ";

/** Each import of what is not ours becomes a module that is only a mark; marks that survive tree shaking are errors. */
const purity: Bun.BunPlugin = {
  name: "purity",
  setup(build) {
    build.onResolve({ filter: /^(node:|bun(:|$))|\.(node|bin)$|^[a-z@]/ }, ({ path, importer }) => ({
      path: `${path}: see ${relative(root, importer)}`,
      namespace: "impure",
    }));
    build.onLoad({ filter: /.*/, namespace: "impure" }, ({ path }) => ({
      contents: `module.exports = { mark: ${JSON.stringify(mark + path)} };`,
      loader: "js",
    }));
  },
};

function fail(words: string): never {
  console.error(`bundle-oci: ${words}`);
  process.exit(1);
}

/** Globals that need no import are given a name that can be found. */
const foreign = [
  "process",
  "Buffer",
  "Bun",
  "console",
  "fetch",
  "setTimeout",
  "queueMicrotask",
  "structuredClone",
];
const foreignMark = "NOT_IN_GANTRY_OCI_";
const marked = Object.fromEntries(foreign.map((name) => [name, foreignMark + name]));

const result = await Bun.build({
  entrypoints: [`${room}/entry.ts`, ...new Bun.Glob(`${room}/verbs-*.ts`).scanSync()],
  target: "browser",
  format: "esm",
  splitting: true,
  naming: { entry: "[name].js", chunk: "chunk-[hash].js" },
  minify: true,
  define: { ...marked, "process.arch": JSON.stringify(process.arch) },
  throw: false,
  plugins: [purity],
});
if (!result.success) fail(result.logs.join("\n"));

const modules = new Map<string, string>();
for (const output of result.outputs) modules.set(basename(output.path), await output.text());
const code = [...modules.values()].join("\n");
const found = (pattern: string): string[] => [
  ...new Set([...code.matchAll(new RegExp(pattern, "g"))].map((match) => match[1] ?? "")),
];
const imports = found(`${mark}([^"]+)`);
if (imports.length > 0) fail(imports.map((path) => `\n  ${mark}${path}`).join(""));
const globals = found(`${foreignMark}(\\w+)`);
if (globals.length > 0) fail(`the bundle uses ${globals.join(", ")}, which gantry-oci does not have`);

mkdirSync(out, { recursive: true });
for (const old of readdirSync(out)) if (!modules.has(old)) rmSync(`${out}/${old}`);
for (const [name, text] of modules) {
  const file = Bun.file(`${out}/${name}`);
  if (!(await file.exists()) || (await file.text()) !== text) await Bun.write(file, text);
}
