/** Files that the build embeds; an import `with { type: "file" }` gives the path to read them from. */
declare module "*.bin" {
  const path: string;
  export default path;
}
declare module "*.node" {
  const path: string;
  export default path;
}
