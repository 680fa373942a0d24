/**
 * Bundles gantry-oci's verbs for QuickJS: build/oci/bundle.js. Fails, naming the importer, when something of node, of Bun
 * or a native file would be in it: there is neither where it runs. Writes nothing when nothing has changed.
 */
import { relative, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
const out = `${root}/build/oci/bundle.js`;
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
const foreign = ["process", "Buffer", "Bun", "console", "fetch", "setTimeout", "queueMicrotask", "structuredClone"];
const foreignMark = "NOT_IN_GANTRY_OCI_";
const marked = Object.fromEntries(foreign.map((name) => [name, foreignMark + name]));

const result = await Bun.build({
  entrypoints: [`${root}/src/runtime/oci/entry.ts`],
  target: "browser",
  format: "esm",
  minify: true,
  define: { ...marked, "process.arch": JSON.stringify(process.arch) },
  throw: false,
  plugins: [purity],
});
if (!result.success) fail(result.logs.join("\n"));
const code = (await result.outputs[0]?.text()) ?? "";
const impure = [...code.matchAll(new RegExp(`${mark}([^"]+)`, "g"))].map((match) => mark + match[1]);
if (impure.length > 0) fail(`\n  ${impure.join("\n  ")}`);
const globals = [...new Set([...code.matchAll(new RegExp(`${foreignMark}(\\w+)`, "g"))].map((match) => match[1]))];
if (globals.length > 0) fail(`the bundle uses ${globals.join(", ")}, which gantry-oci does not have`);

const before = await Bun.file(out)
  .text()
  .catch(() => "");
if (code !== before) await Bun.write(out, code);
